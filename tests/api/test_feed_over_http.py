"""The slot feed over HTTP (contract §4; semantics 1-10 as far as they show there)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

LONDON = ZoneInfo("Europe/London")


def _feed(house, params, offer="ada/intro", **more):
    return house.get(f"/v1/{offer}/slots", params=params, **more)


def test_a_day_is_answered_as_the_contract_shows_it(house):
    house.busy("2026-11-24T09:30:00", "2026-11-24T16:00:00")
    house.pull()
    assert house.slots(start="2026-11-24", end="2026-11-24", params={"time_zone": "Europe/Berlin"}) == {
        "freelancer": "ada",
        "consultation": "intro",
        "duration_minutes": 30,
        "time_zone": "Europe/Berlin",
        "slots": {
            "2026-11-24": [
                {"start": "2026-11-24T17:00:00+01:00", "end": "2026-11-24T17:30:00+01:00"},
                {"start": "2026-11-24T17:15:00+01:00", "end": "2026-11-24T17:45:00+01:00"},
                {"start": "2026-11-24T17:30:00+01:00", "end": "2026-11-24T18:00:00+01:00"},
            ]
        },
        "meta": {"state": "fresh", "next_slot": None, "valid_until": "2026-11-22T12:30:00Z"},
    }


def test_dates_are_whole_days_and_the_last_one_counts(untouched):
    days = untouched.slots(start="2026-11-23", end="2026-11-25")["slots"]
    assert list(days) == ["2026-11-23", "2026-11-24", "2026-11-25"]


def test_instants_are_half_open(untouched):
    nine = {"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T09:15:00Z"}
    assert untouched.starts(params=nine) == ["2026-11-24T09:00:00+00:00"]
    assert untouched.starts(params=nine | {"end": "2026-11-24T09:15:01Z"}) == [
        "2026-11-24T09:00:00+00:00",
        "2026-11-24T09:15:00+00:00",
    ]
    assert untouched.slots(params=nine | {"end": nine["start"]})["slots"] == {}


def test_a_plus_that_arrived_as_a_space_is_understood(untouched):
    query = "start=2026-11-24T10:00:00+01:00&end=2026-11-24T10:30:00+01:00"
    answer = untouched.get(f"/v1/ada/intro/slots?{query}").json()
    assert [slot["start"][11:16] for slot in answer["slots"]["2026-11-24"]] == ["09:00", "09:15"]


def test_days_without_a_slot_are_left_out_and_none_at_all_is_an_empty_object(untouched):
    assert list(untouched.slots(start="2026-11-25", end="2026-11-27")["slots"]) == ["2026-11-25", "2026-11-27"]
    assert untouched.slots(start="2026-11-26", end="2026-11-26")["slots"] == {}
    assert untouched.slots(start="2026-12-01", end="2026-12-01")["slots"] == {}, "a closed date"


def test_the_key_of_a_day_is_the_local_date_of_the_start_in_the_zone_asked_for(untouched):
    tokyo = untouched.slots(start="2026-11-24", end="2026-11-25", params={"time_zone": "Asia/Tokyo"})
    assert tokyo["time_zone"] == "Asia/Tokyo"
    for day, slots in tokyo["slots"].items():
        for slot in slots:
            assert slot["start"].startswith(day)
            assert slot["start"].endswith("+09:00")
    first, last = tokyo["slots"]["2026-11-24"][0], tokyo["slots"]["2026-11-25"][-1]
    assert (first["start"], last["start"]) == ("2026-11-24T00:00:00+09:00", "2026-11-25T23:45:00+09:00")


def test_every_zone_lists_the_same_instants(untouched):
    window = {"start": "2026-11-23T00:00:00Z", "end": "2026-11-30T00:00:00Z"}
    home = {datetime.fromisoformat(s) for s in untouched.starts(params=window)}
    for tz in ("America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "UTC"):
        assert {datetime.fromisoformat(s) for s in untouched.starts(params=window | {"time_zone": tz})} == home


def test_hours_over_midnight_belong_to_the_evening_they_open_on(untouched):
    friday = untouched.starts(start="2026-11-27", end="2026-11-28")
    assert friday[0] == "2026-11-27T22:00:00+00:00"
    assert friday[-1] == "2026-11-28T01:30:00+00:00"


@pytest.mark.parametrize(("day", "hours"), [("2027-03-28", 3), ("2027-04-04", 4)])
def test_on_the_day_of_the_change_the_hours_are_those_that_exist(untouched, day, hours):
    """00:00-04:00 on a Sunday in London: an hour shorter when the clocks go forward."""
    starts = [datetime.fromisoformat(s) for s in untouched.starts("ada/far", day, day)]
    half_hours = [starts[0].astimezone(UTC) + timedelta(minutes=30 * n) for n in range(2 * hours)]
    assert [s.astimezone(UTC) for s in starts] == half_hours
    assert all(s.utcoffset() == s.astimezone(LONDON).utcoffset() for s in starts)


def test_what_lies_in_the_past_or_beyond_the_horizon_is_cut_off(untouched):
    first = untouched.starts(start="2026-11-01", end="2026-11-29")[0]
    assert first == "2026-11-23T13:00:00+00:00", "12:00 now, 24 h of notice, closed at noon"
    last = untouched.starts(start="2026-12-20", end="2027-03-01")[-1]
    assert last == "2027-01-20T16:30:00+00:00", "60 days on it is Thursday; Wednesday is the last open day"
    assert untouched.slots(start="2020-01-01", end="2020-02-01")["slots"] == {}
    assert untouched.slots(start="2040-01-01", end="2040-02-01")["slots"] == {}


def test_notice_ends_and_the_horizon_begins_at_their_instants(house):
    house.clock.set("2026-11-23T09:00:00+00:00")
    house.pull()
    assert house.starts(start="2026-11-24", end="2026-11-24")[0] == "2026-11-24T09:00:00+00:00"
    house.clock.forward(seconds=1)
    assert house.starts(start="2026-11-24", end="2026-11-24")[0] == "2026-11-24T09:15:00+00:00"
    assert house.starts(start="2027-01-22", end="2027-01-22") == [], "60 days on, at 09:00:01"


def test_ninety_two_days_are_answered_and_one_more_is_refused(untouched, problem_of):
    start = date(2026, 11, 23)
    assert _feed(untouched, {"start": start, "end": start + timedelta(days=91)}).status_code == 200
    problem = problem_of(_feed(untouched, {"start": start, "end": start + timedelta(days=92)}), 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == "query:end"
    instants = {"start": "2026-11-23T00:00:00Z", "end": "2027-02-23T00:00:00Z"}
    assert _feed(untouched, instants).status_code == 200
    problem_of(_feed(untouched, instants | {"end": "2027-02-23T00:00:01Z"}), 422, "invalid-request")


def test_a_duration_is_one_of_those_offered_and_defaults_to_the_first(untouched, problem_of):
    hour = untouched.slots(start="2026-11-24", end="2026-11-24", params={"duration_minutes": 60})
    assert hour["duration_minutes"] == 60
    assert hour["slots"]["2026-11-24"][-1]["start"] == "2026-11-24T16:00:00+00:00"
    answer = _feed(untouched, {"start": "2026-11-24", "end": "2026-11-24", "duration_minutes": 45})
    problem = problem_of(answer, 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == "query:duration_minutes"
    assert "30, 60" in problem["detail"]


def test_periods_hold_every_slot_and_no_other(house):
    house.busy("2026-11-24T10:00:00", "2026-11-24T10:20:00")
    house.pull()
    answer = house.slots(start="2026-11-24", end="2026-11-24", params={"format": "periods"})
    assert "slots" not in answer
    assert answer["increment_minutes"] == 15
    starts = []
    for period in answer["periods"]:
        at, end = datetime.fromisoformat(period["start"]), datetime.fromisoformat(period["end"])
        while at + timedelta(minutes=30) <= end:
            starts.append(at.isoformat())
            at += timedelta(minutes=15)
    assert starts == house.starts(start="2026-11-24", end="2026-11-24")
    assert [p["start"][11:16] for p in answer["periods"]] == ["09:00", "10:30", "13:00"]


def test_busy_time_and_buffers_close_slots_from_the_next_pull_on(house):
    before = house.starts(start="2026-11-24", end="2026-11-24")
    uid = house.busy("2026-11-24T10:00:00", "2026-11-24T10:30:00")
    assert house.starts(start="2026-11-24", end="2026-11-24") == before
    house.pull()
    closed = [s[11:16] for s in before if s not in house.starts(start="2026-11-24", end="2026-11-24")]
    assert closed == ["09:30", "09:45", "10:00", "10:15"], "09:30 would leave no ten minutes after it"
    house.remote["ada"].remove("Work", uid)
    house.pull()
    assert house.starts(start="2026-11-24", end="2026-11-24") == before


def test_only_calendars_that_block_close_slots(house):
    before = house.starts()
    house.busy("2026-11-24T10:00:00", "2026-11-24T10:30:00", calendar="Shared")
    house.pull()
    assert house.starts() == before


# Metadata and caching


def test_valid_until_is_when_time_alone_changes_the_answer(house):
    house.clock.set("2026-11-22T12:40:00+00:00")
    house.pull()
    answer = house.slots(start="2026-11-23", end="2026-11-23")
    until = answer["meta"]["valid_until"]
    assert until == "2026-11-22T13:00:00Z", "13:00 is exactly its notice away then"
    house.clock.set(until)
    assert house.slots(start="2026-11-23", end="2026-11-23") == answer
    house.clock.set("2026-11-22T13:00:00.000001+00:00")
    assert house.starts(start="2026-11-23", end="2026-11-23")[0] == "2026-11-23T13:15:00+00:00"


def test_an_answer_about_the_past_ends_with_its_next_slot(untouched):
    assert untouched.slots("cyd/talk", "2020-01-01", "2020-01-02")["meta"] == {
        "state": "fresh",
        "next_slot": "2026-11-23T09:00:00+00:00",
        "valid_until": "2026-11-23T09:00:00Z",
    }


def test_an_unchanged_answer_is_not_sent_again(house):
    query = {"start": "2026-11-23", "end": "2026-11-29"}
    first = _feed(house, query)
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["Syncd-Synced-At"] == "2026-11-22T12:00:00Z"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = _feed(house, query, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("ETag", "Cache-Control", "Syncd-Synced-At"):
            assert again.headers[name] == first.headers[name]
    assert _feed(house, query, headers={"If-None-Match": '"other"'}).status_code == 200
    house.book("2026-11-24T09:00:00Z")
    changed = _feed(house, query, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_head_answers_as_get_without_the_body(untouched):
    query = {"start": "2026-11-23", "end": "2026-11-29"}
    head = untouched.call("HEAD", "/v1/ada/intro/slots", params=query)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == _feed(untouched, query).headers["ETag"]


def test_the_oldest_pull_is_told_to_all(house):
    query = {"start": "2026-11-23", "end": "2026-11-23"}
    assert _feed(house, query).headers["Syncd-Synced-At"] == "2026-11-22T12:00:00Z"
    house.clock.forward(minutes=10)
    assert _feed(house, query).headers["Syncd-Synced-At"] == "2026-11-22T12:00:00Z"
    house.pull()
    answer = _feed(house, query)
    assert answer.headers["Syncd-Synced-At"] == "2026-11-22T12:10:00Z", "also when the pull changed nothing"
    assert answer.json()["meta"]["valid_until"] == "2026-11-22T12:40:00Z"


def test_the_holder_of_a_key_sees_how_far_each_calendar_is_known(house):
    calendars = house.slots(token=house.key("slots:read"))["meta"]["calendars"]
    assert [(c["state"], c["synced_at"]) for c in calendars] == [("fresh", "2026-11-22T12:00:00Z")] * 2
    assert all(c["id"].startswith("cal_") for c in calendars)
    assert "calendars" not in house.slots()["meta"]
    assert "calendars" not in house.slots(token=house.key("slots:read", freelancer="bob"))["meta"]
    assert "calendars" not in house.slots(token=house.key("bookings:read"))["meta"]
    assert "calendars" in house.slots(token=house.key("slots:read", freelancer=None))["meta"]


# What is unknown


def test_calendars_that_were_never_pulled_are_unknown_and_not_free(empty_house, problem_of):
    answer = _feed(empty_house, {"start": "2026-11-23", "end": "2026-11-29"})
    problem_of(answer, 503, "availability-unknown")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_stale_calendar_closes_at_its_instant_and_opens_with_the_next_pull(house, problem_of):
    query = {"start": "2026-11-23", "end": "2026-11-29"}
    house.clock.forward(minutes=30)
    assert _feed(house, query).status_code == 200
    house.clock.forward(seconds=1)
    problem_of(_feed(house, query), 503, "availability-unknown")
    problem_of(house.post("/v1/ada/intro/bookings", house.wish("2026-11-24T09:00:00Z")), 503, "availability-unknown")
    house.pull()
    assert _feed(house, query).status_code == 200


def test_an_account_that_serves_when_stale_is_degraded_and_says_so(house):
    assert house.slots("bob/talk", "2026-11-30", "2026-11-30")["meta"]["state"] == "fresh"
    house.clock.forward(hours=2)
    answer = house.slots("bob/talk", "2026-11-30", "2026-11-30")
    assert answer["meta"]["state"] == "degraded"
    assert answer["slots"]["2026-11-30"][0]["start"] == "2026-11-30T09:00:00+01:00"
    assert house.book("2026-11-30T08:00:00Z", "bob/talk")["state"] == "confirmed"


def test_a_freelancer_without_calendars_is_fresh(untouched):
    answer = untouched.get("/v1/cyd/talk/slots", params={"start": "2026-11-23", "end": "2026-11-23"})
    assert answer.json()["meta"]["state"] == "fresh"
    assert "Syncd-Synced-At" not in answer.headers


# Who may see what


def test_an_inactive_consultation_offers_nothing(untouched):
    assert untouched.slots("ada/off")["slots"] == {}
    assert untouched.explain("2026-11-24T09:00:00Z", "ada/off")["reasons"] == [{"code": "inactive"}]


def test_an_unlisted_consultation_is_open_to_whoever_knows_it_and_a_private_one_to_keys(house, problem_of):
    assert house.slots("ada/chat")["slots"]
    query = {"start": "2026-11-23", "end": "2026-11-29"}
    problem_of(_feed(house, query, "ada/secret"), 401, "unauthorized")
    problem_of(_feed(house, query, "ada/secret", token=house.key("bookings:read")), 403, "forbidden")
    problem_of(_feed(house, query, "ada/secret", token=house.key("slots:read", freelancer="bob")), 403, "forbidden")
    assert house.slots("ada/secret", token=house.key("slots:read"))["slots"]
    explain = "/v1/ada/secret/slots/explain?at=2026-11-24T09:00:00Z"
    problem_of(house.get(explain), 401, "unauthorized")
    problem_of(house.post("/v1/ada/secret/bookings", house.wish("2026-11-24T09:00:00Z")), 401, "unauthorized")
    assert house.book("2026-11-24T09:00:00Z", "ada/secret", token=house.key("bookings:write"))["id"]


@pytest.mark.parametrize("offer", ["ada/nothing", "eve/intro", "ADA/intro", "ada/Intro", "%00/%ff", "bookings/x"])
def test_names_that_nobody_has_are_not_found(house, problem_of, offer):
    query = {"start": "2026-11-23", "end": "2026-11-29"}
    problem_of(_feed(house, query, offer), 404, "not-found")
    problem_of(house.get(f"/v1/{offer}/slots/explain", params={"at": "2026-11-24T09:00:00Z"}), 404, "not-found")
    problem_of(house.post(f"/v1/{offer}/bookings", house.wish("2026-11-24T09:00:00Z")), 404, "not-found")


# Around a booking that is being moved


def test_rescheduling_leaves_the_booking_out_of_what_blocks_for_its_token_alone(house, problem_of):
    open_to_all = house.starts(start="2026-11-24", end="2026-11-24")
    booking = house.book("2026-11-24T10:00:00Z", duration_minutes=60)
    other = house.book("2026-11-25T10:00:00Z")
    house.pull()
    assert "2026-11-24T10:00:00+00:00" not in house.starts(start="2026-11-24", end="2026-11-24")
    moving = {"rescheduling": booking["id"]}
    day = {"start": "2026-11-24", "end": "2026-11-24"} | moving
    answer = house.slots(params=day, token=booking["token"])
    assert answer["duration_minutes"] == 60
    starts = [slot["start"] for slot in answer["slots"]["2026-11-24"]]
    assert starts == [s for s in open_to_all if s[11:16] not in ("11:15", "11:30", "16:15", "16:30")]
    assert house.get("/v1/ada/intro/slots", params=day | {"token": booking["token"]}).json() == answer
    assert house.slots(params=day, token=house.key("bookings:read"))["slots"] == answer["slots"]
    for token in ("", other["token"], "bkt_wrong"):
        problem_of(_feed(house, day, token=token), 401, "unauthorized")
    problem_of(_feed(house, day, token=house.key("slots:read")), 403, "forbidden")
    problem_of(_feed(house, day, token=house.key("bookings:read", freelancer="bob")), 404, "not-found")
    problem_of(_feed(house, day, "ada/chat", token=booking["token"]), 404, "not-found")
    problem_of(_feed(house, day | {"duration_minutes": 30}, token=booking["token"]), 422, "invalid-request")


def test_around_a_booking_the_calendars_are_told_to_keys_that_may_read_slots(house):
    booking = house.book("2026-11-24T10:00:00Z")
    moving = {"rescheduling": booking["id"]}
    for scopes, told in [(("bookings:read",), False), (("bookings:read", "slots:read"), True)]:
        assert ("calendars" in house.slots(params=moving, token=house.key(*scopes))["meta"]) == told
    assert "calendars" not in house.slots(params=moving, token=booking["token"])["meta"]


def test_a_booking_that_cant_be_moved_any_more_lists_nothing_to_move_it_to(house, problem_of):
    booking = house.book("2026-11-24T10:00:00Z")
    house.post(f"/v1/bookings/{booking['id']}/cancel", {}, token=booking["token"])
    day = {"start": "2026-11-24", "end": "2026-11-24", "rescheduling": booking["id"]}
    problem = problem_of(_feed(house, day, token=booking["token"]), 409, "wrong-state")
    assert problem["current_state"] == "cancelled"


# Questions that can't be understood


@pytest.mark.parametrize(
    ("query", "pointer", "words"),
    [
        ("", "query:start", "is missing"),
        ("start=2026-11-23", "query:end", "is missing"),
        ("start=tomorrow&end=2026-11-24", "query:end", "both be dates"),
        ("start=tomorrow&end=later", "query:start", "must be an instant with an offset"),
        ("start=2026-11-23&end=2026-11-24T00:00:00Z", "query:end", "both be dates, or both instants"),
        ("start=2026-11-23T09:00:00&end=2026-11-24T00:00:00", "query:start", "with an offset"),
        ("start=2026-11-24&end=2026-11-23", "query:end", "before start"),
        ("start=2026-11-24T00:00:00Z&end=2026-11-23T00:00:00Z", "query:end", "before start"),
        ("start=2026-02-30&end=2026-03-01", "query:start", "2026-02-30 is no date"),
        ("start=2026-02-30T00:00:00Z&end=2026-03-01T00:00:00Z", "query:start", "no such date"),
        ("start=2026-11-23T25:00:00Z&end=2026-11-24T00:00:00Z", "query:start", "is no instant"),
        ("start=2026-11-23T00:00:00%2B99:99&end=2026-11-24T00:00:00Z", "query:start", "is no instant"),
        ("start=0001-01-01&end=0001-01-02", "query:start", "between 1971 and 2199"),
        ("start=9999-12-31&end=9999-12-31", "query:start", "between 1971 and 2199"),
        ("start=2026-11-23&end=2026-11-24&time_zone=Mars/Phobos", "query:time_zone", "Europe/Berlin"),
        ("start=2026-11-23&end=2026-11-24&time_zone=../../etc/passwd", "query:time_zone", "IANA"),
        ("start=2026-11-23&end=2026-11-24&time_zone=%00", "query:time_zone", "must not hold NUL"),
        ("start=2026-11-23&end=2026-11-24&duration_minutes=soon", "query:duration_minutes", "a whole number"),
        ("start=2026-11-23&end=2026-11-24&duration_minutes=0", "query:duration_minutes", "more than 0"),
        ("start=2026-11-23&end=2026-11-24&duration_minutes=9" + "9" * 30, "query:duration_minutes", "at most 10080"),
        ("start=2026-11-23&end=2026-11-24&duration_minutes=9" + "9" * 5000, "query:duration_minutes", "number"),
        ("start=2026-11-23&end=2026-11-24&format=xml", "query:format", "'slots' or 'periods'"),
        ("start=%FF%FE&end=%00", "query:end", "must not hold NUL"),
        ("start=%FF%FE&end=2026-11-24T00:00:00Z", "query:start", "instant"),
        ("start=" + "9" * 100 + "&end=1", "query:start", "at most 40 characters"),
    ],
)
def test_a_question_that_cant_be_understood_is_told_where_and_what_would_be_right(
    untouched, problem_of, query, pointer, words
):
    problem = problem_of(untouched.get(f"/v1/ada/intro/slots?{query}"), 422, "invalid-request")
    error = problem["errors"][0]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert words in problem["detail"]
