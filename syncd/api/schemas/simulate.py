"""Settings to try, and what they would change."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from syncd.api.schemas.common import Body, Slot
from syncd.api.schemas.management import CalendarName, ConsultationSettings, ScheduleSettings

When = Annotated[str, StringConstraints(max_length=40)]


class Simulate(Body):
    """What is named stands in place of today's settings, the rest stays.

    `blocks` are the calendars that would block, as "account/calendar"; none named: all that block. Without `start` and
    `end` it is about the whole booking window, as far as one may ask.
    """

    consultation: ConsultationSettings | None = None
    schedule: ScheduleSettings | None = None
    blocks: Annotated[list[CalendarName], Field(max_length=50)] | None = None
    start: When | None = None
    end: When | None = None
    time_zone: Annotated[str, StringConstraints(max_length=64)] | None = None
    duration_minutes: Annotated[int, Field(gt=0, le=10_080, strict=True)] | None = None


class Simulated(BaseModel):
    """The slots as they would be, and which of them come and go, each by local date."""

    freelancer: str
    consultation: str
    duration_minutes: int
    time_zone: str
    state: Literal["fresh", "degraded"]
    slots: dict[str, list[Slot]]
    added: dict[str, list[Slot]]
    removed: dict[str, list[Slot]]
