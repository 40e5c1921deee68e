"""When a freelancer can't be booked, as others may know it, and what a list of their consultations holds.

Decides what is told. To the public that is no more than the feed tells: when no public consultation can be booked, not
why. Refuses to know how it is written, and who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from availability import Situation, first_slot, intervals, open_time, valid_until
from availability.intervals import Spans
from providers.ical_publish import FbType, Listed, Period
from syncd.booking.describe import describe
from syncd.outbox.plan import uid_of
from syncd.situation import Circumstances, Taken
from syncd.store.models import OWNING_STATES, Booking, Consultation

LOOK_BACK = timedelta(days=30)

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a span of whole UTC days: everything else in it is free."""

    start_at: datetime
    end_at: datetime
    periods: tuple[Period, ...]


def span_of(now: datetime, consultations: Iterable[Consultation]) -> tuple[datetime, datetime]:
    """The whole UTC days from today to where the last of these consultations may end that can be booked now."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return today, today + -((today - now - _reach(consultations)) // _DAY) * _DAY


def _reach(consultations: Iterable[Consultation]) -> timedelta:
    lengths = [timedelta(minutes=c.horizon_minutes + max(c.durations_minutes)) for c in consultations]
    return max(lengths, default=timedelta())


def told_to_all(public: Sequence[Circumstances], span: tuple[datetime, datetime]) -> Told:
    """When none of the public consultations can be booked, for whatever reason."""
    window = Spans((_seconds(span[0]),), (_seconds(span[1]),))
    situations = [circumstances.situation for circumstances in public]
    offered = [open_time(situation, duration) for situation in situations for duration in situation.rules.durations]
    together = intervals.union(*([at for spans in offered for at in spans[side]] for side in (0, 1)))
    return Told(*span, tuple(_periods(intervals.subtract(window, together), "BUSY-UNAVAILABLE")))


def told_until(public: Sequence[Circumstances], consultations: Iterable[Consultation], now: datetime) -> datetime:
    """The last instant at which what is told to all is right for sure, within the day; `now` if that isn't known."""
    if any(circumstances.is_degraded for circumstances in public):
        return now
    consultations = list(consultations)
    today, end = span_of(now, consultations)
    instants = [today + _DAY, end - _reach(consultations)]
    for circumstances in public:
        instants += [circumstances.changes_at] if circumstances.changes_at else []
        instants += [_EPOCH + timedelta(seconds=second - 1) for second in _changes(circumstances.situation)]
    return min(instants)


def _changes(situation: Situation) -> Iterator[int]:
    """The seconds at which a first slot comes too near, or another comes near enough within a day."""
    low, high = situation.rules.booking_window(situation.now)
    for duration in situation.rules.durations:
        first = first_slot(situation, duration, (low, high))
        leaves = valid_until(situation, duration, (first, first + 1)) if first is not None else None
        enters = valid_until(situation, duration, (high, high + 86_400))
        yield from (second for second in (leaves, enters) if second is not None)


def told_to_key(taken: Taken, span: tuple[datetime, datetime]) -> Told:
    """When calendars or bookings take the freelancer's time, merged; what isn't confirmed yet is tentative."""
    start, end = _seconds(span[0]), _seconds(span[1])
    booked = intervals.of((_seconds(b.starts_at), _seconds(b.ends_at)) for b in taken.bookings if _is_firm(b))
    waiting = intervals.of((_seconds(b.starts_at), _seconds(b.ends_at)) for b in taken.bookings if not _is_firm(b))
    busy = intervals.of([*taken.busy.union().pairs(), *booked.pairs()])
    tentative = intervals.subtract(waiting, busy)
    periods = [
        *_periods(intervals.clip(busy, start, end), "BUSY"),
        *_periods(intervals.clip(tentative, start, end), "BUSY-TENTATIVE"),
    ]
    return Told(*span, tuple(periods))


def listed(bookings: Iterable[Booking]) -> list[Listed]:
    """The consultations among live bookings, without holds; each keeps its UID whichever calendar it is written to."""
    return [
        Listed(describe(booking), uid_of(booking.id, 1), tentative=not _is_firm(booking))
        for booking in bookings
        if booking.state != "held"
    ]


def _is_firm(booking: Booking) -> bool:
    return booking.state in OWNING_STATES


def _periods(spans: Spans, fb_type: FbType) -> Iterator[Period]:
    for start, end in spans.pairs():
        yield Period(_EPOCH + timedelta(seconds=start), _EPOCH + timedelta(seconds=end), fb_type)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
