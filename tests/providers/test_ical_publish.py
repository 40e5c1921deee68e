"""What others subscribe to is iCalendar that any program reads, whatever stands in a title."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar, vText

from providers.ical_publish import Listed, Period, write_free_busy, write_list
from providers.model import ConsultationEvent

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


def listed(title: str, *, location: str | None = None, tentative: bool = False) -> Listed:
    event = ConsultationEvent("bkg_1", AT, AT + timedelta(minutes=30), title, "grace@example.com", location, 2, AT)
    return Listed(event, "bkg_1-1", tentative=tentative)


@pytest.mark.parametrize("title", ["Intro, with; Zoë\nand \\ her", "x" * 500, "BEGIN:VEVENT\r\nUID:2", "Grüße 🎉" * 40])
def test_a_title_stays_a_title(title):
    written = write_list(title, timedelta(minutes=15), [listed(title, location=title)])
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    calendar = Calendar.from_ical(written)
    [event] = calendar.walk("VEVENT")
    plain = title.replace("\r\n", "\n")
    assert [str(event["SUMMARY"]), str(event["LOCATION"])] == [plain] * 2
    assert str(calendar["NAME"]) == vText(plain).to_ical().decode()  # icalendar doesn't know that it is text


def test_what_is_no_text_is_left_out():
    [event] = Calendar.from_ical(write_list("x", timedelta(minutes=15), [listed("a\x00b\x1bc")])).walk("VEVENT")
    assert str(event["SUMMARY"]) == "abc"


def test_an_event_says_when_and_how_sure_and_nothing_that_clients_wrote():
    written = write_list("Ada", timedelta(minutes=15), [listed("Intro", tentative=True)])
    [event] = Calendar.from_ical(written).walk("VEVENT")
    assert (event.start, event.end, event["SEQUENCE"]) == (AT, AT + timedelta(minutes=30), 2)
    assert (str(event["UID"]), event["STATUS"], event["TRANSP"]) == ("bkg_1-1", "TENTATIVE", "OPAQUE")
    assert b"grace@example.com" not in written
    assert b"METHOD" not in written
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT15M\r\n" in written


def test_free_and_busy_time_is_in_order_and_in_utc():
    hour = timedelta(hours=1)
    periods = [Period(AT + 2 * hour, AT + 3 * hour, "BUSY-TENTATIVE"), Period(AT, AT + hour, "BUSY")]
    written = write_free_busy("freebusy-ada", (AT, AT + timedelta(days=1)), AT, periods).decode()
    lines = written.replace("\r\n ", "").split("\r\n")
    assert [line for line in lines if line.startswith("FREEBUSY")] == [
        "FREEBUSY;FBTYPE=BUSY:20261123T090000Z/20261123T100000Z",
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20261123T110000Z/20261123T120000Z",
    ]
    assert {"UID:freebusy-ada", "DTSTAMP:20261123T090000Z", "DTSTART:20261123T090000Z"} <= set(lines)
    assert "DTEND:20261124T090000Z" in lines
    assert not [line for line in lines if line.startswith(("METHOD", "ORGANIZER", "SUMMARY"))]


def test_no_busy_time_is_a_calendar_too():
    [component] = Calendar.from_ical(write_free_busy("u", (AT, AT + timedelta(days=1)), AT, [])).walk("VFREEBUSY")
    assert "FREEBUSY" not in component
