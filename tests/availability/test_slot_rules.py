"""The rules of the slots, one by one, each by an example; numbers are those of the decided semantics."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from availability import (
    BookingRules,
    Busy,
    Claim,
    Reason,
    Schedule,
    Situation,
    explain,
    first_slot,
    nearest,
    open_periods,
    open_slots,
    valid_until,
    whole_second,
)

MINUTE, HOUR, DAY = 60, 3600, 86_400
BERLIN = "Europe/Berlin"


def at(text: str, tz: str = BERLIN, fold: int = 0) -> int:
    """The instant of a local time; `fold` 1 is the second reading of an hour that comes twice."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz), fold=fold).timestamp())


def situation(hours=None, on=None, tz=BERLIN, busy=None, claims=(), stale=(), now="2026-01-01T00:00", **rules):
    kept = {"durations": (60 * MINUTE,), "increment": 60 * MINUTE, "horizon": 4000 * DAY} | rules
    schedule = Schedule.parse({"monday": ["09:00-12:00"]} if hours is None else hours, on or {}, tz)
    return Situation(schedule, BookingRules(**kept), tz, "intro", Busy.of(busy or {}), claims, stale, at(now, tz))


def claim(start: str, minutes=60, before=0, after=0, consultation="intro", held=False):
    begin = at(start)
    return Claim("bkg_1", begin, begin + minutes * MINUTE, before * MINUTE, after * MINUTE, consultation, held)


def listed(case: Situation, first: str, last: str) -> list[str]:
    """Local times of the slots from one date up to another, in the case's zone."""
    tz = case.schedule.tz
    starts = open_slots(case, case.rules.durations[0], (at(f"{first}T00:00", tz), at(f"{last}T00:00", tz)))
    return [f"{datetime.fromtimestamp(start, ZoneInfo(tz)):%d %H:%M}" for start in starts]


def codes(case: Situation, start: str | int) -> list[str]:
    begin = at(start, case.schedule.tz) if isinstance(start, str) else start
    return [reason.code for reason in explain(case, case.rules.durations[0], begin)]


# 1 Ranges


def test_closing_tuesday_does_not_cut_mondays_night():
    case = situation({"monday": ["22:00-02:00"], "tuesday": ["09:00-10:00"]}, {"2026-11-24": []})
    assert listed(case, "2026-11-23", "2026-11-26") == ["23 22:00", "23 23:00", "24 00:00", "24 01:00"]


def test_a_night_that_is_closed_is_closed_past_midnight_too():
    case = situation({"monday": ["22:00-02:00"]}, {"2026-11-23": []})
    assert listed(case, "2026-11-23", "2026-11-25") == []
    assert codes(case, "2026-11-23T22:00") == ["date_closed"]
    assert codes(case, "2026-11-24T01:00") == ["outside_hours"]


def test_touching_ranges_are_united_only_to_fit_a_consultation():
    case = situation({"monday": ["09:00-10:30", "10:30-12:00"]})
    assert listed(case, "2026-11-23", "2026-11-24") == ["23 09:00", "23 10:00", "23 10:30"]


def test_mondays_end_and_tuesdays_beginning_are_one_stretch():
    case = situation({"monday": ["22:00-24:00"], "tuesday": ["00:00-02:00"]}, durations=(3 * HOUR,))
    assert listed(case, "2026-11-23", "2026-11-25") == ["23 22:00", "23 23:00"]


def test_a_consultation_of_many_days_fits_where_the_days_touch():
    weekdays = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    hours = {day: ["00:00-24:00"] for day in weekdays}
    case = situation(hours, {"2026-12-01": []}, durations=(8 * DAY,), increment=12 * HOUR)
    assert listed(case, "2026-11-22", "2026-11-24") == ["22 00:00", "22 12:00", "23 00:00"]


def test_a_window_that_begins_late_in_a_long_night_still_sees_it():
    case = situation({"monday": ["23:00-22:00"]}, tz="America/New_York")
    assert codes(case, "2026-11-24T21:00") == []
    tuesday = at("2026-11-24T19:00", "America/New_York")
    assert tuesday % DAY == 0
    assert len(open_slots(case, HOUR, (tuesday, tuesday + DAY))) == 3


def test_an_opening_that_does_not_exist_is_the_instant_of_the_jump():
    case = situation({"sunday": ["02:30-05:00"]})
    assert listed(case, "2026-03-29", "2026-03-30") == ["29 03:00", "29 04:00"]


def test_a_range_within_the_hour_that_does_not_exist_offers_nothing():
    case = situation({"sunday": ["02:15-02:45"]}, durations=(MINUTE,))
    assert listed(case, "2026-03-29", "2026-03-30") == []
    hours = case.schedule.openings((at("2026-03-29T00:00"), at("2026-03-30T00:00")))
    assert all(opened < closed for opened, closed in zip(hours.opens, hours.closes, strict=True))


def test_the_hour_that_comes_twice_is_offered_twice():
    case = situation({"sunday": ["02:00-03:00"]})
    assert open_slots(case, HOUR, (at("2026-10-25T00:00"), at("2026-10-26T00:00"))) == [
        at("2026-10-25T02:00"),
        at("2026-10-25T02:00", fold=1),
    ]


def test_a_close_in_the_hour_that_comes_twice_is_the_later_one():
    case = situation({"sunday": ["01:00-02:30"]}, durations=(30 * MINUTE,), increment=30 * MINUTE)
    assert len(listed(case, "2026-10-25", "2026-10-26")) == 5


def test_a_date_that_was_left_out_offers_nothing_and_its_neighbours_all():
    week = {"thursday": ["22:00-24:00"], "friday": ["09:00-17:00"], "saturday": ["00:00-01:00"]}
    case = situation(week, tz="Pacific/Apia", now="2011-12-01T00:00")
    assert listed(case, "2011-12-29", "2012-01-01") == ["29 22:00", "29 23:00", "31 00:00"]


def test_a_date_the_clock_returns_to_is_open_until_its_second_midnight():
    tz = "America/St_Johns"
    case = situation({"saturday": ["22:00-24:00"]}, tz=tz, now="2010-11-01T00:00")
    assert listed(case, "2010-11-06", "2010-11-08") == ["06 22:00", "06 23:00", "07 00:00"]


# 2 Grid


def test_the_grid_starts_at_each_opening():
    case = situation({"monday": ["09:10-11:00", "13:25-15:00"]}, durations=(30 * MINUTE,), increment=30 * MINUTE)
    assert listed(case, "2026-11-23", "2026-11-24") == ["23 09:10", "23 09:40", "23 10:10", "23 13:25", "23 13:55",
                                                        "23 14:25"]  # fmt: skip


def test_a_start_of_two_overlapping_ranges_is_listed_once():
    case = situation({"monday": ["09:00-12:00", "10:00-13:00", "10:30-12:00"]})
    assert listed(case, "2026-11-23", "2026-11-24") == ["23 09:00", "23 10:00", "23 10:30", "23 11:00", "23 11:30",
                                                        "23 12:00"]  # fmt: skip


def test_busy_time_does_not_move_the_grid():
    case = situation(busy={"cal_a": [(at("2026-11-23T09:00"), at("2026-11-23T09:20"))]})
    assert listed(case, "2026-11-23", "2026-11-24") == ["23 10:00", "23 11:00"]


def test_the_clock_change_does_not_bend_the_grid():
    case = situation({"sunday": ["00:00-06:00"]}, durations=(90 * MINUTE,), increment=90 * MINUTE)
    assert listed(case, "2026-03-29", "2026-03-30") == ["29 00:00", "29 01:30", "29 04:00"]


# 3 Lengths and windows


def test_notice_is_up_to_the_second():
    case = situation(minimum_notice=DAY)
    start = at("2026-11-23T10:00")
    assert codes(replace(case, now=start - DAY), start) == []
    assert codes(replace(case, now=start - DAY + 1), start) == ["inside_notice"]


def test_half_a_second_late_is_late():
    late = datetime(2026, 11, 22, 9, 0, 0, 500_000, tzinfo=UTC)
    case = situation(minimum_notice=DAY)
    assert codes(replace(case, now=whole_second(late)), "2026-11-23T10:00") == ["inside_notice"]
    assert codes(replace(case, now=whole_second(late.replace(microsecond=0))), "2026-11-23T10:00") == []


def test_a_start_exactly_at_the_horizon_is_beyond_it():
    case = situation(horizon=7 * DAY)
    start = at("2026-11-23T10:00")
    assert codes(replace(case, now=start - 7 * DAY), start) == ["beyond_horizon"]
    assert codes(replace(case, now=start - 7 * DAY + 1), start) == []


def test_a_day_of_notice_is_24_hours_over_a_clock_change():
    case = situation({"sunday": ["09:00-12:00"]}, minimum_notice=DAY, now="2026-03-28T09:00")
    assert listed(case, "2026-03-29", "2026-03-30") == ["29 10:00", "29 11:00"]


def test_the_past_is_past_and_not_inside_the_notice():
    case = situation(minimum_notice=DAY, now="2026-11-23T09:30")
    assert codes(case, "2026-11-23T09:00") == ["past"]
    assert codes(case, "2026-11-23T10:00") == ["inside_notice"]


def test_the_asked_window_bounds_the_start_alone():
    case = situation()
    window = (at("2026-11-23T10:00"), at("2026-11-23T11:00"))
    assert open_slots(case, HOUR, window) == [at("2026-11-23T10:00")]


def test_a_duration_that_is_not_offered_is_refused():
    with pytest.raises(ValueError, match="1800 s is not offered"):
        open_slots(situation(), 1800, (0, 1))
    with pytest.raises(ValueError, match="right would be one of"):
        explain(situation(), 1800, 0)


def test_a_consultation_that_does_not_fit_before_the_close_is_outside_hours():
    assert codes(situation(), "2026-11-23T11:30") == ["outside_hours", "off_grid"]
    assert codes(situation(), "2026-11-23T11:00") == []


def test_off_grid_is_said_only_of_a_start_within_set_hours():
    assert codes(situation(), "2026-11-23T09:01") == ["off_grid"]
    assert codes(situation(), "2026-11-23T08:59") == ["outside_hours"]


# 4 Buffers


def test_a_candidate_needs_its_own_buffers_free_of_outside_busy_time():
    busy = {"cal_a": [(at("2026-11-23T10:00"), at("2026-11-23T10:00") + 10 * MINUTE)]}
    case = situation(busy=busy, buffer_before=50 * MINUTE, buffer_after=MINUTE)
    assert explain(case, HOUR, at("2026-11-23T09:00")) == [Reason("buffer", "cal_a", *busy["cal_a"][0])]
    assert explain(case, HOUR, at("2026-11-23T10:00")) == [Reason("busy", "cal_a", *busy["cal_a"][0])]
    assert explain(case, HOUR, at("2026-11-23T11:00")) == []
    assert codes(replace(case, rules=replace(case.rules, buffer_before=50 * MINUTE + 1)), "2026-11-23T11:00") == [
        "buffer"
    ]


@pytest.mark.parametrize(("own_after", "booked_before", "free"), [(30, 0, 30), (0, 30, 30), (20, 30, 30), (30, 20, 30)])
def test_before_a_booking_the_gap_is_the_larger_of_the_two_buffers(own_after, booked_before, free):
    for minutes, wanted in ((free - 1, ["buffer"]), (free, [])):
        booked = claim(f"2026-11-23T10:{minutes:02}", before=booked_before)
        case = situation(claims=(booked,), buffer_after=own_after * MINUTE)
        assert codes(case, "2026-11-23T09:00") == wanted


@pytest.mark.parametrize(("own_before", "booked_after", "free"), [(30, 0, 30), (0, 30, 30), (20, 30, 30), (30, 20, 30)])
def test_after_a_booking_the_gap_is_the_larger_of_the_two_buffers(own_before, booked_after, free):
    for minutes, wanted in ((free - 1, ["buffer"]), (free, [])):
        booked = claim(f"2026-11-23T09:{60 - minutes - 10:02}", minutes=10, after=booked_after)
        case = situation(claims=(booked,), buffer_before=own_before * MINUTE)
        assert codes(case, "2026-11-23T10:00") == wanted


def test_a_gap_of_exactly_the_consultation_and_its_buffers_is_enough():
    def around(before: int, after: int) -> list[str]:
        gap = at("2026-11-23T10:00") - before * MINUTE, at("2026-11-23T11:00") + after * MINUTE
        busy = {"cal_a": [(gap[0] - 3 * HOUR, gap[0])], "cal_b": [(gap[1], gap[1] + 3 * HOUR)]}
        return listed(
            situation(busy=busy, buffer_before=5 * MINUTE, buffer_after=7 * MINUTE), "2026-11-23", "2026-11-24"
        )

    assert around(5, 7) == ["23 10:00"]
    assert around(4, 7) == around(5, 6) == []


def test_a_bookings_other_buffer_does_not_count():
    case = situation(claims=(claim("2026-11-23T10:00", before=0, after=120),))
    assert codes(case, "2026-11-23T09:00") == []


def test_buffers_may_lie_outside_set_hours():
    case = situation(buffer_before=3 * HOUR, buffer_after=3 * HOUR)
    assert listed(case, "2026-11-23", "2026-11-24") == ["23 09:00", "23 10:00", "23 11:00"]


def test_busy_time_without_length_blocks_nothing():
    case = situation(busy={"cal_a": [(at("2026-11-23T10:30"),) * 2]}, buffer_before=HOUR, buffer_after=HOUR)
    assert listed(case, "2026-11-23", "2026-11-24") == ["23 09:00", "23 10:00", "23 11:00"]
    assert codes(case, "2026-11-23T10:00") == []


def test_busy_time_that_ends_before_it_starts_is_an_error():
    with pytest.raises(ValueError, match="busy from 20 to 10"):
        Busy.of({"cal_a": [(20, 10)]}).union()
    with pytest.raises(ValueError, match="cal_a: 2 starts and 1 ends"):
        Busy.from_arrays({"cal_a": ([1, 2], [3])})


# 5 Limits


def test_a_full_day_is_full_in_the_freelancers_zone():
    late = Claim("bkg_1", at("2026-11-23T23:30"), at("2026-11-23T23:45"), 0, 0, "intro", held=False)
    case = situation({"monday": ["09:00-10:00"], "tuesday": ["09:00-10:00"]}, claims=(late,), daily_limit=1)
    assert listed(case, "2026-11-23", "2026-11-25") == ["24 09:00"]
    assert listed(replace(case, tz="Asia/Kathmandu"), "2026-11-23", "2026-11-25") == ["23 09:00"]
    assert codes(case, "2026-11-23T09:00") == ["daily_limit"]


def test_a_full_day_is_full_from_its_midnight_to_the_next():
    night = {"monday": ["22:00-24:00"], "tuesday": ["00:00-24:00"], "wednesday": ["00:00-02:00"]}
    case = situation(night, claims=(claim("2026-11-24T10:00"),), daily_limit=1)
    assert listed(case, "2026-11-23", "2026-11-26") == ["23 22:00", "23 23:00", "25 00:00", "25 01:00"]


def test_weeks_begin_on_monday():
    sunday = claim("2026-11-22T10:00")
    daily = {"saturday": ["09:00-10:00"], "sunday": ["09:00-10:00"], "monday": ["09:00-10:00"]}
    case = situation(daily, claims=(sunday,), weekly_limit=1)
    assert listed(case, "2026-11-21", "2026-11-24") == ["23 09:00"]
    assert codes(case, "2026-11-21T09:00") == ["weekly_limit"]


def test_a_consultations_limit_counts_its_own_the_freelancers_counts_all():
    other = claim("2026-11-23T09:00", consultation="review", held=True)
    assert codes(situation(claims=(other,), daily_limit=1, weekly_limit=1), "2026-11-23T10:00") == []
    everyone = situation(claims=(other,), freelancer_daily_limit=1, freelancer_weekly_limit=1)
    assert codes(everyone, "2026-11-23T10:00") == ["daily_limit", "weekly_limit"]


def test_a_limit_of_nought_offers_nothing():
    case = situation(weekly_limit=0)
    assert listed(case, "2026-11-23", "2026-11-30") == []
    assert codes(case, "2026-11-23T10:00") == ["weekly_limit"]


# 6 and 7 Others' time


def test_any_consultations_booking_blocks_and_a_moved_one_left_out_does_not():
    case = situation(claims=(claim("2026-11-23T10:00", consultation="review"),), freelancer_daily_limit=1)
    assert codes(case, "2026-11-23T10:00") == ["booked", "daily_limit"]
    assert codes(replace(case, claims=()), "2026-11-23T10:00") == []


def test_a_hold_and_a_booking_are_told_apart():
    case = situation(claims=(claim("2026-11-23T10:00", held=True), claim("2026-11-23T10:30", minutes=10)))
    assert codes(case, "2026-11-23T10:00") == ["held", "booked"]


def test_two_consultations_over_the_same_busy_time_do_not_mix():
    long = situation(durations=(60 * MINUTE,), increment=30 * MINUTE)
    short = replace(long, rules=replace(long.rules, durations=(30 * MINUTE,), buffer_after=30 * MINUTE))
    assert listed(long, "2026-11-23", "2026-11-24")[-1] == "23 11:00"
    assert listed(short, "2026-11-23", "2026-11-24")[-1] == "23 11:30"


# 8 Periods


def test_a_period_spans_all_consecutive_starts():
    case = situation(durations=(30 * MINUTE,), increment=15 * MINUTE)
    window = (at("2026-11-23T00:00"), at("2026-11-24T00:00"))
    assert open_periods(case, 30 * MINUTE, window) == [(at("2026-11-23T09:00"), at("2026-11-23T12:00"))]


def test_periods_never_span_closed_time():
    case = situation({"monday": ["09:00-10:00"], "tuesday": ["09:00-10:00"]}, increment=DAY)
    window = (at("2026-11-23T00:00"), at("2026-11-25T00:00"))
    assert open_periods(case, HOUR, window) == [
        (at("2026-11-23T09:00"), at("2026-11-23T10:00")),
        (at("2026-11-24T09:00"), at("2026-11-24T10:00")),
    ]


# 9 Explain


def test_all_reasons_are_given_not_the_first():
    case = situation(
        busy={"cal_a": [(at("2026-11-23T10:00"), at("2026-11-23T11:00"))], "cal_b": [(0, 2**40)]},
        claims=(claim("2026-11-23T10:00", held=True),),
        stale=("cal_a", "cal_c"),
        now="2026-11-23T09:00",
        minimum_notice=DAY,
        horizon=0,
        daily_limit=1,
        weekly_limit=1,
        active=False,
    )
    wanted = "inactive inside_notice beyond_horizon off_grid busy busy held daily_limit weekly_limit calendar_stale"
    assert codes(case, "2026-11-23T10:10") == [*wanted.split(), "calendar_stale"]
    assert [r.calendar for r in explain(case, HOUR, at("2026-11-23T10:10")) if r.code == "calendar_stale"] == [
        "cal_a",
        "cal_c",
    ]


@pytest.mark.parametrize("change", [{"stale": ("cal_a",)}, {"active": False}])
def test_unknown_or_inactive_offers_nothing(change):
    case = situation(**change)
    assert listed(case, "2026-11-23", "2026-11-24") == []
    assert nearest(case, HOUR, at("2026-11-23T10:00")) == []
    assert first_slot(case, HOUR, (case.now, case.now + 90 * DAY)) is None
    assert valid_until(case, HOUR, (case.now, case.now + 90 * DAY)) is None


def test_one_replaced_date_beats_a_range_and_a_short_range_a_long_one():
    on = {
        "2026-11-16/2026-11-29": ["10:00-11:00"],
        "2026-11-23/2026-11-24": [],
        "2026-11-24": ["20:00-21:00"],
    }
    case = situation({}, on)
    assert listed(case, "2026-11-22", "2026-11-26") == ["22 10:00", "24 20:00", "25 10:00"]
    assert codes(case, "2026-11-23T10:00") == ["date_closed"]
    assert codes(case, "2026-11-24T10:00") == ["outside_hours"]


# 10 Validity


def test_the_listing_is_valid_until_the_first_start_leaves_its_notice():
    case = situation(minimum_notice=DAY)
    window = (at("2026-11-23T00:00"), at("2026-11-24T00:00"))
    assert valid_until(case, HOUR, window) == at("2026-11-22T09:00") + 1


def test_the_listing_is_valid_until_a_start_enters_the_horizon():
    case = situation(horizon=7 * DAY, now="2026-11-15T00:00")
    window = (at("2026-11-23T00:00"), at("2026-11-24T00:00"))
    assert valid_until(case, HOUR, window) == at("2026-11-16T09:00") + 1


def test_a_listing_without_a_start_to_come_never_changes():
    window = (at("2026-11-24T00:00"), at("2026-11-25T00:00"))
    assert valid_until(situation(), HOUR, window) is None


def test_a_horizon_within_the_notice_never_offers_anything():
    case = situation(minimum_notice=2 * DAY, horizon=DAY, now="2026-11-20T00:00")
    window = (at("2026-11-20T00:00"), at("2026-11-30T00:00"))
    assert open_slots(case, HOUR, window) == []
    assert valid_until(case, HOUR, window) is None


def test_asking_about_many_windows_forgets_but_never_errs():
    busy = {"cal_a": [(at("2026-11-23T09:00"), at("2026-11-23T09:20"))]}
    case = situation(busy=busy)
    windows = [(case.now + day * DAY, case.now + (day + 2) * DAY) for day in range(250, 350)]
    first = [open_slots(case, HOUR, window) for window in windows]
    assert [open_slots(case, HOUR, window) for window in windows] == first
    assert sorted({start for starts in first for start in starts}) == open_slots(
        case, HOUR, (windows[0][0], windows[-1][1])
    )


# Alternatives


def test_alternatives_are_the_nearest_on_either_side_in_order_of_time():
    case = situation(claims=(claim("2026-11-23T10:00"),))
    assert nearest(case, HOUR, at("2026-11-23T10:00"), count=3) == [
        at("2026-11-16T11:00"),
        at("2026-11-23T09:00"),
        at("2026-11-23T11:00"),
    ]
