"""A booking's rows when it is made: what of the consultation's rules and policy is fixed in it, and when time ends it.

Decides what a new booking holds. Refuses to know whether it may be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from syncd.booking import policy
from syncd.booking.clients import HeldFrom, address_of
from syncd.booking.states import State
from syncd.ids import new_id
from syncd.outbox.plan import uid_of
from syncd.store import bookings
from syncd.store.models import Booking, BookingEvent
from syncd.store.offers import Offer


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for.

    `client` is empty while a hold has none; `hold_minutes` asks for a hold, and `held_from` is where a hold without a
    key comes from; `link_id` is the private link by which it is booked.
    """

    start_at: datetime
    duration_minutes: int
    client: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    hold_minutes: int | None = None
    held_from: HeldFrom | None = None
    link_id: str | None = None


def new_booking(offer: Offer, wish: Wish, state: State, now: datetime) -> Booking:
    """A booking that isn't in the store yet, with the policy and the buffers as they are now, and no event so far."""
    consultation = offer.consultation
    snapshot = _snapshot(offer)
    booking = Booking(
        id=new_id("bkg"),
        freelancer=offer.freelancer,
        consultation=consultation,
        freelancer_id=offer.freelancer.id,
        consultation_id=consultation.id,
        starts_at=wish.start_at,
        ends_at=wish.start_at + timedelta(minutes=wish.duration_minutes),
        buffer_before_minutes=consultation.buffer_before_minutes,
        buffer_after_minutes=consultation.buffer_after_minutes,
        revision=1,
        sequence=0,
        token_generation=1,
        answers=dict(wish.answers),
        note=wish.note,
        extra=dict(wish.metadata),
        location=consultation.location.replace("{room}", new_id("room").partition("_")[2]),
        verified=False,
        policy=snapshot.to_json(),
        free_cancellation_until_at=policy.free_cancellation_until(wish.start_at, snapshot),
        outcome=None,
        held_from=wish.held_from.mark if wish.held_from else None,
        link_id=wish.link_id,
        created_at=now,
        updated_at=now,
    )
    set_client(booking, wish.client)
    hold_minutes = wish.hold_minutes or consultation.hold_max_minutes
    enter(booking, state, now, hold_until=now + timedelta(minutes=hold_minutes))
    booking.event = BookingEvent(
        booking_id=booking.id, state="none", calendar_id=None, generation=1, uid=uid_of(booking.id, 1)
    )
    return booking


def _snapshot(offer: Offer) -> policy.PolicySnapshot:
    consultation = offer.consultation
    return policy.PolicySnapshot(
        cancellation_notice_minutes=consultation.cancellation_notice_minutes,
        reschedule_keeps_deadline=consultation.reschedule_keeps_deadline,
        late_after_minutes=consultation.late_after_minutes,
        complete_after_minutes=consultation.complete_after_minutes,
        documents=tuple(consultation.documents),
        documents_due_minutes=consultation.documents_due_minutes,
    )


Said = Mapping[str, Any]
"""What is said with a booking: any of `client`, `answers`, `note`, `metadata`; what isn't in it stays as it was."""
NOTHING: Said = MappingProxyType({})


def given(**said: Any) -> Said:
    """What of it isn't None."""
    return {name: value for name, value in said.items() if value is not None}


def say(booking: Booking, said: Said) -> None:
    """Write into a booking what is said with it."""
    if "client" in said:
        set_client(booking, said["client"])
    if "answers" in said:
        booking.answers = dict(said["answers"])
    if "note" in said:
        booking.note = said["note"]
    if "metadata" in said:
        booking.extra = dict(said["metadata"])


def set_client(booking: Booking, client: Mapping[str, Any]) -> None:
    """Say who comes; the address is kept beside it as it is compared."""
    booking.client, booking.client_address = dict(client), address_of(client)


def enter(
    booking: Booking,
    state: State,
    now: datetime,
    *,
    hold_until: datetime | None = None,
    wait_until: datetime | None = None,
) -> None:
    """Put a booking into a state, and say when time alone ends that.

    A hold lasts until `hold_until`; a wait for approval until `wait_until` (default: as long from now as the
    consultation says), and never beyond the start; a confirmed one until nobody has reported in time.
    """
    booking.state = state
    if state == "held":
        booking.hold_expires_at = booking.overdue_at = hold_until
    elif state == "pending":
        until = wait_until or now + approval_wait(booking)
        booking.hold_expires_at, booking.overdue_at = None, min(until, booking.starts_at)
    elif state == "confirmed":
        wait = timedelta(minutes=policy.PolicySnapshot.from_json(booking.policy).complete_after_minutes)
        booking.hold_expires_at, booking.overdue_at = None, booking.ends_at + wait
    else:
        booking.overdue_at = None


def approval_wait(booking: Booking) -> timedelta:
    """How long a booking of this consultation waits for approval, as things are now."""
    return timedelta(minutes=booking.consultation.approve_within_minutes)


def promise_event(session: Session, booking: Booking) -> None:
    """Owe the booking its event: in the target if there is one, later if it was chosen but isn't known yet."""
    named = booking.consultation.target
    target = bookings.target_of(session, booking.freelancer_id, named)
    owed = target is not None or bookings.wants_target(session, booking.freelancer_id, named)
    booking.event.state = "pending" if owed else "none"
    booking.event.calendar_id = target.id if target else None
