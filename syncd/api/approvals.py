"""Approvals over HTTP: the freelancer's word on a pending booking."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from syncd.api.acting import PROBLEMS, Asker, BodyBytes, Conditions, IdempotencyKey, IfMatch, act, act_after_look
from syncd.api.looking import View
from syncd.api.schemas.bookings import Approve, BookingView, Decline
from syncd.api.schemas.common import Side
from syncd.booking import lifecycle
from syncd.services import Services
from syncd.store.models import Booking
from syncd.sync.look import Looked

router = APIRouter(tags=["approvals"])


@router.post(
    "/v1/bookings/{booking_id}/approve",
    operation_id="approve_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def approve_booking(
    request: Request,
    booking_id: str,
    body: BodyBytes,
    wanted: Approve | None = None,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Confirm a pending booking, unless its time was taken elsewhere meanwhile."""

    def rehearse(session: Session, services: Services, booking: Booking, asker: Asker) -> None:
        lifecycle.check_approve(session, services.situations, booking, asker.side, services.clock())

    def approve(session: Session, services: Services, booking: Booking, asker: Asker, looked: Looked) -> Booking:
        now = services.clock()
        return lifecycle.approve(session, services.situations, booking, asker.side, now, looked=looked)

    key = Conditions(idempotency_key, if_match, body)
    return act_after_look(request, booking_id, key, (wanted or Approve()).on_behalf_of, View.of, rehearse, approve)


@router.post(
    "/v1/bookings/{booking_id}/decline",
    operation_id="decline_booking",
    responses={200: {"model": BookingView}, **PROBLEMS},
)
def decline_booking(
    request: Request,
    booking_id: str,
    body: BodyBytes,
    wanted: Decline | None = None,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Refuse a pending booking; its time is free again."""
    wish = wanted or Decline()

    def decline(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        return lifecycle.decline(session, booking, side, services.clock(), wish.reason)

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), wish.on_behalf_of, decline)
