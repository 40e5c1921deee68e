"""A booking's rows when it is made: what of the consultation's rules and policy is fixed in it.

Decides what a new booking holds. Refuses to know whether it may be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from syncd.booking import policy
from syncd.ids import new_id
from syncd.outbox.plan import uid_of
from syncd.store import bookings
from syncd.store.models import Booking, BookingEvent
from syncd.store.offers import Offer


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for."""

    start_at: datetime
    duration_minutes: int
    client: Mapping[str, Any]
    answers: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def new_booking(offer: Offer, wish: Wish, now: datetime) -> Booking:
    """A booking that isn't in the store yet: confirmed, with the policy and the buffers as they are now."""
    consultation = offer.consultation
    booking_id = new_id("bkg")
    snapshot = policy.PolicySnapshot(
        cancellation_notice_minutes=consultation.cancellation_notice_minutes,
        reschedule_keeps_deadline=consultation.reschedule_keeps_deadline,
        late_after_minutes=consultation.late_after_minutes,
        complete_after_minutes=consultation.complete_after_minutes,
        documents=tuple(consultation.documents),
        documents_due_minutes=consultation.documents_due_minutes,
    )
    return Booking(
        id=booking_id,
        freelancer=offer.freelancer,
        consultation=consultation,
        freelancer_id=offer.freelancer.id,
        consultation_id=consultation.id,
        state="confirmed",
        starts_at=wish.start_at,
        ends_at=wish.start_at + timedelta(minutes=wish.duration_minutes),
        buffer_before_minutes=consultation.buffer_before_minutes,
        buffer_after_minutes=consultation.buffer_after_minutes,
        revision=1,
        sequence=0,
        token_generation=1,
        client=dict(wish.client),
        answers=dict(wish.answers),
        note=wish.note,
        extra=dict(wish.metadata),
        location=consultation.location.replace("{room}", new_id("room").partition("_")[2]),
        verified=False,
        policy=snapshot.to_json(),
        free_cancellation_until_at=policy.free_cancellation_until(wish.start_at, snapshot),
        outcome=None,
        created_at=now,
        updated_at=now,
    )


def promise_event(session: Session, offer: Offer, booking: Booking) -> BookingEvent:
    """The booking's event-to-be: in the target if there is one, later if it was chosen but isn't known yet."""
    target = bookings.target_of(session, offer.freelancer.id, offer.consultation.target)
    owed = target is not None or bookings.wants_target(session, offer.freelancer.id, offer.consultation.target)
    return BookingEvent(
        booking_id=booking.id,
        state="pending" if owed else "none",
        calendar_id=target.id if target else None,
        generation=1,
        uid=uid_of(booking.id, 1),
    )
