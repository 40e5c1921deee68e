"""More time at the end of a consultation: what the predicate still asks, what is waived, what the new booking is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syncd.booking.extension import extend
from syncd.booking.lifecycle import book
from syncd.booking.making import Wish
from syncd.errors import ApiError, AvailabilityUnknown, BookingError, NotOffered, SlotTaken, WrongState
from syncd.store import offers
from syncd.store.models import Booking, BookingAction, OutboxItem
from syncd.sync.look import Looked

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CONSULTATION = """
documents = ["summary"]
buffer_before = "10m"
buffer_after = "20m"
daily_limit = 1
location = "https://meet.example/{{room}}"
"""


def _extend(house: Any, booking_id: str, minutes: int = 15, paid_by: str = "consultation", **more: Any) -> Booking:
    with house.services.store.write() as session:
        booking = session.get_one(Booking, booking_id)
        situations = house.services.situations
        new_id = extend(session, situations, booking, minutes, paid_by, "client", house.now, **more).id
    return house.booking(new_id)


def _extension_of(house: Any, booking_id: str) -> str:
    with house.services.store.read() as session:
        return session.scalars(select(Booking.id).where(Booking.extension_of == booking_id)).one()


def _refused(house: Any, booking_id: str, minutes: int, kind: type[BookingError]) -> set[str]:
    """The codes with which an extension is refused; nothing of it is kept."""
    before = house.count(Booking), house.count(BookingAction)
    with pytest.raises(kind) as refused:
        _extend(house, booking_id, minutes)
    assert (house.count(Booking), house.count(BookingAction)) == before
    assert refused.value.alternatives == ()
    return {reason.code for reason in refused.value.reasons}


@pytest.fixture
def make(make_house: Callable[..., Any], at: Callable[..., datetime]) -> Callable[..., tuple[Any, str]]:
    """A house with a booking on Monday from ten to half past."""

    def build(consultation: str = CONSULTATION, **more: str) -> tuple[Any, str]:
        house = make_house(consultation=consultation.replace("{{", "{").replace("}}", "}"), **more)
        house.sync()
        return house, house.book(at(10))

    return build


def test_an_extension_is_a_booking_right_at_the_end(make, at) -> None:
    house, first = make()
    house.now = at(10.25)
    house.pull()
    new, old = _extend(house, first, 45, "hourly_contract"), house.booking(first)
    assert (new.starts_at, new.ends_at, new.state, new.revision, new.sequence) == (
        at(10.5),
        at(11.25),
        "confirmed",
        1,
        0,
    )
    assert (new.extension_of, new.paid_by, new.client, new.location) == (
        *(first, "hourly_contract", old.client, old.location),
    )
    assert (new.consultation_id, new.client_address) == (old.consultation_id, old.client_address)
    assert new.overdue_at == at(11.25) + 24 * HOUR
    assert new.policy == {**old.policy, "documents": []}
    assert (old.revision, old.ends_at, old.paid_by) == (1, at(10.5), None)


def test_both_bookings_tell_of_it_in_their_history(make, at) -> None:
    house, first = make()
    new = _extend(house, first)
    with house.services.store.read() as session:
        rows = session.scalars(select(BookingAction).order_by(BookingAction.id)).all()
    assert [(row.booking_id, row.action) for row in rows] == [(first, "book"), (new.id, "book"), (first, "extend")]
    assert rows[-1].detail == {"extension": new.id, "minutes": 15, "paid_by": "consultation"}


def test_an_extension_has_an_event_of_its_own(make) -> None:
    house, first = make()
    new = _extend(house, first)
    assert house.count(OutboxItem) == 2
    house.sync()
    assert len(house.remote.texts("Work")) == 2
    assert {house.booking(one).event.state for one in (first, new.id)} == {"written"}
    assert house.booking(first).event.uid != house.booking(new.id).event.uid


def test_an_extension_closes_the_slots_it_meets(make, at) -> None:
    house, first = make(CONSULTATION.replace("daily_limit = 1\n", ""))
    assert house.is_listed(at(11))
    version = house.version()
    _extend(house, first, 45)
    assert house.version() > version
    assert not house.is_listed(at(11))
    assert not house.is_listed(at(11.5))  # twenty minutes of buffer after the extension
    assert house.is_listed(at(12))


def test_notice_grid_limits_and_own_buffers_are_waived(make, at) -> None:
    house, first = make()
    house.now = at(10.4)
    house.put("lunch", at(10.5) + 7 * MINUTE)
    house.pull()
    assert _extend(house, first, 7).ends_at == at(10.5) + 7 * MINUTE
    assert _refused(house, _extension_of(house, first), 1, SlotTaken) == {"busy"}


def test_the_horizon_is_that_of_what_is_extended(make, at) -> None:
    house, first = make()
    text = (house.folder / "config.toml").read_text(encoding="utf-8")
    house.apply(text.replace('horizon = "20d"', 'horizon = "1h"'))
    assert _extend(house, first).starts_at == at(10.5)


def test_an_extension_never_overlaps_what_is_busy(make, at) -> None:
    house, first = make()
    house.put("lunch", at(10.75))
    house.pull()
    assert _refused(house, first, 16, SlotTaken) == {"busy"}
    assert _extend(house, first, 15).ends_at == at(10.75)


def test_an_extension_never_overlaps_a_booking_and_keeps_its_buffer_free(make, at) -> None:
    house, first = make(CONSULTATION.replace("daily_limit = 1\n", ""))
    house.book(at(11))
    assert _refused(house, first, 31, SlotTaken) == {"booked"}
    assert _refused(house, first, 21, SlotTaken) == {"buffer"}  # the other was booked with ten minutes before it
    assert _extend(house, first, 20).ends_at == at(10.5) + 20 * MINUTE


def test_an_extension_never_overlaps_a_hold_but_one_that_ran_out(make, at) -> None:
    house, first = make("")
    with house.services.store.write() as session:
        offer = offers.find_offer(session, "ada", "intro")
        assert offer is not None
        book(session, house.services.situations, offer, Wish(at(10.5), 30, hold_minutes=10), "client", house.now)
    assert _refused(house, first, 5, SlotTaken) == {"held"}
    house.later(minutes=10)
    assert _extend(house, first, 5).state == "confirmed"


def test_set_hours_stay_in_force(make, at) -> None:
    house, _ = make("")
    last = house.book(at(16))
    assert _refused(house, last, 31, NotOffered) == {"outside_hours"}
    assert _extend(house, last, 30).ends_at == at(17)


def test_what_is_unknown_refuses_an_extension(make, at) -> None:
    house, first = make()
    house.now = at(10)
    assert _refused(house, first, 15, AvailabilityUnknown) == {"calendar_stale"}


def test_a_look_without_an_answer_refuses_an_extension(make) -> None:
    house, first = make()
    with pytest.raises(AvailabilityUnknown):
        _extend(house, first, looked=Looked(verified=False, closing=("cal_1",)))
    assert not _extend(house, first, looked=Looked(verified=False)).verified


def test_an_extension_says_whether_it_was_verified(make) -> None:
    house, first = make()
    assert _extend(house, first, looked=Looked(verified=True)).verified


def test_an_extension_is_extended_from_its_own_end(make, at) -> None:
    house, first = make()
    second = _extend(house, first, 5)
    third = _extend(house, second.id, 5)
    assert (third.starts_at, third.extension_of) == (second.ends_at, second.id)
    assert _refused(house, first, 5, SlotTaken) == {"booked"}


@pytest.mark.parametrize(("late", "is_taken"), [(14 * MINUTE, True), (15 * MINUTE, False)])
def test_time_that_is_running_is_added_and_time_that_is_over_is_not(make, at, late: timedelta, is_taken: bool) -> None:
    house, first = make()
    house.now = at(10.5)
    house.pull()
    house.now += late
    if is_taken:
        assert _extend(house, first, 15).starts_at == at(10.5)
    else:
        assert _refused(house, first, 15, WrongState) == set()


@pytest.mark.parametrize("state", ["pending", "cancelled", "completed", "no_show", "declined"])
def test_only_what_is_confirmed_is_extended(make, state: str) -> None:
    house, first = make()
    with house.services.store.write() as session:
        session.get_one(Booking, first).state = state
    assert _refused(house, first, 15, WrongState) == set()


@pytest.mark.parametrize("confirmation", ["key", "freelancer"])
def test_where_others_confirm_a_client_needs_a_key_to_extend(make, confirmation: str) -> None:
    house, first = make()
    house.apply(consultation=f'confirmation = "{confirmation}"')
    with pytest.raises(ApiError) as refused:
        _extend(house, first)
    assert refused.value.code == "forbidden"
    assert _extend(house, first, standing="key").state == "confirmed"


def test_an_extension_has_the_policy_of_what_it_continues(make, at) -> None:
    house, first = make(CONSULTATION + 'cancellation_notice = "1h"\n')
    house.apply(consultation='cancellation_notice = "5h"\ncomplete_after = "1h"\nlocation = "elsewhere"')
    new = _extend(house, first)
    assert new.policy["cancellation_notice_minutes"] == 60
    assert new.free_cancellation_until_at == at(9.5)
    assert new.overdue_at == new.ends_at + 24 * HOUR
    assert new.location == house.booking(first).location
