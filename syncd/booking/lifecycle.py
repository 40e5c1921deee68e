"""A booking's life: made, moved, cancelled. Each step asks the one predicate and writes what is owed beside it.

Every function works in the caller's write transaction, so the answer to the client, the booking and the outbox are
committed together or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from availability import Reason, Situation, explain, nearest
from syncd.booking import policy
from syncd.booking.reasons import RULES
from syncd.booking.states import State, next_state
from syncd.errors import AvailabilityUnknown, NotOffered, SlotTaken, WrongState
from syncd.ids import new_id
from syncd.outbox.plan import uid_of
from syncd.situation import Situations
from syncd.store import bookings, offers, outbox, pulls
from syncd.store.models import Booking, BookingAction, BookingEvent, Consultation
from syncd.store.offers import Offer

Side = Literal["client", "freelancer"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for."""

    start_at: datetime
    duration_minutes: int
    client: Mapping[str, Any]
    answers: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def book(session: Session, situations: Situations, offer: Offer, wish: Wish, actor: Side, now: datetime) -> Booking:
    """Book a start, confirmed at once. Raises SlotTaken, NotOffered, AvailabilityUnknown."""
    offers.lock_freelancer(session, offer.freelancer.id)
    situation = situations.load(session, offer, now).situation
    judge(situation, wish.duration_minutes * 60, wish.start_at)
    booking = _new_booking(offer, wish, now)
    booking.event = _promise_event(session, offer, booking)
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
    judge(situation, _duration(booking), start_at)
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


# The predicate's verdict as an error


def judge(situation: Situation, duration: int, start_at: datetime) -> None:
    """Raise what keeps a start from being booked, with every reason (semantics 18)."""
    reasons = reasons_against(situation, duration, start_at)
    if not reasons:
        return
    codes = {reason.code for reason in reasons}
    if codes & RULES:
        raise NotOffered(reasons=reasons)
    if "calendar_stale" in codes:
        raise AvailabilityUnknown(reasons=reasons)
    raise taken(situation, duration, int(start_at.timestamp()), reasons)


def reasons_against(situation: Situation, duration: int, start_at: datetime) -> list[Reason]:
    """Every reason why a start can't be booked; one between two seconds is off every grid."""
    reasons = explain(situation, duration, math.floor(start_at.timestamp()))
    if start_at.microsecond and not any(reason.code == "off_grid" for reason in reasons):
        reasons.insert(0, Reason("off_grid"))
    return reasons


def taken(situation: Situation, duration: int, start: int, reasons: list[Reason]) -> SlotTaken:
    """The error of a lost race, with the nearest slots that are open."""
    return SlotTaken(reasons=reasons, alternatives=nearest(situation, duration, start))


def moving(situation: Situation, booking: Booking) -> Situation:
    """The situation of a booking that is being moved: its own duration is offered, whatever today's are."""
    return replace(situation, rules=replace(situation.rules, durations=(_duration(booking),)))


def _duration(booking: Booking) -> int:
    return int((booking.ends_at - booking.starts_at).total_seconds())


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


def _new_booking(offer: Offer, wish: Wish, now: datetime) -> Booking:
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


def _promise_event(session: Session, offer: Offer, booking: Booking) -> BookingEvent:
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
        raise taken(situation, _duration(booking), start, [Reason("booked")]) from None


def _record(session: Session, booking: Booking, actor: str, action: str, now: datetime, detail: dict[str, Any]) -> None:
    session.add(BookingAction(booking_id=booking.id, at=now, actor=actor, action=action, detail=detail))
    if booking.event.state == "pending":
        outbox.owe_event(session, booking.id, booking.revision, now)
    pulls.bump_availability(session, booking.freelancer_id)
