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
from syncd.api.credentials import Caller, caller_of, presented, side_of
from syncd.api.idempotency import Sent, perform, replay
from syncd.api.looking import View, perform_after_look
from syncd.api.problems import booking_problem
from syncd.api.schemas.common import Problem, Side
from syncd.api.views import booking_json, new_booking_json
from syncd.booking.clients import Standing
from syncd.errors import ApiError, AvailabilityUnknown, BookingError
from syncd.services import Services
from syncd.store.keys import Scope
from syncd.store.models import Booking
from syncd.sync.look import NOT_LOOKED, Looked

READING: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 422, 429, 503)}
MAKING: dict[int | str, dict[str, object]] = {**READING, **{code: {"model": Problem} for code in (409, 413)}}
PROBLEMS: dict[int | str, dict[str, object]] = {**MAKING, **{code: {"model": Problem} for code in (410, 412)}}
_REVISION = re.compile(r'(?:W/)?"?(\d{1,9})"?')


async def sent_body(request: Request) -> bytes:
    """The body's bytes, for telling one request from another."""
    return await request.body()


BodyBytes = Annotated[bytes, Depends(sent_body)]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='the booking\'s revision, such as "3"',
        json_schema_extra={"pattern": r'^((W/)?"?\d{1,9}"?|\*)$'},
    ),
]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an action was sent with: its Idempotency-Key, its If-Match, its body's bytes."""

    idempotency_key: str | None
    if_match: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Asker:
    """Who acts: on which side, and how far they are trusted."""

    side: Side
    standing: Standing


def asker_of(caller: Caller, on_behalf_of: Side | None) -> Asker:
    """Who a caller acts as. Raises ApiError for a side that isn't theirs."""
    side = side_of(caller, on_behalf_of)
    if caller.key is None:
        return Asker(side, "public")
    return Asker(side, "freelancer" if on_behalf_of == "freelancer" else "key")


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
    sided = lambda session, services, booking, asker: action(session, services, booking, asker.side)
    return act_as(request, booking_id, key, on_behalf_of, sided, scope=scope)


def act_as(
    request: Request,
    booking_id: str,
    key: Conditions,
    on_behalf_of: Side | None,
    action: Callable[[Session, Services, Booking, Asker], Booking],
    *,
    scope: Scope = "bookings:write",
) -> Response:
    """As `act`, for an action to which it matters how far whoever asks is trusted."""
    the_act = _Act.of(request, booking_id, key, on_behalf_of, scope)

    def run(session: Session) -> Answer:
        booking = the_act.find(session)
        return the_act.answer(action(session, the_act.services, booking, the_act.asker))

    return perform(the_act.services, the_act.sent, run, the_act.refuse).response(request)


def act_after_look(
    request: Request,
    booking_id: str,
    key: Conditions,
    on_behalf_of: Side | None,
    view: Callable[[Booking], View | None],
    rehearse: Callable[[Session, Services, Booking, Asker], object],
    action: Callable[[Session, Services, Booking, Asker, Looked], Booking],
    *,
    makes_another: bool = False,
    goes_on: bool = False,
) -> Response:
    """Run an action that a live look comes before: `rehearse` raises what stands against it, `view` says where to look.

    A look elsewhere than where the booking is by then counts for nothing, as it was moved meanwhile: whoever asks is
    told to ask again, unless the action `goes_on` without an answer. One that `makes_another` booking is answered as
    that booking is, with its token.
    """
    the_act = _Act.of(request, booking_id, key, on_behalf_of, "bookings:write")

    if (before := replay(the_act.services, the_act.sent)) is not None:
        return before.response(request)

    def ask(session: Session) -> View | None:
        booking = the_act.find(session)
        rehearse(session, the_act.services, booking, the_act.asker)
        return view(booking)

    def run(session: Session, at: View | None, looked: Looked) -> Answer:
        booking = the_act.find(session)
        if view(booking) != at:
            if not goes_on:
                raise AvailabilityUnknown("the booking was moved meanwhile: try again", retry_after=1)
            looked = NOT_LOOKED
        changed = action(session, the_act.services, booking, the_act.asker, looked)
        return the_act.new_answer(changed) if makes_another else the_act.answer(changed)

    return perform_after_look(the_act.services, the_act.sent, ask, run, the_act.refuse).response(request)


@dataclass(frozen=True, slots=True)
class _Act:
    """One request to act on a booking."""

    services: Services
    booking_id: str
    scope: Scope
    caller: Caller
    asker: Asker
    sent: Sent
    if_match: str | None
    tz: str
    duration_minutes: int

    @classmethod
    def of(cls, request: Request, booking_id: str, key: Conditions, on_behalf_of: Side | None, scope: Scope) -> _Act:
        """Who asks for it, and of which booking. Raises ApiError as `caller_of` and `side_of` do."""
        services: Services = request.app.state.services
        credential = presented(request)
        with services.store.read() as session:
            caller, booking = caller_of(session, services.vault, credential, booking_id, scope)
            tz, minutes = booking.freelancer.tz, int((booking.ends_at - booking.starts_at).total_seconds()) // 60
        sent = Sent(request.method, request.url.path, credential, key.idempotency_key, key.body)
        asker = asker_of(caller, on_behalf_of)
        return cls(services, booking_id, scope, caller, asker, sent, key.if_match, tz, minutes)

    def find(self, session: Session) -> Booking:
        """The booking as it is now, for whoever may still act on it. Raises ApiError."""
        _, booking = caller_of(session, self.services.vault, self.sent.credential, self.booking_id, self.scope)
        _check_revision(booking, self.if_match)
        return booking

    def answer(self, booking: Booking) -> Answer:
        """The booking after the action."""
        now = self.services.clock()
        return Answer.of(200, booking_json(booking, self.caller, now), {"ETag": f'"{booking.revision}"'})

    def new_answer(self, booking: Booking) -> Answer:
        """A booking that the action made."""
        headers = {"Location": f"/v1/bookings/{booking.id}", "ETag": f'"{booking.revision}"'}
        return Answer.of(201, new_booking_json(self.services, booking, self.caller), headers)

    def refuse(self, error: BookingError) -> Answer:
        """Why it can't be done."""
        trusted = self.caller.is_trusted
        return booking_problem(error, tz=self.tz, duration_minutes=self.duration_minutes, trusted=trusted)


def _check_revision(booking: Booking, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    match = _REVISION.fullmatch(if_match.strip())
    if match is None:
        raise ApiError("invalid-request", 'If-Match must be the booking\'s revision, such as "3"')
    if int(match.group(1)) != booking.revision:
        raise ApiError("revision-mismatch", f"the booking is at revision {booking.revision} now: read it again")
