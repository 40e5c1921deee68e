"""Every request that `/openapi.json` allows, and many that it doesn't, played against the real server.

Three times for each operation: with a key that may do all, with the token of the booking, link or feed in question, and
with nothing. What has an id in its path is really there: a hold, a pending booking, one that took place and so on; the
database is set back before each request, so that every one meets the same world. No answer may be a fault, or of a
status, media type, header or schema that the document doesn't name.

The requests are the same in every run. `SYNCD_REQUESTS=500` plays that many for each of the three instead of a few.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from providers.errors import Unavailable
from providers.memory import MemoryAccount
from providers.model import Connection

REQUESTS = int(os.environ.get("SYNCD_REQUESTS", "10"))
COMMITTED = json.loads((Path(__file__).parents[2] / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = sorted(o["operationId"] for item in COMMITTED["paths"].values() for o in item.values())

CONFIG = """
[daemon]
public_url = "https://book.example"
stale_after = "10d"
[server]
rate_limits = { feed = "1000000/minute", booking = "1000000/minute" }
[freelancers.ada]
name = "Ada Lovelace"
email = "ada@example.org"
time_zone = "Europe/London"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-12:00", "13:00-17:00"]
tuesday = ["09:00-12:00", "13:00-17:00"]
wednesday = ["09:00-12:00"]
sunday = ["00:00-24:00"]
[freelancers.ada.consultations.intro]
durations = ["30m", "60m"]
minimum_notice = "0m"
location = "https://meet.example/{room}"
documents = ["meeting_summary"]
questions = [{ id = "goal", label = "What shall we achieve?" }]
[freelancers.ada.consultations.ask]
minimum_notice = "0m"
confirmation = "freelancer"
[freelancers.ada.consultations.secret]
visibility = "private"
minimum_notice = "0m"
price = { amount = "75.00", currency = "EUR" }
[freelancers.ada.accounts.home]
provider = "caldav"
url = "https://dav.example/ada"
blocks = ["Work", "Private"]
target = "Work"
"""

CREDENTIALS = ("key", "token", "nothing")
CLIENT = {"name": "Grace Hopper", "email": "grace@example.com"}
FREE = "2026-11-24T10:00:00+00:00"
BEGUN = "2026-11-22T12:50:00+00:00"
LONGEST_URL = 65_535
OURS = {"authorization", "host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"}
HEADERS_OF_ALL = {"content-length", "content-type", "date", "server", "cache-control"}
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# Which booking each operation succeeds with; the others take one that is to come.
BOOKING_OF = {
    **dict.fromkeys(("prolong_hold", "release_hold", "confirm_booking"), "held"),
    **dict.fromkeys(("approve_booking", "decline_booking"), "pending"),
    **dict.fromkeys(("report_attendance", "report_no_show", "complete_booking", "extend_booking"), "met"),
    "report_documents": "met",
    **dict.fromkeys(("dispute_booking", "decide_outcome"), "missed"),
}
QUERY_OF = {
    "list_slots": {"start": "2026-11-22", "end": "2026-11-29"},
    "explain_slot": {"at": FREE},
    "list_next": {"consultations": "ada/intro,ada/secret,bob/none"},
}
# What stands for the document's example where that can't be right in this world.
BODY_OF = {
    "report_attendance": {"who": "client", "joined_at": BEGUN},
    "report_documents": {"delivered_at": BEGUN},
    "dispute_booking": {"text": "Nobody was there.", "on_behalf_of": "client"},
    "connect_account": {
        "provider": "caldav",
        "name": "more",
        "url": "https://dav.example/dora",
        "username": "dora",
        "password": "secret",
        "target": "Work",
    },
    "update_account": {"password": "another"},
    "create_consultation": {"slug": "another", "durations_minutes": [30, 60]},
    "create_freelancer": {"handle": "eve", "time_zone": "UTC"},
    "simulate_slots": {"consultation": {"increment_minutes": 30}, "blocks": ["home/Work"]},
}


@dataclass(frozen=True)
class World:
    """An installation with something behind every path, and the credentials that open it."""

    house: Any
    operations: dict[str, Any]
    key: str
    feed_token: str
    link_token: str
    bookings: dict[str, dict[str, Any]]
    places: dict[str, str]
    managed: dict[str, str]
    kept: sqlite3.Connection

    def set_back(self) -> None:
        """Make the database as it was at first."""
        with closing(sqlite3.connect(_database(self.house))) as live:
            self.kept.backup(live)

    def places_of(self, operation: Any) -> dict[str, str]:
        """What really is behind the path of an operation, and lets it succeed."""
        if operation.path.startswith("/v1/freelancers"):
            return self.managed
        name = BOOKING_OF.get(operation.definition.raw["operationId"], "confirmed")
        return {**self.places, "booking_id": self.bookings[name]["id"]}

    def token_of(self, operation: Any, booking_id: object) -> str:
        """The token that opens a place."""
        if operation.path.endswith("/bookings.ics"):
            return self.feed_token
        return next((b["token"] for b in self.bookings.values() if b["id"] == booking_id), self.link_token)

    def ask(self, case: Any, credential: str = "key") -> Any:
        """Send a request with a credential, and hold its answer against the document."""
        self.set_back()
        token = {"key": self.key, "nothing": ""}.get(credential)
        if token is None:
            token = self.token_of(case.operation, (case.path_parameters or {}).get("booking_id"))
        case.headers = {n: v for n, v in (case.headers or {}).items() if n.lower() not in OURS}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = case.call(base_url=self.house.url, session=self.house.http, headers=headers)
        if len(answer.request.url) > LONGEST_URL:
            assert answer.status_code in (400, 422)  # the server's HTTP parser takes none so long
        else:
            case.validate_response(answer, checks=[*CHECKS, _no_fault, _no_other_headers])
        return answer


def _no_fault(_context: Any, response: Any, _case: Any) -> None:
    assert response.status_code != 500


def _no_other_headers(_context: Any, response: Any, case: Any) -> None:
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("headers", ())
    sent = {name.lower() for name in response.headers}
    assert sent <= HEADERS_OF_ALL | {name.lower() for name in described}, sent


def _database(house: Any) -> str:
    return str(house.services.store.engine.url.database)


@pytest.fixture(scope="module")
def world(make_house: Callable[[str], Any]) -> World:
    """Ada, who stands in the file, and Dora, who doesn't; on a Sunday at 13:20 UTC."""
    house = make_house(CONFIG)
    house.remote["dora"] = MemoryAccount()
    house.remote["dora"].add_calendar("Work")
    house.services.open_provider = _opener(house)
    assert not house.pull().failures
    key = house.key("slots:read", "bookings:read", "bookings:write", "manage", freelancer=None)
    make = _Maker(house, key)
    bookings = {"missed": make.booking("intro", "12:15"), "met": make.booking("intro", "12:45")}
    house.clock.set("2026-11-22T13:20:00+00:00")
    house.services.beat_at = house.clock.now
    bookings["held"] = make.booking("intro", "14:00", hold_minutes=15)
    bookings["pending"] = make.booking("ask", "15:00")
    bookings["confirmed"] = make.booking("intro", "16:00")
    bookings["cancelled"] = make.booking("intro", "17:00")
    make(f"/v1/bookings/{bookings['cancelled']['id']}/cancel", {})
    make(f"/v1/bookings/{bookings['missed']['id']}/no_show", {"absent": "freelancer", "on_behalf_of": "client"})
    link = make("/v1/ada/intro/links", {"uses": None})
    managed = _managed(make)
    ada = house.get("/v1/freelancers/ada", token=key).json()
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(sqlite3.connect(_database(house))) as live:
        live.backup(kept)
    schema = schemathesis.openapi.from_dict(house.document)
    operations = {result.ok().definition.raw["operationId"]: result.ok() for result in schema.get_all_operations()}
    places = {"handle": "ada", "slug": "intro", "link_id": link["id"]}
    feed_token = ada["bookings_feed"].partition("?token=")[2]
    return World(house, operations, key, feed_token, link["token"], bookings, places, managed, kept)


def _opener(house: Any) -> Callable[[str, Connection], Any]:
    """Opens what is there; every other server can't be reached."""
    there = house.services.open_provider

    def open_provider(kind: str, connection: Connection) -> Any:
        if connection.url.rpartition("/")[2] not in house.remote:
            raise Unavailable("nobody answers")
        return there(kind, connection)

    return open_provider


@dataclass(frozen=True)
class _Maker:
    """Makes what a world needs, over HTTP."""

    house: Any
    key: str

    def __call__(self, path: str, body: object) -> Any:
        answer = self.house.post(path, body, token=self.key)
        assert answer.ok, answer.text
        return answer.json()

    def booking(self, slug: str, at: str, **more: object) -> Any:
        start = f"2026-11-22T{at}:00Z"
        return self(f"/v1/ada/{slug}/bookings", {"start": start, "client": CLIENT, **_sides(slug), **more})


def _sides(slug: str) -> dict[str, str]:
    return {"on_behalf_of": "client"} if slug == "ask" else {}


def _managed(make: _Maker) -> dict[str, str]:
    """A freelancer who isn't in the file, with one of everything that can be managed."""
    here = "/v1/freelancers/dora"
    make("/v1/freelancers", {"handle": "dora", "time_zone": "Europe/Berlin"})
    make(f"{here}/schedules", {"name": "default", "hours": {"monday": ["09:00-17:00"]}})
    make(f"{here}/schedules", {"name": "spare"})
    make(f"{here}/consultations", {"slug": "talk"})
    account = make(f"{here}/accounts", {"provider": "caldav", "name": "home", "url": "https://dav.example/dora"})
    calendar_id = account["calendars"][0]["id"]
    key_id = make(f"{here}/keys", {"scopes": ["slots:read"]})["id"]
    ids = {"account_id": account["id"], "calendar_id": calendar_id, "key_id": key_id}
    return {"handle": "dora", "slug": "talk", "name": "spare", **ids}


def _as_shown(world: World, name: str) -> Any:
    """The request that the document shows as an example of an operation."""
    operation = world.operations[name]
    raw = operation.definition.raw
    places, body = world.places_of(operation), BODY_OF.get(name, _example(world.house.document, raw))
    wanted = {p["name"]: places[p["name"]] for p in raw.get("parameters", []) if p["in"] == "path"}
    more = {} if body is None else {"body": body, "media_type": "application/json"}
    return operation.Case(path_parameters=wanted, query=QUERY_OF.get(name, {}), **more)


def _example(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    refs = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
    if not refs:
        return None
    return document["components"]["schemas"][refs[0].rpartition("/")[2]].get("examples", [{}])[0]


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_the_document_shows_succeeds(world, name):
    answer = world.ask(_as_shown(world, name))
    assert answer.status_code in (200, 201, 202, 204), answer.content


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_is_asked_gets_an_answer_of_the_document(world, name, credential):
    operation = world.operations[name]

    @settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(GenerationMode))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        _make_real(world, case, data)
        world.ask(case, credential)

    ask()


def _make_real(world: World, case: Any, data: st.DataObject) -> None:
    """Let a request mostly be about what is there, and sometimes about times that are free."""
    places = world.places_of(case.operation)
    usual = st.sampled_from([True, True, True, False])
    for name in case.path_parameters or {}:
        if data.draw(usual):
            case.path_parameters[name] = places[name]
    if "booking_id" in (case.path_parameters or {}) and data.draw(st.booleans()):
        case.path_parameters["booking_id"] = data.draw(st.sampled_from([b["id"] for b in world.bookings.values()]))
    if case.operation.path.startswith("/v1/{handle}/{slug}/") and data.draw(st.booleans()):
        case.path_parameters["slug"] = data.draw(st.sampled_from(["ask", "secret"]))
    if isinstance(case.body, dict):
        for name, at in (("start", FREE), ("joined_at", BEGUN), ("delivered_at", BEGUN)):
            if name in case.body and data.draw(st.booleans()):
                case.body[name] = at
