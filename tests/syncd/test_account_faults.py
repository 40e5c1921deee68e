"""What a failing account or calendar is asked again, when, and how often it is told (the retry table at work)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from providers.memory import MemoryProvider
from providers.model import Probe, RemoteCalendar
from syncd.jobs.due import Order
from syncd.services import open_services
from syncd.store import leases


def due(house) -> bool:
    with house.services.store.read() as session:
        return house.account_id in leases.due_accounts(session, house.now)


def warnings(logged) -> list[str]:
    return [line["event"] for line in logged() if line["level"] in ("warning", "error")]


@pytest.fixture
def pair(make_house):
    """A house with two calendars, both pulled."""
    house = make_house(calendars=("Home", "Work"))
    house.sync()
    house.later(minutes=3)
    return house


def test_an_unreachable_server_blocks_the_account_with_growing_pauses(pair):
    pauses = []
    for _ in range(6):
        pair.remote.fail_next(Unavailable("no route"))
        before = pair.remote.calls.total()
        assert pair.sync().failures
        assert pair.remote.calls.total() == before + 1  # the other calendar isn't asked either
        account = pair.account()
        assert (account.state, account.problem) == ("failing", "no route")
        pauses.append((account.blocked_until_at - pair.now).total_seconds())
        assert not due(pair)
        pair.now = account.blocked_until_at
        assert due(pair)
    for attempt, pause in enumerate(pauses, 1):
        longest = min(30 * 2**attempt, 900)
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("error", [RateLimited(retry_after=777), Unavailable(retry_after=777)], ids=["429", "503"])
def test_the_servers_own_word_on_when_to_come_again_is_kept(pair, error):
    pair.remote.fail_next(error)
    pair.sync()
    assert pair.account().blocked_until_at == pair.now + timedelta(seconds=777)
    pair.later(seconds=776)
    assert not due(pair)
    pair.later(seconds=1)
    assert due(pair)


@pytest.mark.parametrize(
    "error", [Unavailable("HTTP 500"), RateLimited(), PermissionDenied()], ids=["500", "429", "403"]
)
def test_a_server_that_fails_only_when_it_is_probed_is_pulled_all_the_same(make_house, at, error):
    class Unprobed(MemoryProvider):
        def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
            asked.append(calendar.name)
            raise error

    asked: list[str] = []
    house = make_house()
    house.put("visit", at(10, 1))
    house.shop = house.workshop(lambda _kind, connection: Unprobed.open(connection))
    assert house.sync().failures == []
    assert (len(house.rows()), house.account().state) == (1, "ok")
    house.later(minutes=50)
    house.sync()
    assert asked == ["Work"]
    house.later(minutes=20)
    house.sync()
    assert asked == ["Work", "Work"]


def test_an_account_that_answers_again_is_well_again(pair):
    pair.remote.fail_next(Unavailable())
    pair.sync()
    pair.later(minutes=2)
    pair.sync()
    account = pair.account()
    assert (account.state, account.problem, account.attempts, account.blocked_until_at) == ("ok", None, 0, None)
    assert {c["problem"] for c in pair.status()["calendars"]} == {None}


@pytest.mark.parametrize("error", [PermissionDenied("not yours"), NotFound("gone"), InvalidResponse("gibberish")])
def test_what_is_wrong_with_one_calendar_stops_that_one_alone(pair, error, logged):
    pair.remote.fail_next(error)
    report = pair.sync()
    assert len(report.pulls) == len(report.failures) == 1
    account = pair.account()
    assert (account.state, account.blocked_until_at) == ("failing", None)
    assert {c["problem"] for c in pair.status()["calendars"]} == {None, str(error)}
    assert warnings(logged) == ["a calendar fails"]
    pair.later(hours=1)
    assert len(pair.sync().pulls) == 2
    assert pair.account().state == "ok"


def test_a_calendar_at_which_the_server_always_fails_does_not_let_the_others_go_stale(pair):
    class Broken(MemoryProvider):
        def changes(self, calendar, *more):
            if calendar.name == "Home":
                raise Unavailable("HTTP 500")
            yield from super().changes(calendar, *more)

    pair.shop = pair.workshop(lambda _kind, connection: Broken.open(connection))
    for _ in range(6 * 60):
        pair.later(minutes=1)
        if due(pair):
            pair.sync()
        assert pair.now - pair.calendar("Work").synced_at < timedelta(minutes=30)
    assert pair.calendar("Home").problem == "HTTP 500"


def test_a_calendar_we_may_not_read_is_asked_hourly(pair):
    pair.remote.fail_next(PermissionDenied())
    pair.sync()
    pair.remote.calls.clear()
    start = pair.now
    while pair.now < start + timedelta(minutes=59):
        pair.later(minutes=1)
        pair.sync()
    denied = next(c for c in (pair.calendar("Home"), pair.calendar("Work")) if c.problem)
    assert denied.next_pull_at == start + timedelta(hours=1)
    assert denied.synced_at < start
    assert pair.remote.calls["changes"] > 20  # the other one went on


def test_a_failing_account_is_told_once_however_long_it_fails(pair, logged):
    for _ in range(5):
        pair.remote.fail_next(Unavailable())
        pair.sync()
        pair.later(minutes=20)
    assert warnings(logged) == ["the account fails"]


@pytest.mark.parametrize("when", ["listing", "pulling"])
def test_a_refused_password_is_one_warning_line_and_no_request_more(pair, logged, when):
    if when == "listing":
        pair.later(hours=7)
    pair.remote.secret = "changed at the provider"
    pair.remote.calls.clear()
    for _ in range(50):
        if due(pair):
            pair.sync()
        pair.later(hours=1)
    assert pair.status()["state"] == "needs_reconnect"
    assert pair.remote.calls.total() == 1
    assert warnings(logged) == ["the account must be reconnected"]


def test_a_sync_by_hand_tries_all_the_same(pair, logged):
    pair.remote.secret = "changed at the provider"
    pair.sync()
    for _ in range(3):
        assert isinstance(pair.pull().failures[0][1], GrantRevoked)
    assert warnings(logged) == ["the account must be reconnected"]
    pair.remote.secret = "open sesame"
    assert len(pair.pull().pulls) == 2
    assert (pair.account().state, pair.account().problem) == ("ok", None)
    assert pair.feed()
    pair.remote.secret = "changed again"
    pair.later(minutes=3)
    pair.sync()
    assert warnings(logged) == ["the account must be reconnected"] * 2  # a new transition, a new line


def test_a_changed_password_in_the_environment_revives_the_account_at_restart(pair):
    pair.remote.secret = "new"
    pair.sync()
    pair.services.store.close()
    again = open_services(pair.config(), clock=pair.clock)
    pair.services = again
    assert pair.account().state == "needs_reconnect"  # the old password is as wrong as before
    assert not due(pair)
    pair.services.store.close()
    pair.password = "new"
    pair.services = open_services(pair.config(), clock=pair.clock)
    pair.shop = pair.workshop()
    assert pair.account().state == "ok"
    assert due(pair)
    assert len(pair.sync().pulls) == 2
    assert pair.feed()


def test_nothing_is_removed_because_something_failed(pair, at):
    pair.put("lunch", at(12, 1))
    pair.sync()
    known = pair.rows()
    for error in (Unavailable(), RateLimited(), PermissionDenied(), NotFound(), InvalidResponse(), GrantRevoked()):
        pair.later(hours=2)
        pair.remote.fail_next(error)
        pair.pull()
        assert pair.rows() == known
    assert pair.calendar().generation


def test_an_account_being_blocked_keeps_its_writes(pair, at):
    booking = pair.book(at(12, 1))
    pair.remote.fail_next(RateLimited(retry_after=300))
    pair.sync()
    assert pair.booking(booking).event.state == "pending"
    pair.later(seconds=301)
    pair.sync()
    assert pair.booking(booking).event.state == "written"
    assert len(pair.remote.texts("Work")) == 1


def test_one_pass_does_not_wait_for_back_off_to_end(house, at):
    """As from cron: what failed the last time is tried, and what is owed goes with it."""
    booking = house.book(at(12, 1))
    house.later(minutes=3)
    for _ in ("the write", "the pull"):
        house.remote.fail_next(Unavailable())
    house.sync()
    assert house.account().state == "failing"
    house.sync()
    assert house.booking(booking).event.state == "pending"
    assert house.sync(Order(insist=True)).written == 1
    assert house.account().state == "ok"


def test_what_is_owed_is_written_as_soon_as_the_account_answers_again(house, at):
    booking = house.book(at(12, 1))
    for _ in range(4):
        house.remote.fail_next(Unavailable())
        house.sync(Order(everything=True))
    assert house.pull().written == 1
    assert house.booking(booking).event.state == "written"


def test_one_pass_after_another_fails_as_long_as_the_server_does(house):
    for _ in range(3):
        house.later(seconds=30)
        for _ in ("list", "pull"):
            house.remote.fail_next(Unavailable())
        house.later(minutes=3)
        assert house.sync(Order(insist=True)).failures


def test_a_calendar_that_fails_does_not_end_the_back_off_of_writes(pair, at):
    pair.remote.fail_next(NotFound("gone"))
    pair.sync()
    assert pair.account().state == "failing"
    pair.book(at(12, 1))
    pair.remote.fail_next(Unavailable())
    assert pair.sync().written == 0
    assert pair.sync().written == 0, "its pause isn't over"


@pytest.mark.parametrize("error", [Unavailable("HTTP 500"), RateLimited()])
def test_an_account_that_waits_for_a_person_goes_on_waiting_whatever_else_fails(pair, error):
    pair.remote.fail_next(GrantRevoked("HTTP 401"))
    pair.sync()
    assert (pair.account().state, pair.account().problem) == ("needs_reconnect", "HTTP 401")
    pair.remote.fail_next(error)
    pair.sync(Order(everything=True))
    assert (pair.account().state, pair.account().problem) == ("needs_reconnect", "HTTP 401")
    pair.sync(Order(everything=True))
    assert pair.account().state == "ok"
