"""One calendar looked at now: asked, judged by the pull's own table, and stored where the store has it otherwise.

A look works beside the pulls of its account and holds no lease. So it commits only if the calendar is still as it was
when the look began, changes only what it saw, keeps the sync token, and counts its correction. A pull that is under way
then may know less, and begins anew; the next one is due, compares all, and says where everything is: of our own events
too, whose rows get no ETag, so that they are read again.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from providers.errors import InvalidResponse, ProviderError, RateLimited
from providers.model import ChangePage, Connection, Glance, Pulled, RemoteCalendar, Window
from syncd.retry import plan_retry
from syncd.store import leases, pulls
from syncd.store.access import connection_of, reach_of
from syncd.store.models import Account, Calendar
from syncd.store.pulls import EventRow
from syncd.sync.busy import Room
from syncd.sync.looker import Outcome
from syncd.sync.plan import plan_pull
from syncd.sync.pull import pull_window
from syncd.sync.rows import Target, known_of, rows_of, target_of
from syncd.sync.staleness import trust_of

if TYPE_CHECKING:
    from syncd.services import Services

_TRIES = 2  # a pull may be stored while we look


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at a calendar goes by: if that is otherwise once the answer is there, the answer isn't stored.

    `is_sure` says that what is stored of its events means what it says; `is_known` that it was pulled not long ago;
    `read_at` is when all this was read.
    """

    target: Target
    provider: str
    connection: Connection
    synced_at: datetime | None
    sync_token: str | None = field(repr=False)
    is_sure: bool
    is_known: bool = field(compare=False)
    read_at: datetime = field(compare=False)

    @property
    def terms(self) -> tuple[object, ...]:
        """Who is asked for what, and what the answer means: all but how far the store has come."""
        target = self.target
        owner = (target.account_id, target.freelancer_id)
        return self.provider, self.connection, owner, target.remote.remote_id, target.tz, target.choices


def look_at(services: Services, calendar_id: str, window: Window, until: float) -> Outcome:
    """Look at one calendar, until an instant of `time.monotonic`. Raises StoreError, ValueError for an odd address."""
    for _ in range(_TRIES):
        with services.store.read() as session:
            sight = _sight(services, session, calendar_id)
        if sight is None:
            return Outcome(answered=False, reason="it isn't asked now")
        try:
            glance = _asked(services, sight, window, until)
        except ProviderError as error:
            _note_fault(services, calendar_id, error)
            return Outcome(answered=False, reason=str(error))
        changed = _keep(services, sight, glance, window)
        if changed is not None:
            lacking = _lacking(sight, glance, window)
            return Outcome(not lacking, changed, lacking, _basis(sight, changed))
    return Outcome(answered=False, reason="it changed here in that moment")


def stands(services: Services, calendar_id: str, basis: object) -> bool:
    """Whether the store still holds what a look left there, or what a pull found that began later. Raises StoreError.

    `basis` is of the look's outcome. Where anything was set otherwise since, or another look or an earlier pull stored
    something, the answer isn't for this store any more.
    """
    with services.store.read() as session:
        sight = _sight(services, session, calendar_id)
    if sight is None or not isinstance(basis, Sight):
        return False
    is_newer = sight.synced_at is not None and sight.synced_at > basis.read_at
    return sight == basis or (is_newer and sight.terms == basis.terms)


def _basis(sight: Sight, changed: int) -> Sight:
    """What a look leaves behind: its own correction is none that another made."""
    corrections = sight.target.corrections + (1 if changed else 0)
    return replace(sight, target=replace(sight.target, corrections=corrections))


def _sight(services: Services, session: Session, calendar_id: str) -> Sight | None:
    """Read what to go by; None for a calendar that isn't there, or mustn't be asked about now."""
    calendar, now = session.get(Calendar, calendar_id), services.clock()
    if calendar is None or calendar.gone or not leases.may_look(calendar.account, now):
        return None
    kept = pull_window(now, timedelta(seconds=services.config.daemon.keep_busy_for))
    trust = trust_of(calendar, calendar.account, services.situations.freshness, now)
    return Sight(
        target=target_of(calendar, kept),
        provider=calendar.account.provider,
        connection=connection_of(calendar.account, services.vault, reach_of(services.config)),
        synced_at=calendar.synced_at,
        sync_token=calendar.sync_token,
        is_sure=bool(calendar.generation and calendar.expanded_until_at and not calendar.full_wanted),
        is_known=trust.is_known and calendar.expanded_until_at is not None,
        read_at=now,
    )


def _lacking(sight: Sight, glance: Glance, window: Window) -> str:
    """Why an answer doesn't settle what is asked; nothing where it does. A window has two days to spare at its end."""
    if not (glance.complete or sight.is_known):
        return "it tells only a part, and the rest isn't known"
    until = sight.target.expanded_until_at
    return "its series aren't expanded that far" if until and until < window.end_at - timedelta(days=2) else ""


# Asking


def _asked(services: Services, sight: Sight, window: Window, until: float) -> Glance:
    """Ask the provider, which is opened for this look alone. Raises ProviderError."""
    hurried = replace(sight.connection, patience=max(0.0, until - time.monotonic()))
    calendar = _told(services, sight)
    with closing(services.open_provider(sight.provider, hurried)) as provider:
        glances = provider.look([calendar], window)
    for glance in glances:
        if glance.calendar == calendar.remote_id:
            return glance
    raise InvalidResponse("the provider says nothing of the calendar", calendar=calendar.remote_id)


def _told(services: Services, sight: Sight) -> RemoteCalendar:
    """The calendar with what is known of it, where that can be gone by: then only what changed need be read."""
    if not sight.is_sure:
        return sight.target.remote
    pulled = Pulled(sight.sync_token, lambda: known_of(services.store, sight.target, services.clock()))
    return replace(sight.target.remote, pulled=pulled)


def _note_fault(services: Services, calendar_id: str, error: ProviderError) -> None:
    """What failed at a look is for the next pull to judge, which is due now; a server that asks to wait isn't asked."""
    with services.store.write() as session:
        calendar, now = session.get(Calendar, calendar_id), services.clock()
        if calendar is None:
            return
        calendar.next_pull_at = min(calendar.next_pull_at, now)
        if isinstance(error, RateLimited) or error.retry_after is not None:
            _wait_as_told(calendar.account, error, now)
    services.nudge()


def _wait_as_told(account: Account, error: ProviderError, now: datetime) -> None:
    due_at = plan_retry(error, 1, jitter=0.0).due_at(now)
    if due_at is not None:
        account.blocked_until_at = max(account.blocked_until_at or due_at, due_at)
        account.told_to_wait = True


# Storing


def _keep(services: Services, sight: Sight, glance: Glance, window: Window) -> int | None:
    """Store what the store has otherwise, as a pull would, and say how much; None if it isn't what we looked at."""
    rows = _news(services, sight, glance, window)
    if not rows:
        return 0
    target = sight.target
    with services.store.write() as session:
        session.scalars(select(Account.id).where(Account.id == target.account_id).with_for_update()).all()
        if _sight(services, session, target.calendar_id) != sight:
            return None
        pulls.put_events(session, target.calendar_id, target.generation, rows)
        pulls.bump_availability(session, target.freelancer_id)
        calendar = session.get_one(Calendar, target.calendar_id)
        calendar.corrections, calendar.next_pull_at = calendar.corrections + 1, services.clock()
    services.nudge()
    return len(rows)


def _news(services: Services, sight: Sight, glance: Glance, window: Window) -> list[EventRow]:
    """The rows of what was seen and is stored otherwise, or not at all."""
    store, calendar_id, generation = services.store, sight.target.calendar_id, sight.target.generation
    seen, doubtful = {event.remote_id for event in glance.events}, {bad.remote_id for bad in glance.unreadable}
    with store.read() as session:
        same = pulls.understood(session, calendar_id, generation, seen - doubtful) if sight.is_sure else {}
    events = tuple(one for one in glance.events if same.get(one.remote_id) != (one.uid, one.series_id, one.skeleton))
    if not events and not glance.unreadable:
        return []
    page = ChangePage(events, (), glance.unreadable, complete=False)
    rows = rows_of(store, _reaching(sight.target, window), plan_pull({}, [page]))
    with store.read() as session:
        stored = pulls.load_rows(session, calendar_id, generation, {row.remote_id for row in rows})
    before = {row.remote_id: row for row in stored}
    return [replace(row, etag="") if row.booking_id else row for row in rows if not _is(row, before.get(row.remote_id))]


def _reaching(target: Target, window: Window) -> Target:
    """Expand as far as what was pulled, so that the next days are added to all alike; else as far as is asked."""
    kept, until = target.window, target.expanded_until_at
    end_at = min(until, kept.end_at) if until else max(kept.end_at, window.end_at)
    return replace(target, window=Window(kept.start_at, end_at), room=Room())


def _is(row: EventRow, stored: EventRow | None) -> bool:
    """Whether a row says what is stored, whatever its ETag."""
    return stored is not None and _meaning(row) == _meaning(stored)


def _meaning(row: EventRow) -> tuple[object, ...]:
    booking_id = row.booking_id if row.spans else None
    return (
        row.uid,
        row.series_id,
        row.skeleton,
        sorted(set(row.spans)),
        list(row.quarantined),
        row.understood,
        booking_id,
    )
