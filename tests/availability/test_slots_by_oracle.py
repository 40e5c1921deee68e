"""The engine against an oracle that walks every minute and shares no code with it, over zones and clock changes."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from availability import (
    BookingRules,
    Busy,
    Claim,
    Code,
    Schedule,
    Situation,
    explain,
    first_slot,
    intervals,
    nearest,
    open_periods,
    open_slots,
    open_time,
    valid_until,
    whole_second,
)

MINUTE, DAY = 60, 86_400
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ZONES = (
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
)
ODD_DAYS = (
    ("America/St_Johns", date(2010, 11, 7)),  # at 00:01 back to 23:01 of the day before
    ("America/St_Johns", date(2011, 3, 13)),
    ("Pacific/Apia", date(2011, 12, 30)),  # left out altogether
    ("Australia/Lord_Howe", date(2020, 4, 5)),  # half an hour
    ("Antarctica/Troll", date(2020, 3, 29)),  # two hours
    ("Africa/Casablanca", date(2024, 3, 10)),
    ("Europe/Dublin", date(2026, 10, 25)),
)
QUICK = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Case:
    """A situation as the oracle reads it: texts and minutes, `now` unrounded; and the same as the engine gets it."""

    tz: str
    day: date
    hours: dict[str, list[str]]
    on: dict[str, list[str]]
    busy: dict[str, list[tuple[int, int]]]
    now: datetime
    window: tuple[int, int]
    duration: int
    engine: Situation


# The cases


@cache
def changes(tz: str) -> list[date]:
    zone = ZoneInfo(tz)
    days = [datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(26 * 365)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [day.date() for day, before, after in zip(days, offsets, offsets[1:], strict=False) if before != after]


def anchors() -> st.SearchStrategy[tuple[str, date]]:
    any_day = st.tuples(st.sampled_from(ZONES), st.dates(date(2010, 1, 10), date(2035, 12, 20)))
    moving = st.sampled_from([tz for tz in ZONES if tz not in ("UTC", "Asia/Kathmandu")])
    near = moving.flatmap(lambda tz: st.tuples(st.just(tz), st.sampled_from(changes(tz))))
    return st.integers(0, 9).flatmap(
        lambda kind: any_day if kind < 2 else near if kind < 6 else st.sampled_from(ODD_DAYS)
    )


def texts() -> st.SearchStrategy[list[str]]:
    odd = st.sampled_from([0, 1, 30, 60, 90, 120, 121, 150, 180, 539, 720, 1320, 1381, 1410, 1439])
    opened = st.one_of(odd, st.integers(0, 287).map(lambda five: five * 5))
    spans = st.tuples(opened, st.one_of(opened, st.just(1440))).filter(lambda span: span[0] != span[1])
    odd_texts = spans.map(lambda span: "-".join(f"{m // 60:02}:{m % 60:02}" for m in span))
    usual = st.sampled_from(["00:00-24:00", "08:00-12:00", "12:00-20:00", "21:00-03:00", "07:10-23:00", "00:00-06:00"])
    return st.lists(st.one_of(odd_texts, usual, usual), min_size=1, max_size=3)


@st.composite
def exceptions(draw: st.DrawFn, day: date) -> dict[str, list[str]]:
    singles = draw(st.lists(st.integers(-3, 3), max_size=2, unique=True))
    lengths = draw(st.lists(st.integers(1, 5), max_size=2, unique=True))
    keys = [(day + timedelta(days=number)).isoformat() for number in singles]
    for length in lengths:
        first = day + timedelta(days=draw(st.integers(-4, 2)))
        keys.append(f"{first.isoformat()}/{(first + timedelta(days=length - 1)).isoformat()}")
    return {key: draw(st.one_of(st.just([]), texts(), texts())) for key in keys}


@st.composite
def claims(draw: st.DrawFn, noon: int) -> Claim:
    start = noon + MINUTE * 5 * draw(st.integers(-432, 432))
    before, after = draw(st.sampled_from([0, 5, 25])) * MINUTE, draw(st.sampled_from([0, 10, 40])) * MINUTE
    length = MINUTE * draw(st.sampled_from([5, 30, 90]))
    return Claim(
        f"bkg_{start}",
        start,
        start + length,
        before,
        after,
        draw(st.sampled_from(["own", "other"])),
        draw(st.booleans()),
    )


def booking_rules() -> st.SearchStrategy[BookingRules]:
    daily, weekly = st.sampled_from([None] * 8 + [1, 2, 3]), st.sampled_from([None] * 16 + [3, 4, 5, 6, 1, 0])
    length = lambda *minutes: st.sampled_from([minute * MINUTE for minute in minutes])
    return st.builds(
        BookingRules,
        durations=length(5, 15, 30, 30, 60, 60, 90, 300, 1440).map(lambda duration: (duration,)),
        increment=length(5, 7, 15, 15, 20, 30, 30, 45, 60, 90, 1440),
        minimum_notice=length(0, 0, 1, 30, 90, 720, 1440),
        horizon=length(2880, 4320, 7200, 14400, 14400, 20000, 20000, 20000, 0),
        buffer_before=length(0, 0, 5, 30),
        buffer_after=length(0, 0, 10, 45),
        daily_limit=daily,
        weekly_limit=weekly,
        freelancer_daily_limit=daily,
        freelancer_weekly_limit=weekly,
        active=st.sampled_from([True] * 12 + [False]),
    )


@st.composite
def cases(draw: st.DrawFn, at: tuple[str, date] | None = None) -> Case:
    tz, day = at if at is not None else draw(anchors())
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    hours = {weekday: draw(texts()) for weekday in WEEKDAYS if draw(st.integers(0, 9))}
    on = draw(exceptions(day))
    minutes = st.integers(-1800, 1800)
    quarters = st.integers(-120, 120).map(lambda quarter: quarter * 15)
    spans = st.tuples(st.one_of(minutes, quarters, quarters), st.sampled_from([0, 1, 15, 60, 60, 300])).map(
        lambda span: (noon + span[0] * MINUTE, noon + (span[0] + span[1]) * MINUTE)
    )
    busy = draw(st.dictionaries(st.sampled_from("abc"), st.lists(spans, max_size=4), max_size=3))
    begun = draw(
        st.one_of(st.integers(-4 * DAY, -DAY), st.integers(-4 * DAY, DAY // 2), minutes.map(lambda m: m * MINUTE))
    )
    now = datetime.fromtimestamp(noon + begun, UTC) + timedelta(microseconds=draw(st.sampled_from([0, 0, 1, 999_999])))
    first = noon + draw(st.integers(-DAY, DAY // 4))
    rules = draw(booking_rules())
    engine = Situation(
        Schedule.parse(hours, on, tz),
        rules,
        draw(st.sampled_from([tz, tz, *ZONES])),
        "own",
        Busy.of(busy),
        tuple(draw(st.lists(claims(noon), max_size=6))),
        draw(st.sampled_from([()] * 12 + [("cal_a", "cal_b")])),
        whole_second(now),
    )
    window = (first, first + draw(st.sampled_from([DAY // 8, DAY, 3 * DAY // 2])))
    return Case(tz, day, hours, on, busy, now, window, rules.durations[0], engine)


# The promises


def why(case: Case, start: int) -> set[str]:
    return {reason.code for reason in explain(case.engine, case.duration, start)}


@settings(QUICK, max_examples=120)
@given(cases())
def test_what_is_listed_is_what_a_walk_over_every_minute_finds(walk: SimpleNamespace, case: Case):
    found = walk.reasons(case)
    assert open_slots(case.engine, case.duration, case.window) == [start for start, codes in found.items() if not codes]


@settings(QUICK, max_examples=40)
@given(cases(), st.data())
def test_explain_gives_every_reason_the_walk_finds_and_none_for_a_slot(
    walk: SimpleNamespace, case: Case, data: st.DataObject
):
    found = walk.reasons(case)
    some = sorted(found) and data.draw(st.lists(st.sampled_from(sorted(found)), max_size=30))
    slots = open_slots(case.engine, case.duration, case.window)
    for start in [*some, *slots[:5], *slots[-5:]]:
        assert why(case, start) == found[start]


@QUICK
@given(cases(), st.integers(1, 59))
def test_a_start_between_two_minutes_is_never_listed_and_always_explained(case: Case, second: int):
    slots = open_slots(case.engine, case.duration, case.window)
    assert not any(start % MINUTE for start in slots)
    for start in slots[:10]:
        assert why(case, start + second)


@QUICK
@given(cases())
def test_expanded_periods_are_exactly_the_slots(case: Case):
    periods = open_periods(case.engine, case.duration, case.window)
    increment = case.engine.rules.increment
    starts = [start for low, high in periods for start in range(low, high - case.duration + 1, increment)]
    assert sorted(starts) == open_slots(case.engine, case.duration, case.window)
    assert periods == sorted(periods)


@settings(QUICK, max_examples=120)
@given(cases())
def test_open_time_is_what_all_slots_take_together(case: Case):
    every = open_slots(case.engine, case.duration, case.engine.rules.booking_window(case.engine.now))
    assert open_time(case.engine, case.duration) == intervals.of((start, start + case.duration) for start in every)


@settings(QUICK, max_examples=100)
@given(cases(), st.lists(st.floats(0, 1), max_size=4))
def test_the_listing_changes_at_valid_until_and_at_no_moment_before(case: Case, fractions: list[float]):
    listed = lambda now: open_slots(replace(case.engine, now=now), case.duration, case.window)
    now, until = case.engine.now, valid_until(case.engine, case.duration, case.window)
    last = until - 1 if until is not None else now + 60 * DAY
    assert last >= now
    for between in [last, *(now + int((last - now) * fraction) for fraction in fractions)]:
        assert listed(between) == listed(now)
    if until is not None:
        assert listed(until) != listed(now)


@QUICK
@given(cases(), st.integers(-2000, 2000), st.integers(0, 300))
def test_more_busy_time_never_adds_a_slot(case: Case, begin: int, minutes: int):
    start = case.window[0] + begin * MINUTE
    more = replace(case.engine, busy=Busy.of({**case.busy, "more": [(start, start + minutes * MINUTE)]}))
    assert set(open_slots(more, case.duration, case.window)) <= set(open_slots(case.engine, case.duration, case.window))


@QUICK
@given(cases(), st.integers(-3 * DAY, 3 * DAY), st.integers(0, 7))
def test_the_nearest_starts_are_those_of_the_whole_booking_window(case: Case, off: int, count: int):
    start = case.window[0] + off
    every = open_slots(case.engine, case.duration, case.engine.rules.booking_window(case.engine.now))
    wanted = sorted(every, key=lambda near: (abs(near - start), near))[:count]
    assert nearest(case.engine, case.duration, start, count) == sorted(wanted)


@QUICK
@given(cases())
def test_the_first_slot_is_the_first_of_the_listing(case: Case):
    listed = open_slots(case.engine, case.duration, case.window)
    assert first_slot(case.engine, case.duration, case.window) == (listed[0] if listed else None)


@QUICK
@given(cases(), st.lists(st.integers(-2 * DAY, 2 * DAY), max_size=5))
def test_what_is_remembered_from_other_questions_never_changes_an_answer(case: Case, shifts: list[int]):
    for shift in shifts:
        open_slots(case.engine, case.duration, (case.window[0] + shift, case.window[1] + shift))
        explain(case.engine, case.duration, case.window[0] + shift)
    fresh = replace(case.engine, busy=Busy.of(case.busy), schedule=Schedule.parse(case.hours, case.on, case.tz))
    assert open_slots(case.engine, case.duration, case.window) == open_slots(fresh, case.duration, case.window)


def test_the_cases_reach_starts_that_one_reason_alone_forbids():
    alone: set[str] = set()
    wanted = set(typing.get_args(Code))

    def completes(case: Case) -> bool:
        whole = range(-(-case.window[0] // 900) * 900, case.window[1], 900)
        alone.update(*(codes for codes in (why(case, start) for start in whole) if len(codes) == 1))
        return alone == wanted

    # Which cases are drawn depends on all of the code there is: hypothesis takes its constants for likely values.
    find(cases(), completes, settings=_ONE_AFTER_ANOTHER)


_ONE_AFTER_ANOTHER = settings(QUICK, max_examples=2000, database=None, derandomize=True, phases=[Phase.generate])


@pytest.mark.parametrize(
    ("anchor", "odd"),
    [
        (ODD_DAYS[0], lambda opened, walls: any(a.date() > b.date() for a, b in pairwise(walls))),
        (ODD_DAYS[1], lambda opened, walls: any(low >= high for low, high in opened)),
        (ODD_DAYS[2], lambda opened, walls: any(b - a > timedelta(hours=20) for a, b in pairwise(walls))),
        (ODD_DAYS[3], lambda opened, walls: any(b < a for a, b in pairwise(walls))),
        (ODD_DAYS[6], lambda opened, walls: any(b[0] < a[1] for a, b in pairwise(opened))),
    ],
    ids=["a date in two parts", "ranges that vanish", "a date left out", "a clock set back", "ranges that overlap"],
)
def test_the_cases_reach_every_oddity_of_zones_with_slots_around_it(walk: SimpleNamespace, anchor, odd):
    def is_odd(case: Case) -> bool:
        slots = open_slots(case.engine, case.duration, case.window)
        return bool(slots) and odd(sorted(walk.ranges(case)), list(walk.clock(case.tz, case.day).values()))

    find(cases(anchor), is_odd, settings=_ONE_AFTER_ANOTHER)
