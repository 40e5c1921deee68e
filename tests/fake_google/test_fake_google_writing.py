"""The fake Google server keeps the rules of Google's documents about writing events."""

from __future__ import annotations

import pytest
from fake_google_writes import Mail

AT = {"start": {"dateTime": "2026-11-24T09:00:00Z"}, "end": {"dateTime": "2026-11-24T10:00:00Z"}}
LATER = {"start": {"dateTime": "2026-11-24T12:00:00Z"}, "end": {"dateTime": "2026-11-24T13:00:00Z"}}
DAY = {"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-25"}}
MEET = {"createRequest": {"requestId": "once", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
BOB = [{"email": "bob@example.com"}]


@pytest.fixture
def insert(api, work):
    """Make an event, silently unless told."""

    def making(body=AT, **asked):
        return api("events.insert", **({"calendarId": work, "sendUpdates": "none", "body": body} | asked))

    return making


@pytest.fixture
def patch(api, work):
    """Change an event."""

    def changing(event, body, if_match=None, **asked):
        asked = {"calendarId": work, "eventId": event["id"], "sendUpdates": "none", "body": body} | asked
        return api("events.patch", headers={"If-Match": if_match} if if_match else None, **asked)

    return changing


def test_ids_may_be_chosen_and_are_never_given_twice(api, work, insert):
    made = insert({**AT, "id": "bkg0v"})
    assert (made["id"], made["iCalUID"]) == ("bkg0v", "bkg0v@google.com")
    asked = {"calendarId": work, "sendUpdates": "none"}
    assert api.refused("events.insert", **asked, body={**AT, "id": "bkg0v"}) == (409, "duplicate")
    api("events.delete", calendarId=work, eventId="bkg0v")
    assert api.refused("events.insert", **asked, body={**AT, "id": "bkg0v"}) == (409, "duplicate")
    for wrong in ("bkg", "bkg-1", "bkgw0", "BKG01"):
        assert api.refused("events.insert", **asked, body={**AT, "id": wrong}) == (400, "invalid")
    both = {**AT, "id": "bkg1v", "iCalUID": "x"}
    assert api.refused("events.insert", **asked, body=both) == (400, "invalid")


@pytest.mark.parametrize(
    "times",
    [
        {"start": {"dateTime": "2026-11-24T09:00:00"}, "end": AT["end"]},
        {"start": {"dateTime": "2026-11-24T09:00:00", "timeZone": "Mars/Olympus"}, "end": AT["end"]},
        {"start": AT["end"], "end": AT["start"]},
        {"start": DAY["start"], "end": AT["end"]},
        {"start": {**DAY["start"], **AT["start"]}, "end": {**DAY["end"], **AT["end"]}},
        {**AT, "recurrence": ["RRULE:FREQ=DAILY"]},
        {"start": {**AT["start"], "timeZone": "UTC"}, "end": {**AT["end"], "timeZone": "UTC"}, "recurrence": ["FREQ"]},
    ],
)
def test_times_that_say_too_little_or_too_much_are_refused(api, work, times):
    assert api.refused("events.insert", calendarId=work, body=times)[0] == 400


def test_extended_properties_have_their_limits(insert):
    made = insert({**AT, "extendedProperties": {"private": {"k" * 45: "dropped", "k" * 44: "v" * 1_025}}})
    assert made["extendedProperties"]["private"] == {"k" * 44: "v" * 1_024}


def test_a_patch_overwrites_lists_and_removes_what_is_null(insert, patch):
    told = {"private": {"a": "1", "b": "2"}}
    event = insert({**AT, "location": "here", "attendees": [*BOB, {"email": "x@y.z"}], "extendedProperties": told})
    new = patch(event, {"location": None, "attendees": BOB, "extendedProperties": {"private": {"a": None}}})
    assert "location" not in new
    assert [one["email"] for one in new["attendees"]] == ["bob@example.com"]
    assert new["extendedProperties"] == {"private": {"b": "2"}}
    assert new["sequence"] == 0
    assert patch(event, LATER)["sequence"] == 1


def test_timed_becomes_all_day_only_where_the_time_is_taken_away(api, work, insert, patch):
    event = insert()
    asked = {"calendarId": work, "eventId": event["id"]}
    assert api.refused("events.patch", **asked, body=DAY) == (400, "invalid")
    nulled = {name: {**DAY[name], "dateTime": None} for name in DAY}
    assert patch(event, nulled)["start"] == DAY["start"]


def test_conditions_hold_for_every_write_and_read(api, work, insert, patch):
    event = insert()
    new = patch(event, {"summary": "x"}, if_match=event["etag"])
    assert new["etag"] != event["etag"]
    stale = {"headers": {"If-Match": event["etag"]}, "calendarId": work, "eventId": event["id"]}
    assert api.refused("events.patch", **stale, body={"summary": "y"}) == (412, "conditionNotMet")
    assert api.refused("events.update", **stale, body=AT) == (412, "conditionNotMet")
    assert api.refused("events.delete", **stale) == (412, "conditionNotMet")
    path = f"calendars/{work}/events/{event['id']}"
    assert api.plainly("GET", path, headers={"If-None-Match": new["etag"]}).status_code == 304
    assert api.plainly("GET", path, headers={"If-None-Match": event["etag"]}).status_code == 200
    assert api("events.get", calendarId=work, eventId=event["id"])["summary"] == "x"


def test_what_was_deleted_can_be_read_and_brought_back_but_not_deleted_again(api, work, insert, patch):
    event = insert()
    here = {"calendarId": work, "eventId": event["id"]}
    api("events.delete", **here)
    assert api.refused("events.delete", **here) == (410, "deleted")
    assert api.refused("events.delete", calendarId=work, eventId="bkgnone") == (404, "notFound")
    assert api("events.get", **here)["status"] == "cancelled"
    assert patch(event, {"summary": "x"})["status"] == "cancelled"
    assert api("events.list", calendarId=work)["items"] == []
    assert patch(event, {"status": "confirmed"})["status"] == "confirmed"
    assert len(api("events.list", calendarId=work)["items"]) == 1


def test_an_instance_can_be_read_changed_and_deleted_by_its_own_id(api, work, insert, patch):
    zone = {"timeZone": "Europe/Berlin"}
    times = {name: {"dateTime": AT[name]["dateTime"], **zone} for name in AT}
    series = insert({**times, "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]})
    second = {"id": f"{series['id']}_20261201T090000Z"}
    read = api("events.get", calendarId=work, eventId=second["id"])
    assert read["originalStartTime"]["dateTime"] == "2026-12-01T10:00:00+01:00"
    assert (read["recurringEventId"], read["iCalUID"]) == (series["id"], series["iCalUID"])
    assert patch(second, {"summary": "Only this one"})["summary"] == "Only this one"
    assert len(api("events.list", calendarId=work)["items"]) == 2
    api("events.delete", calendarId=work, eventId=second["id"])
    assert api.refused("events.delete", calendarId=work, eventId=second["id"]) == (410, "deleted")
    nowhere = f"{series['id']}_20261202T090000Z"
    assert api.refused("events.get", calendarId=work, eventId=nowhere) == (404, "notFound")
    daily = insert({**DAY, "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]})
    assert api("events.get", calendarId=work, eventId=f"{daily['id']}_20261125")["start"] == {"date": "2026-11-25"}


def test_a_moved_event_leaves_nothing_but_its_id(api, work, insert):
    event = insert()
    api("events.move", calendarId=work, eventId=event["id"], destination="primary", sendUpdates="none")
    left = api("events.get", calendarId=work, eventId=event["id"])
    assert left.keys() == {"kind", "etag", "id", "status"}
    assert api("events.get", calendarId="primary", eventId=event["id"])["status"] == "confirmed"


def test_guests_are_told_when_that_is_said_and_it_is_seen_when_nothing_is(api, google, work, insert, patch):
    event = insert({**AT, "attendees": [*BOB, {"email": "ada@example.com"}]}, sendUpdates="all")
    assert [one.get("self") for one in event["attendees"]] == [None, True]
    patch(event, LATER, sendUpdates="all")
    patch(event, AT)
    api("events.delete", calendarId=work, eventId=event["id"], sendUpdates="all")
    kinds = ("invitation", "update", "cancellation")
    assert google.writes.mails == [Mail(kind, event["id"], ("bob@example.com",)) for kind in kinds]
    assert google.writes.unsaid == []
    silent = api("events.insert", calendarId=work, body=AT)
    assert google.writes.unsaid == [f"insert {silent['id']}"]


def test_a_conference_is_made_when_it_is_asked_for_and_comes_later(api, google, work, insert, patch):
    assert "conferenceData" not in insert({**AT, "conferenceData": MEET})
    google.writes.conference_reads = 2
    event = insert({**AT, "conferenceData": MEET}, conferenceDataVersion=1)
    asked = {"calendarId": work, "eventId": event["id"]}
    states = [event, api("events.get", **asked), api("events.get", **asked)]
    told = [one["conferenceData"]["createRequest"]["status"]["statusCode"] for one in states]
    assert told == ["pending", "pending", "success"]
    link = states[2]["hangoutLink"]
    assert states[2]["conferenceData"]["entryPoints"][0]["uri"] == link
    assert states[2]["etag"] != states[1]["etag"]
    again = patch(event, {**LATER, "conferenceData": MEET}, conferenceDataVersion=1)
    assert again["hangoutLink"] == link
    assert patch(event, {"conferenceData": {}})["hangoutLink"] == link  # no version, no say
    assert "conferenceData" not in patch(event, {"conferenceData": None}, conferenceDataVersion=1)


def test_a_conference_can_fail_or_be_of_a_kind_that_the_calendar_does_not_make(api, google, insert):
    google.writes.conference_outcome, google.writes.conference_reads = "failure", 0
    failed = insert({**AT, "conferenceData": MEET}, conferenceDataVersion=1)
    assert failed["conferenceData"]["createRequest"]["status"] == {"statusCode": "failure"}
    assert "hangoutLink" not in failed
    bare = google.make_calendar("Bare", solutions=())
    body = {**AT, "conferenceData": MEET}
    assert api.refused("events.insert", calendarId=bare, conferenceDataVersion=1, body=body) == (400, "invalid")


def test_a_change_of_reminders_alone_moves_the_etag_and_not_the_time_of_the_last_change(api, work, insert, patch):
    event = insert()
    token = api("events.list", calendarId=work)["nextSyncToken"]
    new = patch(event, {"reminders": {"useDefault": False}})
    assert (new["etag"] != event["etag"], new["updated"]) == (True, event["updated"])
    assert len(api("events.list", calendarId=work, syncToken=token)["items"]) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"attendees": [{"displayName": "Bob"}]},
        {"attendees": [{"email": "nobody"}]},
        {"reminders": {"overrides": [{"method": "popup", "minutes": n} for n in range(6)]}},
        {"eventType": "outOfOffice"},
        {"eventType": "fromGmail"},
    ],
)
def test_what_no_event_may_have_is_refused(api, work, more):
    assert api.refused("events.insert", calendarId=work, body={**AT, **more}) == (400, "invalid")
