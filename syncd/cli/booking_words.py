"""A booking in sentences: what was done, what follows from it, and why something can't be done.

Decides words alone. A booking is what the API shows of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from availability import Reason
from syncd.booking.reasons import reasons_json
from syncd.cli.looking import WORDS
from syncd.errors import AvailabilityUnknown, BookingError, NotOffered, SlotTaken

Document = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Around:
    """What a step is about: an offer's name, its freelancer's zone, and the start that is asked for."""

    offer: str
    tz: str
    minutes: int
    start_at: datetime

    @property
    def end_at(self) -> datetime:
        """When it would end."""
        return self.start_at + timedelta(minutes=self.minutes)


_UNKNOWN = (
    "a calendar that could block it gave no answer, or hasn't been read for too long; `syncd status` says how they are"
)


def why_unanswered(asked: Sequence[tuple[str, bool]]) -> str:
    """What kept a look from knowing: calendars by their names, and whether their server refuses the password."""
    refusing = [name for name, is_refused in asked if is_refused]
    silent = [name for name, is_refused in asked if not is_refused]
    words = [f"{', '.join(silent)} gave no answer just now; try again in a while"] if silent else []
    if refusing:
        words.append(f"the server of {', '.join(refusing)} refuses the password; `syncd connect` gives it a new one")
    return "; ".join(words)


def in_words(error: BookingError, around: Around, why_unknown: str = "") -> BookingError:
    """The same error, for a person: which start, why, and what to do instead.

    `why_unknown` says which calendars a look got no answer about.
    """
    when = _when(around.start_at.astimezone(ZoneInfo(around.tz)))
    why = ", ".join(dict.fromkeys(WORDS[r.code] for r in error.reasons if isinstance(r, Reason)))
    if isinstance(error, SlotTaken):
        text = f"{when} ({around.tz}) is taken: {why}; {_instead(error, around)}"
    elif isinstance(error, NotOffered):
        text = f"{when} ({around.tz}) isn't offered: {why}; `syncd slots {around.offer}` lists what is"
    elif isinstance(error, AvailabilityUnknown):
        text = f"it isn't known whether {when} ({around.tz}) is free: {why_unknown or _UNKNOWN}"
    else:
        return error
    return type(error)(
        text,
        reasons=error.reasons,
        alternatives=error.alternatives,
        current_state=error.current_state,
        retry_after=error.retry_after,
    )


def _instead(error: BookingError, around: Around) -> str:
    zone = ZoneInfo(around.tz)
    near = [f"{(_EPOCH + timedelta(seconds=at)).astimezone(zone):%a %d %b %H:%M}" for at in error.alternatives]
    return f"open near it: {', '.join(near)}" if near else "nothing else is open"


def problem_json(error: BookingError, around: Around) -> dict[str, object]:
    """Why something can't be done, for programs: as the API says it to whoever is trusted."""
    from syncd.api.problems import booking_problem

    answer = booking_problem(error, tz=around.tz, duration_minutes=around.minutes, trusted=True)
    found = [reason for reason in error.reasons if isinstance(reason, Reason)]
    document: dict[str, object] = json.loads(answer.body)
    return {**document, "reasons": reasons_json(found, around.tz)}


# What was done

_DONE = {
    "held": "Held",
    "pending": "Waiting for approval",
    "confirmed": "Confirmed",
    "expired": "Released",
    "declined": "Declined",
    "cancelled": "Cancelled",
}


def told(step: str, booking: Document, *, daemon_runs: bool) -> Iterator[str]:
    """What a step came to."""
    done = {"book": "Booked", "reschedule": "Moved"} if booking["state"] == "confirmed" else {"reschedule": "Moved"}
    yield f"{done.get(step, _DONE[booking['state']])}: {span_of(booking)}, {booking['freelancer']}/{_what(booking)}"
    yield f"  {booking['id']}, {booking['state'].replace('_', ' ')}"
    if booking["location"] and booking["state"] in ("held", "pending", "confirmed"):
        yield f"  where: {booking['location']}"
    if booking["hold_expires_at"] and booking["state"] == "held":
        expires = datetime.fromisoformat(booking["hold_expires_at"]).astimezone(_offset(booking))
        yield f"  held until {expires:%H:%M}: `syncd confirm {booking['id']}` books it"
    if booking["state"] == "pending":
        yield f"  `syncd approve {booking['id']}` confirms it, `syncd decline {booking['id']}` doesn't"
    if step == "cancel":
        yield f"  {outcome_of(booking)}"
    if token := booking.get("token"):
        yield f"  the client's token, not shown again: {token}, to see, move and cancel it over the API"
    yield from (f"  {line}" for line in _calendar(booking, daemon_runs=daemon_runs))


def span_of(booking: Document) -> str:
    """From when to when, on the freelancer's clock."""
    start, end = (datetime.fromisoformat(booking[name]) for name in ("start", "end"))
    return f"{_when(start)}–{end:%H:%M}" if start.date() == end.date() else f"{_when(start)} to {_when(end)}"


def _when(at: datetime) -> str:
    return at.strftime("%a %d %b %Y %H:%M:%S" if at.second else "%a %d %b %Y %H:%M")


def _offset(booking: Document) -> Any:
    return datetime.fromisoformat(booking["start"]).tzinfo


def _what(booking: Document) -> str:
    client = booking["client"]
    return f"{booking['consultation']} with {client['name']} <{client['email']}>" if client else booking["consultation"]


def _calendar(booking: Document, *, daemon_runs: bool) -> Iterator[str]:
    state = booking["calendar_event"]["state"]
    if booking["state"] == "confirmed" and not booking["verified"]:
        yield "not every calendar answered just now whether that time is free"
    if state == "pending" and daemon_runs:
        yield "the running daemon brings the calendar up to date"
    elif state == "pending":
        yield "the calendar isn't up to date yet: no daemon runs; `syncd run`, or `syncd run --once`, writes it"
    elif state == "none" and booking["state"] == "confirmed":
        yield "it is written to no calendar: none was chosen to take consultations"


# What follows

_REFUND = {
    "full": "the client gets everything back",
    "none": "the client gets nothing back",
    "on_dispute": "the client gets the money back if they dispute it",
}
_PAID = {
    "yes": "the freelancer is paid",
    "no": "the freelancer isn't paid",
    "on_request": "the freelancer is paid on request",
    "unless_disputed": "the freelancer is paid unless it is disputed",
}


def outcome_of(booking: Document) -> str:
    """What follows for both sides, in a sentence."""
    outcome = booking["outcome"]
    if outcome is None:
        return "Nothing follows from it: it wasn't confirmed."
    reason = str(outcome["reason"]).replace("_", " ")
    who = "The " if reason.startswith(("client", "freelancer")) else ""
    said = f"{who}{reason}: {_REFUND[outcome['refund']]}, {_PAID[outcome['freelancer_paid']]}"
    protected = [side for side in ("freelancer", "client") if outcome[f"{side}_protected"]]
    feedback = [side for side in ("freelancer", "client") if outcome[f"{side}_may_leave_feedback"]]
    said += f"; protected: {' and '.join(protected)}" if protected else ""
    said += f"; the {' and the '.join(feedback)} may leave feedback" if feedback else ""
    said = said[0].upper() + said[1:]
    return f"{said}." if outcome["final"] else f"{said}; final on {str(outcome['final_at'])[:10]}."
