"""How our events are written to a CalDAV server, and what its refusals mean."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
    Unsupported,
)
from providers.model import ConsultationEvent

XML = {"Content-Type": "application/xml"}
CALDAV = 'xmlns="urn:ietf:params:xml:ns:caldav"'


@pytest.fixture
def consultation():
    """Describe a consultation."""

    def event(hour=9, **changes):
        start = datetime(2026, 12, 1, hour, tzinfo=UTC)
        fields = {"title": "Intro call", "description": "By Bob.", "location": None, "sequence": 0} | changes
        return ConsultationEvent("bkg_1", start, start + timedelta(minutes=30), updated_at=start, **fields)

    return event


def refusal(answer, status, condition=""):
    body = f'<?xml version="1.0"?><D:error xmlns:D="DAV:">{condition}</D:error>' if condition else ""
    return answer(status, XML, body.encode())


def _edited(given, old, new):
    given.body = given.body.replace(old, new)
    return given


def only(method, given):
    return lambda seen: given if seen.method == method else None


def test_a_create_is_conditional_and_goes_to_an_address_made_of_the_key(gateway, open_caldav, work, consultation):
    ref = open_caldav().create(work[1], consultation(), "bkg-1@syncd")
    (put,) = [seen for seen in gateway.seen if seen.method == "PUT"]
    assert put.headers["If-None-Match"] == "*"
    assert ref.remote_id == work[1].remote_id + "bkg-1%40syncd.ics"
    assert gateway.url + put.path[1:] == ref.remote_id


def test_a_create_never_overwrites_on_a_server_that_ignores_the_condition(
    radicale, gateway, open_caldav, work, consultation
):
    open_caldav().create(work[1], consultation(), "key")
    before = radicale.get(work[0], "key")

    def careless(seen):
        seen.headers.pop("If-None-Match", None)

    gateway.rule = careless
    with pytest.raises(AlreadyExists):
        open_caldav().create(work[1], consultation(15), "key")
    assert radicale.get(work[0], "key") == before


def test_a_uid_the_server_has_under_another_address_already_exists(
    radicale, open_caldav, work, consultation, small_event
):
    radicale.put(work[0], "elsewhere", small_event("key"))
    with pytest.raises(AlreadyExists):
        open_caldav().create(work[1], consultation(), "key")
    assert list(radicale.list(work[0])) == ["elsewhere.ics"]


@pytest.mark.parametrize("status", [403, 409, 412])
def test_a_uid_conflict_means_already_exists_whatever_its_status(
    gateway, open_caldav, work, consultation, answer, status
):
    gateway.rule = only("PUT", refusal(answer, status, f"<no-uid-conflict {CALDAV}/>"))
    with pytest.raises(AlreadyExists):
        open_caldav().create(work[1], consultation(), "key")


@pytest.mark.parametrize("status", [403, 409, 412])
def test_a_refusal_by_one_who_came_first_means_already_exists(
    radicale, gateway, open_caldav, work, consultation, answer, small_event, status
):
    def first(seen):
        if seen.method != "PUT":
            return None
        radicale.put(work[0], "key", small_event("key"))
        return answer(status)

    gateway.rule = first
    with pytest.raises(AlreadyExists):
        open_caldav().create(work[1], consultation(), "key")


@pytest.mark.parametrize(
    ("status", "headers", "condition", "leaf"),
    [
        (412, {}, f"<valid-calendar-data {CALDAV}/>", Unsupported),
        (412, {}, "", Unsupported),
        (403, {}, "<D:need-privileges/>", PermissionDenied),
        (403, {}, "", PermissionDenied),
        (409, {}, "", ETagMismatch),
        (413, {}, "", Unsupported),
        (429, {"Retry-After": "5"}, "", RateLimited),
        (503, {}, "", Unavailable),
        (507, {}, "", Unavailable),
    ],
)
def test_a_refused_create_says_what_is_the_matter(
    gateway, open_caldav, work, consultation, answer, status, headers, condition, leaf
):
    given = refusal(answer, status, condition)
    given.headers |= headers
    gateway.rule = only("PUT", given)
    with pytest.raises(leaf) as caught:
        open_caldav().create(work[1], consultation(), "key")
    assert type(caught.value) is leaf
    assert caught.value.remote_id == work[1].remote_id + "key.ics"
    assert "Intro" not in str(caught.value)


@pytest.mark.parametrize(("status", "leaf"), [(403, PermissionDenied), (409, ETagMismatch), (412, Unsupported)])
def test_what_a_server_says_in_words_of_its_own_is_no_precondition(
    gateway, open_caldav, work, consultation, answer, status, leaf
):
    own = '<exception xmlns="http://sabredav.org/ns">Conflict</exception><line xmlns="http://sabredav.org/ns">7</line>'
    gateway.rule = only("PUT", refusal(answer, status, own))
    with pytest.raises(leaf) as caught:
        open_caldav().create(work[1], consultation(), "key")
    assert type(caught.value) is leaf
    assert not {"exception", "line"} & set(re.split(r"\W+", str(caught.value)))


def test_a_line_in_latin_1_is_kept_as_utf_8_when_an_event_is_changed(
    radicale, gateway, open_caldav, work, consultation
):
    ref = open_caldav().create(work[1], consultation(description="Für Bob"), "key")
    gateway.rewrite = lambda seen, given: _edited(given, "ü".encode(), b"\xfc") if seen.method == "GET" else given
    open_caldav().update(ref, consultation(11), ref.etag)
    assert "DESCRIPTION:Für Bob" in radicale.get(work[0], "key")


def test_a_create_in_a_calendar_that_is_gone_raises_not_found(radicale, gateway, open_caldav, work, consultation):
    gone = type(work[1])(work[1].remote_id.replace("work", "never"), "Never")
    with pytest.raises(NotFound):
        open_caldav().create(gone, consultation(), "key")


def test_an_answer_without_an_etag_is_followed_by_reading_it(gateway, open_caldav, work, consultation):
    def silent(seen, given):
        if seen.method == "PUT":
            given.headers.pop("ETag", None)
        return given

    gateway.rewrite = silent
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    assert ref.etag == provider.get(ref).ref.etag
    assert ref.etag
    moved = provider.update(ref, consultation(11), ref.etag)
    assert moved.etag == provider.get(ref).ref.etag != ref.etag


def test_a_server_that_gives_no_etag_with_a_resource_is_asked_for_it(gateway, open_caldav, work, consultation):
    def silent(seen, given):
        if seen.method in {"GET", "PUT"}:
            given.headers.pop("ETag", None)
        return given

    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    gateway.rewrite = silent
    assert provider.get(ref).ref.etag == ref.etag
    provider.update(ref, consultation(11), ref.etag)


@pytest.mark.parametrize("spelling", ["W/{}", "{}", "bare"])
def test_an_update_works_however_the_server_spells_its_etags(gateway, open_caldav, work, consultation, spelling):
    def spelt(_seen, given):
        if "ETag" in given.headers:
            tag = given.headers["ETag"]
            given.headers["ETag"] = tag.strip('"') if spelling == "bare" else spelling.format(tag)
        return given

    def understands(seen):
        if "If-Match" in seen.headers and '"' not in seen.headers["If-Match"]:
            seen.headers["If-Match"] = f'"{seen.headers["If-Match"]}"'

    gateway.rewrite, gateway.rule = spelt, understands
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    ref = provider.update(ref, consultation(11), ref.etag)
    assert provider.get(ref).start_at.hour == 11
    with pytest.raises(ETagMismatch):
        provider.update(ref, consultation(12), 'W/"stale"')
    provider.delete(ref, ref.etag)
    assert provider.find(work[1], "key") is None


def test_an_update_and_a_delete_are_conditional(gateway, open_caldav, work, consultation):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    moved = provider.update(ref, consultation(11), ref.etag)
    provider.delete(moved, moved.etag)
    sent = {seen.method: seen.headers.get("If-Match") for seen in gateway.seen if seen.method in {"PUT", "DELETE"}}
    assert sent == {"PUT": ref.etag, "DELETE": moved.etag}


def test_a_conflict_with_anothers_write_means_to_look_again(gateway, open_caldav, work, consultation, answer):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    gateway.rule = only("PUT", refusal(answer, 409))
    with pytest.raises(ETagMismatch):
        provider.update(ref, consultation(11), ref.etag)


@pytest.mark.parametrize("call", ["update", "delete"])
def test_a_change_between_our_look_and_our_write_is_not_overwritten(
    radicale, gateway, open_caldav, work, consultation, call
):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    theirs = radicale.get(work[0], "key").replace("Intro call", "Renamed")

    def in_between(seen):
        if seen.method in {"PUT", "DELETE"}:
            radicale.put(work[0], "key", theirs)

    gateway.rule = in_between
    arguments = (consultation(11), ref.etag) if call == "update" else (ref.etag,)
    with pytest.raises(ETagMismatch):
        getattr(provider, call)(ref, *arguments)
    assert "Renamed" in radicale.get(work[0], "key")


def test_a_delete_of_what_goes_at_the_same_moment_succeeds(radicale, gateway, open_caldav, work, consultation):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")

    def in_between(seen):
        if seen.method == "DELETE":
            radicale.delete(work[0], "key")

    gateway.rule = in_between
    provider.delete(ref, ref.etag)
    assert radicale.list(work[0]) == {}


def test_a_read_only_calendar_denies_writing(gateway, open_caldav, work, consultation, answer):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    gateway.rule = lambda seen: answer(403) if seen.method in {"PUT", "DELETE"} else None
    for call in (
        lambda: provider.create(work[1], consultation(), "other"),
        lambda: provider.update(ref, consultation(11), ref.etag),
        lambda: provider.delete(ref, None),
    ):
        with pytest.raises(PermissionDenied):
            call()


def test_an_event_that_is_no_calendar_object_any_more_is_an_invalid_response(
    gateway, open_caldav, work, consultation, answer
):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    gateway.rule = only("GET", answer(200, {"Content-Type": "text/html", "ETag": ref.etag}, b"<html><p>sign in"))
    for call in (lambda: provider.get(ref), lambda: provider.update(ref, consultation(), ref.etag)):
        with pytest.raises(InvalidResponse):
            call()


def test_an_event_that_went_through_a_server_with_a_zone_reads_the_same(radicale, open_caldav, work, consultation):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    text = radicale.get(work[0], "key")
    zoned = text.replace("DTSTART:20261201T090000Z", "DTSTART;TZID=Europe/Berlin:20261201T100000")
    assert zoned != text
    radicale.put(work[0], "key", zoned)
    assert provider.get(ref).start_at == consultation().start_at


def test_no_address_outside_the_account_is_ever_asked(gateway, open_caldav, work, consultation):
    provider = open_caldav()
    ref = provider.create(work[1], consultation(), "key")
    gateway.seen.clear()
    away = type(ref)(ref.calendar, "http://10.0.0.1/key.ics", ref.uid, ref.etag)
    with pytest.raises(InvalidResponse):
        provider.get(away)
    assert gateway.seen == []
