"""What is told of a consultation once it began, over HTTP: who may say what. When, the booking package knows.

Each side tells of itself; a key, which speaks for the marketplace that watched, tells of both. Nobody who names a side
to speak for reports that side absent: such a report is the other's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from syncd.api.acting import PROBLEMS, Asker, BodyBytes, Conditions, IdempotencyKey, IfMatch, act, act_after_look
from syncd.api.credentials import key_holder, presented
from syncd.api.looking import View
from syncd.api.schemas.aftermath import Attendance, Completion, Decision, Dispute, Documents, Extension, NoShow
from syncd.api.schemas.bookings import BookingView, NewBookingView
from syncd.api.schemas.common import Side
from syncd.booking import aftermath, extension
from syncd.booking.expiry import check_in_time
from syncd.errors import ApiError, invalid_at
from syncd.services import Services
from syncd.store.models import Booking
from syncd.sync.look import Looked

router = APIRouter(tags=["bookings"], responses={**PROBLEMS})
_BOOKING: dict[int | str, dict[str, object]] = {200: {"model": BookingView}}


@router.post("/v1/bookings/{booking_id}/attendance", operation_id="report_attendance", responses=_BOOKING)
def report_attendance(
    request: Request,
    booking_id: str,
    wanted: Attendance,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Tell when someone joined."""

    def tell(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        if side == "client" and wanted.who != "client":
            raise ApiError("forbidden", "a client tells when the client joined, a key when anyone did")
        now = _now(services, booking)
        _not_after(wanted.joined_at, now, "/joined_at")
        return aftermath.report_attendance(session, booking, wanted.who, wanted.joined_at, side, now)

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), wanted.on_behalf_of, tell)


@router.post("/v1/bookings/{booking_id}/no_show", operation_id="report_no_show", responses=_BOOKING)
def report_no_show(
    request: Request,
    booking_id: str,
    wanted: NoShow,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Report that a side was absent or too late, once `late_after` has passed; the answer holds the outcome."""

    def tell(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        if wanted.absent == side and (side == "client" or wanted.on_behalf_of):
            raise invalid_at("/absent", "must be the other side: nobody reports themselves absent")
        return aftermath.report_no_show(session, booking, wanted.absent, wanted.note, side, _now(services, booking))

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), wanted.on_behalf_of, tell)


@router.post("/v1/bookings/{booking_id}/complete", operation_id="complete_booking", responses=_BOOKING)
def complete_booking(
    request: Request,
    booking_id: str,
    body: BodyBytes,
    wanted: Completion | None = None,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Say that it took place, from its start on; by the client after waiving documents it is approved as well."""

    def tell(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        return aftermath.complete(session, booking, side, _now(services, booking))

    side = wanted.on_behalf_of if wanted else None
    return act(request, booking_id, Conditions(idempotency_key, if_match, body), side, tell)


@router.post("/v1/bookings/{booking_id}/documents", operation_id="report_documents", responses=_BOOKING)
def report_documents(
    request: Request,
    booking_id: str,
    wanted: Documents,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Tell when the client got the documents, or, as the client, waive them."""

    def tell(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        names, now = _names(booking, wanted.name), _now(services, booking)
        if wanted.delivered_at is None:
            _only_the_client(side, "waives documents")
            return aftermath.waive(session, booking, names, now)
        if side == "client":
            raise ApiError("forbidden", "the freelancer's side tells when documents were delivered")
        _not_after(wanted.delivered_at, now, "/delivered_at")
        return aftermath.deliver(session, booking, names, wanted.delivered_at, side, now)

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), wanted.on_behalf_of, tell)


@router.post("/v1/bookings/{booking_id}/dispute", operation_id="dispute_booking", responses=_BOOKING)
def dispute_booking(
    request: Request,
    booking_id: str,
    wanted: Dispute,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Dispute what follows, as the client, where the outcome allows it and before it is final."""

    def tell(session: Session, services: Services, booking: Booking, side: Side) -> Booking:
        _only_the_client(side, "disputes")
        return aftermath.dispute(session, booking, wanted.text, _now(services, booking))

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), wanted.on_behalf_of, tell)


@router.post(
    "/v1/bookings/{booking_id}/extend",
    operation_id="extend_booking",
    status_code=201,
    responses={201: {"model": NewBookingView}},
)
def extend_booking(
    request: Request,
    booking_id: str,
    wanted: Extension,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Book so many minutes more, right at the end; the answer is the new booking, with a token of its own."""
    minutes, paid_by = wanted.minutes, wanted.paid_by

    def view(booking: Booking) -> View:
        return View(booking.consultation_id, booking.ends_at, booking.ends_at + timedelta(minutes=minutes))

    def rehearse(session: Session, services: Services, booking: Booking, asker: Asker) -> None:
        now, situations = services.clock(), services.situations
        extension.check_extend(session, situations, booking, minutes, now, standing=asker.standing)

    def extend(session: Session, services: Services, booking: Booking, asker: Asker, looked: Looked) -> Booking:
        now, situations, standing = services.clock(), services.situations, asker.standing
        return extension.extend(
            session, situations, booking, minutes, paid_by, asker.side, now, looked=looked, standing=standing
        )

    key = Conditions(idempotency_key, if_match, body)
    return act_after_look(request, booking_id, key, wanted.on_behalf_of, view, rehearse, extend, makes_another=True)


@router.put("/v1/bookings/{booking_id}/outcome", operation_id="decide_outcome", responses=_BOOKING)
def decide_outcome(
    request: Request,
    booking_id: str,
    wanted: Decision,
    body: BodyBytes,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response:
    """Decide what follows, as a person with the scope `manage`; what the rules say is kept beside it."""
    decision = wanted.model_dump(mode="json", exclude={"reason"}, exclude_none=True)

    def decide(session: Session, services: Services, booking: Booking, _side: Side) -> Booking:
        holder = key_holder(session, presented(request))
        if holder is None:
            raise ApiError("forbidden", "deciding an outcome needs a key with the scope manage")
        now = _now(services, booking)
        return aftermath.decide_outcome(session, booking, decision, wanted.reason, holder.key_id, now)

    return act(request, booking_id, Conditions(idempotency_key, if_match, body), None, decide, scope="manage")


def _now(services: Services, booking: Booking) -> datetime:
    """The time, at which the booking isn't a hold that ran out: of such a one nothing is heard."""
    now = services.clock()
    check_in_time(booking, now)
    return now


def _names(booking: Booking, name: str | None) -> tuple[str, ...]:
    """The documents that are meant. Raises ApiError for a name that isn't owed."""
    owed = tuple(booking.policy["documents"])
    if name is not None and owed and name not in owed:
        raise invalid_at("/name", f"must be one of {', '.join(owed)}")
    return owed if name is None else (name,)


def _only_the_client(side: Side, does: str) -> None:
    if side != "client":
        raise ApiError("forbidden", f"only the client {does}")


def _not_after(at: datetime, now: datetime, pointer: str) -> None:
    if at > now:
        raise invalid_at(pointer, "must not lie in the future")
