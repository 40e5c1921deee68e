"""Completion in a real bash: commands, handles, offers, calendars, bookings, presets; and never an error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
eval "$(syncd --show-completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_syncd_completion syncd
printf '%s\\n' "${COMPREPLY[@]}"
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.fixture
def complete(shell):
    """What bash offers for the last of these words."""
    environment = shell.environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def ask(*words: str) -> list[str]:
        command = ["bash", "--norc", "-c", _SCRIPT, "bash", "syncd", *words]
        done = subprocess.run(command, cwd=shell.folder, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split("\n")[:-1]

    return ask


def test_commands_and_options_are_completed(complete):
    assert {"calendars"} <= set(complete("cal"))
    assert complete("freelancer", "r") == ["remove"]
    assert "--preset" in complete("connect", "caldav", "ada", "--pr")


def test_names_come_from_the_database(complete, shell, radicale):
    radicale.make_calendar("Work")
    wish = shell.connect(radicale.url, radicale.username, "--name", "dav")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    key = shell("key", "create", "--json").json["id"]
    assert complete("slots", "ad") == ["ada/intro"]
    assert complete("calendars", "a") == ["ada"]
    assert complete("calendars", "--target", "da") == ["dav/Work"]
    assert complete("disconnect", "d") == ["dav"]
    assert complete("key", "revoke", "key_") == [key]
    assert complete("slots", "x") == [""]


def test_another_configuration_is_looked_at_if_it_is_named(complete, shell):
    assert shell("status").code == 0
    elsewhere = shell.folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("config.toml", "syncd.db", "syncd.db-wal", "syncd.db-shm"):
        if (shell.folder / name).exists():
            (shell.folder / name).rename(elsewhere / name)
    assert complete("calendars", "a") == [""]
    assert complete("calendars", "--config", "elsewhere/config.toml", "a") == ["ada"]


def test_what_needs_no_database_is_completed_without_one(complete, shell):
    assert complete("init", "--preset", "n") == ["nextcloud"]
    assert complete("init", "--time-zone", "Europe/Lon") == ["Europe/London"]
    assert not (shell.folder / "syncd.db").exists(), "a completion makes nothing"


@pytest.mark.parametrize("text", ["not TOML [", "daemon = 1", "[daemon]\ndatabase = 'postgresql+psycopg://x/y'", ""])
def test_what_cant_be_read_completes_nothing(complete, shell, text):
    (shell.folder / "config.toml").write_text(text, encoding="utf-8")
    (shell.folder / "syncd.db").write_bytes(b"no database")
    assert complete("slots", "a") == [""]


def test_it_installs_itself(shell):
    home = {"HOME": str(shell.folder), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shell.environment |= home
    done = subprocess.run(
        [str(Path(sys.executable).with_name("syncd")), "--install-completion", "bash"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "_syncd_completion" in (shell.folder / ".bash_completions" / "syncd.sh").read_text(encoding="utf-8")


def test_what_can_be_cancelled_is_completed_and_states_by_their_names(complete, shell, inside, coming):
    kept, gone = inside().book(coming(10)), inside().book(coming(11))
    assert shell("cancel", gone).code == 0
    assert complete("cancel", "bkg_") == [kept]
    assert sorted(complete("bookings", "show", "bkg_")) == sorted([kept, gone])
    assert complete("bookings", "--state", "con") == ["confirmed"]
