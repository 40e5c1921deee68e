"""Holds over HTTP: taken, prolonged, released, confirmed; what they fix, what ends them (contract §5; semantics 19)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from syncd.store.models import Booking, Consultation, ScheduleRow

NINE, TEN = "2026-11-24T09:00:00+00:00", "2026-11-24T10:00:00+00:00"
GRACE = {"name": "Grace Hopper", "email": "grace@example.com"}
MORE = """
[freelancers.ada.consultations.paid]
confirmation = "key"
hold_max = "10m"
[freelancers.ada.consultations.asked]
confirmation = "freelancer"
[freelancers.ada.consultations.quiz]
questions = [
  { id = "goal", label = "What shall we achieve?", required = true },
  { id = "more", label = "Anything else?" },
]
[freelancers.ada.consultations.short]
increment = "10m"
minimum_notice = "10m"
durations = ["30m"]
buffer_before = "10m"
buffer_after = "10m"
"""


@pytest.fixture
def house(open_house):
    return open_house(MORE)


def hold(house, start=NINE, minutes=15, offer="ada/intro", token="", **more):
    answer = house.post(f"/v1/{offer}/bookings", {"start": start, "hold_minutes": minutes} | more, token=token)
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "held"
    return answer.json()


def to(house, booking, action, body=None, token=None, **more):
    path = f"/v1/bookings/{booking['id']}/{action}"
    return house.post(path, body, token=booking["token"] if token is None else token, **more)


def confirm(house, booking, body=None, **more):
    return to(house, booking, "confirm", body, **more)


def prolong(house, booking, minutes, token=None, **more):
    path = f"/v1/bookings/{booking['id']}/hold"
    token = booking["token"] if token is None else token
    return house.call("PATCH", path, json={"hold_minutes": minutes}, token=token, **more)


def release(house, booking, token=None, **more):
    token = booking["token"] if token is None else token
    return house.call("DELETE", f"/v1/bookings/{booking['id']}/hold", token=token, **more)


def seen(house, booking):
    return house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()


# Taking


def test_a_hold_keeps_its_time_for_a_client_who_is_not_named_yet(house, problem_of):
    booking = hold(house)
    assert booking["client"] is None
    assert booking["hold_expires_at"] == "2026-11-22T12:15:00Z"
    assert booking["calendar_event"] == {"state": "none", "calendar": None, "html_link": None}
    assert (booking["verified"], booking["revision"], booking["sequence"]) == (True, 1, 0)
    assert NINE not in house.starts()
    key = house.key("slots:read")
    assert [reason["code"] for reason in house.explain(NINE, token=key)["reasons"]] == ["held"]
    problem = problem_of(house.post("/v1/ada/intro/bookings", house.wish(NINE)), 409, "slot-taken")
    assert problem["alternatives"]
    house.work()
    assert house.remote["ada"].texts("Work") == {}, "a hold owns no event (semantics 22)"


def test_a_hold_is_taken_only_where_a_slot_is_listed(house, problem_of):
    for start, status, code in (
        ("2026-11-24T08:00:00Z", 422, "not-offered"),
        ("2026-11-24T09:05:00Z", 422, "not-offered"),
        ("2026-11-23T09:00:00Z", 422, "not-offered"),
    ):
        answer = house.post("/v1/ada/intro/bookings", {"start": start, "hold_minutes": 5})
        problem_of(answer, status, code)


@pytest.mark.parametrize("minutes", [0, -1, 16, 10**9, 1.5, "5", True])
def test_a_hold_lasts_one_minute_to_hold_max(house, problem_of, minutes):
    answer = house.post("/v1/ada/intro/bookings", {"start": NINE, "hold_minutes": minutes})
    (error,) = problem_of(answer, 422, "invalid-request")["errors"]
    assert error["pointer"] == "/hold_minutes"
    booking = hold(house, minutes=1)
    (error,) = problem_of(prolong(house, booking, minutes), 422, "invalid-request")["errors"]
    assert error["pointer"] == "/hold_minutes"
    assert seen(house, booking)["revision"] == 1


def test_only_a_hold_may_come_without_a_client(house, problem_of):
    for more in ({}, {"client": None}, {"hold_minutes": None}):
        answer = house.post("/v1/ada/intro/bookings", {"start": NINE} | more)
        (error,) = problem_of(answer, 422, "invalid-request")["errors"]
        assert error["pointer"] == "/client"


def test_a_hold_shows_the_token_once_and_the_same_request_shows_it_again(house):
    headers = {"Idempotency-Key": "one"}
    body = {"start": NINE, "hold_minutes": 5}
    first = house.post("/v1/ada/intro/bookings", body, headers=headers)
    house.clock.forward(minutes=30)
    again = house.post("/v1/ada/intro/bookings", body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "token" not in seen(house, first.json())


# Expiring


def test_a_hold_ends_at_its_very_instant_swept_or_not(house, problem_of):
    booking = hold(house, minutes=5)
    house.clock.set("2026-11-22T12:04:59.999999+00:00")
    assert NINE not in house.starts()
    house.clock.set("2026-11-22T12:05:00+00:00")
    assert NINE in house.starts(), "a slot that is listed can be booked"
    for answer in (confirm(house, booking, {"client": GRACE}), prolong(house, booking, 5), release(house, booking)):
        problem = problem_of(answer, 410, "hold-expired")
        assert problem["current_state"] == "expired"
    other = house.book(NINE)
    assert other["state"] == "confirmed", "a late sweep never blocks (semantics 19)"
    assert seen(house, booking)["state"] == "expired"
    problem_of(confirm(house, booking, {"client": GRACE}), 410, "hold-expired")
    problem_of(to(house, booking, "cancel"), 410, "hold-expired")


def test_an_instant_before_it_ends_a_hold_is_confirmed(house):
    booking = hold(house, minutes=5)
    house.clock.set("2026-11-22T12:04:59.999999+00:00")
    assert confirm(house, booking, {"client": GRACE}).status_code == 200


# Prolonging


def test_a_hold_is_prolonged_from_now(house):
    booking = hold(house, minutes=5)
    house.clock.forward(minutes=3)
    answer = prolong(house, booking, 15)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert answer.json()["hold_expires_at"] == "2026-11-22T12:18:00Z"
    assert (answer.json()["state"], answer.json()["sequence"]) == ("held", 0)
    house.clock.set("2026-11-22T12:17:59+00:00")
    assert NINE not in house.starts()
    assert prolong(house, booking, 1).json()["hold_expires_at"] == "2026-11-22T12:18:59Z"


def test_a_client_holds_for_four_times_hold_max_at_the_longest(house, problem_of):
    booking = hold(house, minutes=15)
    for _ in range(4):
        house.clock.forward(minutes=11)
        assert prolong(house, booking, 15).status_code == 200  # 12:11, 12:22, 12:33, 12:44: until 12:59
    house.clock.forward(minutes=2)
    problem = problem_of(prolong(house, booking, 15), 422, "invalid-request")
    assert "2026-11-22T13:00:00" in problem["errors"][0]["detail"]
    assert prolong(house, booking, 14).json()["hold_expires_at"] == "2026-11-22T13:00:00Z"
    key = house.key("bookings:write")
    assert prolong(house, booking, 15, token=key).json()["hold_expires_at"] == "2026-11-22T13:01:00Z"


# Releasing


def test_a_released_hold_gives_its_time_back_at_once(house, problem_of):
    booking = hold(house)
    answer = release(house, booking)
    assert (answer.status_code, answer.json()["state"]) == (200, "expired")
    assert answer.headers["ETag"] == '"2"'
    assert NINE in house.starts()
    for again in (release(house, booking), confirm(house, booking, {"client": GRACE}), prolong(house, booking, 5)):
        problem_of(again, 410, "hold-expired")
    assert house.book(NINE)["state"] == "confirmed"


def test_a_cancelled_hold_has_no_outcome(house):
    booking = hold(house)
    cancelled = to(house, booking, "cancel").json()
    assert (cancelled["state"], cancelled["outcome"], cancelled["sequence"]) == ("cancelled", None, 1)
    assert NINE in house.starts()


def test_only_a_hold_says_when_it_expires(house):
    read = lambda booking: house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()
    cancelled, released, over = hold(house), hold(house, TEN), hold(house, "2026-11-24T11:00:00Z")
    assert over["hold_expires_at"]
    assert to(house, cancelled, "cancel").json()["hold_expires_at"] is None
    house.call("DELETE", f"/v1/bookings/{released['id']}/hold", token=released["token"])
    house.clock.forward(hours=1)
    for booking in (cancelled, released, over):
        seen = read(booking)
        assert seen["state"] in ("cancelled", "expired")
        assert seen["hold_expires_at"] is None


@pytest.mark.parametrize("action", ["reschedule", "approve", "decline"])
def test_what_is_not_for_holds_is_wrong_state(house, problem_of, action):
    booking = hold(house)
    body = {"start": TEN} if action == "reschedule" else None
    answer = to(house, booking, action, body, token=house.key("bookings:write"))
    assert problem_of(answer, 409, "wrong-state")["current_state"] == "held"


def test_what_is_for_holds_is_wrong_state_for_a_booking(house, problem_of):
    booking = house.book(NINE)
    for answer in (confirm(house, booking), prolong(house, booking, 5), release(house, booking)):
        assert problem_of(answer, 409, "wrong-state")["current_state"] == "confirmed"


# Confirming


def test_a_confirmed_hold_is_a_booking_with_its_event(house):
    booking = hold(house, metadata={"cart": 1}, note="hello")
    house.clock.forward(minutes=5)
    answer = confirm(house, booking, {"client": GRACE, "answers": {"goal": "Compilers"}, "metadata": {"paid": True}})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    confirmed = answer.json()
    assert (confirmed["state"], confirmed["revision"], confirmed["sequence"]) == ("confirmed", 2, 0)
    assert (confirmed["client"], confirmed["answers"]) == (GRACE, {"goal": "Compilers"})
    assert (confirmed["metadata"], confirmed["note"]) == ({"paid": True}, "hello")
    assert confirmed["hold_expires_at"] is None
    assert confirmed["calendar_event"]["state"] == "pending"
    assert "token" not in confirmed
    house.work()
    (text,) = house.remote["ada"].texts("Work").values()
    assert "Grace Hopper" in text
    house.clock.forward(hours=1)
    house.pull()
    assert seen(house, booking)["calendar_event"]["state"] == "written"
    assert NINE not in house.starts()


def test_a_hold_with_a_client_is_confirmed_without_a_body(house):
    booking = hold(house, client=GRACE)
    answer = confirm(house, booking)
    assert (answer.json()["state"], answer.json()["client"]) == ("confirmed", GRACE)


def test_without_a_client_from_either_nothing_is_confirmed(house, problem_of):
    booking = hold(house)
    for body in (None, {}, {"client": None}):
        (error,) = problem_of(confirm(house, booking, body), 422, "invalid-request")["errors"]
        assert error["pointer"] == "/client"
    assert confirm(house, booking, {"client": GRACE}).status_code == 200


def test_a_hold_fixes_notice_hours_grid_horizon_and_limits(house):
    """Semantics 19: what the rules say later doesn't matter to it."""
    booking = hold(house, "2026-11-23T13:10:00+00:00", offer="ada/short", client=GRACE)
    first = hold(house, "2026-11-24T09:00:00+00:00", offer="ada/daily", client=GRACE)
    with house.services.store.write() as session:
        for row in session.query(Consultation):
            row.minimum_notice_minutes, row.daily_limit, row.weekly_limit, row.active = 7 * 1440, 0, 0, False
            row.horizon_minutes, row.increment_minutes, row.durations_minutes = 10, 7, [45]
        for row in session.query(ScheduleRow):
            row.hours, row.on = {}, {}
    for held in (booking, first):
        assert confirm(house, held).json()["state"] == "confirmed"


def test_new_outside_busy_time_refuses_a_confirmation_with_alternatives(house, problem_of):
    booking = hold(house, client=GRACE)
    house.busy("2026-11-24T09:15:00+00:00", "2026-11-24T09:20:00+00:00")
    house.pull()
    problem = problem_of(confirm(house, booking), 409, "slot-taken")
    assert problem["reasons"] == [{"code": "unavailable"}]
    assert problem["alternatives"]
    trusted = confirm(house, booking, token=house.key("bookings:write")).json()
    assert [reason["code"] for reason in trusted["reasons"]] == ["busy"]
    assert seen(house, booking)["state"] == "held"


def test_other_bookings_never_come_between_a_hold_and_its_confirmation(house):
    booking = hold(house, "2026-11-24T09:40:00+00:00", offer="ada/short", client=GRACE)
    with house.services.store.write() as session:
        session.get_one(Booking, booking["id"]).buffer_before_minutes = 0
    assert house.book("2026-11-24T09:00:00+00:00", "ada/short")["state"] == "confirmed"
    with house.services.store.write() as session:
        session.get_one(Booking, booking["id"]).buffer_before_minutes = 60
    assert confirm(house, booking).status_code == 200, "buffers to other bookings were fixed"


# The live look


def test_a_look_before_a_hold_and_before_confirming_finds_what_no_pull_saw(house, problem_of):
    house.busy("2026-11-24T10:00:00+00:00", "2026-11-24T11:00:00+00:00")
    problem = problem_of(house.post("/v1/ada/intro/bookings", {"start": TEN, "hold_minutes": 5}), 409, "slot-taken")
    assert problem["alternatives"]
    assert TEN not in house.starts(), "what was found busy is in the store"
    booking = hold(house, client=GRACE)
    house.busy("2026-11-24T09:00:00+00:00", "2026-11-24T09:30:00+00:00", "Private")
    problem_of(confirm(house, booking), 409, "slot-taken")


# By key only


def test_where_a_key_confirms_a_client_gets_a_hold_as_long_as_it_may_be(house, problem_of):
    answer = house.post("/v1/ada/paid/bookings", house.wish(NINE))
    assert answer.status_code == 201
    booking = answer.json()
    assert (booking["state"], booking["hold_expires_at"]) == ("held", "2026-11-22T12:10:00Z")
    problem_of(confirm(house, booking), 403, "forbidden")
    paid = confirm(house, booking, {"metadata": {"receipt": "R-1"}}, token=house.key("bookings:write")).json()
    assert (paid["state"], paid["metadata"]) == ("confirmed", {"receipt": "R-1"})


def test_where_a_key_confirms_a_key_books_at_once(house):
    key = house.key("bookings:write")
    assert house.book(NINE, "ada/paid", token=key)["state"] == "confirmed"
    assert house.book(TEN, "ada/paid", token=key, on_behalf_of="client")["state"] == "confirmed"
    assert hold(house, "2026-11-24T11:00:00Z", 3, "ada/paid", key)["hold_expires_at"] == "2026-11-22T12:03:00Z"


def test_confirming_asks_for_the_freelancers_word_where_that_is_needed(house):
    key = house.key("bookings:write")
    one, two, three = (
        hold(house, f"2026-11-24T{hour}:00:00Z", offer="ada/asked", client=GRACE) for hour in (13, 14, 15)
    )
    waiting = confirm(house, one).json()
    assert (waiting["state"], waiting["hold_expires_at"]) == ("pending", None)
    assert waiting["calendar_event"]["state"] == "none"
    assert confirm(house, two, token=key).json()["state"] == "pending"
    assert confirm(house, three, {"on_behalf_of": "freelancer"}, token=key).json()["state"] == "confirmed"


# Questions


def test_what_must_be_answered_may_be_answered_at_confirmation(house, problem_of):
    booking = hold(house, offer="ada/quiz", answers={"more": "no"})
    for body in ({"client": GRACE}, {"client": GRACE, "answers": {"goal": "  "}}):
        (error,) = problem_of(confirm(house, booking, body), 422, "invalid-request")["errors"]
        assert (error["pointer"], error["code"]) == ("/answers/goal", "missing")
    done = confirm(house, booking, {"client": GRACE, "answers": {"goal": "Compilers"}}).json()
    assert (done["state"], done["answers"]) == ("confirmed", {"goal": "Compilers"})


# Conditions


def test_each_call_is_done_once_under_its_key_and_only_at_its_revision(house, problem_of):
    booking = hold(house, client=GRACE)
    stale = {"If-Match": '"7"'}
    problem_of(prolong(house, booking, 10, headers=stale), 412, "revision-mismatch")
    problem_of(release(house, booking, headers=stale), 412, "revision-mismatch")
    problem_of(confirm(house, booking, headers=stale), 412, "revision-mismatch")
    assert seen(house, booking)["revision"] == 1
    once = {"Idempotency-Key": "k", "If-Match": '"1"'}
    first, again = (prolong(house, booking, 10, headers=once) for _ in range(2))
    assert (first.status_code, first.json()) == (200, again.json())
    problem_of(prolong(house, booking, 11, headers=once), 422, "idempotency-mismatch")
    once = {"Idempotency-Key": "k", "If-Match": '"2"'}
    first, again = (confirm(house, booking, headers=once) for _ in range(2))
    assert (first.status_code, first.json()) == (200, again.json())
    assert seen(house, booking)["revision"] == 3


def test_a_refused_confirmation_is_repeated_as_it_was_answered(house, problem_of):
    booking = hold(house)
    once = {"Idempotency-Key": "k"}
    problem_of(confirm(house, booking, {"answers": {}}, headers=once), 422, "invalid-request")
    problem_of(confirm(house, booking, {"answers": {}}, headers=once), 422, "invalid-request")
    assert confirm(house, booking, {"client": GRACE}).status_code == 200
    problem_of(confirm(house, booking, {"answers": {}}, headers=once), 422, "invalid-request")


def test_only_the_holds_own_token_or_a_key_acts_on_it(house, problem_of):
    booking, other = hold(house), hold(house, TEN)
    for token, status, code in (
        (other["token"], 401, "unauthorized"),
        ("", 401, "unauthorized"),
        (house.key("bookings:read"), 403, "forbidden"),
        (house.key("bookings:write", freelancer="bob"), 404, "not-found"),
    ):
        for answer in (
            confirm(house, booking, {"client": GRACE}, token=token),
            prolong(house, booking, 5, token=token),
            release(house, booking, token=token),
        ):
            problem_of(answer, status, code)
    body = {"hold_minutes": 5, "on_behalf_of": "freelancer"}
    path = f"/v1/bookings/{booking['id']}/hold"
    problem_of(house.call("PATCH", path, json=body, token=booking["token"]), 403, "forbidden")


# Abuse


@pytest.fixture
def strict(house):
    """A house that lets an address book thirty times a minute, and so hold three slots."""
    config = house.services.config
    rates = config.server.rate_limits.model_copy(update={"booking": "30/minute"})
    server = config.server.model_copy(update={"rate_limits": rates})
    house.services.config = config.model_copy(update={"server": server})
    return house


def test_an_address_without_a_key_holds_three_slots_of_a_freelancer_and_no_more(strict, problem_of):
    made = [hold(strict, f"2026-11-24T{hour}:00:00Z", 15 - n) for n, hour in enumerate((13, 14, 15))]
    strict.clock.forward(minutes=1)
    refused = strict.post("/v1/ada/chat/bookings", {"start": "2026-11-24T16:00:00Z", "hold_minutes": 5})
    problem_of(refused, 429, "rate-limited")
    assert refused.headers["Retry-After"] == str(12 * 60)
    assert strict.book("2026-11-25T09:00:00Z")["state"] == "confirmed", "what is no hold isn't counted"
    assert hold(strict, "2026-11-30T09:00:00Z", 5, "bob/talk")["state"] == "held", "another freelancer's are others"
    key = strict.key("bookings:write")
    assert hold(strict, "2026-11-25T10:00:00Z", token=key)["state"] == "held", "a key isn't counted"
    assert release(strict, made[0]).status_code == 200
    assert hold(strict, "2026-11-24T13:00:00Z")["state"] == "held"
    problem_of(strict.post("/v1/ada/intro/bookings", {"start": NINE, "hold_minutes": 5}), 429, "rate-limited")
    strict.clock.forward(minutes=14)
    assert hold(strict, NINE)["state"] == "held", "what ran out isn't counted"


def test_a_client_holds_three_slots_from_wherever(strict, problem_of):
    config = strict.services.config
    server = config.server.model_copy(update={"trusted_proxies": ("127.0.0.0/8",)})
    strict.services.config = config.model_copy(update={"server": server})

    def ask(hour: int, address: str, email: str):
        body = {"start": f"2026-11-24T{hour}:00:00Z", "hold_minutes": 5, "client": GRACE | {"email": email}}
        return strict.post("/v1/ada/intro/bookings", body, headers={"X-Forwarded-For": address})

    for hour, address in ((13, "192.0.2.1"), (14, "192.0.2.2"), (15, "2001:db8::1")):
        assert ask(hour, address, "eve@example.com").status_code == 201
    problem_of(ask(16, "192.0.2.4", "Eve@Example.com"), 429, "rate-limited")
    assert ask(16, "192.0.2.4", "grace@example.com").status_code == 201
    with strict.services.store.read() as session:
        marks = {mark for (mark,) in session.query(Booking.held_from)}
    assert len(marks) == 4
    assert not any("192.0.2" in (mark or "") for mark in marks), "no address is kept"


# Fixed beside


def test_a_hold_may_be_amended_and_shows_what_was_said(house):
    booking = hold(house)
    path = f"/v1/bookings/{booking['id']}"
    answer = house.call(
        "PATCH", path, json={"note": "soon", "metadata": {"a": [1, {"b": None}]}}, token=booking["token"]
    )
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert (answer.json()["note"], answer.json()["metadata"]) == ("soon", {"a": [1, {"b": None}]})
    house.clock.forward(minutes=15)
    late = house.call("PATCH", path, json={"note": "late"}, token=booking["token"])
    assert (late.status_code, late.json()["code"]) == (410, "hold-expired")


def test_the_feed_says_when_a_hold_gives_its_slot_back(house):
    hold(house, minutes=7)
    until = datetime.fromisoformat(house.slots()["meta"]["valid_until"])
    assert until == house.clock.now + timedelta(minutes=7)


def test_what_has_run_out_is_shown_as_expired_before_anyone_sweeps(house):
    reader = house.key("bookings:read")
    held, asked = hold(house, minutes=5), house.book(TEN, "ada/asked")
    house.clock.forward(minutes=5)
    for booking, state in ((held, "expired"), (asked, "pending")):
        assert house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["state"] == state
    house.clock.forward(hours=24)
    for state, ids in (("expired", [held["id"], asked["id"]]), ("held,pending", [])):
        page = house.get("/v1/bookings", params={"state": state}, token=reader).json()
        assert [(booking["id"], booking["state"]) for booking in page["data"]] == [(one, "expired") for one in ids]
