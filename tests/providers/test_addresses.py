"""Which addresses may be connected to, however they are spelt, and where a credential may be sent."""

from __future__ import annotations

import socket

import pytest
import requests

from providers import connections, errors
from providers.addresses import Scope, is_public, registrable_domain

PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.168.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1", "3fff::1"),
    *("2001:db8::1", "2001::1", "2001:2::1", "4000::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1", "::ffff:0:127.0.0.1"),
    *("not-an-address", "", "127.1", "2130706433"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_on_the_public_internet_are_known(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.215.14", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:2800:21f:cb07::1"),
        *("::ffff:93.184.215.14", "64:ff9b::808:808", "2002:808:808::1"),
    ],
)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.fixture
def resolves(monkeypatch):
    """Let every name resolve as told, each asking in its turn, and remember who is asked for and connected to."""

    def start(*answers):
        asked, connected = [], []

        def resolve(host, port, *_args, **_options):
            asked.append(host)
            told = answers[min(len(asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in told]

        def refuse(address, *_args, **_options):
            connected.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(connections.sockets, "create_connection", refuse)
        return asked, connected

    return start


def test_a_name_that_resolves_differently_a_moment_later_gains_nothing(session, resolves):
    asked, connected = resolves(["127.0.0.1"], ["93.184.215.14"])
    with pytest.raises(errors.Unavailable, match=r"private address 127\.0\.0\.1: set allow_private"):
        session().get("http://rebind.example/")
    assert (asked, connected) == (["rebind.example"], [])


def test_the_address_that_was_checked_is_the_one_connected_to(session, resolves):
    asked, connected = resolves(["93.184.215.14", "93.184.215.15"], ["127.0.0.1"])
    with pytest.raises(requests.ConnectionError):
        session().get("https://dav.example/")
    assert connected == [("93.184.215.14", 443), ("93.184.215.15", 443)]
    assert asked == ["dav.example"]
    with pytest.raises(errors.Unavailable, match="allow_private"):
        session().get("https://dav.example/")


def test_of_a_name_with_both_only_the_public_address_is_connected_to(session, resolves):
    _, connected = resolves(["10.0.0.7", "::1", "93.184.215.14", "fe80::1%2"])
    with pytest.raises(requests.ConnectionError):
        session().get("http://dav.example/")
    assert connected == [("93.184.215.14", 80)]


def test_an_account_that_may_is_connected_to_a_private_address(session, resolves):
    _, connected = resolves(["10.0.0.7"])
    with pytest.raises(requests.ConnectionError):
        session(allow_private=True).get("http://nas/")
    assert connected == [("10.0.0.7", 80)]


@pytest.mark.parametrize(
    "spelling",
    [
        *("127.0.0.1", "localhost", "localhost.", "LOCALHOST", "LocalHost.", "127.1", "2130706433", "0x7f.0.0.1"),
        *(
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020\u30020\u30021",
        ),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]", "[::]"),
        *("0.0.0.0", "0", "public.example@127.0.0.1", "public.example:443@127.0.0.1", "%31%32%37.0.0.1"),
        *("127.0.0.1\\@public.example", "127.0.0.1#@public.example", "127.0.0.1?@public.example"),
    ],
)
def test_no_spelling_of_a_private_address_is_connected_to(session, spelling):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        port = listening.getsockname()[1]
        before, mark, after = spelling.partition("\\")
        place = f"{before}:{port}{mark}{after}" if mark or "@" not in spelling else f"{spelling}:{port}"
        with pytest.raises((errors.Unavailable, requests.RequestException)):
            session().get(f"http://{place}/")
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1/", r"127\.0\.0\.1 is a private address: set allow_private"),
        ("http://localhost:1/", "localhost is at the private address .*: set allow_private"),
        ("http://[::1]:1/", "::1 is a private address: set allow_private"),
        ("http://[::ffff:7f00:1]:1/", "7f00:1 is .*private address.*: set allow_private"),
        ("http://[fe80::1%25lo]:1/", "fe80::1.*private address.*: set allow_private"),
        ("http://2130706433:1/", r"2130706433 is at the private address 127\.0\.0\.1: set allow_private"),
    ],
)
def test_the_error_names_the_host_and_what_to_set(session, url, told):
    with pytest.raises(errors.Unavailable, match=told):
        session().get(url)


@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://[::ffff:127.0.0.1]:{}/"])
def test_a_redirect_to_a_private_address_is_refused(serve, says, session, monkeypatch, target):
    inside = serve(says(200, b"secret"))
    outside = serve(says(302, Location=target.format(inside.server_address[1])))
    monkeypatch.setattr(connections, "is_public", lambda address: not judged.append(address) and len(judged) == 1)
    judged = []
    with pytest.raises(errors.Unavailable, match="allow_private"):
        session().get(outside.url)
    assert inside.requests == []
    assert len(outside.requests) == 1


def test_a_name_that_is_none_can_not_be_resolved(session):
    with pytest.raises(requests.RequestException):
        session().get(f"http://{'a' * 64}.example/")


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("caldav.icloud.com", "icloud.com"),
        ("example.com", "example.com"),
        ("dav.example.co.uk", "example.co.uk"),
        ("example.com.au", "example.com.au"),
        ("me.com", "me.com"),
        ("ada.duckdns.org", "ada.duckdns.org"),
        ("dav.ada.myfritz.net", "ada.myfritz.net"),
        ("nas.ada.synology.me", "ada.synology.me"),
        ("caldav.gmx.net", "gmx.net"),
        ("DAV.Example.COM.", "example.com"),
        ("localhost", "localhost"),
    ],
)
def test_a_registrable_domain_is_what_one_owner_registers(host, domain):
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("home", "there", "covered"),
    [
        ("https://caldav.icloud.com/", "https://p42-caldav.icloud.com:443/1/", True),
        ("https://dav.example/", "https://dav.example:8443/", True),
        ("https://dav.example/", "https://DAV.EXAMPLE./", True),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example/x", True),
        ("https://dav.b\u00fccher.example/", "https://www.B\u00dcCHER.example/", True),
        ("http://dav.example/", "https://dav.example/", True),
        ("https://dav.example/", "http://dav.example/", False),
        ("https://dav.example.com/", "https://evil.com/", False),
        ("https://dav.example.com/", "https://evil.com\\@dav.example.com/", False),
        ("https://dav.example.com/", "https://evil.com#@dav.example.com/", False),
        ("https://dav.example.com/", "https://dav.example.com@evil.com/", False),
        ("https://dav.example.com/", "https://dav.example.com\uff0fevil.com/", False),
        ("https://dav.example.com/", "//dav.example.com/", False),
        ("https://a.co.uk/", "https://b.co.uk/", False),
        ("https://a.duckdns.org/", "https://b.duckdns.org/", False),
        ("https://nx1.your-storageshare.de/", "https://nx2.your-storageshare.de/", False),
        ("https://a.gv.at/", "https://b.gv.at/", False),
        ("https://a.eu.org/", "https://b.eu.org/", False),
        ("https://example.com/", "https://example.com.evil.net/", False),
        ("https://example.com/", "https://notexample.com/", False),
        ("http://127.0.0.1:5232/", "http://127.0.0.1:5232/x", True),
        ("http://127.0.0.1:80/", "http://127.0.0.1/x", True),
        ("http://127.0.0.1:5232/", "http://127.0.0.1:5233/", False),
        ("http://127.0.0.1/", "http://10.0.0.1/", False),
        ("http://10.0.0.1/", "http://11.0.0.1/", False),
        ("http://10.1/", "http://127.10.1/", False),
        ("http://0x7f.0x1/", "http://10.0x7f.0x1/", False),
        ("http://[::1]:5232/", "http://[::1]:5232/x", True),
        ("http://[::1]/", "http://[::2]/", False),
        ("http://[::ffff:10.0.0.1]/", "http://[::ffff:11.0.0.1]/", False),
        ("http://localhost:1/", "http://localhost:2/", False),
        ("http://nas/", "https://nas/", True),
        ("https://dav.example/", "ftp://dav.example/", False),
        ("https://dav.example/", "https://[::1/", False),
        ("https://dav.example/", "", False),
        ("", "", False),
    ],
)
def test_a_credential_stays_with_its_owner(home, there, covered):
    assert Scope(home).covers(there) is covered


@pytest.mark.parametrize(
    ("url", "at_home"),
    [
        ("http://127.0.0.1:8080/a.ics", True),
        ("http://[::1]/a.ics", True),
        ("http://192.168.1.1/", True),
        ("http://localhost/", True),
        ("https://93.184.216.34/", False),
        ("http://", False),
        ("http://no-such-host.invalid/", False),
    ],
)
def test_a_host_is_at_home_where_all_its_addresses_are_private(url, at_home):
    assert connections.is_at_home(url) is at_home
