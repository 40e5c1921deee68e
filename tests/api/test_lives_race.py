"""Many clients at once: holds, confirmations, approvals and what time ends; of those who race, exactly one wins."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import requests

from syncd.booking.expiry import sweep
from syncd.store.models import LIVE_STATES, Booking

GRACE = {"name": "Grace Hopper", "email": "grace@example.com"}
NINE = "2026-11-24T09:00:00+00:00"
SLOTS = [f"2026-11-24T{hour:02}:{minute:02}:00+00:00" for hour in (13, 14, 15) for minute in (0, 30)]
MORE = """
[freelancers.ada.consultations.asked]
confirmation = "freelancer"
increment = "30m"
[freelancers.ada.consultations.half]
increment = "30m"
[freelancers.ada.consultations.once]
per_client_limit = 1
increment = "30m"
"""
THREADS = 8


@pytest.fixture
def house(open_house):
    return open_house(MORE)


def at_once(jobs):
    """Run all jobs at one moment, each in a thread; returns their results in order."""
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(run, job) for job in jobs]]


def send(house, path, body, token="", method="POST"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.request(method, house.url + path, json=body, headers=headers, timeout=120)


def live(house):
    """Every booking that occupies time, by start; fails where two of a freelancer overlap."""
    with house.services.store.read() as session:
        found = session.query(Booking).filter(Booking.state.in_(LIVE_STATES)).order_by(Booking.starts_at).all()
    for before, after in itertools.pairwise(found):
        assert before.ends_at <= after.starts_at, (before.id, after.id)
    return found


def test_holds_and_bookings_race_for_the_same_slots_and_one_wins_each(house):
    def attempts(seed):
        chosen = random.Random(seed)
        answers = []
        for _ in range(12):
            body = {"start": chosen.choice(SLOTS), "client": GRACE}
            held = {"hold_minutes": 5} if chosen.random() < 0.5 else {}
            slug = chosen.choice(("half", "asked"))
            answers.append(send(house, f"/v1/ada/{slug}/bookings", body | held))
        return answers

    answers = [answer for some in at_once([lambda s=s: attempts(s) for s in range(THREADS)]) for answer in some]
    winners = [answer.json() for answer in answers if answer.status_code == 201]
    losers = [answer.json() for answer in answers if answer.status_code != 201]
    assert Counter(answer.status_code for answer in answers) == {201: len(SLOTS), 409: THREADS * 12 - len(SLOTS)}
    assert sorted(winner["start"] for winner in winners) == SLOTS
    assert {loser["code"] for loser in losers} == {"slot-taken"}
    assert [booking.id for booking in live(house)] == [w["id"] for w in sorted(winners, key=lambda w: w["start"])]


def test_a_hold_is_confirmed_once_however_many_ask(house):
    booking = send(house, "/v1/ada/half/bookings", {"start": SLOTS[0], "hold_minutes": 5, "client": GRACE}).json()
    path = f"/v1/bookings/{booking['id']}/confirm"
    answers = at_once([lambda: send(house, path, None, booking["token"])] * THREADS)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: THREADS - 1}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"wrong-state"}
    house.work()
    assert len(house.remote["ada"].texts("Work")) == 1


def test_confirming_races_releasing_and_one_wins(house):
    for start in SLOTS:
        body = {"start": start, "hold_minutes": 5, "client": GRACE}
        booking = send(house, "/v1/ada/half/bookings", body).json()
        path = f"/v1/bookings/{booking['id']}"
        confirm, release = at_once(
            [
                lambda path=path, token=booking["token"]: send(house, f"{path}/confirm", None, token),
                lambda path=path, token=booking["token"]: send(house, f"{path}/hold", None, token, "DELETE"),
            ]
        )
        state = house.get(path, token=booking["token"]).json()["state"]
        expected = {"confirmed": (200, 409), "expired": (410, 200)}
        assert (confirm.status_code, release.status_code) == expected[state]


def test_confirming_races_expiry_and_whoever_books_next(house):
    """At the instant a hold ends, its client, the sweep and other clients ask at once: one booking comes of it."""
    for number, start in enumerate(SLOTS[:5]):
        body = {"start": start, "hold_minutes": 5, "client": GRACE}
        booking = send(house, "/v1/ada/half/bookings", body).json()
        path = f"/v1/bookings/{booking['id']}"
        before = house.clock.now

        def pass_away(before=before):
            house.clock.now = before.replace(minute=before.minute + 5)
            sweep(house.services)

        jobs = [pass_away, lambda path=path, token=booking["token"]: send(house, f"{path}/confirm", None, token)]
        jobs += [lambda body=body: send(house, "/v1/ada/half/bookings", {"start": body["start"], "client": GRACE})] * 3
        _, confirm, *others = at_once(jobs)
        won = [confirm.status_code == 200] + [other.status_code == 201 for other in others]
        assert confirm.status_code in (200, 410)
        assert {other.status_code for other in others} <= {201, 409}
        assert sum(won) <= 1
        state = house.get(path, token=booking["token"]).json()["state"]
        assert state == ("confirmed" if confirm.status_code == 200 else "expired")
        assert len(live(house)) == number + 1 or not any(won)
        if not any(won):  # the others came too early, the client too late
            assert send(house, "/v1/ada/half/bookings", {"start": start, "client": GRACE}).status_code == 201


def test_approving_races_declining_and_cancelling_and_one_wins(house):
    key = house.key("bookings:write")
    for start in SLOTS:
        booking = send(house, "/v1/ada/asked/bookings", {"start": start, "client": GRACE}).json()
        path = f"/v1/bookings/{booking['id']}"
        jobs = [
            lambda path=path: send(house, f"{path}/approve", None, key),
            lambda path=path: send(house, f"{path}/decline", None, key),
            lambda path=path, token=booking["token"]: send(house, f"{path}/reschedule", {"start": NINE}, token),
        ]
        approve, decline, move = at_once(jobs)
        assert sorted((approve.status_code, decline.status_code)) == [200, 409]
        assert move.status_code in (200, 409)
        state = house.get(path, token=booking["token"]).json()["state"]
        assert state == ("confirmed" if approve.status_code == 200 else "declined")
        live(house)
        if state == "confirmed":
            assert send(house, f"{path}/cancel", None, key).status_code == 200


def test_approving_races_the_end_of_the_wait(house):
    key = house.key("bookings:write")
    booking = send(house, "/v1/ada/asked/bookings", {"start": "2026-11-25T09:00:00Z", "client": GRACE}).json()
    path = f"/v1/bookings/{booking['id']}"

    def pass_away():
        house.clock.now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        sweep(house.services)

    _, approve, decline = at_once(
        [
            pass_away,
            lambda: send(house, f"{path}/approve", None, key),
            lambda: send(house, f"{path}/decline", None, key),
        ]
    )
    won = {"confirmed": approve, "declined": decline}
    state = house.get(path, token=booking["token"]).json()["state"]
    assert [name for name, answer in won.items() if answer.status_code == 200] == ([state] if state in won else [])
    assert all(answer.json().get("code") == "wrong-state" for answer in won.values() if answer.status_code != 200)


def test_a_client_races_for_the_last_booking_a_limit_allows(house):
    bodies = [{"start": start, "client": GRACE} for start in SLOTS]
    answers = at_once([lambda body=body: send(house, "/v1/ada/once/bookings", body) for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 403: len(SLOTS) - 1}
    assert len(live(house)) == 1


def test_an_address_races_for_the_last_hold_it_may_take(house):
    config = house.services.config
    rates = config.server.rate_limits.model_copy(update={"booking": "30/minute"})
    server = config.server.model_copy(update={"rate_limits": rates})
    house.services.config = config.model_copy(update={"server": server})
    bodies = [{"start": start, "hold_minutes": 5} for start in SLOTS]
    answers = at_once([lambda body=body: send(house, "/v1/ada/half/bookings", body) for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {201: 3, 429: len(SLOTS) - 3}


def test_a_link_is_used_up_by_one_of_those_who_race_for_it(house):
    key = house.key("bookings:write")
    link = send(house, "/v1/ada/half/links", {"uses": 1}, key).json()
    bodies = [{"start": start, "client": GRACE} for start in SLOTS]
    answers = at_once([lambda b=body: send(house, "/v1/ada/half/bookings", b, link["token"]) for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 403: len(SLOTS) - 1}


def test_the_same_hold_sent_twice_at_once_is_taken_once(house):
    def ask():
        body = {"start": NINE, "hold_minutes": 5}
        headers = {"Idempotency-Key": "once"}
        return requests.post(f"{house.url}/v1/ada/half/bookings", json=body, headers=headers, timeout=120)

    answers = at_once([ask] * THREADS)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(live(house)) == 1
