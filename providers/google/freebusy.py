"""Calendars that show when they are busy, and nothing else: asked by `freebusy.query`, several at once.

Decides how a question is cut to Google's limits and what its answer means: a calendar with an error of its own, inside
a 200, is unknown, never free. Refuses to know what is done with busy time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from providers import ical
from providers.errors import InvalidResponse, NotFound, ProviderError
from providers.google.calls import Calls
from providers.google.failures import leaf_of_answer
from providers.model import RemoteCalendar, RemoteEvent, Window

MOST_CALENDARS = 50  # in one question
LONGEST = timedelta(days=60)  # more than about 90 days are refused
_Period = tuple[datetime, datetime]


class FreeBusy:
    """Answers for one round of questions: what was told of calendars besides the one asked about is kept for them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._told: dict[tuple[str, Window], list[_Period] | ProviderError] = {}

    def periods(
        self, calendar: RemoteCalendar, window: Window, beside: Sequence[RemoteCalendar] = ()
    ) -> list[RemoteEvent]:
        """The busy periods of a calendar, each as an event of no name. Raises ProviderError."""
        if (calendar.remote_id, window) not in self._told:
            others = [one.remote_id for one in beside if one.role == "free_busy"]
            self._ask(list(dict.fromkeys([calendar.remote_id, *others]))[:MOST_CALENDARS], window)
        told = self._told.pop((calendar.remote_id, window))
        if isinstance(told, ProviderError):
            raise told
        return [_event(period) for period in told]

    def _ask(self, calendars: Sequence[str], window: Window) -> None:
        found: dict[str, list[_Period] | ProviderError] = {name: [] for name in calendars}
        for span in _cut(window):
            answer = self._calls.call(self._calls.api.freebusy.query(body=_question(calendars, span)))
            for name in calendars:
                found[name] = _joined(found[name], name, answer)
        self._told |= {
            (name, window): told if isinstance(told, ProviderError) else _merged(told) for name, told in found.items()
        }


def _cut(window: Window) -> Iterator[Window]:
    start_at = window.start_at
    while start_at < window.end_at:
        end_at = min(start_at + LONGEST, window.end_at)
        yield Window(start_at, end_at)
        start_at = end_at


def _question(calendars: Sequence[str], span: Window) -> dict[str, Any]:
    return {
        "timeMin": f"{span.start_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "timeMax": f"{span.end_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "timeZone": "UTC",
        "calendarExpansionMax": MOST_CALENDARS,
        "items": [{"id": name} for name in calendars],
    }


def _joined(
    before: list[_Period] | ProviderError, calendar: str, answer: Mapping[str, Any]
) -> list[_Period] | ProviderError:
    """What is known of a calendar with one more answer; an error in one of them is the error of all."""
    if isinstance(before, ProviderError):
        return before
    told = (answer.get("calendars") or {}).get(calendar)
    if not isinstance(told, Mapping):
        return InvalidResponse("Google's answer says nothing of the calendar", calendar=calendar)
    if told.get("errors"):
        return _error(told["errors"], calendar)
    try:
        return before + [(_at(one["start"]), _at(one["end"])) for one in told.get("busy", ())]
    except (ValueError, LookupError, TypeError):
        return InvalidResponse("a busy period in Google's answer is no span of time", calendar=calendar)


def _error(errors: Iterable[Mapping[str, Any]], calendar: str) -> ProviderError:
    why = [str(one.get("reason")) for one in errors]
    leaf = leaf_of_answer(503, why)
    told = f"Google can't say when the calendar is busy ({', '.join(why) or 'no reason given'})"
    return leaf(f"{told}: it isn't there any more" if leaf is NotFound else told, calendar=calendar)


def _at(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)


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
