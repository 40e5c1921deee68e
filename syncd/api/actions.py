"""What may be done with a booking, over HTTP: for whoever asks, before it is done."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from syncd.api.acting import READING, asker_of
from syncd.api.answers import Answer
from syncd.api.credentials import Caller, caller_of, presented
from syncd.api.schemas.actions import ActionView
from syncd.api.schemas.common import Side
from syncd.booking.actions import Person, Prospect, actions_of
from syncd.instants import rfc3339
from syncd.services import Services
from syncd.store.models import Booking

router = APIRouter(tags=["bookings"])


@router.get(
    "/v1/bookings/{booking_id}/actions",
    operation_id="list_actions",
    responses={200: {"model": list[ActionView]}, **READING},
)
def list_actions(
    request: Request,
    booking_id: str,
    on_behalf_of: Annotated[Side | None, Query(description="for a key: the side it would name")] = None,
) -> Response:
    """What each action would mean now for the caller; other people's time may still stand against it."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        caller, booking = caller_of(session, services.vault, presented(request), booking_id, "bookings:read")
        asker = asker_of(caller, on_behalf_of)
        found = actions_of(booking, Person(asker.side, asker.standing), services.clock())
    if not _may_act(caller, booking):
        found = [Prospect(one.action, allowed=False, reason="forbidden", detail=_LACKING) for one in found]
    headers = {"ETag": f'"{booking.revision}"', "Cache-Control": "no-store"}
    return Answer.of(200, [_json(prospect) for prospect in found], headers).response(request)


_LACKING = "this key lacks the scope bookings:write"


def _may_act(caller: Caller, booking: Booking) -> bool:
    return caller.key is None or caller.key.may("bookings:write", booking.freelancer_id)


def _json(prospect: Prospect) -> dict[str, object]:
    """What isn't known, or doesn't apply, is left out."""
    members = {field.name: getattr(prospect, field.name) for field in fields(prospect)}
    if prospect.changes_at is not None:
        members["changes_at"] = rfc3339(prospect.changes_at)
    return {name: value for name, value in members.items() if value is not None}
