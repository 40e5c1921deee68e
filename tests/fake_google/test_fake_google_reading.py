"""The fake Google server keeps the rules of Google's documents about requests, lists and busy time."""

from __future__ import annotations

import json

import pytest

AT = {"start": {"dateTime": "2026-11-24T09:00:00Z"}, "end": {"dateTime": "2026-11-24T10:00:00Z"}}
WEEKLY = {
    "start": {"dateTime": "2026-11-24T10:00:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2026-11-24T11:00:00+01:00", "timeZone": "Europe/Berlin"},
    "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"],
}
SECOND = "20261201T090000Z"


# The discovery document


@pytest.mark.parametrize(
    ("http", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("GET", "calendars/primary/events?mxResults=1", None, 400),
        ("GET", "calendars/primary/events?maxResults=none", None, 400),
        ("GET", "calendars/primary/events?maxResults=0", None, 400),
        ("GET", "calendars/primary/events?orderBy=size", None, 400),
        ("GET", "calendars/primary/events?singleEvents=yes", None, 400),
        ("GET", "calendars/primary/events?timeZone=Mars/Olympus", None, 400),
        ("GET", "calendars/primary/events?timeMin=2026-11-24T10:00:00", None, 400),
        ("GET", "calendars/primary/events?timeMin=2026-11-24T10:00:00Z&timeMin=2026-11-24T10:00:00Z", None, 400),
        ("GET", "calendars/primary/events?fields=items(id,colour)", None, 400),
        ("GET", "calendars/primary/events?fields=items(id", None, 400),
        ("GET", "calendars/primary/events?fields=items(attendees/self,start),nextSyncToken&alt=json", None, 200),
        ("POST", "calendars/primary/events", {**AT, "title": "x"}, 400),
        ("POST", "calendars/primary/events", {**AT, "attendees": [{"mail": "a@b"}]}, 400),
        ("POST", "calendars/primary/events", {**AT, "attendees": {}}, 400),
        ("POST", "calendars/primary/events", {**AT, "sequence": "1"}, 400),
        ("POST", "calendars/primary/events", {**AT, "extendedProperties": {"private": {"any": 1}}}, 400),
        ("POST", "calendars/primary/events", {**AT, "extendedProperties": {"private": {"any": "1"}}}, 200),
        ("POST", "calendars/primary/events", {"start": AT["start"]}, 400),
        ("POST", "calendars/primary/events?sendUpdates=some", AT, 400),
        ("POST", "calendars/primary/events/someid/move", None, 400),
        ("GET", "colors", None, 501),
    ],
)
def test_every_request_is_held_against_the_discovery_document(api, google, http, path, body, status):
    assert api.plainly(http, path, json=body).status_code == status
    assert len(google.items("primary")) == (http == "POST" and status == 200)


def test_an_answer_is_reduced_to_the_fields_asked_for(api, google):
    google.put("primary", {**AT, "summary": "private", "extendedProperties": {"private": {"a": "1", "b": "2"}}})
    page = api("events.list", calendarId="primary", fields="items(start/dateTime,extendedProperties(private/a)),kind")
    item = {"start": {"dateTime": "2026-11-24T10:00:00+01:00"}, "extendedProperties": {"private": {"a": "1"}}}
    assert page == {"kind": "calendar#events", "items": [item]}
    assert api("events.list", calendarId="primary", fields="*")["items"][0]["summary"] == "private"


def test_a_long_address_may_come_as_a_post(api, google):
    assert api("events.list", calendarId="primary", q="x" * 3_000)["items"] == []
    assert google.requests[-1].headers["x-http-method-override"] == "GET"


def test_a_token_must_be_known_and_permit_what_is_asked(api, api_of, google, work):
    answer = api.plainly("GET", "calendars/primary/events", headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (401, "authError")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    scope = "https://www.googleapis.com/auth/calendar."
    listing = api_of(f"{scope}calendarlist.readonly")
    listing("calendarList.list")
    assert listing.refused("events.list", calendarId=work) == (403, "insufficientPermissions")
    own = api_of(f"{scope}events.owned")
    own("events.insert", calendarId=work, body=AT)
    shared = google.make_calendar("Team", role="writer")
    assert own.refused("events.insert", calendarId=shared, body=AT) == (403, "insufficientPermissions")
    api("events.insert", calendarId=shared, body=AT)


# Calendars


def test_calendars_are_listed_in_pages_with_what_is_hidden_on_demand(api, google):
    for number in range(5):
        google.make_calendar(f"c{number}", role="reader" if number else "freeBusyReader", hidden=number == 1)
    google.list_page_size = 2
    page = api("calendarList.list", showHidden=True)
    assert len(page["items"]) == 2
    assert "nextSyncToken" not in page
    google.list_page_size = None
    names = [one["summary"] for one in api("calendarList.list", minAccessRole="reader")["items"]]
    assert names == ["ada@example.com", "c2", "c3", "c4"]
    assert api("calendarList.get", calendarId="primary")["primary"] is True


# Lists


def test_pages_may_be_short_or_empty_and_in_any_order(api, google, work, listed):
    for number in range(7):
        google.put(work, AT | {"id": f"event{number}"})
    google.lists.page_size, google.lists.empty_pages = 3, 2
    google.shuffle(1)
    items, page = listed()
    assert sorted(one["id"] for one in items) == [f"event{number}" for number in range(7)]
    assert [one["id"] for one in items] != sorted(one["id"] for one in items)
    assert google.count("events.list") == 5
    assert page["nextSyncToken"]


def test_a_page_token_goes_with_its_parameters(api, google, work):
    for _ in range(2):
        google.put(work, AT)
    token = api("events.list", calendarId=work, maxResults=1)["nextPageToken"]
    assert api.refused("events.list", calendarId=work, maxResults=1, pageToken=token, q="x") == (400, "invalid")
    assert api.refused("events.list", calendarId=work, pageToken="other") == (400, "invalid")
    assert api("events.list", calendarId=work, maxResults=1, pageToken=token)["items"]


@pytest.mark.parametrize(
    "beside",
    [
        {"timeMin": "2026-11-24T10:00:00Z"},
        {"timeMax": "2026-11-24T10:00:00Z"},
        {"updatedMin": "2026-11-24T10:00:00Z"},
        {"q": "x"},
        {"iCalUID": "x"},
        {"orderBy": "updated"},
        {"privateExtendedProperty": "a=b"},
        {"sharedExtendedProperty": "a=b"},
        {"showDeleted": False},
        {"singleEvents": True},
        {"maxAttendees": 2},
    ],
)
def test_what_can_not_be_asked_beside_a_sync_token_is_refused(api, work, beside):
    token = api("events.list", calendarId=work, maxAttendees=1)["nextSyncToken"]
    assert api.refused("events.list", calendarId=work, syncToken=token, **({"maxAttendees": 1} | beside))[0] == 400
    assert api("events.list", calendarId=work, syncToken=token, maxAttendees=1, maxResults=5, fields="items")


def test_sync_tokens_end_and_are_good_for_their_calendar_alone(api, google, work):
    token = api("events.list", calendarId=work)["nextSyncToken"]
    assert api.refused("events.list", calendarId="primary", syncToken=token) == (400, "invalid")
    assert api.refused("events.list", calendarId=work, syncToken="nonsense") == (400, "invalid")
    google.expire_sync(work)
    assert api.refused("events.list", calendarId=work, syncToken=token) == (410, "fullSyncRequired")
    assert "nextSyncToken" not in api("events.list", calendarId=work, orderBy="updated")
    assert "nextSyncToken" in api("events.list", calendarId=work, timeMin="2026-11-24T10:00:00Z")


def test_an_incremental_list_has_what_changed_and_of_what_is_gone_only_the_id(api, google, work, listed):
    stays, changes, goes, moves = (google.put(work, AT | {"summary": "private"}) for _ in range(4))
    token = listed()[1]["nextSyncToken"]
    brief = google.put(work, AT)
    google.patch(work, changes, {"summary": "Other"})
    google.delete(work, goes)
    google.delete(work, brief)
    google.move(work, moves, "primary")
    items, page = listed(syncToken=token)
    assert {one["id"] for one in items} == {changes, goes, brief, moves}
    for one in items:
        if one["id"] != changes:
            assert one.keys() == {"kind", "etag", "id", "status"}
            assert one["status"] == "cancelled"
    assert listed(syncToken=page["nextSyncToken"])[0] == []
    assert {one["id"] for one in listed()[0]} == {stays, changes}
    assert google.items("primary")[0]["id"] == moves


def test_cancelled_instances_are_in_every_list_and_go_with_their_series(api, google, work, listed):
    series = google.put(work, WEEKLY | {"summary": "private"})
    token = listed()[1]["nextSyncToken"]
    google.delete(work, f"{series}_{SECOND}")
    google.patch(work, f"{series}_20261208T090000Z", {"summary": "Moved"})
    full = {one["id"]: one for one in listed()[0]}
    cancelled = full[f"{series}_{SECOND}"]
    assert cancelled.keys() == {"kind", "etag", "id", "status", "recurringEventId", "originalStartTime"}
    assert cancelled["originalStartTime"]["dateTime"] == "2026-12-01T10:00:00+01:00"
    assert full[series]["start"]["timeZone"] == "Europe/Berlin"
    assert {one["id"] for one in listed(syncToken=token)[0]} == full.keys() - {series}
    google.delete(work, series)
    assert listed()[0] == []
    assert [one["id"] for one in listed(syncToken=token)[0]] == [series]


def test_a_series_is_expanded_with_its_exceptions_in_place(api, google, work, listed):
    series = google.put(work, WEEKLY)
    google.delete(work, f"{series}_{SECOND}")
    later = {"dateTime": "2026-12-09T18:00:00Z"}
    google.patch(work, f"{series}_20261208T090000Z", {"start": later, "end": {"dateTime": "2026-12-09T19:00:00Z"}})
    items, _ = listed(singleEvents=True, orderBy="startTime")
    starts = [one["start"]["dateTime"] for one in items]
    assert starts == ["2026-11-24T10:00:00+01:00", "2026-12-09T19:00:00+01:00", "2026-12-15T10:00:00+01:00"]
    window = {"timeMin": "2026-12-09T00:00:00Z", "timeMax": "2026-12-10T00:00:00Z"}
    assert [one["recurringEventId"] for one in listed(singleEvents=True, **window)[0]] == [series]
    assert len(api("events.instances", calendarId=work, eventId=series)["items"]) == 3
    assert api.refused("events.list", calendarId=work, orderBy="startTime") == (400, "badRequest")


def test_a_window_is_bounded_by_the_end_and_the_start_exclusively(google, work, listed):
    google.put(work, AT)
    for first, last, found in [("09", "11", 1), ("10", "11", 0), ("08", "09", 0), ("08", "10", 1)]:
        window = {"timeMin": f"2026-11-24T{first}:00:00Z", "timeMax": f"2026-11-24T{last}:00:00Z"}
        assert len(listed(**window)[0]) == found
    google.put(work, {"start": {"date": "2026-11-25"}, "end": {"date": "2026-11-26"}})  # from 23:00 UTC on
    assert len(listed(timeMin="2026-11-24T20:00:00Z", timeMax="2026-11-24T23:30:00Z")[0]) == 1


def test_answers_are_in_the_zone_of_the_calendar_or_the_one_asked_for(api, google, work):
    google.put(work, AT)
    (here,) = api("events.list", calendarId=work)["items"]
    (there,) = api("events.list", calendarId=work, timeZone="America/New_York")["items"]
    assert (here["start"], there["start"]) == (
        {"dateTime": "2026-11-24T10:00:00+01:00"},
        {"dateTime": "2026-11-24T04:00:00-05:00"},
    )


def test_of_many_attendees_only_oneself_is_told(api, google, work):
    guests = [{"email": "bob@example.com"}, {"email": "ada@example.com", "self": True, "responseStatus": "declined"}]
    google.put(work, AT | {"attendees": guests})
    (few,) = api("events.list", calendarId=work, maxAttendees=1)["items"]
    assert (few["attendees"], few["attendeesOmitted"]) == (guests[1:], True)
    assert len(api("events.list", calendarId=work)["items"][0]["attendees"]) == 2


def test_who_may_see_busy_time_only_lists_no_events(api, google):
    shared = google.make_calendar("Shared", role="freeBusyReader")
    assert api.refused("events.list", calendarId=shared) == (403, "requiredAccessLevel")
    read = google.make_calendar("Read", role="reader")
    assert api("events.list", calendarId=read)["items"] == []
    assert api.refused("events.insert", calendarId=read, body=AT) == (403, "requiredAccessLevel")


# Busy time


def question(*ids, **more):
    return {
        "timeMin": "2026-11-23T00:00:00Z",
        "timeMax": "2026-12-07T00:00:00Z",
        "items": [{"id": one} for one in ids],
    } | more


def test_busy_time_is_merged_and_errors_are_told_by_calendar(api, google):
    shared = google.make_calendar("Shared", "America/New_York", role="freeBusyReader")
    google.put(shared, AT)
    google.put(shared, {"start": AT["end"], "end": {"dateTime": "2026-11-24T11:30:00Z"}})
    google.put(shared, WEEKLY | {"transparency": "transparent"})
    series = google.put(shared, WEEKLY)
    google.delete(shared, f"{series}_{SECOND}")
    google.put(shared, AT | {"attendees": [{"email": "x", "self": True, "responseStatus": "declined"}]})
    lone = {"start": {"dateTime": "2026-12-05T09:00:00Z"}, "end": {"dateTime": "2026-12-05T10:00:00Z"}}
    google.put(shared, lone | {"recurringEventId": "elsewhere", "originalStartTime": lone["start"]})
    google.busy_errors["primary"] = "internalError"
    told = api("freebusy.query", body=question(shared, "primary", "gone"))["calendars"]
    assert told[shared]["busy"] == [
        {"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T11:30:00Z"},
        {"start": "2026-12-05T09:00:00Z", "end": "2026-12-05T10:00:00Z"},
    ]
    assert [told[one]["errors"][0]["reason"] for one in ("primary", "gone")] == ["internalError", "notFound"]


def test_a_question_about_busy_time_has_its_limits(api):
    many = question(*(f"c{number}" for number in range(51)))
    assert api.refused("freebusy.query", body=many) == (400, "tooManyCalendarsRequested")
    long = question("primary", timeMax="2027-02-25T00:00:00Z")
    assert api.refused("freebusy.query", body=long) == (400, "timeRangeTooLong")
    assert api.refused("freebusy.query", body=question(timeMax="2026-11-22T00:00:00Z"))[1] == "timeRangeEmpty"
    assert json.dumps(api("freebusy.query", body=question("primary"))["calendars"]) == '{"primary": {"busy": []}}'
