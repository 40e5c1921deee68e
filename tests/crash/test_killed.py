"""The daemon is killed with -9 at random moments, while clients book and the calendar is edited, and carries on."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

DAYS = 5


def _starts() -> list[datetime]:
    first = (datetime.now(UTC) + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
    return [first + timedelta(minutes=30 * n) for n in range(48 * DAYS)]


class OtherProgram(threading.Thread):
    """Makes, moves and deletes events of the freelancer's own until it is told to stop; knows what is there."""

    def __init__(self, installation: Any, starts: list[datetime], stop: threading.Event, pause: float) -> None:
        super().__init__()
        self.stage, self.calendar = installation.stage, installation.own
        self.starts, self.stop, self.pause = starts, stop, pause
        self.random = random.Random(11)
        self.there: dict[str, datetime] = {}

    def run(self) -> None:
        while not self.stop.wait(self.pause):
            uid, start = f"own-{self.random.randrange(12)}", self.random.choice(self.starts)
            if uid in self.there and self.random.random() < 0.4:
                self.stage.remove(self.calendar, uid)
                del self.there[uid]
            else:
                self.stage.put(self.calendar, uid, start, minutes=30)
                self.there[uid] = start


class Client(threading.Thread):
    """Books, moves and cancels until it is told to stop; keeps what it was promised."""

    def __init__(self, seed: int, url: str, starts: list[datetime], stop: threading.Event) -> None:
        super().__init__()
        self.random, self.url, self.stop = random.Random(seed), url, stop
        self.tokens: dict[str, str] = {}
        self.unexpected: list[str] = []
        self.starts = [start.isoformat() for start in starts]

    def run(self) -> None:
        with requests.Session() as http:
            while not self.stop.is_set():
                try:
                    self._act(http)
                except requests.RequestException:
                    time.sleep(0.02)  # the daemon is down: that is the point

    def _act(self, http: requests.Session) -> None:
        start, what = self.random.choice(self.starts), self.random.random()
        if what < 0.6 or not self.tokens:
            body: dict[str, Any] = {"start": start, "client": {"name": "Zoe", "email": "zoe@example.com"}}
            answer = http.post(f"{self.url}/v1/ada/intro/bookings", json=body, timeout=30)
            if answer.status_code == 201:
                self.tokens[answer.json()["id"]] = answer.json()["token"]
        else:
            booking_id = self.random.choice(list(self.tokens))
            action = "reschedule" if what < 0.85 else "cancel"
            answer = http.post(
                f"{self.url}/v1/bookings/{booking_id}/{action}",
                json={"start": start} if action == "reschedule" else {},
                headers={"Authorization": f"Bearer {self.tokens[booking_id]}"},
                timeout=30,
            )
        if answer.status_code not in (200, 201, 409, 503):
            self.unexpected.append(answer.text)


@pytest.mark.parametrize(
    ("house", "kills", "how_many", "pause"),
    [
        ("caldav", 4, 4, 0.0),
        ("google", 2, 3, 0.1),
    ],  # the fake would take a hundred edits in a pull: no real server does
    indirect=["house"],
)
def test_killed_at_any_moment_the_daemon_keeps_every_promise(
    house: Any, install: Callable[..., Any], kills: int, how_many: int, pause: float
) -> None:
    installation = install("killed")
    installation.start()
    starts = _starts()
    first, last = str(starts[0].date()), str(starts[-1].date())
    installation.wait(lambda: installation.slots(first, last).status_code == 200)
    stop, moments = threading.Event(), random.Random(7)
    clients = [Client(seed, installation.url, starts, stop) for seed in range(how_many)]
    other = OtherProgram(installation, starts, stop, pause)
    for thread in (*clients, other):
        thread.start()
    try:
        for _ in range(kills):
            time.sleep(moments.uniform(0.3, 2.0))  # the moment is what is random here
            installation.end(signal.SIGKILL)
            installation.start()
            installation.wait(lambda: installation.slots(first, last).status_code == 200)
    finally:
        stop.set()
        for thread in (*clients, other):
            thread.join()
    assert [text for client in clients for text in client.unexpected] == []
    installation.wait(lambda: _asked(installation, "SELECT count(*) FROM outbox") == [(0,)])
    live = _live(installation, {i: t for client in clients for i, t in client.tokens.items()})
    assert live
    booked = _booked(installation)
    assert live.items() <= booked.items()  # the rest are those whose answers were lost with the process
    assert len(booked) - len(live) <= kills * how_many
    assert installation.written() == booked
    free = set(starts) - set(other.there.values()) - {datetime.fromisoformat(start) for start in booked.values()}
    installation.wait(lambda: _listed(installation, first, last) == free)
    assert installation.end(signal.SIGTERM) == 0
    assert house.complaints() == []


def _booked(installation: Any) -> dict[str, str]:
    """Every live booking in the database, and its start."""
    rows = _asked(installation, "SELECT id, starts_at / 1000000 FROM bookings WHERE state = 'confirmed'")
    return {booking_id: datetime.fromtimestamp(start, UTC).isoformat() for booking_id, start in rows}


def _listed(installation: Any, first: str, last: str) -> set[datetime]:
    """Every slot of the days in which there was something going on."""
    slots = installation.slots(first, last).json()["slots"]
    return {datetime.fromisoformat(slot["start"]) for day in slots.values() for slot in day}


def _asked(installation: Any, query: str) -> list[Any]:
    with closing(sqlite3.connect(installation.config.with_name("syncd.db"))) as database:
        return database.execute(query).fetchall()


def _live(installation: Any, tokens: dict[str, str]) -> dict[str, str]:
    live = {}
    for booking_id, token in tokens.items():
        login = {"Authorization": f"Bearer {token}"}
        booking = requests.get(f"{installation.url}/v1/bookings/{booking_id}", headers=login, timeout=30).json()
        if booking["state"] == "confirmed":
            live[booking_id] = datetime.fromisoformat(booking["start"]).astimezone(UTC).isoformat()
    return live


def test_a_second_daemon_on_the_same_database_is_refused(install: Callable[..., Any]) -> None:
    installation = install("second")
    installation.start()
    installation.wait(lambda: requests.get(f"{installation.url}/healthz", timeout=5).status_code == 200)
    done = installation.command("run")
    assert done.returncode == 75
    assert "another `syncd run` has this database open" in done.stderr
    assert installation.end(signal.SIGTERM) == 0


def test_a_daemon_ends_on_sigterm_while_a_calendar_server_never_answers(
    install: Callable[..., Any], gateway: Any
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hang(_seen: Any) -> None:
        asked.set()
        answer.wait()

    gateway.rule = hang
    installation = install("hanging", url=gateway.url)
    installation.start()
    try:
        assert asked.wait(60)
        assert installation.end(signal.SIGTERM) == 0
    finally:
        answer.set()
