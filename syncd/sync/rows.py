"""From what a provider says to what is stored: a row for each resource, with the spans in which it blocks.

Decides what stays of an event that can't be understood (semantics 14) and which events are our own (semantics 13).
Refuses to know how changes are found and when they are believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from providers.errors import ProviderError
from providers.ical import booking_of
from providers.model import RemoteCalendar, RemoteEvent, Unreadable, Window
from syncd.store import probes, pulls
from syncd.store.engine import Store
from syncd.store.models import Calendar
from syncd.store.pulls import EventRow
from syncd.sync.busy import Choices, Room, Span, expand
from syncd.sync.plan import PullPlan
from syncd.sync.quarantine import as_unreadable

_OWN_UID = re.compile(r"(bkg_[a-z2-7]+)-\d+")


@dataclass(frozen=True, slots=True)
class Target:
    """What a pull or a look needs to know of its calendar."""

    remote: RemoteCalendar
    calendar_id: str
    account_id: str
    freelancer_id: str
    generation: int
    sync_token: str | None
    corrections: int
    everything: bool  # read all anew, into a new generation; else what is known is compared or added to
    tz: str
    choices: Choices
    sync_every: timedelta
    window: Window
    expanded_until_at: datetime | None
    due_at: datetime = field(compare=False)  # when it was to be pulled, as of reading this
    room: Room = field(default_factory=Room, compare=False)


def target_of(calendar: Calendar, window: Window, *, sync_token: str | None = None, everything: bool = False) -> Target:
    """Read what a pull or a look needs to know of a calendar."""
    account = calendar.account
    return Target(
        remote=probes.remote_of(calendar),
        calendar_id=calendar.id,
        account_id=account.id,
        freelancer_id=account.freelancer_id,
        generation=calendar.generation,
        sync_token=sync_token,
        corrections=calendar.corrections,
        everything=everything,
        tz=calendar.tz or account.freelancer.tz,
        choices=Choices.of(account),
        sync_every=timedelta(seconds=account.sync_every_seconds),
        window=window,
        expanded_until_at=calendar.expanded_until_at,
        due_at=calendar.next_pull_at,
    )


def known_of(store: Store, target: Target, now: datetime) -> dict[str, str]:
    """Remote id → ETag of what the calendar held at the last pull and what we wrote since; what is to come first."""
    with store.read() as session:
        written = dict.fromkeys(pulls.written_ids(session, target.calendar_id), "")
        known = written | pulls.known_etags(session, target.calendar_id, target.generation)
        coming = pulls.future_busy(session, target.calendar_id, target.generation, now)
        return dict(sorted(known.items(), key=lambda one: one[0] not in coming))


def rows_of(store: Store, target: Target, plan: PullPlan) -> list[EventRow]:
    """Rows for what changed and for what can't be understood, which keeps its last known busy time (semantics 14)."""
    expanded = {event.remote_id: _expanded(target, event.skeleton) for event in plan.upserts}
    doubtful = {*plan.quarantine, *(r for r, (_, problem) in expanded.items() if problem)}
    with store.read() as session:
        last = {row.remote_id: row for row in pulls.load_rows(session, target.calendar_id, target.generation, doubtful)}
    rows = []
    for event in plan.upserts:
        (spans, problem), problems = expanded[event.remote_id], plan.quarantine.get(event.remote_id, ())
        if problem:
            problems = (*problems, as_unreadable(event, problem))
            rows.append(_unread_row(target, problems, last.get(event.remote_id)))
        else:
            rows.append(_read_row(target, event, spans, problems, last.get(event.remote_id)))
    rows += [_unread_row(target, plan.quarantine[r], last.get(r)) for r in plan.quarantine if r not in expanded]
    return _with_bookings(store, target, rows)


Expanded = tuple[tuple[Span, ...], str | None]


def _expanded(target: Target, skeleton: str) -> Expanded:
    """The spans in which a series blocks, and why it can't be expanded if it can't."""
    try:
        return expand(skeleton, target.window, target.tz, target.choices, target.room), None
    except ProviderError as error:
        return (), str(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours in one event must not stop its calendar
        return (), f"it could not be expanded ({type(error).__name__})"


def _read_row(
    target: Target,
    event: RemoteEvent,
    spans: tuple[Span, ...],
    problems: tuple[Unreadable, ...],
    last: EventRow | None,
) -> EventRow:
    """What changed; where a part of it isn't understood, what was last understood in full blocks as well."""
    row = EventRow(event.remote_id, event.uid, event.etag, event.skeleton, spans, tuple(map(_reason, problems)))
    if not problems or last is None:
        return row
    understood = last.understood if last.quarantined else last.skeleton
    return _expanded_again(target, replace(row, understood=understood, spans=(*spans, *last.spans)))


def _unread_row(target: Target, items: tuple[Unreadable, ...], last: EventRow | None) -> EventRow:
    """What wasn't understood: as it was last known, expanded as far as the window now reaches."""
    reasons, etag = tuple(map(_reason, items)), items[-1].etag
    if last is None:
        return EventRow(items[-1].remote_id, items[-1].uid or "", etag, "", (), reasons)
    return _expanded_again(target, replace(last, etag=etag, quarantined=reasons))


def _expanded_again(target: Target, row: EventRow) -> EventRow:
    """A row with the spans of what is known of it; those it has stay only where that can't be expanded any more."""
    found = [_expanded(target, skeleton) for skeleton in (row.skeleton, row.understood) if skeleton]
    spans = {span for spans, _ in found for span in spans}
    if not found or any(problem for _, problem in found):
        spans.update(row.spans)
    return replace(row, spans=tuple(sorted(spans)))


def _reason(item: Unreadable) -> dict[str, str | None]:
    """What is kept of something unreadable: UID, start and reason, never a title."""
    return {"uid": item.uid, "start": item.start, "reason": item.reason}


def later_rows(store: Store, target: Target, known: Iterable[EventRow]) -> Iterator[EventRow]:
    """What of known events begins in the window; what began before is in the store already."""
    first = int(target.window.start_at.timestamp())
    for row in known:
        again = _expanded_again(target, replace(row, spans=()))
        spans = tuple(span for span in again.spans if span[0] >= first)
        if spans:
            yield from _with_bookings(store, target, [replace(row, spans=spans)])


def _with_bookings(store: Store, target: Target, rows: Sequence[EventRow]) -> list[EventRow]:
    """Say of which bookings these are the events: by remote id, UID or booking property (semantics 13)."""
    named = {row.remote_id: _named_booking(row) for row in rows}
    ids = pulls.OwnIds({r.remote_id for r in rows}, {r.uid for r in rows}, {b for b in named.values() if b})
    with store.read() as session:
        own = pulls.own_bookings(session, target.freelancer_id, target.calendar_id, ids)
    return [
        replace(r, booking_id=own.get(r.remote_id) or own.get(r.uid) or own.get(named[r.remote_id] or "")) for r in rows
    ]


def _named_booking(row: EventRow) -> str | None:
    match = _OWN_UID.fullmatch(row.uid)
    return booking_of(row.skeleton) or (match.group(1) if match else None)
