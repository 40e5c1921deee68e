"""What is changed after a look at the calendars: asked of the store first, then looked, then done in one transaction.

What the store alone refuses is refused without troubling a calendar. Decides nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from syncd.api.answers import Answer
from syncd.api.idempotency import Sent, perform
from syncd.errors import ApiError, BookingError
from syncd.services import Services
from syncd.store.models import Booking
from syncd.sync.look import NOT_LOOKED, Looked, look

Explain = Callable[[BookingError], Answer]


@dataclass(frozen=True, slots=True)
class View:
    """Where to look: the span of a consultation."""

    consultation_id: str
    start_at: datetime
    end_at: datetime

    @classmethod
    def of(cls, booking: Booking) -> View:
        """Where a booking is."""
        return cls(booking.consultation_id, booking.starts_at, booking.ends_at)


def perform_after_look(
    services: Services,
    sent: Sent,
    rehearse: Callable[[Session], View | None],
    action: Callable[[Session, View | None, Looked], Answer],
    explain: Explain,
) -> Answer:
    """Do what `rehearse` finds nothing against, once. Raises ApiError as `perform` does.

    Whether it was answered before has been asked (`replay`). A look takes its time, so the action asks all that
    `rehearse` did once more, and whether what it is about is still where the look was; where there is nothing to see,
    `rehearse` gives None.
    """
    try:
        with services.store.read() as session:
            view = rehearse(session)
    except (BookingError, ApiError) as error:
        return _refused(services, sent, error, explain)
    looked = _look(services, view) if view else NOT_LOOKED
    return perform(services, sent, lambda session: action(session, view, looked), explain)


def _look(services: Services, view: View) -> Looked:
    return look(services, view.consultation_id, view.start_at, view.end_at)


def _refused(services: Services, sent: Sent, error: BookingError | ApiError, explain: Explain) -> Answer:
    """Refuse, and keep that with an Idempotency-Key; the same request may have been answered otherwise meanwhile."""

    def refuse(_session: Session) -> Answer:
        raise error

    if sent.key:
        return perform(services, sent, refuse, explain)
    if isinstance(error, BookingError):
        return explain(error)
    raise error
