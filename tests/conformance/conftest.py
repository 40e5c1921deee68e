"""The worlds in which every provider has to keep the port's promises: one harness for each kind of provider."""

from __future__ import annotations

import dataclasses
import itertools
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from fake_google_accounts import connection_to, grant_of
from fake_google_ics import changed, item_id, items_of, text_of
from listener import Listener
from scripted_caldav import ODDITIES

from providers import open_provider
from providers.caldav import quirks
from providers.caldav.client import CalDAVProvider
from providers.errors import Unavailable
from providers.google.client import GoogleProvider
from providers.google.wire import event_id
from providers.memory import account
from providers.model import ChangePage, Connection, ConsultationEvent, RemoteCalendar, Window
from providers.port import Provider

_NUMBERS = itertools.count()
WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC))


class World(Protocol):
    """What a test may do besides calling the provider.

    `checks_tokens` says that a token never given out is refused, `keeps` which of its rule and zone a series keeps;
    `uid` is that of the event made with a key. `told` are the channels that were told of changes of a calendar since it
    was last asked, with their tokens, at `address`.
    """

    checks_tokens: bool
    keeps: tuple[bool | None, bool | None]
    address: str

    def open(self, *, secret: str | None = None) -> Provider: ...

    def make_calendar(self, name: str, tz: str) -> RemoteCalendar: ...

    def remove_calendar(self, calendar: RemoteCalendar) -> None: ...

    def put(self, calendar: RemoteCalendar, uid: str, text: str) -> None: ...

    def remove(self, calendar: RemoteCalendar, uid: str) -> None: ...

    def texts(self, calendar: RemoteCalendar) -> list[str]: ...

    def uid(self, key: str) -> str: ...

    def told(self, calendar: RemoteCalendar) -> list[tuple[str, str]]: ...

    def lose_next_answer(self) -> None: ...


class MemoryWorld:
    """Calendars in this process."""

    checks_tokens = True
    keeps = (True, True)
    address = "https://here.example/hooks"

    def __init__(self) -> None:
        self.url = f"memory://conformance-{next(_NUMBERS)}"
        self.account = account(self.url)
        self.account.secret = "right"

    def open(self, *, secret=None):
        return open_provider("memory", Connection(self.url, secret="right" if secret is None else secret))

    def make_calendar(self, name, tz):
        return self.account.add_calendar(name, tz=tz, makes_links=True)

    def remove_calendar(self, calendar):
        self.account.remove_calendar(calendar.remote_id)

    def put(self, calendar, uid, text):
        self.account.put(calendar.remote_id, uid, text)

    def remove(self, calendar, uid):
        self.account.remove(calendar.remote_id, uid)

    def texts(self, calendar):
        return list(self.account.texts(calendar.remote_id).values())

    def uid(self, key):
        return key

    def told(self, calendar):
        watches = self.account.watches.items()
        return [(channel, one.token) for channel, one in watches if one.calendar == calendar.remote_id]

    def lose_next_answer(self):
        self.account.fail_next(Unavailable("the answer was lost"), after_effect=True)


class GoogleWorld:
    """The fake Google; the other client is its owner's, who goes past HTTP. Its lists may be as uneven as allowed."""

    checks_tokens = True
    keeps = (True, True)

    def __init__(self, google, listener, *, uneven) -> None:
        self.google, self.listener, self.address = google, listener, listener.url
        google.channels.allow_http = True
        google.writes.conference_reads = 2
        if uneven:
            google.lists.page_size, google.lists.empty_pages, google.list_page_size = 40, 1, 1
            google.overrides_first()
        self.grant = grant_of(google)

    def open(self, *, secret=None):
        grant = self.grant if secret is None else dataclasses.replace(self.grant, refresh_token=secret)
        return GoogleProvider(connection_to(self.google, secret=grant.text()), pauses=(0.0, 0.0))

    def make_calendar(self, name, tz):
        self.google.make_calendar(name, tz, id=f"{name.lower()}@group.calendar.google.com")
        return _listed(self, name)

    def remove_calendar(self, calendar):
        self.google.remove_calendar(calendar.remote_id)

    def uid(self, key):
        return f"{event_id(key)}@google.com"

    def _id(self, calendar, uid):
        """The id of what was put under this name: our own is found by its key."""
        own = event_id(uid)
        return own if own in self.google.account.calendar(calendar.remote_id).items else item_id(uid)

    def put(self, calendar, uid, text):
        named = self._id(calendar, uid)
        held = self.google.account.calendar(calendar.remote_id).items
        for item in items_of(text, named):
            old = held[item["id"]].body if item["id"] in held else {}
            self.google.put(calendar.remote_id, changed(old, {"status": "confirmed", **item}))

    def remove(self, calendar, uid):
        self.google.delete(calendar.remote_id, self._id(calendar, uid))

    def texts(self, calendar):
        series = {}
        for item in self.google.items(calendar.remote_id):
            series.setdefault(item.get("recurringEventId", item["id"]), []).append(item)
        return [text_of(items) for items in series.values()]

    def told(self, calendar):
        self.google.channels.settle()
        uri = f"{self.google.base}calendars/{calendar.remote_id}/events"
        told = [one for one in self.listener.told if one["x-goog-resource-state"] == "exists"]
        self.listener.told.clear()
        headers = ("x-goog-channel-id", "x-goog-channel-token")
        return [tuple(one[name] for name in headers) for one in told if one["x-goog-resource-uri"].startswith(uri)]

    def lose_next_answer(self):
        self.google.fail(kind="lose")

    def close(self):
        """Stop listening; nothing was written without saying whether guests are to be told."""
        self.listener.stop()
        assert self.google.writes.unsaid == []


class CalDAVWorld:
    """A real server, seen through a gateway that can lose answers; the other client goes past the gateway."""

    checks_tokens = True
    keeps = (True, True)
    address = "https://here.example/hooks"

    def __init__(self, server, gateway) -> None:
        self.server = server
        self.gateway = gateway

    def open(self, *, secret=None):
        secret = self.server.password if secret is None else secret
        return open_provider("caldav", Connection(self.gateway.url, self.server.username, secret, allow_private=True))

    def make_calendar(self, name, tz):
        self.server.make_calendar(name, tz)
        return _listed(self, name)

    def _direct(self, calendar):
        return calendar.remote_id.replace(self.gateway.url, self.server.url)

    def remove_calendar(self, calendar):
        self.server.delete(self._direct(calendar))

    def put(self, calendar, uid, text):
        self.server.put(self._direct(calendar), uid, text)

    def remove(self, calendar, uid):
        self.server.delete(self._direct(calendar), uid)

    def texts(self, calendar):
        return list(self.server.list(self._direct(calendar)).values())

    def uid(self, key):
        return key

    def lose_next_answer(self):
        self.gateway.lose_next_write()


class ScriptedWorld:
    """The scripted server with one oddity, or none; with none the adapter can be told to allow for nothing."""

    address = "https://here.example/hooks"

    def __init__(self, server, oddity, allowed=quirks.ALL) -> None:
        self.server, self.allowed = server, allowed
        if oddity:
            server.play(oddity, *(["no-sync-collection"] if oddity == "no-ctag" else []))
        self.checks_tokens = oddity != "any-token"
        self.keeps = (None, None) if oddity == "zones-lost" else (True, True)
        self.url = server.url + (server.home if oddity == "no-calendar-home" else "")

    def open(self, *, secret=None):
        secret = self.server.password if secret is None else secret
        connection = Connection(self.url, self.server.username, secret, allow_private=True)
        return CalDAVProvider(connection, self.allowed, pauses=(0.0, 0.0))

    def make_calendar(self, name, tz):
        self.server.make_calendar(name, tz)
        return _listed(self, name)

    def remove_calendar(self, calendar):
        self.server.remove_calendar(calendar.name)

    def put(self, calendar, uid, text):
        self.server.put(calendar.name, f"{uid}.ics", text)

    def remove(self, calendar, uid):
        self.server.remove(calendar.name, f"{uid}.ics")

    def texts(self, calendar):
        return list(self.server.texts(calendar.name).values())

    def uid(self, key):
        return key

    def lose_next_answer(self):
        self.server.losing = True


def _listed(world, name):
    provider = world.open()
    found = next(calendar for calendar in provider.list_calendars() if calendar.name == name)
    provider.close()
    return found


def guarded(seen, answer):
    """Ask for the password in front of a server that lets everyone in."""
    right = "Basic " + b64encode("ada@example:pässwörd: 1815".encode()).decode()
    given = seen.headers.get("Authorization") == right
    return None if given else answer(401, {"WWW-Authenticate": 'Basic realm="calendars"'})


WORLDS = [
    "memory",
    "google",
    "google uneven",
    "radicale",
    "xandikos",
    "scripted",
    "intolerant",
    *(f"scripted {one}" for one in ODDITIES),
]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The world of each provider in turn."""
    made = _world(request)
    yield made
    if isinstance(made, GoogleWorld):
        made.close()


def _world(request: pytest.FixtureRequest) -> World:
    kind, _, oddity = request.param.partition(" ")
    if kind == "memory":
        return MemoryWorld()
    if kind == "google":
        return GoogleWorld(request.getfixturevalue("google"), Listener(), uneven=oddity == "uneven")
    if kind in ("scripted", "intolerant"):
        allowed = quirks.ALL if kind == "scripted" else frozenset()
        return ScriptedWorld(request.getfixturevalue("scripted"), oddity, allowed)
    server = request.getfixturevalue(kind)
    gateway = request.getfixturevalue("gateway_to")(server)
    if kind == "xandikos":
        gateway.rule = lambda seen: guarded(seen, request.getfixturevalue("answer"))
    return CalDAVWorld(server, gateway)


@pytest.fixture
def provider(world: World) -> Iterator[Provider]:
    """An opened account."""
    opened = world.open()
    yield opened
    opened.close()


@pytest.fixture
def calendar(world: World) -> RemoteCalendar:
    """An empty calendar in Berlin."""
    return world.make_calendar("Work", "Europe/Berlin")


class Pulls:
    """Pulls calendars as their keeper does: what was listed is known the next time."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {}

    def __call__(
        self, provider: Provider, calendar: RemoteCalendar, since: list[ChangePage] | None = None
    ) -> list[ChangePage]:
        """Return all pages of a full pull, or of one that goes on from the pages of the last."""
        if since is None:
            self.known[calendar.remote_id] = {}
            return self.noted(calendar, list(provider.changes(calendar, None, WINDOW)))
        known = dict(self.known[calendar.remote_id])
        return self.noted(calendar, list(provider.changes(calendar, since[-1].sync_token, WINDOW, lambda: known)))

    def noted(self, calendar: RemoteCalendar, pages: list[ChangePage]) -> list[ChangePage]:
        known = self.known.setdefault(calendar.remote_id, {})
        for page in pages:
            known |= {item.remote_id: item.etag for item in (*page.changed, *page.unreadable)}
            for remote_id in page.removed:
                known.pop(remote_id, None)
        return pages


@pytest.fixture
def pull() -> Pulls:
    """Pull a calendar: all pages of one call."""
    return Pulls()


@pytest.fixture
def ics() -> Callable[..., str]:
    """Write an event as another client would, with everything in it that must never be passed on."""

    def text(uid: str, start: str = "20261124T090000", more: str = "") -> str:
        return (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\nBEGIN:VEVENT\r\n"
            f"UID:{uid}\r\nDTSTAMP:20261101T120000Z\r\nDTSTART:{start}Z\r\nDURATION:PT1H\r\n"
            "SUMMARY:Dentist SECRET\r\nDESCRIPTION:root canal SECRET\r\nLOCATION:SECRET street\r\n"
            "ORGANIZER;CN=SECRET:mailto:secret@example.org\r\n"
            "ATTENDEE;CN=SECRET;PARTSTAT=ACCEPTED:mailto:secret@example.org\r\n"
            f"CATEGORIES:SECRET\r\nCOMMENT:SECRET\r\n{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
        )

    return text


@pytest.fixture
def consultation() -> Callable[..., ConsultationEvent]:
    """Describe a consultation."""

    def event(booking_id: str = "bkg_1", *, hour: int = 9, sequence: int = 0, **changes: str) -> ConsultationEvent:
        start = datetime(2026, 12, 1, hour, tzinfo=UTC)
        return ConsultationEvent(
            booking_id=booking_id,
            start_at=start,
            end_at=start + timedelta(minutes=30),
            title=changes.get("title", "Intro call with Bob"),
            description=changes.get("description", "Booked by Bob."),
            location=changes.get("location"),
            sequence=sequence,
            updated_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
        )

    return event
