"""`syncd demo`: everything at once, true, and gone when it ends (contract §3)."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests

LONDON, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("America/New_York")


@dataclass
class Demo:
    """A running demo and its first line."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def starts(self, first: datetime, days: int) -> list[datetime]:
        query = {"start": f"{first:%Y-%m-%d}", "end": f"{first + timedelta(days=days - 1):%Y-%m-%d}"}
        answer = requests.get(f"{self.said['url']}/v1/ada/intro/slots", params=query, timeout=30)
        assert answer.status_code == 200, answer.text
        return [datetime.fromisoformat(s["start"]) for day in answer.json()["slots"].values() for s in day]

    def book(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Book, and ask again as long as the calendars can't be looked at in time, as on a busy machine."""
        while True:
            answer = requests.post(f"{self.said['url']}/v1/ada/intro/bookings", json=wish, timeout=30)
            if answer.status_code != 503:
                assert answer.status_code == 201, answer.text
                return answer.json()

    def dav(self, method: str, url: str, **more: Any) -> requests.Response:
        caldav = self.said["caldav"]
        return requests.request(method, url, auth=(caldav["username"], caldav["password"]), timeout=30, **more)

    def events(self) -> str:
        answer = self.dav("GET", self.said["caldav"]["calendars"]["Work"])
        assert answer.status_code == 200
        return answer.text


def _until(is_so: Callable[[], object]) -> None:
    """Wait for something that must come to pass."""
    while not is_so():
        time.sleep(0.1)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1):
        return True
    return False


def _gone(demo: Demo) -> bool:
    return not (_answers(demo.said["url"]) or _answers(demo.said["caldav"]["url"]))


@pytest.fixture
def start(shell) -> Iterator[Callable[[], Demo]]:
    """Starts demos, and ends those that still run."""
    running: list[subprocess.Popen[str]] = []

    def begin() -> Demo:
        process = shell.start("demo", "--port", "0", "--json", stderr=None)
        running.append(process)
        assert process.stdout is not None
        return Demo(process, json.loads(process.stdout.readline()))

    yield begin
    for process in running:
        process.terminate()
        process.communicate()


def _at(day: datetime, hour: int, minute: int = 0, tz: ZoneInfo = LONDON) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=tz).astimezone(UTC)


def _expected(monday: datetime) -> set[datetime]:
    """The demo's second week by its calendar: half hours every quarter, with ten minutes free after them."""
    busy = {
        0: [(_at(monday, 9, 30), _at(monday, 9, 45))],
        1: [
            (_at(monday + timedelta(days=1), 9, 30), _at(monday + timedelta(days=1), 9, 45)),
            (_at(monday + timedelta(days=1), 10, tz=NEW_YORK), _at(monday + timedelta(days=1), 11, 30, tz=NEW_YORK)),
        ],
        2: [
            (_at(monday + timedelta(days=2), 14), _at(monday + timedelta(days=2), 15)),
            (_at(monday + timedelta(days=2), 15), _at(monday + timedelta(days=2), 15, 15)),
        ],
        3: [(_at(monday + timedelta(days=3), 10), _at(monday + timedelta(days=3), 12))],
    }
    found = set()
    for number, taken in busy.items():
        day = monday + timedelta(days=number)
        for opened, closed in ((_at(day, 9), _at(day, 12, 30)), (_at(day, 13, 30), _at(day, 17, 30))):
            start = opened
            while start + timedelta(minutes=30) <= closed:
                if not any(start < end and begin < start + timedelta(minutes=40) for begin, end in taken):
                    found.add(start)
                start += timedelta(minutes=15)
    return found


def test_the_demo_says_where_everything_is_and_it_is_there(start, event):
    demo = start()
    said = demo.said
    assert set(said) == {"url", "freelancer", "consultation", "api_key", "login_url", "caldav", "database"}
    assert set(said["caldav"]) == {"url", "username", "password", "calendars"}
    assert (said["freelancer"], said["consultation"], said["login_url"]) == ("ada", "intro", None)
    assert Path(said["database"]).read_bytes().startswith(b"SQLite format 3")
    assert requests.get(f"{said['url']}/readyz", timeout=30).status_code == 200
    # moved, left out, cancelled, all-day, tentative, transparent events and two zones show as they must
    today = datetime.now(UTC)
    monday = today - timedelta(days=today.weekday()) + timedelta(days=7)
    assert set(demo.starts(monday, 5)) == {at for at in _expected(monday) if at >= today + timedelta(hours=4)}
    # a booking appears in the calendar, moves, vanishes
    third = monday + timedelta(days=7)
    slots = demo.starts(third, 5)
    client = {"name": "Grace Hopper", "email": "grace@example.com"}
    booking = demo.book({"start": slots[0].isoformat(), "client": client})
    _until(lambda: "Grace Hopper" in demo.events())
    bearer = {"Authorization": f"Bearer {said['api_key']}"}
    path = f"{said['url']}/v1/bookings/{booking['id']}"
    target = slots[-1].astimezone(UTC)
    requests.post(f"{path}/reschedule", json={"start": target.isoformat()}, headers=bearer, timeout=30)
    _until(lambda: f"{target:%Y%m%dT%H%M%S}Z" in demo.events())
    assert demo.events().count("SUMMARY:Intro call: Grace Hopper") == 1
    assert requests.post(f"{path}/cancel", headers=bearer, timeout=30).status_code == 200
    _until(lambda: "Grace Hopper" not in demo.events())
    # what another client puts there closes its slot with the next pull
    taken = slots[3].astimezone(UTC)
    text = event("other", f"{taken:%Y%m%dT%H%M%SZ}", f"{taken + timedelta(minutes=30):%Y%m%dT%H%M%SZ}")
    url = f"{said['caldav']['calendars']['Personal']}other.ics"
    assert demo.dav("PUT", url, data=text, headers={"Content-Type": "text/calendar"}).status_code == 201
    _until(lambda: slots[3] not in demo.starts(third, 5))
    # and at its end nothing is left
    folder = Path(said["database"]).parent
    assert folder.is_dir()
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait() == 0
    assert not folder.exists()
    _until(lambda: _gone(demo))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "a closed terminal"])
def test_its_end_leaves_nothing_behind(start, number):
    demo = start()
    demo.process.send_signal(number)
    assert demo.process.wait() == 0
    assert not Path(demo.said["database"]).parent.exists()
    _until(lambda: _gone(demo))


@pytest.mark.parametrize("made", ["radicale/users", "config.toml", "syncd.db", "syncd.db-wal"])
def test_ended_before_it_is_ready_it_leaves_nothing_behind_either(shell, made):
    shell.environment |= {"TMPDIR": str(shell.folder)}
    process = shell.start("demo", "--port", "0")
    _until(lambda: process.poll() is not None or list(shell.folder.glob(f"syncd-demo-*/{made}")))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in err
    assert not list(shell.folder.glob("syncd-demo-*"))


def test_a_second_daemon_on_the_demos_database_is_refused(start, shell):
    demo = start()
    folder = Path(demo.said["database"]).parent
    shell.environment |= {"DEMO_PASSWORD": demo.said["caldav"]["password"]}
    shell.fails(75, "another `syncd run`", "run", "--config", str(folder / "config.toml"))


def test_the_calendar_server_ends_even_if_the_demo_is_killed(start):
    demo = start()
    demo.process.kill()
    demo.process.wait()
    _until(lambda: _gone(demo))
    shutil.rmtree(Path(demo.said["database"]).parent)


def test_a_port_that_is_taken_is_said_to_be(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shell.fails(78, f"127.0.0.1:{port}: must be an address and a free port", "demo", "--port", str(port))
