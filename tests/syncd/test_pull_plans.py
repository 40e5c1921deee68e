"""What a pull means, decided without touching anything: the fold of pages, the brake, drift, choice, what blocks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.model import ChangePage, Instance, RemoteCalendar, RemoteEvent, Unreadable
from syncd.outbox.plan import Place, plan_write, uid_of
from syncd.sync.busy import Choices, blocks, busy_spans
from syncd.sync.listing import plan_choice
from syncd.sync.plan import Brake, OwnEvent, plan_brake, plan_drift, plan_pull
from syncd.sync.staleness import Freshness, trust_of, unknown_account

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def event(remote_id: str, etag: str = '"1"') -> RemoteEvent:
    return RemoteEvent(remote_id, f"uid-{remote_id}", etag, f"skeleton of {remote_id} at {etag}")


def unreadable(remote_id: str, etag: str = '"1"', reason: str = "no start") -> Unreadable:
    return Unreadable(remote_id, etag, reason, f"uid-{remote_id}")


def page(*items: RemoteEvent | Unreadable, removed: tuple[str, ...] = ()) -> ChangePage:
    return ChangePage(
        changed=tuple(item for item in items if isinstance(item, RemoteEvent)),
        removed=removed,
        unreadable=tuple(item for item in items if isinstance(item, Unreadable)),
        complete=False,
    )


# The fold of pages


def test_pages_fold_to_the_last_word_on_every_resource():
    plan = plan_pull(
        {"a": '"1"', "b": '"1"', "c": '"1"'},
        [page(event("a"), event("b"), event("n")), page(event("a", '"2"'), removed=("b", "never-seen"))],
    )
    assert set(plan.upserts) == {event("a", '"2"'), event("n")}
    assert plan.removals == {"b"}
    assert plan.quarantine == {}


def test_what_is_removed_and_written_again_is_not_removed():
    plan = plan_pull({"a": '"1"'}, [page(removed=("a",)), page(event("a", '"2"'))])
    assert (plan.upserts, plan.removals) == ((event("a", '"2"'),), frozenset())


def test_an_unreadable_resource_is_neither_changed_nor_removed():
    plan = plan_pull({"a": '"1"'}, [page(event("a")), page(unreadable("a", '"2"'))])
    assert (plan.upserts, plan.removals) == ((), frozenset())
    assert plan.quarantine == {"a": (unreadable("a", '"2"'),)}


def test_a_resource_that_is_readable_in_part_is_changed_and_named():
    plan = plan_pull({}, [page(event("a"), unreadable("a"))])
    assert plan.upserts == (event("a"),)
    assert plan.quarantine == {"a": (unreadable("a"),)}


@pytest.mark.parametrize("last", [page(event("a", '"2"')), page(removed=("a",))])
def test_a_resource_leaves_quarantine_when_it_becomes_readable_or_is_removed(last):
    assert plan_pull({"a": '"0"'}, [page(unreadable("a")), last]).quarantine == {}


ITEMS = st.lists(
    st.one_of(
        st.builds(lambda name: ("changed", name), st.sampled_from("abcdefgh")),
        st.builds(lambda name: ("unreadable", name), st.sampled_from("abcdefgh")),
        st.builds(lambda name: ("in part", name), st.sampled_from("abcdefgh")),
        st.builds(lambda name: ("removed", name), st.sampled_from("abcdefgh")),
    ),
    unique_by=lambda item: item[1],
    max_size=8,
)


@given(items=ITEMS, data=st.data())
def test_any_order_and_repetition_of_pages_folds_to_the_same_set(items, data):
    made = {
        "changed": lambda name: page(event(name)),
        "unreadable": lambda name: page(unreadable(name), unreadable(name, reason="no end")),
        "in part": lambda name: page(event(name), unreadable(name)),
        "removed": lambda name: page(removed=(name,)),
    }
    known = dict.fromkeys("abcd", '"0"')
    pages = [made[kind](name) for kind, name in items]
    shuffled = data.draw(
        st.permutations(pages + data.draw(st.lists(st.sampled_from(pages), max_size=8) if pages else st.just([])))
    )
    plain, other = plan_pull(known, pages), plan_pull(known, shuffled)
    assert set(other.upserts) == set(plain.upserts)
    assert len(other.upserts) == len(plain.upserts)
    assert other.removals == plain.removals == {name for kind, name in items if kind == "removed" and name in known}
    assert other.quarantine == plain.quarantine


# The brake


def names(count: int, first: int = 0) -> set[str]:
    return {f"e{number}" for number in range(first, first + count)}


@pytest.mark.parametrize(
    ("future", "gone", "held"),
    [
        (names(9), names(9), None),  # fewer than ten pass, even if it is all there is
        (names(10), names(10), 10),
        (names(20), names(10), None),  # half is not more than half
        (names(19), names(10), 10),
        (names(100), names(50), None),
        (names(100), names(51), 51),
        (names(10), names(10) | names(90, 500), 10),  # only what blocks in future counts
        (names(10), names(9) | names(90, 500), None),
        (set(), names(50), None),
    ],
)
@pytest.mark.parametrize("full", [True, False])
def test_more_than_half_and_at_least_ten_future_busy_events_gone_are_held_back(future, gone, held, full):
    decided = plan_brake(future, gone, Brake(), full=full, accept=False, now=NOW)
    assert (len(decided.lost) if decided else None) == held


@pytest.mark.parametrize(
    ("waited", "full", "accept", "same", "held"),
    [
        (timedelta(minutes=5), True, False, True, False),
        (timedelta(minutes=4, seconds=59), True, False, True, True),
        (timedelta(minutes=5), False, False, True, True),  # tombstones don't confirm tombstones
        (timedelta(minutes=5), True, False, False, True),  # something else vanished
        (timedelta(hours=5), True, False, True, False),
        (timedelta(0), False, True, True, False),  # the owner accepts at once
        (timedelta(0), True, True, False, False),
    ],
)
def test_a_full_pull_that_agrees_five_minutes_later_is_taken(waited, full, accept, same, held):
    first = plan_brake(names(12), names(12), Brake(), full=False, accept=False, now=NOW)
    assert first is not None
    gone = names(12) if same else names(13)
    known = Brake(held_back_at=NOW, lost=first.lost)
    again = plan_brake(names(13), gone, known, full=full, accept=accept, now=NOW + waited)
    assert (again is not None) == held


# Drift of the written event

BOOKED, WRITTEN, ELSEWHERE = (1000, 2000), (5000, 6000), (9000, 10_000)


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ((BOOKED,), None),
        ((WRITTEN,), None),  # a reschedule whose write is still owed is no drift
        ((ELSEWHERE,), "moved"),
        (((1000, 2600),), "moved"),  # made longer
        ((BOOKED, ELSEWHERE), "moved"),  # made recurring
        ((BOOKED, WRITTEN), "moved"),
        ((), "cancelled"),
        (None, "deleted"),
    ],
)
def test_drift_is_what_we_did_not_write_ourselves(seen, kind):
    drift = plan_drift(OwnEvent("bkg_a", "r", frozenset({BOOKED, WRITTEN})), seen)
    assert (drift["kind"] if drift else None) == kind


# Which calendars

HOME = RemoteCalendar("https://dav.example/ada/home/", "Home")
WORK = RemoteCalendar("https://dav.example/ada/work/", "Work")
TWIN = RemoteCalendar("https://dav.example/ada/second/", "Work")


@pytest.mark.parametrize(
    ("blocking", "target", "expected"),
    [
        (["*"], "", ({HOME, WORK, TWIN}, None, ())),
        (["Home"], "Work", ({HOME}, WORK, ())),
        ([WORK.remote_id], "home", ({WORK}, HOME, ())),
        (["second"], "", ({TWIN}, None, ())),
        (["Work"], "", ({WORK, TWIN}, None, ())),  # of two calendars of that name none is left open
        (["Home", "Holidays"], "", ({HOME}, None, ("Holidays",))),
        (["*"], "Gone", ({HOME, WORK, TWIN}, None, ("Gone",))),
        (["Gone"], "Gone", (set(), None, ("Gone",))),
        ([], "", (set(), None, ())),
    ],
)
def test_a_calendar_is_chosen_by_name_or_id_and_a_name_that_matches_nothing_is_missing(blocking, target, expected):
    choice = plan_choice([HOME, WORK, TWIN], blocking, target)
    chosen, written, missing = expected
    assert choice.blocks == {calendar.remote_id for calendar in chosen}
    assert choice.target == (written.remote_id if written else None)
    assert choice.missing == missing


# What a booking owes its calendar


@pytest.mark.parametrize(
    ("place", "wanted", "target", "step"),
    [
        (Place("cal_a", None, attempted=False), True, "cal_a", "create"),
        (Place("cal_a", None, attempted=True), True, "cal_a", "create"),  # the same id again: it can't be made twice
        (Place("cal_a", "r", attempted=True), True, "cal_a", "change"),
        (Place("cal_a", "r", attempted=True), False, "cal_a", "remove"),
        (Place("cal_a", None, attempted=True), False, "cal_a", "remove"),  # an answer may have been lost
        (Place("cal_a", None, attempted=False), False, "cal_a", "nothing"),
        (Place(None, None, attempted=False), True, None, "nothing"),
        (Place("cal_a", "r", attempted=True), True, "cal_b", "remove"),  # first gone, then made elsewhere
        (Place("cal_a", None, attempted=True), True, "cal_b", "remove"),
        (Place("cal_a", None, attempted=False), True, "cal_b", "create"),
        (Place("cal_a", "r", attempted=True), True, None, "remove"),
    ],
)
def test_a_booking_has_one_live_event_at_the_target_and_none_elsewhere(place, wanted, target, step):
    assert plan_write(place, wanted=wanted, target_id=target) == step


def test_another_generation_of_an_event_has_another_uid():
    assert uid_of("bkg_a", 1) != uid_of("bkg_a", 2)


# What blocks


def instance(**facts: object) -> Instance:
    plain = Instance(NOW, NOW + timedelta(hours=1), False, "OPAQUE", "CONFIRMED", None, None)
    return replace(plain, **facts)


ALWAYS, NEVER = {"busy": True, "free": True}, {"busy": False, "free": False}
CHOICE = {"busy": True, "free": False}

TABLE = [
    ({}, None, ALWAYS),
    ({"all_day": True}, None, ALWAYS),
    ({"partstat": "ACCEPTED"}, None, ALWAYS),
    ({"partstat": "DELEGATED"}, None, ALWAYS),
    ({"fb_type": "BUSY"}, None, ALWAYS),
    ({"fb_type": "BUSY_UNAVAILABLE"}, None, ALWAYS),
    ({"status": "CANCELLED"}, None, NEVER),
    ({"status": "CANCELLED", "partstat": "ACCEPTED"}, None, NEVER),
    ({"status": "CANCELLED", "fb_type": "WORKING_ELSEWHERE"}, "working_elsewhere", NEVER),
    ({"partstat": "DECLINED"}, None, NEVER),
    ({"partstat": "DECLINED", "status": "TENTATIVE"}, "tentative", NEVER),
    ({"transparency": "TRANSPARENT"}, None, NEVER),
    ({"transparency": "TRANSPARENT", "partstat": "NEEDS-ACTION"}, "unanswered", NEVER),
    ({"transparency": "TRANSPARENT", "status": "TENTATIVE"}, "tentative", NEVER),
    ({"fb_type": "FREE"}, None, NEVER),
    ({"fb_type": "WORKING_ELSEWHERE"}, "working_elsewhere", CHOICE),
    ({"fb_type": "WORKING_ELSEWHERE", "partstat": "NEEDS-ACTION"}, "working_elsewhere", CHOICE),
    ({"partstat": "NEEDS-ACTION"}, "unanswered", CHOICE),
    ({"partstat": "NEEDS-ACTION", "status": "TENTATIVE"}, "unanswered", CHOICE),
    ({"status": "TENTATIVE"}, "tentative", CHOICE),
    ({"partstat": "TENTATIVE"}, "tentative", CHOICE),
    ({"fb_type": "BUSY_TENTATIVE"}, "tentative", CHOICE),
]


@pytest.mark.parametrize(("facts", "asked", "expected"), TABLE, ids=lambda value: str(value))
def test_the_table_of_what_blocks_holds_whatever_the_other_choices_are(facts, asked, expected):
    names = ("tentative", "unanswered", "working_elsewhere")
    for values in itertools.product(("busy", "free"), repeat=3):
        choices = dict(zip(names, values, strict=True))
        value = choices[asked] if asked else "busy"
        assert blocks(instance(**facts), Choices(**choices)) is expected[value], choices


def test_spans_are_rounded_outwards_and_what_has_no_length_blocks_nothing():
    part = timedelta(milliseconds=400)
    odd = instance(start_at=NOW + part, end_at=NOW + timedelta(hours=1) + part)
    start = int(NOW.timestamp())
    assert busy_spans([odd, instance(end_at=NOW)], Choices()) == ((start, start + 3601),)
    assert busy_spans([instance(), instance()], Choices()) == ((start, start + 3600),)


# How far to trust

STALE_AFTER = timedelta(minutes=30)
RECONCILE = timedelta(hours=6)
FRESHNESS = Freshness(STALE_AFTER, RECONCILE)
INSTANT = timedelta(microseconds=1)
NEVER_TOLD = {"live_until_at": None, "notified_at": None}


def believed(**calendar: object) -> tuple[str, timedelta | None]:
    """A calendar's state now, and how long it stays known."""
    told = {"id": "cal_a", "held_back_at": None, "expanded_until_at": NOW, **NEVER_TOLD, **calendar}
    trust = trust_of(SimpleNamespace(**told), SimpleNamespace(state="ok", when_stale="close"), FRESHNESS, NOW)
    return trust.state, trust.stale_at and trust.stale_at - NOW


@pytest.mark.parametrize(
    ("pulled", "live", "left"),
    [
        (timedelta(), timedelta(days=7), RECONCILE + STALE_AFTER),
        (timedelta(hours=2), timedelta(days=7), timedelta(hours=4) + STALE_AFTER),
        (RECONCILE + STALE_AFTER, timedelta(days=7), timedelta()),
        (RECONCILE + STALE_AFTER + INSTANT, timedelta(days=7), None),
        (timedelta(), timedelta(hours=1), timedelta(hours=1) + STALE_AFTER),  # it ends, and nothing follows
        (timedelta(hours=5), -timedelta(), STALE_AFTER),
        (timedelta(hours=5), -STALE_AFTER, timedelta()),
        (timedelta(hours=5), -STALE_AFTER - INSTANT, None),
        (timedelta(minutes=5), -timedelta(days=1), STALE_AFTER - timedelta(minutes=5)),  # it ended long before
    ],
)
def test_a_live_channel_keeps_a_calendar_known_until_all_is_compared_again(pulled, live, left):
    found = believed(synced_at=NOW - pulled, live_until_at=NOW + live)
    assert found == ("stale" if left is None else "fresh", left)


@pytest.mark.parametrize(
    ("notified", "left"),
    [
        (timedelta(), STALE_AFTER),
        (STALE_AFTER, timedelta()),
        (STALE_AFTER + INSTANT, None),
        (timedelta(hours=2, seconds=1), None),
    ],
)
def test_a_change_that_was_told_of_and_is_not_pulled_makes_a_calendar_stale(notified, left):
    week = NOW + timedelta(days=7)
    found = believed(synced_at=NOW - timedelta(hours=2), live_until_at=week, notified_at=NOW - notified)
    assert found == ("stale" if left is None else "fresh", left)


@pytest.mark.parametrize(
    ("calendar", "account", "state"),
    [
        ({"synced_at": None}, {}, "never_pulled"),
        ({"synced_at": None}, {"state": "needs_reconnect"}, "never_pulled"),
        ({"synced_at": NOW}, {}, "fresh"),
        ({"synced_at": NOW - STALE_AFTER}, {}, "fresh"),
        ({"synced_at": NOW - STALE_AFTER - timedelta(microseconds=1)}, {}, "stale"),
        ({"synced_at": NOW}, {"state": "needs_reconnect"}, "stale"),
        ({"synced_at": NOW}, {"state": "failing"}, "fresh"),
        ({"synced_at": NOW, "held_back_at": NOW}, {}, "held_back"),
        ({"synced_at": NOW - 2 * STALE_AFTER, "held_back_at": NOW}, {}, "stale"),
        ({"synced_at": NOW, "expanded_until_at": None}, {}, "stale"),  # what its events mean was set otherwise
    ],
)
def test_a_calendar_is_trusted_by_its_last_successful_pull(calendar, account, state):
    row = SimpleNamespace(**{"id": "cal_a", "held_back_at": None, "expanded_until_at": NOW, **NEVER_TOLD, **calendar})
    trust = trust_of(row, SimpleNamespace(**{"state": "ok", "when_stale": "close", **account}), FRESHNESS, NOW)
    assert trust.state == state
    assert trust.is_known == (state in ("fresh", "held_back"))
    assert trust.stale_at == (calendar["synced_at"] + STALE_AFTER if trust.is_known else None)


@pytest.mark.parametrize(
    ("account", "unknown"),
    [
        ({"blocks": ["*"], "listed_at": None}, True),
        ({"blocks": [], "listed_at": None}, False),
        ({"blocks": ["Work"], "missing": ["Work"]}, True),
        ({"blocks": ["Home"], "missing": ["Work"]}, False),  # a missing target can't make the feed stale
        ({"blocks": ["Home"]}, False),
    ],
)
@pytest.mark.parametrize(("when_stale", "closes"), [("close", True), ("serve", False)])
def test_an_account_whose_blocking_calendars_are_not_known_stands_for_them(account, unknown, when_stale, closes):
    row = SimpleNamespace(**{"id": "acc_a", "missing": [], "listed_at": NOW, "when_stale": when_stale, **account})
    trust = unknown_account(row)
    assert (trust is not None) == unknown
    assert trust is None or (trust.state, trust.closes, trust.is_known) == ("never_pulled", closes, False)
