"""Bookings that wait for the freelancer's word: approved, declined, run out, moved, amended (contract §5)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from syncd.booking.expiry import sweep
from syncd.store.models import Consultation, OutboxItem

NINE, TEN = "2026-11-24T09:00:00+00:00", "2026-11-24T10:00:00+00:00"
GRACE = {"name": "Grace Hopper", "email": "grace@example.com"}
MORE = """
[freelancers.ada.consultations.asked]
confirmation = "freelancer"
approve_within = "6h"
minimum_notice = "1h"
increment = "30m"
"""


@pytest.fixture
def house(open_house):
    return open_house(MORE)


def ask(house, start=NINE, token="", **more):
    """Book what the freelancer approves."""
    return house.book(start, "ada/asked", token=token, **more)


def to(house, booking, action, body=None, token="", **more):
    return house.post(f"/v1/bookings/{booking['id']}/{action}", body, token=token, **more)


def seen(house, booking):
    return house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()


def events(house):
    house.work()
    return list(house.remote["ada"].texts("Work").values())


# Asking


def test_a_pending_booking_keeps_its_time_and_owns_no_event(house, problem_of):
    booking = ask(house)
    assert (booking["state"], booking["hold_expires_at"], booking["client"]) == ("pending", None, GRACE)
    assert booking["calendar_event"]["state"] == "none"
    assert events(house) == []
    assert NINE not in house.starts()
    problem_of(house.post("/v1/ada/intro/bookings", house.wish(NINE)), 409, "slot-taken")


def test_only_a_key_that_says_so_needs_nobodys_word(house):
    key = house.key("bookings:write")
    assert ask(house, NINE, key)["state"] == "pending"
    assert ask(house, TEN, key, on_behalf_of="client")["state"] == "pending"
    assert ask(house, "2026-11-24T11:00:00Z", key, on_behalf_of="freelancer")["state"] == "confirmed"


# Deciding


def test_an_approved_booking_is_confirmed_with_its_event(house):
    booking = ask(house)
    answer = to(house, booking, "approve", token=house.key("bookings:write"))
    approved = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert (approved["state"], approved["revision"], approved["sequence"]) == ("confirmed", 2, 0)
    assert approved["calendar_event"]["state"] == "pending"
    (text,) = events(house)
    assert "Grace Hopper" in text


def test_a_declined_booking_owes_nothing_and_frees_its_time(house, problem_of):
    booking, key = ask(house), house.key("bookings:write")
    answer = to(house, booking, "decline", {"reason": "on holiday"}, key)
    assert (answer.status_code, answer.json()["state"], answer.json()["outcome"]) == (200, "declined", None)
    assert answer.json()["calendar_event"]["state"] == "none"
    assert NINE in house.starts()
    assert events(house) == []
    for action in ("approve", "decline", "cancel", "confirm"):
        assert problem_of(to(house, booking, action, token=key), 409, "wrong-state")["current_state"] == "declined"
    assert (
        problem_of(to(house, booking, "reschedule", {"start": TEN}, key), 409, "wrong-state")["current_state"]
        == "declined"
    )


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_only_the_freelancer_decides(house, problem_of, action):
    booking, key = ask(house), house.key("bookings:write")
    problem_of(to(house, booking, action, token=booking["token"]), 403, "forbidden")
    problem_of(to(house, booking, action, {"on_behalf_of": "freelancer"}, booking["token"]), 403, "forbidden")
    problem_of(to(house, booking, action, {"on_behalf_of": "client"}, key), 403, "forbidden")
    problem_of(to(house, booking, action, token=house.key("bookings:read")), 403, "forbidden")
    problem_of(to(house, booking, action), 401, "unauthorized")
    assert seen(house, booking)["revision"] == 1
    assert to(house, booking, action, {"on_behalf_of": "freelancer"}, key).status_code == 200


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_what_is_confirmed_needs_no_word(house, problem_of, action):
    booking = house.book(NINE)
    problem = problem_of(to(house, booking, action, token=house.key("bookings:write")), 409, "wrong-state")
    assert problem["current_state"] == "confirmed"


def test_an_approval_asks_again_for_outside_busy_time_by_looking(house, problem_of):
    booking, key = ask(house), house.key("bookings:write")
    house.busy("2026-11-24T09:00:00+00:00", "2026-11-24T09:30:00+00:00")
    problem = problem_of(to(house, booking, "approve", token=key), 409, "slot-taken")
    assert [reason["code"] for reason in problem["reasons"]] == ["busy"]
    assert problem["alternatives"]
    assert seen(house, booking)["state"] == "pending"
    assert to(house, booking, "decline", token=key).status_code == 200


# Running out


def test_a_wait_ends_approve_within_after_it_began(house, problem_of):
    booking, key = ask(house), house.key("bookings:write")
    house.clock.set("2026-11-22T17:59:59.999999+00:00")
    house.pull()
    assert NINE not in house.starts()
    house.clock.set("2026-11-22T18:00:00+00:00")
    assert NINE in house.starts(), "a slot that is listed can be booked"
    for answer in (to(house, booking, "approve", token=key), to(house, booking, "decline", token=key)):
        assert problem_of(answer, 409, "wrong-state")["current_state"] == "expired"
    assert house.book(NINE)["state"] == "confirmed"
    assert seen(house, booking)["state"] == "expired"
    assert problem_of(to(house, booking, "approve", token=key), 409, "wrong-state")["current_state"] == "expired"


def test_an_instant_before_it_ends_it_is_approved(house):
    booking = ask(house)
    house.clock.set("2026-11-22T17:59:59.999999+00:00")
    house.pull()
    assert to(house, booking, "approve", token=house.key("bookings:write")).json()["state"] == "confirmed"


def test_a_wait_never_lasts_beyond_the_start(house, problem_of):
    house.clock.set("2026-11-23T09:30:00+00:00")
    house.pull()
    booking = ask(house, "2026-11-23T10:30:00Z")
    house.clock.set("2026-11-23T10:30:00+00:00")
    house.pull()
    problem = problem_of(to(house, booking, "approve", token=house.key("bookings:write")), 409, "wrong-state")
    assert problem["current_state"] == "expired"


def test_the_sweep_ends_what_nobody_asks_about(house):
    booking = ask(house)
    assert sweep(house.services) == 0
    house.clock.forward(hours=6)
    assert sweep(house.services) == 1
    found = seen(house, booking)
    assert (found["state"], found["revision"], found["sequence"]) == ("expired", 2, 0)
    assert sweep(house.services) == 0
    assert events(house) == []


# Moving and cancelling


def test_a_pending_booking_moves_and_waits_on(house, problem_of):
    booking = ask(house)
    house.clock.forward(hours=1)
    house.pull()
    answer = to(house, booking, "reschedule", {"start": TEN}, booking["token"])
    moved = answer.json()
    assert (answer.status_code, moved["state"], moved["start"], moved["sequence"]) == (200, "pending", TEN, 1)
    assert moved["calendar_event"]["state"] == "none"
    assert events(house) == []
    assert NINE in house.starts()
    house.clock.set("2026-11-22T18:00:00+00:00")
    house.pull()
    problem = problem_of(to(house, booking, "approve", token=house.key("bookings:write")), 409, "wrong-state")
    assert problem["current_state"] == "expired", "moving doesn't make the wait any longer"


def test_moved_to_a_later_start_it_waits_as_long_as_it_may(house):
    house.clock.set("2026-11-23T09:00:00+00:00")
    house.pull()
    booking = ask(house, "2026-11-23T10:00:00Z")  # until ten, since it begins then
    to(house, booking, "reschedule", {"start": NINE}, booking["token"])
    house.clock.set("2026-11-23T14:59:59+00:00")
    house.pull()
    assert to(house, booking, "approve", token=house.key("bookings:write")).status_code == 200


def test_a_wait_made_shorter_for_others_is_no_shorter_for_one_that_moves(house, problem_of):
    booking = ask(house)
    house.clock.forward(hours=1)
    house.pull()
    with house.services.store.write() as session:
        for consultation in session.scalars(select(Consultation).where(Consultation.slug == "asked")):
            consultation.approve_within_minutes = 30
    moved = to(house, booking, "reschedule", {"start": TEN}, booking["token"]).json()
    assert moved["state"] == seen(house, booking)["state"] == "pending"
    house.clock.set("2026-11-22T17:59:59+00:00")
    house.pull()
    assert to(house, booking, "approve", token=house.key("bookings:write")).status_code == 200


def test_a_cancelled_wait_has_no_outcome(house):
    booking = ask(house)
    cancelled = to(house, booking, "cancel", {"reason": "never mind"}, booking["token"]).json()
    assert (cancelled["state"], cancelled["outcome"], cancelled["sequence"]) == ("cancelled", None, 1)
    assert NINE in house.starts()
    assert events(house) == []


# Conditions


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_a_decision_is_taken_once_under_its_key_and_only_at_its_revision(house, problem_of, action):
    booking, key = ask(house), house.key("bookings:write")
    problem_of(to(house, booking, action, token=key, headers={"If-Match": '"2"'}), 412, "revision-mismatch")
    once = {"If-Match": '"1"', "Idempotency-Key": "k"}
    first, again = (to(house, booking, action, token=key, headers=once) for _ in range(2))
    assert (first.status_code, first.json()) == (200, again.json())
    assert seen(house, booking)["revision"] == 2
    problem_of(to(house, booking, action, token=key), 409, "wrong-state")


# Amending


def amend(house, booking, body, token=None, **more):
    token = booking["token"] if token is None else token
    return house.call("PATCH", f"/v1/bookings/{booking['id']}", json=body, token=token, **more)


def test_amending_replaces_what_is_given_and_writes_no_event(house):
    booking = house.book(NINE, note="hello", metadata={"a": 1}, answers={"goal": "x"})
    before = events(house)
    answer = amend(house, booking, {"metadata": {"b": [True, None, {"c": 2.5}]}})
    amended = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert (amended["revision"], amended["sequence"]) == (2, 0)
    assert (amended["metadata"], amended["note"]) == ({"b": [True, None, {"c": 2.5}]}, "hello")
    assert amended["calendar_event"]["state"] == "written"
    assert events(house) == before
    emptied = amend(house, booking, {"note": None, "answers": None}).json()
    assert (emptied["note"], emptied["answers"]) == (None, {})
    assert amend(house, booking, {}).json()["revision"] == 3, "nothing given, nothing changed"


def test_what_is_amended_before_its_event_was_written_is_written_once(house):
    booking = house.book(NINE)
    amend(house, booking, {"note": "bring coffee"})
    house.work()
    assert seen(house, booking)["calendar_event"]["state"] == "written"
    with house.services.store.read() as session:
        assert outbox_of(session) == []


def outbox_of(session):
    return session.query(OutboxItem).all()


def test_amending_is_for_both_sides_and_under_the_same_conditions(house, problem_of):
    booking = house.book(NINE)
    key = house.key("bookings:write")
    assert amend(house, booking, {"note": "x"}, key).status_code == 200
    problem_of(amend(house, booking, {"note": "y"}, ""), 401, "unauthorized")
    problem_of(amend(house, booking, {"note": "y"}, house.key("bookings:read")), 403, "forbidden")
    problem_of(amend(house, booking, {"note": "y"}, headers={"If-Match": '"1"'}), 412, "revision-mismatch")
    once = {"If-Match": '"2"', "Idempotency-Key": "k"}
    first, again = (amend(house, booking, {"note": "z"}, headers=once) for _ in range(2))
    assert (first.status_code, first.json()) == (200, again.json())


def test_what_is_over_is_amended_no_more(house, problem_of):
    booking = house.book(NINE)
    to(house, booking, "cancel", token=booking["token"])
    assert problem_of(amend(house, booking, {"note": "x"}), 409, "wrong-state")["current_state"] == "cancelled"
    declined = ask(house)
    to(house, declined, "decline", token=house.key("bookings:write"))
    assert problem_of(amend(house, declined, {"note": "x"}), 409, "wrong-state")["current_state"] == "declined"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"answers": {"gaol": "x"}}, "/answers/gaol"),
        ({"answers": {"goal": 7}}, "/answers/goal"),
        ({"metadata": []}, "/metadata"),
        ({"metadata": {"x": "y" * 8192}}, "/metadata"),
        ({"note": 7}, "/note"),
        ({"start": TEN}, "/start"),
    ],
)
def test_a_wrong_amendment_is_named_and_changes_nothing(house, problem_of, body, pointer):
    booking = house.book(NINE)
    (error,) = problem_of(amend(house, booking, body), 422, "invalid-request")["errors"]
    assert error["pointer"] == pointer
    assert seen(house, booking)["revision"] == 1
