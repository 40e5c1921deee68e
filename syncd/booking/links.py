"""Private links: made, revoked, and open to whoever brings their token.

Decides whether a link may be used now. Refuses to know how its token is made, and what is booked by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from syncd.booking.making import Said
from syncd.errors import ApiError
from syncd.ids import new_id
from syncd.store.links import uses_of
from syncd.store.models import Booking, Link
from syncd.store.offers import Offer

LinkState = Literal["open", "used_up", "expired", "revoked"]

_CLOSED: Mapping[LinkState, str] = {
    "used_up": "this link is used up: ask for another",
    "expired": "this link has expired: ask for another",
    "revoked": "this link was revoked: ask for another",
}


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What a new link allows: `uses` None is any number; `client` is whom it is for, `metadata` what bookings get."""

    uses: int | None = 1
    expires_at: datetime | None = None
    client: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """Someone who brought a private link's token; `client` and `metadata` are what the link was made with."""

    link_id: str
    freelancer_id: str
    consultation_id: str
    client: Mapping[str, Any] | None
    metadata: Mapping[str, Any]


def link_holder(session: Session, link_id: str) -> LinkHolder | None:
    """Whoever brings this link's token, whether or not it may be used now; None where there is no such link."""
    link = session.get(Link, link_id)
    return LinkHolder(link.id, link.freelancer_id, link.consultation_id, link.client, link.extra) if link else None


def check_open(session: Session, link_id: str, now: datetime) -> None:
    """Refuse a link that is revoked, expired or used up: ApiError `forbidden`.

    Under the write lock this decides races for the last use.
    """
    link = session.get_one(Link, link_id)
    state = state_of(link, uses_of(session, [link_id], now)[link_id], now)
    if state != "open":
        raise ApiError("forbidden", _CLOSED[state])


def state_of(link: Link, used: int, now: datetime) -> LinkState:
    """Whether a link that was used so often may be used now; exactly at `expires_at` it may not."""
    if link.revoked_at is not None:
        return "revoked"
    if link.expires_at is not None and link.expires_at <= now:
        return "expired"
    return "used_up" if link.uses is not None and used >= link.uses else "open"


def laid_over(session: Session, booking: Booking, said: Said) -> Said:
    """What a client says, with what the link it was booked by says in its metadata: no client changes that."""
    link = session.get(Link, booking.link_id) if booking.link_id and "metadata" in said else None
    return {**said, "metadata": {**said["metadata"], **link.extra}} if link else said


def make_link(session: Session, offer: Offer, terms: LinkTerms, now: datetime) -> Link:
    """A new link to a consultation."""
    link = Link(
        id=new_id("lnk"),
        freelancer_id=offer.freelancer.id,
        consultation_id=offer.consultation.id,
        uses=terms.uses,
        expires_at=terms.expires_at,
        client=dict(terms.client) if terms.client else None,
        extra=dict(terms.metadata),
        created_at=now,
        revoked_at=None,
    )
    session.add(link)
    session.flush()
    return link


def revoke(link: Link, now: datetime) -> None:
    """Close a link for good; what was booked by it stays."""
    link.revoked_at = link.revoked_at or now
