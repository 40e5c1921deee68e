"""The CalDAV adapter: `providers.port` on a CalDAV server.

Decides how each promise of the port is kept when servers answer as differently as they do: what is there is told by
reading it, preconditions are sent and checked by ourselves as well. Refuses to know iCalendar (`providers.ical`) and
how requests travel (`providers.caldav.server`).

Remote ids are absolute URLs in the one spelling of `providers.caldav.wire`. Our own events are at
`<calendar>/<uid>.ics`, where the UID is the idempotency key, so that a write is found again without a search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NoReturn

from caldav.elements import dav as elements
from caldav.lib import error as dav

from providers import ical
from providers.caldav import discovery, probing, pull, quirks, reading, wire
from providers.caldav.failures import translated
from providers.caldav.quirks import Quirk
from providers.caldav.server import PAUSES, Resource, Server
from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    InvalidResponse,
    NotFound,
    ProviderError,
    Unavailable,
    Unsupported,
)
from providers.model import (
    Capabilities,
    ChangePage,
    Connection,
    ConsultationEvent,
    EventRef,
    Glance,
    Probe,
    RemoteCalendar,
    RemoteEvent,
    Unreadable,
    Watch,
    Window,
    WrittenEvent,
)
from providers.port import Known
from providers.recurrence import instances

_INVITED = re.compile(rb"^ATTENDEE\b", re.IGNORECASE | re.MULTILINE)
_MAY_MEAN_THERE = frozenset({400, 403, 405, 409, 412})


class CalDAVProvider:
    """One CalDAV account; `allowed` are the quirks of its server that are allowed for, `pauses` are in seconds."""

    def __init__(
        self,
        connection: Connection,
        allowed: frozenset[Quirk] = quirks.ALL,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._server = Server.open(connection, allowed, pauses)
        self._configured = connection.own_addresses
        self._discovered: frozenset[str] | None = None
        self._incremental = True

    @property
    def capabilities(self) -> Capabilities:
        """What the account's server can do: incremental until a calendar list or a pull has shown otherwise."""
        return Capabilities(incremental=self._incremental, preconditions=True)

    @property
    def quirks_seen(self) -> frozenset[Quirk]:
        """What showed of its server's quirks so far."""
        return frozenset(self._server.seen)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def list_calendars(self) -> list[RemoteCalendar]:
        """Find the account's calendars from the address it was given (RFC 4791 §6.2)."""
        with translated(self._server.url):
            account = discovery.discover(self._server)
        self._discovered = account.own_addresses
        self._incremental = account.incremental
        return list(account.calendars)

    def changes(
        self,
        calendar: RemoteCalendar,
        sync_token: str | None,
        window: Window,
        known: Known | None = None,
        beside: Sequence[RemoteCalendar] = (),
    ) -> Iterator[ChangePage]:
        """Yield what changed since `sync_token` or beside what is `known`, or everything; whole series, always.

        Raises `SyncTokenInvalid` before the first page. Without a change it is one request (two where the server has
        neither sync-collection nor CTag); otherwise one more for every hundred resources, one where ETags have to be
        listed, up to two to learn our own addresses if someone is invited to something, and up to four to make sure
        that nothing is left of a calendar, or that what was told in parts is the whole.
        """
        with translated(calendar.remote_id, calendar=calendar.remote_id):
            matters = partial(_matters, window=window, tz=calendar.tz or "UTC")
            listing = pull.listing(self._server, calendar, sync_token, known, matters)
            self._incremental = self._incremental and listing.pulls_by == "sync-token"
            yield from self._pages(calendar.remote_id, listing)

    def _pages(self, calendar: str, listing: pull.Listing) -> Iterator[ChangePage]:
        """Yield a page for each batch; the last one, which is always there, names what is gone and holds the token."""
        removed, complete = set(listing.removed), listing.complete
        total = len(listing.members) + (0 if complete else len(removed))
        waiting = ChangePage((), (), (), complete=complete, total=total)
        for number, batch in enumerate(reading.batches(self._server, calendar, listing)):
            if number:
                yield waiting
            events, unreadable, empty = self._reduced(batch)
            removed |= empty
            waiting = ChangePage(events, (), unreadable, complete=complete, total=total)
        gone = () if complete else tuple(sorted(removed))
        yield ChangePage(waiting.changed, gone, waiting.unreadable, complete, listing.token, total)

    def _reduced(self, batch: reading.Batch) -> tuple[tuple[RemoteEvent, ...], tuple[Unreadable, ...], set[str]]:
        """Reduce what was read to timing; what holds no event (any more) is as good as gone."""
        own = self._own_addresses(batch)
        events: list[RemoteEvent] = []
        unreadable = list(batch.unreadable)
        empty = set(batch.gone)
        for resource in batch.found:
            reduced = ical.reduce(resource.text, remote_id=resource.url, etag=resource.etag, own_addresses=own)
            unreadable += reduced.unreadable
            if reduced.event is not None:
                events.append(reduced.event)
            elif not reduced.unreadable:
                empty.add(resource.url)
        return tuple(events), tuple(unreadable), empty

    def _own_addresses(self, batch: reading.Batch) -> frozenset[str]:
        """Return the addresses that are ours, asking the server once, and only if someone is invited at all."""
        if self._discovered is None and any(_INVITED.search(resource.text) for resource in batch.found):
            self._discovered = discovery.own_addresses(self._server)
        return self._configured | (self._discovered or frozenset())

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]:
        """Find what lies in the window, whole series, beside what was pulled and is unchanged.

        Of a calendar that was pulled, or whose server finds by time, it is one request if nothing changed, and one more
        for every hundred changes; else at most six, if all are answered. Up to two more learn our own addresses.
        """
        return [self._look(calendar, window) for calendar in calendars]

    def _look(self, calendar: RemoteCalendar, window: Window) -> Glance:
        with translated(calendar.remote_id, calendar=calendar.remote_id):
            matters = partial(_matters, window=window, tz=calendar.tz or "UTC")
            batch, complete = reading.looked_at(self._server, calendar, window, matters)
            events, unreadable, _ = self._reduced(batch)
        return Glance(calendar.remote_id, events, unreadable, complete)

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        """Find out what the server does with this calendar; with a time for it, by writing there too."""
        with translated(calendar.remote_id, calendar=calendar.remote_id):
            return probing.probe(self._server, calendar, trial_at)

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None:
        """Return what `create` with this key made, if it is still where it was made."""
        url = self._address_for(calendar, idempotency_key)
        with translated(url, calendar=calendar.remote_id, remote_id=url):
            resource = self._server.get(url)
            return None if resource is None else _written(resource, EventRef(calendar.remote_id, url, idempotency_key))

    def get(self, ref: EventRef) -> WrittenEvent:
        """Return the event as it is now; raise `NotFound` if it isn't."""
        with translated(ref.remote_id, calendar=ref.calendar, remote_id=ref.remote_id):
            return _written(self._existing(ref), ref)

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        """Write a new event; raise `AlreadyExists` if its key was used.

        Its address is looked at before and after, as `If-None-Match: *` protects nothing on some servers.
        """
        url = self._address_for(calendar, idempotency_key)
        careful = quirks.IF_NONE_MATCH_IGNORED in self._server.quirks
        with translated(url, calendar=calendar.remote_id, remote_id=url):
            if quirks.BINNED in self._server.quirks and self._is_binned(calendar.remote_id):
                self._server.tolerate(quirks.BINNED)
                raise NotFound("the calendar was thrown away")
            if careful and self._server.get(url) is not None:
                raise AlreadyExists()
            try:
                said = self._server.put(url, ical.write_event(event, idempotency_key), {"If-None-Match": "*"})
            except dav.DAVError as error:
                self._explain_refused_creation(calendar.remote_id, idempotency_key, url, error)
                raise
            stored = self._read_back(url, said, event, careful=careful)
            if careful and not _holds(stored, event):
                raise AlreadyExists("another event was written there at the same moment")
            return EventRef(calendar.remote_id, url, idempotency_key, stored.etag)

    def _explain_refused_creation(self, calendar: str, key: str, url: str, error: dav.DAVError) -> None:
        """Raise what a refusal means if it can be told; 412 is also used for bad data, 409 for a missing calendar.

        A 409 that names nothing, of a calendar that is there, is a conflict with what others do there at that moment.
        """
        if dav.UID_CONFLICT_PRECONDITIONS.intersection(error.preconditions):
            raise AlreadyExists("the server has this UID under another address") from error
        self._explain_refused_data(error)
        if error.status not in _MAY_MEAN_THERE:
            return
        if self._server.shown(url, lambda _: True) is not None:
            raise AlreadyExists() from error
        if error.status == 409 and self._is_gone(calendar):  # as RFC 4918 §9.7.1 has it
            raise NotFound("the calendar is gone") from error
        if error.status != 409 and quirks.GONE_REFUSED in self._server.quirks and self._is_gone(calendar):
            self._server.tolerate(quirks.GONE_REFUSED)
            raise NotFound("the calendar is gone") from error
        if quirks.UID_CONFLICT in self._server.quirks and reading.has_uid(self._server, calendar, key):
            self._server.tolerate(quirks.UID_CONFLICT)
            raise AlreadyExists("the server has this UID under another address") from error
        if error.status == 409 and not error.preconditions:
            raise ETagMismatch("the server is in conflict over the event") from error
        if error.status in (409, 412):
            self._raise_refused_data(error)

    def _is_binned(self, calendar: str) -> bool:
        try:
            rows = self._server.propfind(calendar, (elements.ResourceType,), depth=0)
        except (dav.DAVError, InvalidResponse):
            return False  # the write will tell
        return any(wire.DELETED_CALENDAR in row.names(elements.ResourceType) for row in rows)

    def _is_gone(self, calendar: str) -> bool:
        try:
            rows = self._server.propfind(calendar, wire.ETAG, depth=0)
        except dav.DAVError as error:
            return error.status in (404, 410)
        return bool(rows) and all(row.status in (404, 410) for row in rows)

    def _explain_refused_data(self, error: dav.DAVError) -> None:
        """Raise `Unsupported` where the server names what it dislikes about the event, whatever the status."""
        if wire.REFUSED_DATA.intersection(error.preconditions):
            self._raise_refused_data(error)

    def _raise_refused_data(self, error: dav.DAVError) -> NoReturn:
        if error.status == 412:
            self._server.tolerate(quirks.OTHER_412)
        named = ", ".join(name.rpartition("}")[2] for name in error.preconditions) or f"HTTP {error.status}"
        raise Unsupported(f"the server refuses the event: {named}") from error

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        """Change the fields that are ours; raise `ETagMismatch` if the event isn't as `if_match` knew it."""
        with translated(ref.remote_id, calendar=ref.calendar, remote_id=ref.remote_id):
            current = self._matching(self._existing(ref), if_match)
            changed = ical.change_event(current.text, event)
            try:
                said = self._server.put(current.url, changed, self._server.condition(current.etag))
            except dav.DAVError as error:
                self._explain_refused_data(error)
                if error.status == 412 and self._is_still(current):
                    self._raise_refused_data(error)
                if error.status == 409 and not error.preconditions:
                    raise ETagMismatch("the server is in conflict over the event") from error
                if error.status == 409:
                    self._raise_refused_data(error)
                raise
            stored = self._read_back(current.url, said, event)
            return EventRef(ref.calendar, ref.remote_id, ref.uid, stored.etag, ref.html_link)

    def _is_still(self, resource: Resource) -> bool:
        now = self._server.shown(resource.url, lambda found: not self._server.is_same(found.etag, resource.etag))
        return now is not None and self._server.is_same(now.etag, resource.etag)

    def _read_back(self, url: str, said: str | None, event: ConsultationEvent, *, careful: bool = False) -> Resource:
        """Return what stands where we wrote; the ETag the server said may be that of something else.

        Raises `Unavailable` where nothing is shown: the write can be sent again.
        """
        if said is None:
            self._server.tolerate(quirks.NO_ETAG_ON_PUT)
        elif not careful and quirks.OTHER_ETAG_ON_PUT not in self._server.quirks:
            return Resource(url, said, b"")
        stored = self._server.shown(url, lambda resource: _holds(resource, event))
        if stored is None:
            raise Unavailable("the server took the event, but doesn't show it")
        return stored

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        """Remove the event, if it is as `if_match` knew it where that is given; one that is gone is fine.

        The ETag is compared here too: some servers ignore `If-Match` on DELETE.
        """
        with translated(ref.remote_id, calendar=ref.calendar, remote_id=ref.remote_id):
            if if_match is None:
                return self._server.remove(ref.remote_id, {})
            if quirks.IF_MATCH_IGNORED not in self._server.quirks:
                return self._server.remove(ref.remote_id, self._server.condition(if_match))
            current = self._server.get(ref.remote_id)
            if current is None:  # or not shown yet
                return self._server.remove(ref.remote_id, self._server.condition(if_match))
            return self._server.remove(current.url, self._server.condition(self._matching(current, if_match).etag))

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
        """Raise `Unsupported`: CalDAV tells no one of changes."""
        raise Unsupported()

    def unwatch(self, watch: Watch) -> None:
        """Raise `Unsupported`."""
        raise Unsupported()

    def _address_for(self, calendar: RemoteCalendar, idempotency_key: str) -> str:
        return wire.resolve(self._server.url, wire.resource(calendar.remote_id, idempotency_key))

    def _existing(self, ref: EventRef) -> Resource:
        resource = self._server.get(ref.remote_id)
        if resource is None:
            raise NotFound()
        return resource

    def _matching(self, current: Resource, if_match: str) -> Resource:
        if not self._server.is_same(current.etag, if_match):
            raise ETagMismatch()
        return current


def _matters(text: bytes, *, window: Window, tz: str) -> bool:
    """Say whether a text is an event with an instance in a window; one that can't be followed may have some."""
    event = ical.reduce(text, remote_id="", etag="", own_addresses=frozenset()).event
    try:
        found = instances(event.skeleton, window, tz) if event else []
    except ProviderError:
        return True
    return any(instance.status != "CANCELLED" for instance in found)


def _holds(resource: Resource, event: ConsultationEvent) -> bool:
    """Say whether a resource holds an event, as far as its times tell."""
    try:
        written = _written(resource, EventRef("", resource.url, ""))
    except InvalidResponse:
        return False
    meant = (event.start_at.replace(microsecond=0), event.end_at.replace(microsecond=0))
    return (written.start_at, written.end_at) == meant


def _written(resource: Resource, ref: EventRef) -> WrittenEvent:
    return ical.read_written(
        resource.text, EventRef(ref.calendar, ref.remote_id, ref.uid, resource.etag, ref.html_link)
    )
