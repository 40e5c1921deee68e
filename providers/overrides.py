"""A series whose overrides are texts of their own: its master, without the instances that those stand for.

Decides which instance an override stands for. Refuses to know how a series unfolds (`providers.recurrence`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from providers.errors import InvalidResponse
from providers.ical_events import read_parts
from providers.ical_values import to_utc

_REPLACED = re.compile(r"\r\nRECURRENCE-ID([^:\r]*):(\d{8})(T\d{6}Z?)?\r\n", re.ASCII)
_START = re.compile(r"^DTSTART[^:\r]*:\d{8}(T)?", re.ASCII | re.MULTILINE)
_BEGIN, _END = "\r\nBEGIN:VEVENT\r\n", "\r\nEND:VEVENT\r\n"


def excluding(master: str, overrides: Iterable[str]) -> str:
    """Return a master's timing skeleton without the instances that these overrides' skeletons replace.

    Where the one is a day and the other a time, nothing is replaced: a master that was made all-day has other
    instances, and a day would take all that a series has on it. What isn't a skeleton comes back as it is.
    """
    head, begin, event = master.partition(_BEGIN)
    start = _START.search(event)
    if start is None:
        return master
    all_day = start[1] is None
    excluded = {line for text in overrides if (line := _excluded(text, all_day=all_day))}
    timing, end, rest = event.partition(_END)
    lines = "".join(f"\r\n{line}" for line in sorted(excluded))
    return f"{head}{begin}{timing}{lines}{end}{rest}"


def _excluded(override: str, *, all_day: bool) -> str | None:
    """The EXDATE for the instance that an override replaces, in a series of days or of times."""
    found = _REPLACED.search(override)
    if found is None or (found[3] is None) != all_day:
        return None
    params, day, time = found.groups()
    if all_day:
        return f"EXDATE;VALUE=DATE:{day}"
    return _instant(override) if "TZID=" in params else f"EXDATE:{day}{time}"


def _instant(override: str) -> str | None:
    """The EXDATE in UTC: the zone that an override names may be one that its text alone defines."""
    try:
        replaced = read_parts(override, "UTC")[0].recurrence_id
    except InvalidResponse:
        return None
    return f"EXDATE:{to_utc(replaced):%Y%m%dT%H%M%SZ}" if isinstance(replaced, datetime) else None
