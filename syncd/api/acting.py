"""How an action on a booking is run over HTTP: for whom, under which conditions, once.

Decides nothing of what the action does and whether it may be done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from sqlalchemy.orm import Session

from syncd.api.answers import Answer
from syncd.api.credentials import caller_of, presented, side_of
from syncd.api.idempotency import Sent, perform
from syncd.api.problems import booking_problem
from syncd.api.schemas.common import Problem, Side
from syncd.api.views import booking_json
from syncd.errors import ApiError, BookingError
from syncd.services import Services
from syncd.store.keys import Scope
from syncd.store.models import Booking

PROBLEMS: dict[int | str, dict[str, object]] = {
    code: {"model": Problem} for code in (401, 403, 404, 409, 412, 413, 422, 503)
}
_REVISION = re.compile(r'(?:W/)?"?(\d{1,9})"?')


async def sent_body(request: Request) -> bytes:
    """The body's bytes, for telling one request from another."""
    return await request.body()


BodyBytes = Annotated[bytes, Depends(sent_body)]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]
IfMatch = Annotated[str | None, Header(alias="If-Match", description='the booking\'s revision, such as "3"')]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an action was sent with: its Idempotency-Key, its If-Match, its body's bytes."""

    idempotency_key: str | None
    if_match: str | None
    body: bytes


def act(
    request: Request,
    booking_id: str,
    key: Conditions,
    on_behalf_of: Side | None,
    action: Callable[[Session, Services, Booking, Side], Booking],
    *,
    scope: Scope = "bookings:write",
) -> Response:
    """Run an action on a booking for whoever the credential says."""
    services: Services = request.app.state.services
    credential = presented(request)
    with services.store.read() as session:
        caller, booking = caller_of(session, services.vault, credential, booking_id, scope)
        tz, minutes = booking.freelancer.tz, int((booking.ends_at - booking.starts_at).total_seconds()) // 60
    side = side_of(caller, on_behalf_of)

    def run(session: Session) -> Answer:
        _, fresh = caller_of(session, services.vault, credential, booking_id, scope)
        _check_revision(fresh, key.if_match)
        changed = action(session, services, fresh, side)
        return Answer.of(200, booking_json(changed, caller), {"ETag": f'"{changed.revision}"'})

    def refuse(error: BookingError) -> Answer:
        return booking_problem(error, tz=tz, duration_minutes=minutes, trusted=caller.is_trusted)

    sent = Sent(request.method, request.url.path, credential, key.idempotency_key, key.body)
    return perform(services, sent, run, refuse).response(request)


def _check_revision(booking: Booking, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    match = _REVISION.fullmatch(if_match.strip())
    if match is None:
        raise ApiError("invalid-request", 'If-Match must be the booking\'s revision, such as "3"')
    if int(match.group(1)) != booking.revision:
        raise ApiError("revision-mismatch", f"the booking is at revision {booking.revision} now: read it again")
