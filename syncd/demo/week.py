"""A believable week in two calendars, laid around a given day: what the demo's freelancer has to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

HOME, NEW_YORK = "Europe/London", "America/New_York"


@dataclass(frozen=True, slots=True)
class Entry:
    """One calendar object: its events share a UID (a series and its overrides)."""

    calendar: str
    uid: str
    events: tuple[Event, ...] = field(default=())

    def to_ical(self) -> bytes:
        """As the calendar server takes it, with its time zones defined."""
        calendar = Calendar()
        calendar.add("prodid", "-//syncd//demo//EN")
        calendar.add("version", "2.0")
        for event in self.events:
            calendar.add_component(event)
        calendar.add_missing_timezones()
        return bytes(calendar.to_ical())


def week_of(today: date) -> Iterator[Entry]:
    """The entries around a day: a series that began weeks ago, and single events in this week and the next two."""
    monday = today - timedelta(days=today.weekday())
    yield _stand_up(monday)
    for number in range(3):
        yield from _single_events(monday + timedelta(weeks=number), f"week{number}")


def _stand_up(monday: date) -> Entry:
    """Every weekday morning; one moved to the afternoon, one left out, one cancelled."""
    first = monday - timedelta(weeks=4)
    uid = "stand-up"
    series = _event(uid, "Stand-up", _at(first, 9, 30), _at(first, 9, 45))
    series.add("rrule", {"freq": "weekly", "byday": ["MO", "TU", "WE", "TH", "FR"]})
    friday = monday + timedelta(days=11)
    series.add("exdate", _at(friday, 9, 30))
    wednesday = monday + timedelta(days=9)
    moved = _event(uid, "Stand-up, later today", _at(wednesday, 15), _at(wednesday, 15, 15))
    moved.add("recurrence-id", _at(wednesday, 9, 30))
    thursday = monday + timedelta(days=10)
    cancelled = _event(uid, "Stand-up", _at(thursday, 9, 30), _at(thursday, 9, 45), status="CANCELLED")
    cancelled.add("recurrence-id", _at(thursday, 9, 30))
    return Entry("Work", uid, (series, moved, cancelled))


def _single_events(monday: date, week: str) -> Iterator[Entry]:
    def entry(calendar: str, name: str, event: Event) -> Entry:
        return Entry(calendar, f"{name}-{week}", (event,))

    tuesday, wednesday, thursday, friday = (monday + timedelta(days=n) for n in (1, 2, 3, 4))
    call = _event(
        f"call-{week}", "Call with New York", _at(tuesday, 10, tz=NEW_YORK), _at(tuesday, 11, 30, tz=NEW_YORK)
    )
    yield entry("Work", "call", call)
    workshop = _event(
        f"workshop-{week}", "Workshop, not sure yet", _at(thursday, 10), _at(thursday, 12), status="TENTATIVE"
    )
    yield entry("Work", "workshop", workshop)
    review = _event(f"review-{week}", "Review", _at(wednesday, 11), _at(wednesday, 12), status="CANCELLED")
    yield entry("Work", "review", review)
    yield entry("Personal", "dentist", _event(f"dentist-{week}", "Dentist", _at(wednesday, 14), _at(wednesday, 15)))
    reading = _event(f"reading-{week}", "Reading hour", _at(monday, 13), _at(monday, 14), transparency="TRANSPARENT")
    yield entry("Personal", "reading", reading)
    yield entry("Personal", "seaside", _event(f"seaside-{week}", "At the seaside", friday, friday + timedelta(days=1)))


def _at(on: date, hour: int, minute: int = 0, *, tz: str = HOME) -> datetime:
    return datetime.combine(on, time(hour, minute), ZoneInfo(tz))


def _event(
    uid: str,
    title: str,
    start: datetime | date,
    end: datetime | date,
    *,
    status: str = "CONFIRMED",
    transparency: str = "OPAQUE",
) -> Event:
    event = Event()
    event.add("uid", uid)
    event.add("dtstamp", datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    event.add("summary", title)
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("status", status)
    event.add("transp", transparency)
    return event
