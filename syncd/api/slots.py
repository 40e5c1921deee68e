"""The slot feed and its explanations over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from syncd.api.answers import Answer, unless_known
from syncd.api.credentials import Visitor, caller_of, may_look, presented
from syncd.api.schemas.common import Problem
from syncd.api.schemas.slots import Explanation, SlotsAnswer
from syncd.booking.judging import reasons_against
from syncd.booking.permitted import check_movable
from syncd.booking.reasons import reasons_json, visible_reasons
from syncd.errors import ApiError
from syncd.feed import FeedAnswer, FeedQuestion
from syncd.instants import rfc3339
from syncd.questions import check_zone, duration_of, parse_instant, window_of, wrong
from syncd.services import Services
from syncd.store import offers
from syncd.store.models import Booking
from syncd.store.offers import Offer

router = APIRouter(tags=["slots"])
_PROBLEMS: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 422, 503)}
_MOVING: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (409, 410)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """The query as sent."""

    start: str
    end: str
    time_zone: str | None
    duration_minutes: int | None
    form: Literal["slots", "periods"]


@router.get(
    "/v1/{handle}/{slug}/slots",
    operation_id="list_slots",
    responses={200: {"model": SlotsAnswer}, 304: {"description": "Not changed"}, **_PROBLEMS, **_MOVING},
)
def list_slots(
    request: Request,
    handle: str,
    slug: str,
    start: Annotated[str, Query(description="a date, or an instant with an offset", max_length=40)],
    end: Annotated[str, Query(description="a date (inclusive), or an instant (exclusive)", max_length=40)],
    time_zone: Annotated[str | None, Query(max_length=64)] = None,
    duration_minutes: Annotated[int | None, Query(gt=0, le=10_080)] = None,
    format: Annotated[Literal["slots", "periods"], Query()] = "slots",  # noqa: A002 - the contract's name
    rescheduling: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """The slots a client can book now; every one listed books, every other start is refused."""
    services: Services = request.app.state.services
    asked = _Asked(start, end, time_zone, duration_minutes, format)
    with services.store.read() as session:
        answer = _list(services, session, request, (handle, slug), asked, rescheduling)
        synced_at = offers.oldest_pull_at(session, answer.calendar_ids)
    personal = bool(presented(request) or rescheduling)
    headers = {"Cache-Control": "private, no-cache"} if personal else {}
    if synced_at:
        headers["Syncd-Synced-At"] = rfc3339(synced_at)
    return unless_known(request, answer.body, answer.etag, headers)


def _list(
    services: Services,
    session: Session,
    request: Request,
    name: tuple[str, str],
    asked: _Asked,
    rescheduling: str | None,
) -> FeedAnswer:
    now = services.clock()
    if rescheduling:
        caller, moved = caller_of(session, services.vault, presented(request), rescheduling, "bookings:read")
        offer = _offer(session, name)
        if moved.consultation_id != offer.consultation.id:
            raise ApiError("not-found", "this booking is not of this consultation")
        check_movable(moved, now)
        question = _question(asked, offer, moved)
        told = Visitor(caller.key).is_trusted(moved.freelancer_id)
        return services.feed.detailed(session, offer, question, now, with_calendars=told, moved=moved)
    offer = _offer(session, name)
    visitor = may_look(session, request, offer)
    question = _question(asked, offer, None)
    if visitor.is_trusted(offer.freelancer.id):
        return services.feed.detailed(session, offer, question, now, with_calendars=True)
    return services.feed.answer(session, offer, question, now)


@router.get(
    "/v1/{handle}/{slug}/slots/explain",
    operation_id="explain_slot",
    responses={200: {"model": Explanation}, **_PROBLEMS},
)
def explain_slot(
    request: Request,
    handle: str,
    slug: str,
    at: Annotated[str, Query(description="an instant with an offset", max_length=40)],
    duration_minutes: Annotated[int | None, Query(gt=0, le=10_080)] = None,
) -> Response:
    """Why a start is or is not offered: every reason, private ones only for a key."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        offer = _offer(session, (handle, slug))
        visitor = may_look(session, request, offer)
        start_at = parse_instant(at, "at")
        duration = duration_of(offer, duration_minutes, pointer="query:duration_minutes")
        situation = services.situations.load(session, offer, services.clock()).situation
    reasons = reasons_against(situation, duration * 60, start_at)
    trusted = visitor.is_trusted(offer.freelancer.id)
    shown = reasons_json(visible_reasons(reasons, trusted=trusted), offer.freelancer.tz)
    return Answer.of(200, {"bookable": not shown, "reasons": shown}).response(request)


def _offer(session: Session, name: tuple[str, str]) -> Offer:
    offer = offers.find_offer(session, *name)
    if offer is None:
        raise ApiError("not-found", f"there is no consultation {name[0]}/{name[1]}")
    return offer


def _question(asked: _Asked, offer: Offer, moved: Booking | None) -> FeedQuestion:
    tz = check_zone(asked.time_zone or offer.freelancer.tz)
    start_at, end_at = window_of(asked.start, asked.end, tz)
    if moved is not None:
        minutes = int((moved.ends_at - moved.starts_at).total_seconds()) // 60
        if asked.duration_minutes not in (None, minutes):
            raise wrong("duration_minutes", f"a booking is moved with its {minutes} minutes")
    else:
        minutes = duration_of(offer, asked.duration_minutes, pointer="query:duration_minutes")
    return FeedQuestion(start_at, end_at, minutes, tz, asked.form)
