"""How a change of a booking is written down: its revision, its history, what its calendar is owed.

Decides nothing of what changes. Every function works in the caller's write transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from availability import Reason, Situation
from syncd.booking.judging import duration_of, taken
from syncd.store import bookings, outbox, pulls
from syncd.store.models import Booking, BookingAction


def change(booking: Booking, now: datetime) -> None:
    """Count a change; the event stays as it is."""
    booking.revision += 1
    booking.updated_at = now


def change_event(booking: Booking, now: datetime) -> None:
    """Count a change that the booking's event must show, if it has one."""
    change(booking, now)
    if booking.event.state != "none":
        booking.event.state = "pending"


def flush(session: Session, situation: Situation, booking: Booking) -> None:
    """Write the booking; what the predicate allowed and the database refuses was lost to a racing writer: SlotTaken."""
    start, duration = int(booking.starts_at.timestamp()), duration_of(booking)
    try:
        session.flush()
    except IntegrityError as error:
        if not bookings.is_overlap(error):
            raise
        raise taken(situation, duration, start, [Reason("booked")]) from None


def record(
    session: Session,
    booking: Booking,
    actor: str,
    action: str,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add to a booking's history, owe its calendar what changed, and say that slots may have."""
    session.add(BookingAction(booking_id=booking.id, at=now, actor=actor, action=action, detail=dict(detail or {})))
    if booking.event.state == "pending":
        outbox.owe_event(session, booking.id, booking.revision, now)
    pulls.bump_availability(session, booking.freelancer_id)


def note(
    session: Session,
    booking: Booking,
    actor: str,
    action: str,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add to a booking's history what changes neither its event nor any slot."""
    session.add(BookingAction(booking_id=booking.id, at=now, actor=actor, action=action, detail=dict(detail or {})))
    outbox.keep_up(session, booking.id, booking.revision)
