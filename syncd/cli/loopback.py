"""The door on 127.0.0.1 by which a browser brings back the answer to a sign-in (RFC 8252, 7.3).

Decides what may come in: a GET of `/` for this very address, with the `state` that was sent out; everyone else is told
so and nothing happens. Refuses to know what the answer is good for. One thread waits for all of it, so that Ctrl-C ends
the waiting, and a browser that opens connections without a word keeps nobody out.
"""

from __future__ import annotations

import hmac
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from syncd.errors import ApiError

_LARGEST = 16 * 1024  # bytes of one request
_MOST_OPEN = 32
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>syncd</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_HEADERS = (
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy: no-referrer",
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Connection: close",
)


@dataclass(frozen=True, slots=True, repr=False)
class Brought:
    """What a browser brought back: a code, or the word for why there is none."""

    code: str
    error: str


@dataclass(frozen=True, slots=True)
class _Reply:
    status: HTTPStatus
    title: str
    text: str
    brought: Brought | None = None


_ELSEWHERE = _Reply(
    HTTPStatus.NOT_FOUND, "Nothing here", "syncd waits here for the answer to a sign-in, and for that alone."
)
_NOT_UNDERSTOOD = _Reply(HTTPStatus.BAD_REQUEST, "Not understood", "This isn't a request that syncd waits for.")


@dataclass(slots=True)
class Door:
    """A listening socket on loopback; `redirect_uri` is where browsers are to be sent."""

    listener: socket.socket
    _open: dict[socket.socket, bytearray] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """Where it is."""
        return int(self.listener.getsockname()[1])

    @property
    def redirect_uri(self) -> str:
        """The address that answers are sent to."""
        return f"http://127.0.0.1:{self.port}/"

    def wait(self, state: str, patience: float, *, may_type: bool) -> Brought | None:
        """The answer with this `state`, by a browser, or typed as the address that one was sent to; None if none comes.

        `patience` is in seconds.
        """
        until = time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            if may_type:
                selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            try:
                while (left := until - time.monotonic()) > 0:
                    for key, _ in selector.select(min(left, 1.0)):
                        if (brought := self._handle(selector, key.fileobj, state)) is not None:
                            return brought
            finally:
                self._close_all()
        return None

    def _handle(self, selector: selectors.BaseSelector, source: object, state: str) -> Brought | None:
        if source is self.listener:
            self._accept(selector)
        elif isinstance(source, socket.socket):
            return self._read(selector, source, state)
        elif isinstance(source, int):
            return _typed(selector, source, state)
        return None

    def _accept(self, selector: selectors.BaseSelector) -> None:
        with suppress(OSError):
            connection, _ = self.listener.accept()
            connection.setblocking(False)
            self._open[connection] = bytearray()
            selector.register(connection, selectors.EVENT_READ)
        if len(self._open) > _MOST_OPEN:
            self._close(selector, next(iter(self._open)))

    def _read(self, selector: selectors.BaseSelector, connection: socket.socket, state: str) -> Brought | None:
        said = self._open[connection]
        try:
            more = connection.recv(4096)
        except OSError:
            more = b""
        said += more
        is_whole = b"\r\n\r\n" in said
        if not is_whole and more and len(said) <= _LARGEST:
            return None
        reply = _reply(bytes(said), state, self.port) if is_whole else None
        if reply is not None:
            _send(connection, reply)
        self._close(selector, connection)
        return reply.brought if reply is not None else None

    def _close(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        selector.unregister(connection)
        del self._open[connection]
        connection.close()

    def _close_all(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()


@contextmanager
def open_door(port: int) -> Iterator[Door]:
    """A door on loopback, closed at the end; port 0 picks a free one. Raises ApiError for one that is taken."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(16)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ApiError("invalid-request", f"--port {port} can't be listened on: {error.strerror}") from None
    with listener:
        yield Door(listener)


def _reply(said: bytes, state: str, port: int) -> _Reply:
    head, *lines = said.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = head.split(" ")
    hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
    if hosts != [f"127.0.0.1:{port}"] or len(words) != 3 or words[0] != "GET":
        return _NOT_UNDERSTOOD
    return _judged(words[1], state)


def _judged(address: str, state: str) -> _Reply:
    """What an address that a browser was sent to says; it may be anyone's, and no address at all."""
    try:
        parts = urlsplit(address)
        said = {name: values[0] for name, values in parse_qs(parts.query).items()}
    except ValueError:
        return _NOT_UNDERSTOOD
    if parts.path != "/" or not said:
        return _ELSEWHERE
    if not hmac.compare_digest(said.get("state", "").encode(), state.encode()):
        text = "This answer belongs to another sign-in: nothing was done with it. Use the address that syncd shows now."
        return _Reply(HTTPStatus.FORBIDDEN, "Not this sign-in", text)
    brought = Brought(said.get("code", ""), said.get("error", ""))
    if not brought.code:
        return _Reply(
            HTTPStatus.OK, "No permission", "syncd says in its terminal what follows. Close this window.", brought
        )
    return _Reply(HTTPStatus.OK, "Thank you", "syncd goes on in its terminal. You can close this window.", brought)


def _send(connection: socket.socket, reply: _Reply) -> None:
    body = _PAGE.format(title=escape(reply.title), text=escape(reply.text)).encode()
    head = [f"HTTP/1.1 {reply.status.value} {reply.status.phrase}", f"Content-Length: {len(body)}", *_HEADERS, "", ""]
    with suppress(OSError):
        connection.settimeout(2)
        connection.sendall("\r\n".join(head).encode() + body)
        connection.shutdown(socket.SHUT_WR)


def _typed(selector: selectors.BaseSelector, source: int, state: str) -> Brought | None:
    """What a person typed: the address that a browser on another machine couldn't open."""
    line = os.read(source, _LARGEST)
    if not line:
        selector.unregister(source)  # its end: browsers may still come
        return None
    text = line.decode(errors="replace").strip()
    reply = _judged(text, state) if text else None
    if reply is not None and reply.brought is None:
        print("  That isn't the address this sign-in ends at: it begins with http://127.0.0.1", file=sys.stderr)  # noqa: T201
    return reply.brought if reply is not None else None
