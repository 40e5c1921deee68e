"""Private links over HTTP: made, listed, revoked by the holders of a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from syncd.api.acting import MAKING, READING, BodyBytes, IdempotencyKey
from syncd.api.answers import Answer
from syncd.api.credentials import KeyHolder, key_holder, presented
from syncd.api.idempotency import Sent, perform
from syncd.api.pages import cursor_of, page_answer, place_in
from syncd.api.problems import refused
from syncd.api.schemas.links import LinkList, LinkView, NewLink, PageQuery
from syncd.booking import links
from syncd.errors import ApiError, invalid_at
from syncd.instants import rfc3339, rfc3339_or_none
from syncd.services import Services
from syncd.store import offers
from syncd.store.keys import Scope
from syncd.store.links import links_of, uses_of
from syncd.store.models import Link
from syncd.store.offers import Offer

router = APIRouter(tags=["links"])


@router.post(
    "/v1/{handle}/{slug}/links",
    operation_id="create_link",
    status_code=201,
    responses={201: {"model": LinkView}, **MAKING},
)
def create_link(
    request: Request,
    handle: str,
    slug: str,
    body: BodyBytes,
    wanted: NewLink | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a link by which a consultation is booked from a browser, whatever its visibility; once unless said else."""
    services: Services = request.app.state.services
    credential, terms = presented(request), _terms(wanted or NewLink(metadata={}))
    with services.store.read() as session:
        _desk(services, session, credential, (handle, slug), "bookings:write")

    def make(session: Session) -> Answer:
        desk = _desk(services, session, credential, (handle, slug), "bookings:write")
        if terms.expires_at and terms.expires_at <= services.clock():
            raise invalid_at("/expires_at", "must be an instant that is still to come", "past")
        link = links.make_link(session, desk.offer, terms, services.clock())
        return Answer.of(201, desk.link_json(link, 0), {"Cache-Control": "no-store"})

    sent = Sent("POST", request.url.path, credential, idempotency_key, body)
    return perform(services, sent, make, refused).response(request)


@router.get("/v1/{handle}/{slug}/links", operation_id="list_links", responses={200: {"model": LinkList}, **READING})
def list_links(request: Request, handle: str, slug: str, asked: Annotated[PageQuery, Query()]) -> Response:
    """A consultation's links, oldest first; needs a key with `bookings:read`."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        desk = _desk(services, session, presented(request), (handle, slug), "bookings:read")
        after = place_in("links", asked.cursor)
        page = links_of(session, desk.offer.consultation.id, limit=asked.limit, after=after)
        used = uses_of(session, [link.id for link in page.rows], services.clock())
    data = [desk.link_json(link, used[link.id]) for link in page.rows]
    return page_answer(data, cursor_of("links", page.ended)).response(request)


@router.delete(
    "/v1/{handle}/{slug}/links/{link_id}",
    operation_id="revoke_link",
    status_code=204,
    responses={204: {"description": "Revoked"}, **MAKING},
)
def revoke_link(request: Request, handle: str, slug: str, link_id: str) -> Response:
    """Close a link for good; what was booked by it stays."""
    services: Services = request.app.state.services
    with services.store.write() as session:
        desk = _desk(services, session, presented(request), (handle, slug), "bookings:write")
        link = session.get(Link, link_id)
        if link is None or link.consultation_id != desk.offer.consultation.id:
            raise ApiError("not-found", "there is no such link")
        links.revoke(link, services.clock())
    return Response(status_code=204)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where links to one consultation are made and kept, and who does it."""

    services: Services
    offer: Offer
    holder: KeyHolder

    def link_json(self, link: Link, used: int) -> dict[str, object]:
        """A link as it is shown; its token only to those who may make links."""
        handle, slug = self.offer.freelancer.handle, self.offer.consultation.slug
        may_share = self.holder.may("bookings:write", link.freelancer_id)
        token = self.services.vault.link_token(link.id) if may_share else None
        public_url = self.services.config.public_url(self.services.port)
        return {
            "id": link.id,
            "url": f"{public_url}/{handle}/{slug}?token={token}" if token else None,
            "token": token,
            "state": links.state_of(link, used, self.services.clock()),
            "uses": link.uses,
            "used": used,
            "expires_at": rfc3339_or_none(link.expires_at),
            "client": link.client,
            "metadata": link.extra,
            "freelancer": handle,
            "consultation": slug,
            "created_at": rfc3339(link.created_at),
            "revoked_at": rfc3339_or_none(link.revoked_at),
        }


def _desk(services: Services, session: Session, credential: str, name: tuple[str, str], scope: Scope) -> _Desk:
    holder = key_holder(session, credential)
    if holder is None:
        raise ApiError("unauthorized", "links are made and listed by the holder of an API key")
    offer = offers.find_offer(session, *name)
    if offer is None:
        raise ApiError("not-found", f"there is no consultation {name[0]}/{name[1]}")
    if not holder.may(scope, offer.freelancer.id):
        raise ApiError("forbidden", f"this key lacks the scope {scope} for this freelancer")
    return _Desk(services, offer, holder)


def _terms(wanted: NewLink) -> links.LinkTerms:
    client = wanted.client.model_dump(exclude_none=True) if wanted.client else None
    return links.LinkTerms(wanted.uses, wanted.expires_at, client, wanted.metadata)
