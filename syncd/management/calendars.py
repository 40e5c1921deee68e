"""Which of a freelancer's calendars block, and which one takes consultations, set calendar by calendar."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from syncd.errors import invalid
from syncd.management.tables import file_only
from syncd.questions import wrong
from syncd.store import bookings, pulls
from syncd.store.bookings import is_named
from syncd.store.models import Account, Calendar, Freelancer
from syncd.sync.listing import choose


def find_calendar(session: Session, person: Freelancer, calendar_id: str) -> Calendar | None:
    """A calendar of the freelancer's connected accounts that is still there."""
    row = session.get(Calendar, calendar_id)
    if row is None or row.gone or not row.account.active or row.account.freelancer_id != person.id:
        return None
    return row


def list_calendars(session: Session, person: Freelancer, after: str, limit: int) -> Sequence[Calendar]:
    """A freelancer's calendars by account and name, those behind the place `after`."""
    found = select(Calendar).join(Account).where(Account.freelancer_id == person.id, Account.active)
    order = (Account.name, Calendar.name, Calendar.id)
    if after:
        found = found.where(tuple_(*order) > tuple_(*_place(after)))
    return session.scalars(found.where(Calendar.gone.is_(False)).order_by(*order).limit(limit)).all()


def _place(text: str) -> list[str]:
    """What `place_of` made. Raises ApiError for anything else."""
    try:
        place = json.loads(text)
    except ValueError:
        place = None
    if not (isinstance(place, list) and len(place) == 3 and all(isinstance(part, str) for part in place)):
        raise wrong("cursor", "must be the `next_cursor` of the page before, with the same filters")
    return place


def place_of(row: Calendar) -> str:
    """A calendar's place in the list, as `list_calendars` takes it."""
    return json.dumps([row.account.name, row.name, row.id])


def change_calendar(
    session: Session, row: Calendar, *, blocks: bool | None, target: bool | None, now: datetime
) -> None:
    """Let a calendar block or not, and take consultations or not: another that took them then doesn't any more.

    Raises ApiError for a calendar that can't be written to, and where the file decides.
    """
    account = row.account
    if account.declared:
        raise file_only(f"the account {account.name}")
    if blocks is not None and blocks != row.blocks:
        account.blocks = _blocks(account, row)
    if target:
        _take_target(account, row, now)
    elif target is False and row.target:
        account.target = ""
    choose(account, now)
    session.flush()
    bookings.assign_targets(session, account.freelancer_id)
    pulls.bump_availability(session, account.freelancer_id)


def _blocks(account: Account, changed: Calendar) -> list[str]:
    """The names that block once one calendar blocks and didn't, or did and doesn't; what isn't there keeps its name."""
    there = [c for c in account.calendars if not c.gone]
    chosen = [_name(c, there) for c in there if c.blocks != (c.id == changed.id)]
    return [*chosen, *(name for name in account.missing if name in account.blocks)]


def _name(calendar: Calendar, there: Sequence[Calendar]) -> str:
    """What means this calendar and no other."""
    shared = calendar.name == "*" or [c.id for c in there if is_named(c, calendar.name)] != [calendar.id]
    return calendar.remote_id if shared else calendar.name


def _take_target(account: Account, row: Calendar, now: datetime) -> None:
    if not row.can_write:
        raise invalid("/target", f"{row.name} can't be written to: choose another calendar")
    for other in account.freelancer.accounts:
        if other.id != account.id and other.active and other.target:
            if other.declared:
                raise file_only(f"the target {other.name}/{other.target}")
            other.target = ""
            choose(other, now)
    account.target = _name(row, [c for c in account.calendars if not c.gone])
