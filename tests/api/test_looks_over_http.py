"""The live look over HTTP: when it is taken, what it refuses, what `verified` says (contract §5; semantics 16, 17)."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import update

from providers.errors import Unavailable
from syncd.booking import lifecycle
from syncd.store.models import Booking, Consultation

NINE, TEN = "2026-11-24T09:00:00+00:00", "2026-11-24T10:00:00+00:00"
BOBS = "2026-11-30T09:00:00+01:00"
GRACE = {"name": "Grace Hopper", "email": "grace@example.com"}
MORE = """
[freelancers.ada.consultations.asked]
confirmation = "freelancer"
"""


@pytest.fixture
def house(open_house):
    return open_house(MORE)


def silence(house):
    """Let no calendar server answer."""

    def refuse(_kind, _connection):
        raise Unavailable("the server is down")

    house.services.open_provider = refuse


def looks(house) -> int:
    return house.remote["ada"].calls["look"]


def act(house, booking, action, body=None, token=""):
    return house.post(f"/v1/bookings/{booking['id']}/{action}", body, token=token or booking["token"])


def test_all_that_answered_is_verified_and_so_is_what_nothing_blocks(house):
    assert house.book(NINE)["verified"] is True
    assert house.book("2026-11-23T09:00:00Z", "cyd/talk")["verified"] is True
    assert looks(house) >= 1


@pytest.mark.parametrize("hold", [{}, {"hold_minutes": 5}])
@pytest.mark.parametrize("slug", ["intro", "asked"])
def test_where_stale_closes_no_answer_refuses_what_would_be_new(house, problem_of, slug, hold):
    silence(house)
    answer = house.post(f"/v1/ada/{slug}/bookings", house.wish(NINE, **hold))
    problem = problem_of(answer, 503, "availability-unknown")
    assert int(answer.headers["Retry-After"]) > 0
    assert problem["reasons"] == [{"code": "unavailable"}]
    trusted = house.post(f"/v1/ada/{slug}/bookings", house.wish(NINE), token=house.key("bookings:write")).json()
    assert {reason["code"] for reason in trusted["reasons"]} == {"calendar_stale"}
    assert all(reason["calendar"].startswith("cal_") for reason in trusted["reasons"])
    assert NINE in house.starts()


def test_where_stale_closes_no_answer_refuses_confirming_and_approving(house, problem_of):
    held, pending = house.book(NINE, hold_minutes=5), house.book(TEN, "ada/asked")
    silence(house)
    problem_of(act(house, held, "confirm"), 503, "availability-unknown")
    problem_of(act(house, pending, "approve", token=house.key("bookings:write")), 503, "availability-unknown")
    assert house.get(f"/v1/bookings/{held['id']}", token=held["token"]).json()["revision"] == 1
    assert house.get(f"/v1/bookings/{pending['id']}", token=pending["token"]).json()["revision"] == 1


def test_what_was_refused_for_want_of_an_answer_may_be_tried_again_under_its_key(house, problem_of):
    answers, once = house.services.open_provider, {"Idempotency-Key": "k"}
    silence(house)
    problem_of(house.post("/v1/ada/intro/bookings", house.wish(NINE), headers=once), 503, "availability-unknown")
    house.services.open_provider = answers
    house.clock.forward(minutes=5)
    assert house.post("/v1/ada/intro/bookings", house.wish(NINE), headers=once).status_code == 201


def test_where_stale_serves_no_answer_is_booked_and_said_to_be_unverified(house):
    silence(house)
    assert house.book(BOBS, "bob/talk")["verified"] is False
    held = house.book("2026-11-30T10:00:00+01:00", "bob/talk", hold_minutes=5)
    assert held["verified"] is False
    assert act(house, held, "confirm").json()["verified"] is False


def test_no_answer_never_refuses_a_move(house):
    booking = house.book(NINE)
    assert booking["verified"] is True
    silence(house)
    moved = act(house, booking, "reschedule", {"start": TEN})
    assert (moved.status_code, moved.json()["start"], moved.json()["verified"]) == (200, TEN, False)


def test_a_look_where_the_booking_no_longer_is_confirms_nothing(house, problem_of):
    booking, answers, ten = house.book(NINE, "ada/asked"), house.services.open_provider, datetime.fromisoformat(TEN)

    def move_first(kind, connection):
        with house.services.store.write() as session:
            pending = session.get_one(Booking, booking["id"])
            lifecycle.reschedule(session, house.services.situations, pending, ten, "client", house.clock())
        house.services.open_provider = answers
        return answers(kind, connection)

    house.services.open_provider = move_first
    key = house.key("bookings:write")
    problem_of(act(house, booking, "approve", token=key), 503, "availability-unknown")
    approved = act(house, booking, "approve", token=key).json()
    assert (approved["state"], approved["start"], approved["verified"]) == ("confirmed", TEN, True)


def test_a_move_finds_what_no_pull_saw(house, problem_of):
    booking = house.book(NINE)
    house.busy("2026-11-24T10:00:00+00:00", "2026-11-24T11:00:00+00:00")
    problem = problem_of(act(house, booking, "reschedule", {"start": TEN}), 409, "slot-taken")
    assert TEN not in [slot["start"] for slot in problem["alternatives"]]
    assert TEN not in house.starts()


def test_what_the_store_refuses_is_refused_without_a_look(house, problem_of):
    booking = house.book(NINE)
    before = looks(house)
    problem_of(house.post("/v1/ada/intro/bookings", house.wish(NINE)), 409, "slot-taken")
    problem_of(house.post("/v1/ada/intro/bookings", house.wish("2026-11-24T08:00:00Z")), 422, "not-offered")
    problem_of(house.post("/v1/ada/intro/bookings", {"start": TEN}), 422, "invalid-request")
    problem_of(act(house, booking, "confirm"), 409, "wrong-state")
    problem_of(act(house, booking, "reschedule", {"start": "2026-11-24T08:00:00Z"}), 422, "not-offered")
    assert looks(house) == before


def test_a_request_sent_again_is_answered_without_another_look(house):
    once = {"Idempotency-Key": "k"}
    first = house.post("/v1/ada/intro/bookings", house.wish(NINE), headers=once)
    before = looks(house)
    house.clock.forward(hours=1)
    again = house.post("/v1/ada/intro/bookings", house.wish(NINE), headers=once)
    assert again.json() == first.json()
    assert looks(house) == before


def test_a_booking_by_a_link_is_the_links_and_has_what_it_was_made_with(house, problem_of):
    key = house.key("bookings:write")
    terms = {"client": GRACE, "metadata": {"order": 7, "from": "link"}}
    link = house.post("/v1/ada/secret/links", terms, token=key).json()
    body = {"start": NINE, "metadata": {"from": "me", "mine": True}}
    problem_of(house.post("/v1/ada/secret/bookings", body), 401, "unauthorized")
    answer = house.post("/v1/ada/secret/bookings", body, token=link["token"])
    assert answer.status_code == 201, answer.text
    booking = answer.json()
    assert booking["client"] == GRACE
    assert booking["metadata"] == {"from": "link", "mine": True, "order": 7}
    problem_of(house.post("/v1/ada/secret/bookings", body | {"start": TEN}, token=link["token"]), 403, "forbidden")
    assert act(house, booking, "cancel").status_code == 200


def test_a_duration_withdrawn_during_the_look_is_refused_and_not_a_fault(house, problem_of):
    opened = house.services.open_provider

    def withdraw(kind, connection):
        with house.services.store.write() as session:
            session.execute(update(Consultation).values(durations_minutes=[60]))
        return opened(kind, connection)

    house.services.open_provider = withdraw
    answer = house.post("/v1/ada/intro/bookings", {"start": NINE, "client": GRACE, "duration_minutes": 30})
    problem = problem_of(answer, 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/duration_minutes"
    assert house.explain(NINE, duration_minutes=60)["bookable"]


def test_a_private_consultation_tells_strangers_nothing_of_its_durations(house, problem_of):
    wish = {"start": NINE, "client": GRACE, "duration_minutes": 31}
    problem_of(house.post("/v1/ada/secret/bookings", wish), 401, "unauthorized")


def test_a_move_that_the_database_alone_refuses_is_a_lost_race(house, problem_of, monkeypatch):
    # Writers are serial on SQLite, so the predicate is made to miss what another writer would have just written.
    booking, taken = house.book(NINE), house.book(TEN)
    monkeypatch.setattr(lifecycle, "judge", lambda *_: None)
    problem_of(act(house, booking, "reschedule", {"start": TEN}), 409, "slot-taken")
    assert house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["start"] == NINE
    assert house.get(f"/v1/bookings/{taken['id']}", token=taken["token"]).json()["start"] == TEN
