"""A freelancer's schedules over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from syncd.api.acting import BodyBytes, IdempotencyKey
from syncd.api.answers import Answer
from syncd.api.management.desk import (
    CHANGING,
    PROBLEMS,
    READING,
    Desk,
    IfMatch,
    change,
    create,
    gone,
    look_up,
    made,
    page,
    there,
)
from syncd.api.schemas.links import PageQuery
from syncd.api.schemas.management import NewSchedule, ScheduleList, ScheduleSettings, ScheduleView
from syncd.management import schedules
from syncd.store.models import Freelancer, ScheduleRow

router = APIRouter(tags=["schedules"])
_ALL, _ONE = "/v1/freelancers/{handle}/schedules", "/v1/freelancers/{handle}/schedules/{name}"


@router.get(_ALL, operation_id="list_schedules", responses={200: {"model": ScheduleList}, **READING})
def list_schedules(request: Request, handle: str, asked: Annotated[PageQuery, Query()]) -> Response:
    """A freelancer's schedules, by name."""

    def document(desk: Desk) -> dict[str, object]:
        person = desk.freelancer(handle)
        return page(
            "schedules",
            asked,
            lambda after, limit: schedules.list_schedules(desk.session, person, after, limit),
            lambda row: row.name,
            lambda row: _json(person, row),
        )

    return look_up(request, document)


@router.post(
    _ALL, operation_id="create_schedule", status_code=201, responses={201: {"model": ScheduleView}, **PROBLEMS}
)
def create_schedule(
    request: Request, handle: str, body: BodyBytes, wanted: NewSchedule, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add a schedule; without a time zone of its own it has the freelancer's."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        row = schedules.add_schedule(desk.session, person, wanted.name, _values(wanted))
        return made(f"/v1/freelancers/{handle}/schedules/{row.name}", _json(person, row))

    return create(request, idempotency_key, body, action)


def _shown(handle: str, name: str) -> Callable[[Desk], dict[str, Any] | None]:
    def document(desk: Desk) -> dict[str, Any] | None:
        person = desk.freelancer(handle)
        row = schedules.find_schedule(desk.session, person, name)
        return None if row is None else _json(person, row)

    return document


@router.get(_ONE, operation_id="get_schedule", responses={200: {"model": ScheduleView}, **READING})
def get_schedule(request: Request, handle: str, name: str) -> Response:
    """A schedule."""

    shown = _shown(handle, name)
    return look_up(request, lambda desk: there(shown(desk), "schedule"))


@router.put(
    _ONE,
    operation_id="put_schedule",
    responses={200: {"model": ScheduleView}, 201: {"model": ScheduleView}, **CHANGING},
)
def put_schedule(
    request: Request, handle: str, name: str, wanted: ScheduleSettings, if_match: IfMatch = None
) -> Response:
    """Set a schedule to what the body says and nothing else; one that isn't there is made."""

    def action(desk: Desk) -> Answer:
        person, values = desk.freelancer(handle), _values(wanted)
        row = schedules.find_schedule(desk.session, person, name)
        if row is None:
            row = schedules.add_schedule(desk.session, person, name, values)
            return made(f"/v1/freelancers/{handle}/schedules/{row.name}", _json(person, row))
        schedules.change_schedule(desk.session, person, row, values)
        return Answer.of(200, _json(person, row))

    return change(request, if_match, _shown(handle, name), action)


@router.patch(_ONE, operation_id="update_schedule", responses={200: {"model": ScheduleView}, **CHANGING})
def update_schedule(
    request: Request, handle: str, name: str, wanted: ScheduleSettings, if_match: IfMatch = None
) -> Response:
    """Change what the body names; `hours` and `on` are replaced as a whole."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        row = there(schedules.find_schedule(desk.session, person, name), "schedule")
        schedules.change_schedule(desk.session, person, row, {**schedules.values_of(row), **_values(wanted)})
        return Answer.of(200, _json(person, row))

    return change(request, if_match, _shown(handle, name), action)


@router.delete(
    _ONE, operation_id="delete_schedule", status_code=204, responses={204: {"description": "Removed"}, **CHANGING}
)
def delete_schedule(request: Request, handle: str, name: str, if_match: IfMatch = None) -> Response:
    """Remove a schedule that no consultation goes by."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        row = there(schedules.find_schedule(desk.session, person, name), "schedule")
        schedules.remove_schedule(desk.session, person, row, desk.now)
        return gone()

    return change(request, if_match, _shown(handle, name), action)


def _values(wanted: ScheduleSettings) -> dict[str, Any]:
    return wanted.model_dump(exclude_unset=True, exclude={"name"})


def _json(person: Freelancer, row: ScheduleRow) -> dict[str, Any]:
    head = {"id": row.id, "freelancer": person.handle, "name": row.name}
    return {**head, **schedules.values_of(row), "read_only": row.declared}
