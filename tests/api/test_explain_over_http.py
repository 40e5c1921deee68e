"""Explaining over HTTP, and its law: listed, bookable and without a reason are one and the same (contract §4)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def _codes(explanation):
    return [reason["code"] for reason in explanation["reasons"]]


@pytest.fixture
def busy_house(house):
    """A busy Tuesday: an event 10:00-10:30 in a calendar, a consultation 14:00-14:30."""
    house.busy("2026-11-24T10:00:00", "2026-11-24T10:30:00")
    house.book("2026-11-24T14:00:00Z")
    house.pull()
    return house


@pytest.mark.parametrize(
    ("at", "rules", "private"),
    [
        ("2026-11-24T09:00:00Z", [], []),
        ("2026-11-24T10:00:00Z", [], ["busy"]),
        ("2026-11-24T09:30:00Z", [], ["buffer"]),
        ("2026-11-24T14:15:00Z", [], ["booked"]),
        ("2026-11-24T14:30:00Z", [], ["buffer"]),
        ("2026-11-24T10:05:00Z", ["off_grid"], ["busy"]),
        ("2026-11-24T12:00:00Z", ["outside_hours"], []),
        ("2026-11-24T11:45:00Z", ["outside_hours"], []),
        ("2026-11-26T09:00:00Z", ["outside_hours"], []),
        ("2026-12-01T09:00:00Z", ["date_closed"], []),
        ("2026-11-23T09:00:00Z", ["inside_notice"], []),
        ("2026-11-22T11:59:59Z", ["past", "outside_hours"], []),
        ("2027-02-02T10:00:00Z", ["beyond_horizon"], []),
    ],
)
def test_a_key_sees_every_reason_and_the_public_only_those_of_the_rules(busy_house, at, rules, private):
    trusted = busy_house.explain(at, token=busy_house.key("slots:read"))
    assert _codes(trusted) == rules + private
    assert trusted["bookable"] is (not rules and not private)
    public = busy_house.explain(at)
    assert public["reasons"] == [{"code": code} for code in rules or (["unavailable"] if private else [])]
    assert public["bookable"] is trusted["bookable"]
    assert busy_house.explain(at, token=busy_house.key("bookings:read")) == public
    assert busy_house.explain(at, token=busy_house.key("slots:read", freelancer="bob")) == public


def test_a_key_sees_which_calendar_is_busy_and_when(busy_house):
    token = busy_house.key("slots:read")
    work = {c["id"] for c in busy_house.slots(token=token)["meta"]["calendars"]}
    (reason,) = busy_house.explain("2026-11-24T10:00:00Z", token=token)["reasons"]
    assert reason.pop("calendar") in work
    assert reason == {"code": "busy", "from": "2026-11-24T10:00:00+00:00", "to": "2026-11-24T10:30:00+00:00"}
    (booked,) = busy_house.explain("2026-11-24T14:00:00Z", token=token)["reasons"]
    assert booked == {"code": "booked", "from": "2026-11-24T14:00:00+00:00", "to": "2026-11-24T14:30:00+00:00"}


def test_limits_count_and_the_public_is_not_told_so(house):
    house.book("2026-11-23T09:00:00Z", "ada/daily")
    token = house.key("slots:read")
    assert _codes(house.explain("2026-11-23T11:00:00Z", "ada/daily", token=token)) == ["daily_limit"]
    house.book("2026-11-24T09:00:00Z", "ada/daily")
    assert _codes(house.explain("2026-11-24T11:00:00Z", "ada/daily", token=token)) == ["daily_limit", "weekly_limit"]
    assert _codes(house.explain("2026-11-25T11:00:00Z", "ada/daily", token=token)) == ["weekly_limit"]
    assert _codes(house.explain("2026-11-25T11:00:00Z", "ada/daily")) == ["unavailable"]
    assert house.explain("2026-11-30T11:00:00Z", "ada/daily", token=token)["bookable"], "another week"
    assert house.explain("2026-11-25T11:00:00Z", "ada/lenient", token=token)["bookable"], "another consultation"


def test_a_stale_calendar_is_a_reason_of_its_own(house):
    house.clock.forward(hours=1)
    trusted = house.explain("2026-11-24T09:00:00Z", token=house.key("slots:read"))
    assert _codes(trusted) == ["calendar_stale"] * 2
    assert all(reason["calendar"].startswith("cal_") for reason in trusted["reasons"])
    assert house.explain("2026-11-24T09:00:00Z")["reasons"] == [{"code": "unavailable"}]
    assert house.explain("2026-11-24T12:30:00Z")["reasons"] == [{"code": "outside_hours"}]


def test_a_start_between_two_seconds_is_off_the_grid_whatever_else_is_there(busy_house):
    assert _codes(busy_house.explain("2026-11-24T09:00:00.5Z")) == ["off_grid"]
    assert _codes(busy_house.explain("2026-11-24T10:00:00.5Z")) == ["off_grid"], "nothing of private time"
    token = busy_house.key("slots:read")
    assert _codes(busy_house.explain("2026-11-24T10:00:00.000001Z", token=token)) == ["off_grid", "busy"]
    assert busy_house.explain("2026-11-24T09:00:00.000Z")["bookable"]


def test_a_duration_asked_for_is_the_one_explained(house, problem_of):
    assert _codes(house.explain("2026-11-24T11:30:00Z", duration_minutes="60")) == ["outside_hours"]
    assert house.explain("2026-11-24T11:30:00Z", duration_minutes="30")["bookable"]
    for query in (
        "",
        "at=tomorrow",
        "at=2026-11-24",
        "at=2026-11-24T09:00:00",
        "at=2026-11-24T09:00:00Z&duration_minutes=45",
    ):
        problem_of(house.get(f"/v1/ada/intro/slots/explain?{query}"), 422, "invalid-request")


def test_every_slot_of_a_week_books_and_every_other_start_is_refused_with_its_reason(house, problem_of):
    house.busy("2026-11-24T10:00:00", "2026-11-24T10:30:00")
    house.busy("2026-11-25T08:50:00", "2026-11-25T09:10:00", calendar="Private")
    house.pull()
    listed = house.starts()
    assert len(listed) > 40
    refused = 0
    at = datetime.fromisoformat("2026-11-23T06:00:00+00:00")
    for start in (at + timedelta(minutes=25 * n) for n in range(6 * 24 * 2)):
        if start.isoformat() in listed:
            continue
        explained = house.explain(start.isoformat())["reasons"]
        assert explained
        answer = house.post("/v1/ada/intro/bookings", house.wish(start.isoformat()))
        assert answer.status_code in (409, 422)
        assert answer.json()["code"] == ("slot-taken" if explained == [{"code": "unavailable"}] else "not-offered")
        assert answer.json()["reasons"] == explained
        refused += 1
    assert refused > 200
    token = house.key("bookings:write")
    for start in listed:
        booking = house.book(start)
        assert datetime.fromisoformat(booking["start"]) == datetime.fromisoformat(start)
        answer = house.post(f"/v1/bookings/{booking['id']}/cancel", token=token)
        assert answer.status_code == 200


@pytest.mark.parametrize("tz", ["America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"])
def test_a_slot_books_as_the_feed_wrote_it_in_any_zone(house, tz):
    days = house.slots(params={"time_zone": tz})["slots"]
    slots = [slot for day in days.values() for slot in day]
    for slot in slots[:: len(slots) // 3]:
        booking = house.book(slot["start"])
        assert datetime.fromisoformat(booking["start"]) == datetime.fromisoformat(slot["start"])
        assert datetime.fromisoformat(booking["end"]) == datetime.fromisoformat(slot["end"])
        house.post(f"/v1/bookings/{booking['id']}/cancel", token=booking["token"])


def test_a_lost_slot_comes_with_the_nearest_that_are_open(busy_house, problem_of):
    problem = problem_of(
        busy_house.post("/v1/ada/intro/bookings", busy_house.wish("2026-11-24T10:00:00Z")), 409, "slot-taken"
    )
    assert [slot["start"][11:16] for slot in problem["alternatives"]] == ["09:00", "09:15", "10:30", "10:45", "11:00"]
    for slot in problem["alternatives"]:
        assert busy_house.explain(slot["start"])["bookable"]


_MINUTES = st.integers(min_value=0, max_value=7 * 24 * 12 - 1).map(lambda n: n * 5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minutes=_MINUTES, seconds=st.sampled_from([0, 0, 0, 1, 59]), duration=st.sampled_from([30, 60]))
def test_the_public_learns_of_private_time_only_what_the_feed_tells(busy_house, minutes, seconds, duration):
    at = datetime.fromisoformat("2026-11-23T00:00:00+00:00") + timedelta(minutes=minutes, seconds=seconds)
    listed = busy_house.starts(params={"duration_minutes": duration})
    explained = busy_house.explain(at.isoformat(), duration_minutes=str(duration))
    assert explained["bookable"] is (at.isoformat() in listed)
    codes = set(_codes(explained))
    assert codes <= {"unavailable", "past", "outside_hours", "date_closed", "off_grid", "inside_notice"}
    assert codes == {"unavailable"} or "unavailable" not in codes
    assert all(set(reason) == {"code"} for reason in explained["reasons"])
