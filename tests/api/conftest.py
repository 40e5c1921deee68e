"""A daemon's HTTP half for the tests: real server, real database, a clock that is set, calendars in memory.

Every answer is held against `/openapi.json` as it arrives, so each test is one of the document as well.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn
from furnished import furnish
from sqlalchemy import select

from providers.memory import MemoryAccount, MemoryProvider
from providers.model import Connection
from syncd.api.app import create_app
from syncd.cli.keys import make_key
from syncd.config import load_config
from syncd.daemon import open_workshop
from syncd.jobs.account import WorkReport
from syncd.jobs.due import DUE, Order
from syncd.jobs.embedded import work_through
from syncd.services import Services, open_locks, open_services
from syncd.store.models import Account

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday

CONFIG = """
[daemon]
public_url = "https://book.example"
stale_after = "30m"
[server]
cors_origins = ["https://ada.example"]
rate_limits = { feed = "1000000/minute", booking = "1000000/minute" }

[freelancers.ada]
name = "Ada Lovelace"
email = "ada@example.org"
time_zone = "Europe/London"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-12:00", "13:00-17:00"]
tuesday = ["09:00-12:00", "13:00-17:00"]
wednesday = ["09:00-12:00", "13:00-17:00"]
friday = ["22:00-02:00"]
sunday = ["00:00-04:00"]
[freelancers.ada.schedules.default.on]
"2026-12-01" = []
[freelancers.ada.consultations.intro]
title = "Intro call"
durations = ["30m", "60m"]
increment = "15m"
minimum_notice = "24h"
horizon = "60d"
buffer_after = "10m"
cancellation_notice = "24h"
location = "https://meet.example/{room}"
documents = ["meeting_summary"]
questions = [{ id = "goal", label = "What shall we achieve?" }]
[freelancers.ada.consultations.far]
horizon = "200d"
minimum_notice = "0m"
increment = "30m"
[freelancers.ada.consultations.daily]
daily_limit = 1
weekly_limit = 2
minimum_notice = "0m"
[freelancers.ada.consultations.chat]
visibility = "unlisted"
[freelancers.ada.consultations.secret]
visibility = "private"
[freelancers.ada.consultations.off]
active = false
[freelancers.ada.consultations.lenient]
reschedule_keeps_deadline = false
minimum_notice = "0m"
[freelancers.ada.accounts.home]
provider = "caldav"
url = "https://dav.example/ada"
blocks = ["Work", "Private"]
target = "Work"

[freelancers.bob]
name = "Bob"
time_zone = "Europe/Berlin"
[freelancers.bob.schedules.default.hours]
monday = ["09:00-12:00"]
[freelancers.bob.consultations.talk]
[freelancers.bob.accounts.home]
provider = "caldav"
url = "https://dav.example/bob"
blocks = ["Work"]
when_stale = "serve"

[freelancers.cyd]
name = "Cyd"
time_zone = "UTC"
[freelancers.cyd.schedules.default.hours]
monday = ["09:00-10:00"]
[freelancers.cyd.consultations.talk]
minimum_notice = "0m"
"""

_TWIN = """
[freelancers.ada]
time_zone = "UTC"
[freelancers.ada.schedules.default.hours]
{hours}
[freelancers.ada.consultations.intro]
[freelancers.ada.accounts.home]
provider = "caldav"
url = "https://dav.example/ada"
blocks = ["Work"]
"""

_EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:{uid}
DTSTAMP:20260101T000000Z
DTSTART:{start:%Y%m%dT%H%M%SZ}
DTEND:{end:%Y%m%dT%H%M%SZ}
SUMMARY:{title}
END:VEVENT
END:VCALENDAR
"""


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def set(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).astimezone(UTC)

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class House:
    """An installation with its HTTP server, and those who use it."""

    def __init__(self, services: Services, clock: Clock, url: str, remote: dict[str, MemoryAccount]) -> None:
        self.services, self.clock, self.url, self.remote = services, clock, url, remote
        self.http = requests.Session()
        self.document = _read_document(self.http.get(f"{url}/openapi.json").content)
        self._uids = itertools.count()
        self._locks = open_locks(services.config)

    def close(self) -> None:
        self.http.close()
        self._locks.close()

    # Over HTTP

    def call(
        self, method: str, path: str, *, token: str = "", headers: dict[str, str] | None = None, **more: Any
    ) -> requests.Response:
        """Ask, and hold the answer against what every answer promises."""
        sent = ({"Authorization": f"Bearer {token}"} if token else {}) | (headers or {})
        answer = self.http.request(method, self.url + path, headers=sent, **more)
        assert answer.status_code != 500, answer.text
        assert answer.headers["X-Request-Id"]
        if answer.status_code >= 400 and method != "HEAD":
            _check_problem(answer)
        _check_documented(self.document, method, answer)
        return answer

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> requests.Response:
        return self.call("POST", path, json=body, **more)

    def slots(self, offer: str = "ada/intro", start: str = "2026-11-23", end: str = "2026-11-29", **more: Any) -> Any:
        """The feed's document; `params` go into the query."""
        params = {"start": start, "end": end} | more.pop("params", {})
        answer = self.get(f"/v1/{offer}/slots", params=params, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def starts(self, *args: Any, **more: Any) -> list[str]:
        """The starts of the feed, in order."""
        return [slot["start"] for day in self.slots(*args, **more)["slots"].values() for slot in day]

    def explain(self, at: str, offer: str = "ada/intro", *, token: str = "", **params: Any) -> Any:
        answer = self.get(f"/v1/{offer}/slots/explain", params={"at": at} | params, token=token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wish(self, start: str, **more: object) -> dict[str, object]:
        return {"start": start, "client": {"name": "Grace Hopper", "email": "grace@example.com"}} | more

    def book(self, start: str, offer: str = "ada/intro", *, token: str = "", **more: object) -> Any:
        """Book and return the new booking."""
        answer = self.post(f"/v1/{offer}/bookings", self.wish(start, **more), token=token)
        assert answer.status_code == 201, answer.text
        return answer.json()

    # Behind HTTP

    def key(self, *scopes: str, freelancer: str | None = "ada") -> str:
        """A new API key."""
        return make_key(self.services, freelancer, list(scopes))[1]

    def busy(self, start: str, end: str, calendar: str = "Work", who: str = "ada", title: str = "Dentist") -> str:
        """Put an event into a calendar as another client does."""
        uid = f"event-{next(self._uids)}"
        span = {"start": datetime.fromisoformat(start), "end": datetime.fromisoformat(end)}
        self.remote[who].put(calendar, uid, _EVENT.format(uid=uid, title=title, **span))
        return uid

    def pull(self) -> WorkReport:
        """Pull every calendar and write what is owed."""
        return self._work(Order(everything=True))

    def work(self) -> WorkReport:
        """Do what is due."""
        return self._work(DUE)

    def _work(self, order: Order) -> WorkReport:
        shop = replace(open_workshop(self.services, self._locks), open_provider=self._open)
        with self.services.store.read() as session:
            accounts = list(session.scalars(select(Account.id)))
        return work_through(shop, accounts, order)

    def _open(self, _kind: str, connection: Connection) -> MemoryProvider:
        return MemoryProvider(self.remote[connection.url.rpartition("/")[2]], connection)


_PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "request_id"}
_PROBLEM_MORE = {"errors", "reasons", "alternatives", "current_state"}


def _check_problem(answer: requests.Response) -> None:
    """RFC 9457, with the members of contract §9."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert set(problem) - _PROBLEM_MORE == _PROBLEM_KEYS, problem
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["detail"]
    for error in problem.get("errors", []):
        assert set(error) == {"pointer", "code", "detail"}


@functools.cache
def _read_document(text: bytes) -> dict[str, Any]:
    """The document, which is the same text in each test and takes longer to read than most of them do."""
    return json.loads(text)


def _check_documented(document: dict[str, Any], method: str, answer: requests.Response) -> None:
    """The answer of a documented operation is one of those the document names, and looks as it says."""
    path = urlsplit(answer.url).path
    templates = [t for t in document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", t), path)]
    operation = document["paths"][min(templates, key=lambda t: t.count("{"))].get(method.lower()) if templates else None
    if operation is None:
        return
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, f"{method} {path}: {answer.status_code} isn't documented"
    if answer.content:
        schema = described["content"][answer.headers["Content-Type"]]["schema"]
        is_json = "json" in answer.headers["Content-Type"]
        check_schema(document, schema, answer.json() if is_json else answer.text, "")


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "null": lambda v: v is None,
}


def check_schema(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> None:
    """As much of JSON Schema as the document uses."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        assert any(_fits(document, one, value) for one in schema["anyOf"]), f"{where}: {value!r}"
        return
    assert "type" not in schema or _TYPES[schema["type"]](value), f"{where}: {value!r} is no {schema['type']}"
    assert value in schema.get("enum", [value]), f"{where}: {value!r}"
    assert value == schema.get("const", value), f"{where}: {value!r}"
    if schema.get("format") == "date-time":
        assert datetime.fromisoformat(value).tzinfo, f"{where}: {value!r}"
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        assert not missing, f"{where}: {missing} missing"
        rest = schema.get("additionalProperties", {})
        for name, item in value.items():
            known = schema.get("properties", {}).get(name, rest)
            assert known is not False, f"{where}/{name} isn't documented"
            check_schema(document, {} if known is True else known, item, f"{where}/{name}")
    if isinstance(value, list):
        for at, item in enumerate(value):
            check_schema(document, schema.get("items", {}), item, f"{where}/{at}")


def _fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    try:
        check_schema(document, schema, value, "")
    except AssertionError:
        return False
    return True


_ENDING: list[threading.Thread] = []
"""Servers that were told to end, and look for that ten times a second."""


@pytest.fixture(scope="session", autouse=True)
def _ended() -> Iterator[None]:
    yield
    for thread in _ENDING:
        thread.join()


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """A busy machine is no hanging calendar server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("syncd.sync.look.PATIENCE", 60.0)
        yield


@contextmanager
def _served(services: Services) -> Iterator[str]:
    """Serve an installation on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(services)
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", proxy_headers=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            _ENDING.append(thread)


@contextmanager
def _opened(folder: Path, config: str = CONFIG) -> Iterator[House]:
    furnish(folder)
    (folder / "config.toml").write_text(config, encoding="utf-8")
    clock = Clock()
    services = open_services(load_config(folder / "config.toml", {}), clock=clock)
    remote = {"ada": MemoryAccount(), "bob": MemoryAccount()}
    for name in ("Work", "Private", "Shared"):
        remote["ada"].add_calendar(name)
    remote["bob"].add_calendar("Work")
    with _served(services) as url:
        house = House(services, clock, url, remote)
        services.open_provider = house._open
        yield house
        house.close()
    services.store.close()


@pytest.fixture
def empty_house(tmp_path: Path) -> Iterator[House]:
    """An installation whose calendars were never pulled."""
    with _opened(tmp_path) as house:
        yield house


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """As `house`, one for all tests of a file that change nothing in it."""
    with _opened(tmp_path_factory.mktemp("untouched")) as house:
        assert not house.pull().failures
        yield house


@pytest.fixture
def house(empty_house: House) -> House:
    """An installation whose calendars are pulled and empty, on Sunday 2026-11-22 at 12:00 UTC."""
    report = empty_house.pull()
    assert not report.failures
    return empty_house


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Callable[[str], House]]:
    """Open an installation as `house` is, with more at the end of its configuration."""
    with ExitStack() as opened:

        def open_with(more: str) -> House:
            house = opened.enter_context(_opened(tmp_path, CONFIG + more))
            assert not house.pull().failures
            return house

        yield open_with


@pytest.fixture
def problem_of() -> Callable[[requests.Response], dict[str, Any]]:
    """The problem document of an answer that must have a status and a code."""

    def read(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
        assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
        return dict(json.loads(answer.text))

    return read


@pytest.fixture
def make_twins(tmp_path: Path) -> Iterator[Callable[..., list[House]]]:
    """Makes installations that differ in a freelancer's set hours only."""
    with ExitStack() as stack:

        def make(*hours: str) -> list[House]:
            return [stack.enter_context(_twin(tmp_path / str(number), each)) for number, each in enumerate(hours)]

        yield make


@contextmanager
def _twin(folder: Path, hours: str) -> Iterator[House]:
    folder.mkdir()
    with _opened(folder, _TWIN.format(hours=hours)) as house:
        assert not house.pull().failures
        yield house


@pytest.fixture(scope="module")
def make_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], House]]:
    """Makes installations from whole configurations, for all tests of a file."""
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(_opened(tmp_path_factory.mktemp("made"), config))
