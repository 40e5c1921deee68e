"""What time alone ends, and when to the instant (semantics 10, 19; contract §7: no report)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from syncd.booking import lifecycle
from syncd.booking.expiry import expire_overdue, sweep
from syncd.booking.making import Wish
from syncd.errors import HoldExpired, SlotTaken, WrongState
from syncd.store import offers
from syncd.store.models import Booking, BookingAction, Consultation, OutboxItem

INSTANT = timedelta(microseconds=1)


@pytest.fixture
def make(house):
    """Make a held, a pending or a confirmed booking of half an hour."""

    def make(start, state="held", minutes=10):
        with house.services.store.write() as session:
            wanted = "freelancer" if state == "pending" else "automatic"
            session.execute(update(Consultation).values(confirmation=wanted))
            offer = offers.find_offer(session, "ada", "intro")
            wish = Wish(start, 30, {"name": "Grace", "email": "grace@example.org"})
            if state == "held":
                wish = Wish(start, 30, hold_minutes=minutes)
            made = lifecycle.book(session, house.services.situations, offer, wish, "client", house.now)
            assert made.state == state
            return made.id

    return make


def history(house, booking_id: str) -> list[tuple[str, str]]:
    with house.services.store.read() as session:
        rows = select(BookingAction.actor, BookingAction.action).where(BookingAction.booking_id == booking_id)
        return [(row.actor, row.action) for row in session.execute(rows.order_by(BookingAction.id))]


def test_each_state_that_time_ends_says_when(house, make, at):
    held, pending, confirmed = make(at(9, 1)), make(at(10, 1), "pending"), make(at(11, 1), "confirmed")
    assert house.booking(held).overdue_at == house.now + timedelta(minutes=10)
    assert house.booking(pending).overdue_at == house.now + timedelta(hours=24)
    assert house.booking(confirmed).overdue_at == at(11.5, 2)
    soon = make(at(9.5, 0), "pending")
    assert house.booking(soon).overdue_at == at(9.5, 0), "never beyond the start"
    house.cancel(confirmed)
    assert house.booking(confirmed).overdue_at is None
    house.reschedule(soon, at(12, 3))
    assert house.booking(soon).overdue_at == house.now + timedelta(hours=24)


@pytest.mark.parametrize(("state", "length"), [("held", timedelta(minutes=10)), ("pending", timedelta(hours=24))])
def test_a_wait_ends_at_its_very_instant(house, make, at, state, length):
    booking = make(at(9, 4), state)
    ends_at = house.now + length
    house.now = ends_at - INSTANT
    assert sweep(house.services) == 0
    house.now = ends_at
    version = house.version()
    assert sweep(house.services) == 1
    swept = house.booking(booking)
    assert (swept.state, swept.revision, swept.sequence, swept.overdue_at) == ("expired", 2, 0, None)
    assert swept.event.state == "none"
    assert house.version() > version
    assert history(house, booking)[-1] == ("time", "expire")
    assert house.count(OutboxItem) == 0


def test_a_late_sweep_never_blocks_and_what_comes_in_its_place_ends_it(house, make, at):
    late = make(at(9, 1))
    house.later(minutes=10)
    assert house.is_listed(at(9, 1))
    booking = house.book(at(9, 1))
    assert (house.booking(late).state, house.booking(booking).state) == ("expired", "confirmed")
    assert sweep(house.services) == 0


def test_a_booking_moves_onto_the_time_of_a_hold_that_ran_out(house, make, at):
    late, booking = make(at(9, 1)), house.book(at(10, 1))
    house.later(minutes=10)
    house.reschedule(booking, at(9, 1))
    assert house.booking(late).state == "expired"


def test_a_hold_in_time_is_not_moved_onto(house, make, at):
    held, booking = make(at(9, 1)), house.book(at(10, 1))
    house.later(minutes=10)
    house.now -= INSTANT
    assert not house.is_listed(at(9, 1))
    with pytest.raises(SlotTaken) as info:
        house.reschedule(booking, at(9, 1))
    assert [reason.code for reason in info.value.reasons] == ["held"]
    assert house.booking(held).state == "held"


def test_what_is_over_refuses_whatever_is_asked_of_it(house, make, at):
    held, pending = make(at(9, 2)), make(at(10, 2), "pending")
    house.later(hours=24)
    with house.services.store.write() as session:
        situations, now = house.services.situations, house.now
        hold, wait = session.get_one(Booking, held), session.get_one(Booking, pending)
        for attempt in (
            lambda: lifecycle.prolong(session, hold, 5, "client", now),
            lambda: lifecycle.release(session, hold, "client", now),
            lambda: lifecycle.confirm(session, situations, hold, "client", now),
            lambda: lifecycle.cancel(session, hold, "client", None, now),
            lambda: lifecycle.amend(session, hold, "client", now, {"note": "x"}),
        ):
            with pytest.raises(HoldExpired):
                attempt()
        for attempt in (
            lambda: lifecycle.approve(session, situations, wait, "freelancer", now),
            lambda: lifecycle.decline(session, wait, "freelancer", now),
            lambda: lifecycle.cancel(session, wait, "client", None, now),
            lambda: lifecycle.reschedule(session, situations, wait, at(9, 3), "client", now),
        ):
            with pytest.raises(WrongState) as info:
                attempt()
            assert info.value.current_state == "expired"


def test_expiring_counts_only_what_is_over(house, make, at):
    make(at(9, 1), minutes=5)
    make(at(10, 1), minutes=10)
    make(at(11, 1), "pending")
    make(at(12, 1), "confirmed")
    house.later(minutes=5)
    with house.services.store.write() as session:
        freelancer_id = session.scalars(select(Booking.freelancer_id)).first()
        assert expire_overdue(session, freelancer_id, house.now) == 1
        assert expire_overdue(session, freelancer_id, house.now) == 0
        assert expire_overdue(session, "another", house.now + timedelta(days=9)) == 0


def test_a_confirmed_booking_is_completed_once_nobody_can_report_any_more(house, make, at):
    booking = make(at(9, 1), "confirmed")
    house.now = at(9.5, 2) - INSTANT
    assert sweep(house.services) == 0
    house.now = at(9.5, 2)
    assert sweep(house.services) == 1
    assert house.booking(booking).state == "completed"
    assert sweep(house.services) == 0


def test_the_event_comes_with_the_word_and_not_before(house, make, at):
    """Semantics 22: held and pending own none."""
    held, pending = make(at(9, 1)), make(at(10, 1), "pending")
    house.sync()
    assert house.remote.texts("Work") == {}
    with house.services.store.write() as session:
        situations = house.services.situations
        session.execute(update(Consultation).values(confirmation="automatic"))
        said = {"client": {"name": "Alan", "email": "alan@example.org"}}
        lifecycle.confirm(session, situations, session.get_one(Booking, held), "client", house.now, said=said)
    with house.services.store.write() as session:
        lifecycle.decline(session, session.get_one(Booking, pending), "freelancer", house.now)
    house.sync()
    (text,) = house.remote.texts("Work").values()
    assert "Alan" in text
    assert house.booking(held).event.state == "written"
    assert house.booking(pending).event.state == "none"
