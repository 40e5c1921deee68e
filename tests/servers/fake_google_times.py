"""Times of the fake Google server: how they are read, shown and repeated.

Documented (API reference, Events): an answer's times are in the zone of the calendar, or in that of `timeZone`; a
recurring event has `start.timeZone`; all-day events have dates, which are days of the calendar's zone; `recurrence` has
lines of RFC 5545. Documented (guide "Recurring events"): an instance has an id of its own, its `recurringEventId` and
its `originalStartTime`. Reported: that the id is `<series>_<start in UTC>`, `_<date>` for all-day events.
Rules are expanded by dateutil, not by the code under test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr
from fake_google_schema import Json, invalid

MOST_INSTANCES = 750  # of one series in one answer
Span = tuple[datetime, datetime]


def instant(moment: Json, tz: str) -> datetime:
    """The UTC instant of a start or an end; a date is the midnight of its zone. Raises ValueError, LookupError."""
    if moment.get("date"):
        return datetime.combine(date.fromisoformat(moment["date"]), datetime.min.time(), ZoneInfo(tz)).astimezone(UTC)
    at = datetime.fromisoformat(moment["dateTime"])
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(moment["timeZone"]))).astimezone(UTC)


def parsed(text: str) -> datetime:
    """An instant as a parameter has it; fractions of seconds are ignored."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)


def is_zone(name: str) -> bool:
    """Whether this is the name of a zone."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def check_zone(name: str) -> None:
    """Refuse what is no zone. Raises Refusal 400."""
    if not is_zone(name):
        raise invalid("Invalid time zone.", "timeZone")


def span(body: Json, tz: str) -> Span:
    """When an event starts and ends."""
    return instant(body["start"], tz), instant(body["end"], tz)


def written(at: datetime, tz: str = "UTC") -> str:
    """An instant as answers have it."""
    text = at.astimezone(ZoneInfo(tz)).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def shown(moment: Json, tz: str) -> Json:
    """A start or an end in the zone of the answer; what can't be read stays as it was written."""
    if moment.get("date"):
        return {"date": moment["date"]}
    zone = {"timeZone": moment["timeZone"]} if moment.get("timeZone") else {}
    try:
        return {"dateTime": written(instant(moment, tz), tz), **zone}
    except (ValueError, LookupError, OSError):
        return {"dateTime": moment.get("dateTime"), **zone}


# Series


def starts(master: Json, after: datetime | None = None, before: datetime | None = None) -> list[date | datetime]:
    """The starts of a series' instances by its rules: dates, or instants of its zone."""
    all_day, zone = "date" in master["start"], _zone(master)
    rules = _rules(master, all_day, zone)
    found: list[date | datetime] = []
    for at in rules:
        local = at if at.tzinfo else at.replace(tzinfo=UTC)
        if (before and local >= before) or len(found) >= MOST_INSTANCES:
            break
        if after is None or local >= after:
            found.append(at.date() if all_day else at)
    return found


def _zone(master: Json) -> ZoneInfo:
    return ZoneInfo(master["start"].get("timeZone") or "UTC")


def _first(master: Json, all_day: bool, zone: ZoneInfo) -> datetime:
    if all_day:
        return datetime.fromisoformat(master["start"]["date"])
    return instant(master["start"], "UTC").astimezone(zone)


def _rules(master: Json, all_day: bool, zone: ZoneInfo) -> rruleset:
    first, rules = _first(master, all_day, zone), rruleset()
    rules.rdate(first)
    for line in master["recurrence"]:
        name, _, value = line.partition(":")
        kind = name.partition(";")[0].upper()
        if kind in ("RRULE", "EXRULE"):
            getattr(rules, kind.lower())(rrulestr(_until_in_utc(value, all_day), dtstart=first))
        elif kind in ("RDATE", "EXDATE"):
            for one in value.split(","):
                getattr(rules, kind.lower())(_moment(one.partition("/")[0], name, all_day, zone))
        else:
            raise ValueError(f"{kind} isn't a line of a recurrence")
    return rules


def _until_in_utc(rule: str, all_day: bool) -> str:
    if all_day:
        return re.sub(r"(UNTIL=\d{8})T\w+", r"\1", rule)
    return re.sub(r"(UNTIL=\d{8})(?=;|$)", r"\1T235959Z", rule)


def _moment(text: str, name: str, all_day: bool, zone: ZoneInfo) -> datetime:
    if all_day:
        return datetime.strptime(text[:8], "%Y%m%d")  # noqa: DTZ007 - a day has no zone
    if len(text) == 8:  # a day alone means the instance of that day at its hour: nothing here writes such
        text += "T000000"
    named = re.search(r"TZID=([^;:]+)", name)
    own = ZoneInfo(named[1]) if named else zone
    at = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    return at.replace(tzinfo=UTC if text.endswith("Z") else own).astimezone(zone)


def stamp(original: Json, tz: str = "UTC") -> str:
    """What the id of an instance ends with."""
    if original.get("date"):
        return str(original["date"]).replace("-", "")
    return instant(original, tz).strftime("%Y%m%dT%H%M%SZ")


def instance(master: Json, start: date | datetime) -> Json:
    """One instance of a series as its rules make it."""
    length = instant(master["end"], "UTC") - instant(master["start"], "UTC")
    own = {name: value for name, value in master.items() if name not in ("recurrence", "conferenceData")}
    begins, ends = _moments(master, start, length)
    own |= {"start": begins, "end": ends, "originalStartTime": begins, "recurringEventId": master["id"]}
    return own | {"id": f"{master['id']}_{stamp(begins)}"}


def _moments(master: Json, start: date | datetime, length: timedelta) -> tuple[Json, Json]:
    if not isinstance(start, datetime):
        return {"date": start.isoformat()}, {"date": (start + length).isoformat()}
    zone = {"timeZone": master["start"].get("timeZone", "UTC")}
    end = (start.astimezone(UTC) + length).astimezone(start.tzinfo)
    return {"dateTime": start.isoformat(), **zone}, {"dateTime": end.isoformat(), **zone}


def series_of(item_id: str) -> tuple[str, str] | None:
    """The id of the series and the stamp, if an id is that of an instance."""
    match = re.fullmatch(r"(.+)_(\d{8}(?:T\d{6}Z)?)", item_id)
    return (match[1], match[2]) if match else None


def instances(master: Json, after: datetime, before: datetime) -> Iterator[Json]:
    """The instances of a series that meet a range, by its rules alone."""
    length = instant(master["end"], "UTC") - instant(master["start"], "UTC")
    for start in starts(master, after - length - timedelta(days=2), before + timedelta(days=2)):
        yield instance(master, start)


def find_instance(master: Json, at: str) -> Json | None:
    """The instance with this stamp."""
    near = datetime.strptime(at[:8], "%Y%m%d").replace(tzinfo=UTC)
    around = instances(master, near - timedelta(days=2), near + timedelta(days=3))
    return next((one for one in around if stamp(one["originalStartTime"]) == at), None)
