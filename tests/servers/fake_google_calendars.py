"""What the fake Google server keeps: people, their calendars and events, and the hand of another client.

Documented (API reference, Events): ids, the iCalUID of an event made here, defaults of fields, that a deleted event is
kept as `cancelled`, that a cancelled instance is an exception of its series, and that an event that was moved leaves a
cancelled one behind of which only the id is sure. Documented (guide "Get specific versions of resources"): an ETag is
another one after every change. Reported: the shape of ETags, colours and UIDs (`<id>@google.com`); that the exceptions
of a deleted series go without tombstones of their own.
What another client does here is not checked: it may put what Google's own programs would never write.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fake_google_schema import Json, Refusal
from fake_google_times import find_instance, series_of, shown, stamp

RANKS = ("freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_TIMES = ("start", "end", "originalStartTime")
_CHANGES_TIME = ("start", "end", "recurrence")


@dataclass
class Item:
    """An event, a series, an exception of one, or what is left of them."""

    body: Json
    revision: int
    deleted: bool = False  # gone: listed as a tombstone only
    bare: bool = False  # nothing but the id is left
    reads: int = 0  # since its conference was asked for
    rendered: dict[str, Json] = field(default_factory=dict)  # zone → answer

    @property
    def etag(self) -> str:
        return f'"{3_500_000_000_000_000 + self.revision * 2}"'

    @property
    def is_exception(self) -> bool:
        return "recurringEventId" in self.body

    @property
    def is_cancelled(self) -> bool:
        return self.body["status"] == "cancelled"

    def answer(self, tz: str) -> Json:
        """The event as `events.get` has it, in a zone."""
        if tz not in self.rendered:
            self.rendered[tz] = self._answer(tz)
        return self.rendered[tz]

    def _answer(self, tz: str) -> Json:
        head = {"kind": "calendar#event", "etag": self.etag}
        if self.bare:
            return head | {"id": self.body["id"], "status": "cancelled"}
        return head | self.body | {name: shown(self.body[name], tz) for name in _TIMES if name in self.body}

    def tombstone(self, tz: str) -> Json:
        """The event as a list has it once it is cancelled: only what is documented as sure."""
        kept = {"kind": "calendar#event", "etag": self.etag, "id": self.body["id"], "status": "cancelled"}
        if self.is_exception and not self.deleted:
            kept["recurringEventId"] = self.body["recurringEventId"]
            kept["originalStartTime"] = shown(self.body["originalStartTime"], tz)
        return kept


@dataclass
class Calendar:
    """One calendar on a person's list."""

    id: str
    name: str
    tz: str
    born: int
    role: str = "owner"
    primary: bool = False
    hidden: bool = False
    deleted: bool = False
    colour: str = "#9fe1e7"
    override: str = ""
    solutions: tuple[str, ...] = ("hangoutsMeet",)
    listed_at: int = 0
    expired_to: int = 0  # sync tokens up to this revision have expired
    items: dict[str, Item] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)  # ids, what changed last at the end
    exceptions: dict[str, set[str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # ids of events whose conference is being made

    def since(self, revision: int) -> list[Item]:
        """What changed after a revision."""
        late = itertools.takewhile(lambda one: self.items[one].revision > revision, reversed(self.changed))
        return [self.items[one] for one in late]

    @property
    def last(self) -> int:
        """The revision of the last change."""
        return self.items[next(reversed(self.changed))].revision if self.changed else self.born

    def allows(self, role: str) -> bool:
        return RANKS.index(self.role) >= RANKS.index(role)

    def entry(self) -> Json:
        """The calendar as the calendar list has it."""
        told: Json = {"kind": "calendar#calendarListEntry", "etag": f'"{self.listed_at}"', "id": self.id}
        if self.deleted:
            return told | {"deleted": True}
        told |= {"summary": self.name, "timeZone": self.tz, "accessRole": self.role, "colorId": "14"}
        told |= {"backgroundColor": self.colour, "foregroundColor": "#000000", "defaultReminders": []}
        told["conferenceProperties"] = {"allowedConferenceSolutionTypes": list(self.solutions)}
        marks = {"primary": self.primary, "hidden": self.hidden, "selected": not self.hidden}
        told |= {name: True for name, holds in marks.items() if holds}
        return told | ({"summaryOverride": self.override} if self.override else {})


def merged(old: Any, new: Any) -> Any:
    """What a PATCH makes of a value: objects are merged, null removes, all else is overwritten whole."""
    if not isinstance(new, dict):
        return new
    old = old if isinstance(old, dict) else {}
    kept = {name: value for name, value in old.items() if name not in new}
    return kept | {name: merged(old.get(name), value) for name, value in new.items() if value is not None}


class Account:
    """One person at Google: her calendars, and what her other programs do to them."""

    def __init__(self, email: str, revisions: Iterator[int], tell: Callable[[Account, Calendar], None]) -> None:
        self.email = email
        self._revisions, self._tell = revisions, tell
        self.revision = 0
        self.calendars: dict[str, Calendar] = {}
        self.make_calendar(email, "Europe/Berlin", id=email, primary=True)

    def next_revision(self) -> int:
        self.revision = next(self._revisions)
        return self.revision

    # Calendars

    def make_calendar(self, name: str, tz: str = "Europe/Berlin", role: str = "owner", **more: Any) -> str:
        """Add a calendar to the list and return its id."""
        named = more.pop("id", None) or f"{secrets.token_hex(16)}@group.calendar.google.com"
        born = self.next_revision()
        solutions = tuple(more.pop("solutions", ("hangoutsMeet",)))
        self.calendars[named] = Calendar(named, name, tz, born, role, listed_at=born, solutions=solutions, **more)
        return str(named)

    def remove_calendar(self, calendar_id: str) -> None:
        """Take a calendar from the list and from this person's reach."""
        held = self.calendars[calendar_id]
        held.deleted, held.listed_at = True, self.next_revision()
        self._tell(self, held)

    def calendar(self, calendar_id: str) -> Calendar:
        """A calendar by its id or `primary`. Raises Refusal 404."""
        named = self.email if calendar_id == "primary" else calendar_id
        found = self.calendars.get(named)
        if found is None or found.deleted:
            raise Refusal(404, "notFound", "Not Found")
        return found

    # Events

    def put(self, calendar_id: str, body: Json) -> str:
        """Write an event whole, whatever it is, and return its id."""
        held = self.calendar(calendar_id)
        body = {name: value for name, value in body.items() if value is not None}
        return str(self.store(held, self.filled(held, body)).body["id"])

    def patch(self, calendar_id: str, item_id: str, changes: Json) -> None:
        """Change an event or an instance, as its owner would by hand."""
        held = self.calendar(calendar_id)
        old = self.find(held, item_id)
        self.store(held, self.patched(old.body, merged(old.body, changes)))

    def delete(self, calendar_id: str, item_id: str) -> None:
        """Delete an event, a series or an instance."""
        held = self.calendar(calendar_id)
        self.erase(held, self.find(held, item_id))

    def move(self, calendar_id: str, item_id: str, destination: str) -> Item:
        """Move an event, and leave a tombstone."""
        source, target = self.calendar(calendar_id), self.calendar(destination)
        item = self.find(source, item_id)
        body = item.body | {"organizer": {"email": target.id, "self": True}}
        exceptions = [source.items[one].body for one in source.exceptions.get(item_id, ())]
        self.erase(source, item)
        source.items[item_id].bare = True
        for one in (body, *exceptions):
            self.store(target, self.filled(target, one))
        return target.items[item_id]

    def items(self, calendar_id: str) -> list[Json]:
        """All that isn't deleted, as it was written; exceptions and cancelled instances too."""
        return [one.body for one in self.calendar(calendar_id).items.values() if not one.deleted]

    # What both this hand and the API do

    def find(self, calendar: Calendar, item_id: str) -> Item:
        """An event, or an instance that nobody changed yet. Raises Refusal 404."""
        found = calendar.items.get(item_id) or self._unchanged(calendar, item_id)
        if found is None:
            raise Refusal(404, "notFound", "Not Found")
        return found

    def _unchanged(self, calendar: Calendar, item_id: str) -> Item | None:
        series, at = series_of(item_id) or ("", "")
        master = calendar.items.get(series)
        if master is None or master.deleted or not master.body.get("recurrence"):
            return None
        found = find_instance(master.body, at)
        return Item(found, master.revision) if found else None

    def _new_id(self, body: Json) -> str:
        if "recurringEventId" in body:
            return f"{body['recurringEventId']}_{stamp(body['originalStartTime'])}"
        return "".join(secrets.choice(_ALPHABET) for _ in range(26))

    def filled(self, calendar: Calendar, body: Json) -> Json:
        """A new event with all that Google adds."""
        body, now = {**body, "id": body.get("id") or self._new_id(body)}, now_text()
        uid = f"{body.get('recurringEventId', body['id'])}@google.com"
        added = {"status": "confirmed", "created": now, "updated": now, "iCalUID": uid, "sequence": 0}
        added |= {"htmlLink": f"https://www.google.com/calendar/event?eid={body['id']}", "eventType": "default"}
        added |= {"creator": {"email": self.email, "self": calendar.primary}, "reminders": {"useDefault": True}}
        return added | {"organizer": {"email": calendar.id, "self": True}} | body

    def patched(self, old: Json, new: Json) -> Json:
        """A change with what Google does to the sequence and the time of the last change."""
        moved = any(old.get(name) != new.get(name) for name in _CHANGES_TIME)
        least = old.get("sequence", 0) + (1 if moved else 0)
        updated = {} if _differs_in_reminders_only(old, new) else {"updated": now_text()}
        return new | {"sequence": max(new.get("sequence", 0), least)} | updated

    def store(self, calendar: Calendar, body: Json) -> Item:
        """Keep an event as it is from now on; one that is cancelled is deleted, unless it is an instance."""
        gone = body["status"] == "cancelled" and "recurringEventId" not in body
        item = Item(body, self.next_revision(), gone)
        calendar.items[body["id"]] = item
        self._follow(calendar, item)
        calendar.changed.pop(body["id"], None)
        calendar.changed[body["id"]] = None
        self._tell(self, calendar)
        return item

    def _follow(self, calendar: Calendar, item: Item) -> None:
        status = item.body.get("conferenceData", {}).get("createRequest", {}).get("status", {}).get("statusCode")
        (calendar.asked.add if status == "pending" else calendar.asked.discard)(item.body["id"])
        if item.is_exception and not item.deleted:
            calendar.exceptions.setdefault(item.body["recurringEventId"], set()).add(item.body["id"])

    def erase(self, calendar: Calendar, item: Item) -> None:
        """Delete: an instance becomes a cancelled exception, a series takes its exceptions along."""
        self.store(calendar, item.body | {"status": "cancelled", "updated": now_text()})
        for one in () if item.is_exception else calendar.exceptions.pop(item.body["id"], ()):
            calendar.items.pop(one, None)
            calendar.changed.pop(one, None)


def _differs_in_reminders_only(old: Json, new: Json) -> bool:
    differing = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return differing == {"reminders"}


def now_text() -> str:
    """Now, as `updated` has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
