"""Reads what the predicate needs: the offer, its set hours, live bookings, blocking calendars and their busy spans."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import Session, contains_eager, joinedload

from syncd.store.models import (
    LIVE_STATES,
    Account,
    Booking,
    BusySpan,
    Calendar,
    Consultation,
    Freelancer,
    ScheduleRow,
)

_SHOWN: tuple[ColumnElement[bool], ...] = (Freelancer.removed.is_(False), Consultation.removed.is_(False))


@dataclass(frozen=True, slots=True)
class Offer:
    """A consultation with its freelancer and set hours.

    `pulled_at` is when any of their calendars was last pulled, or last began to wait for a pull of what changed.
    """

    freelancer: Freelancer
    consultation: Consultation
    schedule: ScheduleRow
    pulled_at: datetime | None


def find_offer(session: Session, handle: str, slug: str) -> Offer | None:
    """The offer at `handle/slug`, unless it or its freelancer was removed."""
    return next(_offers(session, Freelancer.handle == handle, Consultation.slug == slug, *_SHOWN), None)


def find_offers(session: Session, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], Offer]:
    """As `find_offer` for several handles and slugs, in one statement; those that aren't there are left out."""
    here = tuple_(Freelancer.handle, Consultation.slug).in_(names)
    return {(o.freelancer.handle, o.consultation.slug): o for o in _offers(session, here, *_SHOWN)}


def offers_by(session: Session, freelancer_id: str) -> list[Offer]:
    """Every active offer of a freelancer, by slug."""
    found = _offers(session, Freelancer.id == freelancer_id, Consultation.active.is_(True), *_SHOWN)
    return sorted(found, key=lambda offer: offer.consultation.slug)


def offer_of(session: Session, consultation_id: str) -> Offer | None:
    """The offer a consultation id stands for, removed or not: its bookings are kept."""
    return next(_offers(session, Consultation.id == consultation_id), None)


_HEARD_AT = case((Calendar.notified_at > Calendar.synced_at, Calendar.notified_at), else_=Calendar.synced_at)
_OFFERS = (
    select(
        Freelancer,
        Consultation,
        ScheduleRow,
        select(func.max(_HEARD_AT)).join(Account).where(Account.freelancer_id == Freelancer.id).scalar_subquery(),
    )
    .join(Consultation, Consultation.freelancer_id == Freelancer.id)
    .join(ScheduleRow, and_(ScheduleRow.freelancer_id == Freelancer.id, ScheduleRow.name == Consultation.schedule))
)


def _offers(session: Session, *where: ColumnElement[bool]) -> Iterator[Offer]:
    return (Offer(*row) for row in session.execute(_OFFERS.where(*where)).all())


def lock_freelancer(session: Session, freelancer_id: str) -> None:
    """Serialise bookings of one freelancer (a no-op on SQLite, where writers are serial already)."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(Freelancer.id).where(Freelancer.id == freelancer_id).with_for_update())


def accounts_of(session: Session, freelancer_id: str) -> Sequence[Account]:
    """The active accounts of a freelancer by name, with their calendars by name, in one statement."""
    person = (
        session.scalars(
            select(Freelancer)
            .outerjoin(Freelancer.accounts)
            .outerjoin(Account.calendars)
            .options(contains_eager(Freelancer.accounts).contains_eager(Account.calendars))
            .where(Freelancer.id == freelancer_id)
            .order_by(Account.name, Calendar.name)
        )
        .unique()
        .one()
    )
    return [account for account in person.accounts if account.active]


def live_bookings(session: Session, freelancer_id: str, since: datetime) -> Sequence[Booking]:
    """Holds and bookings that occupy time, from an instant on, by start, with their events."""
    return session.scalars(
        select(Booking)
        .options(joinedload(Booking.event))
        .where(Booking.freelancer_id == freelancer_id, Booking.state.in_(LIVE_STATES), Booking.ends_at > since)
        .order_by(Booking.starts_at)
    ).all()


def bookings_of(session: Session, booking_ids: Collection[str]) -> Sequence[Booking]:
    """These bookings, of any state, with their events."""
    if not booking_ids:
        return []
    chosen = select(Booking).options(joinedload(Booking.event)).where(Booking.id.in_(booking_ids))
    return session.scalars(chosen).all()


def oldest_pull_at(session: Session, calendar_ids: Sequence[str]) -> datetime | None:
    """The oldest of these calendars' last successful pulls; None if there is none, or one was never pulled."""
    if not calendar_ids:
        return None
    pulled = session.scalars(select(Calendar.synced_at).where(Calendar.id.in_(calendar_ids))).all()
    known = [at for at in pulled if at is not None]
    return min(known) if known and len(known) == len(calendar_ids) else None


def busy_spans_in(session: Session, calendars: Sequence[Calendar]) -> Sequence[Row[str, int, int, str | None]]:
    """What these calendars' serving generations say: calendar, start, end, and the booking if the event is ours."""
    if not calendars:
        return []
    serving = or_(*(and_(BusySpan.calendar_id == c.id, BusySpan.generation == c.generation) for c in calendars))
    rows = select(BusySpan.calendar_id, BusySpan.starts_at, BusySpan.ends_at, BusySpan.booking_id).where(serving)
    return session.execute(rows).all()


def users_of_schedules(session: Session, person: Freelancer, now: datetime) -> dict[str, list[str]]:
    """Slugs of the consultations that go by each schedule: those that are shown, and removed ones with bookings to
    come, which may still be moved."""
    standing = Booking.state.in_(LIVE_STATES) & (Booking.ends_at > now)
    coming = set(session.scalars(select(Booking.consultation_id).where(Booking.freelancer_id == person.id, standing)))
    users: dict[str, list[str]] = {}
    for consultation in sorted(person.consultations, key=lambda c: c.slug):
        if not consultation.removed or consultation.id in coming:
            users.setdefault(consultation.schedule, []).append(consultation.slug)
    return users
