"""What to do about a booking's remote event, decided from what is stored (semantics 22): one step at a time.

A step is recorded before it is taken and its result after, so after a crash the same plan goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from providers.model import ConsultationEvent, WrittenEvent
from syncd import retry


@dataclass(frozen=True, slots=True)
class Place:
    """Where a booking's event is: `remote_id` is known once a write was answered; `attempted` once one was sent.

    It `awaits_link` where it is as the booking wants it, save for a meeting link that its provider is still making.
    """

    calendar_id: str | None
    remote_id: str | None
    attempted: bool
    awaits_link: bool = False


Step = Literal["nothing", "create", "change", "remove", "ask_link"]


def plan_write(place: Place, *, wanted: bool, target_id: str | None) -> Step:
    """Decide the next step: a live booking has its event at the target and nowhere else, any other has none.

    An event that is, or may be, elsewhere is removed first, and only then made at the target. A link is asked for when
    nothing else is to be done.
    """
    may_exist = place.remote_id is not None or place.attempted
    misplaced = may_exist and place.calendar_id != target_id
    if may_exist and (not wanted or misplaced):
        return "remove"
    if not wanted or target_id is None:
        return "nothing"
    if place.remote_id is None:
        return "create"
    return "ask_link" if place.awaits_link else "change"


def is_as_wanted(written: WrittenEvent, event: ConsultationEvent) -> bool:
    """Whether the server has our event as we want it: an earlier write whose answer was lost has arrived."""
    return (
        written.start_at == event.start_at
        and written.end_at == event.end_at
        and written.sequence >= event.sequence
        and written.status != "CANCELLED"
    )


LINK_IS_HOPELESS_AFTER = timedelta(days=1)
_FIRST_PAUSES = (2.0, 5.0, 10.0, 30.0)  # seconds: most providers make a link within moments


def pause_before_asking(asked: int) -> timedelta:
    """How long to wait before asking after a meeting link that was still being made `asked` times."""
    if asked < len(_FIRST_PAUSES):
        return timedelta(seconds=_FIRST_PAUSES[asked])
    beyond = asked - len(_FIRST_PAUSES) + 1
    return timedelta(seconds=retry.backoff(beyond, jitter=1.0, longest=retry.LONGEST["write"]))


def uid_of(booking_id: str, generation: int) -> str:
    """The UID, and idempotency key, of a booking's event: another generation is another event."""
    return f"{booking_id}-{generation}"
