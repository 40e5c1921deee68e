"""A series whose master and overrides are resources of their own blocks as it would as one, however its rows come."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from providers import ical, memory
from providers.memory import MemoryProvider
from providers.model import ChangePage, Glance, RemoteEvent, Unreadable, Window
from syncd.jobs.due import Order
from syncd.store.models import Event
from syncd.sync.busy import Choices, Room, expand
from syncd.sync.glance import look_at
from syncd.sync.pull import pull_window

INCREMENTAL, FULL = Order(everything=True), Order(everything=True, full=True)
Item = RemoteEvent | Unreadable


@dataclass
class Server:
    """A calendar whose series are rows; `chance` says in what order they come and where pages are cut."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    rows: dict[str, tuple[int, Item]] = field(default_factory=dict)
    gone: dict[str, tuple[int, str]] = field(default_factory=dict)
    revision: int = 0

    def put(self, item: Item) -> None:
        self.revision += 1
        self.rows[item.remote_id] = self.revision, replace(item, etag=str(self.revision))
        self.gone.pop(item.remote_id, None)

    def remove(self, remote_id: str) -> None:
        """Remove a row, and those of its series with it."""
        self.revision += 1
        for key in [key for key, (_, item) in self.rows.items() if remote_id in (key, _series_of(item))]:
            self.gone[key] = self.revision, _series_of(self.rows.pop(key)[1])

    def _gone_since(self, since: int) -> list[str]:
        """What is gone; that overrides are gone with their master isn't told."""
        gone = {key: series for key, (revision, series) in self.gone.items() if revision > since}
        return [key for key, series in gone.items() if series == key or series not in gone]

    def pages(self, sync_token: str | None, known: Mapping[str, str] | None) -> Iterator[ChangePage]:
        since = int(sync_token or 0)
        items = [(key, item) for key, (revision, item) in self.rows.items() if revision > since]
        gone = self._gone_since(since) if sync_token else []
        if known is not None and sync_token is None:
            items = [(key, item) for key, item in items if known.get(key) != item.etag]
            gone = sorted(known.keys() - self.rows)
        complete = sync_token is None and known is None
        parts = self._cut([*items, *((key, None) for key in gone)])
        for number, part in enumerate(parts, 1):
            token = str(self.revision) if number == len(parts) else None
            yield _page(part, complete=complete, token=token)

    def _cut(self, items: list[Any]) -> list[list[Any]]:
        self.chance.shuffle(items)
        cuts = sorted(self.chance.choices(range(len(items) + 1), k=self.chance.randrange(5)))
        return [items[a:b] for a, b in itertools.pairwise([0, *cuts, len(items)])]


def _series_of(item: Item) -> str:
    return item.series_id if isinstance(item, RemoteEvent) else ""


def _page(part: Sequence[tuple[str, Item | None]], *, complete: bool, token: str | None) -> ChangePage:
    events = tuple(item for _, item in part if isinstance(item, RemoteEvent))
    unreadable = tuple(item for _, item in part if isinstance(item, Unreadable))
    gone = tuple(key for key, item in part if item is None)
    return ChangePage(events, gone, unreadable, complete, token)


class RowsProvider(MemoryProvider):
    """A memory provider whose calendar is such a server."""

    server: Server
    seen: tuple[str, ...] = ()

    def changes(self, calendar, sync_token, window, known=None, beside=()):
        yield from self.server.pages(sync_token, known() if known and sync_token is None else None)

    def look(self, calendars, window):
        found = [self.server.rows[remote_id][1] for remote_id in self.seen]
        return [Glance(one.remote_id, tuple(found), ()) for one in calendars]


@pytest.fixture
def server(house) -> Server:
    """The house's calendar as a server of rows."""
    served = Server()

    def open_rows(_kind, connection) -> RowsProvider:
        provider = RowsProvider(memory.account(connection.url), connection)
        provider.server = served
        return provider

    house.shop = house.workshop(open_rows)
    house.services.open_provider = open_rows
    house.sync(FULL)
    return served


def event(remote_id: str, lines: Sequence[str], series_id: str = "", uid: str = "") -> RemoteEvent:
    body = ["BEGIN:VEVENT", f"UID:{uid or series_id or remote_id}", *lines, "END:VEVENT"]
    text = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *body, "END:VCALENDAR", ""])
    found = ical.reduce(text, remote_id=remote_id, etag="", own_addresses=frozenset())
    assert found.event is not None, found
    return replace(found.event, series_id=series_id)


def master(start: datetime, *more: str, name: str = "s") -> RemoteEvent:
    return event(name, [*_hour(start), "RRULE:FREQ=DAILY;COUNT=4", *more], name)


def override(replaced: datetime, start: datetime | None, *more: str, name: str = "s") -> RemoteEvent:
    """An instance moved to a start, or cancelled."""
    lines = [f"RECURRENCE-ID:{replaced:%Y%m%dT%H%M%SZ}", *_hour(start or replaced), *more]
    return event(f"{name}_{replaced:%d}", lines if start else [*lines, "STATUS:CANCELLED"], name)


def _hour(start: datetime) -> list[str]:
    return [f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}"]


def busy(house) -> list[str]:
    """When it is busy, as day of the month and hour in UTC."""
    starts = sorted(start for _, start, _ in house.rows())
    return [f"{datetime.fromtimestamp(start, house.now.tzinfo):%d %H}" for start in starts]


@pytest.fixture(params=[INCREMENTAL, FULL], ids=["incremental", "full"])
def order(request) -> Order:
    return request.param


def test_an_override_takes_the_place_of_its_instance(house, server, at, order):
    server.put(override(at(10, 1), at(15, 1)))
    server.put(master(at(10)))
    server.put(override(at(10, 2), None))
    house.sync(order)
    assert busy(house) == ["23 10", "24 15", "26 10"]


@pytest.mark.parametrize("first", ["master", "override"])
def test_master_and_override_may_come_in_different_pulls(house, server, at, order, first):
    rows = [master(at(10)), override(at(10, 1), at(15, 1))]
    for row in rows if first == "master" else rows[::-1]:
        server.put(row)
        house.sync(order)
    assert busy(house) == ["23 10", "24 15", "25 10", "26 10"]


def test_an_invitation_to_one_instance_blocks_without_a_master(house, server, at, order):
    server.put(override(at(10, 1), at(15, 1)))
    house.sync(order)
    assert busy(house) == ["24 15"]


def test_a_master_without_its_override_blocks_there_again(house, server, at, order):
    server.put(master(at(10)))
    server.put(override(at(10, 1), at(15, 1)))
    house.sync(order)
    server.remove("s_24")
    house.sync(order)
    assert busy(house) == ["23 10", "24 10", "25 10", "26 10"]


def test_overrides_go_with_their_master(house, server, at, order):
    for row in (
        master(at(10)),
        override(at(10, 1), at(15, 1)),
        override(at(10, 2), at(16, 2)),
        master(at(8), name="t"),
    ):
        server.put(row)
    house.sync(order)
    server.remove("s")
    house.sync(order)
    assert busy(house) == ["23 08", "24 08", "25 08", "26 08"]
    assert stored(house).keys() == {"t"}


def test_what_is_listed_again_as_its_master_goes_stays(house, server, at):
    server.put(master(at(10)))
    server.put(override(at(10, 1), at(15, 1)))
    server.put(override(at(10, 2), at(16, 2)))
    house.sync()
    server.remove("s")
    server.put(override(at(10, 1), at(15, 1)))
    house.sync(INCREMENTAL)
    assert busy(house) == ["24 15"]


def test_overrides_that_go_with_their_master_count_for_the_brake(house, server, at):
    server.put(event("s", [*_hour(at(10, 1)), "RRULE:FREQ=DAILY"], "s"))
    for day in range(2, 13):
        server.put(override(at(10, day), at(15, day)))
    house.sync(INCREMENTAL)
    server.remove("s")
    before = house.rows()
    assert [pull.held_back for pull in house.sync(INCREMENTAL).pulls] == [12]
    assert house.rows() == before


def test_overrides_that_only_give_way_to_their_master_dont(house, server, at):
    server.put(event("s", [*_hour(at(10, 1)), "RRULE:FREQ=DAILY"], "s"))
    for day in range(2, 13):
        server.put(override(at(10, day), at(15, day)))
    house.sync(INCREMENTAL)
    for day in range(2, 13):
        server.remove(f"s_{at(10, day):%d}")
    assert [pull.held_back for pull in house.sync(INCREMENTAL).pulls] == [0]
    assert {hour[3:] for hour in busy(house)} == {"10"}


def test_a_series_that_becomes_a_single_event_and_back_again(house, server, at, order):
    server.put(master(at(10)))
    server.put(override(at(10, 1), at(15, 1)))
    house.sync(order)
    server.remove("s_24")
    server.put(event("s", _hour(at(10))))
    house.sync(order)
    assert busy(house) == ["23 10"]
    server.put(master(at(9)))
    server.put(override(at(9, 2), None))
    house.sync(order)
    assert busy(house) == ["23 09", "24 09", "26 09"]


def test_an_override_that_cant_be_understood_keeps_its_time_and_leaves_the_series_its_own(house, server, at, order):
    server.put(master(at(10)))
    server.put(override(at(10, 1), at(15, 1)))
    house.sync(order)
    server.put(Unreadable("s_24", "", "It is broken."))
    for _ in range(2):
        house.sync(order)
        assert busy(house) == ["23 10", "24 10", "24 15", "25 10", "26 10"]
        assert [remote_id for remote_id, _ in house.quarantined()] == ["s_24"]
    server.put(override(at(10, 1), None))
    house.sync(order)
    assert (busy(house), house.quarantined()) == (["23 10", "25 10", "26 10"], [])


@pytest.mark.parametrize("endless", [False, True], ids=["unreadable", "endless"])
def test_a_master_that_cant_be_understood_blocks_as_it_did_beside_new_overrides(house, server, at, order, endless):
    server.put(master(at(10)))
    house.sync(order)
    without_end = event("s", [*_hour(at(10)), "RRULE:FREQ=SECONDLY"], "s")
    server.put(without_end if endless else Unreadable("s", "", "It is broken."))
    server.put(override(at(10, 1), at(15, 1)))
    house.sync(order)
    server.put(override(at(10, 2), None))
    house.sync(order)
    assert busy(house) == ["23 10", "24 15", "26 10"]
    assert [remote_id for remote_id, _ in house.quarantined()] == ["s"]


def test_only_series_that_changed_are_written_again(house, server, at):
    for name in "abc":
        server.put(master(at(10), name=name))
        server.put(override(at(10, 1), at(15, 1), name=name))
    house.sync(INCREMENTAL)
    before = stored(house)
    server.put(override(at(10, 2), None, name="b"))
    assert [pull.changed for pull in house.sync(INCREMENTAL).pulls] == [2]
    after = stored(house)
    assert {name for name in after if after[name] != before.get(name)} == {"b", "b_25"}
    assert [pull.changed for pull in house.sync(INCREMENTAL).pulls] == [0]


def stored(house) -> dict[str, tuple[int, str]]:
    """Every row that serves: its number in the store, and its ETag."""
    with house.services.store.read() as session:
        rows = session.execute(select(Event.remote_id, Event.id, Event.etag)).all()
    return {row[0]: (row[1], row[2]) for row in rows}


def test_a_look_that_sees_an_override_changes_what_its_master_blocks(house, server, at):
    server.put(master(at(10)))
    house.sync(INCREMENTAL)
    server.put(override(at(10, 1), at(15, 1)))
    server.put(override(at(10, 2), None))
    RowsProvider.seen = ("s", "s_24", "s_25")
    try:
        until = time.monotonic() + 60
        outcome = look_at(house.services, house.calendar().id, Window(at(0, 1), at(0, 3)), until)
        assert (outcome.answered, outcome.changed) == (True, 3)
        assert busy(house) == ["23 10", "24 15", "26 10"]
        assert look_at(house.services, house.calendar().id, Window(at(0, 1), at(0, 3)), until).changed == 0
    finally:
        RowsProvider.seen = ()
    house.sync(INCREMENTAL)
    assert busy(house) == ["23 10", "24 15", "26 10"]


def test_our_event_that_someone_made_a_series_blocks_wherever_it_isnt_where_we_put_it(house, server, at):
    booking = house.book(at(10, 1))
    server.put(event("s", [*_hour(at(10, 1)), "RRULE:FREQ=DAILY;COUNT=3", f"X-SYNCD-BOOKING:{booking}"], "s"))
    server.put(event("s_25", [f"RECURRENCE-ID:{at(10, 2):%Y%m%dT%H%M%SZ}", *_hour(at(15, 2))], "s"))
    house.sync(INCREMENTAL)
    assert not house.is_listed(at(15, 2))
    assert not house.is_listed(at(10, 3))
    assert house.is_listed(at(10, 2))


# Against the same series as one resource


@dataclass
class Series:
    """A series as its owner sees it; instances have numbers, from 0."""

    name: str
    start: datetime
    all_day: bool
    rule: str = ""
    excluded: tuple[int, ...] = ()
    is_there: bool = False
    overrides: dict[int, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The master."""
        exdates = [f"EXDATE{self._at(number)}" for number in self.excluded]
        return [*self._span(self.start), f"RRULE:{self.rule}", *exdates]

    def override(self, number: int) -> list[str]:
        how, shift = self.overrides[number].split()
        start = self.start + timedelta(days=number, hours=int(shift))
        return [f"RECURRENCE-ID{self._at(number)}", *self._span(start), *([how] if how != "-" else [])]

    def _at(self, number: int) -> str:
        at = self.start + timedelta(days=number)
        return f";VALUE=DATE:{at:%Y%m%d}" if self.all_day else f":{at:%Y%m%dT%H%M%SZ}"

    def _span(self, start: datetime) -> list[str]:
        return [f"DTSTART;VALUE=DATE:{start:%Y%m%d}"] if self.all_day else _hour(start)

    def serve(self, server: Server, number: int | None = None) -> None:
        """Put the master, or an override, where it can be pulled."""
        if number is None:
            server.put(event(self.name, self.lines(), self.name))
        else:
            server.put(event(f"{self.name}_{number}", self.override(number), self.name))

    def spans(self, window: Window, tz: str) -> set[tuple[int, int]]:
        """What blocks where all of it is one resource."""
        parts = [self.lines()] if self.is_there else []
        parts += [self.override(number) for number in self.overrides]
        if not parts:
            return set()
        text = "".join("\r\n".join(["BEGIN:VEVENT", "UID:u", *part, "END:VEVENT", ""]) for part in parts)
        whole = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{text}END:VCALENDAR\r\n"
        found = ical.reduce(whole, remote_id="r", etag="", own_addresses=frozenset()).event
        assert found is not None
        return set(expand(found.skeleton, window, tz, Choices(), Room()))


RULES = st.sampled_from(["FREQ=DAILY", "FREQ=DAILY;COUNT=7", "FREQ=DAILY;INTERVAL=2", "FREQ=WEEKLY;BYDAY=MO,WE,SU"])
NUMBERS = st.sampled_from([0, 2, 40])  # the last one comes into view as days pass
EXCLUDED = st.sets(st.sampled_from([1, 3, 7])).map(tuple)
HOW = st.sampled_from(["- 0", "- 3", "- -30", "- 700", "STATUS:CANCELLED 0", "TRANSP:TRANSPARENT 0"])
CHANGES = st.one_of(
    st.tuples(st.just("master"), st.integers(0, 1), RULES, EXCLUDED),
    st.tuples(st.just("override"), st.integers(0, 1), NUMBERS, HOW),
    st.tuples(st.just("override"), st.integers(0, 1), NUMBERS, HOW),
    st.tuples(st.just("restore"), st.integers(0, 1), NUMBERS, st.none()),
    st.tuples(st.just("drop"), st.integers(0, 1), st.none(), st.none()),
)
STEPS = st.lists(
    st.tuples(
        st.lists(CHANGES, min_size=1, max_size=6), st.sampled_from([INCREMENTAL, INCREMENTAL, FULL]), st.integers(0, 3)
    ),
    min_size=1,
    max_size=5,
)


def change(one: Series, server: Server, what: str, first: Any, second: Any) -> None:
    if what == "master":
        one.rule, one.excluded, one.is_there = first, second, True
        one.serve(server)
    elif what == "override":
        one.overrides[first] = second
        one.serve(server, first)
    elif what == "restore" and first in one.overrides:
        del one.overrides[first]
        server.remove(f"{one.name}_{first}")
    elif what == "drop" and one.is_there:
        one.is_there, one.overrides = False, {}
        server.remove(one.name)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 999))
def test_rows_in_any_order_block_as_the_series_does_as_one_resource(house, server, steps, seed):
    server.rows, server.gone, server.chance = {}, {}, random.Random(seed)
    house.sync(FULL)
    today = house.now.replace(hour=10, minute=0)
    both = [Series("days", today.replace(hour=0), True), Series("times", today, False)]
    for changes, order, days in steps:
        for what, which, first, second in changes:
            change(both[which], server, what, first, second)
        house.later(days=days)
        house.sync(order)
        assert all_spans(house) == expected(house, both)
    before = house.rows()
    house.sync(FULL)
    assert house.rows() == before


def all_spans(house) -> set[tuple[str, int, int]]:
    return {(remote_id.partition("_")[0], start, end) for remote_id, start, end in house.rows()}


def expected(house, both: Sequence[Series]) -> set[tuple[str, int, int]]:
    window = pull_window(house.now, timedelta(days=40))
    return {(one.name, *span) for one in both for span in one.spans(window, "UTC")}
