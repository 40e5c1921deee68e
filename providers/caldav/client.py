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

from caldav.lib import error as dav

from providers import ical
from providers.caldav import discovery, probing, pull, wire
from providers.caldav.failures import leaf_of, translated
from providers.caldav.server import Resource, Server
from providers.errors import AlreadyExists, ETagMismatch, NotFound, Unsupported
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
    Window,
    WrittenEvent,
)
from providers.port import Known

_INVITED = re.compile(r"^ATTENDEE\b", re.IGNORECASE | re.MULTILINE)
_MAY_MEAN_THERE = frozenset({403, 409, 412})


class CalDAVProvider:
    """One CalDAV account."""

    def __init__(self, connection: Connection) -> None:
        self._server = Server.open(connection)
        self._configured = connection.own_addresses
        self._discovered: frozenset[str] | None = None
        self._incremental = True

    @property
    def capabilities(self) -> Capabilities:
        """What the account's server can do: incremental until a calendar list or a pull has shown otherwise."""
        return Capabilities(incremental=self._incremental, preconditions=True)

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
        self, calendar: RemoteCalendar, sync_token: str | None, window: Window, known: Known | None = None
    ) -> Iterator[ChangePage]:
        """Yield what changed since `sync_token` or beside what is `known`, or everything; whole series, always.

        Raises `SyncTokenInvalid` before the first page. Without a change it is one request; otherwise one more for
        every hundred resources, and up to two to learn our own addresses if someone is invited to something.
        """
        before = known() if known is not None and sync_token is None else None
        with translated(calendar.remote_id, calendar=calendar.remote_id):
            listing = pull.listing(self._server, calendar.remote_id, sync_token)
            self._incremental = self._incremental and listing.incremental and listing.token is not None
            if before is not None:
                listing = pull.compared(listing, before)
            complete = sync_token is None and before is None
            yield from self._pages(calendar.remote_id, listing, complete=complete)

    def _pages(self, calendar: str, listing: pull.Listing, *, complete: bool) -> Iterator[ChangePage]:
        """Yield a page for each batch; the last one, which is always there, names what is gone and holds the token."""
        removed = set(listing.removed)
        total = len(listing.members) + (0 if complete else len(removed))
        waiting = ChangePage((), (), (), complete=complete, total=total)
        for number, batch in enumerate(pull.batches(self._server, calendar, listing)):
            if number:
                yield waiting
            events, unreadable, empty = self._reduced(batch)
            removed |= empty
            waiting = ChangePage(events, (), unreadable, complete=complete, total=total)
        gone = () if complete else tuple(sorted(removed))
        yield ChangePage(waiting.changed, gone, waiting.unreadable, complete, listing.token, total)

    def _reduced(self, batch: pull.Batch) -> tuple[tuple[RemoteEvent, ...], tuple[Unreadable, ...], set[str]]:
        """Reduce what was read to timing; what holds no event (any more) is as good as gone."""
        own = self._own_addresses(batch)
        events: list[RemoteEvent] = []
        unreadable = list(batch.unreadable)
        empty = set(batch.gone)
        for resource in batch.found:
            reduced = ical.reduce(resource.text, remote_id=resource.url, etag=resource.etag or "", own_addresses=own)
            unreadable += reduced.unreadable
            if reduced.event is not None:
                events.append(reduced.event)
            elif not reduced.unreadable:
                empty.add(resource.url)
        return tuple(events), tuple(unreadable), empty

    def _own_addresses(self, batch: pull.Batch) -> frozenset[str]:
        """Return the addresses that are ours, asking the server once, and only if someone is invited at all."""
        if self._discovered is None and any(_INVITED.search(resource.text) for resource in batch.found):
            self._discovered = discovery.own_addresses(self._server)
        return self._configured | (self._discovered or frozenset())

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]:
        """Ask each calendar what lies in the window, whole series; the server alone decides what it finds."""
        return [self._look(calendar, window) for calendar in calendars]

    def _look(self, calendar: RemoteCalendar, window: Window) -> Glance:
        with translated(calendar.remote_id, calendar=calendar.remote_id):
            batch = pull.looked_at(self._server, calendar.remote_id, window)
            events, unreadable, _ = self._reduced(batch)
        return Glance(calendar.remote_id, events, unreadable)

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        """Find out what the server does with this calendar; with a time for it, by writing there too."""
        with translated(calendar.remote_id, calendar=calendar.remote_id):
            return probing.probe(self._server, calendar.remote_id, trial_at)

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

        It is looked for first: `If-None-Match: *` protects nothing on some servers.
        """
        url = self._address_for(calendar, idempotency_key)
        with translated(url, calendar=calendar.remote_id, remote_id=url):
            if self._server.get(url) is not None:
                raise AlreadyExists()
            try:
                etag = self._server.put(url, ical.write_event(event, idempotency_key), {"If-None-Match": "*"})
            except dav.DAVError as error:
                self._explain_refused_creation(url, error)
                raise
            return EventRef(calendar.remote_id, url, idempotency_key, etag or self._etag(url))

    def _explain_refused_creation(self, url: str, error: dav.DAVError) -> None:
        """Raise what a refusal means if it can be told; 412 is also used for bad data, 409 for a missing calendar."""
        if leaf_of(error) is AlreadyExists and error.preconditions:
            raise AlreadyExists("the server has this UID under another address") from error
        if error.status not in _MAY_MEAN_THERE:
            return
        if self._server.get(url) is not None:
            raise AlreadyExists() from error
        if error.status == 409:
            raise NotFound("the calendar is gone") from error
        if error.status == 412:
            raise Unsupported(
                f"the server refuses the event: {', '.join(error.preconditions) or 'HTTP 412'}"
            ) from error

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        """Change the fields that are ours; raise `ETagMismatch` if the event isn't as `if_match` knew it."""
        with translated(ref.remote_id, calendar=ref.calendar, remote_id=ref.remote_id):
            current = self._matching(self._existing(ref), if_match)
            changed = ical.change_event(current.text.encode(), event)
            etag = self._server.put(current.url, changed, wire.if_match(current.etag))
            return EventRef(ref.calendar, ref.remote_id, ref.uid, etag or self._etag(current.url), ref.html_link)

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        """Remove the event, if it is as `if_match` knew it where that is given; one that is gone is fine.

        The ETag is compared here too: some servers ignore `If-Match` on DELETE.
        """
        with translated(ref.remote_id, calendar=ref.calendar, remote_id=ref.remote_id):
            if if_match is None:
                return self._remove(ref.remote_id, {})
            current = self._server.get(ref.remote_id)
            if current is None:
                return None
            return self._remove(current.url, wire.if_match(self._matching(current, if_match).etag))

    def _remove(self, url: str, condition: dict[str, str]) -> None:
        try:
            self._server.delete(url, condition)
        except dav.DAVError as error:
            if error.status in (404, 410) or (error.status == 412 and self._server.get(url) is None):
                return
            raise

    def _address_for(self, calendar: RemoteCalendar, idempotency_key: str) -> str:
        return self._server.resolve(self._server.url, wire.resource(calendar.remote_id, idempotency_key))

    def _existing(self, ref: EventRef) -> Resource:
        resource = self._server.get(ref.remote_id)
        if resource is None:
            raise NotFound()
        return resource

    def _matching(self, current: Resource, if_match: str) -> Resource:
        if wire.opaque(current.etag) != wire.opaque(if_match):
            raise ETagMismatch()
        return current

    def _etag(self, url: str) -> str | None:
        resource = self._server.get(url)
        return None if resource is None else resource.etag


def _written(resource: Resource, ref: EventRef) -> WrittenEvent:
    return ical.read_written(
        resource.text, EventRef(ref.calendar, ref.remote_id, ref.uid, resource.etag, ref.html_link)
    )
