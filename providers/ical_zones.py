"""Zones: an IANA name, or the VTIMEZONE that defines a TZID (RFC 5545 §3.6.5), → a zone.

Decides what a VTIMEZONE means: it is renamed here after its content, so that two zones of one name are never confused.
Refuses to know the host's zone, and which names are known (`providers.zone_names`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from providers.ical_rules import parse_rule, starts
from providers.ical_text import Component, Line, parse
from providers.ical_values import NotUnderstood, read_moment, read_offset, shift
from providers.zone_names import iana_name

_FIXED = re.compile(r"\(?(?:(?:GMT|UTC)?([+-]\d\d):?(\d\d)|UTC([+-]\d\d))\)?", re.ASCII)
_SINCE = datetime(1900, 1, 1, tzinfo=UTC)
_HORIZON = datetime(2200, 1, 1, tzinfo=UTC)
_MAX_ONSETS = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_named(name: str) -> tzinfo:
    """Return the zone of an IANA or Windows name. Raises ValueError."""
    known = iana_name(name)
    if known is None:
        msg = f"the time zone {name!r} is not known: an IANA name such as Europe/Berlin is expected"
        raise ValueError(msg)
    return UTC if known == "UTC" else ZoneInfo(known)


class Onset(NamedTuple):
    """When an observance begins, in seconds of UTC, and the offsets before and after, in seconds."""

    at: int
    before: int
    after: int


class DefinedZone(tzinfo):
    """A zone as its VTIMEZONE tells it; before its first observance that one's TZOFFSETFROM holds."""

    def __init__(self, name: str, onsets: tuple[Onset, ...]) -> None:
        self.name = name
        self.onsets = onsets

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return the offset at a wall time: that before a gap, and of two equal times the first unless `fold`."""
        if moment is None:
            return None
        choose = min if moment.fold else max
        wall = _seconds(moment.replace(tzinfo=UTC))
        return self._offset(bisect_right(self.onsets, wall, key=lambda onset: onset.at + choose(onset[1:])))

    def fromutc(self, moment: datetime) -> datetime:
        """Return the wall time of a UTC instant."""
        instant = _seconds(moment.replace(tzinfo=UTC))
        passed = bisect_right(self.onsets, instant, key=lambda onset: onset.at)
        local = moment + self._offset(passed)
        came_before = passed > 0 and instant - self.onsets[passed - 1].at < -self._change(passed - 1)
        return local.replace(fold=int(came_before))

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return nothing: which observance is called daylight time decides nothing here."""
        del moment
        return None

    def tzname(self, moment: datetime | None) -> str:
        """Return the name made of the content."""
        del moment
        return self.name

    def _offset(self, passed: int) -> timedelta:
        return timedelta(seconds=self.onsets[passed - 1].after if passed else self.onsets[0].before)

    def _change(self, index: int) -> int:
        return self.onsets[index].after - self.onsets[index].before


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def canonical(component: Component) -> tuple[str, tuple[str, ...]]:
    """Reduce a VTIMEZONE to what defines it: its TZID, made of the content, and its lines. Raises NotUnderstood."""
    if not all(part.closed for part in (component, *component.parts)):
        raise NotUnderstood("has lost an END")
    if component.first("TZOFFSETTO") is not None:
        raise NotUnderstood("has lost a BEGIN")
    if len({line.value for line in component.every("TZID")}) > 1:
        raise NotUnderstood("has several names")
    body = tuple(line for part in component.parts for line in _observance_lines(part))
    return _renamed(body)


@lru_cache(maxsize=256)
def _renamed(body: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    tzid = "X-SYNCD-" + sha256("\n".join(body).encode()).hexdigest()[:16]
    lines = ("BEGIN:VTIMEZONE", f"TZID:{tzid}", *body, "END:VTIMEZONE")
    defined("\r\n".join(lines))
    return tzid, lines


def fixed(tzid: str) -> Component | None:
    """Return a VTIMEZONE for a TZID that says nothing but its offset from UTC, as ISO 8601 does: GMT+0100, UTC+01:00.

    GMT+1 is none of them: Java reads it as east of Greenwich and POSIX as west.
    """
    match = _FIXED.fullmatch(tzid.upper())
    if match is None:
        return None
    offset = f"{match[1] or match[3]}{match[2] or '00'}"
    lines = ("DTSTART:19700101T000000", f"TZOFFSETFROM:{offset}", f"TZOFFSETTO:{offset}")
    return _component("BEGIN:VTIMEZONE", "BEGIN:STANDARD", *lines, "END:STANDARD", "END:VTIMEZONE")


def _component(*lines: str) -> Component:
    """Read one VTIMEZONE."""
    return parse("\r\n".join(lines))[0].parts[0]


def _observance_lines(part: Component) -> Iterator[str]:
    if part.name not in ("STANDARD", "DAYLIGHT"):
        return
    yield f"BEGIN:{part.name}"
    for name in ("DTSTART", "TZOFFSETFROM", "TZOFFSETTO"):
        line = part.first(name)
        if line is None:
            raise NotUnderstood(f"has no {name}")
        yield f"{name}:{line.value.strip().upper()}"
    yield from (f"RRULE:{parse_rule(line.value)}" for line in part.every("RRULE"))
    yield from (f"RDATE:{moment}" for line in part.every("RDATE") for moment in _moments(line))
    yield f"END:{part.name}"


def _moments(line: Line) -> list[str]:
    return [moment.strip().upper() for moment in line.value.split(",") if moment.strip()]


@lru_cache(maxsize=256)
def defined(vtimezone: str) -> DefinedZone:
    """Return the zone of a canonical VTIMEZONE, with its onsets from 1900 to 2200. Raises NotUnderstood."""
    component = _component(vtimezone)
    tzid = component.first("TZID")
    onsets = sorted(onset for part in component.parts for onset in _onsets(part))
    if not onsets:
        raise NotUnderstood("has neither STANDARD nor DAYLIGHT")
    return DefinedZone(tzid.value if tzid else "", tuple(onsets))


def _onsets(part: Component) -> Iterator[Onset]:
    values = {line.name: line.value for line in part.lines}
    before, after = read_offset(values["TZOFFSETFROM"]), read_offset(values["TZOFFSETTO"])
    offsets = int(before.total_seconds()), int(after.total_seconds())
    begin = _wall(values["DTSTART"])
    walls = {begin} | {_wall(moment) for line in part.every("RDATE") for moment in _moments(line)}
    for line in part.every("RRULE"):
        walls.update(_ruled(line.value, begin, before))
    yield from (Onset(_seconds(wall) - offsets[0], *offsets) for wall in walls)


def _wall(written: str) -> datetime:
    moment = read_moment(written.removesuffix("Z"), UTC)
    return moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)


def _ruled(written: str, begin: datetime, before: timedelta) -> Iterator[datetime]:
    """Yield the onsets of a rule as wall times carried in UTC; its UNTIL is in UTC, or local as Exchange writes it."""
    rule = parse_rule(written)
    if rule.freq not in ("YEARLY", "MONTHLY"):
        raise NotUnderstood("changes its offset too often")
    last = _HORIZON
    if rule.until:
        last = shift(_wall(rule.until), before if rule.until.endswith("Z") else timedelta(0))
    # No more than a few thousand steps: a rule of years or months ends at the horizon.
    found = list(islice(starts(rule, begin, first=max(begin, _SINCE), last=min(last, _HORIZON)), _MAX_ONSETS + 1))
    if len(found) > _MAX_ONSETS:
        raise NotUnderstood("changes its offset too often")
    yield from (wall for wall in found if wall <= last)
