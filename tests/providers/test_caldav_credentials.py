"""How an account proves who it is."""

from __future__ import annotations

import hashlib
from urllib.request import parse_http_list, parse_keqv_list

import pytest
import requests

from providers.addresses import Scope
from providers.caldav.credentials import Credentials
from providers.errors import GrantRevoked
from providers.model import Connection

CHALLENGE = 'Digest realm="dav", nonce="n-1815", qop="auth", algorithm=SHA-256'


def digest_of(*parts):
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


@pytest.fixture
def digest_only(gateway, radicale, answer):
    """Let the gateway ask for Digest (RFC 7616) and check it, and speak Basic to the server behind."""

    def check(seen):
        scheme, _, rest = seen.headers.get("Authorization", "").encode("latin-1").decode().partition(" ")
        sent = parse_keqv_list(parse_http_list(rest)) if scheme == "Digest" else {}
        inner = digest_of(radicale.username, "dav", radicale.password)
        outer = digest_of(seen.method, seen.path)
        fields = (sent.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        if sent.get("username") != radicale.username or sent.get("response") != digest_of(inner, *fields, outer):
            return answer(401, {"WWW-Authenticate": CHALLENGE})
        seen.digest = True
        seen.headers["Authorization"] = requests.auth._basic_auth_str(
            radicale.username.encode(), radicale.password.encode()
        )
        return None

    gateway.rule = check


def test_basic_is_sent_with_the_first_request(gateway, open_caldav, work):
    open_caldav().list_calendars()
    assert all(seen.headers["Authorization"].startswith("Basic ") for seen in gateway.seen)
    assert {seen.status for seen in gateway.seen} == {207}


@pytest.mark.parametrize("auth", ["auto", "digest"])
def test_digest_is_taken_where_the_server_asks_for_it_and_then_kept(
    gateway, digest_only, open_caldav, work, pulled, auth, small_event
):
    provider = open_caldav(auth=auth)
    assert "Work" in {calendar.name for calendar in provider.list_calendars()}
    assert pulled(provider, work[1])[0] == []
    assert [seen.status for seen in gateway.seen].count(401) == 1


def test_a_wrong_password_is_refused_by_digest_too(digest_only, open_caldav, work):
    with pytest.raises(GrantRevoked):
        open_caldav(secret="wrong").list_calendars()


def test_a_bearer_token_is_sent_as_one(gateway, open_caldav, answer):
    gateway.rule = lambda _seen: answer(401)
    with pytest.raises(GrantRevoked):
        open_caldav(auth="bearer", secret="t0ken").list_calendars()
    assert {seen.headers["Authorization"] for seen in gateway.seen} == {"Bearer t0ken"}


def signed(url, **options):
    connection = Connection("http://dav.example.org/", "ada", "pässwörd", **options)
    credentials = Credentials(connection, Scope(connection.url))
    return requests.Request("GET", url, auth=credentials).prepare()


def test_over_an_open_connection_the_password_is_not_sent_unasked():
    assert "Authorization" not in signed("http://dav.example.org/").headers
    assert signed("http://dav.example.org/", allow_private=True).headers["Authorization"].startswith("Basic ")
    assert signed("http://dav.example.org/", auth="basic").headers["Authorization"].startswith("Basic ")


def test_over_an_open_connection_a_request_for_basic_is_refused_with_the_remedy():
    request = signed("http://dav.example.org/")
    response = requests.Response()
    response.status_code, response.url = 401, request.url
    response.headers["WWW-Authenticate"] = 'Basic realm="dav"'
    (hook,) = request.hooks["response"]
    with pytest.raises(GrantRevoked, match="use https"):
        hook(response)


@pytest.mark.parametrize("auth", ["auto", "basic", "digest", "bearer"])
def test_no_other_host_is_told_anything(auth):
    for url in ("http://evil.example.net/", "http://dav.example.org.evil.net/"):
        request = signed(url, auth=auth, allow_private=True)
        assert "Authorization" not in request.headers
        assert request.hooks["response"] == []
