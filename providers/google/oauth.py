"""Permissions at Google: codes turned into grants, access tokens renewed, grants given back.

Decides when an access token is renewed: once, by one thread, however many wait for it. Refuses to know where grants are
stored and what is done with a token.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from google.oauth2.credentials import Credentials

from providers.errors import GrantRevoked, ProviderError, Unavailable
from providers.google.failures import of_token_endpoint, translated
from providers.google.http import LONGEST, AuthRequest, Bearer, is_token, json_object, open_google_session
from providers.google.permissions import Asking, Grant
from providers.model import Connection, OAuthClient
from providers.transport import GuardedSession

_EARLY = timedelta(minutes=2)  # a token is renewed so long before it expires
_MOST_KEPT = 4_096


def exchange(client: OAuthClient, asking: Asking, code: str, now: datetime, patience: float | None = None) -> Grant:
    """Turn the code of an answer into a grant. Raises GrantRevoked for a code that isn't good (any more), Transient."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "redirect_uri": asking.redirect_uri,
        "code_verifier": asking.verifier,
    }
    told = _ask(client.token_uri, form, patience)
    if not is_token(told):
        raise Unavailable("Google's answer is no permission: try again")
    if not isinstance(told.get("refresh_token"), str) or not told["refresh_token"]:
        raise GrantRevoked("Google gave no lasting permission (no refresh token): try again")
    scopes = told.get("scope")
    granted = frozenset(scopes.split()) if isinstance(scopes, str) else frozenset()
    ends_in = told.get("refresh_token_expires_in")
    grant = Grant(
        told["refresh_token"],
        granted or asking.scopes,  # RFC 6749 §5.1: left out if as asked for
        now,
        now + timedelta(seconds=ends_in) if isinstance(ends_in, int) and 0 < ends_in <= LONGEST else None,
    )
    tokens_of(client, grant).seed(told["access_token"], told.get("expires_in"))
    return grant


def revoke(client: OAuthClient, grant: Grant, patience: float | None = None) -> None:
    """Give a grant back; one that isn't good any more is fine. Raises Transient."""
    try:
        _ask(client.revoke_uri, {"token": grant.refresh_token}, patience)
    except GrantRevoked:
        return  # revoked before, by the person perhaps


def _ask(url: str, form: Mapping[str, str], patience: float | None) -> dict[str, Any]:
    session = open_google_session(Connection(url, patience=patience))
    try:
        with translated(url):
            answer = session.post(url, data=dict(form), allow_redirects=False)
            told = json_object(answer.content)
            if answer.status_code != 200:
                raise of_token_endpoint(answer.status_code, told, url)
            return told
    finally:
        session.close()


# Access tokens


class Tokens:
    """The access tokens of one grant, for all threads of this process."""

    def __init__(self, client: OAuthClient, grant: Grant) -> None:
        self._token_uri = client.token_uri
        self._held = Credentials(  # type: ignore[no-untyped-call] # google-auth has types for little
            None,
            refresh_token=grant.refresh_token,
            token_uri=client.token_uri,
            client_id=client.client_id,
            client_secret=client.client_secret,
        )
        self._lock = Lock()
        self._failed: tuple[float, ProviderError] | None = None

    def seed(self, token: str, expires_in: object) -> None:
        """Take a token that came along with the grant."""
        if token and isinstance(expires_in, int):
            with self._lock:
                self._held.token = token
                self._held.expiry = (datetime.now(UTC) + timedelta(seconds=expires_in)).replace(tzinfo=None)

    def get(self, session: GuardedSession, until: float, refused: str | None = None) -> str:
        """A token that should be good, renewed if it must be, and if it is the one that was `refused`.

        Who waits for another's renewal shares its outcome. Raises GrantRevoked, Transient, `Unavailable` at `until`
        (of time.monotonic).
        """
        began = time.monotonic()
        if not self._lock.acquire(timeout=min(max(0.0, until - began), 600.0)):
            raise Unavailable("another request is still renewing the access token")
        try:
            if self._failed is not None and self._failed[0] >= began:
                raise type(self._failed[1])(str(self._failed[1]), retry_after=self._failed[1].retry_after)
            if self._is_stale() or self._held.token == refused:
                self._renew(session)
            return str(self._held.token)
        finally:
            self._lock.release()

    def _is_stale(self) -> bool:
        expiry: datetime | None = self._held.expiry
        return not self._held.token or (expiry is not None and expiry.replace(tzinfo=UTC) - _EARLY < datetime.now(UTC))

    def _renew(self, session: GuardedSession) -> None:
        try:
            with translated(self._token_uri):
                self._held.refresh(AuthRequest(session))  # type: ignore[no-untyped-call] # as above
        except ProviderError as error:
            self._held.token = None
            self._failed = (time.monotonic(), error)
            raise


_KEPT: OrderedDict[str, Tokens] = OrderedDict()
_KEPT_LOCK = Lock()


def tokens_of(client: OAuthClient, grant: Grant) -> Tokens:
    """The tokens of a grant, the same for everyone in this process."""
    marks = (client.token_uri, client.client_id, client.client_secret, grant.refresh_token)
    key = hashlib.sha256("\n".join(marks).encode()).hexdigest()
    with _KEPT_LOCK:
        found = _KEPT.setdefault(key, Tokens(client, grant))
        _KEPT.move_to_end(key)
        if len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
        return found


def bearer(tokens: Tokens, session: GuardedSession, until: float) -> Bearer:
    """Whoever is asked for a token, or for another than one that was refused, until an instant of time.monotonic."""

    def token(refused: str | None) -> str:
        return tokens.get(session, until, refused)

    return token
