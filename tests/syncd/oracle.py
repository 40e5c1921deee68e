"""What calendars mean, found out without any code of ours: texts of every odd kind, and when they block.

Expanded by recurring-ical-events. Knows nothing of stores, tokens and generations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

Span = tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """An event another client writes; `readable` is what of it can be understood, None if nothing can."""

    text: str
    readable: str | None
    is_event: bool = True

    @property
    def is_whole(self) -> bool:
        return self.text == self.readable or not self.is_event


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _event(uid: str, *lines: str) -> list[str]:
    return ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T120000Z", *lines, "END:VEVENT"]


def _calendar(*events: list[str]) -> str:
    lines = [line for event in events for line in event]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//other client//EN", *lines, "END:VCALENDAR", ""])


def _series(uid: str, start: datetime, override: str) -> list[list[str]]:
    """Every day but the fifth; the second one is elsewhere."""
    rule = ("RRULE:FREQ=DAILY;COUNT=60", f"EXDATE:{_stamp(start + timedelta(days=4))}")
    master = _event(uid, f"DTSTART:{_stamp(start)}", "DURATION:PT45M", *rule)
    replaced = f"RECURRENCE-ID:{_stamp(start + timedelta(days=1))}"
    return [master, _event(uid, replaced, f"DTSTART:{override}", "DURATION:PT2H")]


def _once(*more: str) -> Callable[[str, datetime], Sample]:
    def make(uid: str, start: datetime) -> Sample:
        end = _stamp(start + timedelta(hours=1))
        text = _calendar(_event(uid, f"DTSTART:{_stamp(start)}", f"DTEND:{end}", *more))
        return Sample(text, text)

    return make


def _zoned(uid: str, start: datetime) -> Sample:
    local = start.astimezone(ZoneInfo("America/New_York"))
    begin = f"DTSTART;TZID=America/New_York:{local:%Y%m%dT%H%M%S}"
    text = _calendar(_event(uid, begin, "DURATION:PT30M", "RRULE:FREQ=WEEKLY"))
    return Sample(text, text)


def _all_day(uid: str, start: datetime) -> Sample:
    after = start + timedelta(days=2)
    text = _calendar(_event(uid, f"DTSTART;VALUE=DATE:{start:%Y%m%d}", f"DTEND;VALUE=DATE:{after:%Y%m%d}"))
    return Sample(text, text)


def _overridden(uid: str, start: datetime) -> Sample:
    text = _calendar(*_series(uid, start, _stamp(start + timedelta(days=1, hours=5))))
    return Sample(text, text)


def _partly(uid: str, start: datetime) -> Sample:
    events = _series(uid, start, "20261199T000000Z")
    return Sample(_calendar(*events), _calendar(events[0]))


def _unreadable(uid: str, start: datetime) -> Sample:
    return Sample(_calendar(_event(uid, f"DTSTART:{start:%Y%m%d}T996100Z", "DURATION:PT1H")), None)


def _nothing(uid: str, start: datetime) -> Sample:
    todo = ["BEGIN:VTODO", f"UID:{uid}", f"DUE:{_stamp(start)}", "END:VTODO"]
    return Sample(_calendar(todo), None, is_event=False)


SAMPLES: dict[str, Callable[[str, datetime], Sample]] = {
    "once": _once(),
    "overridden": _overridden,
    "zoned": _zoned,
    "all day": _all_day,
    "free": _once("TRANSP:TRANSPARENT"),
    "cancelled": _once("STATUS:CANCELLED"),
    "partly": _partly,
    "unreadable": _unreadable,
    "nothing": _nothing,
}
READABLE = ("once", "overridden", "zoned", "all day", "free", "cancelled")


@lru_cache(maxsize=4096)
def busy(text: str, tz: str, start: datetime, end: datetime) -> frozenset[Span]:
    """When an event closes slots in a window, in seconds; a day runs from midnight to midnight in `tz`."""
    zone = ZoneInfo(tz)
    found = recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(
        start - timedelta(days=1), end + timedelta(days=1)
    )
    spans = {
        (int(_instant(one.start, zone).timestamp()), int(_instant(one.end, zone).timestamp()))
        for one in found
        if one.get("TRANSP") != "TRANSPARENT" and one.get("STATUS") != "CANCELLED"
    }
    first, last = int(start.timestamp()), int(end.timestamp())
    return frozenset((begin, stop) for begin, stop in spans if begin < last and stop > first)


def _instant(at: date, zone: ZoneInfo) -> datetime:
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.combine(at, time(), zone).astimezone(UTC)
