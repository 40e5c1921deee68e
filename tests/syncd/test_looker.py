"""Questions that wait share the next answer, and threads are few, whoever hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from providers.model import Window
from syncd.sync.looker import Looker, Outcome, Place

DAY = datetime(2026, 11, 24, tzinfo=UTC)
ANSWERED = Outcome(answered=True)


def window(days: float = 0) -> Window:
    start_at = DAY + timedelta(days=days)
    return Window(start_at, start_at + timedelta(days=1))


def soon() -> float:
    return time.monotonic() + 60


def gone() -> float:
    return time.monotonic() - 1


class Scene:
    """Looks that hang until `gate` opens; what began, and how many are there at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[tuple[str, Window]] = []
        self._begins = threading.Condition()

    def look_at(self, name: str):
        def look(window):
            with self._begins:
                self.begun.append((name, window))
                self._begins.notify_all()
            self.gate.wait()
            return ANSWERED

        return look

    def wait_for(self, count: int) -> None:
        with self._begins:
            self._begins.wait_for(lambda: len(self.begun) >= count)


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.gate.set()


def ask(looker, scene, account: str, calendar: str, days: float = 0, until: float | None = None):
    name = f"{account}/{calendar}"
    return looker.ask(Place(account, name), window(days), until or soon(), soon(), scene.look_at(name))


def wait_until_idle(looker) -> None:
    turn = threading.Event()
    while looker._threads:
        turn.wait(0.005)


def test_calendars_are_looked_at_side_by_side_but_few_of_one_account(scene):
    looker = Looker(threads=9, at_one_account=2)
    tickets = [ask(looker, scene, account, calendar) for account in "ab" for calendar in "123"]
    scene.wait_for(4)
    assert sorted(name for name, _ in scene.begun) == ["a/1", "a/2", "b/1", "b/2"]
    scene.gate.set()
    assert [ticket.wait() for ticket in tickets] == [ANSWERED] * 6
    assert sorted(name for name, _ in scene.begun)[2::3] == ["a/3", "b/3"]


def test_threads_are_bounded_and_none_is_left_when_there_is_nothing_to_do(scene):
    looker = Looker(threads=3)
    tickets = [ask(looker, scene, f"a{number}", "1") for number in range(20)]
    scene.wait_for(3)
    assert looker._threads == 3
    assert len(scene.begun) == 3
    scene.gate.set()
    assert [ticket.wait() for ticket in tickets] == [ANSWERED] * 20
    turn = threading.Event()
    while any(thread.name == "look" for thread in threading.enumerate()):
        turn.wait(0.005)
    assert looker._waiting == {}


def test_those_who_wait_share_a_look_at_all_that_they_ask_about_if_it_is_not_too_far_apart(scene):
    looker = Looker()
    tickets = [ask(looker, scene, "a", "1")]
    scene.wait_for(1)
    tickets += [ask(looker, scene, "a", "1", days) for days in (3, 1, 90, 2, 91)]
    scene.gate.set()
    assert [ticket.wait() for ticket in tickets] == [ANSWERED] * 6
    spans = [((w.start_at - DAY).days, (w.end_at - DAY).days) for _, w in scene.begun]
    assert spans == [(0, 1), (1, 4), (90, 92)]


def test_a_question_whose_answer_is_of_no_use_any_more_is_not_asked(scene):
    looker = Looker()
    first = ask(looker, scene, "a", "1")
    scene.wait_for(1)
    late = looker.ask(Place("a", "a/1"), window(), gone(), gone(), scene.look_at("late"))
    assert not late.wait().answered
    scene.gate.set()
    assert first.wait() == ANSWERED
    assert ask(looker, scene, "a", "1").wait() == ANSWERED
    assert [name for name, _ in scene.begun] == ["a/1", "a/1"]


def test_of_many_calendars_at_a_slow_account_all_are_looked_at_though_nobody_waits_so_long(scene):
    looker = Looker(at_one_account=2)
    tickets = [ask(looker, scene, "a", calendar, until=gone()) for calendar in "12345"]
    assert not any(ticket.wait().answered for ticket in tickets)
    scene.gate.set()
    scene.wait_for(5)
    wait_until_idle(looker)
    assert [looker.late(Place("a", f"a/{calendar}"), window()) for calendar in "12345"] == [[ANSWERED]] * 5


def test_an_answer_that_was_too_late_for_someone_is_remembered_for_a_while_for_what_it_covers(scene):
    scene.gate.set()
    for remembered, kept in ((3600.0, [ANSWERED]), (0.0, [])):
        looker = Looker(remembered=remembered)
        ask(looker, scene, "a", "1", until=gone())
        ask(looker, scene, "a", "2")
        wait_until_idle(looker)
        assert looker.late(Place("a", "a/1"), window()) == kept
        assert looker.late(Place("a", "a/1"), window(0.5)) == []
        assert looker.late(Place("a", "a/2"), window()) == []


def test_a_process_ends_without_waiting_for_a_look_that_hangs():
    program = (
        "import threading, time\n"
        "from datetime import UTC, datetime\n"
        "from providers.model import Window\n"
        "from syncd.sync.looker import Looker, Place\n"
        "begun, now = threading.Event(), datetime.now(UTC)\n"
        "hang = lambda window: begun.set() or threading.Event().wait()\n"
        "Looker().ask(Place('a', '1'), Window(now, now), time.monotonic() + 1, time.monotonic() + 1, hang)\n"
        "begun.wait()\n"
        "print('ended')\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "ended\n"


def test_a_look_that_fails_is_no_answer_and_the_next_is_made(scene):
    looker = Looker()

    def fails(_window):
        raise LookupError

    assert looker.ask(Place("a", "1"), window(), soon(), soon(), fails).wait().reason == "a fault of syncd: LookupError"
    scene.gate.set()
    assert ask(looker, scene, "a", "1").wait() == ANSWERED
