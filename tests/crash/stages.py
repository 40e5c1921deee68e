"""Where a story is played: calendars at a server, the account that reaches them, and another program of their owner.

Decides what differs between servers: how the file declares the account, what it must hold before it can be used, and
how an owner's other program acts. A stage is told as JSON, so that each process can stand on it. All that the other
program does may be done twice; starts are in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import requests
from icalendar import Calendar as ICalendar
from sqlalchemy import select

from syncd.services import Services
from syncd.store.access import Access, access_of, renew_access
from syncd.store.models import Account

NOTES = "Bring the plans"
_PATIENCE = 120.0


class CalDAVStage:
    """Calendars on a CalDAV server, each named by its address."""

    makes_links: ClassVar[bool] = False

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self._calendars: dict[str, str] = told["calendars"]
        self._http = requests.Session()
        self._http.auth = (told["username"].encode(), told["password"].encode())

    def close(self) -> None:
        self._http.close()

    # The account

    @property
    def environ(self) -> dict[str, str]:
        return {"PASSWORD": self.told["password"]}

    def account(self, section: str) -> str:
        """The account as the file declares it, up to what it blocks."""
        where = f'url = "{self.told["url"]}"\nusername = "{self.told["username"]}"\npassword_env = "PASSWORD"\n'
        return f'[{section}]\nprovider = "caldav"\n{where}allow_private = true\n'

    def sign_in(self, services: Services) -> None:
        """Nothing is missing."""

    # The other program

    def put(self, calendar: str, name: str, start: datetime, minutes: int = 60, rule: str = "") -> None:
        self._write(calendar, name, _calendar(_vevent(name, start, minutes, f"RRULE:{rule}" if rule else "")))

    def move_instance(self, calendar: str, name: str, instance: datetime, start: datetime) -> None:
        which = f"RECURRENCE-ID:{instance:%Y%m%dT%H%M%SZ}"
        text = self._read(calendar, name)
        if which not in text:
            override = _vevent(name, start, 60, which)
            self._write(calendar, name, text.replace("END:VCALENDAR", f"{override}END:VCALENDAR"))

    def drop_instance(self, calendar: str, name: str, instance: datetime) -> None:
        dropped = f"EXDATE:{instance:%Y%m%dT%H%M%SZ}\r\n"
        text = self._read(calendar, name)
        if dropped not in text:
            self._write(calendar, name, text.replace("RRULE:", f"{dropped}RRULE:", 1))

    def remove(self, calendar: str, name: str) -> None:
        answer = self._http.delete(f"{self._calendars[calendar]}{name}.ics", timeout=_PATIENCE)
        assert answer.status_code in (200, 204, 404), answer.status_code

    def edit_notes(self, calendar: str, booking_id: str) -> None:
        for name in self._of_booking(calendar, booking_id):
            text = self._read(calendar, name)
            if NOTES not in text:
                self._write(calendar, name, text.replace("END:VEVENT", f"COMMENT:{NOTES}\r\nEND:VEVENT"))

    def remove_booking(self, calendar: str, booking_id: str) -> None:
        for name in self._of_booking(calendar, booking_id):
            self.remove(calendar, name)

    def own_events(self) -> Iterator[dict[str, Any]]:
        """Each event of syncd's: its booking, its span, and the notes its owner made in it."""
        for calendar in self._calendars:
            for name in self._of_booking(calendar, "bkg_"):
                vevent = ICalendar.from_ical(self._read(calendar, name)).walk("VEVENT")[0]
                span = [vevent.decoded(edge).isoformat() for edge in ("DTSTART", "DTEND")]
                yield {"booking": name.rpartition("-")[0], "span": span, "notes": str(vevent.get("COMMENT", ""))}

    def _of_booking(self, calendar: str, begins: str) -> list[str]:
        answer = self._http.request("PROPFIND", self._calendars[calendar], headers={"Depth": "1"}, timeout=_PATIENCE)
        answer.raise_for_status()
        return [name for name in re.findall(r"([^/<>]+)\.ics</", answer.text) if name.startswith(begins)]

    def _read(self, calendar: str, name: str) -> str:
        answer = self._http.get(f"{self._calendars[calendar]}{name}.ics", timeout=_PATIENCE)
        answer.raise_for_status()
        return answer.content.decode()

    def _write(self, calendar: str, name: str, text: str) -> None:
        answer = self._http.put(f"{self._calendars[calendar]}{name}.ics", text.encode(), timeout=_PATIENCE)
        answer.raise_for_status()


def _calendar(vevent: str) -> str:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\n{vevent}END:VCALENDAR\r\n"


def _vevent(uid: str, start: datetime, minutes: int, line: str) -> str:
    times = (f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DURATION:PT{minutes}M", *([line] if line else []))
    return "\r\n".join(("BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T120000Z", *times, "END:VEVENT", ""))


class GoogleStage:
    """Calendars at the fake Google server, named by their ids; the other program is its owner's hand there."""

    makes_links: ClassVar[bool] = True

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self._calendars: dict[str, str] = told["calendars"]
        self._http = requests.Session()

    def close(self) -> None:
        self._http.close()

    # The account

    @property
    def environ(self) -> dict[str, str]:
        return {"GOOGLE_SECRET": self.told["google"]["client_secret"]}

    def account(self, section: str) -> str:
        """The account as the file declares it, up to what it blocks."""
        client = {name: value for name, value in self.told["google"].items() if name != "client_secret"}
        lines = "".join(f'{name} = "{value}"\n' for name, value in client.items())
        google = f'[google]\n{lines}client_secret_env = "GOOGLE_SECRET"\n'
        return f'{google}[{section}]\nprovider = "google"\nusername = "{self.told["username"]}"\n'

    def sign_in(self, services: Services) -> None:
        """Keep the permission in the account, as connecting does."""
        wanted = Access("", self.told["username"], self.told["grant"])
        with services.store.read() as session:
            missing = access_of(session.scalars(select(Account)).one(), services.vault) != wanted
        if missing:
            with services.store.write() as session:
                account = session.scalars(select(Account)).one()
                renew_access(account, services.vault, wanted, services.clock())

    # The other program

    def put(self, calendar: str, name: str, start: datetime, minutes: int = 60, rule: str = "") -> None:
        body = {"id": _id_of(name), "summary": name, **_span(start, minutes)}
        self._do("put", calendar, body=body | ({"recurrence": [f"RRULE:{rule}"]} if rule else {}))

    def move_instance(self, calendar: str, name: str, instance: datetime, start: datetime) -> None:
        self._do("patch", calendar, item_id=f"{_id_of(name)}_{instance:%Y%m%dT%H%M%SZ}", changes=_span(start, 60))

    def drop_instance(self, calendar: str, name: str, instance: datetime) -> None:
        self._do("delete", calendar, item_id=f"{_id_of(name)}_{instance:%Y%m%dT%H%M%SZ}")

    def remove(self, calendar: str, name: str) -> None:
        self._do("delete", calendar, item_id=_id_of(name))

    def edit_notes(self, calendar: str, booking_id: str) -> None:
        """In the description, and in colour."""
        for item in self._of_booking(calendar, booking_id):
            self._do("patch", calendar, item_id=item["id"], changes={"description": NOTES, "colorId": "11"})

    def remove_booking(self, calendar: str, booking_id: str) -> None:
        for item in self._of_booking(calendar, booking_id):
            self._do("delete", calendar, item_id=item["id"])

    def own_events(self) -> Iterator[dict[str, Any]]:
        """Each event of syncd's: its booking, its span, and the notes its owner made in it."""
        for calendar in self._calendars:
            for item in self._of_booking(calendar, "bkg_"):
                starts, ends = (datetime.fromisoformat(item[edge]["dateTime"]) for edge in ("start", "end"))
                span = [moment.astimezone(UTC).isoformat() for moment in (starts, ends)]
                notes = item["description"] if item.get("colorId") == "11" else ""
                yield {"booking": _booking_of(item), "span": span, "notes": notes}

    def _of_booking(self, calendar: str, begins: str) -> list[dict[str, Any]]:
        """The live events that name a booking."""
        return [item for item in self._do("items", calendar) if _booking_of(item).startswith(begins)]

    def _do(self, verb: str, calendar: str, **told: Any) -> Any:
        told["calendar_id"] = self._calendars[calendar]
        answer = self._http.post(f"{self.told['google']['api_endpoint']}/_hand/{verb}", json=told, timeout=_PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]


def _id_of(name: str) -> str:
    """An id that Google would take."""
    return name.encode().hex()


def _span(start: datetime, minutes: int) -> dict[str, Any]:
    end = start + timedelta(minutes=minutes)
    return {
        name: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC"}
        for name, moment in (("start", start), ("end", end))
    }


def _booking_of(item: dict[str, Any]) -> str:
    return str(item.get("extendedProperties", {}).get("private", {}).get("syncdBooking", ""))


Stage = CalDAVStage | GoogleStage
KINDS: dict[str, type[Stage]] = {"caldav": CalDAVStage, "google": GoogleStage}


def stage_of(told: dict[str, Any]) -> Stage:
    """The stage that was told of."""
    return KINDS[told["kind"]](told)
