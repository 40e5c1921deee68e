"""Bookings as rows: found, written, and refused by the database where two live ones would overlap."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from syncd.store.models import Account, Booking, BookingEvent, Calendar, Freelancer, OutboxItem


def find_booking(session: Session, booking_id: str) -> Booking | None:
    """One booking with its event."""
    return session.get(Booking, booking_id)


def target_of(session: Session, freelancer_id: str, named: str) -> Calendar | None:
    """Where consultations are written: the calendar `named` as "account/calendar", else the freelancer's target."""
    accounts = session.get_one(Freelancer, freelancer_id).accounts  # the predicate has loaded them already
    known = sorted(
        ((a.name, calendar) for a in accounts if a.active for calendar in a.calendars),
        key=lambda pair: (pair[0], pair[1].name),
    )
    wanted = [c for account, c in known if named in (f"{account}/{c.name}", f"{account}/{c.remote_id}")]
    return next(iter(wanted if named else [c for _, c in known if c.target]), None)


def wants_target(session: Session, freelancer_id: str) -> bool:
    """Whether the freelancer chose a target, known yet or not."""
    chosen = select(Account.id).where(Account.freelancer_id == freelancer_id, Account.active, Account.target != "")
    return session.scalars(chosen.limit(1)).one_or_none() is not None


def assign_target(session: Session, freelancer_id: str, calendar_id: str) -> None:
    """Give events promised before the target was known their calendar."""
    waiting = (
        select(Booking.id)
        .join(OutboxItem, OutboxItem.booking_id == Booking.id)
        .where(Booking.freelancer_id == freelancer_id)
    )
    session.execute(
        update(BookingEvent)
        .where(BookingEvent.calendar_id.is_(None), BookingEvent.booking_id.in_(waiting))
        .values(calendar_id=calendar_id)
    )


def is_overlap(error: IntegrityError) -> bool:
    """Whether the database refused a double booking."""
    return "booking_no_overlap" in str(error.orig)
