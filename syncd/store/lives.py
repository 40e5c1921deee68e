"""What the life of bookings asks of the store: whose time is up, who holds how much, who has booked how often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.orm import Session, joinedload

from syncd.store.models import LIVE_STATES, OWNING_STATES, WAITING_STATES, Booking, BookingAction, Consultation

_BATCH = 100


def is_over(now: datetime) -> ColumnElement[bool]:
    """A hold, or a wait for approval, whose time is up, whether it was noticed or not."""
    return and_(Booking.state.in_(WAITING_STATES), Booking.overdue_at <= now)


def overdue(session: Session, freelancer_id: str, now: datetime) -> Sequence[Booking]:
    """A freelancer's holds and pending bookings whose time is up."""
    chosen = select(Booking).options(joinedload(Booking.event))
    return session.scalars(chosen.where(Booking.freelancer_id == freelancer_id, is_over(now))).all()


def overdue_freelancers(session: Session, now: datetime) -> Sequence[str]:
    """The freelancers who have a booking whose state time alone has ended, or whose outcome it has changed."""
    late = and_(Booking.state.in_((*WAITING_STATES, *OWNING_STATES)), Booking.overdue_at <= now)
    return session.scalars(select(Booking.freelancer_id).where(late).distinct()).all()


def ended(session: Session, freelancer_id: str, now: datetime) -> Sequence[Booking]:
    """Some of a freelancer's bookings that time completes, or whose outcome it changes, oldest first."""
    late = and_(Booking.state.in_(OWNING_STATES), Booking.overdue_at <= now)
    chosen = select(Booking).where(Booking.freelancer_id == freelancer_id, late)
    return session.scalars(chosen.order_by(Booking.overdue_at).limit(_BATCH)).all()


def open_holds(
    session: Session,
    freelancer_id: str,
    now: datetime,
    *,
    held_from: str | None = None,
    client_address: str | None = None,
) -> Sequence[datetime]:
    """When the open holds expire that were taken without a key from a network address or for a client, sorted."""
    by = Booking.held_from == held_from if held_from else Booking.client_address == client_address
    chosen = select(Booking.overdue_at).where(
        Booking.freelancer_id == freelancer_id,
        Booking.state == "held",
        Booking.overdue_at > now,
        Booking.held_from.is_not(None),
        by,
    )
    return [at for at in session.scalars(chosen.order_by(Booking.overdue_at)) if at is not None]


def upcoming_of_client(
    session: Session, consultation: Consultation, client_address: str, now: datetime, *, leave_out: str | None
) -> int:
    """How many live bookings of a consultation a client's address has that haven't ended."""
    mine = and_(
        Booking.freelancer_id == consultation.freelancer_id,  # what the index knows
        Booking.consultation_id == consultation.id,
        Booking.client_address == client_address,
    )
    live = and_(Booking.state.in_(LIVE_STATES), not_(is_over(now)), Booking.ends_at > now)
    others = [Booking.id != leave_out] if leave_out else []
    return session.scalar(select(func.count()).select_from(Booking).where(mine, live, *others)) or 0


def asked_at(session: Session, booking_id: str) -> datetime | None:
    """When a pending booking was put to its freelancer."""
    asked = select(func.max(BookingAction.at)).where(
        BookingAction.booking_id == booking_id, BookingAction.action == "request"
    )
    return session.scalar(asked)
