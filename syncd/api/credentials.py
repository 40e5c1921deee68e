"""Who asks: anyone, the holder of an API key, a booking's client by its token, or whoever a private link was given to.

Decides from the credential alone who someone is, and what of that lets them in. The actor is the credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from starlette.requests import Request

from syncd.booking.lifecycle import Side
from syncd.booking.links import LinkHolder, check_open, link_holder
from syncd.errors import ApiError
from syncd.secrets import BOOKING_TOKEN_PREFIX, FEED_TOKEN_PREFIX, LINK_TOKEN_PREFIX, Vault, hash_api_key
from syncd.services import Services
from syncd.store import keys
from syncd.store.keys import Scope
from syncd.store.models import Booking, Consultation
from syncd.store.offers import Offer

_TOKENS = (BOOKING_TOKEN_PREFIX, LINK_TOKEN_PREFIX, FEED_TOKEN_PREFIX)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A valid API key: `freelancer_id` None means all freelancers."""

    key_id: str
    freelancer_id: str | None
    scopes: frozenset[str]

    def may(self, scope: Scope, freelancer_id: str) -> bool:
        """Whether the key allows something at a freelancer."""
        return scope in self.scopes and self.freelancer_id in (None, freelancer_id)


def presented(request: Request) -> str:
    """The credential as sent: `Authorization: Bearer`, on GET also `?token=`; "" if there is none."""
    header = request.headers.get("authorization", "")
    if header:
        scheme, _, credential = header.partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise ApiError("unauthorized", "send the key or token as `Authorization: Bearer …`")
        return credential.strip()
    token = request.query_params.get("token", "") if request.method in ("GET", "HEAD") else ""
    if token and not token.startswith(_TOKENS):
        raise ApiError("unauthorized", "`?token=` takes a token; send a key as `Authorization: Bearer …`")
    return token


def key_holder(session: Session, credential: str) -> KeyHolder | None:
    """The key's holder; None without a credential or with a token. Raises ApiError for an unknown key."""
    if not credential or credential.startswith(_TOKENS):
        return None
    key = keys.find_key(session, hash_api_key(credential))
    if key is None:
        raise ApiError("unauthorized", "this key is unknown or revoked")
    return KeyHolder(key.id, key.freelancer_id, frozenset(key.scopes))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Someone who comes to a freelancer's consultations: with a key, with a private link's token, or with neither."""

    key: KeyHolder | None = None
    link: LinkHolder | None = None

    def may_see(self, consultation: Consultation) -> bool:
        """Whether a consultation may be shown: a private one only by its link or for a key with `slots:read`."""
        if consultation.visibility != "private":
            return True
        by_link = self.link is not None and self.link.consultation_id == consultation.id
        return by_link or self.is_trusted(consultation.freelancer_id)

    def is_trusted(self, freelancer_id: str) -> bool:
        """Whether private time of a freelancer may be told: to a key with `slots:read`."""
        return self.key is not None and self.key.may("slots:read", freelancer_id)


def visitor_of(session: Session, vault: Vault, credential: str, now: datetime | None = None) -> Visitor:
    """Who brings a credential. Raises ApiError: 401 for an unknown key or a forged link.

    With `now` also 403 for a link that is revoked, expired or used up; without it such a link is let pass, for requests
    that may have been answered before.
    """
    if not credential.startswith(LINK_TOKEN_PREFIX):
        return Visitor(key_holder(session, credential))
    link_id = vault.link_id(credential)
    link = link_holder(session, link_id) if link_id else None
    if link is None:
        raise ApiError("unauthorized", "this link is unknown")
    if now is not None:
        check_open(session, link.link_id, now)
    return Visitor(link=link)


def admit(session: Session, visitor: Visitor, offer: Offer, now: datetime) -> None:
    """Let a visitor in to book a consultation, as far as its visibility and a link decide it.

    Raises ApiError: 401 for another's link, and for a private consultation with neither link nor key; 403 for a link
    that is revoked, expired or used up. Asked again under the write lock, it decides races for a link's last use. What
    a key may do is asked elsewhere.
    """
    consultation = offer.consultation
    if visitor.link is not None:
        if visitor.link.consultation_id != consultation.id:
            raise ApiError("unauthorized", "this link is not this consultation's")
        check_open(session, visitor.link.link_id, now)
    elif visitor.key is None and consultation.visibility == "private":
        raise ApiError("unauthorized", "this consultation is private: it needs a link or a key")


def may_look(session: Session, request: Request, offer: Offer) -> Visitor:
    """Who looks at a consultation's times. Raises ApiError as `visitor_of` and `admit` do, and 403 for a key that lacks
    the scope `slots:read` where the consultation is private."""
    services: Services = request.app.state.services
    visitor = visitor_of(session, services.vault, presented(request))
    admit(session, visitor, offer, services.clock())
    if not visitor.may_see(offer.consultation):
        raise ApiError("forbidden", "this key lacks the scope slots:read for this freelancer")
    return visitor


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who may see a booking: its client, or a key's holder."""

    side: Side
    key: KeyHolder | None

    @property
    def is_trusted(self) -> bool:
        """Whether private reasons may be told."""
        return self.key is not None


def caller_of(session: Session, vault: Vault, credential: str, booking_id: str, scope: Scope) -> tuple[Caller, Booking]:
    """The booking and who asks for it. Raises ApiError: 401 unknown, 403 not allowed, 404 not there."""
    booking = session.get(Booking, booking_id)
    if credential.startswith(BOOKING_TOKEN_PREFIX):
        if booking is None or not vault.is_booking_token(credential, booking.id, booking.token_generation):
            raise ApiError("unauthorized", "this token is not this booking's")
        return Caller("client", None), booking
    holder = key_holder(session, credential)
    if holder is None:
        raise ApiError("unauthorized", "a booking is shown to the holder of its token or of an API key")
    if booking is None or holder.freelancer_id not in (None, booking.freelancer_id):
        raise ApiError("not-found", "there is no such booking")
    if not holder.may(scope, booking.freelancer_id):
        raise ApiError("forbidden", f"this key lacks the scope {scope}")
    return Caller("freelancer", holder), booking


def side_of(caller: Caller, on_behalf_of: Side | None) -> Side:
    """Which side acts: a key's holder may say, a client is a client. Raises ApiError."""
    if on_behalf_of is None or on_behalf_of == caller.side:
        return caller.side
    if caller.key is None:
        raise ApiError("forbidden", "only an API key may act for another side")
    return on_behalf_of
