"""A booking whose place is "video" gets the link that its target makes, whenever that is known."""

from __future__ import annotations

from datetime import timedelta

import pytest
from icalendar import Calendar as ICalendar
from sqlalchemy import select

from providers import memory
from providers.errors import GrantRevoked, PermissionDenied, Unavailable
from providers.memory import MemoryProvider
from providers.model import Connection, EventRef, WrittenEvent
from syncd.api.credentials import Caller, KeyHolder
from syncd.api.views import booking_json
from syncd.booking import aftermath
from syncd.care import owed as care
from syncd.doctor.offers import examined
from syncd.management.accounts import disconnect
from syncd.outbox.plan import LINK_IS_HOPELESS_AFTER, pause_before_asking
from syncd.store import outbox
from syncd.store.bookings import Wanted, list_bookings
from syncd.store.models import Account, Booking, OutboxItem

VIDEO = 'location = "video"'


@pytest.fixture
def studio(make_house):
    """A house whose consultations take place by video, and whose target makes links, at once unless told otherwise."""
    house = make_house(calendars=(), consultation=VIDEO)
    house.remote.add_calendar("Work", makes_links=True)
    house.sync()
    return house


@pytest.fixture
def slow(studio):
    """One where each link is made once its event was read twice."""
    studio.remote.link_reads = 2
    return studio


def link_of(booking_id: str, generation: int = 1) -> str:
    return f"https://meet.example/{booking_id}-{generation}"


def link(house, booking_id: str) -> tuple[str | None, bool]:
    event = house.booking(booking_id).event
    return event.join_url, event.link_pending


def shown(house, booking_id: str, side: str) -> object:
    with house.services.store.read() as session:
        booking = session.get_one(Booking, booking_id)
        return booking_json(
            booking, Caller(side, KeyHolder("key", None, frozenset()) if side == "freelancer" else None), house.now
        )["join_url"]


def owed(house) -> int:
    return house.count(OutboxItem)


def steps(house) -> list[str]:
    with house.services.store.read() as session:
        return [one.step for one in care.owed(session)]


def places(house) -> list[str | None]:
    texts = house.remote.texts("Work").values()
    return [ICalendar.from_ical(text).walk("VEVENT")[0].get("LOCATION") for text in texts]


def ask(house, **lengths: float) -> None:
    """Let time pass, and do what is due."""
    house.later(**lengths)
    assert not house.sync().failures


# What is asked for, and shown


def test_a_link_that_is_made_at_once_is_shown_to_both_sides(studio, at):
    booking = studio.book(at(12))
    assert shown(studio, booking, "client") is None
    studio.sync()
    assert shown(studio, booking, "client") == shown(studio, booking, "freelancer") == link_of(booking)
    assert (owed(studio), studio.remote.calls["get"]) == (0, 0)


def test_video_is_never_written_as_a_place(studio, at):
    studio.book(at(12))
    studio.sync()
    assert places(studio) == [None]


def test_any_other_place_is_written_and_asks_for_no_link(studio, at):
    studio.apply(consultation='location = "Rose Lane 4"')
    booking = studio.book(at(12))
    studio.sync()
    assert places(studio) == ["Rose Lane 4"]
    assert (link(studio, booking), owed(studio)) == ((None, False), 0)


def test_a_target_that_makes_no_links_leaves_the_booking_without(make_house, at):
    house = make_house(consultation=VIDEO)
    house.sync()
    booking = house.book(at(12))
    house.sync()
    assert (link(house, booking), owed(house)) == ((None, False), 0)
    assert house.booking(booking).event.state == "written"


# While it is being made


def test_a_pending_link_is_asked_for_soon_and_the_event_counts_as_written(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    assert (slow.booking(booking).event.state, link(slow, booking)) == ("written", (None, True))
    assert steps(slow) == ["ask_link"]
    with slow.services.store.read() as session:
        assert outbox.owed(session) == (0, None)
    ask(slow, seconds=1)
    assert slow.remote.calls["get"] == 0
    ask(slow, seconds=1)
    assert (slow.remote.calls["get"], link(slow, booking)) == (1, (None, True))
    ask(slow, seconds=4)
    assert slow.remote.calls["get"] == 1
    ask(slow, seconds=1)
    assert (shown(slow, booking, "client"), owed(slow)) == (link_of(booking), 0)
    assert slow.remote.calls["update"] == 0, "nothing is rewritten"


def test_a_link_that_becomes_known_is_a_change_to_who_asks_for_changes(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    before = slow.booking(booking)
    ask(slow, seconds=2)
    assert slow.booking(booking).updated_at == before.updated_at
    ask(slow, seconds=5)
    after = slow.booking(booking)
    assert (after.updated_at, after.revision) == (slow.now, before.revision)
    with slow.services.store.read() as session:
        wanted = Wanted(now=slow.now, updated_since=slow.now)
        assert [one.id for one in list_bookings(session, wanted, limit=10).rows] == [booking]


def test_what_was_read_with_the_link_is_what_the_next_write_goes_by(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    ((remote_id, text),) = slow.remote.texts("Work").items()
    etag = slow.remote.put("Work", remote_id, text)
    ask(slow, seconds=2)
    assert slow.booking(booking).event.etag == etag


def test_the_pauses_between_questions_grow_to_hours():
    pauses = [pause_before_asking(asked) for asked in range(30)]
    assert [pause.total_seconds() for pause in pauses[:6]] == [2, 5, 10, 30, 60, 120]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=6)


def test_a_link_that_cant_be_made_is_given_up_at_once(slow, at, logged):
    booking = slow.book(at(12))
    slow.sync()
    slow.remote.link = None
    ask(slow, seconds=2)
    ask(slow, seconds=5)
    assert (link(slow, booking), owed(slow)) == ((None, False), 0)
    assert slow.booking(booking).event.state == "written"
    assert "no meeting link was made" in [line["event"] for line in logged()]


def test_a_link_that_is_never_made_is_given_up_after_a_day(studio, at, logged):
    studio.remote.link_reads = 1_000
    booking = studio.book(at(12, 2))
    studio.sync()
    since = studio.now
    while owed(studio):
        assert studio.now - since < 2 * LINK_IS_HOPELESS_AFTER
        ask(studio, hours=1)
    assert studio.now - since >= LINK_IS_HOPELESS_AFTER
    assert link(studio, booking) == (None, False)
    assert studio.booking(booking).event.state == "written"
    assert "no meeting link was made" in [line["event"] for line in logged()]


def test_a_write_that_was_long_owed_leaves_its_link_a_whole_day(slow, at):
    slow.remote.link_reads = 1
    booking = slow.book(at(12, 3))
    slow.later(days=2)
    slow.sync()
    ask(slow, hours=1)
    assert link(slow, booking) == (link_of(booking), False)


# What happens meanwhile


def test_a_booking_moved_while_its_link_is_pending_is_written_first(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    slow.reschedule(booking, at(14))
    assert steps(slow) == ["change"]
    slow.sync()
    assert (slow.remote.calls["update"], slow.remote.calls["get"]) == (1, 0)
    assert (slow.booking(booking).event.state, link(slow, booking)) == ("written", (None, True))
    ask(slow, seconds=2)
    ask(slow, seconds=5)
    assert (link(slow, booking), owed(slow)) == ((link_of(booking), False), 0)


def test_a_link_outlasts_a_move(studio, at):
    booking = studio.book(at(12))
    studio.sync()
    studio.reschedule(booking, at(14))
    studio.sync()
    assert (link(studio, booking), owed(studio)) == ((link_of(booking), False), 0)


class Reticent(MemoryProvider):
    """A provider whose answers to changes say nothing of links."""

    def update(self, ref, event, if_match):
        written = super().update(ref, event, if_match)
        return EventRef(written.calendar, written.remote_id, written.uid, written.etag)


@pytest.mark.parametrize("reads", [0, 1])
def test_what_is_known_of_a_link_outlasts_an_answer_that_says_nothing_of_it(studio, at, reads):
    studio.remote.link_reads = reads
    booking = studio.book(at(12))
    studio.sync()
    known = link(studio, booking)
    studio.shop = studio.workshop(lambda _kind, connection: Reticent.open(connection))
    studio.reschedule(booking, at(14))
    studio.sync()
    assert link(studio, booking) == known
    ask(studio, seconds=2)
    assert (link(studio, booking), owed(studio)) == ((link_of(booking), False), 0)


@pytest.mark.parametrize("known", [True, False])
def test_a_cancelled_booking_shows_no_link_and_asks_for_none(slow, at, known):
    slow.remote.link_reads = 0 if known else 2
    booking = slow.book(at(12))
    slow.sync()
    slow.cancel(booking)
    assert shown(slow, booking, "client") is None
    asked = slow.remote.calls["get"]
    slow.sync()
    assert (slow.remote.texts("Work"), owed(slow), link(slow, booking)) == ({}, 0, (None, False))
    assert slow.remote.calls["get"] == asked


def test_an_event_deleted_by_hand_ends_the_wait_and_is_not_brought_back(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    slow.remote.remove("Work", f"{booking}-1")
    ask(slow, seconds=2)
    assert (link(slow, booking), owed(slow), slow.remote.texts("Work")) == ((None, False), 0, {})
    ask(slow, minutes=3)
    assert slow.booking(booking).event.state == "drifted"


def test_an_event_made_anew_has_a_link_of_its_own(studio, at):
    booking = studio.book(at(12))
    studio.sync()
    studio.remote.remove("Work", f"{booking}-1")
    studio.reschedule(booking, at(14))
    studio.sync()
    assert link(studio, booking) == (link_of(booking, 2), False)


def test_an_event_that_someone_moved_is_still_asked_for_its_link(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    ((remote_id, text),) = slow.remote.texts("Work").items()
    slow.remote.put("Work", remote_id, text.replace("T1200", "T1500").replace("T1230", "T1530"))
    ask(slow, seconds=2)
    slow.pull()
    assert slow.booking(booking).event.state == "drifted"
    ask(slow, seconds=5)
    event = slow.booking(booking).event
    assert (event.state, event.join_url) == ("drifted", link_of(booking))
    assert "T1500" in slow.remote.texts("Work")[remote_id]


def test_what_changes_a_booking_and_not_its_event_leaves_the_wait_as_it_is(slow, at):
    booking = slow.book(at(9))
    slow.sync()
    slow.later(hours=3)
    with slow.services.store.write() as session:
        aftermath.complete(session, session.get_one(Booking, booking), "freelancer", slow.now)
    slow.sync()
    ask(slow, minutes=1)
    assert (link(slow, booking), owed(slow)) == ((link_of(booking), False), 0)
    assert slow.remote.calls["update"] == 0


def test_a_wait_for_a_link_can_be_ended_by_a_person(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    with slow.services.store.write() as session:
        care.drop(session, booking, slow.now)
    assert (slow.booking(booking).event.state, link(slow, booking), owed(slow)) == ("written", (None, False), 0)


# Faults and crashes


def test_a_lost_answer_to_the_creation_still_finds_the_link(slow, at):
    booking = slow.book(at(12))
    slow.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    slow.sync()
    ask(slow, minutes=2)
    assert link(slow, booking) == (None, True)
    ask(slow, minutes=2)
    assert (link(slow, booking), owed(slow)) == ((link_of(booking), False), 0)


@pytest.mark.parametrize("error", [Unavailable("down"), GrantRevoked()], ids=["down", "revoked"])
def test_a_question_that_fails_is_asked_again_and_the_event_stays_written(slow, at, error):
    slow.remote.link_reads = 1
    booking = slow.book(at(12))
    slow.sync()
    slow.later(seconds=2)
    slow.remote.fail_next(error)
    assert slow.sync().failures
    assert (slow.booking(booking).event.state, link(slow, booking)) == ("written", (None, True))
    with slow.services.store.write() as session:
        care.retry(session, booking, slow.now)
        session.get_one(type(slow.account()), slow.account_id).state = "ok"
    ask(slow, seconds=1)
    assert (link(slow, booking), owed(slow)) == ((link_of(booking), False), 0)


def test_an_event_that_may_not_be_read_for_now_is_no_failure_of_the_booking(slow, at):
    slow.remote.link_reads = 1
    booking = slow.book(at(12))
    slow.sync()
    slow.remote.fail_next(PermissionDenied())
    ask(slow, seconds=2)
    assert (slow.booking(booking).event.state, link(slow, booking)) == ("written", (None, True))
    ask(slow, seconds=5)
    assert link(slow, booking) == (link_of(booking), False)


class Died(BaseException):
    """The process ended here."""


class Dying(MemoryProvider):
    """A provider whose process dies as soon as an event was read."""

    def get(self, ref: EventRef) -> WrittenEvent:
        super().get(ref)
        raise Died


def test_a_crash_between_the_answer_and_its_record_asks_again(slow, at):
    booking = slow.book(at(12))
    slow.sync()
    slow.later(seconds=2)
    well, slow.shop = slow.shop, slow.workshop(lambda _kind, connection: Dying.open(connection))
    with pytest.raises(Died):
        slow.sync()
    assert (link(slow, booking), owed(slow)) == ((None, True), 1)
    slow.shop = well
    slow.sync()
    assert (link(slow, booking), owed(slow)) == ((link_of(booking), False), 0)


class Meddled(MemoryProvider):
    """A provider at which something else happens while an event is read."""

    def get(self, ref: EventRef) -> WrittenEvent:
        written = super().get(ref)
        self.meanwhile()
        return written


@pytest.mark.parametrize("what", ["moved", "cancelled"])
def test_a_booking_that_changes_while_its_link_is_asked_for_ends_as_it_was_changed(slow, at, what):
    slow.remote.link_reads = 1
    booking = slow.book(at(12))
    slow.sync()

    def opened(_kind: str, connection: Connection) -> Meddled:
        provider = Meddled(memory.account(connection.url), connection)
        provider.meanwhile = (
            (lambda: slow.reschedule(booking, at(14))) if what == "moved" else (lambda: slow.cancel(booking))
        )
        return provider

    slow.shop = slow.workshop(opened)
    ask(slow, seconds=2)
    assert owed(slow) == 0
    if what == "moved":
        assert link(slow, booking) == (link_of(booking), False)
        assert slow.booking(booking).event.written_starts_at == at(14)
    else:
        assert (slow.remote.texts("Work"), link(slow, booking)) == ({}, (None, False))


# Being told


@pytest.mark.parametrize("makes_links", [True, False])
def test_a_target_without_links_is_told_by_the_doctor(make_house, makes_links):
    house = make_house(calendars=(), consultation=VIDEO)
    house.remote.add_calendar("Work", makes_links=makes_links)
    house.sync()
    with house.services.store.read() as session:
        told = [finding.what for finding in examined(session, house.services.situations, house.now)]
    what = 'ada/intro has location = "video", but home/Work makes no meeting links: join_url stays empty'
    assert (what in told) == (not makes_links)


def test_an_account_that_is_disconnected_is_waited_for_no_longer(slow, at):
    slow.remote.link_reads = 1_000
    booking = slow.book(at(10, 1))
    slow.sync()
    with slow.services.store.write() as session:
        account = session.scalars(select(Account)).one()
        account.declared = False
        assert disconnect(session, account, slow.now) == []
    assert slow.count(OutboxItem) == 0
    assert link(slow, booking) == (None, False)
