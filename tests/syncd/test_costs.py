"""What a booking and a quiet pull cost: statements of a transaction, requests to the provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event as sqlalchemy_event

from providers import open_provider
from syncd.api.answers import Answer
from syncd.api.idempotency import Sent, perform
from syncd.booking import lifecycle
from syncd.booking.making import Wish
from syncd.jobs.account import work_account
from syncd.jobs.due import Order
from syncd.store import leases, offers
from syncd.store.models import Booking, IdempotentAnswer


@contextmanager
def noted(house) -> Iterator[list[str]]:
    """The statements sent to the database; what begins and ends transactions and parts of them is left out."""
    seen: list[str] = []
    engine = house.services.store.engine

    def note(_connection, _cursor, statement, *_rest):
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
            seen.append(statement)

    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    yield seen
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def statements(house) -> Iterator[list[str]]:
    with noted(house) as seen:
        yield seen


def book(house, start, key: str) -> Answer:
    """Book as the API does: by the predicate, in one transaction with the answer that is kept."""

    def make(session):
        offer = offers.find_offer(session, "ada", "intro")
        wish = Wish(start, 30, {"name": "Grace", "email": "grace@example.org"})
        booking = lifecycle.book(session, house.services.situations, offer, wish, "client", house.now)
        return Answer.of(201, {"id": booking.id}, {})

    sent = Sent("POST", "/v1/ada/intro/bookings", "", key, b"{}")
    return perform(house.services, sent, make, lambda error: Answer.of(409, {"detail": str(error)}, {}))


@pytest.mark.parametrize("calendars", [("Work",), ("Work", "Home", "Club")], ids=len)
def test_a_booking_takes_fewer_than_twelve_statements(make_house, at, calendars):
    house = make_house(calendars=calendars)
    for calendar in calendars:
        house.put("lunch", at(12, 1), calendar=calendar)
    house.sync()
    book(house, at(9, 1), "warm")
    with noted(house) as seen:
        assert book(house, at(10, 1), "first").status == 201
    assert len(seen) < 12, "\n".join(seen)
    assert (house.count(Booking), house.count(IdempotentAnswer)) == (2, 2)


def test_a_repeated_request_is_answered_by_one_look(house, at, statements):
    first = book(house, at(10, 1), "once")
    statements.clear()
    assert book(house, at(10, 1), "once").dump() == first.dump()
    assert len(statements) == 1
    assert house.count(Booking) == 1


def test_a_kept_feed_asks_for_the_offer_alone(house, at, statements):
    house.feed(at(0, 1), 5)
    statements.clear()
    house.feed(at(0, 1), 5)
    assert len(statements) <= 2


def test_a_quiet_pull_is_one_request(house):
    house.later(minutes=3)
    house.remote.calls.clear()
    assert len(house.sync().pulls) == 1
    assert house.remote.calls == {"changes": 1}


def test_nothing_due_is_no_request_and_no_write(house, statements):
    version = house.version()
    house.remote.calls.clear()
    with house.services.store.read() as session:
        assert leases.due_accounts(session, house.now) == []
    assert house.remote.calls.total() == 0
    assert house.version() == version


@pytest.fixture
def caldav(make_house, radicale, gateway):
    """A house whose account is on a real CalDAV server, seen through a gateway that counts."""
    url = radicale.make_calendar("Work", tz="Europe/London")
    house = make_house(password=radicale.password)
    text = (house.folder / "config.toml").read_text()
    text = text.replace(house.url, gateway.url).replace('username = "ada"', f'username = "{radicale.username}"')
    house.apply(text=text + "allow_private = true\n")
    house.shop = house.workshop(open_provider)
    return house, url


def test_on_a_real_server_a_quiet_pull_is_one_request_and_a_full_one_agrees(caldav, radicale, gateway, at, span):
    house, url = caldav
    for number in range(5):
        radicale.put(url, f"e{number}", house.ics(f"e{number}", at(9 + number, 1)))
    work_account(house.shop, house.account_id, Order(everything=True))
    assert {row[1:] for row in house.rows()} == {span(9 + number, 60, 1) for number in range(5)}
    house.now += timedelta(minutes=3)
    gateway.seen.clear()
    assert len(house.sync().pulls) == 1
    assert [seen.method for seen in gateway.seen] == ["REPORT"]
    radicale.delete(url, "e0")
    radicale.put(url, "e1", house.ics("e1", at(16, 1)))
    house.later(minutes=3)
    report = house.sync().pulls[0]
    assert (report.full, report.changed, report.removed) == (False, 1, 1)
    incremental = house.rows()
    house.sync(Order(everything=True, full=True))
    assert house.rows() == incremental
    assert span(16, 60, 1) in {row[1:] for row in incremental}


def test_on_a_real_server_a_booking_is_written_moved_and_removed(caldav, radicale, at):
    house, url = caldav
    house.sync()
    booking = house.book(at(12, 1))
    house.sync()
    [(name, text)] = radicale.list(url).items()
    assert "DTSTART:20261124T120000Z" in text
    house.reschedule(booking, at(15, 1))
    house.sync()
    [(moved, text)] = radicale.list(url).items()
    assert (moved, "DTSTART:20261124T150000Z" in text) == (name, True)
    house.pull()
    assert house.booking(booking).event.state == "written"
    assert house.is_listed(at(12, 1))
    radicale.put(url, name, text.replace("20261124T15", "20261124T16"))
    house.pull()
    assert house.booking(booking).event.state == "drifted"
    assert not house.is_listed(at(16, 1))
    house.cancel(booking)
    house.sync()
    assert radicale.list(url) == {}
    house.pull()
    assert house.is_listed(at(15, 1))
