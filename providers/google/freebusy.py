"""Calendars that show when they are busy, and nothing else: asked by `freebusy.query`, several at once.

Decides how a question is cut to Google's limits and what its answer means: a calendar with an error of its own, inside
a 200, is unknown, never free. Refuses to know what is done with busy time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from providers import ical
from providers.errors import InvalidResponse, NotFound, ProviderError
from providers.google.calls import Calls
from providers.google.failures import leaf_of_answer
from providers.google.wire import instant
from providers.ical_values import to_utc
from providers.model import RemoteCalendar, RemoteEvent, Window

MOST_CALENDARS = 50  # in one question
LONGEST = timedelta(days=60)  # more than about 90 days are refused
_FRESH = 5.0  # seconds in which an answer serves the calendars beside the one that was asked about
_Period = tuple[datetime, datetime]
_Told = list[_Period] | ProviderError


class FreeBusy:
    """Answers for one round of questions: what was told of calendars besides the one asked about is kept for them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._told: dict[tuple[str, Window], tuple[float, _Told]] = {}  # with when it was asked for

    def periods(
        self, calendar: RemoteCalendar, window: Window, beside: Sequence[RemoteCalendar] = ()
    ) -> list[RemoteEvent]:
        """The busy periods of a calendar, each as an event of no name. Raises ProviderError."""
        asked_at, told = self._told.pop((calendar.remote_id, window), (-math.inf, []))
        if time.monotonic() - asked_at > _FRESH:
            others = [one.remote_id for one in beside if one.role == "free_busy"]
            self._ask(list(dict.fromkeys([calendar.remote_id, *others]))[:MOST_CALENDARS], window)
            _, told = self._told.pop((calendar.remote_id, window))
        if isinstance(told, ProviderError):
            raise told
        return [_event(period) for period in told]

    def _ask(self, calendars: Sequence[str], window: Window) -> None:
        asked_at = time.monotonic()
        found: dict[str, _Told] = {name: [] for name in calendars}
        for span in _cut(window):
            answer = self._calls.call(self._calls.api.freebusy.query(body=_question(calendars, span)))
            for name in calendars:
                found[name] = _joined(found[name], name, answer)
        for name, told in found.items():
            self._told[name, window] = asked_at, told if isinstance(told, ProviderError) else _merged(told)


def _cut(window: Window) -> Iterator[Window]:
    start_at = window.start_at
    while start_at < window.end_at:
        end_at = min(start_at + LONGEST, window.end_at)
        yield Window(start_at, end_at)
        start_at = end_at


def _question(calendars: Sequence[str], span: Window) -> dict[str, Any]:
    return {
        "timeMin": instant(span.start_at),
        "timeMax": instant(span.end_at),
        "timeZone": "UTC",
        "calendarExpansionMax": MOST_CALENDARS,
        "items": [{"id": name} for name in calendars],
    }


def _joined(before: _Told, calendar: str, answer: Mapping[str, Any]) -> _Told:
    """What is known of a calendar with one more answer; an error in one of them is the error of all."""
    if isinstance(before, ProviderError):
        return before
    try:
        told = answer["calendars"][calendar]
        if told.get("errors"):
            return _error(told["errors"], calendar)
        return before + _periods(told["busy"])
    except (AttributeError, LookupError, TypeError, ValueError):
        return InvalidResponse("Google's answer doesn't say when the calendar is busy", calendar=calendar)


def _error(errors: Iterable[Mapping[str, Any]], calendar: str) -> ProviderError:
    why = [str(one.get("reason")) for one in errors]
    leaf = leaf_of_answer(503, why)
    told = f"Google can't say when the calendar is busy ({', '.join(why) or 'no reason given'})"
    return leaf(f"{told}: it isn't there any more" if leaf is NotFound else told, calendar=calendar)


def _periods(told: object) -> list[_Period]:
    """Read a list of busy periods; raises as `_period`."""
    if not isinstance(told, list):
        raise TypeError("no list")
    return [_period(one) for one in told]


def _period(told: Mapping[str, Any]) -> _Period:
    """Read a busy period. Raises ValueError, LookupError, TypeError for what is none."""
    start, end = (datetime.fromisoformat(told[name]) for name in ("start", "end"))
    if start.tzinfo is None or end.tzinfo is None or end < start or start.year < 1000:
        raise ValueError("no span of time")
    return to_utc(start), to_utc(end)


def _merged(periods: Iterable[_Period]) -> list[_Period]:
    """Periods that touch as one, as Google tells them: each question's end cuts what goes on behind it."""
    merged: list[_Period] = []
    for start, end in sorted(periods):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _event(period: _Period) -> RemoteEvent:
    start, end = (f"{at:%Y%m%dT%H%M%SZ}" for at in period)
    name = f"busy-{start}-{end}"
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", f"UID:{name}", f"DTSTART:{start}", f"DTEND:{end}"]
    text = "\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""])
    event = ical.reduce(text, remote_id=name, etag='"busy"', own_addresses=frozenset()).event
    assert event is not None
    return event
