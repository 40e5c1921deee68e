"""Accounts: shown, changed, pulled soon, disconnected. How one is connected is `syncd.sync.connect`'s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from providers.model import RemoteCalendar
from syncd import config
from syncd.errors import ApiError
from syncd.instants import rfc3339, rfc3339_or_none
from syncd.management.tables import Values, file_only
from syncd.outbox.deliver import next_step
from syncd.outbox.plan import Step
from syncd.store import belongings, bookings, farewells, outbox, pulls
from syncd.store.access import SIGNED_IN, how_to_connect
from syncd.store.models import LIVE_STATES, Account, Booking, BookingEvent, Calendar, Freelancer, OutboxItem
from syncd.store.settings import read_again, reading_of
from syncd.sync.connect import check_one_target, choice_of
from syncd.sync.listing import choose
from syncd.sync.plan import BRAKE_AGREES_AFTER

HABITS = ("tentative", "unanswered", "working_elsewhere", "when_stale")


def find_account(session: Session, person: Freelancer, account_id: str) -> Account | None:
    """The freelancer's account, unless it was disconnected."""
    found = session.get(Account, account_id)
    return found if found is not None and found.active and found.freelancer_id == person.id else None


def find_leaving(session: Session, person: Freelancer, account_id: str) -> Account | None:
    """The freelancer's account that can be disconnected: also one that left the file, and whose access is kept."""
    found = session.get(Account, account_id)
    return found if found is not None and found.freelancer_id == person.id and can_leave(found) else None


def can_leave(row: Account) -> bool:
    """Whether there is anything to disconnect."""
    return row.active or (row.credential is not None and not row.declared)


def list_accounts(session: Session, person: Freelancer, after: str, limit: int) -> Sequence[Account]:
    """A freelancer's connected accounts by name, those behind `after`."""
    found = select(Account).where(Account.freelancer_id == person.id, Account.active, Account.name > after)
    return session.scalars(found.order_by(Account.name).limit(limit)).all()


def account_json(row: Account) -> dict[str, Any]:
    """An account as the API shows it: never its password, and of a feed's address only the host."""
    settings = {name: getattr(row, name) for name in ("blocks", "target", *HABITS, "sync_every_seconds")}
    there = sorted((c for c in row.calendars if not c.gone), key=lambda c: c.name)
    return {
        "id": row.id,
        "name": row.name,
        "provider": row.provider,
        "url": row.url,
        "username": row.username,
        **settings,
        "state": row.state,
        "problem": row.problem,
        "missing": row.missing if row.listed_at else [],
        "retry_at": rfc3339_or_none(row.blocked_until_at),
        "synced_at": rfc3339_or_none(max((c.synced_at for c in there if c.synced_at), default=None)),
        "read_only": row.declared,
        "calendars": [{"id": c.id, "name": c.name, "blocks": c.blocks, "target": c.target} for c in there],
        "created_at": rfc3339(row.created_at),
    }


def change_account(session: Session, settings: config.Config, row: Account, values: Values, now: datetime) -> None:
    """Change what blocks, the target, and how events are read. Raises ApiError."""
    if row.declared:
        raise file_only(f"the account {row.name}")
    before = reading_of(row)
    for name in (name for name in HABITS if name in values):
        setattr(row, name, values[name])
    if "sync_every_seconds" in values:
        row.sync_every_seconds = settings.sync_every(row.provider, values["sync_every_seconds"])
    _choose(row, values, now)
    if before != reading_of(row):
        read_again([row], now)
    session.flush()
    bookings.assign_targets(session, row.freelancer_id)
    pulls.bump_availability(session, row.freelancer_id)


def _choose(row: Account, values: Values, now: datetime) -> None:
    blocks, target = list(values.get("blocks", row.blocks)), values.get("target", row.target)
    if "target" in values:
        check_one_target(row.freelancer, row.name, target)
    if row.listed_at is not None and ("blocks" in values or "target" in values):
        there = [c for c in row.calendars if not c.gone]
        known = [RemoteCalendar(c.remote_id, c.name, can_write=c.can_write) for c in there]
        choice_of(known, blocks if "blocks" in values else [], target if "target" in values else "")
    row.blocks, row.target = blocks, target
    choose(row, now)


def pull_soon(row: Account, now: datetime, *, full: bool) -> None:
    """Make an account's list and calendars due at once; `full` reads everything anew and believes what was held back.

    A server that asked to be left alone for a while is left alone.

    Raises ApiError for an account that a person must reconnect first.
    """
    if row.state == "needs_reconnect":
        raise ApiError("wrong-state", _renewal(row), current_state=row.state)
    row.next_list_at = now
    if not (row.told_to_wait and row.blocked_until_at is not None and row.blocked_until_at > now):
        row.blocked_until_at = None
    for calendar in row.calendars:
        calendar.next_pull_at = now
        calendar.full_wanted = calendar.full_wanted or full
        if full and calendar.held_back_at is not None:
            calendar.held_back_at = min(calendar.held_back_at, now - BRAKE_AGREES_AFTER)


def _renewal(row: Account) -> str:
    if row.provider not in SIGNED_IN:
        return "the server refuses the password: send the right one first"
    command = how_to_connect(row.provider, row.freelancer.handle, row.name)
    return f"the permission is no longer good: {command}, or a POST of its provider and name here, asks for it again"


# Disconnecting


@dataclass(frozen=True, slots=True)
class Owed:
    """A booking whose event isn't as it should be, and what is still to be done: it waits for the account."""

    booking_id: str
    step: Step


def disconnect(session: Session, row: Account, now: datetime) -> list[Owed]:
    """Forget how to reach an account and all that its calendars said: they block no more, and take no consultations.

    A permission that someone gave by signing in is owed back (`syncd.sync.farewells`).

    Events that no server was asked to make move to the next target. What else is owed is returned, and is delivered if
    the account is connected again under its name. Raises ApiError for an account that the file declares, or that a
    consultation names: without it, nobody would know when that one is free.
    """
    if row.declared:
        raise file_only(f"the account {row.name}")
    if row.active and (users := _named_by(row)):
        detail = f"its calendars are named by {', '.join(users)}: change what they block and where they are written to"
        raise ApiError("wrong-state", detail)
    owed = _disconnect(session, row, now)
    bookings.assign_targets(session, row.freelancer_id)
    pulls.bump_availability(session, row.freelancer_id)
    return owed


def _named_by(row: Account) -> list[str]:
    """Slugs of the consultations that name a calendar of the account."""
    shown = [c for c in row.freelancer.consultations if not c.removed]
    return sorted(c.slug for c in shown if any(n.partition("/")[0] == row.name for n in (*c.blocks, c.target)))


def disconnect_idle(session: Session, person: Freelancer, now: datetime) -> bool:
    """Disconnect the accounts that owe nothing and hold no booking that is still to come; returns whether there are.

    While a hold or a booking is to come, those that block or take consultations stay: they are asked when it is
    confirmed or moved.
    """
    waited_for = belongings.coming(session, person.id, now) > 0
    idle = [
        row
        for row in person.accounts
        if row.active
        and not _holds_any(session, row, now)
        and not (waited_for and any(c.blocks or c.target for c in row.calendars))
    ]
    for row in idle:
        _disconnect(session, row, now)
    return bool(idle)


def _holds_any(session: Session, row: Account, now: datetime) -> bool:
    coming = Booking.state.in_(LIVE_STATES) & (Booking.ends_at > now)
    owed = select(OutboxItem.id).where(OutboxItem.booking_id == Booking.id).exists()
    found = select(Booking.id).join(BookingEvent).join(Calendar)
    return session.scalars(found.where(Calendar.account_id == row.id, coming | owed).limit(1)).one_or_none() is not None


def _disconnect(session: Session, row: Account, now: datetime) -> list[Owed]:
    owed = list(_owed(session, row))
    farewells.owe(session, row, now)
    row.active, row.credential, row.url, row.username = False, None, "", ""
    row.state, row.problem, row.attempts, row.blocked_until_at, row.told_to_wait = "ok", None, 0, None, False
    row.lease_owner = row.lease_until = None  # work in flight commits nothing
    row.target, row.missing, row.listed_at = "", [], None
    for calendar in row.calendars:
        calendar.blocks = calendar.target = calendar.named = False
        calendar.sync_token = calendar.synced_at = calendar.full_synced_at = calendar.expanded_until_at = None
        calendar.held_back_at = calendar.held_back = calendar.problem = None
        calendar.full_wanted = True
        pulls.drop_generations(session, calendar.id, keep=-1)
    session.flush()
    return owed


def _owed(session: Session, row: Account) -> Iterator[Owed]:
    waiting = select(Booking).join(OutboxItem).join(BookingEvent).join(Calendar).where(Calendar.account_id == row.id)
    for booking in session.scalars(waiting.order_by(Booking.starts_at)).all():
        if booking.event.attempted_starts_at is None and booking.event.remote_id is None:
            booking.event.calendar_id = None
        elif next_step(booking) == "ask_link":
            outbox.forget_link(session, booking)  # nobody will be asked for it
        else:
            yield Owed(booking.id, next_step(booking))
