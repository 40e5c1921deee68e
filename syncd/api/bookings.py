"""Bookings over HTTP: make, see, amend, move, cancel. The actor is the credential."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from syncd.api.acting import (
    MAKING,
    PROBLEMS,
    READING,
    Asker,
    BodyBytes,
    Conditions,
    IdempotencyKey,
    IfMatch,
    act,
    act_after_look,
    act_as,
    asker_of,
)
from syncd.api.answers import Answer
from syncd.api.credentials import Caller, Visitor, admit, caller_of, presented, visitor_of
from syncd.api.idempotency import Sent, replay
from syncd.api.limits import client_address, per_minute
from syncd.api.looking import View, perform_after_look
from syncd.api.problems import booking_problem
from syncd.api.schemas.bookings import Amend, BookingView, Cancel, NewBooking, NewBookingView, Reschedule
from syncd.api.schemas.common import Side
from syncd.api.views import booking_json, new_booking_json
from syncd.booking import lifecycle
from syncd.booking.clients import HeldFrom
from syncd.booking.making import Said, Wish
from syncd.booking.permitted import check_movable
from syncd.errors import ApiError, BookingError
from syncd.questions import duration_of
from syncd.services import Services
from syncd.store import offers
from syncd.store.models import Booking
from syncd.store.offers import Offer
from syncd.sync.look import Looked

router = APIRouter(tags=["bookings"])


@router.post(
    "/v1/{handle}/{slug}/bookings",
    operation_id="create_booking",
    status_code=201,
    responses={201: {"model": NewBookingView}, **MAKING},
)
def create_booking(
    request: Request,
    handle: str,
    slug: str,
    wanted: NewBooking,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Book a start, or hold it; a lost race is 409 with up to five alternatives.

    It is confirmed at once, or pending where the freelancer approves, or held with `hold_minutes` and where only a key
    confirms.
    """
    services: Services = request.app.state.services
    credential = presented(request)
    sent = Sent("POST", request.url.path, credential, idempotency_key, body)
    with services.store.read() as session:
        visitor = visitor_of(session, services.vault, credential)
        offer = offers.find_offer(session, handle, slug)
    if (before := replay(services, sent)) is not None:
        return before.response(request)
    if offer is None:
        raise ApiError("not-found", f"there is no consultation {handle}/{slug}")
    desk = _Desk.of(services, visitor, offer, wanted, client_address(request, services.config.server.trusted_proxies))

    def make(session: Session, _view: View | None, looked: Looked) -> Answer:
        booking = desk.book(session, looked)
        headers = {"Location": f"/v1/bookings/{booking.id}", "ETag": f'"{booking.revision}"'}
        return Answer.of(201, new_booking_json(services, booking, desk.caller), headers)

    return perform_after_look(services, sent, desk.rehearse, make, desk.refuse).response(request)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where one wish is booked, and for whom."""

    services: Services
    visitor: Visitor
    caller: Caller
    asker: Asker
    offer: Offer
    wish: Wish

    @classmethod
    def of(cls, services: Services, visitor: Visitor, offer: Offer, wanted: NewBooking, address: str) -> _Desk:
        """Who books what. Raises ApiError for a key that may not."""
        caller = Caller("freelancer" if visitor.key else "client", visitor.key)
        if visitor.key and not visitor.key.may("bookings:write", offer.freelancer.id):
            raise ApiError("forbidden", "this key lacks the scope bookings:write for this freelancer")
        held_from = HeldFrom(services.vault.address_mark(address), _most_holds(services))
        minutes = wanted.duration_minutes or offer.consultation.durations_minutes[0]
        wish = _wish(wanted, visitor, minutes, held_from)
        return cls(services, visitor, caller, asker_of(caller, wanted.on_behalf_of), offer, wish)

    def rehearse(self, session: Session) -> View:
        """Ask of the store all that booking asks. Raises ApiError, BookingError."""
        offer, situations, now = self._admitted(session), self.services.situations, self.services.clock()
        lifecycle.check_bookable(session, situations, offer, self.wish, now, standing=self.asker.standing)
        end_at = self.wish.start_at + timedelta(minutes=self.wish.duration_minutes)
        return View(offer.consultation.id, self.wish.start_at, end_at)

    def book(self, session: Session, looked: Looked) -> Booking:
        """Book it. Raises ApiError, BookingError."""
        offers.lock_freelancer(session, self.offer.freelancer.id)  # before a link's uses are counted
        offer, situations, now = self._admitted(session), self.services.situations, self.services.clock()
        side, standing = self.asker.side, self.asker.standing
        return lifecycle.book(session, situations, offer, self.wish, side, now, looked=looked, standing=standing)

    def _admitted(self, session: Session) -> Offer:
        """The offer as it is now, for a visitor who may still book it so long."""
        offer = offers.find_offer(session, self.offer.freelancer.handle, self.offer.consultation.slug)
        if offer is None:
            raise ApiError("not-found", "this consultation is no more")
        admit(session, self.visitor, offer, self.services.clock())
        duration_of(offer, self.wish.duration_minutes)
        return offer

    def refuse(self, error: BookingError) -> Answer:
        """Why it can't be booked."""
        tz, minutes = self.offer.freelancer.tz, self.wish.duration_minutes
        return booking_problem(error, tz=tz, duration_minutes=minutes, trusted=self.caller.is_trusted)


def _most_holds(services: Services) -> int:
    """How many holds may be open from one address: a tenth of the bookings it may ask for in a minute."""
    return max(1, per_minute(services.config.server.rate_limits.booking) // 10)


def _wish(wanted: NewBooking, visitor: Visitor, minutes: int, held_from: HeldFrom) -> Wish:
    client, metadata = wanted.client.model_dump(exclude_none=True) if wanted.client else {}, dict(wanted.metadata)
    link = visitor.link
    return Wish(
        start_at=wanted.start,
        duration_minutes=minutes,
        client=client or (link.client if link else None) or {},
        answers=dict(wanted.answers),
        note=wanted.note,
        metadata={**metadata, **link.metadata} if link else metadata,
        hold_minutes=wanted.hold_minutes,
        held_from=None if visitor.key else held_from,
        link_id=link.link_id if link else None,
    )


@router.get(
    "/v1/bookings/{booking_id}",
    operation_id="get_booking",
    responses={200: {"model": BookingView}, **READING},
)
def get_booking(request: Request, booking_id: str) -> Response:
    """One booking, for its client or for a key."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        caller, booking = caller_of(session, services.vault, presented(request), booking_id, "bookings:read")
        headers = {"ETag": f'"{booking.revision}"', "Cache-Control": "no-store"}
        return Answer.of(200, booking_json(booking, caller, services.clock()), headers).response(request)


@router.patch(
    "/v1/bookings/{booking_id}",
    operation_id="amend_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def amend_booking(
    request: Request,
    booking_id: str,
    wanted: Amend,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Replace the note, the answers or the metadata of a booking; what is left out stays."""

    def amend(session: Session, services: Services, booking: Booking, asker: Asker) -> Booking:
        return lifecycle.amend(session, booking, asker.side, services.clock(), _said(wanted))

    return act_as(request, booking_id, Conditions(idempotency_key, if_match, body), wanted.on_behalf_of, amend)


def _said(wanted: Amend) -> Said:
    empty: dict[str, Any] = {"note": None, "answers": {}, "metadata": {}}
    return {name: getattr(wanted, name) or empty[name] for name in empty if name in wanted.model_fields_set}


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
    """Move a booking to a new start, by the same predicate as booking it; to the start it has, nothing changes."""

    def view(booking: Booking) -> View | None:
        if booking.starts_at == wanted.start:
            return None
        end_at = wanted.start + (booking.ends_at - booking.starts_at)
        return View(booking.consultation_id, wanted.start, end_at)

    def rehearse(session: Session, services: Services, booking: Booking, _asker: Asker) -> None:
        check_movable(booking, services.clock())
        if booking.starts_at != wanted.start:
            lifecycle.check_reschedule(session, services.situations, booking, wanted.start, services.clock())

    def move(session: Session, services: Services, booking: Booking, asker: Asker, looked: Looked) -> Booking:
        situations, now, agreed = services.situations, services.clock(), wanted.agreed
        return lifecycle.reschedule(
            session, situations, booking, wanted.start, asker.side, now, agreed=agreed, looked=looked
        )

    key = Conditions(idempotency_key, if_match, body)
    return act_after_look(request, booking_id, key, wanted.on_behalf_of, view, rehearse, move, goes_on=True)


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
