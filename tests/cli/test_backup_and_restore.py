"""A backup of what is in use, and what is right after it was put back (contract §3)."""

from __future__ import annotations

import itertools
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from syncd.care.backup import back_up
from syncd.locks import ProcessLocks
from syncd.store import copies
from syncd.store.engine import alembic_config, make_engine


def _bookings(path: Path) -> set[str]:
    """The bookings in a database, which must be whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {booking for (booking,) in connection.execute("SELECT id FROM bookings")}


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Backup


def test_a_backup_taken_while_others_write_is_of_one_moment(shell, inside, coming, monkeypatch):
    monkeypatch.setattr(copies, "_PAGES", 4)
    homes, before, steps = [inside(), inside()], inside(), []
    first = before.book(coming(0, -1))
    written: list[list[str]] = [[], []]
    grown, stop = threading.Condition(), threading.Event()

    def write(number: int) -> None:
        for half_hour in itertools.count():
            if stop.is_set():
                return
            hour = 9 + number * 3.5 + half_hour % 7 / 2  # within the set hours in winter and in summer
            booking = homes[number].book(coming(hour, 7 * (half_hour // 7)))
            with grown:
                written[number].append(booking)
                grown.notify()

    def another_is_written(done: int, total: int) -> None:
        steps.append(done)
        with grown:
            count = sum(map(len, written))
            grown.wait_for(lambda: sum(map(len, written)) > count or len(steps) > 20, timeout=60)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    path = shell.folder / "copy.db"
    made = back_up(before.store, path, another_is_written)
    stop.set()
    for thread in threads:
        thread.join()
    found = _bookings(path)
    assert len(steps) > 10, "it was written to between the steps"
    assert first in found
    for one in written:
        assert [booking in found for booking in one] == sorted((booking in found for booking in one), reverse=True)
    assert len(found) < 1 + sum(map(len, written)), "what came after the moment isn't in it"
    assert made.contents.bookings == len(found)
    with closing(sqlite3.connect(path)) as connection:
        actions = connection.execute("SELECT booking_id FROM booking_actions").fetchall()
    assert sorted(booking for (booking,) in actions) == sorted(found), "each with what was done to it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {name for name in _files(shell.folder) if "copy" in name} == {"copy.db"}


def test_a_backup_says_what_it_holds_and_what_it_doesnt(shell, inside, coming):
    inside().book(coming(9))
    done = shell("backup", "a.db")
    assert done.code == 0, done.err
    assert "a.db: 1 freelancer, 0 accounts, 1 booking" in done.out
    assert "secret.key" in done.out
    told = shell("backup", "b.db", "--json").json
    assert (told["file"], told["bookings"]) == ("b.db", 1)
    assert told["bytes"] == (shell.folder / "b.db").stat().st_size
    assert (shell.folder / "secret.key").read_bytes().strip() not in (shell.folder / "a.db").read_bytes()


def test_a_backup_overwrites_nothing_and_leaves_nothing_behind(shell):
    (shell.folder / "kept.db").write_text("mine")
    shell.fails(2, "kept.db is there already", "backup", "kept.db")
    assert (shell.folder / "kept.db").read_text() == "mine"
    shell.fails(2, "nowhere/a.db can't be written: No such file or directory", "backup", "nowhere/a.db")
    assert {name for name in _files(shell.folder) if "part" in name} == set()


_HALFWAY = """
import sys, time
from syncd.cli import run
from syncd.store import copies

def wait(path):
    print("copied", flush=True)
    while True:  # in pieces: a signal that comes just before one is seen after it
        time.sleep(0.05)

copies.one_file = wait
sys.exit(run(["backup", "a.db"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_backup_that_is_told_to_end_leaves_no_half_copy(shell, number):
    assert shell("slots", "ada/intro").code == 0
    command = [sys.executable, "-c", _HALFWAY]
    with subprocess.Popen(command, cwd=shell.folder, env=shell.environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"copied\n"
        assert any(name.endswith(".part") for name in _files(shell.folder))
        process.send_signal(number)
        assert process.wait() == 128 + number
    assert not any("a.db" in name for name in _files(shell.folder))


def test_a_backup_of_a_running_daemon_has_what_was_booked_so_far(shell, inside, coming):
    booking = inside().book(coming(9))
    process = shell.start("run")
    try:
        assert any('"ready"' in line for line in process.stderr)
        assert shell("backup", "a.db").code == 0
        shell.fails(75, "another `syncd run` has this database open", "restore", "a.db")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert _bookings(shell.folder / "a.db") == {booking}


# Restore


def test_what_was_booked_is_there_again_and_the_same_slots_are_offered(shell, inside, coming):
    home = inside()
    kept = {home.book(coming(9)), home.book(coming(11), name="Alan")}
    day = f"{coming(0):%Y-%m-%d}"
    before = shell("slots", "ada/intro", "--from", day, "--json").json
    assert shell("backup", "a.db").code == 0
    late = home.book(coming(14))
    assert shell("slots", "ada/intro", "--from", day, "--json").json["slots"] != before["slots"]
    home.store.close()
    told = shell("restore", "a.db", "--json")
    assert told.code == 0, told.err
    assert (told.json["bookings"], told.json["calendars"]) == (2, 0)
    assert shell("slots", "ada/intro", "--from", day, "--json").json["slots"] == before["slots"]
    assert _bookings(shell.folder / "syncd.db") == kept
    assert _bookings(Path(told.json["kept"])) == {*kept, late}, "what there was is kept"
    assert not any("restoring" in name for name in _files(shell.folder))
    again = shell("restore", "a.db")
    assert again.code == 0, "a backup can be put back twice within a second"
    assert "2 bookings" in again.out


def test_a_new_machine_needs_the_backup_the_key_and_the_file(shell, inside, coming, tmp_path_factory):
    booking = inside().book(coming(9))
    assert shell("backup", "a.db").code == 0
    before, shell.folder = shell.folder, tmp_path_factory.mktemp("elsewhere")
    for name in ("a.db", "config.toml"):
        shutil.copy2(before / name, shell.folder)
    shell.fails(78, "secret.key", "restore", "a.db")
    assert "syncd.db" not in _files(shell.folder)
    shutil.copy2(before / "secret.key", shell.folder)
    told = shell("restore", "a.db", "--json")
    assert (told.code, told.json["kept"]) == (0, None), told.err
    assert _bookings(shell.folder / "syncd.db") == {booking}


def test_calendars_are_believed_again_once_they_were_read_in_full(shell, radicale, inside, coming):
    work = radicale.make_calendar("Work", tz="UTC")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--target", "Work")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    home = inside()
    known = home.book(coming(10))
    assert shell("run", "--once").code == 0
    assert shell("backup", "a.db").code == 0
    home.book(coming(12))
    assert shell("run", "--once").code == 0
    assert len(radicale.list(work)) == 2
    home.store.close()
    assert shell("restore", "a.db", "--json").json["calendars"] >= 1
    day = f"{coming(0):%Y-%m-%d}"
    shell.fails(75, "`syncd sync` reads it", "slots", "ada/intro", "--from", day, "--to", day)
    assert shell("run", "--once").code == 0
    assert "busy: a calendar is busy" in shell("explain", "ada/intro", f"{coming(12):%Y-%m-%dT%H:%MZ}").out
    taken = shell("explain", "ada/intro", f"{coming(10):%Y-%m-%dT%H:%MZ}").out
    assert "booked" in taken
    assert "busy" not in taken, "its event is known as its own"
    assert shell("slots", "ada/intro", "--from", day, "--to", day).code == 0
    assert _bookings(shell.folder / "syncd.db") == {known}
    assert len(radicale.list(work)) == 2, "nothing was written twice, nothing removed"


def test_what_is_no_backup_is_refused_and_nothing_is_touched(shell, inside, coming):
    home = inside()
    home.book(coming(9))
    assert shell("backup", "a.db").code == 0
    home.store.close()
    folder, whole = shell.folder, (shell.folder / "a.db").read_bytes()
    before = (folder / "syncd.db").read_bytes()
    (folder / "text.db").write_text("dear diary")
    (folder / "half.db").write_bytes(whole[: len(whole) // 2])
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE recipes (id)")
    shutil.copy2(folder / "a.db", folder / "newer.db")
    with closing(sqlite3.connect(folder / "newer.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    names = _files(folder)
    for name, words in (
        ("nowhere.db", "is no file"),
        ("text.db", "no SQLite database"),
        ("half.db", "half.db is no backup that can be put back: it"),
        ("other.db", "a database of something else"),
        ("newer.db", "made by a newer version of syncd (schema 9999)"),
        ("syncd.db", "is the database itself"),
    ):
        shell.fails(2, words, "restore", name)
    assert (folder / "syncd.db").read_bytes() == before
    assert _files(folder) == names


def test_a_backup_that_the_key_doesnt_open_is_refused(shell, feed, event, inside):
    feed.text = event("b", "20261123T100000Z", "20261123T103000Z")
    assert shell("connect", "ics", "ada", "--url", feed.url, "--blocks", "*").code == 0
    assert shell("backup", "a.db").code == 0
    before = (shell.folder / "syncd.db").read_bytes()
    right = (shell.folder / "secret.key").read_bytes()
    (shell.folder / "secret.key").write_bytes(b"A" * 43 + b"=\n")
    shell.fails(78, "no key that opens what is stored", "restore", "a.db")
    assert (shell.folder / "syncd.db").read_bytes() == before
    (shell.folder / "secret.key").write_bytes(right)
    assert shell("restore", "a.db").code == 0


def test_a_damaged_database_gives_way_and_is_kept(shell, inside, coming):
    home = inside()
    booking = home.book(coming(9))
    assert shell("backup", "a.db").code == 0
    home.store.close()
    (shell.folder / "syncd.db").write_bytes(b"not a database at all" * 1000)
    (shell.folder / "syncd.db-wal").write_bytes(b"nor a log")
    told = shell("restore", "a.db", "--json")
    assert told.code == 0, told.err
    assert _bookings(shell.folder / "syncd.db") == {booking}
    assert Path(told.json["kept"]).read_bytes().startswith(b"not a database")
    assert Path(told.json["kept"] + "-wal").read_bytes() == b"nor a log"


def test_an_open_database_isnt_replaced(shell, inside, coming):
    home = inside()
    booking = home.book(coming(9))
    assert shell("backup", "a.db").code == 0
    with closing(sqlite3.connect(shell.folder / "syncd.db")) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT id FROM bookings").fetchall() == [(booking,)]
        shell.fails(75, "another process may have it open", "restore", "a.db")
    assert _bookings(shell.folder / "syncd.db") == {booking}
    home.store.close()
    with closing(ProcessLocks(shell.folder / "syncd.db.lock")):
        shell.fails(75, "another syncd command works on this database", "restore", "a.db")
    assert shell("restore", "a.db").code == 0


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(shell):
    assert shell("status").code == 0, "there is a key"
    engine = make_engine(f"sqlite:///{shell.folder / 'old.db'}")
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    told = shell("restore", "old.db", "--json")
    assert told.code == 0, told.err
    with closing(sqlite3.connect(shell.folder / "syncd.db")) as connection:
        assert connection.execute("SELECT count(*) FROM links").fetchall() == [(0,)], "a table of a later version"
    assert shell("slots", "ada/intro").code == 0


def test_a_database_is_locked_by_whatever_link_it_is_reached(shell):
    assert shell("slots", "ada/intro").code == 0
    (shell.folder / "link.db").symlink_to("syncd.db")
    process = shell.start("run")
    try:
        assert any('"ready"' in line for line in process.stderr)
        shell.environment["SYNCD_DAEMON__DATABASE"] = "sqlite:///link.db"
        shell.fails(75, "another `syncd run` has this database open", "run")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def test_a_database_behind_a_link_is_replaced_where_it_is(shell, inside, coming, tmp_path_factory):
    home = inside()
    booking = home.book(coming(9))
    assert shell("backup", "a.db").code == 0
    home.store.close()
    real = tmp_path_factory.mktemp("disk") / "real.db"
    (shell.folder / "syncd.db").rename(real)
    (shell.folder / "syncd.db").symlink_to(real)
    assert shell("restore", "a.db").code == 0
    assert (shell.folder / "syncd.db").is_symlink()
    assert _bookings(real) == {booking}


_KILLED_AT_A_STEP = """
import os, signal, sys
from pathlib import Path
from datetime import UTC, datetime
from availability import zones
from syncd.care import backup, restore
from syncd.locks import ProcessLocks
import sqlalchemy.dialects.sqlite, alembic.command, alembic.script  # imported before the steps are counted
zones.pin()
folder, step = Path(sys.argv[1]), int(sys.argv[2])
seen = 0

def count(event, arguments):
    global seen
    names = " ".join(str(argument) for argument in arguments)
    if event in ("open", "os.rename", "os.link", "os.remove", "sqlite3.connect", "os.chmod") and str(folder) in names:
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

def copying(done, total):
    sys.audit("open", str(folder), None, None)  # a step between two pages

locks = ProcessLocks(folder / "syncd.db.lock")
place = restore.Place(folder / "syncd.db", folder / "secret.key")
sys.addaudithook(count)
restore.restore(folder / "a.db", place, locks, datetime.now(UTC), copying)
"""


def test_killed_at_any_step_there_is_the_old_database_or_the_new_one(shell, inside, coming, tmp_path_factory):
    home = inside()
    new = {home.book(coming(9)), home.book(coming(10))}
    assert shell("backup", "a.db").code == 0
    old = {*new, home.book(coming(11)), home.book(coming(14))}
    source = tmp_path_factory.mktemp("as-left-by-kill")
    for path in shell.folder.glob("*"):
        shutil.copy2(path, source)  # with its log, as when the daemon was killed
    assert (source / "syncd.db-wal").stat().st_size > 0
    results = []
    for step in itertools.count(1):
        folder = tmp_path_factory.mktemp("killed")
        shutil.copytree(source, folder, dirs_exist_ok=True)
        command = [sys.executable, "-c", _KILLED_AT_A_STEP, str(folder), str(step)]
        done = subprocess.run(command, env=shell.environment, capture_output=True, text=True)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        found = _bookings(folder / "syncd.db")
        assert found in (old, new), f"neither at step {step}"
        results.append(found == new)
        shutil.rmtree(folder)
        if done.returncode == 0:
            break
    assert results[-1]
    assert len(results) > 15
    assert results == sorted(results), "once it is the new one it stays the new one"
    assert not results[0]


def test_after_a_restore_that_was_killed_another_one_succeeds(shell, inside, coming):
    home = inside()
    booking = home.book(coming(9))
    assert shell("backup", "a.db").code == 0
    home.store.close()
    (shell.folder / ".syncd.db.restoring").write_bytes(b"half of it")
    (shell.folder / ".syncd.db.restoring-wal").write_bytes(b"and its log")
    assert shell("restore", "a.db").code == 0
    assert _bookings(shell.folder / "syncd.db") == {booking}
    assert not any("restoring" in name for name in _files(shell.folder))


def test_only_whoever_runs_it_reads_what_was_put_back(shell, inside):
    inside().store.close()
    assert shell("backup", "a.db").code == 0
    (shell.folder / "syncd.db").chmod(0o640)
    assert shell("restore", "a.db").code == 0
    assert stat.S_IMODE((shell.folder / "syncd.db").stat().st_mode) == 0o640, "as the old one had it"
    (shell.folder / "syncd.db").unlink()
    assert shell("restore", "a.db").code == 0
    assert stat.S_IMODE((shell.folder / "syncd.db").stat().st_mode) == 0o600
