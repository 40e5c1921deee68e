"""Permissions at Google: what there is to ask for, how a person is asked, and what is remembered of the answer.

Decides which scopes what needs, and what a grant is as text. Refuses to know HTTP, and needs no library of Google's.
Google's "OAuth 2.0 for Web Server Applications" and "… for Mobile & Desktop Apps" describe the address.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from providers.errors import GrantRevoked
from providers.model import OAuthClient

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
