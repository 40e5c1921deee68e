"""Pulls one calendar: asks the provider, lets `plan` decide, and stores changes and sync token together.

Provider calls happen outside transactions; every commit proves that the account's lease is still ours. A full pull
grows a new generation beside the one that serves and swaps it in at the end, so a crash leaves the old one serving.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from providers.errors import ProviderError, SyncTokenInvalid, Unavailable
from providers.model import ChangePage, RemoteCalendar, Window
from providers.port import Provider
from syncd.store import leases, pulls
from syncd.store.access import Reach
from syncd.store.engine import Store
from syncd.store.models import Account, Calendar
from syncd.store.pulls import EventRow
from syncd.sync.drift import record_drift
from syncd.sync.plan import Brake, HoldBack, plan_brake
from syncd.sync.rows import (
    Target,
    known_among,
    known_of,
    later_rows,
    plan_of,
    rows_of,
    rows_of_masters,
    rows_of_page,
    target_of,
)
from syncd.sync.watches import Pace, note_pull

KEPT_PAST = timedelta(days=8)
_UNREAD_AGAIN = timedelta(minutes=10)
_TRIES = 3  # a look may store something while we read


class _Overtaken(Exception):
    """A look stored something since we began, which may be newer than what we read."""


@dataclass(frozen=True, slots=True)
class PullSettings:
    """How far busy time is kept, how often all is read anew, and what accounts are reached by.

    `hooks` is the https address below which providers may tell of changes; "" where they can't reach us.
    """

    keep_busy_for: timedelta
    reconcile_every: timedelta
    reach: Reach = field(default_factory=Reach)
    hooks: str = ""


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull of one calendar by the worker that holds the account's lease."""

    store: Store
    provider: Provider
    settings: PullSettings
    owner: str
    calendar_id: str
    clock: Callable[[], datetime]
    jitter: float  # in [0, 1)
    beside: Sequence[RemoteCalendar] = ()  # calendars to be pulled after this one
    accept: bool = False  # the owner accepts what the brake would hold back
    progress: Callable[[int, int | None], None] = lambda done, total: None


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did; a `full` one read or compared all there is."""

    calendar: str
    full: bool
    changed: int
    removed: int
    held_back: int = 0


def pull_window(now: datetime, keep_busy_for: timedelta) -> Window:
    """The span in which busy time is kept, in whole UTC days, with some to spare at both ends.

    Behind, for what a long `buffer_before` reaches back to; ahead, so that a day that rolls by leaves a whole day in
    which to expand series further before any horizon can reach it.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(today - KEPT_PAST, today + keep_busy_for + timedelta(days=2))


Way = Literal["first", "full", "compare", "changes"]


def way_of(calendar: Calendar, now: datetime, reconcile_every: timedelta, *, full: bool = False) -> Way:
    """How a calendar is pulled now: read from nothing, read anew, compared with what is known, or asked for changes.

    What a look found and what is gone again by now, no server need tell among the changes since the last pull.
    """
    compared_at = calendar.full_synced_at
    if compared_at is None:
        return "first"
    if full or calendar.full_wanted:
        return "full"
    is_sure = calendar.sync_token is not None and not calendar.corrections
    return "changes" if is_sure and now - compared_at < reconcile_every else "compare"


def pull_calendar(pull: Pull, *, full: bool = False) -> PullReport:
    """Bring one calendar up to date. Raises ProviderError, LeaseLost, StoreError; nothing is stored by halves."""
    for _ in range(_TRIES):
        with suppress(_Overtaken):
            return _pull_once(pull, full=full)
    msg = "looks go on finding changes while it is read"
    raise Unavailable(msg)


def _pull_once(pull: Pull, *, full: bool) -> PullReport:
    started_at = pull.clock()
    target = _read_target(pull, started_at, full=full)
    try:
        return _pull(pull, target, started_at)
    except SyncTokenInvalid:
        return _pull(pull, replace(target, sync_token=None, everything=True), started_at)


def _pull(pull: Pull, target: Target, started_at: datetime) -> PullReport:
    pages = _changes(pull, target)
    first = next(pages, None)
    if first is None:
        msg = "the provider gave no page of changes"
        raise ProviderError(msg, calendar=target.remote.name)
    if first.complete:
        return _full(pull, target, started_at, itertools.chain([first], pages))
    return _incremental(pull, target, started_at, [first, *pages])


def _changes(pull: Pull, target: Target) -> Iterator[ChangePage]:
    known = None if target.everything else lambda: known_of(pull.store, target, pull.clock())
    if not pull.beside:
        return iter(pull.provider.changes(target.remote, target.sync_token, target.window, known))
    return iter(pull.provider.changes(target.remote, target.sync_token, target.window, known, pull.beside))


def _read_target(pull: Pull, now: datetime, *, full: bool) -> Target:
    with pull.store.read() as session:
        calendar = session.get_one(Calendar, pull.calendar_id)
        way = way_of(calendar, now, pull.settings.reconcile_every, full=full)
        token = calendar.sync_token if way == "changes" else None
        window = pull_window(now, pull.settings.keep_busy_for)
        return target_of(calendar, window, sync_token=token, everything=way in ("first", "full"))


# The two ways of pulling


def _incremental(pull: Pull, target: Target, started_at: datetime, pages: list[ChangePage]) -> PullReport:
    target = _as_far_as_the_rest(target)
    gone = {remote_id for page in pages for remote_id in page.removed}
    plan = plan_of(pull.store, target, known_among(pull.store, target, gone), pages)
    found = rows_of(pull.store, target, plan)
    rows = _news(pull, target, found)
    with pull.store.write() as session:
        calendar = _hold(pull, session, target)
        now = pull.clock()
        held_back = _brake(pull, session, calendar, plan.removals, full=False, instead=_periods(target, rows))
        if held_back:
            return _hold_back(calendar, held_back, now)
        pulls.put_events(session, calendar.id, calendar.generation, rows)
        pulls.drop_events(session, calendar.id, calendar.generation, plan.removals)
        _note_drift(session, target, rows, plan.removals)
        if rows or plan.removals:
            pulls.bump_availability(session, target.freelancer_id)
        calendar.sync_token = pages[-1].sync_token or calendar.sync_token
        if target.sync_token is None:  # all there is was compared with all that is known
            calendar.full_synced_at = started_at
        _compare_soon(pull, calendar, started_at, found)
        if calendar.expanded_until_at is not None:  # what changed is expanded only as far as this
            calendar.expanded_until_at = min(calendar.expanded_until_at, target.window.end_at)
        _succeed(pull, session, calendar, target, started_at)
    full = target.sync_token is None
    return PullReport(target.remote.name, full=full, changed=len(rows), removed=len(plan.removals))


def _compare_soon(pull: Pull, calendar: Calendar, started_at: datetime, rows: Iterable[EventRow]) -> None:
    """What the server didn't show (it has no ETag) is asked for again before long: no change may tell of it."""
    if any(not row.etag for row in rows) and calendar.full_synced_at is not None:
        soon = started_at + _UNREAD_AGAIN - pull.settings.reconcile_every
        calendar.full_synced_at = min(calendar.full_synced_at, soon)


def _as_far_as_the_rest(target: Target) -> Target:
    """What changed is expanded no further than what didn't, so that the next days are added to all alike."""
    until = target.expanded_until_at or target.window.end_at
    return replace(target, window=Window(target.window.start_at, min(until, target.window.end_at)))


def _news(pull: Pull, target: Target, rows: list[EventRow]) -> list[EventRow]:
    """Leave out what can't be understood and is stored just so: it is read again at every comparison."""
    doubtful = {row.remote_id for row in rows if row.quarantined}
    with pull.store.read() as session:
        same = pulls.load_rows(session, target.calendar_id, target.generation, doubtful)
    return [row for row in rows if row not in same]


def _full(pull: Pull, target: Target, started_at: datetime, pages: Iterator[ChangePage]) -> PullReport:
    new = target.generation + 1
    with pull.store.write() as session:
        _hold(pull, session, target).full_wanted = True  # what is begun in full is ended in full, so no debris stays
        pulls.drop_generations(session, target.calendar_id, keep=target.generation)
    listed: set[str] = set()
    notable: list[EventRow] = []  # our own, and what the server didn't show
    token: str | None = None
    for page in pages:
        rows = _store_page(pull, target, new, page, listed)
        notable += [row for row in rows if row.booking_id or not row.etag]
        token = page.sync_token
        pull.progress(len(listed), page.total)
    _expand_masters(pull, target, new)
    return _swap(pull, target, started_at, new, listed, notable, token)


def _store_page(pull: Pull, target: Target, generation: int, page: ChangePage, listed: set[str]) -> list[EventRow]:
    """Write one page into the generation that grows; what a later page takes back of what was `listed` goes."""
    plan = plan_of(pull.store, target, dict.fromkeys(listed.intersection(page.removed), ""), [page], generation)
    rows = rows_of_page(pull.store, target, plan)
    with pull.store.write() as session:
        _hold(pull, session, target)
        pulls.put_events(session, target.calendar_id, generation, rows)
        pulls.drop_events(session, target.calendar_id, generation, plan.removals)
    listed |= {row.remote_id for row in rows}
    listed -= plan.removals
    return rows


def _expand_masters(pull: Pull, target: Target, generation: int) -> None:
    """Once all pages are there, say where masters block; by portions, as a calendar may have any number of them."""
    with pull.store.read() as session:
        portions = pulls.masters(session, target.calendar_id, generation)
    for portion in portions:
        rows = rows_of_masters(pull.store, target, generation, portion)
        with pull.store.write() as session:
            _hold(pull, session, target)
            pulls.put_events(session, target.calendar_id, generation, rows)


def _swap(
    pull: Pull,
    target: Target,
    started_at: datetime,
    new: int,
    listed: set[str],
    notable: list[EventRow],
    token: str | None,
) -> PullReport:
    with pull.store.write() as session:
        calendar = _hold(pull, session, target)
        before = set(pulls.known_etags(session, calendar.id, calendar.generation))
        held_back = _brake(pull, session, calendar, before - listed, full=True)
        if held_back:
            pulls.drop_generations(session, calendar.id, keep=calendar.generation)
            return _hold_back(calendar, held_back, pull.clock())
        _note_drift(session, target, notable, frozenset(pulls.written_ids(session, calendar.id) - listed))
        calendar.generation, calendar.sync_token = new, token
        calendar.full_synced_at, calendar.full_wanted = started_at, False
        _compare_soon(pull, calendar, started_at, notable)
        calendar.expanded_on, calendar.expanded_until_at = _today(target), target.window.end_at
        pulls.drop_generations(session, calendar.id, keep=new)
        pulls.bump_availability(session, target.freelancer_id)
        _succeed(pull, session, calendar, target, started_at)
    return PullReport(target.remote.name, full=True, changed=len(listed), removed=len(before - listed))


def _today(target: Target) -> str:
    return (target.window.start_at + KEPT_PAST).date().isoformat()


# Inside the transaction


def _hold(pull: Pull, session: Session, target: Target) -> Calendar:
    leases.hold(session, target.account_id, pull.owner, pull.clock())
    calendar = session.get_one(Calendar, target.calendar_id)
    if calendar.corrections != target.corrections:
        raise _Overtaken
    return calendar


def _note_drift(session: Session, target: Target, rows: list[EventRow], gone: frozenset[str]) -> None:
    """Busy periods without a name say nothing of what became of an event of ours."""
    if not target.shows_no_events:
        record_drift(session, target.calendar_id, target.tz, rows, gone=gone)


def _periods(target: Target, rows: list[EventRow]) -> int:
    """How many new periods stand instead of others: one that moves has another name, where there are no events."""
    return len(rows) if target.shows_no_events else 0


def _brake(
    pull: Pull,
    session: Session,
    calendar: Calendar,
    gone: set[str] | frozenset[str],
    *,
    full: bool,
    instead: int = 0,
) -> HoldBack | None:
    if not gone:
        return None
    now = pull.clock()
    busy = pulls.future_busy(session, calendar.id, calendar.generation, now)
    brake = Brake(calendar.held_back_at, frozenset(calendar.held_back or ()))
    lost = gone - pulls.put_back(session, calendar.id, calendar.generation, gone)
    if instead and 2 * (len(busy - lost) + instead) >= len(busy):
        return None
    return plan_brake(busy, lost, brake, full=full, accept=pull.accept, now=now)


def _hold_back(calendar: Calendar, held_back: HoldBack, now: datetime) -> PullReport:
    """Keep the old state and its sync token, and compare in full in five minutes."""
    if calendar.held_back_at is None or not held_back.lost <= set(calendar.held_back or ()):
        calendar.held_back_at, calendar.held_back = now, sorted(held_back.lost)
    calendar.full_wanted = True
    calendar.next_pull_at = now + timedelta(minutes=5)
    return PullReport(calendar.name, full=True, changed=0, removed=0, held_back=len(held_back.lost))


def _succeed(pull: Pull, session: Session, calendar: Calendar, target: Target, started_at: datetime) -> None:
    account = session.get_one(Account, target.account_id)
    calendar.synced_at, calendar.corrections = started_at, 0
    calendar.held_back_at = calendar.held_back = None
    calendar.problem, calendar.attempts = None, 0
    pace = Pace(target.sync_every, pull.settings.reconcile_every, pull.jitter)
    note_pull(session, calendar, started_at, target.due_at, pace)
    leases.note_success(account)


# As days pass


def extend_calendar(pull: Pull) -> int:
    """Expand series into the days that came into view, and forget past ones, without asking the provider.

    Nothing is done, and it stays due, where a look stored something meanwhile.
    """
    with suppress(_Overtaken):
        return _extend(pull)
    return 0


def _extend(pull: Pull) -> int:
    now = pull.clock()
    target = _read_target(pull, now, full=False)
    with pull.store.read() as session:
        calendar = session.get_one(Calendar, pull.calendar_id)
        until, generation = calendar.expanded_until_at, calendar.generation
        events = pulls.skeletons(session, pull.calendar_id, generation)
    added: list[EventRow] = []
    if until is not None and until < target.window.end_at:
        coming = replace(target, window=Window(until, target.window.end_at))
        added = list(later_rows(pull.store, coming, events))
    with pull.store.write() as session:
        calendar = _hold(pull, session, target)
        if calendar.generation == generation:
            pulls.add_spans(session, calendar.id, generation, added)
            pulls.drop_past_spans(session, calendar.id, target.window.start_at)
            calendar.expanded_on = _today(target)
            if until is not None and calendar.expanded_until_at == until:  # else it has to be read anew first
                calendar.expanded_until_at = target.window.end_at
            pulls.bump_availability(session, target.freelancer_id)
    return len(added)
