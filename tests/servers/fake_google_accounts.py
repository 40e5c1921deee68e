"""How syncd connects to the fake Google server: as its client, with what a person has permitted."""

from __future__ import annotations

from datetime import UTC, datetime

from fake_google import FakeGoogle

from providers.google.permissions import FREE_BUSY, LISTING, READING, WRITING_OWN, Grant
from providers.model import Connection, OAuthClient

USUAL = (LISTING, READING, FREE_BUSY, WRITING_OWN)


def client_of(google: FakeGoogle) -> OAuthClient:
    """syncd as this Google knows it."""
    return OAuthClient(**google.endpoints)


def grant_of(google: FakeGoogle, *scopes: str, user: str | None = None) -> Grant:
    """What a person has just permitted: all that is usual, if nothing is named."""
    wanted = scopes or USUAL
    return Grant(google.grant(*wanted, user=user), frozenset(wanted), datetime.now(UTC))


def connection_to(google: FakeGoogle, *scopes: str, secret: str | None = None) -> Connection:
    """All that is needed to open the account."""
    secret = grant_of(google, *scopes).text() if secret is None else secret
    return Connection(google.url, secret=secret, client=client_of(google))
