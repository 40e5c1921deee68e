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
class Connection:
    """All that is needed to open an account; `secret` is the password, bearer token or token cache.

    `patience` is for how many seconds from its opening an instance waits for answers; None waits as each takes.
    """

    url: str
    username: str = ""
    secret: str = ""
    auth: Literal["auto", "basic", "digest", "bearer"] = "auto"
    allow_private: bool = False
    ca_file: str = ""
    own_addresses: frozenset[str] = frozenset()
    patience: float | None = None

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


PullsBy = Literal["sync-token", "ctag", "etags", "download"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What a calendar's server was seen to do; None is what nobody tried.

    `pulls_by` is how changes are found: the server tells them, a mark of the whole calendar and its ETags do, its ETags
    alone, or the whole is downloaded anew.
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


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """One calendar of an account; `remote_id` is the CalDAV collection's URL, Google's or Graph's id.

    `probe` and `pulled` are what is known of it from before; a list of calendars doesn't tell.
    """

    remote_id: str
    name: str
    colour: str | None = None  # "#rrggbb"
    tz: str | None = None  # IANA
    can_write: bool = True
    probe: Probe | None = None
    pulled: Pulled | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """One remote resource: `skeleton` is a VCALENDAR reduced to timing, with all its components."""

    remote_id: str
    series_id: str
    etag: str
    skeleton: str


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
class ConsultationEvent:
    """A consultation as it is written to a calendar: the fields that are ours, and no others."""

    booking_id: str
    start_at: datetime
    end_at: datetime
    title: str
    description: str  # written at creation only: afterwards it is the person's
    location: str | None
    sequence: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EventRef:
    """Where a written event is; `etag` as of the read or write this came from."""

    calendar: str
    remote_id: str
    uid: str
    etag: str | None = None
    html_link: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """One of our events as the server has it now."""

    ref: EventRef
    start_at: datetime
    end_at: datetime
    sequence: int
    status: str
    booking_id: str | None
