"""`bookings`: the list, and everything about one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from syncd.api.pages import cursor_of, place_in
from syncd.booking.states import State
from syncd.cli.booking import find_booking, shown
from syncd.cli.booking_words import Document, outcome_of, span_of
from syncd.cli.looking import zone
from syncd.cli.setup import opened
from syncd.cli.show import print_json, print_table, say
from syncd.errors import ApiError
from syncd.instants import rfc3339
from syncd.questions import bound_of
from syncd.services import Services
from syncd.store import histories
from syncd.store.bookings import Wanted, list_bookings
from syncd.store.models import Booking, BookingAction
from syncd.store.pages import Place

_PAGE = 200
_NAME = 40  # of a client's name so much is in the list
_STATES = get_args(State)


@dataclass(frozen=True, slots=True)
class ListWish:
    """What `bookings` was asked; what is left out doesn't matter, but that the list begins today."""

    since: str | None = None
    until: str | None = None
    states: Sequence[str] = ()
    freelancer: str | None = None
    consultation: str | None = None
    client: str | None = None
    updated_since: str | None = None
    tz: str | None = None
    limit: int = _PAGE
    cursor: str | None = None
    everything: bool = False


def show_list(config_path: Path, wish: ListWish, *, as_json: bool) -> int:
    """Print bookings by their start, or with `updated_since` by their last change. Raises ApiError."""
    if wish.limit < 1:
        raise ApiError("invalid-request", f"--limit {wish.limit}: must be at least 1")
    with opened(config_path) as installation, installation.services.store.read() as session:
        services = installation.services
        wanted = _wanted(wish, services.clock())
        listed = "bookings" if wanted.updated_since is None else "bookings updated"
        rows, ended = _listed(session, wanted, wish.limit, place_in(listed, wish.cursor))
        documents, cursor = [shown(services, booking) for booking in rows], cursor_of(listed, ended)
    if as_json:
        print_json({"data": documents, "next_cursor": cursor})
        return 0
    if not documents:
        say(f"No bookings{_since(wanted)}.")
        return 0
    columns = ("when, id", "consultation", "client", "state", "calendar")
    print_table(columns, map(_row, documents), whole=("when, id", "state"))
    if cursor:
        say(f"These are the first {wish.limit}; the next: --cursor {cursor}")
    return 0


def _wanted(wish: ListWish, now: datetime) -> Wanted:
    tz = zone(wish.tz or "UTC")
    states = tuple(state for text in wish.states for state in text.split(",") if state)
    for state in states:
        if state not in _STATES:
            raise ApiError("invalid-request", f"--state {state}: must be one of {', '.join(_STATES)}")
    today = None if wish.everything or wish.until or wish.updated_since else f"{now.astimezone(ZoneInfo(tz)):%Y-%m-%d}"
    return Wanted(
        start_at=bound_of(wish.since or today, "--from", tz),
        end_at=bound_of(wish.until, "--to", tz, ends=True),
        states=states,
        freelancer=wish.freelancer,
        consultation=wish.consultation,
        client=wish.client,
        updated_since=bound_of(wish.updated_since, "--updated-since", tz),
        now=now,
    )


def _listed(session: Session, wanted: Wanted, limit: int, after: Place | None) -> tuple[list[Booking], Place | None]:
    """At most so many bookings, and where the next ones begin, if there are any."""
    rows: list[Booking] = []
    while len(rows) < limit:
        page = list_bookings(session, wanted, limit=min(_PAGE, limit - len(rows)), after=after)
        rows += page.rows
        after = page.ended
        if after is None:
            break
    return rows, after


def _since(wanted: Wanted) -> str:
    return f" from {wanted.start_at:%Y-%m-%d} on" if wanted.start_at and not wanted.end_at else ""


def _row(booking: Document) -> tuple[str, ...]:
    name = booking["client"]["name"] if booking["client"] else ""
    client = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    offer = f"{booking['freelancer']}/{booking['consultation']}"
    when = f"{span_of(booking)}\n{booking['id']}"
    return when, offer, client, booking["state"], booking["calendar_event"]["state"]


# One of them


def show_booking(config_path: Path, booking_id: str, *, as_json: bool) -> int:
    """Print all that is known of a booking: what the API shows, its calendar event, its history. Raises ApiError."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        booking = find_booking(session, booking_id)
        document = _whole(installation.services, session, booking)
    if as_json:
        print_json(document)
        return 0
    say(f"{span_of(document)} ({document['time_zone']}), {document['freelancer']}/{document['consultation']}")
    for name, text in _facts(document):
        if text:
            say(f"  {name:<21} {text}")
    print_table(("at", "by", "what", "how"), map(_action_row, document["history"]), whole=("at",))
    return 0


def _whole(services: Services, session: Session, booking: Booking) -> dict[str, Any]:
    event = booking.event
    calendar, owed = histories.calendar_of(session, event), histories.owed_of(session, booking.id)
    return {
        **shown(services, booking),
        "time_zone": booking.freelancer.tz,
        "cancel_reason": booking.cancel_reason,
        "link": booking.link_id,
        "event": {
            "state": event.state,
            "calendar": f"{calendar.account.name}/{calendar.name}" if calendar else None,
            "uid": event.uid,
            "remote_id": event.remote_id,
            "html_link": event.html_link,
            "link_pending": event.link_pending,
            "written": _span(event.written_starts_at, event.written_ends_at),
            "drift": event.drift,
            "owed": None if owed is None else _owed(owed.due_at, owed.attempts, owed.problem),
        },
        "history": [_action(action) for action in histories.actions_of(session, booking.id)],
    }


def _span(start_at: datetime | None, end_at: datetime | None) -> list[str] | None:
    return [rfc3339(start_at), rfc3339(end_at)] if start_at and end_at else None


def _owed(due_at: datetime, attempts: int, problem: str | None) -> dict[str, object]:
    return {"due_at": rfc3339(due_at), "attempts": attempts, "problem": problem}


def _action(action: BookingAction) -> dict[str, object]:
    return {"at": rfc3339(action.at), "by": action.actor, "action": action.action, "detail": action.detail}


def _facts(booking: Document) -> Iterator[tuple[str, str]]:
    client, event = booking["client"] or {}, booking["event"]
    yield "id", booking["id"]
    yield "state", f"{booking['state']}, revision {booking['revision']}, sequence {booking['sequence']}"
    yield "client", ", ".join(str(client[name]) for name in ("name", "email", "phone", "time_zone") if client.get(name))
    yield "where", booking["location"] or ""
    yield "meeting link", booking["join_url"] or ("is being made" if event["link_pending"] else "")
    yield from ((f"answer: {name}", str(answer)) for name, answer in booking["answers"].items())
    yield "note", booking["note"] or ""
    yield from ((f"metadata: {name}", str(value)) for name, value in booking["metadata"].items())
    yield "held until", booking["hold_expires_at"] or ""
    yield "free to cancel until", booking["free_cancellation_until"]
    yield "cancelled because", booking["cancel_reason"] or ""
    yield "what follows", outcome_of(booking) if booking["outcome"] else ""
    yield "calendar event", ", ".join(filter(None, (event["state"], event["calendar"], event["html_link"])))
    yield "still owed", _owed_words(event["owed"])
    yield "drift", ", ".join(f"{name} {value}" for name, value in (event["drift"] or {}).items())
    yield "by link", booking["link"] or ""
    yield "extends", booking["extension_of"] or ""


def _owed_words(owed: Mapping[str, Any] | None) -> str:
    if owed is None:
        return ""
    problem = f": {owed['problem']}" if owed["problem"] else ""
    return f"tried {owed['attempts']} times{problem}; next {owed['due_at']}" if owed["attempts"] else "not tried yet"


def _action_row(action: Mapping[str, Any]) -> tuple[str, ...]:
    said = ", ".join(f"{name} {value}" for name, value in action["detail"].items() if value is not None)
    return action["at"][:19].replace("T", " "), action["by"], action["action"], said
