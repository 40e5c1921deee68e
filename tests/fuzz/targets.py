"""What must hold whatever is read: the promises that fuzzing tries to break.

Each takes arbitrary bytes and raises AssertionError where a promise is broken; that an answer makes sense isn't
promised. Time and memory are bounded from outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import requests
from requests.adapters import BaseAdapter

from providers import ical
from providers.caldav.client import CalDAVProvider
from providers.errors import ProviderError
from providers.ical_file import read_file
from providers.model import Connection, RemoteCalendar, Window
from syncd.sync.busy import Choices, span_of
from syncd.sync.file import busy_in_file

CALENDARS = Path(__file__).parent.parent / "calendars"
WINDOW = Window(datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC) + timedelta(days=400))
ADDRESS = "http://127.0.0.1/ada/work/"

_ROW = (
    "<D:response><D:href>/ada/work/{name}.ics</D:href><D:propstat><D:prop><D:getetag>&quot;{name}&quot;</D:getetag>"
    "<C:calendar-data>BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:{name}\r\nDTSTART:20261124T090000Z\r\nEND:VEVENT\r\n"
    "END:VCALENDAR</C:calendar-data></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
)
_COLLECTION = (
    "<D:response><D:href>/ada/work/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/><C:calendar/>"
    "</D:resourcetype><D:displayname>Work</D:displayname><C:calendar-home-set><D:href>/ada/</D:href>"
    "</C:calendar-home-set><D:current-user-principal><D:href>/ada/</D:href></D:current-user-principal></D:prop>"
    "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
)
_GONE = "<D:response><D:href>/ada/work/old.ics</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>"
_MULTISTATUS = (
    '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
    "{rows}<D:sync-token>http://dav.example/1</D:sync-token></D:multistatus>"
)


def check_calendar(data: bytes) -> None:
    """A file is read, expanded and answered for, or said to be none; its skeletons are stable; spans are in order."""
    file = read_file(data, frozenset({"ada@example.org"}))
    if file is None:
        return
    answer = busy_in_file(file, [WINDOW], file.tz or "UTC", Choices())
    first, last = span_of(WINDOW.start_at, WINDOW.end_at)
    ends = [at for span in answer.busy[0] for at in span]
    assert all(one < other for one, other in pairwise([first - 1, *ends, last + 1])), (
        "spans overlap, touch or stick out"
    )
    assert all(one.reason for one in answer.unreadable)
    for event in file.events:
        again = ical.reduce(event.skeleton, remote_id="x", etag="x", own_addresses=frozenset())
        assert again.event is not None, "a skeleton can't be read"
        assert again.event.skeleton == event.skeleton, "a skeleton of a skeleton is another"


class _Answering(BaseAdapter):
    """A server that answers everything with the same bytes."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    def send(self, request: requests.PreparedRequest, **_sending: object) -> requests.Response:  # type: ignore[override]
        answer = requests.Response()
        answer.status_code, answer._content, answer.url, answer.request = 207, self._body, request.url or "", request
        answer.headers["Content-Type"] = "application/xml"
        return answer

    def close(self) -> None:
        """Nothing is open."""


def check_multistatus(data: bytes) -> None:
    """Whatever a server answers to anything, all that comes of it is values or a `ProviderError`."""
    provider = CalDAVProvider(Connection("http://127.0.0.1/", "ada", "secret", allow_private=True))
    provider._server._client.session.mount("http://", _Answering(data))
    calendar = RemoteCalendar(ADDRESS, "Work")
    calls: list[Callable[[], object]] = [
        provider.list_calendars,
        lambda: list(provider.changes(calendar, "http://dav.example/0", WINDOW)),
        lambda: list(provider.changes(calendar, None, WINDOW, lambda: {f"{ADDRESS}a.ics": '"b"'})),
        lambda: provider.look([calendar], WINDOW),
        lambda: provider.probe(calendar),
    ]
    for call in calls:
        with contextlib.suppress(ProviderError):
            call()
    provider.close()


def calendar_seeds() -> list[bytes]:
    """Every odd calendar of the tests."""
    return [path.read_bytes() for path in sorted(CALENDARS.rglob("*.ics"))]


def multistatus_seeds() -> list[bytes]:
    """Answers as servers give them."""
    bodies = ["", _COLLECTION, _ROW.format(name="a") + _GONE, _COLLECTION + _ROW.format(name="b") * 2]
    return [_MULTISTATUS.format(rows=rows).encode() for rows in bodies]


TARGETS = {"calendar": (check_calendar, calendar_seeds), "multistatus": (check_multistatus, multistatus_seeds)}
