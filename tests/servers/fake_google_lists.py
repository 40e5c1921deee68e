"""How the fake Google server lists events: pages, sync tokens, filters, expansion.

Documented (API reference, Events: list; guide "Synchronize resources efficiently"): pages may be short or empty; the
order is unspecified; page tokens go with the parameters they came with; the last page alone has a sync token; what
can't be asked together with one; that all other parameters should be the same as in the first pull; `timeMin` bounds
the end and `timeMax` the start, both exclusive; cancelled instances of living series are listed in full lists;
deleted events come in later lists with their id; 410 `fullSyncRequired` for a token that has expired.
Reported: no sync token with `orderBy`; 400 for a token that was never given out; `showDeleted=false` beside a token is
refused. Stricter than Google: other parameters than the first pull's are refused (the documents call what happens
undefined); a token is good for its own calendar only; of what is deleted nothing but the sure fields is told.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fake_google_calendars import Account, Calendar, Item
from fake_google_schema import Json, Refusal, invalid
from fake_google_times import instances, parsed, span

_NOT_WITH_TOKEN = (
    *("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax"),
    "updatedMin",
)
_ENDS_WITHOUT_TOKEN = tuple(name for name in _NOT_WITH_TOKEN if name not in ("timeMin", "timeMax"))
_STANDARD = ("alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp", "calendarId")
_SEARCHED = ("summary", "description", "location")
_MOST, _USUAL, _MOST_LISTINGS = 2_500, 250, 256
_FAR = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
Arrange = Callable[[list[Item]], list[Item]]


@dataclass
class Listing:
    """A list that was begun: what is in it was decided then, how it looks is decided page by page."""

    asked: Json
    entries: Sequence[str | Item]
    revision: int


class Lists:
    """Lists of events, with what a test can say of them."""

    def __init__(self) -> None:
        self.page_size: int | None = None
        self.empty_pages = 0  # before the first that isn't
        self.arrange: Arrange = lambda items: items
        self._begun: OrderedDict[str, Listing] = OrderedDict()

    def list(self, account: Account, calendar: Calendar, asked: Json) -> Json:
        """One page. Raises Refusal."""
        token = asked.get("pageToken")
        listing, offset = self._resume(asked, token) if token else (self._begin(account, calendar, asked), 0)
        size = min(asked.get("maxResults", _USUAL), _MOST, self.page_size or _MOST)
        first = max(0, offset - self.empty_pages)
        size = 0 if offset < self.empty_pages else size
        tz = asked.get("timeZone", calendar.tz)
        items = [_told(one, asked, tz) for one in _live(calendar, listing.entries[first : first + size])]
        following = offset + 1 if size == 0 else offset + size
        page = _head(calendar, tz) | {"items": items}
        if following - self.empty_pages < len(listing.entries) or following < self.empty_pages:
            return page | {"nextPageToken": self._keep(listing, token, following)}
        return page | _next_token(calendar, listing)

    def instances(self, calendar: Calendar, master: Item, asked: Json) -> Json:
        """All instances of a series in one page, as far as it was asked for."""
        tz = asked.get("timeZone", calendar.tz)
        window = _window(asked) or _FAR
        found = instances_of(calendar, master, window)
        wanted = [one for one in found if asked.get("showDeleted") or not one.is_cancelled]
        return _head(calendar, tz) | {"items": [_told(one, asked, tz) for one in wanted]}

    # Pages

    def _begin(self, account: Account, calendar: Calendar, asked: Json) -> Listing:
        since = _since(calendar, asked)
        _check_order(asked)
        found = list(calendar.items.values()) if since is None else calendar.since(since)
        entries = self.arrange([one for one in found if _belongs(calendar, one, asked, since)])
        if asked.get("singleEvents"):
            entries = _expanded(calendar, entries, asked)
            return Listing(_bound(asked), self._ordered(entries, asked, calendar), account.revision)
        return Listing(_bound(asked), [one.body["id"] for one in entries], account.revision)

    def _ordered(self, entries: list[Item], asked: Json, calendar: Calendar) -> list[Item]:
        if asked.get("orderBy") == "startTime":
            return sorted(entries, key=lambda one: span(one.body, calendar.tz)[0])
        return entries

    def _resume(self, asked: Json, token: str) -> tuple[Listing, int]:
        key, _, offset = token.partition(".")
        listing = self._begun.get(key)
        if listing is None or not offset.isdecimal():
            raise invalid("Invalid page token value.", "pageToken")
        if listing.asked != _bound(asked):
            raise invalid("The page token was made for other parameters.", "pageToken")
        return listing, int(offset)

    def _keep(self, listing: Listing, token: str | None, following: int) -> str:
        key = token.partition(".")[0] if token else secrets.token_urlsafe(12)
        self._begun[key] = listing
        if len(self._begun) > _MOST_LISTINGS:
            self._begun.popitem(last=False)
        return f"{key}.{following}"


def _live(calendar: Calendar, entries: Sequence[str | Item]) -> list[Item]:
    found = (calendar.items.get(one) if isinstance(one, str) else one for one in entries)
    return [one for one in found if one is not None]


def _head(calendar: Calendar, tz: str) -> Json:
    told = {"kind": "calendar#events", "etag": f'"p{calendar.last}"', "summary": calendar.name, "timeZone": tz}
    return told | {"updated": "2026-11-22T12:00:00.000Z", "accessRole": calendar.role, "defaultReminders": []}


def _told(item: Item, asked: Json, tz: str) -> Json:
    return item.tombstone(tz) if item.is_cancelled else few_attendees(item.answer(tz), asked)


def few_attendees(answer: Json, asked: Json) -> Json:
    """The event as it is told to one who wants few attendees: with too many, only oneself is left."""
    most, attendees = asked.get("maxAttendees"), answer.get("attendees", [])
    if most is None or len(attendees) <= most:
        return answer
    return answer | {"attendees": [one for one in attendees if one.get("self")], "attendeesOmitted": True}


# Sync tokens


def _bound(asked: Json) -> Json:
    """What a page token goes with."""
    return {name: value for name, value in asked.items() if name != "pageToken"}


def _constant(asked: Json) -> Json:
    """What a sync token goes with; what was left out counts as its default."""
    left_out = {*_NOT_WITH_TOKEN, *_STANDARD, "pageToken", "syncToken", "maxResults"}
    kept = {name: value for name, value in asked.items() if name not in left_out and value is not False}
    return {name: sorted(value) if isinstance(value, list) else value for name, value in sorted(kept.items())}


def _next_token(calendar: Calendar, listing: Listing) -> Json:
    if any(name in listing.asked for name in _ENDS_WITHOUT_TOKEN):
        return {}
    told = [calendar.id, calendar.born, listing.revision, _constant(listing.asked)]
    return {"nextSyncToken": base64.urlsafe_b64encode(json.dumps(told).encode()).decode()}


def _since(calendar: Calendar, asked: Json) -> int | None:
    """The revision that a sync token stands for. Raises Refusal."""
    token = asked.get("syncToken")
    if token is None:
        return None
    _check_beside(asked)
    calendar_id, born, revision, constant = _read(token)
    if calendar_id != calendar.id:
        raise invalid("Invalid sync token value.", "syncToken")
    if born != calendar.born or revision <= calendar.expired_to:
        message = "Sync token is no longer valid, a full sync is required."
        raise Refusal(410, "fullSyncRequired", message, "syncToken", domain="calendar")
    if constant != _constant(asked):
        message = f"Other parameters than those of the first list: {constant} became {_constant(asked)}"
        raise invalid(message, "syncToken")
    return int(revision)


def _read(token: str) -> tuple[str, int, int, Json]:
    try:
        calendar_id, born, revision, constant = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        raise invalid("Invalid sync token value.", "syncToken") from None
    return calendar_id, born, revision, constant


def _check_beside(asked: Json) -> None:
    refused = [name for name in _NOT_WITH_TOKEN if name in asked]
    if asked.get("showDeleted") is False:
        refused.append("showDeleted")
    if refused:
        raise invalid(f"Sync token cannot be used with {', '.join(refused)}.", refused[0])


# What is in a list


def _check_order(asked: Json) -> None:
    if asked.get("orderBy") == "startTime" and not asked.get("singleEvents"):
        message = "The requested ordering is not available for the particular query."
        raise invalid(message, "orderBy", reason="badRequest")
    window = _window(asked)
    if window is not None and window[0] >= window[1]:
        raise Refusal(400, "timeRangeEmpty", "The specified time range is empty.", "timeMax", domain="calendar")


def _window(asked: Json) -> tuple[datetime, datetime] | None:
    if "timeMin" not in asked and "timeMax" not in asked:
        return None
    first = parsed(asked["timeMin"]) if "timeMin" in asked else _FAR[0]
    return first, parsed(asked["timeMax"]) if "timeMax" in asked else _FAR[1]


def _belongs(calendar: Calendar, item: Item, asked: Json, since: int | None) -> bool:
    if not _is_wanted_if_cancelled(item, asked, since):
        return False
    if "eventTypes" in asked and not item.bare and item.body.get("eventType", "default") not in asked["eventTypes"]:
        return False
    if "updatedMin" in asked and parsed(item.body["updated"]) < parsed(asked["updatedMin"]):
        return False
    return _is_searched(item, asked) and _is_within(calendar, item, asked)


def _is_wanted_if_cancelled(item: Item, asked: Json, since: int | None) -> bool:
    if not item.is_cancelled or since is not None or asked.get("showDeleted") or "updatedMin" in asked:
        return True
    return item.is_exception and not asked.get("singleEvents")


def _is_searched(item: Item, asked: Json) -> bool:
    body, own = item.body, item.body.get("extendedProperties", {})
    if "iCalUID" in asked and body.get("iCalUID") != asked["iCalUID"]:
        return False
    if "q" in asked and not any(asked["q"].lower() in str(body.get(name, "")).lower() for name in _SEARCHED):
        return False
    for parameter, kind in (("privateExtendedProperty", "private"), ("sharedExtendedProperty", "shared")):
        pairs = (pair.partition("=") for pair in asked.get(parameter, ()))
        if any(own.get(kind, {}).get(name) != value for name, _, value in pairs):
            return False
    return True


def _is_within(calendar: Calendar, item: Item, asked: Json) -> bool:
    window = _window(asked)
    if window is None or item.bare:
        return True
    if item.is_cancelled and item.is_exception:
        original = item.body["originalStartTime"]
        return _meets({"start": original, "end": original}, window, calendar)
    if item.body.get("recurrence") and not item.deleted:
        return _repeats_within(calendar, item, window)
    return _meets(item.body, window, calendar)


def _repeats_within(calendar: Calendar, master: Item, window: tuple[datetime, datetime]) -> bool:
    try:
        return any(_meets(one, window, calendar) for one in instances(master.body, *window))
    except (ValueError, LookupError):
        return True  # what can't be read is never hidden by its time


def _meets(body: Json, window: tuple[datetime, datetime], calendar: Calendar) -> bool:
    try:
        start, end = span(body, calendar.tz)
    except (ValueError, LookupError):
        return True
    return start < window[1] and (end > window[0] or (start == end and start >= window[0]))


# Expansion


def _expanded(calendar: Calendar, entries: list[Item], asked: Json) -> list[Item]:
    found: dict[str, Item] = {}
    window = _window(asked) or (_FAR[0], datetime.now(UTC) + timedelta(days=750))
    for item in entries:
        alone = [item] if item.deleted else instances_of(calendar, item, window)
        wanted = (one for one in alone if "syncToken" in asked or _is_wanted_if_cancelled(one, asked, None))
        found |= {one.body["id"]: one for one in wanted}
    return list(found.values())


def instances_of(calendar: Calendar, master: Item, window: tuple[datetime, datetime]) -> list[Item]:
    """The instances of a series that meet a range, with its exceptions in the place of what they replace.

    Of what isn't a series it is the one instance.
    """
    if not master.body.get("recurrence"):
        return [master]
    try:
        return _instances(calendar, master, window)
    except (ValueError, LookupError):
        return [master]  # nobody could say when its instances are


def _instances(calendar: Calendar, master: Item, window: tuple[datetime, datetime]) -> list[Item]:
    own = [calendar.items[one] for one in calendar.exceptions.get(master.body["id"], ())]
    replaced: set[Any] = {one.body["id"] for one in own}
    regular = (one for one in instances(master.body, *window) if one["id"] not in replaced)
    found = [Item(one, master.revision) for one in regular if _meets(one, window, calendar)]
    return found + [one for one in own if one.is_cancelled or _meets(one.body, window, calendar)]
