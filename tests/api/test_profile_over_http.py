"""A profile shows who can be booked and for what: the public what is public, a key and a link what they open."""

from __future__ import annotations

import pytest

from syncd.management.freelancers import find_freelancer


def slugs(house, handle: str = "ada", **more) -> list[str]:
    answer = house.get(f"/v1/{handle}", **more)
    assert answer.status_code == 200, answer.text
    return [offer["slug"] for offer in answer.json()["consultations"]]


def freelancer(house, handle: str = "ada", **values) -> None:
    with house.services.store.write() as session:
        person = find_freelancer(session, handle)
        for name, value in values.items():
            setattr(person, name, value)


def test_the_public_sees_active_public_consultations(untouched):
    profile = untouched.get("/v1/ada").json()
    assert {name: profile[name] for name in ("handle", "name", "time_zone", "online")} == {
        "handle": "ada",
        "name": "Ada Lovelace",
        "time_zone": "Europe/London",
        "online": None,
    }
    assert [offer["slug"] for offer in profile["consultations"]] == ["daily", "far", "intro", "lenient"]
    intro = profile["consultations"][2]
    assert intro["title"] == "Intro call"
    assert (intro["durations_minutes"], intro["increment_minutes"]) == ([30, 60], 15)
    assert (intro["minimum_notice_minutes"], intro["horizon_minutes"]) == (1440, 86400)
    assert (intro["confirmation"], intro["price"]) == ("automatic", None)
    assert [question["id"] for question in intro["questions"]] == ["goal"]


def test_where_to_meet_is_for_those_who_have_booked(untouched):
    answer = untouched.get("/v1/ada")
    assert answer.json()["consultations"][2]["location_kind"] == "link"
    assert "meet.example" not in answer.text
    assert "ada@example.org" not in answer.text


def test_a_key_sees_every_active_consultation(untouched):
    key = untouched.key("slots:read")
    assert slugs(untouched, token=key) == ["chat", "daily", "far", "intro", "lenient", "secret"]
    assert slugs(untouched, "cyd", token=key) == ["talk"]


@pytest.mark.parametrize(("scopes", "whose"), [(["bookings:read"], "ada"), (["slots:read"], "bob")])
def test_a_key_for_something_else_sees_what_the_public_sees(untouched, scopes, whose):
    assert "secret" not in slugs(untouched, token=untouched.key(*scopes, freelancer=whose))


def test_a_link_shows_its_private_consultation_and_no_other(house):
    made = house.post("/v1/ada/secret/links", {}, token=house.key("bookings:write")).json()
    assert slugs(house, token=made["token"]) == ["daily", "far", "intro", "lenient", "secret"]
    assert slugs(house, params={"token": made["token"]}) == ["daily", "far", "intro", "lenient", "secret"]
    freelancer(house, profile="private")
    assert "secret" in slugs(house, token=made["token"])
    assert house.get("/v1/ada").status_code == 404


def test_a_private_profile_is_not_there_and_its_public_consultations_stay_bookable(house, problem_of):
    freelancer(house, profile="private")
    problem_of(house.get("/v1/ada"), 404, "not-found")
    assert "intro" in slugs(house, token=house.key("slots:read"))
    house.book("2026-11-24T09:00:00+00:00")


def test_nobody_can_tell_a_private_profile_from_none(house):
    freelancer(house, profile="private")
    private, none = house.get("/v1/ada").json(), house.get("/v1/eve").json()
    assert {**private, "request_id": ""} == {
        **none,
        "request_id": "",
        "detail": none["detail"].replace("eve", "ada"),
    }


def test_an_unknown_freelancer_is_not_found_and_a_wrong_credential_unauthorized(untouched, problem_of):
    problem_of(untouched.get("/v1/nobody"), 404, "not-found")
    problem_of(untouched.get("/v1/ada", token="syncd_wrong"), 401, "unauthorized")
    problem_of(untouched.get("/v1/ada", token="blt_forged"), 401, "unauthorized")


def test_an_unchanged_profile_is_not_sent_again(house):
    etag = house.get("/v1/ada").headers["ETag"]
    assert house.get("/v1/ada", headers={"If-None-Match": etag}).status_code == 304
    freelancer(house, name="Ada King")
    assert house.get("/v1/ada", headers={"If-None-Match": etag}).json()["name"] == "Ada King"
