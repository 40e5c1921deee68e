"""What is owed to a provider when an account ends: its channels closed, and the permission given back.

Decides what is kept of it, in the transaction that ends the account: the permission as it was sealed, and whose it is
with it, and the channels' names. Refuses to know how a farewell is said and when it is tried again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from providers.model import Watch
from syncd.secrets import Vault
from syncd.store.access import SIGNED_IN, access_within
from syncd.store.models import Account, Calendar, Channel, Farewell

UNDER_WAY = timedelta(minutes=2)
"""So long nobody else tries what one process is trying."""
GIVEN_UP_AFTER = timedelta(days=3)
"""So long a farewell is tried."""


@dataclass(frozen=True, slots=True, repr=False)
class Parting:
    """One farewell: the secret by which it is said, whose it is ("" if nobody knows), the channels still open."""

    provider: str
    secret: str
    user: str
    channels: tuple[Watch, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """A farewell that is to be said now, for the `attempts`-th time."""

    id: int
    parting: Parting
    attempts: int
    created_at: datetime


def owe(session: Session, account: Account, now: datetime) -> None:
    """Note what is to be said at an account's end, while it still has its access; nothing where no one signed in."""
    if account.provider not in SIGNED_IN or account.credential is None:
        return
    kept = {"secret": account.credential.decode(), "channels": _taken_channels(session, account)}
    owed = Farewell(provider=account.provider, sealed=json.dumps(kept).encode())
    owed.due_at = owed.created_at = now
    session.add(owed)


def owe_unkept(session: Session, provider: str, sealed: bytes, due_at: datetime, now: datetime) -> int:
    """Note a permission, sealed whole, that no account lives by when it is due; returns the farewell's id."""
    kept = {"secret": sealed.decode(), "channels": []}
    owed = Farewell(provider=provider, sealed=json.dumps(kept).encode(), due_at=due_at, created_at=now)
    session.add(owed)
    session.flush()
    return owed.id


def make_room(session: Session, provider: str, until: datetime, now: datetime) -> None:
    """Say nothing while a person may be signing in anew: a farewell to them would end what they are giving.

    What is said this very moment, for the first time, is over before they have answered. One is held back no longer
    than it would be tried.
    """
    waits = or_(Farewell.attempts > 0, Farewell.due_at > now)
    held = (Farewell.provider == provider, Farewell.due_at < until, Farewell.created_at > now - GIVEN_UP_AFTER, waits)
    session.execute(update(Farewell).where(*held).values(due_at=until))


def hasten(session: Session, farewell_id: int, now: datetime) -> None:
    """Nobody comes any more for whom it would have to wait."""
    session.execute(update(Farewell).where(Farewell.id == farewell_id).values(due_at=now))


def _taken_channels(session: Session, account: Account) -> list[tuple[str, str, str]]:
    """The channels that may be open, which are this farewell's from now on: nobody else renews or closes them."""
    of_it = Channel.calendar_id.in_(select(Calendar.id).where(Calendar.account_id == account.id))
    rows = session.scalars(select(Channel).where(of_it).order_by(Channel.id)).all()
    for calendar in account.calendars:
        calendar.live_until_at = calendar.next_watch_at = None
    found = [(c.id, c.resource_id, c.expires_at.isoformat()) for c in rows if c.resource_id and c.expires_at]
    session.execute(delete(Channel).where(of_it))
    return found


def take_due(session: Session, vault: Vault, now: datetime) -> list[Due]:
    """What is to be said now, left alone by everyone else for a while. Raises ConfigError for another secret key."""
    rows = session.scalars(select(Farewell).where(Farewell.due_at <= now).order_by(Farewell.id)).all()
    for row in rows:
        row.attempts, row.due_at = row.attempts + 1, now + UNDER_WAY
    return [Due(row.id, _opened(row, vault), row.attempts, row.created_at) for row in rows]


def count(session: Session) -> int:
    """How many still have to be said."""
    return session.scalar(select(func.count()).select_from(Farewell)) or 0


def owed(session: Session) -> set[int]:
    """Ids of those that still have to be said."""
    return set(session.scalars(select(Farewell.id)))


def is_any_due(session: Session, now: datetime) -> bool:
    """Whether there is something to say now."""
    return session.scalar(select(Farewell.id).where(Farewell.due_at <= now).limit(1)) is not None


def _opened(row: Farewell, vault: Vault) -> Parting:
    kept = json.loads(row.sealed)
    channels = (Watch(name, resource, datetime.fromisoformat(until)) for name, resource, until in kept["channels"])
    access = access_within(vault.unseal(kept["secret"].encode()).decode())
    return Parting(row.provider, access.secret, access.username, tuple(channels))


def drop(session: Session, farewell_id: int) -> None:
    """It was said, or never will be."""
    session.execute(delete(Farewell).where(Farewell.id == farewell_id))


def put_off(session: Session, farewell_id: int, due_at: datetime, problem: str) -> None:
    """It couldn't be said, and is tried again."""
    row = session.get(Farewell, farewell_id)
    if row is not None:
        row.due_at, row.problem = due_at, problem


def is_needed(session: Session, parting: Parting) -> bool:
    """Whether an account lives by the permission that would be given back: another one, or the same, connected anew."""
    return has_account(session, parting.provider, parting.user)


def has_account(session: Session, provider: str, user: str) -> bool:
    """Whether an account lives by this user's permission, or may, where nobody knows whose it is: giving any of theirs
    back would end it."""
    connected = (Account.active, Account.provider == provider, Account.credential.is_not(None))
    users = session.scalars(select(Account.username).where(*connected).distinct()).all()
    return any(not user or one.casefold() == user.casefold() for one in users)
