"""What tests of several folders share: pinned zones, CalDAV servers, and a gateway in front of one."""

from __future__ import annotations

import contextlib
import gc
import http.client
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fake_google import FakeGoogle
from real_caldav import RadicaleServer, RealServer, XandikosServer
from scripted_caldav import ScriptedServer

from availability import zones

zones.pin()


def _let_signals_through() -> None:
    """What a shell's `&` and nohup ignore is ignored by all that the tests start, unless somebody here listens."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


_let_signals_through()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Look for garbage among what the tests make, not again and again among all that was loaded for them."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.enable()
    return collected


@dataclass
class Seen:
    """One request that passed the gateway."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None


@dataclass
class Answer:
    """An answer the gateway gives itself."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Gateway:
    """A reverse proxy that remembers what passes, can lose answers, and can answer in the server's place."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.seen: list[Seen] = []
        self.rule: Callable[[Seen], Answer | None] = lambda _seen: None
        self.rewrite: Callable[[Seen, Answer], Answer] = lambda _seen, answer: answer
        self._losing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def lose_next_write(self) -> None:
        """Let the next PUT or DELETE reach the server, and cut the connection instead of passing its answer on."""
        self._losing.set()

    def loses(self, seen: Seen) -> bool:
        if seen.method not in {"PUT", "DELETE"} or not self._losing.is_set():
            return False
        self._losing.clear()
        return True

    def forward(self, seen: Seen) -> Answer:
        upstream = http.client.HTTPConnection(self.upstream.hostname or "", self.upstream.port)
        with contextlib.closing(upstream):
            headers = seen.headers | {
                "Host": self.upstream.netloc,
                "Connection": "close",
                "Accept-Encoding": "identity",
            }
            upstream.request(seen.method, seen.path, seen.body, headers)
            answer = upstream.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() in _PASSED_ON}
            return self.rewrite(seen, Answer(answer.status, kept, answer.read()))


_PASSED_ON = {"content-type", "content-encoding", "etag", "www-authenticate", "dav", "location"}


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, dict(self.headers.items()), body)
            gateway.seen.append(seen)
            answer = gateway.rule(seen) or gateway.forward(seen)
            seen.status = answer.status
            if gateway.loses(seen):
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in (answer.headers | {"Content-Length": str(len(answer.body))}).items():
                self.send_header(name, value)
            with contextlib.suppress(ConnectionError):  # whoever asked may have lost patience
                self.end_headers()
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    for method in ("GET", "PUT", "DELETE", "PROPFIND", "REPORT", "OPTIONS", "HEAD", "MKCALENDAR"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


_RUNNING: list[RealServer] = []


def _running(start: type[RealServer], folder: Path) -> Iterator[RealServer]:
    server = start(folder)
    _RUNNING.append(server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A real CalDAV server on loopback, one for each test process."""
    yield from _running(RadicaleServer, tmp_path_factory.mktemp("radicale"))


@pytest.fixture(scope="session")
def xandikos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Another one, which asks for no password."""
    yield from _running(XandikosServer, tmp_path_factory.mktemp("xandikos"))


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    """Let no test find the calendars of another."""
    before = [(server, list(server.made)) for server in _RUNNING]
    yield
    for server in _RUNNING:
        kept = next((made for one, made in before if one is server), [])
        server.forget([url for url in server.made if url not in kept])


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[ScriptedServer]:
    """A small CalDAV server in this process, one for each test process."""
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def scripted(scripted_server: ScriptedServer) -> ScriptedServer:
    """The same, begun anew, with nothing odd to play yet."""
    scripted_server.play()
    return scripted_server


@pytest.fixture(scope="session")
def google_server() -> Iterator[FakeGoogle]:
    """A Google in this process, one for each test process."""
    server = FakeGoogle()
    yield server
    server.stop()


@pytest.fixture
def google(google_server: FakeGoogle) -> Iterator[FakeGoogle]:
    """The same, begun anew: one person with her primary calendar, who has permitted nothing yet."""
    google_server.reset()
    yield google_server
    assert google_server.crashes == []


@pytest.fixture
def gateway_to() -> Iterator[Callable[[RealServer], Gateway]]:
    """Put a reverse proxy in front of a server, fresh for each test."""
    started: list[Gateway] = []

    def start(server: RealServer) -> Gateway:
        started.append(Gateway(server.url))
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()


@pytest.fixture
def gateway(gateway_to: Callable[[RealServer], Gateway], radicale: RealServer) -> Gateway:
    """A reverse proxy in front of Radicale."""
    return gateway_to(radicale)


@pytest.fixture
def answer() -> type[Answer]:
    """How a test writes an answer that the gateway gives itself."""
    return Answer
