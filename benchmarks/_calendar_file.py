"""The workload W4, from a seed: a calendar of 10,000 VEVENTs as programs write them, 6.6 MB, a fifth of it series."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta

EVENTS = 10_000
ZONE = "Europe/Berlin"
FROM, TO = datetime(2026, 10, 5, tzinfo=UTC), datetime(2027, 1, 3, tzinfo=UTC)  # 90 days, the clocks go back in them

_SERIES = 0.2
_OVERRIDDEN = 0.1  # of the series
_BEGIN = date(2018, 1, 1)
_DAYS = 3_500  # some go on after the window
_ZONES = (
    ("Europe/Berlin", (("STANDARD", 10, "+0200", "+0100", 3), ("DAYLIGHT", 3, "+0100", "+0200", 2))),
    ("America/New_York", (("STANDARD", 11, "-0400", "-0500", 2), ("DAYLIGHT", 3, "-0500", "-0400", 2))),
)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_PROSE = "We go through what was agreed last time and what has come in since then. Dial in a little early\\, please. "


def calendar_file(events: int = EVENTS, seed: int = 7) -> bytes:
    """The whole file."""
    chance = random.Random(seed)
    parts = [_timezone(*zone) for zone in _ZONES]
    left = events
    while left > 0:
        written = _series(chance, left) if chance.random() < _SERIES else [_single(chance, left)]
        parts += written
        left -= len(written)
    return _resource(parts)


def changed_event(seed: int = 7) -> bytes:
    """One weekly series without end, two dates taken out and an instance moved, as a resource of its own."""
    master, override = _written_series(random.Random(seed), 1, "WEEKLY", override=True)
    master = re.sub(r"(RRULE:[^\r]*?);(?:UNTIL|COUNT)=\w+", r"\1", master)
    return _resource([_timezone(*_ZONES[0]), master, override])


def _resource(parts: list[str]) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//bench//bench//EN", f"X-WR-TIMEZONE:{ZONE}", *parts]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def _timezone(name: str, observances: tuple[tuple[str, int, str, str, int], ...]) -> str:
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}"]
    for kind, month, before, after, hour in observances:
        nth = "-1SU" if name.startswith("Europe") else ("1SU" if month == 11 else "2SU")
        first = "25" if name.startswith("Europe") else ("04" if month == 11 else "11")
        lines += [f"BEGIN:{kind}", f"DTSTART:2007{month:02}{first}T{hour:02}0000"]
        lines += [f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", f"RRULE:FREQ=YEARLY;BYMONTH={month};BYDAY={nth}"]
        lines.append(f"END:{kind}")
    return "\r\n".join([*lines, "END:VTIMEZONE"])


def _single(chance: random.Random, number: int) -> str:
    day = _BEGIN + timedelta(days=chance.randrange(_DAYS))
    kind = chance.random()
    if kind < 0.1:
        times = [f"DTSTART;VALUE=DATE:{day:%Y%m%d}", f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}"]
        return _event(chance, f"single-{number}", times, transparent=0.9)
    start = _start(chance, day)
    zone = "" if kind < 0.3 else f";TZID={chance.choice(_ZONES)[0]}"
    times = _times(start, timedelta(minutes=15 * chance.randrange(1, 9)), zone)
    return _event(chance, f"single-{number}", times)


def _series(chance: random.Random, left: int) -> list[str]:
    freq = chance.choice(("DAILY", "WEEKLY", "WEEKLY", "WEEKLY", "MONTHLY"))
    return _written_series(chance, left, freq, override=left > 1 and chance.random() < _OVERRIDDEN)


def _written_series(chance: random.Random, number: int, freq: str, *, override: bool) -> list[str]:
    """A series, seldom one without end; two of its dates are taken out, and one is perhaps moved by an hour."""
    start = _start(chance, _BEGIN + timedelta(days=chance.randrange(_DAYS - 100)))
    zone, length, step = f";TZID={chance.choice(_ZONES)[0]}", timedelta(minutes=30), {"DAILY": 1, "WEEKLY": 7}.get(freq)
    dates = [start + timedelta(days=(step or 0) * times) for times in range(1, 60)] if step else []
    lines = [*_times(start, length, zone), f"RRULE:{_rule(chance, freq, start)}"]
    lines += [f"EXDATE{zone}:{out:%Y%m%dT%H%M%S}" for out in dates[3:5]]
    events = [_event(chance, f"series-{number}", lines)]
    if override and dates:
        replaced = chance.choice(dates[6:])
        lines = [f"RECURRENCE-ID{zone}:{replaced:%Y%m%dT%H%M%S}", *_times(replaced + timedelta(hours=1), length, zone)]
        events.append(_event(chance, f"series-{number}", lines))
    return events


def _rule(chance: random.Random, freq: str, start: datetime) -> str:
    until = start + timedelta(days=chance.randrange(30, 400))
    end = chance.choice(("", *4 * (f";UNTIL={until:%Y%m%dT%H%M%SZ}",), *5 * (f";COUNT={chance.randrange(5, 100)}",)))
    if freq == "WEEKLY":
        return f"FREQ=WEEKLY;BYDAY={_WEEKDAYS[start.weekday()]}{end}"
    if freq == "MONTHLY":
        return f"FREQ=MONTHLY;BYDAY={(start.day - 1) // 7 % 4 + 1}{_WEEKDAYS[start.weekday()]}{end}"
    return f"FREQ=DAILY{end}"


def _start(chance: random.Random, day: date) -> datetime:
    hour, quarter = 7 + chance.randrange(11), chance.randrange(4)
    return datetime(day.year, day.month, min(day.day, 28), hour, 15 * quarter, tzinfo=UTC)  # read on any wall clock


def _times(start: datetime, length: timedelta, zone: str) -> list[str]:
    end = "" if zone else "Z"
    return [f"{name}{zone}:{at:%Y%m%dT%H%M%S}{end}" for name, at in (("DTSTART", start), ("DTEND", start + length))]


def _event(chance: random.Random, uid: str, times: list[str], *, transparent: float = 0.1) -> str:
    lines = ["BEGIN:VEVENT", f"UID:{uid}@bench.example", "DTSTAMP:20260901T120000Z", "CREATED:20260801T120000Z"]
    lines += ["LAST-MODIFIED:20260815T120000Z", *times, f"SUMMARY:Meeting about {uid}", "LOCATION:Second floor\\, left"]
    lines += _folded(f"DESCRIPTION:{_PROSE * chance.randrange(1, 3)}")
    lines += ["ORGANIZER;CN=Someone:mailto:someone@bench.example", f"SEQUENCE:{chance.randrange(3)}"]
    lines += [f"STATUS:{'CANCELLED' if chance.random() < 0.05 else 'CONFIRMED'}"]
    lines += [f"TRANSP:{'TRANSPARENT' if chance.random() < transparent else 'OPAQUE'}"]
    lines += ["BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT15M", "DESCRIPTION:Reminder", "END:VALARM", "END:VEVENT"]
    return "\r\n".join(lines)


def _folded(line: str) -> list[str]:
    return [line[:74], *(f" {line[at : at + 73]}" for at in range(74, len(line), 73))]
