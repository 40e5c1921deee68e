"""What other settings would do to the slots, before they are set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from availability import whole_second
from syncd.api.answers import Answer
from syncd.api.credentials import presented, visitor_of
from syncd.api.schemas.common import Problem
from syncd.api.schemas.simulate import Simulate, Simulated, When
from syncd.errors import ApiError, AvailabilityUnknown
from syncd.feed_json import render_days
from syncd.questions import LONGEST, check_zone, duration_of, window_of, wrong
from syncd.services import Services
from syncd.simulation import Listing, Proposal, beyond, listing, propose
from syncd.store import offers
from syncd.store.offers import Offer

router = APIRouter(tags=["slots"])
_PROBLEMS: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 413, 422, 503)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """About what: the body says, or else the query."""

    start: str | None
    end: str | None
    time_zone: str | None
    duration_minutes: int | None


@router.post(
    "/v1/{handle}/{slug}/slots/simulate",
    operation_id="simulate_slots",
    responses={200: {"model": Simulated}, **_PROBLEMS},
)
def simulate_slots(
    request: Request,
    handle: str,
    slug: str,
    wanted: Simulate | None = None,
    start: Annotated[When | None, Query()] = None,
    end: Annotated[When | None, Query()] = None,
    time_zone: Annotated[str | None, Query(max_length=64)] = None,
    duration_minutes: Annotated[int | None, Query(gt=0, le=10_080)] = None,
) -> Response:
    """The slots under proposed settings, and which they add and remove; nothing is written. Needs `slots:read`."""
    services: Services = request.app.state.services
    body = wanted or Simulate()
    asked = _Asked(
        body.start or start,
        body.end or end,
        body.time_zone or time_zone,
        body.duration_minutes or duration_minutes,
    )
    with services.store.read() as session:
        offer = _offer(services, session, request, (handle, slug))
        proposed = propose(session, services.config, offer, _proposal(body))
        try:
            return Answer(200, _simulate(services, session, offer, proposed, asked)).response(request)
        except ApiError as error:
            raise _placed(error, body) from None


def _placed(error: ApiError, body: Simulate) -> ApiError:
    """The error of something that is asked, with its place: in the body or in the query."""
    errors = []
    for found in error.errors:
        name = found["pointer"].removeprefix("query:").removeprefix("/")
        in_body = getattr(body, name, None) is not None
        errors.append({**found, "pointer": f"/{name}" if in_body else f"query:{name}"})
    return ApiError(error.code, error.detail, errors=errors)


def _offer(services: Services, session: Session, request: Request, name: tuple[str, str]) -> Offer:
    """The offer, for a key that may read its freelancer's slots. Raises ApiError."""
    visitor = visitor_of(session, services.vault, presented(request))
    offer = offers.find_offer(session, *name)
    if visitor.key is None:
        raise ApiError("unauthorized", "trying other settings needs an API key")
    if offer is None or visitor.key.freelancer_id not in (None, offer.freelancer.id):
        raise ApiError("not-found", f"there is no consultation {name[0]}/{name[1]}")
    if not visitor.is_trusted(offer.freelancer.id):
        raise ApiError("forbidden", "this key lacks the scope slots:read")
    return offer


def _proposal(body: Simulate) -> Proposal:
    consultation = body.consultation.model_dump(exclude_unset=True) if body.consultation else {}
    schedule = body.schedule.model_dump(exclude_unset=True) if body.schedule else {}
    return Proposal(consultation, schedule, body.blocks)


def _simulate(services: Services, session: Session, offer: Offer, proposed: Offer, asked: _Asked) -> bytes:
    now, tz = services.clock(), check_zone(asked.time_zone or offer.freelancer.tz)
    window = _window(asked, tz, now, max(o.consultation.horizon_minutes for o in (offer, proposed)))
    minutes = duration_of(proposed, asked.duration_minutes)
    today, then = (services.situations.load(session, each, now) for each in (offer, proposed))
    if today.situation.stale or then.situation.stale:
        raise AvailabilityUnknown(retry_after=60)
    before = listing(today.situation, 60 * (asked.duration_minutes or duration_of(offer, None)), window)
    after = listing(then.situation, 60 * minutes, window)
    head = {
        "freelancer": offer.freelancer.handle,
        "consultation": offer.consultation.slug,
        "duration_minutes": minutes,
        "time_zone": tz,
        "state": "degraded" if then.is_degraded else "fresh",
    }
    parts = {"slots": after, "added": beyond(after, before), "removed": beyond(before, after)}
    return _json(head, parts, tz)


def _window(asked: _Asked, tz: str, now: datetime, horizon_minutes: int) -> tuple[int, int]:
    """What is asked about, in seconds since the epoch; by default the booking window. Raises ApiError."""
    if (asked.start is None) != (asked.end is None):
        raise wrong("end", "start and end must both be given, or neither")
    if asked.start is None or asked.end is None:
        start_at, end_at = now, now + min(timedelta(minutes=horizon_minutes), LONGEST)
    else:
        start_at, end_at = window_of(asked.start, asked.end, tz)
    return whole_second(start_at), whole_second(end_at)


def _json(head: dict[str, object], parts: dict[str, Listing], tz: str) -> bytes:
    days = [b'"%s":%s' % (name.encode(), render_days(one.starts, one.duration, tz)) for name, one in parts.items()]
    return json.dumps(head, ensure_ascii=False).encode()[:-1] + b"," + b",".join(days) + b"}"
