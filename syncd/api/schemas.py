"""What requests may hold and what answers hold, for validation and for `/openapi.json`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from syncd.instants import read_instant

Side = Literal["client", "freelancer"]

_EMAIL = re.compile(r"[^@\s<>()\[\],;:\\\"]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be text: an instant with an offset, such as 2026-12-01T10:00:00+01:00")
    return read_instant(value)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone, such as Europe/Berlin") from None
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address")
    return value


def _printable(value: str) -> str:
    if any(ord(c) < 32 and c not in "\n\t" for c in value.replace("\r\n", "\n")):
        raise ValueError("must not hold control characters")
    return value.replace("\r\n", "\n")


def _one_line(value: str) -> str:
    if any(ord(c) < 32 for c in value):
        raise ValueError("must be a single line")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
ZoneName = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_one_line)]
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_printable)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_email)]


class Body(BaseModel):
    """A request's body; a member that isn't known is a mistake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


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
    answers: Annotated[dict[Line, Text], Field(max_length=50)] = {}
    note: Text | None = None
    metadata: Annotated[dict[Line, Text], Field(max_length=50)] = {}
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


class Slot(BaseModel):
    """A start a client may book right now, and its end."""

    start: datetime
    end: datetime


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


class ReasonView(BaseModel):
    """One reason why a start is not offered."""

    code: str
    calendar: str | None = None
    from_: datetime | None = Field(None, alias="from")
    to: datetime | None = None


class Explanation(BaseModel):
    """Whether a start can be booked, and every reason why not."""

    bookable: bool
    reasons: list[ReasonView]


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
    outcome: dict[str, Any] | None
    proposals: list[Any]
    attendance: list[Any]
    documents: list[Any]
    conflicts: list[Any]
    hold_expires_at: datetime | None
    extension_of: str | None
    links: dict[str, str]
    created_at: datetime
    updated_at: datetime


class NewBookingView(BookingView):
    """A booking just made, with what only this answer holds."""

    token: str
    manage_url: str


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


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] | None = None
    reasons: list[ReasonView] | None = None
    alternatives: list[Slot] | None = None
    current_state: str | None = None


class Health(BaseModel):
    """Whether the daemon is well."""

    status: Literal["ok"]
