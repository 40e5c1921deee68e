"""`--dry-run`: what would be pulled and written is told, and nothing is touched, asked or made."""

from __future__ import annotations

import hashlib

import pytest

_HOME = """
[freelancers.ada.accounts.home]
provider = "caldav"
url = "{url}"
username = "ada@example"
password_env = "ADA_PASSWORD"
blocks = ["*"]
target = "Work"
"""


@pytest.fixture
def declared(shell, radicale):
    """A shell whose configuration declares an account at a real server with one calendar, "Work"."""
    radicale.make_calendar("Work")
    shell.environment["ADA_PASSWORD"] = radicale.password
    shell.configure(_HOME.format(url=radicale.url))
    return shell


def _contents(folder):
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if "-" not in path.suffix}


def test_before_the_first_start_nothing_is_made(declared):
    before = _contents(declared.folder)
    told = declared("run", "--once", "--dry-run")
    assert told.code == 0
    assert "ada/home:\n  ask which calendars there are\n" in told.out
    assert told.out.endswith("nothing was done\n")
    assert _contents(declared.folder) == before


def test_what_would_be_pulled_and_written_is_told_and_left_undone(declared):
    assert declared("sync").code == 0
    before = _contents(declared.folder)
    first = declared("sync", "--dry-run", "--json").json
    assert first["accounts"][0]["pulls"] == [{"calendar": "Work", "way": "changes"}]
    full = declared("sync", "ada", "--full", "--dry-run")
    assert "pull Work: in full" in full.out
    assert "would pull 1 calendar and write 0 bookings" in full.out
    assert _contents(declared.folder) == before


def test_what_is_not_due_is_not_told(declared):
    assert declared("run", "--once").code == 0
    assert "would pull 0 calendars" in declared("run", "--once", "--dry-run").out


def test_the_daemon_itself_has_no_dry_run(declared):
    done = declared("run", "--dry-run")
    assert done.code == 2
    assert "belongs to --once" in done.err


def test_a_freelancer_nobody_knows_is_named(declared):
    declared.fails(1, "no freelancer eve", "sync", "eve", "--dry-run")
