"""What can't be understood is named, never by its title, and its last known busy time stays (semantics 14)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from providers import memory
from providers.memory import MemoryProvider
from providers.model import ChangePage, Connection, RemoteCalendar, Unreadable, Window
from providers.port import Known
from syncd.jobs.due import Order
from syncd.store import leases
from syncd.sync.pull import Pull, pull_calendar

INCREMENTAL, FULL = Order(everything=True), Order(everything=True, full=True)
ENDLESS = "RRULE:FREQ=SECONDLY"


@pytest.mark.parametrize("order", [INCREMENTAL, FULL], ids=["incremental", "full"])
def test_last_known_busy_time_stays_while_the_server_lists_what_cant_be_understood(house, at, order):
    house.put("visit", at(10, 1), 60, "RRULE:FREQ=WEEKLY")
    house.pull()
    known = house.rows()
    house.remote.put("Work", "visit", house.broken("visit"))
    for _ in range(3):
        house.sync(order)
        assert house.rows() == known
        assert not house.is_listed(at(10, 1))
    assert [remote_id for remote_id, _ in house.quarantined()] == ["visit"]


def test_it_is_named_by_calendar_href_uid_start_and_reason_and_never_by_its_title(house):
    house.remote.put("Work", "visit.ics", house.broken("uid-of-visit"))
    house.pull()
    calendar = house.status()["calendars"][0]
    [named] = calendar["quarantined"]
    assert calendar["name"] == "Work"
    assert named.keys() == {"href", "uid", "start", "reason", "advice"}
    assert "closes no slots: if it matters, block that time" in named["advice"]
    assert (named["href"], named["uid"], named["start"]) == ("visit.ics", "uid-of-visit", "20261124T999999Z")
    assert "DTSTART" in named["reason"]
    assert "Dentist" not in json.dumps(house.status())


@pytest.mark.parametrize("order", [INCREMENTAL, FULL], ids=["incremental", "full"])
def test_it_leaves_the_list_when_it_becomes_readable(house, at, span, order):
    house.put("visit", at(10, 1))
    house.pull()
    house.remote.put("Work", "visit", house.broken("visit"))
    house.pull()
    house.put("visit", at(14, 1))
    house.sync(order)
    assert house.quarantined() == []
    assert house.rows() == {("visit", *span(14, 60, 1))}


@pytest.mark.parametrize("order", [INCREMENTAL, FULL], ids=["incremental", "full"])
def test_it_leaves_the_list_when_it_is_removed(house, at, order):
    house.put("visit", at(10, 1))
    house.pull()
    house.remote.put("Work", "visit", house.broken("visit"))
    house.pull()
    house.remote.remove("Work", "visit")
    house.sync(order)
    assert (house.quarantined(), house.rows()) == ([], set())
    assert house.is_listed(at(10, 1))


def test_the_rest_of_a_calendar_is_read_all_the_same(house, at, span):
    house.remote.put("Work", "broken", house.broken("broken"))
    house.remote.put("Work", "rubbish", "this is no calendar at all")
    house.put("lunch", at(12))
    house.pull()
    assert house.rows() == {("lunch", *span(12))}
    assert {remote_id for remote_id, _ in house.quarantined()} == {"broken", "rubbish"}
    assert house.calendar().synced_at == house.now


@pytest.mark.parametrize("order", [INCREMENTAL, FULL], ids=["incremental", "full"])
def test_an_event_that_cant_be_expanded_is_named_and_keeps_its_last_known_busy_time(house, at, order):
    house.put("visit", at(10, 1))
    house.pull()
    known = house.rows()
    house.put("visit", at(14, 1), 0.01, ENDLESS)
    house.sync(order)
    assert house.rows() == known
    [(remote_id, reason)] = house.quarantined()
    assert (remote_id, reason["uid"], reason["start"]) == ("visit", "visit", "20261124T140000Z")
    assert "instances" in reason["reason"]


def test_one_is_said_to_go_on_closing_slots_only_where_it_does(house, at):
    house.put("visit", at(10, 1))
    house.pull()
    for name in ("visit", "never seen before"):
        house.put(name, at(14, 1), 0.01, ENDLESS)
    house.pull()
    told = {item["href"]: item["advice"] for item in house.status()["calendars"][0]["quarantined"]}
    assert "goes on closing slots" in told["visit"]
    assert "closes no slots" in told["never seen before"]


def test_a_series_of_which_a_part_cant_be_understood_blocks_as_it_is_and_as_it_was(house, at, span):
    """Wherever the part may be now, what was known of it still blocks."""
    weekly = house.ics("yoga", at(10, 1), 60, "RRULE:FREQ=WEEKLY;COUNT=2")
    moved = house.ics("yoga", at(15, 9), 60, "RECURRENCE-ID:20261201T100000Z")
    both = weekly.replace("END:VCALENDAR\r\n", moved[moved.index("BEGIN:VEVENT") :])
    house.remote.put("Work", "yoga", both)
    house.pull()
    assert house.rows() == {("yoga", *span(10, 60, 1)), ("yoga", *span(15, 60, 9))}
    house.remote.put("Work", "yoga", both.replace("DTSTART:20261202T150000Z", "DTSTART:20261202T990000Z"))
    house.pull()
    assert house.rows() >= {("yoga", *span(10, 60, 1)), ("yoga", *span(15, 60, 9))}
    assert [reason["uid"] for _, reason in house.quarantined()] == ["yoga"]
    house.remote.put("Work", "yoga", weekly)
    house.pull()
    assert house.rows() == {("yoga", *span(10, 60, 1)), ("yoga", *span(10, 60, 8))}
    assert house.quarantined() == []


def test_what_was_last_understood_in_full_blocks_and_no_version_between(house, at, span):
    series = house.ics("yoga", at(10, 1), 60, "RRULE:FREQ=WEEKLY;COUNT=2")
    house.remote.put("Work", "yoga", series)
    house.pull()
    known = house.rows()
    override = house.ics("yoga", at(15, 9), 60, "RECURRENCE-ID:20261201T100000Z").replace("20261202T15", "20261202T99")
    part = override[override.index("BEGIN:VEVENT") :]
    for hour in (12, 13, 14):
        moved = house.ics("yoga", at(hour, 1), 60, "RRULE:FREQ=WEEKLY;COUNT=2").replace("END:VCALENDAR\r\n", part)
        house.remote.put("Work", "yoga", moved)
        house.pull()
        assert house.rows() == known | {("yoga", *span(hour, 60, 1)), ("yoga", *span(hour, 60, 8))}
    house.remote.put("Work", "yoga", house.broken("yoga"))
    house.pull()
    house.later(days=1)
    house.sync(FULL)
    assert house.rows() == known | {("yoga", *span(14, 60, 1)), ("yoga", *span(14, 60, 8))}


def test_series_that_would_fill_the_memory_together_are_named_and_the_rest_is_read(house, at, span):
    for number in range(30):
        house.put(f"flood-{number:02}", at(0), 1, "RRULE:FREQ=MINUTELY;INTERVAL=4")
    house.put("visit", at(10, 1))
    house.pull()
    assert ("visit", *span(10, 60, 1)) in house.rows()
    assert 0 < len(house.quarantined()) < 30
    assert len(house.rows()) < 400_000
    assert all("instances in the time asked about" in reason["reason"] for _, reason in house.quarantined())


@pytest.mark.parametrize("endless", [False, True], ids=["unreadable", "endless"])
@pytest.mark.parametrize("extending", [True, False], ids=["day by day", "by the pull"])
def test_a_series_in_quarantine_goes_on_blocking_as_days_pass(house, at, extending, endless):
    house.put("series", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    text = house.ics("series", at(10), 0.01, ENDLESS) if endless else house.broken("series")
    house.remote.put("Work", "series", text)
    for _ in range(4):
        house.later(days=15)
        house.sync(FULL) if extending else pull_alone(house)
        last = max(end for _, _, end in house.rows())
        assert last > (house.now.timestamp() + 40 * 86_400)
    assert not any(slot.startswith(f"{at(10, 61):%Y-%m-%dT10}") for slot in house.feed(at(0, 61), 5))


def pull_alone(house) -> None:
    """Pull in full as a worker does that began before midnight and so hasn't expanded the new day."""
    with house.services.store.write() as session:
        leases.claim(session, house.account_id, "worker", house.now, house.locks.is_alive)
    provider = house.shop.open_provider("memory", Connection(house.url, secret=house.password))
    store, calendar_id = house.services.store, house.calendar().id
    pull_calendar(Pull(store, provider, house.shop.settings, "worker", calendar_id, house.clock, jitter=0.5), full=True)
    with house.services.store.write() as session:
        leases.release(session, house.account_id, "worker")


def test_what_was_never_understood_blocks_nothing_and_is_named_from_the_first_pull(make_house):
    house = make_house()
    house.remote.put("Work", "broken", house.broken("broken"))
    house.sync()
    assert house.rows() == set()
    assert [remote_id for remote_id, _ in house.quarantined()] == ["broken"]
    house.sync(FULL)
    assert [remote_id for remote_id, _ in house.quarantined()] == ["broken"]


def test_what_the_server_did_not_show_is_asked_for_again_within_minutes(house, at, span):
    """No change may ever tell that it can be shown by now."""

    class Unshown(MemoryProvider):
        def changes(
            self, calendar: RemoteCalendar, sync_token: str | None, window: Window, known: Known | None = None
        ) -> Iterator[ChangePage]:
            for page in super().changes(calendar, sync_token, window, known):
                hidden = tuple(Unreadable(event.remote_id, "", "The server fails.") for event in page.changed)
                yield replace(page, changed=(), unreadable=hidden)

    house.pull()
    house.put("visit", at(10, 1))
    house.shop = house.workshop(lambda _kind, connection: Unshown(memory.account(connection.url), connection))
    house.sync(INCREMENTAL)
    assert (house.rows(), len(house.quarantined())) == (set(), 1)
    house.shop = house.workshop()
    for _ in range(6):
        house.later(minutes=2)
        house.sync()
    assert (house.rows(), house.quarantined()) == ({("visit", *span(10, 60, 1))}, [])
