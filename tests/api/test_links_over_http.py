"""Private links over HTTP: made by a key, brought by a client, used as often as they say (contract §4, §5)."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

LINKS = "/v1/ada/secret/links"
NINE = "2026-11-24T09:00:00+00:00"
GRACE = {"name": "Grace Hopper", "email": "grace@example.com"}


@pytest.fixture
def key(house):
    """A key of ada's that may read and write bookings."""
    return house.key("bookings:read", "bookings:write")


@pytest.fixture
def make(house, key):
    """Make a link and return it."""

    def make(path=LINKS, **terms):
        answer = house.post(path, terms, token=key)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def book(house, link, start=NINE, offer="ada/secret", **more):
    return house.post(f"/v1/{offer}/bookings", house.wish(start, **more), token=link["token"])


def look(house, token="", offer="ada/secret", **params):
    window = {"start": "2026-11-24", "end": "2026-11-24"}
    return house.get(f"/v1/{offer}/slots", token=token, params=window | params)


def explain(house, token="", offer="ada/secret"):
    return house.get(f"/v1/{offer}/slots/explain", token=token, params={"at": NINE})


def listed(house, key, path=LINKS, **params):
    answer = house.get(path, token=key, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


# Making


def test_a_new_link_is_shown_with_all_that_it_allows(house, make):
    link = make(uses=3, expires_at="2026-12-01T10:00:00+01:00", client=GRACE, metadata={"order": 7, "of": ["a", None]})
    assert re.fullmatch(r"lnk_\w+", link["id"])
    assert link["token"].startswith(f"blt_{link['id']}_")
    assert link == {
        "id": link["id"],
        "url": f"https://book.example/ada/secret?token={link['token']}",
        "token": link["token"],
        "state": "open",
        "uses": 3,
        "used": 0,
        "expires_at": "2026-12-01T09:00:00Z",
        "client": GRACE,
        "metadata": {"order": 7, "of": ["a", None]},
        "freelancer": "ada",
        "consultation": "secret",
        "created_at": "2026-11-22T12:00:00Z",
        "revoked_at": None,
    }


def test_a_link_is_for_one_use_unless_said_otherwise(house, make, key):
    answer = house.call("POST", LINKS, token=key)
    assert answer.status_code == 201, answer.text
    assert [link["uses"] for link in (answer.json(), make(), make(uses=None))] == [1, 1, None]


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"uses": 0}, "/uses"),
        ({"uses": -1}, "/uses"),
        ({"uses": 1.5}, "/uses"),
        ({"uses": "2"}, "/uses"),
        ({"uses": True}, "/uses"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"expires_at": "2026-12-01T10:00:00"}, "/expires_at"),
        ({"expires_at": "2026-11-22T12:00:00Z"}, "/expires_at"),
        ({"client": {"name": "Grace"}}, "/client/email"),
        ({"metadata": {str(n): n for n in range(51)}}, "/metadata"),
        ({"metadata": {"long": "x" * 8192}}, "/metadata"),
        ({"use": 1}, "/use"),
    ],
)
def test_terms_that_make_no_sense_are_named(untouched, problem_of, terms, pointer):
    key = untouched.key("bookings:write")
    problem = problem_of(untouched.post(LINKS, terms, token=key), 422, "invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_links_are_for_the_holders_of_keys(house, make, problem_of):
    link = make()
    each = f"{LINKS}/{link['id']}"
    for method, path in (("POST", LINKS), ("GET", LINKS), ("DELETE", each)):
        problem_of(house.call(method, path), 401, "unauthorized")
        problem_of(house.call(method, path, token=link["token"]), 401, "unauthorized")
        problem_of(house.call(method, path, token=house.key("slots:read", "manage")), 403, "forbidden")
        of_bob = house.key("bookings:read", "bookings:write", freelancer="bob")
        problem_of(house.call(method, path, token=of_bob), 403, "forbidden")
        of_all = house.key("bookings:read", "bookings:write", freelancer=None)
        assert house.call(method, path, token=of_all).ok
        problem_of(house.call(method, path.replace("secret", "nothing"), token=of_all), 404, "not-found")


def test_the_same_request_makes_one_link(house, key):
    headers = {"Idempotency-Key": "one"}
    one, again = (house.post(LINKS, {}, token=key, headers=headers).json() for _ in range(2))
    assert one == again
    assert len(listed(house, key)) == 1


# Listing and revoking


def test_links_are_listed_oldest_first_with_what_became_of_them(house, make, key):
    made = []
    for terms in ({"uses": 2}, {}, {"expires_at": "2026-11-22T13:00:00Z"}, {}):
        made.append(make(**terms))
        house.clock.forward(minutes=1)
    assert book(house, made[0]).status_code == 201
    assert book(house, made[1], "2026-11-24T10:00:00Z").status_code == 201
    assert house.call("DELETE", f"{LINKS}/{made[3]['id']}", token=key).status_code == 204
    house.clock.set("2026-11-22T13:00:00+00:00")
    found = listed(house, key)
    assert [link["id"] for link in found] == [link["id"] for link in made]
    assert [(link["state"], link["used"]) for link in found] == [
        ("open", 1),
        ("used_up", 1),
        ("expired", 0),
        ("revoked", 0),
    ]
    assert [link["token"] for link in found] == [link["token"] for link in made]
    assert found[3]["revoked_at"] == "2026-11-22T12:04:00Z"


def test_a_key_that_may_only_read_sees_no_tokens(house, make):
    make()
    found = listed(house, house.key("bookings:read"))
    assert [(link["token"], link["url"], link["uses"]) for link in found] == [(None, None, 1)]


def test_a_consultation_has_its_own_links(house, make, key):
    make()
    assert listed(house, key, "/v1/ada/intro/links") == []
    assert len(listed(house, key)) == 1


def test_links_come_a_page_at_a_time(house, make, key, problem_of):
    made = [make()["id"] for _ in range(5)]
    found, cursor = [], None
    while cursor or not found:
        page = house.get(LINKS, token=key, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found, cursor = [*found, *(link["id"] for link in page["data"])], page["next_cursor"]
    assert sorted(found) == sorted(made)
    problem_of(house.get(LINKS, token=key, params={"cursor": "nonsense"}), 422, "invalid-request")
    problem_of(house.get(LINKS, token=key, params={"limit": "201"}), 422, "invalid-request")


def test_a_revoked_link_opens_nothing_and_what_was_booked_by_it_stays(house, make, key, problem_of):
    link = make(uses=None)
    booking = book(house, link).json()
    for _ in range(2):
        assert house.call("DELETE", f"{LINKS}/{link['id']}", token=key).status_code == 204
    problem_of(look(house, link["token"]), 403, "forbidden")
    problem_of(explain(house, link["token"]), 403, "forbidden")
    problem_of(book(house, link, "2026-11-24T11:00:00Z"), 403, "forbidden")
    assert house.get(f"/v1/bookings/{booking['id']}", token=booking["token"]).json()["state"] == "confirmed"


def test_only_a_link_of_this_consultation_is_revoked_here(house, make, key, problem_of):
    link = make()
    problem_of(house.call("DELETE", f"/v1/ada/intro/links/{link['id']}", token=key), 404, "not-found")
    problem_of(house.call("DELETE", f"{LINKS}/lnk_nothing", token=key), 404, "not-found")
    assert look(house, link["token"]).status_code == 200


# Looking


def test_a_private_consultation_is_seen_by_its_link_and_by_nobody_else(house, make, problem_of):
    link = make()
    other = make("/v1/ada/intro/links")
    for see in (look, explain):
        assert see(house, link["token"]).status_code == 200
        problem_of(see(house), 401, "unauthorized")
        problem_of(see(house, other["token"]), 401, "unauthorized")
    assert look(house, token=link["token"]).json() == look(house, params={}, token=link["token"]).json()


def test_a_link_s_token_travels_in_the_query_of_a_get_and_of_nothing_else(house, make, problem_of):
    link = make()
    query = {"token": link["token"]}
    window = {"start": "2026-11-24", "end": "2026-11-24"}
    assert house.get("/v1/ada/secret/slots", params=query | window).status_code == 200
    assert house.get("/v1/ada/secret/slots/explain", params=query | {"at": NINE}).status_code == 200
    answer = house.post(f"/v1/ada/secret/bookings?token={link['token']}", house.wish(NINE))
    problem_of(answer, 401, "unauthorized")


def test_a_link_tells_no_more_of_private_time_than_the_public_learns(house, make):
    house.busy("2026-11-24T09:00:00+00:00", "2026-11-24T10:00:00+00:00")
    house.pull()
    assert explain(house, make()["token"]).json() == {"bookable": False, "reasons": [{"code": "unavailable"}]}
    assert "calendars" not in look(house, make()["token"]).json()["meta"]


def test_what_a_link_shows_is_kept_by_nobody_on_the_way(house, make):
    assert "private" in look(house, make()["token"]).headers["Cache-Control"]


@pytest.mark.parametrize("offer", ["ada/intro", "ada/chat", "ada/secret"])
def test_a_link_opens_its_consultation_whatever_its_visibility(house, make, offer):
    link = make(f"/v1/{offer}/links")
    assert look(house, link["token"], offer).status_code == 200
    assert book(house, link, offer=offer).status_code == 201


def forgeries(link):
    token = link["token"]
    yield token[:-1] + ("A" if token[-1] != "A" else "B")
    yield token[:-1]
    yield token + "A"
    yield token.replace(link["id"], "lnk_other")
    yield "blt_"
    yield f"blt_{link['id']}"
    yield f"blt_{link['id']}_"
    yield token.upper().replace("BLT_", "blt_")


def test_a_forged_link_opens_nothing_not_even_what_is_public(house, make, problem_of):
    for forged in forgeries(make(uses=None)):
        for offer in ("ada/secret", "ada/intro"):
            problem_of(look(house, forged, offer), 401, "unauthorized")
            problem_of(explain(house, forged, offer), 401, "unauthorized")
            problem_of(book(house, {"token": forged}, offer=offer), 401, "unauthorized")


def test_a_link_is_no_credential_for_bookings(house, make, problem_of):
    link = make(uses=None)
    booking = book(house, link).json()
    path = f"/v1/bookings/{booking['id']}"
    problem_of(house.get(path, token=link["token"]), 401, "unauthorized")
    problem_of(house.post(f"{path}/cancel", token=link["token"]), 401, "unauthorized")
    problem_of(house.get("/v1/bookings", token=link["token"]), 401, "unauthorized")


def test_a_link_is_expired_from_exactly_its_instant_on(house, make, problem_of):
    link = make(uses=None, expires_at="2026-11-22T12:10:00Z")
    house.clock.set("2026-11-22T12:09:59.999999+00:00")
    assert look(house, link["token"]).status_code == 200
    assert book(house, link).status_code == 201
    house.clock.set("2026-11-22T12:10:00+00:00")
    problem_of(look(house, link["token"]), 403, "forbidden")
    problem_of(book(house, link, "2026-11-24T11:00:00Z"), 403, "forbidden")


# Booking


def test_what_a_link_says_in_its_metadata_is_changed_by_no_client_and_by_any_key(house, make, key):
    link = make(metadata={"order": 7})
    held = book(house, link, hold_minutes=10).json()
    path = f"/v1/bookings/{held['id']}"
    said = {"metadata": {"order": 1, "mine": True}}
    confirmed = house.post(f"{path}/confirm", said, token=held["token"])
    assert confirmed.json()["metadata"] == {"order": 7, "mine": True}
    amended = house.call("PATCH", path, json={"metadata": None}, token=held["token"])
    assert amended.json()["metadata"] == {"order": 7}
    assert house.call("PATCH", path, json=said, token=key).json()["metadata"] == said["metadata"]


def test_a_link_s_client_books_where_none_is_given_and_its_metadata_lies_over_the_booking_s(house, make):
    link = make(client=GRACE, metadata={"order": 7, "source": "link"})
    wish = {"start": NINE, "metadata": {"order": 1, "mine": True}}
    booking = house.post("/v1/ada/secret/bookings", wish, token=link["token"]).json()
    assert booking["client"] == GRACE
    assert booking["metadata"] == {"order": 7, "source": "link", "mine": True}


def test_a_client_of_one_s_own_comes_before_the_link_s(house, make):
    alan = {"name": "Alan", "email": "alan@example.com"}
    assert book(house, make(client=GRACE), client=alan).json()["client"] == alan


def test_whoever_books_by_a_link_is_the_client_and_speaks_for_nobody_else(house, make, problem_of):
    link = make(uses=None)
    problem_of(book(house, link, on_behalf_of="freelancer"), 403, "forbidden")
    booking = book(house, link, on_behalf_of="client").json()
    assert booking["calendar_event"]["calendar"] is None


def test_a_link_is_used_up_by_as_many_bookings_as_it_says(house, make, problem_of):
    link = make(uses=2)
    assert book(house, link).status_code == 201
    assert book(house, link, "2026-11-24T10:00:00Z").status_code == 201
    problem_of(book(house, link, "2026-11-24T11:00:00Z"), 403, "forbidden")
    problem_of(look(house, link["token"]), 403, "forbidden")


def test_a_start_that_was_refused_uses_nothing(house, make):
    link = make()
    assert book(house, link, "2026-11-22T13:00:00Z").status_code == 422
    house.book(NINE)
    assert book(house, link).status_code == 409
    assert book(house, link, "2026-11-24T10:00:00Z").status_code == 201


def test_a_cancelled_booking_has_used_its_link(house, make, problem_of):
    link = make()
    booking = book(house, link).json()
    assert house.post(f"/v1/bookings/{booking['id']}/cancel", token=booking["token"]).status_code == 200
    problem_of(book(house, link), 403, "forbidden")


def test_moving_a_booking_needs_no_second_use(house, make):
    link = make()
    booking = book(house, link).json()
    answer = look(house, booking["token"], rescheduling=booking["id"])
    assert answer.status_code == 200, answer.text
    moved = house.post(
        f"/v1/bookings/{booking['id']}/reschedule", {"start": "2026-11-24T10:00:00Z"}, token=booking["token"]
    )
    assert moved.status_code == 200, moved.text


def test_the_request_that_used_a_link_up_is_answered_again(house, make, problem_of):
    link, headers = make(), {"Idempotency-Key": "one"}
    wish = house.wish(NINE)
    one, again = (house.post("/v1/ada/secret/bookings", wish, token=link["token"], headers=headers) for _ in range(2))
    assert (one.status_code, one.content) == (201, again.content)
    other = {"Idempotency-Key": "two"}
    problem_of(house.post("/v1/ada/secret/bookings", wish, token=link["token"], headers=other), 403, "forbidden")


# Holds


def test_a_hold_uses_its_link_until_it_expires_or_is_released(house, make, problem_of):
    link = make()
    hold = book(house, link, hold_minutes=10).json()
    assert hold["state"] == "held"
    problem_of(book(house, link, "2026-11-24T10:00:00Z"), 403, "forbidden")
    house.clock.forward(minutes=9, seconds=59)
    problem_of(look(house, link["token"]), 403, "forbidden")
    house.clock.forward(seconds=1)
    assert look(house, link["token"]).status_code == 200
    second = book(house, link, hold_minutes=10).json()
    answer = house.call("DELETE", f"/v1/bookings/{second['id']}/hold", token=second["token"])
    assert answer.json()["state"] == "expired"
    assert book(house, link).status_code == 201


def test_a_hold_that_was_confirmed_has_used_its_link_for_good(house, make, problem_of):
    link = make(client=GRACE)
    hold = book(house, link, hold_minutes=10).json()
    assert house.post(f"/v1/bookings/{hold['id']}/confirm", {}, token=hold["token"]).status_code == 200
    house.clock.forward(hours=1)
    problem_of(look(house, link["token"]), 403, "forbidden")


def at_once(house, link, starts, **more):
    """Book each start by the same link, all at the same time; the statuses."""
    with ThreadPoolExecutor(len(starts)) as pool:
        return sorted(pool.map(lambda start: book(house, link, start, **more).status_code, starts))


@pytest.mark.parametrize("uses", [1, 3])
@pytest.mark.parametrize("more", [{}, {"hold_minutes": 10}], ids=["booked", "held"])
def test_many_at_once_use_a_link_exactly_as_often_as_it_says(house, make, key, uses, more):
    link = make(uses=uses)
    starts = house.starts("ada/secret", token=link["token"])[:24:2]
    assert len(starts) == 12
    assert at_once(house, link, starts, **more) == [201] * uses + [403] * (12 - uses)
    [shown] = listed(house, key)
    assert (shown["used"], shown["state"]) == (uses, "used_up")


def test_many_at_once_that_want_one_start_use_a_link_once(house, make, key):
    link = make(uses=3)
    assert at_once(house, link, [NINE] * 8) == [201] + [409] * 7
    assert listed(house, key)[0]["used"] == 1
