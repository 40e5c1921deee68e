"""What was done to a booking, and what became of its event."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd.store.models import BookingAction, BookingEvent, Calendar, OutboxItem


def actions_of(session: Session, booking_id: str) -> Sequence[BookingAction]:
    """What was done to a booking, in order."""
    chosen = select(BookingAction).where(BookingAction.booking_id == booking_id)
    return session.scalars(chosen.order_by(BookingAction.id)).all()


def calendar_of(session: Session, event: BookingEvent) -> Calendar | None:
    """The calendar that an event is in, or is to be written to."""
    return session.get(Calendar, event.calendar_id) if event.calendar_id else None


def owed_of(session: Session, booking_id: str) -> OutboxItem | None:
    """What a booking's calendar is still owed, with what went wrong so far."""
    return session.scalars(select(OutboxItem).where(OutboxItem.booking_id == booking_id)).one_or_none()
