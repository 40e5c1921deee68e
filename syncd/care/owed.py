"""What is owed to calendars, looked at and decided by a person: tried again at once, or dropped.

Refuses to know how it is written; that is `syncd.outbox`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from syncd.booking.recording import note
from syncd.errors import ApiError
from syncd.outbox.deliver import next_step
from syncd.outbox.plan import Step
from syncd.store import histories, outbox
from syncd.store.models import Booking, OutboxItem


@dataclass(frozen=True, slots=True)
class Owed:
    """A booking whose event isn't as it should be: what comes next, and what went wrong so far."""

    booking_id: str
    offer: str
    tz: str
    start_at: datetime
    step: Step
    calendar: str | None
    attempts: int
    problem: str | None
    due_at: datetime
    since: datetime


def owed(session: Session, booking_id: str | None = None) -> list[Owed]:
    """All that is owed, or what is owed of one booking, longest owed first."""
    return [_owed(session, item, booking) for item, booking in outbox.waiting(session, booking_id)]


def _owed(session: Session, item: OutboxItem, booking: Booking) -> Owed:
    calendar = histories.calendar_of(session, booking.event)
    return Owed(
        booking_id=booking.id,
        offer=f"{booking.freelancer.handle}/{booking.consultation.slug}",
        tz=booking.freelancer.tz,
        start_at=booking.starts_at,
        step=next_step(booking),
        calendar=f"{calendar.account.name}/{calendar.name}" if calendar else None,
        attempts=item.attempts,
        problem=item.problem,
        due_at=item.due_at,
        since=item.created_at,
    )


def retry(session: Session, booking_id: str | None, now: datetime) -> list[Owed]:
    """Let all that is owed, or what is owed of one booking, be tried at once. Raises ApiError for a booking without."""
    for item, booking in _found(session, booking_id):
        item.due_at, item.attempts = now, 0
        calendar = histories.calendar_of(session, booking.event)
        if calendar is not None:
            calendar.account.blocked_until_at = None
    session.flush()
    return owed(session, booking_id)


def drop(session: Session, booking_id: str, now: datetime) -> Owed:
    """Leave a booking's calendar as it is; the event is `failed` until the booking changes again. Raises ApiError.

    Where only its meeting link was waited for, the event is as it should be, and stays without.
    """
    ((item, booking),) = _found(session, booking_id)
    dropped = _owed(session, item, booking)
    outbox.drop(session, item)
    session.flush()
    booking.event.link_pending = False
    if dropped.step != "ask_link":
        booking.event.state = "failed"
    note(session, booking, "freelancer", "drop_event", now, {"step": dropped.step, "problem": dropped.problem})
    return dropped


def _found(session: Session, booking_id: str | None) -> list[tuple[OutboxItem, Booking]]:
    found = list(outbox.waiting(session, booking_id))
    if booking_id is not None and not found:
        raise ApiError("not-found", f"nothing is owed of {booking_id}: see `syncd outbox`")
    return found
