"""Random series, with exceptions and overrides, become the same instances as by another implementation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.ical import reduce
from providers.model import Window
from providers.recurrence import instances

# Theirs lets a DTEND of many hours move with the clock (RFC 5545 §3.8.5.3: "the same exact duration"), so only where no
# clock changes do instances last into the night.
ZONES = {"Europe/Berlin": [15, 60, 180], "Asia/Tokyo": [15, 600, 1440, 4000]}
RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=2;COUNT=30",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=40",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,TU;WKST=SU",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;BYDAY=2TU,-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=1,15,-1",
    "FREQ=YEARLY",
    "FREQ=DAILY;BYHOUR=9;BYMINUTE=20,40",
    "FREQ=HOURLY;INTERVAL=48",
]


def clock(moment: datetime) -> str:
    return f"TZID={moment.tzinfo}:{moment:%Y%m%dT%H%M%S}"


@st.composite
def series(draw: st.DrawFn) -> tuple[str, Window]:
    """A series with EXDATEs, RDATEs and overrides of instances that the rule gives, and a window near it."""
    # Whole hours outside the night: what a wall time in the change of clocks means is tested by name elsewhere.
    begin = draw(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)))  # noqa: DTZ001 - the zone comes next
    zone = draw(st.sampled_from(sorted(ZONES)))
    begin = datetime(begin.year, begin.month, begin.day, draw(st.integers(6, 20)), tzinfo=ZoneInfo(zone))
    length = timedelta(minutes=draw(st.sampled_from(ZONES[zone])))
    rule = draw(st.sampled_from(RULES))
    lines = [f"DTSTART;{clock(begin)}", f"DTEND;{clock(begin + length)}", f"RRULE:{rule}"]
    known = starts_of(lines, begin)
    lines += [f"EXDATE;{clock(moment)}" for moment in draw(st.lists(st.sampled_from(known), max_size=3, unique=True))]
    extra = st.integers(1, 2000).map(lambda hours: (begin + timedelta(hours=hours)).replace(hour=12, minute=30))
    lines += [f"RDATE;{clock(moment)}" for moment in draw(st.lists(extra, max_size=2, unique=True))]
    replaced = draw(st.lists(st.sampled_from(known), max_size=4, unique=True))
    events = [lines, *(draw(override(moment, length)) for moment in replaced)]
    body = "".join(f"BEGIN:VEVENT\r\nUID:u\r\n{chr(10).join(event)}\r\nEND:VEVENT\r\n" for event in events)
    first = begin.astimezone(UTC) + timedelta(days=draw(st.integers(-10, 120)))
    window = Window(first, first + timedelta(days=draw(st.integers(1, 60))))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}END:VCALENDAR\r\n", window


@st.composite
def override(draw: st.DrawFn, moment: datetime, length: timedelta) -> list[str]:
    start = (moment + timedelta(days=draw(st.integers(-3, 3)))).replace(hour=draw(st.integers(6, 20)))
    lasts = draw(st.sampled_from([length, timedelta(minutes=45)]))
    ranged = draw(st.sampled_from(["", "", ";RANGE=THISANDFUTURE"]))
    status = draw(st.sampled_from(["CONFIRMED", "CONFIRMED", "CANCELLED"]))
    spans = [f"DTSTART;{clock(start)}", f"DTEND;{clock(start + lasts)}"]
    return [f"RECURRENCE-ID{ranged};{clock(moment)}", *spans, f"STATUS:{status}"]


def starts_of(lines: list[str], begin: datetime) -> list[datetime]:
    """Return the wall times of the first instances."""
    text = "\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:u", *lines, "END:VEVENT", "END:VCALENDAR"])
    since = begin.astimezone(UTC) - timedelta(days=1)
    found = instances(skeleton_of(text), Window(since, since + timedelta(days=90)), "UTC")
    return [one.start_at.astimezone(begin.tzinfo) for one in found[:20]]


def skeleton_of(text: str) -> str:
    reduced = reduce(text, remote_id="r", etag="e", own_addresses=frozenset())
    assert reduced.unreadable == ()
    assert reduced.event is not None
    return reduced.event.skeleton


Spans = list[tuple[datetime, datetime]]


@pytest.fixture(scope="module")
def theirs() -> Any:
    def expand(text: str, window: Window) -> Spans:
        around = (window.start_at - timedelta(days=10), window.end_at + timedelta(days=10))
        events = recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(*around)
        live = [event for event in events if event["STATUS" if "STATUS" in event else "UID"] != "CANCELLED"]
        spans = {(event.start.astimezone(UTC), event.end.astimezone(UTC)) for event in live}
        return sorted(span for span in spans if span[0] < window.end_at and span[1] > window.start_at)

    return expand


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(series())
def test_random_series_agree_with_another_implementation(theirs: Any, drawn: tuple[str, Window]):
    text, window = drawn
    found = instances(skeleton_of(text), window, "UTC")
    ours = {(one.start_at, one.end_at) for one in found if one.status != "CANCELLED"}
    assert sorted(ours) == theirs(text, window)
