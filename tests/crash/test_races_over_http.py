"""Two clients book the same time: exactly one gets it, over real HTTP, with a real calendar behind."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests


@pytest.mark.parametrize(
    ("house", "threads", "attempts", "slots"), [("caldav", 16, 50, 20), ("google", 8, 20, 8)], indirect=["house"]
)
def test_of_racing_clients_exactly_one_wins_each_slot(
    house: Any, install: Callable[..., Any], threads: int, attempts: int, slots: int
) -> None:
    """As many winners as slots, as many events; every loser is told 409, with alternatives."""
    installation = install("race")
    installation.start()
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    installation.wait(lambda: installation.slots(str(day), str(day)).status_code == 200)
    listed = installation.slots(str(day), str(day)).json()["slots"][str(day)]
    starts = [slot["start"] for slot in listed[:slots]]
    assert len(starts) == slots

    def attempt(seed: int) -> list[requests.Response]:
        chosen = random.Random(seed)
        with requests.Session() as http:
            return [_book(http, installation.url, chosen.choice(starts)) for _ in range(attempts)]

    with ThreadPoolExecutor(threads) as pool:
        answers = [answer for some in pool.map(attempt, range(threads)) for answer in some]
    winners = [a.json() for a in answers if a.status_code == 201]
    losers = [a.json() for a in answers if a.status_code != 201]
    assert Counter(a.status_code for a in answers) == {201: slots, 409: threads * attempts - slots}
    assert sorted(w["start"] for w in winners) == sorted(starts)
    assert all(loser["code"] == "slot-taken" and loser["alternatives"] for loser in losers)
    assert all(a["start"] not in starts[:1] for loser in losers[-5:] for a in loser["alternatives"])
    installation.wait(lambda: len(installation.written()) >= slots)
    assert set(installation.written()) == {winner["id"] for winner in winners}
    assert installation.end(signal.SIGTERM) == 0
    assert len(installation.written()) == slots
    assert house.complaints() == []


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
