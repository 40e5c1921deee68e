"""Calendars in this process: the reference for `providers.port`, the least code that keeps its promises.

Decides nothing of its own: resources are iCalendar text, as on a server. An account is shared by everything in the
process that opens the same address (`memory://name`), and can be edited as by another client, made to fail, and asked
how often it was called.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from providers import ical
from providers.errors import AlreadyExists, ETagMismatch, GrantRevoked, NotFound, ProviderError, SyncTokenInvalid
from providers.model import (
    Attendee,
    Capabilities,
    ChangePage,
    Connection,
    ConsultationEvent,
    EventRef,
    Glance,
    Probe,
    RemoteCalendar,
    Watch,
    Window,
    WrittenEvent,
)
from providers.port import Known

_PAGE = 100
_REVISIONS = itertools.count(1)  # never the same twice in a process, so a token of a calendar made anew is unknown


@dataclass(slots=True)
class _Resource:
    text: str
    revision: int

    @property
    def etag(self) -> str:
        return f'"{self.revision}"'


@dataclass(slots=True)
class _Calendar:
    remote: RemoteCalendar
    born: int
    resources: dict[str, _Resource] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """A channel that was opened: of which calendar, where changes are told, and with which token."""

    calendar: str
    address: str
    token: str


class MemoryAccount:
    """One account: what another client of it may do, and what may go wrong with it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._calendars: dict[str, _Calendar] = {}
        self._failures: list[tuple[ProviderError, bool]] = []
        self.secret: str | None = None  # None lets everyone in
        self.watches: dict[str, Watched] = {}  # by channel id; whoever edits tells of it
        self.attendees: dict[str, Attendee] = {}  # by remote id
        self.link: str | None = "https://meet.example/{}"  # what a meeting link looks like; None if making one fails
        self.link_reads = 0  # how often an event is to be read before its link is made
        self.pending: dict[str, int] = {}  # events that asked for a link, and how often each is still to be read
        self.calls: Counter[str] = Counter()

    def add_calendar(
        self, remote_id: str, *, tz: str | None = "UTC", can_write: bool = True, makes_links: bool = False
    ) -> RemoteCalendar:
        """Make an empty calendar whose name is its remote id, in place of one of that name."""
        remote = RemoteCalendar(remote_id, remote_id, tz=tz, can_write=can_write, makes_links=makes_links)
        with self._lock:
            self._calendars[remote_id] = _Calendar(remote, next(_REVISIONS))
        return remote

    def remove_calendar(self, remote_id: str) -> None:
        """Remove a calendar and all that is in it."""
        with self._lock:
            del self._calendars[remote_id]

    def put(self, calendar: str, remote_id: str, text: str) -> str:
        """Write a resource as another client and return its ETag."""
        with self._lock:
            found = self.calendar(calendar)
            found.resources[remote_id] = _Resource(text, next(_REVISIONS))
            found.gone.pop(remote_id, None)
            return found.resources[remote_id].etag

    def remove(self, calendar: str, remote_id: str) -> None:
        """Remove a resource as another client."""
        with self._lock:
            found = self.calendar(calendar)
            del found.resources[remote_id]
            found.gone[remote_id] = next(_REVISIONS)

    def texts(self, calendar: str) -> dict[str, str]:
        """Return every resource's text by remote id."""
        with self._lock:
            return {remote_id: resource.text for remote_id, resource in self.calendar(calendar).resources.items()}

    def forget_tokens(self, calendar: str) -> None:
        """Make every sync token given out so far unknown."""
        with self._lock:
            self.calendar(calendar).born = next(_REVISIONS)

    def fail_next(self, error: ProviderError, *, after_effect: bool = False) -> None:
        """Make the next call not yet made to fail raise `error`, before anything happened or once everything has."""
        with self._lock:
            self._failures.append((error, after_effect))

    def remember(self, calendar: RemoteCalendar, remote_id: str, event: ConsultationEvent) -> None:
        """Note who is invited to an event just made, and that it wants a meeting link."""
        if event.attendee is not None:
            self.attendees[remote_id] = event.attendee
        if event.wants_link and self.calendar(calendar.remote_id).remote.makes_links:
            self.pending[remote_id] = self.link_reads

    def calendar(self, remote_id: str) -> _Calendar:
        """Return a calendar; raise `NotFound`."""
        if remote_id not in self._calendars:
            raise NotFound(calendar=remote_id)
        return self._calendars[remote_id]

    def calendars(self) -> list[RemoteCalendar]:
        """Return all calendars."""
        return [calendar.remote for calendar in self._calendars.values()]

    def holds(self, calendar: str, remote_id: str) -> bool:
        """Say whether a resource is there; in a calendar that isn't, nothing is."""
        return calendar in self._calendars and remote_id in self._calendars[calendar].resources

    @contextmanager
    def called(self, name: str, secret: str) -> Iterator[None]:
        """Count a call and let it have its effect alone, failing it where that was asked for."""
        with self._lock:
            self.calls[name] += 1
            if self.secret is not None and secret != self.secret:
                raise GrantRevoked()
            error, after_effect = self._failures.pop(0) if self._failures else (None, False)
            if error is not None and not after_effect:
                raise error
            yield
            if error is not None:
                raise error


_ACCOUNTS: dict[str, MemoryAccount] = {}
_ACCOUNTS_LOCK = threading.Lock()


def account(url: str) -> MemoryAccount:
    """Return the account at an address; the first to ask makes it."""
    with _ACCOUNTS_LOCK:
        return _ACCOUNTS.setdefault(url, MemoryAccount())


class MemoryProvider:
    """An opened account."""

    capabilities = Capabilities(incremental=True, preconditions=True, push=True)

    def __init__(self, held: MemoryAccount, connection: Connection) -> None:
        self._account = held
        self._secret = connection.secret
        self._own = connection.own_addresses

    @classmethod
    def open(cls, connection: Connection) -> MemoryProvider:
        """Open the account at `connection.url`."""
        return cls(account(connection.url), connection)

    def close(self) -> None:
        """Nothing is held open."""

    def list_calendars(self) -> list[RemoteCalendar]:
        """Return all calendars."""
        with self._account.called("list_calendars", self._secret):
            return self._account.calendars()

    def changes(
        self,
        calendar: RemoteCalendar,
        sync_token: str | None,
        window: Window,
        known: Known | None = None,
        beside: Sequence[RemoteCalendar] = (),
    ) -> Iterator[ChangePage]:
        """Yield what changed since a token or beside what is known; whole series, whatever the window."""
        before = known() if known is not None and sync_token is None else None
        with self._account.called("changes", self._secret):
            found = self._account.calendar(calendar.remote_id)
            token = f"{found.born}-{next(_REVISIONS)}"
            newer, gone = _difference(found, sync_token, before)
        complete = sync_token is None and before is None
        pages = [newer[at : at + _PAGE] for at in range(0, len(newer), _PAGE)] or [[]]
        for page in pages[:-1]:
            yield self._page(page, [], None, complete=complete)
        yield self._page(pages[-1], gone, token, complete=complete)

    def _page(
        self, items: list[tuple[str, _Resource]], gone: list[str], token: str | None, *, complete: bool
    ) -> ChangePage:
        read = [ical.reduce(item.text, remote_id=key, etag=item.etag, own_addresses=self._own) for key, item in items]
        empty = [key for (key, _), one in zip(items, read, strict=True) if one.event is None and not one.unreadable]
        return ChangePage(
            changed=tuple(one.event for one in read if one.event is not None),
            removed=() if complete else (*gone, *empty),
            unreadable=tuple(bad for one in read for bad in one.unreadable),
            complete=complete,
            sync_token=token,
        )

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]:
        """Return all that each calendar holds."""
        with self._account.called("look", self._secret):
            held = [(calendar.remote_id, self._account.calendar(calendar.remote_id)) for calendar in calendars]
            pages = [(name, self._page(list(found.resources.items()), [], None, complete=True)) for name, found in held]
        return [Glance(name, page.changed, page.unreadable) for name, page in pages]

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        """Say what this module does, which needs no trial."""
        with self._account.called("probe", self._secret):
            found = self._account.calendar(calendar.remote_id)
        privileges = ("read", "write") if found.remote.can_write else ("read",)
        return Probe("sync-token", True, True, True, True, True, privileges)

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None:
        """Return what `create` with this key made, or None."""
        with self._account.called("find", self._secret):
            ref = EventRef(calendar.remote_id, idempotency_key, idempotency_key)
            return self._read(ref) if self._is_there(ref) else None

    def get(self, ref: EventRef) -> WrittenEvent:
        """Return the event as it is now."""
        with self._account.called("get", self._secret):
            return self._read(ref)

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        """Write a new event; its UID and its remote id are the idempotency key."""
        with self._account.called("create", self._secret):
            ref = EventRef(calendar.remote_id, idempotency_key, idempotency_key)
            if self._is_there(ref):
                raise AlreadyExists(calendar=ref.calendar, remote_id=ref.remote_id)
            text = ical.write_event(event, idempotency_key).decode()
            self._account.remember(calendar, ref.remote_id, event)
            return self._linked(replace(ref, etag=self._account.put(ref.calendar, ref.remote_id, text)))

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        """Change the fields that are ours."""
        with self._account.called("update", self._secret):
            current = self._matching(ref, if_match)
            text = ical.change_event(current.text.encode(), event).decode()
            return self._linked(replace(ref, etag=self._account.put(ref.calendar, ref.remote_id, text)))

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        """Remove the event, if it is there."""
        with self._account.called("delete", self._secret):
            if self._is_there(ref):
                self._matching(ref, if_match)
                self._account.remove(ref.calendar, ref.remote_id)

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
        """Open a channel for a week."""
        with self._account.called("watch", self._secret):
            self._account.calendar(calendar.remote_id)
            self._account.watches[channel_id] = Watched(calendar.remote_id, address, token)
        return Watch(channel_id, f"resource-{calendar.remote_id}", datetime.now(UTC) + timedelta(days=7))

    def unwatch(self, watch: Watch) -> None:
        """Close a channel, if it is open."""
        with self._account.called("unwatch", self._secret):
            self._account.watches.pop(watch.channel_id, None)

    def _is_there(self, ref: EventRef) -> bool:
        return self._account.holds(ref.calendar, ref.remote_id)

    def _matching(self, ref: EventRef, if_match: str | None) -> _Resource:
        resource = self._resource(ref)
        if if_match not in (None, resource.etag):
            raise ETagMismatch(calendar=ref.calendar, remote_id=ref.remote_id)
        return resource

    def _read(self, ref: EventRef) -> WrittenEvent:
        resource = self._resource(ref)
        left = self._account.pending.get(ref.remote_id, 0)
        if left:
            self._account.pending[ref.remote_id] = left - 1
        return ical.read_written(resource.text, self._linked(replace(ref, etag=resource.etag)))

    def _linked(self, ref: EventRef) -> EventRef:
        left, link = self._account.pending.get(ref.remote_id), self._account.link
        made = link.format(ref.remote_id) if link and left == 0 else None
        invited = ref.remote_id in self._account.attendees
        return replace(ref, join_url=made, link_pending=bool(left), invited=invited)

    def _resource(self, ref: EventRef) -> _Resource:
        resource = self._account.calendar(ref.calendar).resources.get(ref.remote_id)
        if resource is None:
            raise NotFound(calendar=ref.calendar, remote_id=ref.remote_id)
        return resource


def _difference(
    calendar: _Calendar, sync_token: str | None, known: Mapping[str, str] | None
) -> tuple[list[tuple[str, _Resource]], list[str]]:
    """Return what is new or changed, and what is gone: since a token, beside what is known, or since the beginning."""
    items = calendar.resources.items()
    if known is not None:
        return [one for one in items if one[1].etag != known.get(one[0])], sorted(known.keys() - calendar.resources)
    if sync_token is None:
        return list(items), []
    since = _revision(sync_token, calendar)
    gone = [key for key, revision in calendar.gone.items() if revision > since]
    return [one for one in items if one[1].revision > since], gone


def _revision(sync_token: str, calendar: _Calendar) -> int:
    """Read a token: the calendar's birth and the revision up to which everything was seen."""
    born, _, revision = sync_token.partition("-")
    if born != str(calendar.born) or not (revision.isascii() and revision.isdigit()):
        raise SyncTokenInvalid(calendar=calendar.remote.remote_id)
    return int(revision)
