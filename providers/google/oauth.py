"""Permissions at Google: asked for, kept, renewed, given back.

Decides which scopes what needs, what a grant remembers, and when an access token is renewed: once, by one thread,
however many wait for it. Refuses to know where grants are stored and what is done with a token.
Google's "OAuth 2.0 for Web Server Applications" and "… for Mobile & Desktop Apps" describe the requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from google.oauth2.credentials import Credentials

from providers.errors import GrantRevoked, ProviderError, Unavailable
from providers.google.failures import of_token_endpoint, translated
from providers.google.http import AuthRequest, Bearer, open_google_session
from providers.model import Connection, OAuthClient
from providers.transport import GuardedSession

_SCOPE = "https://www.googleapis.com/auth/calendar"
LISTING = f"{_SCOPE}.calendarlist.readonly"
READING = f"{_SCOPE}.events.readonly"
FREE_BUSY = f"{_SCOPE}.freebusy"
WRITING_OWN = f"{_SCOPE}.events.owned"
WRITING_ALL = f"{_SCOPE}.events"

PURPOSES: Mapping[str, str] = {
    LISTING: "to list your calendars, so that you can choose among them",
    READING: "to see when you are busy; titles, places and guests are never asked for",
    FREE_BUSY: "to see when those calendars are busy that others share with you without details",
    WRITING_OWN: "to write consultations into a calendar of yours, and to change and remove them again",
    WRITING_ALL: "to write consultations into a calendar that someone else shares with you",
}
"""What each scope that is asked for is for, as it is told to the person."""

_COVERS: Mapping[str, frozenset[str]] = {
    _SCOPE: frozenset(PURPOSES),
    f"{_SCOPE}.readonly": frozenset({LISTING, READING, FREE_BUSY}),
    f"{_SCOPE}.calendarlist": frozenset({LISTING}),
    WRITING_ALL: frozenset({READING, WRITING_OWN}),
    f"{_SCOPE}.events.freebusy": frozenset({FREE_BUSY}),
}
_EARLY = timedelta(minutes=2)  # a token is renewed so long before it expires
_MOST_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission that a person gave; `ends_at` is when it ends by itself, where Google says so."""

    refresh_token: str
    scopes: frozenset[str]
    granted_at: datetime
    ends_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Grant({sorted(self.scopes)})"

    def text(self) -> str:
        """The grant as the secret of an account."""
        ends = self.ends_at and self.ends_at.isoformat()
        kept = {"scopes": sorted(self.scopes), "granted_at": self.granted_at.isoformat(), "ends_at": ends}
        return json.dumps({"refresh_token": self.refresh_token, **kept})

    @classmethod
    def read(cls, text: str) -> Grant:
        """What `text` made. Raises GrantRevoked for anything else: nobody has signed in yet."""
        try:
            kept = json.loads(text)
            ends = kept["ends_at"] and datetime.fromisoformat(kept["ends_at"])
            granted = datetime.fromisoformat(kept["granted_at"])
            return cls(str(kept["refresh_token"]), frozenset(kept["scopes"]), granted, ends)
        except (ValueError, LookupError, TypeError):
            raise GrantRevoked("nobody has given permission at Google yet: connect the account") from None

    def lacks(self, wanted: Iterable[str]) -> frozenset[str]:
        """Those of the wanted scopes that weren't granted."""
        granted = self.scopes.union(*(_COVERS.get(scope, frozenset()) for scope in self.scopes))
        return frozenset(wanted) - granted


# Asking a person


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to a person: where the answer goes, for which scopes, and what proves that it is ours.

    `state` and `verifier` (PKCE, RFC 7636) are unguessable; `user` is whose permission it should be, if that is known.
    """

    redirect_uri: str
    scopes: frozenset[str]
    state: str
    verifier: str
    user: str = ""


def authorize_url(client: OAuthClient, asking: Asking) -> str:
    """The address where a person is asked. What was granted before is granted along (incremental consent)."""
    challenge = hashlib.sha256(asking.verifier.encode()).digest()
    query = {
        "client_id": client.client_id,
        "redirect_uri": asking.redirect_uri,
        "response_type": "code",
        "scope": " ".join(sorted(asking.scopes)),
        "access_type": "offline",
        "include_granted_scopes": "true",
        "prompt": "consent",  # without it, who has consented before gives no refresh token
        "state": asking.state,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    hint = {"login_hint": asking.user} if asking.user else {}
    return f"{client.auth_uri}{'&' if '?' in client.auth_uri else '?'}{urlencode(query | hint)}"


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
    told = _ask(client, client.token_uri, form, patience)
    if not isinstance(told.get("refresh_token"), str):
        raise GrantRevoked("Google gave no lasting permission (no refresh token): try again")
    ends_in = told.get("refresh_token_expires_in")
    grant = Grant(
        told["refresh_token"],
        frozenset(str(told.get("scope", "")).split()) or asking.scopes,  # RFC 6749 §5.1: left out if as asked for
        now,
        now + timedelta(seconds=ends_in) if isinstance(ends_in, int) and ends_in > 0 else None,
    )
    tokens_of(client, grant).seed(str(told.get("access_token", "")), told.get("expires_in"))
    return grant


def revoke(client: OAuthClient, grant: Grant, patience: float | None = None) -> None:
    """Give a grant back; one that isn't good any more is fine. Raises Transient."""
    try:
        _ask(client, client.revoke_uri, {"token": grant.refresh_token}, patience)
    except GrantRevoked:
        return  # revoked before, by the person perhaps


def _ask(client: OAuthClient, url: str, form: Mapping[str, str], patience: float | None) -> dict[str, Any]:
    session = open_google_session(Connection(url, patience=patience))
    try:
        with translated(url):
            answer = session.post(url, data=dict(form), allow_redirects=False)
        try:
            said = answer.json()
        except ValueError:
            said = None
        told = said if isinstance(said, dict) else {}
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
        self._held = Credentials(  # type: ignore[no-untyped-call]
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
                self._held.refresh(AuthRequest(session))  # type: ignore[no-untyped-call]
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
