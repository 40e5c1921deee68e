"""How requests are sent: bounded, guarded, without memory; and what statuses and headers mean."""

from __future__ import annotations

import contextlib
import socket
import threading
from datetime import UTC, datetime

import pytest
import requests

from providers import errors, transport
from providers.addresses import Scope
from providers.transport import Limits, leaf_for_status, retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_redirect_keeps_the_method_and_the_body_and_is_signed_again(gateway, session, answer, radicale):
    moved = answer(301, {"Location": "/ada%40example/"})
    gateway.rule = lambda seen: moved if seen.path == "/old" else None
    auth = requests.auth.HTTPBasicAuth(radicale.username.encode(), radicale.password.encode())
    found = session(allow_private=True, auth=auth).request(
        "PROPFIND", gateway.url + "old", data=b"", headers={"Depth": "0"}
    )
    assert found.status_code == 207
    assert [(seen.method, seen.path) for seen in gateway.seen] == [
        ("PROPFIND", "/old"),
        ("PROPFIND", "/ada%40example/"),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_change_is_never_redirected_to_something_else(gateway, session, answer, method, status):
    moved = answer(status, {"Location": "/ada/work/"})
    gateway.rule = lambda seen: moved if seen.path.endswith("one.ics") else answer(204)
    with pytest.raises(errors.InvalidResponse, match=f"redirects a {method} to something else: not followed"):
        session(allow_private=True).request(method, gateway.url + "ada/work/one.ics")
    assert [seen.path for seen in gateway.seen] == ["/ada/work/one.ics"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_change_is_redirected_to_where_the_same_thing_is(gateway, session, answer, method):
    moved = answer(308, {"Location": "/dav/ada%40example/work/o%6ee.ics"})
    gateway.rule = lambda seen: answer(204) if seen.path.startswith("/dav/") else moved
    assert session(allow_private=True).request(method, gateway.url + "ada/work/one.ics").status_code == 204
    assert gateway.seen[-1].path == "/dav/ada%40example/work/one.ics"


BASIC = requests.auth.HTTPBasicAuth("ada", "secret")


def by_name(server, name):
    return server.url.replace("127.0.0.1", name)


@pytest.fixture
def names(monkeypatch):
    """Let names of example hosts lead to loopback."""
    real = socket.getaddrinfo

    def resolve(host, port, *args, **options):
        return real("127.0.0.1" if host.endswith((".example", ".example.org")) else host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_redirect_to_another_host_is_not_followed_from_an_account(serve, says, session):
    elsewhere = serve(says(200))
    here = serve(says(302, Location=elsewhere.url))
    with pytest.raises(errors.InvalidResponse, match="redirects to"):
        session(allow_private=True, scope=Scope(here.url)).get(here.url)
    assert elsewhere.requests == []


def test_a_host_hidden_in_a_redirect_is_not_followed_from_an_account(serve, says, session, names):
    elsewhere = serve(says(200))
    hidden = by_name(elsewhere, "evil.example").rstrip("/") + "\\@dav.example/"
    here = serve(says(302, Location=hidden))
    home = by_name(here, "dav.example")
    with pytest.raises(errors.InvalidResponse, match=r"redirects to evil\.example"):
        session(allow_private=True, scope=Scope(home), auth=BASIC).get(home)
    assert elsewhere.requests == []


def test_within_its_domain_an_account_follows_and_is_signed_again(serve, says, session, names):
    there = serve(says(200, b"here it is"))
    here = serve(says(301, Location=by_name(there, "p42.dav.example.org")))
    home = by_name(here, "dav.example.org")
    assert session(allow_private=True, scope=Scope(home), auth=BASIC).get(home).content == b"here it is"
    assert [headers["Authorization"] for _, headers in there.requests] == ["Basic YWRhOnNlY3JldA=="]


def test_without_an_account_a_redirect_may_lead_elsewhere_but_no_credential_does(serve, says, session, names):
    last = serve(says(200, b"a feed"))
    middle = serve(says(307, Location=by_name(last, "cdn.stranger.example")))
    first = serve(says(302, Location=by_name(middle, "www.stranger.example")))
    url = by_name(first, "feeds.example.org")
    assert session(allow_private=True, auth=BASIC).get(url).content == b"a feed"
    assert "Authorization" in first.requests[0][1]
    assert all("Authorization" not in server.requests[0][1] for server in (middle, last))


@pytest.mark.parametrize("target", ["ftp://feeds.example/x", "file:///etc/passwd", "data:text/plain,x", "javascript:1"])
def test_a_redirect_leads_to_web_addresses_only(serve, says, session, target):
    server = serve(says(302, Location=target))
    with pytest.raises(errors.ProviderError, match="not followed"):
        session(allow_private=True).get(server.url)
    assert len(server.requests) == 1


def test_redirects_in_a_circle_end(serve, says, session):
    circle = serve(says(302, Location="/"))
    with pytest.raises(errors.InvalidResponse, match="more than 3 times"):
        session(allow_private=True, limits=Limits(redirects=3)).get(circle.url)
    assert len(circle.requests) == 4


def test_nothing_is_kept_between_requests_and_nothing_comes_from_the_environment(
    serve, says, session, monkeypatch, tmp_path
):
    server = serve(says(200, Set_Cookie="session=stays"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    opened = session(allow_private=True)
    for _ in range(2):
        assert opened.get(server.url).status_code == 200
    assert all(not {"Cookie", "Authorization"} & headers.keys() for _, headers in server.requests)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("-5", None),
        ("soon", None),
        ("999999999", 86_400.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sunday, 22-Nov-26 12:00:10 GMT", 10.0),
        ("Sun, 22 Nov 99999999999999999999 12:00:00 GMT", None),
        ("Sun, 22 Nov 2026 12:00:00 +99999999999999", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (301, errors.InvalidResponse),
        (400, errors.Unsupported),
        (401, errors.GrantRevoked),
        (403, errors.PermissionDenied),
        (404, errors.NotFound),
        (409, errors.AlreadyExists),
        (410, errors.NotFound),
        (412, errors.ETagMismatch),
        (418, errors.Unsupported),
        (429, errors.RateLimited),
        (500, errors.Unavailable),
        (501, errors.Unsupported),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (507, errors.Unavailable),
    ],
)
def test_a_status_means_one_leaf(status, leaf):
    assert leaf_for_status(status) is leaf


def test_every_status_and_every_exception_means_a_leaf():
    leaves = {leaf_for_status(status) for status in range(300, 600)} | set(transport.LEAF_BY_EXCEPTION.values())
    assert all(
        issubclass(leaf, errors.ProviderError) and not leaf.__subclasses__()
        for leaf in leaves - {errors.InvalidResponse}
    )


class _Hanging:
    """A server that closes each connection without a word when it is asked on it a second time."""

    def __init__(self, answers_on_one=1):
        self.asked = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._answers_on_one = answers_on_one
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    self._answer(connection)

    def _answer(self, connection):
        for number in range(self._answers_on_one + 1):
            head = connection.recv(65_536)
            if not head:
                return
            self.asked.append(head.split(b" ")[0].decode())
            if number < self._answers_on_one:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def stop(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def hanging():
    servers = []

    def start(**options):
        servers.append(_Hanging(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("method", ["GET", "PROPFIND", "PUT", "DELETE"])
def test_a_kept_connection_that_its_server_closed_is_replaced(hanging, session, method):
    server, one = hanging(), session(allow_private=True)
    for _ in range(3):
        assert one.request(method, server.url, data=b"").content == b"ok"
    one.close()
    assert len(server.asked) == 5, "the second and the third are sent twice"


def test_a_fresh_connection_that_breaks_is_a_failure(hanging, session):
    server, one = hanging(answers_on_one=0), session(allow_private=True)
    with pytest.raises(requests.ConnectionError):
        one.get(server.url)
    one.close()
    assert len(server.asked) == 1
