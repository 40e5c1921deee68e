"""How a CalDAV calendar is pulled: few requests, and nothing lost however a server answers."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import urlsplit

import pytest

from providers.caldav import wire
from providers.errors import (
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    SyncTokenInvalid,
    Unavailable,
)
from providers.model import EventRef

XML = {"Content-Type": "application/xml"}


def is_sync(seen):
    return b"sync-collection" in seen.body


def is_multiget(seen):
    return b"calendar-multiget" in seen.body


def refusal(answer, status, condition=""):
    body = f'<?xml version="1.0"?><error xmlns="DAV:">{condition}</error>' if condition else ""
    return answer(status, XML, body.encode())


def fill(radicale, direct, small_event, count):
    for number in range(count):
        radicale.put(direct, f"e{number:03}", small_event(f"e{number:03}"))
    return [f"e{number:03}" for number in range(count)]


def test_nothing_changed_is_one_request(radicale, gateway, open_caldav, work, small_event, pulled):
    direct, calendar = work
    radicale.put(direct, "one", small_event())
    token = pulled(open_caldav(), calendar)[3]
    provider = open_caldav()
    gateway.seen.clear()
    assert pulled(provider, calendar, token)[:3] == ([], [], [])
    assert [seen.method for seen in gateway.seen] == ["REPORT"]


def test_ten_changes_of_many_are_two_requests(radicale, gateway, open_caldav, work, small_event, pulled):
    direct, calendar = work
    fill(radicale, direct, small_event, 40)
    token = pulled(open_caldav(), calendar)[3]
    for number in range(10):
        radicale.put(direct, f"e{number:03}", small_event(f"e{number:03}", "20270101T100000Z"))
    gateway.seen.clear()
    assert len(pulled(open_caldav(), calendar, token)[0]) == 10
    assert [(seen.method, is_sync(seen), is_multiget(seen)) for seen in gateway.seen] == [
        ("REPORT", True, False),
        ("REPORT", False, True),
    ]


def test_a_pull_never_searches_expands_or_limits(radicale, gateway, open_caldav, work, small_event, pulled):
    direct, calendar = work
    fill(radicale, direct, small_event, 3)
    pulled(open_caldav(), calendar)
    sent = b"".join(seen.body for seen in gateway.seen)
    assert b"sync-collection" in sent
    for never in (b"calendar-query", b"expand", b"limit", b"time-range"):
        assert never not in sent


@pytest.mark.parametrize(
    ("status", "condition"),
    [(403, "<supported-report/>"), (400, ""), (404, ""), (405, ""), (415, ""), (501, "")],
)
def test_a_server_without_sync_is_listed_by_etags_and_marked_by_its_ctag(
    radicale, gateway, open_caldav, work, small_event, pulled, answer, status, condition
):
    direct, calendar = work
    uids = fill(radicale, direct, small_event, 3)
    gateway.rule = lambda seen: refusal(answer, status, condition) if is_sync(seen) else None
    provider = open_caldav()
    found = pulled(provider, calendar)
    assert found[:3] == (uids, [], [])
    assert found[3].startswith("ctag:")
    assert not provider.capabilities.incremental


def test_a_list_of_calendars_tells_that_sync_is_not_offered(gateway, open_caldav, work):
    gateway.rewrite = lambda _seen, given: _edited(given, b"<sync-collection />", b"<other-report />")
    provider = open_caldav()
    assert provider.list_calendars()
    assert not provider.capabilities.incremental


def _edited(given, old, new):
    given.body = given.body.replace(old, new)
    return given


def row(name, status):
    return f"<response><href>/ada%40example/work/{name}</href><status>HTTP/1.1 {status}</status></response>".encode()


@pytest.mark.parametrize("known", [False, True])
def test_a_truncated_sync_goes_on_to_the_end(radicale, gateway, open_caldav, work, small_event, pulled, known):
    direct, calendar = work
    token = pulled(open_caldav(), calendar)[3] if known else None
    uids = fill(radicale, direct, small_event, 5)
    parts = []

    def asks(seen):
        """Note which part is asked for, and let the server answer its made-up token as the one given first."""
        if is_sync(seen):
            parts.append(int(re.search(rb"part-(\d)|$", seen.body)[1] or 0))
            seen.body = re.sub(rb"part-\d", (token or "").encode(), seen.body)
            seen.headers["Content-Length"] = str(len(seen.body))

    def truncates(seen, given):
        """Deliver two rows, then two, then the last, as RFC 6578 §3.6 has it."""
        if is_sync(seen):
            rows = sorted(re.findall(rb"<response>.*?</response>", given.body))
            kept = rows[parts[-1] * 2 : parts[-1] * 2 + 2]
            if parts[-1] < 2:
                kept += [row("", "507 Insufficient Storage"), f"<sync-token>part-{parts[-1] + 1}</sync-token>".encode()]
            else:
                kept += re.findall(rb"<sync-token>.*?</sync-token>", given.body)
            given.body = b'<multistatus xmlns="DAV:">' + b"".join(kept) + b"</multistatus>"
        return given

    gateway.rule, gateway.rewrite = asks, truncates
    found, removed, unreadable, final = pulled(open_caldav(), calendar, token)
    assert (found, removed, unreadable) == (uids, [], [])
    assert parts == [0, 1, 2]
    gateway.rule, gateway.rewrite = (lambda _seen: None), (lambda _seen, given: given)
    assert pulled(open_caldav(), calendar, final)[0] == []


def test_rows_that_repeat_count_once_and_an_etag_outweighs_a_404(
    radicale, gateway, open_caldav, work, small_event, pulled
):
    direct, calendar = work
    uids = fill(radicale, direct, small_event, 2)

    def doubled(seen, given):
        if is_sync(seen):
            rows = re.findall(rb"<response>.*?</response>", given.body)
            rows += [row("e000.ics", "404 Not Found"), row("never.ics", "404 Not Found")]
            given.body = given.body.replace(b"</multistatus>", b"".join(rows) + b"</multistatus>")
        return given

    gateway.rewrite = doubled
    assert pulled(open_caldav(), calendar)[:3] == (uids, [], [])


@pytest.mark.parametrize(
    "spelling",
    [
        lambda body: body.replace(b"/ada%40example/", b"/ada@example/"),
        lambda body: body.replace(b"/ada%40example/", b"http://127.0.0.1:1/ada%40example/"),
        lambda body: body.replace(b"/work/", b"/%77ork/"),
    ],
    ids=["literal @", "absolute, with a wrong port", "needless encoding"],
)
def test_an_href_has_one_spelling_however_the_server_writes_it(
    radicale, gateway, open_caldav, work, small_event, pulled, spelling
):
    direct, calendar = work
    radicale.put(direct, "a@b", small_event("a@b"))
    plain = next(open_caldav().changes(calendar, None, None)).changed[0].remote_id
    gateway.rewrite = lambda seen, given: _respelt(seen, given, spelling)
    (event,) = next(open_caldav().changes(calendar, None, None)).changed
    assert event.remote_id == plain == calendar.remote_id + "a%40b.ics"


def _respelt(seen, given, spelling):
    if seen.method == "REPORT":
        given.body = spelling(given.body)
    return given


@pytest.mark.parametrize("whole", [True, False])
def test_a_multiget_that_misses_resources_is_followed_by_asking_one_by_one(
    radicale, gateway, open_caldav, work, small_event, pulled, answer, whole
):
    direct, calendar = work
    uids = fill(radicale, direct, small_event, 3)
    nothing = answer(207, XML, b'<multistatus xmlns="DAV:"/>')
    gateway.rule = lambda seen: (answer(404) if whole else nothing) if is_multiget(seen) else None
    assert pulled(open_caldav(), calendar)[:3] == (uids, [], [])
    assert [seen.method for seen in gateway.seen].count("GET") == 3


def test_one_resource_that_spoils_the_answer_for_all_does_not_hide_the_others(
    radicale, gateway, open_caldav, work, small_event, pulled
):
    direct, calendar = work
    uids = fill(radicale, direct, small_event, 3)
    gateway.rewrite = lambda seen, given: _edited(given, b"UID:e001", b"UID:e001\xe4") if is_multiget(seen) else given
    assert pulled(open_caldav(), calendar)[0] == uids


def test_an_event_in_latin_1_is_read(radicale, gateway, open_caldav, work, small_event, pulled):
    direct, calendar = work
    fill(radicale, direct, small_event, 3)
    gateway.rewrite = lambda _seen, given: _edited(given, b"UID:e001", b"UID:e001-\xe4")
    assert pulled(open_caldav(), calendar)[::2] == (["e000", "e001-ä", "e002"], [])


def test_what_is_gone_before_it_could_be_read_is_removed(radicale, gateway, open_caldav, work, small_event, pulled):
    direct, calendar = work
    token = pulled(open_caldav(), calendar)[3]
    fill(radicale, direct, small_event, 2)

    def vanishes(seen):
        if is_multiget(seen):
            radicale.delete(direct, "e001")

    gateway.rule = vanishes
    found, removed, _, following = pulled(open_caldav(), calendar, token)
    assert (found, removed) == (["e000"], [calendar.remote_id + "e001.ics"])
    gateway.rule = lambda _seen: None
    assert pulled(open_caldav(), calendar, following)[0] == []


def test_a_calendar_that_vanishes_during_a_pull_is_not_an_empty_one(
    radicale, gateway, open_caldav, small_event, pulled, work
):
    direct = radicale.make_calendar("Brief", "Europe/Berlin")
    calendar = type(work[1])(direct.replace(radicale.url, gateway.url), "Brief")
    fill(radicale, direct, small_event, 2)

    def vanishes(seen):
        if is_multiget(seen):
            radicale.delete(direct)

    gateway.rule = vanishes
    with pytest.raises(NotFound):
        pulled(open_caldav(), calendar)


@pytest.mark.parametrize(
    ("status", "condition"),
    [
        *((status, "<valid-sync-token/>") for status in (403, 409, 412, 400)),
        *((status, "") for status in (400, 403, 409, 410, 412)),
    ],
)
def test_a_token_the_server_refuses_is_invalid(gateway, open_caldav, work, pulled, answer, status, condition):
    gateway.rule = lambda seen: refusal(answer, status, condition) if is_sync(seen) else None
    with pytest.raises(SyncTokenInvalid):
        pulled(open_caldav(), work[1], "http://example/token")


@pytest.mark.parametrize(
    ("status", "headers", "leaf", "pause"),
    [
        (401, {}, GrantRevoked, None),
        (429, {"Retry-After": "30"}, RateLimited, 30.0),
        (429, {}, RateLimited, None),
        (503, {"Retry-After": "60"}, Unavailable, 60.0),
        (503, {}, Unavailable, None),
        (500, {}, Unavailable, None),
        (404, {}, NotFound, None),
        (200, {"Content-Type": "text/html"}, InvalidResponse, None),
        (207, {"Content-Type": "application/xml"}, InvalidResponse, None),
    ],
)
def test_an_answer_that_is_no_listing_is_an_error_and_never_an_empty_calendar(
    gateway, open_caldav, work, pulled, answer, status, headers, leaf, pause
):
    body = b"<html><p>Please sign in</html>" if status < 300 else b""
    gateway.rule = lambda seen: answer(status, headers, body)
    for token in (None, "http://example/token"):
        with pytest.raises(leaf) as caught:
            pulled(open_caldav(), work[1], token)
        assert type(caught.value) is leaf
        assert caught.value.retry_after == pause
        assert caught.value.calendar == work[1].remote_id


def test_a_calendar_without_the_permission_is_denied(gateway, open_caldav, work, pulled, answer):
    gateway.rule = lambda seen: refusal(answer, 403, "<need-privileges/>")
    for token in (None, "http://example/token"):
        with pytest.raises(PermissionDenied):
            pulled(open_caldav(), work[1], token)


def test_a_207_that_says_the_calendar_is_gone_is_not_an_empty_calendar(gateway, open_caldav, work, pulled, answer):
    gone = b'<multistatus xmlns="DAV:">' + row("", "404 Not Found") + b"</multistatus>"
    gateway.rule = lambda seen: answer(207, XML, gone)
    with pytest.raises(NotFound):
        pulled(open_caldav(), work[1])


def test_an_event_that_became_a_task_is_removed(radicale, open_caldav, work, small_event, pulled):
    direct, calendar = work
    radicale.put(direct, "one", small_event())
    token = pulled(open_caldav(), calendar)[3]
    radicale.delete(direct, "one")
    task = small_event(kind="VTODO").replace("DURATION:PT1H\r\n", "")
    radicale.put(direct, "one", task)
    assert pulled(open_caldav(), calendar, token)[:2] == ([], [calendar.remote_id + "one.ics"])
    assert pulled(open_caldav(), calendar)[:2] == ([], [])


def test_our_own_participation_is_known_by_the_addresses_the_server_tells(
    radicale, gateway, open_caldav, work, small_event
):
    direct, calendar = work
    told = b"<href>mailto:Ada@Example.org</href><href>/ada%40example/</href>"
    gateway.rewrite = lambda _seen, given: _edited(
        given, b"<C:calendar-user-address-set><href>/ada%40example/</href>", b"<C:calendar-user-address-set>" + told
    )
    guests = (
        "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.org\r\n"
    )
    radicale.put(direct, "party", small_event("party", more=guests))
    (event,) = next(open_caldav().changes(calendar, None, None)).changed
    assert "X-SYNCD-PARTSTAT:DECLINED" in event.skeleton
    radicale.put(direct, "work", small_event("work", more=guests.replace("ada@", "ada.l@")))
    provider = open_caldav(own_addresses=frozenset({"ada.l@example.org"}))
    events = next(provider.changes(calendar, None, None)).changed
    assert [event.skeleton.count("X-SYNCD-PARTSTAT:DECLINED") for event in events] == [1, 1]


def test_nobody_invited_means_our_addresses_are_not_asked_for(
    radicale, gateway, open_caldav, work, small_event, pulled
):
    direct, calendar = work
    radicale.put(direct, "alone", small_event("alone"))
    pulled(open_caldav(), calendar)
    assert {seen.method for seen in gateway.seen} == {"REPORT"}


@pytest.mark.parametrize(("one", "other"), [('"a"', 'W/"a"'), ('"a"', "a"), ("a", 'W/"a"'), ('"a"', "%22a%22")])
def test_an_etag_is_the_same_weak_quoted_or_bare(one, other):
    assert wire.opaque(one) == wire.opaque(other)
    assert wire.opaque(one) != wire.opaque('"b"')


@pytest.fixture
def without_sync(gateway, answer):
    """Let the server have no sync-collection, and note what else it is asked."""

    def rule(seen):
        return refusal(answer, 403, "<supported-report/>") if is_sync(seen) else None

    gateway.rule = rule


def kept(pages, known):
    """Return remote id → ETag after some pages, as the store keeps them."""
    for page in pages:
        known |= {event.remote_id: event.etag for event in page.changed}
        known |= {item.remote_id: item.etag for item in page.unreadable}
        for remote_id in page.removed:
            known.pop(remote_id, None)
    return known


def test_without_sync_a_quiet_pull_is_one_request(radicale, gateway, open_caldav, work, small_event, without_sync):
    direct, calendar = work
    fill(radicale, direct, small_event, 3)
    provider = open_caldav()
    first = list(provider.changes(calendar, None, None))
    gateway.seen.clear()
    (page,) = provider.changes(calendar, first[-1].sync_token, None, lambda: pytest.fail("nothing is compared"))
    assert (page.changed, page.removed, page.complete) == ((), (), False)
    assert page.sync_token == first[-1].sync_token
    assert [seen.method for seen in gateway.seen] == ["PROPFIND"]


def test_without_sync_only_what_changed_is_read(radicale, gateway, open_caldav, work, small_event, without_sync):
    direct, calendar = work
    fill(radicale, direct, small_event, 40)
    provider = open_caldav()
    first = list(provider.changes(calendar, None, None))
    known = kept(first, {})
    for number in range(10):
        radicale.put(direct, f"e{number:03}", small_event(f"e{number:03}", "20270101T100000Z"))
    radicale.delete(direct, "e039")
    gateway.seen.clear()
    (page,) = provider.changes(calendar, first[-1].sync_token, None, lambda: known)
    assert sorted(event.uid for event in page.changed) == [f"e{number:03}" for number in range(10)]
    assert page.removed == (calendar.remote_id + "e039.ics",)
    assert [seen.method for seen in gateway.seen] == ["PROPFIND", "PROPFIND", "REPORT"]
    assert gateway.seen[-1].body.count(b"href>") == 2 * 10
    (quiet,) = provider.changes(calendar, page.sync_token, None, lambda: kept([page], known))
    assert (quiet.changed, quiet.removed) == ((), ())


def test_a_change_during_a_listing_is_found_by_the_next_pull(
    radicale, gateway, open_caldav, work, small_event, without_sync
):
    direct, calendar = work
    fill(radicale, direct, small_event, 2)

    def late(seen, given):
        if seen.method == "PROPFIND" and seen.headers["Depth"] == "1":
            radicale.put(direct, "late", small_event("late"))
        return given

    gateway.rewrite = late
    provider = open_caldav()
    first = list(provider.changes(calendar, None, None))
    gateway.rewrite = lambda _seen, given: given
    (page,) = provider.changes(calendar, first[-1].sync_token, None, lambda: kept(first, {}))
    assert [event.uid for event in page.changed] == ["late"]


def test_a_server_may_gain_and_lose_sync_between_pulls(radicale, gateway, open_caldav, work, small_event, answer):
    direct, calendar = work
    known, token, tokens = {}, None, []
    provider = open_caldav()
    for number, offered in enumerate([False, True, False, True]):
        gateway.rule = lambda seen, offered=offered: None if offered or not is_sync(seen) else answer(403)
        radicale.put(direct, f"e{number}", small_event(f"e{number}"))
        before = None if token is None else (lambda held=dict(known): held)
        try:
            pages = list(provider.changes(calendar, token, None, before))
        except SyncTokenInvalid:  # as the caller does: read all anew
            pages, known = list(provider.changes(calendar, None, None)), {}
        kept(pages, known)
        token = pages[-1].sync_token
        tokens.append(token.startswith("ctag:"))
        assert len(known) == number + 1
    assert tokens == [True, True, True, True]
    pages = list(provider.changes(calendar, None, None, lambda: known))
    assert [page.changed for page in pages] == [()]
    assert not pages[-1].sync_token.startswith("ctag:")


def test_a_mark_is_worth_nothing_where_nothing_is_known(radicale, open_caldav, work, small_event, without_sync, pulled):
    direct, calendar = work
    provider = open_caldav()
    token = pulled(provider, calendar)[3]
    radicale.put(direct, "one", small_event())
    with pytest.raises(SyncTokenInvalid):
        pulled(provider, calendar, token)


def test_what_a_probe_found_out_is_not_tried_again(radicale, gateway, open_caldav, work, small_event, without_sync):
    direct, calendar = work
    fill(radicale, direct, small_event, 2)
    provider = open_caldav()
    calendar = dataclasses.replace(calendar, probe=provider.probe(calendar))
    assert calendar.probe.pulls_by == "ctag"
    gateway.seen.clear()
    (page,) = provider.changes(calendar, None, None, dict)
    assert len(page.changed) == 2
    assert [seen.method for seen in gateway.seen] == ["PROPFIND", "PROPFIND", "REPORT"]
    assert not any(map(is_sync, gateway.seen))


def test_a_listing_that_says_it_is_cut_is_no_listing(gateway, open_caldav, work, without_sync, pulled):
    def cut(seen, given):
        if seen.method == "PROPFIND" and seen.headers["Depth"] == "1":
            return _edited(given, b"</multistatus>", row("", "507 Insufficient Storage") + b"</multistatus>")
        return given

    gateway.rewrite = cut
    with pytest.raises(InvalidResponse, match="part"):
        pulled(open_caldav(), work[1])


def test_what_the_server_refuses_to_show_is_asked_for_again(radicale, gateway, open_caldav, work, small_event, answer):
    direct, calendar = work
    fill(radicale, direct, small_event, 2)
    nothing = answer(207, XML, b'<multistatus xmlns="DAV:"/>')

    def private(seen):
        if is_sync(seen):
            return answer(501)
        if is_multiget(seen):
            return nothing
        return answer(403) if seen.method == "GET" and seen.path.endswith("e001.ics") else None

    gateway.rule = private
    provider = open_caldav()
    pages = list(provider.changes(calendar, None, None))
    assert [(item.remote_id, item.etag) for page in pages for item in page.unreadable] == [
        (calendar.remote_id + "e001.ics", "")
    ]
    known = kept(pages, {})
    gateway.rule = lambda seen: None
    (page,) = provider.changes(calendar, None, None, lambda: known)
    assert [event.uid for event in page.changed] == ["e001"]


@pytest.mark.parametrize("status", [403, 500, 503])
@pytest.mark.parametrize("way", ["sync", "etags"])
def test_a_listing_that_refuses_the_calendar_itself_is_not_an_empty_calendar(
    radicale, gateway, open_caldav, work, small_event, answer, way, status
):
    radicale.put(work[0], "one", small_event("one"))
    itself = f"<D:response><D:href>{urlsplit(work[1].remote_id).path}</D:href><D:status>HTTP/1.1 {status} No</D:status>"
    body = f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{itself}</D:response></D:multistatus>'
    no_sync = refusal(answer, 403)

    def refused(seen):
        if way == "etags" and is_sync(seen):
            return no_sync
        listing = is_sync(seen) or (seen.method == "PROPFIND" and seen.headers.get("Depth") == "1")
        return answer(207, XML, body.encode()) if listing else None

    gateway.rule = refused
    with pytest.raises(ProviderError):
        list(open_caldav().changes(work[1], None, None, lambda: {work[1].remote_id + "one.ics": '"1"'}))


def test_a_listing_of_nothing_but_what_is_gone_is_not_an_empty_calendar(gateway, open_caldav, work, answer):
    href = "<D:href>http%3A//127.0.0.1/elsewhere/</D:href><D:status>HTTP/1.1 404 Not Found</D:status>"
    gone = f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response>{href}</D:response></D:multistatus>'
    gateway.rule = lambda seen: (
        refusal(answer, 404)
        if is_sync(seen)
        else answer(207, XML, gone.encode())
        if seen.method == "PROPFIND" and seen.headers.get("Depth") == "1"
        else None
    )
    with pytest.raises(NotFound):
        list(open_caldav().changes(work[1], None, None, lambda: {work[1].remote_id + "one.ics": '"1"'}))


def test_an_empty_multistatus_is_not_an_empty_calendar(gateway, open_caldav, work, answer):
    nothing = answer(207, XML, b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"/>')
    no_sync = refusal(answer, 403)
    gateway.rule = lambda seen: (
        no_sync
        if is_sync(seen)
        else nothing
        if seen.method == "PROPFIND" and seen.headers.get("Depth") == "1"
        else None
    )
    with pytest.raises(InvalidResponse):
        list(open_caldav().changes(work[1], None, None, lambda: {work[1].remote_id + "one.ics": '"1"'}))


def test_one_event_that_fails_alone_does_not_stop_its_calendar(
    radicale, gateway, open_caldav, work, small_event, pulled, answer
):
    radicale.put(work[0], "one", small_event("one"))
    provider = open_caldav()
    token = pulled(provider, work[1])[-1]
    radicale.put(work[0], "two", small_event("two"))
    gateway.rule = lambda seen: answer(500) if is_multiget(seen) or "two.ics" in seen.path else None
    changed, removed, unreadable, _ = pulled(provider, work[1], token)
    assert (changed, removed) == ([], [])
    assert [(one.remote_id, one.etag) for one in unreadable] == [(work[1].remote_id + "two.ics", "")]


def test_a_text_that_is_newer_than_its_etag_is_read_again_and_never_the_other_way_round(
    radicale, gateway, open_caldav, work, small_event
):
    radicale.put(work[0], "one", small_event("one"))
    url = work[1].remote_id + "one.ics"

    def edited_between(seen, given):
        if seen.method == "GET":
            given.headers.pop("ETag", None)
            if "old" not in state:
                state["old"] = radicale.put(work[0], "one", small_event("one", "20261125T090000Z"))
        return given

    state = {}
    gateway.rewrite = edited_between
    found = open_caldav().get(EventRef(work[1].remote_id, url, "one"))
    assert f"{found.start_at:%d}" == "25"
    assert found.ref.etag == state["old"]
