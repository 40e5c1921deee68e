"""Changes, busy rows and sync token go into the store together, and a full pull serves as a whole or not at all."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from sqlalchemy import event as sqlalchemy_event

from providers.errors import Unavailable
from providers.memory import MemoryProvider
from syncd.jobs.due import Order
from syncd.store.models import Event

WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=3"


def test_a_first_pull_stores_every_busy_span_and_lists_the_rest(house, at, span):
    house.put("lunch", at(12))
    house.put("gym", at(15, 1), more="TRANSP:TRANSPARENT")
    house.put("standup", at(9), 30, WEEKLY)
    house.pull()
    assert house.rows() == {
        ("lunch", *span(12)),
        *(("standup", *span(9, 30, week * 7)) for week in range(3)),
    }
    assert not house.is_listed(at(12, 0))
    assert not house.is_listed(at(9, 7))
    assert house.is_listed(at(15, 1))


def test_an_incremental_pull_takes_over_what_was_added_changed_and_removed(house, at, span):
    for uid, hour in (("stays", 9), ("moves", 10), ("goes", 11)):
        house.put(uid, at(hour, 1))
    house.pull()
    house.put("moves", at(15, 1))
    house.remote.remove("Work", "goes")
    house.put("new", at(16, 1), 30)
    house.later(minutes=3)
    report = house.sync().pulls[0]
    assert (report.full, report.changed, report.removed) == (False, 2, 1)
    assert house.rows() == {("stays", *span(9, 60, 1)), ("moves", *span(15, 60, 1)), ("new", *span(16, 30, 1))}


def test_what_a_pull_brings_shows_in_the_next_answer(house, at):
    assert house.is_listed(at(12, 1))
    house.put("lunch", at(12, 1))
    house.later(minutes=3)
    assert house.sync().listed == 0
    assert not house.is_listed(at(12, 1))
    house.remote.remove("Work", "lunch")
    house.later(minutes=3)
    house.sync()
    assert house.is_listed(at(12, 1))


def test_a_changed_series_leaves_none_of_its_old_instances(house, at, span):
    house.put("series", at(9), 30, WEEKLY)
    house.pull()
    house.put("series", at(10, 1), 60, "RRULE:FREQ=WEEKLY;COUNT=2")
    house.pull()
    assert house.rows() == {("series", *span(10, 60, 1)), ("series", *span(10, 60, 8))}


def test_events_moved_out_of_the_window_and_into_it(house, at, span):
    house.put("leaves", at(10, 1))
    house.put("comes", at(10, 300))
    house.put("past", at(10, -30))
    house.pull()
    assert house.rows() == {("leaves", *span(10, 60, 1))}
    house.put("leaves", at(10, 300))
    house.put("comes", at(11, 1))
    house.put("past", at(12, 1))
    house.pull()
    assert house.rows() == {("comes", *span(11, 60, 1)), ("past", *span(12, 60, 1))}


def test_a_pull_without_changes_leaves_the_availability_as_it_is(house, at):
    house.put("lunch", at(12))
    house.pull()
    version = house.version()
    house.later(minutes=3)
    house.sync()
    assert house.calendar().synced_at == house.now
    assert house.version() == version


def test_an_unknown_sync_token_leads_to_one_full_pull(house, at, span):
    house.put("kept", at(10))
    house.put("gone", at(11))
    house.pull()
    house.remote.remove("Work", "gone")
    house.remote.forget_tokens("Work")
    house.remote.calls.clear()
    house.later(minutes=3)
    report = house.sync()
    assert [pull.full for pull in report.pulls] == [True]
    assert house.remote.calls["changes"] == 2  # the refused one, and one in full
    assert house.rows() == {("kept", *span(10))}
    assert not report.failures
    house.later(minutes=3)
    assert [pull.full for pull in house.sync().pulls] == [False]


def test_what_is_known_is_told_with_what_would_be_missed_first(house, at):
    class Listening(MemoryProvider):
        def changes(self, calendar, sync_token, window, known=None):
            told.append(list(known()))
            yield from super().changes(calendar, sync_token, window, known)

    told: list[list[str]] = []
    for name, days in {"a": -3, "b": 1, "c": -2, "d": 2}.items():
        house.put(name, at(10) + timedelta(days=days))
    booking = house.book(at(12))
    house.pull()
    house.shop = house.workshop(lambda _kind, connection: Listening.open(connection))
    house.later(hours=7)
    house.sync()
    ours = house.booking(booking).event.remote_id
    assert [sorted(set(told[0][:2])), set(told[0][2:])] == [["b", "d"], {"a", "c", ours}]


def test_a_calendar_is_compared_in_full_when_reconciling_is_due(house):
    kinds = []
    for _ in range(8):
        house.later(hours=1)
        kinds += [pull.full for pull in house.sync().pulls]
    assert kinds == [False] * 5 + [True] + [False] * 2


def _fail_at(engine, number):
    """Fail the write's n-th statement; returns what undoes it and says whether it was reached."""
    seen = 0

    def count(_connection, _cursor, statement, *_rest):
        nonlocal seen
        if _connection.get_execution_options().get("readonly") or statement.startswith("BEGIN"):
            return
        seen += 1
        if seen == number:
            raise RuntimeError("pulled the plug")

    sqlalchemy_event.listen(engine, "before_cursor_execute", count)

    def undo():
        sqlalchemy_event.remove(engine, "before_cursor_execute", count)
        return seen >= number

    return undo


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
def test_a_failure_at_any_statement_leaves_all_of_a_pull_or_nothing(make_house, at, full):
    house = make_house()
    house.put("moves", at(9), 60, WEEKLY)
    house.put("goes", at(11))
    house.sync()
    before = (house.rows(), house.calendar().sync_token, house.calendar().generation)
    house.put("moves", at(14))
    house.remote.remove("Work", "goes")
    house.put("new", at(16))
    outcomes = []
    for number in range(1, 100):
        undo = _fail_at(house.services.store.engine, number)
        version = house.version()
        with contextlib.suppress(RuntimeError):
            house.sync(Order(everything=True, full=full))
        reached = undo()
        after = (house.rows(), house.calendar().sync_token, house.calendar().generation)
        changed = after != before
        outcomes.append(changed)
        assert not changed or (len(after[0]) == 2 and after[1] != before[1])
        assert not changed or house.version() > version
        assert len(house.generations()) <= 1 + (full and not changed)
        if changed or not reached:
            break
    assert outcomes == [False] * (len(outcomes) - 1) + [True]
    assert len(outcomes) > 8  # every statement of the commit was reached


def test_a_reader_sees_the_old_generation_until_the_new_one_is_whole(house, at):
    for number in range(150):
        house.put(f"old-{number}", at(9 + number % 8, 1 + number % 12), 30)
    house.pull()
    old, slots = house.rows(), house.feed()
    for number in range(150):
        house.remote.remove("Work", f"old-{number}")
        house.put(f"new-{number}", at(9.5 + number % 8, 1 + number % 12), 30)
    seen = []
    house.after_each_page(lambda: seen.append((house.rows() == old, house.feed() == slots, len(house.generations()))))
    house.sync(Order(everything=True, full=True))
    assert seen == [(True, True, 2), (True, True, 2)]  # each page is stored beside the old generation
    assert {row[0].partition("-")[0] for row in house.rows()} == {"new"}
    assert house.generations() == {house.calendar().generation}
    assert house.feed() != slots


def test_a_failed_page_leaves_the_old_generation_and_no_debris_after_the_next_pull(house, at):
    for number in range(150):
        house.put(f"e{number}", at(9 + number % 8, 1 + number % 12), 30)
    house.pull()
    old, generation, token = house.rows(), house.calendar().generation, house.calendar().sync_token
    pages = []

    def fail_after_the_first():
        pages.append(len(house.generations()))
        if len(pages) == 2:
            raise Unavailable("the line is dead")

    house.put("added", at(16, 2), 30)
    house.after_each_page(fail_after_the_first)
    assert house.sync(Order(everything=True, full=True)).failures
    assert (house.rows(), house.calendar().generation, house.calendar().sync_token) == (old, generation, token)
    assert len(house.generations()) == 2
    house.later(minutes=20)
    house.sync()
    assert house.generations() == {house.calendar().generation}
    assert {row[0] for row in house.rows()} == {row[0] for row in old} | {"added"}


def test_changes_during_a_full_pull_are_in_the_next_one(house, at):
    for number in range(150):
        house.put(f"e{number}", at(9 + number % 8, 1 + number % 12), 30)

    def edit():
        house.put("e3", at(16.5, 3), 30)
        if "e149" in house.remote.texts("Work"):
            house.remote.remove("Work", "e149")

    house.after_each_page(edit)
    house.pull()
    house.shop = house.workshop()
    house.later(minutes=3)
    house.sync()
    assert ("e3", int(at(16.5, 3).timestamp())) in {row[:2] for row in house.rows()}
    assert "e149" not in {row[0] for row in house.rows()}


def test_the_sync_token_stands_for_no_more_than_is_stored(house, at):
    """What is written while pages are read is newer than the token, so it is asked for again."""
    house.put("first", at(10))
    house.after_each_page(lambda: house.put("meanwhile", at(11)))
    house.pull()
    assert {row[0] for row in house.rows()} == {"first"}
    house.shop = house.workshop()
    house.later(minutes=3)
    house.sync()
    assert {row[0] for row in house.rows()} == {"first", "meanwhile"}


def test_a_calendar_moved_to_another_zone_is_read_again_in_full(house, at, span):
    house.remote.put(
        "Work",
        "day",
        house.ics("day", at(0, 1))
        .replace("DTSTART:20261124T000000Z", "DTSTART;VALUE=DATE:20261124")
        .replace("DTEND:20261124T010000Z", "DTEND;VALUE=DATE:20261125"),
    )
    house.pull()
    assert house.rows() == {("day", *span(0, 24 * 60, 1))}
    text = house.remote.texts("Work")["day"]
    house.remote.add_calendar("Work", tz="Asia/Kathmandu")
    house.remote.put("Work", "day", text)
    house.pull()
    assert house.rows() == {("day", *span(-5.75, 24 * 60, 1))}


def test_a_resource_without_an_event_is_nothing(house, at):
    house.put("task", at(10))
    house.pull()
    house.remote.put("Work", "task", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n")
    house.pull()
    assert house.rows() == set()
    assert house.quarantined() == []


def test_the_next_pull_is_due_about_one_interval_on(house):
    due = house.calendar().next_pull_at - house.now
    assert timedelta(minutes=2) * 0.9 <= due <= timedelta(minutes=2) * 1.1
    assert house.sync().pulls == []
    house.later(minutes=2.3)
    assert len(house.sync().pulls) == 1


def test_what_is_removed_takes_its_rows_along(house, at):
    house.put("series", at(9), 30, WEEKLY)
    house.pull()
    house.remote.remove("Work", "series")
    house.pull()
    assert house.count(Event) == 0
    assert house.generations() == set()
