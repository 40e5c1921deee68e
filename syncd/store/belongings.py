"""All that is kept of one freelancer: read as it lies there, and removed so that nothing of it can be read.

Decides which rows are whose, and which columns are nobody's business: secrets, leases, how far a pull has come. A
column that is added later is exported unless it is named here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, delete, func, or_, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from syncd.errors import StoreError
from syncd.store.models import (
    Account,
    ApiKey,
    Base,
    Booking,
    BookingAction,
    BookingEvent,
    BusySpan,
    Calendar,
    Event,
    Freelancer,
    IdempotentAnswer,
    Link,
    OutboxItem,
)

NOBODYS = frozenset({"idempotent_answers", "alembic_version", "farewells", "sign_ins", "channels"})
"""Tables without a freelancer in their rows, and what is under way with providers for a while."""
KEPT_BACK: Mapping[str, frozenset[str]] = {
    "freelancers": frozenset({"availability_version", "feed_generation"}),
    "schedules": frozenset({"freelancer_id"}),
    "consultations": frozenset({"freelancer_id"}),
    "links": frozenset({"freelancer_id"}),
    "accounts": frozenset({"freelancer_id", "credential", "lease_owner", "lease_until"}),
    "calendars": frozenset({"account_id", "sync_token", "held_back"}),
    "events": frozenset({"id", "calendar_id", "generation", "etag"}),
    "busy": frozenset({"id", "calendar_id", "generation"}),
    "bookings": frozenset({"freelancer_id", "token_generation", "held_from"}),
    "booking_events": frozenset({"booking_id", "etag"}),
    "booking_actions": frozenset({"id", "booking_id"}),
    "outbox": frozenset({"id", "booking_id"}),
    "api_keys": frozenset({"freelancer_id", "hash"}),
}
"""Columns that no export has: secrets, marks of servers and of work in flight, and what its place says already."""

Row = dict[str, Any]
"""A row by the names of its columns."""


def freelancer_named(session: Session, handle: str) -> Freelancer | None:
    """The freelancer of this handle, also one that is shown nowhere any more."""
    return session.scalars(select(Freelancer).where(Freelancer.handle == handle)).one_or_none()


def belongings(session: Session, freelancer_id: str) -> Row:
    """Everything kept of a freelancer, as rows within rows; instants are datetimes."""
    tables = Base.metadata.tables
    (person,) = _rows(session, tables["freelancers"], tables["freelancers"].c.id == freelancer_id)
    plain = [tables[name] for name in ("schedules", "consultations", "links", "api_keys")]
    return {
        "freelancer": person,
        **{table.name: _rows(session, table, table.c.freelancer_id == freelancer_id) for table in plain},
        "accounts": _accounts(session, freelancer_id),
        "bookings": _bookings(session, freelancer_id),
    }


def _accounts(session: Session, freelancer_id: str) -> list[Row]:
    tables = Base.metadata.tables
    accounts = session.scalars(select(Account).where(Account.freelancer_id == freelancer_id).order_by(Account.name))
    found = []
    for account in accounts.all():
        (row,) = _rows(session, tables["accounts"], tables["accounts"].c.id == account.id)
        row["calendars"] = [_calendar(session, calendar) for calendar in account.calendars]
        found.append(row)
    return found


def _calendar(session: Session, calendar: Calendar) -> Row:
    """A calendar with the timing of its events; of generations, the one that serves."""
    tables = Base.metadata.tables
    (row,) = _rows(session, tables["calendars"], tables["calendars"].c.id == calendar.id)
    events, busy = tables["events"].c, tables["busy"].c
    spans = _grouped(session, tables["busy"], "event_id", busy.calendar_id == calendar.id)
    serving = (events.calendar_id == calendar.id) & (events.generation == calendar.generation)
    numbered = session.execute(select(events.id).where(serving).order_by(events.id)).scalars().all()
    items = _rows(session, tables["events"], serving)
    row["events"] = [{**item, "busy": spans.get(number, [])} for number, item in zip(numbered, items, strict=True)]
    return row


def _bookings(session: Session, freelancer_id: str) -> list[Row]:
    tables = Base.metadata.tables
    mine = select(Booking.id).where(Booking.freelancer_id == freelancer_id)
    parts = {
        "calendar_event": _grouped(session, tables["booking_events"], "booking_id", _among(BookingEvent, mine)),
        "actions": _grouped(session, tables["booking_actions"], "booking_id", _among(BookingAction, mine)),
        "owed": _grouped(session, tables["outbox"], "booking_id", _among(OutboxItem, mine)),
    }
    found = _rows(session, tables["bookings"], tables["bookings"].c.freelancer_id == freelancer_id)
    for row in found:
        row |= {name: rows.get(row["id"], []) for name, rows in parts.items()}
        row["calendar_event"] = next(iter(row["calendar_event"]), None)
    return found


def _among(model: Any, bookings: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = model.booking_id.in_(bookings)
    return found


def _rows(session: Session, table: Table, where: ColumnElement[bool]) -> list[Row]:
    columns = _shown(table)
    found = session.execute(select(*columns).where(where).order_by(*table.primary_key))
    return [dict(zip((column.name for column in columns), row, strict=True)) for row in found]


def _grouped(session: Session, table: Table, by: str, where: ColumnElement[bool]) -> dict[Any, list[Row]]:
    """Rows by what they belong to."""
    columns = [column for column in _shown(table) if column.name != by]
    found: dict[Any, list[Row]] = {}
    for owner, *row in session.execute(select(table.c[by], *columns).where(where).order_by(*table.primary_key)):
        found.setdefault(owner, []).append(dict(zip((column.name for column in columns), row, strict=True)))
    return found


def _shown(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.name not in KEPT_BACK[table.name]]


# What is still due


def coming(session: Session, freelancer_id: str, now: datetime) -> int:
    """How many of a freelancer's holds and bookings aren't over."""
    waiting = or_(Booking.hold_expires_at.is_(None), Booking.state != "held", Booking.hold_expires_at > now)
    standing = Booking.state.in_(("held", "pending", "confirmed")) & (Booking.ends_at > now) & waiting
    return _count(session, select(Booking.id).where(Booking.freelancer_id == freelancer_id, standing))


def owed(session: Session, freelancer_id: str) -> int:
    """How many of a freelancer's bookings aren't in their calendar as they should be."""
    mine = select(OutboxItem.id).join(Booking, Booking.id == OutboxItem.booking_id)
    return _count(session, mine.where(Booking.freelancer_id == freelancer_id))


def _count(session: Session, rows: Any) -> int:
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


# Gone


def erase(session: Session, freelancer_id: str) -> dict[str, int]:
    """Delete all that belongs to a freelancer; returns how many bookings, accounts and calendars there were."""
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql("PRAGMA secure_delete=ON")
    bookings = select(Booking.id).where(Booking.freelancer_id == freelancer_id)
    accounts = select(Account.id).where(Account.freelancer_id == freelancer_id)
    calendars = select(Calendar.id).where(Calendar.account_id.in_(accounts))
    counts = {
        "bookings": _count(session, bookings),
        "accounts": _count(session, accounts),
        "calendars": _count(session, calendars),
    }
    for model, where in (
        (OutboxItem, OutboxItem.booking_id.in_(bookings)),
        (BookingAction, BookingAction.booking_id.in_(bookings)),
        (BookingEvent, BookingEvent.booking_id.in_(bookings)),
        (Booking, Booking.freelancer_id == freelancer_id),
        (BusySpan, BusySpan.calendar_id.in_(calendars)),
        (Event, Event.calendar_id.in_(calendars)),
        (Link, Link.freelancer_id == freelancer_id),
        (ApiKey, ApiKey.freelancer_id == freelancer_id),
        (Freelancer, Freelancer.id == freelancer_id),  # schedules, consultations, accounts and calendars go with it
    ):
        session.execute(delete(model).where(where))
    return counts


def names_in(session: Session, freelancer_id: str) -> list[str]:
    """The ids by which a kept answer may be told to be about a freelancer."""
    parts = (Booking, Link, Account, ApiKey)
    found = [session.scalars(select(model.id).where(model.freelancer_id == freelancer_id)).all() for model in parts]
    return [freelancer_id, *(name for names in found for name in names)]


def drop_answers(session: Session, is_about: Callable[[bytes], bool]) -> int:
    """Forget the kept answers that `is_about` knows by their sealed bytes; returns how many."""
    kept = session.execute(select(IdempotentAnswer.scope, IdempotentAnswer.answer)).all()
    scopes = [scope for scope, sealed in kept if is_about(sealed)]
    for scope in scopes:
        session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.scope == scope))
    return len(scopes)


def scrub(engine: Engine) -> None:
    """Rewrite a SQLite database so that what was deleted can't be read in its files. Raises StoreError.

    Deleting alone leaves what pages held before, and the write-ahead log holds them as well until it is emptied.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        message = f"it is deleted, but the database could not be rewritten ({error}): its files may still hold traces"
        raise StoreError(message) from error
    finally:
        connection.close()
    if busy:
        message = "it is deleted, but another process reads the database: its write-ahead log may still hold traces"
        raise StoreError(message)
