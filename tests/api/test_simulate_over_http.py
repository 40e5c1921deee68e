"""Other settings, tried before they are set: what they would add and remove, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WEEK = {"start": "2026-11-22", "end": "2026-12-05"}
HOURS = {"monday": ["09:00-12:00", "13:00-17:00"], "thursday": ["22:00-24:00"], "saturday": ["00:00-02:00"]}


@pytest.fixture
def key(house) -> str:
    return house.key("slots:read", "manage", freelancer=None)


@pytest.fixture(scope="module")
def reader(untouched) -> str:
    """A key for the installation that no test changes."""
    return untouched.key("slots:read", "manage", freelancer=None)


def simulate(house, key: str, body: dict[str, Any], offer: str = "ada/intro") -> dict[str, Any]:
    answer = house.post(f"/v1/{offer}/slots/simulate", body, token=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


def count(days: dict[str, list[Any]]) -> int:
    return sum(map(len, days.values()))


def test_todays_settings_add_and_remove_nothing(untouched, reader):
    today = untouched.get("/v1/freelancers/ada/consultations/intro", token=reader).json()
    fixed = {"id", "freelancer", "slug", "read_only"}
    body = {
        "consultation": {name: value for name, value in today.items() if name not in fixed},
        "schedule": {
            name: value
            for name, value in untouched.get("/v1/freelancers/ada/schedules/default", token=reader).json().items()
            if name in ("time_zone", "hours", "on")
        },
        "blocks": today["blocks"],
    }
    for proposed in ({}, body):
        found = simulate(untouched, reader, proposed | WEEK)
        assert (found["added"], found["removed"], found["state"]) == ({}, {}, "fresh")
        assert found["slots"] == untouched.slots(**WEEK)["slots"]


def test_without_a_window_it_is_about_all_that_can_be_booked(untouched, reader):
    found = simulate(untouched, reader, {})
    assert found["slots"] == untouched.slots(start="2026-11-22", end="2027-01-22")["slots"]
    assert untouched.post("/v1/ada/intro/slots/simulate", token=reader).json() == found


def test_what_is_asked_may_stand_in_the_query(untouched, reader):
    query = WEEK | {"time_zone": "Asia/Tokyo", "duration_minutes": 60}
    by_query = untouched.post("/v1/ada/intro/slots/simulate", {}, token=reader, params=query)
    assert by_query.json() == simulate(untouched, reader, query)
    assert by_query.json()["slots"] == untouched.slots(**WEEK, params=query)["slots"]


def test_more_notice_removes_what_is_near(untouched, reader):
    found = simulate(untouched, reader, WEEK | {"consultation": {"minimum_notice_minutes": 48 * 60}})
    assert found["added"] == {}
    assert list(found["removed"]) == ["2026-11-23", "2026-11-24"]
    kept = count(found["slots"]) + count(found["removed"])
    assert kept == count(untouched.slots(**WEEK)["slots"])


def test_other_hours_add_and_remove(untouched, reader):
    found = simulate(untouched, reader, WEEK | {"schedule": {"hours": {"thursday": ["10:00-11:00"]}}})
    assert list(found["added"]) == list(found["slots"]) == ["2026-11-26", "2026-12-03"]
    assert [slot["start"][11:16] for slot in found["slots"]["2026-11-26"]] == ["10:00", "10:15", "10:30"]
    assert found["removed"] == untouched.slots(**WEEK)["slots"]


def test_a_date_of_its_own_leaves_the_week_as_it_is(untouched, reader):
    found = simulate(untouched, reader, WEEK | {"schedule": {"on": {"2026-11-24": []}}})
    assert list(found["removed"]) == ["2026-11-24"]
    assert list(found["added"]) == ["2026-12-01"]  # today's own closed date is replaced with the others


def test_another_length_is_another_slot(untouched, reader):
    found = simulate(untouched, reader, WEEK | {"consultation": {"durations_minutes": [45]}})
    assert found["duration_minutes"] == 45
    assert found["added"] == found["slots"]
    assert found["removed"] == untouched.slots(**WEEK)["slots"]


def test_fewer_calendars_that_block_add_what_the_others_took(house, key):
    house.busy("2026-11-24T09:00+00:00", "2026-11-24T11:00+00:00", "Private")
    house.pull()
    found = simulate(house, key, WEEK | {"blocks": ["home/Work"]})
    assert found["removed"] == {}
    assert [slot["start"][11:16] for slot in found["added"]["2026-11-24"]] == [
        *("09:00", "09:15", "09:30", "09:45"),
        *("10:00", "10:15", "10:30", "10:45"),
    ]
    assert found == simulate(house, key, WEEK | {"consultation": {"blocks": ["home/Work"]}})


def test_a_calendar_that_nobody_has_read_leaves_it_unknown(untouched, reader, problem_of):
    body = {"blocks": ["home/Shared"]}
    problem_of(untouched.post("/v1/ada/intro/slots/simulate", body, token=reader), 503, "availability-unknown")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"consultation": {"increment_minutes": 0}}, "/consultation/increment_minutes"),
        ({"consultation": {"durations_minutes": []}}, "/consultation/durations_minutes"),
        ({"consultation": {"durations_minutes": [30, 30]}}, "/consultation/durations_minutes"),
        ({"consultation": {"horizon_minutes": 500 * 24 * 60}}, "/consultation/horizon_minutes"),
        ({"consultation": {"buffer_before_minutes": 8 * 24 * 60}}, "/consultation/buffer_before_minutes"),
        ({"consultation": {"schedule": "nights"}}, "/consultation/schedule"),
        ({"consultation": {"blocks": ["Work"]}}, "/consultation/blocks/0"),
        ({"consultation": {"price": {"amount": "a lot", "currency": "EUR"}}}, "/consultation/price/amount"),
        ({"consultation": {"colour": "red"}}, "/consultation/colour"),
        ({"schedule": {"hours": {"monday": ["25:00-26:00"]}}}, "/schedule/hours/monday"),
        ({"schedule": {"hours": {"payday": []}}}, "/schedule/hours/payday"),
        ({"schedule": {"on": {"2026-13-01": []}}}, "/schedule/on/2026-13-01"),
        ({"schedule": {"time_zone": "Mars/Phobos"}}, "/schedule/time_zone"),
        ({"blocks": ["nowhere/Work"]}, "/blocks/0"),
        ({"blocks": ["home/Work", "home/Nothing"]}, "/blocks/1"),
        ({"time_zone": "Mars/Phobos"}, "/time_zone"),
        ({"duration_minutes": 7}, "/duration_minutes"),
        ({"start": "2026-11-23"}, "query:end"),
        ({"start": "2026-11-23", "end": "soon"}, "/end"),
        ({"start": "2026-11-23", "end": "2027-11-23"}, "/end"),
        ({"slots": []}, "/slots"),
    ],
)
def test_what_cant_be_set_cant_be_tried(untouched, reader, problem_of, body, pointer):
    answer = untouched.post("/v1/ada/intro/slots/simulate", body, token=reader)
    assert problem_of(answer, 422, "invalid-request")["errors"][0]["pointer"] == pointer


def test_only_a_key_that_may_read_slots_may_try(untouched, problem_of):
    path = "/v1/ada/intro/slots/simulate"
    problem_of(untouched.post(path, {}), 401, "unauthorized")
    problem_of(untouched.post(path, {}, token="bkt_x"), 401, "unauthorized")
    problem_of(untouched.post(path, {}, token=untouched.key("bookings:read")), 403, "forbidden")
    problem_of(untouched.post(path, {}, token=untouched.key("slots:read", freelancer="bob")), 404, "not-found")
    problem_of(untouched.post("/v1/ada/none/slots/simulate", {}, token=untouched.key("slots:read")), 404, "not-found")
    assert untouched.post("/v1/ada/secret/slots/simulate", {}, token=untouched.key("slots:read")).status_code == 200


def test_nothing_is_written(untouched, reader):
    with untouched.services.store.read() as session:
        before = list(session.connection().connection.iterdump())
    body = {
        "consultation": {"active": False, "title": "Other", "durations_minutes": [45], "blocks": ["home/Shared"]},
        "schedule": {"hours": {}, "time_zone": "UTC"},
        "blocks": ["home/Work"],
    }
    assert simulate(untouched, reader, WEEK | body)["slots"] == {}
    with untouched.services.store.read() as session:
        assert list(session.connection().connection.iterdump()) == before
    assert untouched.slots(**WEEK)["slots"]


# Trying and then setting


ranges = st.sampled_from([[], ["09:00-12:00"], ["08:15-10:05", "13:00-17:00"], ["22:00-02:00"], ["00:00-24:00"]])
consultation_settings = st.fixed_dictionaries(
    {},
    optional={
        "durations_minutes": st.sampled_from([[30], [45, 30], [60], [25]]),
        "increment_minutes": st.sampled_from([5, 15, 30, 50]),
        "minimum_notice_minutes": st.sampled_from([0, 90, 24 * 60, 5 * 24 * 60]),
        "horizon_minutes": st.sampled_from([7 * 24 * 60, 60 * 24 * 60]),
        "buffer_before_minutes": st.sampled_from([0, 20]),
        "buffer_after_minutes": st.sampled_from([0, 45]),
        "daily_limit": st.sampled_from([None, 1, 2]),
        "weekly_limit": st.sampled_from([None, 1]),
        "active": st.booleans(),
    },
)
schedule_settings = st.fixed_dictionaries(
    {},
    optional={
        "time_zone": st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
        "hours": st.dictionaries(st.sampled_from(["monday", "tuesday", "friday", "sunday"]), ranges),
        "on": st.dictionaries(st.sampled_from(["2026-11-24", "2026-11-28/2026-12-01", "2026-12-02"]), ranges),
    },
)


@pytest.fixture
def gus(house, key):
    """A freelancer outside the file, whose settings can be changed, with two bookings."""
    made = {"handle": "gus", "time_zone": "Europe/London"}
    assert house.post("/v1/freelancers", made, token=key).status_code == 201
    hours = {"name": "default", "hours": HOURS, "on": {"2026-11-30": []}}
    assert house.post("/v1/freelancers/gus/schedules", hours, token=key).status_code == 201
    slug = {"slug": "talk", "minimum_notice_minutes": 0, "increment_minutes": 15}
    assert house.post("/v1/freelancers/gus/consultations", slug, token=key).status_code == 201
    for start in ("2026-11-23T10:00:00Z", "2026-11-26T22:30:00Z"):
        house.book(start, "gus/talk")
    return house


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(consultation=consultation_settings, schedule=schedule_settings)
def test_what_was_tried_and_then_set_is_what_is_listed(gus, key, consultation, schedule):
    house = gus
    before = house.slots("gus/talk", **WEEK)
    found = simulate(house, key, WEEK | {"consultation": consultation, "schedule": schedule}, "gus/talk")
    one = "/v1/freelancers/gus/consultations/talk"
    other = "/v1/freelancers/gus/schedules/default"
    today = {name: house.get(other, token=key).json()[name] for name in ("time_zone", "hours", "on")}
    assert house.call("PATCH", one, json=consultation, token=key).status_code == 200
    assert house.call("PUT", other, json=today | schedule, token=key).status_code == 200
    after = house.slots("gus/talk", **WEEK)
    assert (found["slots"], found["duration_minutes"]) == (after["slots"], after["duration_minutes"])
    was, then = pairs(before), pairs(after)
    assert (pairs({"slots": found["added"]}), pairs({"slots": found["removed"]})) == (then - was, was - then)
    again = simulate(house, key, WEEK, "gus/talk")
    assert (again["slots"], again["added"], again["removed"]) == (after["slots"], {}, {})


def pairs(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(slot["start"], slot["end"]) for day in answer["slots"].values() for slot in day}
