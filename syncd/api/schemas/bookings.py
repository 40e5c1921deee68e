"""What is asked of bookings, and how one is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from syncd.api.schemas.aftermath import AttendanceView, DisputeView, DocumentView, OutcomeView, ReportView
from syncd.api.schemas.common import Body, Email, Instant, Line, Side, Text, ZoneName


class Client(Body):
    """Who books."""

    name: Annotated[Line, Field(min_length=1)]
    email: Email
    time_zone: ZoneName | None = None
    locale: Annotated[Line, Field(max_length=35)] | None = None
    phone: Annotated[Line, Field(max_length=40)] | None = None


class NewBooking(Body):
    """A start to book, and who books it."""

    start: Instant
    duration_minutes: Annotated[int, Field(gt=0, le=10_080, strict=True)] | None = None
    client: Client
    answers: Annotated[dict[Line, Text], Field(max_length=50, default_factory=dict)]
    note: Text | None = None
    metadata: Annotated[dict[Line, Text], Field(max_length=50, default_factory=dict)]
    on_behalf_of: Side | None = None


class Reschedule(Body):
    """A new start; `agreed` says that the other side was asked."""

    start: Instant
    agreed: bool | None = None
    on_behalf_of: Side | None = None


class Cancel(Body):
    """Why."""

    reason: Text | None = None
    on_behalf_of: Side | None = None


class CalendarEventView(BaseModel):
    """The booking's event in the freelancer's calendar."""

    state: Literal["pending", "written", "failed", "drifted", "none"]
    calendar: str | None
    html_link: str | None


class BookingView(BaseModel):
    """A booking as its client or its freelancer sees it."""

    id: str
    state: Literal["held", "pending", "confirmed", "expired", "declined", "cancelled", "completed", "no_show"]
    revision: int
    sequence: int
    freelancer: str
    consultation: str
    start: datetime
    end: datetime
    duration_minutes: int
    location: str | None
    join_url: str | None
    client: dict[str, Any]
    answers: dict[str, Any]
    note: str | None
    metadata: dict[str, Any]
    verified: bool
    calendar_event: CalendarEventView
    policy: dict[str, Any]
    free_cancellation_until: datetime
    outcome: OutcomeView | None
    proposals: list[Any]
    attendance: list[AttendanceView]
    reports: list[ReportView]
    documents: list[DocumentView]
    dispute: DisputeView | None
    conflicts: list[Any]
    hold_expires_at: datetime | None
    extension_of: str | None
    paid_by: Literal["consultation", "hourly_contract"] | None
    links: dict[str, str]
    created_at: datetime
    updated_at: datetime


class NewBookingView(BookingView):
    """A booking just made, with what only this answer holds."""

    token: str
    manage_url: str
