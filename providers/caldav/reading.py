"""How resources of a calendar are read, once it is known which: many at once, and one by one what that leaves out.

Decides when a resource counts as gone (only on its own 404 or 410) and when it counts as unreadable, which then has no
ETag, so that it is asked for again. Refuses to know what an event means and why it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from caldav.elements import cdav
from caldav.lib import error as dav

from providers import ical
from providers.caldav import pull, quirks, wire
from providers.caldav.pull import Listing
from providers.caldav.server import Resource, Server
from providers.errors import InvalidResponse, NotFound, SyncTokenInvalid
from providers.model import RemoteCalendar, Unreadable, Window

BATCH = 100
LOOK_WHOLE = 500
_FEW = 5
_CANT_SEARCH = frozenset({400, 403, 404, 405, 409, 412, 415, 422, 501, 507})
_MULTIGET_FAILED = frozenset({400, 403, 404, 405, 409, 410, 413, 415, 422, 500, 501, 507})


@dataclass(slots=True)
class Batch:
    """What became of some resources: read, gone, or refused."""

    found: list[Resource] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    failures: list[dav.DAVError] = field(default_factory=list)


def batches(server: Server, calendar: str, listing: Listing) -> Iterator[Batch]:
    """Read the listed resources, at most BATCH at a time; what was listed without an ETag may be as it is known."""
    urls = list(listing.members)
    for at in range(0, len(urls), BATCH):
        batch = _read(server, calendar, {url: listing.members[url] for url in urls[at : at + BATCH]})
        batch.found = [one for one in batch.found if not _is_unchanged(server, one, listing)]
        yield batch


def _is_unchanged(server: Server, resource: Resource, listing: Listing) -> bool:
    listed = listing.members.get(resource.url)
    return listed is None and server.is_same(resource.etag, listing.known.get(resource.url))


def _read(server: Server, calendar: str, wanted: dict[str, str | None]) -> Batch:
    """Ask for all at once, then for what the answer leaves out one by one: silence isn't absence."""
    batch = Batch(found=_asked_together(server, calendar, wanted))
    answered = {resource.url for resource in batch.found}
    for url in wanted:
        if url not in answered:
            _ask_alone(server, url, batch)
    if batch.gone:
        _tell_apart(server, calendar, batch)
    return _settled(server, calendar, batch)


def _tell_apart(server: Server, calendar: str, batch: Batch) -> None:
    """Name as unreadable what seems gone and is still listed, so that nothing vanishes silently.

    A sync may list a name with % as it is, and a PROPFIND the same one encoded.
    """
    try:
        listed = pull.members(server, calendar)
    except InvalidResponse:
        return
    raw = {wire.resolve(url, unquote(wire.path(url))) for url in listed if "%25" in url}
    lost = [url for url in batch.gone if url in listed or url in raw]
    if lost:
        server.tolerate(quirks.LOST_NAMES)
    batch.gone = [url for url in batch.gone if url not in lost]
    batch.unreadable += [Unreadable(url, "", "The server lists it, but has nothing at its address.") for url in lost]


def _settled(server: Server, calendar: str, batch: Batch) -> Batch:
    """Return a batch in which something was read or little was asked for; raise if it is the server that fails."""
    if batch.failures and not (batch.found or batch.gone):
        if len(batch.failures) > _FEW:
            raise batch.failures[0]
        server.propfind(calendar, wire.ETAG, depth=0)  # raises if the server fails at that too
    return batch


def looked_at(
    server: Server, calendar: RemoteCalendar, window: Window, matters: Callable[[bytes], bool]
) -> tuple[Batch, bool]:
    """Return what may lie in a window, beside what was pulled and is unchanged, and whether that is all.

    Servers leave out events when asked for a span of time. Where a trial hasn't shown that this one doesn't, it is
    asked for what changed since the last pull, however large the calendar. Where there was none, a calendar of up to
    LOOK_WHOLE resources is read whole; where more would have to be read, what the server finds is all that is told.
    """
    finds = calendar.probe is not None and calendar.probe.finds_by_time
    if finds or quirks.MISSED_BY_TIME not in server.quirks:
        return _found_by_time(server, calendar.remote_id, window)
    listing = _changed_since(server, calendar, matters)
    if listing is None:
        listing = pull.Listing(pull.members(server, calendar.remote_id), frozenset(), None, complete=True)
    if len(listing.members) > LOOK_WHOLE:
        return _found_by_time(server, calendar.remote_id, window)[0], False
    whole = Batch()
    for batch in batches(server, calendar.remote_id, listing):
        whole.found += batch.found
        whole.unreadable += batch.unreadable
    return whole, True


def _changed_since(server: Server, calendar: RemoteCalendar, matters: Callable[[bytes], bool]) -> Listing | None:
    """List what changed since the last pull; None if there was none, or the server doesn't know its token any more."""
    if calendar.pulled is None:
        return None
    try:
        return pull.listing(server, calendar, calendar.pulled.sync_token, calendar.pulled.known, matters)
    except SyncTokenInvalid:
        return None


def _found_by_time(server: Server, calendar: str, window: Window) -> tuple[Batch, bool]:
    """Return what the server finds in a window, and whether it says that this is all (RFC 4791 §7.8).

    What it names without a text is asked for by itself.
    """
    rows = server.query(calendar, wire.within(window))
    try:
        pull.check_itself(rows, calendar)
    except NotFound:
        # Stalwart says so where nothing is found
        pull.check_itself(server.propfind(calendar, wire.ETAG, depth=0), calendar)
    listed = {row.url: row for row in rows if row.status != 507 and not wire.is_same(row.url, calendar)}
    read = {url: text for url, row in listed.items() if (text := row.text(cdav.CalendarData))}
    batch = Batch(found=[server.resource(url, listed[url].etag, text.encode()) for url, text in read.items()])
    for url in listed.keys() - read.keys():
        _ask_alone(server, url, batch)
    return _settled(server, calendar, batch), not any(row.status == 507 for row in rows)


def has_uid(server: Server, calendar: str, uid: str) -> bool:
    """Search a calendar for a UID: slow on some servers, and not found where the server can't be asked."""
    try:
        rows = server.query(calendar, wire.with_uid(uid))
    except dav.DAVError as error:
        if error.status not in _CANT_SEARCH:
            raise
        return False
    except InvalidResponse:
        return False
    read = [
        ical.reduce(row.text(cdav.CalendarData) or "", remote_id=row.url, etag="", own_addresses=frozenset())
        for row in rows
        if row.status < 300
    ]
    return any(one.event is not None and one.event.uid == uid for one in read)


def _asked_together(server: Server, calendar: str, wanted: dict[str, str | None]) -> list[Resource]:
    try:
        rows = server.multiget(calendar, wanted)
    except dav.DAVError as error:
        if error.status not in _MULTIGET_FAILED:
            raise
        server.tolerate(quirks.MULTIGET_FAILS)
        if error.status in (404, 410):
            server.propfind(calendar, wire.ETAG, depth=0)  # raises if it is the calendar that is gone
        return []
    except InvalidResponse:
        server.tolerate(quirks.MULTIGET_SPOILT)
        return []
    if not wanted.keys() <= {row.url for row in rows}:
        server.tolerate(quirks.MULTIGET_SILENT)
    read = {
        row.url: server.resource(row.url, row.etag or wanted[row.url], text.encode())
        for row in rows
        if row.url in wanted and (text := row.text(cdav.CalendarData))
    }
    return list(read.values())


def _ask_alone(server: Server, url: str, batch: Batch) -> None:
    try:
        resource = server.get(url)
    except dav.DAVError as error:
        if error.status not in (403, 500):
            raise
        if error.status == 500:
            server.tolerate(quirks.ONE_FAILS)
            batch.failures.append(error)
        reason = "The server refuses to show it." if error.status == 403 else "The server fails to show it."
        batch.unreadable.append(Unreadable(url, "", reason))
    except (InvalidResponse, ValueError):
        batch.unreadable.append(Unreadable(url, "", "It is too large or can't be read."))
    else:
        if resource is None:
            batch.gone.append(url)
        else:
            batch.found.append(resource)
