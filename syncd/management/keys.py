"""API keys: made by whoever may do at least as much, listed without their texts, revoked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd.errors import ApiError
from syncd.secrets import hash_api_key, new_api_key
from syncd.store.models import ApiKey


def list_keys(session: Session, freelancer_id: str, after: str, limit: int) -> Sequence[ApiKey]:
    """The freelancer's keys that aren't revoked, by id, those behind `after`."""
    found = select(ApiKey).where(ApiKey.freelancer_id == freelancer_id, ApiKey.revoked_at.is_(None), ApiKey.id > after)
    return session.scalars(found.order_by(ApiKey.id).limit(limit)).all()


def find_key(session: Session, freelancer_id: str, key_id: str) -> ApiKey | None:
    """The freelancer's key, unless it is revoked."""
    row = session.get(ApiKey, key_id)
    return row if row is not None and row.freelancer_id == freelancer_id and row.revoked_at is None else None


def add_key(
    session: Session,
    freelancer_id: str | None,
    scopes: Sequence[str],
    own_scopes: Collection[str],
    random: Callable[[int], bytes],
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key, for all freelancers where none is named, and its text. Raises ApiError for more than the maker may do.

    `random(n)` gives n unguessable bytes.
    """
    if more := sorted(set(scopes) - set(own_scopes)):
        raise ApiError("forbidden", f"this key can't give what it hasn't got: {', '.join(more)}")
    key_id, text = new_api_key(random)
    row = ApiKey(
        id=key_id,
        hash=hash_api_key(text),
        freelancer_id=freelancer_id,
        scopes=list(dict.fromkeys(scopes)),
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row, text
