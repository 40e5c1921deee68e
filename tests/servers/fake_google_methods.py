"""The methods of the API that the fake Google server plays, and who is let in to them.

Documented (reference, each method): the scopes that permit it; of them `calendar.events.owned` is good for calendars
that one owns, and the scope for free/busy time for that alone. Documented (CalendarList): what each access role may do.
Stricter than Google: whose role is `freeBusyReader` can't list events at all. What isn't played answers 501.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_google_calendars import Account, Calendar, Item
from fake_google_lists import few_attendees
from fake_google_oauth import Token
from fake_google_queries import calendar_of, free_busy, list_calendars
from fake_google_schema import Json, Method, Refusal
from fake_google_writes import check_condition, need

if TYPE_CHECKING:
    from fake_google import FakeGoogle

_OWNED = {"calendar.events.owned", "calendar.events.owned.readonly"}
_TOO_LITTLE = {"calendar.app.created", "calendar.events.public.readonly"}


@dataclass
class Call:
    """A request that was let in: whose it is, its parameters and its body."""

    account: Account
    asked: Json
    body: Json
    headers: dict[str, str]

    @property
    def calendar(self) -> Calendar:
        return self.account.calendar(self.asked["calendarId"])

    def readable(self) -> Calendar:
        need(self.calendar, "reader")
        return self.calendar

    def writable(self) -> Calendar:
        need(self.calendar, "writer")
        return self.calendar

    def item(self) -> Item:
        return self.account.find(self.calendar, self.asked["eventId"])

    def guarded(self) -> Item:
        item = self.item()
        check_condition(item, self.headers)
        return item

    def told(self, item: Item) -> Json:
        return few_attendees(item.answer(self.asked.get("timeZone", self.calendar.tz)), self.asked)


def check_scopes(method: Method, token: Token, account: Account, asked: Json) -> None:
    """Whether one of the scopes permits this method, and in this calendar. Raises Refusal 403."""
    good = {scope.rpartition("/auth/")[2] for scope in token.scopes & method.scopes} - _TOO_LITTLE
    if not method.id.startswith("freebusy"):
        good.discard("calendar.events.freebusy")
    named = asked.get("calendarId")
    calendar = account.calendars.get(account.email if named == "primary" else named) if named else None
    if calendar is not None and calendar.role != "owner":
        good -= _OWNED
    if not good:
        message = "Request had insufficient authentication scopes."
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
        raise Refusal(403, "insufficientPermissions", message, details=[detail])


def play(google: FakeGoogle, method: Method, call: Call) -> Json | None:
    """What a method answers; None is no content. Raises Refusal."""
    if method.id not in _PLAYED:
        raise Refusal(501, "notImplemented", f"{method.id} isn't played here")
    return _PLAYED[method.id](google, call)


def _list(google: FakeGoogle, call: Call) -> Json:
    calendar = call.readable()
    for one in list(calendar.asked):
        google.writes.ripen(call.account, calendar, calendar.items[one])
    return google.lists.list(call.account, calendar, call.asked)


def _get(google: FakeGoogle, call: Call) -> Json:
    return call.told(google.writes.ripen(call.account, call.readable(), call.item()))


def _instances(google: FakeGoogle, call: Call) -> Json:
    return google.lists.instances(call.readable(), call.item(), call.asked)


def _insert(google: FakeGoogle, call: Call) -> Json:
    return call.told(google.writes.insert(call.account, call.writable(), call.asked, call.body))


def _patch(google: FakeGoogle, call: Call) -> Json:
    return call.told(google.writes.patch(call.account, call.writable(), call.guarded(), call.asked, call.body))


def _update(google: FakeGoogle, call: Call) -> Json:
    return call.told(google.writes.update(call.account, call.writable(), call.guarded(), call.asked, call.body))


def _delete(google: FakeGoogle, call: Call) -> None:
    calendar, item = call.writable(), call.item()
    if not item.is_cancelled:
        check_condition(item, call.headers)
    google.writes.delete(call.account, calendar, item, call.asked)


def _move(google: FakeGoogle, call: Call) -> Json:
    return google.writes.move(call.account, call.writable(), call.item(), call.asked).answer(call.calendar.tz)


def _watch(google: FakeGoogle, call: Call) -> Json:
    return google.channels.watch(call.account, call.readable(), call.body, google.base)


_PLAYED: dict[str, Callable[[FakeGoogle, Call], Json | None]] = {
    "calendarList.list": lambda google, call: list_calendars(call.account, call.asked, google.list_page_size),
    "calendarList.get": lambda _google, call: call.calendar.entry(),
    "calendars.get": lambda _google, call: calendar_of(call.calendar),
    "events.list": _list,
    "events.get": _get,
    "events.instances": _instances,
    "events.insert": _insert,
    "events.patch": _patch,
    "events.update": _update,
    "events.delete": _delete,
    "events.move": _move,
    "events.watch": _watch,
    "channels.stop": lambda google, call: google.channels.stop_channel(call.account, call.body),
    "freebusy.query": lambda google, call: free_busy(call.account, call.body, google.busy_errors),
}
