"""The process ends between any two effects, starts again, and nothing is lost, doubled or left behind.

`story.py` plays and says what an effect is; here N is raised from 0 until the story ends without dying. With
`SYNCD_EVERY_EFFECT=1` in the environment each N is taken, else every other one.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

PARTS = 4
EVERY = 1 if os.environ.get("SYNCD_EVERY_EFFECT") else 2
TODAY = datetime.now(UTC).toordinal() % EVERY
"""It takes minutes to die after each effect; so each day every other one is taken, and the others the day after."""
KINDS = {"commit", "list", "changes", "create", "update", "delete", "find", "get"}
DIED = 137
STATES = {
    **dict.fromkeys(("edited", "late", "moved", "held", "approved", "linked"), "confirmed"),
    **dict.fromkeys(("cancelled", "unconfirmed"), "cancelled"),
    "lapsed": "expired",
    "declined": "declined",
}
"""What becomes of each booking in the end, by its client's name."""


class Theatre:
    """A warm process that plays the story again and again, on one server, each time with empty calendars."""

    def __init__(self, radicale, folder: Path) -> None:
        self.radicale, self.folder, self.calendars = radicale, folder, {}
        command = [sys.executable, str(Path(__file__).with_name("story.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rehearse(self) -> None:
        self.set_stage("rehearsal")
        self._ask("rehearse")

    def close(self) -> None:
        self.process.communicate()
        self.radicale.forget(list(self.calendars.values()))

    def set_stage(self, name: str) -> None:
        """Begin anew, with empty calendars and no database."""
        self.calendars = {each: self.radicale.make_calendar(each, "Europe/London") for each in ("Work", "Private")}
        self.stage = self.folder / name
        self.stage.mkdir()

    def play(self, bomb: int | None) -> tuple[int, dict]:
        """The exit code, and what was found if it is 0."""
        answer = self._ask("play", bomb=bomb)
        assert answer["code"] in (0, DIED), answer["found"]["failed"]
        return answer["code"], answer["found"]

    def ask(self, act: str) -> dict:
        answer = self._ask(act)
        assert answer["code"] == 0, answer["found"].get("failed")
        return answer["found"]

    def _ask(self, act: str, **more) -> dict:
        job = {
            "act": act,
            "bomb": None,
            "folder": str(self.stage),
            "template": str(self.folder / "template"),
            "url": self.radicale.url,
            "username": self.radicale.username,
            "password": self.radicale.password,
            "calendars": self.calendars,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job | more) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def theatre(radicale, tmp_path_factory):
    theatre = Theatre(radicale, tmp_path_factory.mktemp("theatre"))
    try:
        theatre.rehearse()
        yield theatre
    finally:
        theatre.close()


def assert_all_is_well(theatre: Theatre, when: str) -> None:
    """What has to be true once the story has been played to its end, however often it was cut short."""
    seen = theatre.ask("look")
    bookings = seen["bookings"]
    assert {b["name"]: b["state"] for b in bookings.values()} == STATES, when
    assert len(bookings) == len(STATES), when
    live = {booking_id: b for booking_id, b in bookings.items() if b["live"]}
    assert {b["event"] for b in live.values()} == {"written"}, when
    there = sorted((event["booking"], event["span"]) for event in seen["remote"])
    assert there == sorted((booking_id, b["span"]) for booking_id, b in live.items()), when
    comments = {bookings[event["booking"]]["name"]: event["comment"] for event in seen["remote"]}
    assert comments == {b["name"]: "" for b in live.values()} | {"edited": "Bring the plans"}, when
    assert seen["known"] == seen["truth"], when
    assert (seen["owed"], seen["leased"], seen["uses"]) == (0, False, [1]), when


def assert_no_change_is_skipped(theatre: Theatre, when: str) -> None:
    """The stored sync token leads from what is stored to what is there."""
    seen = theatre.ask("catch_up")
    assert seen["caught_up"] == seen["truth"], when


@pytest.mark.parametrize("part", range(PARTS))
def test_a_crash_after_any_effect_loses_nothing_and_doubles_nothing(theatre, part):
    first, stride = TODAY + EVERY * part, EVERY * PARTS
    after, died = first, 0
    while True:
        theatre.set_stage(f"part-{part}-after-{after}")
        code, found = theatre.play(after)
        if code == 0:
            break
        died += 1
        assert_no_change_is_skipped(theatre, f"after dying after effect {after}")
        assert theatre.play(None)[0] == 0
        assert_all_is_well(theatre, f"after dying after effect {after}")
        after += stride
    kinds = Counter(found["effects"])
    print(f"\n{kinds.total()} effects: {dict(kinds)}")
    assert set(kinds) == KINDS
    assert died == len(range(first, kinds.total() + 1, stride))
    assert_all_is_well(theatre, "without dying")


@pytest.mark.parametrize("part", range(2))
def test_a_crash_while_recovering_from_a_crash_loses_nothing_and_doubles_nothing(theatre, part):
    theatre.set_stage(f"undisturbed-{part}")
    effects = len(theatre.play(None)[1]["effects"])
    drawn, died_twice = random.Random(part), 0
    for number in range(6):
        first, second = drawn.randint(0, effects), drawn.randint(0, 20)
        theatre.set_stage(f"pair-{part}-{number}")
        assert theatre.play(first)[0] == DIED
        died_twice += theatre.play(second)[0] == DIED
        assert_no_change_is_skipped(theatre, f"after dying after effect {first} and {second} further on")
        assert theatre.play(None)[0] == 0
        assert_all_is_well(theatre, f"after dying after effect {first} and {second} further on")
    assert died_twice
