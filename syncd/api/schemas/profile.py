"""What the public sees of a freelancer, and the first slots of several consultations."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from syncd.api.schemas.management import PriceView, QuestionView


class OnlineView(BaseModel):
    """Whether a freelancer is online for consultation now."""

    online: bool
    available: bool
    until: datetime | None
    reason: str | None


class OfferView(BaseModel):
    """A consultation as the public may know it; of where it takes place only the kind is told."""

    slug: str
    title: str
    description: str
    visibility: Literal["public", "unlisted", "private"]
    durations_minutes: list[int]
    increment_minutes: int
    minimum_notice_minutes: int
    horizon_minutes: int
    cancellation_notice_minutes: int
    confirmation: Literal["automatic", "key", "freelancer"]
    hold_max_minutes: int
    location_kind: Literal["video", "link", "text"] | None
    price: PriceView | None
    questions: list[QuestionView]
    instant: Literal["off", "key", "public"]


class ProfileView(BaseModel):
    """A freelancer and the consultations that can be booked; `online` is null where that can't be."""

    handle: str
    name: str
    time_zone: str
    online: OnlineView | None
    consultations: list[OfferView]


class NextView(BaseModel):
    """The first slot of a consultation, of its first duration.

    `unknown`: a calendar can't be read; `private`: a key or a link is needed; `not_found`: there is none of that name.
    """

    freelancer: str
    consultation: str
    duration_minutes: int | None
    time_zone: str | None
    state: Literal["fresh", "degraded", "unknown", "private", "not_found"]
    next_slot: datetime | None
    valid_until: datetime | None
    online: OnlineView | None


class NextList(BaseModel):
    """One item for each consultation asked for, in that order."""

    data: list[NextView]
    next_cursor: str | None
