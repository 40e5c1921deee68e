"""The Google adapter: `providers.port` on the Calendar API v3.

Decides which requests keep each promise of the port. Refuses to know what an event means (`wire`), how lists are read
(`listing`, `freebusy`), how requests are sent (`calls`, `http`) and what their failures mean (`failures`).

The whole calendar is listed, from its beginning: whether `timeMin` keeps a series that began before it isn't
documented. Remote ids are Google's; those of our own events are made of the idempotency key, so that a write is found
again without a search, and every deletion by hand needs another key: Google gives no id twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from providers.errors import ETagMismatch, InvalidResponse, NotFound, RateLimited, SyncTokenInvalid, Unsupported
from providers.google import listing, wire
from providers.google.calls import PAUSES, Calls
from providers.google.freebusy import FreeBusy
from providers.model import (
    Capabilities,
    ChangePage,
    Connection,
    ConsultationEvent,
    EventRef,
    Glance,
    Probe,
    RemoteCalendar,
    RemoteEvent,
    Unreadable,
    Watch,
    Window,
    WrittenEvent,
)
from providers.port import Known

_USUAL_LIFE = timedelta(days=7)  # of a channel, where its answer doesn't say


class GoogleProvider:
    """One Google account; its secret is a `providers.google.permissions.Grant`. `pauses` are in seconds."""

    capabilities = Capabilities(incremental=True, preconditions=True, push=True)

    def __init__(self, connection: Connection, pauses: tuple[float, ...] = PAUSES) -> None:
        self._calls = Calls(connection, pauses)
        self._free_busy = FreeBusy(self._calls)

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    # Reading

    def list_calendars(self) -> list[RemoteCalendar]:
        """Return the calendars of the account's list, hidden ones too; the primary one's id is the user's address."""
        return listing.calendars_of(self._calls)

    def changes(
        self,
        calendar: RemoteCalendar,
        sync_token: str | None,
        window: Window,
        known: Known | None = None,
        beside: Sequence[RemoteCalendar] = (),
    ) -> Iterator[ChangePage]:
        """Yield what changed since `sync_token` or beside what is `known`, or everything; whole calendars, always.

        A request for every 2,500 events that are listed; without a change it is one. Of a calendar that shows free/busy
        time alone it is one for every 60 days of the window, for up to 50 such calendars together. Raises
        `SyncTokenInvalid` at the first page.
        """
        if calendar.role == "free_busy":
            yield self._busy_time(calendar, window, known, beside)
        elif sync_token is not None:
            for page in listing.changes_since(self._calls, calendar, sync_token):
                yield page.as_changes(complete=False)
        elif known is not None:
            yield from listing.compared(self._calls, calendar, known())
        else:
            for page in listing.everything(self._calls, calendar):
                yield page.as_changes(complete=True)

    def _busy_time(
        self, calendar: RemoteCalendar, window: Window, known: Known | None, beside: Sequence[RemoteCalendar]
    ) -> ChangePage:
        before = known() if known is not None else None
        found = self._free_busy.periods(calendar, window, beside)
        if before is None:
            return ChangePage(tuple(found), (), (), complete=True)
        gone = sorted(before.keys() - {event.remote_id for event in found})
        new = tuple(event for event in found if before.get(event.remote_id) != event.etag)
        return ChangePage(new, tuple(gone), (), complete=False)

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]:
        """List what changed since the last pull, where there was one, else what lies in the window."""
        return [self._look(calendar, window, calendars) for calendar in calendars]

    def _look(self, calendar: RemoteCalendar, window: Window, beside: Sequence[RemoteCalendar]) -> Glance:
        if calendar.role == "free_busy":
            return Glance(calendar.remote_id, tuple(self._free_busy.periods(calendar, window, beside)), ())
        token = calendar.pulled.sync_token if calendar.pulled else None
        if token is not None:
            try:
                return _glance(calendar, listing.changes_since(self._calls, calendar, token))
            except SyncTokenInvalid:
                pass
        return _glance(calendar, listing.instances_in(self._calls, calendar, window))

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        """Say what is documented, which needs no trial; raise `NotFound` for a calendar that isn't in the list."""
        asked = self._calls.api.calendar_list.get(calendarId=calendar.remote_id, fields="id,accessRole")
        role = self._calls.call(asked, calendar=calendar.remote_id).get("accessRole")
        if role == "freeBusyReader":
            return Probe("free-busy", privileges=("read",), remarks=("Only when it is busy is told, and no more.",))
        privileges = ("read", "write") if role in ("owner", "writer", "writerWithoutPrivateAccess") else ("read",)
        return Probe("sync-token", True, True, True, True, True, privileges)

    # Writing

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None:
        """Return what `create` with this key made, if it is still where it was made."""
        ref = EventRef(calendar.remote_id, wire.event_id(idempotency_key), "")
        try:
            return self._read(ref, calendar.tz)
        except NotFound:
            return None

    def get(self, ref: EventRef) -> WrittenEvent:
        """Return the event as it is now; raise `NotFound` if it isn't, which a deleted one isn't either."""
        return self._read(ref, None)

    def _read(self, ref: EventRef, tz: str | None) -> WrittenEvent:
        return wire.written(self._item(ref), ref.calendar, tz)

    def _item(self, ref: EventRef) -> dict[str, Any]:
        asked = self._calls.api.events.get(calendarId=ref.calendar, eventId=ref.remote_id, fields=wire.WRITTEN_FIELDS)
        item = self._calls.call(asked, calendar=ref.calendar, remote_id=ref.remote_id)
        if wire.is_cancelled(item):
            raise NotFound("the event was deleted", calendar=ref.calendar, remote_id=ref.remote_id)
        return item

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        """Write a new event; raise `AlreadyExists` if its key was used, for one that was deleted since as well.

        One that is refused as it is goes without its link, and then without its guest: it has to keep the time.
        """
        *fuller, barest = _ever_less(event if calendar.makes_links else replace(event, wants_link=False))
        for wanted in fuller:
            try:
                return self._create(calendar, wanted, idempotency_key)
            except Unsupported:
                pass
            except RateLimited as error:  # as many guests as Google lets one invite in a while
                if not any(reason in str(error) for reason in ("quotaExceeded", "calendarUsageLimitsExceeded")):
                    raise
        return self._create(calendar, barest, idempotency_key)

    def _create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        asked = self._calls.api.events.insert(
            calendarId=calendar.remote_id,
            body=wire.new_event(event, idempotency_key, with_link=event.wants_link),
            sendUpdates=_whom_to_tell(tell=event.attendee is not None),
            fields=wire.WRITTEN_FIELDS,
            **({"conferenceDataVersion": 1} if event.wants_link else {}),
        )
        remote_id = wire.event_id(idempotency_key)
        return wire.ref_of(
            self._calls.call(asked, calendar=calendar.remote_id, remote_id=remote_id), calendar.remote_id
        )

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        """Change the fields that are ours; raise `ETagMismatch` if the event isn't as `if_match` knew it."""
        asked = self._calls.api.events.patch(
            calendarId=ref.calendar,
            eventId=ref.remote_id,
            body=wire.changed_event(event),
            sendUpdates=_whom_to_tell(tell=ref.invited),
            fields=wire.WRITTEN_FIELDS,
        )
        try:
            item = self._calls.call(asked, calendar=ref.calendar, remote_id=ref.remote_id, if_match=if_match)
        except ETagMismatch:
            self._item(ref)  # one that was deleted isn't there, whatever its ETag
            raise
        if wire.is_cancelled(item):
            raise NotFound("the event was deleted", calendar=ref.calendar, remote_id=ref.remote_id)
        return wire.ref_of(item, ref.calendar)

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        """Remove the event, if it is as `if_match` knew it where that is given; one that is gone is fine."""
        asked = self._calls.api.events.delete(
            calendarId=ref.calendar, eventId=ref.remote_id, sendUpdates=_whom_to_tell(tell=ref.invited)
        )
        try:
            self._calls.call(asked, calendar=ref.calendar, remote_id=ref.remote_id, if_match=if_match, is_silent=True)
        except NotFound:
            return
        except ETagMismatch:
            if self._is_there(ref):
                raise

    def _is_there(self, ref: EventRef) -> bool:
        """Whether an event is there, and not deleted."""
        try:
            self._item(ref)
        except NotFound:
            return False
        return True

    # Being told

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
        """Open a channel ("Push notifications"); Google says until when."""
        body = {"id": channel_id, "type": "web_hook", "address": address, "token": token}
        asked = self._calls.api.events.watch(calendarId=calendar.remote_id, body=body)
        told = self._calls.call(asked, calendar=calendar.remote_id)
        if not isinstance(told.get("resourceId"), str):
            raise InvalidResponse("Google's answer names no resource to watch", calendar=calendar.remote_id)
        return Watch(channel_id, told["resourceId"], _expiry(told.get("expiration")))

    def unwatch(self, watch: Watch) -> None:
        """Close a channel; one that is closed already is fine."""
        body = {"id": watch.channel_id, "resourceId": watch.resource_id}
        try:
            self._calls.call(self._calls.api.channels.stop(body=body), is_silent=True)
        except NotFound:
            return


def _ever_less(event: ConsultationEvent) -> Iterator[ConsultationEvent]:
    """An event as it is wanted, and then with less and less of what Google may dislike about it."""
    yield event
    if event.wants_link:
        yield replace(event, wants_link=False)
    if event.attendee is not None:
        yield replace(event, wants_link=False, attendee=None)


def _whom_to_tell(*, tell: bool) -> Literal["all", "none"]:
    """Whether Google mails those who are invited: always said, as what it does by itself has changed before."""
    return "all" if tell else "none"


def _glance(calendar: RemoteCalendar, pages: Iterator[listing.Page]) -> Glance:
    events: dict[str, RemoteEvent] = {}
    unreadable: list[Unreadable] = []
    for page in pages:
        events |= {event.remote_id: event for event in page.changed}
        unreadable += page.unreadable
    return Glance(calendar.remote_id, tuple(events.values()), tuple(unreadable))


def _expiry(told: object) -> datetime:
    """Read an expiration: milliseconds since the epoch, as text."""
    try:
        return datetime.fromtimestamp(int(str(told)) / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.now(UTC) + _USUAL_LIFE
