"""Says what is owed to providers of accounts that have ended: channels are closed, then permissions given back.

Decides what an error means for it: gone already is fine, what may pass is tried again for three days. Two processes
may say the same, which harms nobody; nothing is lost by a crash, since what is owed is dropped only once it was said.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from providers.errors import GrantRevoked, ProviderError, Transient
from providers.model import Connection, OAuthClient
from providers.port import Provider
from syncd.retry import plan_retry
from syncd.secrets import Vault
from syncd.store import farewells
from syncd.store.access import Reach
from syncd.store.engine import Store
from syncd.store.farewells import GIVEN_UP_AFTER, Due, Parting

log = structlog.get_logger("syncd.sync")

PATIENCE = 15.0  # seconds for one farewell


@dataclass(frozen=True, slots=True)
class Saying:
    """What farewells are said by; a farewell may take `patience` seconds."""

    store: Store
    vault: Vault
    reach: Reach
    open_provider: Callable[[str, Connection], Provider]
    clock: Callable[[], datetime]
    patience: float = PATIENCE


def deliver_farewells(saying: Saying) -> int:
    """Say what is due; returns how many are still owed. Raises StoreError, ConfigError for another secret key."""
    with saying.store.read() as session:
        owed, is_any_due = farewells.count(session), farewells.is_any_due(session, saying.clock())
    if not is_any_due:
        return owed
    with saying.store.write() as session:
        due = farewells.take_due(session, saying.vault, saying.clock())
    for one in due:
        _deliver(saying, one)
    with saying.store.read() as session:
        return farewells.count(session)


def _deliver(saying: Saying, due: Due) -> None:
    try:
        _say(saying, due.parting)
    except ProviderError as error:
        _note_failure(saying, due, error)
        return
    with saying.store.write() as session:
        farewells.drop(session, due.id)


def _note_failure(saying: Saying, due: Due, error: ProviderError) -> None:
    """Try it again later, or no more when it has been tried for long enough."""
    now = saying.clock()
    gives_up = now - due.created_at >= GIVEN_UP_AFTER
    retry = plan_retry(error, due.attempts, jitter=random.random(), work="write")  # noqa: S311 - spreads retries
    with saying.store.write() as session:
        if gives_up:
            farewells.drop(session, due.id)
        else:
            farewells.put_off(session, due.id, retry.due_at(now) or now + timedelta(hours=1), str(error))
    if gives_up:
        told = "a permission couldn't be given back: it is revoked in the settings of the person's account alone"
        log.error(told, provider=due.parting.provider, reason=str(error))


def _say(saying: Saying, parting: Parting) -> None:
    client = saying.reach.client(parting.provider)
    if client is None:
        raise Transient(f"[{parting.provider}] isn't configured any more")
    _close_channels(saying, client, parting)
    with saying.store.read() as session:
        if farewells.is_needed(session, parting):
            return
    _give_back(client, parting.secret, saying.patience)


def _close_channels(saying: Saying, client: OAuthClient, parting: Parting) -> None:
    """Close what is still open; a permission that is gone has taken its channels along, or they run out."""
    still_open = [watch for watch in parting.channels if watch.expires_at > saying.clock()]
    if not still_open:
        return
    connection = Connection("", secret=parting.secret, client=client, patience=saying.patience)
    with closing(saying.open_provider(parting.provider, connection)) as provider:
        for watch in still_open:
            try:
                provider.unwatch(watch)
            except Transient:
                raise
            except GrantRevoked:
                return
            except ProviderError as error:
                log.info("a channel can't be closed: it runs out by itself", reason=str(error))


def _give_back(client: OAuthClient, secret: str, patience: float) -> None:
    from providers.google.oauth import revoke
    from providers.google.permissions import Grant

    try:
        grant = Grant.read(secret)
    except GrantRevoked:
        return
    revoke(client, grant, patience)
