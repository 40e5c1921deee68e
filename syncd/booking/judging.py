"""The predicate's verdict on a start, as the error that a caller gets (semantics 18).

Decides which error stands for which reasons. Refuses to know who asks, and what is done with the answer.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from availability import Reason, Situation, explain, nearest
from syncd.booking.reasons import RULES
from syncd.errors import AvailabilityUnknown, NotOffered, SlotTaken
from syncd.store.models import Booking


def judge(situation: Situation, duration: int, start_at: datetime) -> None:
    """Raise what keeps a start from being booked, with every reason (semantics 18)."""
    reasons = reasons_against(situation, duration, start_at)
    if not reasons:
        return
    codes = {reason.code for reason in reasons}
    if codes & RULES:
        raise NotOffered(reasons=reasons)
    if "calendar_stale" in codes:
        raise AvailabilityUnknown(reasons=reasons)
    raise taken(situation, duration, int(start_at.timestamp()), reasons)


def reasons_against(situation: Situation, duration: int, start_at: datetime) -> list[Reason]:
    """Every reason why a start can't be booked; one between two seconds is off every grid."""
    reasons = explain(situation, duration, math.floor(start_at.timestamp()))
    if start_at.microsecond and not any(reason.code == "off_grid" for reason in reasons):
        reasons.insert(0, Reason("off_grid"))
    return reasons


def taken(situation: Situation, duration: int, start: int, reasons: list[Reason]) -> SlotTaken:
    """The error of a lost race, with the nearest slots that are open."""
    return SlotTaken(reasons=reasons, alternatives=nearest(situation, duration, start))


def moving(situation: Situation, booking: Booking) -> Situation:
    """The situation of a booking that is being moved: its own duration is offered, whatever today's are."""
    return replace(situation, rules=replace(situation.rules, durations=(duration_of(booking),)))


def duration_of(booking: Booking) -> int:
    """How long a booking is, in seconds."""
    return int((booking.ends_at - booking.starts_at).total_seconds())
