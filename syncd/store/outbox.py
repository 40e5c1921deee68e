"""What is owed: one row a booking whose remote event isn't yet as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from syncd.store.models import Booking, BookingEvent, Calendar, OutboxItem


def owe_event(session: Session, booking_id: str, revision: int, now: datetime) -> None:
    """Owe the calendar a booking's newest state; rows coalesce, so many changes make one write."""
    waiting = select(OutboxItem).where(OutboxItem.kind == "event", OutboxItem.booking_id == booking_id)
    item = session.scalars(waiting).one_or_none() if revision > 1 else None  # of a new booking nothing is owed yet
    if item is None:
        session.add(OutboxItem(kind="event", booking_id=booking_id, revision=revision, due_at=now, created_at=now))
    else:
        item.revision, item.due_at, item.attempts, item.problem = revision, now, 0, None


def keep_up(session: Session, booking_id: str, revision: int) -> None:
    """Let what is owed of a booking, if anything is, be its newest state, and be struck off as such."""
    session.execute(update(OutboxItem).where(OutboxItem.booking_id == booking_id).values(revision=revision))


def due_writes(session: Session, account_id: str, now: datetime) -> Sequence[OutboxItem]:
    """Event writes owed to an account's calendars that may be tried now, oldest first."""
    return session.scalars(
        select(OutboxItem)
        .join(BookingEvent, BookingEvent.booking_id == OutboxItem.booking_id)
        .join(Calendar, Calendar.id == BookingEvent.calendar_id)
        .where(Calendar.account_id == account_id, OutboxItem.due_at <= now)
        .order_by(OutboxItem.created_at, OutboxItem.id)
    ).all()


def try_again(session: Session, account_id: str, now: datetime) -> None:
    """Make all that is owed to an account due at once: it answers again."""
    waiting = (
        select(OutboxItem)
        .join(BookingEvent, BookingEvent.booking_id == OutboxItem.booking_id)
        .join(Calendar, Calendar.id == BookingEvent.calendar_id)
        .where(Calendar.account_id == account_id, OutboxItem.due_at > now)
    )
    for item in session.scalars(waiting):
        item.due_at = now


def settle(session: Session, item_id: int, revision: int) -> None:
    """Strike an item off, unless the booking has changed since `revision` was written."""
    session.execute(delete(OutboxItem).where(OutboxItem.id == item_id, OutboxItem.revision == revision))


def owed(session: Session) -> tuple[int, datetime | None]:
    """How many writes are owed, and since when; an event that waits for its meeting link alone is written."""
    counted = select(func.count(), func.min(OutboxItem.created_at)).select_from(OutboxItem)
    written = BookingEvent.link_pending & BookingEvent.state.in_(("written", "drifted"))
    events = counted.join(BookingEvent, BookingEvent.booking_id == OutboxItem.booking_id)
    count, oldest = session.execute(events.where(~written)).one()
    return count, oldest


def waiting(session: Session, booking_id: str | None = None) -> Sequence[tuple[OutboxItem, Booking]]:
    """All that is owed with its bookings, or what is owed of one of them, longest owed first."""
    chosen = select(OutboxItem, Booking).join(Booking, Booking.id == OutboxItem.booking_id)
    if booking_id is not None:
        chosen = chosen.where(OutboxItem.booking_id == booking_id)
    rows = session.execute(chosen.order_by(OutboxItem.created_at, OutboxItem.id)).all()
    return [(item, booking) for item, booking in rows]


def forget_link(session: Session, booking: Booking) -> None:
    """Wait no longer for the meeting link of an event that is written."""
    booking.event.link_pending = False
    session.execute(delete(OutboxItem).where(OutboxItem.booking_id == booking.id))


def drop(session: Session, item: OutboxItem) -> None:
    """Strike an item off, whatever its calendar says."""
    session.delete(item)
