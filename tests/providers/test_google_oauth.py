"""Permissions at Google: how they are asked for, what is kept of them, and how access tokens are renewed."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from providers.errors import GrantRevoked, InvalidResponse, Transient, Unavailable
from providers.google import oauth
from providers.google.http import open_google_session
from providers.google.permissions import (
    FREE_BUSY,
    LISTING,
    PURPOSES,
    READING,
    WRITING_ALL,
    WRITING_OWN,
    Asking,
    Grant,
    authorize_url,
)
from providers.model import OAuthClient

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NUMBERS = itertools.count()
ASKING = Asking(
    "http://127.0.0.1:1815/",
    frozenset({LISTING, READING}),
    "the-state",
    "v" * 43,
    "ada@example",
)


@pytest.fixture
def google(serve):
    """A token endpoint that answers as told and keeps what it was asked."""
    told = {"answer": (200, {}), "pause": 0.0, "forms": []}

    def answer(handler):
        told["forms"].append({name: values[0] for name, values in parse_qs(handler.body.decode()).items()})
        time.sleep(told["pause"])
        status, body = told["answer"]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    server = serve(answer)
    url = server.url
    told["client"] = OAuthClient("id", "the-secret", f"{url}calendar/v3/", f"{url}auth", f"{url}token", f"{url}revoke")
    return told


def grant(**more):
    return replace(Grant(f"refresh-{next(NUMBERS)}", frozenset({LISTING}), NOW), **more)


def get(google, given, refused=None, until=math.inf):
    with open_google_session() as session:
        return oauth.tokens_of(google["client"], given).get(session, until, refused)


def test_a_person_is_asked_with_state_and_proof_for_a_lasting_permission(google):
    url = urlsplit(authorize_url(google["client"], ASKING))
    asked = {name: values[0] for name, values in parse_qs(url.query, strict_parsing=True).items()}
    assert asked == {
        "client_id": "id",
        "redirect_uri": "http://127.0.0.1:1815/",
        "response_type": "code",
        "scope": f"{LISTING} {READING}",
        "access_type": "offline",
        "include_granted_scopes": "true",
        "prompt": "consent",
        "state": "the-state",
        "code_challenge_method": "S256",
        "login_hint": "ada@example",
        "code_challenge": asked["code_challenge"],
    }
    assert len(asked["code_challenge"]) == 43
    assert ASKING.verifier not in url.query


def test_every_scope_that_may_be_asked_for_says_what_it_is_for():
    assert {
        LISTING,
        READING,
        FREE_BUSY,
        WRITING_OWN,
        WRITING_ALL,
    } == set(PURPOSES)
    assert all(why.startswith("to ") for why in PURPOSES.values())


@pytest.mark.parametrize(
    ("granted", "wanted", "lacking"),
    [
        ({LISTING}, {LISTING, READING}, {READING}),
        ({WRITING_ALL}, {READING, WRITING_OWN}, set()),
        ({"https://www.googleapis.com/auth/calendar"}, set(PURPOSES), set()),
        ({WRITING_OWN}, {WRITING_ALL}, {WRITING_ALL}),
        (set(), set(), set()),
    ],
)
def test_what_was_not_granted_is_known(granted, wanted, lacking):
    assert grant(scopes=frozenset(granted)).lacks(wanted) == lacking


def test_a_grant_is_kept_as_text_and_shows_no_token():
    given = grant(ends_at=NOW + timedelta(days=7))
    assert Grant.read(given.text()) == given
    assert given.refresh_token not in repr(given)


@pytest.mark.parametrize("text", ["", "a password", "{}", "[]", '{"refresh_token": 1, "scopes": 2}'])
def test_what_is_no_grant_asks_for_a_connection(text):
    with pytest.raises(GrantRevoked, match="connect the account"):
        Grant.read(text)


def test_a_code_is_turned_into_a_grant_with_the_proof_that_it_is_ours(google):
    told = {"access_token": "at", "expires_in": 3599, "refresh_token": "rt-new", "token_type": "Bearer"}
    google["answer"] = (200, {**told, "scope": LISTING, "refresh_token_expires_in": 604_799})
    given = oauth.exchange(google["client"], ASKING, "the-code", NOW)
    assert google["forms"] == [
        {
            "grant_type": "authorization_code",
            "code": "the-code",
            "client_id": "id",
            "client_secret": "the-secret",
            "redirect_uri": ASKING.redirect_uri,
            "code_verifier": ASKING.verifier,
        }
    ]
    assert given == Grant("rt-new", frozenset({LISTING}), NOW, NOW + timedelta(seconds=604_799))
    assert get(google, given) == "at"  # it came along: nobody is asked again
    assert len(google["forms"]) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant", "error_description": "SECRET"}), GrantRevoked),
        ((200, {"access_token": "at", "expires_in": 3599}), GrantRevoked),
        ((200, b"half a JS"), Unavailable),
        ((200, {"access_token": "at", "expires_in": 10**15, "refresh_token": "rt"}), Unavailable),
        ((400, {"error": {"code": 503}}), Unavailable),
        ((401, {"error": "invalid_client"}), Unavailable),
        ((503, b""), Unavailable),
    ],
)
def test_a_code_that_is_refused_gives_no_grant(google, answer, error):
    google["answer"] = answer
    with pytest.raises(error) as caught:
        oauth.exchange(google["client"], ASKING, "the-code", NOW)
    assert not any(secret in str(caught.value) for secret in ("SECRET", "the-code", "the-secret", "v" * 43))


def test_scopes_that_are_not_told_are_those_that_were_asked_for(google):
    google["answer"] = (200, {"access_token": "at", "expires_in": 3599, "refresh_token": "rt-same"})
    assert oauth.exchange(google["client"], ASKING, "code", NOW).scopes == ASKING.scopes


def test_a_token_is_renewed_once_however_many_wait_for_it(google):
    google["answer"], google["pause"] = (200, {"access_token": "at-1", "expires_in": 3599}), 0.2
    given = grant()
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(lambda _: get(google, given), range(20)))
    assert found == {"at-1"}
    assert len(google["forms"]) == 1
    assert google["forms"][0]["refresh_token"] == given.refresh_token


def test_a_refused_token_is_replaced_once_however_many_met_the_refusal(google):
    given = grant()
    google["answer"] = (200, {"access_token": "at-1", "expires_in": 3599})
    assert get(google, given) == "at-1"
    google["answer"] = (200, {"access_token": "at-2", "expires_in": 3599})
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: get(google, given, "at-1"), range(10))) == {"at-2"}
    assert len(google["forms"]) == 2


def test_a_token_is_renewed_before_it_expires(google):
    given = grant()
    google["answer"] = (200, {"access_token": "brief", "expires_in": 60})
    assert get(google, given) == "brief"
    google["answer"] = (200, {"access_token": "long", "expires_in": 3599})
    assert get(google, given) == "long"


def test_a_revoked_permission_is_asked_about_once_by_all_who_wait_together(google):
    google["answer"], google["pause"] = (400, {"error": "invalid_grant"}), 0.2
    given, gate = grant(), threading.Barrier(8)

    def ask(_):
        gate.wait()
        with pytest.raises(GrantRevoked, match="no longer accepts the permission"):
            get(google, given)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(google["forms"]) == 1
    google["answer"], google["pause"] = (200, {"access_token": "again", "expires_in": 3599}), 0.0
    assert get(google, given) == "again"  # who comes later asks anew


def test_who_has_no_time_left_does_not_wait_for_another_s_renewal(google):
    google["answer"], google["pause"] = (200, {"access_token": "at", "expires_in": 3599}), 0.5
    given = grant()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(get, google, given)
        while not google["forms"]:
            time.sleep(0.005)
        with pytest.raises(Unavailable):
            get(google, given, until=time.monotonic() + 0.05)
        assert first.result() == "at"


@pytest.mark.parametrize("answer", [(200, {}), (400, {"error": "invalid_token"})])
def test_a_grant_is_given_back_and_one_that_is_gone_is_fine(google, answer):
    google["answer"] = answer
    given = grant()
    oauth.revoke(google["client"], given)
    assert google["forms"] == [{"token": given.refresh_token}]


def test_giving_back_is_not_done_while_google_fails(google):
    google["answer"] = (503, b"")
    with pytest.raises(Unavailable):
        oauth.revoke(google["client"], grant())


ODD = [b"half a JS", b"[]", b"{}", b"7", b"null", b"[" * 100_000]
ODD += [
    b'{"access_token": %s, "expires_in": %s}' % pair
    for pair in ((b'"at"', b'"soon"'), (b'""', b"1"), (b'"a"', b"1e400"))
]


@pytest.mark.parametrize("status", [302, 400, 403, 404, 429, 500, 502, 503])
@pytest.mark.parametrize(
    "body", [b"<html>Error 502 (Server Error)!!1</html>", b"", b'{"error": {"code": 503}}', b"null"]
)
def test_a_gateway_s_page_at_the_token_endpoint_revokes_nothing_and_is_not_waited_for(google, status, body):
    google["answer"] = (status, body)
    with pytest.raises(Transient):
        get(google, grant())
    assert len(google["forms"]) == 1


@pytest.mark.parametrize("body", ODD)
def test_an_answer_that_is_no_token_is_a_fault_that_may_pass(google, body):
    google["answer"] = (200, body)
    given = grant()
    with pytest.raises((Unavailable, InvalidResponse)):
        get(google, given)
    google["answer"] = (200, {"access_token": "at", "expires_in": 3599})
    assert get(google, given) == "at"
