"""Bookings as rows: found, written, and refused by the database where two live ones would overlap."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from providers.model import RemoteCalendar
from syncd.store.models import Account, Booking, BookingEvent, Calendar, Freelancer, OutboxItem


def target_of(session: Session, freelancer_id: str, named: str) -> Calendar | None:
    """Where consultations are written: the calendar `named` as "account/calendar", else the freelancer's target."""
    accounts = session.get_one(Freelancer, freelancer_id).accounts  # the predicate has loaded them already
    known = [(a.name, c) for a in accounts if a.active for c in a.calendars if not c.gone]
    owner, _, name = named.partition("/")
    wanted = [c for account, c in known if (account == owner and is_named(c, name) if named else c.target)]
    return min(wanted, key=lambda calendar: calendar.name, default=None)


def is_named(calendar: Calendar | RemoteCalendar, name: str) -> bool:
    """Whether a calendar is meant by a name: its own, its remote id or the last part of that."""
    return name in (calendar.name, calendar.remote_id, calendar.remote_id.rstrip("/").rpartition("/")[2])


def wants_target(session: Session, freelancer_id: str, named: str) -> bool:
    """Whether a target was chosen, known yet or not."""
    chosen = select(Account.id).where(Account.freelancer_id == freelancer_id, Account.active, Account.target != "")
    return bool(named) or session.scalars(chosen.limit(1)).one_or_none() is not None


def assign_targets(session: Session, freelancer_id: str) -> None:
    """Give events that were promised, but not yet sent anywhere, the calendar they belong in now."""
    waiting = (
        select(Booking)
        .join(OutboxItem)
        .join(BookingEvent)
        .outerjoin(Calendar)
        .where(
            Booking.freelancer_id == freelancer_id,
            BookingEvent.attempted_starts_at.is_(None),
            or_(BookingEvent.calendar_id.is_(None), Calendar.gone),
        )
    )
    for booking in session.scalars(waiting).all():
        target = target_of(session, freelancer_id, booking.consultation.target)
        if target is not None:
            booking.event.calendar_id = target.id


def is_overlap(error: IntegrityError) -> bool:
    """Whether the database refused a double booking."""
    return "booking_no_overlap" in str(error.orig)
