"""A freelancer's calendars over HTTP: how far each is known, what in it can't be understood, what it is chosen for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from syncd.api.answers import Answer
from syncd.api.management.desk import CHANGING, READING, Desk, IfMatch, change, look_up, page, there
from syncd.api.schemas.calendars import CalendarChoice, CalendarList, CalendarView
from syncd.api.schemas.links import PageQuery
from syncd.management import calendars
from syncd.store.models import Calendar
from syncd.store.overview import calendar_json

router = APIRouter(tags=["calendars"])
_ALL, _ONE = "/v1/freelancers/{handle}/calendars", "/v1/freelancers/{handle}/calendars/{calendar_id}"


@router.get(_ALL, operation_id="list_calendars", responses={200: {"model": CalendarList}, **READING})
def list_calendars(request: Request, handle: str, asked: Annotated[PageQuery, Query()]) -> Response:
    """Every calendar of a freelancer's accounts, by account and name; needs a key with the scope `manage`."""

    def document(desk: Desk) -> dict[str, object]:
        person = desk.freelancer(handle)
        return page(
            "calendars",
            asked,
            lambda after, limit: calendars.list_calendars(desk.session, person, after, limit),
            calendars.place_of,
            lambda row: _json(desk, row),
        )

    return look_up(request, document)


@router.get(_ONE, operation_id="get_calendar", responses={200: {"model": CalendarView}, **READING})
def get_calendar(request: Request, handle: str, calendar_id: str) -> Response:
    """A calendar."""
    return look_up(request, _shown(handle, calendar_id))


def _shown(handle: str, calendar_id: str) -> Callable[[Desk], dict[str, Any]]:
    return lambda desk: _json(desk, _calendar(desk, handle, calendar_id))


@router.patch(_ONE, operation_id="update_calendar", responses={200: {"model": CalendarView}, **CHANGING})
def update_calendar(
    request: Request, handle: str, calendar_id: str, wanted: CalendarChoice, if_match: IfMatch = None
) -> Response:
    """Let a calendar block or not, or be the one that consultations are written to: there is one at most."""

    def action(desk: Desk) -> Answer:
        row = _calendar(desk, handle, calendar_id)
        calendars.change_calendar(desk.session, row, blocks=wanted.blocks, target=wanted.target, now=desk.now)
        return Answer.of(200, _json(desk, row))

    return change(request, if_match, _shown(handle, calendar_id), action)


def _calendar(desk: Desk, handle: str, calendar_id: str) -> Calendar:
    return there(calendars.find_calendar(desk.session, desk.freelancer(handle), calendar_id), "calendar")


def _json(desk: Desk, row: Calendar) -> dict[str, Any]:
    shown = calendar_json(desk.session, row, row.account, desk.services.situations.freshness, desk.now)
    return {"account": row.account.name, **shown, "read_only": row.account.declared}
