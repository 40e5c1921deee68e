"""Who may book and hold, and how much (semantics 18): a freelancer's and a consultation's rules about clients.

Decides from rows alone, after the predicate has allowed the start. Refuses to know what a start is. Raises ApiError,
since no rule of time is broken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from syncd.errors import ApiError
from syncd.store import lives
from syncd.store.models import Consultation, Freelancer

Standing = Literal["public", "key", "freelancer"]
"""How far whoever asks is trusted: no key, a key, or the freelancer (a key that says so, the command line)."""


@dataclass(frozen=True, slots=True)
class HeldFrom:
    """Where a hold without a key comes from: a keyed hash of the network address; `most` may be open from there."""

    mark: str
    most: int


def address_of(client: Mapping[str, Any]) -> str:
    """A client's e-mail address as it is compared: "" where there is none."""
    return str(client.get("email", "")).strip().lower()


def check_client(
    session: Session,
    consultation: Consultation,
    client: Mapping[str, Any],
    now: datetime,
    standing: Standing,
    *,
    leave_out: str | None = None,
) -> None:
    """Refuse a client who is blocked or has booked enough: ApiError `forbidden`, which doesn't say which of the two.

    The freelancer may book anyone. `leave_out` is a booking that is being confirmed.
    """
    address = address_of(client)
    if standing == "freelancer" or not address:
        return
    limit, refused = consultation.per_client_limit, _is_blocked(consultation.freelancer, address)
    if not refused and limit is not None:
        refused = lives.upcoming_of_client(session, consultation, address, now, leave_out=leave_out) >= limit
    if refused:
        raise ApiError("forbidden", "this client can't book this consultation now")


def _is_blocked(freelancer: Freelancer, address: str) -> bool:
    blocked = {entry.lower() for entry in freelancer.blocked_clients}
    return address in blocked or "@" + address.rpartition("@")[2] in blocked


def check_holds(
    session: Session, freelancer_id: str, client: Mapping[str, Any], held_from: HeldFrom, now: datetime
) -> None:
    """Refuse a hold where as many are open from its network address, or for its client: ApiError `rate-limited`."""
    _check_few(lives.open_holds(session, freelancer_id, now, held_from=held_from.mark), held_from.most, now)
    if address := address_of(client):
        _check_few(lives.open_holds(session, freelancer_id, now, client_address=address), held_from.most, now)


def _check_few(expire_at: Sequence[datetime], most: int, now: datetime) -> None:
    if len(expire_at) < most:
        return
    wait = max(1, math.ceil((expire_at[len(expire_at) - most] - now).total_seconds()))
    detail = f"{most} holds are open already: confirm or release one, or try again in {wait} s"
    raise ApiError("rate-limited", detail, retry_after=wait)
