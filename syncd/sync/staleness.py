"""How far a calendar's busy time can be trusted now (semantics 16), decided from its row alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from syncd.config import Daemon
from syncd.store.models import Account, Calendar

SyncState = Literal["never_pulled", "fresh", "stale", "held_back"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long busy time is believed: `stale_after` its last pull, or what told of changes since, could be relied on.

    What a channel misses is found every `reconcile_every` at the latest.
    """

    stale_after: timedelta
    reconcile_every: timedelta

    @classmethod
    def of(cls, daemon: Daemon) -> Freshness:
        """As it is configured."""
        return cls(timedelta(seconds=daemon.stale_after), timedelta(seconds=daemon.reconcile_every))

    def ends_at(self, calendar: Calendar, synced_at: datetime) -> datetime:
        """When time alone makes a calendar stale: it is known as it was at its last pull, or at the end of a channel;
        and a change that was told of and not pulled makes it stale sooner."""
        known_at = synced_at
        if calendar.live_until_at is not None:
            known_at = min(max(synced_at, calendar.live_until_at), synced_at + self.reconcile_every)
        if calendar.notified_at is not None:
            known_at = min(known_at, max(synced_at, calendar.notified_at))
        return known_at + self.stale_after


@dataclass(frozen=True, slots=True)
class Trust:
    """A calendar's state; `stale_at` is when time alone makes it stale, `closes` whether it then closes slots."""

    id: str
    state: SyncState
    synced_at: datetime | None
    stale_at: datetime | None
    closes: bool

    @property
    def is_known(self) -> bool:
        """Whether its busy time may be relied on; a held-back pull leaves the old state serving."""
        return self.state in ("fresh", "held_back")


def trust_of(
    calendar: Calendar, account: Account, freshness: Freshness, now: datetime, *, reach_at: datetime | None = None
) -> Trust:
    """Judge one calendar; `reach_at` is how far ahead its busy time has to be known.

    One that has to be read anew, since a setting changed what its events mean, is known nowhere.
    """
    closes = account.when_stale == "close"
    if calendar.synced_at is None:
        return Trust(calendar.id, "never_pulled", None, None, closes)
    stale_at = freshness.ends_at(calendar, calendar.synced_at)
    until = calendar.expanded_until_at
    falls_short = until is None or (reach_at is not None and until < reach_at)
    if account.state == "needs_reconnect" or now > stale_at or falls_short:
        return Trust(calendar.id, "stale", calendar.synced_at, None, closes)
    state: SyncState = "held_back" if calendar.held_back_at else "fresh"
    return Trust(calendar.id, state, calendar.synced_at, stale_at, closes)


def unknown_account(account: Account) -> Trust | None:
    """An account whose blocking calendars aren't known yet, or of which one is missing, stands for them."""
    missing = set(account.missing) & set(account.blocks)
    if missing or (account.blocks and account.listed_at is None):
        return Trust(account.id, "never_pulled", None, None, account.when_stale == "close")
    return None
