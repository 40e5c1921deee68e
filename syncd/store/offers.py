"""Reads what the predicate needs: the offer, its set hours, live bookings, blocking calendars and their busy spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, contains_eager

from syncd.store.models import (
    LIVE_STATES,
    Account,
    Booking,
    BookingEvent,
    BusySpan,
    Calendar,
    Consultation,
    Freelancer,
    ScheduleRow,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A consultation with its freelancer and set hours; `pulled_at` is the latest pull of any of their calendars."""

    freelancer: Freelancer
    consultation: Consultation
    schedule: ScheduleRow
    pulled_at: datetime | None


def find_offer(session: Session, handle: str, slug: str) -> Offer | None:
    """The offer at `handle/slug`."""
    return _offer(session, Freelancer.handle == handle, Consultation.slug == slug)


def offer_of(session: Session, consultation_id: str) -> Offer | None:
    """The offer a consultation id stands for."""
    return _offer(session, Consultation.id == consultation_id)


def _offer(session: Session, *where: object) -> Offer | None:
    pulls = select(func.max(Calendar.synced_at)).join(Account).where(Account.freelancer_id == Freelancer.id)
    row = session.execute(
        select(Freelancer, Consultation, ScheduleRow, pulls.scalar_subquery())
        .join(Consultation, Consultation.freelancer_id == Freelancer.id)
        .join(
            ScheduleRow,
            and_(ScheduleRow.freelancer_id == Freelancer.id, ScheduleRow.name == Consultation.schedule),
        )
        .where(*where)  # type: ignore[arg-type]
    ).one_or_none()
    return Offer(*row) if row else None


def lock_freelancer(session: Session, freelancer_id: str) -> None:
    """Serialise bookings of one freelancer (a no-op on SQLite, where writers are serial already)."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(Freelancer.id).where(Freelancer.id == freelancer_id).with_for_update())


def accounts_of(session: Session, freelancer_id: str) -> Sequence[Account]:
    """The active accounts of a freelancer with their calendars, in one statement."""
    return (
        session.scalars(
            select(Account)
            .outerjoin(Account.calendars)
            .options(contains_eager(Account.calendars))
            .where(Account.freelancer_id == freelancer_id, Account.active)
            .order_by(Account.name, Calendar.name)
        )
        .unique()
        .all()
    )


def live_bookings(session: Session, freelancer_id: str, since: datetime) -> Sequence[Booking]:
    """Holds and bookings that occupy time, from an instant on, by start."""
    return session.scalars(
        select(Booking)
        .where(Booking.freelancer_id == freelancer_id, Booking.state.in_(LIVE_STATES), Booking.ends_at > since)
        .order_by(Booking.starts_at)
    ).all()


def oldest_pull_at(session: Session, calendar_ids: Sequence[str]) -> datetime | None:
    """The oldest of these calendars' last successful pulls; None if there is none, or one was never pulled."""
    if not calendar_ids:
        return None
    pulled = session.scalars(select(Calendar.synced_at).where(Calendar.id.in_(calendar_ids))).all()
    known = [at for at in pulled if at is not None]
    return min(known) if known and len(known) == len(calendar_ids) else None


@dataclass(frozen=True, slots=True)
class CalendarSpans:
    """Busy spans of one calendar, by start, in seconds since the epoch."""

    calendar_id: str
    starts: list[int]
    ends: list[int]


def busy_spans_of(session: Session, calendars: Iterable[Calendar]) -> list[CalendarSpans]:
    """What blocks in these calendars' serving generations, our own events left out."""
    return [_spans(session, calendar) for calendar in calendars]


def _spans(session: Session, calendar: Calendar) -> CalendarSpans:
    rows = session.execute(
        select(BusySpan.starts_at, BusySpan.ends_at)
        .where(
            BusySpan.calendar_id == calendar.id,
            BusySpan.generation == calendar.generation,
            BusySpan.booking_id.is_(None),
        )
        .order_by(BusySpan.starts_at)
    ).all()
    return CalendarSpans(calendar.id, [row[0] for row in rows], [row[1] for row in rows])


@dataclass(frozen=True, slots=True)
class OwnSpan:
    """Where a calendar shows an event of ours, with the booking it belongs to."""

    calendar_id: str
    starts_at: int
    ends_at: int
    booking: Booking
    event: BookingEvent


def own_spans_in(session: Session, calendars: Iterable[Calendar]) -> list[OwnSpan]:
    """Spans of our own events and their copies in these calendars."""
    serving = or_(*(and_(BusySpan.calendar_id == c.id, BusySpan.generation == c.generation) for c in calendars))
    rows = session.execute(
        select(BusySpan.calendar_id, BusySpan.starts_at, BusySpan.ends_at, Booking, BookingEvent)
        .join(Booking, Booking.id == BusySpan.booking_id)
        .join(BookingEvent, BookingEvent.booking_id == Booking.id)
        .where(serving)
    )
    return [OwnSpan(*row) for row in rows]
