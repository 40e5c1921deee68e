"""Every quirk that is allowed for, and its twin: what goes wrong on a server that has it if it weren't.

A scene is played three times: on a server with the quirk by an account that allows for all of them, by one that allows
for all but this one, which must fail, and on a server without any quirk by an account that allows for none.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from providers import ical
from providers.caldav import quirks
from providers.caldav.client import CalDAVProvider
from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    InvalidResponse,
    NotFound,
    ProviderError,
    SyncTokenInvalid,
    Unavailable,
    Unsupported,
)
from providers.model import Connection, ConsultationEvent, Probe, Pulled, Window

START = datetime(2026, 12, 1, 9, tzinfo=UTC)
WINDOW = Window(START - timedelta(days=30), START + timedelta(days=90))
TWINS = []


def twin(quirk, *oddities):
    """Note a scene for a quirk, and how a server plays it: one oddity, or several at once."""

    def note(scene):
        TWINS.extend((quirk, (one,) if isinstance(one, str) else one, scene) for one in oddities or (quirk.name,))
        return scene

    return note


class Stage:
    """A server with one calendar, and accounts opened there."""

    def __init__(self, server, allowed):
        self.server, self.allowed = server, allowed
        self.direct = server.make_calendar("Work")
        self.opened = []
        self.known, self.token = {}, None

    def open(self, path=""):
        server = self.server
        connection = Connection(server.url + path.lstrip("/"), server.username, server.password, allow_private=True)
        self.opened.append(CalDAVProvider(connection, self.allowed, pauses=(0.0, 0.0)))
        return self.opened[-1]

    def calendar(self, provider):
        found = provider.list_calendars()
        assert len(found) == 1
        return found[0]

    def put(self, *uids, more=""):
        for uid in uids:
            self.server.put("Work", f"{uid}.ics", small(uid, more=more))

    def pulled(self, provider, calendar, *, again=False):
        """Pull as the keeper of the calendar does, and return the UIDs that came."""
        known = dict(self.known)
        try:
            pages = list(provider.changes(calendar, self.token, WINDOW, (lambda: known) if again else None))
        except SyncTokenInvalid:
            self.known = {}
            pages = list(provider.changes(calendar, None, WINDOW))
        for page in pages:
            self.known |= {item.remote_id: item.etag for item in (*page.changed, *page.unreadable)}
            for remote_id in page.removed:
                self.known.pop(remote_id, None)
        self.token = pages[-1].sync_token
        return sorted(event.uid for page in pages for event in page.changed)

    def pulled_once(self):
        """Open an account and pull its calendar for the first time."""
        provider = self.open()
        calendar = self.calendar(provider)
        self.pulled(provider, calendar)
        return provider, calendar

    def names(self):
        return sorted(remote_id.rpartition("/")[2] for remote_id in self.known)


def small(uid, *, start="20261201T090000Z", more=""):
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n"
        f"DTSTAMP:20261101T120000Z\r\nDTSTART:{start}\r\nDURATION:PT1H\r\n{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def consultation(hour=9, title="Intro"):
    start = START.replace(hour=hour)
    return ConsultationEvent("bkg_1", start, start + timedelta(minutes=30), title, "", None, 0, START)


# Who we are, and where things are


@twin(quirks.NEVER_ASKS, "never-asks", "never-asks=401")
@twin(quirks.NO_CURRENT_PRINCIPAL)
@twin(quirks.ENCODED_TWICE)
@twin(quirks.OTHER_PORT)
@twin(quirks.NO_SLASH, "no-slash", ("itself-listed", "no-sync-collection"))
@twin(quirks.BARE_HOME)
@twin(quirks.FALSE_CALENDARS)
def the_calendar_is_found_and_pulled(stage):
    stage.put("one")
    provider = stage.open()
    calendar = stage.calendar(provider)
    assert calendar.remote_id == stage.direct
    assert stage.pulled(provider, calendar) == ["one"]
    assert list(stage.known) == [stage.direct + "one.ics"]


@twin(quirks.NO_HOME)
def the_given_address_is_the_home(stage):
    assert stage.calendar(stage.open(stage.server.home)).remote_id == stage.direct


# What there is


@twin(
    quirks.NO_SYNC, *(f"no-sync-collection={status}" for status in (400, 403, 404, 405, 409, 412, 415, 500, 501, 507))
)
@twin(quirks.NO_CTAG, ("no-ctag", "no-sync-collection"))
@twin(quirks.CUT_SYNC)
@twin(quirks.CUT_FOR_GOOD, "cut-for-good", ("cut-for-good", "itself-listed"))
@twin(quirks.EMPTY_SYNC, "empty-sync=hides")
@twin(quirks.REPEATED_ROWS)
@twin(quirks.ITSELF_LISTED)
@twin(quirks.MULTIGET_SILENT)
@twin(quirks.MULTIGET_SPOILT)
@twin(quirks.NO_ETAGS)
def what_is_there_is_listed_and_then_what_changed(stage):
    stage.put("a", "b", "c", "d")
    provider = stage.open()
    calendar = stage.calendar(provider)
    assert stage.pulled(provider, calendar) == ["a", "b", "c", "d"]
    stage.put("b", "e", more="RRULE:FREQ=DAILY;COUNT=2\r\n")
    stage.server.remove("Work", "c.ics")
    assert stage.pulled(provider, calendar, again=True) == ["b", "e"]
    assert stage.names() == ["a.ics", "b.ics", "d.ics", "e.ics"]
    assert stage.pulled(provider, calendar, again=True) == []


@twin(quirks.EMPTY_SYNC, "empty-sync=404")
def a_calendar_that_is_gone_was_not_emptied(stage):
    stage.put("a", "b")
    provider, calendar = stage.pulled_once()
    stage.server.remove_calendar("Work")
    known = stage.known | {f"{stage.direct}written-since.ics": ""}
    with pytest.raises(NotFound):
        list(provider.changes(calendar, stage.token, WINDOW, lambda: known))


@twin(quirks.EMPTY_SYNC, "empty-sync", "empty-sync=404")
def a_calendar_that_is_gone_is_not_read_as_an_empty_one(stage):
    stage.put("a", "b")
    provider = stage.open()
    calendar = stage.calendar(provider)
    stage.server.remove_calendar("Work")
    with pytest.raises(NotFound):
        list(provider.changes(calendar, None, WINDOW))


@twin(quirks.EMPTY_SYNC, "empty-sync", "empty-sync=404")
def a_calendar_that_is_gone_is_not_compared_as_an_empty_one(stage):
    stage.put("a", "b")
    provider, calendar = stage.pulled_once()
    stage.server.remove_calendar("Work")
    with pytest.raises(NotFound):
        list(provider.changes(calendar, None, WINDOW, lambda: dict(stage.known)))


@twin(quirks.FAILS_EMPTY, ("fails-empty", "no-sync-collection"))
def a_calendar_of_which_nothing_is_listed_is_not_empty_while_it_shows_what_was_there(stage):
    stage.put("a", "z", more="RRULE:FREQ=DAILY;COUNT=3\r\n")
    provider, calendar = stage.pulled_once()
    stage.server.remove("Work", "z.ics")
    if stage.server.plays("fails-empty"):
        stage.server.failing = True
        ours = {f"{stage.direct}ours-{number}.ics": "" for number in range(5)}  # written, and removed by hand
        for token in (stage.token, None):
            with pytest.raises(Unavailable):
                list(provider.changes(calendar, token, WINDOW, lambda: ours | stage.known))
        stage.server.failing = False
    stage.pulled(provider, calendar, again=True)
    assert stage.names() == ["a.ics"]


@twin(quirks.BARE_NAMES)
@twin(quirks.FORBIDDEN_CHARACTERS, "forbidden-characters", "surrogates")
def odd_names_and_texts_hide_nothing(stage):
    stage.put("urn:uuid:1", more="SUMMARY:Party \U0001f389\r\n")
    stage.put("plain")
    provider = stage.open()
    calendar = stage.calendar(provider)
    stage.server.seen.clear()
    assert stage.pulled(provider, calendar) == ["plain", "urn:uuid:1"]
    assert stage.names() == ["plain.ics", "urn%3Auuid%3A1.ics"]
    assert "GET" not in {request.method for request in stage.server.seen}


@twin(quirks.RAW_NAMES)
def a_name_with_a_question_mark_is_a_name(stage):
    stage.put("what?x=1&y=2#frag", "plain")
    provider = stage.open()
    calendar = stage.calendar(provider)
    assert stage.pulled(provider, calendar) == ["plain", "what?x=1&y=2#frag"]
    stage.server.remove("Work", "what?x=1&y=2#frag.ics")
    stage.pulled(provider, calendar, again=True)
    assert stage.names() == ["plain.ics"]


@twin(quirks.LOST_NAMES, "raw-names", "raw-names-in-sync")
def nothing_vanishes_silently(stage):
    stage.put("100%25 off", "goes", "plain")
    provider = stage.open()
    calendar = stage.calendar(provider)

    def goes(request):
        if b"calendar-multiget" in request.body and "goes.ics" in stage.server.texts("Work"):
            stage.server.remove("Work", "goes.ics")

    stage.server.meanwhile = goes
    stage.pulled(provider, calendar)
    assert [name.partition("%")[0] for name in stage.names()] == ["100", "plain.ics"]


@twin(quirks.REUSED_ETAGS)
def what_was_removed_and_made_again_is_read_again(stage):
    stage.put("a", "b", "c")
    provider, calendar = stage.pulled_once()
    stage.server.remove("Work", "a.ics")
    stage.put("a", more="TRANSP:TRANSPARENT\r\n")
    assert stage.pulled(provider, calendar, again=True) == ["a"]


@twin(quirks.REUSED_ETAGS)
def what_was_made_again_is_read_again_when_all_is_compared(stage):
    stage.put("a", "b", "c")
    provider, calendar = stage.pulled_once()
    stage.server.remove("Work", "a.ics")
    stage.put("a", more="TRANSP:TRANSPARENT\r\n")
    stage.token = None
    assert "a" in stage.pulled(provider, calendar, again=True)


@twin(
    quirks.TOKEN_REFUSED_PLAINLY,
    *(f"token-refused-plainly={s}" for s in (207, 400, 403, 405, 409, 410, 412, 415, 500, 501, 507)),
)
def an_old_token_is_invalid(stage):
    provider = stage.open()
    with pytest.raises(SyncTokenInvalid):
        list(provider.changes(stage.calendar(provider), "http://scripted.example/sync/0/0", None))


@twin(quirks.ANY_TOKEN)
def what_is_gone_is_found_after_the_server_forgot_its_tokens(stage):
    stage.put("a", "b", "c")
    provider, calendar = stage.pulled_once()
    stage.server.remove("Work", "c.ics")
    stage.token = "http://scripted.example/sync/0/0"
    stage.pulled(provider, calendar, again=True)
    assert stage.names() == ["a.ics", "b.ics"]


@twin(quirks.ANY_TOKEN)
def a_calendar_that_was_made_anew_has_nothing_of_the_old_one(stage):
    stage.put("old", "both")
    provider = stage.open()
    seen = provider.probe(stage.calendar(provider))
    calendar = dataclasses.replace(stage.calendar(provider), probe=seen)
    stage.pulled(provider, calendar)
    stage.server.remove_calendar("Work")
    stage.server.make_calendar("Work")
    stage.put("both", "new")
    stage.pulled(provider, calendar, again=True)
    assert stage.names() == ["both.ics", "new.ics"]


@twin(quirks.REPEATED_CHANGES)
def what_did_not_change_is_not_read_again(stage):
    stage.put(*"abcdefghij")
    provider, calendar = stage.pulled_once()
    stage.server.seen.clear()
    assert stage.pulled(provider, calendar, again=True) == []
    assert len(stage.server.seen) == 1 + ("Authorization" not in stage.server.seen[0].headers)


@twin(quirks.NO_ETAGS, "no-etags", "no-etag-on-get")
@twin(quirks.ODD_ETAGS, "odd-etags=weak", "odd-etags=bare", "odd-etags=encoded")
def an_event_is_changed_by_whatever_etag_it_was_listed_with(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    ref = provider.create(calendar, consultation(), "key")
    stage.pulled(provider, calendar)
    (listed,) = stage.known.values()
    later = provider.update(ref, consultation(11), listed)
    with pytest.raises(ETagMismatch):
        provider.update(ref, consultation(12), listed)
    provider.delete(later, later.etag)
    assert stage.server.texts("Work") == {}


@twin(quirks.MULTIGET_FAILS, "multiget-fails=404", "multiget-fails=501")
def what_goes_while_it_is_read_hides_nothing_else(stage):
    stage.put("a", "b")
    provider = stage.open()
    calendar = stage.calendar(provider)

    def goes(request):
        if b"calendar-multiget" in request.body and "a.ics" in stage.server.texts("Work"):
            stage.server.remove("Work", "a.ics")

    stage.server.meanwhile = goes
    assert stage.pulled(provider, calendar) == ["b"]


@twin(quirks.ONE_FAILS)
def one_event_that_can_not_be_had_hides_nothing_else(stage):
    stage.put("good")
    stage.put("bad", more="X-SPOILT:1\r\n")
    provider = stage.open()
    calendar = stage.calendar(provider)
    assert "good" in stage.pulled(provider, calendar)
    assert stage.names() == ["bad.ics", "good.ics"]


@twin(quirks.MISSED_BY_TIME)
def a_look_finds_a_series_that_began_long_ago(stage):
    stage.server.put("Work", "a.ics", small("a", start="20260901T090000Z", more="RRULE:FREQ=WEEKLY\r\n"))
    provider = stage.open()
    (glance,) = provider.look([stage.calendar(provider)], Window(START, START + timedelta(days=1)))
    assert [event.uid for event in glance.events] == ["a"]
    assert glance.complete


# What we write


@twin(quirks.IF_NONE_MATCH_IGNORED)
def what_is_there_is_not_overwritten(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    provider.create(calendar, consultation(), "key")
    before = stage.server.texts("Work")
    with pytest.raises(AlreadyExists):
        provider.create(calendar, consultation(15), "key")
    assert stage.server.texts("Work") == before


@twin(quirks.IF_MATCH_IGNORED)
def what_changed_meanwhile_is_neither_changed_nor_removed(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    ref = provider.create(calendar, consultation(), "key")
    stage.server.put("Work", "key.ics", stage.server.texts("Work")["key.ics"].replace("Intro", "Renamed"))
    for call in (lambda: provider.update(ref, consultation(15), ref.etag), lambda: provider.delete(ref, ref.etag)):
        with pytest.raises(ETagMismatch):
            call()
    assert "Renamed" in stage.server.texts("Work")["key.ics"]


@twin(quirks.BINNED)
def nothing_is_written_to_a_calendar_that_was_thrown_away(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    stage.server.remove_calendar("Work")
    with pytest.raises(NotFound):
        provider.create(calendar, consultation(), "key")
    assert provider.list_calendars() == []


@twin(quirks.IF_MATCH_WANTED)
def an_event_is_removed_unconditionally(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    provider.delete(provider.create(calendar, consultation(), "key"), None)
    assert stage.server.texts("Work") == {}


@twin(quirks.OTHER_412, "other-412", "other-412=bare")
def an_event_the_server_dislikes_is_named_as_that(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    with pytest.raises(Unsupported):
        provider.create(calendar, consultation(title="X-BAD"), "key")
    ref = provider.create(calendar, consultation(), "key")
    with pytest.raises(Unsupported):
        provider.update(ref, consultation(title="X-BAD"), ref.etag)


@twin(quirks.UID_CONFLICT, *(f"uid-conflict={status}" for status in (400, 403, 409, 412)))
def a_uid_that_stands_elsewhere_exists_already(stage):
    stage.server.put("Work", "elsewhere.ics", small("key"))
    provider = stage.open()
    with pytest.raises(AlreadyExists):
        provider.create(stage.calendar(provider), consultation(), "key")


@twin(quirks.GONE_REFUSED, "gone-refused=403", "gone-refused=405")
def a_calendar_that_is_gone_is_named_as_that(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    stage.server.remove_calendar("Work")
    with pytest.raises(NotFound):
        provider.create(calendar, consultation(), "key")


@twin(quirks.NO_ETAG_ON_PUT)
@twin(quirks.OTHER_ETAG_ON_PUT)
def what_we_wrote_is_known_by_the_next_pull(stage):
    provider, calendar = stage.pulled_once()
    ref = provider.create(calendar, consultation(), "key")
    ref = provider.update(ref, consultation(11), ref.etag)
    stage.known = {ref.remote_id: ref.etag}
    stage.token = None
    assert stage.pulled(provider, calendar, again=True) == []


@twin(quirks.SLOW_TO_SHOW)
def what_we_wrote_is_there(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    ref = provider.create(calendar, consultation(), "key")
    assert provider.get(ref).start_at.hour == 9
    ref = provider.update(ref, consultation(11), ref.etag)
    assert (provider.get(ref).start_at.hour, provider.get(ref).ref) == (11, ref)


@twin(quirks.SCHEDULES)
def nobody_whom_a_person_invited_is_told(stage):
    provider = stage.open()
    calendar = stage.calendar(provider)
    ref = provider.create(calendar, consultation(), "key")
    guest = "ORGANIZER:mailto:ada@example\r\nATTENDEE:mailto:guest@example.org\r\nEND:VEVENT"
    stage.server.put("Work", "key.ics", stage.server.texts("Work")["key.ics"].replace("END:VEVENT", guest))
    ref = provider.get(ref).ref
    ref = provider.update(ref, consultation(11), ref.etag)
    assert "guest@example.org" in stage.server.texts("Work")["key.ics"]
    provider.delete(ref, ref.etag)
    assert stage.server.mailed == []


# The three ways to play a scene


@pytest.fixture
def stage(scripted):
    """Set a stage; what was opened there is closed."""
    stages = []

    def start(oddities, allowed):
        scripted.play(*oddities)
        stages.append(Stage(scripted, allowed))
        return stages[-1]

    yield start
    for one in stages:
        for provider in one.opened:
            provider.close()


IDS = [f"{'+'.join(oddities)}: {scene.__name__}" for _, oddities, scene in TWINS]


@pytest.mark.parametrize(("quirk", "oddities", "scene"), TWINS, ids=IDS)
def test_a_server_with_the_quirk_is_used_rightly(stage, quirk, oddities, scene):
    scene(stage(oddities, quirks.ALL))


@pytest.mark.parametrize(("quirk", "oddities", "scene"), TWINS, ids=IDS)
def test_without_the_allowance_it_goes_wrong(stage, quirk, oddities, scene):
    with pytest.raises((AssertionError, ProviderError, pytest.fail.Exception)):
        scene(stage(oddities, quirks.ALL - {quirk}))


@pytest.mark.parametrize("scene", sorted({scene for *_, scene in TWINS}, key=lambda scene: scene.__name__))
def test_a_server_without_quirks_needs_no_allowance(stage, scene):
    scene(stage((), frozenset()))


def test_every_quirk_that_is_allowed_for_has_a_twin():
    assert {quirk for quirk, *_ in TWINS} == quirks.ALL
    declared = quirks.ALL | quirks.AVOIDED
    assert len({quirk.name for quirk in declared}) == len(declared)
    assert all(quirk.servers and quirk.what and quirk.why.endswith((".", ")")) for quirk in declared)


AVOIDED = {
    quirks.END_WANTED: lambda text: "".join(line for line in text.splitlines(True) if not line.startswith("DTEND")),
    quirks.ZONES_LOST: lambda text: text.replace(
        "DTSTART:20261201T090000Z", "DTSTART;TZID=Europe/Berlin:20261201T100000"
    ),
}


@pytest.mark.parametrize("quirk", sorted(quirks.AVOIDED, key=lambda quirk: quirk.name), ids=lambda quirk: quirk.name)
def test_what_is_avoided_would_go_wrong(stage, quirk):
    played = stage((quirk.name,), quirks.ALL)
    provider = played.open()
    calendar = played.calendar(provider)
    provider.create(calendar, consultation(), "ours")
    assert list(played.server.texts("Work")) == ["ours.ics"]
    ours = ical.write_event(consultation(), "theirs").decode()
    theirs = AVOIDED[quirk](ours)
    assert theirs != ours
    status = played.server.put_as_client("Work", "theirs.ics", theirs)
    assert status == 403 or status < 300
    assert list(played.server.texts("Work")) == ["ours.ics"]


# What else a server may do while we write


@pytest.mark.parametrize("key", ["a;b,c", "a:b", "100%25", "what?x=1&y=2", "it's (ours)", "back\\slash"])
def test_what_was_created_is_found_by_its_key(stage, key):
    played = stage((), quirks.ALL)
    provider = played.open()
    calendar = played.calendar(provider)
    ref = provider.create(calendar, consultation(), key)
    assert (ref.uid, provider.find(calendar, key).ref) == (key, ref)
    played.pulled(provider, calendar)
    assert list(played.known) == [ref.remote_id]
    with pytest.raises(AlreadyExists):
        provider.create(calendar, consultation(), key)


def test_another_write_to_the_same_address_is_noticed_where_conditions_are_ignored(stage):
    played = stage(("if-none-match-ignored",), quirks.ALL)
    provider = played.open()
    calendar = played.calendar(provider)
    other = ical.write_event(consultation(15), "key").decode()

    def after_our_write(request):
        if request.method == "GET" and "key.ics" in played.server.texts("Work"):
            played.server.put("Work", "key.ics", other)

    played.server.meanwhile = after_our_write
    with pytest.raises(AlreadyExists):
        provider.create(calendar, consultation(), "key")


def test_an_event_that_is_taken_and_never_shown_is_written_again_later(stage):
    played = stage(("zones-lost",), quirks.ALL)
    provider = played.open()
    calendar = played.calendar(provider)
    with pytest.raises(Unavailable, match="doesn't show it"):
        provider.create(calendar, consultation(title=";TZID="), "key")


@pytest.mark.parametrize(("oddity", "count"), [("truncates", 45), ("cut-for-good", 5)])
def test_a_part_of_a_calendar_never_passes_for_the_whole(stage, oddity, count):
    played = stage((oddity, "cut-listing"), quirks.ALL)
    uids = [f"e{number:03}" for number in range(count)]
    played.put(*uids)
    provider = played.open()
    calendar = played.calendar(provider)
    if oddity == "truncates":  # its parts say that they go on, and they do
        assert played.pulled(provider, calendar) == uids
    else:
        with pytest.raises(InvalidResponse, match="limit"):
            played.pulled(provider, calendar)


@pytest.mark.parametrize(
    "more", ["STATUS:CANCELLED\r\n", "EXDATE:20261201T090000Z\r\nRRULE:FREQ=DAILY;COUNT=1\r\n", ""]
)
def test_what_is_listed_no_more_is_gone_where_nobody_would_miss_it(stage, more):
    """Some servers list only what isn't long past, and show the rest all the same."""
    played = stage(("no-sync-collection",), quirks.ALL)
    played.server.put("Work", "a.ics", small("a", start="20261201T090000Z" if more else "20260101T090000Z", more=more))
    provider, calendar = played.pulled_once()
    played.server.failing = True
    played.server.put("Work", "b.ics", small("b"))
    assert played.pulled(provider, calendar, again=True) == []
    assert played.names() == []


@pytest.mark.parametrize("oddity", ["unfound-as-gone", "false-calendars"])
def test_a_look_at_a_free_day_finds_nothing(stage, oddity):
    played = stage((oddity,), quirks.ALL)
    provider = played.open()
    calendar = dataclasses.replace(played.calendar(provider), probe=Probe("sync-token", finds_by_time=True))
    (glance,) = provider.look([calendar], WINDOW)
    assert (glance.events, glance.complete) == ((), True)
    played.server.remove_calendar("Work")
    with pytest.raises(NotFound):
        provider.look([calendar], WINDOW)


@pytest.mark.parametrize("oddities", [(), ("no-sync-collection",)])
def test_a_calendar_that_was_emptied_is_empty(stage, oddities):
    played = stage(oddities, quirks.ALL)
    played.put("a", "b", "c", "d")
    provider, calendar = played.pulled_once()
    for uid in "abcd":
        played.server.remove("Work", f"{uid}.ics")
    played.server.seen.clear()
    played.pulled(provider, calendar, again=True)
    assert played.names() == []
    assert len(played.server.seen) <= 5
    assert provider.quirks_seen <= {quirks.NO_SYNC}


def test_a_large_calendar_is_looked_at_by_time_and_the_glance_says_so(stage):
    played = stage(("missed-by-time",), quirks.ALL)
    played.put(*(f"e{number:03}" for number in range(501)))
    played.server.put("Work", "a.ics", small("a", start="20260901T090000Z", more="RRULE:FREQ=WEEKLY\r\n"))
    provider = played.open()
    calendar = played.calendar(provider)
    window = Window(START, START + timedelta(days=1))
    played.server.seen.clear()
    (glance,) = provider.look([calendar], window)
    assert not glance.complete
    assert len(glance.events) == 501
    assert [request.method for request in played.server.seen] == ["PROPFIND", "REPORT"]
    sure = dataclasses.replace(calendar, probe=Probe("sync-token", finds_by_time=True))
    played.server.seen.clear()
    (glance,) = provider.look([sure], window)
    assert glance.complete
    assert [request.method for request in played.server.seen] == ["REPORT"]


def test_a_large_calendar_that_was_pulled_is_looked_at_in_one_request_and_one_for_what_changed(stage):
    played = stage(("missed-by-time",), quirks.ALL)
    played.put(*(f"e{number:03}" for number in range(501)))
    provider, calendar = played.pulled_once()
    told = dataclasses.replace(calendar, pulled=Pulled(played.token, lambda: played.known))
    played.server.seen.clear()
    (glance,) = provider.look([told], WINDOW)
    assert (glance.events, glance.complete) == ((), True)
    assert [request.method for request in played.server.seen] == ["REPORT"]
    played.put("new")
    played.server.seen.clear()
    (glance,) = provider.look([told], WINDOW)
    assert ([event.uid for event in glance.events], glance.complete) == (["new"], True)
    assert [request.method for request in played.server.seen] == ["REPORT", "REPORT"]


def test_a_look_with_a_token_that_the_server_does_not_know_reads_all(stage):
    played = stage((), quirks.ALL)
    played.put("a", "b")
    provider, calendar = played.pulled_once()
    told = dataclasses.replace(calendar, pulled=Pulled("https://elsewhere.example/1", lambda: played.known))
    (glance,) = provider.look([told], WINDOW)
    assert sorted(event.uid for event in glance.events) == ["a", "b"]


def test_what_a_server_showed_is_remembered(stage):
    played = stage(("no-sync-collection", "repeated-rows"), quirks.ALL)
    provider = played.open()
    played.pulled(provider, played.calendar(provider))
    assert provider.quirks_seen == {quirks.NO_SYNC}
