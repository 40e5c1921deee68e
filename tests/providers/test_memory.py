"""What the reference can do besides the port: be edited, be made to fail, be asked how often it was called."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from providers import open_provider
from providers.errors import GrantRevoked, NotFound, ProviderError, SyncTokenInvalid, Unavailable
from providers.memory import account
from providers.model import Connection, ConsultationEvent

START = datetime(2026, 12, 1, 9, tzinfo=UTC)
EVENT = ConsultationEvent("bkg_1", START, START + timedelta(minutes=30), "Intro", "", None, 0, START)


@pytest.fixture
def held(request):
    """An account of this test's own, with one calendar."""
    found = account(f"memory://{request.node.name}")
    found.add_calendar("work", tz="Europe/Berlin")
    return found


@pytest.fixture
def opened(held, request):
    """That account, opened."""
    return open_provider("memory", Connection(f"memory://{request.node.name}", secret="pw"))


def test_two_openings_see_the_same_calendars(opened, request):
    other = open_provider("memory", Connection(f"memory://{request.node.name}"))
    (calendar,) = other.list_calendars()
    ref = other.create(calendar, EVENT, "key")
    assert opened.get(ref).booking_id == "bkg_1"


def test_a_call_can_fail_before_anything_happened(held, opened):
    (calendar,) = opened.list_calendars()
    held.fail_next(Unavailable("down"))
    with pytest.raises(Unavailable, match="down"):
        opened.create(calendar, EVENT, "key")
    assert held.texts("work") == {}
    opened.create(calendar, EVENT, "key")


def test_a_call_can_fail_once_it_had_its_effect(held, opened):
    (calendar,) = opened.list_calendars()
    held.fail_next(Unavailable("lost"), after_effect=True)
    with pytest.raises(Unavailable, match="lost"):
        opened.create(calendar, EVENT, "key")
    assert list(held.texts("work")) == ["key"]


def test_failures_come_in_the_order_they_were_asked_for(held, opened):
    held.fail_next(Unavailable("first"))
    held.fail_next(NotFound("second"))
    with pytest.raises(Unavailable, match="first"):
        opened.list_calendars()
    with pytest.raises(NotFound, match="second"):
        opened.list_calendars()
    opened.list_calendars()


def test_calls_are_counted_and_edits_by_others_are_not(held, opened):
    (calendar,) = opened.list_calendars()
    held.put("work", "theirs", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    opened.create(calendar, EVENT, "key")
    list(opened.changes(calendar, None, None))
    assert held.calls == {"list_calendars": 1, "create": 1, "changes": 1}


def test_forgotten_tokens_are_unknown_and_new_ones_are_not(held, opened):
    (calendar,) = opened.list_calendars()
    token = list(opened.changes(calendar, None, None))[-1].sync_token
    held.forget_tokens("work")
    with pytest.raises(SyncTokenInvalid):
        list(opened.changes(calendar, token, None))
    token = list(opened.changes(calendar, None, None))[-1].sync_token
    assert list(opened.changes(calendar, token, None))[-1].changed == ()


def test_a_changed_password_shuts_out_whoever_has_the_old_one(held, opened):
    held.secret = "new"
    with pytest.raises(GrantRevoked):
        opened.list_calendars()


def test_an_adapter_loads_its_library_when_it_is_opened_and_not_before():
    program = (
        "import sys, providers; from providers.model import Connection\n"
        "providers.open_provider('memory', Connection('memory://x'))\n"
        "assert not {'caldav', 'requests', 'lxml'} & sys.modules.keys(), sorted(sys.modules)\n"
        "providers.open_provider('caldav', Connection('https://dav.example/')).close()\n"
        "assert 'caldav' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_many_threads_make_one_event_with_one_key(held, opened, request):
    (calendar,) = opened.list_calendars()
    outcomes = []

    def create(number):
        provider = open_provider("memory", Connection(f"memory://{request.node.name}"))
        for key in range(20):
            try:
                outcomes.append(provider.create(calendar, EVENT, f"key-{key}").remote_id)
            except ProviderError as error:
                outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(held.texts("work")) == sorted(f"key-{key}" for key in range(20))
    assert outcomes.count("AlreadyExists") == 7 * 20
