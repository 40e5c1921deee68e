"""How calendars are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from providers.model import PullsBy
from syncd.api.schemas.common import Body


class QuarantinedView(BaseModel):
    """An event that can't be understood, and what to do about it; never its title."""

    href: str
    uid: str | None
    start: str | None
    reason: str
    advice: str


class ProbeView(BaseModel):
    """What a calendar's server was seen to do; null or left out is what nobody tried."""

    pulls_by: PullsBy
    checks_tokens: bool | None = None
    preconditions: bool | None = None
    recurrence: bool | None = None
    zones: bool | None = None
    finds_by_time: bool | None = None
    privileges: list[str] = []
    remarks: list[str] = []


class CalendarView(BaseModel):
    """A calendar of an account; `push` says whether its provider tells of changes by itself, `probe` is what its server
    was seen to do."""

    id: str
    account: str
    name: str
    colour: str | None
    time_zone: str | None
    can_write: bool
    role: Literal["owner", "writer", "reader", "free_busy"] | None
    primary: bool
    hidden: bool
    blocks: bool
    target: bool
    state: Literal["never_pulled", "fresh", "stale", "held_back"]
    push: bool
    synced_at: datetime | None
    problem: str | None
    held_back: int | None
    quarantined: list[QuarantinedView]
    probe: ProbeView | None
    read_only: bool


class CalendarChoice(Body):
    """What a calendar is for; what is left out stays as it is."""

    blocks: Annotated[bool, Field(strict=True)] | None = None
    target: Annotated[bool, Field(strict=True)] | None = None


class CalendarList(BaseModel):
    """A page of calendars."""

    data: list[CalendarView]
    next_cursor: str | None
