"""Holds over HTTP: prolonged, released, confirmed."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from syncd.api.acting import (
    PROBLEMS,
    Asker,
    BodyBytes,
    Conditions,
    IdempotencyKey,
    IfMatch,
    act,
    act_after_look,
    act_as,
)
from syncd.api.looking import View
from syncd.api.schemas.bookings import BookingView, Confirm, Hold
from syncd.api.schemas.common import Side
from syncd.booking import lifecycle
from syncd.booking.making import Said, given
from syncd.services import Services
from syncd.store.models import Booking
from syncd.sync.look import Looked

router = APIRouter(tags=["holds"])


@router.patch(
    "/v1/bookings/{booking_id}/hold",
    operation_id="prolong_hold",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def prolong_hold(
    request: Request,
    booking_id: str,
    wanted: Hold,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Let a hold expire so many minutes from now; by its client not for ever."""

    def prolong(session: Session, services: Services, booking: Booking, asker: Asker) -> Booking:
        minutes, now = wanted.hold_minutes, services.clock()
        return lifecycle.prolong(session, booking, minutes, asker.side, now, standing=asker.standing)

    key = Conditions(idempotency_key, if_match, body)
    return act_as(request, booking_id, key, wanted.on_behalf_of, prolong)


@router.delete(
    "/v1/bookings/{booking_id}/hold",
    operation_id="release_hold",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def release_hold(
    request: Request,
    booking_id: str,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Give a hold's time back at once; the answer is the booking, now expired."""

    def release(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        return lifecycle.release(session, booking, side, services.clock())

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), None, release)


@router.post(
    "/v1/bookings/{booking_id}/confirm",
    operation_id="confirm_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def confirm_booking(
    request: Request,
    booking_id: str,
    body: BodyBytes,
    wanted: Confirm | None = None,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Make a booking of a hold: confirmed, or pending where the freelancer approves; what is given replaces its own."""
    wish = wanted or Confirm()
    said = _said(wish)

    def rehearse(session: Session, services: Services, booking: Booking, asker: Asker) -> None:
        now, standing = services.clock(), asker.standing
        lifecycle.check_confirm(session, services.situations, booking, said, now, standing=standing)

    def confirm(session: Session, services: Services, booking: Booking, asker: Asker, looked: Looked) -> Booking:
        now, standing, situations = services.clock(), asker.standing, services.situations
        return lifecycle.confirm(
            session, situations, booking, asker.side, now, said=said, looked=looked, standing=standing
        )

    key = Conditions(idempotency_key, if_match, body)
    return act_after_look(request, booking_id, key, wish.on_behalf_of, View.of, rehearse, confirm)


def _said(wish: Confirm) -> Said:
    client = wish.client.model_dump(exclude_none=True) if wish.client else None
    return given(client=client, answers=wish.answers, metadata=wish.metadata)
