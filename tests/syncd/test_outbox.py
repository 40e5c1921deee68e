"""What is owed to a calendar is delivered until it is true, whatever is lost, refused, edited or changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from icalendar import Calendar as ICalendar
from icalendar import Event as ICalEvent

from providers import memory
from providers.errors import (
    ETagMismatch,
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    Unavailable,
    Unsupported,
)
from providers.memory import MemoryProvider
from providers.model import Connection, ConsultationEvent, EventRef, RemoteCalendar
from syncd.store import leases
from syncd.store.models import OutboxItem


class WatchedProvider(MemoryProvider):
    """A memory provider that calls `before` with what is about to be written, which may raise."""

    before: Callable[[ConsultationEvent], None]

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        self.before(event)
        return super().create(calendar, event, idempotency_key)

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        self.before(event)
        return super().update(ref, event, if_match)


@pytest.fixture
def before_each_write(house):
    """Call something before each write, with the event to be written."""

    def watch(before: Callable[[ConsultationEvent], None]) -> None:
        def opened(_kind: str, connection: Connection) -> WatchedProvider:
            provider = WatchedProvider(memory.account(connection.url), connection)
            provider.before = before
            return provider

        house.shop = house.workshop(opened)

    return watch


def events(house) -> dict[str, ICalEvent]:
    """What the calendar holds, by remote id."""
    texts = house.remote.texts("Work")
    return {remote_id: ICalendar.from_ical(text).walk("VEVENT")[0] for remote_id, text in texts.items()}


def starts(house) -> list[datetime]:
    return sorted(event.start for event in events(house).values())


def owed(house) -> int:
    return house.count(OutboxItem)


def item(house) -> OutboxItem:
    with house.services.store.read() as session:
        return session.query(OutboxItem).one()


def due(house) -> bool:
    with house.services.store.read() as session:
        return house.account_id in leases.due_accounts(session, house.now)


def assert_written(house, booking_id: str, start: datetime) -> None:
    """The booking has its one event, there, and nothing more is owed."""
    assert starts(house) == [start]
    assert house.booking(booking_id).event.state == "written"
    assert owed(house) == 0


# Answers that are lost


def test_a_lost_answer_to_a_creation_makes_no_second_event(house, at):
    booking = house.book(at(12))
    house.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    house.sync()
    assert starts(house) == [at(12)]
    assert (owed(house), house.booking(booking).event.state) == (1, "pending")
    house.later(minutes=2)
    house.sync()
    assert_written(house, booking, at(12))


def test_a_creation_in_conflict_with_anothers_write_is_sent_again_at_once(house, at):
    booking = house.book(at(12))
    house.remote.fail_next(ETagMismatch("HTTP 409"))
    assert not house.sync().failures
    assert_written(house, booking, at(12))


def test_a_booking_moved_after_a_lost_creation_has_its_event_moved(house, at):
    booking = house.book(at(12))
    house.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    house.sync()
    house.reschedule(booking, at(14))
    house.sync()
    assert_written(house, booking, at(14))


def test_a_lost_answer_to_a_change_is_found_to_have_arrived(house, at):
    booking = house.book(at(12))
    house.sync()
    house.reschedule(booking, at(14))
    house.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    house.sync()
    house.later(minutes=2)
    house.sync()
    assert_written(house, booking, at(14))
    assert [int(event["SEQUENCE"]) for event in events(house).values()] == [1]


def test_a_lost_answer_to_a_removal_is_found_to_have_arrived(house, at):
    booking = house.book(at(12))
    house.sync()
    house.cancel(booking)
    house.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    house.sync()
    assert owed(house) == 1
    house.later(minutes=2)
    house.sync()
    assert (events(house), owed(house)) == ({}, 0)
    assert house.booking(booking).event.state == "none"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_booking_cancelled_before_its_creation_was_confirmed_leaves_no_event(house, at, arrived):
    booking = house.book(at(12))
    house.remote.fail_next(Unavailable("the answer was lost"), after_effect=arrived)
    house.sync()
    assert len(events(house)) == arrived
    house.cancel(booking)
    house.sync()
    assert (events(house), owed(house)) == ({}, 0)
    assert house.booking(booking).event.state == "none"


# What changes before it is written, or while it is


def test_a_booking_cancelled_before_any_write_is_never_written(house, at):
    house.cancel(house.book(at(12)))
    house.sync()
    assert owed(house) == 0
    assert not {"create", "delete", "find"} & set(house.remote.calls)


def test_three_moves_while_the_server_is_down_make_one_write(house, at):
    booking = house.book(at(12))
    house.sync()
    for hour in (13, 14, 15):
        house.reschedule(booking, at(hour))
        house.pull_only()
    before = house.remote.calls["update"]
    house.later(hours=1)
    house.sync()
    assert house.remote.calls["update"] == before + 1
    assert_written(house, booking, at(15))
    assert [int(event["SEQUENCE"]) for event in events(house).values()] == [3]


def test_a_booking_moved_while_it_is_being_written_ends_where_it_was_moved_to(house, at, before_each_write):
    booking = house.book(at(12))
    before_each_write(lambda event: house.reschedule(booking, at(14)) if event.start_at == at(12) else None)
    house.sync()
    assert_written(house, booking, at(14))


def test_a_booking_cancelled_while_it_is_being_written_has_its_event_removed(house, at, before_each_write):
    booking = house.book(at(12))
    before_each_write(lambda _event: house.cancel(booking))
    house.sync()
    assert (events(house), owed(house)) == ({}, 0)


# What people do to the event


def test_an_event_deleted_by_hand_is_made_anew_when_the_booking_moves(house, at):
    booking = house.book(at(12))
    house.sync()
    (first,) = events(house)
    house.remote.remove("Work", first)
    house.reschedule(booking, at(14))
    house.sync()
    assert_written(house, booking, at(14))
    (second,) = events(house)
    assert (first, second) == (f"{booking}-1", f"{booking}-2")
    assert house.booking(booking).event.uid == second == str(events(house)[second]["UID"])


def test_what_people_wrote_into_an_event_outlasts_a_move(house, at):
    booking = house.book(at(12))
    house.sync()
    ((remote_id, text),) = house.remote.texts("Work").items()
    lines = [line for line in text.split("\r\n") if not line.startswith(("DESCRIPTION", " "))]
    notes = ["DESCRIPTION:Bring the plans", "COMMENT:He is always late", "SUMMARY:Bob again", "END:VEVENT"]
    edited = "\r\n".join(lines).replace("END:VEVENT", "\r\n".join(notes[:2] + notes[3:]))
    house.remote.put("Work", remote_id, edited.replace("SUMMARY:Intro: Grace", notes[2]))
    house.reschedule(booking, at(14))
    house.sync()
    assert_written(house, booking, at(14))
    event = events(house)[remote_id]
    assert (event["DESCRIPTION"], event["COMMENT"]) == ("Bring the plans", "He is always late")
    assert event["SUMMARY"] == "Intro: Grace"  # the title is ours


def test_an_event_edited_by_hand_is_removed_with_its_booking(house, at):
    booking = house.book(at(12))
    house.sync()
    ((remote_id, text),) = house.remote.texts("Work").items()
    house.remote.put("Work", remote_id, text.replace("END:VEVENT", "COMMENT:later\r\nEND:VEVENT"))
    house.cancel(booking)
    house.sync()
    assert (events(house), owed(house)) == ({}, 0)


def test_an_event_that_keeps_changing_under_our_hands_is_written_once_it_rests(house, at, before_each_write):
    booking = house.book(at(12))
    house.sync()
    house.reschedule(booking, at(14))

    def edit(_event: ConsultationEvent) -> None:
        ((remote_id, text),) = house.remote.texts("Work").items()
        house.remote.put("Work", remote_id, text)

    before_each_write(edit)
    house.sync()
    assert (owed(house), starts(house)) == (1, [at(12)])
    before_each_write(lambda _event: None)
    house.later(minutes=5)
    house.sync()
    assert_written(house, booking, at(14))


# What fails


def test_a_server_that_fails_is_tried_again_after_growing_pauses_of_six_hours_at_most(house, at, before_each_write):
    def fail(_event: ConsultationEvent) -> None:
        raise Unavailable("down")

    booking = house.book(at(12, 7))
    before_each_write(fail)
    for attempt in range(1, 13):
        house.sync()
        assert (item(house).attempts, item(house).problem) == (attempt, "down")
        longest = min(30 * 2**attempt, 6 * 3600)
        assert longest / 2 <= (item(house).due_at - house.now).total_seconds() <= longest
        assert house.booking(booking).event.state == "pending"
        house.now = item(house).due_at
    before_each_write(lambda _event: None)
    house.sync()
    assert_written(house, booking, at(12, 7))


def test_a_server_that_asks_for_fewer_requests_gets_none_until_then(house, at):
    booking = house.book(at(12))
    house.remote.fail_next(RateLimited(retry_after=777))
    house.sync()
    asked = house.remote.calls.total()
    house.later(seconds=776)
    assert not due(house)
    house.later(seconds=1)
    assert (due(house), house.remote.calls.total()) == (True, asked)
    house.sync()
    assert_written(house, booking, at(12))


def test_a_refused_write_shows_as_failed_and_is_tried_hourly(house, at):
    booking = house.book(at(12))
    house.remote.fail_next(PermissionDenied("read-only calendar"))
    house.sync()
    assert house.booking(booking).event.state == "failed"
    assert (item(house).due_at - house.now).total_seconds() == 3600
    house.later(hours=1)
    house.sync()
    assert_written(house, booking, at(12))


def test_a_failed_write_is_tried_again_at_once_when_the_booking_changes(house, at):
    booking = house.book(at(12))
    house.remote.fail_next(PermissionDenied("read-only calendar"))
    house.sync()
    house.reschedule(booking, at(14))
    assert house.booking(booking).event.state == "pending"
    house.sync()
    assert_written(house, booking, at(14))


@pytest.mark.parametrize(
    "error",
    [Unavailable, PermissionDenied, NotFound, ETagMismatch, Unsupported, InvalidResponse],
    ids=lambda e: e.__name__,
)
def test_one_booking_that_cannot_be_written_blocks_neither_others_nor_pulls(house, at, before_each_write, error):
    def refuse(event: ConsultationEvent) -> None:
        if event.start_at == at(10):
            raise error("poisoned")

    poisoned, other, third = house.book(at(10)), house.book(at(12)), house.book(at(14))
    house.put("dentist", at(16))
    before_each_write(refuse)
    house.later(minutes=3)
    report = house.sync()
    assert [pull.calendar for pull in report.pulls] == ["Work"]
    assert not house.is_listed(at(16))
    house.later(minutes=3)
    house.sync()
    assert [house.booking(b).event.state for b in (other, third)] == ["written", "written"]
    assert sorted(starts(house)) == [at(12), at(14), at(16)]
    assert house.booking(poisoned).event.state == ("pending" if error is Unavailable else "failed")
    assert owed(house) == 1


@pytest.mark.parametrize("owes", ["a creation", "a change", "a removal"])
def test_what_is_owed_waits_for_the_new_password_and_is_then_delivered(house, at, owes):
    booking = house.book(at(12))
    if owes != "a creation":
        house.sync()
    house.remote.secret = "changed"
    if owes == "a change":
        house.reschedule(booking, at(14))
    elif owes == "a removal":
        house.cancel(booking)
    house.sync()
    assert house.account().state == "needs_reconnect"
    house.later(hours=12)
    assert not due(house)
    assert owed(house) == 1
    house.password = "changed"
    house.apply()
    assert due(house)
    house.sync()
    assert starts(house) == {"a creation": [at(12)], "a change": [at(14)], "a removal": []}[owes]
    assert owed(house) == 0
    assert house.account().state == "ok"


@pytest.mark.parametrize("error", [RateLimited(retry_after=60), GrantRevoked(), Unavailable()], ids=repr)
def test_no_failure_of_a_write_removes_an_event_or_a_debt(house, at, error: ProviderError):
    booking = house.book(at(12))
    house.sync()
    house.reschedule(booking, at(14))
    house.remote.fail_next(error)
    house.sync()
    assert starts(house) == [at(12)]
    assert owed(house) == 1
