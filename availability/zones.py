"""What is needed of a time zone, in whole seconds.

Decides which instants a wall time names and which local date an instant falls on. Refuses to know what they are for.

An instant is seconds since the epoch, UTC. A wall time is the same number with the clock's reading taken for UTC, so a
day is a number too: days since 1970-01-01, a Thursday. A zone is a row of segments of constant offset, found once from
zoneinfo and remembered.
"""

from __future__ import annotations

import zoneinfo
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from availability import intervals
from availability.intervals import Spans

DAY = 86_400
_BLOCK = 1 << 25  # segments are looked for in blocks of 388 days
_EARLIEST, _LATEST = -62_135_424_000, 253_402_128_000  # datetime's years 1 to 9999, less the widest offset


class ZoneError(ValueError):
    """Not the name of a time zone."""


class Segment(NamedTuple):
    """A stretch `[start, end)` of instants with one offset from UTC, all in seconds."""

    start: int
    end: int
    offset: int


def pin() -> None:
    """Make zoneinfo read the tzdata package before the host's files, so that every machine offers the same slots."""
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()
    for remembered in (_changes, _segments, _plain_days, day_spans):
        remembered.cache_clear()


def load(key: str) -> ZoneInfo:
    """The zone of an IANA name; raises ZoneError for any other."""
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise ZoneError(f"{key!r} is no time zone; right would be an IANA name such as 'Europe/Berlin'") from error


def segments(key: str, start: int, end: int) -> tuple[Segment, ...]:
    """The zone's segments over at least `[start, end)`; the outermost two may be cut where the search ended."""
    return _segments(key, start // _BLOCK, max(start, end - 1) // _BLOCK)


def offset_at(key: str, instant: int) -> int:
    """Seconds the zone's clock is ahead of UTC at an instant."""
    instants, offsets = _changes(key, instant // _BLOCK)
    return offsets[bisect_right(instants, instant) - 1]


def local_day(key: str, instant: int) -> int:
    """The local date of an instant, in days since 1970-01-01."""
    return (instant + offset_at(key, instant)) // DAY


def local_days(key: str, instants: Sequence[int]) -> list[int]:
    """The local dates of many instants, in days since 1970-01-01."""
    if not instants:
        return []
    around = segments(key, min(instants), max(instants) + 1)
    if len(around) == 1:
        offset = around[0].offset
        return [(instant + offset) // DAY for instant in instants]
    starts, offsets = [segment.start for segment in around], [segment.offset for segment in around]
    return [(instant + offsets[bisect_right(starts, instant) - 1]) // DAY for instant in instants]


def earliest(key: str, wall: int) -> int:
    """The first instant at which the clock reads a wall time; for one it never reads, the instant it jumps over it."""
    return _readings(key, wall)[0]


def latest(key: str, wall: int) -> int:
    """The last instant at which the clock reads a wall time; for one it never reads, the instant it jumps over it."""
    return _readings(key, wall)[-1]


def plain_days(key: str, first: int, last: int) -> tuple[tuple[int, int, int], ...]:
    """Runs `[first, last)` of dates, with their offset, on which and on the next every wall time is read exactly once.

    They cover the dates asked about, apart from the few around a change of offset, and go beyond them.
    """
    return _plain_days(key, (first - 2) * DAY // _BLOCK, (last + 3) * DAY // _BLOCK)


@lru_cache(maxsize=4096)
def day_spans(key: str, day: int) -> Spans:
    """The instants of a local date: none where the zone left it out, two spans where the clock went back into it."""
    midnight = day * DAY
    return intervals.of(
        (max(start, midnight - offset), min(end, midnight + DAY - offset))
        for start, end, offset in segments(key, midnight - 2 * DAY, midnight + 3 * DAY)
    )


def _readings(key: str, wall: int) -> list[int]:
    around = segments(key, wall - 2 * DAY, wall + 2 * DAY)
    found = [wall - offset for start, end, offset in around if start <= wall - offset < end]
    return found or [
        after.start
        for before, after in pairwise(around)
        if before.end + before.offset <= wall < after.start + after.offset
    ]


@lru_cache(maxsize=4096)
def _segments(key: str, first: int, last: int) -> tuple[Segment, ...]:
    found: list[Segment] = []
    for block in range(first, last + 1):
        for start, offset in zip(*_changes(key, block), strict=True):
            if not found or found[-1].offset != offset:
                found.append(Segment(start, start, offset))
    ends = [*(segment.start for segment in found[1:]), (last + 1) * _BLOCK]
    return tuple(segment._replace(end=end) for segment, end in zip(found, ends, strict=True))


@lru_cache(maxsize=4096)
def _plain_days(key: str, first: int, last: int) -> tuple[tuple[int, int, int], ...]:
    around = _segments(key, first, last)
    offsets = [around[0].offset, *(segment.offset for segment in around), around[-1].offset]
    edges = [
        (start + max(before, offset), end + min(offset, after), offset)
        for before, (start, end, offset), after in zip(offsets, around, offsets[2:], strict=False)
    ]
    return tuple((-(low // -DAY), high // DAY - 1, offset) for low, high, offset in edges)


@lru_cache(maxsize=4096)
def _changes(key: str, block: int) -> tuple[list[int], list[int]]:
    """Where the offset changes within a block, the block's own start first, and to what."""
    zone = load(key)
    instants, offsets = [block * _BLOCK], [_offset(zone, block * _BLOCK)]
    for instant in _steps(zone, block * _BLOCK, (block + 1) * _BLOCK):
        instants.append(instant)
        offsets.append(_offset(zone, instant))
    return instants, offsets


def _steps(zone: ZoneInfo, start: int, end: int) -> Iterator[int]:
    """Instants in `(start, end)` at which the offset differs from the second before, looked for day by day."""
    for begin in range(start, end, DAY):
        low, high = begin, min(begin + DAY, end - 1)
        before = _offset(zone, low)
        if before == _offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        yield high


def _offset(zone: ZoneInfo, instant: int) -> int:
    moment = datetime.fromtimestamp(min(max(instant, _EARLIEST), _LATEST), zone)
    ahead = moment.utcoffset()
    assert ahead is not None
    return ahead.days * DAY + ahead.seconds
