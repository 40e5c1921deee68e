"""The named alternatives: portion, sorted integers, the plain loop over datetimes, icalendar with
recurring-ical-events. None knows anything of ours."""

from __future__ import annotations

import json
from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import icalendar
import portion
import recurring_ical_events

Spans = list[tuple[int, int]]


def by_portion(openings: Spans, blocked: Spans, duration: int, increment: int) -> list[int]:
    """Starts in minutes: portion's union of all busy intervals at once, its difference, then the grid."""
    busy = portion.Interval(*[portion.closedopen(start, end) for start, end in blocked])
    free = portion.Interval(*[portion.closedopen(start, end) for start, end in openings]) - busy
    found: list[int] = []
    for atom in free:
        first = -(-atom.lower // increment) * increment
        found += range(first, atom.upper - duration + 1, increment)
    return found


def merged(blocked: Spans) -> Spans:
    """Sorted integers: busy time merged."""
    result: Spans = []
    for start, end in sorted(blocked):
        if result and start <= result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def by_sorted_integers(openings: Spans, busy: Spans, duration: int, increment: int) -> list[int]:
    """Starts in minutes from merged busy time: bisect to an opening, subtract, lay the grid."""
    found: list[int] = []
    for low, high in openings:
        index = bisect_left(busy, (low, low))
        if index and busy[index - 1][1] > low:
            index -= 1
        free = low
        while index < len(busy) and busy[index][0] < high:
            start, end = busy[index]
            first = -(-free // increment) * increment
            found += range(first, start - duration + 1, increment)
            free = end
            index += 1
        found += range(-(-free // increment) * increment, high - duration + 1, increment)
    return found


def by_datetimes(
    openings: list[tuple[datetime, datetime]],
    blocked: list[tuple[datetime, datetime]],
    duration: timedelta,
    increment: timedelta,
) -> list[datetime]:
    """The loop everybody writes first: every candidate against every busy interval."""
    found = []
    for low, high in openings:
        start = low
        while start + duration <= high:
            if not any(begun < start + duration and done > start for begun, done in blocked):
                found.append(start)
            start += increment
    return found


def openings_by_zoneinfo(first: date, days: int, zone: ZoneInfo) -> list[tuple[int, int]]:
    """Monday to Friday, 09:00 to 17:00, in UTC seconds: each end converted by itself."""
    found = []
    for number in range(days):
        day = first + timedelta(days=number)
        if day.weekday() < 5:
            opened = datetime.combine(day, time(9), zone).astimezone(UTC)
            closed = datetime.combine(day, time(17), zone).astimezone(UTC)
            found.append((int(opened.timestamp()), int(closed.timestamp())))
    return found


def render_by_isoformat(starts: list[int], duration: int, zone: ZoneInfo) -> bytes:
    """The slots object by datetime.isoformat and json.dumps."""
    days: dict[str, list[dict[str, str]]] = {}
    for instant in starts:
        start = datetime.fromtimestamp(instant, zone)
        end = datetime.fromtimestamp(instant + duration, zone)
        days.setdefault(start.date().isoformat(), []).append({"start": start.isoformat(), "end": end.isoformat()})
    return json.dumps(days, separators=(",", ":")).encode()


def busy_by_libraries(text: bytes, window: tuple[datetime, datetime], zone: ZoneInfo) -> Spans:
    """A calendar's merged busy time in seconds, cut to a window: read by icalendar, expanded by recurring-ical-events.

    What is cancelled or transparent doesn't block; a date runs from midnight to midnight in the zone.
    """
    first, last = (int(moment.timestamp()) for moment in window)
    found = []
    for event in recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(*window):
        if event.get("STATUS") == "CANCELLED" or event.get("TRANSP") == "TRANSPARENT":
            continue
        start, end = (_seconds(event[name].dt, zone) for name in ("DTSTART", "DTEND"))
        if max(start, first) < min(end, last):
            found.append((max(start, first), min(end, last)))
    return merged(found)


def _seconds(moment: date | datetime, zone: ZoneInfo) -> int:
    moment = moment if isinstance(moment, datetime) else datetime.combine(moment, time(), zone)
    return int(moment.timestamp())
