"""What each action on a booking would mean now, before it is done: whether it may be, what follows, until when.

Decides from the booking's row, who asks and the time alone. Refuses to know what else could stand against it: busy
time, other bookings, set hours, how many bookings a client has. Pure: the row is read, never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import inspect

from syncd.booking import facts as known
from syncd.booking import permitted, policy
from syncd.booking.aftermath import effective_outcome
from syncd.booking.clients import Standing
from syncd.booking.expiry import check_in_time, step
from syncd.booking.extension import check_extendable
from syncd.booking.facts import facts_of
from syncd.booking.policy import Actor, Facts
from syncd.booking.states import next_state
from syncd.errors import ApiError, BookingError, WrongState, problem_type
from syncd.instants import rfc3339
from syncd.store.models import Booking

ActionName = Literal[
    "confirm",
    "prolong",
    "release",
    "approve",
    "decline",
    "reschedule",
    "cancel",
    "attendance",
    "no_show",
    "complete",
    "documents",
    "dispute",
    "extend",
]

LONGEST_EXTENSION = 24 * 60
"""By how many minutes a booking is extended at most."""
_SHORTEST_HOLD = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Person:
    """Who would act: on which side, and how far they are trusted. Who is `public` brings a booking's token."""

    side: Actor
    standing: Standing

    @property
    def other(self) -> Actor:
        """The side across the table."""
        return "freelancer" if self.side == "client" else "client"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What an action would mean now.

    `reason` is the code of the problem that doing it would be answered with, `detail` says it in words. `outcome` is
    what would follow from the booking once it is done, `assuming` the members of the request that this rests on.
    `changes_at` is when time alone next changes any of that: from then on, or from just after it where exactly then
    still counts.
    """

    action: ActionName
    allowed: bool
    reason: str | None = None
    detail: str | None = None
    outcome: Mapping[str, Any] | None = None
    assuming: Mapping[str, Any] | None = None
    changes_at: datetime | None = None


def actions_of(booking: Booking, person: Person, now: datetime) -> list[Prospect]:
    """What every action would mean for a person now, in the order of a booking's life."""
    ahead = [at for at in _turning_points(booking) if at >= now]
    return [_prospect(action, booking, person, now, ahead) for action in _RULES]


def _prospect(action: ActionName, booking: Booking, person: Person, now: datetime, ahead: list[datetime]) -> Prospect:
    found = _judged(action, booking, person, now)
    for at in ahead:
        # Exactly then may still be in time, as with a cancellation, or not any more, as with a hold.
        after = [_judged(action, booking, person, then) for then in (at, at + _INSTANT) if then > now]
        if any(_said(one) != _said(found) for one in after):
            return replace(found, changes_at=at)
    return found


def _turning_points(booking: Booking) -> list[datetime]:
    """Every instant at which time alone may change what an action means, sorted."""
    facts = facts_of(booking, booking.starts_at)
    instants = [
        booking.hold_expires_at,
        booking.overdue_at,
        permitted.longest_hold_at(booking) - _SHORTEST_HOLD,
        booking.free_cancellation_until_at,
        booking.starts_at - known.EARLIEST_ARRIVAL,
        booking.starts_at,
        booking.starts_at + facts.policy.late_after,
        booking.ends_at + timedelta(minutes=LONGEST_EXTENSION),
        policy.completed_at(facts.end, facts.policy),
        policy.documents_due_at(facts.end, facts.policy),
        policy.final_at(facts.end, facts.policy),
    ]
    return sorted({at for at in instants if at is not None})


def _said(prospect: Prospect) -> tuple[object, ...]:
    """What of a prospect counts as a change: when an outcome would be final is told, but goes with the time."""
    outcome = {name: value for name, value in (prospect.outcome or {}).items() if name != "final_at"}
    return prospect.allowed, prospect.reason, outcome


def _judged(action: ActionName, booking: Booking, person: Person, now: datetime) -> Prospect:
    try:
        effect = _RULES[action](booking, person, now)
    except (BookingError, ApiError) as error:
        kind = problem_type(error)
        return Prospect(action, allowed=False, reason=kind.code if kind else None, detail=str(error))
    return Prospect(action, allowed=True, outcome=effect.outcome, assuming=effect.assuming)


@dataclass(frozen=True, slots=True)
class _Effect:
    """What is known of an action that may be done."""

    outcome: Mapping[str, Any] | None = None
    assuming: Mapping[str, Any] | None = None


# Until it begins


def _confirm(booking: Booking, person: Person, now: datetime) -> _Effect:
    permitted.check_confirmable(booking, person.standing, now)
    return _Effect()


def _prolong(booking: Booking, person: Person, now: datetime) -> _Effect:
    step(booking, "prolong", now)
    if person.standing == "public" and now + _SHORTEST_HOLD > permitted.longest_hold_at(booking):
        raise ApiError("invalid-request", "it was held long enough")
    return _Effect()


def _release(booking: Booking, person: Person, now: datetime) -> _Effect:
    step(booking, "release", now)
    return _Effect()


def _approve(booking: Booking, person: Person, now: datetime) -> _Effect:
    permitted.check_answerable(booking, "approve", person.side, now)
    return _Effect()


def _decline(booking: Booking, person: Person, now: datetime) -> _Effect:
    permitted.check_answerable(booking, "decline", person.side, now)
    return _Effect()


def _reschedule(booking: Booking, person: Person, now: datetime) -> _Effect:
    permitted.check_movable(booking, now)
    return _Effect()


def _cancel(booking: Booking, person: Person, now: datetime) -> _Effect:
    permitted.check_cancellable(booking, now)
    return _Effect(permitted.outcome_of_cancelling(booking, person.side, now))


# Once it has begun


def _attendance(booking: Booking, person: Person, now: datetime) -> _Effect:
    booking = _heard(booking, now)
    facts = known.with_arrival(booking, person.side, now, person.side, now)
    return _told(booking, booking.state, facts, {"who": person.side, "joined_at": rfc3339(now)})


def _no_show(booking: Booking, person: Person, now: datetime) -> _Effect:
    """The other side's absence; a key that names no side may report either."""
    booking = _heard(booking, now)
    try:
        return _absent(booking, person, person.other, now)
    except WrongState:
        if person.standing != "key" or person.side == "client":
            raise
        return _absent(booking, person, person.side, now)


def _absent(booking: Booking, person: Person, absent: Actor, now: datetime) -> _Effect:
    facts = known.with_absence(booking, absent, person.side, now)
    return _told(booking, "no_show", facts, {"absent": absent})


def _complete(booking: Booking, person: Person, now: datetime) -> _Effect:
    check_in_time(booking, now)
    facts = known.with_completion(booking, person.side, now)
    return _told(booking, next_state(booking.state, "complete"), facts)


def _documents(booking: Booking, person: Person, now: datetime) -> _Effect:
    """A client waives them, the freelancer's side says that they are delivered now."""
    booking = _heard(booking, now)
    owed = tuple(booking.policy["documents"])
    if person.side == "client":
        return _told(booking, booking.state, known.with_waiver(booking, owed, now), {"waived": True})
    facts = known.with_delivery(booking, owed, now, now)
    return _told(booking, booking.state, facts, {"delivered_at": rfc3339(now)})


def _dispute(booking: Booking, person: Person, now: datetime) -> _Effect:
    if person.side != "client":
        raise ApiError("forbidden", "only the client disputes")
    booking = _heard(booking, now)
    return _told(booking, booking.state, known.with_dispute(booking, now))


def _extend(booking: Booking, person: Person, now: datetime) -> _Effect:
    check_extendable(booking, LONGEST_EXTENSION, now, person.standing)
    return _Effect()


_RULES: Mapping[ActionName, Callable[[Booking, Person, datetime], _Effect]] = {
    "confirm": _confirm,
    "prolong": _prolong,
    "release": _release,
    "approve": _approve,
    "decline": _decline,
    "reschedule": _reschedule,
    "cancel": _cancel,
    "attendance": _attendance,
    "no_show": _no_show,
    "complete": _complete,
    "documents": _documents,
    "dispute": _dispute,
    "extend": _extend,
}


# What they share


def _heard(booking: Booking, now: datetime) -> Booking:
    """The booking as it will be when something is told of it: completed by then if nobody has said anything in time."""
    check_in_time(booking, now)
    return _with(booking, state="completed") if known.is_overdue(booking, facts_of(booking, now)) else booking


def _told(booking: Booking, state: str, facts: Facts, assuming: Mapping[str, Any] | None = None) -> _Effect:
    """What follows once a booking is in a state and this is known; nothing yet as long as it is to come."""
    if state not in known.OVER:
        return _Effect(assuming=assuming)
    return _Effect(effective_outcome(_with(booking, outcome=policy.decide(facts).to_json())), assuming)


def _with(booking: Booking, **changes: object) -> Booking:
    """A copy of a booking's row that no session knows."""
    columns = {column.key: getattr(booking, column.key) for column in inspect(Booking).column_attrs}
    return Booking(**{**columns, **changes})
