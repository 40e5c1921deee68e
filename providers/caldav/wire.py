"""WebDAV's answers and questions as values, without a network: rows of a multistatus, hrefs, ETags, properties.

Decides how an href, an ETag, a colour, a zone is spelt once it is ours. Refuses to know which request is sent when.
Rows are read here, not by the caldav package's parsers: those decode `%2F` in an href, which then names nothing, and
reject a whole answer for one row's status.

A remote id is an absolute URL: host in lower case, no default port, every path segment percent-encoded but for
unreserved characters (so `@` is `%40`), a calendar's with a slash at its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from caldav.elements import cdav, dav, ical
from caldav.elements.base import BaseElement

from providers.errors import InvalidResponse
from providers.model import RemoteCalendar, Window
from providers.zone_names import iana_name, suffix_name


class TimeZoneId(BaseElement):
    """calendar-timezone-id: the zone's IANA name (RFC 7809 §5.2)."""

    tag = "{urn:ietf:params:xml:ns:caldav}calendar-timezone-id"


class PrincipalUrl(BaseElement):
    """principal-URL (RFC 3744 §4.2), where current-user-principal is missing."""

    tag = "{DAV:}principal-URL"


class CTag(BaseElement):
    """getctag: changes whenever anything in the calendar does (an extension of calendarserver.org)."""

    tag = "{http://calendarserver.org/ns/}getctag"


CALENDAR_PROPERTIES: tuple[type[BaseElement], ...] = (
    dav.ResourceType,
    dav.DisplayName,
    ical.CalendarColor,
    cdav.CalendarTimeZone,
    TimeZoneId,
    cdav.SupportedCalendarComponentSet,
    dav.CurrentUserPrivilegeSet,
    dav.SupportedReportSet,
)
ACCOUNT_PROPERTIES: tuple[type[BaseElement], ...] = (
    dav.CurrentUserPrincipal,
    PrincipalUrl,
    cdav.CalendarHomeSet,
    cdav.CalendarUserAddressSet,
)
ETAG: tuple[type[BaseElement], ...] = (dav.GetEtag,)
UNAUTHENTICATED = "{DAV:}unauthenticated"
SYNC_COLLECTION = dav.SyncCollection.tag
REFUSED_DATA = frozenset(
    f"{{urn:ietf:params:xml:ns:caldav}}{name}"
    for name in (
        *("valid-calendar-data", "valid-calendar-object-resource", "supported-calendar-component"),
        *("supported-calendar-data", "max-resource-size", "min-date-time", "max-date-time"),
        *("max-instances", "max-attendees-per-instance"),
    )
)  # RFC 4791 §5.3.2.1
_MEANT = ("{DAV:}", "{urn:ietf:params:xml:ns:caldav}")
DELETED_CALENDAR = "{http://nextcloud.com/ns}deleted-calendar"
_HALVES = re.compile(
    rb"&#(5529[6-9]|55[3-9]\d\d|56[0-2]\d\d|563[01]\d);&#(563[2-9]\d|56[4-9]\d\d|57[0-2]\d\d|573[0-3]\d|5734[0-3]);"
)  # U+D800 to U+DBFF, then U+DC00 to U+DFFF
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]{1,8})|(\d{1,10}));")
_MOST_REFERENCES = 200_000
_CONTROLS = bytes(63 if code < 32 and code not in (9, 10, 13) else code for code in range(256))  # 63 is ?
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0", b"<\0")
_TEXT_MARK = "text-sha256-"
_WRITING = {"{DAV:}all", "{DAV:}write", "{DAV:}write-content", "{DAV:}bind"}


@dataclass(frozen=True, slots=True)
class Row:
    """One response of a multistatus (RFC 4918 §14.24): `status` is its own; `properties` are those found."""

    url: str
    status: int
    properties: Mapping[str, Any]

    @property
    def etag(self) -> str | None:
        """The ETag as the server spells it, if there is one."""
        return self.text(dav.GetEtag)

    def text(self, kind: type[BaseElement]) -> str | None:
        """Return a property's text, None where it is absent or empty."""
        element = self.properties.get(str(kind.tag))
        return None if element is None else (element.text or "").strip() or None

    def names(self, kind: type[BaseElement]) -> set[str]:
        """Return the tags of all elements below a property."""
        element = self.properties.get(str(kind.tag))
        return set() if element is None else {str(child.tag) for child in element.iter() if child is not element}

    def hrefs(self, kind: type[BaseElement]) -> list[str]:
        """Return the texts of a property's DAV:href elements."""
        element = self.properties.get(str(kind.tag))
        found = [] if element is None else element.iter(dav.Href.tag)
        return [text for href in found if (text := (href.text or "").strip())]


def rows(tree: Any, base: str, address: Callable[[str, str], str]) -> list[Row]:
    """Return the rows of a multistatus; an answer that isn't one raises `InvalidResponse`.

    `address` makes a URL of the answer's own and an href in it.
    """
    if tree is None or not (tree.tag == dav.MultiStatus.tag or tree.find(f".//{dav.MultiStatus.tag}") is not None):
        msg = f"the answer from {urlsplit(base).netloc} is no WebDAV multistatus"
        raise InvalidResponse(msg)
    return [row for response in tree.iter(dav.Response.tag) for row in _rows_of(response, base, address)]


def _rows_of(response: Any, base: str, address: Callable[[str, str], str]) -> Iterator[Row]:
    status = status_code(response.findtext(dav.Status.tag))
    found = {
        str(prop.tag): prop
        for propstat in response.iterfind(dav.PropStat.tag)
        if status_code(propstat.findtext(dav.Status.tag)) < 300
        for prop in propstat.iterfind(f"{dav.Prop.tag}/*")
    }
    for href in response.iterfind(dav.Href.tag):
        yield Row(address(base, (href.text or "").strip()), status, found)


def readable(xml: bytes) -> bytes:
    """Return XML without characters that it may not hold (XML 1.0 §2.2), unless it is UTF-16 or UTF-32.

    Two halves of one beyond U+FFFF, written as references, are that character; control characters become question
    marks, all else U+FFFD. A flood of references is left as it is.
    """
    if xml.startswith(_WIDE):
        return xml
    xml = xml.translate(_CONTROLS).replace(b"\xef\xbf\xbe", b"\xef\xbf\xbd").replace(b"\xef\xbf\xbf", b"\xef\xbf\xbd")
    if _SURROGATE.search(xml):
        xml = xml.decode("utf-8", "replace").encode()
    if xml.count(b"&#") > _MOST_REFERENCES:
        return xml
    whole = _HALVES.sub(lambda pair: _character(int(pair[1]), int(pair[2])), xml)
    return _REFERENCE.sub(_allowed, whole)


def _allowed(found: re.Match[bytes]) -> bytes:
    hexadecimal, decimal = found[1], found[2]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal or b"0")
    fits = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return found[0] if fits else "\ufffd".encode()


def _character(high: int, low: int) -> bytes:
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).encode()


def preconditions(named: Iterable[str]) -> list[str]:
    """Return those of the elements of a refusal that name a precondition; others are to be ignored (RFC 4918 §17)."""
    return [name for name in named if name.startswith(_MEANT)]


def status_code(line: str | None) -> int:
    """Read `HTTP/1.1 404 Not Found`; no status at all means success."""
    match = re.search(r"\b(\d{3})\b", (line or "200").removeprefix("HTTP/"))
    return int(match[1]) if match else 200


def resolve(base: str, href: str) -> str:
    """Return `href`, found in an answer from `base`, as an absolute URL in this module's one spelling."""
    there = urlsplit(urljoin(base, href))
    host = there.netloc.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(there.scheme, ":")
    path = "/".join(quote(unquote(part), safe="") for part in there.path.split("/"))
    return f"{there.scheme}://{host.removesuffix(default)}{path or '/'}"


def collection(url: str) -> str:
    """Return a collection's URL with the slash at its end."""
    return url if url.endswith("/") else f"{url}/"


def is_same(one: str, other: str) -> bool:
    """Say whether two URLs name one collection of a server, with a slash or without."""
    return collection(path(one)) == collection(path(other))


def resource(calendar: str, uid: str) -> str:
    """Return the URL at which we create the event `uid`."""
    return f"{collection(calendar)}{quote(uid, safe='')}.ics"


def path(url: str) -> str:
    """Return the path of a URL, as hrefs in a request are written."""
    return urlsplit(url).path


def host(url: str) -> str:
    """Return the host and port of a URL, as messages name a server."""
    return urlsplit(url).netloc.rpartition("@")[2]


def opaque(etag: str | None) -> str | None:
    """Return an ETag's opaque part, for comparing: servers spell one tag weak, quoted, bare and percent-encoded."""
    return None if etag is None else unquote(etag.strip()).removeprefix("W/").strip('"')


def decoded(text: bytes) -> str:
    """Return lines of UTF-8; one that isn't is Latin-1, as a file may have been imported as it was."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return "\n".join(map(_decoded_line, text.split(b"\n")))


def _decoded_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def text_mark(text: bytes) -> str:
    """Return what stands for the ETag of a resource that has none: the same for the same lines."""
    lines = b"\n".join(text.split())  # XML turns CRLF into LF, and some servers fold anew
    return _TEXT_MARK + sha256(lines).hexdigest()


def is_text_mark(etag: str) -> bool:
    """Say whether an ETag is one of ours, which no server understands."""
    return etag.startswith(_TEXT_MARK)


def question(kind: type[BaseElement], children: Iterable[BaseElement]) -> str:
    """Return a request body with `children` in a `kind`."""
    return str(kind() + children)


def properties(kinds: Iterable[type[BaseElement]]) -> str:
    """Return a PROPFIND body that asks for `kinds`."""
    return question(dav.Propfind, [dav.Prop() + [kind() for kind in kinds]])


def sync_since(token: str) -> str:
    """Return a sync-collection body (RFC 6578 §6.1), ETags only; an empty token asks for everything."""
    # No DAV:limit: some servers cut results there without saying so.
    parts = [dav.SyncToken(value=token), dav.SyncLevel(value="1"), dav.Prop() + dav.GetEtag()]
    return question(dav.SyncCollection, parts)


def multiget(urls: Iterable[str]) -> str:
    """Return a calendar-multiget body (RFC 4791 §9.10)."""
    asked = dav.Prop() + dav.GetEtag() + cdav.CalendarData()
    return question(cdav.CalendarMultiGet, [asked, *(dav.Href(value=path(url)) for url in urls)])


def within(window: Window) -> str:
    """Return a calendar-query body (RFC 4791 §9.5) for the events that may have an instance in a window."""
    span = cdav.CompFilter("VEVENT") + cdav.TimeRange(window.start_at, window.end_at)
    wanted = cdav.Filter() + (cdav.CompFilter("VCALENDAR") + span)
    return question(cdav.CalendarQuery, [dav.Prop() + dav.GetEtag() + cdav.CalendarData(), wanted])


def with_uid(uid: str) -> str:
    """Return a calendar-query body for events with `uid` in their UID (RFC 4791 §9.7.2)."""
    matching = cdav.PropFilter("UID") + cdav.TextMatch(uid, collation="i;octet")
    wanted = cdav.Filter() + (cdav.CompFilter("VCALENDAR") + (cdav.CompFilter("VEVENT") + matching))
    return question(cdav.CalendarQuery, [dav.Prop() + dav.GetEtag() + cdav.CalendarData(), wanted])


def calendar_of(row: Row) -> RemoteCalendar | None:
    """Return the calendar a row describes; None for what isn't one, is in the bin, or can't hold events."""
    kinds = row.names(dav.ResourceType)
    if cdav.Calendar.tag not in kinds or DELETED_CALENDAR in kinds or not _holds_events(row):
        return None
    url = collection(row.url)
    return RemoteCalendar(
        remote_id=url,
        name=row.text(dav.DisplayName) or unquote(url.rstrip("/").rsplit("/", 1)[-1]),
        colour=colour(row.text(ical.CalendarColor)),
        tz=zone(row.text(TimeZoneId), row.text(cdav.CalendarTimeZone)),
        can_write=may_write(row),
    )


def may_write(row: Row) -> bool:
    """Say whether events may be written (RFC 3744 §5.4); a server that doesn't tell may let us."""
    granted = row.names(dav.CurrentUserPrivilegeSet)
    return dav.CurrentUserPrivilegeSet.tag not in row.properties or bool(granted & _WRITING)


def _holds_events(row: Row) -> bool:
    element = row.properties.get(cdav.SupportedCalendarComponentSet.tag)
    named = [] if element is None else [(comp.get("name") or "").upper() for comp in element.iter(cdav.Comp.tag)]
    return not named or "VEVENT" in named


def colour(text: str | None) -> str | None:
    """Return `#rrggbb` for `#rrggbb`, `#rrggbbaa` or `#rgb` in either case; None for anything else."""
    match = re.fullmatch(r"#([0-9a-f]{6})(?:[0-9a-f]{2})?|#([0-9a-f]{3})", (text or "").strip().lower())
    if match is None:
        return None
    return f"#{match[1] or ''.join(digit * 2 for digit in match[2])}"


def zone(name: str | None, vtimezone: str | None) -> str | None:
    """Return the IANA name of a calendar's zone, from its name or its VTIMEZONE; None where neither is known."""
    unfolded = re.sub(r"\r?\n[ \t]", "", vtimezone or "")
    written = re.findall(r"(?im)^(?:X-LIC-LOCATION|TZID)[^:\r\n]*:([^\r\n]+)", unfolded)
    names = [text.strip() for text in [name, *written] if text]
    return next((known for text in names if (known := iana_name(text) or suffix_name(text))), None)
