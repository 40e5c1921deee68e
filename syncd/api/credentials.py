"""Who asks: nobody, the holder of an API key, or a booking's client by its token. The actor is the credential."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.orm import Session

from syncd.booking.lifecycle import Side
from syncd.errors import ApiError
from syncd.secrets import BOOKING_TOKEN_PREFIX, Vault, hash_api_key
from syncd.store import keys
from syncd.store.keys import Scope
from syncd.store.models import Booking


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
    if token and not token.startswith(BOOKING_TOKEN_PREFIX):
        raise ApiError("unauthorized", "`?token=` takes a booking's token; send a key as `Authorization: Bearer …`")
    return token


def key_holder(session: Session, credential: str) -> KeyHolder | None:
    """The key's holder; None without a credential or with a booking's token. Raises ApiError for an unknown key."""
    if not credential or credential.startswith(BOOKING_TOKEN_PREFIX):
        return None
    key = keys.find_key(session, hash_api_key(credential))
    if key is None:
        raise ApiError("unauthorized", "this key is unknown or revoked")
    return KeyHolder(key.id, key.freelancer_id, frozenset(key.scopes))


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
