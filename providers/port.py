"""The port: what every provider promises. Each sentence is a test of `tests/conformance/`.

Reading
- `list_calendars` names every calendar with its zone and whether it can be written.
- A full pull (`sync_token=None`) lists every resource once and ends with a sync token if `capabilities.incremental`.
- A pull with that token lists what was created, changed or removed since, and nothing else when nothing was.
- A pull that is told what is `known` and has no token compares all there is with that: it lists the difference alone.
  Where there are no tokens, or none that can stand alone, every later pull is such a one.
- Pages may be empty; only the last one carries the sync token.
- A token the server doesn't know raises `SyncTokenInvalid`, at the first page, before anything is listed; where the
  server takes any, what was removed is found when all is compared, if not at once.
- Changes that happen during a pull are in it or in the next one, never in neither.
- What no longer holds an event is in `removed`, as if it were gone.
- What can't be understood is in `unreadable` and the rest is listed all the same.
- No title, description, location or foreign attendee is in any page.
- `look` lists, for each calendar, whatever may have an instance in the span asked about, as it is now; where it can't
  be sure of that in a few requests, it says that it isn't complete.
- A `look` that is told what was `pulled` may leave out what hasn't changed since.
- `probe` says how changes of a calendar are found and what may be done in it; it writes nothing, unless it is given a
  time for a trial: then a throwaway series stands there for a moment, and is gone again whatever happens.
- A calendar that is gone raises `NotFound`; a wrong password raises `GrantRevoked`.
- A pull that is told which calendars are `beside` it, to be pulled next, may ask for all of them at once.
- Where `capabilities.push`, `watch` opens a channel by which changes of a calendar are told to an address, with the
  token given; `unwatch` closes it, and one that is closed already is fine.

Writing
- `create` writes one event and returns its ref with the ETag.
- `create` with an idempotency key that was used raises `AlreadyExists` and changes nothing.
- `find` returns what `create` with that key made, or None.
- `get` returns the event as it is now, or raises `NotFound`.
- `update` changes the fields that are ours and keeps everything else, the UID included.
- `update` with a stale ETag raises `ETagMismatch` and changes nothing; of a missing event it raises `NotFound`.
- `delete` removes the event; of one that isn't there it succeeds.
- `delete` with a stale ETag raises `ETagMismatch` and changes nothing.
- In a calendar that is gone there is nothing: `find` returns None, `delete` succeeds, all else raises `NotFound`.
- No call notifies anyone, unless the event has an attendee: else no organizer and no attendee is written, and for those
  whom a person added the server is asked to keep silent.
- Every call is safe to send again when its answer was lost.

Everything raised is a `ProviderError`. Calls block; an instance is used by one thread at a time. One that was opened
with a `patience` raises `Unavailable` for what isn't answered so many seconds after it was opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from providers.model import (
    Capabilities,
    ChangePage,
    ConsultationEvent,
    EventRef,
    Glance,
    Probe,
    RemoteCalendar,
    Watch,
    Window,
    WrittenEvent,
)

Known = Callable[[], Mapping[str, str]]
"""Remote id → ETag of all that the last pulls listed, what is to come first and "" where there is none.

Asked for before the server is, and only if it is needed.
"""


class Provider(Protocol):
    """One account at one provider; see the module for what each call promises."""

    @property
    def capabilities(self) -> Capabilities: ...

    def list_calendars(self) -> list[RemoteCalendar]: ...

    def changes(
        self,
        calendar: RemoteCalendar,
        sync_token: str | None,
        window: Window,
        known: Known | None = None,
        beside: Sequence[RemoteCalendar] = (),
    ) -> Iterator[ChangePage]: ...

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]: ...

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe: ...

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None: ...

    def get(self, ref: EventRef) -> WrittenEvent: ...

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef: ...

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef: ...

    def delete(self, ref: EventRef, if_match: str | None) -> None: ...

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch: ...

    def unwatch(self, watch: Watch) -> None: ...

    def close(self) -> None: ...
