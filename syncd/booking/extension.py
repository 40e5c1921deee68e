"""More time at the end of a consultation: an adjoining booking of its own, so that it is paid and ends by itself.

Decides what the predicate asks of such a booking: all it asks of any other but notice, grid, the extension's own
buffers and those of what it continues. Set hours stay in force, as do outside busy time and other bookings with the
buffers they were booked with. Horizon and limits are fixed with what it continues, and aren't asked again.

It may be asked for from the confirmation on until the added time itself would be over. The client may where
consultations are confirmed automatically; elsewhere it takes a key, as the booking did. An extension has the policy of
what it continues but owes no documents: those belong to the consultation. It may be extended in turn, from its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from availability import Reason, Situation, explain
from syncd.booking import policy
from syncd.booking.clients import Standing
from syncd.booking.expiry import expire_overdue, step
from syncd.booking.judging import check_answered, check_rules
from syncd.booking.making import Wish, enter, new_booking, promise_event
from syncd.booking.policy import Actor, PolicySnapshot
from syncd.booking.recording import note, record
from syncd.errors import ApiError, NotOffered, SlotTaken, WrongState
from syncd.situation import Situations
from syncd.store import bookings, offers
from syncd.store.models import Booking
from syncd.store.offers import Offer
from syncd.sync.look import NOT_LOOKED, Looked

PaidBy = Literal["consultation", "hourly_contract"]


def extend(
    session: Session,
    situations: Situations,
    booking: Booking,
    minutes: int,
    paid_by: PaidBy,
    actor: Actor,
    now: datetime,
    *,
    looked: Looked = NOT_LOOKED,
    standing: Standing = "public",
) -> Booking:
    """Book so many minutes right at the end of a booking; returns the new one, confirmed.

    Raises WrongState, SlotTaken, NotOffered, AvailabilityUnknown, and ApiError for a client who may not.
    """
    expire_overdue(session, booking.freelancer_id, now)
    offer = check_extend(session, situations, booking, minutes, now, standing=standing)
    check_answered(looked)
    extension = _adjoining(offer, booking, minutes, now)
    extension.paid_by, extension.verified = paid_by, looked.verified
    promise_event(session, extension)
    session.add(extension)
    _flush(session)
    detail = {"extension_of": booking.id, "start": extension.starts_at.isoformat(), "paid_by": paid_by}
    record(session, extension, actor, "book", now, detail)
    note(session, booking, actor, "extend", now, {"extension": extension.id, "minutes": minutes, "paid_by": paid_by})
    return extension


def check_extend(
    session: Session, situations: Situations, booking: Booking, minutes: int, now: datetime, *, standing: Standing
) -> Offer:
    """Raise what keeps a booking from being extended now, as `extend` does; returns the offer it is of."""
    check_extendable(booking, minutes, now, standing)
    offer = offers.offer_of(session, booking.consultation_id)
    if offer is None:
        raise NotOffered(reasons=[Reason("inactive")])
    _judge(_after(session, situations.load(session, offer, now).situation, booking, minutes), booking)
    return offer


def check_extendable(booking: Booking, minutes: int, now: datetime, standing: Standing) -> None:
    """Raise what keeps a booking from being extended now, whatever is around it."""
    step(booking, "extend", now)
    if standing == "public" and booking.consultation.confirmation != "automatic":
        raise ApiError("forbidden", "this consultation is confirmed by its owner: extending it needs a key")
    if now >= booking.ends_at + timedelta(minutes=minutes):
        raise WrongState("the added time would be over already", current_state=booking.state)


# What is asked of it


def _judge(situation: Situation, booking: Booking) -> None:
    """Raise the predicate's verdict (semantics 18). No other start would adjoin, so none is named."""
    (duration,) = situation.rules.durations
    reasons = explain(situation, duration, int(booking.ends_at.timestamp()))
    check_rules(reasons)
    if reasons:
        raise SlotTaken(reasons=reasons)


def _after(session: Session, situation: Situation, booking: Booking, minutes: int) -> Situation:
    """The situation of what adjoins a booking: what it continues claims its span, and no buffers."""
    start = int(booking.ends_at.timestamp())
    rules = replace(
        situation.rules,
        durations=(60 * minutes,),
        increment=1,
        minimum_notice=0,
        horizon=max(0, start - situation.now) + 1,
        buffer_before=0,
        buffer_after=0,
        daily_limit=None,
        weekly_limit=None,
        freelancer_daily_limit=None,
        freelancer_weekly_limit=None,
    )
    continued = {one.id for one in _chain(session, booking)}
    claims = tuple(
        replace(claim, buffer_before=0, buffer_after=0) if claim.id in continued else claim
        for claim in situation.claims
    )
    return replace(situation, rules=rules, claims=claims, now=min(situation.now, start))


def _chain(session: Session, booking: Booking | None) -> Iterator[Booking]:
    """A booking, what it extends, and so on."""
    while booking is not None:
        yield booking
        booking = session.get(Booking, booking.extension_of) if booking.extension_of else None


# The row


def _adjoining(offer: Offer, booking: Booking, minutes: int, now: datetime) -> Booking:
    wish = Wish(booking.ends_at, minutes, client=booking.client, metadata=booking.extra)
    extension = new_booking(offer, wish, "confirmed", now)
    snapshot = replace(PolicySnapshot.from_json(booking.policy), documents=())
    extension.extension_of, extension.location = booking.id, booking.location
    extension.policy = snapshot.to_json()
    extension.free_cancellation_until_at = policy.free_cancellation_until(extension.starts_at, snapshot)
    extension.buffer_before_minutes = 0
    extension.buffer_after_minutes = booking.buffer_after_minutes
    enter(extension, "confirmed", now)  # anew: the policy says when nobody's word is needed any more
    return extension


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        if not bookings.is_overlap(error):
            raise
        raise SlotTaken(reasons=[Reason("booked")]) from None
