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
from syncd.sync.look import Looked

_ASK_AGAIN = 5.0  # seconds: by then a server that is only slow has answered, and that counts for who asks again


def judge(situation: Situation, duration: int, start_at: datetime) -> None:
    """Raise what keeps a start from being booked, with every reason (semantics 18)."""
    reasons = reasons_against(situation, duration, start_at)
    check_rules(reasons)
    if reasons:
        raise taken(situation, duration, int(start_at.timestamp()), reasons)


def check_rules(reasons: list[Reason]) -> None:
    """Raise for reasons that a rule gives, or what isn't known; any others are those of a lost race."""
    codes = {reason.code for reason in reasons}
    if codes & RULES:
        raise NotOffered(reasons=reasons)
    if "calendar_stale" in codes:
        raise AvailabilityUnknown(reasons=reasons)


def reasons_against(situation: Situation, duration: int, start_at: datetime) -> list[Reason]:
    """Every reason why a start can't be booked; one between two seconds is off every grid."""
    reasons = explain(situation, duration, math.floor(start_at.timestamp()))
    if start_at.microsecond and not any(reason.code == "off_grid" for reason in reasons):
        reasons.insert(0, Reason("off_grid"))
    return reasons


def taken(situation: Situation, duration: int, start: int, reasons: list[Reason]) -> SlotTaken:
    """The error of a lost race, with the nearest slots that are open."""
    return SlotTaken(reasons=reasons, alternatives=nearest(situation, duration, start))


def judge_outside(situation: Situation, booking: Booking) -> None:
    """Raise SlotTaken where outside busy time has come into a booking's span, or its buffers as they were booked.

    Of all rules this one alone is asked again of a hold that is confirmed (semantics 19).
    """
    offered = moving(situation, booking)
    before, after = booking.buffer_before_minutes * 60, booking.buffer_after_minutes * 60
    rules = replace(offered.rules, buffer_before=before, buffer_after=after)
    alone = replace(offered, rules=rules, claims=(), stale=())
    duration, start = duration_of(booking), int(booking.starts_at.timestamp())
    reasons = [reason for reason in explain(alone, duration, start) if reason.code in ("busy", "buffer")]
    if reasons:
        raise taken(offered, duration, start, reasons)


def check_answered(looked: Looked) -> None:
    """Raise AvailabilityUnknown where the live look got no answer about calendars that close then (semantics 16)."""
    if looked.closing:
        reasons = [Reason("calendar_stale", calendar) for calendar in looked.closing]
        raise AvailabilityUnknown(reasons=reasons, retry_after=_ASK_AGAIN)


def moving(situation: Situation, booking: Booking) -> Situation:
    """The situation of a booking that is being moved: its own duration is offered, whatever today's are."""
    return replace(situation, rules=replace(situation.rules, durations=(duration_of(booking),)))


def duration_of(booking: Booking) -> int:
    """How long a booking is, in seconds."""
    return int((booking.ends_at - booking.starts_at).total_seconds())
