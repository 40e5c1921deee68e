"""A feed that fails, vanishes or comes back empty removes nothing; what it says becomes busy time (pains 2 and 6)."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from providers import open_provider
from syncd.store.models import Account

_LOGIN = b"<!doctype html><title>Sign in</title>"


class _Site(ThreadingHTTPServer):
    """A server with one file, which it gives an ETag."""

    daemon_threads = True
    content, status = b"", 200
    sent = 0  # how often the file was


class _Handler(BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self):
        etag = f'"{hash(self.server.content)}"'
        known = self.headers.get("If-None-Match") == etag and self.server.status == 200
        self.send_response(304 if known else self.server.status)
        self.send_header("ETag", etag)
        if not known:
            self.server.sent += 1
            self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        if not known:
            self.wfile.write(self.server.content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def site():
    server = _Site(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def subscribed(make_house, site, at):
    """A house with a feed of twelve events on Tuesday and Wednesday, pulled once."""
    house = make_house(provider="ics", account="allow_private = true")
    site.content = _calendar(house, at, 12)
    text = (house.folder / "config.toml").read_text().replace(house.url, f"http://127.0.0.1:{site.server_port}/x.ics")
    house.apply(text=text)
    house.shop = house.workshop(open_provider)
    house.sync()
    return house


def _calendar(house, at, count, *more):
    events = [house.ics(f"e{number}", at(9 + number % 6, 1 + number // 6)) for number in range(count)]
    parts = [event.partition("BEGIN:VEVENT")[2].partition("END:VCALENDAR")[0] for event in (*events, *more)]
    text = "BEGIN:VCALENDAR\r\nX-WR-CALNAME:Work\r\n" + "".join(f"BEGIN:VEVENT{part}" for part in parts)
    return (text + "END:VCALENDAR\r\n").encode()


def test_what_a_feed_says_is_busy_and_an_unchanged_one_is_neither_sent_nor_stored_again(subscribed, site, at):
    house = subscribed
    assert len(house.rows()) == 12
    assert not house.is_listed(at(9, 1))
    assert house.is_listed(at(9, 3))
    sent, version = site.sent, house.version()
    house.later(minutes=17)
    assert [(pull.full, pull.changed, pull.removed) for pull in house.sync().pulls] == [(False, 0, 0)]
    assert (site.sent, house.version()) == (sent, version)
    assert house.status()["calendars"][0]["state"] == "fresh"


def test_an_address_that_was_kept_open_before_feeds_were_known_is_sealed(subscribed):
    house = subscribed
    address = house.services.config.freelancers["ada"].accounts["home"].url
    with house.services.store.write() as session:
        account = session.get_one(Account, house.account_id)
        account.url, account.credential = address, house.services.vault.seal(house.password)
    house.apply(text=(house.folder / "config.toml").read_text())
    assert "x.ics" not in house.account().url
    house.later(minutes=1)
    assert house.sync().failures == []


def test_what_stands_in_the_place_of_our_own_event_blocks_though_only_its_name_differs(subscribed, site, at):
    house = subscribed
    booking = house.book(at(9, 3))
    site.content = _calendar(house, at, 12, house.ics(house.booking(booking).event.uid, at(9, 3), 30))
    house.later(minutes=17)
    house.sync()
    house.cancel(booking)
    assert house.is_listed(at(9, 3))
    site.content = _calendar(house, at, 12, house.ics("dentist", at(9, 3), 30))
    house.later(minutes=17)
    house.sync()
    assert not house.is_listed(at(9, 3))


def test_a_feed_is_pulled_every_quarter_of_an_hour_unless_said_otherwise(subscribed):
    house = subscribed
    house.later(minutes=13)
    assert house.sync().pulls == []
    house.later(minutes=4)
    assert len(house.sync().pulls) == 1


def test_a_changed_feed_changes_what_changed(subscribed, site, at):
    house = subscribed
    site.content = _calendar(house, at, 11, house.ics("new", at(9, 3)))
    house.later(minutes=17)
    assert [(pull.full, pull.changed, pull.removed) for pull in house.sync().pulls] == [(False, 1, 1)]
    assert {row[0] for row in house.rows()} == {*(f"e{number}" for number in range(11)), "new"}
    assert not house.is_listed(at(9, 3))


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (200, _LOGIN, "a web page, perhaps a login page"),
        (200, b"", "an empty file"),
        (200, None, "breaks off"),
        (404, b"", "stays in force"),
        (410, b"", "stays in force"),
        (403, b"", "may have been reset"),
        (401, b"", "user name and a password"),
        (500, b"", "HTTP 500"),
    ],
)
def test_a_feed_that_fails_keeps_its_busy_time_and_goes_stale(subscribed, site, at, status, content, words):
    house = subscribed
    before, whole = house.rows(), site.content
    site.status, site.content = status, whole[:-60] if content is None else content
    for _ in range(4):
        house.later(minutes=15)
        report = house.sync()
        assert report.pulls == []
    assert house.rows() == before
    account = house.status()
    assert words in str(account)
    assert account["calendars"][0]["state"] == "stale"
    site.status, site.content = 200, _calendar(house, at, 11)
    if status == 401:
        return  # a person must reconnect first
    house.later(hours=2)
    house.sync()
    assert len(house.rows()) == 11
    assert house.status()["state"] == "ok"


def test_a_feed_that_comes_back_empty_is_held_back_until_a_second_pull_agrees(subscribed, site, at):
    house = subscribed
    before = house.rows()
    site.content = _calendar(house, at, 0)
    house.later(minutes=17)
    assert [pull.held_back for pull in house.sync().pulls] == [12]
    assert house.rows() == before
    house.later(minutes=5)
    assert [(pull.full, pull.held_back) for pull in house.sync().pulls] == [(True, 0)]
    assert house.rows() == set()


def test_an_event_of_a_feed_that_is_no_longer_understood_keeps_its_last_known_time(subscribed, site, at):
    house = subscribed
    before = house.rows()
    site.content = site.content.replace(b"DTSTART:20261124T0900", b"DTSTART:20261124T9900")
    house.later(minutes=17)
    house.sync()
    assert house.rows() == before
    assert [reason["uid"] for _, reason in house.quarantined()] == ["e0"]
    house.later(hours=7)  # a full comparison
    house.sync()
    assert house.rows() == before
