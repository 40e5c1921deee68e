"""What tests of providers share: an account on a real server behind a gateway, small events, small servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from providers.caldav.client import CalDAVProvider
from providers.model import Connection, RemoteCalendar
from providers.transport import open_session


@pytest.fixture
def open_caldav(gateway, radicale):
    """Open accounts at an address of the gateway, and close them all."""
    opened = []

    def start(path="", *, secret=None, auth="auto", url=None, **options):
        secret = radicale.password if secret is None else secret
        options = {"username": radicale.username, "allow_private": True} | options
        opened.append(CalDAVProvider(Connection(url or gateway.url + path, secret=secret, auth=auth, **options)))
        return opened[-1]

    yield start
    for provider in opened:
        provider.close()


@pytest.fixture
def work(radicale, gateway):
    """An empty calendar: its address on the server, and as the account behind the gateway knows it."""
    direct = radicale.make_calendar("Work", "Europe/Berlin")
    return direct, RemoteCalendar(direct.replace(radicale.url, gateway.url), "Work", tz="Europe/Berlin")


@pytest.fixture
def small_event():
    """Write a small event."""

    def text(uid="one", start="20261124T090000Z", more="", kind="VEVENT"):
        return (
            f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\nBEGIN:{kind}\r\nUID:{uid}\r\n"
            f"DTSTAMP:20261101T120000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\n{more}END:{kind}\r\nEND:VCALENDAR\r\n"
        )

    return text


@pytest.fixture
def pulled():
    """Pull, and return what was listed in one: uids, removed ids, unreadable ones, and the token."""

    def pull(provider, calendar, token=None):
        pages = list(provider.changes(calendar, token, None))
        return (
            sorted(event.uid for page in pages for event in page.changed),
            sorted(remote_id for page in pages for remote_id in page.removed),
            [item for page in pages for item in page.unreadable],
            pages[-1].sync_token,
        )

    return pull


@pytest.fixture
def session():
    """Open sessions and close them all."""
    opened = []

    def start(**options):
        opened.append(open_session(**options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def says():
    """Write an answer of a small server."""

    def answering(status, body=b"", **headers):
        def answer(handler):
            handler.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        return answer

    return answering


@pytest.fixture
def serve():
    """Start HTTP servers that answer as told, and stop them all."""
    servers = []

    def start(answer, context=None, host="127.0.0.1"):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append((self.path, dict(self.headers)))
                answer(self)

            def do_POST(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.do_GET()

            do_PATCH = do_DELETE = do_POST  # noqa: N815 - the base class looks for these names
            do_PROPFIND = do_GET  # noqa: N815

            def log_message(self, *_args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_args):
                pass  # the other side hung up

        server = Server(("127.0.0.1", 0), Handler)
        server.requests = []
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.url = f"{'https' if context else 'http'}://{host}:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def speak():
    """Start servers that read a request and then say bytes, one piece after another, until the other side hangs up."""
    started = []

    def start(pieces, pause=0.0):
        listening = socket.create_server(("127.0.0.1", 0))
        stopped = threading.Event()

        def answer(connection):
            with connection, contextlib.suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (more := connection.recv(65_536)):
                        return
                    head += more
                for piece in pieces():
                    if stopped.wait(pause):
                        return
                    connection.sendall(piece)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    answering.append(threading.Thread(target=answer, args=(listening.accept()[0],)))
                    answering[-1].start()

        answering = []
        accepting = threading.Thread(target=accept)
        accepting.start()
        started.append((listening, stopped, accepting, answering))
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield start
    for listening, stopped, accepting, answering in started:
        stopped.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()
        for thread in answering:
            thread.join()
