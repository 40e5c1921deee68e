"""The tables of `config.toml` and their keys, as frozen models.

Decides which keys there are, their types and their defaults. Refuses to know where the values come from and how keys
depend on each other. All lengths are whole seconds; paths are absolute, taken from the file's folder.
`config.example.toml` says what each key means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from syncd.config import fields as f
from syncd.config.fields import DAY, HOUR, MINUTE

Invite = Literal["none", "provider", "syncd"]


class Table(BaseModel):
    """A table of the file; a key that isn't declared is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _titled_by_its_key(field: str) -> BeforeValidator:
    """Gives every table of a mapping that lacks `field` a title made of its key: "intro-call" becomes "Intro call"."""

    def fill(tables: Any) -> Any:
        if not isinstance(tables, dict):
            return tables
        return {
            key: {field: str(key).replace("-", " ").capitalize(), **table} if isinstance(table, dict) else table
            for key, table in tables.items()
        }

    return BeforeValidator(fill)


class Daemon(Table):
    """The process: its store, its clock-work, its bounds."""

    database: f.DatabaseUrl = Field("sqlite:///syncd.db", validate_default=True, repr=False)
    public_url: f.BaseUrl = "http://127.0.0.1:8480"
    secret_key_file: f.FilePath = Field("secret.key", validate_default=True)
    sync_every: f.PositiveLength = 2 * MINUTE
    reconcile_every: f.PositiveLength = 6 * HOUR
    stale_after: f.PositiveLength = 30 * MINUTE
    keep_busy_for: f.PositiveLength = 400 * DAY
    allow_private_networks: f.Flag = False


class RateLimits(Table):
    """How often one client address may call, by kind of call: "COUNT/second|minute|hour|day"."""

    feed: f.Rate = "600/minute"
    booking: f.Rate = "30/minute"
    instant: f.Rate = "3/minute"


class Server(Table):
    """Where the HTTP server listens, and whom it answers."""

    host: str = "127.0.0.1"
    port: f.Port = 8480
    cors_origins: tuple[f.Origin, ...] = ()
    trusted_proxies: tuple[f.Network, ...] = ()
    rate_limits: RateLimits = RateLimits()


class Google(Table):
    """The OAuth client at Google, and its endpoints."""

    client_id: str = Field(examples=["1234.apps.googleusercontent.com"])
    client_secret_env: f.FromEnvironment = Field(examples=["GOOGLE_CLIENT_SECRET"])
    api_endpoint: f.HttpUrl = "https://www.googleapis.com/calendar/v3/"
    auth_uri: f.HttpUrl = "https://accounts.google.com/o/oauth2/v2/auth"
    token_uri: f.HttpUrl = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    revoke_uri: f.HttpUrl = "https://oauth2.googleapis.com/revoke"


class Microsoft(Table):
    """The OAuth client at Microsoft, and its endpoints; a public client has no secret."""

    client_id: str = Field(examples=["00000000-0000-0000-0000-000000000000"])
    client_secret_env: f.FromEnvironment | None = None
    tenant: str = "common"
    authority: f.HttpUrl = "https://login.microsoftonline.com"
    graph_endpoint: f.HttpUrl = "https://graph.microsoft.com/v1.0"


class Mail(Table):
    """The SMTP server that mail goes out by."""

    host: str = Field(examples=["smtp.example"])
    port: f.Port = 587
    username: str = ""
    password_env: f.FromEnvironment | None = None
    sender: f.Sender = Field(alias="from", examples=["Ada <ada@example.org>"])

    @property
    def password(self) -> SecretStr | None:
        """What `password_env` holds."""
        return self.password_env.value if self.password_env else None


class WeeklyHours(Table):
    """Ranges of wall-clock time by weekday; `dict(hours)` is what `availability.Schedule.parse` takes."""

    monday: tuple[str, ...] = ()
    tuesday: tuple[str, ...] = ()
    wednesday: tuple[str, ...] = ()
    thursday: tuple[str, ...] = ()
    friday: tuple[str, ...] = ()
    saturday: tuple[str, ...] = ()
    sunday: tuple[str, ...] = ()


class Schedule(Table):
    """A named set of set hours; without a zone of its own it has the freelancer's."""

    hours: WeeklyHours = WeeklyHours()
    on: Mapping[str, tuple[str, ...]] = {}
    time_zone: f.TimeZone | None = None


class Price(Table):
    """Shown and echoed, never charged."""

    amount: f.Amount = Field(examples=["75.00"])
    currency: f.Currency = Field(examples=["EUR"])


class Question(Table):
    """What a client is asked when booking."""

    id: f.Identifier = Field(examples=["goal"])
    label: str = Field(examples=["What shall we achieve?"])
    type: Literal["text", "number", "boolean", "texts"] = "text"
    required: f.Flag = False


def _each_its_own(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    if len({question.id for question in questions}) < len(questions):
        raise f.wrong("questions that each have an id of their own: answers go by it")
    return questions


class Consultation(Table):
    """A bookable offer."""

    title: str
    description: str = ""
    active: f.Flag = True
    visibility: Literal["public", "unlisted", "private"] = "public"
    schedule: f.Name = "default"
    durations: Annotated[tuple[f.PositiveMinutes, ...], AfterValidator(f.some_once)] = (30 * MINUTE,)
    increment: f.PositiveMinutes = 15 * MINUTE
    minimum_notice: f.Minutes = 24 * HOUR
    horizon: f.PositiveMinutes = 60 * DAY
    buffer_before: f.Minutes = 0
    buffer_after: f.Minutes = 0
    daily_limit: f.Count | None = None
    weekly_limit: f.Count | None = None
    per_client_limit: f.Count | None = None
    blocks: tuple[str, ...] = ()
    target: str = ""
    confirmation: Literal["automatic", "key", "freelancer"] = "automatic"
    approve_within: f.PositiveMinutes = 24 * HOUR
    hold_max: f.PositiveMinutes = 15 * MINUTE
    location: str = ""
    price: Price | None = None
    questions: Annotated[tuple[Question, ...], AfterValidator(_each_its_own)] = ()
    documents: tuple[f.Identifier, ...] = ()
    documents_due: f.Minutes = 48 * HOUR
    cancellation_notice: f.Minutes = 24 * HOUR
    reschedule_keeps_deadline: f.Flag = True
    late_after: f.Minutes = 5 * MINUTE
    complete_after: f.Minutes = 24 * HOUR
    instant: Literal["off", "key", "public"] = "off"


class Account(Table):
    """One connection to a provider, with the calendars that matter."""

    provider: Literal["google", "microsoft", "caldav", "ics"] = Field(examples=["caldav"])
    url: f.OptionalUrl = Field("", repr=False)  # a feed's address is often all that keeps it private
    username: str = ""
    password_env: f.FromEnvironment | None = None
    auth: Literal["auto", "basic", "digest", "bearer"] = "auto"
    blocks: tuple[str, ...] = ("*",)
    target: str = ""
    tentative: Literal["busy", "free"] = "busy"
    unanswered: Literal["busy", "free"] = "busy"
    working_elsewhere: Literal["busy", "free"] = "free"
    sync_every: f.PositiveLength | None = None
    allow_private: f.Flag = False
    ca_file: f.OptionalFile = ""
    when_stale: Literal["close", "serve"] = "close"

    @property
    def password(self) -> SecretStr | None:
        """What `password_env` holds."""
        return self.password_env.value if self.password_env else None


class OnCalendarChange(Table):
    """What happens when a person changes a consultation's event in the calendar."""

    move: Literal["propose", "adopt", "ask", "restore"] = "propose"
    delete: Literal["adopt", "ask", "restore"] = "ask"
    decline: Literal["adopt", "ask", "restore"] = "ask"


class Freelancer(Table):
    """The person whose time is booked."""

    name: str
    email: f.OptionalEmail = ""
    addresses: tuple[f.Email, ...] = ()
    time_zone: f.TimeZone = Field(examples=["Europe/London"])
    active: f.Flag = True
    profile: Literal["public", "private"] = "public"
    daily_limit: f.Count | None = None
    weekly_limit: f.Count | None = None
    blocked_clients: tuple[f.BlockedClient, ...] = ()
    on_calendar_change: OnCalendarChange = OnCalendarChange()
    remind_before: tuple[f.PositiveMinutes, ...] = (24 * HOUR,)
    proposals_expire: f.PositiveMinutes = 48 * HOUR
    invite: Invite | None = None
    schedules: Mapping[f.Name, Schedule] = {}
    consultations: Annotated[Mapping[f.Slug, Consultation], _titled_by_its_key("title")] = {}
    accounts: Mapping[f.Name, Account] = {}


class Config(Table):
    """The whole file, with what the environment laid over it."""

    daemon: Daemon
    server: Server
    google: Google | None = None
    microsoft: Microsoft | None = None
    mail: Mail | None = None
    freelancers: Annotated[Mapping[f.Handle, Freelancer], _titled_by_its_key("name")] = {}

    @property
    def database_url(self) -> str:
        """The database, with an absolute path if it is a file."""
        return self.daemon.database

    def public_url(self, port: int) -> str:
        """How browsers reach this daemon: as set, else where its server listens."""
        if "public_url" in self.daemon.model_fields_set:
            return self.daemon.public_url.rstrip("/")
        host = self.server.host if self.server.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def invite(self, freelancer: Freelancer) -> Invite:
        """Who invites clients of this freelancer: as set, else syncd where mail is configured, else no one."""
        return freelancer.invite or ("syncd" if self.mail else "none")

    def sync_every(self, provider: str, chosen: int | None = None) -> int:
        """Seconds between two pulls of an account: as chosen, else 15 minutes for a feed, else the daemon's."""
        return chosen or (15 * MINUTE if provider == "ics" else self.daemon.sync_every)
