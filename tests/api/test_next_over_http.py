"""The first slot of many consultations at once: each as its own feed says it, and none fails the others."""

from __future__ import annotations

import pytest
from sqlalchemy import event


def following(house, names: str, **more) -> dict[str, dict]:
    answer = house.get("/v1/next", params={"consultations": names} | more.pop("params", {}), **more)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    items = answer.json()["data"]
    assert [f"{i['freelancer']}/{i['consultation']}" for i in items] == names.split(",")
    return {f"{item['freelancer']}/{item['consultation']}": item for item in items}


def test_each_is_what_its_own_feed_lists_first(house):
    house.busy("2026-11-23T08:00+00:00", "2026-11-23T11:00+00:00")
    house.pull()
    names = ["ada/intro", "ada/far", "cyd/talk", "ada/chat", "bob/talk"]
    found = following(house, ",".join(names))
    for name in names:
        feed = house.slots(name, "2026-11-22", "2026-12-22")
        first = next(iter(feed["slots"].values()))[0]["start"]
        assert (found[name]["next_slot"], found[name]["state"]) == (first, "fresh")
        assert (found[name]["duration_minutes"], found[name]["time_zone"]) == (30, feed["time_zone"])
        assert found[name]["online"] is None


def test_in_a_zone_that_is_asked_for(untouched):
    found = following(untouched, "cyd/talk", params={"time_zone": "Asia/Tokyo"})
    assert found["cyd/talk"]["next_slot"] == "2026-11-23T18:00:00+09:00"


def test_what_cant_be_told_is_named_and_the_others_are_answered(house):
    house.clock.forward(minutes=31)  # everyone's calendars are stale; Bob's owner serves all the same
    found = following(house, "ada/intro,ada/secret,ada/nothing,nobody/intro,cyd/talk,bob/talk,ada/off")
    states = {name: item["state"] for name, item in found.items()}
    assert states == {
        "ada/intro": "unknown",
        "ada/secret": "private",
        "ada/nothing": "not_found",
        "nobody/intro": "not_found",
        "cyd/talk": "fresh",
        "bob/talk": "degraded",
        "ada/off": "unknown",
    }
    assert found["ada/intro"]["next_slot"] is None
    assert found["cyd/talk"]["next_slot"] == "2026-11-23T09:00:00+00:00"


def test_a_private_one_is_told_to_its_link_and_to_a_key(house):
    made = house.post("/v1/ada/secret/links", {}, token=house.key("bookings:write")).json()
    for token in (made["token"], house.key("slots:read")):
        assert following(house, "ada/secret", token=token)["ada/secret"]["state"] == "fresh"
    other = house.key("slots:read", freelancer="bob")
    assert following(house, "ada/secret", token=other)["ada/secret"]["state"] == "private"


def test_a_booking_changes_it_at_once_and_time_does_too(house):
    assert following(house, "cyd/talk")["cyd/talk"]["next_slot"] == "2026-11-23T09:00:00+00:00"
    house.book("2026-11-23T09:00:00+00:00", "cyd/talk")
    assert following(house, "cyd/talk")["cyd/talk"]["next_slot"] == "2026-11-23T09:30:00+00:00"
    house.clock.set("2026-11-23T09:30:01+00:00")
    assert following(house, "cyd/talk")["cyd/talk"]["next_slot"] == "2026-11-30T09:00:00+00:00"


def test_an_unchanged_answer_is_not_sent_again(house):
    first = house.get("/v1/next?consultations=cyd/talk")
    known = {"If-None-Match": first.headers["ETag"]}
    assert house.get("/v1/next?consultations=cyd/talk", headers=known).status_code == 304
    house.book("2026-11-23T09:00:00+00:00", "cyd/talk")
    assert house.get("/v1/next?consultations=cyd/talk", headers=known).status_code == 200


def test_a_hundred_can_be_asked_for_and_no_more(untouched, problem_of):
    answer = untouched.get("/v1/next", params={"consultations": ",".join(["cyd/talk"] * 100)})
    assert len(answer.json()["data"]) == 100
    problem_of(untouched.get("/v1/next", params={"consultations": "cyd/talk," * 101}), 422, "invalid-request")


@pytest.mark.parametrize(
    "query", ["", "consultations=", "consultations=ada", "consultations=a/b/c", "consultations=a/b&time_zone=Mars/X"]
)
def test_what_cant_be_understood_is_told(untouched, problem_of, query):
    problem = problem_of(untouched.get(f"/v1/next?{query}"), 422, "invalid-request")
    assert problem["errors"][0]["pointer"].startswith("query:")


def test_what_is_kept_costs_one_look_however_many_are_asked_for(house):
    path = "/v1/next?consultations=ada/intro,ada/far,ada/daily,cyd/talk,bob/talk"
    house.clock.forward(seconds=1)
    house.get(path)
    seen = []

    def note(_connection, _cursor, statement, *_rest):
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(house.services.store.engine, "before_cursor_execute", note)
    house.get(path)
    event.remove(house.services.store.engine, "before_cursor_execute", note)
    assert len(seen) == 1
