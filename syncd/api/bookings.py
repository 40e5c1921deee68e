"""Bookings over HTTP: make, see, move, cancel. The actor is the credential."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from syncd.api.acting import PROBLEMS, BodyBytes, Conditions, IdempotencyKey, IfMatch, act
from syncd.api.answers import Answer
from syncd.api.credentials import Caller, KeyHolder, caller_of, key_holder, presented
from syncd.api.idempotency import Sent, perform, replay
from syncd.api.problems import booking_problem
from syncd.api.schemas.bookings import BookingView, Cancel, NewBooking, NewBookingView, Reschedule
from syncd.api.schemas.common import Side
from syncd.api.views import booking_json, new_booking_json
from syncd.booking import lifecycle
from syncd.booking.making import Wish
from syncd.errors import ApiError, BookingError
from syncd.questions import duration_of
from syncd.services import Services
from syncd.store import offers
from syncd.store.models import Booking
from syncd.store.offers import Offer

router = APIRouter(tags=["bookings"])


@router.post(
    "/v1/{handle}/{slug}/bookings",
    operation_id="create_booking",
    status_code=201,
    responses={201: {"model": NewBookingView}, **PROBLEMS},
)
def create_booking(
    request: Request,
    handle: str,
    slug: str,
    wanted: NewBooking,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Book a start, confirmed at once; a lost race is 409 with up to five alternatives."""
    services: Services = request.app.state.services
    credential = presented(request)
    sent = Sent("POST", request.url.path, credential, idempotency_key, body)
    with services.store.read() as session:
        holder = key_holder(session, credential)
        offer = offers.find_offer(session, handle, slug)
    if (before := replay(services, sent)) is not None:
        return before.response(request)
    if offer is None:
        raise ApiError("not-found", f"there is no consultation {handle}/{slug}")
    side = _side_at_creation(offer, holder, wanted.on_behalf_of)
    caller = Caller(side, holder)
    minutes = duration_of(offer, wanted.duration_minutes)

    def make(session: Session) -> Answer:
        fresh = offers.offer_of(session, offer.consultation.id) or offer
        booking = lifecycle.book(session, services.situations, fresh, _wish(wanted, minutes), side, services.clock())
        headers = {"Location": f"/v1/bookings/{booking.id}", "ETag": f'"{booking.revision}"'}
        return Answer.of(201, new_booking_json(services, booking, caller), headers)

    def refuse(error: BookingError) -> Answer:
        tz = offer.freelancer.tz
        return booking_problem(error, tz=tz, duration_minutes=minutes, trusted=caller.is_trusted)

    return perform(services, sent, make, refuse).response(request)


def _side_at_creation(offer: Offer, holder: KeyHolder | None, on_behalf_of: Side | None) -> Side:
    """Who books, and whether they may. Raises ApiError."""
    consultation, freelancer_id = offer.consultation, offer.freelancer.id
    if holder and not holder.may("bookings:write", freelancer_id):
        raise ApiError("forbidden", "this key lacks the scope bookings:write for this freelancer")
    if holder is None and consultation.visibility == "private":
        raise ApiError("unauthorized", "this consultation is private: booking it needs a key")
    if holder is None and consultation.confirmation != "automatic":
        raise ApiError("forbidden", "this consultation is confirmed by its owner: booking it needs a key")
    if holder is None and on_behalf_of == "freelancer":
        raise ApiError("forbidden", "only an API key may act for another side")
    return (on_behalf_of or "freelancer") if holder else "client"


def _wish(wanted: NewBooking, minutes: int) -> Wish:
    return Wish(
        start_at=wanted.start,
        duration_minutes=minutes,
        client=wanted.client.model_dump(exclude_none=True),
        answers=dict(wanted.answers),
        note=wanted.note,
        metadata=dict(wanted.metadata),
    )


@router.get(
    "/v1/bookings/{booking_id}",
    operation_id="get_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def get_booking(request: Request, booking_id: str) -> Response:
    """One booking, for its client or for a key."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        caller, booking = caller_of(session, services.vault, presented(request), booking_id, "bookings:read")
        headers = {"ETag": f'"{booking.revision}"', "Cache-Control": "no-store"}
        return Answer.of(200, booking_json(booking, caller), headers).response(request)


@router.post(
    "/v1/bookings/{booking_id}/reschedule",
    operation_id="reschedule_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def reschedule_booking(
    request: Request,
    booking_id: str,
    wanted: Reschedule,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Move a booking to a new start, by the same predicate as booking it."""

    def move(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        return lifecycle.reschedule(
            session, services.situations, booking, wanted.start, side, services.clock(), agreed=wanted.agreed
        )

    key = Conditions(idempotency_key, if_match, body)
    return act(request, booking_id, key, wanted.on_behalf_of, move)


@router.post(
    "/v1/bookings/{booking_id}/cancel",
    operation_id="cancel_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def cancel_booking(
    request: Request,
    booking_id: str,
    body: BodyBytes,
    wanted: Cancel | None = None,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Cancel a booking before its start; the answer holds the policy's outcome."""
    wish = wanted or Cancel()

    def drop(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        return lifecycle.cancel(session, booking, side, wish.reason, services.clock())

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), wish.on_behalf_of, drop)
