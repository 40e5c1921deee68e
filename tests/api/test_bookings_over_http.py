"""Bookings over HTTP: what they look like, who may do what with them (contract §5; semantics 18-20)."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from sqlalchemy import func, select

from syncd.store.models import BookingAction, OutboxItem

NINE = "2026-11-24T09:00:00+00:00"


def _cancel(house, booking, token="", body=None, **more):
    return house.post(f"/v1/bookings/{booking['id']}/cancel", body, token=token, **more)


def _move(house, booking, start, token="", **more):
    body = {"start": start} | more.pop("body", {})
    return house.post(f"/v1/bookings/{booking['id']}/reschedule", body, token=token, **more)


# The booking


def test_a_booking_is_shown_with_every_member_of_the_contract(house):
    answer = house.post(
        "/v1/ada/intro/bookings",
        {
            "start": "2026-11-24T10:00:00+01:00",
            "duration_minutes": 60,
            "client": {
                "name": "Grace Höpper",
                "email": "grace@example.com",
                "time_zone": "America/New_York",
                "locale": "en-GB",
                "phone": "+1 555 0100",
            },
            "answers": {"goal": "Compilers\nand 🚢s"},
            "note": "See you",
            "metadata": {"order": "A-17"},
        },
    )
    assert answer.status_code == 201
    booking = answer.json()
    assert answer.headers["Location"] == f"/v1/bookings/{booking['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert re.fullmatch(r"bkg_\w+", booking["id"])
    assert re.fullmatch(r"https://meet\.example/\w{16,}", booking.pop("location"))
    token = booking.pop("token")
    assert booking.pop("manage_url") == f"https://book.example/b/{booking['id']}?token={token}"
    name = booking.pop("id")
    assert booking == {
        "state": "confirmed",
        "revision": 1,
        "sequence": 0,
        "freelancer": "ada",
        "consultation": "intro",
        "start": NINE,
        "end": "2026-11-24T10:00:00+00:00",
        "duration_minutes": 60,
        "join_url": None,
        "client": {
            "name": "Grace Höpper",
            "email": "grace@example.com",
            "time_zone": "America/New_York",
            "locale": "en-GB",
            "phone": "+1 555 0100",
        },
        "answers": {"goal": "Compilers\nand 🚢s"},
        "note": "See you",
        "metadata": {"order": "A-17"},
        "verified": True,
        "calendar_event": {"state": "pending", "calendar": None, "html_link": None},
        "policy": {
            "cancellation_notice_minutes": 1440,
            "reschedule_keeps_deadline": True,
            "late_after_minutes": 5,
            "complete_after_minutes": 1440,
            "documents": ["meeting_summary"],
            "documents_due_minutes": 2880,
        },
        "free_cancellation_until": "2026-11-23T09:00:00Z",
        "outcome": None,
        "proposals": [],
        "attendance": [],
        "reports": [],
        "documents": [
            {
                "name": "meeting_summary",
                "due_at": "2026-11-26T10:00:00Z",
                "delivered_at": None,
                "waived_at": None,
            }
        ],
        "dispute": None,
        "conflicts": [],
        "hold_expires_at": None,
        "extension_of": None,
        "paid_by": None,
        "links": {
            "self": f"/v1/bookings/{name}",
            "reschedule": f"/v1/bookings/{name}/reschedule",
            "cancel": f"/v1/bookings/{name}/cancel",
            "slots": f"/v1/ada/intro/slots?rescheduling={name}",
        },
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
    }


def test_only_the_first_answer_holds_the_token(house):
    booking = house.book(NINE)
    seen = house.get(f"/v1/bookings/{booking['id']}", token=booking["token"])
    expected = {name: value for name, value in booking.items() if name not in ("token", "manage_url")}
    assert seen.json() == expected
    assert seen.headers["ETag"] == '"1"'
    assert seen.headers["Cache-Control"] == "no-store"


def test_the_token_also_travels_in_the_query_of_a_get_and_of_nothing_else(house, problem_of):
    booking = house.book(NINE)
    path = f"/v1/bookings/{booking['id']}"
    assert house.get(path, params={"token": booking["token"]}).status_code == 200
    problem_of(house.post(f"{path}/cancel?token={booking['token']}"), 401, "unauthorized")


def test_every_room_is_another(house):
    one, other = house.book(NINE), house.book("2026-11-25T09:00:00Z")
    assert one["location"] != other["location"]


def test_a_written_booking_shows_its_calendar_to_keys_and_not_to_its_client(house):
    booking = house.book(NINE)
    house.work()
    path = f"/v1/bookings/{booking['id']}"
    client = house.get(path, token=booking["token"]).json()
    assert client["calendar_event"] == {"state": "written", "calendar": None, "html_link": None}
    key = house.get(path, token=house.key("bookings:read")).json()
    assert key["calendar_event"]["calendar"].startswith("cal_")
    assert key | {"calendar_event": None} == client | {"calendar_event": None}
    assert len(house.remote["ada"].texts("Work")) == 1


def test_a_freelancer_without_a_target_has_no_event(house):
    booking = house.book("2026-11-23T09:00:00Z", "cyd/talk")
    assert booking["calendar_event"]["state"] == "none"


# Who may do what


@pytest.mark.parametrize("token", ["", "bkt_wrong", "syncd_wrong", "nonsense", "ключ"])
def test_without_a_right_credential_nothing_is_shown_or_changed(house, problem_of, token):
    booking, other = house.book(NINE), house.book("2026-11-25T09:00:00Z")
    headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
    for wrong in (headers, {"Authorization": f"Bearer {other['token']}"}):
        problem_of(house.get(f"/v1/bookings/{booking['id']}", headers=wrong), 401, "unauthorized")
        problem_of(_cancel(house, booking, headers=wrong), 401, "unauthorized")
        problem_of(_move(house, booking, "2026-11-24T10:00:00Z", headers=wrong), 401, "unauthorized")
    assert house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["revision"] == 1


def test_an_unknown_booking_is_401_to_a_token_and_404_to_a_key(house, problem_of):
    booking = house.book(NINE)
    problem_of(house.get("/v1/bookings/bkg_unknown", token=booking["token"]), 401, "unauthorized")
    problem_of(house.get("/v1/bookings/bkg_unknown", token=house.key("bookings:read")), 404, "not-found")


def test_keys_do_what_their_scopes_and_their_freelancer_allow(house, problem_of):
    booking = house.book(NINE)
    path = f"/v1/bookings/{booking['id']}"
    reader, writer = house.key("bookings:read"), house.key("bookings:write")
    stranger = house.key("bookings:read", "bookings:write", freelancer="bob")
    assert house.get(path, token=reader).status_code == 200
    problem_of(house.get(path, token=writer), 403, "forbidden")
    problem_of(house.get(path, token=stranger), 404, "not-found")
    problem_of(_cancel(house, booking, reader), 403, "forbidden")
    problem_of(_cancel(house, booking, stranger), 404, "not-found")
    problem_of(_move(house, booking, "2026-11-25T09:00:00Z", reader), 403, "forbidden")
    for token in (reader, stranger):
        answer = house.post("/v1/ada/intro/bookings", house.wish("2026-11-25T09:00:00Z"), token=token)
        problem_of(answer, 403, "forbidden")
    assert _cancel(house, booking, house.key("bookings:write", freelancer=None)).status_code == 200


def test_the_actor_is_the_credential_and_only_a_key_may_name_the_side(house, problem_of):
    first, second = house.book(NINE), house.book("2026-11-25T09:00:00Z")
    token = house.key("bookings:write")
    as_freelancer = {"on_behalf_of": "freelancer"}
    problem_of(_cancel(house, first, first["token"], as_freelancer), 403, "forbidden")
    problem_of(_move(house, first, "2026-11-25T11:00:00Z", first["token"], body=as_freelancer), 403, "forbidden")
    wish = house.wish("2026-11-25T11:00:00Z", on_behalf_of="freelancer")
    problem_of(house.post("/v1/ada/intro/bookings", wish), 403, "forbidden")
    assert house.book("2026-11-25T11:00:00Z", on_behalf_of="client")["state"] == "confirmed"
    assert house.book("2026-11-25T14:00:00Z", token=token, on_behalf_of="client")["state"] == "confirmed"
    mine = _cancel(house, first, first["token"], {"on_behalf_of": "client"}).json()
    assert mine["outcome"]["reason"] == "client_cancelled_in_time"
    assert _cancel(house, second, token).json()["outcome"]["reason"] == "freelancer_cancelled_in_time"
    third = house.book("2026-11-25T09:00:00Z")
    for_client = _cancel(house, third, token, {"on_behalf_of": "client"}).json()
    assert for_client["outcome"]["reason"] == "client_cancelled_in_time"
    problem_of(_cancel(house, third, token, {"on_behalf_of": "admin"}), 422, "invalid-request")


# Moving


def test_moving_keeps_what_was_agreed_and_counts_on(house):
    booking = house.book(NINE, duration_minutes=60)
    house.work()
    house.clock.forward(minutes=5)
    answer = _move(house, booking, "2026-11-25T11:00:00+01:00", booking["token"])
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    moved = answer.json()
    changed = {name for name in moved if moved[name] != booking[name]}
    assert changed == {
        *("start", "end", "revision", "sequence", "free_cancellation_until", "updated_at", "documents"),
    }
    assert (moved["start"], moved["end"]) == ("2026-11-25T10:00:00+00:00", "2026-11-25T11:00:00+00:00")
    assert (moved["revision"], moved["sequence"], moved["duration_minutes"]) == (2, 1, 60)
    assert moved["free_cancellation_until"] == "2026-11-24T10:00:00Z"
    house.work()
    (text,) = house.remote["ada"].texts("Work").values()
    assert "SEQUENCE:1" in text
    assert "DTSTART:20261125T100000Z" in text
    assert NINE in house.starts(), "its old time is free again"


def test_a_booking_may_move_over_its_own_time_and_not_over_anothers(house, problem_of):
    booking, other = house.book(NINE), house.book("2026-11-24T10:00:00Z")
    assert _move(house, booking, "2026-11-24T09:15:00Z", booking["token"]).status_code == 200
    problem = problem_of(_move(house, booking, "2026-11-24T10:15:00Z", booking["token"]), 409, "slot-taken")
    assert problem["reasons"] == [{"code": "unavailable"}]
    assert problem["alternatives"]
    trusted = _move(house, booking, "2026-11-24T10:15:00Z", house.key("bookings:write")).json()
    assert [reason["code"] for reason in trusted["reasons"]] == ["booked"]
    assert other["state"] == "confirmed"


@pytest.mark.parametrize("side", ["client", "freelancer"])
def test_notice_and_rules_hold_for_either_side_when_moving(house, problem_of, side):
    booking = house.book(NINE)
    token = booking["token"] if side == "client" else house.key("bookings:write")
    problem = problem_of(_move(house, booking, "2026-11-23T09:00:00Z", token), 422, "not-offered")
    assert [reason["code"] for reason in problem["reasons"]] == ["inside_notice"]
    problem_of(_move(house, booking, "2026-11-24T09:05:00Z", token), 422, "not-offered")
    problem_of(_move(house, booking, "2020-11-24T09:00:00Z", token), 422, "not-offered")


def test_agreed_is_recorded_and_never_required(house):
    booking = house.book(NINE)
    answer = _move(house, booking, "2026-11-25T09:00:00Z", house.key("bookings:write"), body={"agreed": True})
    assert answer.status_code == 200


# Cancelling


def test_moved_to_where_it_is_nothing_changes(house):
    booking = house.book("2026-11-24T09:00:00Z")
    house.work()
    before, path = dict(house.remote["ada"].texts("Work")), f"/v1/bookings/{booking['id']}"
    house.busy("2026-11-24T09:00:00+00:00", "2026-11-24T09:30:00+00:00", calendar="Private")
    looks = house.remote["ada"].calls["look"]
    answer = house.post(f"{path}/reschedule", {"start": "2026-11-24T10:00:00+01:00"}, token=booking["token"])
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
    assert (answer.json()["revision"], answer.json()["sequence"], answer.json()["start"]) == (1, 0, booking["start"])
    assert house.get(path, token=booking["token"]).json()["revision"] == 1
    assert house.remote["ada"].calls["look"] == looks
    with house.services.store.read() as session:
        assert session.scalar(select(func.count()).select_from(OutboxItem)) == 0
        assert list(session.scalars(select(BookingAction.action))) == ["book"]
    house.work()
    assert house.remote["ada"].texts("Work") == before


def test_cancelling_frees_the_time_and_removes_the_event(house):
    booking = house.book(NINE)
    house.work()
    assert NINE not in house.starts()
    answer = _cancel(house, booking, booking["token"], {"reason": "ill"})
    cancelled = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert (cancelled["state"], cancelled["revision"], cancelled["sequence"]) == ("cancelled", 2, 1)
    assert NINE in house.starts()
    house.work()
    assert house.remote["ada"].texts("Work") == {}
    assert house.book(NINE)["id"] != booking["id"]


@pytest.mark.parametrize("body", [None, {}, {"reason": None}, {"reason": "füñ 🎈"}])
def test_a_cancel_needs_no_body_and_takes_any_reason(house, body):
    booking = house.book(NINE)
    assert _cancel(house, booking, booking["token"], body).status_code == 200


def test_what_is_cancelled_or_has_begun_stays_as_it_is(house, problem_of):
    booking = house.book(NINE)
    _cancel(house, booking, booking["token"])
    for answer in (_cancel(house, booking, booking["token"]), _move(house, booking, NINE, booking["token"])):
        assert problem_of(answer, 409, "wrong-state")["current_state"] == "cancelled"
    begun = house.book("2026-11-25T09:00:00Z")
    house.clock.set("2026-11-25T09:00:00+00:00")
    house.pull()
    for answer in (_cancel(house, begun, begun["token"]), _move(house, begun, "2026-11-27T22:00:00Z", begun["token"])):
        assert problem_of(answer, 409, "wrong-state")["current_state"] == "confirmed"
    house.clock.forward(seconds=-1)
    assert _cancel(house, begun, begun["token"]).status_code == 200


# Policy outcomes (contract §7)

_OUTCOMES = {
    "freelancer_cancelled_in_time": ("full", "no", False, False, False, False),
    "freelancer_cancelled_late": ("full", "no", False, False, False, True),
    "client_cancelled_in_time": ("full", "no", False, True, False, False),
    "client_cancelled_late": ("none", "yes", True, False, False, False),
}


@pytest.mark.parametrize("actor", ["client", "freelancer"])
@pytest.mark.parametrize(("at", "when"), [("09:00:00", "in_time"), ("09:00:01", "late")])
def test_a_cancel_is_in_time_until_exactly_the_notice_before_the_start(house, actor, at, when):
    booking = house.book(NINE)
    house.clock.set(f"2026-11-23T{at}+00:00")
    token = booking["token"] if actor == "client" else house.key("bookings:write")
    outcome = _cancel(house, booking, token).json()["outcome"]
    reason = f"{actor}_cancelled_{when}"
    refund, paid, freelancer_protected, client_protected, dispute, feedback = _OUTCOMES[reason]
    assert outcome == {
        "refund": refund,
        "freelancer_paid": paid,
        "freelancer_protected": freelancer_protected,
        "client_protected": client_protected,
        "client_may_dispute": dispute,
        "client_may_leave_feedback": feedback,
        "freelancer_may_leave_feedback": False,
        "final": True,
        "final_at": outcome["final_at"],
        "reason": reason,
    }
    assert datetime.fromisoformat(outcome["final_at"]) == house.clock.now


def test_moving_after_the_deadline_does_not_reopen_it(house):
    booking = house.book("2026-11-23T13:00:00Z", "ada/far")
    assert booking["free_cancellation_until"] == "2026-11-22T13:00:00Z"
    house.clock.set("2026-11-22T13:00:01+00:00")
    house.pull()
    moved = _move(house, booking, "2026-12-09T09:00:00Z", booking["token"]).json()
    assert moved["free_cancellation_until"] == "2026-11-22T13:00:00Z"
    assert _cancel(house, booking, booking["token"]).json()["outcome"]["refund"] == "none"


def test_moving_before_the_deadline_or_where_the_policy_says_so_sets_a_new_one(house):
    kept, lenient = house.book("2026-11-23T13:00:00Z", "ada/far"), house.book("2026-11-23T14:00:00Z", "ada/lenient")
    house.clock.set("2026-11-22T13:00:00+00:00")
    house.pull()
    moved = _move(house, kept, "2026-12-09T09:00:00Z", kept["token"]).json()
    assert moved["free_cancellation_until"] == "2026-12-08T09:00:00Z", "exactly at the deadline is in time"
    house.clock.set("2026-11-22T15:00:00+00:00")
    house.pull()
    moved = _move(house, lenient, "2026-12-09T10:00:00Z", lenient["token"]).json()
    assert moved["free_cancellation_until"] == "2026-12-08T10:00:00Z"


# If-Match


def test_an_action_on_another_revision_changes_nothing(house, problem_of):
    booking = house.book(NINE)
    for action in (_cancel, lambda *a, **k: _move(*a[:2], "2026-11-25T09:00:00Z", *a[2:], **k)):
        for stale in ('"2"', "2", 'W/"7"'):
            answer = action(house, booking, booking["token"], headers={"If-Match": stale})
            problem_of(answer, 412, "revision-mismatch")
        for strange in ('"x"', "one", '"-1"', '"1", "2"', '"' + "9" * 30 + '"'):
            answer = action(house, booking, booking["token"], headers={"If-Match": strange})
            assert answer.status_code in (412, 422)
    assert house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["revision"] == 1
    moved = _move(house, booking, "2026-11-25T09:00:00Z", booking["token"], headers={"If-Match": '"1"'})
    assert moved.headers["ETag"] == '"2"'
    assert _cancel(house, booking, booking["token"], headers={"If-Match": "*"}).status_code == 200


# Values


def test_what_a_client_writes_comes_back_as_written(house):
    booking = house.book(NINE, note="Zeile 1\r\nZeile 2\t😀 ﷽", metadata={"k" * 200: "v" * 4000, "": ""})
    assert booking["note"] == "Zeile 1\nZeile 2\t😀 ﷽"
    assert booking["metadata"] == {"k" * 200: "v" * 4000, "": ""}


def test_nulls_mean_not_given(house):
    booking = house.book(NINE, note=None, duration_minutes=None, on_behalf_of=None)
    assert (booking["note"], booking["duration_minutes"]) == (None, 30)


@pytest.mark.parametrize("end", ["2026-11-24T12:00:00Z", "2026-11-24T17:00:00Z", "2026-11-28T02:00:00Z"])
def test_the_last_slot_ends_with_the_set_hours(house, end):
    last = datetime.fromisoformat(end).timestamp() - 30 * 60
    assert datetime.fromisoformat(house.book(datetime.fromtimestamp(last).astimezone().isoformat())["end"]) == (
        datetime.fromisoformat(end)
    )
