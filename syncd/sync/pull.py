"""Pulls one calendar: asks the provider, lets `plan` decide, and stores changes and sync token together.

Provider calls happen outside transactions; every commit proves that the account's lease is still ours. A full pull
grows a new generation beside the one that serves and swaps it in at the end, so a crash leaves the old one serving.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy.orm import Session

from providers.errors import ProviderError, SyncTokenInvalid
from providers.ical import booking_of
from providers.model import ChangePage, RemoteCalendar, RemoteEvent, Unreadable, Window
from providers.port import Provider
from providers.recurrence import instances
from syncd.store import leases, probes, pulls
from syncd.store.engine import Store
from syncd.store.models import Account, Calendar
from syncd.store.pulls import EventRow
from syncd.sync.busy import Choices, Span, busy_spans
from syncd.sync.drift import record_drift
from syncd.sync.plan import Brake, HoldBack, PullPlan, plan_brake, plan_pull
from syncd.sync.quarantine import as_unreadable

KEPT_PAST = timedelta(days=8)
_OWN_UID = re.compile(r"(bkg_[a-z2-7]+)-\d+")
Expanded = tuple[tuple[Span, ...], str | None]


@dataclass(frozen=True, slots=True)
class PullSettings:
    """How far busy time is kept and how often calendars are pulled and compared in full."""

    keep_busy_for: timedelta
    reconcile_every: timedelta


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


@dataclass(frozen=True, slots=True)
class _Target:
    """What a pull needs to know of its calendar."""

    remote: RemoteCalendar
    calendar_id: str
    account_id: str
    freelancer_id: str
    generation: int
    sync_token: str | None
    everything: bool  # read all anew, into a new generation; else what is known is compared or added to
    tz: str
    choices: Choices
    sync_every: timedelta
    window: Window
    expanded_until_at: datetime | None  # series that are known already are expanded as far as this


def pull_window(now: datetime, keep_busy_for: timedelta) -> Window:
    """The span in which busy time is kept, in whole UTC days, with some to spare at both ends.

    Behind, for what a long `buffer_before` reaches back to; ahead, so that a day that rolls by leaves a whole day in
    which to expand series further before any horizon can reach it.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(today - KEPT_PAST, today + keep_busy_for + timedelta(days=2))


def pull_calendar(pull: Pull, *, full: bool = False) -> PullReport:
    """Bring one calendar up to date. Raises ProviderError, LeaseLost, StoreError; nothing is stored by halves."""
    started_at = pull.clock()
    target = _read_target(pull, started_at, full=full)
    try:
        return _pull(pull, target, started_at)
    except SyncTokenInvalid:
        return _pull(pull, replace(target, sync_token=None, everything=True), started_at)


def _pull(pull: Pull, target: _Target, started_at: datetime) -> PullReport:
    known = None if target.everything else partial(_known, pull, target)
    pages = iter(pull.provider.changes(target.remote, target.sync_token, target.window, known))
    first = next(pages, None)
    if first is None:
        msg = "the provider gave no page of changes"
        raise ProviderError(msg, calendar=target.remote.name)
    if first.complete:
        return _full(pull, target, started_at, itertools.chain([first], pages))
    return _incremental(pull, target, started_at, [first, *pages])


def _read_target(pull: Pull, now: datetime, *, full: bool) -> _Target:
    with pull.store.read() as session:
        calendar = session.get_one(Calendar, pull.calendar_id)
        account = calendar.account
        compared_at = calendar.full_synced_at
        everything = full or compared_at is None or calendar.full_wanted
        compare = compared_at is None or now - compared_at >= pull.settings.reconcile_every
        return _Target(
            remote=probes.remote_of(calendar),
            calendar_id=calendar.id,
            account_id=account.id,
            freelancer_id=account.freelancer_id,
            generation=calendar.generation,
            sync_token=None if everything or compare else calendar.sync_token,
            everything=everything,
            tz=calendar.tz or account.freelancer.tz,
            choices=Choices.of(account),
            sync_every=timedelta(seconds=account.sync_every_seconds),
            window=pull_window(now, pull.settings.keep_busy_for),
            expanded_until_at=calendar.expanded_until_at,
        )


# Rows from events


def _rows(pull: Pull, target: _Target, plan: PullPlan) -> list[EventRow]:
    """Rows for what changed and for what can't be understood, which keeps its last known busy time (semantics 14)."""
    expanded = {event.remote_id: expand(event.skeleton, target.window, target) for event in plan.upserts}
    doubtful = {*plan.quarantine, *(r for r, (_, problem) in expanded.items() if problem)}
    with pull.store.read() as session:
        last = {row.remote_id: row for row in pulls.load_rows(session, target.calendar_id, target.generation, doubtful)}
    rows = [
        _row(target, event, expanded[event.remote_id], plan.quarantine.get(event.remote_id, ()), last)
        for event in plan.upserts
    ]
    rows += [_unread_row(target, plan.quarantine[r], last.get(r)) for r in plan.quarantine if r not in expanded]
    own = _own(pull.store, target, rows)
    return [replace(row, booking_id=own.get(row.remote_id)) for row in rows]


def _own(store: Store, target: _Target, rows: list[EventRow]) -> dict[str, str]:
    """Remote id → booking id of the events that are ours: by remote id, UID or booking property (semantics 13)."""
    named = {row.remote_id: _named_booking(row) for row in rows}
    ids = pulls.OwnIds({r.remote_id for r in rows}, {r.uid for r in rows}, {b for b in named.values() if b})
    with store.read() as session:
        own = pulls.own_bookings(session, target.freelancer_id, target.calendar_id, ids)
    found = {r.remote_id: own.get(r.remote_id) or own.get(r.uid) or own.get(named[r.remote_id] or "") for r in rows}
    return {remote_id: booking_id for remote_id, booking_id in found.items() if booking_id}


def _named_booking(row: EventRow) -> str | None:
    match = _OWN_UID.fullmatch(row.uid)
    return booking_of(row.skeleton) or (match.group(1) if match else None)


def _row(
    target: _Target,
    event: RemoteEvent,
    expanded: Expanded,
    problems: tuple[Unreadable, ...],
    known: Mapping[str, EventRow],
) -> EventRow:
    """What changed; where a part of it isn't understood, what was known of it blocks as well."""
    (spans, problem), last = expanded, known.get(event.remote_id)
    if problem:
        return _unread_row(target, (*problems, as_unreadable(event, problem)), last)
    if problems and last:
        spans = tuple(sorted({*spans, *last.spans}))
    return EventRow(
        event.remote_id, event.series_id, event.etag, event.skeleton, spans, tuple(map(as_reason, problems))
    )


def _unread_row(target: _Target, items: tuple[Unreadable, ...], last: EventRow | None) -> EventRow:
    """What wasn't understood: as it was last known, expanded as far as the window now reaches."""
    reasons, etag = tuple(as_reason(item) for item in items), items[-1].etag
    if last is None:
        return EventRow(items[-1].remote_id, items[-1].uid or "", etag, "", (), reasons)
    spans, _ = expand(last.skeleton, target.window, target) if last.skeleton else ((), None)
    return replace(last, etag=etag, spans=tuple(sorted({*spans, *last.spans})), quarantined=reasons)


def expand(skeleton: str, window: Window, target: _Target) -> Expanded:
    """The spans in which a series blocks, and why it can't be expanded if it can't."""
    try:
        return busy_spans(instances(skeleton, window, target.tz), target.choices), None
    except ProviderError as error:
        return (), str(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours in one event must not stop its calendar
        return (), f"it could not be expanded ({type(error).__name__})"


def as_reason(item: Unreadable) -> dict[str, str | None]:
    """What is kept of something unreadable: UID, start and reason, never a title."""
    return {"uid": item.uid, "start": item.start, "reason": item.reason}


# The two ways of pulling


def _known(pull: Pull, target: _Target) -> dict[str, str]:
    """Remote id → ETag of what the calendar held at the last pull, and of what we wrote since."""
    with pull.store.read() as session:
        written = dict.fromkeys(pulls.written_ids(session, target.calendar_id), "")
        return written | pulls.known_etags(session, target.calendar_id, target.generation)


def _incremental(pull: Pull, target: _Target, started_at: datetime, pages: list[ChangePage]) -> PullReport:
    target = _as_far_as_the_rest(target)
    plan = plan_pull(_known(pull, target), pages)
    rows = _news(pull, target, _rows(pull, target, plan))
    with pull.store.write() as session:
        calendar = _hold(pull, session, target)
        now = pull.clock()
        held_back = _brake(pull, session, calendar, plan.removals, full=False)
        if held_back:
            return _hold_back(calendar, held_back, now)
        pulls.put_events(session, calendar.id, calendar.generation, rows)
        pulls.drop_events(session, calendar.id, calendar.generation, plan.removals)
        record_drift(session, calendar.id, target.tz, rows, gone=plan.removals)
        if rows or plan.removals:
            pulls.bump_availability(session, target.freelancer_id)
        calendar.sync_token = pages[-1].sync_token or calendar.sync_token
        if target.sync_token is None:  # all there is was compared with all that is known
            calendar.full_synced_at = started_at
        if calendar.expanded_until_at is not None:  # what changed is expanded only as far as this
            calendar.expanded_until_at = min(calendar.expanded_until_at, target.window.end_at)
        _succeed(pull, session, calendar, target, started_at)
    full = target.sync_token is None
    return PullReport(target.remote.name, full=full, changed=len(rows), removed=len(plan.removals))


def _as_far_as_the_rest(target: _Target) -> _Target:
    """What changed is expanded no further than what didn't, so that the next days are added to all alike."""
    until = target.expanded_until_at or target.window.end_at
    return replace(target, window=Window(target.window.start_at, min(until, target.window.end_at)))


def _news(pull: Pull, target: _Target, rows: list[EventRow]) -> list[EventRow]:
    """Leave out what can't be understood and is stored just so: it is read again at every comparison."""
    doubtful = {row.remote_id for row in rows if row.quarantined}
    with pull.store.read() as session:
        same = pulls.load_rows(session, target.calendar_id, target.generation, doubtful)
    return [row for row in rows if row not in same]


def _full(pull: Pull, target: _Target, started_at: datetime, pages: Iterator[ChangePage]) -> PullReport:
    new = target.generation + 1
    with pull.store.write() as session:
        _hold(pull, session, target).full_wanted = True  # what is begun in full is ended in full, so no debris stays
        pulls.drop_generations(session, target.calendar_id, keep=target.generation)
    listed: set[str] = set()
    drifted: list[EventRow] = []
    token: str | None = None
    for page in pages:
        rows = _store_page(pull, target, new, page, listed)
        drifted += [row for row in rows if row.booking_id]
        token = page.sync_token
        pull.progress(len(listed), page.total)
    return _swap(pull, target, started_at, new, listed, drifted, token)


def _store_page(pull: Pull, target: _Target, generation: int, page: ChangePage, listed: set[str]) -> list[EventRow]:
    """Write one page into the generation that grows; what a later page takes back of what was `listed` goes."""
    plan = plan_pull(dict.fromkeys(listed.intersection(page.removed), ""), [page])
    rows = _rows(pull, target, plan)
    with pull.store.write() as session:
        _hold(pull, session, target)
        pulls.put_events(session, target.calendar_id, generation, rows)
        pulls.drop_events(session, target.calendar_id, generation, plan.removals)
    listed |= {row.remote_id for row in rows}
    listed -= plan.removals
    return rows


def _swap(
    pull: Pull,
    target: _Target,
    started_at: datetime,
    new: int,
    listed: set[str],
    own_rows: list[EventRow],
    token: str | None,
) -> PullReport:
    with pull.store.write() as session:
        calendar = _hold(pull, session, target)
        before = set(pulls.known_etags(session, calendar.id, calendar.generation))
        held_back = _brake(pull, session, calendar, before - listed, full=True)
        if held_back:
            pulls.drop_generations(session, calendar.id, keep=calendar.generation)
            return _hold_back(calendar, held_back, pull.clock())
        gone = pulls.written_ids(session, calendar.id) - listed
        record_drift(session, calendar.id, target.tz, own_rows, gone=frozenset(gone))
        calendar.generation, calendar.sync_token = new, token
        calendar.full_synced_at, calendar.full_wanted = started_at, False
        calendar.expanded_on, calendar.expanded_until_at = _today(target), target.window.end_at
        pulls.drop_generations(session, calendar.id, keep=new)
        pulls.bump_availability(session, target.freelancer_id)
        _succeed(pull, session, calendar, target, started_at)
    return PullReport(target.remote.name, full=True, changed=len(listed), removed=len(before - listed))


def _today(target: _Target) -> str:
    return (target.window.start_at + KEPT_PAST).date().isoformat()


# Inside the transaction


def _hold(pull: Pull, session: Session, target: _Target) -> Calendar:
    leases.hold(session, target.account_id, pull.owner, pull.clock())
    return session.get_one(Calendar, target.calendar_id)


def _brake(
    pull: Pull, session: Session, calendar: Calendar, gone: set[str] | frozenset[str], *, full: bool
) -> HoldBack | None:
    if not gone:
        return None
    now = pull.clock()
    busy = pulls.future_busy(session, calendar.id, calendar.generation, now)
    brake = Brake(calendar.held_back_at, frozenset(calendar.held_back or ()))
    return plan_brake(busy, gone, brake, full=full, accept=pull.accept, now=now)


def _hold_back(calendar: Calendar, held_back: HoldBack, now: datetime) -> PullReport:
    """Keep the old state and its sync token, and compare in full in five minutes."""
    if calendar.held_back_at is None or not held_back.lost <= set(calendar.held_back or ()):
        calendar.held_back_at, calendar.held_back = now, sorted(held_back.lost)
    calendar.full_wanted = True
    calendar.next_pull_at = now + timedelta(minutes=5)
    return PullReport(calendar.name, full=True, changed=0, removed=0, held_back=len(held_back.lost))


def _succeed(pull: Pull, session: Session, calendar: Calendar, target: _Target, started_at: datetime) -> None:
    account = session.get_one(Account, target.account_id)
    calendar.synced_at = started_at
    calendar.held_back_at = calendar.held_back = None
    calendar.problem, calendar.attempts = None, 0
    calendar.next_pull_at = started_at + target.sync_every * (0.9 + 0.2 * pull.jitter)
    leases.note_success(account)


# As days pass


def extend_calendar(pull: Pull) -> int:
    """Expand series into the days that came into view, and forget past ones, without asking the provider."""
    now = pull.clock()
    target = _read_target(pull, now, full=False)
    with pull.store.read() as session:
        calendar = session.get_one(Calendar, pull.calendar_id)
        until, generation = calendar.expanded_until_at, calendar.generation
        events = pulls.skeletons(session, pull.calendar_id, generation)
    added: list[tuple[int, EventRow]] = []
    if until is not None and until < target.window.end_at:
        added = list(_extended(pull, target, events, Window(until, target.window.end_at)))
    with pull.store.write() as session:
        calendar = _hold(pull, session, target)
        if calendar.generation == generation:
            pulls.put_spans(session, calendar.id, generation, added)
            pulls.drop_past_spans(session, calendar.id, target.window.start_at)
            calendar.expanded_on = _today(target)
            if until is not None and calendar.expanded_until_at == until:  # else it has to be read anew first
                calendar.expanded_until_at = target.window.end_at
            pulls.bump_availability(session, target.freelancer_id)
    return len(added)


def _extended(
    pull: Pull, target: _Target, events: list[tuple[int, str, str, str]], window: Window
) -> Iterator[tuple[int, EventRow]]:
    """What begins in the new days; what began before is in the store already."""
    first = int(window.start_at.timestamp())
    for event_id, remote_id, uid, skeleton in events:
        spans, _ = expand(skeleton, window, target)
        new = tuple(span for span in spans if span[0] >= first)
        if new:
            row = EventRow(remote_id, uid, "", skeleton, new)
            yield event_id, replace(row, booking_id=_own(pull.store, target, [row]).get(remote_id))
