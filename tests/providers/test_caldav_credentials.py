"""How an account proves who it is."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from urllib.request import parse_http_list, parse_keqv_list

import pytest
import requests

from providers.addresses import Scope
from providers.caldav.credentials import Credentials
from providers.caldav.digest import best_challenge, offered
from providers.errors import GrantRevoked, InvalidResponse
from providers.model import Connection

SHA = 'Digest realm="dav", nonce="{}", qop="auth", algorithm=SHA-256'
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256, "SHA-512-256": lambda data: hashlib.new("sha512_256", data)}


class Guard:
    """Asks for Digest (RFC 7616) in a gateway and checks it, and speaks Basic to the server behind."""

    def __init__(self, radicale, answer):
        self.user, self.password, self._answer = radicale.username, radicale.password, answer
        self.challenge = SHA
        self.nonces = ["n-1815"]
        self.counts = []

    def __call__(self, seen):
        scheme, _, rest = seen.headers.get("Authorization", "").encode("latin-1").decode().partition(" ")
        sent = parse_keqv_list(parse_http_list(rest)) if scheme == "Digest" else {}
        if not self._is_right(seen, sent):
            return self._answer(401, {"WWW-Authenticate": self.challenge.replace("{}", self.nonces[-1])})
        self.counts.append(sent.get("nc"))
        login = requests.auth._basic_auth_str(self.user.encode(), self.password.encode())
        seen.headers["Authorization"] = login
        return None

    def _is_right(self, seen, sent):
        if sent.get("username") != self.user or sent.get("nonce") != self.nonces[-1] or sent.get("uri") != seen.path:
            return False
        name = sent.get("algorithm", "MD5").removesuffix("-sess")

        def digest(*parts):
            return HASHES[name](":".join(parts).encode()).hexdigest()

        secret = digest(self.user, "dav", self.password)
        if sent.get("algorithm", "").endswith("-sess"):
            secret = digest(secret, sent["nonce"], sent["cnonce"])
        use = [sent[key] for key in ("nc", "cnonce", "qop")] if "qop" in sent else []
        return sent["response"] == digest(secret, sent["nonce"], *use, digest(seen.method, seen.path))


@pytest.fixture
def digest_only(gateway, radicale, answer):
    gateway.rule = Guard(radicale, answer)
    return gateway.rule


def refused(gateway):
    return [seen.status for seen in gateway.seen].count(401)


def test_basic_is_sent_with_the_first_request(gateway, open_caldav, work):
    open_caldav().list_calendars()
    assert all(seen.headers["Authorization"].startswith("Basic ") for seen in gateway.seen)
    assert {seen.status for seen in gateway.seen} == {207}


@pytest.mark.parametrize("auth", ["auto", "digest"])
def test_digest_is_taken_where_the_server_asks_for_it_and_then_kept(gateway, digest_only, open_caldav, work, auth):
    provider = open_caldav(auth=auth)
    for _ in range(2):
        assert "Work" in {calendar.name for calendar in provider.list_calendars()}
    assert refused(gateway) == 1
    assert digest_only.counts == [f"{n:08x}" for n in range(1, len(digest_only.counts) + 1)]


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="dav", nonce="{}"',
        'Digest realm="dav", nonce="{}", algorithm=MD5, opaque="o"',
        'Digest realm="dav", nonce="{}", qop="auth"',
        'Digest realm="dav",nonce="{}",qop="auth-int, auth",algorithm=MD5',
        'Digest realm="dav", nonce="{}", qop=auth, algorithm="SHA-256"',
        'Digest realm="dav", nonce="{}", qop="auth", algorithm=SHA-512-256',
        'Digest realm="dav", nonce="{}", qop="auth", algorithm=MD5-sess',
        'Digest realm="dav", nonce="{}", qop="auth", algorithm=SHA-256-sess',
        'Digest realm="dav", nonce="{}", qop="auth", algorithm=NEW, Digest realm="dav", nonce="{}", qop="auth"',
        'Digest realm="dav", nonce="{}", algorithm=MD5, Digest realm="dav", nonce="{}", qop="auth", algorithm=SHA-256',
        'Basic realm="dav, too", Digest realm="dav", nonce="{}", qop="auth"',
        'Digest realm="dav", nonce="{}", qop="auth", Basic realm="other"',
        'Negotiate, NTLM, DIGEST Realm="dav", NONCE="{}", Stale=FALSE',
    ],
)
def test_every_usual_challenge_is_answered(gateway, digest_only, open_caldav, work, challenge):
    digest_only.challenge = challenge
    assert "Work" in {calendar.name for calendar in open_caldav().list_calendars()}
    assert refused(gateway) == 1


@pytest.mark.parametrize(
    "challenge",
    [
        "Digest",
        'Digest realm="dav"',
        'Digest realm="dav", nonce="{}", algorithm=NEW',
        'Digest realm="dav", nonce="{}", qop="auth-int"',
        'Digest realm="dav, nonce="{}',
    ],
)
def test_a_challenge_that_can_not_be_answered_is_named(gateway, digest_only, open_caldav, challenge):
    digest_only.challenge = challenge
    with pytest.raises(InvalidResponse, match="kind of Digest"):
        open_caldav().list_calendars()


def test_a_nonce_that_has_gone_stale_is_replaced(gateway, digest_only, open_caldav, work):
    provider = open_caldav()
    provider.list_calendars()
    digest_only.nonces.append("n-1843")
    digest_only.challenge += ", stale=true"
    assert "Work" in {calendar.name for calendar in provider.list_calendars()}
    assert refused(gateway) == 2
    assert digest_only.counts.count("00000001") == 2


def test_the_nonce_that_a_server_wants_next_is_used_without_being_asked_again(gateway, digest_only, open_caldav, work):
    def wants_another(_seen, given):
        digest_only.nonces.append(f"n-{len(digest_only.nonces)}")
        given.headers["Authentication-Info"] = f'qop=auth, nextnonce="{digest_only.nonces[-1]}"'
        return given

    gateway.rewrite = wants_another
    assert "Work" in {calendar.name for calendar in open_caldav().list_calendars()}
    assert refused(gateway) == 1
    assert set(digest_only.counts) == {"00000001"}


@pytest.mark.parametrize("auth", ["auto", "digest"])
def test_a_wrong_password_is_refused_by_digest_too_and_not_tried_again(gateway, digest_only, open_caldav, auth):
    provider = open_caldav(secret="wrong", auth=auth)
    for asked in (2, 3):  # once to be asked, then once each
        with pytest.raises(GrantRevoked):
            provider.list_calendars()
        assert len(gateway.seen) == asked


def test_a_wrong_password_is_not_tried_again_behind_a_redirect(gateway, digest_only, open_caldav, answer):
    gateway.rule = lambda seen: digest_only(seen) if seen.path == "/dav/" else answer(302, {"Location": "/dav/"})
    with pytest.raises(GrantRevoked):
        open_caldav(secret="wrong").list_calendars()
    assert [seen.path for seen in gateway.seen] == ["/", "/dav/", "/dav/"]


def test_what_is_answered_to_a_digest_is_looked_at_too(gateway, digest_only, open_caldav):
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><multistatus xmlns="DAV:">&a;</multistatus>'

    def replaced(_seen, given):
        given.body = bomb
        return given

    gateway.rewrite = replaced
    with pytest.raises(InvalidResponse, match="document type definition"):
        open_caldav().list_calendars()


@pytest.mark.parametrize(
    ("auth", "asked", "told"),
    [
        ("digest", 'Basic realm="x"', "asks for basic, not digest: set auth to auto"),
        ("basic", 'Digest realm="x", nonce="y"', "asks for digest, not basic: set auth to auto"),
        ("bearer", 'Basic realm="x", Negotiate', "asks for basic or negotiate, not bearer: set auth to auto"),
    ],
)
def test_a_scheme_that_the_server_does_not_take_is_told(gateway, open_caldav, answer, auth, asked, told):
    gateway.rule = lambda _seen: answer(401, {"WWW-Authenticate": asked})
    with pytest.raises(GrantRevoked, match=told):
        open_caldav(auth=auth).list_calendars()
    assert len(gateway.seen) == 1


@pytest.mark.parametrize("auth", ["auto", "basic", "digest"])
def test_a_refusal_that_names_no_scheme_is_a_wrong_password(gateway, open_caldav, answer, auth):
    gateway.rule = lambda _seen: answer(401)
    with pytest.raises(GrantRevoked, match="user name"):
        open_caldav(auth=auth).list_calendars()
    assert len(gateway.seen) == 1


def test_who_may_not_send_it_unasked_sends_it_when_asked():
    request = signed("https://dav.example.org/", url="https://dav.example.org/", unasked=False)
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("user", ["ada@example", "ädä", 'a"d\\a', "ada:lovelace", "爱达"])
@pytest.mark.parametrize("secret", ["", "p:w", "pässwörd ☃", 'q"\\'])
def test_names_and_passwords_travel_as_utf_8(user, secret):
    request = signed("https://dav.example.org/", url="https://dav.example.org/", username=user, secret=secret)
    assert b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == f"{user}:{secret}"
    challenge = best_challenge(SHA.format("n"))
    header = challenge.answer(user, secret, "GET", "/", count=1, cnonce="c").encode("latin-1").decode()
    (_, sent), *_ = offered(header)
    assert (sent["username"], sent["nc"]) == (user, "00000001")


def test_the_examples_of_the_standard_come_out():
    asked = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        header = best_challenge(asked.format(algorithm)).answer(
            *("Mufasa", "Circle of Life", "GET", "/dir/index.html"),
            count=1,
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        assert f'response="{response}"' in header


def test_a_bearer_token_is_sent_as_one(gateway, open_caldav, answer):
    gateway.rule = lambda _seen: answer(401)
    with pytest.raises(GrantRevoked):
        open_caldav(auth="bearer", secret="t0ken").list_calendars()
    assert {seen.headers["Authorization"] for seen in gateway.seen} == {"Bearer t0ken"}


def signed(there, url="http://dav.example.org/", unasked=True, **options):
    connection = Connection(url, **({"username": "ada", "secret": "pässwörd"} | options))
    credentials = Credentials(connection, Scope(connection.url), unasked=unasked)
    return requests.Request("GET", there, auth=credentials).prepare()


def test_over_an_open_connection_the_password_is_not_sent_unasked():
    assert "Authorization" not in signed("http://dav.example.org/").headers
    public, private = "http://93.184.216.34/", "http://127.0.0.1/"
    assert "Authorization" not in signed(public, public, allow_private=True).headers
    assert "Authorization" not in signed(private, private).headers
    assert signed(private, private, allow_private=True).headers["Authorization"].startswith("Basic ")
    assert signed("http://dav.example.org/", auth="basic").headers["Authorization"].startswith("Basic ")


def test_what_was_not_said_unasked_is_told_with_the_remedy():
    for options, told in (({}, "use https, or set auth to basic"), ({"auth": "digest"}, "set auth to auto")):
        connection = Connection("http://dav.example.org/", "ada", "secret", **options)
        credentials = Credentials(connection, Scope(connection.url))
        requests.Request("GET", "http://dav.example.org/", auth=credentials).prepare()
        assert told in credentials.withheld


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


def test_a_challenge_without_end_is_read_in_one_go():
    assert offered("Digest " + "a" * 60_000 + " " * 60_000 + '"') is not None
