"""Google tells of a change over HTTP, and it is pulled: all the way, from a channel's opening to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fake_google_accounts import USUAL, client_of, grant_of
from sqlalchemy import select

from providers import open_provider
from syncd.daemon import open_workshop
from syncd.jobs.account import work_account
from syncd.store.access import Reach
from syncd.store.models import Account, Calendar, Channel

NINE = {"start": {"dateTime": "2027-01-05T09:00:00Z"}, "end": {"dateTime": "2027-01-05T10:00:00Z"}}


class Pushed:
    """Ada's account, at Google; and the daemon's worker, which Google can reach."""

    def __init__(self, house, google) -> None:
        self.house, self.google = house, google
        google.channels.allow_http = True
        self.work_id = google.make_calendar("Work", "Europe/London")
        google.make_calendar("Private", "Europe/London")
        house.clock.now, house.services.open_provider = datetime.now(UTC), open_provider
        with house.services.store.write() as session:
            account = session.scalars(select(Account).where(Account.url.endswith("/ada"))).one()
            account.provider, account.url, self.account_id = "google", "", account.id
            account.credential = house.services.vault.seal(grant_of(google, *USUAL).text())

    def work(self, *, listens: bool = True) -> None:
        """Do what is due; Google isn't far, so all it tells is there soon after."""
        shop = open_workshop(self.house.services, self.house._locks)
        hooks = f"{self.house.url}/hooks" if listens else ""
        settings = replace(shop.settings, hooks=hooks, reach=Reach(google=client_of(self.google)))
        report = work_account(replace(shop, settings=settings), self.account_id)
        assert not report.failures
        self.google.channels.settle()

    def rows(self, model):
        with self.house.services.store.read() as session:
            return session.scalars(select(model)).all()

    @property
    def calendar(self) -> Calendar:
        return next(row for row in self.rows(Calendar) if row.account_id == self.account_id and row.name == "Work")


@pytest.fixture
def pushed(empty_house, google) -> Pushed:
    return Pushed(empty_house, google)


def test_google_tells_of_a_change_and_it_is_pulled_until_nobody_listens(pushed):
    google, clock = pushed.google, pushed.house.clock
    pushed.work()
    assert len(google.channels.open) == 2
    assert {(state, status) for _, state, status in google.channels.delivered} == {("sync", 204)}
    assert all(row.confirmed_at for row in pushed.rows(Channel))
    clock.forward(minutes=3)
    pushed.work()
    assert pushed.calendar.next_pull_at > clock.now + timedelta(hours=5)

    clock.forward(minutes=3)
    asked = google.count("events.list")
    pushed.work()
    assert google.count("events.list") == asked
    for _ in range(5):
        google.put(pushed.work_id, NINE)
    google.channels.settle()
    assert pushed.calendar.notified_at == clock.now
    clock.forward(seconds=1)
    pushed.work()
    assert google.count("events.list") == asked + 1
    slots = pushed.house.starts(start="2027-01-05", end="2027-01-06")
    assert "2027-01-05T13:00:00+00:00" in slots
    assert "2027-01-05T09:00:00+00:00" not in slots

    pushed.work(listens=False)
    assert (google.channels.open, pushed.rows(Channel)) == ({}, [])
    assert pushed.calendar.next_pull_at <= clock.now


def test_channels_follow_one_another_at_google(pushed):
    google, clock = pushed.google, pushed.house.clock
    pushed.work()
    first = set(google.channels.open)
    clock.forward(days=6, hours=1)
    for _ in range(2):  # a new one's first message may come before or after all else is done
        pushed.work()
    assert len(google.channels.open) == 2
    assert not first & set(google.channels.open)
