"""What a server really does with one calendar, found out by asking, and with consent by a trial.

Decides which questions tell it, and what the trial is: a series that closes nothing, in a zone of its own, with a rule,
a moved instance and an added one; it is removed whatever happens. Refuses to know what is made of the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from caldav.elements import cdav, dav
from caldav.lib import error as failures

from providers import ical
from providers.caldav import pull, wire
from providers.caldav.failures import translated
from providers.caldav.server import Server
from providers.errors import InvalidResponse, ProviderError, SyncTokenInvalid
from providers.model import Probe, RemoteCalendar, Window
from providers.recurrence import instances

TITLE = "syncd trial"
_NEVER_GIVEN_OUT = "http://syncd.invalid/never-given-out"
_STALE = '"never-an-etag-of-yours"'
_ZONE = ZoneInfo("Europe/Berlin")
_LENGTH = timedelta(minutes=15)
_REACH = timedelta(weeks=30)
_TELLING = (dav.CurrentUserPrivilegeSet, wire.TimeZoneId, cdav.CalendarTimeZone)
_SERIES = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//syncd//trial//EN
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
DTSTART:19810329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:{uid}
DTSTAMP:{stamp}
DTSTART;TZID=Europe/Berlin:{first}
DTEND;TZID=Europe/Berlin:{first_end}
RRULE:FREQ=WEEKLY;INTERVAL=30;COUNT=3
RDATE;TZID=Europe/Berlin:{added}
SUMMARY:{title}
TRANSP:TRANSPARENT
END:VEVENT
BEGIN:VEVENT
UID:{uid}
DTSTAMP:{stamp}
RECURRENCE-ID;TZID=Europe/Berlin:{second}
DTSTART;TZID=Europe/Berlin:{moved}
DTEND;TZID=Europe/Berlin:{moved_end}
SUMMARY:{title}
TRANSP:TRANSPARENT
END:VEVENT
END:VCALENDAR
"""


def probe(server: Server, calendar: RemoteCalendar, trial_at: datetime | None) -> Probe:
    """Ask a calendar how its changes are found and what may be done in it; try the rest at `trial_at`, if it is given.

    A trial that fails is told in the remarks; what fails before it is raised.
    """
    rows = server.propfind(calendar.remote_id, _TELLING, depth=0)
    if not rows:
        raise InvalidResponse("the server says nothing of the calendar")
    row = rows[0]
    pulls_by = pull.everything(server, calendar.remote_id).pulls_by
    writable = wire.may_write(row)
    found = Probe(
        pulls_by=pulls_by,
        checks_tokens=_checks_tokens(server, calendar) if pulls_by == "sync-token" else None,
        privileges=("read", "write") if writable else ("read",),
    )
    remarks = [] if writable else ["Events can be read there, but not written."]
    if wire.zone(row.text(wire.TimeZoneId), row.text(cdav.CalendarTimeZone)) is None:
        remarks.append("The calendar names no time zone: whole days and times without one are taken in yours.")
    if trial_at is not None and writable:
        found, tried = _tried(server, calendar.remote_id, found, trial_at)
        remarks += tried
    seen = sorted(f"{quirk.what[0].upper()}{quirk.what[1:]}." for quirk in server.seen)
    return replace(found, remarks=(*remarks, *seen))


def _checks_tokens(server: Server, calendar: RemoteCalendar) -> bool | None:
    """Say whether it refuses a token that it never gave out; None where it only fails."""
    try:
        pull.listing(server, replace(calendar, probe=None), _NEVER_GIVEN_OUT, None, bool)
    except SyncTokenInvalid:
        return True
    except failures.DAVError:
        return None
    return False


def _tried(server: Server, calendar: str, found: Probe, at: datetime) -> tuple[Probe, list[str]]:
    """Write a series, see what becomes of it, and remove it."""
    trial = _Trial(server, calendar, at)
    remarks: list[str] = []
    try:
        with translated(calendar):
            trial.begin()
            found = replace(found, recurrence=trial.keeps_the_series(), zones=trial.keeps_the_zone())
            found = replace(found, finds_by_time=trial.finds_by_time())
            found = replace(found, preconditions=trial.refuses_stale_writes())
    except ProviderError as error:
        remarks.append(f"The trial failed: {error}.")
    finally:
        left = trial.end()
    said = {
        "A series loses its rule or its exceptions there.": found.recurrence,
        "It keeps no time zone with an event: a series may move by an hour when clocks change.": found.zones,
        "Asked for a span of time, it leaves out instances of a series.": found.finds_by_time,
        "It takes a write that is meant for another state of the event.": found.preconditions,
    }
    return found, [*remarks, *(text for text, good in said.items() if good is False), *left]


class _Trial:
    """A series under trial; instants in UTC."""

    def __init__(self, server: Server, calendar: str, at: datetime) -> None:
        self._server, self._calendar = server, calendar
        first = at.astimezone(_ZONE).replace(microsecond=0)
        self._first = first
        self._moved, self._added = first + timedelta(days=2, hours=3), first + timedelta(days=4, hours=1)
        self._last = first + 2 * _REACH
        uid = f"syncd-trial-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        self._url = wire.resolve(server.url, wire.resource(calendar, uid))
        self._text = _SERIES.format(
            uid=uid,
            title=TITLE,
            stamp=f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            first=_local(first),
            first_end=_local(first + _LENGTH),
            second=_local(first + _REACH),
            moved=_local(self._moved),
            moved_end=_local(self._moved + _LENGTH),
            added=_local(self._added),
        ).replace("\n", "\r\n")
        self._skeleton = ""

    def begin(self) -> None:
        """Write the series, in place of what an earlier trial may have left, and read it back."""
        self._server.remove(self._url, {})
        self._server.put(self._url, self._text.encode(), {})
        back = self._server.shown(self._url, lambda _: True)
        reduced = back and ical.reduce(back.text, remote_id=back.url, etag="", own_addresses=frozenset())
        if not reduced or reduced.event is None:
            raise ProviderError("what was written doesn't come back")
        self._skeleton = reduced.event.skeleton

    def keeps_the_series(self) -> bool:
        """Say whether all four instances come back; a lost zone may move them a little, which is told of apart."""
        window = Window(self._first.astimezone(UTC) - _REACH, self._last.astimezone(UTC) + _REACH)
        starts = [instance.start_at for instance in instances(self._skeleton, window, "UTC")]
        meant = [at.astimezone(UTC) for at in (self._first, self._moved, self._added, self._last)]
        near = [abs(one - other) <= timedelta(hours=2) for one, other in zip(starts, meant, strict=False)]
        return len(starts) == len(meant) and all(near)

    def keeps_the_zone(self) -> bool:
        """Say whether the series is still on a wall clock of its own."""
        return "DTSTART;TZID=" in self._skeleton

    def finds_by_time(self) -> bool:
        """Say whether the moved, the added and a far instance are found."""
        return all(self._is_found(at.astimezone(UTC)) for at in (self._moved, self._added, self._last))

    def _is_found(self, at: datetime) -> bool:
        rows = self._server.query(self._calendar, wire.within(Window(at - _LENGTH, at + 2 * _LENGTH)))
        return self._url in {row.url for row in rows}

    def refuses_stale_writes(self) -> bool:
        """Say whether conditions are obeyed in all three forms that we send."""
        text, stale = self._text.encode(), {"If-Match": _STALE}
        attempts: tuple[Callable[[], object], ...] = (
            lambda: self._server.put(self._url, text, {"If-None-Match": "*"}),
            lambda: self._server.put(self._url, text, stale),
            lambda: self._server.delete(self._url, stale),
        )
        return all(_is_refused(attempt) for attempt in attempts)

    def end(self) -> list[str]:
        """Remove the series; return what to say if it can't be."""
        for _ in range(3):
            try:
                with translated(self._calendar):
                    self._server.remove(self._url, {})
                    if self._server.get(self._url) is None:
                        return []
            except ProviderError:
                continue
        return [f"The event “{TITLE}” on {self._first:%Y-%m-%d} could not be removed: remove it by hand."]


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except failures.DAVError as error:
        if error.status != 412:
            raise
        return True
    return False


def _local(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S}"
