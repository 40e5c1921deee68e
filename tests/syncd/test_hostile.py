"""Whatever a server does to us, the store ends up with what the server holds (invariants 1, 3, 4 and 5).

A hypothesis state machine (`hostile_days.py`) plays days with a misbehaving provider (`hostile.py`) around calendars in
memory, and around a real CalDAV server. The same examples are drawn at each run; `SYNCD_HOSTILE=500` plays that many
others, drawn at random:

    SYNCD_HOSTILE=500 .venv/bin/pytest tests/syncd/test_hostile.py
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from providers.errors import NotFound, Unavailable
from providers.memory import MemoryProvider
from syncd.jobs.due import Order
from syncd.store.models import Calendar, OutboxItem

MANY = int(os.environ.get("SYNCD_HOSTILE", "0"))


def play(days: type, *, examples: int, steps: int) -> None:
    """Play the machine: a fixed set of examples, or many at random."""
    run_state_machine_as_test(
        days,
        settings=settings(
            max_examples=MANY or examples,
            stateful_step_count=steps,
            derandomize=not MANY,
            database=None,
            deadline=None,
            print_blob=bool(MANY),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_after_days_with_a_hostile_server_the_store_holds_what_the_server_holds(hostility, at_memory):
    class AtMemory(hostility.Days):
        build = staticmethod(at_memory)

    play(AtMemory, examples=40, steps=30)


def test_after_days_with_a_hostile_caldav_server_the_store_holds_what_the_server_holds(hostility, at_radicale):
    class AtRadicale(hostility.Days):
        build = staticmethod(at_radicale)

    play(AtRadicale, examples=3, steps=12)


# What the machine, and thinking about it, found


@pytest.fixture
def hostile_house(hostility, make_house):
    """A house with two calendars, its provider in a mood that can be changed."""
    house = make_house(calendars=("Home", "Work"))
    house.mischief = hostility.Mischief()
    house.shop = house.workshop(
        lambda _kind, connection: hostility.Hostile(MemoryProvider.open(connection), house.mischief)
    )
    house.sync()
    return house


@pytest.fixture
def let_fail(hostility, hostile_house):
    """Let the next call of a name fail."""

    def let_fail(call: str, error: Exception, *, after: bool = False) -> None:
        def fail() -> None:
            raise error

        hostile_house.mischief.turns.append(hostility.Turn(call, fail, after=after))

    return let_fail


def ours(house, booking: str) -> list[str]:
    """The remote ids of the events of a booking that we made."""
    return [name for name in house.remote.texts("Work") if name.startswith(f"{booking}-")]


def booked(house, start) -> str:
    """A booking whose event is written and was seen."""
    booking = house.book(start)
    house.pull()
    house.pull()
    return booking


@pytest.mark.parametrize("calendar", ["Home", "Work"])
def test_a_copy_under_our_uid_blocks_where_it_was_left_when_the_booking_is_moved(hostile_house, at, calendar):
    house = hostile_house
    booking = booked(house, at(12, 1))
    house.remote.put(calendar, "copy", house.remote.texts("Work")[f"{booking}-1"])
    house.pull()
    house.reschedule(booking, at(15, 1))
    for _ in range(2):
        house.pull()
        assert not house.is_listed(at(12, 1))
        house.later(hours=7)  # compared in full


@pytest.mark.parametrize("tokenless", [True, False])
def test_an_update_whose_answer_was_lost_is_stored_where_a_pull_saw_it(hostile_house, let_fail, at, span, tokenless):
    house = hostile_house
    house.mischief.tokenless = tokenless
    booking = booked(house, at(12, 1))
    house.reschedule(booking, at(15, 1))
    let_fail("update", Unavailable("the answer was lost"), after=True)
    house.pull()
    assert house.rows() == {(f"{booking}-1", *span(15, 30, 1))}
    house.later(minutes=2)
    assert house.sync().written
    assert house.rows() == {(f"{booking}-1", *span(15, 30, 1))}


@pytest.mark.parametrize("call", ["update", "get"])
def test_an_event_that_is_said_to_be_missing_and_is_not_is_replaced_by_one_alone(hostile_house, let_fail, at, call):
    house = hostile_house
    booking = booked(house, at(12, 1))
    house.put(f"{booking}-1", at(12, 1), 30)  # edited by hand, so that it is read before it is written
    house.reschedule(booking, at(15, 1))
    let_fail(call, NotFound("said the server, for a moment"))
    house.pull()
    assert len(ours(house, booking)) == 1
    assert "20261124T150000Z" in house.remote.texts("Work")[ours(house, booking)[0]]


def test_a_calendar_that_was_away_for_a_while_comes_back_without_a_second_event(hostile_house, at):
    house = hostile_house
    booking = booked(house, at(12, 1))
    house.reschedule(booking, at(15, 1))
    away = house.remote._calendars.pop("Work")
    house.pull()
    house.remote._calendars["Work"] = away
    house.later(hours=7)
    house.pull()
    house.later(hours=7)
    house.pull()
    assert len(ours(house, booking)) == 1
    assert house.booking(booking).event.state == "written"


@pytest.mark.parametrize("answered", [True, False])
def test_a_cancelled_bookings_event_is_removed_though_someone_made_it_unreadable(hostile_house, let_fail, at, answered):
    house = hostile_house
    if not answered:
        let_fail("create", Unavailable("the answer was lost"), after=True)
    booking = booked(house, at(12, 1))
    house.remote.put("Work", f"{booking}-1", house.broken(f"{booking}-1"))
    house.cancel(booking)
    house.later(hours=7)
    house.pull()
    assert ours(house, booking) == []
    assert house.count(OutboxItem) == 0


@pytest.mark.parametrize("call", ["get", "delete"])
def test_a_cancelled_bookings_event_is_removed_though_it_is_said_to_be_missing(hostile_house, let_fail, at, call):
    house = hostile_house
    booking = booked(house, at(12, 1))
    house.put(f"{booking}-1", at(12, 1), 30)
    house.cancel(booking)
    let_fail(call, NotFound("said the server, for a moment"))
    house.pull()
    house.later(hours=7)
    house.pull()
    assert ours(house, booking) == []


@pytest.mark.parametrize("tokenless", [True, False])
def test_what_could_not_be_shown_is_read_again_though_its_etag_is_the_same(hostile_house, at, span, tokenless):
    """A server that refuses to show an event for a while doesn't change its ETag for that."""
    house = hostile_house
    house.mischief.tokenless = tokenless
    house.put("shy", at(12, 1))
    text = house.remote._calendars["Work"].resources["shy"].text
    house.remote._calendars["Work"].resources["shy"].text = house.broken("shy")
    house.pull()
    assert len(house.quarantined()) == 1
    house.remote._calendars["Work"].resources["shy"].text = text
    house.later(hours=7)
    house.pull()
    assert house.quarantined() == []
    assert house.rows() == {("shy", *span(12, 60, 1))}


def test_what_cannot_be_read_makes_no_new_answer_each_time_it_is_read_again(hostile_house):
    house = hostile_house
    house.mischief.tokenless = True
    house.remote.put("Work", "broken", house.broken("broken"))
    house.pull()
    version = house.version()
    house.later(minutes=3)
    assert house.sync().pulls
    assert house.version() == version


def test_a_calendar_that_lists_lacked_for_days_is_expanded_once(hostile_house, at):
    house = hostile_house
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    house.remote._calendars["Home"] = house.remote._calendars.pop("Home")  # named last
    away = house.remote._calendars.pop("Work")
    for _ in range(2):
        house.later(minutes=6)
        house.pull()
    house.later(days=5)
    house.sync()
    house.remote._calendars["Work"] = away
    house.put("daily", at(11), 60, "RRULE:FREQ=DAILY")
    house.pull()
    house.later(minutes=10)
    house.pull()
    before = house.rows()  # asserts that no span is there twice
    house.sync(Order(everything=True, full=True))
    assert house.rows() == before


def test_an_event_that_a_full_listing_takes_back_is_gone(house, monkeypatch, at):
    house.put("gone", at(10, 1))
    house.put("stays", at(11, 1))
    told = MemoryProvider.changes

    def taken_back(provider, *asked):
        for page in told(provider, *asked):
            yield replace(page, sync_token=None)
            yield replace(page, changed=(), removed=("gone",))

    monkeypatch.setattr(MemoryProvider, "changes", taken_back)
    house.sync(Order(everything=True, full=True))
    assert {row[0] for row in house.rows()} == {"stays"}


@pytest.mark.parametrize("listing", ["twice", "mixed", "empty"])
def test_a_list_may_name_a_calendar_twice_in_any_order_or_none_for_once(hostile_house, listing):
    house = hostile_house
    house.mischief.listings.append(listing)
    house.pull()
    assert house.account().state == "ok"
    assert house.count(Calendar) == 2
    assert house.calendar("Work").target
