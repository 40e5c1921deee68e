"""What may be done to a booking until it begins, as far as the booking itself, who asks and the time decide it.

Asked before something is done, and to say what could be done. Refuses to know calendars, other bookings and set hours.
Every `check_…` gives the state that follows, or raises WrongState, HoldExpired, or ApiError where it is for another.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from syncd.booking import policy
from syncd.booking.clients import Standing
from syncd.booking.expiry import step
from syncd.booking.policy import Actor
from syncd.booking.states import State
from syncd.errors import ApiError, WrongState
from syncd.store.models import Booking, Consultation

_LONGEST_HOLDS = 4


def agreed_state(consultation: Consultation, standing: Standing) -> State:
    """The state of what a client has agreed to: only the freelancer needs nobody's approval."""
    return "pending" if consultation.confirmation == "freelancer" and standing != "freelancer" else "confirmed"


def check_confirmable(booking: Booking, standing: Standing, now: datetime) -> State:
    """A hold that becomes what its client agreed to."""
    asked = agreed_state(booking.consultation, standing) == "pending"
    following = step(booking, "request" if asked else "confirm", now)
    if booking.consultation.confirmation == "key" and standing == "public":
        raise ApiError("forbidden", "this consultation is confirmed by its owner's key alone")
    if asked:
        not_begun(booking, now)
    return following


def longest_hold_at(booking: Booking) -> datetime:
    """Until when a hold may be prolonged without a key: four times the consultation's `hold_max` after it was made."""
    return booking.created_at + _LONGEST_HOLDS * timedelta(minutes=booking.consultation.hold_max_minutes)


def check_answerable(booking: Booking, action: Literal["approve", "decline"], actor: Actor, now: datetime) -> State:
    """A pending booking that its freelancer approves or declines."""
    if actor != "freelancer":
        raise ApiError("forbidden", "only the freelancer approves and declines")
    return step(booking, action, now)


def check_movable(booking: Booking, now: datetime) -> State:
    """The state a booking has once it is moved. Raises WrongState if it can't be moved now, wherever to."""
    following = step(booking, "reschedule", now)
    not_begun(booking, now)
    return following


def check_cancellable(booking: Booking, now: datetime) -> State:
    """A booking that is cancelled before its start."""
    following = step(booking, "cancel", now)
    not_begun(booking, now)
    return following


def outcome_of_cancelling(booking: Booking, actor: Actor, now: datetime) -> dict[str, Any] | None:
    """What follows from cancelling now; nothing where it isn't confirmed."""
    if booking.state != "confirmed":
        return None
    return policy.cancel_outcome(actor, now, booking.free_cancellation_until_at).to_json()


def not_begun(booking: Booking, now: datetime) -> None:
    """Raise WrongState for a booking whose start has come."""
    if now >= booking.starts_at:
        message = "the consultation has begun: it can't be moved, cancelled or asked for any more"
        raise WrongState(message, current_state=booking.state)
