"""iCalendar text ↔ items of the fake Google server, so that one test of the port can be about both.

`items_of` writes what another client's text means as Google would hold it: a series and its overrides are items of
their own, a text that no zone or time can be made of becomes an item that nobody can read. `text_of` writes an item as
the text that `items_of` would make it of again; what Google has no field for is kept in shared extended properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from fake_google_schema import Json
from fake_google_times import instant

Line = tuple[str, dict[str, str], str]
_TEXTS = {"SUMMARY": "summary", "LOCATION": "location", "DESCRIPTION": "description"}
_WORDS = {"STATUS": "status", "TRANSP": "transparency"}
_RULES = ("RRULE", "EXRULE", "RDATE", "EXDATE")
_KNOWN = (*_TEXTS, *_WORDS, *_RULES, "UID", "DTSTAMP", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE")
_LENGTH = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def item_id(uid: str) -> str:
    """The id of the item that another client's event has."""
    return f"ics{sha256(uid.encode()).hexdigest()[:32]}"


def items_of(text: str, named: str) -> list[Json]:
    """The items that a text means: the series first, then its overrides; none where it has no event."""
    lines = [_line(one) for one in re.sub(r"\r?\n[ \t]", "", text).splitlines() if one]
    events = [_item(part, named) for part in _components(lines, "VEVENT")]
    return sorted(events, key=lambda one: "recurringEventId" in one)


def _line(text: str) -> Line:
    head, _, value = text.partition(":")
    name, *parameters = head.split(";")
    return name.upper(), dict(one.partition("=")[::2] for one in parameters), value


def _components(lines: list[Line], kind: str) -> Iterator[list[Line]]:
    first = 0
    for number, (name, _, value) in enumerate(lines):
        if (name, value) == ("BEGIN", kind):
            first = number + 1
        elif (name, value) == ("END", kind):
            yield lines[first:number]


def _item(part: list[Line], named: str) -> Json:
    alarms = list(_components(part, "VALARM"))
    own = _outside(part)
    found = {name: (parameters, value) for name, parameters, value in own}
    uid = found["UID"][1]
    body: Json = {"iCalUID": uid, "id": named, **_times(found)}
    body |= {field: _plain(found[name][1]) for name, field in _TEXTS.items() if name in found}
    body |= {field: found[name][1].lower() for name, field in _WORDS.items() if name in found}
    if "SEQUENCE" in found:
        body["sequence"] = int(found["SEQUENCE"][1])
    if "RECURRENCE-ID" in found:
        original = _moment(*found["RECURRENCE-ID"])
        stamp = (
            original["date"].replace("-", "") if "date" in original else f"{instant(original, 'UTC'):%Y%m%dT%H%M%SZ}"
        )
        body |= {"id": f"{named}_{stamp}", "recurringEventId": named, "originalStartTime": original}
    rules = [_written(line) for line in own if line[0] in _RULES]
    return body | ({"recurrence": rules} if rules else {}) | _people(own) | _reminders(alarms) | _kept(own)


def _outside(part: list[Line]) -> list[Line]:
    depth, kept = 0, []
    for line in part:
        depth += line[0] == "BEGIN"
        if depth == 0:
            kept.append(line)
        depth -= line[0] == "END"
    return kept


def _written(line: Line) -> str:
    name, parameters, value = line
    return "".join([name, *(f";{key}={one}" for key, one in parameters.items()), ":", value])


# Times


def _times(found: dict[str, tuple[dict[str, str], str]]) -> Json:
    if "DTSTART" not in found:
        return {}
    start = _moment(*found["DTSTART"])
    if "RRULE" in found or "RDATE" in found:
        start = start if "date" in start else {"timeZone": "UTC", **start}
    if "DTEND" in found:
        end = _moment(*found["DTEND"])
        return {"start": start, "end": end | {key: start[key] for key in ("timeZone",) if key in start}}
    return {"start": start, "end": _later(start, found.get("DURATION", ({}, ""))[1])}


def _moment(parameters: dict[str, str], value: str) -> Json:
    if len(value) == 8:
        return {"date": f"{value[:4]}-{value[4:6]}-{value[6:]}"}
    read = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(Z?)", value)
    if read is None:
        return {"dateTime": value}  # nobody can read it
    at = f"{read[1]}-{read[2]}-{read[3]}T{read[4]}:{read[5]}:{read[6]}{read[7]}"
    return {"dateTime": at} if read[7] else {"dateTime": at, "timeZone": parameters.get("TZID", "Floating")}


def _later(start: Json, length: str) -> Json:
    match = _LENGTH.fullmatch(length)
    weeks, days, hours, minutes, seconds = (int(one or 0) for one in match.groups()) if match else (0, 0, 0, 0, 0)
    more = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if "date" in start:
        more = more or timedelta(days=1)
        return {"date": (datetime.fromisoformat(start["date"]) + more).date().isoformat()}
    try:
        return start | {"dateTime": (datetime.fromisoformat(start["dateTime"]) + more).isoformat()}
    except ValueError:
        return dict(start)


# Everything else


def _people(own: list[Line]) -> Json:
    guests = [_guest(parameters, value) for name, parameters, value in own if name == "ATTENDEE"]
    organizers = [_guest(parameters, value) for name, parameters, value in own if name == "ORGANIZER"]
    told: Json = {"attendees": guests} if guests else {}
    if organizers:
        told["organizer"] = {key: one for key, one in organizers[0].items() if key != "responseStatus"}
    return told


def _guest(parameters: dict[str, str], value: str) -> Json:
    said = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}
    guest = {"email": value.removeprefix("mailto:"), "displayName": parameters.get("CN", "")}
    return guest | {"responseStatus": said.get(parameters.get("PARTSTAT", ""), "needsAction")}


def _reminders(alarms: list[list[Line]]) -> Json:
    triggers = [value for part in alarms for name, _, value in part if name == "TRIGGER"]
    minutes = [int(one) for value in triggers for one in re.findall(r"^-PT(\d+)M$", value)]
    overrides = [{"method": "popup", "minutes": one} for one in minutes]
    return {"reminders": {"useDefault": False, "overrides": overrides}} if overrides else {}


def _kept(own: list[Line]) -> Json:
    others = {line[0].lower(): _written(line) for line in own if line[0] not in (*_KNOWN, "ATTENDEE", "ORGANIZER")}
    return {"extendedProperties": {"shared": others}} if others else {}


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], text)


def _escaped(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", text).replace("\n", "\\n")


def text_of(items: Iterable[Json]) -> str:
    """A series with its overrides, or a single event, as text."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Google Inc//EN"]
    lines += [line for item in items for line in _lines(item)]
    return "".join(f"{line}\r\n" for line in (*lines, "END:VCALENDAR"))


def _lines(item: Json) -> Iterator[str]:
    yield from ("BEGIN:VEVENT", f"UID:{item['iCalUID']}", "DTSTAMP:20261101T120000Z")
    for name, field in (("DTSTART", "start"), ("DTEND", "end"), ("RECURRENCE-ID", "originalStartTime")):
        if field in item:
            yield _shown(name, item[field])
    yield from item.get("recurrence", ())
    yield from (f"{name}:{_escaped(item[field])}" for name, field in _TEXTS.items() if field in item)
    yield from (f"{name}:{item[field].upper()}" for name, field in _WORDS.items() if field in item)
    yield f"SEQUENCE:{item.get('sequence', 0)}"
    if not item.get("organizer", {"self": True}).get("self"):
        yield f"ORGANIZER:mailto:{item['organizer']['email']}"
    yield from (f"ATTENDEE:mailto:{one['email']}" for one in item.get("attendees", ()))
    yield from item.get("extendedProperties", {}).get("shared", {}).values()
    for one in item.get("reminders", {}).get("overrides", ()):
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"TRIGGER:-PT{one['minutes']}M", "END:VALARM")
    yield "END:VEVENT"


def _shown(name: str, moment: Json) -> str:
    if "date" in moment:
        return f"{name};VALUE=DATE:{moment['date'].replace('-', '')}"
    try:
        at, zone = instant(moment, "UTC"), moment.get("timeZone", "UTC")
    except (ValueError, LookupError):
        return f"{name};TZID={moment.get('timeZone', '')}:{moment['dateTime']}"
    if zone == "UTC":
        return f"{name}:{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return f"{name};TZID={zone}:{at.astimezone(ZoneInfo(zone)):%Y%m%dT%H%M%S}"


def changed(old: Json, new: Json) -> Json:
    """An item after its text was edited: what text doesn't tell stays as it was."""
    told: dict[str, Any] = {**old, **new}
    private = old.get("extendedProperties", {}).get("private")
    if private:
        told["extendedProperties"] = {"private": private, **new.get("extendedProperties", {})}
    return told
