"""What tests of several folders share: pinned zones, a real CalDAV server, and a gateway in front of it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

import pytest
import requests

from availability import zones

zones.pin()

_RADICALE = """
[server]
hosts = 127.0.0.1:{port}
max_connections = 100
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[rights]
type = owner_only
[storage]
filesystem_folder = {folder}/collections
[web]
type = none
[logging]
level = warning
"""

_MKCALENDAR = """<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:I="http://apple.com/ns/ical/">
<D:set><D:prop><D:displayname>{name}</D:displayname>
<C:supported-calendar-component-set><C:comp name="{component}"/></C:supported-calendar-component-set>
{more}</D:prop></D:set></C:mkcalendar>"""

_TIMEZONE = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VTIMEZONE\r\nTZID:{tz}\r\nBEGIN:STANDARD\r\n"
    "DTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    "END:VCALENDAR\r\n"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RadicaleServer:
    """A running Radicale with one user, and another client of hers that speaks plain HTTP."""

    username = "ada@example"
    password = "pässwörd: 1815"

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._http = requests.Session()
        (folder / "users").write_text(f"{self.username}:{self.password}\n", encoding="utf-8")
        (folder / "config").write_text(_RADICALE.format(port=self.port, folder=folder), encoding="utf-8")
        self._log = (folder / "log").open("wb")
        command = [sys.executable, "-m", "radicale", "--config", str(folder / "config")]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=os.environ | {"TZ": "UTC"})
        try:
            self._wait_until_it_answers(folder / "log")
        except AssertionError:
            self.stop()
            raise

    def _wait_until_it_answers(self, log: Path) -> None:
        while True:
            assert self._process.poll() is None, f"radicale didn't start: {log.read_text()}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._http.close()
        self._log.close()

    def request(
        self, method: str, url: str, body: str = "", headers: dict[str, str] | None = None
    ) -> requests.Response:
        login = (self.username.encode(), self.password.encode())
        answer = self._http.request(method, url, data=body.encode(), headers=headers, auth=login)
        assert answer.status_code < 400, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer

    def calendar_url(self, name: str) -> str:
        return f"{self.url}{quote(self.username, safe='')}/{quote(name.lower())}/"

    def make_calendar(
        self, name: str, tz: str | None = None, colour: str | None = None, component: str = "VEVENT"
    ) -> str:
        """Make an empty calendar, in place of one of that name, and return its address."""
        url = self.calendar_url(name)
        login = (self.username.encode(), self.password.encode())
        self._http.request("DELETE", url, auth=login)
        zone = f"<C:calendar-timezone>{_TIMEZONE.format(tz=tz)}</C:calendar-timezone>" if tz else ""
        paint = f"<I:calendar-color>{colour}</I:calendar-color>" if colour else ""
        self.request("MKCALENDAR", url, _MKCALENDAR.format(name=escape(name), component=component, more=zone + paint))
        return url

    def put(self, calendar: str, uid_or_href: str, ics: str) -> str:
        """Write a resource, new or not, and return its ETag."""
        answer = self.request("PUT", self._href(calendar, uid_or_href), ics, {"Content-Type": "text/calendar"})
        return answer.headers["ETag"]

    def get(self, calendar: str, uid_or_href: str) -> str:
        return self.request("GET", self._href(calendar, uid_or_href)).content.decode()

    def delete(self, calendar: str, uid_or_href: str = "") -> None:
        """Remove a resource, or the whole calendar."""
        self.request("DELETE", self._href(calendar, uid_or_href) if uid_or_href else calendar)

    def list(self, calendar: str) -> dict[str, str]:
        """Return every resource's text by the last part of its address."""
        answer = self.request("PROPFIND", calendar, headers={"Depth": "1"})
        names = [part.split("</href>")[0].rsplit("/", 1)[-1] for part in answer.text.split("<href>")[1:]]
        return {name: self.get(calendar, name) for name in names if name}

    def _href(self, calendar: str, uid_or_href: str) -> str:
        if uid_or_href.startswith("http"):
            return uid_or_href
        return calendar + (uid_or_href if uid_or_href.endswith(".ics") else f"{quote(uid_or_href)}.ics")


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
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    for method in ("GET", "PUT", "DELETE", "PROPFIND", "REPORT", "OPTIONS", "HEAD", "MKCALENDAR"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadicaleServer]:
    """A real CalDAV server on loopback, one for each test process."""
    server = RadicaleServer(tmp_path_factory.mktemp("radicale"))
    yield server
    server.stop()


@pytest.fixture
def gateway(radicale: RadicaleServer) -> Iterator[Gateway]:
    """A reverse proxy in front of Radicale, fresh for each test."""
    proxy = Gateway(radicale.url)
    yield proxy
    proxy.stop()


@pytest.fixture
def answer() -> type[Answer]:
    """How a test writes an answer that the gateway gives itself."""
    return Answer
