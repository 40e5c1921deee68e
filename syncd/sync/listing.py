"""Which calendars an account has, and which of them block or take consultations.

A calendar is chosen by its name, its remote id or "*". A name that matches no calendar is kept as missing: what it
would block is unknown, never free. A calendar that a list lacks is gone only when a second list, five minutes later,
lacks it as well, and never when the list is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from providers.model import RemoteCalendar
from providers.port import Provider
from syncd.ids import new_id
from syncd.store import bookings, leases, pulls
from syncd.store.bookings import is_named
from syncd.store.engine import Store
from syncd.store.models import Account, Calendar

ASK_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Choice:
    """Remote ids that block, the one that takes consultations, and chosen names that match nothing."""

    blocks: frozenset[str]
    target: str | None
    missing: tuple[str, ...]


def plan_choice(calendars: Sequence[RemoteCalendar], blocks: Iterable[str], target: str) -> Choice:
    """Match what the owner chose with what is there."""
    chosen: set[str] = set()
    missing: list[str] = []
    for name in blocks:
        matched = {c.remote_id for c in calendars if name == "*" or is_named(c, name)}
        chosen |= matched
        if not matched and name != "*":
            missing.append(name)
    targets = [c.remote_id for c in calendars if target and is_named(c, target)]
    if target and not targets and target not in missing:
        missing.append(target)
    return Choice(frozenset(chosen), targets[0] if targets else None, tuple(missing))


def list_account(
    store: Store, provider: Provider, account_id: str, owner: str, clock: Callable[[], datetime], every: timedelta
) -> list[RemoteCalendar]:
    """Ask the provider for its calendars and store them. Raises ProviderError, LeaseLost."""
    found = provider.list_calendars()
    with store.write() as session:
        leases.hold(session, account_id, owner, clock())
        account = session.get_one(Account, account_id)
        apply_listing(account, found, clock())
        bookings.assign_targets(session, account.freelancer_id)
        account.listed_at = clock()
        in_doubt = any(c.unlisted_at and not c.gone for c in account.calendars)
        account.next_list_at = clock() + (ASK_AGAIN if in_doubt else every)
        leases.note_success(account)
        pulls.bump_availability(session, account.freelancer_id)
    return found


def apply_listing(account: Account, found: Sequence[RemoteCalendar], now: datetime) -> None:
    """Add and update calendars, and note which the server no longer lists."""
    rows = {row.remote_id: row for row in account.calendars}
    for remote in {remote.remote_id: remote for remote in found}.values():  # a list may name one twice
        row = rows.pop(remote.remote_id, None)
        if row is None:
            row = Calendar(
                id=new_id("cal"), remote_id=remote.remote_id, blocks=False, target=False, named=False, next_pull_at=now
            )
            account.calendars.append(row)
        if row.tz != remote.tz and row.generation:
            row.full_wanted = True  # floating and all-day events move with the calendar's zone
        if (row.role == "free_busy") != (remote.role == "free_busy") and row.generation:
            row.full_wanted, row.sync_token = True, None  # bare spans of busy time, or events: others than before
            row.next_pull_at, row.attempts = min(row.next_pull_at, now), 0
        row.name, row.colour, row.tz, row.can_write = remote.name, remote.colour, remote.tz, remote.can_write
        row.role, row.is_primary = remote.role, remote.is_primary
        row.is_hidden, row.makes_links = remote.is_hidden, remote.makes_links
        row.unlisted_at, row.gone = None, False
    for row in rows.values() if found else ():
        row.unlisted_at = row.unlisted_at or now
        row.gone = now - row.unlisted_at >= ASK_AGAIN
    choose(account, now)


def choose(account: Account, now: datetime) -> None:
    """Apply the account's `blocks` and `target` to its known calendars."""
    there = [c for c in account.calendars if not c.gone]
    known = [RemoteCalendar(c.remote_id, c.name, c.colour, c.tz, c.can_write) for c in there]
    choice = plan_choice(known, account.blocks, account.target)
    account.missing = list(choice.missing)
    named = _named_by_consultations(account)
    for row in account.calendars:
        was_pulled = row.is_pulled
        row.blocks, row.target = row.remote_id in choice.blocks, row.remote_id == choice.target
        row.named = not row.gone and any(is_named(row, name) for name in named)
        if row.is_pulled and not was_pulled:
            row.next_pull_at = now


def _named_by_consultations(account: Account) -> list[str]:
    """Calendars of this account that a consultation names as "account/calendar"."""
    names = [n for c in account.freelancer.consultations if not c.removed for n in (*c.blocks, c.target)]
    return [calendar for owner, _, calendar in (n.partition("/") for n in names) if owner == account.name]
