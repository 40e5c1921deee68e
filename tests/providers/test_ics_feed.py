"""A feed keeps the port's reading promises, against a real server; what isn't a calendar is named, never believed."""

from __future__ import annotations

import gzip
import io
import re
import traceback
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from providers import download, open_provider
from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    SyncTokenInvalid,
    Unavailable,
    Unsupported,
)
from providers.ical_file import read_file
from providers.lookalikes import look_of
from providers.model import Connection, EventRef, Pulled, RemoteCalendar, Window
from syncd.log import scrub

SECRET = "9f8e7d6c5b"
LONG_AGO = "Sun, 01 Nov 2026 08:00:00 GMT"
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC))
FEED = RemoteCalendar("feed", "feed")


def vevent(uid: str, day: int = 24, more: str = "", stamp: str = "20261101T120000Z") -> str:
    lines = ["BEGIN:VEVENT", *([f"UID:{uid}"] if uid else []), f"DTSTAMP:{stamp}"]
    lines += [f"DTSTART:202611{day:02}T090000Z", "DURATION:PT1H", f"SUMMARY:Dentist {stamp}", *more.split()]
    return "\r\n".join([*lines, "END:VEVENT"])


def vcalendar(*events: str, head: str = "") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//other//EN", *([head] if head else []), *events]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


class Feed:
    """What the server has at the feed's address, and how it answers."""

    def __init__(self) -> None:
        self.content = vcalendar(vevent("one"))
        self.status = 200
        self.headers: dict[str, str] = {}
        self.date: str | None = None  # what its clock says
        self.versions = False  # whether it keeps If-None-Match and If-Modified-Since

    def __call__(self, handler) -> None:
        asked = [handler.headers.get(name) for name in ("If-None-Match", "If-Modified-Since")]
        marks = [self.headers.get(name, "none") for name in ("ETag", "Last-Modified")]
        known = self.versions and any(one == other for one, other in zip(asked, marks, strict=True))
        handler.date_time_string = lambda: self.date or formatdate(usegmt=True)
        handler.send_response(304 if known else self.status)
        for name, value in ({"Content-Length": str(len(self.content))} | self.headers).items():
            if not known or name != "Content-Length":
                handler.send_header(name, value)
        handler.end_headers()
        if not known:
            handler.wfile.write(self.content)


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def server(serve, feed):
    """A server that has the feed at a secret address."""
    started = serve(feed)
    started.feed_url = f"{started.url}private-{SECRET}/basic.ics?token={SECRET}"
    return started


@pytest.fixture
def subscribe():
    """Open subscriptions and close them all."""
    opened = []

    def start(url, **options):
        opened.append(open_provider("ics", Connection(url, **({"allow_private": True} | options))))
        return opened[-1]

    yield start
    for provider in opened:
        provider.close()


@pytest.fixture
def provider(subscribe, server):
    return subscribe(server.feed_url)


def pulled(provider, token=None, known=None):
    """Pull; all pages in one: what changed, what is gone, what isn't understood, whether it is all, the token."""
    pages = list(provider.changes(FEED, token, WINDOW, None if known is None else lambda: known))
    assert [page.sync_token for page in pages[:-1]] == [None] * (len(pages) - 1)
    assert len({page.complete for page in pages}) == 1
    changed = [event for page in pages for event in page.changed]
    removed = [remote_id for page in pages for remote_id in page.removed]
    unreadable = [bad for page in pages for bad in page.unreadable]
    return changed, removed, unreadable, pages[0].complete, pages[-1].sync_token


def known_of(changed, unreadable=()):
    return {one.remote_id: one.etag for one in (*changed, *unreadable)}


# What a feed is


def test_a_feed_is_one_calendar_by_the_name_and_zone_it_gives_itself(provider, feed):
    feed.content = vcalendar(vevent("one"), head="X-WR-CALNAME:Ada\\, at work\r\nX-WR-TIMEZONE:W. Europe Standard Time")
    assert provider.list_calendars() == [
        RemoteCalendar("feed", "Ada, at work", colour=None, tz="Europe/Berlin", can_write=False)
    ]


def test_a_feed_without_a_name_is_called_after_its_host(provider):
    assert provider.list_calendars() == [RemoteCalendar("feed", "127.0.0.1", can_write=False)]


def test_another_calendar_than_the_feed_is_not_there(provider):
    other = RemoteCalendar("other", "other")
    for call in (
        lambda: list(provider.changes(other, None, WINDOW)),
        lambda: provider.look([other], WINDOW),
        lambda: provider.probe(other),
    ):
        with pytest.raises(NotFound):
            call()


def test_nothing_is_written_to_a_feed(provider, server):
    ref = EventRef("feed", "one", "one")
    for call in (
        lambda: provider.create(FEED, None, "key"),
        lambda: provider.update(ref, None, '"1"'),
        lambda: provider.delete(ref, None),
        lambda: provider.probe(FEED, datetime(2026, 12, 1, tzinfo=UTC)),
    ):
        with pytest.raises(Unsupported, match="can only be read"):
            call()
    with pytest.raises(NotFound):
        provider.get(ref)
    assert provider.find(FEED, "key") is None
    assert server.requests == []


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("webcal://cal.example/a.ics", "https://cal.example/a.ics"),
        ("WebCals://cal.example/a.ics", "https://cal.example/a.ics"),
        (" https://cal.example:444/a.ics?b=c#d ", "https://cal.example:444/a.ics?b=c"),
        ("http://cal.example/a.ics", "http://cal.example/a.ics"),
        ("https://ada:p%40ss@cal.example/a.ics", "https://cal.example/a.ics"),
    ],
)
def test_webcal_means_https_and_http_is_taken_only_as_typed(typed, asked):
    assert download.spelt(Connection(typed)).url == asked


@pytest.mark.parametrize("typed", ["cal.example/a.ics", "ftp://cal.example/a.ics", "https:///a.ics", "", "file:///etc"])
def test_an_address_that_no_feed_can_have_is_refused_with_what_would_be_right(typed):
    with pytest.raises(ValueError, match="starts with https://, http:// or webcal://"):
        open_provider("ics", Connection(typed))


# Pulling


def test_a_full_pull_lists_every_event_once_in_pages_and_ends_with_a_token(provider, feed):
    feed.content = vcalendar(*(vevent(f"e{number}") for number in range(1201)))
    changed, removed, unreadable, complete, token = pulled(provider)
    assert sorted(event.remote_id for event in changed) == sorted(f"e{number}" for number in range(1201))
    assert (removed, unreadable, complete) == ([], [], True)
    assert pulled(provider, token)[:4] == ([], [], [], False)


def test_a_pull_is_one_request_and_lets_no_text_through(provider, server):
    pages = list(provider.changes(FEED, None, WINDOW))
    assert len(server.requests) == 1
    assert "Dentist" not in repr(pages)
    assert SECRET not in repr(pages)


def test_an_unchanged_feed_that_knows_etags_is_not_sent_again(provider, server, feed):
    feed.headers, feed.versions = {"ETag": 'W/"7-gzip"'}, True
    token = pulled(provider)[4]
    feed.content = b"never sent"
    assert pulled(provider, token)[:4] == ([], [], [], False)
    assert server.requests[-1][1]["If-None-Match"] == 'W/"7-gzip"'


def test_an_unchanged_feed_that_knows_times_is_not_sent_again(provider, server, feed):
    feed.headers, feed.versions = {"Last-Modified": LONG_AGO}, True
    token = pulled(provider)[4]
    feed.content = b"never sent"
    assert pulled(provider, token) == ([], [], [], False, token)
    assert server.requests[-1][1]["If-Modified-Since"] == LONG_AGO


def test_a_time_of_the_very_second_of_the_answer_is_no_mark_as_the_file_may_change_again_within_it(provider, feed):
    feed.headers, feed.versions, feed.date = {"Last-Modified": LONG_AGO}, True, LONG_AGO
    token = pulled(provider)[4]
    feed.content = vcalendar(vevent("two", 25))
    assert [event.remote_id for event in pulled(provider, token)[0]] == ["two"]


def test_a_feed_that_knows_no_versions_and_stamps_its_events_anew_has_not_changed(provider, feed):
    token = pulled(provider)[4]
    feed.content = vcalendar(vevent("one", stamp="20261123T080000Z"))
    assert pulled(provider, token, {}) == ([], [], [], False, token)


def test_new_marks_of_an_unchanged_feed_are_kept(provider, server, feed):
    token = pulled(provider)[4]
    feed.headers, feed.versions = {"ETag": '"2"'}, True
    token = pulled(provider, token)[4]
    feed.content = b"never sent"
    assert pulled(provider, token)[:3] == ([], [], [])


def test_the_difference_to_what_is_known_is_listed_and_nothing_else(provider, feed):
    feed.content = vcalendar(vevent("stays"), vevent("moves", 25), vevent("goes", 26))
    changed, *_, token = pulled(provider)
    known = known_of(changed)
    feed.content = vcalendar(vevent("new", 27), vevent("moves", 28), vevent("stays"))
    for since in (token, None):
        changed, removed, unreadable, complete, _ = pulled(provider, since, known)
        assert [event.remote_id for event in changed] == ["new", "moves"]
        assert (removed, unreadable, complete) == (["goes"], [], False)


def test_without_anything_known_a_changed_feed_is_listed_whole(provider, feed):
    token = pulled(provider)[4]
    feed.content = vcalendar(vevent("one"), vevent("two"))
    changed, _, _, complete, _ = pulled(provider, token)
    assert ([event.remote_id for event in changed], complete) == (["one", "two"], True)


def test_events_that_are_named_anew_each_time_have_not_changed(provider, feed):
    """Outlook and many a generator write new UIDs with each answer: every pull would replace everything."""
    feed.content = vcalendar(*(vevent(f"a{day}", day) for day in range(1, 29)))
    changed, *_, token = pulled(provider)
    known = known_of(changed)
    feed.content = vcalendar(*(vevent(f"b{day}", day) for day in range(1, 29)))
    assert pulled(provider, token, known)[:3] == ([], [], [])
    assert pulled(provider, None, known)[:3] == ([], [], [])
    feed.content = vcalendar(*(vevent(f"c{day}", day) for day in range(2, 30)))
    changed, removed, *_ = pulled(provider, token, known)
    assert ([event.remote_id for event in changed], removed) == (["c29"], ["a1"])


def test_two_alike_events_are_two(provider, feed):
    feed.content = vcalendar(vevent("a"), vevent("b"))
    known = known_of(pulled(provider)[0])
    feed.content = vcalendar(vevent("c"))
    changed, removed, *_ = pulled(provider, None, known)
    assert (changed, len(removed)) == ([], 1)
    feed.content = vcalendar(vevent("c"), vevent("d"), vevent("e"))
    changed, removed, *_ = pulled(provider, None, known)
    assert (len(changed), removed) == (1, [])


@pytest.mark.parametrize("token", ["", "http://dav.example/7", "{}", "[]", "null", '{"digest": "x"}', "1-1"])
def test_a_token_that_no_feed_gave_out_is_refused_before_anything_is_asked(provider, server, token):
    with pytest.raises(SyncTokenInvalid):
        next(provider.changes(FEED, token, WINDOW))
    assert server.requests == []


def test_what_cant_be_understood_is_named_and_the_rest_is_listed(provider, feed):
    feed.content = vcalendar(vevent("good"), vevent("bad", 25).replace("T090000Z", "T999999Z"))
    changed, _, unreadable, _, token = pulled(provider)
    assert [event.remote_id for event in changed] == ["good"]
    assert [(bad.remote_id, bad.uid, bad.start) for bad in unreadable] == [("bad", "bad", "20261125T999999Z")]
    assert pulled(provider, token, known_of(changed, unreadable))[:3] == ([], [], [])
    assert pulled(provider, None, known_of(changed, unreadable))[:3] == ([], [], [])


def test_a_series_that_is_understood_in_part_is_changed_and_named_in_one_page(provider, feed):
    override = vevent("series", 25, "RECURRENCE-ID:garbage")
    feed.content = vcalendar(vevent("series", 24, "RRULE:FREQ=DAILY;COUNT=3"), override)
    [page] = provider.changes(FEED, None, WINDOW)
    assert [event.remote_id for event in page.changed] == [bad.remote_id for bad in page.unreadable] == ["series"]
    assert page.changed[0].etag == page.unreadable[0].etag


def test_a_calendar_without_events_is_taken_as_such_for_the_brake_to_judge(provider, feed):
    known = known_of(pulled(provider)[0])
    feed.content = vcalendar()
    assert pulled(provider, None, known)[:4] == ([], ["one"], [], False)
    assert pulled(provider)[:4] == ([], [], [], True)


def test_own_answers_to_invitations_are_kept_and_others_are_not(subscribe, server, feed):
    feed.content = vcalendar(vevent("one", 24, "ATTENDEE;PARTSTAT=DECLINED:mailto:Ada@example.org"))
    mine, others = (
        pulled(subscribe(server.feed_url, own_addresses=frozenset({own})))[0][0].skeleton
        for own in ("ada@example.org", "eve@example.org")
    )
    assert "PARTSTAT:DECLINED" in mine
    assert "PARTSTAT" not in others


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_feeds_are_read_in_every_encoding_they_come_in(provider, feed, encoding):
    feed.content = vcalendar(vevent("straße")).decode().encode(encoding)
    assert [event.remote_id for event in pulled(provider)[0]] == ["straße"]


@pytest.mark.parametrize("label", ["text/html", "application/octet-stream", "text/plain; charset=utf-16", "", "x"])
def test_a_feed_is_judged_by_its_content_whatever_it_is_labelled(provider, feed, label):
    feed.headers = {"Content-Type": label}
    assert len(pulled(provider)[0]) == 1


def test_a_look_tells_all_that_the_feed_holds_now(provider, feed):
    pulled(provider)
    feed.content = vcalendar(vevent("two"), vevent("bad").replace("T090000Z", "T999999Z"))
    [glance] = provider.look([FEED], WINDOW)
    assert (glance.calendar, [event.remote_id for event in glance.events]) == ("feed", ["two"])
    assert [bad.uid for bad in glance.unreadable] == ["bad"]


def test_a_look_at_a_feed_that_was_pulled_tells_what_is_not_so_any_more(provider, subscribe, server, feed):
    feed.headers, feed.versions = {"ETag": '"1"'}, True
    feed.content = vcalendar(vevent("one"), vevent("two"))
    pages = list(provider.changes(FEED, None, WINDOW))
    known = {event.remote_id: event.etag for event in pages[-1].changed}
    told = replace(FEED, pulled=Pulled(pages[-1].sync_token, lambda: known))
    later = subscribe(server.feed_url)
    server.requests.clear()
    [glance] = later.look([told], WINDOW)
    assert (glance.events, glance.complete, len(server.requests)) == ((), True, 1)
    assert server.requests[0][1]["If-None-Match"] == '"1"'
    feed.headers = {"ETag": '"2"'}
    feed.content = vcalendar(vevent("one"), vevent("two", day=25), vevent("three"))
    [glance] = later.look([told], WINDOW)
    assert sorted(event.remote_id for event in glance.events) == ["three", "two"]
    [whole] = later.look([replace(told, pulled=Pulled("what no pull left", dict))], WINDOW)
    assert len(whole.events) == 3


@pytest.mark.parametrize("kind", ["ics", "caldav"])
def test_who_has_no_patience_left_asks_nothing(subscribe, server, kind):
    opened = open_provider(kind, Connection(server.feed_url, allow_private=True, patience=0.0))
    with pytest.raises(Unavailable, match="took more than 0 s"):
        opened.look([FEED if kind == "ics" else replace(FEED, remote_id=server.url)], WINDOW)
    opened.close()
    assert server.requests == []


def test_a_probe_says_whether_an_unchanged_feed_is_sent_again(provider, feed):
    probe = provider.probe(FEED)
    assert (probe.pulls_by, probe.privileges) == ("download", ("read",))
    assert probe.remarks == ("The feed is sent whole each time, and compared with what is known.",)
    feed.headers, feed.versions = {"ETag": '"1"'}, True
    provider.list_calendars()
    assert provider.probe(FEED).remarks == ("As long as it hasn't changed, the feed isn't sent again.",)


def test_a_probe_tells_of_events_that_are_named_anew_each_time(subscribe, serve):
    numbers = iter(range(9))

    def answer(handler):
        feed = Feed()
        feed.content = vcalendar(vevent(f"e{next(numbers)}"))
        feed(handler)

    assert "other names (UIDs) each time" in subscribe(serve(answer).url).probe(FEED).remarks[1]


# What isn't a calendar


def packed_archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada.ics", vcalendar(vevent("one")))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "look"),
    [
        (b"", "an empty file"),
        (b"\xef\xbb\xbf \r\n", "an empty file"),
        (b"\n<!DOCTYPE html><p>Sign in", "a web page, perhaps a login page"),
        (b"<HTML lang=en><form>Password", "a web page, perhaps a login page"),
        ("<html>Anmelden".encode("utf-16"), "a web page, perhaps a login page"),
        (b"Warning: no session\n<html>", "a web page, perhaps a login page"),
        (b"<?xml version='1.0'?><error/>", "XML"),
        (b'{"error": "BEGIN:VCALENDAR"}', "JSON, perhaps an error message"),
        (b"Rate limit exceeded", "some other text"),
        (b"BEGIN:VCARD\r\nEND:VCARD", "contacts"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "something that isn't text"),
        (b"%PDF-1.7", "a PDF document"),
        (gzip.compress(b"BEGIN:VCALENDAR"), "a gzip archive, in which the calendar may be"),
        (packed_archive(), "a ZIP archive, in which the calendars are the .ics files"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",  # an archive holds the time it was made
)
def test_an_answer_that_is_no_calendar_is_a_failed_pull_and_named_as_what_it_is(provider, feed, content, look):
    token = pulled(provider)[4]
    feed.content, feed.headers = content, {"Content-Type": "text/calendar"}
    for call in (provider.list_calendars, lambda: pulled(provider, token, {}), lambda: pulled(provider)):
        with pytest.raises(InvalidResponse) as failed:
            call()
        assert re.match(rf"127\.0\.0\.1:\d+ answered with {look}, not with a calendar", str(failed.value))
        assert SECRET not in str(failed.value)
    assert look_of(content) == look


@pytest.mark.parametrize("lost", [1, 20, 60, 120])
def test_a_calendar_that_breaks_off_is_a_failed_pull_wherever_it_does(provider, feed, lost):
    feed.content = vcalendar(vevent("one"), vevent("two")).rstrip()[:-lost]
    with pytest.raises(InvalidResponse, match="breaks off before its end"):
        pulled(provider)


def test_an_answer_that_is_shorter_than_announced_is_a_failed_pull(provider, feed):
    feed.headers = {"Content-Length": str(len(feed.content) + 1), "Connection": "close"}
    with pytest.raises(ProviderError) as failed:
        pulled(provider)
    assert SECRET not in str(failed.value)


def test_a_packed_feed_is_unpacked_and_one_that_unpacks_without_end_is_refused(provider, feed):
    feed.content, feed.headers = gzip.compress(vcalendar(vevent("one"))), {"Content-Encoding": "gzip"}
    assert len(pulled(provider)[0]) == 1
    feed.content = gzip.compress(b" " * (download.LIMITS.size + 1))
    assert len(feed.content) < 100_000
    with pytest.raises(InvalidResponse, match=r"sent more than \d+ bytes"):
        pulled(provider)


def test_a_feed_that_trickles_is_given_up_when_its_time_is_over(subscribe, speak, monkeypatch):
    monkeypatch.setattr(download, "LIMITS", download.Limits(total=0.2))
    url = speak(lambda: iter([b"HTTP/1.1 200 OK\r\n\r\n", *([b"BEGIN:VCALENDAR\r\n"] * 1_000)]), pause=0.02)
    with pytest.raises(Unavailable, match="took more than"):
        pulled(subscribe(url))


@pytest.mark.parametrize(
    ("status", "leaf", "words"),
    [
        (401, GrantRevoked, "asks for a user name and a password"),
        (403, PermissionDenied, "its private address may have been reset"),
        (404, NotFound, "what was read of it before stays in force"),
        (410, NotFound, "what was read of it before stays in force"),
        (429, RateLimited, "asked too often"),
        (503, Unavailable, "HTTP 503"),
        (500, Unavailable, "HTTP 500"),
        (400, InvalidResponse, "HTTP 400"),
        (204, InvalidResponse, "HTTP 204"),
        (206, InvalidResponse, "HTTP 206"),
        (304, InvalidResponse, "HTTP 304"),
    ],
)
def test_each_status_means_what_the_subscriber_can_do_about_it(provider, feed, status, leaf, words):
    feed.status, feed.content, feed.headers = status, b"", {"Retry-After": "120"}
    for call in (provider.list_calendars, lambda: pulled(provider), lambda: provider.look([FEED], WINDOW)):
        with pytest.raises(leaf, match=words) as failed:
            call()
        assert failed.value.retry_after == 120
        assert SECRET not in str(failed.value)


# Redirects, passwords, addresses


def test_a_feed_that_moved_is_followed_and_its_versions_are_asked_for_there(subscribe, server, serve, feed, says):
    feed.headers, feed.versions = {"ETag": '"1"'}, True
    moved = subscribe(serve(says(302, Location=server.feed_url)).url)
    token = pulled(moved)[4]
    feed.content = b"never sent"
    assert pulled(moved, token)[:3] == ([], [], [])


def test_redirects_in_a_circle_end(subscribe, serve, says):
    circle = serve(says(302, Location=f"/{SECRET}"))
    with pytest.raises(InvalidResponse, match="redirects more than") as failed:
        pulled(subscribe(circle.url + SECRET))
    assert SECRET not in str(failed.value)


def test_a_password_is_given_to_the_feeds_own_host_alone(subscribe, server, serve, says):
    first = serve(says(302, Location=server.feed_url))
    assert len(pulled(subscribe(first.url.replace("//", "//ada:p%40ss@")))[0]) == 1
    assert first.requests[0][1]["Authorization"] == "Basic YWRhOnBAc3M="
    assert "Authorization" not in server.requests[0][1]
    assert "Authorization" not in open_requests(subscribe, server)


def open_requests(subscribe, server):
    """What a feed without a password is asked with."""
    pulled(subscribe(server.feed_url))
    return server.requests[-1][1]


def test_a_private_network_is_refused_unless_it_is_allowed(subscribe, server):
    with pytest.raises(Unavailable, match="private address"):
        pulled(subscribe(server.feed_url, allow_private=False))
    assert server.requests == []


def test_a_server_that_answers_browsers_alone_is_asked_as_one(subscribe, serve, feed, says, monkeypatch):
    """Microsoft's published calendars do that: others are sent in a circle to an error page."""
    circle = says(302, Location="/owa/auth/errorfe.aspx")
    url = serve(lambda handler: (feed if "Mozilla/5.0" in handler.headers["User-Agent"] else circle)(handler)).url
    with pytest.raises(InvalidResponse):
        pulled(subscribe(url))
    monkeypatch.setattr(download, "_BROWSERS_ONLY", frozenset({"127.0.0.1"}))
    assert len(pulled(subscribe(url))[0]) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: 1\r\nbroken header\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_the_address_of_a_feed_is_in_no_error_and_no_log(subscribe, speak, caplog, answer):
    told = what_is_told(subscribe(f"{speak(lambda: iter([answer]))}{SECRET}/basic.ics?{SECRET}"))
    told += [record.getMessage() for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]
    assert not [text for text in told if SECRET in scrub(text)]


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid", "x" * 64])
def test_the_address_of_a_feed_that_cant_be_reached_is_in_no_error_either(subscribe, host):
    [told] = what_is_told(subscribe(f"http://ada:{SECRET}@{host}/{SECRET}"))
    assert "can't be reached" in told
    assert SECRET not in told


def what_is_told(provider):
    """An error with all that a log would show of it."""
    try:
        list(provider.changes(FEED, None, WINDOW))
    except ProviderError as error:
        return ["".join(traceback.format_exception(error))]
    return []


def test_the_address_of_a_feed_is_not_shown_with_the_connection():
    assert repr(Connection(f"https://ada:{SECRET}@cal.example/{SECRET}")) == "Connection('cal.example')"


# Free/busy time


def freebusy(*lines: str) -> bytes:
    return vcalendar("\r\n".join(["BEGIN:VFREEBUSY", "UID:fb", "DTSTAMP:20261101T120000Z", *lines, "END:VFREEBUSY"]))


def test_a_feed_of_free_busy_time_blocks_all_but_what_is_free(provider, feed):
    """RFC 5545 §3.6.4, §3.8.2.6; every type but FREE, unknown ones too, means busy (§3.2.9)."""
    feed.content = freebusy(
        "FREEBUSY:20261124T090000Z/PT1H,20261124T110000Z/20261124T120000Z",
        "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20261125T090000Z/PT1H",
        "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20261126T090000Z/P1D",
        "FREEBUSY;FBTYPE=FREE:20261127T090000Z/PT1H",
        "FREEBUSY;FBTYPE=X-GONE-FISHING:20261128T090000Z/PT1H",
    )
    kinds = {}
    for event in pulled(provider)[0]:
        lines = dict(line.partition(":")[::2] for line in event.skeleton.split("\r\n"))
        kinds[lines["DTSTART"]] = lines["X-MICROSOFT-CDO-BUSYSTATUS"]
    assert kinds == {
        "20261124T090000Z": "BUSY",
        "20261124T110000Z": "BUSY",
        "20261125T090000Z": "TENTATIVE",
        "20261126T090000Z": "OOF",
        "20261128T090000Z": "BUSY",
    }


def test_each_period_of_free_busy_time_is_a_row_so_that_one_more_is_one_change(provider, feed):
    feed.content = freebusy("FREEBUSY:20261124T090000Z/PT1H", "FREEBUSY:20261124T090000Z/PT1H,20261125T090000Z/PT1H")
    changed, *_, token = pulled(provider)
    assert len(changed) == 2
    feed.content = freebusy("FREEBUSY:20261125T090000Z/PT1H,20261126T090000Z/PT1H")
    again, removed, *_ = pulled(provider, token, known_of(changed))
    assert (again, removed) == ([], []) or (len(again), len(removed)) == (1, 1)
    assert [event.skeleton.count("20261126") for event in again] == [1]


@pytest.mark.parametrize(
    "period", ["20261124T090000Z", "20261124T090000Z/never", "garbage/PT1H", "/", "20261124/PT1H/"]
)
def test_a_period_that_cant_be_understood_is_named_and_the_others_block(provider, feed, period):
    feed.content = freebusy(f"FREEBUSY:{period},20261125T090000Z/PT1H")
    changed, _, unreadable, *_ = pulled(provider)
    assert len(changed) == len(unreadable) == 1


def test_where_there_are_events_they_tell_what_free_busy_time_repeats():
    file = read_file(
        freebusy("FREEBUSY:20261124T090000Z/PT1H").replace(b"END:VCAL", vevent("one").encode() + b"\r\nEND:VCAL")
    )
    assert file is not None
    assert [event.remote_id for event in file.events] == ["one"]
