"""iCalendar resources: read down to their timing skeleton.

Decides what of a resource is kept (RFC 5545 reduced to times, recurrence, transparency, status and own participation),
in one canonical spelling, and what is said about a component that can't be understood. Refuses to know what blocks, and
to let a title, description, location, foreign attendee or any unlisted property through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from providers.errors import InvalidResponse
from providers.ical_events import BUSY_STATUS, PARTSTAT, master_of
from providers.ical_rules import TooManyInstances, parse_rule
from providers.ical_text import Component, Line, escaped, parse, unescaped
from providers.ical_values import NotUnderstood, midnight, named, read_length, read_moment, to_utc
from providers.ical_write import BOOKING, PRODID, change_event, write_event
from providers.model import EventRef, RemoteEvent, Unreadable, WrittenEvent
from providers.tzids import Zones

__all__ = ["Reduced", "booking_of", "change_event", "read_written", "reduce", "write_event"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHOWABLE_START = re.compile(r"[0-9TZ:+-]{1,32}", re.ASCII)
_LONGEST_UID = 500
_SEQUENCE = re.compile(r"\d{1,9}", re.ASCII)
_MIDNIGHT = re.compile(r"T000000Z?$", re.ASCII)
_TIME = re.compile(r"(?<=^\d{8})T\d{6}Z?$", re.ASCII | re.IGNORECASE)
_ZONE = re.compile(r";TZID=([^:\r]+):")
_BOOKING_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}", re.ASCII)
# From what binds most to what binds least: two of our addresses invited to one event count as the more present one.
_PARTSTATS = ("ACCEPTED", "TENTATIVE", "NEEDS-ACTION", "DELEGATED", "DECLINED")
_TIMING = {"DTSTART", "DTEND", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "TRANSP", "STATUS"}
_WORDS = {
    "TRANSP": ("OPAQUE", "TRANSPARENT"),
    "STATUS": ("CONFIRMED", "TENTATIVE", "CANCELLED"),
    BUSY_STATUS: ("FREE", "TENTATIVE", "BUSY", "OOF", "WORKINGELSEWHERE"),
}


@dataclass(frozen=True, slots=True)
class Reduced:
    """What a resource comes down to; `event` is None where nothing in it is an event that can be understood."""

    event: RemoteEvent | None
    unreadable: tuple[Unreadable, ...]


def reduce(text: str | bytes, *, remote_id: str, etag: str, own_addresses: frozenset[str]) -> Reduced:
    """Reduce a resource to its timing skeleton; reducing a skeleton again changes nothing.

    A component that can't be understood is named in `unreadable` and the rest is kept. `own_addresses` (with or without
    mailto:, in any case) say which ATTENDEE's PARTSTAT is ours; where several are, the one that binds most. A time zone
    that isn't known and not defined by the resource makes a component unreadable. Never raises.
    """
    calendars = [component for component in parse(text) if component.name == "VCALENDAR"]
    if not calendars:
        return Reduced(None, (Unreadable(remote_id, etag, "This is not an iCalendar object."),))
    zones = Zones.of(calendars)
    events = list(timed(calendars, zones, own_addresses))
    unreadable = [Unreadable(remote_id, etag, one.reason, one.uid or None, one.start) for one in events if one.reason]
    if not all(component.closed for component in calendars) and not unreadable:
        unreadable.append(Unreadable(remote_id, etag, "The text ends before the calendar does."))
    kept = [one for one in events if not one.reason]
    if not kept:
        return Reduced(None, tuple(unreadable))
    uid = next((one.uid for one in kept if one.uid), remote_id)
    text = skeleton(kept, zones, zones.default(calendars))
    return Reduced(RemoteEvent(remote_id, uid, etag, text), tuple(unreadable))


@dataclass(frozen=True, slots=True)
class Timed:
    """One VEVENT reduced to the lines that are kept, or the `reason` why it can't be understood."""

    uid: str
    start: str | None
    lines: tuple[str, ...] = ()
    reason: str = ""


def timed(calendars: Sequence[Component], zones: Zones, own_addresses: frozenset[str]) -> Iterator[Timed]:
    """Yield every VEVENT of these VCALENDARs, reduced, and what is left of those whose BEGIN was lost."""
    own = frozenset(filter(None, map(_address, own_addresses)))
    for calendar in calendars:
        yield from _without_begin(calendar)
    for event in (event for calendar in calendars for event in calendar.parts_named("VEVENT")):
        uid, start = _uid(event), _shown_start(event)
        try:
            yield Timed(uid, start, tuple(_timing(event, zones, own)))
        except (NotUnderstood, TooManyInstances) as error:
            yield Timed(uid, start, reason=str(error))


def _without_begin(calendar: Component) -> Iterator[Timed]:
    """Yield what is left of events whose lines stand in the calendar itself."""
    starts, uids = calendar.every("DTSTART"), calendar.every("UID")
    for number, start in enumerate(starts):
        event = Component("VEVENT", [start, *uids[number : number + 1]])
        uid = _uid(event) if len(uids) == len(starts) else ""
        yield Timed(uid, _shown_start(event), reason="The event has lost its beginning (BEGIN:VEVENT).")


def read_written(text: str | bytes, ref: EventRef, tz: str = "UTC") -> WrittenEvent:
    """Return one of our events as a server has it now; the ref's UID is replaced by the written one.

    `tz` is the calendar's zone, for an event that was made all-day or floating. Of a series it is the master's span.
    Raises InvalidResponse where the event can't be understood.
    """
    reduced = reduce(text, remote_id=ref.remote_id, etag=ref.etag or "", own_addresses=frozenset())
    if reduced.event is None:
        reason = reduced.unreadable[0].reason if reduced.unreadable else "The resource holds no event."
        raise InvalidResponse(reason, calendar=ref.calendar, remote_id=ref.remote_id)
    master = master_of(reduced.event.skeleton, tz)
    return WrittenEvent(
        ref=replace(ref, uid=master.uid or ref.uid),
        start_at=master.start_at,
        end_at=master.end_at,
        sequence=master.sequence,
        status=master.status,
        booking_id=master.booking_id,
    )


def booking_of(skeleton: str) -> str | None:
    """Return the id of the booking whose event this says it is, if it says so."""
    _, found, rest = skeleton.partition(f"\r\n{BOOKING}:")
    return rest.partition("\r\n")[0] if found else None


def skeleton(events: Iterable[Timed], zones: Zones, default: str | None) -> str:
    """Return the VCALENDAR of some events of one resource, with the zones they need."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODID}"]
    lines += [f"X-WR-TIMEZONE:{default}"] if default else []
    body = "\r\n".join(line for event in events for line in event.lines)
    # A zone that only an unreadable event needs would be gone from the skeleton of the skeleton.
    needed = zones.used.keys() & {default, *_ZONE.findall(body)}
    for tzid in sorted(needed):
        lines += zones.used[tzid]
    return "\r\n".join([*lines, body, "END:VCALENDAR", ""])


def _timing(event: Component, zones: Zones, own: frozenset[str]) -> Iterator[str]:
    """Yield the lines of a VEVENT that are kept, in the canonical order. Raises NotUnderstood."""
    if not event.closed or any(_TIMING & {line.name for line in part.lines} for part in event.parts if not part.closed):
        raise NotUnderstood("The event has lost its end (END:VEVENT), or a part of it has.")
    yield "BEGIN:VEVENT"
    uid = _uid(event)
    if uid:
        yield f"UID:{escaped(uid)}"
    yield from _recurrence_id(event, zones)
    yield from _span(event, zones)
    for name in ("RRULE", "EXRULE"):
        for line in event.every(name):
            with named(name):
                # Feeds of holidays write an empty rule on days that don't recur.
                yield from [f"{name}:{parse_rule(line.value)}"] if line.value.strip(" ;") else []
    for name in ("RDATE", "EXDATE"):
        for line in event.every(name):
            yield from _dates(line, zones)
    yield from _facts(event, own)
    yield "END:VEVENT"


class _Stamp(NamedTuple):
    """A DATE or DATE-TIME as it is written in a skeleton."""

    params: str
    written: str

    def line(self, name: str) -> str:
        return f"{name}{self.params}:{self.written}"


def _stamp(line: Line, written: str, zones: Zones) -> _Stamp:
    """Spell a DATE or DATE-TIME canonically. Raises NotUnderstood."""
    written = written.strip().upper()
    if line.params.get("VALUE", "").upper() == "DATE":
        written = _MIDNIGHT.sub("", written)
    if not isinstance(read_moment(written, UTC), datetime):
        return _Stamp(";VALUE=DATE", written.removesuffix("Z"))
    tzid = line.params.get("TZID", "")
    if written.endswith("Z") or not (tzid or ("TZID" in line.params and tzid in zones.definitions)):
        return _Stamp("", written)
    name = zones.name(tzid)
    return _Stamp("", f"{written}Z") if name == "UTC" else _Stamp(f";TZID={name}", written)


def _recurrence_id(event: Component, zones: Zones) -> Iterator[str]:
    line = _only(event, "RECURRENCE-ID")
    if line is None:
        return
    with named("RECURRENCE-ID"):
        reach = line.params.get("RANGE", "").upper()
        if reach not in ("", "THISANDFUTURE"):
            raise NotUnderstood("has a RANGE other than THISANDFUTURE")
        yield _stamp(line, line.value, zones).line(f"RECURRENCE-ID;RANGE={reach}" if reach else "RECURRENCE-ID")


def _span(event: Component, zones: Zones) -> Iterator[str]:
    """Yield DTSTART and what tells the end. Raises NotUnderstood."""
    first, last, duration = (_only(event, name) for name in ("DTSTART", "DTEND", "DURATION"))
    if first is None:
        raise NotUnderstood("DTSTART is missing.")
    with named("DTSTART"):
        day = first.params.get("VALUE", "").upper() == "DATE" and last is None and duration is None
        start = _stamp(first, _TIME.sub("", first.value.strip()) if day else first.value, zones)
    yield start.line("DTSTART")
    if last is not None:
        with named("DTEND"):
            end = _stamp(last, last.value, zones)
            if _is_before(end, start, zones):
                raise NotUnderstood("is before DTSTART")
        yield end.line("DTEND")
    elif duration is not None:
        if event.first("REPEAT") is not None:
            raise NotUnderstood("An alarm in the event has lost its beginning (BEGIN:VALARM).")
        with named("DURATION"):
            read_length(duration.value.strip().upper())
        yield f"DURATION:{duration.value.strip().upper()}"


def _only(event: Component, name: str) -> Line | None:
    """Return a property that may be there once; of two that differ none can be chosen. Raises NotUnderstood."""
    lines = event.every(name)
    if len(lines) > 1 and any(line != lines[0] for line in lines):
        raise NotUnderstood(f"{name} is there twice, and the two differ.")
    return lines[0] if lines else None


def _is_before(end: _Stamp, start: _Stamp, zones: Zones) -> bool:
    """Compare on one wall clock where there is one; a floating and a fixed time may lie a day apart."""
    if end.params == start.params and end.written.endswith("Z") == start.written.endswith("Z"):
        return end.written < start.written
    fixed = [stamp.written.endswith("Z") or "TZID=" in stamp.params for stamp in (end, start)]
    doubt = timedelta(days=0 if fixed[0] == fixed[1] else 1)
    return _instant(start, zones) - _instant(end, zones) > doubt


def _instant(stamp: _Stamp, zones: Zones) -> datetime:
    zone = zones.zone(stamp.params)
    moment = read_moment(stamp.written, zone)
    return to_utc(moment if isinstance(moment, datetime) else midnight(moment, zone))


def _dates(line: Line, zones: Zones) -> Iterator[str]:
    """Spell an RDATE or EXDATE, one line for each kind of value in it. Raises NotUnderstood."""
    kinds: dict[str, list[str]] = {}
    with named(line.name):
        for written in filter(str.strip, line.value.split(",")):
            begin, slash, end = written.strip().upper().partition("/")
            stamp = _period(line, begin, end, zones) if slash else _stamp(line, begin, zones)
            kinds.setdefault(stamp.params, []).append(stamp.written)
    yield from (f"{line.name}{params}:{','.join(values)}" for params, values in kinds.items())


def _period(line: Line, begin: str, end: str, zones: Zones) -> _Stamp:
    """Spell an RDATE's PERIOD, from time to time or from a time for a duration (RFC 5545 §3.3.9)."""
    start = stop = _stamp(line, begin, zones)
    if end.startswith(("P", "+", "-")):
        read_length(end)
    else:
        stop = _stamp(line, end, zones)
        end = stop.written
    if line.name != "RDATE" or ";VALUE=DATE" in (start.params, stop.params):
        raise NotUnderstood("has a period where a date or a time is expected")
    return _Stamp(f";VALUE=PERIOD{start.params}", f"{start.written}/{end}")


def _facts(event: Component, own: frozenset[str]) -> Iterator[str]:
    """Yield what decides whether it blocks, and whether it is ours."""
    yield from _word(event, "TRANSP")
    yield from _word(event, "STATUS")
    sequence = event.first("SEQUENCE")
    if sequence is not None and _SEQUENCE.fullmatch(sequence.value.strip()):
        yield f"SEQUENCE:{int(sequence.value)}"
    yield from _word(event, BUSY_STATUS)
    partstat = _own_partstat(event, own)
    if partstat is not None:
        yield f"{PARTSTAT}:{partstat}"
    booking = event.first(BOOKING)
    if booking is not None and _BOOKING_ID.fullmatch(booking.value.strip()):
        yield f"{BOOKING}:{booking.value.strip()}"


def _word(event: Component, name: str) -> Iterator[str]:
    """Yield a property whose value is one of few words; any other is as if it weren't there."""
    line = event.first(name)
    if line is not None and line.value.strip().upper() in _WORDS[name]:
        yield f"{name}:{line.value.strip().upper()}"


def _own_partstat(event: Component, own: frozenset[str]) -> str | None:
    attendees = event.every("ATTENDEE")
    reduced = event.first(PARTSTAT)
    if not attendees and reduced is not None:
        return _partstat(reduced.value)
    ours = [line for line in attendees if {_address(line.value), _address(line.params.get("EMAIL", ""))} & own]
    return min((_partstat(line.params.get("PARTSTAT", "")) for line in ours), key=_PARTSTATS.index, default=None)


def _partstat(written: str) -> str:
    """Read a PARTSTAT; one that isn't known is NEEDS-ACTION (RFC 5545 §3.2.12)."""
    word = written.strip().upper()
    return word if word in _PARTSTATS else "NEEDS-ACTION"


def _address(written: str) -> str:
    return written.strip().casefold().removeprefix("mailto:").strip()


_LONGEST_UID = 500


def _uid(event: Component) -> str:
    """Return the UID, or what stands for one too long to be kept."""
    line = event.first("UID")
    uid = _CONTROL.sub("", unescaped(line.value)).strip() if line is not None else ""
    return uid if len(uid) <= _LONGEST_UID else f"uid-{sha256(uid.encode('utf-8', 'replace')).hexdigest()}"


def _shown_start(event: Component) -> str | None:
    """Return DTSTART as written, unless it could be prose."""
    line = event.first("DTSTART")
    written = line.value.strip() if line is not None else ""
    return written if _SHOWABLE_START.fullmatch(written) else None
