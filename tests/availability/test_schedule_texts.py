"""Set hours as people write them: what is understood, and what each mistake is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from availability import BookingRules, RulesError, Schedule, ScheduleError

HOUR, DAY = 3600, 86_400


def opens(hours, on=None, tz="UTC"):
    """The ranges of the week of Monday 2026-11-23 in hours since that Monday."""
    monday = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
    found = Schedule.parse(hours, on or {}, tz).openings((monday, monday + 7 * DAY))
    pairs = zip(found.opens, found.closes, strict=True)
    return [((low - monday) / HOUR, (high - monday) / HOUR) for low, high in pairs if monday <= low < monday + 7 * DAY]


def test_a_day_left_out_is_closed():
    assert opens({}) == []
    assert opens({"tuesday": ["09:00-12:00"]}) == [(33, 36)]


def test_2400_is_the_days_end_and_a_close_before_the_opening_is_the_next_day():
    assert opens({"monday": ["00:00-24:00"], "wednesday": ["22:00-02:00"], "friday": ["18:00-00:00"]}) == [
        (0, 24),
        (70, 74),
        (114, 120),
    ]


def test_ranges_may_overlap_and_come_in_any_order():
    assert opens({"monday": ["13:00-17:00", "09:00-14:00"]}) == [(9, 14), (13, 17)]


def test_a_dates_own_hours_replace_its_weekdays():
    assert opens({"monday": ["09:00-12:00"]}, {"2026-11-23": ["20:00-21:00"]}) == [(20, 21)]


def test_a_range_of_dates_holds_both_its_ends():
    assert opens({}, {"2026-11-24/2026-11-25": ["09:00-10:00"]}) == [(33, 34), (57, 58)]


def test_two_ranges_of_the_same_length_may_agree():
    same = {"2026-11-23/2026-11-24": ["09:00-10:00"], "2026-11-24/2026-11-25": ["09:00-10:00"]}
    assert opens({}, same) == [(9, 10), (33, 34), (57, 58)]


def test_equal_schedules_are_equal_whatever_they_remember():
    one, other = (Schedule.parse({"monday": ["09:00-12:00"]}, {}, "UTC") for _ in range(2))
    one.openings((0, 90 * DAY))
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("hours", "on", "tz", "key", "told"),
    [
        ({"montag": ["09:00-12:00"]}, {}, "UTC", "montag", "monday"),
        ({"monday": "09:00-12:00"}, {}, "UTC", "monday", "a list of ranges"),
        ({"monday": 9}, {}, "UTC", "monday", "a list of ranges"),
        ({"monday": [9]}, {}, "UTC", "monday", "HH:MM-HH:MM"),
        ({"monday": ["9:00-12:00"]}, {}, "UTC", "monday", "HH:MM-HH:MM"),
        ({"monday": ["09:00-12:60"]}, {}, "UTC", "monday", "HH:MM-HH:MM"),
        ({"monday": ["24:00-02:00"]}, {}, "UTC", "monday", "from 00:00 to 23:59"),
        ({"monday": ["09:00-24:01"]}, {}, "UTC", "monday", "up to 24:00"),
        ({"monday": ["09:00 to 12:00"]}, {}, "UTC", "monday", "HH:MM-HH:MM"),
        ({"monday": ["٠٩:00-12:00"]}, {}, "UTC", "monday", "HH:MM-HH:MM"),
        ({"monday": ["09:00-09:00"]}, {}, "UTC", "monday", "00:00-24:00"),
        ({"monday": ["00:00-00:00"]}, {}, "UTC", "monday", "00:00-24:00"),
        ({}, {"24.12.2026": []}, "UTC", "24.12.2026", "2026-12-28"),
        ({}, {"2026-02-30": []}, "UTC", "2026-02-30", "2026-12-28"),
        ({}, {"20261228": []}, "UTC", "20261228", "2026-12-28"),
        ({}, {"2027-01-02/2026-12-24": []}, "UTC", "2027-01-02/2026-12-24", "first date first"),
        ({}, {"2026-12-24/2026-12-25/2026-12-26": []}, "UTC", "2026-12-24/2026-12-25/2026-12-26", "first date first"),
        ({}, {"2026-12-24": ["9-12"]}, "UTC", "2026-12-24", "HH:MM-HH:MM"),
        ({}, {"2026-12-24": "closed"}, "UTC", "2026-12-24", "a list of ranges"),
        ({}, {}, "Berlin", "time_zone", "Europe/Berlin"),
        ({}, {}, "Europe", "time_zone", "Europe/Berlin"),
        ({}, {}, "", "time_zone", "Europe/Berlin"),
        ({}, {}, "../etc/passwd", "time_zone", "Europe/Berlin"),
        ({}, {}, None, "time_zone", "Europe/Berlin"),
    ],
)
def test_a_mistake_is_told_what_where_and_what_would_be_right(hours, on, tz, key, told):
    with pytest.raises(ScheduleError) as caught:
        Schedule.parse(hours, on, tz)
    assert caught.value.key == key
    assert told in caught.value.expected
    assert key in str(caught.value)


def test_two_ranges_as_long_that_disagree_about_a_date_are_an_error():
    with pytest.raises(ScheduleError, match=r"2026-11-2[34]/") as caught:
        Schedule.parse({}, {"2026-11-23/2026-11-24": [], "2026-11-24/2026-11-25": ["09:00-10:00"]}, "UTC")
    assert "as long" in caught.value.expected


@pytest.mark.parametrize(
    ("rules", "key"),
    [
        ({"durations": ()}, "durations"),
        ({"durations": (1800, 0)}, "durations"),
        ({"increment": 0}, "increment"),
        ({"minimum_notice": -1}, "minimum_notice"),
        ({"buffer_after": -1}, "buffer_after"),
        ({"weekly_limit": -1}, "weekly_limit"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_name(rules, key):
    with pytest.raises(RulesError, match=key) as caught:
        BookingRules(**({"durations": (1800,), "increment": 900} | rules))
    assert caught.value.key == key
