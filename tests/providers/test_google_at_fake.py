"""The Google adapter against the fake Google: what is Google's own, beyond the promises of the port."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fake_google_accounts import USUAL, connection_to, grant_of

from providers.errors import AlreadyExists, GrantRevoked, NotFound, PermissionDenied, SyncTokenInvalid, Unavailable
from providers.google.client import GoogleProvider
from providers.google.permissions import LISTING, WRITING_ALL
from providers.google.wire import event_id
from providers.model import Attendee, ConsultationEvent, Window

WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC))
AT = {"start": {"dateTime": "2026-11-24T09:00:00Z"}, "end": {"dateTime": "2026-11-24T10:00:00Z"}}
BOB = Attendee("bob@example.com", "Bob")


def consultation(hour=9, sequence=0, **more):
    start = datetime(2026, 12, 1, hour, tzinfo=UTC)
    end, told = start + timedelta(minutes=30), datetime(2026, 11, 22, tzinfo=UTC)
    return ConsultationEvent("bkg_1", start, end, "Intro", "Booked by Bob.", None, sequence, told, **more)


@pytest.fixture
def opened(google):
    """Open accounts at the fake Google, and close them all."""
    providers = []

    def start(*scopes, secret=None):
        connection = connection_to(google, *scopes, secret=secret)
        providers.append(GoogleProvider(connection, pauses=(0.0, 0.0)))
        return providers[-1]

    yield start
    for one in providers:
        one.close()


@pytest.fixture
def provider(opened):
    return opened(*USUAL, WRITING_ALL)


@pytest.fixture
def calendar_of(google, provider):
    """Make a calendar, and show it as the account lists it."""

    def made(name="Work", tz="Europe/Berlin", **more):
        named = google.make_calendar(name, tz, **more)
        return next(one for one in provider.list_calendars() if one.remote_id == named)

    return made


@pytest.fixture
def work(calendar_of):
    return calendar_of()


def everything(provider, calendar, token=None, **more):
    pages = list(provider.changes(calendar, token, WINDOW, **more))
    return sorted(event.remote_id for page in pages for event in page.changed), pages[-1].sync_token


# Calendars


def test_the_list_tells_roles_and_marks_page_by_page(google, provider):
    google.make_calendar("Team", role="writer", override="Our team", solutions=())
    google.make_calendar("Secret", role="freeBusyReader", hidden=True)
    google.make_calendar("Read", role="reader")
    google.remove_calendar(google.make_calendar("Gone"))
    google.list_page_size = 2
    found = {one.name: one for one in provider.list_calendars()}
    assert {name: one.role for name, one in found.items()} == {
        "ada@example.com": "owner",
        "Our team": "writer",
        "Secret": "free_busy",
        "Read": "reader",
    }
    assert (found["ada@example.com"].is_primary, found["Secret"].is_hidden) == (True, True)
    assert [found[name].can_write for name in ("Our team", "Read", "Secret")] == [True, False, False]
    assert [found[name].makes_links for name in ("ada@example.com", "Our team")] == [True, False]
    assert google.count("calendarList.list") == 2


# Busy time


def test_neighbours_that_show_busy_time_only_are_asked_about_at_once(google, provider, calendar_of):
    calendars = [calendar_of(f"c{number}", role="freeBusyReader") for number in range(3)]
    for calendar in calendars[:2]:
        google.put(calendar.remote_id, AT)
    found = [everything(provider, one, known=dict, beside=calendars) for one in calendars]
    assert [len(ids) for ids, _ in found] == [1, 1, 0]
    assert google.count("freebusy.query") == 7  # 404 days in questions of 60
    assert google.count("events.") == 0


def test_an_error_of_one_calendar_is_unknown_and_no_other_suffers(google, provider, calendar_of):
    good, bad, gone = (calendar_of(name, role="freeBusyReader") for name in ("good", "bad", "gone"))
    google.busy_errors[bad.remote_id] = "internalError"
    google.remove_calendar(gone.remote_id)
    with pytest.raises(Unavailable):
        everything(provider, bad, beside=[good, bad, gone])
    with pytest.raises(NotFound):
        everything(provider, gone)
    assert everything(provider, good) == ([], None)


# Pulls


def test_nothing_private_is_asked_for_and_writes_always_say_whom_to_tell(google, provider, work):
    google.put(work.remote_id, AT | {"summary": "SECRET", "attendees": [{"email": "SECRET@x"}, {"email": "SECRET@y"}]})
    _, token = everything(provider, work)
    everything(provider, work, token)
    provider.look([work], WINDOW)
    ref = provider.create(work, consultation(), "key")
    provider.delete(provider.update(provider.get(ref).ref, consultation(11), ref.etag), None)
    for seen in google.requests:
        if seen.name.startswith("events.") and seen.http != "DELETE":
            (fields,) = seen.query["fields"]
            assert not re.search("summary|description|location|email|displayName|organizer|creator|[*]", fields)
    assert (google.writes.unsaid, google.writes.mails) == ([], [])


def test_an_expired_token_is_told_from_a_calendar_that_is_gone(google, provider, work):
    _, token = everything(provider, work)
    google.expire_sync(work.remote_id)
    with pytest.raises(SyncTokenInvalid):
        everything(provider, work, token)
    google.remove_calendar(work.remote_id)
    with pytest.raises(NotFound):
        everything(provider, work, token)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut"},
        {"kind": "truncate"},
        {"kind": "lose", "method": "events.list"},
        {"kind": "expire"},
        {"kind": "refuse", "status": 500, "reason": "backendError"},
        {"kind": "refuse", "status": 503, "reason": "backendError"},
        {"kind": "refuse", "status": 403, "reason": "rateLimitExceeded"},
        {"kind": "refuse", "status": 403, "reason": "userRateLimitExceeded"},
        {"kind": "refuse", "status": 429, "reason": "rateLimitExceeded", "retry_after": 0},
    ],
)
def test_a_fault_between_two_pages_costs_no_event(google, provider, work, fault):
    for _ in range(5):
        google.put(work.remote_id, AT)
    google.lists.page_size = 2
    google.fail(
        **{"method": "events.list", "skip": 1, "count": 2}
        | fault
        | ({"count": 1} if "expire" in fault.values() else {})
    )
    assert len(everything(provider, work)[0]) == 5


def test_a_refusal_that_is_no_limit_is_told_at_once(google, provider, work):
    google.fail(kind="refuse", status=403, reason="forbidden", method="events.list")
    before = google.count()
    with pytest.raises(PermissionDenied):
        everything(provider, work)
    assert google.count() == before + 1


def test_a_token_that_ends_is_renewed_once_however_many_wait(google, opened, work):
    secret = grant_of(google).text()
    everything(opened(secret=secret), work)
    before = google.oauth.refreshes
    google.expire_access()
    providers = [opened(secret=secret) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda one: everything(one, work)[0], providers)) == [[]] * 6
    assert google.oauth.refreshes == before + 1


def test_a_permission_that_is_missing_or_was_taken_back_needs_a_person(google, opened, work):
    with pytest.raises(GrantRevoked):
        everything(opened(LISTING), work)
    provider = opened()
    everything(provider, work)
    google.revoke()
    with pytest.raises(GrantRevoked):
        everything(provider, work)


# Writing


def test_who_is_invited_is_told_of_every_change(google, provider, work):
    event = consultation(attendee=BOB)
    ref = provider.create(work, event, "key")
    ref = provider.update(ref, consultation(11, 1, attendee=BOB), ref.etag)
    provider.delete(provider.get(ref).ref, None)
    assert [mail.kind for mail in google.writes.mails] == ["invitation", "update", "cancellation"]
    assert {mail.recipients for mail in google.writes.mails} == {(BOB.email,)}
    assert google.writes.unsaid == []


def test_guests_whom_the_person_added_stay_and_are_not_told(google, provider, work):
    ref = provider.create(work, consultation(), "key")
    google.patch(work.remote_id, ref.remote_id, {"attendees": [{"email": "friend@example.com"}]})
    now = provider.get(ref).ref
    provider.update(now, consultation(11, 1), now.etag)
    (item,) = google.items(work.remote_id)
    assert [one["email"] for one in item["attendees"]] == ["friend@example.com"]
    provider.delete(ref, None)
    assert google.writes.mails == []


def test_what_was_deleted_by_hand_is_not_brought_back(google, provider, work):
    ref = provider.create(work, consultation(), "key")
    google.delete(work.remote_id, ref.remote_id)
    for etag in (ref.etag, google.account.calendar(work.remote_id).items[ref.remote_id].etag):
        with pytest.raises(NotFound):
            provider.update(ref, consultation(11, 1), etag)
    with pytest.raises(AlreadyExists):
        provider.create(work, consultation(), "key")
    assert provider.find(work, "key") is None
    provider.delete(ref, ref.etag)
    assert google.items(work.remote_id) == []
    assert provider.create(work, consultation(), "key-2").remote_id == event_id("key-2")


def test_what_was_moved_to_another_calendar_is_gone_from_its_own(google, provider, work):
    ref = provider.create(work, consultation(), "key")
    _, token = everything(provider, work)
    google.move(work.remote_id, ref.remote_id, "primary")
    pages = list(provider.changes(work, token, WINDOW))
    assert [one for page in pages for one in page.removed] == [ref.remote_id]
    with pytest.raises(NotFound):
        provider.get(ref)
    with pytest.raises(NotFound):
        provider.update(ref, consultation(11, 1), ref.etag)


def test_what_was_made_all_day_by_hand_gets_its_time_back(google, provider, work):
    ref = provider.create(work, consultation(), "key")
    day = {"start": {"date": "2026-12-01", "dateTime": None}, "end": {"date": "2026-12-02", "dateTime": None}}
    google.patch(work.remote_id, ref.remote_id, day)
    now = provider.find(work, "key")
    assert now.start_at == datetime(2026, 11, 30, 23, tzinfo=UTC)
    provider.update(now.ref, consultation(11, 1), now.ref.etag)
    assert provider.get(ref).start_at.hour == 11


def test_a_link_that_fails_is_not_waited_for(google, provider, work):
    google.writes.conference_outcome = "failure"
    ref = provider.create(work, consultation(wants_link=True), "key")
    assert (ref.link_pending, ref.join_url) == (True, None)
    now = provider.get(ref).ref
    assert (now.link_pending, now.join_url) == (False, None)


@pytest.mark.parametrize("guest", [BOB, Attendee("not an address")])
def test_an_event_is_made_without_what_google_refuses_about_it(google, provider, work, guest):
    google.account.calendar(work.remote_id).solutions = ()  # since it was listed
    ref = provider.create(work, consultation(wants_link=True, attendee=guest), "key")
    assert (ref.join_url, ref.link_pending) == (None, False)
    (item,) = google.items(work.remote_id)
    assert [one["email"] for one in item.get("attendees", ())] == ([BOB.email] if guest is BOB else [])
    assert google.writes.unsaid == []


def test_an_event_is_made_without_its_guest_where_no_more_guests_may_be_invited(google, provider, work):
    google.fail(kind="refuse", method="events.insert", count=3, status=403, reason="quotaExceeded")
    provider.create(work, consultation(attendee=BOB), "key")
    (item,) = google.items(work.remote_id)
    assert "attendees" not in item


# Size


def test_a_large_calendar_takes_a_request_for_every_2500_events(google, provider, work):
    for number in range(5_001):
        google.put(work.remote_id, AT | {"id": f"event{number}"})
    ids, token = everything(provider, work)
    assert (len(ids), google.count("events.list")) == (5_001, 3)
    google.patch(work.remote_id, "event7", {"summary": "x"})
    assert everything(provider, work, token)[0] == ["event7"]
    assert google.count("events.list") == 4
