"""The fake Google server keeps the rules of Google's documents about permissions, pushes and limits; and its hand."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
from fake_google_accounts import client_of
from googleapiclient.errors import HttpError
from listener import Listener
from urllib3.exceptions import HTTPError

from providers.errors import GrantRevoked
from providers.google.oauth import exchange, revoke
from providers.google.permissions import LISTING, READING, Asking, authorize_url

AT = {"start": {"dateTime": "2026-11-24T09:00:00Z"}, "end": {"dateTime": "2026-11-24T10:00:00Z"}}
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ASKING = Asking("http://127.0.0.1:5555/", frozenset({LISTING, READING}), "state-1", "v" * 43)


@pytest.fixture
def consent(google):
    """What comes back when a person is asked."""

    def asked(asking=ASKING, **changes):
        address = authorize_url(client_of(google), asking)
        told = dict(parse_qsl(urlsplit(address).query)) | changes
        kept = {name: value for name, value in told.items() if value is not None}
        answer = requests.get(address.partition("?")[0], kept, allow_redirects=False)
        if answer.status_code != 302:
            return {"error": answer.text}
        assert answer.headers["Location"].startswith(asking.redirect_uri)
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    return asked


def test_a_person_consents_and_the_code_is_good_once(google, consent):
    told = consent()
    assert (told["state"], set(told["scope"].split())) == ("state-1", ASKING.scopes)
    grant = exchange(client_of(google), ASKING, told["code"], NOW)
    assert (grant.scopes, grant.ends_at) == (ASKING.scopes, None)
    with pytest.raises(GrantRevoked):
        exchange(client_of(google), ASKING, told["code"], NOW)


@pytest.mark.parametrize("change", [{"verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:6666/"}])
def test_a_code_is_good_only_for_who_asked(google, consent, change):
    told = consent()
    form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": ASKING.redirect_uri}
    form |= {"code_verifier": ASKING.verifier, "client_id": google.oauth.client_id}
    form |= {"code_verifier": change["verifier"]} if "verifier" in change else change
    answer = requests.post(google.endpoints["token_uri"], form | {"client_secret": google.oauth.client_secret})
    assert answer.status_code == 400
    assert requests.post(google.endpoints["token_uri"], form | {"client_secret": "other"}).status_code == 401


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "other"}, "invalid_client"),
        ({"redirect_uri": "https://elsewhere.example/"}, "redirect_uri_mismatch"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"access_type": "always"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
    ],
)
def test_a_question_that_is_not_right_is_never_put(consent, change, error):
    assert error in consent(**change)["error"]


def test_a_person_may_refuse_or_grant_less_or_somebody_else_may_answer(google, consent):
    google.oauth.denies = True
    assert consent() == {"error": "access_denied", "state": "state-1"}
    google.oauth.denies, google.oauth.grants_only = False, frozenset({LISTING})
    grant = exchange(client_of(google), ASKING, consent()["code"], NOW)
    assert grant.lacks(ASKING.scopes) == {READING}
    google.oauth.user, google.oauth.grants_only, google.oauth.other_state = "bob@example.com", None, True
    assert consent()["state"] != "state-1"
    assert {user for user, _ in google.oauth.permissions} == {"ada@example.com", "bob@example.com"}


def test_a_lasting_permission_comes_with_the_first_consent_or_when_it_is_asked_for(google, consent):
    def lasts(**changes):
        try:
            exchange(client_of(google), ASKING, consent(**changes)["code"], NOW)
        except GrantRevoked:
            return False
        return True

    assert [lasts(prompt=None), lasts(prompt=None), lasts(), lasts(access_type="online")] == [True, False, True, False]


def test_earlier_scopes_are_granted_along(google, consent):
    consent(dataclasses.replace(ASKING, scopes=frozenset({LISTING})))
    more = dataclasses.replace(ASKING, scopes=frozenset({READING}))
    assert exchange(client_of(google), more, consent(more)["code"], NOW).scopes == {LISTING, READING}
    assert consent(more, include_granted_scopes=None)["scope"] == READING


def test_the_permissions_of_an_app_in_testing_end_after_a_week(google, consent):
    google.oauth.testing = True
    grant = exchange(client_of(google), ASKING, consent()["code"], NOW)
    assert (grant.ends_at - NOW).days in (6, 7)
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    form |= {name: google.endpoints[name] for name in ("client_id", "client_secret")}
    assert requests.post(google.endpoints["token_uri"], form).status_code == 200
    google.oauth.moved_on = 8 * 86_400
    answer = requests.post(google.endpoints["token_uri"], form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert google.oauth.refreshes == 2


def test_what_is_revoked_is_good_for_nothing(google, api):
    api("calendarList.list")
    refresh = next(iter(google.oauth.lasting))
    assert requests.post(google.endpoints["revoke_uri"], {"token": refresh}).status_code == 200
    answer = requests.post(google.endpoints["revoke_uri"], {"token": refresh})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_token")
    with pytest.raises(GrantRevoked):
        api("calendarList.list")


def test_revoking_twice_is_fine_for_the_adapter(google, consent):
    grant = exchange(client_of(google), ASKING, consent()["code"], NOW)
    for _ in range(2):
        revoke(client_of(google), grant)
    assert google.oauth.permissions == {}


# Pushes


@pytest.fixture
def hook():
    """A server that is told of changes."""
    listener = Listener()
    yield listener
    listener.stop()


def test_a_channel_tells_of_every_change_until_it_is_stopped(google, api, work, hook):
    google.channels.allow_http = True
    body = {"id": "channel-1", "type": "web_hook", "address": hook.url, "token": "secret"}
    channel = api("events.watch", calendarId=work, body=body)
    assert 604_000 < int(channel["expiration"]) / 1000 - datetime.now(UTC).timestamp() <= 604_800
    for _ in range(2):
        google.put(work, AT)
    google.put("primary", AT)
    google.channels.dropping = True
    google.put(work, AT)
    google.channels.settle()
    assert [one["x-goog-resource-state"] for one in hook.told] == ["sync", "exists", "exists"]
    assert {one["x-goog-channel-token"] for one in hook.told} == {"secret"}
    numbers = [int(one["x-goog-message-number"]) for one in hook.told]
    assert numbers[0] == 1
    assert numbers[1] > 2
    assert numbers == sorted(set(numbers))
    stop = {"id": "channel-1", "resourceId": channel["resourceId"]}
    assert api("channels.stop", body=stop) in ("", None, {})
    assert api.refused("channels.stop", body=stop) == (404, "notFound")
    assert api.refused("events.watch", calendarId=work, body=body) == (400, "channelIdNotUnique")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"address": "http://127.0.0.1/hooks"}, "push.webhookUrlNotHttps"),
        ({"id": "not allowed"}, "channelIdInvalid"),
        ({"id": "c" * 65}, "channelIdInvalid"),
        ({"token": "t" * 257}, "channelTokenTooLong"),
        ({"type": "mail"}, "push.channelTypeInvalid"),
    ],
)
def test_a_channel_that_breaks_a_rule_is_refused(api, work, change, reason):
    body = {"id": "channel-1", "type": "web_hook", "address": "https://127.0.0.1/hooks"} | change
    answer = api.plainly("POST", f"calendars/{work}/events/watch", json=body)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, reason)


# Faults


def test_limits_and_failures_come_when_they_are_asked_for(google, api, work):
    google.fail(kind="refuse", status=403, reason="userRateLimitExceeded", method="events.", count=2)
    google.fail(kind="refuse", status=429, reason="rateLimitExceeded", retry_after=7, method="events.list")
    asked = {"calendarId": work}
    assert [api.refused("events.list", **asked) for _ in range(2)] == [(403, "userRateLimitExceeded")] * 2
    with pytest.raises(HttpError) as caught:
        api("events.list", **asked)
    assert (caught.value.status_code, caught.value.resp["retry-after"]) == (429, "7")
    assert api("events.list", **asked)["items"] == []


def test_answers_are_cut_or_lost_after_their_effect(google, api, work):
    google.fail(kind="lose")  # on a kept connection, what was cut off without a word is sent again by itself
    assert api.refused("events.insert", calendarId=work, body={**AT, "id": "first"}) == (409, "duplicate")
    google.fail(kind="cut", method="events.insert")
    with pytest.raises(HTTPError):
        api("events.insert", calendarId=work, body={**AT, "id": "second"})
    google.fail(kind="truncate")
    assert isinstance(api("events.list", calendarId=work), str)
    assert [one["id"] for one in google.items(work)] == ["first", "second"]


def test_an_access_token_may_end_between_two_pages(google, api, work):
    for _ in range(3):
        google.put(work, AT)
    google.fail(kind="expire", method="events.list", skip=1)
    before = google.oauth.refreshes
    page = api("events.list", calendarId=work, maxResults=2)
    assert len(api("events.list", calendarId=work, maxResults=2, pageToken=page["nextPageToken"])["items"]) == 1
    assert google.oauth.refreshes == before + 1


# The hand


def test_everything_can_be_done_from_another_process(google):
    def hand(verb, **told):
        answer = requests.post(f"{google.url}/_hand/{verb}", json=told)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    calendar = hand("make_calendar", name="Work", tz="Europe/Berlin")
    event = hand("put", calendar_id=calendar, body=AT)
    hand("patch", calendar_id=calendar, item_id=event, changes={"summary": "Moved"})
    assert [one["summary"] for one in hand("items", calendar_id=calendar)] == ["Moved"]
    hand("move", calendar_id=calendar, item_id=event, destination="primary")
    hand("delete", calendar_id="primary", item_id=event)
    assert calendar in hand("calendars")
    assert hand("grant", scopes=[READING]).startswith("1//")
    hand("set", name="oauth.denies", value=True)
    assert google.oauth.denies
    hand("revoke")
    assert google.oauth.permissions == {}
    assert requests.post(f"{google.url}/_hand/dance", json={}).status_code == 400


def test_a_refused_question_sends_nobody_anywhere(google):
    answer = requests.get(google.endpoints["auth_uri"], {"client_id": "other"}, allow_redirects=False)
    assert (answer.status_code, "Location" in answer.headers) == (401, False)
    assert parse_qs(urlsplit(answer.request.url).query) == {"client_id": ["other"]}
