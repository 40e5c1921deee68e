"""Plays the tour of the README and takes its pictures: a new freelancer, from `syncd init` to the first booking.

    .venv/bin/python docs/tour.py docs/pictures

The calendar server is real, and stands behind addresses of Nextcloud's kind: its discovery begins at
/.well-known/caldav and leads to /remote.php/dav/. What is shown is what the commands wrote to a terminal.
"""

from __future__ import annotations

import fcntl
import http.client
import io
import json
import os
import pty
import re
import secrets
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import requests
from rich.console import Console
from rich.text import Text

from syncd.demo import calendar_server
from syncd.demo.week import week_of

WIDTH, HEIGHT = 100, 50
BASE = "/remote.php/dav"
_PASSED_ON = ("content-type", "etag", "dav", "www-authenticate", "sync-token")


class Cloud(BaseHTTPRequestHandler):
    """Nextcloud's kind of addresses before another CalDAV server."""

    protocol_version = "HTTP/1.1"
    upstream = 0

    def answer(self) -> None:
        """Lead to where CalDAV begins, or pass the request on."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.startswith(f"{BASE}/"):
            found = self.path.rstrip("/") == "/.well-known/caldav"
            self._send(301 if found else 405, {"Location": f"{BASE}/"} if found else {}, b"")
            return
        headers = {**dict(self.headers.items()), "X-Script-Name": BASE, "Accept-Encoding": "identity"}
        server = http.client.HTTPConnection("127.0.0.1", self.upstream)
        server.request(self.command, self.path.removeprefix(BASE), body, headers)
        answer = server.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in _PASSED_ON}
        self._send(answer.status, kept, answer.read())
        server.close()

    do_GET = do_PUT = do_DELETE = do_PROPFIND = do_REPORT = do_OPTIONS = do_HEAD = answer  # noqa: N815

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def cloud(folder: Path, password: str) -> Iterator[str]:
    """A server with a believable week in it; its address."""
    behind = calendar_server.start(folder / "calendars", password)
    try:
        _fill(behind.url, password)
        Cloud.upstream = int(behind.url.rstrip("/").rpartition(":")[2])
        server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        server.server_close()
    finally:
        behind.stop()


_MKCALENDAR = """<C:mkcalendar xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:D="DAV:">
<D:set><D:prop><D:displayname>{}</D:displayname></D:prop></D:set></C:mkcalendar>"""


def _fill(url: str, password: str) -> None:
    login = (calendar_server.USERNAME, password)
    for name in ("Personal", "Work"):
        body = _MKCALENDAR.format(name)
        calendar = f"{url}{calendar_server.USERNAME}/{name.lower()}/"
        requests.request("MKCALENDAR", calendar, data=body, auth=login, timeout=30).raise_for_status()
    for entry in week_of(datetime.now(UTC).date()):
        where = f"{url}{calendar_server.USERNAME}/{entry.calendar.lower()}/{quote(entry.uid)}.ics"
        requests.put(where, data=entry.to_ical(), auth=login, timeout=30).raise_for_status()


class Terminal:
    """One terminal, in which commands are typed and their questions answered; `picture` is what it shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.picture = ""

    def run(self, command: str, answers: Sequence[tuple[str, str]] = ()) -> None:
        """Type a command, answer its questions in turn, and wait for its end."""
        self.picture += f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m\r\n"
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        arguments = [sys.executable, "-m", *_words(command)]
        more = {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "TZ": "Europe/London"}
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | more
        streams = {"stdin": follower, "stdout": follower, "stderr": follower}
        process = subprocess.Popen(  # in a session of its own, or a password is asked for where the tour was started
            arguments, cwd=self.folder, env=environment, start_new_session=True, **streams
        )
        os.close(follower)
        shown = ""
        for question, answer in answers:
            while question not in shown:
                shown += self._more(leader, f"{command} never asked {question!r}: {shown}")
            self.picture, shown = self.picture + shown, ""
            os.write(leader, f"{answer}\n".encode())
        while more_text := self._more(leader):
            shown += more_text
        self.picture += shown
        os.close(leader)
        if process.wait() != 0:
            raise SystemExit(f"{command}: exit code {process.returncode}\n{self.picture}")

    def _more(self, leader: int, missing: str = "") -> str:
        if not select.select([leader], [], [], 60)[0]:
            raise SystemExit(missing or "a command hangs")
        try:
            found = os.read(leader, 65536).decode()
        except OSError:  # the other end is closed: the command has ended
            found = ""
        if missing and not found:
            raise SystemExit(missing)
        return found

    def save(self, path: Path, title: str) -> None:
        """Write the picture, and clear the terminal."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        shown = re.sub(
            r"bkt_[\w-]+", "bkt_…", settled(self.picture).replace(str(self.folder), "~")
        )  # what opens something isn't shown
        console.print(Text.from_ansi(shown.rstrip("\n")))
        drawn = console.export_svg(title=title, unique_id=path.stem)
        path.write_text(re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")
        self.picture = ""


def _words(command: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]


def settled(shown: str) -> str:
    """What stays on a terminal of what was written to it: progress bars move up and erase their lines."""
    lines, at = [""], 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        moved = re.fullmatch(r"\x1b\[([?\d]*)([A-Za-ln-z])", part)
        if part == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif moved and moved[2] == "A":
            at = max(0, at - int(moved[1] or 1))
        elif moved and moved[2] == "K":
            lines[at] = ""
        elif part != "\r" and not moved:
            lines[at] += part
    return "\n".join(lines)


def tour(folder: Path, pictures: Path) -> None:
    """Live through the first quarter of an hour of a new freelancer."""
    password = secrets.token_hex(4)
    terminal = Terminal(folder)
    with cloud(folder, password) as url:
        terminal.run("syncd init", _answers(url, password))
        terminal.save(pictures / "init.svg", "A few questions")
        terminal.run("syncd sync")
        terminal.run("syncd calendars")
        terminal.save(pictures / "calendars.svg", "What was found")
        terminal.run("syncd slots ada/intro-call")
        terminal.save(pictures / "slots.svg", "What a client can book")
        first, closed = _times(folder)
        terminal.run(f"syncd explain ada/intro-call {closed}")
        terminal.run(f'syncd book ada/intro-call {first} --name "Zoe Client" --email zoe@example.org')
        terminal.run("syncd run --once")
        terminal.run("syncd bookings")
        terminal.save(pictures / "booking.svg", "The first booking")
        terminal.run("syncd doctor")
        terminal.save(pictures / "doctor.svg", "Is all well?")


def _answers(url: str, password: str) -> list[tuple[str, str]]:
    return [
        ("Your name", "Ada Lovelace"),
        ("handle", ""),
        ("e-mail", "ada@example.org"),
        ("time zone", "Europe/London"),
        ("set hours", "mon-fri 9-12:30 13:30-17"),
        ("What can be booked", ""),
        ("How many minutes", "30 60"),
        ("A number", "nextcloud"),
        ("server", url),
        ("user name", calendar_server.USERNAME),
        ("Password of", password),
        ("block", ""),
        ("takes", "Work"),
    ]


def _times(folder: Path) -> tuple[str, str]:
    """The first slot, and a time at which a calendar is busy."""

    command = [sys.executable, "-m", "syncd", "slots", "ada/intro-call", "--json"]
    slots = json.loads(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)["slots"]
    first = next(slot["start"] for day in slots.values() for slot in day)
    return first[:16], f"{first[:10]}T09:30"  # she has a stand-up every day


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with TemporaryDirectory() as somewhere:
        tour(Path(somewhere), target)
    print(f"{len(list(target.glob('*.svg')))} pictures in {target}, {time.monotonic() - began:.0f} s")
