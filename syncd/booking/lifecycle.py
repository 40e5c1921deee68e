"""A booking's life: made, moved, cancelled. Each step asks the one predicate and writes what is owed beside it.

Every function works in the caller's write transaction, so the answer to the client, the booking and the outbox are
committed together or not at all.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from availability import Reason, Situation
from syncd.booking import policy
from syncd.booking.judging import duration_of, judge, moving, taken
from syncd.booking.making import Wish, new_booking, promise_event
from syncd.booking.states import State, next_state
from syncd.errors import NotOffered, WrongState
from syncd.situation import Situations
from syncd.store import bookings, offers, outbox, pulls
from syncd.store.models import Booking, BookingAction, Consultation
from syncd.store.offers import Offer

Side = Literal["client", "freelancer"]


def book(session: Session, situations: Situations, offer: Offer, wish: Wish, actor: Side, now: datetime) -> Booking:
    """Book a start, confirmed at once. Raises SlotTaken, NotOffered, AvailabilityUnknown."""
    offers.lock_freelancer(session, offer.freelancer.id)
    situation = situations.load(session, offer, now).situation
    judge(situation, wish.duration_minutes * 60, wish.start_at)
    booking = new_booking(offer, wish, now)
    booking.event = promise_event(session, offer, booking)
    session.add(booking)
    _flush(session, situation, booking)
    _record(session, booking, actor, "book", now, {"start": wish.start_at.isoformat()})
    return booking


def reschedule(
    session: Session,
    situations: Situations,
    booking: Booking,
    start_at: datetime,
    actor: Side,
    now: datetime,
    *,
    agreed: bool | None = None,
) -> Booking:
    """Move a booking by the same predicate, with its duration as booked. Raises as `book` does, and WrongState.

    `agreed` says that the other side was asked: recorded, never required.
    """
    offers.lock_freelancer(session, booking.freelancer_id)
    following = check_movable(booking, now)
    offer = offers.offer_of(session, booking.consultation_id)
    if offer is None:
        raise NotOffered(reasons=[Reason("inactive")])
    situation = moving(situations.load(session, offer, now, leave_out=booking.id).situation, booking)
    judge(situation, duration_of(booking), start_at)
    before = booking.starts_at
    _move(booking, offer.consultation, start_at, now)
    booking.state = following
    _flush(session, situation, booking)
    detail = {"from": before.isoformat(), "to": start_at.isoformat(), "agreed": agreed}
    _record(session, booking, actor, "reschedule", now, detail)
    return booking


def cancel(session: Session, booking: Booking, actor: Side, reason: str | None, now: datetime) -> Booking:
    """Cancel a booking before its start, with the policy's outcome. Raises WrongState."""
    offers.lock_freelancer(session, booking.freelancer_id)
    following = next_state(booking.state, "cancel")
    _not_begun(booking, now)
    outcome = policy.cancel_outcome(actor, now, booking.free_cancellation_until_at)
    booking.outcome = {**asdict(outcome), "final_at": outcome.final_at.isoformat()}
    booking.state, booking.cancel_reason = following, reason
    booking.sequence += 1
    _changed(booking, now)
    session.flush()
    _record(session, booking, actor, "cancel", now, {"reason": reason})
    return booking


def check_movable(booking: Booking, now: datetime) -> State:
    """The state a booking has once it is moved. Raises WrongState if it can't be moved now, wherever to."""
    following = next_state(booking.state, "reschedule")
    _not_begun(booking, now)
    return following


def _not_begun(booking: Booking, now: datetime) -> None:
    if now >= booking.starts_at:
        message = "the consultation has begun: it can't be moved or cancelled any more"
        raise WrongState(message, current_state=booking.state)


# Rows


def _move(booking: Booking, consultation: Consultation, start_at: datetime, now: datetime) -> None:
    snapshot = policy.PolicySnapshot.from_json(booking.policy)
    booking.free_cancellation_until_at = policy.free_cancellation_after_move(
        booking.free_cancellation_until_at, start_at, now, snapshot
    )
    booking.ends_at += start_at - booking.starts_at
    booking.starts_at = start_at
    booking.buffer_before_minutes = consultation.buffer_before_minutes
    booking.buffer_after_minutes = consultation.buffer_after_minutes
    booking.sequence += 1
    _changed(booking, now)


def _changed(booking: Booking, now: datetime) -> None:
    booking.revision += 1
    booking.updated_at = now
    if booking.event.state != "none":
        booking.event.state = "pending"


def _flush(session: Session, situation: Situation, booking: Booking) -> None:
    """Write the booking; what the predicate allowed and the database refuses was lost to a racing writer."""
    try:
        session.flush()
    except IntegrityError as error:
        if not bookings.is_overlap(error):
            raise
        start = int(booking.starts_at.timestamp())
        raise taken(situation, duration_of(booking), start, [Reason("booked")]) from None


def _record(session: Session, booking: Booking, actor: str, action: str, now: datetime, detail: dict[str, Any]) -> None:
    session.add(BookingAction(booking_id=booking.id, at=now, actor=actor, action=action, detail=detail))
    if booking.event.state == "pending":
        outbox.owe_event(session, booking.id, booking.revision, now)
    pulls.bump_availability(session, booking.freelancer_id)
