"""The connection to one CalDAV server: the caldav package's client on our own guarded session.

Decides how a question becomes a request, and that an answer of 400 or more is an error with its status and
preconditions. Refuses to know why something is asked. The package's discovery by DNS, its feature probing, its
retries, its guesses about authentication and its logging of bodies are off.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import requests
from caldav.davclient import DAVClient
from caldav.elements.base import BaseElement
from caldav.lib import error as dav
from caldav.response import DAVResponse

from providers.addresses import Scope
from providers.caldav import wire
from providers.caldav.advice import Said, advice_for_no_address
from providers.caldav.credentials import Credentials
from providers.caldav.xml_bounds import is_page, refusal
from providers.errors import InvalidResponse
from providers.model import Connection, Window
from providers.transport import open_session

_CALENDAR_TYPE = {"Content-Type": "text/calendar; charset=utf-8"}
# A server that compresses an answer may weaken or change its ETag: a resource is fetched as it is stored.
_PLAIN = {"Accept": "text/calendar", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A calendar object as the server has it now."""

    url: str
    etag: str | None
    text: str


class Server:
    """One account's server; raises errors of the caldav package and of requests."""

    def __init__(self, client: DAVClient, url: str, scope: Scope, answers: _Answers) -> None:
        self._client = client
        self._scope = scope
        self._answers = answers
        self.url = url

    @classmethod
    def open(cls, connection: Connection) -> Server:
        """Prepare the connection; nothing is sent yet. Raises ValueError for an address that isn't http or https."""
        connection = _without_userinfo(connection)
        url = wire.resolve(connection.url, "")
        scope = Scope(url)
        answers = _Answers()
        _quieten()
        client = DAVClient(
            url, ssl_verify_cert=connection.ca_file or True, enable_rfc6764=False, rate_limit_handle=False
        )
        client.session.close()
        client.session = open_session(
            scope=scope,
            auth=Credentials(connection, scope),
            allow_private=connection.allow_private,
            ca_file=connection.ca_file,
            on_response=answers,
        )
        return cls(client, url, scope, answers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def said(self) -> Said | None:
        """The last answer as far as it takes to recognise who gave it; None if there was none."""
        return self._answers.said

    def resolve(self, base: str, href: str) -> str:
        """Return an href as a URL; raise `InvalidResponse` if it leads to another owner's host."""
        url = wire.resolve(base, href)
        if not self._scope.covers(url):
            msg = f"{urlsplit(base).netloc} points to {urlsplit(url).netloc}: connect the account there if it is right"
            raise InvalidResponse(msg)
        return url

    def propfind(self, url: str, kinds: Iterable[type[BaseElement]], *, depth: int) -> list[wire.Row]:
        """Ask for properties (RFC 4918 §9.1)."""
        answer = self._send("PROPFIND", url, wire.properties(kinds), {"Depth": str(depth)})
        return wire.rows(answer.tree, self._answers.landed)

    def sync(self, url: str, token: str) -> tuple[list[wire.Row], str | None]:
        """Ask what changed since `token` (RFC 6578 §3.2); return the rows and the next token."""
        answer = self._send("REPORT", url, wire.sync_since(token), {"Depth": "0"})
        return wire.rows(answer.tree, self._answers.landed), (answer.sync_token or "").strip() or None

    def multiget(self, url: str, members: Iterable[str]) -> list[wire.Row]:
        """Ask for many resources at once (RFC 4791 §7.9, where Depth has no meaning)."""
        answer = self._send("REPORT", url, wire.multiget(members), {})
        return wire.rows(answer.tree, self._answers.landed)

    def query(self, url: str, window: Window) -> list[wire.Row]:
        """Ask for the events that may have an instance in a window (RFC 4791 §7.8)."""
        answer = self._send("REPORT", url, wire.within(window), {"Depth": "1"})
        return wire.rows(answer.tree, self._answers.landed)

    def get(self, url: str) -> Resource | None:
        """Fetch one resource; None if it isn't there."""
        try:
            answer = self._send("GET", url, "", _PLAIN)
        except dav.DAVError as error:
            if error.status in (404, 410):
                return None
            raise
        return Resource(url, answer.headers.get("ETag") or self._etag(url), answer.raw)

    def _etag(self, url: str) -> str | None:
        return next((row.etag for row in self.propfind(url, wire.ETAG, depth=0) if row.url == url), None)

    def put(self, url: str, text: bytes, condition: dict[str, str]) -> str | None:
        """Write one resource; return its ETag if the server says it."""
        etag: str | None = self._send("PUT", url, text.decode(), _CALENDAR_TYPE | condition).headers.get("ETag")
        return etag

    def delete(self, url: str, condition: dict[str, str]) -> None:
        """Remove one resource."""
        self._send("DELETE", url, "", condition)

    def _send(self, method: str, url: str, body: str, headers: dict[str, str]) -> DAVResponse:
        self._answers.said = None
        answer = self._client.request(self.resolve(self.url, url), method, body, headers)
        if answer.status >= 300:
            raise dav.error_from_response(dav.DAVError, answer, f"{method} failed")
        return answer


def _without_userinfo(connection: Connection) -> Connection:
    """Take a user name and password written into the address out of it; those given apart come first."""
    typed = connection.url.strip()
    parts = urlsplit(typed)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(advice_for_no_address(typed))
    return Connection(
        url=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        username=connection.username or unquote(parts.username or ""),
        secret=connection.secret or unquote(parts.password or ""),
        auth=connection.auth,
        allow_private=connection.allow_private,
        ca_file=connection.ca_file,
        own_addresses=connection.own_addresses,
    )


class _Answers:
    """Sees every answer before the package does, and notes where it came from in the end.

    All are labelled plain text: the package parses XML under any label, but of what is labelled otherwise and isn't
    XML it logs the whole body.
    """

    landed = ""
    said: Said | None = None

    def __call__(self, response: requests.Response) -> None:
        """Note and label an answer; raise `InvalidResponse` for XML that isn't read."""
        self.landed = response.url
        kind, cookies = response.headers.get("Content-Type", ""), response.headers.get("Set-Cookie", "")
        self.said = Said(response.url, kind, response.content[:65_536], cookies)
        refused = refusal(response.content)
        if refused and response.status_code < 300 and not is_page(response.content):
            raise InvalidResponse(f"{wire.host(response.url)} {refused}")
        if refused:
            response._content = b""  # its status says enough
        response.headers["Content-Type"] = "text/plain"


def _quieten() -> None:
    """Keep the package's own logging, which may hold bodies, away from ours."""
    logger = logging.getLogger("caldav")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    # By this level the parser decides whether it tells the root logger what it couldn't parse.
    logging.getLogger("caldav.response").setLevel(logging.WARNING)
