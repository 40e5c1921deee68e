"""Two clients book the same time: exactly one gets it, over real HTTP, with a real calendar behind."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

THREADS, ATTEMPTS, SLOTS = 16, 50, 20


def test_of_racing_clients_exactly_one_wins_each_slot(install: Callable[..., Any]) -> None:
    """16 threads × 50 attempts on 20 slots: 20 winners, every loser 409 with alternatives, 20 events."""
    installation = install("race")
    installation.start()
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    installation.wait(lambda: installation.slots(str(day), str(day)).status_code == 200)
    listed = installation.slots(str(day), str(day)).json()["slots"][str(day)]
    starts = [slot["start"] for slot in listed[:SLOTS]]
    assert len(starts) == SLOTS

    def attempt(seed: int) -> list[requests.Response]:
        chosen = random.Random(seed)
        with requests.Session() as http:
            return [_book(http, installation.url, chosen.choice(starts)) for _ in range(ATTEMPTS)]

    with ThreadPoolExecutor(THREADS) as pool:
        answers = [answer for some in pool.map(attempt, range(THREADS)) for answer in some]
    winners = [a.json() for a in answers if a.status_code == 201]
    losers = [a.json() for a in answers if a.status_code != 201]
    assert Counter(a.status_code for a in answers) == {201: SLOTS, 409: THREADS * ATTEMPTS - SLOTS}
    assert sorted(w["start"] for w in winners) == sorted(starts)
    assert all(loser["code"] == "slot-taken" and loser["alternatives"] for loser in losers)
    assert all(a["start"] not in starts[:1] for loser in losers[-5:] for a in loser["alternatives"])
    installation.wait(lambda: len(installation.radicale.list(installation.target)) >= SLOTS)
    assert set(installation.written()) == {winner["id"] for winner in winners}
    assert installation.end(signal.SIGTERM) == 0
    assert len(installation.written()) == SLOTS


def _book(http: requests.Session, url: str, start: str) -> requests.Response:
    client = {"name": "Zoe", "email": "zoe@example.com"}
    return http.post(f"{url}/v1/ada/intro/bookings", json={"start": start, "client": client}, timeout=120)


def test_of_racing_reschedules_onto_one_slot_exactly_one_wins(install: Callable[..., Any]) -> None:
    installation = install("moves")
    installation.start()
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    installation.wait(lambda: installation.slots(str(day), str(day)).status_code == 200)
    starts = [slot["start"] for slot in installation.slots(str(day), str(day)).json()["slots"][str(day)]]
    with requests.Session() as http:
        made = [_book(http, installation.url, start).json() for start in starts[:8]]

    def move(booking: dict[str, Any]) -> int:
        address = f"{installation.url}/v1/bookings/{booking['id']}/reschedule"
        login = {"Authorization": f"Bearer {booking['token']}"}
        return requests.post(address, json={"start": starts[20]}, headers=login, timeout=120).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(move, made)) == [200] + [409] * 7
