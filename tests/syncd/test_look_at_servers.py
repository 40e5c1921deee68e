"""The live look at real servers: few requests, shared by many, and no thread that waits for a server that hangs."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from providers import open_provider
from syncd.jobs.due import Order
from syncd.store.models import Consultation
from syncd.sync.look import Looked, look

VERIFIED = Looked(verified=True)


class Served:
    """A house whose one calendar is on a real server, seen through a gateway."""

    def __init__(self, house, gateway, server) -> None:
        self.house, self.gateway, self.server = house, gateway, server
        self.url = server.make_calendar("Work")
        house.services.open_provider = self.open
        house.shop = house.workshop(self.open)
        house.sync(Order(everything=True))
        house.later(minutes=1)
        with house.services.store.read() as session:
            self.consultation_id = session.scalars(select(Consultation.id)).one()

    def open(self, _kind, connection):
        server = self.server
        there = {"url": self.gateway.url, "username": server.username, "secret": server.password}
        return open_provider("caldav", replace(connection, **there, allow_private=True))

    def put(self, uid: str, start, minutes: float = 30) -> None:
        self.server.put(self.url, uid, self.house.ics(uid, start, minutes))

    def look(self, start) -> Looked:
        return look(self.house.services, self.consultation_id, start, start + timedelta(minutes=30))

    def requests_of(self, start) -> list[str]:
        """What a look, which is answered, asks the server."""
        self.gateway.seen.clear()
        assert self.look(start) == VERIFIED
        return [seen.method for seen in self.gateway.seen]


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine is no hanging server."""
    monkeypatch.setattr("syncd.sync.look.PATIENCE", 60.0)


def _served(make_house, gateway, server) -> Served:
    house = make_house(calendars=(), account='blocks = ["Work"]\ntarget = "Work"')
    return Served(house, gateway, server)


@pytest.fixture
def served(make_house, gateway, radicale):
    return _served(make_house, gateway, radicale)


@pytest.fixture(params=["radicale", "xandikos"])
def served_by(request, make_house, gateway_to):
    """The same by each of the servers there are."""
    server = request.getfixturevalue(request.param)
    return _served(make_house, gateway_to(server), server)


def wait_for(condition) -> None:
    turn = threading.Event()
    while not condition():
        turn.wait(0.005)


def test_a_look_is_one_request_and_one_more_for_what_changed(served, at):
    for number in range(120):
        served.put(f"known{number}", at(18, 1) + timedelta(hours=number))
    served.house.pull()
    assert served.requests_of(at(10, 1)) == ["REPORT"]
    served.put("new", at(10, 1))
    assert served.requests_of(at(10, 1)) == ["REPORT", "REPORT"]
    assert not served.house.is_listed(at(10, 1))


def test_what_a_look_found_is_what_the_pull_finds(served, at):
    served.put("moves", at(10, 1))
    served.house.pull()
    served.put("moves", at(12, 1))
    served.put("new", at(14, 1))
    assert served.look(at(12, 1)) == VERIFIED
    rows = served.house.rows()
    assert [served.house.is_listed(at(hour, 1)) for hour in (10, 12, 14)] == [True, False, False]
    served.house.sync()
    assert served.house.rows() == rows


def test_what_a_look_found_and_is_gone_before_the_pull_is_free_again(served_by, at):
    """A server that compares two states has nothing to tell of what came and went between them."""
    served_by.put("known", at(15, 1))
    served_by.house.pull()
    served_by.put("new", at(10, 1))
    assert served_by.look(at(10, 1)) == VERIFIED
    assert not served_by.house.is_listed(at(10, 1))
    served_by.server.delete(served_by.url, "new")
    served_by.house.sync()
    assert served_by.house.is_listed(at(10, 1))


def test_our_own_event_that_a_look_found_elsewhere_has_drifted_by_the_pull_that_follows(served, at):
    booking = served.house.book(at(10, 1))
    served.house.sync()
    served.house.pull()
    served.house.later(minutes=1)
    [(name, text)] = served.server.list(served.url).items()
    assert served.look(at(10, 1)) == VERIFIED
    served.server.put(served.url, name, text.replace("T100000Z", "T150000Z").replace("T103000Z", "T153000Z"))
    assert served.look(at(15, 1)) == VERIFIED
    assert not served.house.is_listed(at(15, 1))
    served.house.sync()
    assert served.house.booking(booking).event.state == "drifted"


def test_many_who_book_at_once_ask_the_server_twice(served, at):
    begun, gate = threading.Event(), threading.Event()

    def hold_back(_seen):
        begun.set()
        gate.wait()

    served.gateway.seen.clear()
    served.gateway.rule = hold_back
    results: list[Looked] = []
    starts = [at(9 + number / 4, 1) for number in range(32)]
    threads = [threading.Thread(target=lambda at: results.append(served.look(at)), args=(one,)) for one in starts]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    wait_for(lambda: sum(map(len, served.house.services.looker._waiting.values())) == 31)
    gate.set()
    for thread in threads:
        thread.join()
    assert results == [VERIFIED] * 32
    assert [seen.method for seen in served.gateway.seen] == ["REPORT", "REPORT"]


def test_no_thread_goes_on_waiting_for_a_server_that_hangs(served, at, monkeypatch):
    monkeypatch.setattr("syncd.sync.look.PATIENCE", 0.3)
    gate = threading.Event()
    served.gateway.rule = lambda _seen: gate.wait() and None
    assert served.look(at(10, 1)) == Looked(verified=False, closing=(served.house.calendar().id,))
    wait_for(lambda: served.house.services.looker._threads == 0)
    assert not gate.is_set()
    assert served.house.calendar().next_pull_at <= served.house.now
    gate.set()
