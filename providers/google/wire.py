"""Google's events ↔ the model: pure, text in and text out.

Decides what of an event is asked for at all (`fields`: no title, description, place, or attendee but oneself), how one
comes down to its timing skeleton, and which fields of ours are written. Refuses to know HTTP and what blocks: what an
event says is put in the words of RFC 5545, and `providers.ical` reads those.

| Google says                                  | the skeleton says |
|----------------------------------------------|-------------------|
| `status` confirmed, tentative, cancelled      | STATUS            |
| `transparency` opaque, transparent            | TRANSP            |
| `responseStatus` of the attendee who is `self`| own PARTSTAT      |
| `eventType` workingLocation, birthday         | free: they say where someone is, or what day it is |
| `eventType` outOfOffice, focusTime, fromGmail and all others | busy, as far as `transparency` has it so |
| `start.date`                                  | a DATE, in the calendar's zone |

Documented in "Events" and "Recurring events" of the Calendar API's reference and guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from providers import ical
from providers.errors import InvalidResponse
from providers.ical_events import BUSY_STATUS, PARTSTAT
from providers.ical_text import escaped
from providers.ical_values import NotUnderstood, in_zone, midnight, to_utc
from providers.ical_write import BOOKING, plain_text
from providers.ical_zones import zone_named
from providers.model import Attendee, ConsultationEvent, EventRef, RemoteEvent, Unreadable, WrittenEvent
from providers.zone_names import iana_name

PROPERTY, SEQUENCE, INVITED = "syncdBooking", "syncdSequence", "syncdInvited"
"""Private extended properties of our events: whose they are, how often they were moved, and whether someone was invited
to them by us. Keys of more than 44 characters would be dropped without a word."""

EVENT_FIELDS = (
    "id,iCalUID,etag,status,start,end,recurrence,recurringEventId,originalStartTime,transparency,eventType,"
    "attendees(self,responseStatus),extendedProperties/private"
)
LIST_FIELDS = f"nextPageToken,nextSyncToken,timeZone,items({EVENT_FIELDS})"
WRITTEN_FIELDS = (
    "id,iCalUID,etag,status,start,end,htmlLink,hangoutLink,conferenceData(createRequest/status,entryPoints),"
    "extendedProperties/private"
)

_PARTSTATS = {
    "needsAction": "NEEDS-ACTION",
    "declined": "DECLINED",
    "tentative": "TENTATIVE",
    "accepted": "ACCEPTED",
}
_FREE_KINDS = frozenset({"workingLocation", "birthday"})
_RULE = re.compile(r"(RRULE|EXRULE|RDATE|EXDATE)[;:][^\r\n]*", re.IGNORECASE)
_OF_INSTANCE = re.compile(r".+_(\d{8})(?:T(\d{6})Z)?", re.ASCII)
_LONGEST_DESCRIPTION = 8_000  # 8,192 are allowed
_LONGEST_VALUE = 1_024  # of an extended property: more is cut off without a word


@dataclass(frozen=True, slots=True)
class Read:
    """What an item comes down to: an event, something that can't be understood, or one that is gone (neither)."""

    remote_id: str
    etag: str
    event: RemoteEvent | None = None
    unreadable: tuple[Unreadable, ...] = ()


def read(item: Mapping[str, Any], tz: str | None) -> Read:
    """Reduce an item of a list to its timing; `tz` is the calendar's zone (IANA). Never raises."""
    remote_id, etag = item.get("id"), item.get("etag")
    if not isinstance(remote_id, str) or not remote_id:
        return Read("", "", None, (Unreadable("", "", "An event has no id."),))
    etag = etag if isinstance(etag, str) else ""
    try:
        return _read(item, remote_id, etag, tz)
    except NotUnderstood as error:
        reason = str(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        reason = "It is not shaped as an event."
    return Read(remote_id, etag, None, (Unreadable(remote_id, etag, reason, _uid(item), _shown(item)),))


def _read(item: Mapping[str, Any], remote_id: str, etag: str, tz: str | None) -> Read:
    if is_cancelled(item) and not item.get("recurringEventId"):
        return Read(remote_id, etag)
    text = "\r\n".join(_lines(item, remote_id, tz))
    reduced = ical.reduce(text, remote_id=remote_id, etag=etag, own_addresses=frozenset())
    event = reduced.event and replace(reduced.event, series_id=_series_of(item, remote_id))
    return Read(remote_id, etag, event, reduced.unreadable)


def _series_of(item: Mapping[str, Any], remote_id: str) -> str:
    """The master's id; a master is of its own series, even before anyone knows of an override."""
    master = item.get("recurringEventId")
    if isinstance(master, str) and master:
        return master
    return remote_id if item.get("recurrence") else ""


def _uid(item: Mapping[str, Any]) -> str | None:
    """The UID on one line, as what follows it must not be read as more of the event."""
    uid = item.get("iCalUID")
    return "".join(filter(str.isprintable, uid)) or None if isinstance(uid, str) else None


def _shown(item: Mapping[str, Any]) -> str | None:
    start = item.get("start")
    shown = start.get("dateTime") or start.get("date") if isinstance(start, Mapping) else None
    return shown if isinstance(shown, str) and re.fullmatch(r"[0-9TZ:+.-]{1,32}", shown, re.ASCII) else None


def _lines(item: Mapping[str, Any], remote_id: str, tz: str | None) -> Iterator[str]:
    """Yield the event as iCalendar. Raises NotUnderstood."""
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", f"UID:{escaped(_uid(item) or remote_id)}")
    rules = [_rule(line) for line in item.get("recurrence") or ()]
    if item.get("recurringEventId"):
        original = _original(item, remote_id)
        yield f"RECURRENCE-ID{original}"
        if is_cancelled(item):  # an instance that was removed: its own times are not always told
            yield from (f"DTSTART{original}", "STATUS:CANCELLED", "END:VEVENT", "END:VCALENDAR", "")
            return
    stamp = partial(_on_the_clock, tz=tz) if rules else _stamp
    yield f"DTSTART{stamp(item.get('start'), 'start')}"
    yield f"DTEND{stamp(item.get('end'), 'end')}"
    yield from rules
    yield from _facts(item)
    yield from ("END:VEVENT", "END:VCALENDAR", "")


def _rule(line: object) -> str:
    if not isinstance(line, str) or not _RULE.fullmatch(line):
        raise NotUnderstood("recurrence holds something that is no rule.")
    return line


def _facts(item: Mapping[str, Any]) -> Iterator[str]:
    if item.get("status") == "tentative":
        yield "STATUS:TENTATIVE"
    if item.get("transparency") == "transparent":
        yield "TRANSP:TRANSPARENT"
    if item.get("eventType") in _FREE_KINDS:
        yield f"{BUSY_STATUS}:FREE"
    own = [one.get("responseStatus") for one in item.get("attendees") or () if one.get("self")]
    yield from (f"{PARTSTAT}:{_PARTSTATS.get(str(said), 'NEEDS-ACTION')}" for said in own[:1])
    booking = _private(item).get(PROPERTY, "")
    if booking.isprintable() and booking:
        yield f"{BOOKING}:{escaped(booking)}"


def _private(item: Mapping[str, Any]) -> Mapping[str, str]:
    properties = item.get("extendedProperties")
    private = properties.get("private") if isinstance(properties, Mapping) else None
    if not isinstance(private, Mapping):
        return {}
    return {name: value for name, value in private.items() if isinstance(value, str)}


def _original(item: Mapping[str, Any], remote_id: str) -> str:
    """Which instance an override replaces: as it is told, else as its id has it. Raises NotUnderstood."""
    told = item.get("originalStartTime")
    if isinstance(told, Mapping):
        return _stamp(told, "originalStartTime")
    match = _OF_INSTANCE.fullmatch(remote_id)
    if match is None:
        raise NotUnderstood("originalStartTime is missing.")
    return f":{match[1]}T{match[2]}Z" if match[2] else f";VALUE=DATE:{match[1]}"


def _stamp(told: object, name: str) -> str:
    """Spell a date, or a time as an instant in UTC. Raises NotUnderstood."""
    if not isinstance(told, Mapping):
        raise NotUnderstood(f"{name} is missing.")
    if isinstance(told.get("date"), str):
        return f";VALUE=DATE:{_date(told['date'], name):%Y%m%d}"
    return f":{_instant(_time(told, name), told.get('timeZone'), name):%Y%m%dT%H%M%SZ}"


def _on_the_clock(told: object, name: str, tz: str | None) -> str:
    """Spell a start or an end of a series: on the clock of the zone it names, else of the calendar's, as it recurs.

    Raises NotUnderstood.
    """
    if not isinstance(told, Mapping) or "dateTime" not in told:
        return _stamp(told, name)
    at, zone = _time(told, name), _zone(told.get("timeZone") or tz, name)
    wall = in_zone(at, ZoneInfo(zone)) if at.tzinfo else at
    return f":{wall:%Y%m%dT%H%M%SZ}" if zone == "UTC" else f";TZID={zone}:{wall:%Y%m%dT%H%M%S}"


def _date(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotUnderstood(f"{name} is no date.") from None


def _time(told: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromisoformat(told["dateTime"])
    except (ValueError, LookupError, TypeError):
        raise NotUnderstood(f"{name} is no time.") from None


def _instant(at: datetime, zone: object, name: str) -> datetime:
    """The instant in UTC; a time without an offset is on the clock of the zone it names."""
    return to_utc(at if at.tzinfo else at.replace(tzinfo=ZoneInfo(_zone(zone, name))))


def _zone(name: object, of: str) -> str:
    known = iana_name(name) if isinstance(name, str) else None
    if known is None or zone_named(known) is None:
        raise NotUnderstood(f"The time zone of {of} is not known.")
    return known


# What is ours


def event_id(idempotency_key: str) -> str:
    """The id of the event that is made with a key: 5 to 1,024 of a–v and 0–9, the same for the same key."""
    return f"bkg{sha256(idempotency_key.encode()).hexdigest()[:40]}"


def new_event(event: ConsultationEvent, idempotency_key: str, *, with_link: bool) -> dict[str, Any]:
    """A consultation as it is inserted."""
    body: dict[str, Any] = {"id": event_id(idempotency_key), **changed_event(event)}
    body["start"], body["end"] = _at(event.start_at), _at(event.end_at)
    body["description"] = _description(event.description)
    if event.attendee is not None:
        body["attendees"] = [_attendee(event.attendee)]
        body["extendedProperties"]["private"][INVITED] = "yes"
    if with_link:
        key = {"type": "hangoutsMeet"}
        body["conferenceData"] = {
            "createRequest": {"requestId": event_id(idempotency_key), "conferenceSolutionKey": key}
        }
    return body


def changed_event(event: ConsultationEvent) -> dict[str, Any]:
    """The fields of ours as a patch: what isn't named stays, arrays and a cancelled `status` among it.

    A person may have made it an all-day event: then `date` has to go for `dateTime` to be taken.
    """
    body: dict[str, Any] = {
        "summary": plain_text(event.title),
        "start": {**_at(event.start_at), "date": None},
        "end": {**_at(event.end_at), "date": None},
        "extendedProperties": {"private": {PROPERTY: event.booking_id[:_LONGEST_VALUE], SEQUENCE: str(event.sequence)}},
    }
    if event.location is not None:
        body["location"] = plain_text(event.location)
    return body


def _at(moment: datetime) -> dict[str, Any]:
    return {"dateTime": instant(moment)}


def instant(moment: datetime) -> str:
    """An instant as Google takes it: RFC 3339, in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _description(text: str) -> str:
    """Google shows a description as HTML, which nothing that a client wrote may be."""
    plain = plain_text(text)[:_LONGEST_DESCRIPTION]
    return escape(plain, quote=False) if "<" in plain else plain


def _attendee(attendee: Attendee) -> dict[str, str]:
    return {"email": attendee.email, **({"displayName": attendee.name} if attendee.name else {})}


def is_cancelled(item: Mapping[str, Any]) -> bool:
    """Whether an event was deleted: reading it by its id shows it all the same."""
    return item.get("status") == "cancelled"


def written(item: Mapping[str, Any], calendar: str, tz: str | None) -> WrittenEvent:
    """One of our events as Google has it; `tz` is the calendar's zone, for one that was made all-day.

    Raises InvalidResponse for what can't be understood.
    """
    private, zone = _private(item), ZoneInfo(tz or "UTC")
    try:
        start, end = (_moment(item.get(name), name, zone) for name in ("start", "end"))
    except NotUnderstood as error:
        raise InvalidResponse(str(error), calendar=calendar, remote_id=str(item.get("id"))) from None
    counted = private.get(SEQUENCE, "")
    return WrittenEvent(
        ref=ref_of(item, calendar),
        start_at=start,
        end_at=end,
        sequence=int(counted) if counted.isascii() and counted.isdigit() and len(counted) < 10 else 0,
        status=str(item.get("status", "confirmed")).upper(),
        booking_id=private.get(PROPERTY),
    )


def _moment(told: object, name: str, zone: ZoneInfo) -> datetime:
    if isinstance(told, Mapping) and isinstance(told.get("date"), str):
        return to_utc(midnight(_date(told["date"], name), zone))
    if not isinstance(told, Mapping):
        raise NotUnderstood(f"{name} is missing.")
    return _instant(_time(told, name), told.get("timeZone") or zone.key, name)


def ref_of(item: Mapping[str, Any], calendar: str) -> EventRef:
    """Where an event of ours is, with its meeting link. Raises InvalidResponse for what is no event."""
    remote_id = item.get("id")
    if not isinstance(remote_id, str):
        raise InvalidResponse("Google's answer holds no event", calendar=calendar)
    link, pending = _link(item)
    shown, etag = item.get("htmlLink"), item.get("etag")
    return EventRef(
        calendar=calendar,
        remote_id=remote_id,
        uid=_uid(item) or remote_id,
        etag=etag if isinstance(etag, str) else None,
        html_link=shown if isinstance(shown, str) else None,
        join_url=link,
        link_pending=pending and link is None,
        invited=_private(item).get(INVITED) == "yes",
    )


def _link(item: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The meeting link, and whether it is still being made ("Create events", conferenceData)."""
    data = _object(item, "conferenceData")
    told = data.get("entryPoints")
    points = [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    video = next((one.get("uri") for one in points if one.get("entryPointType") == "video"), None)
    link = item.get("hangoutLink") or video
    status = _object(_object(data, "createRequest"), "status").get("statusCode")
    return (link if isinstance(link, str) and link.startswith("https://") else None), status == "pending"


def _object(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that is an object, or an empty one."""
    found = told.get(name)
    return found if isinstance(found, Mapping) else {}
