"""What crosses the border between providers and syncd: frozen values, never dicts.

A remote event is kept as its timing skeleton only: RFC 5545 text with UID, times, recurrence, transparency, status
and our own participation. Titles, descriptions, locations and attendees never leave this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Transparency = Literal["OPAQUE", "TRANSPARENT"]
FbType = Literal["FREE", "BUSY", "BUSY_TENTATIVE", "BUSY_UNAVAILABLE", "WORKING_ELSEWHERE"]


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range of UTC instants."""

    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """syncd as a provider knows it, and where that is asked for permissions; all are the operator's settings."""

    client_id: str
    client_secret: str = field(repr=False)
    api_endpoint: str
    auth_uri: str
    token_uri: str
    revoke_uri: str


@dataclass(frozen=True, slots=True)
class Connection:
    """All that is needed to open an account; `secret` is the password, bearer token, grant or token cache.

    `client` is whom a grant was given to, where there are such. `patience` is for how many seconds from its opening an
    instance waits for answers; None waits as each takes.
    """

    url: str
    username: str = ""
    secret: str = ""
    auth: Literal["auto", "basic", "digest", "bearer"] = "auto"
    allow_private: bool = False
    ca_file: str = ""
    own_addresses: frozenset[str] = frozenset()
    patience: float | None = None
    client: OAuthClient | None = None

    def __repr__(self) -> str:
        host = self.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return f"Connection({host!r})"  # the whole address of a feed is its password


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this account's provider can do."""

    incremental: bool
    preconditions: bool
    delivers_instances: bool = False
    push: bool = False


PullsBy = Literal["sync-token", "ctag", "etags", "download", "free-busy"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What a calendar's server was seen to do; None is what nobody tried.

    `pulls_by` is how changes are found: the server tells them, a mark of the whole calendar and its ETags do, its ETags
    alone, the whole is downloaded anew, or it tells when it is busy and no more.
    """

    pulls_by: PullsBy
    checks_tokens: bool | None = None  # it refuses a sync token that it never gave out
    preconditions: bool | None = None  # it refuses a write whose If-Match or If-None-Match doesn't hold
    recurrence: bool | None = None  # a series comes back with its rule and its exceptions
    zones: bool | None = None  # and on its own wall clock
    finds_by_time: bool | None = None  # asked for a span of time, it lists a series that has an instance there
    privileges: tuple[str, ...] = ()  # read, write
    remarks: tuple[str, ...] = ()  # sentences for people


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the last pull of a calendar left: its sync token, and remote id → ETag of all that it listed.

    `known` is asked for only if it is needed; "" stands for what is to be read whatever its ETag.
    """

    sync_token: str | None
    known: Callable[[], Mapping[str, str]]


Role = Literal["owner", "writer", "reader", "free_busy"]
"""What may be done in a calendar: `free_busy` shows spans of busy time, and no events."""


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """One calendar of an account; `remote_id` is the CalDAV collection's URL, Google's or Graph's id.

    `role`, `is_primary`, `is_hidden` (in the person's own list) and `makes_links` (for meetings) are as far as the
    provider tells. `probe` and `pulled` are what is known of it from before; a list of calendars doesn't tell.
    """

    remote_id: str
    name: str
    colour: str | None = None  # "#rrggbb"
    tz: str | None = None  # IANA
    can_write: bool = True
    role: Role | None = None
    is_primary: bool = False
    is_hidden: bool = False
    makes_links: bool = False
    probe: Probe | None = None
    pulled: Pulled | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """One remote resource: `skeleton` is a VCALENDAR reduced to timing, with all its components.

    `series_id` is the remote id of the series it belongs to where a provider has the master and each override as
    resources of their own: the master's own id, in whatever order they come. "" where a resource is the whole of it.
    """

    remote_id: str
    uid: str
    etag: str
    skeleton: str
    series_id: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A remote resource, or a part of one, that can't be understood; named without its title."""

    remote_id: str
    etag: str
    reason: str
    uid: str | None = None
    start: str | None = None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of changes.

    `complete` says the pages together list everything there is (a full pull); the last page alone has a `sync_token`,
    None where the provider has none. `removed` are remote ids and empty in a full pull.
    """

    changed: tuple[RemoteEvent, ...]
    removed: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    complete: bool
    sync_token: str | None = None
    total: int | None = None  # resources in all pages together, where it is known


@dataclass(frozen=True, slots=True)
class Glance:
    """What a calendar holds now that may concern a span of time: whole series, some of which may lie elsewhere.

    What was `pulled` and hasn't changed since may be left out. Where it isn't `complete`, the server may have left out
    other series too: what was pulled last counts as well.
    """

    calendar: str
    events: tuple[RemoteEvent, ...]
    unreadable: tuple[Unreadable, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Instance:
    """One occurrence of a remote event, with UTC instants, and what decides whether it blocks."""

    start_at: datetime
    end_at: datetime
    all_day: bool
    transparency: Transparency
    status: str  # CONFIRMED, TENTATIVE, CANCELLED
    partstat: str | None  # our own; None where we aren't an attendee
    fb_type: FbType | None  # what the provider says beyond TRANSP


@dataclass(frozen=True, slots=True)
class Attendee:
    """Who is invited by the provider itself, which mails them."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ConsultationEvent:
    """A consultation as it is written to a calendar: the fields that are ours, and no others.

    With an `attendee` the provider is asked to invite them, else to tell no one. `wants_link` asks for a meeting link
    where the calendar makes such. Both are written at creation only.
    """

    booking_id: str
    start_at: datetime
    end_at: datetime
    title: str
    description: str  # written at creation only: afterwards it is the person's
    location: str | None
    sequence: int
    updated_at: datetime
    attendee: Attendee | None = None
    wants_link: bool = False


@dataclass(frozen=True, slots=True)
class EventRef:
    """Where a written event is; `etag` as of the read or write this came from.

    `join_url` is its meeting link; while that is `link_pending`, the provider is still making it: read again later.
    `invited` says that the provider invited someone for us, who is told of what becomes of the event.
    """

    calendar: str
    remote_id: str
    uid: str
    etag: str | None = None
    html_link: str | None = None
    join_url: str | None = None
    link_pending: bool = False
    invited: bool = False


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """One of our events as the server has it now."""

    ref: EventRef
    start_at: datetime
    end_at: datetime
    sequence: int
    status: str
    booking_id: str | None


@dataclass(frozen=True, slots=True)
class Watch:
    """A channel by which a provider tells that a calendar changed, until it expires."""

    channel_id: str
    resource_id: str  # the provider's own name for what is watched: it is needed to stop the channel
    expires_at: datetime
