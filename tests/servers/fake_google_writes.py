"""How the fake Google server takes writes of events.

Documented (API reference, Events: insert, patch, update, delete, move): the rules of ids; that only one of id and
iCalUID is given; `start.timeZone` of a recurring event; that PATCH overwrites lists whole; that conference data is
ignored without `conferenceDataVersion=1`, is made asynchronously, and not again for the same `requestId`;
`sendUpdates`; that only default events can be moved; at most 5 reminders; guests have addresses.
Documented (guides): `If-Match` with 412 ("Get specific versions of resources"); a key of an extended property over 44
characters is dropped, a value over 1,024 cut ("Extended properties").
Reported: 409 `duplicate` for the id of a deleted event too; 410 `deleted` for a second DELETE; that both `date` and
`dateTime` are refused; "Invalid conference type value."; that the sequence rises with the time of an event and can't
be lowered; when a conference succeeds. Stricter than Google: a change of what is immutable is refused, not ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fake_google_calendars import Account, Calendar, Item, merged
from fake_google_schema import Json, Refusal, invalid
from fake_google_times import instant, is_zone, starts

_READ_ONLY = ("kind", "etag", "htmlLink", "created", "updated", "creator", "organizer", "hangoutLink", "locked")
_IMMUTABLE = ("id", "iCalUID", "recurringEventId", "originalStartTime", "eventType")
_ONLY_PRIMARY = ("outOfOffice", "focusTime", "workingLocation", "birthday")


class Mail(NamedTuple):
    """One message that Google sent to guests: invitation, update or cancellation."""

    kind: str
    event_id: str
    recipients: tuple[str, ...]


@dataclass
class Writes:
    """Writes of events, with what a test can say of them and what it can look at afterwards."""

    conference_reads: int = 1  # how often an event is read until its conference is there
    conference_outcome: str = "success"
    mails: list[Mail] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)  # writes that didn't say `sendUpdates`

    def insert(self, account: Account, calendar: Calendar, asked: Json, body: Json) -> Item:
        """Make an event."""
        self._check_new(calendar, body)
        new = account.filled(calendar, _cleaned(body) | _kept_at_insert(body))
        _check_times(new)
        self._confer(calendar, {}, new, body, asked)
        _greet(account, new)
        self._mail("invitation", new, asked, "insert")
        return account.store(calendar, new)

    def patch(self, account: Account, calendar: Calendar, item: Item, asked: Json, body: Json) -> Item:
        """Change the fields that were sent."""
        return self._change(account, calendar, item, asked, body, merged(item.body, _cleaned(body)))

    def update(self, account: Account, calendar: Calendar, item: Item, asked: Json, body: Json) -> Item:
        """Replace the event."""
        stays = {name: item.body[name] for name in (*_READ_ONLY, *_IMMUTABLE, "conferenceData") if name in item.body}
        whole = {"status": "confirmed", "sequence": item.body.get("sequence", 0)} | stays | merged({}, _cleaned(body))
        return self._change(account, calendar, item, asked, body, whole)

    def _change(self, account: Account, calendar: Calendar, item: Item, asked: Json, body: Json, wanted: Json) -> Item:
        _check_unchanged(item, body)
        if body.get("sequence") is not None and body["sequence"] < item.body.get("sequence", 0):
            raise invalid("Invalid sequence value. The specified sequence number is below the current one.", "sequence")
        new = account.patched(item.body, wanted)
        _check_times(new)
        self._confer(calendar, item.body, new, body, asked)
        _greet(account, new)
        self._mail("update", new, asked, "patch")
        return account.store(calendar, new)

    def delete(self, account: Account, calendar: Calendar, item: Item, asked: Json) -> None:
        """Delete an event; a second time is refused."""
        if item.is_cancelled:
            raise Refusal(410, "deleted", "Resource has been deleted")
        self._mail("cancellation", item.body, asked, "delete")
        account.erase(calendar, item)

    def move(self, account: Account, calendar: Calendar, item: Item, asked: Json) -> Item:
        """Move an event to another calendar."""
        if item.is_cancelled or item.is_exception or item.body.get("eventType", "default") != "default":
            raise invalid("This event can't be moved.", "eventId")
        need(account.calendar(asked["destination"]), "writer")
        self._mail("update", item.body, asked, "move")
        return account.move(calendar.id, item.body["id"], asked["destination"])

    def _check_new(self, calendar: Calendar, body: Json) -> None:
        given, kind = body.get("id"), body.get("eventType", "default")
        if given is not None and body.get("iCalUID") is not None:
            raise invalid("Only one of id and iCalUID may be given.", "id")
        if given is not None and not re.fullmatch("[a-v0-9]{5,1024}", given):
            raise invalid("Invalid resource id value.", "id")
        if given in calendar.items:
            raise Refusal(409, "duplicate", "The requested identifier already exists.")
        if kind == "fromGmail" or (kind in _ONLY_PRIMARY and not calendar.primary):
            raise invalid(f"An event of type {kind} can't be made here.", "eventType")

    # Guests

    def _mail(self, kind: str, body: Json, asked: Json, method: str) -> None:
        if asked.get("sendUpdates") is None:
            self.unsaid.append(f"{method} {body['id']}")
        guests = tuple(one["email"] for one in body.get("attendees", ()) if not one.get("self"))
        if guests and asked.get("sendUpdates") in ("all", "externalOnly"):
            self.mails.append(Mail(kind, body["id"], guests))

    # Conferences

    def _confer(self, calendar: Calendar, old: Json, new: Json, body: Json, asked: Json) -> None:
        if asked.get("conferenceDataVersion", 0) == 0 or "conferenceData" not in body:
            new.pop("conferenceData", None)
            new.update({"conferenceData": old["conferenceData"]} if "conferenceData" in old else {})
            return
        wanted = (body["conferenceData"] or {}).get("createRequest")
        if wanted is None:
            if body["conferenceData"] is None:
                new.pop("hangoutLink", None)
            return
        before = old.get("conferenceData", {})
        if before.get("createRequest", {}).get("requestId") == wanted.get("requestId"):
            new["conferenceData"] = before
            return
        self._ask(calendar, new, wanted)

    def _ask(self, calendar: Calendar, new: Json, wanted: Json) -> None:
        kind = wanted.get("conferenceSolutionKey", {}).get("type")
        if not wanted.get("requestId"):
            raise invalid("Missing requestId.", "conferenceData.createRequest.requestId", reason="required")
        if kind not in calendar.solutions:
            raise invalid("Invalid conference type value.", "conferenceData")
        new["conferenceData"] = {"createRequest": wanted | {"status": {"statusCode": "pending"}}}
        if self.conference_reads == 0:
            self._settle(new)

    def ripen(self, account: Account, calendar: Calendar, item: Item) -> Item:
        """An event as it is read: one whose conference is being made may have it by now."""
        if item.body["id"] not in calendar.asked:
            return item
        item.reads += 1
        if item.reads < self.conference_reads:
            return item
        new = {**item.body, "conferenceData": dict(item.body["conferenceData"])}
        self._settle(new)
        return account.store(calendar, new)

    def _settle(self, body: Json) -> None:
        request = body["conferenceData"]["createRequest"]
        done = {"createRequest": request | {"status": {"statusCode": self.conference_outcome}}}
        if self.conference_outcome == "success":
            code = "-".join((body["id"] * 3)[cut] for cut in (slice(0, 3), slice(3, 7), slice(7, 10)))
            link = f"https://meet.google.com/{code}"
            body["hangoutLink"] = link
            key = request["conferenceSolutionKey"]
            done |= {"conferenceId": code, "conferenceSolution": {"key": key, "name": "Google Meet"}}
            done["entryPoints"] = [{"entryPointType": "video", "uri": link, "label": link.removeprefix("https://")}]
        body["conferenceData"] = done


def need(calendar: Calendar, role: str) -> None:
    """Refuse who may do less than this in a calendar."""
    if not calendar.allows(role):
        message = f"You need to have {role} access to this calendar."
        raise Refusal(403, "requiredAccessLevel", message, domain="calendar")


def check_condition(item: Item, headers: Mapping[str, str]) -> None:
    """Hold `If-Match` against what there is. Raises Refusal 412."""
    wanted = headers.get("if-match")
    if wanted is not None and wanted != "*" and item.etag not in (one.strip() for one in wanted.split(",")):
        raise Refusal(412, "conditionNotMet", "Precondition Failed", "If-Match", "header")


def _cleaned(body: Json) -> Json:
    """What was sent without what is not for the client to say; properties as they are kept."""
    kept = {name: value for name, value in body.items() if name not in (*_READ_ONLY, *_IMMUTABLE)}
    if kept.get("extendedProperties"):
        kept["extendedProperties"] = {kind: _limited(own) for kind, own in kept["extendedProperties"].items()}
    return kept


def _kept_at_insert(body: Json) -> Json:
    return {name: body[name] for name in ("id", "iCalUID", "eventType") if body.get(name) is not None}


def _limited(own: Json | None) -> Json | None:
    if own is None:
        return None
    return {name: value and value[:1_024] for name, value in own.items() if len(name) <= 44}


def _greet(account: Account, body: Json) -> None:
    """Know oneself among the guests, and refuse those who can't be written to."""
    if len(body.get("reminders", {}).get("overrides") or ()) > 5:
        raise invalid("Too many override reminders.", "reminders.overrides")
    for one in body.get("attendees", ()):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", one.get("email") or ""):
            raise invalid("Invalid attendee email.", "attendees")
        one.setdefault("responseStatus", "needsAction")
        if one.get("email") == account.email:
            one["self"] = True


def _check_unchanged(item: Item, body: Json) -> None:
    if item.bare:
        raise Refusal(404, "notFound", "Not Found")
    changed = [name for name in _IMMUTABLE if body.get(name) is not None and body[name] != item.body.get(name)]
    if changed:
        raise invalid(f"{changed[0]} can't be changed.", changed[0])


# Times


def _check_times(body: Json) -> None:
    for name in ("start", "end"):
        _check_moment(name, body.get(name) or {}, repeats=bool(body.get("recurrence")))
    if ("date" in body["start"]) != ("date" in body["end"]):
        raise invalid("Start and end times must either both be date or both be dateTime.", "end")
    if instant(body["start"], "UTC") > instant(body["end"], "UTC"):
        raise Refusal(400, "timeRangeEmpty", "The specified time range is empty.", "timeMax", domain="calendar")
    if body.get("recurrence"):
        _check_rules(body)


def _check_moment(name: str, moment: Json, *, repeats: bool) -> None:
    if ("date" in moment) == ("dateTime" in moment):
        raise invalid(f"Invalid {name} time.", name)
    zone = moment.get("timeZone")
    if zone is not None and not is_zone(zone):
        raise invalid("Invalid time zone definition for start time.", name)
    if "dateTime" in moment and zone is None and (repeats or not re.search(r"(Z|[+-]\d\d:\d\d)$", moment["dateTime"])):
        raise invalid(f"Missing time zone definition for {name} time.", name, reason="required")


def _check_rules(body: Json) -> None:
    try:
        starts(body)
    except (ValueError, LookupError, AttributeError):
        raise invalid("Invalid recurrence rule.", "recurrence") from None
