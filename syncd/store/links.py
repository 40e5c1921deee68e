"""Private links as rows, and how often each is used."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, not_, select
from sqlalchemy.orm import Session

from syncd.store.lives import is_over
from syncd.store.models import Booking, Link
from syncd.store.pages import Page, Place, page_of


def links_of(session: Session, consultation_id: str, *, limit: int, after: Place | None = None) -> Page[Link]:
    """A page of a consultation's links, oldest first, revoked ones included."""
    chosen = select(Link).where(Link.consultation_id == consultation_id)
    return page_of(session, chosen, (Link.created_at, Link.id), limit=limit, after=after)


def uses_of(session: Session, link_ids: Collection[str], now: datetime) -> dict[str, int]:
    """How often each of these links is used: its bookings that are neither declined nor expired, swept or not."""
    counted = (
        select(Booking.link_id, func.count())
        .where(Booking.link_id.in_(link_ids), Booking.state.not_in(("expired", "declined")), not_(is_over(now)))
        .group_by(Booking.link_id)
    )
    found = {link_id: count for link_id, count in session.execute(counted) if link_id is not None}
    return {link_id: found.get(link_id, 0) for link_id in link_ids}
