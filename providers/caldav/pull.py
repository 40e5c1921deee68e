"""What is to be read of a calendar: what changed since a token, or what isn't as it is known, or everything.

Decides how that is found out, which is one of three ways, and what a token is:
- `sync-token`: the server tells what changed since its own token (RFC 6578); that token is ours as it stands.
- `ctag`: a mark of the whole calendar says whether anything changed; if so, all ETags are listed and compared with what
  is known. The token is `ctag:` and the mark, taken before the listing.
- `etags`: there is no mark either; ETags are listed and compared every time, and there is no token.
The token says which way it belongs to, so a server may lose or gain a way between two pulls. Refuses to know what an
event means and how it is read (`providers.caldav.reading`).

A mark may be a count that begins anew with the calendar (sabre/dav 1.8): one that was removed, made again at the same
address and changed as often as the old one seems unchanged until all is compared, at `reconcile_every`. Nothing else
that such a server says of a calendar tells the two apart.

A listing that a server cuts without saying so can't be told from one of a calendar that was emptied in part: it is for
the caller's brake to hold that back. That a calendar was emptied as a whole is made sure of here, as far as it is known
what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from caldav.elements import dav as elements
from caldav.lib import error as dav
from requests.exceptions import ReadTimeout

from providers.caldav import quirks, wire
from providers.caldav.failures import translated
from providers.caldav.server import Server
from providers.errors import InvalidResponse, NotFound, SyncTokenInvalid, Unavailable
from providers.model import PullsBy, RemoteCalendar
from providers.port import Known
from providers.transport import leaf_for_status

CTAG = "ctag:"
_MAX_LISTINGS = 250
_MAX_MEMBERS = 500_000
_VALID_SYNC_TOKEN = "{DAV:}valid-sync-token"  # noqa: S105 - a precondition's name
_NEED_PRIVILEGES = "{DAV:}need-privileges"
_TOKEN_REFUSED = frozenset({400, 403, 405, 409, 410, 412, 415, 422, 501, 507})
_NO_SYNC = frozenset({400, 403, 404, 405, 409, 412, 415, 422, 500, 501, 507})
_PASSING = frozenset({401, 408, 423, 425, 429})
_TOO_LARGE = frozenset({413, 500, 504, 507})
_ASKED_FOR = 3
_LISTED = (*wire.ETAG, elements.ResourceType)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be read: ETags by URL, and what is gone.

    `token` belongs to this very state; a `complete` listing names everything there is; `known` is what it was
    compared with.
    """

    members: dict[str, str | None]
    removed: frozenset[str]
    token: str | None
    complete: bool
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def pulls_by(self) -> PullsBy:
        """The way in which it was found, and what changes next will be."""
        if self.token is None:
            return "etags"
        return "ctag" if self.token.startswith(CTAG) else "sync-token"


def listing(
    server: Server, calendar: RemoteCalendar, token: str | None, known: Known | None, matters: Callable[[bytes], bool]
) -> Listing:
    """List what is to be read, in the way that the token or else the calendar's probe names.

    `matters` says whether a text is an event that would be missed. Raises `SyncTokenInvalid` for a token the server
    refuses, and for a mark where nothing is known to compare with; `Unavailable` where nothing is listed any more and
    what was there is still shown.
    """
    if token is None:
        found = _beside_all(server, calendar, known() if known else None)
    elif token.startswith(CTAG):
        found = _since_mark(server, calendar.remote_id, token, known)
    else:
        found = _since_token(server, calendar, token, known)
    # What we wrote since the last pull has no ETag yet: no listing need name it.
    left = any(found.known[url] for url in found.known.keys() - found.removed)
    emptied = bool(found.known and found.removed) and not left
    if found.members or not (emptied or found.complete):
        return found
    return _made_sure(server, calendar.remote_id, found, matters)


def _made_sure(server: Server, calendar: str, found: Listing, matters: Callable[[bytes], bool]) -> Listing:
    """Ask in other ways whether a calendar has nothing, as a listing of it says."""
    if quirks.EMPTY_SYNC in server.quirks and found.pulls_by == "sync-token":
        there = members(server, calendar)  # raises if it is the calendar that is gone
        if there:
            if not found.known or there.keys() & found.removed:  # else it was made a moment ago
                server.tolerate(quirks.EMPTY_SYNC)
            whole = Listing(there, frozenset(), found.token, complete=True)
            return _compared(server, whole, found.known) if found.known else whole
    if quirks.FAILS_EMPTY in server.quirks:
        listed = (url for url, etag in found.known.items() if etag)
        if any(_is_shown(server, url, matters) for url in islice(listed, _ASKED_FOR)):
            server.tolerate(quirks.FAILS_EMPTY)
            raise Unavailable("the server lists nothing of the calendar, and shows what was there", calendar=calendar)
    return found


def _is_shown(server: Server, url: str, matters: Callable[[bytes], bool]) -> bool:
    try:
        resource = server.get(url)
    except dav.DAVError as error:
        if error.status in _PASSING or error.status is None or error.status >= 500:
            raise
        return False
    except InvalidResponse:  # a web page that tells that it is gone
        return False
    return resource is not None and matters(resource.text)


def _beside_all(server: Server, calendar: RemoteCalendar, known: Mapping[str, str] | None) -> Listing:
    """List everything there is, less what is known; whether sync is offered by now is tried when all is read anew."""
    if known is None:
        return everything(server, calendar.remote_id)
    offered = calendar.probe is None or calendar.probe.pulls_by == "sync-token"
    find = everything if offered else by_etags
    found = find(server, calendar.remote_id)
    told = {url: etag for url, etag in found.members.items() if _is_reused(server, etag)}
    whole = _compared(server, found, known)
    return replace(whole, members=whole.members | told)


def _since_mark(server: Server, calendar: str, token: str, known: Known | None) -> Listing:
    """List what changed since the calendar had a mark; without a change it is this one request."""
    mark = _mark(server, calendar)
    if mark == token:
        return Listing({}, frozenset(), token, complete=False)
    if known is None:
        raise SyncTokenInvalid("the calendar changed, and nothing is known to compare it with", calendar=calendar)
    before = known()
    return _compared(server, Listing(members(server, calendar), frozenset(), mark, complete=True), before)


def _since_token(server: Server, calendar: RemoteCalendar, token: str, known: Known | None) -> Listing:
    """List what the server says has changed; a bare refusal counts as one of the token.

    The full pull that follows tells whether it is the permission that is missing.
    """
    try:
        found = _asked_since(server, calendar.remote_id, token)
    except dav.DAVError as error:
        if _VALID_SYNC_TOKEN not in error.preconditions:
            _refused(server, error, _TOKEN_REFUSED, quirks.TOKEN_REFUSED_PLAINLY)
        raise SyncTokenInvalid(calendar=calendar.remote_id) from error
    if found is None:
        raise SyncTokenInvalid("the server cuts its answer to this token", calendar=calendar.remote_id)
    if found.token is None:  # a part of every answer (RFC 6578 §6.4)
        server.tolerate(quirks.TOKEN_REFUSED_PLAINLY)
        raise SyncTokenInvalid("the server gives no token in turn", calendar=calendar.remote_id)
    nothing = not (found.members or found.removed)
    return found if known is None or nothing else _judged(server, calendar, found, known())


def _asked_since(server: Server, calendar: str, token: str) -> Listing | None:
    """Ask again where the server fails: if it does so twice, and at nothing else, it is the token at which it fails."""
    try:
        return _synced(server, calendar, token)[0]
    except dav.DAVError as error:
        if error.status != 500:
            raise
    with translated(calendar, calendar=calendar):  # what is wrong here is no word on the token
        server.propfind(calendar, wire.ETAG, depth=0)
    try:
        return _synced(server, calendar, token)[0]
    except dav.DAVError as error:
        if error.status != 500:
            raise
        server.tolerate(quirks.TOKEN_REFUSED_PLAINLY)
        raise SyncTokenInvalid("the server fails at it", calendar=calendar) from error


def _judged(server: Server, calendar: RemoteCalendar, found: Listing, known: Mapping[str, str]) -> Listing:
    """Drop what is as it is known, and compare everything where the answer may be a listing of all there is."""
    unchanged = {url for url, etag in found.members.items() if server.is_same(etag, known.get(url))}
    told = {url: etag for url, etag in found.members.items() if url not in unchanged or _is_reused(server, etag)}
    if quirks.ANY_TOKEN in server.quirks and _may_be_all(calendar, len(unchanged), len(known)):
        whole = _compared(server, everything(server, calendar.remote_id), known)
        # The older token: what changes between the two answers is listed again.
        return replace(whole, members=whole.members | told, token=found.token or whole.token)
    if quirks.REPEATED_CHANGES not in server.quirks:
        told = found.members
    return replace(found, members=told, removed=found.removed & known.keys(), known=known)


def _may_be_all(calendar: RemoteCalendar, unchanged: int, known: int) -> bool:
    """Say whether an answer may be that to a token the server doesn't know.

    Where it is known to take any, that may be each answer that isn't empty; else one with half of all that is known.
    """
    takes_any = calendar.probe is not None and calendar.probe.checks_tokens is False
    return takes_any or (unchanged > 0 and unchanged * 2 >= known)


def _is_reused(server: Server, etag: str | None) -> bool:
    return quirks.REUSED_ETAGS in server.quirks and (etag or "").startswith('"gcs')


def _compared(server: Server, listing: Listing, known: Mapping[str, str]) -> Listing:
    """Return what of a complete listing isn't as it is known; what has no ETag may always have changed."""
    changed = {url: etag for url, etag in listing.members.items() if not server.is_same(etag, known.get(url))}
    gone = frozenset(known.keys() - listing.members.keys())
    return Listing(changed, gone, listing.token, complete=False, known=known)


# Everything there is


def everything(server: Server, calendar: str) -> Listing:
    """List everything: by a sync from nothing where that is offered, which is the one way to a sync token."""
    try:
        found, parts = _synced(server, calendar, "")
    except dav.DAVError as error:
        if error.status == 404:
            server.propfind(calendar, wire.ETAG, depth=0)  # raises if it is the calendar that is gone
        _refused(server, error, _NO_SYNC, quirks.NO_SYNC)
        return by_etags(server, calendar)
    if found is None or found.token is None or found.token.startswith(CTAG):
        return by_etags(server, calendar)
    whole = found if len(parts) == 1 else _with_the_rest(server, calendar, found, went_on=parts[-1] > 0)
    return replace(whole, complete=True)


def _with_the_rest(server: Server, calendar: str, found: Listing, *, went_on: bool) -> Listing:
    """Make sure that the parts in which all was listed are the whole.

    The listing by ETags is the later one: what changes between the two is told again after the token. Where the
    calendar is too large for it, parts that went on are believed; what changes in that moment may make them seem to.
    """
    try:
        there = members(server, calendar)
    except (InvalidResponse, ReadTimeout, dav.DAVError) as error:
        if not went_on or (isinstance(error, dav.DAVError) and error.status not in _TOO_LARGE):
            raise
        return found
    if there.keys() <= found.members.keys():
        return found
    server.tolerate(quirks.CUT_FOR_GOOD)
    return replace(found, members=there, removed=frozenset())


def by_etags(server: Server, calendar: str) -> Listing:
    """List everything by a PROPFIND; the mark is taken first, so that it is never newer than what is listed."""
    mark = _mark(server, calendar)
    return Listing(members(server, calendar), frozenset(), mark, complete=True)


def _refused(server: Server, error: dav.DAVError, statuses: frozenset[int], quirk: quirks.Quirk) -> None:
    """Go on if an error is the quirk's; a missing permission never is."""
    if error.status not in statuses or _NEED_PRIVILEGES in error.preconditions:
        raise error
    server.tolerate(quirk)


def _mark(server: Server, calendar: str) -> str | None:
    """Return the calendar's CTag as a token."""
    rows = server.propfind(calendar, (wire.CTag,), depth=0)
    mark = next((text for row in rows if (text := row.text(wire.CTag))), None)
    if mark is None:
        server.tolerate(quirks.NO_CTAG)
        return None
    return CTAG + mark


def members(server: Server, calendar: str) -> dict[str, str | None]:
    """Return the ETags of all there is; raise `InvalidResponse` if the server says that it tells only some of them."""
    rows = server.propfind(calendar, _LISTED, depth=1)
    if not rows or any(row.status == 507 for row in rows):
        msg = "the server lists only a part of the calendar: its limit of results must be raised"
        raise InvalidResponse(msg, calendar=calendar)
    if all(row.status in (404, 410) for row in rows):  # the calendar itself, however it is spelt
        raise NotFound(calendar=calendar)
    listed: dict[str, str | None] = {}
    _fold(server, rows, calendar, listed, set())
    return listed


def _synced(server: Server, calendar: str, token: str) -> tuple[Listing | None, list[int]]:
    """Follow truncated answers (507, RFC 6578 §3.6) to the end; a later answer overrules an earlier one.

    Returns what each answer added too; None if the server cuts its answer and gives nothing to go on from.
    """
    members: dict[str, str | None] = {}
    removed: set[str] = set()
    asked, parts = [token], list[int]()
    for _ in range(_MAX_LISTINGS):
        rows, following = server.sync(calendar, asked[-1])
        before = len(members) + len(removed)
        _fold(server, rows, calendar, members, removed)
        parts.append(len(members) + len(removed) - before)
        if not any(row.status == 507 for row in rows):
            return Listing(members, frozenset(removed), following, complete=False), parts
        if following is None or following in asked:
            server.tolerate(quirks.CUT_SYNC)
            return None, parts
        asked.append(following)
        if len(members) + len(removed) > _MAX_MEMBERS:
            break
    raise InvalidResponse("the server's answer to a sync has no end", calendar=calendar)


def _fold(
    server: Server, rows: Sequence[wire.Row], calendar: str, members: dict[str, str | None], removed: set[str]
) -> None:
    """Take in one answer; rows are a set and may repeat, and one that has an ETag is there, whatever another says."""
    check_itself(rows, calendar)
    listed = [row for row in rows if row.status != 507 and _is_member(server, row, calendar)]
    if len({row.url for row in listed}) < len(listed):
        server.tolerate(quirks.REPEATED_ROWS)
    there = {row.url: row.etag for row in listed if row.status not in (404, 410)}
    gone = {row.url for row in listed} - there.keys()
    if any(row.etag is None for row in listed if row.status < 300):
        server.tolerate(quirks.NO_ETAGS)
    members.update(there)
    removed.difference_update(there)
    removed.update(gone)
    for url in gone:
        members.pop(url, None)


def check_itself(rows: Sequence[wire.Row], calendar: str) -> None:
    """Raise what a listing says of the calendar itself: that it tells nothing doesn't mean that there is nothing."""
    statuses = (row.status for row in rows if row.status >= 300 and wire.is_same(row.url, calendar))
    refused = next((status for status in statuses if status != 507), None)
    if refused in (404, 410):
        raise NotFound(calendar=calendar)
    if refused is not None:
        raise leaf_for_status(refused)(f"the server doesn't list the calendar: HTTP {refused}", calendar=calendar)


def _is_member(server: Server, row: wire.Row, calendar: str) -> bool:
    itself = quirks.ITSELF_LISTED in server.quirks and wire.is_same(row.url, calendar)
    return not (row.url.endswith("/") or itself)
