"""Stages with empty calendars, and a real daemon process on one, to be raced, killed and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fake_google import FakeGoogle
from fake_google_accounts import grant_of
from real_caldav import RealServer
from stages import Stage, stage_of

from syncd.config import load_config
from syncd.services import open_services

CONFIG = """
[daemon]
sync_every = "2s"
[server]
port = {port}
rate_limits = {{ feed = "1000000/minute", booking = "1000000/minute" }}
[freelancers.ada]
time_zone = "UTC"
[freelancers.ada.schedules.default.hours]
{hours}
[freelancers.ada.consultations.intro]
durations = ["30m"]
increment = "30m"
minimum_notice = "1h"
horizon = "30d"
{rules}
{account}
blocks = ["{own}"]
target = "{target}"
"""
ALWAYS = "\n".join(
    f'{day} = ["00:00-24:00"]' for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
)
PATIENCE = 120.0  # a hang shall fail, slowness shall not


class CalDAVHouse:
    """A CalDAV server that stages are set on."""

    def __init__(self, server: RealServer) -> None:
        self._server = server

    def set_stage(self, *names: str) -> dict[str, Any]:
        """Tell of a stage with these calendars, which are empty."""
        calendars = {name: self._server.make_calendar(name, "Europe/London") for name in names}
        login = {"username": self._server.username, "password": self._server.password}
        return {"kind": "caldav", "url": self._server.url, **login, "calendars": calendars}

    def clear(self, stage: dict[str, Any]) -> None:
        self._server.forget(list(stage["calendars"].values()))

    def complaints(self) -> list[Any]:
        """What was asked of the server that it shouldn't be: nobody counts."""
        return []


class GoogleHouse:
    """A Google that stages are set on, one at a time; it finds fault with each request that its documents forbid."""

    def __init__(self, google: FakeGoogle) -> None:
        self._google = google

    def set_stage(self, *names: str) -> dict[str, Any]:
        """Tell of a stage with these calendars, which are empty."""
        self._google.reset()
        calendars = {name: self._google.make_calendar(name, "Europe/London") for name in names}
        account = {"username": self._google.oauth.user, "grant": grant_of(self._google).text()}
        return {"kind": "google", "google": self._google.endpoints, **account, "calendars": calendars}

    def clear(self, stage: dict[str, Any]) -> None:
        """Everything goes when the next stage is set."""

    def complaints(self) -> list[Any]:
        """The requests that were malformed, and the writes that didn't say whether guests should be told."""
        malformed = [(seen.name, seen.path, seen.query) for seen in self._google.requests if seen.status in (400, 403)]
        return malformed + self._google.writes.unsaid


House = CalDAVHouse | GoogleHouse


@pytest.fixture(scope="session")
def caldav_house(radicale: RealServer) -> CalDAVHouse:
    """The house of the real CalDAV server."""
    return CalDAVHouse(radicale)


@pytest.fixture(scope="session")
def google_house(google_server: FakeGoogle) -> GoogleHouse:
    """The house of the fake Google."""
    return GoogleHouse(google_server)


@pytest.fixture
def house(request: pytest.FixtureRequest) -> House:
    """Where installations are: at a CalDAV server, unless the test names another kind."""
    found: House = request.getfixturevalue(f"{getattr(request, 'param', 'caldav')}_house")
    return found


class Installation:
    """`syncd run` in a folder of its own, on a stage with two calendars: the person's own, and the target."""

    own, target = "own", "target"

    def __init__(self, folder: Path, stage: Stage, *, hours: str = ALWAYS, rules: str = ""):
        self.stage = stage
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        self.config.write_text(
            CONFIG.format(
                port=self.port,
                account=stage.account("freelancers.ada.accounts.home"),
                own=self.own,
                target=self.target,
                hours=hours,
                rules=rules,
            )
        )
        services = open_services(load_config(self.config, stage.environ))
        stage.sign_in(services)
        services.store.close()
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "syncd", *arguments, "--config", str(self.config)]
        return subprocess.run(command, env=self._environ(), capture_output=True, text=True, check=False)

    def start(self) -> None:
        command = [sys.executable, "-m", "syncd", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environ(), stderr=log)

    def _environ(self) -> dict[str, str]:
        return os.environ | self.stage.environ

    def wait(self, what: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.process is not None:
                assert self.process.poll() is None, self.log.read_text()
            try:
                if what():
                    return
            except (requests.ConnectionError, requests.Timeout):
                pass
            time.sleep(0.05)
        raise AssertionError(f"it did not come about: {self.log.read_text()}")

    def slots(self, start: str, end: str) -> requests.Response:
        return requests.get(f"{self.url}/v1/ada/intro/slots", params={"start": start, "end": end}, timeout=PATIENCE)

    def end(self, how: int) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def written(self) -> dict[str, str]:
        """Booking id → start of its event in UTC (RFC 3339); fails if a booking has two."""
        found: dict[str, str] = {}
        for event in self.stage.own_events():
            assert event["booking"] not in found, f"{event['booking']} has two events"
            found[event["booking"]] = event["span"][0]
        return found


@pytest.fixture
def install(tmp_path: Path, house: House) -> Iterator[Callable[..., Installation]]:
    """Makes installations, and ends what is left of them."""
    made: list[Installation] = []

    def make(name: str, *, url: str = "", **settings: str) -> Installation:
        folder = tmp_path / name
        folder.mkdir()
        told = house.set_stage(Installation.own, Installation.target)
        stage = stage_of(told | {"url": url or told.get("url")})
        made.append(Installation(folder, stage, **settings))
        return made[-1]

    yield make
    for installation in made:
        if installation.process is not None:
            installation.end(signal.SIGKILL)
        installation.stage.close()
        house.clear(installation.stage.told)
