"""When a freelancer can't be booked, as others may know it, and what a list of their consultations holds.

Decides what is told. To the public that is no more than the feed tells: when no public consultation can be booked, not
why. Refuses to know how it is written, and who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from availability import Situation, intervals, open_slots
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
    lengths = [timedelta(minutes=c.horizon_minutes + max(c.durations_minutes)) for c in consultations]
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return today, today + -((today - now - max(lengths, default=timedelta())) // _DAY) * _DAY


def told_to_all(public: Sequence[Circumstances], span: tuple[datetime, datetime]) -> Told:
    """When none of the public consultations can be booked, for whatever reason."""
    window = Spans((_seconds(span[0]),), (_seconds(span[1]),))
    offered = intervals.of(_offered(circumstances.situation for circumstances in public))
    return Told(*span, tuple(_periods(intervals.subtract(window, offered), "BUSY-UNAVAILABLE")))


def _offered(situations: Iterable[Situation]) -> Iterator[tuple[int, int]]:
    for situation in situations:
        low, high = situation.rules.booking_window(situation.now)
        for duration in situation.rules.durations:
            yield from ((start, start + duration) for start in open_slots(situation, duration, (low, high)))


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
