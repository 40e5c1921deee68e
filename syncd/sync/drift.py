"""Our own events, come back in a pull: are they still where we put them? Notes what happened, and does nothing more."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from providers.errors import ProviderError
from providers.model import Window
from providers.recurrence import instances
from syncd.store import pulls
from syncd.store.models import Booking, BookingEvent
from syncd.store.pulls import EventRow
from syncd.sync.busy import Span, span_of
from syncd.sync.plan import OwnEvent, plan_drift

_EVER = Window(datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def record_drift(session: Session, calendar_id: str, tz: str, rows: list[EventRow], gone: frozenset[str]) -> None:
    """Note on each booking of ours written in this calendar whether its event is still where we put it."""
    seen = {row.remote_id: row for row in rows if row.booking_id}
    if not seen and not gone:
        return
    for event, booking in pulls.written_in(session, calendar_id):
        if event.remote_id in gone:
            _set_drift(event, plan_drift(_own_event(event, booking), None))
        elif event.remote_id in seen:
            spans = _all_spans(seen[event.remote_id].skeleton, tz)
            if spans is not None:
                _set_drift(event, plan_drift(_own_event(event, booking), spans))


def _own_event(event: BookingEvent, booking: Booking) -> OwnEvent:
    return OwnEvent(booking.id, event.remote_id or "", own_spans(event, booking))


def own_spans(event: BookingEvent, booking: Booking) -> frozenset[Span]:
    """Every span in which our event may be by our own doing: as booked, as last written, as about to be written."""
    pairs = [
        (booking.starts_at, booking.ends_at),
        (event.written_starts_at, event.written_ends_at),
        (event.attempted_starts_at, event.attempted_ends_at),
    ]
    return frozenset(span_of(start, end) for start, end in pairs if start and end)


def _all_spans(skeleton: str, tz: str) -> tuple[Span, ...] | None:
    """Where it is; None where that can't be understood."""
    try:
        found = instances(skeleton, _EVER, tz)
    except ProviderError:
        return None
    return tuple(sorted({span_of(i.start_at, i.end_at) for i in found if i.status != "CANCELLED"}))


def _set_drift(event: BookingEvent, drift: dict[str, object] | None) -> None:
    if event.state not in ("written", "drifted"):
        return
    event.state, event.drift = ("drifted", drift) if drift else ("written", None)
