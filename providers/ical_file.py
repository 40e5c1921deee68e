"""A whole calendar file, as a feed or a person hands it over: its events, one resource for each series.

Decides what belongs together (one UID, over all the VCALENDARs of the file), under which id it is known when a file
gives none, and whether the file was cut. Refuses to know what an event means (`providers.ical`) and where the file came
from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from providers.ical import Timed, skeleton, timed
from providers.ical_freebusy import with_busy_periods
from providers.ical_text import Component, parse
from providers.model import RemoteEvent, Unreadable
from providers.tzids import Zones, default_zone


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """What a file holds. `tz` (IANA) and `name` are its own words for itself; `cut` says it ends before its end."""

    events: tuple[RemoteEvent, ...]
    unreadable: tuple[Unreadable, ...]
    tz: str | None
    name: str | None
    cut: bool


@dataclass(slots=True)
class _Series:
    """All VEVENTs of one UID whose floating times have the same zone."""

    kept: list[Timed] = field(default_factory=list)
    bad: list[Timed] = field(default_factory=list)


def read_file(text: str | bytes, own_addresses: frozenset[str] = frozenset()) -> CalendarFile | None:
    """Read a file of any number of VCALENDARs; None where there is none. Never raises.

    Remote ids are UIDs, or made of the content where an event has none; ETags are made of what is kept, so that a file
    written anew with the same times in it has the same ones.
    """
    calendars = with_busy_periods([component for component in parse(text) if component.name == "VCALENDAR"])
    if not calendars:
        return None
    found: dict[tuple[str, str | None], _Series] = {}
    every = Zones({})  # their names are made of their content, so those of several VCALENDARs don't clash
    for calendar in calendars:
        zones = Zones.of([calendar])
        default = zones.default([calendar])
        for one in timed([calendar], zones, own_addresses):
            series = found.setdefault((_key(one), default), _Series())
            (series.bad if one.reason else series.kept).append(one)
        every.used.update(zones.used)
    events, unreadable = _resources(found, every)
    cut = not all(calendar.closed for calendar in calendars)
    return CalendarFile(events, unreadable, default_zone(calendars), _name(calendars), cut)


def _key(one: Timed) -> str:
    return one.uid or f"no-uid-{_digest((*one.lines, one.reason, one.start or ''))}"


def _digest(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def _resources(
    found: dict[tuple[str, str | None], _Series], zones: Zones
) -> tuple[tuple[RemoteEvent, ...], tuple[Unreadable, ...]]:
    events: list[RemoteEvent] = []
    unreadable: list[Unreadable] = []
    named: set[str] = set()
    for (key, default), series in found.items():
        remote_id = key if key not in named else f"{key} ({default or 'floating'})"
        named.add(remote_id)
        text = skeleton(series.kept, zones, default) if series.kept else ""
        etag = _digest([text, *(f"{one.start}{one.reason}" for one in series.bad)])
        events += [RemoteEvent(remote_id, key, etag, text)] if text else []
        unreadable += [Unreadable(remote_id, etag, one.reason, one.uid or None, one.start) for one in series.bad]
    return tuple(events), tuple(unreadable)


def _name(calendars: Iterable[Component]) -> str | None:
    lines = (calendar.first("X-WR-CALNAME") for calendar in calendars)
    return next((line.value.strip() for line in lines if line is not None and line.value.strip()), None)
