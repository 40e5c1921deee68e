"""A freelancer's calendars over HTTP: how far each is known, and what in it can't be understood."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd.api.answers import Answer
from syncd.api.credentials import key_holder, presented
from syncd.api.schemas.calendars import CalendarList
from syncd.api.schemas.common import Problem
from syncd.errors import ApiError
from syncd.services import Services
from syncd.store.models import Freelancer
from syncd.store.overview import calendar_json

router = APIRouter(tags=["calendars"])
_PROBLEMS: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 422, 503)}


@router.get(
    "/v1/freelancers/{handle}/calendars",
    operation_id="list_calendars",
    responses={200: {"model": CalendarList}, **_PROBLEMS},
)
def list_calendars(request: Request, handle: str) -> Response:
    """Every calendar of a freelancer's accounts; needs a key with the scope `manage`."""
    services: Services = request.app.state.services
    stale_after = timedelta(seconds=services.config.daemon.stale_after)
    now = services.clock()
    with services.store.read() as session:
        found = [
            {"account": account.name, **calendar_json(session, calendar, account, stale_after, now)}
            for account in sorted(_managed(session, request, handle).accounts, key=lambda account: account.name)
            for calendar in sorted(account.calendars, key=lambda calendar: calendar.name)
            if account.active and not calendar.gone
        ]
    return Answer.of(200, {"data": found, "next_cursor": None}).response(request)


def _managed(session: Session, request: Request, handle: str) -> Freelancer:
    """The freelancer, if the caller's key may manage them. Raises ApiError."""
    holder = key_holder(session, presented(request))
    if holder is None:
        raise ApiError("unauthorized", "calendars are shown to the holder of an API key")
    found = session.scalars(select(Freelancer).where(Freelancer.handle == handle)).one_or_none()
    if found is None or holder.freelancer_id not in (None, found.id):
        raise ApiError("not-found", "there is no such freelancer")
    if not holder.may("manage", found.id):
        raise ApiError("forbidden", "this key lacks the scope manage")
    return found
