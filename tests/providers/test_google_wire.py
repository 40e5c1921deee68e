"""What Google's events come down to, and how ours are written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from googleapiclient.discovery_cache import get_static_doc

from providers.errors import InvalidResponse
from providers.google import wire
from providers.model import Attendee, ConsultationEvent, Window
from providers.recurrence import instances

WEEK = Window(datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC))
BERLIN = "Europe/Berlin"


def item(**more):
    start, end = "2026-11-24T09:00:00+01:00", "2026-11-24T10:00:00+01:00"
    timed = {"start": {"dateTime": start}, "end": {"dateTime": end}}
    return {"id": "abc", "etag": '"1"', "iCalUID": "abc@google.com", "status": "confirmed", **timed, **more}


def only(found, window=WEEK, tz=BERLIN):
    (one,) = instances(found.event.skeleton, window, tz)
    return one


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"status": "tentative"}, ("OPAQUE", "TENTATIVE", None, None)),
        ({"transparency": "transparent"}, ("TRANSPARENT", "CONFIRMED", None, None)),
        ({"transparency": "opaque"}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"attendees": [{"self": True, "responseStatus": "declined"}]}, ("OPAQUE", "CONFIRMED", "DECLINED", None)),
        ({"attendees": [{"self": True, "responseStatus": "accepted"}]}, ("OPAQUE", "CONFIRMED", "ACCEPTED", None)),
        ({"attendees": [{"self": True, "responseStatus": "tentative"}]}, ("OPAQUE", "CONFIRMED", "TENTATIVE", None)),
        (
            {"attendees": [{"self": True, "responseStatus": "needsAction"}]},
            ("OPAQUE", "CONFIRMED", "NEEDS-ACTION", None),
        ),
        ({"attendees": [{"self": True, "responseStatus": "new"}]}, ("OPAQUE", "CONFIRMED", "NEEDS-ACTION", None)),
        ({"attendees": [{"responseStatus": "declined"}]}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"eventType": "default"}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"eventType": "outOfOffice"}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"eventType": "focusTime"}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"eventType": "fromGmail"}, ("OPAQUE", "CONFIRMED", None, None)),
        ({"eventType": "fromGmail", "transparency": "transparent"}, ("TRANSPARENT", "CONFIRMED", None, None)),
        ({"eventType": "workingLocation"}, ("OPAQUE", "CONFIRMED", None, "FREE")),
        ({"eventType": "birthday"}, ("OPAQUE", "CONFIRMED", None, "FREE")),
        ({"eventType": "somethingNew"}, ("OPAQUE", "CONFIRMED", None, None)),
    ],
)
def test_what_an_event_says_of_being_busy_is_kept(more, says):
    one = only(wire.read(item(**more), BERLIN))
    assert (one.transparency, one.status, one.partstat, one.fb_type) == says


def test_an_all_day_event_runs_from_midnight_to_midnight_in_the_calendar_s_zone():
    found = wire.read(item(start={"date": "2026-11-24"}, end={"date": "2026-11-25"}), "America/New_York")
    one = only(found, tz="America/New_York")
    assert one.all_day
    assert one.start_at == datetime(2026, 11, 24, 5, tzinfo=UTC)
    assert one.end_at - one.start_at == timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        ({"dateTime": "2026-10-19T09:00:00+02:00", "timeZone": BERLIN}, [7, 8]),  # 09:00 on either side of the change
        ({"dateTime": "2026-10-19T09:00:00+02:00"}, [7, 8]),  # of the calendar's zone, where the event names none
        ({"dateTime": "2026-10-19T07:00:00Z", "timeZone": BERLIN}, [7, 8]),
        ({"dateTime": "2026-10-19T09:00:00", "timeZone": BERLIN}, [7, 8]),
        ({"dateTime": "2026-10-19T07:00:00Z", "timeZone": "UTC"}, [7, 7]),
        ({"dateTime": "2026-10-19T09:00:00+02:00", "timeZone": "America/New_York"}, [7, 7]),
    ],
)
def test_a_series_recurs_on_the_wall_clock_of_its_zone(start, hours):
    end = {**start, "dateTime": start["dateTime"].replace("T09", "T10").replace("T07", "T08")}
    found = wire.read(item(start=start, end=end, recurrence=["RRULE:FREQ=WEEKLY;COUNT=2"]), BERLIN)
    window = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC))
    assert [one.start_at.hour for one in instances(found.event.skeleton, window, BERLIN)] == hours
    assert found.event.series_id == "abc"


def test_an_override_belongs_to_its_master_and_replaces_one_instance():
    original = {"dateTime": "2026-11-24T09:00:00+01:00", "timeZone": BERLIN}
    found = wire.read(item(id="abc_20261124T080000Z", recurringEventId="abc", originalStartTime=original), BERLIN)
    assert found.event.series_id == "abc"
    assert "RECURRENCE-ID:20261124T080000Z" in found.event.skeleton


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"originalStartTime": {"dateTime": "2026-11-24T09:00:00+01:00"}}, "RECURRENCE-ID:20261124T080000Z"),
        ({"originalStartTime": {"date": "2026-11-24"}}, "RECURRENCE-ID;VALUE=DATE:20261124"),
        ({}, "RECURRENCE-ID:20261124T080000Z"),
    ],
)
def test_a_cancelled_instance_is_kept_as_cancelled_with_no_more_than_what_is_guaranteed(more, line):
    told = {"id": "abc_20261124T080000Z", "etag": '"1"', "status": "cancelled", "recurringEventId": "abc"}
    found = wire.read({**told, **more}, BERLIN)
    assert found.event.series_id == "abc"
    assert line in found.event.skeleton
    assert "STATUS:CANCELLED" in found.event.skeleton


@pytest.mark.parametrize("tombstone", [{"id": "abc", "status": "cancelled"}, item(status="cancelled")])
def test_a_deleted_event_is_gone_whatever_else_is_told_of_it(tombstone):
    found = wire.read(tombstone, BERLIN)
    assert (found.remote_id, found.event, found.unreadable) == ("abc", None, ())


@pytest.mark.parametrize(
    "broken",
    [
        {"start": None},
        {"start": {"dateTime": "yesterday"}},
        {"start": {"dateTime": "2026-11-24T09:00:00"}},
        {"start": {"date": "2026-13-45"}},
        {"start": {"dateTime": 7}},
        {"start": "2026-11-24"},
        {"end": {"dateTime": "2026-11-24T08:00:00+01:00"}},
        {"recurrence": ["RRULE:FREQ=SOMETIMES"]},
        {"recurrence": ["DTSTART:20261124T090000Z"]},
        {"recurrence": ["RRULE:FREQ=DAILY\r\nSUMMARY:SECRET"]},
        {"recurrence": [7]},
        {"recurrence": 7},
        {"recurrence": ["RRULE:FREQ=DAILY"], "start": {"dateTime": "2026-11-24T09:00:00Z", "timeZone": "Mars/Olympus"}},
        {"attendees": ["SECRET"]},
        {"attendees": 7},
        {"end": None},
        {"end": {"dateTime": "9999-13-31T23:59:59-05:00"}},
        {"recurringEventId": "abc", "originalStartTime": {"dateTime": "SECRET"}},
        {"recurringEventId": "abc"},
    ],
)
def test_an_event_that_can_not_be_understood_is_named_and_raises_nothing(broken):
    found = wire.read(item(**broken), BERLIN)
    (bad,) = found.unreadable
    assert found.event is None
    assert (bad.remote_id, bad.etag, bad.uid) == ("abc", '"1"', "abc@google.com")
    assert bad.reason.endswith(".")
    assert "SECRET" not in repr(found)


@pytest.mark.parametrize("private", [[1], 7, {"syncdBooking": 7}, {"syncdBooking": "a\nTRANSP:TRANSPARENT"}])
def test_odd_properties_of_others_are_as_if_they_were_not_there(private):
    found = wire.read(item(extendedProperties={"private": private}), BERLIN)
    assert found.event.skeleton == wire.read(item(), BERLIN).event.skeleton


def test_a_uid_can_not_say_more_of_its_event():
    found = wire.read(item(iCalUID="u\r\nTRANSP:TRANSPARENT\nX-SYNCD-BOOKING:bkg_other"), BERLIN)
    assert only(found).transparency == "OPAQUE"
    assert "\r\nX-SYNCD-BOOKING" not in found.event.skeleton


@pytest.mark.parametrize("ever", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+14:00"])
def test_an_event_at_the_edge_of_time_stops_nothing(ever):
    for told in ({"start": {"dateTime": ever}}, {"end": {"dateTime": ever}}, {"recurrence": ["RRULE:FREQ=DAILY"]}):
        found = wire.read(item(**{**told, "originalStartTime": {"dateTime": ever}, "recurringEventId": "abc"}), BERLIN)
        assert found.event or found.unreadable


def test_an_item_without_an_id_stops_nothing():
    assert wire.read({"status": "confirmed"}, BERLIN).unreadable[0].reason == "An event has no id."


def test_nothing_private_is_asked_for():
    for private in ("summary", "description", "location", "email", "displayName", "creator", "organizer", "hangout"):
        assert private not in wire.LIST_FIELDS


# What is ours


def event(**more):
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    told = {"title": "Intro call: Bob", "description": "Booked by Bob.", "location": None, "sequence": 2}
    return ConsultationEvent("bkg_1", start, start + timedelta(minutes=30), updated_at=start, **{**told, **more})


def schema(name):
    return json.loads(get_static_doc("calendar", "v3"))["schemas"][name]["properties"]


def test_ids_are_what_google_takes_and_the_same_for_the_same_key():
    for key in ("bkg_abc-1", "Bkg_1~2+ä@syncd.example", ""):
        made = wire.event_id(key)
        assert made == wire.event_id(key)
        assert set(made) <= set("abcdefghijklmnopqrstuv0123456789")
        assert 5 <= len(made) <= 1_024
    assert wire.event_id("bkg_abc-1") != wire.event_id("bkg_abc-2")


def test_every_field_that_is_written_is_one_of_google_s():
    body = wire.new_event(event(location="Room 5", attendee=Attendee("bob@example.org", "Bob")), "key", with_link=True)
    assert body.keys() <= schema("Event").keys()
    assert body["start"].keys() <= schema("EventDateTime").keys()
    assert body["attendees"][0].keys() <= schema("EventAttendee").keys()
    assert body["conferenceData"]["createRequest"].keys() <= schema("CreateConferenceRequest").keys()
    assert all(len(key) <= 44 for key in body["extendedProperties"]["private"])


def test_a_change_names_the_fields_that_are_ours_and_no_others():
    body = wire.changed_event(event(attendee=Attendee("bob@example.org")))
    assert body.keys() == {"summary", "start", "end", "extendedProperties"}
    assert body["start"] == {"dateTime": "2026-12-01T09:00:00Z", "date": None}
    assert wire.changed_event(event(location="Room 5"))["location"] == "Room 5"


def test_what_a_client_wrote_is_never_html():
    body = wire.new_event(
        event(description='See <a href="https://evil.example">this</a> & that'), "key", with_link=False
    )
    assert "<" not in body["description"]
    assert wire.new_event(event(description="Salt & pepper"), "key", with_link=False)["description"] == "Salt & pepper"


def test_one_of_ours_is_read_as_it_is_now():
    private = {wire.PROPERTY: "bkg_1", wire.SEQUENCE: "3", "other": "x"}
    found = wire.written(
        item(extendedProperties={"private": private}, htmlLink="https://calendar.example/x"), "cal", BERLIN
    )
    assert (found.booking_id, found.sequence, found.status) == ("bkg_1", 3, "CONFIRMED")
    assert (found.start_at, found.end_at) == (
        WEEK.start_at.replace(day=24, hour=8),
        WEEK.start_at.replace(day=24, hour=9),
    )
    assert (found.ref.uid, found.ref.etag, found.ref.html_link) == (
        "abc@google.com",
        '"1"',
        "https://calendar.example/x",
    )


def test_one_of_ours_that_was_made_all_day_lies_in_the_calendar_s_zone():
    found = wire.written(item(start={"date": "2026-11-24"}, end={"date": "2026-11-25"}), "cal", "America/New_York")
    assert found.start_at == datetime(2026, 11, 24, 5, tzinfo=UTC)


@pytest.mark.parametrize("broken", [{"start": None}, {"end": {"dateTime": "soon"}}])
def test_one_of_ours_that_can_not_be_understood_is_an_error(broken):
    with pytest.raises(InvalidResponse):
        wire.written(item(**broken), "cal", BERLIN)


@pytest.mark.parametrize(
    ("more", "link", "pending"),
    [
        ({}, None, False),
        ({"conferenceData": {"createRequest": {"status": {"statusCode": "pending"}}}}, None, True),
        ({"conferenceData": {"createRequest": {"status": {"statusCode": "failure"}}}}, None, False),
        ({"hangoutLink": "https://meet.google.com/abc-defg-hij"}, "https://meet.google.com/abc-defg-hij", False),
        (
            {"conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": "https://meet.example/x"}]}},
            "https://meet.example/x",
            False,
        ),
        ({"hangoutLink": "javascript:alert(1)"}, None, False),
        ({"conferenceData": {"entryPoints": 7, "createRequest": "x"}}, None, False),
        ({"conferenceData": [], "hangoutLink": 7}, None, False),
    ],
)
def test_a_meeting_link_is_known_or_pending_or_none(more, link, pending):
    found = wire.ref_of(item(**more), "cal")
    assert (found.join_url, found.link_pending) == (link, pending)
