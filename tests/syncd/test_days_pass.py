"""Busy time is expanded further as days pass, without asking the provider, to what a fresh full pull would store."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.jobs.due import Order
from syncd.store import leases
from syncd.sync.pull import Pull, extend_calendar


def extend(house) -> None:
    """Expand the calendar alone, as the worker does when a day has passed."""
    with house.services.store.write() as session:
        leases.claim(session, house.account_id, "worker", house.now, house.locks.is_alive)
    settings = house.shop.settings
    extend_calendar(Pull(house.services.store, None, settings, "worker", house.calendar().id, house.clock, jitter=0.0))
    with house.services.store.write() as session:
        leases.release(session, house.account_id, "worker")


def test_a_new_day_is_expanded_without_asking_the_provider(house, at):
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    house.remote.calls.clear()
    before = house.rows()
    house.later(days=12)
    extend(house)
    assert house.remote.calls.total() == 0
    starts = sorted(start for _, start, _ in house.rows())
    assert starts[0] == at(10, 4).timestamp()
    assert starts[-1] - max(start for _, start, _ in before) == 12 * 86_400


def test_the_worker_does_it_once_a_day(house, at):
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    assert house.sync().extended == 0
    house.now = at(23.99)
    assert house.sync().extended == 0
    house.now = at(0, 1)
    assert house.sync().extended == 1
    assert house.sync().extended == 0


def test_every_slot_in_the_horizon_is_judged_by_expanded_series(make_house, at):
    """Day after day, with pulls that bring nothing and busy time kept for no longer than the horizon."""
    house = make_house(keep="20d")
    house.sync()
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    for _ in range(24):
        house.later(hours=23)
        house.sync()
        assert not [slot for slot in house.feed(house.now, 30) if slot[11:13] == "10"]


def test_past_spans_go_and_those_of_the_last_days_stay(house, at):
    for day in range(4):
        house.put(f"day{day}", at(12, day))
    house.pull()
    house.now = at(8, 10)
    extend(house)
    assert {row[0] for row in house.rows()} == {"day2", "day3"}


def test_keeping_busy_time_for_longer_expands_further_at_once(house, at):
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    last = max(start for _, start, _ in house.rows())
    house.apply(keep="60d")
    house.shop = house.workshop()
    house.sync()
    assert max(start for _, start, _ in house.rows()) - last == 20 * 86_400


RULES = st.sampled_from(
    [
        "",
        "RRULE:FREQ=DAILY",
        "RRULE:FREQ=DAILY;INTERVAL=3;COUNT=20",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,TH,SU",
        "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1",
        "RRULE:FREQ=MONTHLY;BYDAY=2TU",
        "RRULE:FREQ=YEARLY",
        "RRULE:FREQ=DAILY;UNTIL=20270110T000000Z",
        "RRULE:FREQ=WEEKLY RDATE:20270103T120000Z,20270214T090000Z EXDATE:20261207T100000Z",
        "RRULE:FREQ=HOURLY;INTERVAL=7",
        "TRANSP:TRANSPARENT RRULE:FREQ=DAILY",
    ]
)
SERIES = st.lists(
    st.tuples(RULES, st.integers(-60, 60), st.integers(0, 95), st.sampled_from([15, 60, 24 * 60, 3 * 24 * 60 + 7])),
    max_size=5,
)


@pytest.mark.parametrize("zone", ["UTC", "Australia/Lord_Howe"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=SERIES, days=st.lists(st.integers(1, 45), min_size=1, max_size=4))
def test_expanding_day_by_day_equals_a_fresh_full_pull(make_house, monday, zone, series, days):
    house = make_house()
    house.remote.add_calendar("Work", tz=zone)
    for number, (rule, day, quarter, minutes) in enumerate(series):
        start = (monday + timedelta(days=day)).replace(hour=0) + timedelta(minutes=15 * quarter)
        house.put(f"s{number}", start, minutes, rule)
    all_day = house.ics("day", monday).replace("DTSTART:20261123T080000Z", "DTSTART;VALUE=DATE:20261201")
    house.remote.put("Work", "day", all_day.replace("DTEND:20261123T090000Z", "RRULE:FREQ=WEEKLY"))
    house.sync()
    house.remote.calls.clear()
    for passed in days:
        house.later(days=passed)
        extend(house)
    assert house.remote.calls.total() == 0
    extended = house.rows()
    house.sync(Order(everything=True, full=True))
    assert extended == house.rows()
