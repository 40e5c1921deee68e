"""Of a calendar that shows only when it is busy: a period that is exactly one of our spans is ours, and no other."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from providers import ical, memory
from providers.memory import MemoryProvider
from providers.model import ChangePage, Glance, RemoteEvent, Window
from syncd.jobs.due import Order
from syncd.store.models import BusySpan, Calendar
from syncd.sync.glance import look_at

INCREMENTAL, FULL = Order(everything=True), Order(everything=True, full=True)
CHOSEN = 'blocks = ["Boss", "Team"]\ntarget = "Work"'


class FreeBusyProvider(MemoryProvider):
    """A memory provider of calendars some of which tell busy periods alone."""

    periods: dict[str, list[tuple[datetime, datetime]]]
    asked: list[tuple[str, list[str]]]

    def changes(self, calendar, sync_token, window, known=None, beside=()):
        self.asked.append((calendar.name, [one.name for one in beside]))
        if calendar.role != "free_busy":
            yield from super().changes(calendar, sync_token, window, known)
            return
        assert sync_token is None
        found = self._events(calendar.name)
        before = known() if known else {}
        new = tuple(one for one in found if before.get(one.remote_id) != one.etag)
        gone = sorted(before.keys() - {one.remote_id for one in found})
        yield ChangePage(new, tuple(gone), (), complete=known is None)

    def look(self, calendars, window):
        return [Glance(one.remote_id, tuple(self._events(one.name)), ()) for one in calendars]

    def _events(self, name: str) -> list[RemoteEvent]:
        return [_period(*period) for period in self.periods.get(name, [])]


def _period(start: datetime, end: datetime) -> RemoteEvent:
    name = f"fb-{start:%Y%m%dT%H%M}-{end:%Y%m%dT%H%M}"
    lines = [f"UID:{name}", f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}"]
    text = "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", ""])
    found = ical.reduce(text, remote_id=name, etag="fb", own_addresses=frozenset()).event
    assert found is not None
    return found


class Office:
    """A house with a calendar to write to, and two that show only when they are busy."""

    def __init__(self, house) -> None:
        self.house = house
        self.periods: dict[str, list[tuple[datetime, datetime]]] = {"Boss": [], "Team": []}
        self.asked: list[tuple[str, list[str]]] = []
        house.shop, house.services.open_provider = house.workshop(self.open), self.open
        house.sync()
        for name in self.periods:
            self.becomes(name, "free_busy")
        house.sync(FULL)

    def open(self, _kind, connection) -> FreeBusyProvider:
        provider = FreeBusyProvider(memory.account(connection.url), connection)
        provider.periods, provider.asked = self.periods, self.asked
        return provider

    def becomes(self, name: str, role: str) -> None:
        """Let the server say what may be done in a calendar."""
        found = self.house.remote.calendar(name)
        found.remote = type(found.remote)(name, name, tz="UTC", can_write=role != "free_busy", role=role)
        self.house.sync(Order(everything=True))

    def busy(self, start: datetime, minutes: float = 30, name: str = "Boss") -> None:
        self.periods[name].append((start, start + timedelta(minutes=minutes)))


@pytest.fixture
def office(make_house) -> Office:
    return Office(make_house(calendars=("Work", "Boss", "Team"), account=CHOSEN))


@pytest.fixture(params=[INCREMENTAL, FULL], ids=["incremental", "full"])
def order(request) -> Order:
    return request.param


def test_busy_periods_close_slots(office, at, order):
    office.busy(at(10, 1), 60)
    office.house.sync(order)
    assert not office.house.is_listed(at(10, 1))
    assert office.house.is_listed(at(11, 1))
    office.periods["Boss"].clear()
    office.house.sync(order)
    assert office.house.is_listed(at(10, 1))


def ours(house, name: str = "Boss") -> list[str | None]:
    """Whose the periods of a calendar are, by their start."""
    with house.services.store.read() as session:
        calendar = session.scalars(select(Calendar).where(Calendar.name == name)).one()
        found = select(BusySpan.booking_id).where(
            BusySpan.calendar_id == calendar.id, BusySpan.generation == calendar.generation
        )
        return list(session.scalars(found.order_by(BusySpan.starts_at)))


def test_a_period_that_is_exactly_our_booking_is_ours(office, at, order):
    house = office.house
    booking = house.book(at(10, 1))
    office.busy(at(10, 1))
    office.busy(at(14, 1))
    house.sync(order)
    assert ours(house) == [booking, None]
    house.cancel(booking)
    assert house.is_listed(at(10, 1))  # until it is known otherwise, it was ours that was there
    assert not house.is_listed(at(14, 1))


def test_a_period_that_reaches_further_than_our_booking_blocks(office, at, order):
    house = office.house
    booking = house.book(at(10, 1))
    office.busy(at(10, 1), 60)
    office.busy(at(9.5, 1), 30)
    house.sync(order)
    assert ours(house) == [None, None]
    house.cancel(booking)
    assert not house.is_listed(at(10, 1))


def test_a_period_follows_its_booking(office, at):
    house = office.house
    booking = house.book(at(10, 1))
    office.busy(at(10, 1))
    house.sync(INCREMENTAL)
    house.reschedule(booking, at(10.5, 1))
    office.periods["Boss"][:] = []
    office.busy(at(10.5, 1))
    house.sync(INCREMENTAL)
    assert ours(house) == [booking]
    assert house.is_listed(at(10, 1))


def test_a_period_that_stays_when_its_booking_is_gone_blocks(office, at):
    house = office.house
    booking = house.book(at(10, 1))
    office.busy(at(10, 1))
    house.sync(INCREMENTAL)
    house.cancel(booking)
    house.sync(INCREMENTAL)  # our event is removed from the calendar where it was
    house.later(minutes=3)
    house.sync(INCREMENTAL)
    assert ours(house) == [None]
    assert not house.is_listed(at(10, 1))


def test_a_period_that_was_there_first_is_ours_once_we_booked_it(office, at):
    """As where it doesn't block what was booked."""
    house = office.house
    house.apply(consultation='blocks = ["home/Work"]')
    office.busy(at(10, 1))
    house.sync(INCREMENTAL)
    assert ours(house) == [None]
    booking = house.book(at(10, 1))
    house.sync(INCREMENTAL)
    assert ours(house) == [booking]
    assert not any(pull.changed for pull in house.sync(INCREMENTAL).pulls if pull.calendar == "Boss")


def test_our_event_never_drifts_for_what_such_a_calendar_shows(office, at, order):
    """Not even where it was written before that calendar came to show no more than this."""
    house = office.house
    house.apply(account='blocks = ["Work", "Boss"]\ntarget = "Work"')
    booking = house.book(at(10, 1))
    house.sync(INCREMENTAL)
    assert house.booking(booking).event.state == "written"
    office.periods["Work"] = []
    office.busy(at(12, 1), name="Work")
    office.becomes("Work", "free_busy")
    for _ in range(2):
        house.later(minutes=3)
        house.sync(order)
    assert house.booking(booking).event.drift is None
    assert house.booking(booking).event.state == "written"


def test_a_look_judges_periods_as_a_pull_does(office, at):
    house = office.house
    booking = house.book(at(10, 1))
    office.busy(at(10, 1))
    office.busy(at(12, 1))
    calendar_id = house.calendar("Boss").id
    outcome = look_at(house.services, calendar_id, Window(at(0, 1), at(0, 2)), time.monotonic() + 60)
    assert (outcome.answered, outcome.changed) == (True, 2)
    assert ours(house) == [booking, None]


def test_those_that_are_due_as_well_are_asked_along(office):
    office.asked.clear()
    office.house.sync(INCREMENTAL)
    names = [name for name, _ in office.asked]
    assert sorted(names) == ["Boss", "Team", "Work"]
    for number, (_, beside) in enumerate(office.asked):
        assert beside == [name for name in names[number + 1 :] if name != "Work"]


@pytest.mark.parametrize(("minutes", "stays"), [(-1, False), (0, False), (1, True)])
def test_a_pull_answers_what_was_told_before_it_began(house, minutes: int, stays: bool):
    told_at = house.now + timedelta(minutes=minutes)
    with house.services.store.write() as session:
        session.scalars(select(Calendar)).one().notified_at = told_at
    house.sync(INCREMENTAL)
    assert house.calendar().notified_at == (house.now if stays else None)
    assert (house.calendar().next_pull_at <= house.now) == stays  # a clock that steps back swallows no message


def test_time_that_moves_is_not_time_that_vanishes(office, at):
    for day in range(1, 15):
        office.busy(at(10, day), 30)
    office.house.sync(INCREMENTAL)
    office.house.later(minutes=3)
    office.periods["Boss"].clear()
    for day in range(1, 15):
        office.busy(at(11, day), 30)
    office.house.sync(INCREMENTAL)
    assert not office.house.is_listed(at(11, 1))
    office.periods["Boss"].clear()
    office.house.later(minutes=3)
    office.house.sync(INCREMENTAL)
    assert office.house.calendar("Boss").held_back_at is not None
    assert not office.house.is_listed(at(11, 1))
