"""Slots and periods as JSON bytes, with local times and explicit offsets.

Decides how an instant is written. Refuses to know which instants those are, and what stands around them in the answer.

A day's slots share date and offset, and a day has 1,440 minutes: so a time is two look-ups instead of a conversion.
What the short cut can't write (a slot that leaves its day or its offset, odd seconds) is written one by one, the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

from availability import zones
from availability.zones import DAY

_EPOCH = date(1970, 1, 1).toordinal()


def render_days(starts: Sequence[int], duration: int, tz: str) -> bytes:
    """The `slots` object: local date of the start → its slots, in compact JSON.

    `starts` are sorted seconds since the epoch, `duration` is in seconds, `tz` an IANA name; raises ZoneError.
    """
    days: dict[str, list[str]] = {}
    for day, some in _by_day(starts, tz):
        days.setdefault(_date(day), []).extend(_slots(some, day, duration, tz))
    return ("{" + ",".join(f'"{day}":[{",".join(slots)}]' for day, slots in days.items()) + "}").encode()


def render_periods(periods: Sequence[tuple[int, int]], tz: str) -> bytes:
    """The `periods` list of starts and ends in compact JSON; units and errors as for `render_days`."""
    return ("[" + ",".join(_span(start, end, tz) for start, end in periods) + "]").encode()


def _by_day(starts: Sequence[int], tz: str) -> Iterator[tuple[int, Sequence[int]]]:
    """The starts cut wherever the local date or the offset changes, each cut with its date as a day number."""
    if not starts:
        return
    at = 0
    for _, end, offset in zones.segments(tz, starts[0], starts[-1] + 1):
        stop = bisect_left(starts, end, at)
        while at < stop:
            day = (starts[at] + offset) // DAY
            after = bisect_left(starts, (day + 1) * DAY - offset, at, stop)
            yield day, starts[at:after]
            at = after


def _slots(starts: Sequence[int], day: int, duration: int, tz: str) -> list[str]:
    """The slots of one cut, as JSON objects."""
    offset = zones.offset_at(tz, starts[0])
    midnight = day * DAY - offset
    whole = midnight % 60 == duration % 60 == 0 and not any(start % 60 for start in starts)
    if not whole or starts[-1] + duration >= midnight + DAY or zones.offset_at(tz, starts[-1] + duration) != offset:
        return [_span(start, start + duration, tz) for start in starts]
    minutes, ahead, longer = _minutes(), _ahead(offset), duration // 60
    opening, between, closing = f'{{"start":"{_date(day)}', f'{ahead}","end":"{_date(day)}', f'{ahead}"}}'
    return [
        f"{opening}{minutes[minute]}{between}{minutes[minute + longer]}{closing}"
        for minute in [(start - midnight) // 60 for start in starts]
    ]


def _span(start: int, end: int, tz: str) -> str:
    return f'{{"start":"{_local(start, tz)}","end":"{_local(end, tz)}"}}'


def _local(instant: int, tz: str) -> str:
    offset = zones.offset_at(tz, instant)
    day, second = divmod(instant + offset, DAY)
    return f"{_date(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{_ahead(offset)}"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return date.fromordinal(day + _EPOCH).isoformat()


@lru_cache(maxsize=256)
def _ahead(offset: int) -> str:
    """An offset from UTC as RFC 3339 has it, with seconds only where there are some."""
    minutes, seconds = divmod(abs(offset), 60)
    sign = "-" if offset < 0 else "+"
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")


@lru_cache(maxsize=1)
def _minutes() -> tuple[str, ...]:
    return tuple(f"T{minute // 60:02}:{minute % 60:02}:00" for minute in range(24 * 60))
