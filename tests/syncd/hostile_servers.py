"""Servers as another client of the same person sees them: calendars by name, resources by the last part of their id."""

from __future__ import annotations

import itertools
from typing import Any, Protocol
from urllib.parse import unquote
from xml.etree import ElementTree

from providers import open_provider
from providers.memory import MemoryAccount, MemoryProvider
from providers.model import Connection
from providers.port import Provider

Texts = dict[str, str]
_NUMBERS = itertools.count()
_ETAGS = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'


class OtherClient(Protocol):
    """What another client may do, and what it sees."""

    home: str
    work: str
    tz: dict[str, str]
    takes_anything: bool  # also what no one can read, and one UID twice

    def open(self) -> Provider: ...

    def put(self, calendar: str, name: str, text: str) -> None: ...

    def remove(self, calendar: str, name: str) -> None: ...

    def names(self, calendar: str) -> set[str]: ...

    def texts(self, calendar: str) -> Texts: ...

    def etags(self, calendar: str) -> dict[str, str]: ...

    def forget_tokens(self, calendar: str) -> None: ...

    def delete_calendar(self, calendar: str) -> None: ...

    def make_calendar(self, calendar: str) -> None: ...

    def has_calendar(self, calendar: str) -> bool: ...


def short(remote_id: str) -> str:
    """The name of a resource, whatever kind of id it has."""
    return unquote(remote_id.rpartition("/")[2]).removesuffix(".ics")


class AtMemory:
    """A client of a memory account."""

    home, work = "Home", "Work"
    takes_anything = True

    def __init__(self, account: MemoryAccount, connection: Connection) -> None:
        self._account, self._connection = account, connection
        self.tz = {"Home": "Asia/Kathmandu", "Work": "UTC"}
        for name in self.tz:
            self.make_calendar(name)

    def open(self):
        return MemoryProvider.open(self._connection)

    def put(self, calendar, name, text):
        self._account.put(calendar, name, text)

    def remove(self, calendar, name):
        self._account.remove(calendar, name)

    def names(self, calendar):
        return set(self.texts(calendar))

    def texts(self, calendar):
        return self._account.texts(calendar) if self.has_calendar(calendar) else {}

    def etags(self, calendar):
        return {name: held.etag for name, held in self._account.calendar(calendar).resources.items()}

    def forget_tokens(self, calendar):
        self._account.forget_tokens(calendar)

    def delete_calendar(self, calendar):
        self._account.remove_calendar(calendar)

    def make_calendar(self, calendar):
        self._account.add_calendar(calendar, tz=self.tz[calendar])

    def has_calendar(self, calendar):
        return any(found.remote_id == calendar for found in self._account.calendars())


class AtRadicale:
    """A client of a real server, past the gateway through which syncd reaches it; calendars of its own each time."""

    takes_anything = False

    def __init__(self, radicale: Any, gateway: Any) -> None:
        self._radicale, self._gateway = radicale, gateway
        number = next(_NUMBERS)
        self.home, self.work = f"Hostile home {number}", f"Hostile work {number}"
        self.tz = {self.home: "Europe/London", self.work: "Europe/London"}
        self._there: set[str] = set()
        self._read: dict[tuple[str, str, str], str] = {}
        for name in self.tz:
            self.make_calendar(name)

    def open(self):
        login = self._radicale.username, self._radicale.password
        return open_provider("caldav", Connection(self._gateway.url, *login, allow_private=True))

    def _url(self, calendar):
        return self._radicale.calendar_url(calendar)

    def put(self, calendar, name, text):
        self._radicale.put(self._url(calendar), name, text)

    def remove(self, calendar, name):
        self._radicale.delete(self._url(calendar), name)

    def names(self, calendar):
        return set(self._etags(calendar))

    def texts(self, calendar):
        """Every text there is; one that hasn't changed isn't fetched again."""
        etags = self._etags(calendar)
        for name, etag in etags.items():
            if (calendar, name, etag) not in self._read:
                self._read[calendar, name, etag] = self._radicale.get(self._url(calendar), name)
        return {name: self._read[calendar, name, etag] for name, etag in etags.items()}

    def etags(self, calendar):
        return self._etags(calendar)

    def _etags(self, calendar):
        if not self.has_calendar(calendar):
            return {}
        answer = self._radicale.request("PROPFIND", self._url(calendar), _ETAGS, {"Depth": "1"})
        rows = ElementTree.fromstring(answer.content).iterfind("{DAV:}response")
        found = {row.findtext("{DAV:}href"): row.findtext(".//{DAV:}getetag") for row in rows}
        return {short(href): etag for href, etag in found.items() if not href.endswith("/")}

    def forget_tokens(self, calendar):
        """Radicale forgets none; the wrapper refuses them now and then."""

    def delete_calendar(self, calendar):
        self._radicale.delete(self._url(calendar))
        self._there.discard(calendar)

    def make_calendar(self, calendar):
        self._radicale.make_calendar(calendar)
        self._there.add(calendar)

    def has_calendar(self, calendar):
        return calendar in self._there
