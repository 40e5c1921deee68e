"""The list of bookings over HTTP, for the holders of a key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, get_args

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from syncd.api.credentials import Caller, KeyHolder, key_holder, presented
from syncd.api.pages import cursor_of, page_answer, place_in
from syncd.api.schemas.booking_list import BookingList, BookingQuery
from syncd.api.schemas.common import Problem
from syncd.api.views import booking_json
from syncd.booking.states import State
from syncd.errors import ApiError
from syncd.questions import bound_of, check_zone, parse_instant, wrong
from syncd.services import Services
from syncd.store.bookings import Wanted, list_bookings
from syncd.store.models import Freelancer

router = APIRouter(tags=["bookings"])
_PROBLEMS: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 422, 503)}
_STATES = get_args(State)


@router.get("/v1/bookings", operation_id="list_bookings", responses={200: {"model": BookingList}, **_PROBLEMS})
def get_bookings(request: Request, asked: Annotated[BookingQuery, Query()]) -> Response:
    """Bookings by their start, or with `updated_since` by their last change; needs a key with `bookings:read`."""
    services: Services = request.app.state.services
    now = services.clock()
    with services.store.read() as session:
        holder = _reader(session, presented(request))
        wanted = _wanted(session, holder, asked, now)
        listed = "bookings" if wanted.updated_since is None else "bookings updated"
        page = list_bookings(session, wanted, limit=asked.limit, after=place_in(listed, asked.cursor))
        data = [booking_json(booking, Caller("freelancer", holder), now) for booking in page.rows]
    return page_answer(data, cursor_of(listed, page.ended)).response(request)


def _reader(session: Session, credential: str) -> KeyHolder:
    holder = key_holder(session, credential)
    if holder is None:
        raise ApiError("unauthorized", "bookings are listed for the holder of an API key")
    if "bookings:read" not in holder.scopes:
        raise ApiError("forbidden", "this key lacks the scope bookings:read")
    return holder


def _wanted(session: Session, holder: KeyHolder, asked: BookingQuery, now: datetime) -> Wanted:
    own = session.get(Freelancer, holder.freelancer_id) if holder.freelancer_id else None
    tz = check_zone(asked.time_zone or (own.tz if own else "UTC"))
    start_at, end_at = bound_of(asked.start, "start", tz), bound_of(asked.end, "end", tz, ends=True)
    if start_at and end_at and end_at < start_at:
        raise wrong("end", "must not be before start")
    return Wanted(
        now=now,
        start_at=start_at,
        end_at=end_at,
        states=_states(asked.state),
        freelancer_id=holder.freelancer_id,
        freelancer=asked.freelancer,
        consultation=asked.consultation,
        client=asked.client,
        updated_since=parse_instant(asked.updated_since, "updated_since") if asked.updated_since else None,
    )


def _states(asked: list[str]) -> tuple[str, ...]:
    named = [state for text in asked for state in text.split(",") if state]
    for state in named:
        if state not in _STATES:
            raise wrong("state", f"{state} is no state; right are {', '.join(_STATES)}")
    return tuple(named)
