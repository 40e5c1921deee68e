"""Our events are written so that every server takes them, and changed without touching what isn't ours."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest

from providers.errors import InvalidResponse
from providers.ical import change_event, read_written, write_event
from providers.model import ConsultationEvent, EventRef

EVENT = ConsultationEvent(
    booking_id="bkg_1",
    start_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    end_at=datetime(2026, 3, 2, 9, 45, tzinfo=UTC),
    title="Einführung; mit Bob, und \\ mehr " * 3,
    description="Bob <bob@example.org>\nsecond line",
    location="Room 1",
    sequence=3,
    updated_at=datetime(2026, 2, 1, 12, 0, 0, 999, tzinfo=UTC),
)
REF = EventRef(calendar="/cal/", remote_id="/cal/1.ics", uid="asked-for", etag='"1"')

THEIRS = """BEGIN:VCALENDAR
PRODID:-//Someone//EN
VERSION:2.0
X-WR-CALNAME:Ärzte
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0100
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
RECURRENCE-ID:20260302T080000Z
UID:u
DTSTART:20260302T080000Z
SUMMARY:Override
END:VEVENT
BEGIN:VEVENT
CREATED:20260101T000000Z
X-COLOUR;X-P="a:b;c":red
summary;LANGUAGE=de:Old title that is long enough to have been folded by som
 e program\\, once
DTSTART;TZID=Europe/Berlin:20260302T090000
DURATION:PT1H
SEQUENCE:9
ATTENDEE;CN="Bob: x";PARTSTAT=ACCEPTED:mailto:bob@exam
 ple.org
DESCRIPTION:What the person wrote\\nhere
UID:u
LOCATION:Their room
BEGIN:VALARM
ACTION:DISPLAY
SUMMARY:Alarm
DESCRIPTION:Alarm
TRIGGER:-PT10M
END:VALARM
END:VEVENT
END:VCALENDAR
"""


def test_a_new_event_holds_what_servers_ask_for_and_nothing_that_mails_anyone():
    calendar = icalendar.Calendar.from_ical(write_event(EVENT, "uid-1"))
    [event] = calendar.events
    assert calendar["PRODID"]
    assert calendar["VERSION"] == "2.0"
    assert {name: str(event[name]) for name in ("UID", "SUMMARY", "DESCRIPTION", "LOCATION", "STATUS", "TRANSP")} == {
        "UID": "uid-1",
        "SUMMARY": EVENT.title,
        "DESCRIPTION": EVENT.description,
        "LOCATION": "Room 1",
        "STATUS": "CONFIRMED",
        "TRANSP": "OPAQUE",
    }
    assert (event.start, event.end) == (EVENT.start_at, EVENT.end_at)
    assert event["SEQUENCE"] == 3
    assert event["X-SYNCD-BOOKING"] == "bkg_1"
    assert event.DTSTAMP == event.LAST_MODIFIED == EVENT.updated_at.replace(microsecond=0)
    assert not {"ATTENDEE", "ORGANIZER", "DURATION"} & set(event)


def test_times_are_written_in_utc():
    berlin = ZoneInfo("Europe/Berlin")
    written = write_event(replace(EVENT, start_at=EVENT.start_at.astimezone(berlin)), "uid-1")
    assert b"DTSTART:20260302T090000Z\r\n" in written
    assert b"DTEND:20260302T094500Z\r\n" in written


def test_without_a_location_none_is_written():
    assert b"LOCATION" not in write_event(replace(EVENT, location=None), "uid-1")


def test_lines_end_in_crlf_and_are_folded_at_75_octets():
    written = write_event(EVENT, "uid-1")
    assert written.endswith(b"END:VCALENDAR\r\n")
    assert re.search(rb"[^\r]\n|\r[^\n]", written) is None
    assert max(map(len, written.split(b"\r\n"))) <= 75


def test_a_title_can_smuggle_no_property_in():
    written = write_event(replace(EVENT, title="x\r\nRRULE:FREQ=DAILY\rY\x00\x0b"), "uid-1")
    [event] = icalendar.Calendar.from_ical(written).events
    assert str(event["SUMMARY"]) == "x\nRRULE:FREQ=DAILYY"
    assert "RRULE" not in event


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_change_touches_our_fields_and_leaves_the_rest_byte_for_byte(ending: str):
    existing = THEIRS.replace("\n", ending).encode()
    changed = change_event(existing, replace(EVENT, title="New", location=None))
    expected = (
        THEIRS.replace(
            "summary;LANGUAGE=de:Old title that is long enough to have been folded by som\n e program\\, once\n",
            "SUMMARY:New\n",
        )
        .replace("DTSTART;TZID=Europe/Berlin:20260302T090000\nDURATION:PT1H\n", "DTSTART:20260302T090000Z\n")
        .replace(
            "LOCATION:Their room\n",
            "LOCATION:Their room\nDTSTAMP:20260201T120000Z\nLAST-MODIFIED:20260201T120000Z\nDTEND:20260302T094500Z\n"
            "STATUS:CONFIRMED\nX-SYNCD-BOOKING:bkg_1\n",
        )
    )
    assert changed == expected.replace("\n", ending).encode()


def test_bytes_that_are_not_utf_8_survive_a_change():
    existing = THEIRS.encode().replace("Ärzte".encode(), b"\xc4rzte")
    assert b"X-WR-CALNAME:\xc4rzte\n" in change_event(existing, EVENT)


def test_a_change_made_twice_is_the_change_made_once():
    once = change_event(THEIRS.encode(), EVENT)
    assert change_event(once, EVENT) == once


def test_a_change_of_what_we_wrote_is_what_we_would_write():
    moved = replace(EVENT, start_at=EVENT.start_at + timedelta(days=1), end_at=EVENT.end_at + timedelta(days=1))
    assert change_event(write_event(EVENT, "uid-1"), moved) == write_event(moved, "uid-1")


def test_the_location_is_changed_where_there_is_one():
    assert b"LOCATION:Room 1\n" in change_event(THEIRS.encode(), EVENT)


@pytest.mark.parametrize(("written", "ours", "then"), [("9", 3, 9), ("9", 10, 10), ("x", 3, 3), ("-1", 0, 0)])
def test_the_sequence_never_goes_down(written: str, ours: int, then: int):
    existing = THEIRS.replace("SEQUENCE:9", f"SEQUENCE:{written}").encode()
    changed = change_event(existing, replace(EVENT, sequence=ours))
    assert changed.count(b"SEQUENCE:") == 1
    assert f"\nSEQUENCE:{then}\n".encode() in changed


def test_a_property_written_twice_is_there_once_after_a_change():
    existing = THEIRS.replace("SEQUENCE:9\n", "SEQUENCE:9\nSEQUENCE:4\nDTEND:20260302T100000Z\n").encode()
    changed = change_event(existing, EVENT)
    assert b"SEQUENCE:9\n" in changed
    assert (changed.count(b"SEQUENCE:"), changed.count(b"DTEND")) == (1, 1)


@pytest.mark.parametrize(
    "text", [b"", b"BEGIN:VCALENDAR\nEND:VCALENDAR\n", THEIRS.replace("CREATED", "RECURRENCE-ID").encode()]
)
def test_a_resource_without_our_event_is_an_invalid_response(text: bytes):
    with pytest.raises(InvalidResponse):
        change_event(text, EVENT)


def test_what_was_written_is_read_back():
    written = read_written(write_event(EVENT, "uid-1"), REF)
    assert written.ref == replace(REF, uid="uid-1")
    assert (written.start_at, written.end_at) == (EVENT.start_at, EVENT.end_at)
    assert (written.sequence, written.status, written.booking_id) == (3, "CONFIRMED", "bkg_1")


def test_an_event_that_was_made_all_day_is_read_in_the_calendars_zone():
    event = "UID:u\nDTSTART;VALUE=DATE:20260330\nSTATUS:CANCELLED"
    text = f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{event}\nEND:VEVENT\nEND:VCALENDAR\n"
    written = read_written(text, REF, "Europe/Berlin")
    assert written.start_at == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert written.end_at == datetime(2026, 3, 30, 22, tzinfo=UTC)
    assert (written.sequence, written.status, written.booking_id) == (0, "CANCELLED", None)


def test_of_an_event_that_was_made_a_series_the_master_is_read():
    written = read_written(THEIRS, REF)
    assert (written.start_at, written.sequence) == (datetime(2026, 3, 2, 8, tzinfo=UTC), 9)


@pytest.mark.parametrize(
    "text",
    ["", "BEGIN:VCALENDAR\nEND:VCALENDAR\n", THEIRS.replace("DTSTART;", "X-START;").replace("DTSTART:2", "X-START:2")],
)
def test_an_event_that_cannot_be_understood_is_an_invalid_response(text: str):
    with pytest.raises(InvalidResponse) as caught:
        read_written(text, REF)
    assert caught.value.remote_id == "/cal/1.ics"
