"""Free/busy time (RFC 5545 §3.6.4) as events: what a feed says that tells when someone is busy, and not with what.

Decides which periods of a VFREEBUSY are an event: all but the free ones, and none where there are events, which say
the same and more. Refuses to know what an event means (`providers.ical`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from providers.ical_events import BUSY_STATUS
from providers.ical_text import Component, Line

_BUSY_STATUS = {"BUSY-TENTATIVE": "TENTATIVE", "BUSY-UNAVAILABLE": "OOF"}  # every other type means busy (§3.2.9)


def with_busy_periods(calendars: Sequence[Component]) -> list[Component]:
    """Return VCALENDARs without any VEVENT with one for each busy period; others as they are."""
    if any(calendar.parts_named("VEVENT") for calendar in calendars):
        return list(calendars)
    return [replace(calendar, parts=[*calendar.parts, *_events(calendar)]) for calendar in calendars]


def _events(calendar: Component) -> list[Component]:
    """Return the events of a VCALENDAR's periods, each once."""
    found = {
        event.lines[0].value: event
        for component in calendar.parts_named("VFREEBUSY")
        for line in component.every("FREEBUSY")
        for event in _of_line(line, closed=component.closed)
    }
    return list(found.values())


def _of_line(line: Line, *, closed: bool) -> Iterator[Component]:
    """Yield an event for each period of a FREEBUSY (§3.8.2.6); a broken one gives an event that can't be understood."""
    kind = line.params.get("FBTYPE", "BUSY").upper()
    if kind == "FREE":
        return
    zone = {name: value for name, value in line.params.items() if name == "TZID"}
    for period in filter(None, map(str.strip, line.value.split(","))):
        named = sha256("\n".join((kind, period, *zone.values())).encode()).hexdigest()[:16]
        lines = [Line("UID", {}, f"freebusy-{named}"), *_times(period, zone)]
        yield Component("VEVENT", [*lines, Line(BUSY_STATUS, {}, _BUSY_STATUS.get(kind, "BUSY"))], closed=closed)


def _times(period: str, zone: Mapping[str, str]) -> tuple[Line, Line]:
    start, _, end = period.partition("/")
    lasts = Line("DTEND", zone, end) if end[:1].isdigit() else Line("DURATION", {}, end)
    return Line("DTSTART", zone, start), lasts
