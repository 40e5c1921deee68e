"""A freelancer's consultations over HTTP."""

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
from syncd.api.schemas.management import ConsultationList, ConsultationSettings, ConsultationView, NewConsultation
from syncd.management import consultations
from syncd.store.models import Consultation, Freelancer

router = APIRouter(tags=["consultations"])
_ALL, _ONE = "/v1/freelancers/{handle}/consultations", "/v1/freelancers/{handle}/consultations/{slug}"


@router.get(_ALL, operation_id="list_consultations", responses={200: {"model": ConsultationList}, **READING})
def list_consultations(request: Request, handle: str, asked: Annotated[PageQuery, Query()]) -> Response:
    """A freelancer's consultations with all their settings, by slug."""

    def document(desk: Desk) -> dict[str, object]:
        person = desk.freelancer(handle)
        return page(
            "consultations",
            asked,
            lambda after, limit: consultations.list_consultations(desk.session, person, after, limit),
            lambda row: row.slug,
            lambda row: _json(person, row),
        )

    return look_up(request, document)


@router.post(
    _ALL,
    operation_id="create_consultation",
    status_code=201,
    responses={201: {"model": ConsultationView}, **PROBLEMS},
)
def create_consultation(
    request: Request, handle: str, body: BodyBytes, wanted: NewConsultation, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add a consultation. One that was removed comes back under the same slug, with its bookings."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        values = wanted.model_dump(exclude_unset=True, exclude={"slug"})
        row = consultations.add_consultation(desk.session, desk.config, person, wanted.slug, values, desk.now)
        return made(f"/v1/freelancers/{handle}/consultations/{row.slug}", _json(person, row))

    return create(request, idempotency_key, body, action)


@router.get(_ONE, operation_id="get_consultation", responses={200: {"model": ConsultationView}, **READING})
def get_consultation(request: Request, handle: str, slug: str) -> Response:
    """A consultation with all its settings."""
    return look_up(request, _shown(handle, slug))


def _shown(handle: str, slug: str) -> Callable[[Desk], dict[str, Any]]:
    def document(desk: Desk) -> dict[str, Any]:
        person = desk.freelancer(handle)
        return _json(person, there(consultations.find_consultation(desk.session, person, slug), "consultation"))

    return document


@router.patch(_ONE, operation_id="update_consultation", responses={200: {"model": ConsultationView}, **CHANGING})
def update_consultation(
    request: Request, handle: str, slug: str, wanted: ConsultationSettings, if_match: IfMatch = None
) -> Response:
    """Change what the body names; lists are replaced as a whole. Bookings keep the rules they were booked under."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        row = there(consultations.find_consultation(desk.session, person, slug), "consultation")
        values = wanted.model_dump(exclude_unset=True)
        consultations.change_consultation(desk.session, desk.config, row, values, desk.now)
        return Answer.of(200, _json(person, row))

    return change(request, if_match, _shown(handle, slug), action)


@router.delete(
    _ONE,
    operation_id="delete_consultation",
    status_code=204,
    responses={204: {"description": "Removed; bookings are kept"}, **CHANGING},
)
def delete_consultation(request: Request, handle: str, slug: str, if_match: IfMatch = None) -> Response:
    """Remove a consultation; its bookings are kept."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        row = there(consultations.find_consultation(desk.session, person, slug), "consultation")
        consultations.remove_consultation(desk.session, row, desk.now)
        return gone()

    return change(request, if_match, _shown(handle, slug), action)


def _json(person: Freelancer, row: Consultation) -> dict[str, Any]:
    head = {"id": row.id, "freelancer": person.handle, "slug": row.slug}
    return {**head, **consultations.values_of(row), "read_only": row.declared}
