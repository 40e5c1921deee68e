"""Freelancers, schedules and consultations over HTTP: made, shown, changed, removed, and offered at once."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

GRACE = "/v1/freelancers/grace"
HOURS = {"monday": ["09:00-12:00"], "tuesday": ["13:00-15:00"]}


@pytest.fixture
def key(house):
    """A key that may manage everyone."""
    return house.key("manage", "bookings:write", "bookings:read", "slots:read", freelancer=None)


@pytest.fixture
def grace(house, key):
    """A freelancer made over HTTP, with hours and an offer."""
    new = {"handle": "grace", "name": "Grace Hopper", "time_zone": "America/New_York", "email": "grace@example.org"}
    assert house.post("/v1/freelancers", new, token=key).status_code == 201
    assert house.post(f"{GRACE}/schedules", {"hours": HOURS}, token=key).status_code == 201
    offer = {"slug": "debugging", "minimum_notice_minutes": 0, "durations_minutes": [60], "increment_minutes": 60}
    assert house.post(f"{GRACE}/consultations", offer, token=key).status_code == 201
    return house


def change(house, path, body, key, method="PATCH"):
    return house.call(method, path, json=body, token=key)


# Freelancers


def test_a_freelancer_made_over_http_is_offered_at_once_with_the_files_defaults(grace, key):
    shown = grace.get(GRACE, token=key).json()
    assert (shown["handle"], shown["name"], shown["time_zone"]) == ("grace", "Grace Hopper", "America/New_York")
    assert (shown["active"], shown["profile"], shown["read_only"]) == (True, "public", False)
    assert (shown["remind_before_minutes"], shown["proposals_expire_minutes"]) == ([1440], 2880)
    assert shown["on_calendar_change"] == {"move": "propose", "delete": "ask", "decline": "ask"}
    assert shown["invite"] == "none", "no mail is configured"
    offer = grace.get(f"{GRACE}/consultations/debugging", token=key).json()
    assert (offer["title"], offer["horizon_minutes"], offer["increment_minutes"]) == ("Debugging", 60 * 24 * 60, 60)
    assert (offer["hold_max_minutes"], offer["late_after_minutes"], offer["instant"]) == (15, 5, "off")
    assert grace.starts("grace/debugging") == [
        *("2026-11-23T09:00:00-05:00", "2026-11-23T10:00:00-05:00", "2026-11-23T11:00:00-05:00"),
        *("2026-11-24T13:00:00-05:00", "2026-11-24T14:00:00-05:00"),
    ]
    assert grace.book("2026-11-23T09:00:00-05:00", "grace/debugging")["state"] == "confirmed"


def test_a_made_thing_has_an_address_and_is_made_once_for_an_idempotency_key(house, key):
    new = {"handle": "grace", "time_zone": "UTC"}
    first = house.post("/v1/freelancers", new, token=key, headers={"Idempotency-Key": "one"})
    again = house.post("/v1/freelancers", new, token=key, headers={"Idempotency-Key": "one"})
    assert (first.status_code, first.headers["Location"]) == (201, GRACE)
    assert (again.status_code, again.json()) == (201, first.json())
    assert house.get(first.headers["Location"], token=key).json() == first.json()
    third = house.post("/v1/freelancers", new, token=key)
    assert (third.status_code, third.json()["code"]) == (409, "wrong-state")


def test_of_many_who_take_a_handle_at_once_one_gets_it(house, key):
    def take(zone):
        new, bearer = {"handle": "grace", "time_zone": zone}, {"Authorization": f"Bearer {key}"}
        return requests.post(f"{house.url}/v1/freelancers", json=new, headers=bearer, timeout=60)

    zones = ["UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York"]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(take, zones))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    (made,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert house.get(GRACE, token=key).json() == made


def test_what_is_known_already_is_not_sent_again(grace, key):
    first = grace.get(GRACE, token=key)
    known = {"If-None-Match": first.headers["ETag"]}
    assert grace.get(GRACE, token=key, headers=known).status_code == 304
    assert change(grace, GRACE, {"name": "Admiral Hopper"}, key).json()["name"] == "Admiral Hopper"
    changed = grace.get(GRACE, token=key, headers=known)
    assert (changed.status_code, changed.json()["name"]) == (200, "Admiral Hopper")


def test_what_is_not_as_the_caller_knows_it_is_not_changed(grace, key, problem_of):
    offer, hours = f"{GRACE}/consultations/debugging", f"{GRACE}/schedules/default"
    changes = {GRACE: {"name": "Admiral"}, offer: {"title": "Bugs"}, hours: {"hours": {"friday": ["09:00-10:00"]}}}
    for path, body in changes.items():
        known = {"If-Match": grace.get(path, token=key).headers["ETag"]}
        first = grace.call("PATCH", path, json=body, token=key, headers=known)
        assert first.status_code == 200, first.text
        assert first.headers["ETag"] == grace.get(path, token=key).headers["ETag"]
        for method in ("PATCH", "DELETE"):
            late = grace.call(method, path, json=body if method == "PATCH" else None, token=key, headers=known)
            problem_of(late, 412, "revision-mismatch")
        assert grace.get(path, token=key).json() == first.json()
        right = {"If-Match": f'"other", {first.headers["ETag"]}'}
        assert grace.call("PATCH", path, json=body, token=key, headers=right).status_code == 200
        assert grace.call("PATCH", path, json=body, token=key, headers={"If-Match": "*"}).status_code == 200


def test_what_is_not_there_matches_nothing(grace, key, problem_of):
    path, hours = f"{GRACE}/schedules/summer", {"hours": HOURS}
    refused = grace.call("PUT", path, json=hours, token=key, headers={"If-Match": "*"})
    problem_of(refused, 412, "revision-mismatch")
    made = grace.call("PUT", path, json=hours, token=key)
    assert made.status_code == 201
    again = grace.call("PUT", path, json=hours, token=key, headers={"If-Match": made.headers["ETag"]})
    assert again.status_code == 200


def test_a_key_and_a_calendar_are_changed_only_as_they_are_known(house, key, problem_of):
    made = house.post("/v1/freelancers/ada/keys", {"scopes": ["slots:read"]}, token=key).json()
    calendar = house.get("/v1/freelancers/ada/calendars", token=key).json()["data"][0]["id"]
    account = house.get("/v1/freelancers/ada/accounts", token=key).json()["data"][0]["id"]
    for method, path in [
        ("DELETE", f"keys/{made['id']}"),
        ("PATCH", f"calendars/{calendar}"),
        ("PATCH", f"accounts/{account}"),
        ("DELETE", f"accounts/{account}"),
    ]:
        body, stale = {} if method == "PATCH" else None, {"If-Match": '"something else"'}
        refused = house.call(method, f"/v1/freelancers/ada/{path}", json=body, token=key, headers=stale)
        problem_of(refused, 412, "revision-mismatch")


def test_a_change_leaves_alone_what_it_does_not_name_and_null_takes_a_limit_away(grace, key):
    before = grace.get(GRACE, token=key).json()
    limited = change(grace, GRACE, {"daily_limit": 2, "on_calendar_change": {"delete": "adopt"}}, key).json()
    assert limited == before | {
        "daily_limit": 2,
        "on_calendar_change": {"move": "propose", "delete": "adopt", "decline": "ask"},
    }
    assert change(grace, GRACE, {"daily_limit": None}, key).json()["daily_limit"] is None


def test_a_freelancer_who_moves_takes_along_the_schedules_in_that_zone(grace, key):
    abroad = {"name": "abroad", "time_zone": "Asia/Tokyo", "hours": HOURS}
    assert grace.post(f"{GRACE}/schedules", abroad, token=key).status_code == 201
    assert change(grace, GRACE, {"time_zone": "Europe/Berlin"}, key).status_code == 200
    zones = {s["name"]: s["time_zone"] for s in grace.get(f"{GRACE}/schedules", token=key).json()["data"]}
    assert zones == {"abroad": "Asia/Tokyo", "default": "Europe/Berlin"}
    assert grace.starts("grace/debugging")[0] == "2026-11-23T09:00:00+01:00"


def test_a_removed_freelancer_is_shown_nowhere_keeps_bookings_and_comes_back_with_them(grace, key):
    booking = grace.book("2026-11-23T09:00:00-05:00", "grace/debugging")
    own = grace.key("manage", freelancer="grace")
    assert grace.call("DELETE", GRACE, token=key).status_code == 204
    assert grace.get(GRACE, token=key).status_code == 404
    assert "grace" not in [f["handle"] for f in grace.get("/v1/freelancers", token=key).json()["data"]]
    assert (
        grace.get("/v1/grace/debugging/slots", params={"start": "2026-11-23", "end": "2026-11-24"}).status_code == 404
    )
    assert grace.get(GRACE, token=own).status_code == 401, "keys of the removed are revoked"
    assert grace.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["state"] == "confirmed"
    back = grace.post("/v1/freelancers", {"handle": "grace", "time_zone": "America/New_York"}, token=key)
    assert (back.status_code, back.json()["name"]) == (201, "Grace")
    assert grace.starts("grace/debugging")[0] == "2026-11-23T10:00:00-05:00", "the booking still has its time"


# Schedules


def test_changed_hours_show_in_the_next_answer_of_the_feed(grace, key):
    path = f"{GRACE}/schedules/default"
    changed = change(grace, path, {"on": {"2026-11-23": ["10:00-11:00"], "2026-11-24/2026-11-30": []}}, key)
    assert changed.json()["hours"] == HOURS
    assert grace.starts("grace/debugging") == ["2026-11-23T10:00:00-05:00"]
    replaced = change(grace, path, {"hours": {"sunday": ["20:00-24:00"]}, "time_zone": "UTC"}, key, "PUT")
    assert (replaced.status_code, replaced.json()["on"]) == (200, {})
    assert grace.starts("grace/debugging")[0] == "2026-11-29T15:00:00-05:00"


def test_put_makes_a_schedule_that_is_not_there(grace, key):
    made = change(grace, f"{GRACE}/schedules/summer", {"hours": HOURS}, key, "PUT")
    assert (made.status_code, made.headers["Location"]) == (201, f"{GRACE}/schedules/summer")
    assert change(grace, f"{GRACE}/schedules/summer", {"hours": HOURS}, key, "PUT").status_code == 200


def test_a_schedule_goes_only_when_no_consultation_goes_by_it(grace, key, problem_of):
    path = f"{GRACE}/schedules/default"
    told = problem_of(grace.call("DELETE", path, token=key), 409, "wrong-state")
    assert "debugging" in told["detail"]
    change(grace, f"{GRACE}/schedules/other", {"hours": HOURS}, key, "PUT")
    assert change(grace, f"{GRACE}/consultations/debugging", {"schedule": "other"}, key).status_code == 200
    assert grace.call("DELETE", path, token=key).status_code == 204
    assert grace.get(path, token=key).status_code == 404
    booking = grace.book("2026-11-23T09:00:00-05:00", "grace/debugging")
    assert grace.call("DELETE", f"{GRACE}/consultations/debugging", token=key).status_code == 204
    kept = grace.call("DELETE", f"{GRACE}/schedules/other", token=key)
    assert kept.status_code == 409, "a coming booking of the removed consultation may still be moved by it"
    assert grace.post(f"/v1/bookings/{booking['id']}/cancel", {}, token=booking["token"]).status_code == 200
    assert grace.call("DELETE", f"{GRACE}/schedules/other", token=key).status_code == 204


# Consultations


def test_a_changed_rule_is_the_predicates_at_once(grace, key):
    path = f"{GRACE}/consultations/debugging"
    assert len(grace.starts("grace/debugging")) == 5
    assert change(grace, path, {"durations_minutes": [120, 60]}, key).json()["durations_minutes"] == [120, 60]
    assert len(grace.starts("grace/debugging")) == 3
    assert change(grace, path, {"active": False}, key).status_code == 200
    assert grace.starts("grace/debugging") == []


def test_everything_that_is_set_is_shown_as_it_was_set(grace, key):
    everything = {
        "title": "All of it",
        "description": "Everything\nat once",
        "visibility": "unlisted",
        "durations_minutes": [30, 45],
        "increment_minutes": 15,
        "minimum_notice_minutes": 120,
        "horizon_minutes": 14_400,
        "buffer_before_minutes": 5,
        "buffer_after_minutes": 10,
        "daily_limit": 3,
        "weekly_limit": 9,
        "per_client_limit": 1,
        "confirmation": "freelancer",
        "approve_within_minutes": 60,
        "hold_max_minutes": 20,
        "location": "video",
        "price": {"amount": "75.00", "currency": "EUR"},
        "questions": [{"id": "goal", "label": "What for?", "type": "text", "required": True}],
        "documents": ["meeting_summary"],
        "documents_due_minutes": 600,
        "cancellation_notice_minutes": 0,
        "reschedule_keeps_deadline": False,
        "late_after_minutes": 7,
        "complete_after_minutes": 30,
        "instant": "key",
    }
    made = grace.post(f"{GRACE}/consultations", {"slug": "all", **everything}, token=key)
    assert made.status_code == 201, made.text
    shown = grace.get(f"{GRACE}/consultations/all", token=key).json()
    assert {name: shown[name] for name in everything} == everything
    assert shown == made.json()


def test_whoever_comes_back_to_another_zone_keeps_the_hours_of_the_clock(grace, key):
    assert grace.call("DELETE", GRACE, token=key).status_code == 204
    back = {"handle": "grace", "time_zone": "Asia/Tokyo"}
    assert grace.post("/v1/freelancers", back, token=key).status_code == 201
    assert grace.get(f"{GRACE}/schedules/default", token=key).json()["time_zone"] == "Asia/Tokyo"
    assert grace.starts("grace/debugging", end="2026-11-23")[0] == "2026-11-23T09:00:00+09:00"


def test_a_removed_consultation_keeps_its_bookings_and_comes_back_under_its_slug(grace, key):
    path = f"{GRACE}/consultations/debugging"
    before = grace.get(path, token=key).json()
    booking = grace.book("2026-11-23T09:00:00-05:00", "grace/debugging")
    assert grace.call("DELETE", path, token=key).status_code == 204
    assert grace.call("DELETE", path, token=key).status_code == 404
    assert grace.get(path, token=key).status_code == 404
    assert grace.get(f"{GRACE}/consultations", token=key).json()["data"] == []
    assert (
        grace.get("/v1/grace/debugging/slots", params={"start": "2026-11-23", "end": "2026-11-24"}).status_code == 404
    )
    assert grace.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["state"] == "confirmed"
    again = grace.post(f"{GRACE}/consultations", {"slug": "debugging", "minimum_notice_minutes": 0}, token=key)
    assert (again.status_code, again.json()["id"]) == (201, before["id"])
    assert again.json()["durations_minutes"] == [30], "what isn't said is the default, not what was"
    assert "2026-11-23T09:00:00-05:00" not in grace.starts("grace/debugging")


# What is refused


CONSULTATION = f"{GRACE}/consultations/debugging"
MISTAKES = [
    ("PATCH", GRACE, {"time_zone": "Europe/Atlantis"}, "/time_zone", "IANA time zone"),
    ("PATCH", GRACE, {"email": "nobody"}, "/email", ""),
    ("PATCH", GRACE, {"addresses": ["nobody"]}, "/addresses/0", "e-mail"),
    ("PATCH", GRACE, {"blocked_clients": ["nobody"]}, "/blocked_clients/0", "domains"),
    ("PATCH", GRACE, {"daily_limit": 0}, "/daily_limit", "at least 1"),
    ("PATCH", GRACE, {"name": None}, "/name", "text"),
    ("PATCH", GRACE, {"on_calendar_change": {"delete": "propose"}}, "/on_calendar_change/delete", "adopt"),
    ("PATCH", GRACE, {"handle": "hopper"}, "/handle", "is not known here"),
    ("PATCH", f"{GRACE}/schedules/default", {"hours": {"monday": ["9-12"]}}, "/hours/monday", "must be"),
    ("PATCH", f"{GRACE}/schedules/default", {"hours": {"funday": []}}, "/hours/funday", "is not known here"),
    ("PATCH", f"{GRACE}/schedules/default", {"on": {"2026-02-30": []}}, "/on/2026-02-30", "must be"),
    ("PATCH", f"{GRACE}/schedules/default", {"on": {"2026-12-31/2026-12-01": []}}, "/on/2026-12-31~12026-12-01", ""),
    ("PATCH", CONSULTATION, {"horizon_minutes": 401 * 1440}, "/horizon_minutes", "400d"),
    ("PATCH", CONSULTATION, {"buffer_before_minutes": 8 * 1440}, "/buffer_before_minutes", "7d"),
    ("PATCH", CONSULTATION, {"durations_minutes": []}, "/durations_minutes", "must not be empty"),
    ("PATCH", CONSULTATION, {"durations_minutes": [30, 30]}, "/durations_minutes", "none twice"),
    ("PATCH", CONSULTATION, {"durations_minutes": [0]}, "/durations_minutes/0", "at least 1"),
    ("PATCH", CONSULTATION, {"increment_minutes": 7.5}, "/increment_minutes", "whole number"),
    ("PATCH", CONSULTATION, {"increment_minutes": "15"}, "/increment_minutes", "whole number"),
    ("PATCH", CONSULTATION, {"schedule": "nightly"}, "/schedule", "(default)"),
    ("PATCH", CONSULTATION, {"blocks": ["home/Work"]}, "/blocks/0", "none is connected yet"),
    ("PATCH", CONSULTATION, {"target": "Work"}, "/target", "account/calendar"),
    ("PATCH", CONSULTATION, {"price": {"amount": "1", "currency": "euro"}}, "/price/currency", "ISO 4217"),
    ("PATCH", CONSULTATION, {"documents": ["A b"]}, "/documents/0", "underscores"),
    ("PATCH", CONSULTATION, {"questions": [{"id": "a", "label": "A"}] * 2}, "/questions", "an id of their own"),
    ("PATCH", CONSULTATION, {"confirmation": "kye"}, "/confirmation", "'key'"),
    ("PATCH", CONSULTATION, {"horizon": "60d"}, "/horizon", "is not known here"),
    ("POST", f"{GRACE}/consultations", {"slug": "slots"}, "/slug", "reserved"),
    ("POST", f"{GRACE}/consultations", {"slug": "Intro Call"}, "/slug", "lower-case words"),
    ("POST", f"{GRACE}/schedules", {"name": "Default"}, "/name", "lower-case words"),
    ("POST", "/v1/freelancers", {"handle": "api", "time_zone": "UTC"}, "/handle", "reserved"),
    ("POST", "/v1/freelancers", {"handle": "x/y", "time_zone": "UTC"}, "/handle", "lower-case words"),
    ("POST", "/v1/freelancers", {"handle": "eve"}, "/time_zone", "is missing"),
]


def test_every_mistake_is_named_by_its_pointer_and_nothing_is_changed(grace, key, problem_of):
    before = [grace.get(path, token=key).json() for path in (GRACE, f"{GRACE}/schedules", CONSULTATION)]
    for method, path, body, pointer, told in MISTAKES:
        answer = problem_of(change(grace, path, body, key, method), 422, "invalid-request")
        found = {error["pointer"]: error["detail"] for error in answer["errors"]}
        near = [detail for where, detail in found.items() if where == pointer or where.startswith(f"{pointer}/")]
        assert near, (body, found)
        assert told in " ".join(near), (body, found)
    assert [grace.get(path, token=key).json() for path in (GRACE, f"{GRACE}/schedules", CONSULTATION)] == before


def test_every_reserved_word_is_refused(grace, key):
    handles = (
        "v1 b docs hooks static embed metrics healthz readyz openapi oauth login logout api admin bookings instant"
    )
    handles += " webhooks freelancers keys next jobs outbox demo me"
    for handle in handles.split():
        assert grace.post("/v1/freelancers", {"handle": handle, "time_zone": "UTC"}, token=key).status_code == 422
    for slug in ["online", "instant", "slots", "freebusy", "bookings", "links"]:
        assert grace.post(f"{GRACE}/consultations", {"slug": slug}, token=key).status_code == 422


def test_what_the_file_declares_is_read_only(house, key, problem_of):
    ada = "/v1/freelancers/ada"
    for method, path, body in [
        ("PATCH", ada, {"name": "Countess"}),
        ("DELETE", ada, None),
        ("POST", f"{ada}/schedules", {"name": "more", "hours": HOURS}),
        ("PUT", f"{ada}/schedules/more", {"hours": HOURS}),
        ("PATCH", f"{ada}/schedules/default", {"hours": HOURS}),
        ("DELETE", f"{ada}/schedules/default", None),
        ("POST", f"{ada}/consultations", {"slug": "more"}),
        ("PATCH", f"{ada}/consultations/intro", {"title": "Other"}),
        ("DELETE", f"{ada}/consultations/intro", None),
    ]:
        problem_of(change(house, path, body, key, method), 403, "read-only")
    assert house.get(ada, token=key).json()["read_only"] is True
    assert house.get(f"{ada}/consultations/intro", token=key).json()["read_only"] is True


def test_what_is_not_there_is_404(grace, key, problem_of):
    for path in ("/v1/freelancers/nobody", f"{GRACE}/schedules/none", f"{GRACE}/consultations/none"):
        problem_of(grace.get(path, token=key), 404, "not-found")
        problem_of(change(grace, path, {}, key), 404, "not-found")
        problem_of(grace.call("DELETE", path, token=key), 404, "not-found")


# Lists


def test_lists_come_in_pages_each_thing_once_and_in_order(grace, key, problem_of):
    for n in range(5):
        assert grace.post(f"{GRACE}/consultations", {"slug": f"offer-{n}"}, token=key).status_code == 201
    for path, name, expected in [
        ("/v1/freelancers", "handle", ["ada", "bob", "cyd", "grace"]),
        (f"{GRACE}/consultations", "slug", ["debugging", *(f"offer-{n}" for n in range(5))]),
        (f"{GRACE}/schedules", "name", ["default"]),
    ]:
        found, cursor = [], None
        while True:
            page = grace.get(path, token=key, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            assert len(page["data"]) <= 2
            found += [row[name] for row in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == expected
        problem_of(grace.get(path, token=key, params={"cursor": "bm9uZQ"}), 422, "invalid-request")
        problem_of(grace.get(path, token=key, params={"limit": 0}), 422, "invalid-request")
    foreign = grace.get("/v1/freelancers", token=key, params={"limit": 1}).json()["next_cursor"]
    problem_of(grace.get(f"{GRACE}/consultations", token=key, params={"cursor": foreign}), 422, "invalid-request")


@pytest.mark.parametrize("place", ["x", "5", '["a"]', '["a",["b"],"c"]', '{"a":1}'])
def test_a_cursor_that_no_list_of_calendars_gave_is_refused(grace, key, problem_of, place):
    cursor = base64.urlsafe_b64encode(f"calendars\n{place}".encode()).rstrip(b"=").decode()
    answer = grace.get(f"{GRACE}/calendars", token=key, params={"cursor": cursor})
    assert problem_of(answer, 422, "invalid-request")["errors"][0]["pointer"] == "query:cursor"


def test_an_address_may_be_as_long_as_the_document_says(grace, key, problem_of):
    room = "https://meet.example/" + "r" * 979
    assert change(grace, f"{GRACE}/consultations/debugging", {"location": room}, key).json()["location"] == room
    problem_of(change(grace, f"{GRACE}/consultations/debugging", {"location": room + "r"}, key), 422, "invalid-request")
