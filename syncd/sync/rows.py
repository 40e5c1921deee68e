"""From what a provider says to what is stored: a row for each resource, with the spans in which it blocks.

Decides what stays of an event that can't be understood (semantics 14), which rows of a series change together, and
which events are our own (semantics 13). Refuses to know how changes are found and when they are believed.

Where a provider has overrides as resources of their own, each is a row that blocks by itself, and their master's row
blocks where none of them stands. One that isn't understood stands for nothing: what it replaced blocks as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from providers.errors import ProviderError
from providers.ical import booking_of
from providers.model import ChangePage, RemoteCalendar, RemoteEvent, Unreadable, Window
from providers.overrides import excluding
from syncd.store import probes, pulls
from syncd.store.engine import Store
from syncd.store.models import OWNING_STATES, Calendar
from syncd.store.pulls import EventRow
from syncd.sync.busy import Choices, Room, Span, expand, span_of
from syncd.sync.drift import own_spans
from syncd.sync.plan import PullPlan, plan_pull, with_series
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

    @property
    def shows_no_events(self) -> bool:
        """Whether only busy periods are told, which have no name."""
        return self.remote.role == "free_busy"


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


def known_among(store: Store, target: Target, remote_ids: Set[str]) -> dict[str, str]:
    """What of these the calendar held at the last pull, or was written by us since; their ETags aren't asked for."""
    if not remote_ids:
        return {}
    with store.read() as session:
        written = pulls.written_ids(session, target.calendar_id) & remote_ids
        stored = pulls.stored_among(session, target.calendar_id, target.generation, remote_ids)
    return dict.fromkeys(written | stored, "")


Hidden = Mapping[str, Sequence[str]]
"""By series: the skeletons of the overrides that block, or don't, in the place of an instance of their master."""


def plan_of(
    store: Store, target: Target, known: Mapping[str, str], pages: Iterable[ChangePage], generation: int | None = None
) -> PullPlan:
    """Fold pages into a plan in which overrides go with their master; in a `generation`, or in the one that serves."""
    plan = plan_pull(known, pages)
    if not plan.gone:
        return plan
    there = target.generation if generation is None else generation
    with store.read() as session:
        members = pulls.rows_of_series(session, target.calendar_id, there, plan.gone)
    return with_series(plan, (row.remote_id for row in members))


def rows_of(store: Store, target: Target, plan: PullPlan) -> list[EventRow]:
    """Rows for what changed and for what can't be understood, which keeps its last known busy time (semantics 14).

    A master blocks where no override stands, so those of all series that the plan touches are among them.
    """
    rest = _rest_of_series(store, target, plan)
    rows = _changed_rows(store, target, plan, [event for event in plan.upserts if not _leads(event)], {})
    hidden = _hidden([*rest, *rows])
    rows += _changed_rows(store, target, plan, filter(_leads, plan.upserts), hidden)
    rows += _masters_again(store, target, [row for row in rest if row.leads], hidden, target.generation)
    rows += _unread_rows(store, target, plan, hidden)
    return _with_bookings(store, target, rows) + _judged_anew(store, target, plan)


def rows_of_page(store: Store, target: Target, plan: PullPlan) -> list[EventRow]:
    """The same for one page of all there is: masters wait without spans, as any other page may bring overrides."""
    waits = {event.remote_id for event in plan.upserts if _leads(event)} - plan.quarantine.keys()
    rows = [_understood(event) for event in plan.upserts if event.remote_id in waits]
    rows += _changed_rows(store, target, plan, [event for event in plan.upserts if event.remote_id not in waits], {})
    rows += _unread_rows(store, target, plan, {})
    return _with_bookings(store, target, rows)


def rows_of_masters(store: Store, target: Target, generation: int, masters: Iterable[str]) -> list[EventRow]:
    """Rows of masters in a generation that has all pages, expanded where none of their overrides stands."""
    with store.read() as session:
        members = pulls.rows_of_series(session, target.calendar_id, generation, masters)
    hidden, leading = _hidden(members), [row for row in members if row.leads]
    events = [RemoteEvent(r.remote_id, r.uid, r.etag, r.skeleton, r.series_id) for r in leading if not r.quarantined]
    rows = _changed_rows(store, target, PullPlan(tuple(events), frozenset()), events, hidden)
    rows += _masters_again(store, target, [row for row in leading if row.quarantined], hidden, generation)
    return _with_bookings(store, target, rows)


def _leads(event: RemoteEvent) -> bool:
    return bool(event.series_id) and event.series_id == event.remote_id


def _rest_of_series(store: Store, target: Target, plan: PullPlan) -> list[EventRow]:
    """What is stored of the series that a plan touches, and isn't among what it changes."""
    named = plan.named
    with store.read() as session:
        before = pulls.series_of(session, target.calendar_id, target.generation, named)
        touched = {*before.values(), *plan.quarantine, *(event.series_id for event in plan.upserts)} - {""}
        members = pulls.rows_of_series(session, target.calendar_id, target.generation, touched)
    return [row for row in members if row.remote_id not in named]


def _hidden(rows: Iterable[EventRow]) -> Hidden:
    hidden: dict[str, list[str]] = {}
    for row in rows:
        if row.replaces:
            hidden.setdefault(row.series_id, []).append(row.skeleton)
    return hidden


def _changed_rows(
    store: Store, target: Target, plan: PullPlan, events: Iterable[RemoteEvent], hidden: Hidden
) -> list[EventRow]:
    """Rows for events of a plan; what can't be expanded isn't understood."""
    events = list(events)
    expanded = {e.remote_id: _expanded(target, e.skeleton, hidden.get(e.remote_id, ())) for e in events}
    doubtful = {r for r, (_, problem) in expanded.items() if problem or r in plan.quarantine}
    last = _last_known(store, target, doubtful)
    rows = []
    for event in events:
        (spans, problem), problems = expanded[event.remote_id], plan.quarantine.get(event.remote_id, ())
        known = last.get(event.remote_id)
        if problem:
            known = replace(known or replace(_understood(event), skeleton=""), series_id=event.series_id)
            rows.append(_unread_row(target, (*problems, as_unreadable(event, problem)), known, hidden))
        else:
            rows.append(_read_row(target, event, spans, problems, known, hidden))
    return rows


def _unread_rows(store: Store, target: Target, plan: PullPlan, hidden: Hidden) -> list[EventRow]:
    """Rows for what can't be understood at all."""
    unread = plan.quarantine.keys() - {event.remote_id for event in plan.upserts}
    last = _last_known(store, target, unread)
    return [_unread_row(target, plan.quarantine[r], last.get(r), hidden) for r in unread]


def _masters_again(
    store: Store, target: Target, masters: Iterable[EventRow], hidden: Hidden, generation: int
) -> Iterator[EventRow]:
    """Masters that are as they were, and block otherwise, as their overrides aren't."""
    with store.read() as session:
        stored = pulls.load_rows(session, target.calendar_id, generation, [row.remote_id for row in masters])
    for row in stored:
        again = _expanded_again(target, row, hidden)
        if again.spans != row.spans:
            yield again


def _last_known(store: Store, target: Target, remote_ids: Set[str]) -> dict[str, EventRow]:
    with store.read() as session:
        rows = pulls.load_rows(session, target.calendar_id, target.generation, remote_ids)
    return {row.remote_id: row for row in rows}


Expanded = tuple[tuple[Span, ...], str | None]


def _expanded(target: Target, skeleton: str, hidden: Sequence[str] = ()) -> Expanded:
    """The spans in which a series blocks, and why it can't be expanded if it can't."""
    try:
        text = excluding(skeleton, hidden) if hidden else skeleton
        return expand(text, target.window, target.tz, target.choices, target.room), None
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
    hidden: Hidden,
) -> EventRow:
    """What changed; where a part of it isn't understood, what was last understood in full blocks as well."""
    reasons = tuple(map(_reason, problems))
    row = replace(_understood(event), spans=spans, quarantined=reasons)
    if not problems or last is None:
        return row
    understood = last.understood if last.quarantined else last.skeleton
    return _expanded_again(target, replace(row, understood=understood, spans=(*spans, *last.spans)), hidden)


def _understood(event: RemoteEvent) -> EventRow:
    """An event that isn't expanded yet."""
    return EventRow(event.remote_id, event.uid, event.etag, event.skeleton, (), series_id=event.series_id)


def _unread_row(target: Target, items: tuple[Unreadable, ...], last: EventRow | None, hidden: Hidden) -> EventRow:
    """What wasn't understood: as it was last known, expanded as far as the window now reaches."""
    reasons, etag = tuple(map(_reason, items)), items[-1].etag
    if last is None:
        return EventRow(items[-1].remote_id, items[-1].uid or "", etag, "", (), reasons)
    return _expanded_again(target, replace(last, etag=etag, quarantined=reasons), hidden)


def _expanded_again(target: Target, row: EventRow, hidden: Hidden) -> EventRow:
    """A row with the spans of what is known of it; those it has stay only where that can't be expanded any more."""
    overrides = hidden.get(row.series_id, ()) if row.leads else ()
    found = [_expanded(target, skeleton, overrides) for skeleton in (row.skeleton, row.understood) if skeleton]
    spans = {span for spans, _ in found for span in spans}
    if not found or any(problem for _, problem in found):
        spans.update(row.spans)
    return replace(row, spans=tuple(sorted(spans)))


def _reason(item: Unreadable) -> dict[str, str | None]:
    """What is kept of something unreadable: UID, start and reason, never a title."""
    return {"uid": item.uid, "start": item.start, "reason": item.reason}


def later_rows(store: Store, target: Target, known: Sequence[EventRow]) -> Iterator[EventRow]:
    """What of all known events begins in the window; what began before is in the store already."""
    first, hidden = int(target.window.start_at.timestamp()), _hidden(known)
    for row in known:
        again = _expanded_again(target, replace(row, spans=()), hidden)
        spans = tuple(span for span in again.spans if span[0] >= first)
        if spans:
            yield from _with_bookings(store, target, [replace(row, spans=spans)])


# Whose events these are


def _with_bookings(store: Store, target: Target, rows: Sequence[EventRow]) -> list[EventRow]:
    """Say of which bookings these are the events: by remote id, UID or booking property (semantics 13)."""
    if target.shows_no_events:
        return _with_equal_spans(store, target, rows)
    named = {row.remote_id: _named_booking(row) for row in rows}
    ids = pulls.OwnIds({r.remote_id for r in rows}, {r.uid for r in rows}, {b for b in named.values() if b})
    with store.read() as session:
        own = pulls.own_bookings(session, target.freelancer_id, target.calendar_id, ids)
    return [
        replace(r, booking_id=own.get(r.remote_id) or own.get(r.uid) or own.get(named[r.remote_id] or "")) for r in rows
    ]


def _with_equal_spans(store: Store, target: Target, rows: Sequence[EventRow]) -> list[EventRow]:
    """Where no event has a name, a period that is exactly one of our spans is ours (semantics 17)."""
    with store.read() as session:
        found = pulls.events_at(session, target.freelancer_id, {span for row in rows for span in row.spans})
        ours = {span: booking.id for event, booking in found for span in own_spans(event, booking)}
        ours |= {span_of(b.starts_at, b.ends_at): b.id for _, b in found if b.state in OWNING_STATES}
    return [replace(row, booking_id=ours.get(row.spans[0]) if len(row.spans) == 1 else None) for row in rows]


def _judged_anew(store: Store, target: Target, plan: PullPlan) -> list[EventRow]:
    """Periods without a name that are as they were, and by now are another booking's, or no one's."""
    if not target.shows_no_events:
        return []
    with store.read() as session:
        there = pulls.known_etags(session, target.calendar_id, target.generation).keys() - plan.named
        stored = pulls.load_rows(session, target.calendar_id, target.generation, there)
    judged = _with_bookings(store, target, stored)
    return [row for row, before in zip(judged, stored, strict=True) if row != before]


def _named_booking(row: EventRow) -> str | None:
    match = _OWN_UID.fullmatch(row.uid)
    return booking_of(row.skeleton) or (match.group(1) if match else None)
