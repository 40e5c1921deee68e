"""A freelancer's public profile, and the first slots of several consultations at once."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from syncd.api.answers import etag_of, unless_known
from syncd.api.credentials import Visitor, presented, visitor_of
from syncd.api.schemas.common import Problem
from syncd.api.schemas.profile import NextList, ProfileView
from syncd.errors import ApiError
from syncd.management.freelancers import find_freelancer
from syncd.questions import check_zone, wrong
from syncd.services import Services
from syncd.store import offers
from syncd.store.models import Consultation, Freelancer
from syncd.store.offers import Offer

router = APIRouter(tags=["slots"])
MOST_NAMED = 100
_PROBLEMS: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 422, 503)}
_UNCHANGED: dict[int | str, dict[str, object]] = {304: {"description": "Not changed"}}
_TOLD = (
    *("slug", "title", "description", "visibility", "durations_minutes", "increment_minutes"),
    *("minimum_notice_minutes", "horizon_minutes", "cancellation_notice_minutes", "confirmation"),
    *("hold_max_minutes", "price", "questions", "instant"),
)


@router.get("/v1/next", operation_id="list_next", responses={200: {"model": NextList}, **_UNCHANGED, **_PROBLEMS})
def list_next(
    request: Request,
    consultations: Annotated[
        list[Annotated[str, Query(max_length=20_000)]], Query(description="up to 100, such as ada/intro,bob/chat")
    ],
    time_zone: Annotated[str | None, Query(max_length=64, description="by default each freelancer's")] = None,
) -> Response:
    """The first slot of each of these consultations; one that can't be told is named as such."""
    services: Services = request.app.state.services
    names = _names(consultations)
    if time_zone is not None:
        check_zone(time_zone)
    with services.store.read() as session:
        visitor = visitor_of(session, services.vault, presented(request), services.clock())
        found = offers.find_offers(session, set(names))
        items = [_next(services, session, visitor, name, found.get(name), time_zone) for name in names]
    body = b'{"data":[%s],"next_cursor":null}' % b",".join(items)
    return unless_known(request, body, etag_of(body), _privacy(request))


def _names(texts: list[str]) -> list[tuple[str, str]]:
    """Handles and slugs, as named. Raises ApiError."""
    named = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    if not 0 < len(named) <= MOST_NAMED:
        raise wrong("consultations", f"must name 1 to {MOST_NAMED} consultations, such as ada/intro,bob/chat")
    pairs = [tuple(name.split("/")) for name in named]
    for name, pair in zip(named, pairs, strict=True):
        if len(pair) != 2:
            raise wrong("consultations", f"{name[:100]} must be a handle and a slug, such as ada/intro")
    return [(handle, slug) for handle, slug in pairs]


def _next(
    services: Services, session: Session, visitor: Visitor, name: tuple[str, str], offer: Offer | None, tz: str | None
) -> bytes:
    if offer is None:
        return _untold(name, "not_found")
    if not visitor.may_see(offer.consultation):
        return _untold(name, "private")
    return services.feed.first(session, offer, tz or offer.freelancer.tz, services.clock()).body


def _untold(name: tuple[str, str], state: str) -> bytes:
    nothing = dict.fromkeys(("duration_minutes", "time_zone", "next_slot", "valid_until", "online"))
    return json.dumps({"freelancer": name[0], "consultation": name[1], "state": state, **nothing}).encode()


def _privacy(request: Request) -> dict[str, str]:
    return {"Cache-Control": "private, no-cache"} if presented(request) else {}


@router.get(
    "/v1/{handle}", operation_id="get_profile", responses={200: {"model": ProfileView}, **_UNCHANGED, **_PROBLEMS}
)
def get_profile(request: Request, handle: str) -> Response:
    """Who can be booked, and for what: active public consultations; with a key all active ones."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        visitor = visitor_of(session, services.vault, presented(request), services.clock())
        person = visible_freelancer(session, visitor, handle)
        shown = [c for c in person.consultations if c.active and not c.removed and _is_listed(visitor, c)]
        body = json.dumps(_profile(person, shown), ensure_ascii=False).encode()
    return unless_known(request, body, etag_of(body), _privacy(request))


def visible_freelancer(session: Session, visitor: Visitor, handle: str) -> Freelancer:
    """The freelancer of that handle, if this visitor may see the profile. Raises ApiError: 404, whatever the reason."""
    person = find_freelancer(session, handle)
    if person is None or not _may_visit(visitor, person):
        raise ApiError("not-found", f"there is no freelancer {handle} with a public profile")
    return person


def _may_visit(visitor: Visitor, person: Freelancer) -> bool:
    """A public profile is for anyone; a private one, or an inactive freelancer's, for a key or one of their links."""
    by_link = visitor.link is not None and any(c.id == visitor.link.consultation_id for c in person.consultations)
    return (person.active and person.profile == "public") or by_link or visitor.is_trusted(person.id)


def _is_listed(visitor: Visitor, consultation: Consultation) -> bool:
    by_link = visitor.link is not None and visitor.link.consultation_id == consultation.id
    return consultation.visibility == "public" or by_link or visitor.is_trusted(consultation.freelancer_id)


def _profile(person: Freelancer, consultations: list[Consultation]) -> dict[str, Any]:
    return {
        "handle": person.handle,
        "name": person.name,
        "time_zone": person.tz,
        "online": None,
        "consultations": [_offer(c) for c in sorted(consultations, key=lambda c: c.slug)],
    }


def _offer(consultation: Consultation) -> dict[str, Any]:
    told = {name: getattr(consultation, name) for name in _TOLD}
    return {**told, "location_kind": _location_kind(consultation.location)}


def _location_kind(location: str) -> str | None:
    """How a consultation takes place, without the address: that is for those who have booked."""
    if location in ("", "video"):
        return location or None
    return "link" if "://" in location else "text"
