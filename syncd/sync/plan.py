"""What a pull means, decided without touching anything: which rows change, and whether to believe it.

Knows neither providers nor SQL. The brake and the quarantine are semantics 14 and 15.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from providers.model import ChangePage, RemoteEvent, Unreadable
from syncd.sync.busy import Span

BRAKE_AT_LEAST = 10
BRAKE_AGREES_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class PullPlan:
    """Rows to write and rows to remove. A quarantined resource keeps what was last understood of it.

    `gone` is all that the provider says is no more, in the store or not.
    """

    upserts: tuple[RemoteEvent, ...]
    removals: frozenset[str]
    quarantine: Mapping[str, tuple[Unreadable, ...]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()

    @property
    def named(self) -> frozenset[str]:
        """All that it says anything of."""
        return self.removals | self.quarantine.keys() | {event.remote_id for event in self.upserts}


def plan_pull(known: Mapping[str, str], pages: Iterable[ChangePage]) -> PullPlan:
    """Fold pages into rows: the last word on a resource counts, repeated rows count once.

    `known` maps the remote ids in the store to their ETags. An unreadable resource is neither changed nor removed;
    one that is readable in part is changed *and* named.
    """
    last: dict[str, RemoteEvent | None] = {}
    unreadable: dict[str, list[Unreadable]] = {}
    for page in pages:
        for item in page.unreadable:
            last.pop(item.remote_id, None)
            named = unreadable.setdefault(item.remote_id, [])
            if item not in named:
                named.append(item)
        for event in page.changed:
            if not any(u.etag == event.etag for u in unreadable.get(event.remote_id, ())):
                unreadable.pop(event.remote_id, None)
            last[event.remote_id] = event
        for remote_id in page.removed:
            unreadable.pop(remote_id, None)
            last[remote_id] = None
    upserts = tuple(e for e in last.values() if e is not None)
    gone = frozenset(r for r, e in last.items() if e is None)
    quarantine = {r: tuple(items) for r, items in unreadable.items()}
    return PullPlan(upserts, gone & known.keys(), quarantine, gone)


def with_series(plan: PullPlan, members: Iterable[str]) -> PullPlan:
    """Let overrides go with their master: `members` are what is stored of the series whose masters are gone.

    Those that are listed all the same stay.
    """
    return replace(plan, removals=plan.removals.union(members) - (plan.named - plan.removals))


@dataclass(frozen=True, slots=True)
class Brake:
    """What is known of an earlier pull of this calendar that was held back."""

    held_back_at: datetime | None = None
    lost: frozenset[str] = frozenset()  # digests of what it would have removed


@dataclass(frozen=True, slots=True)
class HoldBack:
    """Don't believe this pull yet: it would remove too much."""

    lost: frozenset[str]


def plan_brake(
    future_busy: Set[str], gone: Set[str], brake: Brake, *, full: bool, accept: bool, now: datetime
) -> HoldBack | None:
    """Decide whether a pull may remove `gone` (semantics 15).

    `future_busy` are the resources that block some future time now. More than half of them and at least ten gone is
    held back, unless the owner accepts, or this is a full pull that agrees with one held back five minutes ago: all
    that it lacks was lacking then.
    """
    lost = future_busy & gone
    if accept or len(lost) < BRAKE_AT_LEAST or 2 * len(lost) <= len(future_busy):
        return None
    digests = frozenset(hashlib.sha256(remote_id.encode()).hexdigest()[:16] for remote_id in lost)
    waited = brake.held_back_at is not None and now - brake.held_back_at >= BRAKE_AGREES_AFTER
    return None if full and waited and digests <= brake.lost else HoldBack(digests)


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """Our written event as the store knows it: every span in `ours` is one we wrote or are about to write."""

    booking_id: str
    remote_id: str
    ours: frozenset[Span]


def plan_drift(own: OwnEvent, seen: tuple[Span, ...] | None) -> dict[str, object] | None:
    """What happened to our event in the calendar: None if it is where we put it, else what and where.

    `seen` are all its spans now, None if it is gone (semantics 13; only the written event can drift).
    """
    if seen is None:
        return {"kind": "deleted"}
    if len(seen) == 1 and seen[0] in own.ours:
        return None
    return {"kind": "moved" if seen else "cancelled", "spans": [list(span) for span in seen[:10]]}
