"""The live look: what calendars say at the moment of a booking is in the store before it is decided (semantics 17)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from providers import memory
from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    Unavailable,
)
from providers.memory import MemoryProvider
from providers.model import Glance
from providers.model import Window as Span
from syncd.errors import SlotTaken
from syncd.jobs.account import work_account
from syncd.jobs.due import Order
from syncd.store import pulls
from syncd.store.models import Account, Calendar, Consultation
from syncd.sync.glance import look_at
from syncd.sync.look import NOT_LOOKED, Looked, look

SECOND = """
[freelancers.ada.accounts.other]
provider = "caldav"
url = "{url}"
username = "ada"
password_env = "PASSWORD"
when_stale = "{when_stale}"
"""
VERIFIED = Looked(verified=True)


class WatchedProvider(MemoryProvider):
    """A memory provider that is watched while it looks: before it asks, and once it knows."""

    before: Callable[[], None]
    after: Callable[[], None]
    partial = False

    def look(self, calendars, window):
        self.before()
        found = super().look(calendars, window)
        self.after()
        return [Glance(g.calendar, g.events, g.unreadable, complete=False) for g in found] if self.partial else found


class Window:
    """How a house looks out, and what happens meanwhile; `looks` counts what its servers were asked."""

    def __init__(self, house) -> None:
        self.house = house
        self.nudges = 0
        self.before = self.after = lambda: None
        self.partial = False
        house.services.open_provider = self.open
        house.services.nudge = self.nudged

    def open(self, _kind, connection) -> WatchedProvider:
        provider = WatchedProvider(memory.account(connection.url), connection)
        provider.before, provider.after, provider.partial = self.before, self.after, self.partial
        return provider

    def nudged(self) -> None:
        self.nudges += 1

    @property
    def looks(self) -> int:
        return self.house.remote.calls["look"]

    def __call__(self, start, minutes: float = 30, slug: str = "intro", **options) -> Looked:
        with self.house.services.store.read() as session:
            [found] = session.scalars(select(Consultation.id).where(Consultation.slug == slug))
        return look(self.house.services, found, start, start + timedelta(minutes=minutes), **options)


@pytest.fixture
def window_of():
    """Let a house look at its calendars in memory."""
    return Window


@pytest.fixture
def window(house):
    """The same for a house whose one calendar was pulled while it was empty, a while ago."""
    house.later(minutes=1)
    return Window(house)


def wait_for(condition) -> None:
    """Wait until something is so; a hanging test says that it never was."""
    turn = threading.Event()
    while not condition():
        turn.wait(0.005)


def due(house, name: str = "Work") -> bool:
    return house.calendar(name).next_pull_at <= house.now


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine is no hanging server."""
    monkeypatch.setattr("syncd.sync.look.PATIENCE", 60.0)
    monkeypatch.setattr("syncd.sync.look.SERVERS_PATIENCE", 60.0)


# What is found


def test_what_is_found_busy_closes_the_slot_and_the_feed_at_once(house, window, at):
    assert house.is_listed(at(10, 1))
    house.put("new", at(10, 1), 30)
    assert window(at(10, 1)) == VERIFIED
    assert not house.is_listed(at(10, 1))
    assert house.is_listed(at(10.5, 1))
    with pytest.raises(SlotTaken) as refused:
        house.book(at(10, 1))
    assert refused.value.alternatives


def test_what_is_found_makes_the_next_pull_due_and_leaves_the_sync_token(house, window, at):
    token, synced_at = house.calendar().sync_token, house.calendar().synced_at
    house.put("new", at(10, 1))
    assert not due(house)
    window(at(10, 1))
    assert due(house)
    assert window.nudges == 1
    assert (house.calendar().sync_token, house.calendar().synced_at) == (token, synced_at)
    rows = house.rows()
    assert house.sync().pulls
    assert house.rows() == rows
    assert not due(house)


def test_a_look_that_finds_nothing_new_writes_nothing(house, window, at, span):
    house.put("known", at(12, 1))
    house.pull()
    version, due_at = house.version(), house.calendar().next_pull_at
    assert window(at(10, 1)) == VERIFIED
    house.put("known", at(12, 1), more="SUMMARY:Renamed")
    assert window(at(10, 1)) == VERIFIED
    assert (house.version(), house.calendar().next_pull_at, window.nudges) == (version, due_at, 0)
    assert house.rows() == {("known", *span(12, 60, 1))}


@pytest.mark.parametrize(
    "more",
    [
        "TRANSP:TRANSPARENT",
        "STATUS:CANCELLED",
        "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.org",
        "X-MICROSOFT-CDO-BUSYSTATUS:FREE",
    ],
)
def test_what_does_not_block_in_a_pull_does_not_in_a_look(house, window, at, more):
    house.put("new", at(10, 1), 30, more)
    assert window(at(10, 1)) == VERIFIED
    assert house.is_listed(at(10, 1))
    house.pull()
    assert house.is_listed(at(10, 1))


def test_an_instance_of_a_series_closes_its_slot_and_all_others_of_it(house, window, at):
    house.put("weekly", at(10, -6), 30, "RRULE:FREQ=WEEKLY")
    assert window(at(10, 1)) == VERIFIED
    assert not house.is_listed(at(10, 1))
    assert not house.is_listed(at(10, 8))
    rows = house.rows()
    house.pull()
    assert house.rows() == rows


def test_an_event_that_is_seen_elsewhere_has_moved_and_one_that_is_not_seen_stays(house, window, at):
    house.put("moves", at(10, 1), 30)
    house.put("goes", at(14, 1), 30)
    house.pull()
    house.put("moves", at(12, 1), 30)
    house.remote.remove("Work", "goes")
    assert window(at(10, 1)) == VERIFIED
    assert house.is_listed(at(10, 1))
    assert not house.is_listed(at(12, 1))
    assert not house.is_listed(at(14, 1))
    house.sync()
    assert house.is_listed(at(14, 1))


def test_what_can_not_be_understood_keeps_its_busy_time_and_is_named(house, window, at):
    house.put("odd", at(10, 1), 30)
    house.pull()
    house.remote.put("Work", "odd", house.broken("odd"))
    assert window(at(10, 1)) == VERIFIED
    assert not house.is_listed(at(10, 1))
    [(remote_id, named)] = house.quarantined()
    assert (remote_id, named["uid"]) == ("odd", "odd")
    version = house.version()
    assert window(at(10, 1)) == VERIFIED
    assert house.version() == version


def test_all_day_events_close_the_day_of_the_calendars_zone(make_house, window_of, at):
    house = make_house(calendars=())
    house.remote.add_calendar("Work", tz="Pacific/Auckland")
    house.sync()
    text = house.ics("day", at(0, 2)).replace("DTSTART:20261125T000000Z", "DTSTART;VALUE=DATE:20261125")
    house.remote.put("Work", "day", text.replace("DTEND:20261125T010000Z\r\n", ""))
    assert window_of(house)(at(12, 1)) == VERIFIED
    assert not house.is_listed(at(12, 1))  # that Tuesday is Wednesday there already
    assert house.is_listed(at(12, 2))


# Our own


def test_our_own_event_does_not_close_its_slot_whether_the_store_has_seen_it_or_not(house, window, at):
    booking = house.book(at(10, 1))
    assert house.sync(Order()).written
    assert window(at(10, 1)) == VERIFIED
    house.cancel(booking)
    assert window(at(10, 1)) == VERIFIED  # its event is there until that is written
    assert house.is_listed(at(10, 1))


def test_a_copy_of_our_event_in_a_second_calendar_does_not_close_the_slot_it_is_moved_in(make_house, window_of, at):
    house = make_house(calendars=("Home", "Work"))
    house.sync()
    booking = house.book(at(10, 1))
    house.sync()
    [text] = house.remote.texts("Work").values()
    house.remote.put("Home", "copy", text)
    house.later(minutes=1)
    assert window_of(house)(at(10.5, 1)) == VERIFIED
    assert ("copy", *_span(at(10, 1))) in house.rows("Home")
    house.reschedule(booking, at(10.5, 1))
    house.cancel(booking)
    assert house.is_listed(at(10, 1))


def test_our_event_where_someone_else_put_it_closes_that_slot_and_the_pull_that_follows_notes_it(house, window, at):
    booking = house.book(at(10, 1))
    house.sync()
    house.pull()
    house.later(minutes=1)
    [(key, text)] = house.remote.texts("Work").items()
    house.remote.put("Work", key, text.replace("T100000Z", "T150000Z").replace("T103000Z", "T153000Z"))
    assert window(at(15, 1)) == VERIFIED
    assert not house.is_listed(at(15, 1))
    assert house.booking(booking).event.state == "written"
    house.sync()
    assert house.booking(booking).event.state == "drifted"


def _span(start, minutes: int = 30) -> tuple[int, int]:
    return int(start.timestamp()), int(start.timestamp()) + 60 * minutes


# No answer


ERRORS = [Unavailable(), GrantRevoked(), PermissionDenied(), NotFound(), InvalidResponse()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("when_stale", ["close", "serve"])
def test_an_error_is_no_answer_changes_no_account_and_makes_the_pull_due(
    make_house, window_of, at, logged, error, when_stale
):
    house = make_house(account=f'when_stale = "{when_stale}"')
    house.sync()
    window = window_of(house)
    house.later(minutes=1)
    house.remote.fail_next(error)
    closing = (house.calendar().id,) if when_stale == "close" else ()
    assert window(at(10, 1)) == Looked(verified=False, closing=closing)
    assert (house.account().state, house.account().blocked_until_at) == ("ok", None)
    assert due(house)
    assert window.nudges == 1
    [line] = [line for line in logged() if line["event"] == "looked"]
    assert (line["level"], list(line["unanswered"])) == ("warning", [house.calendar().id])


def test_what_no_error_stands_for_is_no_answer_either(house, window, at, logged):
    def fails() -> None:
        raise LookupError

    window.before = fails
    assert not window(at(10, 1)).verified
    assert [line["exception"].splitlines()[-1] for line in logged() if line["event"] == "a look failed"] == [
        "LookupError"
    ]
    window.before = lambda: None
    assert window(at(10, 1)) == VERIFIED


def test_a_server_that_asked_to_wait_is_not_asked_by_looks_nor_by_pulls(house, window, at):
    house.remote.fail_next(RateLimited(retry_after=300))
    assert not window(at(10, 1)).verified
    calls = house.remote.calls.copy()
    house.later(minutes=4)
    assert window(at(10, 1)) == Looked(verified=False, closing=(house.calendar().id,))
    house.sync()
    assert house.remote.calls == calls
    house.later(minutes=2)
    assert window(at(10, 1)) == VERIFIED


def test_a_server_that_asked_a_pull_to_wait_is_not_asked_by_looks(house, window, at):
    house.remote.fail_next(RateLimited(retry_after=300))
    house.pull()
    assert not window(at(10, 1)).verified
    assert window.looks == 0


def test_a_server_that_failed_is_asked_though_its_pulls_wait(house, window, at):
    house.remote.fail_next(Unavailable())
    house.pull()
    assert house.account().blocked_until_at > house.now
    assert window(at(10, 1)) == VERIFIED
    assert house.account().state == "failing"


def test_an_account_that_waits_for_a_person_is_not_asked(house, window, at):
    house.remote.fail_next(GrantRevoked())
    house.pull()
    assert window(at(10, 1)) == Looked(verified=False, closing=(house.calendar().id,))
    assert window.looks == 0


def test_an_account_of_a_kind_without_an_adapter_gives_no_answer(house, window, at):
    with house.services.store.write() as session:
        session.scalars(select(Account)).one().provider = "microsoft"
    assert window(at(10, 1)) == Looked(verified=False, closing=(house.calendar().id,))


def test_a_calendar_that_nobody_has_seen_gives_no_answer(make_house, window_of, at):
    house = make_house(consultation='blocks = ["home/Work", "home/Attic"]')
    house.sync()
    looked = window_of(house)(at(10, 1))
    assert not looked.verified
    assert len(looked.closing) == 1


def test_where_nothing_blocks_all_is_verified(make_house, window_of, at):
    house = make_house(account='blocks = []\ntarget = "Work"')
    house.sync()
    window = window_of(house)
    assert window(at(10, 1)) == VERIFIED
    assert window.looks == 0


def test_only_calendars_that_block_this_consultation_are_asked(make_house, window_of, at):
    house = make_house(calendars=("Home", "Work"), consultation='blocks = ["home/Work"]')
    house.sync()
    house.put("elsewhere", at(10, 1), calendar="Home")
    window = window_of(house)
    assert window(at(10, 1)) == VERIFIED
    assert window.looks == 1
    assert house.rows("Home") == set()


def test_a_consultation_that_is_gone_is_not_looked_after(house, at):
    assert look(house.services, "con_none", at(10, 1), at(10.5, 1)) == NOT_LOOKED


def test_a_glance_at_a_part_counts_beside_a_pull_and_not_without_one(house, window, at):
    window.partial = True
    house.put("new", at(10, 1), 30)
    assert window(at(10, 1)) == VERIFIED
    assert not house.is_listed(at(10, 1))
    house.later(hours=1)
    house.put("newer", at(11, 1), 30)
    assert not window(at(11, 1)).verified
    assert ("newer", *_span(at(11, 1))) in house.rows()


def test_a_calendar_that_was_never_pulled_is_looked_at(make_house, window_of, at, span):
    house = make_house(account='when_stale = "serve"')
    house.remote.fail_next(Unavailable())
    house.sync()
    with house.services.store.write() as session:
        account = session.scalars(select(Account)).one()
        account.listed_at = house.now
        account.calendars.append(
            Calendar(id="cal_1", remote_id="Work", name="Work", can_write=True, blocks=True, target=False, named=False)
        )
        account.calendars[0].next_pull_at = house.now
    house.put("new", at(10, 1), 30)
    assert window_of(house)(at(10, 1)) == VERIFIED
    assert house.rows() == {("new", *span(10, 30, 1))}
    assert not house.is_listed(at(10, 1))
    house.later(minutes=2)
    house.pull()
    assert house.rows() == {("new", *span(10, 30, 1))}


# Servers that hang


@pytest.fixture
def gate(_patience, monkeypatch):
    """Something to hang at, and little patience; opened at the end, so that no thread is left."""
    monkeypatch.setattr("syncd.sync.look.PATIENCE", 0.3)
    gate = threading.Event()
    yield gate
    gate.set()


def test_a_look_comes_back_before_a_hanging_server_lets_go_and_its_answer_is_stored_all_the_same(
    house, window, at, gate
):
    house.put("new", at(10, 1), 30)
    window.after = gate.wait
    assert window(at(10, 1)) == Looked(verified=False, closing=(house.calendar().id,))
    assert not gate.is_set()
    assert house.is_listed(at(10, 1))
    gate.set()
    wait_for(lambda: not house.is_listed(at(10, 1)))


@pytest.mark.parametrize("when_stale", ["close", "serve"])
def test_one_account_hangs_and_what_another_says_is_stored(make_house, window_of, at, gate, when_stale):
    house = make_house(consultation='target = "home/Work"')
    second = memory.account(f"{house.url}second")
    second.add_calendar("Away")
    house.apply(account='target = "Work"' + SECOND.format(url=f"{house.url}second", when_stale=when_stale))
    with house.services.store.read() as session:
        accounts = session.scalars(select(Account.id)).all()
    for account_id in accounts:
        work_account(house.shop, account_id)
    window = window_of(house)
    opened = window.open

    def open_provider(kind, connection):
        provider = opened(kind, connection)
        if connection.url.endswith("second"):
            provider.before = gate.wait
        return provider

    house.services.open_provider = open_provider
    house.put("new", at(10, 1), 30)
    looked = window(at(10, 1))
    assert not looked.verified
    assert (house.calendar("Away").id in looked.closing) == (when_stale == "close")
    wait_for(lambda: not house.is_listed(at(10, 1)))
    assert not gate.is_set()


def test_a_look_that_hangs_keeps_one_thread_whoever_asks_meanwhile(house, window, at, gate):
    looking = lambda: [thread for thread in threading.enumerate() if thread.name == "look"]
    wait_for(lambda: not looking())
    window.before = gate.wait
    for _ in range(3):
        assert not window(at(10, 1)).verified
    assert len(looking()) == 1
    gate.set()
    wait_for(lambda: not looking())
    window.before = lambda: None
    assert window(at(10, 1)) == VERIFIED
    assert window.looks == 3  # the first, one for those who asked meanwhile, and this


# Many at once


def test_many_who_look_at_once_share_the_next_look(house, window, at):
    begun, gate = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        begun.release()
        gate.wait()

    window.before = wait
    results: list[Looked] = []
    starts = [at(9 + number / 4, 1) for number in range(32)]
    threads = [threading.Thread(target=lambda start: results.append(window(start)), args=(one,)) for one in starts]
    threads[0].start()
    begun.acquire()
    for thread in threads[1:]:
        thread.start()
    waiting = house.services.looker._waiting
    wait_for(lambda: sum(map(len, waiting.values())) == 31)
    house.put("new", at(10, 1), 30)  # the look that runs may be too early to see it, the next is not
    gate.set()
    for thread in threads:
        thread.join()
    assert results == [VERIFIED] * 32
    assert window.looks == 2
    assert not house.is_listed(at(10, 1))


def test_a_look_that_began_before_it_was_asked_for_does_not_count(house, window, at):
    known, gate = threading.Event(), threading.Event()

    def wait() -> None:
        known.set()
        gate.wait()

    window.after = wait
    first = threading.Thread(target=window, args=(at(10, 1),))
    first.start()
    known.wait()
    house.put("new", at(10, 1), 30)
    results: list[Looked] = []
    second = threading.Thread(target=lambda: results.append(window(at(10, 1))))
    second.start()
    wait_for(lambda: sum(map(len, house.services.looker._waiting.values())) == 1)
    gate.set()
    first.join()
    second.join()
    assert results == [VERIFIED]
    assert not house.is_listed(at(10, 1))


# Beside pulls


@pytest.mark.parametrize("order", [Order(), Order(full=True, everything=True)], ids=["changes", "full"])
def test_a_pull_that_read_before_the_look_never_undoes_what_it_found(house, window, at, order):
    """Else a booking that was made sure of by that look could be confirmed over what it found."""
    house.put("moves", at(10, 1), 30)
    house.later(minutes=5)

    def meanwhile() -> None:
        if not window.looks:
            house.later(seconds=1)
            house.put("moves", at(12, 1), 30)
            house.put("new", at(14, 1), 30)
            assert window(at(12, 1)) == VERIFIED
            assert not house.is_listed(at(12, 1))

    house.after_each_page(meanwhile)
    assert house.sync(order).pulls
    assert window.looks == 1
    assert [house.is_listed(at(hour, 1)) for hour in (10, 12, 14)] == [True, False, False]
    assert not due(house)


@pytest.mark.parametrize("order", [Order(), Order(full=True, everything=True)], ids=["changes", "full"])
def test_a_pull_that_looks_keep_overtaking_stores_nothing_and_is_tried_again(house, window, at, order):
    house.later(minutes=5)

    def meanwhile() -> None:
        house.put("new", at(9 + window.looks / 2, 1), 30)
        assert window(at(10, 1)) == VERIFIED
        assert house.rows() == {("new", *_span(at(9 + (window.looks - 1) / 2, 1)))}

    house.after_each_page(meanwhile)
    report = house.sync(order)
    assert [type(error) for _, error in report.failures] == [Unavailable]
    assert house.rows() == {("new", *_span(at(9 + (window.looks - 1) / 2, 1)))}
    house.after_each_page(lambda: None)
    house.later(minutes=5)
    assert house.sync().pulls
    assert house.account().state == "ok"


def test_a_look_of_another_process_whose_answer_is_older_never_undoes_what_a_later_one_found(house, window, at):
    house.put("moves", at(10, 1), 30)

    def meanwhile() -> None:
        if window.looks == 1:
            house.put("moves", at(12, 1), 30)
            around = Span(at(0, 1), at(0, 2))
            assert look_at(house.services, house.calendar().id, around, time.monotonic() + 60).answered

    window.after = meanwhile
    assert window(at(10, 1)) == VERIFIED
    assert window.looks == 3
    assert house.is_listed(at(10, 1))
    assert not house.is_listed(at(12, 1))


def test_a_series_that_a_look_found_moved_while_days_were_added_has_no_days_of_where_it_was(
    house, window, at, monkeypatch
):
    house.put("daily", at(10, 1), 30, "RRULE:FREQ=DAILY")
    house.pull()
    house.later(days=1)
    known = pulls.skeletons

    def and_then_looks(*arguments):
        found = known(*arguments)
        if not window.looks:
            house.put("daily", at(12, 1), 30, "RRULE:FREQ=DAILY")
            assert window(at(12, 3)) == VERIFIED
        return found

    monkeypatch.setattr(pulls, "skeletons", and_then_looks)
    house.sync()
    house.sync()
    assert window.looks == 1
    assert {start % 86400 for _, start, _ in house.rows()} == {12 * 3600}


def test_a_look_whose_answer_is_older_than_a_pull_that_was_stored_meanwhile_is_made_again(house, window, at):
    house.put("moves", at(10, 1), 30)

    def meanwhile() -> None:
        if window.looks == 1:
            house.put("moves", at(12, 1), 30)
            house.later(minutes=5)
            assert house.sync().pulls

    window.after = meanwhile
    assert window(at(10, 1)) == VERIFIED
    assert window.looks == 2
    assert house.is_listed(at(10, 1))
    assert not house.is_listed(at(12, 1))


def test_a_look_that_never_finds_a_quiet_moment_gives_no_answer(house, window, at):
    house.put("other", at(15, 1), 30)

    def meanwhile() -> None:
        house.later(minutes=5)
        house.put("other", at(15 + window.looks, 1), 30)
        assert house.sync().pulls

    window.before = lambda: house.put("new", at(10, 1), 30)
    window.after = lambda: (house.remote.remove("Work", "new"), meanwhile())
    assert not window(at(10, 1)).verified
    assert window.looks == 2
    assert house.is_listed(at(10, 1))


def test_a_changed_meaning_of_events_while_looking_is_gone_by(house, window, at):
    house.put("perhaps", at(10, 1), 30, "STATUS:TENTATIVE")

    def meanwhile() -> None:
        if window.looks == 1:
            house.apply(account='tentative = "free"')

    window.after = meanwhile
    assert window(at(10, 1)) == VERIFIED
    assert window.looks == 2
    assert house.rows() == set()


def test_an_account_that_another_took_the_place_of_is_not_filled_from_the_old_one(house, window, at):
    other = memory.account(f"{house.url}other")
    other.add_calendar("Work")

    def meanwhile() -> None:
        if window.looks == 1:
            text = (house.folder / "config.toml").read_text(encoding="utf-8")
            house.apply(text.replace(house.url, f"{house.url}other"))

    house.put("old", at(10, 1), 30)
    window.after = meanwhile
    assert not window(at(10, 1)).verified
    assert house.rows() == set()


@pytest.mark.parametrize("gone", [Account, Calendar], ids=["account", "calendar"])
def test_what_is_removed_while_it_is_looked_at_stays_removed(house, window, at, gone):
    house.put("new", at(10, 1), 30)

    def meanwhile() -> None:
        with house.services.store.write() as session:
            session.delete(session.scalars(select(gone)).one())

    window.after = meanwhile
    assert not window(at(10, 1)).verified
    assert window.looks == 1
    assert house.count(Calendar) == 0


# What is told


def test_a_look_is_one_line_in_the_log_and_nothing_personal_is_kept(house, window, at, logged):
    house.put("new", at(10, 1), 30, "SUMMARY:Xq1Dentist LOCATION:Xq1Clinic DESCRIPTION:Xq1Molar")
    house.remote.put("Work", "odd", house.broken("odd").replace("Dentist", "Xq1Broken"))
    assert window(at(10, 1)) == VERIFIED
    [line] = [line for line in logged() if line["logger"].startswith("syncd.sync")]
    assert (line["event"], line["level"], line["calendars"], line["changed"]) == ("looked", "info", 1, 2)
    assert "Xq1" not in str(logged())
    with suppress(ProviderError):
        house.pull()
    kept = b"".join(path.read_bytes() for path in house.folder.iterdir() if path.name.startswith("syncd.db"))
    assert b"odd" in kept
    assert b"Xq1" not in kept
