"""The worlds in which every provider has to keep the port's promises: one harness for each kind of provider."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from providers import open_provider
from providers.errors import Unavailable
from providers.memory import account
from providers.model import ChangePage, Connection, ConsultationEvent, RemoteCalendar, Window
from providers.port import Provider

_NUMBERS = itertools.count()
WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC))


class World(Protocol):
    """What a test may do besides calling the provider."""

    def open(self, *, secret: str | None = None) -> Provider: ...

    def make_calendar(self, name: str, tz: str) -> RemoteCalendar: ...

    def remove_calendar(self, calendar: RemoteCalendar) -> None: ...

    def put(self, calendar: RemoteCalendar, uid: str, text: str) -> None: ...

    def remove(self, calendar: RemoteCalendar, uid: str) -> None: ...

    def texts(self, calendar: RemoteCalendar) -> list[str]: ...

    def lose_next_answer(self) -> None: ...


class MemoryWorld:
    """Calendars in this process."""

    def __init__(self) -> None:
        self.url = f"memory://conformance-{next(_NUMBERS)}"
        self.account = account(self.url)
        self.account.secret = "right"

    def open(self, *, secret=None):
        return open_provider("memory", Connection(self.url, secret="right" if secret is None else secret))

    def make_calendar(self, name, tz):
        return self.account.add_calendar(name, tz=tz)

    def remove_calendar(self, calendar):
        self.account.remove_calendar(calendar.remote_id)

    def put(self, calendar, uid, text):
        self.account.put(calendar.remote_id, uid, text)

    def remove(self, calendar, uid):
        self.account.remove(calendar.remote_id, uid)

    def texts(self, calendar):
        return list(self.account.texts(calendar.remote_id).values())

    def lose_next_answer(self):
        self.account.fail_next(Unavailable("the answer was lost"), after_effect=True)


class CalDAVWorld:
    """A real server, seen through a gateway that can lose answers; the other client goes past the gateway."""

    def __init__(self, radicale, gateway) -> None:
        self.radicale = radicale
        self.gateway = gateway

    def open(self, *, secret=None):
        secret = self.radicale.password if secret is None else secret
        return open_provider("caldav", Connection(self.gateway.url, self.radicale.username, secret, allow_private=True))

    def make_calendar(self, name, tz):
        self.radicale.make_calendar(name, tz)
        provider = self.open()
        found = next(calendar for calendar in provider.list_calendars() if calendar.name == name)
        provider.close()
        return found

    def _direct(self, calendar):
        return calendar.remote_id.replace(self.gateway.url, self.radicale.url)

    def remove_calendar(self, calendar):
        self.radicale.delete(self._direct(calendar))

    def put(self, calendar, uid, text):
        self.radicale.put(self._direct(calendar), uid, text)

    def remove(self, calendar, uid):
        self.radicale.delete(self._direct(calendar), uid)

    def texts(self, calendar):
        return list(self.radicale.list(self._direct(calendar)).values())

    def lose_next_answer(self):
        self.gateway.lose_next_write()


@pytest.fixture(params=["memory", "caldav"])
def world(request: pytest.FixtureRequest) -> World:
    """The world of each provider in turn."""
    if request.param == "memory":
        return MemoryWorld()
    return CalDAVWorld(request.getfixturevalue("radicale"), request.getfixturevalue("gateway"))


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


@pytest.fixture
def pull() -> Callable[..., list[ChangePage]]:
    """Pull a calendar: all pages of one call."""

    def pages(provider: Provider, calendar: RemoteCalendar, sync_token: str | None = None) -> list[ChangePage]:
        return list(provider.changes(calendar, sync_token, WINDOW))

    return pages


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
