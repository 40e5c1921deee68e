"""What is asked of bookings, and how one is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from syncd.api.schemas.aftermath import AttendanceView, DisputeView, DocumentView, OutcomeView, ReportView
from syncd.api.schemas.common import Body, Email, Instant, Line, Metadata, Side, Text, ZoneName, printable
from syncd.booking.answers import LONGEST_TEXT, MOST_TEXTS


class Client(Body):
    """Who books."""

    name: Annotated[Line, Field(min_length=1)]
    email: Email
    time_zone: ZoneName | None = None
    locale: Annotated[Line, Field(max_length=35)] | None = None
    phone: Annotated[Line, Field(max_length=40)] | None = None


def _answers(value: dict[str, Any]) -> dict[str, Any]:
    return {name: answer for name, answer in value.items() if answer is not None}


def _answer(value: object) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [_text(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError("must be text, a number, true or false, or a list of texts")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return printable(value)


_ANSWER = {
    "anyOf": [
        {"type": "string", "maxLength": LONGEST_TEXT},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "array", "items": {"type": "string", "maxLength": LONGEST_TEXT}, "maxItems": MOST_TEXTS},
    ]
}
AnswerValue = Annotated[Any, AfterValidator(_answer), WithJsonSchema(_ANSWER, mode="validation")]
Answers = Annotated[dict[Line, AnswerValue], Field(max_length=50), AfterValidator(_answers)]
Minutes = Annotated[int, Field(gt=0, le=525_600, strict=True)]


class NewBooking(Body):
    """A start to book, and who books it; with `hold_minutes` it is held, and who books may be said later."""

    start: Instant
    duration_minutes: Annotated[int, Field(gt=0, le=10_080, strict=True)] | None = None
    client: Client | None = None
    answers: Annotated[Answers, Field(default_factory=dict)]
    note: Text | None = None
    metadata: Annotated[Metadata, Field(default_factory=dict)]
    hold_minutes: Minutes | None = None
    on_behalf_of: Side | None = None


class Amend(Body):
    """What replaces what a booking has; what is left out stays, null empties it."""

    note: Text | None = None
    answers: Answers | None = None
    metadata: Metadata | None = None
    on_behalf_of: Side | None = None


class Hold(Body):
    """How long from now a hold shall last."""

    hold_minutes: Minutes
    on_behalf_of: Side | None = None


class Confirm(Body):
    """What a hold still lacks, or what shall replace what it has."""

    client: Client | None = None
    answers: Answers | None = None
    metadata: Metadata | None = None
    on_behalf_of: Side | None = None


class Approve(Body):
    """The freelancer's yes."""

    on_behalf_of: Side | None = None


class Decline(Body):
    """The freelancer's no, and why."""

    reason: Text | None = None
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


class ClientView(BaseModel):
    """Who booked; what they didn't say is left out."""

    name: str
    email: str
    time_zone: str | None = None
    locale: str | None = None
    phone: str | None = None


class PolicyView(BaseModel):
    """The policy as it was when booked."""

    cancellation_notice_minutes: int
    reschedule_keeps_deadline: bool
    late_after_minutes: int
    complete_after_minutes: int
    documents: list[str]
    documents_due_minutes: int


class BookingLinks(BaseModel):
    """Paths of what can be asked of a booking; `slots` lists where it can be moved to."""

    self: str
    reschedule: str
    cancel: str
    slots: str


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
    join_url: str | None = Field(
        description="the meeting link that the calendar's provider made, where the location is `video`; null until it "
        "is known, which may take moments, and once the booking is cancelled"
    )
    client: ClientView | None
    answers: dict[str, Annotated[Any, WithJsonSchema(_ANSWER)]]
    note: str | None
    metadata: dict[str, Any]
    verified: bool
    calendar_event: CalendarEventView
    policy: PolicyView
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
    links: BookingLinks
    created_at: datetime
    updated_at: datetime


class NewBookingView(BookingView):
    """A booking just made, with what only this answer holds."""

    token: str
    manage_url: str
