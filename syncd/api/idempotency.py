"""Runs a changing request in one transaction, and answers the same request the same way for 24 hours (semantics 21).

The answer is kept in the transaction that made it true: after a crash there is both or neither. Writers are serial, so
a request that is sent twice at once waits for the first one's answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from syncd.api.answers import Answer
from syncd.api.problems import api_problem
from syncd.errors import ApiError, BookingError
from syncd.services import Services
from syncd.store import keys
from syncd.store.models import IdempotentAnswer

_LONGEST_KEY = 255
_NOT_FINAL = (401, 429)  # who asks again with a credential, or later, asks anew


@dataclass(frozen=True, slots=True)
class Sent:
    """What tells one request from another."""

    method: str
    path: str
    credential: str
    key: str | None
    body: bytes

    @property
    def body_hash(self) -> str:
        """What the body says, however its JSON is spelt."""
        try:
            return _hash(json.dumps(json.loads(self.body), sort_keys=True))
        except (ValueError, RecursionError):
            return _hash(self.body.hex())

    @property
    def scope(self) -> str:
        """The key, per caller and route."""
        return _hash(self.method, self.path, self.credential, self.key or "")


def replay(services: Services, sent: Sent) -> Answer | None:
    """What was answered to this request before, whatever has changed since. Raises ApiError as `perform` does."""
    _check_key(sent.key)
    if not sent.key:
        return None
    with services.store.read() as session:
        kept = keys.kept_answer(session, sent.scope, services.clock())
    return _again(services, kept, sent) if kept is not None else None


def perform(
    services: Services, sent: Sent, action: Callable[[Session], Answer], explain: Callable[[BookingError], Answer]
) -> Answer:
    """Do it once. Raises ApiError for a key used with another body; what may be tried again isn't kept."""
    _check_key(sent.key)
    with services.store.write() as session:
        now = services.clock()
        kept = keys.kept_answer(session, sent.scope, now) if sent.key else None
        if kept is not None:
            return _again(services, kept, sent)
        answer = _attempt(session, action, explain)
        if sent.key and answer.status < 500 and answer.status not in _NOT_FINAL:
            sealed = services.vault.seal(answer.dump())
            keys.keep_answer(session, sent.scope, sent.body_hash, answer.status, sealed, now)
    services.nudge()
    return answer


def _attempt(
    session: Session, action: Callable[[Session], Answer], explain: Callable[[BookingError], Answer]
) -> Answer:
    """Run the action; if it fails, nothing of it stays but the answer that says so."""
    try:
        with session.begin_nested():
            return action(session)
    except BookingError as error:
        return explain(error)
    except ApiError as error:
        return api_problem(error)


def _again(services: Services, kept: IdempotentAnswer, sent: Sent) -> Answer:
    if kept.body_hash != sent.body_hash:
        raise ApiError("idempotency-mismatch", "this Idempotency-Key was used with another body; choose a new one")
    return Answer.load(services.vault.unseal(kept.answer))


def _check_key(key: str | None) -> None:
    if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isprintable()):
        raise ApiError("invalid-request", f"Idempotency-Key must have 1 to {_LONGEST_KEY} printable characters")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
