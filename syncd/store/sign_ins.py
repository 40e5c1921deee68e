"""Sign-ins that were begun and not yet ended: kept sealed for ten minutes, found by the hash of `state`, taken once.

Decides how long one lasts and how many may be open. Refuses to know what is asked at the provider, and of whom.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from syncd.errors import ConfigError
from syncd.secrets import Vault
from syncd.store.models import SignIn

LASTS = timedelta(minutes=10)
MOST = 20
"""So many may be open for one freelancer: the oldest gives way."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: what proves that its answer is ours, and the account `name` that shall come of it.

    `values` are the account's settings as they were sent, `key_id` by whose leave, `user` whose permission it has to
    be ("" if anyone's), `questions` how often the person has been asked, and `farewell` what is said of the permission
    they gave before, should they not answer (0: nothing).
    """

    provider: str
    freelancer_id: str
    key_id: str
    name: str
    values: Mapping[str, Any]
    redirect_uri: str
    verifier: str
    scopes: tuple[str, ...]
    user: str = ""
    questions: int = 1
    farewell: int = 0


def keep(session: Session, vault: Vault, state: str, begun: Begun, now: datetime) -> datetime:
    """Keep a sign-in until it is taken; returns when it is forgotten."""
    drop_expired(session, now)
    mine = select(SignIn).where(SignIn.freelancer_id == begun.freelancer_id).order_by(SignIn.created_at.desc())
    for row in session.scalars(mine.offset(MOST - 1)).all():
        session.delete(row)
    sealed, expires_at = vault.seal(json.dumps(asdict(begun))), now + LASTS
    session.add(
        SignIn(
            id=_id(state),
            freelancer_id=begun.freelancer_id,
            provider=begun.provider,
            sealed=sealed,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return expires_at


def take(session: Session, vault: Vault, provider: str, state: str, now: datetime) -> Begun | None:
    """The sign-in of a `state`, which is forgotten with that; None if there is none, or its time is up."""
    wanted = (SignIn.id == _id(state), SignIn.provider == provider, SignIn.expires_at > now)
    sealed = session.scalar(delete(SignIn).where(*wanted).returning(SignIn.sealed))
    if sealed is None:
        return None
    try:
        kept = json.loads(vault.unseal(sealed))
    except ConfigError:
        return None  # the secret key was changed in between
    return Begun(**{**kept, "scopes": tuple(kept["scopes"])})


def drop_expired(session: Session, now: datetime) -> None:
    """Forget sign-ins whose time is up."""
    session.execute(delete(SignIn).where(SignIn.expires_at <= now))


def _id(state: str) -> str:
    return hashlib.sha256(state.encode(errors="replace")).hexdigest()
