"""What tests of providers share: an account on a real server behind a gateway, and small events."""

from __future__ import annotations

import pytest

from providers.caldav.client import CalDAVProvider
from providers.model import Connection, RemoteCalendar


@pytest.fixture
def open_caldav(gateway, radicale):
    """Open accounts at an address of the gateway, and close them all."""
    opened = []

    def start(path="", *, secret=None, auth="auto", url=None, **options):
        secret = radicale.password if secret is None else secret
        options = {"username": radicale.username, "allow_private": True} | options
        opened.append(CalDAVProvider(Connection(url or gateway.url + path, secret=secret, auth=auth, **options)))
        return opened[-1]

    yield start
    for provider in opened:
        provider.close()


@pytest.fixture
def work(radicale, gateway):
    """An empty calendar: its address on the server, and as the account behind the gateway knows it."""
    direct = radicale.make_calendar("Work", "Europe/Berlin")
    return direct, RemoteCalendar(direct.replace(radicale.url, gateway.url), "Work", tz="Europe/Berlin")


@pytest.fixture
def small_event():
    """Write a small event."""

    def text(uid="one", start="20261124T090000Z", more="", kind="VEVENT"):
        return (
            f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\nBEGIN:{kind}\r\nUID:{uid}\r\n"
            f"DTSTAMP:20261101T120000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\n{more}END:{kind}\r\nEND:VCALENDAR\r\n"
        )

    return text


@pytest.fixture
def pulled():
    """Pull, and return what was listed in one: uids, removed ids, unreadable ones, and the token."""

    def pull(provider, calendar, token=None):
        pages = list(provider.changes(calendar, token, None))
        return (
            sorted(event.series_id for page in pages for event in page.changed),
            sorted(remote_id for page in pages for remote_id in page.removed),
            [item for page in pages for item in page.unreadable],
            pages[-1].sync_token,
        )

    return pull
