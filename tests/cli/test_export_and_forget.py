"""A person's data out, and a person's data gone (contract §3)."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.care.export import export
from syncd.care.forget import forget
from syncd.errors import ApiError
from syncd.secrets import BOOKING_TOKEN_PREFIX
from syncd.store import belongings, keys
from syncd.store.models import Base, Booking, BookingAction, IdempotentAnswer

BOB = """
[freelancers.bob]
name = "Bob Noyce"
email = "bob@chips.example"
time_zone = "Europe/Berlin"
[freelancers.bob.schedules.default.hours]
monday = ["09:00-17:00"]
[freelancers.bob.consultations.chat]
minimum_notice = "0m"
"""
ADAS = ("Ada Lovelace", "ada@example.org", "Grace Hopper", "grace@navy.example", "engine-4711", "Note 1815")


@pytest.fixture
def two(shell):
    """Ada and Bob, both declared in the file."""
    shell.configure(BOB)
    return shell


def _undeclare_ada(shell) -> None:
    """Leave only Bob in the file."""
    (shell.folder / "config.toml").write_text(
        f"[daemon]\nallow_private_networks = true\n[server]\nport = 0\n{BOB}", encoding="utf-8"
    )


def _connect(shell, feed, event) -> None:
    """Give Ada an account whose address, events' ids and times can be found again."""
    feed.text = event("engine-4711", "20261123T100000Z", "20261123T103000Z")
    address = f"{feed.url}private-1815/basic.ics"
    done = shell("connect", "ics", "ada", "--url", address, "--name", "work", "--blocks", "*", "--allow-private")
    assert done.code == 0, done.err
    assert shell("sync").code == 0


def _bytes(folder: Path) -> bytes:
    """All that lies in the database's files."""
    return b"".join(path.read_bytes() for path in folder.glob("syncd.db*"))


# Export


def test_every_column_is_exported_or_named_as_kept_back():
    tables = {name: table for name, table in Base.metadata.tables.items() if name not in belongings.NOBODYS}
    assert set(belongings.KEPT_BACK) == set(tables)
    for name, kept_back in belongings.KEPT_BACK.items():
        assert kept_back <= {column.name for column in tables[name].columns}, name
    secret = {"accounts": "credential", "api_keys": "hash", "bookings": "token_generation", "calendars": "sync_token"}
    assert all(column in belongings.KEPT_BACK[table] for table, column in secret.items())


def test_an_export_has_all_of_one_person_and_nothing_of_another(two, inside, coming, feed, event):
    _connect(two, feed, event)
    made = two("key", "create", "--freelancer", "ada", "--json").json
    home = inside()
    booking = home.book(coming(9), "ada/intro")
    home.book(coming(9), "bob/chat", name="Mallory", email="mallory@elsewhere.example")
    done = two("export", "ada")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["format"], document["version"]) == ("syncd-export", 1)
    assert document["freelancer"]["email"] == "ada@example.org"
    assert [schedule["hours"]["sunday"] for schedule in document["schedules"]] == [["00:00-04:00"]]
    assert [consultation["slug"] for consultation in document["consultations"]] == ["intro"]
    assert [key["id"] for key in document["api_keys"]] == [made["id"]]
    (account,) = document["accounts"]
    (calendar,) = account["calendars"]
    (item,) = calendar["events"]
    assert (item["uid"], item["busy"]) == ("engine-4711", [["2026-11-23T10:00:00Z", "2026-11-23T10:30:00Z"]])
    (row,) = document["bookings"]
    assert (row["id"], row["client"]["email"], row["starts_at"]) == (
        booking,
        "grace@navy.example",
        f"{coming(9):%Y-%m-%dT%H:%M:%SZ}",
    )
    assert [action["action"] for action in row["actions"]] == ["book"]
    assert row["calendar_event"]["state"] == "none"
    for other in ("Bob", "bob@", "Mallory", "mallory@", "chat"):
        assert other not in done.out
    for secret in (made["key"], "private-1815", BOOKING_TOKEN_PREFIX, "credential", "hash"):
        assert secret not in done.out


def test_an_export_to_a_file_is_its_owners_alone_and_overwrites_nothing(two):
    told = two("export", "ada", "ada.json", "--json")
    assert told.code == 0, told.err
    path = two.folder / "ada.json"
    assert told.json["bytes"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["freelancer"]["handle"] == "ada"
    two.fails(2, "ada.json is there already", "export", "ada", "ada.json")
    two.fails(1, "there is no freelancer eve", "export", "eve")
    assert "Ada" not in two("export", "bob").out


# Forget


def test_whoever_the_file_declares_is_taken_out_of_it_first(two):
    two.fails(1, "take [freelancers.ada] out of it first", "forget", "ada", "--yes")
    two.fails(1, "there is no freelancer eve", "forget", "eve", "--yes")
    assert json.loads(two("export", "ada").out)["freelancer"]["name"] == "Ada Lovelace"


def test_nothing_of_a_forgotten_person_can_be_read_while_a_daemon_runs(two, inside, coming, feed, event):
    _connect(two, feed, event)
    home = inside()
    booking = None
    for days in range(5):
        before_it, booking = booking, home.book(coming(9, 7 * days), "ada/intro")
        with home.store.write() as session:
            session.get_one(Booking, booking).extension_of = before_it
            detail = {"why": "Note 1815"}
            now = datetime.now(UTC)
            session.add(BookingAction(booking_id=booking, at=now, actor="client", action="amend", detail=detail))
    home.book(coming(9), "bob/chat", name="Mallory", email="mallory@elsewhere.example")
    before = {name: member for name, member in two("export", "bob", "--json").json.items() if name != "exported_at"}
    assert all(word.encode() in _bytes(two.folder) for word in ADAS), "or there would be nothing to see"
    _undeclare_ada(two)
    process = two.start("run")
    try:
        assert any('"ready"' in line for line in process.stderr)
        two.fails(1, "still has consultations or holds to come (5)", "forget", "ada", "--yes")
        done = two("forget", "ada", "--yes", "--even-if-owed", "--json")
        assert done.code == 0, done.err
        assert done.json == {
            "handle": "ada",
            "bookings": 5,
            "accounts": 1,
            "calendars": 1,
            "dropped": {"to_come": 5, "owed": 0},
            "permissions_owed": 0,
        }
        found = _bytes(two.folder)
        assert [word for word in ADAS if word.encode() in found] == []
        assert b"Bob Noyce" in found
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert process.returncode == 0
    assert '"level": "error"' not in err
    after = two("export", "bob", "--json").json
    assert {name: after[name] for name in before} == before
    two.fails(1, "there is no freelancer ada", "export", "ada")


def test_what_is_owed_to_a_calendar_is_written_first_or_dropped(two, radicale, inside, coming):
    work = radicale.make_calendar("Work", tz="UTC")
    wish = two.connect(radicale.url, radicale.username, "--blocks", "Work", "--target", "Work")
    assert two(*wish, stdin=f"{radicale.password}\n").code == 0
    assert two("sync").code == 0
    booking = inside().book(coming(9), "ada/intro")
    assert two("cancel", booking).code == 0
    _undeclare_ada(two)
    two.fails(1, "still wait to be written to a calendar (1): `syncd run --once` writes them", "forget", "ada", "--yes")
    assert two("run", "--once").code == 0
    done = two("forget", "ada", "--yes")
    assert done.code == 0, done.err
    assert "ada is forgotten: 1 booking, 1 account with" in done.out
    assert radicale.list(work) == {}


def test_a_person_is_asked_and_may_say_no(two):
    assert two("status").code == 0, "the database knows her"
    _undeclare_ada(two)
    two.fails(2, "--yes says so", "forget", "ada")

    def answered(word: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "syncd", "forget", "ada"]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=two.folder, env=two.environment, stdin=theirs, **streams) as child:
            os.close(theirs)
            os.write(ours, f"{word}\n".encode())
            out, err = child.communicate()
        os.close(ours)
        assert b"Delete all that is kept of Ada Lovelace (ada), for good? y/n" in err
        return child.returncode, out.decode()

    assert answered("n") == (1, "Nothing was deleted.\n")
    code, out = answered("y")
    assert (code, out.startswith("ada is forgotten: 0 bookings")) == (0, True)


def test_answers_kept_for_repeated_requests_go_too_but_only_those_about_them(two, inside, coming):
    home = inside()
    booking = home.book(coming(9), "ada/intro")
    other = home.book(coming(9), "bob/chat")
    services, now = home.services, datetime.now(UTC)
    kept = {
        "about-her-booking": {"body": json.dumps({"id": booking})},
        "about-her": {"body": json.dumps({"freelancer": "ada"})},
        "at-her-address": {"headers": {"Location": "/v1/ada/intro/links"}, "body": "{}"},
        "about-bob": {"body": json.dumps({"id": other, "freelancer": "bob"})},
    }
    with home.store.write() as session:
        for scope, answer in kept.items():
            keys.keep_answer(session, scope, "", 201, services.vault.seal(json.dumps(answer)), now)
        lost = IdempotentAnswer(
            scope="of-a-lost-key", body_hash="", status=201, answer=b"x", created_at=now, expires_at=now + timedelta(1)
        )
        session.add(lost)
    _undeclare_ada(two)
    settled = inside()
    gone = forget(settled.services, "ada", even_if_owed=True)
    assert (gone.bookings, gone.dropped.coming) == (1, 1)
    with settled.store.read() as session:
        assert {row.scope for row in session.query(IdempotentAnswer)} == {"about-bob"}
        with pytest.raises(ApiError):
            export(session, "ada", now)
