"""What changed in a calendar: the listing with its token first, then the resources in batches.

Decides how a listing is obtained and folded, when a token is invalid, and when a resource counts as gone: only on its
own 404 or 410, or by the server's word in a listing. Refuses to know what an event means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from caldav.elements import cdav
from caldav.lib import error as dav

from providers.caldav import wire
from providers.caldav.server import Resource, Server
from providers.errors import InvalidResponse, NotFound, SyncTokenInvalid
from providers.model import Unreadable, Window

BATCH = 100
_MAX_LISTINGS = 1_000
_VALID_SYNC_TOKEN = "{DAV:}valid-sync-token"  # noqa: S105 - a precondition's name
_NEED_PRIVILEGES = "{DAV:}need-privileges"
_TOKEN_REFUSED = frozenset({400, 403, 405, 409, 410, 412, 415, 422, 501, 507})
_NO_SYNC = frozenset({400, 403, 404, 405, 409, 412, 415, 422, 501, 507})
_MULTIGET_FAILED = frozenset({400, 403, 404, 405, 409, 410, 413, 415, 422, 500, 501, 507})


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be read: ETags by URL, and what is gone; `token` belongs to this very state."""

    members: dict[str, str | None]
    removed: frozenset[str]
    token: str | None
    incremental: bool


@dataclass(slots=True)
class Batch:
    """What became of some resources: read, gone, or refused."""

    found: list[Resource] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


def listing(server: Server, calendar: str, token: str | None) -> Listing:
    """List what changed since `token`, or everything; a full listing is a sync from nothing where that is offered.

    Raises `SyncTokenInvalid` for a token the server refuses. A bare 403 to a token counts as such: the full pull that
    follows tells whether it is the permission that is missing.
    """
    if token is not None:
        try:
            return _synced(server, calendar, token)
        except dav.DAVError as error:
            if _VALID_SYNC_TOKEN in error.preconditions or _refuses_token(error):
                raise SyncTokenInvalid(calendar=calendar) from error
            raise
    try:
        return _synced(server, calendar, "")
    except dav.DAVError as error:
        if error.status not in _NO_SYNC or _NEED_PRIVILEGES in error.preconditions:
            raise
    return _listed(server, calendar)


def compared(listing: Listing, known: Mapping[str, str]) -> Listing:
    """Return what of a full listing isn't as it is known; a resource without an ETag may always have changed."""
    changed = {
        url: etag
        for url, etag in listing.members.items()
        if etag is None or wire.opaque(etag) != wire.opaque(known.get(url))
    }
    return replace(listing, members=changed, removed=frozenset(known.keys() - listing.members.keys()))


def _refuses_token(error: dav.DAVError) -> bool:
    return error.status in _TOKEN_REFUSED and _NEED_PRIVILEGES not in error.preconditions


def _synced(server: Server, calendar: str, token: str) -> Listing:
    """Follow truncated answers (507, RFC 6578 §3.6) to the end; a later answer overrules an earlier one."""
    members: dict[str, str | None] = {}
    removed: set[str] = set()
    asked: str | None = token
    for _ in range(_MAX_LISTINGS):
        rows, following = server.sync(calendar, asked or "")
        _fold(rows, calendar, members, removed)
        if not any(row.status == 507 for row in rows) or following in (None, asked):
            return Listing(members, frozenset(removed), following, incremental=True)
        asked = following
    msg = "the server's answer to a sync has no end"
    raise InvalidResponse(msg, calendar=calendar)


def _fold(rows: Sequence[wire.Row], calendar: str, members: dict[str, str | None], removed: set[str]) -> None:
    """Take in one answer; rows are a set and may repeat, and one that has an ETag is there, whatever another says."""
    if any(row.status in (404, 410) and _same_place(row.url, calendar) for row in rows):
        raise NotFound(calendar=calendar)
    there = {row.url: row.etag for row in rows if row.status not in (404, 410, 507) and _is_member(row.url)}
    gone = {row.url for row in rows if row.status in (404, 410) and row.url not in there}
    members.update(there)
    removed.difference_update(there)
    removed.update(gone)
    for url in gone:
        members.pop(url, None)


def _listed(server: Server, calendar: str) -> Listing:
    """List ETags without a token, for servers that have none to give."""
    rows = server.propfind(calendar, wire.ETAG, depth=1)
    members: dict[str, str | None] = {}
    _fold(rows, calendar, members, set())
    return Listing(members, frozenset(), None, incremental=False)


def _same_place(one: str, other: str) -> bool:
    return wire.collection(wire.path(one)) == wire.collection(wire.path(other))


def _is_member(url: str) -> bool:
    return not url.endswith("/")


def batches(server: Server, calendar: str, listing: Listing) -> Iterator[Batch]:
    """Read the listed resources, at most BATCH at a time."""
    urls = list(listing.members)
    for at in range(0, len(urls), BATCH):
        yield _read(server, calendar, {url: listing.members[url] for url in urls[at : at + BATCH]})


def _read(server: Server, calendar: str, wanted: dict[str, str | None]) -> Batch:
    """Ask for all at once, then for what the answer leaves out one by one: silence isn't absence."""
    batch = Batch(found=_asked_together(server, calendar, wanted))
    answered = {resource.url for resource in batch.found}
    for url in wanted:
        if url not in answered:
            _ask_alone(server, url, wanted[url] or "", batch)
    return batch


def looked_at(server: Server, calendar: str, window: Window) -> Batch:
    """Return what the server finds in a window; what it names without a text is asked for by itself."""
    listed = {row.url: row for row in server.query(calendar, window) if row.status < 300 and _is_member(row.url)}
    read = {url: text for url, row in listed.items() if (text := row.text(cdav.CalendarData))}
    batch = Batch(found=[Resource(url, listed[url].etag, text) for url, text in read.items()])
    for url in listed.keys() - read.keys():
        _ask_alone(server, url, listed[url].etag or "", batch)
    return batch


def _asked_together(server: Server, calendar: str, wanted: dict[str, str | None]) -> list[Resource]:
    try:
        rows = server.multiget(calendar, wanted)
    except dav.DAVError as error:
        if error.status not in _MULTIGET_FAILED:
            raise
        if error.status in (404, 410):
            server.propfind(calendar, wire.ETAG, depth=0)  # raises if it is the calendar that is gone
        return []
    except InvalidResponse:
        return []  # one resource can spoil the answer for all
    read = {
        row.url: Resource(row.url, row.etag or wanted[row.url], text)
        for row in rows
        if row.url in wanted and (text := row.text(cdav.CalendarData))
    }
    return list(read.values())


def _ask_alone(server: Server, url: str, etag: str, batch: Batch) -> None:
    try:
        resource = server.get(url)
    except dav.DAVError as error:
        if error.status != 403:
            raise
        batch.unreadable.append(Unreadable(url, etag, "The server refuses to show it."))
    except (InvalidResponse, ValueError):
        batch.unreadable.append(Unreadable(url, etag, "It is too large or not text."))
    else:
        if resource is None:
            batch.gone.append(url)
        else:
            batch.found.append(resource)
