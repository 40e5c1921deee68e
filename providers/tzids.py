"""TZIDs of one resource → the names of zones in its skeleton.

Decides what a TZID means here: what the time zone database says, or what the resource itself defines. Refuses to choose
between two definitions, and to know the host's zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from providers.ical_text import Component, unescaped
from providers.ical_values import NotUnderstood, named
from providers.ical_zones import canonical, defined, fixed, zone_named
from providers.zone_names import iana_name, suffix_name

_SHOWABLE = re.compile(r"[A-Za-z0-9_+/-]{1,40}", re.ASCII)
_DAYS = range(2020, 2037)  # older definitions often tell today's rule alone
_ABBREVIATION = re.compile(r"(?!UTC|GMT)[A-Z]{2,5}", re.ASCII)


@dataclass(slots=True)
class Zones:
    """The zones of one resource: what it defines, and the definitions its events need.

    An IANA name means what the time zone database says, whatever a VTIMEZONE says of it. Any other name means its
    VTIMEZONE (RFC 5545 §3.2.19), so does an abbreviation such as EST, which people define as they like. Where two
    definitions of a name that isn't known differ, none is chosen.
    """

    definitions: dict[str, list[Component]]
    used: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _names: dict[str, str | NotUnderstood] = field(default_factory=dict)

    @classmethod
    def of(cls, calendars: Sequence[Component]) -> Zones:
        """Collect what these VCALENDARs define."""
        found: dict[str, list[Component]] = {}
        for zone in (zone for calendar in calendars for zone in calendar.parts_named("VTIMEZONE")):
            for tzid in {_tzid(line.value) for line in zone.every("TZID")}:
                found.setdefault(tzid, []).append(zone)
        return cls(found)

    def name(self, tzid: str) -> str:
        """Return the name a skeleton uses for a TZID. Raises NotUnderstood."""
        if tzid not in self._names:
            try:
                self._names[tzid] = self._find(_tzid(tzid))
            except NotUnderstood as error:
                self._names[tzid] = error
        found = self._names[tzid]
        if isinstance(found, NotUnderstood):
            raise NotUnderstood(str(found))
        return found

    def _find(self, tzid: str) -> str:
        known, own = iana_name(tzid), self.definitions.get(tzid)
        if own is not None and (known is None or _ABBREVIATION.fullmatch(tzid)):
            return self._define(own)
        if known is not None:
            return known if own is None or tzid == known else self._defined_or(known, own)
        offset = fixed(tzid)
        known = suffix_name(tzid)
        if known is None and offset is None:
            shown = f" {tzid}" if _SHOWABLE.fullmatch(tzid) else ""
            raise NotUnderstood(f"The time zone{shown} is not known, and the calendar doesn't define it.")
        return known or self._define([offset] if offset else [])

    def default(self, calendars: Sequence[Component]) -> str | None:
        """Return the name of the zone of floating times, X-WR-TIMEZONE; None where there is none that is known."""
        preferred = _preferred(calendars)
        try:
            return self.name(preferred) if preferred else None
        except NotUnderstood:
            return None

    def _define(self, zones: Sequence[Component]) -> str:
        located = {_located(zone) for zone in zones}
        if len(located) == 1 and (known := located.pop()):
            return known
        with named("The VTIMEZONE of the event"):
            found = {defined("\r\n".join(lines)).onsets: (name, lines) for name, lines in map(canonical, zones)}
            if len(found) > 1:
                raise NotUnderstood("is there twice, and the two differ")
        [(name, lines)] = found.values()
        self.used[name] = lines
        return name

    def _defined_or(self, known: str, own: Sequence[Component]) -> str:
        """Return the definition's name where it can be read and tells otherwise than the zone that is meant."""
        try:
            name = self._define(own)
        except NotUnderstood:
            return known
        if name == known or _agree("\r\n".join(self.used[name]), known):
            return known
        return name

    def zone(self, params: str) -> tzinfo:
        """Return the zone of a stamp's parameters, UTC for those without."""
        name = params.partition("TZID=")[2]
        if name in self.used:
            return defined("\r\n".join(self.used[name]))
        return zone_named(name) if name else UTC


@lru_cache(maxsize=256)
def _agree(vtimezone: str, known: str) -> bool:
    """Say whether a definition and a zone tell the same time, by the 1st and the 15th of every month of our days."""
    days = [datetime(year, month, day, tzinfo=UTC) for year in _DAYS for month in range(1, 13) for day in (1, 15)]
    one, other = defined(vtimezone), zone_named(known)
    return all(day.astimezone(one).utcoffset() == day.astimezone(other).utcoffset() for day in days)


def _tzid(written: str) -> str:
    """Return a TZID as it is compared: as a parameter it may be quoted, as a property it is TEXT."""
    return unescaped(written).strip().strip('"')


def _located(zone: Component) -> str | None:
    """Return the IANA name in a VTIMEZONE that defines nothing and only says where it is."""
    lines = [] if zone.parts else [*zone.every("X-LIC-LOCATION"), *zone.every("TZID-ALIAS-OF")]
    return next((name for line in lines if (name := iana_name(line.value.strip()))), None)


def default_zone(calendars: Sequence[Component]) -> str | None:
    """Return the IANA name that X-WR-TIMEZONE stands for."""
    preferred = _preferred(calendars)
    return (iana_name(preferred) or suffix_name(preferred)) if preferred else None


def _preferred(calendars: Sequence[Component]) -> str:
    line = next(filter(None, (calendar.first("X-WR-TIMEZONE") for calendar in calendars)), None)
    return _tzid(line.value) if line else ""
