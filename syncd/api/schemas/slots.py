"""What the slot feed answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from syncd.api.schemas.common import ReasonView, Slot


class CalendarState(BaseModel):
    """How far a calendar is known; for the holders of a key."""

    id: str
    state: Literal["never_pulled", "fresh", "stale", "held_back"]
    synced_at: datetime | None


class FeedMeta(BaseModel):
    """What the answer rests on, and when time alone next changes it."""

    state: Literal["fresh", "degraded"]
    next_slot: datetime | None
    valid_until: datetime | None
    calendars: list[CalendarState] | None = None


class SlotsAnswer(BaseModel):
    """Slots by local date, or periods."""

    freelancer: str
    consultation: str
    duration_minutes: int
    time_zone: str
    slots: dict[str, list[Slot]] | None = None
    periods: list[Slot] | None = None
    increment_minutes: int | None = None
    meta: FeedMeta


class Explanation(BaseModel):
    """Whether a start can be booked, and every reason why not."""

    bookable: bool
    reasons: list[ReasonView]
