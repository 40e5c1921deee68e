"""The process ends between any two effects, starts again, and nothing is lost, doubled or left behind.

`story.py` plays and says what an effect is; here N is raised from 0 until the story ends without dying. With
`SYNCD_EVERY_EFFECT=1` in the environment each N is taken, else some, and others each day.
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
from stages import KINDS, NOTES

PARTS = {"caldav": 4, "google": 1}
EVERY = {"caldav": 2, "google": 20}
"""It takes minutes to die after each effect: so each day every second one is taken, or twentieth, and others the day
after."""
if os.environ.get("SYNCD_EVERY_EFFECT"):
    EVERY = dict.fromkeys(EVERY, 1)
EFFECTS = {"commit", "list", "changes", "create", "update", "delete", "find", "get"}
DIED = 137
STATES = {
    **dict.fromkeys(("edited", "late", "moved", "held", "approved", "linked"), "confirmed"),
    **dict.fromkeys(("cancelled", "unconfirmed"), "cancelled"),
    "lapsed": "expired",
    "declined": "declined",
}
"""What becomes of each booking in the end, by its client's name."""


class Theatre:
    """A warm process that plays the story again and again, in one house, each time with empty calendars."""

    def __init__(self, kind: str, house, folder: Path) -> None:
        self.kind, self.house, self.folder = kind, house, folder
        command = [sys.executable, str(Path(__file__).with_name("story.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rehearse(self) -> None:
        self.set_stage("rehearsal")
        self._ask("rehearse")

    def close(self) -> None:
        self.process.communicate()
        self.house.clear(self.stage)

    def set_stage(self, name: str) -> None:
        """Begin anew, with empty calendars and no database."""
        self.stage = self.house.set_stage("Work", "Private")
        self.scene = self.folder / name
        self.scene.mkdir()

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
            "folder": str(self.scene),
            "template": str(self.folder / "template"),
            "stage": self.stage,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job | more) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def open_theatre(request, tmp_path_factory):
    """Opens the theatre of a kind, or the one that was opened before."""
    opened = {}

    def open_theatre(kind: str) -> Theatre:
        if kind not in opened:
            house = request.getfixturevalue(f"{kind}_house")
            opened[kind] = Theatre(kind, house, tmp_path_factory.mktemp("theatre"))
            opened[kind].rehearse()
        return opened[kind]

    yield open_theatre
    for theatre in opened.values():
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
    notes = {bookings[event["booking"]]["name"]: event["notes"] for event in seen["remote"]}
    assert notes == {b["name"]: "" for b in live.values()} | {"edited": NOTES}, when
    linked = {b["name"] for b in bookings.values() if b["link"]}
    assert linked == ({"approved"} if KINDS[theatre.kind].makes_links else set()), when
    assert seen["known"] == seen["truth"], when
    assert (seen["owed"], seen["leased"], seen["uses"]) == (0, False, [1]), when
    assert theatre.house.complaints() == [], when


def assert_no_change_is_skipped(theatre: Theatre, when: str) -> None:
    """The stored sync token leads from what is stored to what is there."""
    seen = theatre.ask("catch_up")
    assert seen["caught_up"] == seen["truth"], when


@pytest.mark.parametrize(("kind", "part"), [(kind, part) for kind in KINDS for part in range(PARTS[kind])])
def test_a_crash_after_any_effect_loses_nothing_and_doubles_nothing(open_theatre, kind, part):
    theatre, every = open_theatre(kind), EVERY[kind]
    first, stride = datetime.now(UTC).toordinal() % every + every * part, every * PARTS[kind]
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
    assert set(kinds) == EFFECTS
    assert died == len(range(first, kinds.total() + 1, stride))
    assert_all_is_well(theatre, "without dying")


@pytest.mark.parametrize(("kind", "part", "pairs"), [("caldav", 0, 6), ("caldav", 1, 6), ("google", 2, 2)])
def test_a_crash_while_recovering_from_a_crash_loses_nothing_and_doubles_nothing(open_theatre, kind, part, pairs):
    theatre = open_theatre(kind)
    theatre.set_stage(f"undisturbed-{part}")
    effects = len(theatre.play(None)[1]["effects"])
    drawn, died_twice = random.Random(part), 0
    for number in range(pairs):
        first, second = drawn.randint(0, effects), drawn.randint(0, 20)
        theatre.set_stage(f"pair-{part}-{number}")
        assert theatre.play(first)[0] == DIED
        died_twice += theatre.play(second)[0] == DIED
        assert_no_change_is_skipped(theatre, f"after dying after effect {first} and {second} further on")
        assert theatre.play(None)[0] == 0
        assert_all_is_well(theatre, f"after dying after effect {first} and {second} further on")
    assert died_twice
