"""Channels by which a provider tells that a calendar changed: opened, replaced without a gap, closed, listened to.

Decides when each of that is due (`plan_watches`, pure), and what a live channel means for the next pull. A channel is
recorded before the provider is asked for it, so that a crash leaves none that nobody knows of. Refuses to know how a
message arrives, and what a pull does. No failure here makes an account or a calendar fail: without a channel it is
pulled more often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import structlog
from sqlalchemy.orm import Session

from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    Transient,
    Unsupported,
)
from providers.model import RemoteCalendar, Watch
from providers.port import Provider
from syncd.retry import plan_retry
from syncd.secrets import Vault
from syncd.store import channels, leases, probes, pulls
from syncd.store.engine import Store
from syncd.store.leases import LeaseLost
from syncd.store.models import Account, Calendar, Channel

log = structlog.get_logger("syncd.sync")

UNANSWERED = timedelta(minutes=10)
"""So long a channel may be open of which we know no more than that we asked for it."""
_LONGEST_LIFE = timedelta(days=31)
_DAY = timedelta(days=1)
_LEAST_PAUSE = timedelta(minutes=1)
_ASKED_IN_VAIN = (PermissionDenied, Unsupported)


def hooks_of(public_url: str) -> str:
    """The address below which providers tell of changes; "" where there is no https, without which none of them do."""
    return f"{public_url.rstrip('/')}/hooks" if urlsplit(public_url).scheme == "https" else ""


def mark_of(hooks: str) -> str:
    """How the id of every channel to these addresses ends, so that one to an earlier address is known; "" for none."""
    return f"-{hashlib.sha256(hooks.encode()).hexdigest()[:8]}" if hooks else ""


# When a calendar is pulled next


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a calendar is pulled: without a channel, and with a live one; `jitter` in [0, 1) spreads pulls."""

    sync_every: timedelta
    reconcile_every: timedelta
    jitter: float


def note_pull(session: Session, calendar: Calendar, started_at: datetime, due_at: datetime, pace: Pace) -> None:
    """Note what a successful pull has seen, and when the next one is due; this one was due at `due_at`."""
    told = calendar.notified_at
    asked_again = calendar.next_pull_at != due_at or (told is not None and told > started_at)
    if told is not None:
        calendar.notified_at = started_at if asked_again else None
    calendar.live_until_at = channels.live_until(session, calendar.id, started_at)
    if asked_again:
        calendar.next_pull_at = min(calendar.next_pull_at, started_at)
    else:
        calendar.next_pull_at = next_pull_at(calendar.live_until_at, started_at, pace)


def next_pull_at(live_until_at: datetime | None, started_at: datetime, pace: Pace) -> datetime:
    """When a calendar that was pulled is due again: rarely while a channel lives, and not later than that ends.

    Never later than `reconcile_every`, since `stale_after` alone may pass beyond that.
    """
    soon = started_at + pace.sync_every * (0.9 + 0.2 * pace.jitter)
    if live_until_at is None:
        return soon
    return max(soon, min(live_until_at, started_at + pace.reconcile_every * (0.9 + 0.1 * pace.jitter)))


# What is due


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What is to be done with a calendar's channels, by their ids; `next_at` is when time alone makes more due.

    Those to `retire` aren't relied on any more; those to `close` are retired and known to the provider; those to
    `drop` have ended, or may never have been opened.
    """

    opens: bool
    retire: tuple[str, ...]
    close: tuple[str, ...]
    drop: tuple[str, ...]
    next_at: datetime | None


def plan_watches(found: Sequence[Channel], now: datetime, mark: str) -> WatchPlan:
    """Decide what is due for a calendar's channels, the oldest first; without a `mark` none is wanted.

    The one that replaces another is heard of before that is retired, unless that never reached us.
    """
    there = [c for c in found if _ends_at(c) > now]
    wanted = [c for c in there if mark and c.id.endswith(mark) and not c.retired]
    newest = max((c for c in wanted if c.expires_at), key=lambda c: c.created_at, default=None)
    is_awaited = any(c.resource_id is None for c in wanted)
    opens = bool(mark) and not is_awaited and (newest is None or _renewal_at(newest) <= now)
    kept = {c.id for c in wanted if not _is_replaced(c, newest)}
    due = [_ends_at(c) for c in there] + ([_renewal_at(newest)] if newest and not opens and not is_awaited else [])
    return WatchPlan(
        opens=opens,
        retire=tuple(c.id for c in there if not c.retired and c.id not in kept),
        close=tuple(c.id for c in there if c.id not in kept and c.resource_id is not None),
        drop=tuple(c.id for c in found if c not in there),
        next_at=min(due, default=None),
    )


def _is_replaced(channel: Channel, newest: Channel | None) -> bool:
    if newest is None or channel is newest or channel.resource_id is None:
        return False
    return newest.confirmed_at is not None or channel.confirmed_at is None


def _ends_at(channel: Channel) -> datetime:
    if channel.expires_at is not None:
        return channel.expires_at
    return channel.created_at + (UNANSWERED if channel.resource_id is None else _LONGEST_LIFE)


def _renewal_at(channel: Channel) -> datetime:
    ends_at = _ends_at(channel)
    return ends_at - min(_DAY, (ends_at - channel.created_at) / 5)


# Doing it


@dataclass(frozen=True, slots=True)
class Watching:
    """An account's channels, looked after by the worker that holds its lease; `hooks` is "" where none is wanted."""

    store: Store
    vault: Vault
    provider: Provider
    account_id: str
    owner: str
    hooks: str
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    jitter: Callable[[], float]  # in [0, 1)

    @property
    def mark(self) -> str:
        """How the ids of channels end that reach us."""
        return mark_of(self.hooks) if self.provider.capabilities.push else ""


def look_after(watching: Watching) -> None:
    """Open, replace and close what is due. Raises LeaseLost, StoreError; GrantRevoked and RateLimited, which concern
    the whole account. Everything else is tried again later."""
    with watching.store.read() as session:
        account = session.get_one(Account, watching.account_id)
        due = [c.id for c in account.calendars if _is_due(session, c, watching)]
    for calendar_id in due:
        try:
            _look_after(watching, calendar_id)
        except ProviderError as error:
            _note_fault(watching, calendar_id, error)
            if isinstance(error, (GrantRevoked, RateLimited)):
                raise


def _mark_for(calendar: Calendar, watching: Watching) -> str:
    return watching.mark if channels.is_watchable(calendar) else ""


def _is_due(session: Session, calendar: Calendar, watching: Watching) -> bool:
    found, mark = channels.of_calendar(session, calendar.id), _mark_for(calendar, watching)
    in_use = [c for c in found if not c.retired]
    is_missing = bool(mark) and not in_use and calendar.watch_attempts == 0
    if is_missing or any(not mark or not c.id.endswith(mark) for c in in_use):
        return True
    if calendar.next_watch_at is None:
        return bool(mark or found)
    return calendar.next_watch_at <= watching.clock()


def _look_after(watching: Watching, calendar_id: str) -> None:
    plan = _settle(watching, calendar_id)
    if plan.opens:
        _open(watching, calendar_id)
        plan = _settle(watching, calendar_id)
    for channel_id in plan.close:
        _close(watching, channel_id)


def _settle(watching: Watching, calendar_id: str) -> WatchPlan:
    """Do what needs no provider, and say what does."""
    with watching.store.write() as session:
        now = watching.clock()
        leases.hold(session, watching.account_id, watching.owner, now)
        calendar = session.get_one(Calendar, calendar_id)
        found = channels.of_calendar(session, calendar_id)
        plan = plan_watches(found, now, _mark_for(calendar, watching))
        for channel in found:
            channel.retired = channel.retired or channel.id in plan.retire
        for channel_id in plan.drop:
            channels.drop(session, channel_id)
        if not any(_is_live(c, now) for c in found):
            _note_end(session, calendar, now)
        calendar.next_watch_at = plan.next_at
        return plan


def _is_live(channel: Channel, now: datetime) -> bool:
    return not channel.retired and channel.confirmed_at is not None and _ends_at(channel) > now


def _note_end(session: Session, calendar: Calendar, now: datetime) -> None:
    """Nothing tells of changes any more: what was relied on for longer is pulled at once."""
    if calendar.live_until_at is not None and calendar.live_until_at > now:
        calendar.live_until_at, calendar.next_pull_at = now, min(calendar.next_pull_at, now)
        pulls.bump_availability(session, calendar.account.freelancer_id)


def _open(watching: Watching, calendar_id: str) -> None:
    channel_id, now = watching.new_id() + watching.mark, watching.clock()
    with watching.store.write() as session:
        leases.hold(session, watching.account_id, watching.owner, now)
        calendar = session.get_one(Calendar, calendar_id)
        remote, address = probes.remote_of(calendar), f"{watching.hooks}/{calendar.account.provider}"
        session.add(Channel(id=channel_id, calendar_id=calendar_id, created_at=now, retired=False))
    watch = _asked(watching, remote, address, channel_id)
    try:
        with watching.store.write() as session:
            leases.hold(session, watching.account_id, watching.owner, watching.clock())
            channel = session.get_one(Channel, channel_id)
            channel.resource_id, channel.expires_at = watch.resource_id, watch.expires_at
            channel.calendar.watch_attempts = 0
    except LeaseLost:
        with suppress(ProviderError):
            watching.provider.unwatch(watch)
        raise


def _asked(watching: Watching, remote: RemoteCalendar, address: str, channel_id: str) -> Watch:
    """Ask the provider for a channel; one that it says it didn't open is forgotten."""
    try:
        watch = watching.provider.watch(remote, address, channel_id, watching.vault.channel_token(channel_id))
        if watch.expires_at <= watching.clock():
            msg = "the channel has ended already: is this machine's clock right?"
            raise InvalidResponse(msg, calendar=remote.name)
    except ProviderError as error:
        if isinstance(error, RateLimited) or not isinstance(error, Transient):  # else it may be open, who knows
            _forget(watching, channel_id)
        raise
    return watch


def _close(watching: Watching, channel_id: str) -> None:
    with watching.store.read() as session:
        channel = session.get(Channel, channel_id)
        if channel is None or channel.resource_id is None:
            return  # the account was disconnected meanwhile: what is owed to it is said elsewhere
        watch = Watch(channel_id, channel.resource_id, _ends_at(channel))
    with suppress(NotFound, Unsupported):  # it is closed already; or the account is at another provider now
        watching.provider.unwatch(watch)
    _forget(watching, channel_id)


def _forget(watching: Watching, channel_id: str) -> None:
    with watching.store.write() as session:
        leases.hold(session, watching.account_id, watching.owner, watching.clock())
        channels.drop(session, channel_id)


def _note_fault(watching: Watching, calendar_id: str, error: ProviderError) -> None:
    with watching.store.write() as session:
        now = watching.clock()
        leases.hold(session, watching.account_id, watching.owner, now)
        calendar = session.get_one(Calendar, calendar_id)
        calendar.watch_attempts += 1
        calendar.next_watch_at = now + _pause(error, calendar.watch_attempts, watching.jitter())
    if calendar.watch_attempts == 1:
        log.warning("nobody tells of a calendar's changes", calendar=calendar_id, reason=str(error))


def _pause(error: ProviderError, attempts: int, jitter: float) -> timedelta:
    """A refusal is asked about again after a day, all else by the retry table; nothing at once."""
    seconds = plan_retry(error, attempts, jitter=jitter, work="write").due_in_seconds
    if seconds is None or isinstance(error, _ASKED_IN_VAIN):
        return _DAY
    return max(timedelta(seconds=seconds), _LEAST_PAUSE)


# What is told


@dataclass(frozen=True, slots=True)
class Message:
    """What a provider tells by a channel; the first one tells of the channel alone."""

    channel_id: str
    resource_id: str | None
    is_first: bool


Heard = Literal["unknown", "known", "due"]


def hear(store: Store, message: Message, now: datetime) -> Heard:
    """Note a message: of a channel that isn't known, nothing that isn't known yet, or that a pull is due.

    What is known already is not written again. Raises StoreError.
    """
    with store.read() as session:
        channel = channels.find(session, message.channel_id)
        if channel is None:
            return "unknown"
        if not _is_news(channel, message):
            return "known"
    with store.write() as session:
        channel = channels.find(session, message.channel_id)
        return "unknown" if channel is None else _note(session, channel, message, now)


def _is_news(channel: Channel, message: Message) -> bool:
    return channel.confirmed_at is None or (not message.is_first and _asks_for_pull(channel.calendar))


def _asks_for_pull(calendar: Calendar) -> bool:
    """Whether a change makes a pull due: not where one is waited for that hasn't begun. Of one under way nobody knows
    whether it has asked already, so another follows."""
    account = calendar.account
    wanted = calendar.is_pulled and account.active
    return wanted and (calendar.notified_at is None or leases.is_worked_on(account))


def _note(session: Session, channel: Channel, message: Message, now: datetime) -> Heard:
    calendar = channel.calendar
    if channel.confirmed_at is None:
        channel.confirmed_at, channel.resource_id = now, channel.resource_id or message.resource_id
        if channel.expires_at is None or channels.have_others(session, channel):
            calendar.next_watch_at = now  # what it replaces can be closed now, or it is one whose answer was lost
    if message.is_first or not _asks_for_pull(calendar):
        return "known"
    calendar.notified_at = calendar.notified_at or now
    calendar.next_pull_at = _asked_at(calendar, now)
    return "due"


def _asked_at(calendar: Calendar, now: datetime) -> datetime:
    """At once; and never when it was due already, by which a pull under way sees that it is asked for again."""
    if not leases.is_worked_on(calendar.account):
        return min(calendar.next_pull_at, now)
    return now if calendar.next_pull_at != now else now - timedelta(microseconds=1)
