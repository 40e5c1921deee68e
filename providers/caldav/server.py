"""The connection to one CalDAV server: the caldav package's client on our own guarded session.

Decides how a question becomes a request, that an answer of 400 or more is an error with its status and preconditions,
where an address in an answer leads, and which quirks are allowed for. Refuses to know why something is asked. The
package's discovery by DNS, its feature probing, its retries, its guesses about authentication and its logging of bodies
are off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Lock
from urllib.parse import unquote, urlsplit

import requests
from caldav.davclient import DAVClient
from caldav.elements import dav as elements
from caldav.elements.base import BaseElement
from caldav.lib import error as dav
from caldav.response import DAVResponse
from urllib3.util import parse_url

from providers.addresses import Scope
from providers.caldav import quirks, wire
from providers.caldav.advice import Said, advice_for_no_address
from providers.caldav.credentials import Credentials
from providers.caldav.quirks import Quirk
from providers.caldav.xml_bounds import refusal
from providers.errors import InvalidResponse
from providers.model import Connection
from providers.transport import open_session

PAUSES = (0.3, 1.0)
_SPOKEN = {
    "User-Agent": "syncd",
    "Content-Type": "application/xml; charset=utf-8",
    "Accept": "application/xml, text/xml, text/calendar",
}
_ONE_BY_ONE = Lock()
"""The package sets up what all its clients share when the first is made, and a second one finds it half done."""
_CALENDAR_TYPE = {"Content-Type": "text/calendar; charset=utf-8"}
# A server that compresses an answer may weaken or change its ETag: a resource is fetched as it is stored.
_PLAIN = {"Accept": "text/calendar", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A calendar object as the server has it now."""

    url: str
    etag: str
    text: bytes


class Server:
    """One account's server; raises errors of the caldav package and of requests.

    `quirks` are those we allow for, `seen` those that showed.
    """

    def __init__(
        self,
        client: DAVClient,
        url: str,
        scope: Scope,
        answers: _Answers,
        credentials: Credentials,
        allowed: frozenset[Quirk],
        pauses: tuple[float, ...],
    ) -> None:
        self._client = client
        self._scope = scope
        self._answers = answers
        self._credentials = credentials
        answers.mend = self._mended_text
        self.url = url
        self.quirks = allowed
        self._pauses = pauses if quirks.SLOW_TO_SHOW in allowed else ()
        self.seen: set[Quirk] = set()

    @classmethod
    def open(
        cls,
        connection: Connection,
        allowed: frozenset[Quirk] = quirks.ALL,
        pauses: tuple[float, ...] = PAUSES,
    ) -> Server:
        """Prepare the connection; nothing is sent yet. Raises ValueError for an address that isn't http or https."""
        connection = _without_userinfo(connection)
        url = wire.resolve(connection.url, "")
        scope = Scope(url)
        answers = _Answers()
        credentials = Credentials(connection, scope, unasked=quirks.NEVER_ASKS in allowed)
        _quieten()
        with _ONE_BY_ONE:
            client = DAVClient(
                url,
                headers=_SPOKEN,
                ssl_verify_cert=connection.ca_file or True,
                enable_rfc6764=False,
                rate_limit_handle=False,
            )
        client.session.close()
        client.session = open_session(
            scope=scope,
            auth=credentials,
            allow_private=connection.allow_private,
            ca_file=connection.ca_file,
            patience=connection.patience,
            on_response=answers,
        )
        return cls(client, url, scope, answers, credentials, allowed, pauses)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def said(self) -> Said | None:
        """The last answer as far as it takes to recognise who gave it; None if there was none."""
        return self._answers.said

    @property
    def withheld(self) -> str | None:
        """Why no credential was sent yet, and what would be right; None if one was."""
        return self._credentials.withheld

    def tolerate(self, quirk: Quirk) -> None:
        """Note that the server has a quirk; raise `InvalidResponse` where that isn't allowed for."""
        if quirk not in self.quirks:
            raise InvalidResponse(f"{wire.host(self.url)} can't be used: {quirk.what}")
        self.seen.add(quirk)

    def _mended_text(self, xml: bytes) -> bytes:
        if quirks.FORBIDDEN_CHARACTERS not in self.quirks or (mended := wire.readable(xml)) == xml:
            return xml
        self.seen.add(quirks.FORBIDDEN_CHARACTERS)
        return mended

    def resolve(self, base: str, href: str) -> str:
        """Return an href of a collection as a URL; raise `InvalidResponse` if it leads to another owner's host."""
        url = self._mended(wire.resolve(base, self._decoded_twice(href) if "%2540" in href else href), base)
        if not self._scope.covers(url):
            msg = f"{wire.host(base)} points to {wire.host(url)}: connect the account there if it is right"
            raise InvalidResponse(msg)
        return url

    def _decoded_twice(self, href: str) -> str:
        self.tolerate(quirks.ENCODED_TWICE)
        return href.replace("%2540", "%40")

    def _mended(self, url: str, base: str) -> str:
        """Return a URL on `base`'s host with its scheme and port."""
        here, there = urlsplit(wire.resolve(base, "/")), urlsplit(url)
        if here.hostname != there.hostname or (here.scheme, here.netloc) == (there.scheme, there.netloc):
            return url
        self.tolerate(quirks.OTHER_PORT)
        return there._replace(scheme=here.scheme, netloc=here.netloc).geturl()

    def _rows(self, answer: DAVResponse) -> list[wire.Row]:
        base = self._answers.landed
        return [self._settled(row, base) for row in wire.rows(answer.tree, base, self._address)]

    def _address(self, base: str, href: str) -> str:
        if "?" in href or "#" in href:
            self.tolerate(quirks.RAW_NAMES)
            href = href.replace("?", "%3F").replace("#", "%23")
        if urlsplit(href).scheme in ("", "http", "https"):
            return wire.resolve(base, href)
        self.tolerate(quirks.BARE_NAMES)
        return wire.resolve(base, f"./{href}")

    def _settled(self, row: wire.Row, base: str) -> wire.Row:
        """Return a row with its address as it can be asked for; an event may have %40 in its own name."""
        url = self._decoded_twice(row.url) if "%2540" in row.url.rpartition("/")[0] else row.url
        url = self._mended(url, base)
        if not url.endswith("/") and elements.Collection.tag in row.names(elements.ResourceType):
            self.tolerate(quirks.NO_SLASH)
            url = wire.collection(url)
        return row if url == row.url else replace(row, url=url)

    def propfind(self, url: str, kinds: Iterable[type[BaseElement]], *, depth: int) -> list[wire.Row]:
        """Ask for properties (RFC 4918 §9.1)."""
        return self._rows(self._send("PROPFIND", url, wire.properties(kinds), {"Depth": str(depth)}))

    def sync(self, url: str, token: str) -> tuple[list[wire.Row], str | None]:
        """Ask what changed since `token` (RFC 6578 §3.2); return the rows and the next token."""
        answer = self._send("REPORT", url, wire.sync_since(token), {"Depth": "0"})
        return self._rows(answer), (answer.sync_token or "").strip() or None

    def multiget(self, url: str, members: Iterable[str]) -> list[wire.Row]:
        """Ask for many resources at once (RFC 4791 §7.9, where Depth has no meaning)."""
        return self._rows(self._send("REPORT", url, wire.multiget(members), {}))

    def query(self, url: str, asked: str) -> list[wire.Row]:
        """Ask for what a calendar-query finds (RFC 4791 §7.8); what is wrong with the calendar itself is told too."""
        rows = self._rows(self._send("REPORT", url, asked, {"Depth": "1"}))
        wrong = [row for row in rows if row.status == 507 or (row.status >= 300 and wire.is_same(row.url, url))]
        return [row for row in rows if not row.url.endswith("/") or row in wrong]

    def get(self, url: str) -> Resource | None:
        """Fetch one resource; None if it isn't there."""
        found = self._got(url)
        if found is None or found[0]:
            return found and self.resource(url, *found)
        etag = self._etag(url)
        again = self._got(url)  # read after its ETag: an ETag that is too old is found out, one that is too new never
        return again and self.resource(url, etag, again[1])

    def _got(self, url: str) -> tuple[str | None, bytes] | None:
        try:
            answer = self._send("GET", url, "", _PLAIN)
        except dav.DAVError as error:
            if error.status in (404, 410):
                return None
            raise
        return answer.headers.get("ETag"), self._answers.body  # the package decodes the body as UTF-8, or fails

    def shown(self, url: str, is_meant: Callable[[Resource], bool]) -> Resource | None:
        """Return what stands at an address in the end: it is read again, with pauses, until it is what is meant."""
        found = self.get(url)
        for pause in self._pauses:
            if found is not None and is_meant(found):
                return found
            time.sleep(pause)
            found = self.get(url)
            if found is not None and is_meant(found):
                self.seen.add(quirks.SLOW_TO_SHOW)
        return found

    def resource(self, url: str, etag: str | None, text: bytes) -> Resource:
        """Return what was read; without an ETag of the server's it has one made of its text."""
        if etag is None:
            self.tolerate(quirks.NO_ETAGS)
        return Resource(url, etag or wire.text_mark(text), text)

    def _etag(self, url: str) -> str | None:
        self.tolerate(quirks.NO_ETAGS)  # RFC 4791 §5.3.4 wants it with every GET
        return next((row.etag for row in self.propfind(url, wire.ETAG, depth=0) if row.url == url), None)

    def is_same(self, one: str | None, other: str | None) -> bool:
        """Say whether two ETags are one, however they are spelt."""
        if not one or not other or wire.opaque(one) != wire.opaque(other):
            return False
        if one != other:
            self.tolerate(quirks.ODD_ETAGS)
        return True

    def condition(self, etag: str) -> dict[str, str]:
        """Return the If-Match header for an ETag; none for one that can never match (RFC 9110 §13.1.1)."""
        if wire.is_text_mark(etag) or (etag.startswith("W/") and quirks.ODD_ETAGS in self.quirks):
            return {}
        return {"If-Match": etag}

    def put(self, url: str, text: bytes, condition: dict[str, str]) -> str | None:
        """Write one resource; return its ETag if the server says it."""
        headers = _CALENDAR_TYPE | self._silence() | condition
        etag: str | None = self._send("PUT", url, wire.decoded(text), headers).headers.get("ETag")
        return etag

    def delete(self, url: str, condition: dict[str, str]) -> None:
        """Remove one resource."""
        self._send("DELETE", url, "", self._silence() | condition)

    def remove(self, url: str, condition: dict[str, str]) -> None:
        """Remove one resource; one that isn't there is fine, and one that must be named by its ETag is."""
        try:
            self.delete(url, condition)
        except dav.DAVError as error:
            if error.status in (404, 410):
                return
            current = self.get(url) if error.status in (412, 428) else None
            if error.status in (412, 428) and current is None:
                return
            wanted = {} if current is None or condition else self.condition(current.etag)
            if not wanted:
                raise
            self.tolerate(quirks.IF_MATCH_WANTED)
            self.delete(url, wanted)

    def _silence(self) -> dict[str, str]:
        return {"Schedule-Reply": "F"} if quirks.SCHEDULES in self.quirks else {}

    def _own(self, url: str) -> str:
        """Return an address to ask; raise `InvalidResponse` for one outside the account."""
        if not self._scope.covers(url):
            raise InvalidResponse(f"{wire.host(url)} is no part of the account at {wire.host(self.url)}")
        return url

    def _send(self, method: str, url: str, body: str, headers: dict[str, str]) -> DAVResponse:
        self._answers.said = None
        try:
            answer = self._client.request(self._own(url), method, body, headers)
            if answer.status >= 300:
                raise dav.error_from_response(dav.DAVError, answer, f"{method} failed")
        except dav.DAVError as error:
            error.preconditions = wire.preconditions(error.preconditions)
            raise
        return answer


def _without_userinfo(connection: Connection) -> Connection:
    """Take a user name and password written into the address out of it; those given apart come first."""
    typed = connection.url.strip()
    try:
        parts, place = urlsplit(typed), parse_url(typed).netloc
    except ValueError:
        raise ValueError(advice_for_no_address("")) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not place:
        raise ValueError(advice_for_no_address(typed))
    return replace(
        connection,
        url=parts._replace(netloc=place).geturl(),  # as it is connected to: IDNA, in ASCII
        username=connection.username or unquote(parts.username or ""),
        secret=connection.secret or unquote(parts.password or ""),
    )


class _Answers:
    """Sees every answer before the package does, and notes where it came from in the end.

    All are labelled plain text: the package parses XML under any label, but of what is labelled otherwise and isn't
    XML it logs the whole body.
    """

    landed = ""
    body = b""
    said: Said | None = None
    mend: Callable[[bytes], bytes] = bytes

    def __call__(self, response: requests.Response) -> None:
        """Note and label an answer; raise `InvalidResponse` for a web page and for XML that isn't read."""
        self.landed, self.body = response.url, response.content
        kind, cookies = response.headers.get("Content-Type", ""), response.headers.get("Set-Cookie", "")
        self.said = Said(response.url, kind, response.content[:65_536], cookies)
        refused = refusal(response.content)
        if refused and response.status_code < 300:
            raise InvalidResponse(f"{wire.host(response.url)} {refused}")
        if refused:
            response._content = b""  # its status says enough
        elif response.status_code == 207:
            response._content = self.mend(response.content)
        response.headers["Content-Type"] = "text/plain"


def _quieten() -> None:
    """Keep the package's own logging, which may hold bodies, away from ours."""
    logger = logging.getLogger("caldav")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    # By this level the parser decides whether it tells the root logger what it couldn't parse.
    logging.getLogger("caldav.response").setLevel(logging.WARNING)
