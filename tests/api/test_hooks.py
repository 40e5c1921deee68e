"""A provider tells over HTTP that a calendar changed; whoever else tries learns nothing and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from sqlalchemy import select

from providers.memory import MemoryProvider
from providers.model import RemoteCalendar, Watch
from syncd.daemon import open_workshop
from syncd.errors import StoreError
from syncd.jobs.account import work_account
from syncd.store.models import Account, Calendar, Channel
from syncd.sync.watches import hooks_of

HOOK = "/hooks/google"


class Google:
    """What a provider does: it opens channels at the house's word, and tells by them."""

    def __init__(self, house) -> None:
        self.house = house
        house.nudges = []
        house.services.nudge = lambda: house.nudges.append(house.clock())
        self.work()

    def work(self) -> None:
        """Do all that is due at Ada's account, where there is an address to be told at."""
        house = self.house

        class Telling(MemoryProvider):
            def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
                watch = super().watch(calendar, address, channel_id, token)
                return replace(watch, expires_at=house.clock() + timedelta(days=7))

        shop = open_workshop(house.services, house._locks)
        settings = replace(shop.settings, hooks=hooks_of(house.services.config.daemon.public_url))
        shop = replace(shop, settings=settings, open_provider=lambda _kind, to: Telling(house.remote["ada"], to))
        with house.services.store.read() as session:
            ada = session.scalars(select(Account.id).where(Account.url.endswith("/ada"))).one()
        assert not work_account(shop, ada).failures

    def channel(self, calendar: str = "Work") -> tuple[str, str]:
        """Id and token of the channel of a calendar."""
        watches = self.house.remote["ada"].watches
        return next((name, w.token) for name, w in watches.items() if w.calendar == calendar)

    def headers(self, state: str = "exists", calendar: str = "Work", **changes: str | None) -> dict[str, str]:
        name, token = self.channel(calendar)
        told = {
            "X-Goog-Channel-ID": name,
            "X-Goog-Channel-Token": token,
            "X-Goog-Resource-State": state,
            "X-Goog-Resource-ID": f"resource-{calendar}",
            "X-Goog-Message-Number": "10",
            "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/work/events?alt=json",
            **changes,
        }
        return {key: value for key, value in told.items() if value is not None}

    def tell(self, state: str = "exists", calendar: str = "Work", **more) -> requests.Response:
        return self.house.call("POST", HOOK, headers=self.headers(state, calendar), **more)

    def calendar(self, name: str = "Work") -> Calendar:
        with self.house.services.store.read() as session:
            where = Calendar.name == name, Account.url.endswith("/ada")
            return session.scalars(select(Calendar).join(Account).where(*where)).one()

    def state(self) -> list[tuple[object, ...]]:
        """All that a message can change."""
        with self.house.services.store.read() as session:
            rows = [
                *session.execute(select(Channel.id, Channel.confirmed_at, Channel.resource_id, Channel.retired)),
                *session.execute(select(Calendar.id, Calendar.notified_at, Calendar.next_pull_at)),
                *session.execute(select(Calendar.id, Calendar.next_watch_at, Calendar.live_until_at)),
            ]
        return sorted(map(tuple, rows), key=repr)


@pytest.fixture
def google(house) -> Google:
    return Google(house)


@pytest.fixture
def loud(google: Google) -> Google:
    """One whose channels have reached us already, some time ago."""
    for calendar in ("Work", "Private"):
        assert google.tell("sync", calendar).status_code == 204
    google.house.clock.forward(minutes=3)
    google.work()
    google.house.nudges.clear()
    return google


def test_the_first_message_confirms_the_channel_and_asks_for_nothing(google):
    answer = google.tell("sync")
    assert (answer.status_code, answer.content) == (204, b"")
    with google.house.services.store.read() as session:
        assert session.get_one(Channel, google.channel()[0]).confirmed_at == google.house.clock()
    assert google.calendar().notified_at is None
    assert google.house.nudges == []
    assert google.calendar("Private").live_until_at is None


@pytest.mark.parametrize("state", ["exists", "not_exists", "something_new"])
def test_a_change_makes_a_pull_due_and_wakes_the_worker(loud, state):
    calls = loud.house.remote["ada"].calls.total()
    loud.house.clock.forward(hours=1)
    assert loud.calendar().next_pull_at > loud.house.clock()
    assert loud.tell(state).status_code == 204
    assert loud.house.remote["ada"].calls.total() == calls  # answered before anything is pulled
    now = loud.house.clock()
    assert (loud.calendar().notified_at, loud.calendar().next_pull_at) == (now, now)
    assert loud.calendar("Private").notified_at is None
    assert loud.house.nudges == [now]


def test_what_was_changed_is_not_offered_once_it_was_pulled(loud):
    loud.house.clock.forward(hours=1)
    loud.house.busy("2026-11-24T10:00+00:00", "2026-11-24T11:00+00:00")
    assert "2026-11-24T10:00:00+00:00" in loud.house.starts()
    loud.tell()
    loud.work()
    assert "2026-11-24T10:00:00+00:00" not in loud.house.starts()
    assert loud.calendar().notified_at is None


def test_a_burst_is_answered_and_changes_nothing_more(loud):
    loud.house.clock.forward(hours=1)
    loud.tell()
    told = loud.state()
    loud.house.clock.forward(seconds=5)
    assert {loud.tell().status_code for _ in range(50)} == {204}
    assert loud.state() == told
    assert len(loud.house.nudges) == 1


def test_a_body_is_not_read_and_a_huge_one_is_refused(loud, problem_of):
    assert loud.tell(data=b"\xff{not json").status_code == 204
    problem_of(loud.tell(data=b"x" * 70_000), 413, "too-large")


LONG = "x" * 5_000
FORGERIES: dict[str, dict[str, str | None]] = {
    "no token": {"X-Goog-Channel-Token": None},
    "an empty token": {"X-Goog-Channel-Token": ""},
    "another token": {"X-Goog-Channel-Token": "A" * 43},
    "a long token": {"X-Goog-Channel-Token": LONG},
    "a strange token": {"X-Goog-Channel-Token": "\xe9\xff"},
    "no id": {"X-Goog-Channel-ID": None},
    "an unknown id": {"X-Goog-Channel-ID": "0" * 32},
    "a long id": {"X-Goog-Channel-ID": LONG},
    "nothing": {"X-Goog-Channel-ID": None, "X-Goog-Channel-Token": None},
    "both unknown": {"X-Goog-Channel-ID": "0" * 32, "X-Goog-Channel-Token": "A" * 43},
}


def _alike(answer: requests.Response) -> tuple[int, object, object]:
    """All of an answer but what differs between any two."""
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    headers = {n: v for n, v in answer.headers.items() if n.lower() not in ("x-request-id", "date")}
    return answer.status_code, body, headers


def test_forgeries_change_nothing_and_all_get_the_same_answer(loud):
    loud.house.clock.forward(hours=1)
    before = loud.state()
    answers = [loud.house.call("POST", HOOK, headers=loud.headers(**changes)) for changes in FORGERIES.values()]
    gone = "0" * 32
    token = loud.house.services.vault.channel_token(gone)  # once made by us, for a channel that is closed
    known = {"X-Goog-Channel-ID": gone, "X-Goog-Channel-Token": token}
    answers.append(loud.house.call("POST", HOOK, headers=loud.headers(**known)))
    assert answers[0].status_code == 404
    assert all(_alike(answer) == _alike(answers[0]) for answer in answers)
    assert loud.state() == before
    assert loud.house.nudges == []


def test_the_token_of_one_channel_opens_no_other(loud):
    name, _ = loud.channel()
    _, other = loud.channel("Private")
    changes = {"X-Goog-Channel-ID": name, "X-Goog-Channel-Token": other}
    assert loud.house.call("POST", HOOK, headers=loud.headers(**changes)).status_code == 404


def test_nothing_is_looked_up_for_a_forgery(loud, monkeypatch):
    def untouched(*_: object) -> None:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(loud.house.services.store, "read", untouched)
    for changes in FORGERIES.values():
        assert loud.house.call("POST", HOOK, headers=loud.headers(**changes)).status_code == 404


def test_while_the_store_fails_it_is_to_be_told_again(loud, monkeypatch, problem_of):
    def broken() -> None:
        raise StoreError("its disk is full")

    monkeypatch.setattr(loud.house.services.store, "read", broken)
    problem_of(loud.tell(), 503, "store-unavailable")


def test_only_messages_are_taken(loud):
    answer = loud.house.get(HOOK)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert loud.house.call("POST", "/hooks/elsewhere").status_code == 404


def test_no_rate_limit_loses_a_message(google):
    services = google.house.services
    server = services.config.server
    strict = server.rate_limits.model_copy(update={"feed": "1/hour", "booking": "1/hour"})
    services.config = services.config.model_copy(update={"server": server.model_copy(update={"rate_limits": strict})})
    assert {google.tell().status_code for _ in range(20)} == {204}
