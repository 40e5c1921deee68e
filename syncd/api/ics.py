"""What calendar programs subscribe to: when a freelancer is free, and their consultations."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from providers.ical_publish import write_free_busy, write_list
from syncd import freebusy
from syncd.api.answers import etag_of, unless_known
from syncd.api.credentials import key_holder, presented, visitor_of
from syncd.api.profile import visible_freelancer
from syncd.api.schemas.common import Problem
from syncd.errors import ApiError, AvailabilityUnknown
from syncd.feed import FeedAnswer
from syncd.freebusy import Told
from syncd.management.freelancers import find_freelancer
from syncd.secrets import FEED_TOKEN_PREFIX
from syncd.services import Services
from syncd.situation import is_over
from syncd.store import offers
from syncd.store.models import Freelancer

router = APIRouter(tags=["slots"])
_MEDIA_TYPE = "text/calendar; charset=utf-8"
_REFRESH = timedelta(minutes=15)
_CALENDAR: dict[int | str, dict[str, object]] = {
    200: {"content": {_MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "iCalendar (RFC 5545)"},
    304: {"description": "Not changed"},
    **{code: {"model": Problem} for code in (401, 403, 404, 422, 503)},
}


@router.get("/v1/{handle}/freebusy.ics", operation_id="get_freebusy", response_class=Response, responses=_CALENDAR)
def get_freebusy(request: Request, handle: str) -> Response:
    """When the freelancer can't be booked: to the public no more than the feed tells, to a key merged busy time."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        visitor = visitor_of(session, services.vault, presented(request), services.clock())
        person = visible_freelancer(session, visitor, handle)
        tell = _to_key if visitor.is_trusted(person.id) else _to_all
        answer = tell(services, session, person)
    return _calendar(request, answer.body, answer.etag, private=bool(presented(request)))


def _to_key(services: Services, session: Session, person: Freelancer) -> FeedAnswer:
    now = services.clock()
    span = freebusy.span_of(now, [offer.consultation for offer in offers.offers_by(session, person.id)])
    taken = services.situations.taken(session, person, now, span[1])
    if not taken.is_known:
        raise AvailabilityUnknown(retry_after=60)
    return _written(person, freebusy.told_to_key(taken, span), now, now)


def _to_all(services: Services, session: Session, person: Freelancer) -> FeedAnswer:
    """What the public is told, kept as the feed is: reckoning it takes a while, and anyone may ask."""
    now = services.clock()
    public = [o for o in offers.offers_by(session, person.id) if o.consultation.visibility == "public"]

    def make() -> FeedAnswer:
        consultations = [offer.consultation for offer in public]
        found = [services.situations.load(session, offer, now) for offer in public]
        if any(circumstances.situation.stale for circumstances in found):
            raise AvailabilityUnknown(retry_after=60)
        told = freebusy.told_to_all(found, freebusy.span_of(now, consultations))
        return _written(person, told, now, freebusy.told_until(found, consultations, now))

    pulled_at = public[0].pulled_at if public else None
    return services.feed.recall(("freebusy", *services.feed.version_of(person, pulled_at)), now, make)


def _written(person: Freelancer, told: Told, now: datetime, expires_at: datetime) -> FeedAnswer:
    body = write_free_busy(f"freebusy-{person.handle}", (told.start_at, told.end_at), now, told.periods)
    # When it was written is no part of what it says.
    return FeedAnswer(body, f"W/{etag_of(repr(told).encode())}", (), expires_at)


@router.get("/v1/{handle}/bookings.ics", operation_id="get_bookings_feed", response_class=Response, responses=_CALENDAR)
def get_bookings_feed(request: Request, handle: str) -> Response:
    """The freelancer's consultations, from thirty days ago on, for whoever has the feed's token or a key."""
    services: Services = request.app.state.services
    now = services.clock()
    with services.store.read() as session:
        person = _owner(services, session, presented(request), handle)
        live = offers.live_bookings(session, person.id, now - freebusy.LOOK_BACK)
        listed = freebusy.listed(booking for booking in live if not is_over(booking, now))
        body = write_list(f"{person.name}: consultations", _REFRESH, listed)
    return _calendar(request, body, etag_of(body), private=True)


def _owner(services: Services, session: Session, credential: str, handle: str) -> Freelancer:
    """The freelancer whose feed this credential opens. Raises ApiError."""
    person = find_freelancer(session, handle)
    if credential.startswith(FEED_TOKEN_PREFIX):
        if person is None or not services.vault.is_feed_token(credential, person.id, person.feed_generation):
            raise ApiError("unauthorized", "this token is not this feed's")
        return person
    holder = key_holder(session, credential)
    if holder is None:
        raise ApiError("unauthorized", "this feed needs its token, or an API key")
    if person is None or holder.freelancer_id not in (None, person.id):
        raise ApiError("not-found", f"there is no freelancer {handle}")
    if not holder.may("bookings:read", person.id):
        raise ApiError("forbidden", "this key lacks the scope bookings:read")
    return person


def _calendar(request: Request, body: bytes, etag: str, *, private: bool) -> Response:
    headers = {"Cache-Control": "private, no-cache"} if private else {}
    return unless_known(request, body, etag, headers, _MEDIA_TYPE)
