"""Events that lie days away from a window are left out unread; those that don't never are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from providers import recurrence
from providers.model import Window
from providers.recurrence import instances

START = datetime(2026, 11, 24, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=2))
ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Midway", "Europe/Berlin")


def skeleton(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:x", *lines, "END:VEVENT", "END:VCALENDAR", ""])


def around() -> list[str]:
    """Events of every kind at every sixth hour from a week before the window to a week after it."""
    found = []
    for hours in range(-7 * 24, 9 * 24, 6):
        at = START + timedelta(hours=hours)
        for params in ("", *(f";TZID={zone}" for zone in ZONES[1:])):
            for length in (0, 1, 47, 200):
                end = at + timedelta(hours=length)
                found.append(skeleton(f"DTSTART{params}:{at:%Y%m%dT%H%M%S}", f"DTEND{params}:{end:%Y%m%dT%H%M%S}"))
        found.append(skeleton(f"DTSTART;VALUE=DATE:{at:%Y%m%d}"))
        found.append(skeleton(f"DTSTART:{at:%Y%m%dT%H%M%S}Z", "DURATION:P9D"))
        found.append(skeleton(f"DTSTART:{at:%Y%m%dT%H%M%S}Z", "RRULE:FREQ=DAILY;COUNT=9"))
        found.append(skeleton(f"DTSTART:{at:%Y%m%dT%H%M%S}Z", f"RDATE:{START:%Y%m%dT%H%M%S}Z"))
    return found


@pytest.mark.parametrize("tz", ZONES)
def test_what_is_left_out_unread_has_no_instance_there(monkeypatch, tz):
    quickly = [instances(one, WINDOW, tz) for one in around()]
    monkeypatch.setattr(recurrence, "_lies_elsewhere", lambda *_: False)
    assert quickly == [instances(one, WINDOW, tz) for one in around()]
    assert 100 < sum(map(len, quickly)) < len(around())


def test_a_calendar_of_past_events_is_not_read_at_all(monkeypatch):
    def reads(*_):
        raise AssertionError("it was read")

    monkeypatch.setattr(recurrence, "read_parts", reads)
    past = skeleton("DTSTART;TZID=Europe/Berlin:20190103T090000", "DTEND;TZID=Europe/Berlin:20190103T100000")
    assert instances(past, WINDOW, "UTC") == []
    with pytest.raises(AssertionError, match="it was read"):
        instances(skeleton("DTSTART:20261121T090000Z", "DTEND:20261121T100000Z"), WINDOW, "UTC")


@pytest.mark.parametrize("edge", ["0001-01-01", "9999-12-31"])
def test_windows_at_the_edges_of_time_are_no_error(edge):
    at = datetime.fromisoformat(edge).replace(tzinfo=UTC)
    assert instances(skeleton("DTSTART:20261124T090000Z"), Window(at, at), "UTC") == []
