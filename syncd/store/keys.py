"""API keys by their hashes, and answers kept for requests that are sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from syncd.store.models import ApiKey, IdempotentAnswer

Scope = Literal["slots:read", "bookings:read", "bookings:write", "manage"]
SCOPES: tuple[Scope, ...] = ("slots:read", "bookings:read", "bookings:write", "manage")
KEEP_ANSWERS = timedelta(hours=24)
# What inserts or takes the place of what is there: each database has its own.
_INSERTS: dict[str, Callable[[Any], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def find_key(session: Session, key_hash: str) -> ApiKey | None:
    """The key with this hash, unless it is revoked."""
    return session.scalars(select(ApiKey).where(ApiKey.hash == key_hash, ApiKey.revoked_at.is_(None))).one_or_none()


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Every key, oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at)).all()


def kept_answer(session: Session, scope: str, now: datetime) -> IdempotentAnswer | None:
    """What was answered to the same request within 24 hours; an older answer counts for nothing. Changes nothing."""
    alive = select(IdempotentAnswer).where(IdempotentAnswer.scope == scope, IdempotentAnswer.expires_at > now)
    return session.scalars(alive).one_or_none()


def keep_answer(session: Session, scope: str, body_hash: str, status: int, sealed: bytes, now: datetime) -> None:
    """Keep an answer in the transaction that made it true, in the place of one whose time is up."""
    kept = {
        "body_hash": body_hash,
        "status": status,
        "answer": sealed,
        "created_at": now,
        "expires_at": now + KEEP_ANSWERS,
    }
    insert = _INSERTS[session.get_bind().dialect.name](IdempotentAnswer).values(scope=scope, **kept)
    session.execute(insert.on_conflict_do_update(index_elements=["scope"], set_=kept))


def drop_expired_answers(session: Session, now: datetime) -> None:
    """Forget answers whose time is up."""
    session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.expires_at <= now))
