"""The tables. Instants are UTC (`_at`), lengths whole minutes (`_minutes`), busy spans integer seconds for speed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from syncd.store.types import Instant

LIVE_STATES = ("held", "pending", "confirmed", "completed", "no_show")
"""States in which a booking occupies its time (semantics 19)."""
WAITING_STATES = ("held", "pending")
"""States that time alone ends, and in which a booking occupies nothing from then on."""
OWNING_STATES = ("confirmed", "completed", "no_show")
"""States in which a booking owns a remote event (semantics 22)."""


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that SQLite's batch migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Instant,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        list[str]: JSON,
        list[int]: JSON,
    }


class Freelancer(Base):
    """The person whose time is booked; `availability_version` rises with all that can change a slot."""

    __tablename__ = "freelancers"

    id: Mapped[str] = mapped_column(primary_key=True)
    handle: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    email: Mapped[str]
    addresses: Mapped[list[str]]
    tz: Mapped[str]
    active: Mapped[bool]
    profile: Mapped[str]
    daily_limit: Mapped[int | None]
    weekly_limit: Mapped[int | None]
    blocked_clients: Mapped[list[str]]
    on_calendar_change: Mapped[dict[str, Any]]
    remind_before_minutes: Mapped[list[int]]
    proposals_expire_minutes: Mapped[int]
    invite: Mapped[str]
    declared: Mapped[bool]
    removed: Mapped[bool] = mapped_column(default=False)  # shown nowhere; its bookings are kept
    feed_generation: Mapped[int] = mapped_column(default=1)  # of the token of their bookings' feed
    availability_version: Mapped[int] = mapped_column(BigInteger, default=1)
    created_at: Mapped[datetime]

    schedules: Mapped[list[ScheduleRow]] = relationship(cascade="all, delete-orphan")
    consultations: Mapped[list[Consultation]] = relationship(back_populates="freelancer", cascade="all, delete-orphan")
    accounts: Mapped[list[Account]] = relationship(back_populates="freelancer", cascade="all, delete-orphan")


class ScheduleRow(Base):
    """A named set of set hours, as written; `availability.Schedule` reads it."""

    __tablename__ = "schedules"
    __table_args__ = (Index(None, "freelancer_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    freelancer_id: Mapped[str] = mapped_column(ForeignKey("freelancers.id", ondelete="CASCADE"))
    name: Mapped[str]
    tz: Mapped[str]
    hours: Mapped[dict[str, Any]]
    on: Mapped[dict[str, Any]]
    declared: Mapped[bool]


class Consultation(Base):
    """A bookable offer."""

    __tablename__ = "consultations"
    __table_args__ = (Index(None, "freelancer_id", "slug", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    freelancer_id: Mapped[str] = mapped_column(ForeignKey("freelancers.id", ondelete="CASCADE"))
    slug: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    active: Mapped[bool]
    visibility: Mapped[str]
    schedule: Mapped[str]
    durations_minutes: Mapped[list[int]]
    increment_minutes: Mapped[int]
    minimum_notice_minutes: Mapped[int]
    horizon_minutes: Mapped[int]
    buffer_before_minutes: Mapped[int]
    buffer_after_minutes: Mapped[int]
    daily_limit: Mapped[int | None]
    weekly_limit: Mapped[int | None]
    per_client_limit: Mapped[int | None]
    blocks: Mapped[list[str]]
    target: Mapped[str]
    confirmation: Mapped[str]
    approve_within_minutes: Mapped[int]
    hold_max_minutes: Mapped[int]
    location: Mapped[str]
    price: Mapped[dict[str, Any] | None]
    questions: Mapped[list[Any]]
    documents: Mapped[list[str]]
    documents_due_minutes: Mapped[int]
    cancellation_notice_minutes: Mapped[int]
    reschedule_keeps_deadline: Mapped[bool]
    late_after_minutes: Mapped[int]
    complete_after_minutes: Mapped[int]
    instant: Mapped[str]
    declared: Mapped[bool]
    removed: Mapped[bool] = mapped_column(default=False)

    freelancer: Mapped[Freelancer] = relationship(back_populates="consultations")


class Link(Base):
    """A private link: whoever has its token may book this consultation, `uses` times at most, until it expires."""

    __tablename__ = "links"
    __table_args__ = (Index(None, "consultation_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    freelancer_id: Mapped[str] = mapped_column(ForeignKey("freelancers.id", ondelete="CASCADE"))
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id", ondelete="CASCADE"))
    uses: Mapped[int | None]  # None: any number; what counts are its bookings that are neither expired nor declined
    expires_at: Mapped[datetime | None]
    client: Mapped[dict[str, Any] | None]  # who it was made for
    extra: Mapped[dict[str, Any]] = mapped_column("metadata")
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    consultation: Mapped[Consultation] = relationship()


class Account(Base):
    """One connection to a provider. The lease says which worker has it: one job per account at a time."""

    __tablename__ = "accounts"
    __table_args__ = (Index(None, "freelancer_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    freelancer_id: Mapped[str] = mapped_column(ForeignKey("freelancers.id", ondelete="CASCADE"))
    name: Mapped[str]
    provider: Mapped[str]
    url: Mapped[str]
    username: Mapped[str]
    auth: Mapped[str]
    credential: Mapped[bytes | None] = mapped_column(LargeBinary)
    blocks: Mapped[list[str]]
    target: Mapped[str]
    tentative: Mapped[str]
    unanswered: Mapped[str]
    working_elsewhere: Mapped[str]
    sync_every_seconds: Mapped[int]
    allow_private: Mapped[bool]
    ca_file: Mapped[str]
    when_stale: Mapped[str]
    active: Mapped[bool]
    declared: Mapped[bool]
    state: Mapped[str] = mapped_column(default="ok")  # ok, failing, needs_reconnect
    problem: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    listed_at: Mapped[datetime | None]
    next_list_at: Mapped[datetime | None]
    blocked_until_at: Mapped[datetime | None]
    told_to_wait: Mapped[bool] = mapped_column(default=False)  # until then, by its server
    missing: Mapped[list[str]] = mapped_column(default=list)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]

    freelancer: Mapped[Freelancer] = relationship(back_populates="accounts")
    calendars: Mapped[list[Calendar]] = relationship(back_populates="account", cascade="all, delete-orphan")


class Calendar(Base):
    """One calendar of an account, and how far it has been pulled. `generation` names the rows that serve."""

    __tablename__ = "calendars"
    __table_args__ = (Index(None, "account_id", "remote_id", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    remote_id: Mapped[str]
    name: Mapped[str]
    colour: Mapped[str | None]
    tz: Mapped[str | None]
    can_write: Mapped[bool]
    role: Mapped[str | None]  # owner, writer, reader, free_busy: as far as its provider tells
    is_primary: Mapped[bool] = mapped_column(default=False)
    is_hidden: Mapped[bool] = mapped_column(default=False)  # in its owner's own list
    makes_links: Mapped[bool] = mapped_column(default=False)  # for meetings
    unlisted_at: Mapped[datetime | None]  # since when the server's list lacks it
    gone: Mapped[bool] = mapped_column(default=False)  # lacked it twice: it is no more
    blocks: Mapped[bool]
    target: Mapped[bool]
    named: Mapped[bool]  # by a consultation, in its own `blocks` or `target`
    generation: Mapped[int] = mapped_column(default=0)
    sync_token: Mapped[str | None]
    synced_at: Mapped[datetime | None]
    corrections: Mapped[int] = mapped_column(default=0)  # how often a look stored something since it was last pulled
    full_synced_at: Mapped[datetime | None]
    expanded_until_at: Mapped[datetime | None]
    expanded_on: Mapped[str | None]
    next_pull_at: Mapped[datetime]
    notified_at: Mapped[datetime | None]  # since when a change was told of that no pull has seen yet
    next_watch_at: Mapped[datetime | None]  # when a channel is next to be opened; None: as soon as one may be
    watch_attempts: Mapped[int] = mapped_column(default=0)  # how often in a row one couldn't be opened or closed
    live_until_at: Mapped[datetime | None]  # until when a channel tells of changes: one that a pull came after
    full_wanted: Mapped[bool] = mapped_column(default=False)
    held_back_at: Mapped[datetime | None]
    held_back: Mapped[list[str] | None]  # digests of the remote ids that would have vanished
    problem: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    probe: Mapped[dict[str, Any] | None]  # providers.model.Probe
    probed_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship(back_populates="calendars")

    @property
    def is_pulled(self) -> bool:
        """Whether anyone wants to know what is in it."""
        return self.blocks or self.target or self.named


class Event(Base):
    """One remote resource as its timing skeleton; a quarantined one keeps what was last understood."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "calendar_id", "generation", "remote_id", unique=True),
        Index(None, "calendar_id", "generation", "series_id"),
        Index(None, "uid"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    calendar_id: Mapped[str] = mapped_column(ForeignKey("calendars.id", ondelete="CASCADE"))
    generation: Mapped[int]
    remote_id: Mapped[str]
    uid: Mapped[str]
    series_id: Mapped[str] = mapped_column(server_default="")  # the master's remote id, where a series has many rows
    etag: Mapped[str]
    skeleton: Mapped[str]
    quarantined: Mapped[list[Any]]  # [{"uid", "start", "reason"}]
    understood: Mapped[str] = mapped_column(server_default="")  # where only a part is: the last that was in full


class BusySpan(Base):
    """A span in which an event blocks, or would if it isn't ours: integer seconds since the epoch, half-open."""

    __tablename__ = "busy"
    __table_args__ = (Index(None, "calendar_id", "generation", "starts_at"), Index(None, "event_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    calendar_id: Mapped[str] = mapped_column(ForeignKey("calendars.id", ondelete="CASCADE"))
    generation: Mapped[int]
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    starts_at: Mapped[int] = mapped_column(BigInteger)
    ends_at: Mapped[int] = mapped_column(BigInteger)
    booking_id: Mapped[str | None]


class Booking(Base):
    """A hold or a booking. The database refuses two live ones of a freelancer that overlap."""

    __tablename__ = "bookings"
    __table_args__ = (
        Index(None, "freelancer_id", "starts_at"),
        Index(None, "updated_at"),
        Index(None, "link_id"),
        Index(None, "state", "overdue_at"),
        CheckConstraint("starts_at < ends_at", name="positive_length"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    freelancer_id: Mapped[str] = mapped_column(ForeignKey("freelancers.id"))
    consultation_id: Mapped[str] = mapped_column(ForeignKey("consultations.id"))
    state: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    buffer_before_minutes: Mapped[int]
    buffer_after_minutes: Mapped[int]
    revision: Mapped[int] = mapped_column(default=1)
    sequence: Mapped[int] = mapped_column(default=0)
    token_generation: Mapped[int] = mapped_column(default=1)
    client: Mapped[dict[str, Any]]  # {} while a hold has none
    client_address: Mapped[str] = mapped_column(default="")  # the client's e-mail address in lower case
    answers: Mapped[dict[str, Any]]
    note: Mapped[str | None]
    extra: Mapped[dict[str, Any]] = mapped_column("metadata")
    location: Mapped[str]
    verified: Mapped[bool]
    policy: Mapped[dict[str, Any]]
    free_cancellation_until_at: Mapped[datetime]
    outcome: Mapped[dict[str, Any] | None]
    cancel_reason: Mapped[str | None]
    decided: Mapped[dict[str, Any] | None]  # a person's outcome, kept beside the rule's
    attendance: Mapped[list[Any]] = mapped_column(default=list)  # [{"who", "joined_at", "by"}]
    reports: Mapped[list[Any]] = mapped_column(default=list)  # no-shows: [{"absent", "by", "note", "at"}]
    documents: Mapped[list[Any]] = mapped_column(default=list)  # [{"name", "delivered_at", "waived_at"}]
    completed_by: Mapped[list[Any]] = mapped_column(default=list)  # the sides that said that it took place
    approved_at: Mapped[datetime | None]  # when the client said that nothing more is owed, having waived documents
    dispute: Mapped[dict[str, Any] | None]  # {"text", "at"}
    hold_expires_at: Mapped[datetime | None]
    held_from: Mapped[str | None]  # a keyed hash of the network address that took a hold without a key
    overdue_at: Mapped[datetime | None]  # when time alone ends this state: a hold, a wait for approval, a consultation
    link_id: Mapped[str | None]  # the private link it came by; SQLite adds no foreign key without a rebuild
    extension_of: Mapped[str | None] = mapped_column(ForeignKey("bookings.id"))
    paid_by: Mapped[str | None]  # an extension's: "consultation" or "hourly_contract"
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    freelancer: Mapped[Freelancer] = relationship()
    consultation: Mapped[Consultation] = relationship()
    event: Mapped[BookingEvent] = relationship(back_populates="booking", cascade="all, delete-orphan")


class BookingEvent(Base):
    """The one remote event of a booking.

    `uid` is derived from the booking and `generation`; `attempted_*` is written before a provider is called and
    `written_*` after it answered, so a crash in between leaves no doubt about which spans are ours.
    """

    __tablename__ = "booking_events"
    __table_args__ = (Index(None, "uid"), Index(None, "calendar_id"))

    booking_id: Mapped[str] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str]  # none, pending, written, failed, drifted
    calendar_id: Mapped[str | None] = mapped_column(ForeignKey("calendars.id", ondelete="SET NULL"))
    generation: Mapped[int] = mapped_column(default=1)
    uid: Mapped[str]
    remote_id: Mapped[str | None]
    etag: Mapped[str | None]
    html_link: Mapped[str | None]
    join_url: Mapped[str | None]
    link_pending: Mapped[bool] = mapped_column(default=False)  # the provider is still making the meeting link
    invited: Mapped[bool] = mapped_column(default=False)  # the provider invited the client, whatever is set by now
    attempted_starts_at: Mapped[datetime | None]
    attempted_ends_at: Mapped[datetime | None]
    written_starts_at: Mapped[datetime | None]
    written_ends_at: Mapped[datetime | None]
    drift: Mapped[dict[str, Any] | None]

    booking: Mapped[Booking] = relationship(back_populates="event")


class Channel(Base):
    """A channel by which a provider tells of changes. Its id is ours, its token derived from that.

    Recorded before it is opened: without `resource_id` nobody knows yet whether it is. `confirmed_at` is when the
    provider first reached us by it. One that is `retired` has been replaced and is to be closed.
    """

    __tablename__ = "channels"
    __table_args__ = (Index(None, "calendar_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    calendar_id: Mapped[str] = mapped_column(ForeignKey("calendars.id", ondelete="CASCADE"))
    resource_id: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    retired: Mapped[bool] = mapped_column(default=False)

    calendar: Mapped[Calendar] = relationship()


class Farewell(Base):
    """What is owed to a provider whose account was disconnected: channels to close, a permission to give back.

    `sealed` is JSON: the permission is sealed in it, with whose it is.
    """

    __tablename__ = "farewells"
    __table_args__ = (Index(None, "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str | None]
    created_at: Mapped[datetime]


class SignIn(Base):
    """A sign-in at a provider that was begun and not yet ended: by the hash of its `state`, for a few minutes."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    freelancer_id: Mapped[str] = mapped_column(ForeignKey("freelancers.id", ondelete="CASCADE"))
    provider: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # the PKCE verifier, and the account as it shall be
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class BookingAction(Base):
    """What was done to a booking, when and by whom: added to, never changed."""

    __tablename__ = "booking_actions"
    __table_args__ = (Index(None, "booking_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[str] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]]


class OutboxItem(Base):
    """A booking whose remote event isn't yet as it should be; gone when it is (one row a booking and kind)."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "kind", "booking_id", unique=True), Index(None, "due_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # event
    booking_id: Mapped[str] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    revision: Mapped[int]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str | None]
    created_at: Mapped[datetime]


class ApiKey(Base):
    """An API key, by its hash; for one freelancer, or for all where there is none."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(unique=True)
    freelancer_id: Mapped[str | None] = mapped_column(ForeignKey("freelancers.id", ondelete="CASCADE"))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class IdempotentAnswer(Base):
    """The answer to a request with an Idempotency-Key, sealed, for 24 hours (semantics 21)."""

    __tablename__ = "idempotent_answers"

    scope: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of method, path, credential and key
    body_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


TRIGGERS = ("booking_no_overlap_insert", "booking_no_overlap_update")
"""SQLite's guard against double booking; a batch rebuild drops it silently, so it is asserted at every start."""
