"""ICS feeds: `providers.port` on a calendar that is one file behind an address, and can only be read.

Decides when a feed has changed (its server says so, or what it comes down to is another), what of it has, and which
answers are no calendar. Refuses to know HTTP (`providers.download`) and iCalendar (`providers.ical_file`).

A feed is one calendar, `CALENDAR`; remote ids are UIDs. ETags are made of what an event comes down to without its UID,
so that a feed which names its events anew with every answer (Outlook's may) has changed only where its times have.
Names matter all the same: see `_difference`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import NoReturn

from providers.download import Download, Remote, Version
from providers.errors import InvalidResponse, NotFound, SyncTokenInvalid, Unsupported
from providers.ical_file import CalendarFile, read_file
from providers.ical_text import unescaped
from providers.lookalikes import look_of
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

CALENDAR = "feed"

_PAGE = 500
_LONGEST_NAME = 100
_UID_LINE = re.compile(r"\r\nUID:[^\r\n]*")


@dataclass(frozen=True, slots=True)
class _Resource:
    """What a feed says under one remote id."""

    etag: str
    events: tuple[RemoteEvent, ...]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class _Content:
    """A feed as it was read."""

    name: str
    tz: str | None
    resources: Mapping[str, _Resource]
    version: Version

    @property
    def digest(self) -> str:
        """What it comes down to, whatever the order and the names."""
        return _digest(sorted(resource.etag for resource in self.resources.values()))

    @property
    def names(self) -> str:
        """Its names, whatever they stand for."""
        return _digest(sorted(self.resources))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a sync token remembers: the version that was seen, what it came down to, and its names."""

    version: Version
    digest: str
    names: str

    def token(self) -> str:
        marks = {"etag": self.version.etag, "modified": self.version.modified}
        return json.dumps({"digest": self.digest, "names": self.names, **marks})

    @classmethod
    def of(cls, token: str) -> _Seen:
        """Read a token. Raises SyncTokenInvalid."""
        try:
            parts = json.loads(token)
            digest, names, etag, modified = (str(parts[name]) for name in ("digest", "names", "etag", "modified"))
        except (ValueError, LookupError, TypeError):
            raise SyncTokenInvalid(calendar=CALENDAR) from None
        return cls(Version(etag, modified), digest, names)


class IcsFeedProvider:
    """One subscription; raises ValueError for an address that no feed can have."""

    capabilities = Capabilities(incremental=True, preconditions=False)

    def __init__(self, connection: Connection) -> None:
        self._remote = Remote(connection)
        self._own = connection.own_addresses
        self._held: _Content | None = None

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def list_calendars(self) -> list[RemoteCalendar]:
        """Return the one calendar there is, by the name and zone it gives itself."""
        content = self._now()
        return [RemoteCalendar(CALENDAR, content.name, tz=content.tz, can_write=False)]

    def changes(
        self,
        calendar: RemoteCalendar,
        sync_token: str | None,
        window: Window,
        known: Known | None = None,
        beside: Sequence[RemoteCalendar] = (),
    ) -> Iterator[ChangePage]:
        """Yield what isn't as it is known, everything where nothing is, or one empty page if the feed hasn't changed.

        Raises `SyncTokenInvalid` before anything is asked. One request.
        """
        _check(calendar)
        seen = _Seen.of(sync_token) if sync_token is not None else None
        content = self._now() if seen is None else self._unless(seen.version)
        if seen is not None and (content is None or (content.digest, content.names) == (seen.digest, seen.names)):
            latest = seen if content is None else replace(seen, version=content.version)
            yield ChangePage((), (), (), complete=False, sync_token=latest.token(), total=0)
        elif content is not None:
            yield from _pages(content, known() if known is not None else None)

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]:
        """Read the feed, whatever the window; of what was pulled it tells what isn't so any more. One request."""
        return [self._look(calendar) for calendar in calendars]

    def _look(self, calendar: RemoteCalendar) -> Glance:
        _check(calendar)
        seen = _last_seen(calendar)
        content = self._now() if seen is None else self._unless(seen.version)
        if content is None:
            return Glance(CALENDAR, (), ())
        known = calendar.pulled.known() if calendar.pulled else {}
        resources = [content.resources[name] for name in _difference(content.resources, known)[0]]
        events = tuple(event for resource in resources for event in resource.events)
        return Glance(CALENDAR, events, tuple(bad for resource in resources for bad in resource.unreadable))

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        """Read the feed twice, to see whether its server tells when nothing has changed."""
        _check(calendar)
        if trial_at is not None:
            _refuse()
        content = self._now()
        again = self._unless(content.version)
        return Probe(pulls_by="download", privileges=("read",), remarks=_remarks(content, again))

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None:
        """Return None: nothing was ever written to a feed."""
        return None

    def get(self, ref: EventRef) -> WrittenEvent:
        """Raise `NotFound`: nothing was ever written to a feed."""
        raise NotFound(calendar=ref.calendar, remote_id=ref.remote_id)

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        """Raise `Unsupported`."""
        _refuse()

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        """Raise `Unsupported`."""
        _refuse()

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        """Raise `Unsupported`."""
        _refuse()

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
        """Raise `Unsupported`: a feed tells no one of changes."""
        raise Unsupported()

    def unwatch(self, watch: Watch) -> None:
        """Raise `Unsupported`."""
        raise Unsupported()

    def _now(self) -> _Content:
        """Return the feed as it is now, sent anew only if it isn't as this instance read it before."""
        if self._held is None:
            self._held = self._content(self._remote.download())
        else:
            self._held = self._unless(self._held.version) or self._held
        return self._held

    def _unless(self, known: Version) -> _Content | None:
        download = self._remote.download_unless(known)
        return None if download is None else self._content(download)

    def _content(self, download: Download) -> _Content:
        """Read what was sent. Raises InvalidResponse for what isn't a whole calendar."""
        host = self._remote.host
        file = read_file(download.content, self._own)
        if file is None:
            hint = "is this the address of the .ics file itself, and can it be opened without logging in?"
            said = f"{host} answered with {look_of(download.content)}, not with a calendar: {hint}"
            raise InvalidResponse(said, calendar=CALENDAR)
        if file.cut:
            raise InvalidResponse(f"{host} sent a calendar that breaks off before its end", calendar=CALENDAR)
        return _Content(_name(file) or self._remote.name, file.tz, _resources(file), download.version)


def _last_seen(calendar: RemoteCalendar) -> _Seen | None:
    try:
        return _Seen.of(calendar.pulled.sync_token) if calendar.pulled and calendar.pulled.sync_token else None
    except SyncTokenInvalid:
        return None


def _check(calendar: RemoteCalendar) -> None:
    if calendar.remote_id != CALENDAR:
        raise NotFound("a feed holds one calendar alone", calendar=calendar.remote_id)


def _refuse() -> NoReturn:
    raise Unsupported("a feed can only be read", calendar=CALENDAR)


def _name(file: CalendarFile) -> str:
    words = unescaped(file.name or "").split()
    return "".join(sign for sign in " ".join(words) if sign.isprintable())[:_LONGEST_NAME]


def _resources(file: CalendarFile) -> dict[str, _Resource]:
    events: dict[str, list[RemoteEvent]] = {}
    unreadable: dict[str, list[Unreadable]] = {}
    for event in file.events:
        events.setdefault(event.remote_id, []).append(event)
    for bad in file.unreadable:
        unreadable.setdefault(bad.remote_id, []).append(bad)
    return {name: _resource(events.get(name, []), unreadable.get(name, [])) for name in {**events, **unreadable}}


def _resource(events: Sequence[RemoteEvent], unreadable: Sequence[Unreadable]) -> _Resource:
    said = [_UID_LINE.sub("", event.skeleton) for event in events]
    etag = _digest([*said, *(f"{bad.start}{bad.reason}" for bad in unreadable)])
    return _Resource(
        etag,
        tuple(replace(event, etag=etag) for event in events),
        tuple(replace(bad, etag=etag) for bad in unreadable),
    )


def _digest(texts: Sequence[str]) -> str:
    return sha256("\n".join(texts).encode()).hexdigest()[:24]


def _pages(content: _Content, known: Mapping[str, str] | None) -> Iterator[ChangePage]:
    """Yield all there is, or what isn't as it is known; the last page names what is gone and holds the token."""
    changed, gone = (list(content.resources), []) if known is None else _difference(content.resources, known)
    complete, token = known is None, _Seen(content.version, content.digest, content.names).token()
    total = len(changed) + len(gone)
    for at in range(0, max(len(changed), 1), _PAGE):
        page = [content.resources[name] for name in changed[at : at + _PAGE]]
        last = at + _PAGE >= len(changed)
        yield ChangePage(
            changed=tuple(event for resource in page for event in resource.events),
            removed=tuple(gone) if last else (),
            unreadable=tuple(bad for resource in page for bad in resource.unreadable),
            complete=complete,
            sync_token=token if last else None,
            total=total,
        )


def _difference(resources: Mapping[str, _Resource], known: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the remote ids that are new or changed, and those that are gone.

    Where most names are others than before, the feed names its events anew, and what only has another name is neither.
    Elsewhere another name is another event: the one that is gone may have been ours.
    """
    named_anew = 2 * len(known.keys() & resources.keys()) < len(known)
    changed: list[str] = []
    gone: dict[str, list[str]] = {}
    for name in sorted(known.keys() - resources.keys()):
        gone.setdefault(known[name], []).append(name)
    for name, resource in resources.items():
        if named_anew and name not in known and gone.get(resource.etag):
            gone[resource.etag].pop()
        elif known.get(name) != resource.etag:
            changed.append(name)
    return changed, sorted(name for names in gone.values() for name in names)


def _remarks(content: _Content, again: _Content | None) -> tuple[str, ...]:
    if again is None:
        return ("As long as it hasn't changed, the feed isn't sent again.",)
    remarks = ["The feed is sent whole each time, and compared with what is known."]
    if content.resources and not content.resources.keys() & again.resources.keys():
        remarks.append("Its events get other names (UIDs) each time, so they are told apart by their times.")
    return tuple(remarks)
