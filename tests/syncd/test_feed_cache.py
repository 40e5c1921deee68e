"""A kept answer is what a fresh look would give, whatever happened since; a listed slot books and no other does."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from availability import explain
from providers.errors import Unavailable
from syncd.errors import AvailabilityUnknown, BookingError, NotOffered, SlotTaken
from syncd.feed import Feed, FeedQuestion
from syncd.jobs.due import Order
from syncd.situation import Situations
from syncd.store import offers, pulls
from syncd.store.models import LIVE_STATES, Booking
from syncd.sync.staleness import Freshness

HALF_HOUR = 1800


def ask(house, feed: Feed, days: int, form: str = "slots") -> tuple[object, str, str | None] | str:
    """What a feed says of the days from that Monday on, in which state, what comes next; or that it is unknown."""
    midnight = house.opening
    question = FeedQuestion(midnight, midnight + timedelta(days=days), 30, "Europe/London", form)
    with house.services.store.read() as session:
        offer = offers.find_offer(session, "ada", "intro")
        assert offer is not None
        try:
            answer = json.loads(feed.answer(session, offer, question, house.now).body)
        except AvailabilityUnknown:
            return "unknown"
    return answer[form], answer["meta"]["state"], answer["meta"]["next_slot"]


def compare(house) -> set[int]:
    """Check what is kept against a feed that never kept anything; returns the listed starts."""
    listed: set[int] = set()
    for days, form in ((12, "slots"), (2, "slots"), (12, "periods"), (0, "slots")):
        fresh = ask(house, Feed(Situations(house.services.situations.freshness)), days, form)
        assert ask(house, house.services.feed, days, form) == fresh
        if form == "slots" and fresh != "unknown":
            slots = [slot["start"] for slots in fresh[0].values() for slot in slots]
            listed |= {int(datetime.fromisoformat(slot).timestamp()) for slot in slots}
    return listed


def check_the_predicate(house, listed: set[int]) -> None:
    """Every start of the grid has no reason against it exactly if it is listed."""
    situation = house.situation()
    first = int(house.opening.timestamp())
    for start in range(first, first + 12 * 86_400, HALF_HOUR):
        assert (not explain(situation, HALF_HOUR, start)) == (start in listed), start


def live(house) -> list[Booking]:
    with house.services.store.read() as session:
        rows = session.query(Booking).where(Booking.state.in_(LIVE_STATES), Booking.starts_at > house.now)
        return rows.order_by(Booking.starts_at).all()


def try_to(action, *arguments) -> None:
    with contextlib.suppress(BookingError):
        action(*arguments)


class Life:
    """What may happen to a house, one step at a time; `number` picks which event, booking or start it happens to."""

    def __init__(self, house) -> None:
        self.house = house

    def start(self, number: int) -> datetime:
        return self.house.opening + timedelta(days=number % 5, hours=9, minutes=30 * (number % 16))

    def put(self, number: int) -> None:
        more = ("", "TRANSP:TRANSPARENT", "STATUS:TENTATIVE", "RRULE:FREQ=DAILY;COUNT=4")[number % 4]
        self.house.put(f"e{number % 6}", self.start(number * 7), 20 + number % 90, more)

    def spoil(self, number: int) -> None:
        self.house.remote.put("Work", f"e{number % 6}", self.house.broken(f"e{number % 6}"))

    def remove(self, number: int) -> None:
        names = sorted(self.house.remote.texts("Work"))
        if names:
            self.house.remote.remove("Work", names[number % len(names)])

    def sync(self, number: int) -> None:
        self.house.sync(Order(everything=bool(number % 3), full=number % 5 == 1))

    def fail(self, number: int) -> None:
        self.house.remote.fail_next(Unavailable())
        self.house.sync(Order(everything=True))

    def lock_out(self, number: int) -> None:
        self.house.remote.secret = None if self.house.remote.secret else "no one knows"
        self.house.sync()

    def book(self, number: int) -> None:
        try_to(self.house.book, self.start(number))

    def reschedule(self, number: int) -> None:
        if found := live(self.house):
            try_to(self.house.reschedule, found[number % len(found)].id, self.start(number * 3))

    def cancel(self, number: int) -> None:
        if found := live(self.house):
            self.house.cancel(found[number % len(found)].id)

    def wait(self, number: int) -> None:
        self.house.later(minutes=(1, 7, 29, 61, 600)[number % 5], seconds=number % 60)

    def configure(self, number: int) -> None:
        rules = ("", "buffer_before = '10m'", "daily_limit = 2", "buffer_after = '45m'", "weekly_limit = 3")[number % 5]
        choice = 'tentative = "free"' if number % 2 else 'when_stale = "serve"'
        self.house.apply(consultation=rules, account=f'target = "Work"\n{choice}')


STEPS = [name for name in vars(Life) if not name.startswith("_") and name != "start"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from([*STEPS, "sync", "book", "put"]), st.integers(0, 999)), max_size=25))
def test_whatever_happens_the_kept_feed_equals_a_fresh_look_and_the_predicate(make_house, monday, steps):
    house = make_house()
    house.opening = monday.replace(hour=0)
    house.sync()
    life = Life(house)
    compare(house)
    for name, number in steps:
        getattr(life, name)(number)
        check_the_predicate(house, compare(house))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(0, 999), min_size=3, max_size=8), choice=st.integers(0, 999))
def test_a_listed_slot_books_and_what_is_not_listed_is_refused(make_house, monday, numbers, choice):
    house = make_house()
    house.opening = monday.replace(hour=0)
    life = Life(house)
    for number in numbers:
        life.put(number)
    house.sync()
    for number in numbers:
        life.book(number)
    listed = sorted(compare(house))
    first = int(house.opening.timestamp())
    unlisted = [s for s in range(first, first + 10 * 86_400, HALF_HOUR) if s not in listed]
    for start in (unlisted[choice % len(unlisted)], unlisted[(choice * 7) % len(unlisted)]):
        with pytest.raises((NotOffered, SlotTaken)) as refused:
            house.book(datetime.fromtimestamp(start, monday.tzinfo))
        assert refused.value.reasons
        assert all(start in listed for start in refused.value.alternatives if start < first + 12 * 86_400)
    start = listed[choice % len(listed)]
    assert house.book(datetime.fromtimestamp(start, monday.tzinfo))
    assert start not in compare(house)


# One kind of change after the other, so that a fault is named


@pytest.fixture
def open_house(house, monday):
    house.opening = monday.replace(hour=0)
    house.put("lunch", monday.replace(hour=12) + timedelta(days=1))
    house.pull()
    compare(house)
    return house


def test_an_answer_is_kept_as_long_as_nothing_changes(open_house):
    house = open_house
    house.later(seconds=1)  # past the instant at which nine o'clock is exactly its notice away
    question = FeedQuestion(house.opening, house.opening + timedelta(days=3), 30, "UTC")
    with house.services.store.read() as session:
        offer = offers.find_offer(session, "ada", "intro")
        first = house.services.feed.answer(session, offer, question, house.now)
        assert house.services.feed.answer(session, offer, question, house.now).body is first.body


def test_an_answer_ends_when_a_slot_comes_inside_the_notice(open_house, at):
    house = open_house
    assert house.is_listed(at(9))
    valid_until = datetime.fromisoformat(house.answer(days=1)["meta"]["valid_until"])
    assert valid_until == at(8)  # nine o'clock is exactly its notice away then, and inside it a moment later
    house.now = valid_until
    assert house.is_listed(at(9))
    house.now += timedelta(microseconds=1)
    assert not house.is_listed(at(9))
    compare(house)


def test_an_answer_ends_when_a_slot_enters_the_horizon(open_house, at):
    house = open_house
    house.now = at(9, 1)
    house.sync()
    assert house.feed(at(0, 21), 1) == []  # nine o'clock is exactly the horizon away: not within it yet
    valid_until = datetime.fromisoformat(house.answer(at(0, 21), 1)["meta"]["valid_until"])
    assert valid_until == at(9, 1)
    house.now = valid_until + timedelta(microseconds=1)
    assert house.feed(at(0, 21), 1) == [at(9, 21).isoformat()]
    compare(house)


def test_an_answer_ends_when_a_hold_does(open_house, at):
    house = open_house
    booking = house.book(at(14, 1))
    with house.services.store.write() as session:
        held = session.get_one(Booking, booking)
        held.state, held.hold_expires_at = "held", house.now + timedelta(minutes=4)
        session.get_one(type(held.freelancer), held.freelancer_id).availability_version += 1
    assert not house.is_listed(at(14, 1))
    house.later(minutes=4)
    assert house.is_listed(at(14, 1))
    compare(house)


def test_an_answer_ends_when_calendars_are_to_go_stale_sooner(open_house):
    house = open_house
    house.later(minutes=10)
    assert house.feed()
    house.services.situations.freshness = Freshness(timedelta(minutes=5), timedelta(hours=6))
    with pytest.raises(AvailabilityUnknown):
        house.feed()


def test_what_a_transaction_saw_that_came_to_nothing_is_not_kept(house, at):
    with contextlib.suppress(AvailabilityUnknown), house.services.store.write() as session:
        offer = offers.find_offer(session, "ada", "intro")
        pulls.bump_availability(session, offer.freelancer.id)
        house.services.situations.load(session, offer, house.now)
        raise AvailabilityUnknown
    house.put("lunch", at(12, 1))
    version = house.version()
    house.later(minutes=5)
    house.sync()
    assert house.version() == version + 1, "what came to nothing had the same number"
    assert not house.is_listed(at(12, 1))
