"""Channels are opened, replaced without a gap and closed; what they tell is pulled, and they slow the pulls down."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

from providers.errors import GrantRevoked, NotFound, PermissionDenied, ProviderError, RateLimited, Unavailable
from providers.memory import MemoryProvider
from providers.model import Connection, RemoteCalendar, Watch
from syncd.doctor import machine
from syncd.errors import AvailabilityUnknown
from syncd.jobs.due import Order
from syncd.store import channels, copies, leases
from syncd.store.models import Calendar, Channel
from syncd.sync.watches import Message, Pace, hear, hooks_of, mark_of, next_pull_at, plan_watches

HOOKS = "https://book.example/hooks"
WEEK = timedelta(days=7)


class Telling(MemoryProvider):
    """A memory provider whose channels go by the house's clock; it remembers what was asked, and may fail at it."""

    house: Told

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
        told = self.house
        told.asked.append(("open", channel_id))
        told.fail()
        watch = super().watch(calendar, address, channel_id, token)
        told.after_watch(channel_id)
        return replace(watch, expires_at=told.house.now + told.life)

    def unwatch(self, watch: Watch) -> None:
        self.house.asked.append(("close", watch.channel_id))
        self.house.fail()
        super().unwatch(watch)


class Told:
    """A house that is told of changes, and the provider's side of it."""

    def __init__(self, house) -> None:
        self.house = house
        self.life = WEEK
        self.asked: list[tuple[str, str]] = []
        self.faults: list[ProviderError] = []
        self.after_watch: Callable[[str], None] = lambda channel_id: None
        self.use(HOOKS)

    def use(self, hooks: str) -> None:
        shop = self.house.workshop(self._open)
        self.house.shop = replace(shop, settings=replace(shop.settings, hooks=hooks))

    def _open(self, _kind: str, connection: Connection) -> Telling:
        provider = Telling.open(connection)
        assert isinstance(provider, Telling)
        provider.house = self
        return provider

    def fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    @property
    def open(self) -> list[str]:
        return list(self.house.remote.watches)

    def tell(self, channel_id: str, *, first: bool = False) -> str:
        """The provider's message, as the hook hands it on."""
        message = Message(channel_id, "resource-Work", is_first=first)
        return hear(self.house.services.store, message, self.house.now)

    def settle(self) -> str:
        """Let the first channel be opened, confirmed and relied on; return its id."""
        self.house.sync()
        [channel_id] = self.open
        self.house.later(seconds=5)
        self.tell(channel_id, first=True)
        self.house.later(minutes=3)
        self.house.sync()
        return channel_id

    def rows(self) -> dict[str, Channel]:
        with self.house.services.store.read() as session:
            return {row.id: row for row in session.scalars(select(Channel))}

    def due(self, hooks: str = HOOKS) -> bool:
        with self.house.services.store.read() as session:
            due = leases.due_accounts(session, self.house.now, mark=mark_of(hooks))
        return self.house.account_id in due

    def writes(self, act: Callable[[], object]) -> int:
        """How many transactions change something while that is done."""
        statements: list[str] = []

        def note(_connection, _cursor, statement, *_) -> None:
            statements.append(statement)

        engine = self.house.services.store.engine
        event.listen(engine, "before_cursor_execute", note)
        act()
        event.remove(engine, "before_cursor_execute", note)
        return sum(one.startswith("UPDATE calendars") for one in statements)


@pytest.fixture
def told(make_house) -> Told:
    return Told(make_house())


# Opened, replaced, closed


def test_a_channel_is_opened_once_for_a_calendar_that_is_pulled(told):
    for _ in range(5):
        told.house.sync()
        told.house.later(minutes=3)
    [channel_id] = told.open
    assert told.asked == [("open", channel_id)]
    watched = told.house.remote.watches[channel_id]
    assert (watched.calendar, watched.address) == ("Work", f"{HOOKS}/caldav")
    assert told.house.services.vault.is_channel_token(watched.token, channel_id)
    assert len(channel_id) <= 64
    assert told.rows()[channel_id].resource_id == "resource-Work"


def test_a_renewal_whose_answer_was_lost_keeps_nobody_busy(told):
    told.settle()
    told.house.later(days=6)
    told.faults = [Unavailable("503")]
    told.house.sync()
    told.house.later(seconds=1)
    assert not told.due()


def test_a_message_during_a_pull_that_outlasts_its_lease_is_not_lost(told):
    first = told.settle()
    told.house.later(minutes=10)
    assert told.tell(first) == "due"
    told.house.put("x", told.house.now + timedelta(days=1))

    def meanwhile() -> None:
        told.house.later(minutes=6)
        assert told.tell(first) == "due"
        told.house.after_each_page(lambda: None)

    told.house.after_each_page(meanwhile)
    told.house.sync()
    assert told.due()


@pytest.mark.parametrize("hooks", ["", hooks_of("http://book.example"), hooks_of("http://127.0.0.1:8480/")])
def test_no_channel_is_opened_where_there_is_no_https(told, hooks):
    told.use(hooks)
    told.house.sync()
    assert told.asked == []
    assert hooks_of("https://book.example/") == HOOKS


def test_a_calendar_that_shows_its_busy_times_only_has_no_channel(told):
    told.house.sync()
    [channel_id] = told.open
    with told.house.services.store.write() as session:
        session.scalars(select(Calendar)).one().role = "free_busy"
    assert told.due()
    told.house.sync()
    assert told.asked[-1] == ("close", channel_id)
    assert told.rows() == {}


def test_the_next_channel_is_opened_before_the_old_one_is_closed(told):
    first = told.settle()
    told.house.later(days=6)
    told.house.sync()
    [_, second] = told.open
    assert told.asked == [("open", first), ("open", second)]
    assert not told.due()
    assert told.tell(second, first=True) == "known"
    assert told.due()
    told.house.sync()
    assert told.asked[2:] == [("close", first)]
    assert told.open == list(told.rows()) == [second]
    assert not told.due()


def test_a_replacement_that_never_reaches_us_leaves_the_old_channel_its_whole_life(told):
    first = told.settle()
    told.house.later(days=6)
    told.house.sync()
    for _ in range(4):
        told.house.later(hours=5)
        told.house.sync()
    assert first in told.open
    assert told.house.calendar().live_until_at == told.rows()[first].expires_at
    told.house.later(hours=5)
    told.house.sync()
    assert first not in told.rows()
    assert not told.due()


def test_a_channel_of_a_calendar_that_is_not_pulled_any_more_is_closed(make_house):
    told = Told(make_house(calendars=("Work", "Home"), account='blocks = ["Work", "Home"]'))
    told.house.sync()
    assert {watched.calendar for watched in told.house.remote.watches.values()} == {"Work", "Home"}
    assert not told.due()
    told.house.apply(account='blocks = ["Work"]')
    assert told.due()
    told.house.sync()
    assert {watched.calendar for watched in told.house.remote.watches.values()} == {"Work"}
    assert len(told.rows()) == 1
    assert not told.due()


def test_channels_are_closed_where_there_is_no_https_any_more_and_the_calendar_is_pulled_at_once(told):
    told.settle()
    assert told.house.calendar().next_pull_at > told.house.now + timedelta(hours=5)
    assert not told.due()
    told.use("")
    assert told.due("")
    told.house.sync()
    assert (told.open, told.rows()) == ([], {})
    assert told.house.calendar().next_pull_at <= told.house.now
    told.house.sync()
    assert told.house.calendar().next_pull_at < told.house.now + timedelta(minutes=3)
    assert not told.due("")


def test_a_channel_to_an_address_that_was_ours_is_replaced(told):
    first = told.settle()
    elsewhere = hooks_of("https://elsewhere.example")
    told.use(elsewhere)
    assert told.due(elsewhere)
    told.house.sync()
    [second] = told.open
    assert second != first
    assert told.house.remote.watches[second].address == f"{elsewhere}/caldav"
    assert told.house.calendar().next_pull_at <= told.house.now


def test_closing_one_that_is_gone_is_fine(told):
    told.settle()
    told.use("")
    told.faults = [NotFound()]
    told.house.sync()
    assert told.rows() == {}


# Crashes and failures


class Killed(BaseException):
    pass


@pytest.mark.parametrize("heard", [True, False])
def test_a_crash_between_asking_for_a_channel_and_its_answer_leaves_none_unknown(told, heard):
    def crash(channel_id: str) -> None:
        told.after_watch = lambda channel_id: None
        raise Killed

    told.after_watch = crash
    with pytest.raises(Killed):
        told.house.sync()
    [lost] = told.open
    assert told.rows()[lost].resource_id is None
    told.house.sync()
    assert told.open == [lost]  # it may still be heard of
    if heard:
        told.tell(lost, first=True)
        assert told.rows()[lost].resource_id == "resource-Work"
        told.house.sync()
        [_, second] = told.open
        told.tell(second, first=True)
        told.house.sync()
        assert told.open == list(told.rows()) == [second]
    else:
        told.house.later(minutes=9)
        told.house.sync()
        assert told.asked == [("open", lost)]
        told.house.later(minutes=1)
        assert told.due()
        told.house.sync()
        assert lost not in told.rows()
        assert len(told.asked) == 2


def test_a_message_that_overtakes_the_answer_counts(told):
    told.after_watch = lambda channel_id: told.tell(channel_id, first=True) and None
    told.house.sync()
    told.house.later(minutes=3)
    told.house.sync()
    [channel_id] = told.open
    assert told.house.calendar().live_until_at == told.rows()[channel_id].expires_at
    assert len(told.asked) == 1


@pytest.mark.parametrize("error", [PermissionDenied(), Unavailable(), NotFound()])
def test_a_provider_that_opens_no_channel_makes_nothing_fail(told, error, at):
    told.faults = [error]
    report = told.house.sync()
    assert not report.failures
    assert (told.house.account().state, told.house.calendar().problem) == ("ok", None)
    assert not told.due()
    told.house.put("lunch", at(12, 1))
    told.house.later(minutes=3)
    told.house.sync()
    assert not told.house.is_listed(at(12, 1))


def test_a_provider_that_refuses_is_asked_again_after_a_day(told):
    told.faults = [PermissionDenied()]
    told.house.sync()
    for _ in range(23):
        told.house.later(hours=1)
        told.house.sync()
    assert (len(told.asked), told.rows()) == (1, {})
    told.house.later(hours=1)
    told.house.sync()
    assert (len(told.asked), len(told.open)) == (2, 1)


def test_one_that_fails_is_asked_ever_more_rarely(told):
    told.faults = [Unavailable() for _ in range(100)]
    tries = []
    for _ in range(16):
        told.house.sync()
        tries.append(told.house.now)
        told.house.now = told.house.calendar().next_watch_at or told.house.now
    assert len(told.asked) >= 8
    pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
    assert max(pauses[:4]) <= timedelta(minutes=10)
    assert timedelta(hours=1) <= max(pauses) <= timedelta(hours=6)
    told.faults = []
    told.house.later(hours=6)
    told.house.sync()
    assert told.house.calendar().watch_attempts == 0


@pytest.mark.parametrize(
    ("error", "state"), [(RateLimited(retry_after=90), "failing"), (GrantRevoked(), "needs_reconnect")]
)
def test_what_concerns_the_whole_account_is_noted_for_it(told, error, state):
    told.faults = [error]
    told.house.sync()
    assert told.house.account().state == state
    assert told.rows() == {}


def test_a_permission_that_ended_took_its_channels_along(told):
    first = told.settle()
    told.house.remote.secret = "changed"
    told.house.later(hours=6)
    told.house.sync()
    assert told.house.account().state == "needs_reconnect"
    assert told.house.calendar().live_until_at is None
    told.house.remote.secret = None
    with told.house.services.store.write() as session:
        session.scalars(select(Calendar)).one().account.state = "ok"
    told.house.sync(Order(everything=True))
    [second] = told.open
    assert second != first
    assert told.house.calendar().next_pull_at < told.house.now + timedelta(minutes=3)


def test_the_channels_of_a_database_that_was_put_back_are_replaced(told):
    first = told.settle()
    with told.house.services.store.write() as session:
        copies.distrust(session, told.house.now)
    told.house.sync()
    assert first not in told.open
    assert len(told.open) == 1
    assert told.house.calendar().live_until_at is None


# What is told


def test_a_change_that_is_told_is_pulled_at_once(told, at):
    channel_id = told.settle()
    told.house.put("lunch", at(12, 1))
    told.house.later(hours=1)
    assert not told.due()
    assert told.tell(channel_id) == "due"
    assert told.due()
    told.house.sync()
    assert not told.house.is_listed(at(12, 1))
    assert told.house.calendar().notified_at is None
    assert not told.due()


def test_a_burst_makes_one_pull_due_and_is_written_once(told):
    channel_id = told.settle()
    pulls = told.house.remote.calls["changes"]
    heard: list[str] = []
    writes = told.writes(lambda: heard.extend(told.tell(channel_id) for _ in range(200)))
    assert heard == ["due"] + ["known"] * 199
    assert writes == 1
    told.house.sync()
    told.house.sync()
    assert told.house.remote.calls["changes"] == pulls + 1


def test_a_change_that_is_told_during_a_pull_is_pulled_after_it(told, at):
    channel_id = told.settle()
    told.tell(channel_id)
    heard = []

    def change() -> None:
        if not heard:
            heard.append("")  # what this pull no longer sees
            told.house.put("lunch", at(12, 1))
            heard.extend(told.tell(channel_id) for _ in range(3))

    _after_each_page(told, change)
    told.house.sync()
    assert heard[1] == "due"
    assert told.house.is_listed(at(12, 1))
    assert told.house.calendar().notified_at is not None
    assert told.due()
    told.house.sync()
    assert not told.house.is_listed(at(12, 1))
    assert told.house.calendar().notified_at is None
    assert not told.due()


def test_a_channel_is_relied_on_from_the_first_pull_that_began_after_it_was_heard(told):
    told.house.sync()
    [channel_id] = told.open
    told.house.later(minutes=3)

    def confirm() -> None:
        told.house.later(seconds=1)
        told.tell(channel_id, first=True)

    _after_each_page(told, confirm)
    told.house.sync()
    assert told.house.calendar().live_until_at is None
    told.house.later(minutes=3)
    told.house.sync()
    assert told.house.calendar().live_until_at == told.rows()[channel_id].expires_at


def _after_each_page(told: Told, hook: Callable[[], None]) -> None:
    class Paging(Telling):
        def changes(self, *args, **more):
            for page in super().changes(*args, **more):
                yield page
                hook()

    def open_provider(_kind: str, connection: Connection) -> Paging:
        provider = Paging.open(connection)
        provider.house = told
        return provider

    told.house.shop = replace(told.house.shop, open_provider=open_provider)


def test_a_retired_channel_may_still_tell(told):
    first = told.settle()
    told.house.later(days=6)
    told.house.sync()
    with told.house.services.store.write() as session:
        session.get_one(Channel, first).retired = True
    assert told.tell(first) == "due"


def test_what_is_told_of_a_calendar_nobody_asks_about_is_nothing_new(told):
    channel_id = told.settle()
    with told.house.services.store.write() as session:
        calendar = session.scalars(select(Calendar)).one()
        calendar.blocks = calendar.target = calendar.named = False
    assert told.tell(channel_id) == "known"
    assert told.tell("another") == "unknown"


# Pace and trust


def test_a_calendar_with_a_live_channel_is_pulled_rarely(told):
    told.house.sync()
    [channel_id] = told.open
    told.house.later(seconds=5)
    told.tell(channel_id, first=True)
    assert told.house.calendar().next_pull_at < told.house.now + timedelta(minutes=3)
    told.house.later(minutes=3)
    told.house.sync()
    pace = told.house.calendar().next_pull_at - told.house.now
    assert timedelta(hours=5, minutes=24) <= pace <= timedelta(hours=6)
    assert told.house.status()["calendars"][0]["push"]


def test_a_channel_that_never_reached_us_changes_no_pace(told):
    told.house.sync()
    for _ in range(5):
        told.house.later(minutes=3)
        told.house.sync()
        assert told.house.calendar().next_pull_at < told.house.now + timedelta(minutes=3)
    assert not told.house.status()["calendars"][0]["push"]
    config = told.house.config().model_copy(
        update={"daemon": told.house.config().daemon.model_copy(update={"public_url": "https://book.example"})}
    )
    with told.house.services.store.read() as session:
        [_, silent] = machine.daemon(session, config, told.house.now, runs=True)
        told.tell(told.open[0], first=True)
    assert "changes of ada/home are to be told at https://book.example/hooks/, but nothing arrives" in silent.what
    with told.house.services.store.read() as session:
        assert len(list(machine.daemon(session, config, told.house.now, runs=True))) == 1


PACE = Pace(timedelta(minutes=2), timedelta(hours=6), 0.5)


@pytest.mark.parametrize(
    ("left", "pause"),
    [
        (None, timedelta(minutes=2)),
        (-timedelta(days=1), timedelta(minutes=2)),
        (timedelta(minutes=1), timedelta(minutes=2)),
        (timedelta(hours=2), timedelta(hours=2)),
        (WEEK, timedelta(hours=5, minutes=42)),
    ],
)
def test_the_next_pull_comes_by_the_end_of_the_channel(left, pause, monday):
    assert next_pull_at(left and monday + left, monday, PACE) - monday == pause


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_no_calendar_goes_stale_between_two_pulls(jitter, monday):
    assert next_pull_at(monday + WEEK, monday, replace(PACE, jitter=jitter)) <= monday + PACE.reconcile_every


def is_closed(house) -> bool:
    try:
        house.feed()
    except AvailabilityUnknown:
        return True
    return False


def test_a_lost_message_is_made_up_for_by_the_next_comparison(told, at):
    told.settle()
    told.house.put("lunch", at(12, 1))
    assert told.house.is_listed(at(12, 1))
    told.house.later(hours=6)
    assert told.due()
    assert not is_closed(told.house)
    told.house.sync()
    assert not told.house.is_listed(at(12, 1))


def test_a_calendar_with_a_live_channel_goes_stale_late(told):
    told.settle()
    told.house.feed()
    told.house.later(hours=6, minutes=30)
    assert not is_closed(told.house)
    told.house.later(seconds=1)
    assert is_closed(told.house)


def test_a_change_that_was_told_and_is_not_pulled_closes_also_what_was_kept(told):
    channel_id = told.settle()
    told.house.later(hours=5)
    told.house.pull()
    told.house.later(hours=5)  # it is evening: nothing else ends what is kept before morning
    told.house.feed()
    told.tell(channel_id)
    told.house.later(minutes=30)
    told.tell(channel_id)
    assert not is_closed(told.house)
    told.house.later(seconds=1)
    assert is_closed(told.house)
    told.house.sync()
    assert not is_closed(told.house)


def test_what_was_told_while_no_daemon_ran_is_not_relied_on(told):
    told.settle()
    told.house.later(hours=2)
    assert not told.due()
    with told.house.services.store.write() as session:
        channels.nobody_listened(session, told.house.now)
    assert is_closed(told.house)
    assert told.due()
    told.house.sync()
    assert not is_closed(told.house)
    assert told.house.calendar().next_pull_at > told.house.now + timedelta(hours=5)
    assert len(told.asked) == 1


# The plan


MARK = mark_of(HOOKS)
NOW = datetime.fromisoformat("2026-11-23T08:00:00+00:00")


def channel(name: str, age: timedelta, *, life: timedelta | None = WEEK, heard: bool = True, **more) -> Channel:
    made = NOW - age
    facts = {"resource_id": "r", "confirmed_at": made if heard else None, "retired": False, **more}
    return Channel(id=name + MARK, created_at=made, expires_at=life and made + life, **facts)


HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("found", "opens", "retire", "close", "drop", "next_in"),
    [
        ([], True, "", "", "", None),
        ([channel("a", HOUR)], False, "", "", "", timedelta(days=6) - HOUR),
        ([channel("a", timedelta(days=6))], True, "", "", "", timedelta(days=1)),
        ([channel("a", 47 * MINUTE, life=HOUR)], False, "", "", "", MINUTE),
        ([channel("a", 48 * MINUTE, life=HOUR)], True, "", "", "", 12 * MINUTE),
        ([channel("a", WEEK)], True, "", "", "a", None),
        ([channel("a", timedelta(days=6)), channel("b", HOUR)], False, "a", "a", "", timedelta(days=1)),
        ([channel("a", timedelta(days=6)), channel("b", HOUR, heard=False)], False, "", "", "", timedelta(days=1)),
        ([channel("a", 2 * HOUR, heard=False), channel("b", HOUR, heard=False)], False, "a", "a", "", None),
        ([channel("a", HOUR, retired=True)], True, "", "a", "", None),
        ([channel("a", MINUTE, life=None, resource_id=None, heard=False)], False, "", "", "", 9 * MINUTE),
        ([channel("a", 10 * MINUTE, life=None, resource_id=None, heard=False)], True, "", "", "a", None),
        ([channel("a", MINUTE, life=None)], True, "", "", "", None),
        ([channel("a", HOUR, life=None), channel("b", MINUTE)], False, "a", "a", "", None),
    ],
)
def test_what_is_due(found, opens, retire, close, drop, next_in):
    plan = plan_watches(found, NOW, MARK)
    named = [[one.removesuffix(MARK) for one in ids] for ids in (plan.retire, plan.close, plan.drop)]
    assert (plan.opens, named) == (opens, [list(retire), list(close), list(drop)])
    if next_in is not None:
        assert plan.next_at == NOW + next_in


def test_where_none_is_wanted_all_go():
    found = [channel("a", HOUR), channel("b", MINUTE, life=None, resource_id=None), channel("c", WEEK)]
    plan = plan_watches(found, NOW, "")
    assert (plan.opens, plan.retire, plan.close) == (False, ("a" + MARK, "b" + MARK), ("a" + MARK,))
    assert plan.drop == ("c" + MARK,)
    assert plan_watches([], NOW, "").next_at is None
