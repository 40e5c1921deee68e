"""A freelancer's API keys over HTTP. Keys for all freelancers are made on the command line alone."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated

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
from syncd.api.schemas.management import KeyList, KeyView, NewKey, NewKeyView
from syncd.instants import rfc3339
from syncd.management import keys
from syncd.store.models import ApiKey, Freelancer

router = APIRouter(tags=["keys"])
_ALL, _ONE = "/v1/freelancers/{handle}/keys", "/v1/freelancers/{handle}/keys/{key_id}"


@router.get(_ALL, operation_id="list_keys", responses={200: {"model": KeyList}, **READING})
def list_keys(request: Request, handle: str, asked: Annotated[PageQuery, Query()]) -> Response:
    """The keys that are for this freelancer alone and work, without their texts."""

    def document(desk: Desk) -> dict[str, object]:
        person = desk.freelancer(handle)
        return page(
            "keys",
            asked,
            lambda after, limit: keys.list_keys(desk.session, person.id, after, limit),
            lambda row: row.id,
            lambda row: _json(person, row),
        )

    return look_up(request, document)


@router.post(_ALL, operation_id="create_key", status_code=201, responses={201: {"model": NewKeyView}, **PROBLEMS})
def create_key(
    request: Request, handle: str, body: BodyBytes, wanted: NewKey, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a key for this freelancer, with scopes that the caller's key has too. Only this answer holds its text."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        own = desk.holder.scopes
        row, text = keys.add_key(desk.session, person.id, wanted.scopes, own, secrets.token_bytes, desk.now)
        return made(f"/v1/freelancers/{handle}/keys/{row.id}", {**_json(person, row), "key": text})

    return create(request, idempotency_key, body, action)


@router.get(_ONE, operation_id="get_key", responses={200: {"model": KeyView}, **READING})
def get_key(request: Request, handle: str, key_id: str) -> Response:
    """A key that works, without its text."""
    return look_up(request, _shown(handle, key_id))


def _shown(handle: str, key_id: str) -> Callable[[Desk], dict[str, object]]:
    def document(desk: Desk) -> dict[str, object]:
        person = desk.freelancer(handle)
        return _json(person, there(keys.find_key(desk.session, person.id, key_id), "key"))

    return document


@router.delete(
    _ONE, operation_id="revoke_key", status_code=204, responses={204: {"description": "Revoked"}, **CHANGING}
)
def revoke_key(request: Request, handle: str, key_id: str, if_match: IfMatch = None) -> Response:
    """Revoke a key at once, be it the caller's own."""

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        there(keys.find_key(desk.session, person.id, key_id), "key").revoked_at = desk.now
        return gone()

    return change(request, if_match, _shown(handle, key_id), action)


def _json(person: Freelancer, row: ApiKey) -> dict[str, object]:
    return {
        "id": row.id,
        "freelancer": person.handle,
        "scopes": row.scopes,
        "created_at": rfc3339(row.created_at),
    }
