"""How an account is reached: its address, user name and secret, and what a change of them means.

A feed's address is often all that keeps it private, so it is sealed like a password, and only its host is shown. With a
permission its user's name is sealed, so that whose it was is still known when the account is gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from providers.model import Connection, OAuthClient
from syncd.config import Config, Google
from syncd.secrets import Vault
from syncd.store.models import Account

FEED = "ics"
SIGNED_IN = frozenset({"google"})
"""Kinds of accounts whose secret is a permission that a person gives by signing in, and that no file can hold."""
_LONG_AGO = timedelta(days=1)
_SEALED_WHOLE = '{"url": "'  # else it was sealed when the account was of another kind, or feeds weren't known


@dataclass(frozen=True, slots=True)
class Access:
    """Where an account is, and what opens it."""

    url: str
    username: str = ""
    secret: str = ""


def access_of(account: Account, vault: Vault) -> Access | None:
    """The access an account has now; None before it was given one, or one as its kind has it."""
    if account.credential is None:
        return None
    opened = vault.unseal(account.credential).decode()
    if account.provider == FEED:
        return access_within(opened) if opened.startswith(_SEALED_WHOLE) else None
    secret = access_within(opened).secret if account.provider in SIGNED_IN else opened
    return Access(account.url, account.username, secret)


def access_within(opened: str) -> Access:
    """What was sealed as a whole; of what was sealed otherwise the secret alone is known."""
    return Access(**json.loads(opened)) if opened.startswith(_SEALED_WHOLE) else Access("", secret=opened)


def sealed_whole(access: Access, vault: Vault) -> bytes:
    """An access, sealed with all that is known of it."""
    return vault.seal(json.dumps({"url": access.url, "username": access.username, "secret": access.secret}))


def renew_access(account: Account, vault: Vault, access: Access, now: datetime) -> None:
    """Give an account an access and forget its faults; and all it knew, if it is another account now.

    `account.provider` is set before.
    """
    before = access_of(account, vault)
    if before is None or (before.url, before.username) != (access.url, access.username):
        _forget(account, now)
    is_feed = account.provider == FEED
    is_whole = is_feed or account.provider in SIGNED_IN
    account.credential = sealed_whole(access, vault) if is_whole else vault.seal(access.secret)
    account.url, account.username = _host(access.url) if is_feed else access.url, access.username
    account.state, account.problem, account.attempts, account.blocked_until_at = "ok", None, 0, None
    account.next_list_at = now
    account.lease_owner = account.lease_until = None  # work in flight asked with the old ones
    for calendar in account.calendars:
        calendar.next_pull_at, calendar.attempts = now, 0


def await_sign_in(account: Account, now: datetime, told: str) -> None:
    """Leave an account without access until its person has signed in; `told` says how. Nothing changes if it is so."""
    if account.credential is not None:
        account.credential = None
        _forget(account, now)
    account.url = ""
    account.state, account.problem, account.attempts, account.blocked_until_at = "needs_reconnect", told, 0, None


def how_to_connect(provider: str, handle: str, name: str) -> str:
    """The command by which a person gives an account a new secret."""
    return f"`syncd connect {provider} {handle} --name {name}`"


def _forget(account: Account, now: datetime) -> None:
    account.listed_at = None
    for calendar in account.calendars:
        calendar.gone, calendar.unlisted_at = True, now - _LONG_AGO  # a list that lacks it once more changes nothing
        calendar.sync_token = calendar.probe = None
        calendar.full_wanted, calendar.expanded_until_at = True, None


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator lets accounts be reached by: private networks for all of them, syncd's client at Google."""

    private_networks: bool = False
    google: OAuthClient | None = None

    def client(self, provider: str) -> OAuthClient | None:
        """The client that grants of this kind of account were given to."""
        return self.google if provider == "google" else None


def reach_of(config: Config) -> Reach:
    """What the configuration lets accounts be reached by."""
    return Reach(config.daemon.allow_private_networks, _google_client(config.google) if config.google else None)


def _google_client(google: Google) -> OAuthClient:
    return OAuthClient(
        google.client_id,
        google.client_secret_env.value.get_secret_value(),
        google.api_endpoint,
        google.auth_uri,
        google.token_uri,
        google.revoke_uri,
    )


def connection_of(account: Account, vault: Vault, reach: Reach) -> Connection:
    """How to reach an account, its secret unsealed."""
    person, access = account.freelancer, access_of(account, vault) or Access(account.url, account.username)
    return Connection(
        url=access.url,
        username=access.username,
        secret=access.secret,
        auth=account.auth,  # type: ignore[arg-type]
        allow_private=account.allow_private or reach.private_networks,
        ca_file=account.ca_file,
        own_addresses=frozenset(a.lower() for a in (person.email, *person.addresses) if a),
        client=reach.client(account.provider),
    )
