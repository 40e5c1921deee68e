"""Rendered slots are, byte for byte, what isoformat and json.dumps would give."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability import ZoneError
from syncd.feed_json import render_days, render_periods

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
    "Pacific/Marquesas",
]
NEAR = [1289097060, 1325239200, 1586012400, 1585443600, 1793062800, 1774746000, 1710036000, 1300000000]


def slot(start: int, end: int, zone: ZoneInfo) -> dict[str, str]:
    return {key: datetime.fromtimestamp(at, zone).isoformat() for key, at in (("start", start), ("end", end))}


def by_isoformat(starts: list[int], duration: int, tz: str) -> bytes:
    days: dict[str, list[dict[str, str]]] = {}
    for start in starts:
        day = datetime.fromtimestamp(start, ZoneInfo(tz)).date().isoformat()
        days.setdefault(day, []).append(slot(start, start + duration, ZoneInfo(tz)))
    return json.dumps(days, separators=(",", ":")).encode()


@st.composite
def listings(draw: st.DrawFn) -> list[int]:
    begin = draw(st.one_of(st.sampled_from(NEAR), st.integers(1262304000, 2082758400))) - draw(st.integers(0, 90000))
    begin -= draw(st.sampled_from([begin % 60, begin % 900, 0]))
    steps = draw(st.lists(st.sampled_from([1, 60, 900, 3600, 7200, 40000, 90000]), max_size=40))
    starts = [begin]
    for step in steps:
        starts.append(starts[-1] + step)
    return starts[draw(st.integers(0, 1)) :]


@ROOMY
@given(listings(), st.sampled_from([60, 900, 1800, 3600, 86_400, 90, 1]), st.sampled_from(ODD))
def test_days_are_written_as_isoformat_and_json_would(starts, duration, tz):
    assert render_days(starts, duration, tz) == by_isoformat(starts, duration, tz)


@ROOMY
@given(listings(), st.sampled_from([900, 86_400, 7]), st.sampled_from(ODD))
def test_periods_are_written_as_isoformat_and_json_would(starts, length, tz):
    periods = [(start, start + length) for start in starts]
    wanted = json.dumps([slot(*period, ZoneInfo(tz)) for period in periods], separators=(",", ":"))
    assert render_periods(periods, tz) == wanted.encode()


@ROOMY
@given(listings(), st.sampled_from(ODD))
def test_every_start_written_in_any_zone_is_the_start_that_was_meant(starts, tz):
    days = json.loads(render_days(starts, 1800, tz))
    read = [datetime.fromisoformat(each["start"]) for slots in days.values() for each in slots]
    assert sorted(int(start.timestamp()) for start in read) == starts
    assert all(each["start"].startswith(day) for day, slots in days.items() for each in slots)


def test_a_date_the_clock_returns_to_is_one_key():
    starts = list(range(1289093400, 1289104200, 600))
    assert render_days(starts, 600, "America/St_Johns") == by_isoformat(starts, 600, "America/St_Johns")
    assert list(json.loads(render_days(starts, 600, "America/St_Johns"))) == ["2010-11-06", "2010-11-07"]


def test_nothing_is_an_empty_object():
    assert render_days([], 1800, "UTC") == b"{}"
    assert render_periods([], "UTC") == b"[]"


def test_offsets_of_long_ago_keep_their_seconds():
    assert render_days([-3_000_000_000], 60, "Europe/Berlin") == by_isoformat([-3_000_000_000], 60, "Europe/Berlin")


def test_an_unknown_zone_is_named():
    with pytest.raises(ZoneError, match="Berlin"):
        render_days([0], 60, "Berlin")
