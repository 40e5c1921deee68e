"""A master without the instances that its overrides replace, where each of them is a text of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.ical import reduce
from providers.model import Window
from providers.overrides import excluding
from providers.recurrence import instances

WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 10, tzinfo=UTC))
WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=3"
BERLIN = (
    "DTSTART;TZID=Europe/Berlin:20260323T090000\nDTEND;TZID=Europe/Berlin:20260323T100000\nRRULE:FREQ=WEEKLY;COUNT=3"
)
DAYS = f"DTSTART;VALUE=DATE:20260323\n{WEEKLY}"
EMPTY = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
OWN_ZONE = (
    "BEGIN:VTIMEZONE\nTZID:Odd\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530\n"
    "END:STANDARD\nEND:VTIMEZONE\n"
)


def skeleton(lines: str, above: str = "") -> str:
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\n{above}BEGIN:VEVENT\nUID:u\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
    event = reduce(text, remote_id="r", etag="e", own_addresses=frozenset()).event
    assert event is not None
    return event.skeleton


def override(replaced: str, above: str = "") -> str:
    return skeleton(f"RECURRENCE-ID{replaced}\nDTSTART:20260601T080000Z\nDTEND:20260601T090000Z", above)


def days_left(master: str, *overrides: str) -> list[int]:
    """The days of March and April on which something of a series is left."""
    left = excluding(skeleton(master), overrides)
    return [one.start_at.day for one in instances(left, WINDOW, "UTC")]


def test_a_series_that_nothing_replaces_is_as_it_was():
    assert excluding(skeleton(BERLIN), []) == skeleton(BERLIN)
    assert days_left(BERLIN) == [23, 30, 6]


@pytest.mark.parametrize(
    ("replaced", "left"),
    [
        (":20260323T080000Z", [30, 6]),
        (":20260330T070000Z", [23, 6]),  # an hour earlier in UTC: summer time has begun
        (";TZID=Europe/Berlin:20260330T090000", [23, 6]),
        (":20260330T080000Z", [23, 30, 6]),  # nothing of the series starts then
        (";VALUE=DATE:20260330", [23, 30, 6]),
    ],
)
def test_an_override_of_a_time_takes_the_instance_that_starts_then_and_no_other(replaced, left):
    assert days_left(BERLIN, override(replaced)) == left


@pytest.mark.parametrize(
    ("replaced", "left"), [(";VALUE=DATE:20260330", [23, 6]), (":20260330T000000Z", [23, 30, 6]), ("", [23, 30, 6])]
)
def test_an_override_of_a_day_takes_that_day_of_a_series_of_days(replaced, left):
    text = override(replaced) if replaced else skeleton("DTSTART;VALUE=DATE:20260330")
    assert days_left(DAYS, text) == left


def test_several_overrides_in_any_order_take_an_instance_each():
    texts = [override(":20260323T080000Z"), override(":20260406T070000Z"), override(":20260323T080000Z")]
    assert days_left(BERLIN, *texts) == [30]
    assert excluding(skeleton(BERLIN), texts) == excluding(skeleton(BERLIN), texts[::-1])


def test_what_the_series_excludes_itself_stays_excluded():
    assert days_left(f"{BERLIN}\nEXDATE;TZID=Europe/Berlin:20260323T090000", override(":20260330T070000Z")) == [6]


def test_a_zone_that_the_overrides_text_alone_defines_is_understood():
    assert days_left(BERLIN, override(";TZID=Odd:20260323T133000", OWN_ZONE)) == [30, 6]


def test_the_zones_of_a_master_are_left_alone():
    odd = f"DTSTART;TZID=Odd:20260323T133000\nDTEND;TZID=Odd:20260323T143000\n{WEEKLY}"
    left = excluding(skeleton(odd, OWN_ZONE), [override(":20260330T080000Z")])
    assert [one.start_at.day for one in instances(left, WINDOW, "UTC")] == [23, 6]


@pytest.mark.parametrize("text", ["", "no calendar", EMPTY])
def test_what_is_no_skeleton_comes_back_as_it_is(text):
    assert excluding(text, [override(":20260323T080000Z")]) == text


def test_an_override_that_cant_be_read_takes_nothing():
    broken = override(":20260323T080000Z").replace("RECURRENCE-ID:", "RECURRENCE-ID;TZID=Nowhere:").replace("Z\r", "\r")
    assert days_left(BERLIN, broken, "", "no calendar") == [23, 30, 6]
