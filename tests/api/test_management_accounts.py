"""Accounts and calendars over HTTP: a real CalDAV server is asked, chosen from, pulled, written to, and forgotten."""

from __future__ import annotations

import contextlib
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from providers import open_provider
from syncd.daemon import open_workshop
from syncd.jobs.embedded import work_through
from syncd.management.freelancers import disconnect_removed
from syncd.store import leases
from syncd.store.access import Access, access_of, renew_access
from syncd.store.models import Account, BusySpan, Calendar, Event

GRACE = "/v1/freelancers/grace"
ACCOUNTS, CALENDARS = f"{GRACE}/accounts", f"{GRACE}/calendars"
WEEK = {day: ["09:00-12:00"] for day in ("monday", "tuesday", "wednesday")}
NINE, TEN = "2026-11-23T09:00:00+00:00", "2026-11-23T10:00:00+00:00"


class Person:
    """Grace, who has hours and an offer, and whoever manages her over HTTP."""

    def __init__(self, house, radicale):
        self.house, self.radicale = house, radicale
        house.services.open_provider = open_provider  # real ones: nothing of hers is in memory
        self.key = house.key("manage", "bookings:read", "bookings:write", freelancer=None)
        for path, body in [
            ("/v1/freelancers", {"handle": "grace", "time_zone": "UTC", "email": "grace@example.org"}),
            (f"{GRACE}/schedules", {"hours": WEEK}),
            (f"{GRACE}/consultations", {"slug": "talk", "minimum_notice_minutes": 0, "durations_minutes": [60]}),
        ]:
            assert house.post(path, body, token=self.key).status_code == 201
        self.allow_private(True)

    def allow_private(self, allowed):
        """What only the operator sets."""
        config = self.house.services.config
        daemon = config.daemon.model_copy(update={"allow_private_networks": allowed})
        self.house.services.config = config.model_copy(update={"daemon": daemon})

    def wish(self, **more):
        server = {"url": self.radicale.url, "username": self.radicale.username, "password": self.radicale.password}
        return {"provider": "caldav", **server} | more

    def connect(self, **more):
        answer = self.house.post(ACCOUNTS, self.wish(**more), token=self.key)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def call(self, method, path, body=None, **more):
        return self.house.call(method, path, json=body, token=self.key, **more)

    def calendars(self):
        return {c["name"]: c for c in self.call("GET", CALENDARS).json()["data"]}

    def work(self):
        """Do what is due at her accounts, as the daemon does; returns what was pulled."""
        shop = open_workshop(self.house.services, self.house._locks)
        with self.house.services.store.read() as session:
            mine = list(session.scalars(select(Account.id).where(Account.url.startswith("http://127"))))
            due = [account for account in leases.due_accounts(session, self.house.clock()) if account in mine]
        report = work_through(shop, due)
        assert not report.failures, report.failures
        return [pull.calendar for pull in report.pulls]

    def starts(self):
        return self.house.starts("grace/talk", end="2026-11-23", params={"time_zone": "UTC"})

    def busy(self, calendar, uid="event", hour=9):
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", "BEGIN:VEVENT", f"UID:{uid}"]
        lines += ["DTSTAMP:20260101T000000Z", f"DTSTART:20261123T{hour:02}0000Z", f"DTEND:20261123T{hour:02}3000Z"]
        self.radicale.put(calendar, uid, "\r\n".join([*lines, "SUMMARY:Dentist", "END:VEVENT", "END:VCALENDAR", ""]))


@pytest.fixture
def work(radicale):
    return radicale.make_calendar("Work", tz="UTC")


@pytest.fixture
def home(radicale):
    return radicale.make_calendar("Home", tz="UTC")


@pytest.fixture
def grace(house, radicale, work, home):
    """Someone with two calendars on a real server, none of them connected."""
    return Person(house, radicale)


@pytest.fixture
def database(house):
    """All bytes of the database."""

    def read():
        path = house.services.config.database_url.removeprefix("sqlite:///")
        return b"".join(Path(f"{path}{end}").read_bytes() for end in ("", "-wal"))

    return read


# Connecting


def test_a_connected_account_is_pulled_blocks_and_is_written_to(grace, work, home, database):
    grace.busy(work)
    grace.busy(home, "other", hour=11)
    made = grace.connect(name="dav", blocks=["Work"], target="Home")
    assert {c["name"]: (c["blocks"], c["target"]) for c in made["calendars"]} == {
        "Home": (False, True),
        "Work": (True, False),
    }
    assert (made["name"], made["state"], made["read_only"]) == ("dav", "ok", False)
    unknown = grace.house.get("/v1/grace/talk/slots", params={"start": "2026-11-23", "end": "2026-11-23"})
    assert unknown.status_code == 503, "nothing is known of it before the first pull"
    grace.work()
    assert NINE not in [start.replace("Z", "+00:00") for start in grace.starts()]
    booking = grace.house.book("2026-11-23T10:00:00Z", "grace/talk")
    grace.work()
    assert len(grace.radicale.list(home)) == 2
    shown = grace.call("GET", f"/v1/bookings/{booking['id']}").json()
    assert shown["calendar_event"]["state"] == "written"
    secret = grace.radicale.password
    texts = [grace.call("GET", f"{ACCOUNTS}/{made['id']}").text, grace.call("GET", ACCOUNTS).text]
    assert not any(secret in text or "password" in text for text in texts)
    assert secret.encode() not in database()


def test_an_account_is_connected_once_for_an_idempotency_key(grace, gateway):
    wish = grace.wish(url=gateway.url)
    first = grace.call("POST", ACCOUNTS, wish, headers={"Idempotency-Key": "one"})
    asked = len(gateway.seen)
    again = grace.call("POST", ACCOUNTS, wish, headers={"Idempotency-Key": "one"})
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert len(gateway.seen) == asked
    assert first.headers["Location"] == f"{ACCOUNTS}/{first.json()['id']}"


def test_a_feed_is_connected_and_shows_only_its_host(grace, work):
    made = grace.connect(provider="ics", url=work, name="feed")
    assert (made["url"], made["sync_every_seconds"]) == (f"{grace.radicale.url}…", 900)
    assert [c["blocks"] for c in made["calendars"]] == [True]


def test_what_stands_in_the_way_is_told_by_its_member_and_nothing_is_kept(grace, problem_of):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        closed = taken.getsockname()[1]
    for change, pointer, told in [
        ({"password": "wrong"}, "/password", "refuses"),
        ({"blocks": ["Work", "Holidays"]}, "/blocks/1", "right would be one of"),
        ({"target": "Nope"}, "/target", "right would be one of"),
        ({"url": ""}, "/url", "is missing"),
        ({"url": "dav.example"}, "/url", "http"),
        ({"url": "https://ada:secret@dav.example/"}, "/url", "without user name and password"),
        ({"provider": "google"}, "/url", "its owner signs in"),
        ({"provider": "microsoft"}, "/provider", "not supported by this version"),
        ({"provider": "fax"}, "/provider", "'caldav'"),
        ({"name": "My Calendar"}, "/name", "lower-case words"),
        ({"tentative": "maybe"}, "/tentative", "'busy'"),
        ({"sync_every_seconds": 0}, "/sync_every_seconds", "at least"),
        ({"allow_private": True}, "/allow_private", "is not known here"),
    ]:
        answer = grace.call("POST", ACCOUNTS, grace.wish(**change))
        found = {e["pointer"]: e["detail"] for e in problem_of(answer, 422, "invalid-request")["errors"]}
        assert told in found.get(pointer, ""), (change, found)
        assert "secret" not in answer.text
        assert grace.radicale.password not in answer.text
    gone = grace.call("POST", ACCOUNTS, grace.wish(url=f"http://127.0.0.1:{closed}/"))
    problem_of(gone, 502, "provider-unavailable")
    assert grace.call("GET", ACCOUNTS).json()["data"] == []


def test_a_private_network_is_the_operators_to_allow(grace, gateway, problem_of):
    grace.allow_private(False)
    for address in (gateway.url, gateway.url.replace("127.0.0.1", "localhost")):
        told = problem_of(grace.call("POST", ACCOUNTS, grace.wish(url=address)), 422, "invalid-request")
        assert (told["errors"][0]["pointer"], "operator" in told["detail"]) == ("/url", True)
        assert "127.0.0.1" not in told["detail"]
    assert gateway.seen == []


@pytest.mark.parametrize("whose", ["grace", "ada"])
def test_a_private_network_that_is_allowed_no_more_is_not_reached(grace, whose):
    path = f"/v1/freelancers/{whose}/accounts"
    made = grace.house.post(path, grace.wish(name="more"), token=grace.key).json()
    grace.work()
    grace.allow_private(False)
    grace.house.clock.forward(minutes=5)
    report = work_through(open_workshop(grace.house.services, grace.house._locks), [made["id"]])
    assert "private address" in str(report.failures[0][1])
    assert not report.pulls


def test_an_address_the_operator_allowed_allows_no_other(grace, gateway, radicale, problem_of):
    made = grace.connect()
    grace.allow_private(False)
    with grace.house.services.store.write() as session:  # as `syncd connect --allow-private` does
        session.execute(update(Account).where(Account.id == made["id"]).values(allow_private=True))
    path = f"{ACCOUNTS}/{made['id']}"
    renewed = grace.call("PATCH", path, {"password": radicale.password})
    assert renewed.status_code == 200, "it was allowed, and is where it was"
    moved = {"url": gateway.url, "password": radicale.password}
    refused = problem_of(grace.call("PATCH", path, moved), 422, "invalid-request")
    assert refused["errors"][0]["pointer"] == "/url"
    assert gateway.seen == []


def test_a_password_is_told_to_no_address_but_the_one_it_was_given_for(grace, gateway, radicale, problem_of):
    path = f"{ACCOUNTS}/{grace.connect()['id']}"
    refused = problem_of(grace.call("PATCH", path, {"url": gateway.url}), 422, "invalid-request")
    assert refused["errors"][0]["pointer"] == "/password"
    assert gateway.seen == []
    moved = grace.call("PATCH", path, {"url": gateway.url, "password": radicale.password}).json()
    assert (moved["url"], moved["state"]) == (gateway.url, "ok")


def test_a_name_is_taken_once(grace, problem_of):
    grace.connect(name="dav")
    problem_of(grace.call("POST", ACCOUNTS, grace.wish(name="dav")), 409, "wrong-state")
    told = problem_of(
        grace.house.post("/v1/freelancers/ada/accounts", grace.wish(name="home"), token=grace.key), 403, "read-only"
    )
    assert "home" in told["detail"]


def test_accounts_may_be_added_to_a_freelancer_of_the_file(grace):
    added = grace.house.post("/v1/freelancers/ada/accounts", grace.wish(name="more"), token=grace.key)
    assert added.status_code == 201, added.text
    names = [a["name"] for a in grace.call("GET", "/v1/freelancers/ada/accounts").json()["data"]]
    assert names == ["home", "more"]


# Changing


def test_a_changed_reading_of_events_makes_everything_read_again(grace):
    made = grace.connect(blocks=["Work"])
    grace.work()
    assert grace.work() == []
    path = f"{ACCOUNTS}/{made['id']}"
    changed = grace.call("PATCH", path, {"tentative": "free", "when_stale": "serve", "sync_every_seconds": 600}).json()
    assert (changed["tentative"], changed["when_stale"], changed["sync_every_seconds"]) == ("free", "serve", 600)
    assert grace.work() == ["Work"]
    usual = grace.call("PATCH", path, {"sync_every_seconds": None}).json()
    assert usual["sync_every_seconds"] == 120


def test_a_new_password_is_tried_before_it_takes_the_place_of_the_old(grace, problem_of):
    made = grace.connect()
    with grace.house.services.store.write() as session:
        session.execute(update(Account).where(Account.id == made["id"]).values(state="needs_reconnect"))
    path = f"{ACCOUNTS}/{made['id']}"
    told = problem_of(grace.call("POST", f"{path}/sync"), 409, "wrong-state")
    assert told["current_state"] == "needs_reconnect"
    refused = problem_of(grace.call("PATCH", path, {"password": "wrong"}), 422, "invalid-request")
    assert refused["errors"][0]["pointer"] == "/password"
    assert grace.call("GET", path).json()["state"] == "needs_reconnect"
    grace.call("PATCH", path, {"sync_every_seconds": 60, "blocks": ["Work", "Home"], "unanswered": "free"})
    renewed = grace.call("PATCH", path, {"password": grace.radicale.password}).json()
    assert (renewed["state"], renewed["id"]) == ("ok", made["id"])
    assert (renewed["sync_every_seconds"], renewed["blocks"], renewed["unanswered"]) == (60, ["Work", "Home"], "free")
    assert sorted(grace.work()) == ["Home", "Work"]


def test_what_is_changed_while_the_server_is_asked_is_not_undone(grace):
    path = f"{ACCOUNTS}/{grace.connect()['id']}"

    def change_meanwhile(kind, connection):
        grace.house.services.open_provider = open_provider
        assert grace.call("PATCH", path, {"blocks": ["Work"], "when_stale": "serve"}).status_code == 200
        return open_provider(kind, connection)

    grace.house.services.open_provider = change_meanwhile
    renewed = grace.call("PATCH", path, {"password": grace.radicale.password, "unanswered": "free"}).json()
    assert (renewed["blocks"], renewed["when_stale"], renewed["unanswered"]) == (["Work"], "serve", "free")


def test_of_two_who_give_an_account_an_access_the_second_is_told(grace, problem_of):
    made, services = grace.connect(), grace.house.services

    def renew_meanwhile(kind, connection):
        with services.store.write() as session:
            row = session.get_one(Account, made["id"])
            renew_access(row, services.vault, Access(row.url, row.username, "another"), services.clock())
        return open_provider(kind, connection)

    services.open_provider = renew_meanwhile
    asked = grace.call("PATCH", f"{ACCOUNTS}/{made['id']}", {"username": grace.radicale.username})
    problem_of(asked, 409, "wrong-state")
    with services.store.read() as session:
        assert access_of(session.get_one(Account, made["id"]), services.vault).secret == "another"


def test_a_sync_is_owed_at_once_and_done_by_the_worker(grace):
    made = grace.connect(blocks=["Work"])
    grace.work()
    nudged = []
    grace.house.services.nudge = lambda: nudged.append(1)
    for query, full in [("", False), ("?full", True), ("?full=true", True)]:
        assert grace.work() == []
        answer = grace.call("POST", f"{ACCOUNTS}/{made['id']}/sync{query}")
        assert (answer.status_code, answer.json()["id"]) == (202, made["id"])
        with grace.house.services.store.read() as session:
            row = session.scalars(select(Calendar).where(Calendar.blocks, Calendar.account_id == made["id"])).one()
            assert row.full_wanted is full
        assert grace.work() == ["Work"]
    assert len(nudged) == 3


def test_a_full_sync_believes_what_was_held_back(grace):
    made = grace.connect(blocks=["Work"])
    grace.work()
    now = grace.house.clock()
    with grace.house.services.store.write() as session:
        held = update(Calendar).where(Calendar.account_id == made["id"], Calendar.blocks)
        session.execute(held.values(held_back_at=now, held_back=["00"]))
    assert grace.call("POST", f"{ACCOUNTS}/{made['id']}/sync?full").status_code == 202
    with grace.house.services.store.read() as session:
        row = session.scalars(select(Calendar).where(Calendar.blocks, Calendar.account_id == made["id"])).one()
        assert row.held_back_at == now - timedelta(minutes=5)


def test_an_account_of_the_file_is_read_only_but_may_be_pulled(grace, problem_of):
    (home,) = grace.call("GET", "/v1/freelancers/ada/accounts").json()["data"]
    path = f"/v1/freelancers/ada/accounts/{home['id']}"
    for method, body in [("PATCH", {"blocks": []}), ("PATCH", {"password": "other"}), ("DELETE", None)]:
        problem_of(grace.call(method, path, body), 403, "read-only")
    (calendar,) = [c for c in grace.call("GET", "/v1/freelancers/ada/calendars").json()["data"] if c["name"] == "Work"]
    problem_of(
        grace.call("PATCH", f"/v1/freelancers/ada/calendars/{calendar['id']}", {"blocks": False}), 403, "read-only"
    )
    assert calendar["read_only"] is True
    assert grace.call("POST", f"{path}/sync").status_code == 202


# Calendars


def test_a_calendar_blocks_or_not_at_once(grace, work):
    grace.busy(work)
    grace.connect()
    grace.work()
    assert len(grace.starts()) == 7
    chosen = grace.calendars()
    path = f"{CALENDARS}/{chosen['Work']['id']}"
    assert grace.call("PATCH", path, {"blocks": False}).json()["blocks"] is False
    assert len(grace.starts()) == 9
    assert grace.calendars()["Home"]["blocks"] is True, "the others go on"
    assert grace.call("PATCH", path, {"blocks": True}).json()["blocks"] is True
    assert grace.call("GET", path).json()["blocks"] is True


def test_there_is_one_target_and_it_moves(grace, work, problem_of):
    grace.connect(name="one", target="Work")
    feed = grace.connect(name="feed", provider="ics", url=work)
    told = problem_of(grace.call("POST", ACCOUNTS, grace.wish(name="two", target="Home")), 422, "invalid-request")
    assert "one/Work takes consultations already" in told["detail"]
    two = grace.connect(name="two")
    (home,) = [c for c in two["calendars"] if c["name"] == "Home"]
    assert grace.call("PATCH", f"{CALENDARS}/{home['id']}", {"target": True}).json()["target"] is True
    targets = [(c["account"], c["name"]) for c in grace.call("GET", CALENDARS).json()["data"] if c["target"]]
    assert targets == [("two", "Home")]
    assert grace.call("GET", ACCOUNTS).json()["data"][1]["target"] == ""
    only_read = f"{CALENDARS}/{feed['calendars'][0]['id']}"
    refused = problem_of(grace.call("PATCH", only_read, {"target": True}), 422, "invalid-request")
    assert refused["errors"][0]["pointer"] == "/target"
    assert grace.call("PATCH", f"{CALENDARS}/{home['id']}", {"target": False}).json()["target"] is False


def test_a_consultation_may_name_calendars_that_are_there(grace, problem_of):
    grace.connect(name="dav", blocks=["Home"])
    grace.work()
    offer = f"{GRACE}/consultations/talk"
    for change, pointer, told in [
        ({"blocks": ["dav/Work", "dav/Nope"]}, "/blocks/1", "must name a calendar of dav"),
        ({"blocks": ["other/Work"]}, "/blocks/0", "(dav)"),
        ({"target": "dav/Nope"}, "/target", "must name a calendar of dav"),
    ]:
        found = problem_of(grace.call("PATCH", offer, change), 422, "invalid-request")["errors"]
        assert [(e["pointer"], told in e["detail"]) for e in found] == [(pointer, True)]
    assert grace.call("PATCH", offer, {"blocks": ["dav/Work"], "target": "dav/Work"}).status_code == 200
    assert grace.work() == ["Work"], "what is named is pulled"


# Disconnecting


def test_a_disconnected_account_leaves_nothing_behind_that_could_be_read(grace, work, problem_of, database):
    grace.busy(work)
    made = grace.connect()
    grace.work()
    assert len(grace.starts()) == 7
    answer = grace.call("DELETE", f"{ACCOUNTS}/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, {"id": made["id"], "name": "caldav", "owed": []})
    assert len(grace.starts()) == 9, "its calendars block no more"
    problem_of(grace.call("GET", f"{ACCOUNTS}/{made['id']}"), 404, "not-found")
    assert grace.call("GET", CALENDARS).json()["data"] == []
    assert grace.work() == []
    with grace.house.services.store.read() as session:
        row = session.get_one(Account, made["id"])
        assert (row.credential, row.url, row.username) == (None, "", "")
        mine = select(Calendar.id).where(Calendar.account_id == made["id"])
        for model in (Event, BusySpan):
            assert session.scalars(select(model.id).where(model.calendar_id.in_(mine))).all() == []
    again = grace.connect()
    assert (again["id"], again["state"]) == (made["id"], "ok")
    grace.work()
    assert len(grace.starts()) == 7


def test_what_is_owed_to_a_disconnected_account_is_named_and_done_when_it_is_back(grace, home):
    made = grace.connect(target="Home")
    grace.work()
    written = grace.house.book("2026-11-23T09:00:00Z", "grace/talk")
    grace.work()
    assert len(grace.radicale.list(home)) == 1
    assert grace.call("POST", f"/v1/bookings/{written['id']}/cancel", {}).status_code == 200
    owed = grace.call("DELETE", f"{ACCOUNTS}/{made['id']}").json()["owed"]
    assert owed == [{"booking": written["id"], "step": "remove"}]
    grace.work()
    assert len(grace.radicale.list(home)) == 1
    grace.connect(target="Home")
    grace.work()
    assert grace.radicale.list(home) == {}


def test_what_was_never_sent_goes_to_the_next_target(grace, home):
    made = grace.connect(name="one", target="Work")
    grace.work()
    booking = grace.house.book("2026-11-23T09:00:00Z", "grace/talk")
    assert grace.call("DELETE", f"{ACCOUNTS}/{made['id']}").json()["owed"] == []
    grace.connect(name="two", target="Home")
    grace.work()
    assert len(grace.radicale.list(home)) == 1
    shown = grace.call("GET", f"/v1/bookings/{booking['id']}").json()
    assert shown["calendar_event"]["state"] == "written"


def test_an_account_that_a_consultation_names_stays(grace, problem_of):
    made = grace.connect(name="dav")
    offer = f"{GRACE}/consultations/talk"
    assert grace.call("PATCH", offer, {"blocks": ["dav/Work"]}).status_code == 200
    told = problem_of(grace.call("DELETE", f"{ACCOUNTS}/{made['id']}"), 409, "wrong-state")
    assert "talk" in told["detail"]
    assert grace.call("PATCH", offer, {"blocks": []}).status_code == 200
    assert grace.call("DELETE", f"{ACCOUNTS}/{made['id']}").status_code == 200


def test_a_removed_freelancers_accounts_go_unless_a_booking_is_still_to_come(grace):
    made = grace.connect(name="one", target="Work")
    grace.connect(name="two", blocks=[])
    grace.work()
    grace.house.book("2026-11-23T09:00:00Z", "grace/talk")
    grace.work()
    assert grace.call("DELETE", GRACE).status_code == 204
    with grace.house.services.store.read() as session:
        rows = session.scalars(select(Account).where(Account.name.in_(["one", "two"]))).all()
        assert {row.name: (row.active, row.credential is None) for row in rows} == {
            "one": (True, False),
            "two": (False, True),
        }
        assert made["id"] in [row.id for row in rows]


def test_a_removed_freelancers_hold_is_confirmed_by_a_look_at_what_blocks(grace, work):
    grace.connect(name="one", blocks=["Work"])
    grace.work()
    hold = grace.house.book("2026-11-23T09:00:00Z", "grace/talk", hold_minutes=10)
    assert grace.call("DELETE", GRACE).status_code == 204
    grace.busy(work)
    refused = grace.house.post(f"/v1/bookings/{hold['id']}/confirm", token=hold["token"])
    assert (refused.status_code, refused.json()["code"]) == (409, "slot-taken")


def test_what_is_found_out_about_an_account_is_no_change_of_it(grace, problem_of):
    made = grace.connect(name="one", blocks=["Work"])
    path = f"{ACCOUNTS}/{made['id']}"
    before = grace.call("GET", path)
    grace.house.clock.forward(minutes=5)
    grace.work()
    after = grace.call("GET", path)
    assert after.json()["synced_at"] != before.json()["synced_at"]
    assert after.headers["ETag"] != before.headers["ETag"]
    known = {"If-Match": before.headers["ETag"]}
    assert grace.call("PATCH", path, {"tentative": "free"}, headers=known).status_code == 200
    problem_of(grace.call("PATCH", path, {"tentative": "busy"}, headers=known), 412, "revision-mismatch")


def test_a_removed_freelancers_account_goes_once_nothing_is_owed_to_it_or_to_come(grace):
    grace.connect(name="one", target="Work")
    grace.work()
    grace.house.book("2026-11-23T09:00:00Z", "grace/talk")
    assert grace.call("DELETE", GRACE).status_code == 204
    shown = []
    for hours in (0, 48):
        grace.house.clock.forward(hours=hours)
        if hours:
            grace.work()
        with grace.house.services.store.write() as session:
            disconnect_removed(session, grace.house.clock.now)
        with grace.house.services.store.read() as session:
            row = session.scalars(select(Account).where(Account.name == "one")).one()
            shown.append((row.active, row.credential is None, row.url == ""))
    assert shown == [(True, False, False), (False, True, True)]


def test_whoever_comes_back_without_their_calendars_offers_nothing_yet(grace, work):
    grace.busy(work)
    grace.connect(blocks=["Work"])
    grace.work()
    assert NINE not in grace.starts()
    assert grace.call("DELETE", GRACE).status_code == 204
    assert grace.call("POST", "/v1/freelancers", {"handle": "grace", "time_zone": "UTC"}).status_code == 201
    assert grace.starts() == []
    assert grace.call("GET", f"{GRACE}/consultations/talk").json()["active"] is False
