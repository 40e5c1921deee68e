"""The connections beneath a session: to addresses that are allowed, until a deadline, for so many bytes.

Decides where a host's name may lead, and how long and how much is listened. A time-out of HTTP libraries starts anew
with every byte, so a host that trickles could be listened to for ever; here every read, of headers and body alike,
waits until the same deadline at most. Refuses to know HTTP.
"""

from __future__ import annotations

import io
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse, parse_headers
from typing import Any

import urllib3
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import connection as sockets
from urllib3.util import parse_url

from providers.addresses import is_public
from providers.errors import InvalidResponse, Unavailable

_HEADERS = 1024 * 1024  # room for status lines, headers, chunk sizes and trailers beside the body


@dataclass(slots=True)
class Terms:
    """On which terms one thread's requests are made: `begin` says them anew for each, until `until`."""

    allow_private: bool = False
    until: float = math.inf
    host: str = ""
    seconds: float = 0.0
    deadline: float = 0.0
    bytes_left: int = 0
    kept: bool = False  # the request goes out on a connection kept from an earlier one, and nothing came back yet

    def begin(self, host: str, seconds: float, size: int) -> None:
        """Start the clock of a request to `host` whose answer may take `seconds` and `size` bytes.

        Raises `Unavailable` where it is too late for any request.
        """
        now = time.monotonic()
        self.host, self.seconds, self.bytes_left = host, max(0.0, min(seconds, self.until - now)), size + _HEADERS
        self.deadline, self.kept = now + self.seconds, True
        self.left()

    def left(self) -> float:
        """Return the seconds that are left; raise `Unavailable` if there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Unavailable(f"{self.host} took more than {self.seconds:.3g} s to answer")
        return left

    def count(self, size: int) -> None:
        """Note that `size` bytes came in; raise `InvalidResponse` for more than were allowed."""
        self.kept = self.kept and not size
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise InvalidResponse(f"{self.host} sends without end")


def allowed_addresses(host: str, port: int, terms: Terms) -> list[str]:
    """Resolve `host` and return the addresses that may be connected to; raise `Unavailable` if there are none.

    The caller connects to what is returned, never to the name again, so a name that resolves differently a moment
    later changes nothing.
    """
    host = host.strip("[]").replace("%25", "%")
    entries = socket.getaddrinfo(host, port, sockets.allowed_gai_family(), socket.SOCK_STREAM)
    found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    allowed = [address for address in found if terms.allow_private or is_public(address)]
    if not allowed:
        where = "a private address" if host in found else f"at the private address {', '.join(found)}"
        raise Unavailable(f"{host} is {where}: set allow_private for this account (--allow-private) to permit that")
    return allowed


def is_at_home(url: str) -> bool:
    """Say whether the host in a URL has private addresses alone; one that can't be found has none."""
    try:
        parts = parse_url(url)
        allowed_addresses(parts.host or "", parts.port or 0, Terms())
    except Unavailable:
        return True
    except (OSError, ValueError, wire.LocationParseError):
        return False
    return False


def _connected(connection: HTTPConnection, terms: Terms) -> socket.socket:
    terms.kept = False
    with _named_for(connection):
        failure = OSError("no address")
        for address in allowed_addresses(connection.host, connection.port, terms):
            try:
                return _connected_to(address, connection, terms)
            except OSError as error:
                failure = error
        raise failure


def _connected_to(address: str, connection: HTTPConnection, terms: Terms) -> socket.socket:
    patience = min(float(connection.timeout or terms.seconds), terms.left())
    return sockets.create_connection((address, connection.port), patience, socket_options=connection.socket_options)


@contextmanager
def _named_for(connection: HTTPConnection) -> Iterator[None]:
    """Turn what a socket raises into what urllib3 raises for it."""
    try:
        yield
    except (socket.gaierror, UnicodeError) as error:  # a label of more than 63 letters is a UnicodeError
        unknown = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise wire.NameResolutionError(connection.host, connection, unknown) from error
    except TimeoutError as error:
        raise wire.ConnectTimeoutError(connection, f"connecting to {connection.host} timed out") from error
    except OSError as error:
        raise wire.NewConnectionError(connection, f"connecting to {connection.host} failed: {error}") from error


class _Incoming(io.RawIOBase):
    """What a socket receives, read on terms."""

    def __init__(self, sock: socket.socket, terms: Terms) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._pause = sock.gettimeout()  # the longest silence
        self._terms = terms

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._terms.left()
        self._sock.settimeout(left if self._pause is None else min(self._pause, left))
        try:
            size = self._raw.readinto(buffer)
        except TimeoutError:
            self._terms.left()
            raise
        self._terms.count(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Line:
    """The one thing that http.client asks of a socket when it reads an answer."""

    def __init__(self, sock: socket.socket, terms: Terms) -> None:
        self._incoming = _Incoming(sock, terms)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._incoming)


class _Answer(HTTPResponse):
    """An answer after any interim ones (RFC 9110 §15.2): the standard library skips 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, phrase = super()._read_status()  # type: ignore[misc] # its name is private, its place not
            if status not in range(102, 200):
                return version, status, phrase
            parse_headers(self.fp)


class _OnTerms(HTTPConnection):
    terms = Terms()

    def _new_conn(self) -> socket.socket:
        return _connected(self, self.terms)

    def response_class(  # type: ignore[override] # called like the class it stands for
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> HTTPResponse:
        return _Answer(_Line(sock, self.terms), debuglevel, method)  # type: ignore[arg-type]


class _SecureOnTerms(_OnTerms, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _OnTerms
    terms = Terms()

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        connection.terms = self.terms  # type: ignore[attr-defined]
        return connection


class _SecurePool(_Pool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureOnTerms


class Pools(urllib3.PoolManager):
    """Connections to any host, all on the same terms."""

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self._terms = terms
        self.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def _new_pool(
        self, scheme: str, host: str, port: int, request_context: dict[str, Any] | None = None
    ) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.terms = self._terms  # type: ignore[attr-defined]
        return pool
