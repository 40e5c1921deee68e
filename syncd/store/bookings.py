"""Bookings as rows: found, listed, written, and refused by the database where two live ones would overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager, joinedload

from providers.model import RemoteCalendar
from syncd.store.lives import is_over
from syncd.store.models import Account, Booking, BookingEvent, Calendar, Consultation, Freelancer, OutboxItem
from syncd.store.pages import Page, Place, page_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bookings a list shows; what is left out doesn't matter.

    `start_at` and `end_at` bound the start, half-open. `freelancer_id` is whose bookings may be seen at all,
    `freelancer` the handle asked for. `consultation` is "slug" or "handle/slug", `client` an e-mail address;
    `updated_since` is inclusive. What has run out by `now` is expired, swept or not.
    """

    now: datetime
    start_at: datetime | None = None
    end_at: datetime | None = None
    states: tuple[str, ...] = ()
    freelancer_id: str | None = None
    freelancer: str | None = None
    consultation: str | None = None
    client: str | None = None
    updated_since: datetime | None = None


def list_bookings(session: Session, wanted: Wanted, *, limit: int, after: Place | None = None) -> Page[Booking]:
    """A page of bookings with all that shows them: by their last change with `updated_since`, else by their start."""
    chosen = (
        select(Booking)
        .join(Booking.freelancer)
        .join(Booking.consultation)
        .options(contains_eager(Booking.freelancer), contains_eager(Booking.consultation), joinedload(Booking.event))
        .where(*_conditions(wanted))
    )
    at = Booking.starts_at if wanted.updated_since is None else Booking.updated_at
    return page_of(session, chosen, (at, Booking.id), limit=limit, after=after)


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.start_at:
        yield Booking.starts_at >= wanted.start_at
    if wanted.end_at:
        yield Booking.starts_at < wanted.end_at
    if wanted.states:
        yield case((is_over(wanted.now), "expired"), else_=Booking.state).in_(wanted.states)
    if wanted.freelancer_id:
        yield Booking.freelancer_id == wanted.freelancer_id
    if wanted.freelancer:
        yield Freelancer.handle == wanted.freelancer
    if wanted.consultation:
        handle, _, slug = wanted.consultation.rpartition("/")
        yield Consultation.slug == slug
        if handle:
            yield Freelancer.handle == handle
    if wanted.client:
        yield Booking.client_address == wanted.client.strip().lower()
    if wanted.updated_since:
        yield Booking.updated_at >= wanted.updated_since


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
