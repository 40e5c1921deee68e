"""iCalendar that others subscribe to, written: when someone is free, and a list of consultations.

Decides how published times are spelled. Refuses to know whose they are and who may read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from icalendar import Calendar, Event, FreeBusy, Parameters, vPeriod, vText

from providers.ical_write import PRODID, plain_text
from providers.model import ConsultationEvent

FbType = Literal["BUSY", "BUSY-TENTATIVE", "BUSY-UNAVAILABLE"]


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open span of UTC instants, and what kind of not free it is (RFC 5545 §3.2.9)."""

    start_at: datetime
    end_at: datetime
    fb_type: FbType


@dataclass(frozen=True, slots=True)
class Listed:
    """A consultation in a published list: `uid` stays the same for good; tentative while it may still be declined."""

    event: ConsultationEvent
    uid: str
    tentative: bool


def write_free_busy(uid: str, span: tuple[datetime, datetime], stamp: datetime, periods: Iterable[Period]) -> bytes:
    """Return a calendar with one VFREEBUSY (RFC 5545 §3.6.4) over a span of UTC instants; the rest of it is free.

    There is no METHOD and no ORGANIZER: it is a file to read, not a message, and names no address.
    """
    calendar, free_busy = _calendar(), FreeBusy()
    free_busy.add("UID", uid)
    free_busy.add("DTSTAMP", stamp)
    free_busy.add("DTSTART", span[0])
    free_busy.add("DTEND", span[1])
    for period in sorted(periods, key=lambda period: period.start_at):
        value = vPeriod((period.start_at, period.end_at))
        value.params = Parameters({"FBTYPE": period.fb_type})
        free_busy.add("FREEBUSY", value, encode=False)
    calendar.add_component(free_busy)
    return bytes(calendar.to_ical())


def write_list(name: str, refresh: timedelta, listed: Iterable[Listed]) -> bytes:
    """Return a calendar of consultations with its name, to be asked for again every `refresh` (RFC 7986 §5.1, §5.7).

    Times are in UTC. No one is invited, so that a subscriber's server mails nobody, and descriptions are left out: what
    clients wrote needn't lie at every subscriber's provider.
    """
    calendar = _calendar()
    for key in ("NAME", "X-WR-CALNAME"):
        calendar[key] = _text(name)
    calendar.add("REFRESH-INTERVAL", refresh, parameters={"VALUE": "DURATION"})
    calendar["X-PUBLISHED-TTL"] = _text(f"PT{int(refresh.total_seconds()) // 60}M")
    for one in listed:
        calendar.add_component(_vevent(one))
    return bytes(calendar.to_ical())


def _calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", PRODID)
    return calendar


def _text(text: str) -> vText:
    # As a value of its own: `add` escapes it only where it knows the property.
    return vText(plain_text(text))


def _vevent(one: Listed) -> Event:
    vevent, event = Event(), one.event
    vevent.add("UID", one.uid)
    for name, instant in (
        ("DTSTAMP", event.updated_at),
        ("LAST-MODIFIED", event.updated_at),
        ("DTSTART", event.start_at),
        ("DTEND", event.end_at),
    ):
        vevent.add(name, instant)
    vevent["SUMMARY"] = _text(event.title)
    if event.location is not None:
        vevent["LOCATION"] = _text(event.location)
    vevent.add("STATUS", "TENTATIVE" if one.tentative else "CONFIRMED")
    vevent.add("TRANSP", "OPAQUE")
    vevent.add("SEQUENCE", event.sequence)
    return vevent
