"""iCalendar, written: one VEVENT for a consultation, and the smallest change to one that exists.

Decides which properties are ours and how they are spelled. Refuses to touch anything else: what a person, a server or
another program put into the event stays, byte for byte and in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from icalendar import Calendar, Event, vText
from icalendar.parser import Contentline, Parameters

from providers.errors import InvalidResponse
from providers.model import ConsultationEvent

PRODID = "-//syncd//syncd//EN"
BOOKING = "X-SYNCD-BOOKING"

_FOLDED_LINE = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*(?:\n|$)")
_UNFOLD = re.compile(rb"\r*\n[ \t]")
_NAME = re.compile(rb"\s*([A-Za-z0-9-]+)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def write_event(event: ConsultationEvent, uid: str) -> bytes:
    """Return a new calendar object for a consultation.

    Times are in UTC and DTEND is always there, as some servers lose zones or refuse an event without an end. There is
    no ORGANIZER or ATTENDEE, so no server mails anyone.
    """
    calendar, vevent = Calendar(), Event()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", PRODID)
    vevent.add("UID", uid)
    for name, value in _ours(event, event.sequence):
        vevent[name] = vText(value)
    vevent["DESCRIPTION"] = vText(plain_text(event.description))
    vevent["TRANSP"] = vText("OPAQUE")
    calendar.add_component(vevent)
    return bytes(calendar.to_ical())


def change_event(existing: bytes, event: ConsultationEvent) -> bytes:
    """Return the object with our fields as the consultation has them now, and everything else as it was.

    The VEVENT without RECURRENCE-ID is changed. DESCRIPTION stays, LOCATION too where the consultation has none;
    DURATION gives way to DTEND. SEQUENCE is the greater of the written and ours: it never goes down, and a change sent
    twice doesn't raise it twice. Raises InvalidResponse where there is no such VEVENT.
    """
    lines = _FOLDED_LINE.findall(existing)
    begin, end = _master(lines)
    own = _own_lines(lines, begin, end)
    written = max((_integer(lines[index]) for index in own if _name(lines[index]) == "SEQUENCE"), default=0)
    fields = dict(_ours(event, max(written, event.sequence)))
    ending = b"\r\n" if lines[begin].endswith(b"\r\n") else b"\n"
    replaced: dict[int, bytes] = {}
    left = dict(fields)
    for index in own:
        name = _name(lines[index])
        if name in fields or name == "DURATION":
            replaced[index] = _content_line(name, left.pop(name), ending) if name in left else b""
    foot = next((index for index in range(begin + 1, end) if _name(lines[index]) == "BEGIN"), end)
    added = b"".join(_content_line(name, value, ending) for name, value in left.items())
    changed = (replaced.get(index, line) for index, line in enumerate(lines[:foot]))
    rest = (replaced.get(index, line) for index, line in enumerate(lines[foot:], foot))
    return b"".join(changed) + added + b"".join(rest)


def _ours(event: ConsultationEvent, sequence: int) -> Iterator[tuple[str, str]]:
    """Yield the properties that are ours, in the order in which missing ones are added."""
    stamp = _utc(event.updated_at)
    yield "DTSTAMP", stamp
    yield "LAST-MODIFIED", stamp
    yield "DTSTART", _utc(event.start_at)
    yield "DTEND", _utc(event.end_at)
    yield "SUMMARY", plain_text(event.title)
    if event.location is not None:
        yield "LOCATION", plain_text(event.location)
    yield "STATUS", "CONFIRMED"
    yield "SEQUENCE", str(sequence)
    yield BOOKING, event.booking_id


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def plain_text(text: str) -> str:
    """Leave out what TEXT may not hold (RFC 5545 §3.3.11): control characters except tab and line feed."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def _content_line(name: str, value: str, ending: bytes) -> bytes:
    line = Contentline.from_parts(name, Parameters(), vText(value))
    return bytes(line.to_ical()).replace(b"\r\n", ending) + ending


def _name(line: bytes) -> str:
    match = _NAME.match(_UNFOLD.sub(b"", line))
    return match[1].decode("ascii").upper() if match else ""


def _value(line: bytes) -> str:
    return _UNFOLD.sub(b"", line).partition(b":")[2].strip().decode("utf-8", "replace")


def _integer(line: bytes) -> int:
    digits = _value(line)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _master(lines: list[bytes]) -> tuple[int, int]:
    """Return where the VEVENT without RECURRENCE-ID begins and ends. Raises InvalidResponse."""
    begin = None
    for index, line in enumerate(lines):
        edge = _name(line) in ("BEGIN", "END") and _value(line).upper() == "VEVENT"
        if edge and _name(line) == "BEGIN":
            begin = index
        elif edge and begin is not None:
            if not any(_name(lines[own]) == "RECURRENCE-ID" for own in _own_lines(lines, begin, index)):
                return begin, index
            begin = None
    raise InvalidResponse("The resource no longer holds the event: no VEVENT without RECURRENCE-ID.")


def _own_lines(lines: list[bytes], begin: int, end: int) -> list[int]:
    """Return the lines of a component that aren't inside another one, such as an alarm."""
    own, depth = [], 0
    for index in range(begin + 1, end):
        name = _name(lines[index])
        depth += (name == "BEGIN") - (name == "END")
        if depth == 0 and name not in ("BEGIN", "END"):
            own.append(index)
    return own
