"""WebDAV's answers as the scripted server writes them: rows of a multistatus, refusals with their precondition."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

DAV, CALDAV, CS = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{http://calendarserver.org/ns/}"
_PREFIXES = {
    "DAV:": "",
    "urn:ietf:params:xml:ns:caldav": "C:",
    "http://calendarserver.org/ns/": "CS:",
    "http://apple.com/ns/ical/": "A:",
}
_SPACES = " ".join(f'xmlns{":" * bool(p)}{p.rstrip(":")}="{space}"' for space, p in _PREFIXES.items())


@dataclass
class Request:
    method: str
    path: str  # percent-decoded, without the query
    headers: dict[str, str]
    body: bytes
    raw: str = ""

    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)

    @property
    def asks_sync(self) -> bool:
        return b"sync-collection" in self.body


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Row:
    """One response of a multistatus: `props` are XML texts by tag, `status` is the row's own."""

    path: str
    props: dict[str, str] = field(default_factory=dict)
    status: str = ""


def multistatus(request: Request, rows: list[Row], token: str, href: Callable[[str], str]) -> Answer:
    """Answer with the properties that a request asks for (RFC 4918 §13); `href` spells a path."""
    wanted = [prop.tag for prop in request.xml().iterfind(f".//{DAV}prop/*")]
    body = "".join(_response(row, wanted, href(row.path)) for row in rows)
    body += f"<sync-token>{escape(token)}</sync-token>" if token else ""
    text = f'<?xml version="1.0" encoding="utf-8"?><multistatus {_SPACES}>{body}</multistatus>'
    return Answer(207, {"Content-Type": "application/xml; charset=utf-8"}, text.encode())


def _response(row: Row, wanted: list[str], href: str) -> str:
    if row.status:
        return f"<response><href>{href}</href><status>HTTP/1.1 {row.status}</status></response>"
    found = "".join(f"<{_tag(tag)}>{row.props[tag]}</{_tag(tag)}>" for tag in wanted if tag in row.props)
    lacking = "".join(f"<{_tag(tag)}/>" for tag in wanted if tag not in row.props)
    stats = [(found, "200 OK"), (lacking, "404 Not Found")]
    parts = "".join(f"<propstat><prop>{p}</prop><status>HTTP/1.1 {s}</status></propstat>" for p, s in stats if p)
    return f"<response><href>{href}</href>{parts}</response>"


def _tag(tag: str) -> str:
    space, _, name = tag[1:].partition("}")
    return _PREFIXES[space] + name


def refusal(status: int, condition: str, inside: str = "") -> Answer:
    """Refuse with the precondition that failed (RFC 4918 §16)."""
    element = f"<{condition}>{inside}</{condition}>" if condition else ""
    return Answer(status, {"Content-Type": "application/xml"}, f"<error {_SPACES}>{element}</error>".encode())


def in_halves(body: bytes) -> bytes:
    """Return XML with characters beyond U+FFFF as references to their two UTF-16 units, which no XML may hold."""
    return re.sub("[\U00010000-\U0010ffff]", _halves, body.decode()).encode()


def _halves(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"&#{int.from_bytes(units[at : at + 2], 'big')};" for at in (0, 2))
