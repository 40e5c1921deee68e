"""Who may manage whom, and which keys a key may make."""

from __future__ import annotations

import pytest

from syncd.store.keys import SCOPES

ADA, BOB = "/v1/freelancers/ada", "/v1/freelancers/bob"
READING = ("", "/schedules", "/schedules/default", "/consultations", "/consultations/talk", "/accounts", "/calendars")


def test_managing_takes_a_key_with_the_scope(untouched, problem_of):
    booking = untouched.services.vault.booking_token("bkg_x", 1)
    lacking = untouched.key("slots:read", "bookings:read", "bookings:write", freelancer=None)
    for path in ("/v1/freelancers", *(f"{BOB}{rest}" for rest in (*READING, "/keys"))):
        problem_of(untouched.get(path), 401, "unauthorized")
        problem_of(untouched.get(path, token="syncd_x_y"), 401, "unauthorized")
        problem_of(untouched.get(path, token=booking), 401, "unauthorized")
        problem_of(untouched.get(path, token=lacking), 403, "forbidden")


def test_a_key_for_one_freelancer_sees_no_other(untouched, problem_of):
    own, every = untouched.key("manage", freelancer="ada"), untouched.key("manage", freelancer=None)
    assert [f["handle"] for f in untouched.get("/v1/freelancers", token=own).json()["data"]] == ["ada"]
    for rest in (*READING, "/keys"):
        problem_of(untouched.get(f"{BOB}{rest}", token=own), 404, "not-found")
        assert untouched.get(f"{BOB}{rest}", token=every).status_code == 200, rest
    for method, path, body in [
        ("PATCH", BOB, {}),
        ("DELETE", BOB, None),
        ("POST", f"{BOB}/keys", {"scopes": ["manage"]}),
        ("POST", f"{BOB}/accounts", {"provider": "caldav", "url": "https://dav.example/"}),
    ]:
        problem_of(untouched.call(method, path, json=body, token=own), 404, "not-found")


def test_things_of_another_freelancer_are_not_found_under_ones_own_name(untouched, problem_of):
    every = untouched.key("manage", freelancer=None)
    (account,) = untouched.get(f"{BOB}/accounts", token=every).json()["data"]
    (calendar,) = untouched.get(f"{BOB}/calendars", token=every).json()["data"]
    untouched.key("manage", freelancer="bob")
    key = untouched.get(f"{BOB}/keys", token=every).json()["data"][-1]
    for path in (f"{ADA}/accounts/{account['id']}", f"{ADA}/calendars/{calendar['id']}"):
        problem_of(untouched.get(path, token=every), 404, "not-found")
        problem_of(untouched.call("PATCH", path, json={}, token=every), 404, "not-found")
    problem_of(untouched.call("DELETE", f"{ADA}/keys/{key['id']}", token=every), 404, "not-found")


def test_adding_and_removing_freelancers_takes_a_key_for_all(house, problem_of):
    house.post("/v1/freelancers", {"handle": "eve", "time_zone": "UTC"}, token=house.key("manage", freelancer=None))
    own = house.key("manage", freelancer="eve")
    new = {"handle": "mallory", "time_zone": "UTC"}
    problem_of(house.post("/v1/freelancers", new, token=own), 403, "forbidden")
    problem_of(house.call("DELETE", "/v1/freelancers/eve", token=own), 403, "forbidden")
    assert house.call("PATCH", "/v1/freelancers/eve", json={"name": "Eve"}, token=own).json()["name"] == "Eve"


def test_a_key_is_shown_once_works_and_ends_when_it_is_revoked(house, problem_of):
    maker = house.key(*SCOPES, freelancer="ada")
    made = house.post(f"{ADA}/keys", {"scopes": ["slots:read", "manage"]}, token=maker)
    assert (made.status_code, made.json()["scopes"]) == (201, ["slots:read", "manage"])
    text = made.json()["key"]
    assert house.get(ADA, token=text).status_code == 200
    listed = house.get(f"{ADA}/keys", token=text)
    assert made.json()["id"] in [key["id"] for key in listed.json()["data"]]
    shown = house.get(made.headers["Location"], token=maker)
    assert shown.json() == {name: value for name, value in made.json().items() if name != "key"}
    assert text not in listed.text + shown.text
    assert house.call("DELETE", made.headers["Location"], token=text).status_code == 204
    problem_of(house.get(ADA, token=text), 401, "unauthorized")
    problem_of(house.call("DELETE", made.headers["Location"], token=maker), 404, "not-found")
    assert made.json()["id"] not in [key["id"] for key in house.get(f"{ADA}/keys", token=maker).json()["data"]]


def test_the_same_request_gives_the_same_key(house):
    maker, once = house.key("manage"), {"Idempotency-Key": "k"}
    first = house.post(f"{ADA}/keys", {"scopes": ["manage"]}, token=maker, headers=once)
    again = house.post(f"{ADA}/keys", {"scopes": ["manage"]}, token=maker, headers=once)
    assert first.json() == again.json()


def test_the_same_request_gives_a_revoked_key_nothing(house, problem_of):
    own, once = house.key("manage"), {"Idempotency-Key": "one"}
    made = house.post(f"{ADA}/keys", {"scopes": ["manage"]}, token=own, headers=once).json()
    first = house.get(f"{ADA}/keys", token=made["key"]).json()["data"]
    for key in (key["id"] for key in first if key["id"] != made["id"]):
        assert house.call("DELETE", f"{ADA}/keys/{key}", token=made["key"]).status_code == 204
    again = house.post(f"{ADA}/keys", {"scopes": ["manage"]}, token=own, headers=once)
    problem_of(again, 401, "unauthorized")


@pytest.mark.parametrize("scopes", [["bookings:write"], ["manage", "slots:read"]])
def test_a_key_gives_nothing_it_has_not_got(house, problem_of, scopes):
    maker = house.key("manage")
    problem_of(house.post(f"{ADA}/keys", {"scopes": scopes}, token=maker), 403, "forbidden")


def test_a_key_needs_scopes_that_exist(house, problem_of):
    maker = house.key(*SCOPES)
    for scopes, pointer in [([], "/scopes"), (["everything"], "/scopes/0")]:
        told = problem_of(house.post(f"{ADA}/keys", {"scopes": scopes}, token=maker), 422, "invalid-request")
        assert told["errors"][0]["pointer"] == pointer
