"""The live look at real servers: few requests, shared by many, and no thread that waits for a server that hangs.

Of a server that is slower than anyone waits, an answer that came too late is for who asks again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from providers import open_provider
from providers.model import Window
from syncd.booking.judging import check_answered
from syncd.errors import AvailabilityUnknown, SlotTaken
from syncd.jobs.due import Order
from syncd.store.models import Consultation
from syncd.sync.glance import look_at
from syncd.sync.look import Looked, look
from syncd.sync.looker import Looker

CHOSEN = 'blocks = ["Work"]\ntarget = "Work"'
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
    monkeypatch.setattr("syncd.sync.look.SERVERS_PATIENCE", 60.0)


def _served(make_house, gateway, server) -> Served:
    house = make_house(calendars=(), account=CHOSEN)
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
    monkeypatch.setattr("syncd.sync.look.SERVERS_PATIENCE", 0.6)
    gate = threading.Event()
    served.gateway.rule = lambda _seen: gate.wait() and None
    assert served.look(at(10, 1)) == Looked(verified=False, closing=(served.house.calendar().id,))
    wait_for(lambda: served.house.services.looker._threads == 0)
    assert not gate.is_set()
    assert served.house.calendar().next_pull_at <= served.house.now
    gate.set()


# Servers that answer too late


class Slow(Served):
    """The same with a server that says nothing before it is let, and nobody who waits long for it."""

    def __init__(self, house, gateway, server) -> None:
        super().__init__(house, gateway, server)
        self.gate = threading.Event()
        self.answer = None
        house.services.looker = Looker(remembered=3600)
        gateway.rule = self.hold_back

    def hold_back(self, _seen):
        self.gate.wait()
        return self.answer

    def let_answer(self, answer=None) -> None:
        """Let it answer all that it was asked, by `answer` where it would have said something else."""
        self.answer = answer
        self.gate.set()
        wait_for(lambda: self.house.services.looker._threads == 0)
        self.answer = None
        self.gate.clear()

    @property
    def refused(self) -> Looked:
        return Looked(verified=False, closing=(self.house.calendar().id,))


@pytest.fixture
def slow(make_house, gateway, radicale, monkeypatch):
    monkeypatch.setattr("syncd.sync.look.PATIENCE", 0.3)
    slow = Slow(make_house(calendars=(), account=CHOSEN), gateway, radicale)
    yield slow
    slow.let_answer()


def test_who_is_refused_for_a_slow_server_is_taken_when_asking_again_after_its_answer(slow, at):
    assert slow.look(at(10, 1)) == slow.refused
    with pytest.raises(AvailabilityUnknown) as refusal:
        check_answered(slow.refused)
    assert refusal.value.retry_after == 5
    slow.let_answer()
    slow.gateway.seen.clear()
    assert slow.look(at(10, 1)) == VERIFIED
    assert slow.look(at(11, 1)) == VERIFIED
    assert not slow.gate.is_set()
    assert [seen.method for seen in slow.gateway.seen] == ["REPORT"]  # it is asked anew, and that answer awaited


def test_what_a_late_answer_tells_is_busy_and_other_times_of_those_days_can_be_booked(slow, at):
    slow.put("new", at(10, 1))
    assert slow.look(at(10, 1)) == slow.refused
    assert slow.house.is_listed(at(10, 1))
    slow.let_answer()
    assert not slow.house.is_listed(at(10, 1))
    with pytest.raises(SlotTaken):
        slow.house.book(at(10, 1))
    assert slow.look(at(12, 1)) == VERIFIED


def test_a_late_answer_counts_beside_a_pull_that_began_after_it(slow, at):
    slow.put("new", at(10, 1))
    assert slow.look(at(10, 1)) == slow.refused
    slow.let_answer()
    slow.house.later(seconds=1)
    slow.gate.set()
    assert slow.house.sync().pulls
    slow.gate.clear()
    assert slow.look(at(12, 1)) == VERIFIED


def test_a_late_answer_of_an_account_that_was_changed_since_counts_for_nothing(slow, at):
    assert slow.look(at(10, 1)) == slow.refused
    slow.let_answer()
    slow.house.apply(account=f'{CHOSEN}\ntentative = "free"')
    assert slow.look(at(10, 1)) == slow.refused


def test_a_late_answer_that_was_followed_by_what_another_stored_counts_for_nothing(slow, at):
    assert slow.look(at(10, 1)) == slow.refused
    slow.let_answer()
    slow.put("new", at(10, 1))
    slow.gate.set()
    around = Window(at(0, 1), at(0, 2))
    assert look_at(slow.house.services, slow.house.calendar().id, around, time.monotonic() + 60).changed == 1
    slow.gate.clear()
    assert slow.look(at(12, 1)) == slow.refused


def test_a_late_answer_about_other_days_counts_for_nothing(slow, at):
    assert slow.look(at(10, 1)) == slow.refused
    slow.let_answer()
    assert slow.look(at(10, 8)) == slow.refused


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_a_late_error_counts_for_nothing_and_nor_does_what_was_said_before_it(slow, at, answer, status):
    assert slow.look(at(10, 1)) == slow.refused
    slow.let_answer(answer(status))
    assert slow.look(at(10, 1)) == slow.refused
    slow.let_answer()
    assert slow.look(at(10, 1)) == VERIFIED
    slow.let_answer(answer(status))
    assert slow.look(at(10, 1)) == slow.refused


def test_an_answer_in_time_is_none_for_later_when_the_server_hangs(slow, at, monkeypatch):
    slow.gate.set()
    with monkeypatch.context() as patch:
        patch.setattr("syncd.sync.look.PATIENCE", 60.0)
        assert slow.look(at(10, 1)) == VERIFIED
    slow.gate.clear()
    assert slow.look(at(10, 1)) == slow.refused
