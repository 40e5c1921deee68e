"""A real daemon process on a real calendar server, to be raced, killed and stopped."""

from __future__ import annotations

import os
import re
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
[freelancers.ada.accounts.home]
provider = "caldav"
url = "{url}"
username = "{username}"
password_env = "PASSWORD"
blocks = ["{own}"]
target = "{target}"
allow_private = true
"""
ALWAYS = "\n".join(
    f'{day} = ["00:00-24:00"]' for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
)
PATIENCE = 120.0  # a hang shall fail, slowness shall not


class Installation:
    """`syncd run` in a folder of its own."""

    def __init__(self, folder: Path, radicale: Any, name: str, *, url: str = "", hours: str = ALWAYS, rules: str = ""):
        self.radicale = radicale
        self.own = radicale.make_calendar(f"{name}-own")
        self.target = radicale.make_calendar(f"{name}-target")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        self.config.write_text(
            CONFIG.format(
                port=self.port,
                url=url or radicale.url,
                username=radicale.username,
                own=f"{name}-own",
                target=f"{name}-target",
                hours=hours,
                rules=rules,
            )
        )
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
        return os.environ | {"PASSWORD": self.radicale.password}

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
        """Booking id → start of its event in the target calendar; fails if a booking has two."""
        found: dict[str, str] = {}
        for name, text in self.radicale.list(self.target).items():
            booking_id = name.rpartition("-")[0]
            assert booking_id not in found, f"{booking_id} has two events"
            match = re.search(r"DTSTART:(\d{8}T\d{6}Z)", text)
            assert match, text
            found[booking_id] = match[1]
        return found


@pytest.fixture
def install(tmp_path: Path, radicale: Any) -> Iterator[Callable[..., Installation]]:
    """Makes installations, and ends what is left of them."""
    made: list[Installation] = []

    def make(name: str, **settings: str) -> Installation:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Installation(folder, radicale, name, **settings))
        return made[-1]

    yield make
    for installation in made:
        if installation.process is not None:
            installation.end(signal.SIGKILL)
