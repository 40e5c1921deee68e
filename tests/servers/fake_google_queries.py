"""How the fake Google server lists calendars and tells of busy time.

Documented (API reference, CalendarList: list, get; Freebusy: query): pages of at most 250, 100 if nothing is said;
hidden and deleted entries on demand only; a sync token on the last page, not together with `minAccessRole`; at most 50
calendars in a query; errors of single calendars inside a 200; the zone of the answer (UTC if nothing is said).
Reported: `timeRangeTooLong` beyond about 90 days. What is busy: opaque and neither cancelled nor declined; tentative
and unanswered count as busy.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from fake_google_calendars import RANKS, Account, Calendar, Item
from fake_google_lists import instances_of
from fake_google_schema import Json, Refusal, invalid
from fake_google_times import Span, check_zone, parsed, span, written

_LONGEST = timedelta(days=90)
_MOST_CALENDARS = 50


def list_calendars(account: Account, asked: Json, page_size: int | None) -> Json:
    """One page of the calendar list. Raises Refusal."""
    since = _since(asked)
    entries = [one for one in account.calendars.values() if _belongs(one, asked, since)]
    offset = _offset(asked)
    size = min(asked.get("maxResults", 100), 250, page_size or 250)
    page = {"kind": "calendar#calendarList", "etag": '"p33"'}
    page |= {"items": [one.entry() for one in entries[offset : offset + size]]}
    if offset + size < len(entries):
        return page | {"nextPageToken": f"l{offset + size}"}
    return page | {"nextSyncToken": base64.urlsafe_b64encode(f"list {account.revision}".encode()).decode()}


def _offset(asked: Json) -> int:
    token = asked.get("pageToken", "l0")
    if not (token.startswith("l") and token[1:].isdecimal()):
        raise invalid("Invalid page token value.", "pageToken")
    return int(token[1:])


def _since(asked: Json) -> int | None:
    if "syncToken" not in asked:
        return None
    if "minAccessRole" in asked or asked.get("showDeleted") is False or asked.get("showHidden") is False:
        raise invalid("Sync token cannot be used with other conditions.", "minAccessRole")
    try:
        kind, revision = base64.urlsafe_b64decode(asked["syncToken"]).decode().split(" ")
        return int(revision) if kind == "list" else int(kind)
    except ValueError:
        raise invalid("Invalid sync token value.", "syncToken") from None


def _belongs(calendar: Calendar, asked: Json, since: int | None) -> bool:
    if since is not None:
        return calendar.listed_at > since
    least = asked.get("minAccessRole", RANKS[0])
    shown = (asked.get("showDeleted") or not calendar.deleted) and (asked.get("showHidden") or not calendar.hidden)
    return bool(shown) and calendar.allows(least)


def calendar_of(calendar: Calendar) -> Json:
    """The calendar as `calendars.get` has it."""
    kept = ("id", "summary", "timeZone", "conferenceProperties")
    return {"kind": "calendar#calendar", "etag": '"c"'} | {name: calendar.entry()[name] for name in kept}


# Busy time


def free_busy(account: Account, body: Json, errors: dict[str, str]) -> Json:
    """The answer of a query; `errors` are reasons by calendar id. Raises Refusal."""
    window = _window(body)
    items = [one.get("id", "") for one in body.get("items") or ()]
    most = body.get("calendarExpansionMax", _MOST_CALENDARS)
    if most > _MOST_CALENDARS or len(items) > most:
        message = "The number of calendars requested is too large for a single query."
        raise Refusal(400, "tooManyCalendarsRequested", message, "items", domain="calendar")
    tz = body.get("timeZone") or "UTC"
    check_zone(tz)
    told = {"kind": "calendar#freeBusy", "timeMin": written(window[0]), "timeMax": written(window[1])}
    return told | {"calendars": {one: _told(account, one, window, errors, tz) for one in items}}


def _window(body: Json) -> Span:
    for name in ("timeMin", "timeMax"):
        if not body.get(name):
            raise invalid(f"Missing {name}.", name, reason="required")
        if datetime.fromisoformat(body[name]).tzinfo is None:
            raise invalid("Bad Request", name, reason="badRequest")
    window = parsed(body["timeMin"]), parsed(body["timeMax"])
    if window[0] >= window[1]:
        raise Refusal(400, "timeRangeEmpty", "The specified time range is empty.", "timeMax", domain="calendar")
    if window[1] - window[0] > _LONGEST:
        raise Refusal(400, "timeRangeTooLong", "The requested time range is too long.", "timeMax", domain="calendar")
    return window


def _told(account: Account, calendar_id: str, window: Span, errors: dict[str, str], tz: str) -> Json:
    calendar = account.calendars.get(account.email if calendar_id == "primary" else calendar_id)
    reason = errors.get(calendar_id) or (None if calendar and not calendar.deleted else "notFound")
    if reason is not None or calendar is None:
        return {"errors": [{"domain": "global", "reason": reason}], "busy": []}
    busy = _joined(sorted(_busy(calendar, window)))
    return {"busy": [{"start": written(start, tz), "end": written(end, tz)} for start, end in busy]}


def _busy(calendar: Calendar, window: Span) -> Iterator[Span]:
    for item in list(calendar.items.values()):
        if item.deleted or item.body.get("recurringEventId") in calendar.items:
            continue
        with contextlib.suppress(ValueError, LookupError):  # what can't be read
            yield from _spans(calendar, item, window)


def _spans(calendar: Calendar, item: Item, window: Span) -> Iterator[Span]:
    for one in instances_of(calendar, item, window):
        if _blocks(one):
            start, end = span(one.body, calendar.tz)
            if max(start, window[0]) < min(end, window[1]):
                yield max(start, window[0]), min(end, window[1])


def _blocks(item: Item) -> bool:
    if item.is_cancelled or item.body.get("transparency") == "transparent":
        return False
    if item.body.get("eventType") in ("workingLocation", "birthday"):
        return False
    own = (one.get("responseStatus") for one in item.body.get("attendees", ()) if one.get("self"))
    return "declined" not in own


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
