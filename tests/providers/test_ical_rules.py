"""Recurrence rules name the times RFC 5545 says they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.ical_rules import TooManyInstances, parse_rule, starts

NINE = datetime(1997, 9, 2, 9, tzinfo=UTC)


def named(rule: str, count: int, dtstart: datetime = NINE) -> list[str]:
    last = datetime(2030, 1, 1, tzinfo=UTC)
    found = starts(parse_rule(rule), dtstart, first=dtstart, last=last)
    return [f"{one:%Y-%m-%d}" for one, _ in zip(found, range(count), strict=False)]


# From the examples of RFC 5545 §3.8.5.3.
EXAMPLES = [
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;WKST=SU;BYDAY=TU,TH", ["1997-09-02", "1997-09-04", "1997-09-16", "1997-09-18"]),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", ["1997-09-28", "1997-10-29", "1997-11-28", "1997-12-29"]),
    ("FREQ=MONTHLY;INTERVAL=2;BYDAY=1SU,-1SU", ["1997-09-07", "1997-09-28", "1997-11-02", "1997-11-30"]),
    ("FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,100,200", ["2000-01-01", "2000-04-09", "2000-07-18", "2003-01-01"]),
    ("FREQ=YEARLY;BYDAY=20MO", ["1998-05-18", "1999-05-17", "2000-05-15"]),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["1998-05-11", "1999-05-17", "2000-05-15"]),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["1998-02-13", "1998-03-13", "1998-11-13", "1999-08-13"]),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", ["1997-11-04", "2001-11-06"]),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", ["1997-09-04", "1997-10-07", "1997-11-06"]),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", ["1997-09-29", "1997-10-30", "1997-11-27"]),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", ["1997-09-15", "1997-09-30", "1997-10-15", "1997-10-30", "1997-11-15"]),
]


@pytest.mark.parametrize(("rule", "days"), EXAMPLES)
def test_the_examples_of_the_rfc_come_out(rule: str, days: list[str]):
    assert named(rule, len(days)) == days


def test_a_date_that_a_month_lacks_is_left_out():
    start = datetime(2026, 1, 31, tzinfo=UTC)
    assert named("FREQ=MONTHLY", 3, start) == ["2026-01-31", "2026-03-31", "2026-05-31"]
    assert named("FREQ=YEARLY", 2, datetime(2024, 2, 29, tzinfo=UTC)) == ["2024-02-29", "2028-02-29"]


def test_where_the_week_begins_decides_which_weeks_count():
    start = datetime(1997, 8, 5, tzinfo=UTC)
    rule = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST="
    assert named(rule + "MO", 4, start) == ["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"]
    assert named(rule + "SU", 4, start) == ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"]


def test_a_week_without_a_weekday_takes_that_of_the_start():
    assert named("FREQ=YEARLY;BYWEEKNO=20", 2) == ["1998-05-12", "1999-05-18"]


def test_weekdays_with_and_without_a_number_are_united():
    assert named("FREQ=MONTHLY;BYDAY=1MO,FR", 4) == ["1997-09-05", "1997-09-12", "1997-09-19", "1997-09-26"]
    assert "1997-10-06" in named("FREQ=MONTHLY;BYDAY=1MO,FR", 9)


def test_a_count_below_zero_is_no_count():
    assert named("FREQ=DAILY;COUNT=-1", 2) == ["1997-09-02", "1997-09-03"]


def test_what_a_list_says_often_counts_once():
    assert parse_rule(f"FREQ=MONTHLY;BYDAY={','.join(['5MO', '1TU'] * 1000)}").by_day == ((5, 0), (1, 1))


def test_a_rule_whose_days_are_held_against_endless_lists_is_given_up_sooner():
    never = ",".join(f"{sign}{nth}{day}" for sign in "+-" for nth in range(6, 54) for day in ("MO", "TU", "WE"))
    long_ago, count = datetime(1000, 1, 1, tzinfo=UTC), "COUNT=9999999"
    assert named(f"FREQ=MONTHLY;{count};BYMONTHDAY=1", 1, long_ago) == ["1000-01-01"]
    with pytest.raises(TooManyInstances):
        named(f"FREQ=MONTHLY;{count};BYDAY={never}", 1, long_ago)


def test_a_second_60_is_the_59th():
    assert str(parse_rule("FREQ=MINUTELY;BYSECOND=60")) == "FREQ=MINUTELY;BYSECOND=59"


def numbers(lowest: int, highest: int) -> st.SearchStrategy[str]:
    some = st.sets(st.integers(lowest, highest).filter(lambda n: n or lowest >= 0), min_size=1, max_size=4)
    return some.map(lambda values: ",".join(map(str, sorted(values))))


WEEKDAYS = st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1).map(
    lambda d: ",".join(sorted(d))
)
NTH = st.sampled_from(["1MO", "-1FR", "2TU,3TU", "5SU", "-2SA,1WE"])
# What both implementations may be asked: dateutil joins numbered and plain weekdays by 'and', cuts the first week at
# DTSTART before BYSETPOS, knows no negative week over the turn of the year, and searches to the year 9999 in vain.
OPTIONS = {
    "YEARLY": {"BYMONTH": numbers(1, 12), "BYMONTHDAY": numbers(1, 28), "BYDAY": NTH, "BYHOUR": numbers(0, 23)},
    "MONTHLY": {"BYMONTHDAY": numbers(-28, 28), "BYHOUR": numbers(0, 23), "BYSETPOS": numbers(-2, 2)},
    "WEEKLY": {"BYDAY": WEEKDAYS, "BYMONTH": numbers(1, 12), "BYHOUR": numbers(0, 23), "BYMINUTE": numbers(0, 59)},
    "DAILY": {"BYMONTH": numbers(1, 12), "BYMONTHDAY": numbers(-28, 28), "BYHOUR": numbers(0, 23)},
    "HOURLY": {"BYMINUTE": numbers(0, 59), "BYMONTH": numbers(1, 12), "BYSECOND": numbers(0, 59)},
    "MINUTELY": {"BYHOUR": numbers(0, 23), "BYSECOND": numbers(0, 59)},
}


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(sorted(OPTIONS)))
    parts = {"FREQ": freq, "INTERVAL": str(draw(st.sampled_from([1, 1, 2, 3, 5])))}
    parts |= draw(st.fixed_dictionaries({}, optional=OPTIONS[freq] | {"COUNT": st.integers(1, 40).map(str)}))
    if freq in ("WEEKLY", "DAILY"):
        parts["WKST"] = draw(st.sampled_from(["MO", "SU"]))
    return ";".join(f"{key}={value}" for key, value in parts.items())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(rules(), st.datetimes(datetime(2015, 1, 1), datetime(2025, 1, 1)), st.integers(0, 400))  # noqa: DTZ001
def test_rules_agree_with_another_implementation(rule: str, begin: datetime, days: int):
    begin = begin.replace(microsecond=0)
    first = begin + timedelta(days=days if "MINUTELY" not in rule else days // 100)
    last = first + timedelta(days=2 if "MINUTELY" in rule else 500)
    theirs = rrulestr(rule, dtstart=begin).between(first, last, inc=True)
    window = {"first": first.replace(tzinfo=UTC), "last": last.replace(tzinfo=UTC)}
    ours = [one.replace(tzinfo=None) for one in starts(parse_rule(rule), begin.replace(tzinfo=UTC), **window)]
    assert [one for one in ours if first <= one <= last] == theirs


@settings(deadline=None, derandomize=True)
@given(rules())
def test_a_rule_written_canonically_stays_as_it_is(rule: str):
    canonical = str(parse_rule(rule))
    assert str(parse_rule(canonical)) == canonical
