"""Zones as segments, against zoneinfo asked instant by instant."""

from __future__ import annotations

import time
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability import BookingRules, Busy, Schedule, Situation, ZoneError, open_slots, zones
from availability.schedule import day_number

ROOMY = settings(deadline=None, max_examples=300)
ODD = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "Europe/Dublin",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Gaza",
    "America/Asuncion",
    "Asia/Pyongyang",
]
FIRST, LAST = 1262304000, 2082758400  # 2010 to 2035


def offset(tz: str, instant: int) -> int:
    return int(datetime.fromtimestamp(instant, ZoneInfo(tz)).utcoffset().total_seconds())


@pytest.mark.parametrize("tz", ODD)
def test_segments_are_what_zoneinfo_says_every_three_hours(tz):
    found = zones.segments(tz, FIRST, LAST)
    assert found[0].start <= FIRST
    assert found[-1].end >= LAST
    assert all(a.end == b.start and a.offset != b.offset for a, b in pairwise(found))
    for start, end, ahead in found:
        probes = [start, *range(-(-start // 10800) * 10800, end, 10800), end - 1]
        assert {offset(tz, instant) for instant in probes} == {ahead}


@ROOMY
@given(st.sampled_from(ODD), st.integers(FIRST, LAST))
def test_the_local_date_of_an_instant_is_zoneinfos(tz, instant):
    local = datetime.fromtimestamp(instant, ZoneInfo(tz))
    assert zones.offset_at(tz, instant) == local.utcoffset().total_seconds()
    assert zones.local_day(tz, instant) == day_number(local.date())
    assert zones.local_days(tz, [instant, instant + 180 * 86_400, instant]) == [
        zones.local_day(tz, instant),
        zones.local_day(tz, instant + 180 * 86_400),
        zones.local_day(tz, instant),
    ]


@ROOMY
@given(st.sampled_from(ODD), st.integers(FIRST, LAST))
def test_an_instant_lies_in_the_spans_of_its_own_date_alone(tz, instant):
    day = zones.local_day(tz, instant)
    inside = [any(low <= instant < high for low, high in zones.day_spans(tz, day + off).pairs()) for off in (-1, 0, 1)]
    assert inside == [False, True, False]


def test_a_date_the_clock_returns_to_is_two_spans():
    first, second = zones.day_spans("America/St_Johns", day_number(date(2010, 11, 6))).pairs()
    assert first[1] + 60 == second[0]
    assert sum(end - start for start, end in (first, second)) == 25 * 3600 - 60


def test_a_date_that_was_left_out_is_no_span():
    assert zones.day_spans("Pacific/Apia", day_number(date(2011, 12, 30))).pairs() == []


def test_far_off_years_have_an_offset_too():
    for instant in (-(10**12), 10**12, 253402300799):
        assert abs(zones.offset_at("Europe/Berlin", instant)) <= 7200


@pytest.mark.parametrize("name", ["Berlin", "Europe", "", "/etc/localtime", "../UTC", "Europe/Berlin\0", None, 7])
def test_what_is_no_zone_is_named_with_what_would_be_right(name):
    with pytest.raises(ZoneError, match="Europe/Berlin"):
        zones.load(name)


def test_zones_come_from_the_tzdata_package_first():
    zones.pin()
    assert zoneinfo.TZPATH == ()
    assert zones.load("Europe/Berlin").key == "Europe/Berlin"


@pytest.mark.parametrize("host", ["UTC", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "XYZ-13:45"])
def test_the_hosts_zone_changes_nothing(host, monkeypatch):
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    week = {"saturday": ["22:00-04:00"], "sunday": ["01:00-03:30"], "monday": ["09:00-17:00"]}
    now = int(begin.timestamp())

    def slots() -> list[int]:
        zones.pin()
        rules = BookingRules((1800,), 900)
        hours = Schedule.parse(week, {"2026-10-26": []}, "Europe/Berlin")
        case = Situation(hours, rules, "Australia/Lord_Howe", "intro", Busy(), (), (), now)
        return open_slots(case, 1800, (now, now + 45 * 86_400))

    here = slots()
    monkeypatch.setenv("TZ", host)
    time.tzset()
    try:
        assert slots() == here
        assert len(here) == len(set(here)) > 100
    finally:
        monkeypatch.undo()
        time.tzset()


def test_every_range_near_a_change_is_as_if_looked_up_by_itself():
    """The quick way over plain days and the careful way agree for every date of 26 years."""
    week = {
        day: ["00:00-24:00", "00:00-00:30", "01:30-02:30", "23:30-00:30", "23:59-23:58"]
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    }
    for tz in ODD:
        found = Schedule.parse(week, {}, tz).openings((FIRST, LAST))
        quick = set(zip(found.opens, found.closes, found.days, strict=True))
        careful = set()
        for near in zones.segments(tz, FIRST, LAST)[1:]:
            for day in range(near.start // 86_400 - 3, near.start // 86_400 + 4):
                if found.days[0] < day < found.days[-1]:
                    careful |= set(looked_up(tz, day))
        assert careful <= quick


def looked_up(tz: str, day: int) -> list[tuple[int, int, int]]:
    texts = ((0, 24 * 60), (0, 30), (90, 150), (23 * 60 + 30, 24 * 60 + 30), (23 * 60 + 59, 47 * 60 + 58))
    midnight = timedelta(days=day).total_seconds()
    ends = [
        (zones.earliest(tz, int(midnight) + low * 60), zones.latest(tz, int(midnight) + high * 60))
        for low, high in texts
    ]
    return [(low, high, day) for low, high in ends if low < high]
