"""What a probe finds out about a server, and what its trial leaves behind: nothing."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

import pytest

from providers.caldav.client import CalDAVProvider
from providers.errors import Unavailable
from providers.model import Connection

AT = datetime(2027, 2, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def probed(scripted):
    """Probe a calendar of a server that plays some oddities."""
    opened = []

    def probe(*oddities, trial_at=AT, more=None):
        scripted.play(*oddities)
        scripted.make_calendar("Work")
        connection = Connection(scripted.url, scripted.username, scripted.password, allow_private=True)
        opened.append(CalDAVProvider(connection, pauses=(0.0, 0.0)))
        (calendar,) = opened[-1].list_calendars()
        scripted.seen.clear()
        scripted.meanwhile = more or scripted.meanwhile
        return opened[-1].probe(calendar, trial_at)

    yield probe
    for provider in opened:
        provider.close()


def test_a_server_that_keeps_to_the_rules_is_seen_to(probed, scripted):
    probe = probed()
    assert (probe.pulls_by, probe.checks_tokens, probe.privileges) == ("sync-token", True, ("read", "write"))
    assert (probe.recurrence, probe.zones, probe.finds_by_time, probe.preconditions) == (True, True, True, True)
    assert probe.remarks == ()
    assert scripted.texts("Work") == {}


def test_without_a_time_nothing_is_written(probed, scripted):
    probe = probed(trial_at=None)
    assert (probe.recurrence, probe.zones, probe.finds_by_time, probe.preconditions) == (None, None, None, None)
    assert {request.method for request in scripted.seen} == {"PROPFIND", "REPORT"}


@pytest.mark.parametrize(
    ("oddities", "name", "value"),
    [
        (("no-sync-collection",), "pulls_by", "ctag"),
        (("no-sync-collection", "no-ctag"), "pulls_by", "etags"),
        (("no-sync-collection",), "checks_tokens", None),
        (("any-token",), "checks_tokens", False),
        (("token-refused-plainly",), "checks_tokens", True),
        (("missed-by-time",), "finds_by_time", False),
        (("if-match-ignored",), "preconditions", False),
        (("if-none-match-ignored",), "preconditions", False),
        (("read-only",), "privileges", ("read",)),
    ],
)
def test_what_a_server_does_otherwise_is_seen(probed, scripted, oddities, name, value):
    assert getattr(probed(*oddities), name) == value
    assert scripted.texts("Work") == {}


def edits(scripted, old, new):
    """Let the server change what it stores."""

    def edit(request):
        if request.method == "GET":
            for name, text in scripted.texts("Work").items():
                assert old in text
                scripted.put("Work", name, text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("old", "new", "recurrence", "zones"),
    [
        ("RRULE:FREQ=WEEKLY;INTERVAL=30;COUNT=3\r\n", "", False, True),
        ("RDATE;", "X-RDATE;", False, True),
        ("RECURRENCE-ID;TZID=Europe/Berlin:", "RECURRENCE-ID;TZID=Europe/Berlin:1999", False, True),
        (";TZID=Europe/Berlin:", ":", True, False),
    ],
)
def test_what_a_server_loses_of_a_series_is_seen(probed, scripted, old, new, recurrence, zones):
    probe = probed(more=edits(scripted, old, new))
    assert (probe.recurrence, probe.zones) == (recurrence, zones)
    assert any("series" in remark or "trial failed" in remark for remark in probe.remarks)
    assert scripted.texts("Work") == {}


def test_quirks_that_showed_are_told_in_sentences(probed):
    assert "It has no sync-collection." in probed("no-sync-collection").remarks


def test_a_calendar_that_may_not_be_written_is_not_tried(probed, scripted):
    probe = probed("read-only")
    assert "Events can be read there, but not written." in probe.remarks
    assert {request.method for request in scripted.seen} == {"PROPFIND", "REPORT"}


def test_a_calendar_without_a_zone_is_told(probed):
    assert any("no time zone" in remark for remark in probed("no-zone", trial_at=None).remarks)


@pytest.mark.parametrize("method", ["PUT", "GET", "REPORT"])
def test_a_trial_that_fails_is_told_and_removed(probed, scripted, answer, method):
    begun, failed = [], []

    def fails(request):
        begun.extend([1] if request.method == "PUT" else [])
        if begun and request.method == method and not failed:
            failed.append(request)
            return answer(503)
        return None

    probe = probed(more=fails)
    assert probe.preconditions is None
    assert any(remark.startswith("The trial failed:") for remark in probe.remarks)
    assert scripted.texts("Work") == {}


def test_what_can_not_be_removed_is_named(probed, scripted, answer):
    probe = probed(more=lambda request: answer(503) if request.method == "DELETE" and scripted.texts("Work") else None)
    assert "The event “syncd trial” on 2027-02-01 could not be removed: remove it by hand." in probe.remarks
    assert len(scripted.texts("Work")) == 1
    assert "TRANSP:TRANSPARENT" in next(iter(scripted.texts("Work").values()))


def test_a_trial_takes_away_what_an_earlier_one_left(probed, scripted, answer):
    probed(more=lambda request: answer(503) if request.method == "DELETE" and scripted.texts("Work") else None)
    (left,) = scripted.texts("Work").items()
    first = []

    def before(request):
        if not first:
            first.append(request)
            scripted.put("Work", *left)

    assert probed(more=before).recurrence
    assert scripted.texts("Work") == {}


def test_a_trial_that_is_stopped_leaves_nothing_behind(probed, scripted):
    stopped = []

    def stop(request):
        if request.method == "PUT" and not stopped:
            stopped.append(request)
            scripted.put("Work", request.path.rpartition("/")[2], request.body.decode())
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        probed(more=stop)
    assert stopped
    assert scripted.texts("Work") == {}


def test_what_fails_before_the_trial_is_raised(probed, answer):
    with pytest.raises(Unavailable):
        probed(more=lambda request: answer(503) if request.method == "REPORT" else None)
