"""Freelancers over HTTP."""

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
)
from syncd.api.schemas.links import PageQuery
from syncd.api.schemas.management import FreelancerChange, FreelancerList, FreelancerView, NewFreelancer
from syncd.errors import ApiError
from syncd.instants import rfc3339
from syncd.management import freelancers
from syncd.store.models import Freelancer

router = APIRouter(tags=["freelancers"])
_ALL, _ONE = "/v1/freelancers", "/v1/freelancers/{handle}"


@router.get(_ALL, operation_id="list_freelancers", responses={200: {"model": FreelancerList}, **READING})
def list_freelancers(request: Request, asked: Annotated[PageQuery, Query()]) -> Response:
    """The freelancers that the key may manage, by handle."""

    def document(desk: Desk) -> dict[str, object]:
        return page(
            "freelancers",
            asked,
            lambda after, limit: freelancers.list_freelancers(desk.session, desk.holder.freelancer_id, after, limit),
            lambda row: row.handle,
            lambda row: _json(desk, row),
        )

    return look_up(request, document)


@router.post(
    _ALL, operation_id="create_freelancer", status_code=201, responses={201: {"model": FreelancerView}, **PROBLEMS}
)
def create_freelancer(
    request: Request, body: BodyBytes, wanted: NewFreelancer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add a freelancer; takes a key for all. One who was removed comes back under the same handle."""

    def action(desk: Desk) -> Answer:
        _for_all(desk)
        values = wanted.model_dump(exclude_unset=True, exclude={"handle"})
        row = freelancers.add_freelancer(desk.session, desk.config, wanted.handle, values, desk.now)
        return made(f"{_ALL}/{row.handle}", _json(desk, row))

    return create(request, idempotency_key, body, action)


def _shown(handle: str) -> Callable[[Desk], dict[str, Any]]:
    return lambda desk: _json(desk, desk.freelancer(handle))


@router.get(_ONE, operation_id="get_freelancer", responses={200: {"model": FreelancerView}, **READING})
def get_freelancer(request: Request, handle: str) -> Response:
    """A freelancer."""
    return look_up(request, _shown(handle))


@router.patch(_ONE, operation_id="update_freelancer", responses={200: {"model": FreelancerView}, **CHANGING})
def update_freelancer(request: Request, handle: str, wanted: FreelancerChange, if_match: IfMatch = None) -> Response:
    """Change what the body names; what the configuration file declares is read-only, but for its feed's token."""

    def action(desk: Desk) -> Answer:
        row = desk.freelancer(handle)
        values = wanted.model_dump(exclude_unset=True)
        if renewed := values.pop("renew_bookings_feed", False):
            freelancers.renew_feed(row)
        if values or not renewed:
            freelancers.change_freelancer(desk.session, desk.config, row, values, desk.now)
        return Answer.of(200, _json(desk, row))

    return change(request, if_match, _shown(handle), action)


@router.delete(
    _ONE,
    operation_id="delete_freelancer",
    status_code=204,
    responses={204: {"description": "Removed; bookings are kept"}, **CHANGING},
)
def delete_freelancer(request: Request, handle: str, if_match: IfMatch = None) -> Response:
    """Remove a freelancer; takes a key for all. Bookings are kept, keys are revoked."""

    def action(desk: Desk) -> Answer:
        row = desk.freelancer(handle)
        _for_all(desk)
        freelancers.remove_freelancer(desk.session, row, desk.now)
        return gone()

    return change(request, if_match, _shown(handle), action)


def _for_all(desk: Desk) -> None:
    if desk.holder.freelancer_id is not None:
        raise ApiError("forbidden", "this key is for one freelancer: adding and removing them takes a key for all")


def _json(desk: Desk, row: Freelancer) -> dict[str, Any]:
    public_url = desk.config.public_url(desk.services.port)
    token = desk.services.vault.feed_token(row.id, row.feed_generation)
    feed = f"{public_url}/v1/{row.handle}/bookings.ics?token={token}"
    return {
        "id": row.id,
        "handle": row.handle,
        **freelancers.values_of(row),
        "read_only": row.declared,
        "bookings_feed": feed if desk.holder.may("bookings:read", row.id) else None,
        "created_at": rfc3339(row.created_at),
    }
