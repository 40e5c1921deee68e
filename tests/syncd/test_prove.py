"""The proof of a target calendar: every step is told, whatever fails is named, and nothing is left behind."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.errors import PermissionDenied, Unavailable
from providers.memory import MemoryAccount, MemoryProvider
from providers.model import Connection
from syncd.sync.prove import PATIENCE, Trial, prove

AT = datetime(2026, 12, 23, 2, 0, tzinfo=UTC)
STEPS = [
    "read",
    "written",
    "seen by a pull",
    "seen by a look",
    "changed under If-Match",
    "a stale change refused",
    "the server's ways tried",
    "removed",
]


class Clock:
    """Seconds that pass only by waiting."""

    now = 0.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


class Blind(MemoryProvider):
    """Its server shows nothing of what was written to it."""

    def changes(self, calendar, sync_token, window, known=None):
        if sync_token is None:
            yield from super().changes(calendar, None, window)

    def look(self, calendars, window):
        return [type(glance)(glance.calendar, (), ()) for glance in super().look(calendars, window)]


class Careless(MemoryProvider):
    """Its server takes every change, whatever it was based on."""

    def update(self, ref, event, if_match):
        return super().update(ref, event, super().get(ref).ref.etag)


@pytest.fixture
def account():
    made = MemoryAccount()
    made.add_calendar("Work")
    return made


def trial_of(account, kind=MemoryProvider):
    clock = Clock()
    provider = kind(account, Connection("memory://prove"))
    return Trial(provider, account.calendars()[0], AT, "syncd-trial-1", clock, clock.wait)


def failures(steps):
    return {step.name: step.detail for step in steps if not step.passed}


def test_a_sound_server_passes_every_step_and_keeps_nothing(account):
    trial = trial_of(account)
    steps = list(prove(trial))
    assert [step.name for step in steps] == STEPS
    assert failures(steps) == {}
    assert account.texts("Work") == {}
    assert trial.probe is not None


def test_what_is_never_seen_is_waited_for_and_named(account):
    steps = list(prove(trial_of(account, Blind)))
    assert failures(steps).keys() == {"seen by a pull", "seen by a look"}
    assert {step.name: step.seconds for step in steps}["seen by a pull"] >= PATIENCE
    assert account.texts("Work") == {}


def test_a_server_that_takes_a_stale_change_is_named(account):
    steps = list(prove(trial_of(account, Careless)))
    assert failures(steps) == {"a stale change refused": "a change was taken although the event had changed meanwhile"}


def test_without_leave_to_write_the_rest_is_left_out(account):
    account.put("Work", "other", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    trial = trial_of(account)
    steps = prove(trial)
    assert next(steps).name == "read"
    account.fail_next(PermissionDenied("read-only"))
    assert [(step.name, step.passed) for step in steps] == [("written", False), ("removed", True)]
    assert account.texts("Work").keys() == {"other"}


class Losing(MemoryProvider):
    """One answer, the n-th, is lost."""

    loses: int

    def __getattribute__(self, name):
        if name in ("changes", "look", "probe", "find", "get", "create", "update", "delete"):
            self.loses -= 1
            if self.loses == 0:
                self._account.fail_next(Unavailable("the answer was lost"), after_effect=True)
        return super().__getattribute__(name)


@pytest.mark.parametrize("lost", range(1, 14))
def test_an_answer_lost_anywhere_is_told_and_leaves_nothing_behind(account, lost):
    trial = trial_of(account, type("Losing", (Losing,), {"loses": lost}))
    steps = list(prove(trial))
    assert account.texts("Work") == {}
    assert steps[-1].passed
    if lost not in (8, 10, 11, 12, 13):  # a refusal is an answer, and removing is tried again
        assert "the answer was lost" in failures(steps).values()


def test_a_proof_broken_off_removes_its_event(account):
    steps = prove(trial_of(account))
    assert [next(steps).name for _ in range(3)] == STEPS[:3]
    assert len(account.texts("Work")) == 1
    steps.close()
    assert account.texts("Work") == {}
