"""A calendar's events as Google lists them, and the list of calendars.

Decides the parameters of a list, the same for a full and for an incremental one ("Synchronize resources efficiently"),
what a page comes down to, and what is gone. Refuses to know how a request travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.errors import InvalidResponse, SyncTokenInvalid, Unsupported
from providers.google import wire
from providers.google.calls import Calls
from providers.model import ChangePage, RemoteCalendar, RemoteEvent, Role, Unreadable, Window
from providers.zone_names import iana_name

PAGE = 2_500
_MOST_PAGES = 2_000
_CALENDAR_FIELDS = (
    "nextPageToken,items(id,summary,summaryOverride,timeZone,backgroundColor,accessRole,primary,hidden,deleted,"
    "conferenceProperties)"
)
_ROLES: Mapping[str, Role] = {
    "owner": "owner",
    "writer": "writer",
    "writerWithoutPrivateAccess": "writer",
    "reader": "reader",
    "freeBusyReader": "free_busy",
}


# Calendars


def calendars_of(calls: Calls) -> list[RemoteCalendar]:
    """Every calendar of the account's list, hidden ones too: what is hidden keeps its owner busy all the same."""

    def page(token: str | None) -> dict[str, Any]:
        more = {"pageToken": token} if token else {}
        asked = calls.api.calendar_list.list(maxResults=250, showHidden=True, fields=_CALENDAR_FIELDS, **more)
        return calls.call(asked)

    found = [_calendar(entry) for answer in pages(page) for entry in items(answer)]
    return [calendar for calendar in found if calendar is not None]


def _calendar(entry: Mapping[str, Any]) -> RemoteCalendar | None:
    remote_id, told = entry.get("id"), str(entry.get("accessRole"))
    if not isinstance(remote_id, str) or not remote_id or told == "none" or entry.get("deleted"):
        return None
    role = _ROLES.get(told, "reader")  # a role that is new shall not let a calendar vanish
    can_write, colour = role in ("owner", "writer"), entry.get("backgroundColor")
    return RemoteCalendar(
        remote_id=remote_id,
        name=str(entry.get("summaryOverride") or entry.get("summary") or remote_id),
        colour=colour if isinstance(colour, str) else None,
        tz=iana_name(str(entry.get("timeZone") or "")),
        can_write=can_write,
        role=role,
        is_primary=entry.get("primary") is True,
        is_hidden=entry.get("hidden") is True,
        makes_links=can_write and "hangoutsMeet" in _solutions(entry),
    )


def _solutions(entry: Mapping[str, Any]) -> list[Any]:
    """The kinds of meetings that may be made in a calendar."""
    told = entry.get("conferenceProperties")
    kinds = told.get("allowedConferenceSolutionTypes") if isinstance(told, Mapping) else None
    return kinds if isinstance(kinds, list) else []


# Events


@dataclass(slots=True)
class Page:
    """What a page of a list comes down to."""

    changed: list[RemoteEvent] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    sync_token: str | None = None

    def as_changes(self, *, complete: bool, gone: tuple[str, ...] | None = None) -> ChangePage:
        """The page as the port has it."""
        left = tuple(self.gone) if gone is None else gone
        return ChangePage(tuple(self.changed), left, tuple(self.unreadable), complete, self.sync_token)


def changes_since(calls: Calls, calendar: RemoteCalendar, sync_token: str) -> Iterator[Page]:
    """What was created, changed or deleted since a token. Raises SyncTokenInvalid at the first page.

    An expired token is 410; a malformed one is 400, and so would be whatever else Google came to dislike about what a
    token stands for: a full list says which it was.
    """
    try:
        yield from _listed(calls, calendar, syncToken=sync_token)
    except Unsupported as error:
        raise SyncTokenInvalid(str(error), calendar=calendar.remote_id) from error


def everything(calls: Calls, calendar: RemoteCalendar) -> Iterator[Page]:
    """All there is, and a token for what changes from now on."""
    yield from _listed(calls, calendar)


def compared(calls: Calls, calendar: RemoteCalendar, known: Mapping[str, str]) -> Iterator[ChangePage]:
    """All there is, less what is as it is `known`; the last page names what is known and isn't there any more."""
    seen: set[str] = set()
    last = Page()
    for number, page in enumerate(_listed(calls, calendar)):
        if number:
            yield last.as_changes(complete=False, gone=())
        seen.update(one.remote_id for one in page.changed)
        seen.update(one.remote_id for one in page.unreadable)
        page.changed = [one for one in page.changed if not one.etag or known.get(one.remote_id) != one.etag]
        page.unreadable = [one for one in page.unreadable if not one.etag or known.get(one.remote_id) != one.etag]
        last = page
    yield last.as_changes(complete=False, gone=tuple(sorted(known.keys() - seen)))


def instances_in(calls: Calls, calendar: RemoteCalendar, window: Window) -> Iterator[Page]:
    """What lies in a span, series as their instances, each in the place of an override."""
    span = {"timeMin": wire.instant(window.start_at), "timeMax": wire.instant(window.end_at)}
    yield from _listed(calls, calendar, single=True, **span)


def _listed(calls: Calls, calendar: RemoteCalendar, *, single: bool = False, **more: str) -> Iterator[Page]:
    def page(token: str | None) -> dict[str, Any]:
        asked = calls.api.events.list(
            calendarId=calendar.remote_id,
            maxResults=PAGE,
            maxAttendees=1,  # of more, only oneself is told
            singleEvents=single,
            fields=wire.LIST_FIELDS,
            **more,
            **({"pageToken": token} if token else {}),
        )
        return calls.call(asked, calendar=calendar.remote_id)

    for answer in pages(page):
        yield _page(answer, calendar)


def _page(answer: Mapping[str, Any], calendar: RemoteCalendar) -> Page:
    tz = iana_name(str(answer.get("timeZone") or "")) or calendar.tz
    token = answer.get("nextSyncToken")
    page = Page(sync_token=token if isinstance(token, str) and not answer.get("nextPageToken") else None)
    for item in items(answer):
        one = wire.read(item, tz)
        if one.event is not None:
            page.changed.append(one.event)
        page.unreadable += one.unreadable
        if one.event is None and not one.unreadable:
            page.gone.append(one.remote_id)
    return page


def pages(page: Callable[[str | None], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The pages of a list, empty ones too, until one names no next. Raises InvalidResponse for a list without end."""
    token: str | None = None
    seen: set[str] = set()
    while len(seen) < _MOST_PAGES:
        answer = page(token)
        yield answer
        token = answer.get("nextPageToken")
        if not token:
            return
        if not isinstance(token, str) or not token.isascii() or token in seen:
            break
        seen.add(token)
    raise InvalidResponse("Google's list goes round in circles: a page names an earlier one as the next")


def items(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The items of a page; one without any goes on, or ends the list with a token. Raises InvalidResponse."""
    goes_on = any(isinstance(answer.get(name), str) for name in ("nextPageToken", "nextSyncToken"))
    found = answer.get("items", [] if goes_on else None)
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise InvalidResponse("Google's answer holds no list of items")
    return found
