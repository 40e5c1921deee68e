"""How calls of Google's API meet limits and faults: which are sent again, and which are told at once."""

from __future__ import annotations

import itertools
import json
from collections import deque
from datetime import UTC, datetime

import pytest

from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    SyncTokenInvalid,
    Unavailable,
)
from providers.google.client import GoogleProvider
from providers.google.permissions import LISTING, Grant
from providers.model import Connection, OAuthClient, RemoteCalendar, Window

NUMBERS = itertools.count()
CALENDAR = RemoteCalendar("work@example", "Work", tz="Europe/Berlin", role="owner")
WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC))


def refusal(status, reason, **headers):
    return status, json.dumps({"error": {"code": status, "errors": [{"reason": reason}]}}).encode(), headers


def page(*ids, **more):
    start, end = "2026-11-24T09:00:00+01:00", "2026-11-24T10:00:00+01:00"
    times = {"start": {"dateTime": start}, "end": {"dateTime": end}}
    items = [{"id": one, "etag": '"1"', "iCalUID": one, "status": "confirmed", **times} for one in ids]
    return 200, json.dumps({"items": items, "timeZone": "Europe/Berlin", **more}).encode(), {}


LAST = page("one", nextSyncToken="sync-1")


class Scripted:
    """A Google that gives one answer after another, and tokens as often as it is asked."""

    def __init__(self, serve):
        self.answers: deque = deque()
        self.tokens = 0
        self.seen: list[tuple[str, str | None]] = []
        self.url = serve(self._answer).url

    def _answer(self, handler):
        if handler.path == "/token":
            self.tokens += 1
            told = {"access_token": f"at-{self.tokens}", "expires_in": 3599}
            self._say(handler, 200, json.dumps(told).encode(), {})
            return
        self.seen.append((handler.path, handler.headers["Authorization"]))
        status, body, headers = self.answers.popleft()
        self._say(handler, status, body, headers)

    def _say(self, handler, status, body, headers):
        handler.send_response(status)
        length = headers.pop("length", len(body)) if headers else len(body)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(length), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def google(serve):
    return Scripted(serve)


@pytest.fixture
def opened(google):
    """Open the account, and close it at the end; the pauses are none, unless a test wants some."""
    made = []

    def start(*, pauses=(0.0, 0.0), patience=None):
        url = google.url
        client = OAuthClient("id", "secret", f"{url}calendar/v3/", f"{url}auth", f"{url}token", f"{url}revoke")
        grant = Grant(f"refresh-{next(NUMBERS)}", frozenset({LISTING}), datetime(2026, 11, 23, tzinfo=UTC))
        made.append(GoogleProvider(Connection("", secret=grant.text(), client=client, patience=patience), pauses))
        return made[-1]

    yield start
    for one in made:
        one.close()


def pull(provider, token=None):
    pages = list(provider.changes(CALENDAR, token, WINDOW))
    return [event.remote_id for one in pages for event in one.changed], pages[-1].sync_token


@pytest.mark.parametrize(
    "fault",
    [
        refusal(403, "rateLimitExceeded"),
        refusal(403, "userRateLimitExceeded"),
        refusal(403, "quotaExceeded"),
        refusal(429, "rateLimitExceeded", **{"Retry-After": "0"}),
        refusal(500, "backendError"),
        refusal(503, "backendError"),
        (502, b"<html>bad gateway</html>", {}),
        (200, LAST[1][: len(LAST[1]) // 2], {}),
        (200, LAST[1][: len(LAST[1]) // 2], {"length": len(LAST[1])}),
        (200, b"", {"length": 100}),
    ],
)
def test_a_fault_that_may_pass_is_met_by_another_try(google, opened, fault):
    google.answers.extend([fault, LAST])
    assert pull(opened()) == (["one"], "sync-1")
    assert len(google.seen) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal(403, "forbidden"), PermissionDenied),
        (refusal(403, "insufficientPermissions"), GrantRevoked),
        (refusal(404, "notFound"), NotFound),
        (refusal(410, "fullSyncRequired"), SyncTokenInvalid),
    ],
)
def test_a_refusal_is_told_at_once(google, opened, fault, error):
    google.answers.append(fault)
    with pytest.raises(error):
        pull(opened(), "sync-0")
    assert len(google.seen) == 1


def test_a_token_that_is_malformed_is_one_that_is_not_known(google, opened):
    google.answers.append(refusal(400, "invalid"))
    with pytest.raises(SyncTokenInvalid):
        pull(opened(), "nonsense")


def test_faults_that_do_not_pass_are_told_in_the_end(google, opened):
    google.answers.extend([refusal(403, "rateLimitExceeded")] * 3)
    with pytest.raises(RateLimited):
        pull(opened())
    assert len(google.seen) == 3


def test_a_server_that_asks_for_a_long_pause_is_left_alone(google, opened):
    google.answers.append(refusal(429, "rateLimitExceeded", **{"Retry-After": "600"}))
    with pytest.raises(RateLimited) as caught:
        pull(opened())
    assert caught.value.retry_after == 600
    assert len(google.seen) == 1


def test_nobody_rests_beyond_their_patience(google, opened):
    google.answers.extend([refusal(503, "backendError")] * 3)
    with pytest.raises(Unavailable):
        pull(opened(pauses=(300.0, 300.0), patience=5.0))
    assert len(google.seen) == 1


def test_a_token_that_runs_out_between_two_pages_is_renewed_once_and_the_list_goes_on(google, opened):
    google.answers.extend([page("one", nextPageToken="p2"), refusal(401, "authError"), page("two", nextSyncToken="s")])
    assert pull(opened()) == (["one", "two"], "s")
    assert [signed for _, signed in google.seen] == ["Bearer at-1", "Bearer at-1", "Bearer at-2"]
    assert google.tokens == 2


def test_a_new_token_that_is_refused_too_is_a_fault_that_may_pass(google, opened):
    """Only the token endpoint knows that a permission was revoked."""
    google.answers.extend([refusal(401, "authError")] * 2)
    with pytest.raises(Unavailable):
        pull(opened(pauses=()))
    assert google.tokens == 2


def test_empty_pages_and_short_ones_are_gone_through_to_the_last(google, opened):
    google.answers.extend([page(nextPageToken="p2"), page("one", nextPageToken="p3"), page(nextSyncToken="s")])
    assert pull(opened()) == (["one"], "s")


def test_a_list_that_goes_round_in_circles_ends(google, opened):
    google.answers.extend([page("one", nextPageToken="p2")] * 3)
    with pytest.raises(Exception, match="round in circles"):
        pull(opened())


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"timeZone": "Europe/Berlin"}', b'{"items": null}', b"[]"])
@pytest.mark.parametrize("token", [None, "sync-0"])
def test_an_answer_that_says_nothing_is_not_an_empty_calendar(google, opened, body, token):
    google.answers.extend([(200, body, {})] * 3)
    with pytest.raises((Unavailable, InvalidResponse)):
        pull(opened(), token)
    google.answers.clear()
    google.answers.extend([(200, body, {})] * 3)
    with pytest.raises((Unavailable, InvalidResponse)):
        opened().list_calendars()


ODD = [b"[]", b"5", b"null", b'[{"error": {}}]', b'{"error": "x"}', b'{"error": {"errors": [5]}}']


@pytest.mark.parametrize("body", ODD)
def test_a_refusal_of_any_shape_is_a_refusal(google, opened, body):
    google.answers.append((403, body, {}))
    with pytest.raises(PermissionDenied):
        pull(opened())


@pytest.mark.parametrize("token", [7, ["p2"], {"a": 1}, "\ud800"])
def test_a_next_page_without_a_name_ends_the_list(google, opened, token):
    google.answers.append(page("one", nextPageToken=token))
    with pytest.raises(InvalidResponse):
        pull(opened())


BUSY = RemoteCalendar("boss@example", "Boss", role="free_busy")
NEAR = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "calendars",
    [
        None,
        [],
        {},
        {"boss@example": {}},
        {"boss@example": {"busy": {}}},
        {"boss@example": {"busy": [{"start": "2026-11-24T09:00:00Z"}]}},
        {"boss@example": {"busy": [{"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T08:00:00Z"}]}},
        {"boss@example": {"busy": [{"start": "0001-01-01T00:00:00Z", "end": "2026-11-24T08:00:00Z"}]}},
        {"boss@example": {"errors": [7]}},
        {"boss@example": {"errors": "internalError", "busy": []}},
    ],
)
def test_what_does_not_say_when_a_calendar_is_busy_is_never_free(google, opened, calendars):
    google.answers.extend([(200, json.dumps({"calendars": calendars}).encode(), {})] * 3)
    with pytest.raises((InvalidResponse, Unavailable)):
        list(opened().changes(BUSY, None, NEAR))


def test_an_event_that_is_no_event_does_not_stop_the_page(google, opened):
    broken = page("one", nextSyncToken="s")
    told = json.loads(broken[1])
    told["items"] += [{"id": "bad", "etag": '"2"', "status": "confirmed", "start": {"dateTime": "x"}}, {"etag": '"3"'}]
    google.answers.append((200, json.dumps(told).encode(), {}))
    (only,) = opened().changes(CALENDAR, None, WINDOW)
    assert [event.remote_id for event in only.changed] == ["one"]
    assert [bad.remote_id for bad in only.unreadable] == ["bad", ""]


def test_without_a_client_the_operator_is_told_what_is_missing():
    provider = GoogleProvider(Connection("", secret="{}"))
    with pytest.raises(Unavailable, match=r"\[google\] needs client_id"):
        provider.list_calendars()


@pytest.mark.parametrize("endpoint", ["", "/", "/calendar/v3", "/calendar/v3/"])
def test_an_endpoint_may_be_named_by_its_host_alone(google, endpoint):
    url = google.url.rstrip("/")
    client = OAuthClient("id", "secret", f"{url}{endpoint}", f"{url}/auth", f"{url}/token", f"{url}/revoke")
    grant = Grant(f"refresh-{next(NUMBERS)}", frozenset({LISTING}), datetime(2026, 11, 23, tzinfo=UTC))
    provider = GoogleProvider(Connection("", secret=grant.text(), client=client))
    google.answers.append((200, b'{"items": []}', {}))
    assert provider.list_calendars() == []
    assert google.seen[0][0].startswith("/calendar/v3/users/me/calendarList?")
    provider.close()
