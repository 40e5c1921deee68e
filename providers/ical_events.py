"""Timing skeletons, read: text → the events it holds, each with its start on its own wall clock.

Decides where a floating time or a DATE lies and how long an event lasts. Refuses to know how a series unfolds
(`providers.recurrence`) and the host's zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from providers.errors import InvalidResponse
from providers.ical_text import Component, Line, parse, unescaped
from providers.ical_values import Length, NotUnderstood, end_of, midnight, read_length, read_moment, to_utc
from providers.ical_write import BOOKING
from providers.ical_zones import canonical, defined, zone_named
from providers.model import FbType, Instance, Transparency

BUSY_STATUS = "X-MICROSOFT-CDO-BUSYSTATUS"
PARTSTAT = "X-SYNCD-PARTSTAT"

_FB_TYPES: dict[str, FbType] = {
    "FREE": "FREE",
    "TENTATIVE": "BUSY_TENTATIVE",
    "BUSY": "BUSY",
    "OOF": "BUSY_UNAVAILABLE",
    "WORKINGELSEWHERE": "WORKING_ELSEWHERE",
}


@dataclass(frozen=True, slots=True)
class Master:
    """The component that stands for a whole resource, in UTC: what is needed to tell whether our event was changed."""

    uid: str | None
    start_at: datetime
    end_at: datetime
    sequence: int
    status: str
    booking_id: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What every instance of a component has in common."""

    all_day: bool
    transparency: Transparency
    status: str
    partstat: str | None
    fb_type: FbType | None

    def instance(self, start_at: datetime, end_at: datetime) -> Instance:
        """Return an instance, given its UTC instants."""
        return Instance(start_at, end_at, self.all_day, self.transparency, self.status, self.partstat, self.fb_type)


@dataclass(frozen=True, slots=True)
class Places:
    """Where times are that don't say so: the zones of DATEs and of floating times, and the VTIMEZONEs at hand."""

    dates: tzinfo
    floating: tzinfo
    defined: dict[str, tzinfo]

    def moment(self, line: Line, written: str) -> date | datetime:
        """Read one value of a property. Raises NotUnderstood, ValueError for a zone that isn't known."""
        tzid = line.params.get("TZID")
        if tzid is None:
            return read_moment(written, self.floating)
        return read_moment(written, self.defined.get(tzid) or zone_named(tzid))

    def start(self, moment: date | datetime) -> datetime:
        """Return the moment itself, or the midnight at which a DATE begins."""
        return moment if isinstance(moment, datetime) else midnight(moment, self.dates)


@dataclass(frozen=True, slots=True)
class Part:
    """One VEVENT, its times read: `start` is on its own wall clock, `length` what each of its instances lasts."""

    component: Component
    places: Places
    start: datetime
    length: Length
    facts: Facts
    sequence: int
    recurrence_id: date | datetime | None
    and_future: bool

    @property
    def zone(self) -> tzinfo:
        """The zone of its wall clock."""
        return self.start.tzinfo or UTC

    @property
    def recurs(self) -> bool:
        """Whether there may be more or fewer instances than one."""
        return any(line.name in ("RRULE", "EXRULE", "RDATE", "EXDATE") for line in self.component.lines)

    def instance(self, start: datetime, length: Length | None = None) -> Instance:
        """Return the instance that starts then, as long as the others unless said otherwise."""
        return self.facts.instance(to_utc(start), end_of(start, length or self.length))


@contextmanager
def understanding() -> Iterator[None]:
    """Turn what can't be understood in a skeleton into InvalidResponse."""
    try:
        yield
    except (LookupError, ValueError) as error:
        msg = f"A timing skeleton can't be read: {error}"
        raise InvalidResponse(msg) from error


def read_parts(skeleton: str, tz: str) -> list[Part]:
    """Return the events of a skeleton; `tz` is the calendar's zone. Raises InvalidResponse, ValueError for `tz`."""
    zone = zone_named(tz)
    with understanding():
        parts = [part for calendar in parse(skeleton) for part in _parts_of(calendar, zone)]
    if not parts:
        raise InvalidResponse("A timing skeleton holds no event.")
    return parts


def _parts_of(calendar: Component, zone: tzinfo) -> Iterator[Part]:
    zones: dict[str, tzinfo] = {}
    for component in calendar.parts_named("VTIMEZONE"):
        zones[text_of(component, "TZID") or ""] = defined("\r\n".join(canonical(component)[1]))
    preferred = text_of(calendar, "X-WR-TIMEZONE")
    floating = (zones.get(preferred) or zone_named(preferred)) if preferred else zone
    places = Places(zone, floating, zones)
    yield from (_part(component, places) for component in calendar.parts_named("VEVENT"))


def _part(component: Component, places: Places) -> Part:
    lines = {line.name: line for line in component.lines}
    start = places.moment(lines["DTSTART"], lines["DTSTART"].value)
    replaced = lines.get("RECURRENCE-ID")
    return Part(
        component=component,
        places=places,
        start=places.start(start),
        length=_length(start, lines, places),
        facts=_facts(lines, start),
        sequence=int(lines["SEQUENCE"].value) if "SEQUENCE" in lines else -1,
        recurrence_id=places.moment(replaced, replaced.value) if replaced else None,
        and_future=replaced is not None and replaced.params.get("RANGE") == "THISANDFUTURE",
    )


def _facts(lines: dict[str, Line], start: date | datetime) -> Facts:
    def word(name: str) -> str | None:
        return lines[name].value if name in lines else None

    return Facts(
        all_day=not isinstance(start, datetime),
        transparency="TRANSPARENT" if word("TRANSP") == "TRANSPARENT" else "OPAQUE",
        status=word("STATUS") or "CONFIRMED",
        partstat=word(PARTSTAT),
        fb_type=_FB_TYPES.get(word(BUSY_STATUS) or ""),
    )


def _length(start: date | datetime, lines: dict[str, Line], places: Places) -> Length:
    """Return how long each instance lasts (RFC 5545 §3.6.1, §3.8.5.3).

    DTEND gives the same elapsed time to every instance, between two DATEs the same number of days; DURATION is nominal.
    What starts on a DATE lasts whole days, at least that one. Raises NotUnderstood.
    """
    if "DTEND" in lines:
        end = places.moment(lines["DTEND"], lines["DTEND"].value)
        if isinstance(start, datetime) or isinstance(end, datetime):
            return Length(exact=_elapsed(places.start(start), places.start(end)))
        return Length(days=max(1, (end - start).days))
    length = read_length(lines["DURATION"].value) if "DURATION" in lines else Length()
    if isinstance(start, datetime):
        return length
    return Length(days=max(1, length.days - (-length.exact // timedelta(days=1))))


def _elapsed(start: datetime, end: datetime) -> timedelta:
    """Return the time between two moments; by their wall clock where a DST gap would leave nothing of it."""
    elapsed = to_utc(end) - to_utc(start)
    if elapsed <= timedelta(0) and start.tzinfo is end.tzinfo:
        elapsed = end - start
    if elapsed < timedelta(0):
        raise NotUnderstood("DTEND is before DTSTART.")
    return elapsed


def text_of(component: Component, name: str) -> str | None:
    """Return the text of a property, None where there is none."""
    line = component.first(name)
    return unescaped(line.value) if line is not None else None


def master_of(skeleton: str, tz: str) -> Master:
    """Return the component without RECURRENCE-ID, else the first; `tz` the calendar's zone. Raises InvalidResponse."""
    parts = read_parts(skeleton, tz)
    part = next((part for part in parts if part.recurrence_id is None), parts[0])
    one = part.instance(part.start)
    return Master(
        uid=text_of(part.component, "UID"),
        start_at=one.start_at,
        end_at=one.end_at,
        sequence=max(part.sequence, 0),
        status=one.status,
        booking_id=text_of(part.component, BOOKING),
    )
