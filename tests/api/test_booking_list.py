"""The list of bookings over HTTP: what it shows, in which order, and how one goes through it (contract §5)."""

from __future__ import annotations

import base64

import pytest

PATH = "/v1/bookings"


@pytest.fixture
def reader(house):
    """A key of ada's that may read bookings."""
    return house.key("bookings:read")


@pytest.fixture
def made(house):
    """Six bookings: four of ada's on Tuesday and Wednesday, made last to first; two of bob's."""
    ada = [house.book(f"2026-11-{day}T{hour}:00:00Z") for day, hour in ((25, 14), (25, 10), (24, 14), (24, 10))]
    bob = [house.book(f"2026-{day}T10:00:00+01:00", "bob/talk") for day in ("12-07", "11-30")]
    return {"ada": ada, "bob": bob}


def listed(house, token, **params):
    answer = house.get(PATH, token=token, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def ids(bookings):
    return [booking["id"] for booking in bookings]


def through(house, token, limit, between=lambda: None, **params):
    """Every booking, a page at a time."""
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = house.get(PATH, token=token, params={"limit": limit, **params, **more}).json()
        assert len(page["data"]) <= limit
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
        between()


# What is shown


def test_bookings_are_listed_by_start_as_they_are_shown_alone(house, made, reader):
    found = listed(house, reader)
    assert ids(found) == ids(made["ada"][::-1])
    assert found[0] == house.get(f"{PATH}/{found[0]['id']}", token=reader).json()


def test_a_list_of_nothing_is_an_empty_page(house, reader):
    assert house.get(PATH, token=reader).json() == {"data": [], "next_cursor": None}


def test_a_list_is_kept_by_nobody_on_the_way(house, reader):
    assert house.get(PATH, token=reader).headers["Cache-Control"] == "no-store"


def test_a_key_for_all_sees_all_and_a_key_of_one_only_theirs(house, made):
    everyone = house.key("bookings:read", freelancer=None)
    assert set(ids(listed(house, everyone))) == set(ids(made["ada"] + made["bob"]))
    assert ids(listed(house, everyone, freelancer="bob")) == ids(made["bob"][::-1])
    of_bob = house.key("bookings:read", freelancer="bob")
    assert ids(listed(house, of_bob)) == ids(made["bob"][::-1])
    assert listed(house, of_bob, freelancer="ada") == []
    assert listed(house, of_bob, consultation="ada/intro") == []


def test_only_a_key_that_may_read_bookings_gets_the_list(house, made, problem_of):
    problem_of(house.get(PATH), 401, "unauthorized")
    problem_of(house.get(PATH, token="syncd_wrong"), 401, "unauthorized")
    problem_of(house.get(PATH, token=made["ada"][0]["token"]), 401, "unauthorized")
    problem_of(house.get(PATH, params={"token": made["ada"][0]["token"]}), 401, "unauthorized")
    problem_of(house.get(PATH, token=house.key("slots:read", "bookings:write", "manage")), 403, "forbidden")


# Filters


def test_the_window_bounds_the_start_and_its_end_is_open(house, made, reader):
    first, second, third, _ = made["ada"][::-1]
    window = {"start": first["start"], "end": third["start"]}
    assert ids(listed(house, reader, **window)) == ids([first, second])
    assert ids(listed(house, reader, start="2026-11-24T10:00:00.000001Z", end="2026-11-25T10:00:01Z")) == ids(
        [second, third]
    )
    assert listed(house, reader, start=first["start"], end=first["start"]) == []


def test_dates_are_whole_days_of_the_zone_asked_for(house, reader):
    early, late = (house.book(f"2026-11-{at}Z", "ada/far") for at in ("29T00:30:00", "29T03:30:00"))
    assert ids(listed(house, reader, start="2026-11-29", end="2026-11-29")) == ids([early, late])
    lisbon_to_new_york = {"time_zone": "America/New_York"}
    assert ids(listed(house, reader, end="2026-11-28", **lisbon_to_new_york)) == ids([early, late])
    assert listed(house, reader, start="2026-11-29", **lisbon_to_new_york) == []
    tokyo = {"time_zone": "Asia/Tokyo", "start": "2026-11-29", "end": "2026-11-29"}
    assert ids(listed(house, reader, **tokyo)) == ids([early, late])


def test_a_plus_that_arrived_as_a_space_is_understood(house, made, reader):
    answer = house.get(f"{PATH}?start=2026-11-25T11:00:00+01:00", token=reader)
    assert ids(answer.json()["data"]) == ids(made["ada"][1::-1])


def test_states_are_given_one_by_one_or_with_commas(house, made, reader):
    gone = made["ada"][0]
    house.post(f"{PATH}/{gone['id']}/cancel", token=gone["token"])
    assert ids(listed(house, reader, state="cancelled")) == [gone["id"]]
    assert ids(listed(house, reader, state="confirmed")) == ids(made["ada"][:0:-1])
    for every in ("cancelled,confirmed", ["cancelled", "confirmed"], ["cancelled,held", "confirmed"]):
        assert len(listed(house, reader, state=every)) == 4
    assert listed(house, reader, state="held,pending,expired,declined,completed,no_show") == []


def test_a_consultation_is_named_with_or_without_its_freelancer(house, made, reader):
    far = house.book("2026-12-07T10:00:00Z", "ada/far")
    assert ids(listed(house, reader, consultation="far")) == [far["id"]]
    assert ids(listed(house, reader, consultation="ada/far")) == [far["id"]]
    assert listed(house, reader, consultation="bob/far") == []
    assert len(listed(house, reader, consultation="ada/intro")) == 4


def test_a_client_is_found_by_the_address_however_it_is_spelt(house, made, reader):
    other = house.post(
        "/v1/ada/far/bookings", {"start": "2026-12-07T10:00:00Z", "client": {"name": "A", "email": "Alan@Example.com"}}
    ).json()
    assert ids(listed(house, reader, client=" alan@example.COM ")) == [other["id"]]
    assert len(listed(house, reader, client="grace@example.com")) == 4
    assert listed(house, reader, client="example.com") == []


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"start": "soon"}, "query:start"),
        ({"end": "2026-13-01"}, "query:end"),
        ({"start": "2026-11-24T10:00:00"}, "query:start"),
        ({"start": "2026-11-25", "end": "2026-11-23"}, "query:end"),
        ({"start": "2026-11-25T10:00:00Z", "end": "2026-11-25T09:59:59Z"}, "query:end"),
        ({"time_zone": "Mars/Olympus"}, "query:time_zone"),
        ({"state": "done"}, "query:state"),
        ({"state": "confirmed,done"}, "query:state"),
        ({"updated_since": "2026-11-24"}, "query:updated_since"),
        ({"limit": "0"}, "query:limit"),
        ({"limit": "201"}, "query:limit"),
        ({"limit": "few"}, "query:limit"),
        ({"cursor": "x"}, "query:cursor"),
        ({"cursor": "ÿ"}, "query:cursor"),
        ({"cursor": "AAAA" * 20}, "query:cursor"),
        ({"cursor": "A" * 1000}, "query:cursor"),
    ],
)
def test_what_is_asked_wrongly_is_named(untouched, problem_of, params, pointer):
    key = untouched.key("bookings:read")
    problem = problem_of(untouched.get(PATH, token=key, params=params), 422, "invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


# Pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 200])
def test_pages_put_together_are_the_list(house, made, reader, limit):
    assert through(house, reader, limit) == listed(house, reader)


def test_the_last_page_says_that_it_is_the_last(house, made, reader):
    page = house.get(PATH, token=reader, params={"limit": 4}).json()
    assert (len(page["data"]), page["next_cursor"]) == (4, None)


def test_fifty_are_on_a_page_unless_said_otherwise(house, reader):
    for start in house.starts("ada/far", "2026-12-02", "2026-12-22")[:51]:
        house.book(start, "ada/far")
    page = house.get(PATH, token=reader).json()
    assert len(page["data"]) == 50
    assert len(house.get(PATH, token=reader, params={"cursor": page["next_cursor"]}).json()["data"]) == 1


def test_paging_goes_on_though_the_booking_it_ended_at_was_moved_away(house, made, reader):
    _first, second, third, fourth = made["ada"][::-1]
    page = house.get(PATH, token=reader, params={"limit": 2}).json()
    answer = house.post(f"{PATH}/{second['id']}/reschedule", {"start": "2026-11-30T10:00:00Z"}, token=second["token"])
    assert answer.status_code == 200
    rest = house.get(PATH, token=reader, params={"limit": 200, "cursor": page["next_cursor"]}).json()["data"]
    assert ids(rest) == ids([third, fourth, second])


def test_what_does_not_change_is_seen_exactly_once_whatever_changes_between_the_pages(house, reader):
    kept = [house.book(f"2026-11-{day}T{hour:02}:00:00Z") for day in (24, 25) for hour in (10, 11, 13, 14)]
    moving = [house.book(f"2026-11-{day}T15:00:00Z") for day in (24, 25)]
    spots = iter([f"2026-11-30T{hour:02}:00:00Z" for hour in (9, 10, 11, 13, 14, 15)] * 3)

    def change():
        house.clock.forward(seconds=1)
        for booking in moving:
            house.post(f"{PATH}/{booking['id']}/reschedule", {"start": next(spots)}, token=booking["token"])

    for params in ({}, {"updated_since": "2026-11-22T00:00:00Z"}):
        seen = ids(through(house, reader, 2, change, **params))
        assert [seen.count(booking["id"]) for booking in kept] == [1] * len(kept)


def test_a_cursor_is_of_one_list_only(house, made, reader, problem_of):
    cursor = house.get(PATH, token=reader, params={"limit": 1}).json()["next_cursor"]
    by_change = {"updated_since": "2026-11-22T00:00:00Z", "cursor": cursor}
    problem_of(house.get(PATH, token=reader, params=by_change), 422, "invalid-request")


@pytest.mark.parametrize(
    "text",
    ["bookings\nnever\nbkg_1", "bookings\n2026-11-24T10:00:00Z", "bookings\n2026-11-24T10:00:00+00:00\nbkg_1", "\n\n"],
)
def test_a_cursor_made_by_hand_is_refused(untouched, problem_of, text):
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    answer = untouched.get(PATH, token=untouched.key("bookings:read"), params={"cursor": cursor})
    problem_of(answer, 422, "invalid-request")


# Changes


def test_changes_since_an_instant_include_those_of_that_instant(house, reader):
    before = house.book("2026-11-24T10:00:00Z")
    house.clock.forward(minutes=1)
    exactly = house.book("2026-11-25T10:00:00Z")
    assert ids(listed(house, reader, updated_since="2026-11-22T12:01:00Z")) == [exactly["id"]]
    assert listed(house, reader, updated_since="2026-11-22T12:01:00.000001Z") == []
    assert len(listed(house, reader, updated_since=before["updated_at"])) == 2


def test_changes_are_listed_by_when_they_were_made(house, made, reader):
    one, two, three, four = made["ada"]
    for booking in (three, one):
        house.clock.forward(minutes=1)
        house.post(f"{PATH}/{booking['id']}/cancel", token=booking["token"])
    found = listed(house, reader, updated_since="2026-11-22T12:00:00Z")
    assert ids(found) == [*sorted(ids([two, four])), three["id"], one["id"]]
    assert ids(through(house, reader, 1, updated_since="2026-11-22T12:00:00Z")) == ids(found)
