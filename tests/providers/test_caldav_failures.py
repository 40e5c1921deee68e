"""Every exception of the libraries below means a leaf of ours, also one that a release adds."""

from __future__ import annotations

import errno
import http.client
import importlib
import inspect
import pkgutil
import socket

import caldav
import pytest
import requests
import urllib3
from caldav.lib import error as dav
from lxml import etree

from providers import connections, errors
from providers.caldav.failures import LEAF_BY_DAV_ERROR, leaf_of, translated
from providers.transport import LEAF_BY_EXCEPTION, Limits

# Parts of the caldav package that this adapter never calls: another protocol, another client, test helpers.
UNUSED = ("caldav.jmap", "caldav.aio", "caldav.async_davclient", "caldav.testing")


def exceptions_of(package, unused=()):
    """Return every exception class that a package defines anywhere in itself, warnings left out."""
    found = set()
    for module in [package, *_modules(package, unused)]:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            own = kind.__module__.split(".")[0] == package.__name__ and not kind.__module__.startswith(unused or "-")
            if own and issubclass(kind, Exception) and not issubclass(kind, Warning):
                found.add(kind)
    return found


def _modules(package, unused):
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda _name: None):
        if info.name.startswith(unused or "-"):
            continue
        try:
            yield importlib.import_module(info.name)
        except ImportError:
            continue  # an extra that isn't installed


def test_every_exception_of_the_caldav_package_is_mapped():
    found = exceptions_of(caldav, UNUSED)
    assert len(found) > 20
    assert found - set(LEAF_BY_DAV_ERROR) == set()


def test_every_exception_of_requests_is_mapped():
    found = {kind for kind in exceptions_of(requests) if issubclass(kind, requests.RequestException)}
    assert len(found) > 15
    assert found - set(LEAF_BY_EXCEPTION) == set()


def test_every_exception_of_urllib3_is_mapped():
    found = exceptions_of(urllib3, ("urllib3.contrib",))
    assert len(found) > 25
    assert found - set(LEAF_BY_EXCEPTION) == set()


def _made(kind):
    """Make an exception without knowing what its class wants to be told."""
    error = kind.__new__(kind)
    error.args = ("SECRET body",)
    return error


@pytest.mark.parametrize("kind", sorted(LEAF_BY_EXCEPTION, key=lambda kind: f"{kind.__module__}.{kind.__name__}"))
def test_what_the_libraries_raise_surfaces_as_its_leaf(kind):
    with (
        pytest.raises(errors.ProviderError) as caught,
        translated("https://ada:pw@dav.example/x", calendar="c", remote_id="r"),
    ):
        raise _made(kind)
    assert type(caught.value) is LEAF_BY_EXCEPTION[kind]
    assert (caught.value.calendar, caught.value.remote_id) == ("c", "r")
    assert "SECRET" not in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("kind", sorted(LEAF_BY_DAV_ERROR, key=lambda kind: kind.__name__))
def test_what_the_caldav_package_raises_surfaces_as_its_leaf(kind):
    with pytest.raises(LEAF_BY_DAV_ERROR[kind]) as caught, translated("https://dav.example/x"):
        raise kind("https://dav.example/x", "SECRET reason")
    assert type(caught.value) is LEAF_BY_DAV_ERROR[kind]
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "leaf"),
    [
        (http.client.IncompleteRead(b""), errors.Unavailable),
        (http.client.BadStatusLine("x"), errors.Unavailable),
        (ConnectionResetError(), errors.Unavailable),
        (TimeoutError(), errors.Unavailable),
        (etree.XMLSyntaxError("x", 1, 1, 1), errors.InvalidResponse),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), errors.InvalidResponse),
        (ValueError("Invalid IPv6 URL"), errors.InvalidResponse),
        (errors.NotFound(), errors.NotFound),
    ],
)
def test_what_lies_below_the_libraries_surfaces_too(raised, leaf):
    with pytest.raises(leaf) as caught, translated("https://dav.example/", calendar="c"):
        raise raised
    assert type(caught.value) is leaf
    assert caught.value.calendar == "c"


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        (dav.AuthorizationError(status=401), errors.GrantRevoked),
        (dav.AuthorizationError(status=403), errors.PermissionDenied),
        (dav.RateLimitError(status=429), errors.RateLimited),
        (dav.RateLimitError(status=503), errors.Unavailable),
        (dav.ReportError(status=500), errors.Unavailable),
        (dav.PutError(status=412), errors.ETagMismatch),
        (
            dav.DAVError(status=403, preconditions=["{urn:ietf:params:xml:ns:caldav}no-uid-conflict"]),
            errors.AlreadyExists,
        ),
    ],
)
def test_a_status_says_more_than_a_class(error, leaf):
    assert leaf_of(error) is leaf


def test_a_calendar_that_is_not_there_is_told_in_words():
    with (
        pytest.raises(errors.NotFound, match=r"dav\.example answered HTTP 404: the calendar isn't there"),
        translated("https://dav.example/", calendar="https://dav.example/work/"),
    ):
        raise dav.DAVError(status=404)


def test_the_pause_a_server_asks_for_is_passed_on():
    with pytest.raises(errors.RateLimited) as caught, translated("https://dav.example/"):
        raise dav.RateLimitError(retry_after="17", status=429)
    assert caught.value.retry_after == 17.0


def failing(error):
    def fail(*_args, **_options):
        raise error

    return fail


@pytest.mark.parametrize(
    ("where", "error", "told"),
    [
        ("resolve", socket.gaierror(socket.EAI_NONAME, "x"), "dav.example can't be reached: there is no host of that"),
        ("resolve", socket.gaierror(socket.EAI_AGAIN, "x"), "dav.example can't be reached: names can't be resolved"),
        ("connect", ConnectionRefusedError(), "dav.example can't be reached: it refuses connections to this port"),
        ("connect", TimeoutError(), "dav.example can't be reached: it doesn't answer in time"),
        ("connect", OSError(errno.EHOSTUNREACH, "x"), "dav.example can't be reached: no network leads there"),
        ("connect", OSError(errno.EACCES, "x"), r"dav.example can't be reached \(ConnectionError\)"),
    ],
)
def test_why_a_server_can_not_be_reached_is_told(session, monkeypatch, where, error, told):
    monkeypatch.setattr(connections, "is_public", lambda _address: True)
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", failing(error) if where == "resolve" else lambda *_a, **_o: resolved)
    monkeypatch.setattr(connections.sockets, "create_connection", failing(error))
    with pytest.raises(errors.Unavailable, match=told), translated("https://dav.example/x"):
        session().get("https://dav.example/x")


def test_a_server_that_takes_the_connection_and_says_nothing_is_told(session):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(errors.Unavailable, match="took the connection and doesn't answer"), translated(url):
            session(allow_private=True, limits=Limits(read=0.05)).get(url)


def test_a_server_that_hangs_up_is_told(speak, session):
    url = speak(list)
    with pytest.raises(errors.Unavailable, match="breaks the connection off"), translated(url):
        session(allow_private=True).get(url)


def test_the_host_that_failed_is_named_not_the_one_first_asked(serve, says, session):
    server = serve(says(302, Location="http://localhost:1/"))
    with pytest.raises(errors.Unavailable, match="localhost:1 can't be reached"), translated(server.url):
        session(allow_private=True).get(server.url)
