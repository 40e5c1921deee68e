"""A booking's life until it begins: made, held, confirmed, approved, moved, cancelled.

Each step asks the one predicate, or as much of it as isn't fixed yet, and writes what is owed beside it. Every function
works in the caller's write transaction, so the answer to the client, the booking and the outbox are committed together
or not at all. Those named `check_…` write nothing and ask the same: before a live look is worth its time.

`looked` is what that look came to (`syncd.sync.look`), `standing` how far whoever asks is trusted; left out, a client
is the public, and the freelancer the freelancer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from availability import Reason, Situation
from syncd.booking import policy
from syncd.booking.answers import check_answers
from syncd.booking.clients import Standing, check_client, check_holds
from syncd.booking.expiry import check_in_time, expire, step
from syncd.booking.judging import check_answered, duration_of, judge, judge_outside, moving
from syncd.booking.links import laid_over
from syncd.booking.making import NOTHING, Said, Wish, approval_wait, enter, new_booking, promise_event, say
from syncd.booking.permitted import (
    agreed_state,
    check_answerable,
    check_cancellable,
    check_confirmable,
    check_movable,
    longest_hold_at,
    outcome_of_cancelling,
)
from syncd.booking.recording import change, change_event, flush, note, record
from syncd.booking.states import State
from syncd.errors import ApiError, NotOffered, WrongState, invalid_at
from syncd.situation import Circumstances, Situations
from syncd.store import lives, offers
from syncd.store.models import LIVE_STATES, Booking, Consultation
from syncd.store.offers import Offer
from syncd.sync.look import NOT_LOOKED, Looked

Side = Literal["client", "freelancer"]


# Making


def book(
    session: Session,
    situations: Situations,
    offer: Offer,
    wish: Wish,
    actor: Side,
    now: datetime,
    *,
    looked: Looked = NOT_LOOKED,
    standing: Standing | None = None,
) -> Booking:
    """Book a start: confirmed, pending or held, as the wish and the consultation's `confirmation` have it.

    Raises SlotTaken, NotOffered, AvailabilityUnknown, and ApiError for what no rule of time forbids.
    """
    standing = standing or _standing(actor)
    offers.lock_freelancer(session, offer.freelancer.id)
    around = check_bookable(session, situations, offer, wish, now, standing=standing)
    check_answered(looked)
    expire(session, around.overdue, now)
    booking = new_booking(offer, wish, first_state(offer.consultation, wish, standing), now)
    booking.verified = looked.verified
    if booking.state == "confirmed":
        promise_event(session, booking)
    session.add(booking)
    flush(session, around.situation, booking)
    record(session, booking, actor, _MADE[booking.state], now, {"start": wish.start_at.isoformat()})
    return booking


_MADE = {"held": "hold", "pending": "request", "confirmed": "book"}


def check_bookable(
    session: Session, situations: Situations, offer: Offer, wish: Wish, now: datetime, *, standing: Standing
) -> Circumstances:
    """Raise what keeps a wish from being booked now, as `book` does; returns what it was judged by."""
    held = first_state(offer.consultation, wish, standing) == "held"
    if wish.hold_minutes is not None:
        _check_length(wish.hold_minutes, offer.consultation)
    if not wish.client and not held:
        raise _no_client()
    complete = standing != "freelancer" and bool(wish.client) and not held
    check_answers(offer.consultation.questions, wish.answers, complete=complete)
    around = situations.load(session, offer, now)
    judge(around.situation, wish.duration_minutes * 60, wish.start_at)
    check_client(session, offer.consultation, wish.client, now, standing)
    if held and wish.held_from:
        check_holds(session, offer.freelancer.id, wish.client, wish.held_from, now)
    return around


def first_state(consultation: Consultation, wish: Wish, standing: Standing) -> State:
    """The state in which a booking begins."""
    if wish.hold_minutes is not None or (consultation.confirmation == "key" and standing == "public"):
        return "held"
    return agreed_state(consultation, standing)


def _standing(actor: Side) -> Standing:
    return "freelancer" if actor == "freelancer" else "public"


# Holds


def prolong(
    session: Session,
    booking: Booking,
    minutes: int,
    actor: Side,
    now: datetime,
    *,
    standing: Standing | None = None,
) -> Booking:
    """Let a hold expire so many minutes from now. Raises HoldExpired, WrongState, ApiError for more than is allowed.

    Without a key a hold ends at the latest four times the consultation's `hold_max` after it was made.
    """
    offers.lock_freelancer(session, booking.freelancer_id)
    following = step(booking, "prolong", now)
    _check_length(minutes, booking.consultation)
    until, last = now + timedelta(minutes=minutes), longest_hold_at(booking)
    if (standing or _standing(actor)) == "public" and until > last:
        raise _wrong_length(f"must let it expire by {last.isoformat(timespec='seconds')}: it was held long enough then")
    enter(booking, following, now, hold_until=until)
    change(booking, now)
    record(session, booking, actor, "prolong", now, {"until": until.isoformat()})
    return booking


def release(session: Session, booking: Booking, actor: Side, now: datetime) -> Booking:
    """Give a hold's time back at once. Raises HoldExpired, WrongState."""
    offers.lock_freelancer(session, booking.freelancer_id)
    enter(booking, step(booking, "release", now), now)
    booking.hold_expires_at = now
    change(booking, now)
    record(session, booking, actor, "release", now)
    return booking


def confirm(
    session: Session,
    situations: Situations,
    booking: Booking,
    actor: Side,
    now: datetime,
    *,
    said: Said = NOTHING,
    looked: Looked = NOT_LOOKED,
    standing: Standing | None = None,
) -> Booking:
    """Make of a hold what the client agreed to: confirmed, or pending where the freelancer approves.

    What is `said` (`client`, `answers`, `metadata`) replaces what the hold had. Raises HoldExpired, WrongState,
    SlotTaken for new outside busy time, AvailabilityUnknown, ApiError.
    """
    standing = standing or _standing(actor)
    offers.lock_freelancer(session, booking.freelancer_id)
    situation = check_confirm(session, situations, booking, said, now, standing=standing)
    check_answered(looked)
    say(booking, laid_over(session, booking, said) if actor == "client" else said)
    booking.verified = looked.verified
    enter(booking, check_confirmable(booking, standing, now), now)
    change(booking, now)
    if booking.state == "confirmed":
        promise_event(session, booking)
    flush(session, situation, booking)
    record(session, booking, actor, "confirm" if booking.state == "confirmed" else "request", now)
    return booking


def check_confirm(
    session: Session, situations: Situations, booking: Booking, said: Said, now: datetime, *, standing: Standing
) -> Situation:
    """Raise what keeps a hold from being confirmed now, as `confirm` does; returns what it was judged by."""
    check_confirmable(booking, standing, now)
    client, answers = said.get("client", booking.client), said.get("answers", booking.answers)
    if not client:
        raise _no_client()
    check_answers(booking.consultation.questions, answers, complete=standing != "freelancer")
    situation = _around(session, situations, booking, now).situation
    judge_outside(situation, booking)
    check_client(session, booking.consultation, client, now, standing, leave_out=booking.id)
    return situation


# Approval


def approve(
    session: Session,
    situations: Situations,
    booking: Booking,
    actor: Side,
    now: datetime,
    *,
    looked: Looked = NOT_LOOKED,
) -> Booking:
    """Confirm a pending booking. Raises WrongState, SlotTaken for new outside busy time, AvailabilityUnknown."""
    offers.lock_freelancer(session, booking.freelancer_id)
    situation = check_approve(session, situations, booking, actor, now)
    check_answered(looked)
    enter(booking, check_answerable(booking, "approve", actor, now), now)
    booking.verified = looked.verified
    change(booking, now)
    promise_event(session, booking)
    flush(session, situation, booking)
    record(session, booking, actor, "approve", now)
    return booking


def check_approve(session: Session, situations: Situations, booking: Booking, actor: Side, now: datetime) -> Situation:
    """Raise what keeps a pending booking from being approved now; returns what it was judged by."""
    check_answerable(booking, "approve", actor, now)
    situation = _around(session, situations, booking, now).situation
    judge_outside(situation, booking)
    return situation


def decline(session: Session, booking: Booking, actor: Side, now: datetime, reason: str | None = None) -> Booking:
    """Refuse a pending booking; its time is free again. Raises WrongState."""
    offers.lock_freelancer(session, booking.freelancer_id)
    enter(booking, check_answerable(booking, "decline", actor, now), now)
    booking.cancel_reason = reason
    change(booking, now)
    record(session, booking, actor, "decline", now, {"reason": reason})
    return booking


# Moving and cancelling


def reschedule(
    session: Session,
    situations: Situations,
    booking: Booking,
    start_at: datetime,
    actor: Side,
    now: datetime,
    *,
    agreed: bool | None = None,
    looked: Looked = NOT_LOOKED,
) -> Booking:
    """Move a booking by the same predicate, with its duration as booked. Raises as `book` does, and WrongState.

    `agreed` says that the other side was asked: recorded, never required. A look without an answer never refuses. To
    where it is already it isn't moved: nothing changes.
    """
    offers.lock_freelancer(session, booking.freelancer_id)
    if start_at == booking.starts_at:
        check_movable(booking, now)
        return booking
    around = check_reschedule(session, situations, booking, start_at, now)
    expire(session, around.overdue, now)
    before = booking.starts_at
    with session.no_autoflush:  # the database's guard is heard in `flush` alone
        _move(session, booking, start_at, now)
    booking.verified = looked.verified
    flush(session, moving(around.situation, booking), booking)
    detail = {"from": before.isoformat(), "to": start_at.isoformat(), "agreed": agreed}
    record(session, booking, actor, "reschedule", now, detail)
    return booking


def check_reschedule(
    session: Session, situations: Situations, booking: Booking, start_at: datetime, now: datetime
) -> Circumstances:
    """Raise what keeps a booking from being moved to a start now; returns what it was judged by."""
    check_movable(booking, now)
    around = _around(session, situations, booking, now)
    judge(moving(around.situation, booking), duration_of(booking), start_at)
    return around


def _move(session: Session, booking: Booking, start_at: datetime, now: datetime) -> None:
    snapshot = policy.PolicySnapshot.from_json(booking.policy)
    booking.free_cancellation_until_at = policy.free_cancellation_after_move(
        booking.free_cancellation_until_at, start_at, now, snapshot
    )
    booking.ends_at += start_at - booking.starts_at
    booking.starts_at = start_at
    booking.attendance = []  # whoever came for the old time hasn't come for the new one
    booking.buffer_before_minutes = booking.consultation.buffer_before_minutes
    booking.buffer_after_minutes = booking.consultation.buffer_after_minutes
    wait_until = _waits_until(session, booking) if booking.state == "pending" else None
    enter(booking, step(booking, "reschedule", now), now, wait_until=wait_until)
    booking.sequence += 1
    change_event(booking, now)


def _waits_until(session: Session, booking: Booking) -> datetime:
    """Until when a pending booking waits wherever it is moved: as its consultation has it now, and no less than before.

    The start, which also ends a wait, isn't looked at.
    """
    asked_at = lives.asked_at(session, booking.id) or booking.created_at
    until = asked_at + approval_wait(booking)
    return max(until, booking.overdue_at or until)


def cancel(session: Session, booking: Booking, actor: Side, reason: str | None, now: datetime) -> Booking:
    """Cancel a booking before its start: a confirmed one with the policy's outcome. Raises WrongState, HoldExpired."""
    offers.lock_freelancer(session, booking.freelancer_id)
    following, booking.outcome = check_cancellable(booking, now), outcome_of_cancelling(booking, actor, now)
    enter(booking, following, now)
    booking.cancel_reason = reason
    booking.sequence += 1
    change_event(booking, now)
    session.flush()
    record(session, booking, actor, "cancel", now, {"reason": reason})
    return booking


# Changing what was said


def amend(session: Session, booking: Booking, actor: Side, now: datetime, said: Said) -> Booking:
    """Replace the `note`, the `answers` or the `metadata`; event and time stay. Raises WrongState, ApiError."""
    offers.lock_freelancer(session, booking.freelancer_id)
    check_in_time(booking, now)
    if booking.state not in LIVE_STATES:
        raise WrongState(f"a booking that is {booking.state} can't be changed", current_state=booking.state)
    if "answers" in said:
        complete = actor == "client" and booking.state != "held"
        check_answers(booking.consultation.questions, said["answers"], complete=complete)
    if said:
        say(booking, laid_over(session, booking, said) if actor == "client" else said)
        change(booking, now)
        note(session, booking, actor, "amend", now, {"changed": sorted(said)})
    return booking


# What they share


def _around(session: Session, situations: Situations, booking: Booking, now: datetime) -> Circumstances:
    """What surrounds a booking, itself left out. Raises NotOffered where its consultation is no more."""
    offer = offers.offer_of(session, booking.consultation_id)
    if offer is None:
        raise NotOffered(reasons=[Reason("inactive")])
    return situations.load(session, offer, now, leave_out=booking.id)


def _check_length(minutes: int, consultation: Consultation) -> None:
    if not 1 <= minutes <= consultation.hold_max_minutes:
        raise _wrong_length(f"must be 1 to {consultation.hold_max_minutes} minutes")


def _wrong_length(detail: str) -> ApiError:
    return invalid_at("/hold_minutes", detail, "out_of_range")


def _no_client() -> ApiError:
    return invalid_at("/client", "is missing: only a hold may come without a client", "missing")
