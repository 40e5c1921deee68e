"""Real CalDAV servers on loopback, each with one user, and another client of hers that speaks plain HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

import requests

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
<C:supported-calendar-component-set>{components}</C:supported-calendar-component-set>
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


class RealServer:
    """A running server; `made` are the calendars made by the other client and not removed by it."""

    username = "ada@example"
    password = "pässwörd: 1815"

    def __init__(self, folder: Path) -> None:
        self.made: list[str] = []
        self._http = requests.Session()
        self._log = (folder / "log").open("wb")
        for _ in range(3):  # a port that was free a moment ago may be somebody else's now
            self.port = _free_port()
            self.url = f"http://127.0.0.1:{self.port}/"
            command = [sys.executable, "-m", *self._command(folder)]
            environment = os.environ | {"TZ": "UTC"}
            self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=environment)
            if self._comes_up():
                return
        self.stop()
        raise AssertionError(f"{type(self).__name__} didn't start: {(folder / 'log').read_text()}")

    def _command(self, folder: Path) -> list[str]:
        raise NotImplementedError

    def _comes_up(self) -> bool:
        while self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._http.close()
        self._log.close()

    def request(
        self, method: str, url: str, body: str = "", headers: dict[str, str] | None = None
    ) -> requests.Response:
        login = (self.username.encode(), self.password.encode())
        answer = self._http.request(method, url, data=body.encode(), headers=headers, auth=login, timeout=120)
        assert answer.status_code < 400, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer

    def calendar_url(self, name: str) -> str:
        raise NotImplementedError

    def make_calendar(
        self, name: str, tz: str | None = None, colour: str | None = None, component: str = "VEVENT VTODO"
    ) -> str:
        """Make an empty calendar, in place of one of that name, and return its address."""
        url = self.calendar_url(name)
        self.forget([url])
        zone = f"<C:calendar-timezone>{_TIMEZONE.format(tz=tz)}</C:calendar-timezone>" if tz else ""
        paint = f"<I:calendar-color>{colour}</I:calendar-color>" if colour else ""
        kinds = "".join(f'<C:comp name="{each}"/>' for each in component.split())
        body = _MKCALENDAR.format(name=escape(name), components=kinds, more=zone + paint)
        self.request("MKCALENDAR", url, body, {"Content-Type": "application/xml"})
        self.made.append(url)
        return url

    def forget(self, calendars: list[str]) -> None:
        """Remove calendars that may be there."""
        login = (self.username.encode(), self.password.encode())
        for url in calendars:
            self._http.request("DELETE", url, auth=login, timeout=120)
            if url in self.made:
                self.made.remove(url)

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
        hrefs = re.findall(r"<(?:\w+:)?href>([^<]*)</", answer.text)
        names = [href.rsplit("/", 1)[-1] for href in hrefs]
        return {name: self.get(calendar, name) for name in names if name.endswith(".ics")}

    def _href(self, calendar: str, uid_or_href: str) -> str:
        if uid_or_href.startswith("http"):
            return uid_or_href
        return calendar + (uid_or_href if uid_or_href.endswith(".ics") else f"{quote(uid_or_href)}.ics")


class RadicaleServer(RealServer):
    """Radicale, which asks for a password."""

    def _command(self, folder: Path) -> list[str]:
        (folder / "users").write_text(f"{self.username}:{self.password}\n", encoding="utf-8")
        (folder / "config").write_text(_RADICALE.format(port=self.port, folder=folder), encoding="utf-8")
        return ["radicale", "--config", str(folder / "config")]

    def calendar_url(self, name: str) -> str:
        return f"{self.url}{quote(self.username, safe='')}/{quote(name.lower())}/"


class XandikosServer(RealServer):
    """Xandikos, which lets everyone in: what stands in front of it asks for the password."""

    def _command(self, folder: Path) -> list[str]:
        where = ["--directory", str(folder / "data"), "--state-dir", str(folder / "state")]
        return [
            "xandikos",
            "serve",
            *where,
            "--defaults",
            "--current-user-principal",
            f"/{self.username}/",
            "-l",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]

    def calendar_url(self, name: str) -> str:
        return f"{self.url}{quote(self.username, safe='')}/calendars/{quote(name.lower())}/"
