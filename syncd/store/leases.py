"""Who works on which account: due accounts, their leases, their faults. One job per account at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from syncd.store import channels
from syncd.store.models import Account, BookingEvent, Calendar, Freelancer, OutboxItem

LEASE = timedelta(minutes=5)
PULLABLE = ("caldav", "google", "ics", "memory")
"""Kinds of accounts there is an adapter for; one of another kind stays 'never pulled', so its slots stay closed."""


class LeaseLost(Exception):
    """Another worker has the account now: what this one was about to commit is dropped."""


_PULLED = or_(Calendar.blocks, Calendar.target, Calendar.named)


def _questions(now: datetime, mark: str | None) -> list[Select[str]]:
    """Ids of accounts with something to ask or tell the server, most urgent first: writes, the list, pulls, watches."""
    writes = (
        select(Calendar.account_id)
        .join(BookingEvent, BookingEvent.calendar_id == Calendar.id)
        .join(OutboxItem, OutboxItem.booking_id == BookingEvent.booking_id)
        .where(OutboxItem.due_at <= now)
    )
    lists = select(Account.id).where(or_(Account.next_list_at.is_(None), Account.next_list_at <= now))
    pulls = select(Calendar.account_id).where(_PULLED, Calendar.next_pull_at <= now)
    return [writes, lists, pulls, channels.due(now, mark)]


def due_accounts(session: Session, now: datetime, *, insist: bool = False, mark: str | None = None) -> list[str]:
    """Accounts with work that may be done now: those that owe a write first, those with days to expand last.

    `insist` doesn't wait for the back-off of failing accounts to end; `mark` tells the channels that still reach us.
    """
    pullable = select(Account.id).where(Account.active, Account.provider.in_(PULLABLE))
    askable = pullable.where(Account.state != "needs_reconnect")
    if not insist:
        askable = askable.where(or_(Account.blocked_until_at.is_(None), Account.blocked_until_at <= now))
    unexpanded = select(Calendar.account_id).where(
        _PULLED, Calendar.generation > 0, Calendar.expanded_on != now.date().isoformat()
    )
    found: dict[str, None] = {}
    if insist:
        found |= dict.fromkeys(session.scalars(askable.where(Account.state == "failing")))
    for kind in _questions(now, mark):
        found |= dict.fromkeys(session.scalars(askable.where(Account.id.in_(kind))))
    found |= dict.fromkeys(session.scalars(pullable.where(Account.id.in_(unexpanded))))
    return list(found)


def pullable_accounts(session: Session, handle: str | None) -> list[str]:
    """Every active account there is an adapter for, or those of one freelancer."""
    wanted = select(Account.id).join(Freelancer).where(Account.active, Account.provider.in_(PULLABLE))
    return list(session.scalars(wanted if handle is None else wanted.where(Freelancer.handle == handle)))


def may_ask(account: Account, now: datetime, *, insist: bool = False) -> bool:
    """Whether the account's server may be asked now; `insist` doesn't wait for back-off to end."""
    waits = not insist and account.blocked_until_at is not None and account.blocked_until_at > now
    return account.state != "needs_reconnect" and not waits


def may_look(account: Account, now: datetime) -> bool:
    """Whether a look may ask the account's server now: while it fails too, unless it asked to be left alone."""
    waits = account.told_to_wait and account.blocked_until_at is not None and account.blocked_until_at > now
    return account.active and account.provider in PULLABLE and account.state != "needs_reconnect" and not waits


def claim(
    session: Session, account_id: str, owner: str, now: datetime, is_alive: Callable[[str], bool]
) -> Account | None:
    """Take the account's lease, unless a living worker has it."""
    account = session.scalars(select(Account).where(Account.id == account_id).with_for_update()).one_or_none()
    if account is None or (_held(account, now) and is_alive(account.lease_owner or "")):
        return None
    account.lease_owner, account.lease_until = owner, now + LEASE
    return account


def is_worked_on(account: Account) -> bool:
    """Whether a worker seems to have the account, however long it has been waiting for an answer; one that was killed
    seems to until the next one comes."""
    return account.lease_owner is not None


def _held(account: Account, now: datetime) -> bool:
    return account.lease_owner is not None and account.lease_until is not None and account.lease_until > now


def hold(session: Session, account_id: str, owner: str, now: datetime) -> None:
    """Prolong the lease inside a transaction that is about to commit; raises LeaseLost if it isn't ours any more."""
    result = session.execute(
        update(Account).where(Account.id == account_id, Account.lease_owner == owner).values(lease_until=now + LEASE)
    )
    if not isinstance(result, CursorResult) or result.rowcount != 1:
        raise LeaseLost(account_id)


def release(session: Session, account_id: str, owner: str) -> None:
    """Give the lease back."""
    session.execute(
        update(Account)
        .where(Account.id == account_id, Account.lease_owner == owner)
        .values(lease_owner=None, lease_until=None)
    )


def note_success(account: Account) -> None:
    """The account answers: it is well again, unless one of its calendars has a problem of its own."""
    problems = [f"{c.name}: {c.problem}" for c in account.calendars if c.problem and c.is_pulled]
    account.state, account.problem = ("failing", problems[0]) if problems else ("ok", None)
    account.attempts, account.blocked_until_at = 0, None


def waiting_for_a_person(session: Session) -> list[tuple[str, str]]:
    """Names of the accounts that must be reconnected, and why."""
    rows = select(Account.name, Account.problem).where(Account.active, Account.state == "needs_reconnect")
    return [(name, problem or "") for name, problem in session.execute(rows)]


def last_pull_at(session: Session) -> datetime | None:
    """When any calendar was last pulled."""
    return session.scalar(select(func.max(Calendar.synced_at)))
