"""From whatever address a person typed to the calendars of the account and its own addresses.

The address may be a server's root, a principal, a calendar home, or one calendar, which then is all there is. Decides
which hrefs are followed (only within the account's scope). Refuses to know events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from caldav.elements import cdav, dav

from providers.caldav import quirks, wire
from providers.caldav.advice import advice
from providers.caldav.failures import translated
from providers.caldav.server import Server
from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    Transient,
    Unsupported,
)
from providers.model import RemoteCalendar

_EVERYTHING = (*wire.ACCOUNT_PROPERTIES, *wire.CALENDAR_PROPERTIES)
_ONWARD = (dav.CurrentUserPrincipal, cdav.CalendarHomeSet, wire.PrincipalUrl)


@dataclass(frozen=True, slots=True)
class Account:
    """What discovery finds: `incremental` says that every calendar offers sync-collection, or doesn't say."""

    calendars: tuple[RemoteCalendar, ...]
    own_addresses: frozenset[str]
    incremental: bool


def discover(server: Server) -> Account:
    """Find the account's calendars (RFC 4791 §6.2, RFC 5397, RFC 6764 §5); at most five requests and two a home."""
    start = _starting_point(server)
    principal = _principal(server, start)
    addresses = _addresses([start, *([principal] if principal else [])])
    if wire.calendar_of(start) is not None and not _only_claims(server, start, principal):
        return _account([start], addresses)
    found: dict[str, wire.Row] = {}
    for home in _homes(server, start, principal):
        found |= {row.url: row for row in _listed(server, home)}
    if principal is None and not any(map(wire.calendar_of, found.values())):
        what = f"names no principal and has no calendar at {wire.path(start.url)}"
        raise NotFound(f"{wire.host(start.url)} {what}: is it a server of calendars, or of files alone?")
    return _account(list(found.values()), addresses)


def own_addresses(server: Server) -> frozenset[str]:
    """Return the addresses under which the account is invited (calendar-user-address-set, RFC 6638 §2.4.1)."""
    start = _starting_point(server)
    principal = _principal(server, start)
    return _addresses([start, *([principal] if principal else [])])


def _account(rows: list[wire.Row], addresses: frozenset[str]) -> Account:
    calendars = {row.url: calendar for row in rows if (calendar := wire.calendar_of(row)) is not None}
    told = [row.names(dav.SupportedReportSet) for row in rows if row.url in calendars]
    incremental = all(wire.SYNC_COLLECTION in reports for reports in told if reports)
    return Account(tuple(calendars.values()), addresses, incremental)


def _starting_point(server: Server) -> wire.Row:
    """Ask the given address, then the well-known one (RFC 6764 §5), until one knows a way on; else take the first."""
    given = _given(server)
    if isinstance(given, Transient) or (isinstance(given, wire.Row) and _leads_on(server, given)):
        return _or_raised(given)
    known = _asked(server, server.resolve(server.url, "/.well-known/caldav"))
    if isinstance(known, wire.Row) and _leads_on(server, known):
        return _no_calendar(server, known) if any(map(known.hrefs, _ONWARD)) else known
    if isinstance(given, ProviderError) and isinstance(known, Transient):
        raise type(known)(f"{given}; and at its /.well-known/caldav, {known}", retry_after=known.retry_after) from given
    return _or_raised(given)


def _no_calendar(server: Server, row: wire.Row) -> wire.Row:
    """Return where the well-known address leads, which is no calendar: it is a way to the account's (RFC 6764 §5)."""
    if quirks.FALSE_CALENDARS not in server.quirks or wire.calendar_of(row) is None:
        return row
    server.tolerate(quirks.FALSE_CALENDARS)
    return replace(row, properties={name: it for name, it in row.properties.items() if name != dav.ResourceType.tag})


def _only_claims(server: Server, start: wire.Row, principal: wire.Row | None) -> bool:
    """Say whether what calls itself a calendar is none, having a principal in it (RFC 4791 §4.2)."""
    if principal is None or quirks.FALSE_CALENDARS not in server.quirks or wire.is_same(principal.url, start.url):
        return False
    if not principal.url.startswith(wire.collection(start.url)):
        return False
    server.tolerate(quirks.FALSE_CALENDARS)
    return True


def _given(server: Server) -> wire.Row | ProviderError:
    """Ask the given address; where nothing is, with the slash that belongs to the end of a collection's."""
    asked = _asked(server, server.url)
    if isinstance(asked, wire.Row | Transient) or server.url.endswith("/"):
        return asked
    again = _asked(server, wire.collection(server.url))
    return again if isinstance(again, wire.Row) else asked


def _or_raised(asked: wire.Row | ProviderError) -> wire.Row:
    if isinstance(asked, ProviderError):
        raise asked
    return asked


def _asked(server: Server, url: str) -> wire.Row | ProviderError:
    """Return what an address says of itself, or why it doesn't; raise only `GrantRevoked`."""
    try:
        with translated(url):
            return _itself(server.propfind(url, _EVERYTHING, depth=0), url)
    except GrantRevoked as error:
        told = advice(server.url, None)  # some services want a password of its own for each program
        raise GrantRevoked(f"{error}: {told}" if told else str(error)) from error
    except ProviderError as error:
        return error if isinstance(error, Transient) else _explained(error, server)


def _explained(error: ProviderError, server: Server) -> ProviderError:
    """Add to what went wrong what would be right; a method or a body that isn't known there is no bug of ours."""
    told = advice(server.url, server.said)
    kind = InvalidResponse if isinstance(error, Unsupported) else type(error)
    explained = kind(f"{error}: {told}" if told else str(error))
    explained.__cause__ = error
    return explained


def _leads_on(server: Server, row: wire.Row) -> bool:
    if wire.UNAUTHENTICATED in row.names(dav.CurrentUserPrincipal):
        told = server.withheld
        what = f"doesn't know who asks: {told}" if told else "doesn't accept the user name and password"
        raise GrantRevoked(f"{wire.host(row.url)} {what}")
    return wire.calendar_of(row) is not None or any(map(row.hrefs, _ONWARD))


def _principal(server: Server, start: wire.Row) -> wire.Row | None:
    """Return the account's principal, which is the starting point itself if that has a home already."""
    if start.hrefs(cdav.CalendarHomeSet):
        return start
    hrefs = start.hrefs(dav.CurrentUserPrincipal)
    if not hrefs and (hrefs := start.hrefs(wire.PrincipalUrl)):
        server.tolerate(quirks.NO_CURRENT_PRINCIPAL)
    if not hrefs:
        return None
    url = server.resolve(start.url, hrefs[0])
    return _itself(server.propfind(url, wire.ACCOUNT_PROPERTIES, depth=0), url)


def _homes(server: Server, start: wire.Row, principal: wire.Row | None) -> list[str]:
    """Return the calendar homes; without any, the starting point is taken for one."""
    if principal is None:
        return [start.url]
    homes = [server.resolve(principal.url, href) for href in principal.hrefs(cdav.CalendarHomeSet)]
    if not homes:
        server.tolerate(quirks.NO_HOME)
    return list(dict.fromkeys(map(wire.collection, homes))) or [start.url]


def _listed(server: Server, home: str) -> list[wire.Row]:
    """Ask a home for what it holds, with the slash of a collection and, where that says nothing at all, without."""
    rows = server.propfind(home, wire.CALENDAR_PROPERTIES, depth=1)
    if rows or quirks.BARE_HOME not in server.quirks:
        return rows
    try:
        with translated(home):
            rows = server.propfind(home.rstrip("/"), wire.CALENDAR_PROPERTIES, depth=1)
    except (NotFound, PermissionDenied, Unsupported):
        return []
    server.tolerate(quirks.BARE_HOME)
    return rows


def _itself(rows: list[wire.Row], url: str) -> wire.Row:
    """Return the row about the address asked for; a server may spell it otherwise (RFC 4918 §9.1)."""
    if not rows or all(row.status in (404, 410) for row in rows):
        raise NotFound(f"{wire.host(url)} has nothing at {wire.path(url)}")
    return next((row for row in rows if wire.collection(row.url) == wire.collection(url)), rows[0])


def _addresses(rows: list[wire.Row]) -> frozenset[str]:
    """Return mail addresses without `mailto:`; servers list paths of the principal among them."""
    hrefs = [href.lower().removeprefix("mailto:") for row in rows for href in row.hrefs(cdav.CalendarUserAddressSet)]
    return frozenset(href for href in hrefs if "@" in href and "/" not in href)
