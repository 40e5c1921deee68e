"""TZIDs of one resource → the names of zones in its skeleton.

Decides what a TZID means here: what the time zone database says, or what the resource itself defines. Refuses to choose
between two definitions, and to know the host's zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from providers.ical_text import Component, unescaped
from providers.ical_values import NotUnderstood, named
from providers.ical_zones import canonical, defined, fixed, zone_named
from providers.zone_names import iana_name, suffix_name

_SHOWABLE = re.compile(r"[A-Za-z0-9_+/-]{1,40}", re.ASCII)
_ABBREVIATION = re.compile(r"(?!UTC|GMT)[A-Z]{2,5}", re.ASCII)


@dataclass(slots=True)
class Zones:
    """The zones of one resource: what it defines, and the definitions its events need.

    An IANA or Windows name means what the time zone database says, whatever a VTIMEZONE says of it. Any other name, and
    an abbreviation such as EST, which people define as they like, means its VTIMEZONE. Where two of them differ, none
    is chosen.
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
        known = iana_name(tzid)
        if known is not None and (tzid not in self.definitions or not _ABBREVIATION.fullmatch(tzid)):
            return known
        if tzid in self.definitions:
            return self._define(self.definitions[tzid])
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

    def zone(self, params: str) -> tzinfo:
        """Return the zone of a stamp's parameters, UTC for those without."""
        name = params.partition("TZID=")[2]
        if name in self.used:
            return defined("\r\n".join(self.used[name]))
        return zone_named(name) if name else UTC


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
