"""Freelancers outside the file: added, changed, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncd import config
from syncd.config.fields import Handle
from syncd.errors import ApiError
from syncd.ids import new_id
from syncd.management.accounts import disconnect_idle
from syncd.management.tables import Values, check_name, file_only, read
from syncd.store import pulls
from syncd.store.models import Account, ApiKey, Freelancer
from syncd.store.settings import fill_freelancer

_HANDLE = TypeAdapter[str](Handle)


def find_freelancer(session: Session, handle: str) -> Freelancer | None:
    """The freelancer of that handle, unless removed."""
    found = select(Freelancer).where(Freelancer.handle == handle, Freelancer.removed.is_(False))
    return session.scalars(found).one_or_none()


def list_freelancers(session: Session, only: str | None, after: str, limit: int) -> Sequence[Freelancer]:
    """Freelancers by handle, those behind `after`; `only` is the id of the one who may be seen, None: all."""
    found = select(Freelancer).where(Freelancer.removed.is_(False), Freelancer.handle > after)
    if only is not None:
        found = found.where(Freelancer.id == only)
    return session.scalars(found.order_by(Freelancer.handle).limit(limit)).all()


def values_of(row: Freelancer) -> dict[str, Any]:
    """A freelancer's settings as the API says them."""
    return {
        "name": row.name,
        "email": row.email,
        "addresses": row.addresses,
        "time_zone": row.tz,
        "active": row.active,
        "profile": row.profile,
        "daily_limit": row.daily_limit,
        "weekly_limit": row.weekly_limit,
        "blocked_clients": row.blocked_clients,
        "on_calendar_change": row.on_calendar_change,
        "remind_before_minutes": row.remind_before_minutes,
        "proposals_expire_minutes": row.proposals_expire_minutes,
        "invite": row.invite,
    }


def add_freelancer(session: Session, settings: config.Config, handle: str, values: Values, now: datetime) -> Freelancer:
    """Add a freelancer, with the file's defaults for what isn't said; one who was removed comes back with all they had.

    Schedules that were in their zone are in the one they have now. Raises ApiError: a handle that can't be one or is
    taken, a value that isn't right.
    """
    check_name("/handle", _HANDLE, handle)
    wanted = read(config.Freelancer, {"name": handle.replace("-", " ").capitalize(), **values})
    row = session.scalars(select(Freelancer).where(Freelancer.handle == handle)).one_or_none()
    if row is not None and not row.removed:
        raise ApiError("wrong-state", f"there is a freelancer {handle} already: choose another handle")
    if row is None:
        row = Freelancer(id=new_id("frl"), handle=handle, created_at=now, declared=False)
        session.add(row)
    _set(session, settings, row, wanted, now)
    return row


def change_freelancer(
    session: Session, settings: config.Config, row: Freelancer, values: Values, now: datetime
) -> None:
    """Change what `values` says; schedules that are in the freelancer's zone move with it. Raises ApiError."""
    if row.declared:
        raise file_only(f"the freelancer {row.handle}")
    changes = values.get("on_calendar_change") or {}
    merged = {**values_of(row), **values, "on_calendar_change": {**row.on_calendar_change, **changes}}
    _set(session, settings, row, read(config.Freelancer, merged), now)


def renew_feed(row: Freelancer) -> None:
    """Give the feed of a freelancer's bookings another token: the one that was given out opens it no more."""
    row.feed_generation += 1


def _set(session: Session, settings: config.Config, row: Freelancer, wanted: config.Freelancer, now: datetime) -> None:
    before = row.tz
    fill_freelancer(row, wanted, settings.invite(wanted), now)
    for schedule in row.schedules:
        if schedule.tz == before and not schedule.declared:
            schedule.tz = row.tz
    session.flush()
    pulls.bump_availability(session, row.id)


def remove_freelancer(session: Session, row: Freelancer, now: datetime) -> None:
    """Show a freelancer nowhere any more; bookings are kept, and so are accounts that still hold a coming one.

    Their keys are revoked. Where accounts are disconnected, consultations are deactivated as well. Raises ApiError for
    one whom the file declares.
    """
    if row.declared:
        raise file_only(f"the freelancer {row.handle}")
    row.removed, row.active = True, False
    renew_feed(row)
    session.execute(
        update(ApiKey).where(ApiKey.freelancer_id == row.id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    )
    _disconnect_idle(session, row, now)
    session.flush()
    pulls.bump_availability(session, row.id)


def disconnect_removed(session: Session, now: datetime) -> None:
    """Disconnect the accounts of removed freelancers that owe nothing and hold no booking to come any more."""
    left = select(Freelancer).where(Freelancer.removed, Freelancer.accounts.any(Account.active))
    for row in session.scalars(left).all():
        if _disconnect_idle(session, row, now):
            pulls.bump_availability(session, row.id)


def _disconnect_idle(session: Session, row: Freelancer, now: datetime) -> bool:
    found = disconnect_idle(session, row, now)
    for consultation in row.consultations if found else ():
        consultation.active = False  # of whoever comes back nobody knows when they are busy
    return found
