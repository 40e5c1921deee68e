"""What `status` shows: accounts, their calendars, what could not be understood, what is owed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd.instants import rfc3339_or_none
from syncd.store import outbox, pulls
from syncd.store.models import Account, Calendar, Freelancer
from syncd.sync.quarantine import advice
from syncd.sync.staleness import Freshness, trust_of

_UNREAD = "a setting changed: it has to be read in full, the daemon or `syncd sync` does it"


def reach_of(freelancer: Freelancer, now: datetime) -> datetime:
    """How far ahead busy time has to be known for all that a freelancer offers."""
    lengths = (
        c.horizon_minutes + max(c.durations_minutes) + c.buffer_after_minutes
        for c in freelancer.consultations
        if c.active and not c.removed
    )
    return now + timedelta(minutes=max(lengths, default=0))


def overview(session: Session, freshness: Freshness, now: datetime) -> dict[str, Any]:
    """Everything at a glance, as JSON has it."""
    accounts = session.execute(
        select(Account, Freelancer.handle).join(Freelancer).order_by(Freelancer.handle, Account.name)
    )
    owed, oldest = outbox.owed(session)
    return {
        "accounts": [_account(session, account, handle, freshness, now) for account, handle in accounts],
        "outbox": {"owed": owed, "oldest": rfc3339_or_none(oldest)},
    }


def _account(session: Session, account: Account, handle: str, freshness: Freshness, now: datetime) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "freelancer": handle,
        "provider": account.provider,
        "url": account.url,
        "state": account.state,
        "active": account.active,
        "problem": account.problem,
        "missing": account.missing if account.listed_at else [],
        "retry_at": rfc3339_or_none(account.blocked_until_at),
        "calendars": [
            calendar_json(session, calendar, account, freshness, now)
            for calendar in sorted(account.calendars, key=lambda c: c.name)
        ],
    }


def calendar_json(
    session: Session, calendar: Calendar, account: Account, freshness: Freshness, now: datetime
) -> dict[str, Any]:
    """A calendar, how far it is known, and what in it isn't understood."""
    state = trust_of(calendar, account, freshness, now, reach_at=reach_of(account.freelancer, now)).state
    return {
        "id": calendar.id,
        "name": calendar.name,
        "colour": calendar.colour,
        "time_zone": calendar.tz,
        "can_write": calendar.can_write,
        "role": calendar.role,
        "primary": calendar.is_primary,
        "hidden": calendar.is_hidden,
        "blocks": calendar.blocks,
        "target": calendar.target,
        "state": state,
        "push": calendar.live_until_at is not None and now < calendar.live_until_at,
        "synced_at": rfc3339_or_none(calendar.synced_at),
        "problem": calendar.problem or (_UNREAD if state == "stale" and calendar.expanded_until_at is None else None),
        "held_back": len(calendar.held_back) if calendar.held_back else None,
        "quarantined": [
            {"href": q.remote_id, "uid": q.uid, "start": q.start, "reason": q.reason, "advice": advice(known=q.known)}
            for q in pulls.quarantined(session, calendar.id, calendar.generation)
        ],
        "probe": calendar.probe,
    }
