"""What is set of freelancers, schedules, consultations, accounts and keys, and how they are shown.

Members have the names of the configuration file's keys, lengths as whole minutes. What is left out of a new object is
as the file's default, what is left out of a change stays as it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from syncd import config
from syncd.api.schemas.common import Body, Email, Line, LongLine, Text, ZoneName
from syncd.config import fields as f
from syncd.config.models import Invite
from syncd.store.keys import Scope

_MOST_MINUTES = f.LONGEST // f.MINUTE


def _left_out() -> Any:
    """A member that may be left out; which value it then has isn't the document's to say."""
    return Field(default_factory=lambda: None)


Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Minutes = Annotated[int, Field(strict=True, ge=0, le=_MOST_MINUTES)]
PositiveMinutes = Annotated[int, Field(strict=True, ge=1, le=_MOST_MINUTES)]


def _looks(pattern: str) -> Any:
    """What the document says of a text's form; the validators of the configuration judge it."""
    return Field(json_schema_extra={"pattern": pattern})


_WORDS = _looks("^[a-z0-9]+(-[a-z0-9]+)*$")
Handle = Annotated[f.Handle, StringConstraints(max_length=63), _WORDS]
Slug = Annotated[f.Slug, StringConstraints(max_length=63), _WORDS]
Name = Annotated[f.Name, StringConstraints(max_length=63), _WORDS]
Identifier = Annotated[f.Identifier, _looks("^[a-z][a-z0-9_]{0,62}$")]
CalendarName = LongLine
BlockedClient = Annotated[f.BlockedClient, StringConstraints(max_length=254)]
Ranges = Annotated[list[Annotated[str, StringConstraints(max_length=40)]], Field(max_length=48)]


class OnCalendarChange(Body):
    """What happens when a person changes a consultation's event in the calendar."""

    move: Literal["propose", "adopt", "ask", "restore"] = _left_out()
    delete: Literal["adopt", "ask", "restore"] = _left_out()
    decline: Literal["adopt", "ask", "restore"] = _left_out()


class FreelancerSettings(Body):
    """All that can be set of a freelancer."""

    name: Annotated[Line, Field(min_length=1)] = _left_out()
    email: Email | Literal[""] = _left_out()
    addresses: Annotated[list[Email], Field(max_length=50)] = _left_out()
    time_zone: ZoneName = _left_out()
    active: Flag = _left_out()
    profile: Literal["public", "private"] = _left_out()
    daily_limit: Count | None = _left_out()
    weekly_limit: Count | None = _left_out()
    blocked_clients: Annotated[list[BlockedClient], Field(max_length=1000)] = _left_out()
    on_calendar_change: OnCalendarChange = _left_out()
    remind_before_minutes: Annotated[list[PositiveMinutes], Field(max_length=10)] = _left_out()
    proposals_expire_minutes: PositiveMinutes = _left_out()
    invite: Invite = _left_out()


class FreelancerChange(FreelancerSettings):
    """What is changed of a freelancer. `renew_bookings_feed` gives `bookings_feed` another address, also where the file
    declares the freelancer: the one before opens it no more."""

    renew_bookings_feed: Flag = _left_out()


class NewFreelancer(FreelancerSettings):
    """A freelancer: a handle and a time zone at least."""

    handle: Handle
    time_zone: ZoneName


class OnCalendarChangeView(BaseModel):
    """What happens when a person changes a consultation's event in the calendar."""

    move: Literal["propose", "adopt", "ask", "restore"]
    delete: Literal["adopt", "ask", "restore"]
    decline: Literal["adopt", "ask", "restore"]


class FreelancerView(BaseModel):
    """A freelancer; `read_only` is what the configuration file declares. `bookings_feed`, with its token, is shown to
    keys that have `bookings:read` as well."""

    id: str
    handle: str
    name: str
    email: str
    addresses: list[str]
    time_zone: str
    active: bool
    profile: Literal["public", "private"]
    daily_limit: int | None
    weekly_limit: int | None
    blocked_clients: list[str]
    on_calendar_change: OnCalendarChangeView
    remind_before_minutes: list[int]
    proposals_expire_minutes: int
    invite: Invite
    read_only: bool
    bookings_feed: str | None
    created_at: datetime


class FreelancerList(BaseModel):
    """A page of freelancers."""

    data: list[FreelancerView]
    next_cursor: str | None


class WeeklyHours(Body):
    """Ranges such as "09:00-12:00" by weekday; a day left out is closed."""

    monday: Ranges = _left_out()
    tuesday: Ranges = _left_out()
    wednesday: Ranges = _left_out()
    thursday: Ranges = _left_out()
    friday: Ranges = _left_out()
    saturday: Ranges = _left_out()
    sunday: Ranges = _left_out()


class ScheduleSettings(Body):
    """Set hours: `on` are a date's own, or those of dates such as "2026-12-24/2027-01-02"."""

    time_zone: ZoneName | None = _left_out()
    hours: WeeklyHours = _left_out()
    on: Annotated[dict[Annotated[str, StringConstraints(max_length=40)], Ranges], Field(max_length=1000)] = _left_out()


class NewSchedule(ScheduleSettings):
    """A schedule, named `default` unless said else."""

    name: Name = "default"


class ScheduleView(BaseModel):
    """A schedule; `read_only` is what the configuration file declares."""

    id: str
    freelancer: str
    name: str
    time_zone: str
    hours: dict[str, list[str]]
    on: dict[str, list[str]]
    read_only: bool


class ScheduleList(BaseModel):
    """A page of schedules."""

    data: list[ScheduleView]
    next_cursor: str | None


class Price(Body):
    """Shown and echoed, never charged."""

    amount: Annotated[f.Amount, _looks(r"^\d{1,12}(\.\d{1,4})?$")]
    currency: Annotated[f.Currency, _looks("^[A-Z]{3}$")]


class Question(config.Question):
    """What a client is asked when booking."""

    id: Identifier
    label: Line


class ConsultationSettings(Body):
    """All that can be set of a consultation; `blocks` and `target` name calendars as "account/calendar"."""

    title: Annotated[Line, Field(min_length=1)] = _left_out()
    description: Text = _left_out()
    active: Flag = _left_out()
    visibility: Literal["public", "unlisted", "private"] = _left_out()
    schedule: Name = _left_out()
    durations_minutes: Annotated[list[PositiveMinutes], Field(min_length=1, max_length=20)] = _left_out()
    increment_minutes: PositiveMinutes = _left_out()
    minimum_notice_minutes: Minutes = _left_out()
    horizon_minutes: PositiveMinutes = _left_out()
    buffer_before_minutes: Minutes = _left_out()
    buffer_after_minutes: Minutes = _left_out()
    daily_limit: Count | None = _left_out()
    weekly_limit: Count | None = _left_out()
    per_client_limit: Count | None = _left_out()
    blocks: Annotated[list[CalendarName], Field(max_length=50)] = _left_out()
    target: CalendarName = _left_out()
    confirmation: Literal["automatic", "key", "freelancer"] = _left_out()
    approve_within_minutes: PositiveMinutes = _left_out()
    hold_max_minutes: PositiveMinutes = _left_out()
    location: LongLine = _left_out()
    price: Price | None = _left_out()
    questions: Annotated[list[Question], Field(max_length=50)] = _left_out()
    documents: Annotated[list[Identifier], Field(max_length=20)] = _left_out()
    documents_due_minutes: Minutes = _left_out()
    cancellation_notice_minutes: Minutes = _left_out()
    reschedule_keeps_deadline: Flag = _left_out()
    late_after_minutes: Minutes = _left_out()
    complete_after_minutes: Minutes = _left_out()
    instant: Literal["off", "key", "public"] = _left_out()


class NewConsultation(ConsultationSettings):
    """A consultation: a slug at least."""

    slug: Slug


class PriceView(BaseModel):
    """Shown and echoed, never charged."""

    amount: str
    currency: str


class QuestionView(BaseModel):
    """What a client is asked when booking; the answer goes by its `id`."""

    id: str
    label: str
    type: Literal["text", "number", "boolean", "texts"]
    required: bool


class ConsultationView(BaseModel):
    """A consultation; `read_only` is what the configuration file declares."""

    id: str
    freelancer: str
    slug: str
    title: str
    description: str
    active: bool
    visibility: Literal["public", "unlisted", "private"]
    schedule: str
    durations_minutes: list[int]
    increment_minutes: int
    minimum_notice_minutes: int
    horizon_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    daily_limit: int | None
    weekly_limit: int | None
    per_client_limit: int | None
    blocks: list[str]
    target: str
    confirmation: Literal["automatic", "key", "freelancer"]
    approve_within_minutes: int
    hold_max_minutes: int
    location: str
    price: PriceView | None
    questions: list[QuestionView]
    documents: list[str]
    documents_due_minutes: int
    cancellation_notice_minutes: int
    reschedule_keeps_deadline: bool
    late_after_minutes: int
    complete_after_minutes: int
    instant: Literal["off", "key", "public"]
    read_only: bool


class ConsultationList(BaseModel):
    """A page of consultations."""

    data: list[ConsultationView]
    next_cursor: str | None


BusyOrFree = Literal["busy", "free"]


class AccountSettings(Body):
    """What can be set of an account. With `url`, `username` or `password` its server is asked again."""

    url: Annotated[f.OptionalUrl, StringConstraints(max_length=2000)] = _left_out()
    username: Line = _left_out()
    password: Annotated[str, StringConstraints(max_length=2000)] = _left_out()
    blocks: Annotated[list[CalendarName], Field(max_length=200)] = _left_out()
    target: CalendarName = _left_out()
    tentative: BusyOrFree = _left_out()
    unanswered: BusyOrFree = _left_out()
    working_elsewhere: BusyOrFree = _left_out()
    when_stale: Literal["close", "serve"] = _left_out()
    sync_every_seconds: Annotated[int, Field(strict=True, ge=30, le=f.LONGEST)] | None = _left_out()


class NewAccount(AccountSettings):
    """An account to connect; it is named as its provider unless said else."""

    provider: Literal["google", "microsoft", "caldav", "ics"]
    name: Name = _left_out()


class AskedScope(BaseModel):
    """A permission that is asked for, and what it is for."""

    scope: str
    purpose: str


class SignInView(BaseModel):
    """Where the account's owner gives permission in a browser, until when, and which; by then nothing is stored."""

    authorize_url: str
    expires_at: datetime
    scopes: list[AskedScope]


class ChosenCalendar(BaseModel):
    """A calendar of an account, and what was chosen of it."""

    id: str
    name: str
    blocks: bool
    target: bool


class AccountView(BaseModel):
    """An account, never with its password; of a feed's address only the host."""

    id: str
    name: str
    provider: str
    url: str
    username: str
    blocks: list[str]
    target: str
    tentative: BusyOrFree
    unanswered: BusyOrFree
    working_elsewhere: BusyOrFree
    when_stale: Literal["close", "serve"]
    sync_every_seconds: int
    state: Literal["ok", "failing", "needs_reconnect"]
    problem: str | None
    missing: list[str]
    retry_at: datetime | None
    synced_at: datetime | None
    read_only: bool
    calendars: list[ChosenCalendar]
    created_at: datetime


class AccountList(BaseModel):
    """A page of accounts."""

    data: list[AccountView]
    next_cursor: str | None


class OwedView(BaseModel):
    """A booking whose event isn't as it should be, and what is still to be done at the calendar."""

    booking: str
    step: Literal["nothing", "create", "change", "remove", "ask_link"]


class Disconnected(BaseModel):
    """An account that is disconnected, and what it owed: done if it is connected again under its name."""

    id: str
    name: str
    owed: list[OwedView]


class NewKey(Body):
    """A key for this freelancer."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=10)]


class KeyView(BaseModel):
    """A key, without its text."""

    id: str
    freelancer: str
    scopes: list[Scope]
    created_at: datetime


class NewKeyView(KeyView):
    """A key just made, with its text, which is never shown again."""

    key: str


class KeyList(BaseModel):
    """A page of keys."""

    data: list[KeyView]
    next_cursor: str | None
