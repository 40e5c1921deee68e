"""Where nothing is listed the feed says what comes next, and no kept answer says it for too long."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

import pytest

from syncd.store import offers


def meta(house, offer: str = "ada/intro", start: str = "2026-11-26", end: str = "2026-11-26", **more):
    return house.slots(offer, start, end, **more)["meta"]


def test_a_day_without_slots_names_the_first_one_after_it(house):
    # Thursday is closed; Friday's hours begin at 22:00.
    assert meta(house)["next_slot"] == "2026-11-27T22:00:00+00:00"
    assert meta(house, params={"format": "periods"})["next_slot"] == "2026-11-27T22:00:00+00:00"
    tokyo = meta(house, start="2026-11-27", end="2026-11-27", params={"time_zone": "Asia/Tokyo"})
    assert tokyo["next_slot"] == "2026-11-28T07:00:00+09:00"


def test_a_day_with_slots_names_none(house):
    assert meta(house, end="2026-11-27")["next_slot"] is None


def test_it_is_the_first_that_can_be_booked_not_the_first_of_set_hours(house):
    house.busy("2026-11-27T22:00+00:00", "2026-11-28T01:00+00:00")
    house.pull()
    assert meta(house)["next_slot"] == "2026-11-28T01:00:00+00:00"
    house.book("2026-11-28T01:00:00+00:00")
    assert meta(house)["next_slot"] == house.starts(start="2026-11-28")[0] > "2026-11-28T02:00"


def test_after_the_end_and_never_inside_what_was_asked(house):
    asked = {"start": "2026-11-27T22:00:00Z", "end": "2026-11-27T22:00:00Z"}
    assert meta(house, **asked)["next_slot"] == "2026-11-27T22:00:00+00:00"
    past = {"start": "2026-11-01", "end": "2026-11-02"}
    assert meta(house, **past)["next_slot"] == house.starts()[0]


def test_an_answer_ends_when_its_next_slot_comes_inside_the_notice(house):
    assert meta(house, "cyd/talk", "2026-11-22", "2026-11-22")["next_slot"] == "2026-11-23T09:00:00+00:00"
    kept = meta(house, "cyd/talk", "2026-11-22", "2026-11-22")
    assert kept["valid_until"] == "2026-11-23T09:00:00Z"
    house.clock.set(kept["valid_until"])
    assert meta(house, "cyd/talk", "2026-11-22", "2026-11-22")["next_slot"] == "2026-11-23T09:00:00+00:00"
    house.clock.forward(seconds=1)
    assert meta(house, "cyd/talk", "2026-11-22", "2026-11-22")["next_slot"] == "2026-11-23T09:15:00+00:00"


def test_an_answer_ends_when_a_next_slot_enters_the_horizon(house):
    # The horizon of 60 days reaches Thursday 2027-01-21, the next slot is on Friday.
    asked = ("cyd/talk", "2027-01-19", "2027-01-19")
    first = meta(house, *asked)
    assert first["next_slot"] is None
    entering = datetime.fromisoformat("2027-01-25T09:00:00+00:00") - timedelta(days=60)
    assert datetime.fromisoformat(first["valid_until"]) == entering
    house.clock.now = entering
    assert meta(house, *asked)["next_slot"] is None
    house.clock.forward(seconds=1)
    assert meta(house, *asked)["next_slot"] == "2027-01-25T09:00:00+00:00"


def test_a_booking_made_or_cancelled_changes_it_at_once(house):
    assert meta(house, "cyd/talk", "2026-11-22", "2026-11-22")["next_slot"] == "2026-11-23T09:00:00+00:00"
    booking = house.book("2026-11-23T09:00:00+00:00", "cyd/talk")
    assert meta(house, "cyd/talk", "2026-11-22", "2026-11-22")["next_slot"] == "2026-11-23T09:30:00+00:00"
    house.post(f"/v1/bookings/{booking['id']}/cancel", token=booking["token"])
    assert meta(house, "cyd/talk", "2026-11-22", "2026-11-22")["next_slot"] == "2026-11-23T09:00:00+00:00"


def test_an_inactive_consultation_has_no_next_slot_and_time_alone_gives_it_none(house):
    with house.services.store.write() as session:
        offer = offers.find_offer(session, "cyd", "talk")
        offer.consultation.active = False
        offer.freelancer.availability_version += 1
    found = meta(house, "cyd/talk", "2026-11-22", "2026-11-22")
    assert found == {"state": "fresh", "next_slot": None, "valid_until": None}


@pytest.mark.parametrize("forward", [0, 7, 59])
def test_it_is_what_a_look_at_the_following_days_lists_first(house, forward):
    house.clock.forward(hours=forward)
    house.pull()
    for offer, day in product(("ada/intro", "ada/daily", "cyd/talk"), range(22, 31)):
        asked = f"2026-11-{day}"
        found = house.slots(offer, asked, asked)
        after = (datetime.fromisoformat(asked) + timedelta(days=1)).date().isoformat()
        following = house.starts(offer, after, "2027-01-30")
        assert found["meta"]["next_slot"] == (None if found["slots"] else following[0])
