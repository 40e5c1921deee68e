"""How calendars are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class QuarantinedView(BaseModel):
    """An event that can't be understood, and what to do about it; never its title."""

    href: str
    uid: str | None
    start: str | None
    reason: str
    advice: str


class CalendarView(BaseModel):
    """A calendar of an account; `probe` is what its server was seen to do."""

    id: str
    account: str
    name: str
    colour: str | None
    time_zone: str | None
    can_write: bool
    blocks: bool
    target: bool
    state: Literal["never_pulled", "fresh", "stale", "held_back"]
    synced_at: datetime | None
    problem: str | None
    held_back: int | None
    quarantined: list[QuarantinedView]
    probe: dict[str, Any] | None


class CalendarList(BaseModel):
    """Calendars; all of them, so there is no next page."""

    data: list[CalendarView]
    next_cursor: str | None
