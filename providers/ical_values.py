"""Values of time: DATE, DATE-TIME, DURATION, PERIOD and UTC-OFFSET (RFC 5545 §3.3).

Decides what a written value means once its zone is known. Refuses to know which zone that is, and which property it
was. Everything is a plain `date` or an aware `datetime`; adding days to the latter moves its wall clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:Z|T(\d\d)(\d\d)(\d\d)(Z)?)?", re.ASCII)
_DURATION = re.compile(
    r"([+-])?P(?=.)(?:(\d{1,7})W)?(?:(\d{1,8})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,10})S)?)?", re.ASCII
)
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)(\d\d)?", re.ASCII)

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0)


class NotUnderstood(ValueError):
    """A value isn't what RFC 5545 allows; the text is for people and never repeats free text."""


@contextmanager
def named(name: str) -> Iterator[None]:
    """Say which property it was that can't be understood."""
    try:
        yield
    except NotUnderstood as error:
        if str(error).endswith("."):
            raise
        raise NotUnderstood(f"{name} {error}.") from error


@dataclass(frozen=True, slots=True)
class Length:
    """How long something lasts: `days` on the wall clock, then `exact` elapsed time (RFC 5545 §3.3.6)."""

    days: int = 0
    exact: timedelta = timedelta(0)


def read_moment(written: str, zone: tzinfo) -> date | datetime:
    """Read a DATE or DATE-TIME; `zone` is where it is read unless it ends in Z.

    A 60th second is the 59th, as §3.3.12 asks of those who know no leap seconds; a Z behind a DATE, as Google writes
    it, says nothing. Raises NotUnderstood.
    """
    match = _MOMENT.fullmatch(written)
    if match is None:
        raise NotUnderstood("is not a date like 20260131 or a time like 20260131T090000Z")
    year, month, day, hour, minute, second, utc = match.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day))
        at = min(int(second), 59) if second == "60" else int(second)
        return datetime(int(year), int(month), int(day), int(hour), int(minute), at, tzinfo=UTC if utc else zone)
    except ValueError as error:
        raise NotUnderstood("names a day or an hour that no calendar has") from error


def read_length(written: str) -> Length:
    """Read a DURATION: weeks and days are nominal, hours, minutes and seconds exact. Raises NotUnderstood."""
    match = _DURATION.fullmatch(written)
    if match is None:
        raise NotUnderstood("is not a duration like PT45M or P1D")
    if match[1] == "-":
        raise NotUnderstood("is negative")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups()[1:])
    return Length(7 * weeks + days, timedelta(hours=hours, minutes=minutes, seconds=seconds))


def read_offset(written: str) -> timedelta:
    """Read a UTC-OFFSET such as +0100, within a day of UTC. Raises NotUnderstood."""
    match = _OFFSET.fullmatch(written)
    if match is None:
        raise NotUnderstood("is not an offset like +0100")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    if offset >= timedelta(days=1):
        raise NotUnderstood("is a day or more away from UTC")
    return -offset if match[1] == "-" else offset


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the start of a day in a zone."""
    return datetime.combine(day, time(), tzinfo=zone)


def to_utc(moment: datetime) -> datetime:
    """Return the instant in UTC; what falls out of the years 1 to 9999 is their edge.

    A wall time that doesn't exist is read with the offset before the gap, one that comes twice is the first (§3.3.5).
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == 1 else LATEST


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return the instant on the wall clock of a zone, clamped as in `to_utc`."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        edge = EARLIEST if moment.year == 1 else LATEST
        return edge.replace(tzinfo=zone)


def shift(moment: datetime, by: timedelta) -> datetime:
    """Move the wall clock of a moment, within the years 1 to 9999."""
    try:
        return moment + by
    except OverflowError:
        return (EARLIEST if by < timedelta(0) else LATEST).replace(tzinfo=moment.tzinfo)


def end_of(start: datetime, length: Length) -> datetime:
    """Return the UTC instant at which something of that length ends."""
    return shift(to_utc(shift(start, timedelta(days=length.days))), length.exact)
