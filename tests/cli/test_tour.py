"""The tour of the README can be lived through, and its pictures show what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = {
    "init.svg": ("syncd init", "Nextcloud wants an app password", "Work", "Personal", "config.toml"),
    "calendars.svg": ("syncd sync", "pulled 2 calendars", "syncd calendars"),
    "slots.svg": ("syncd slots ada/intro-call", "09:45", "open", "busy"),
    "booking.svg": ("is not offered", "busy", "Booked:", "Zoe Client", "wrote 1 booking", "confirmed", "written"),
    "doctor.svg": ("syncd doctor", "ok", "clock", "can be booked"),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """The folder of the pictures that the tour takes now."""
    folder = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, str(ROOT / "docs" / "tour.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _words(picture: Path) -> str:
    text = " ".join(re.findall(r">([^<]+)</text>", picture.read_text(encoding="utf-8")))
    return re.sub(r"\s+", " ", unescape(text).replace("\xa0", " "))


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_shows_what_the_tour_says_and_opens_nothing(taken, name):
    for picture in (taken / name, ROOT / "docs" / "pictures" / name):
        words = _words(picture)
        assert [each for each in SHOWN[name] if each not in words] == []
        assert "/tmp/" not in words
        assert not re.search(r"bkt_[\w-]", words)


def test_the_readme_shows_every_picture_there_is(taken):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(docs/pictures/([\w.]+)\)", readme))
    assert shown == {path.name for path in taken.iterdir()} == {p.name for p in (ROOT / "docs" / "pictures").iterdir()}
