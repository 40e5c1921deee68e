"""Every command that exists, as processes: what it prints, and its exit code (contract §3)."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest
import requests


def _next(weekday: int) -> datetime:
    """Midnight of a weekday at least two days ahead."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
    return day + timedelta(days=(weekday - day.weekday()) % 7)


@pytest.mark.parametrize(
    "arguments",
    [("nope",), ("slots",), ("run", "--bogus"), ()],
)
def test_wrong_usage_is_2_and_says_how(shell, arguments):
    done = shell(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Usage: " in done.err


def test_arguments_that_cant_be_right_are_wrong_usage_in_one_sentence(shell):
    shell.fails(2, "'tomorrow' is no date; right would be 2026-12-01", "slots", "ada/intro", "--from", "tomorrow")
    shell.fails(2, "--from 'x'", "slots", "ada/intro", "--from", "x")
    shell.fails(2, "--to", "slots", "ada/intro", "--from", "2026-12-02", "--to", "2026-12-01")
    shell.fails(2, "the handle 'v1' must be another word", "freelancer", "add", "v1", "--time-zone", "UTC")
    shell.fails(2, "right would be one of 30, 60", "slots", "ada/intro", "--duration", "45")
    shell.fails(2, "right would be 2026-12-01T10:00", "explain", "ada/intro", "never")
    shell.fails(2, "unknown scope 'all'", "key", "create", "--scope", "all")


def test_names_that_nobody_has_are_1(shell):
    shell.fails(1, "no consultation 'ada/x'", "slots", "ada/x")
    shell.fails(1, "no freelancer eve", "sync", "eve")
    shell.fails(1, "no key key_x", "key", "revoke", "key_x")


def test_a_configuration_that_cant_be_used_is_78_with_file_and_key(shell):
    shell.fails(78, "nowhere.toml", "status", "--config", "nowhere.toml")
    shell.configure("increment = 15")
    shell.fails(78, "freelancers.ada.consultations.intro.increment = 15", "slots", "ada/intro")
    shell.configure("[server]")
    shell.fails(78, "must be TOML", "run", "--once")
    shell.configure(
        "[freelancers.ada.accounts.home]\nprovider = 'caldav'\nurl = 'https://x.example'\npassword_env = 'NOT_SET_1'"
    )
    shell.fails(78, "NOT_SET_1", "status")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[freelancers.eve]\nname = 'Eve'\nemail = 'nope'", 'must be an e-mail address such as "ada@example.org"'),
        ("[freelancers.ada.accounts.home]\nprovider = 'caldav'\npassword = 'hunter2'", 'did you mean "password_env"?'),
        (
            "[freelancers.ada.accounts.home]\nprovider = 'caldav'\nurl = 'https://ada:hunter2@x.example'",
            "must be an address without user name and password: those have keys of their own",
        ),
    ],
)
def test_what_looks_like_a_secret_in_our_own_sentences_stays_and_a_secret_is_not_shown(shell, more, told):
    shell.configure(more)
    done = shell("status")
    assert done.code == 78
    assert told in done.err
    assert "***" not in done.err
    assert told in shell("doctor").out
    assert "hunter2" not in done.err + shell("doctor").out
    if "nope" in more:
        shell.configure()
        shell.fails(2, told, "freelancer", "add", "bob", "--name", "Bob", "--time-zone", "UTC", "--email", "nope")


_LOADED = """
import contextlib, sys
from syncd.cli import run
with contextlib.suppress(SystemExit):
    run(["--help"])
names = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__spec__", None)}
print(*sorted(names - set(sys.stdlib_module_names)), file=sys.stderr)
"""


def test_help_loads_nothing_but_what_reads_a_command_line():
    done = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True, text=True)
    assert "Usage:" in done.stdout
    ours = {name for name in done.stderr.split() if not name.startswith("_")}
    assert ours <= {"syncd", "typer", "annotated_doc", "shellingham"}


def test_the_version_is_the_packages(shell):
    assert shell("--version").out == f"syncd {version('syncd')}\n"


def test_slots_and_explain_speak_the_freelancers_zone(shell):
    monday = _next(0)
    day = f"{monday:%Y-%m-%d}"
    listed = shell("slots", "ada/intro", "--from", day, "--to", day, "--json").json
    starts = [slot["start"] for slot in listed["slots"][day]]
    assert len(starts) == 31
    assert starts[0].startswith(f"{day}T09:00:00")
    assert listed["time_zone"] == "Europe/London"
    table = shell("slots", "ada/intro", "--from", day, "--to", day, "--duration", "60")
    assert f"{monday:%a %d %b %Y}" in table.out
    assert "09:00" in table.out
    assert "16:15" not in table.out
    elsewhere = shell("slots", "ada/intro", "--from", day, "--to", day, "--tz", "Asia/Tokyo", "--json").json
    assert elsewhere["slots"][day][0]["start"].endswith("+09:00")
    assert shell("explain", "ada/intro", starts[0], "--json").json == {"bookable": True, "reasons": []}
    assert shell("explain", "ada/intro", f"{day}T09:00").out == f"{starts[0]} is offered.\n"
    closed = shell("explain", "ada/intro", f"{day}T08:55")
    assert closed.code == 0
    assert "is not offered" in closed.out
    assert "outside_hours: it doesn't fit into the set hours" in closed.out
    assert shell("slots", "ada/intro", "--from", "2020-01-01").out.count("No slot in these days") == 1


def test_a_naive_time_is_the_freelancers_wall_clock_also_around_a_change_of_offset(shell):
    summer = f"{datetime.now(UTC).year + 1}-06-15T10:00"
    assert f"{summer}:00+01:00" in shell("explain", "ada/intro", summer).out
    assert "2027-03-28T02:30:00+01:00" in shell("explain", "ada/intro", "2027-03-28T01:30").out, "it doesn't exist"


def test_a_key_is_shown_once_and_ends_when_it_is_revoked(shell):
    made = shell("key", "create", "--freelancer", "ada", "--scope", "slots:read", "--json").json
    assert (made["freelancer"], made["scopes"]) == ("ada", ["slots:read"])
    spoken = shell("key", "create")
    assert spoken.out.startswith("syncd_")
    assert "all freelancers" in spoken.out
    listed = shell("key", "list", "--json")
    assert listed.json[0]["id"] == made["id"]
    for text in (made["key"], spoken.out.split()[0]):
        assert text not in listed.out
        assert text.encode() not in b"".join(path.read_bytes() for path in shell.folder.glob("syncd.db*"))
    process = shell.start("run")
    try:
        url = _ready(process)
        slots = f"{url}/v1/ada/intro/slots?start=2026-11-23&end=2026-11-24"
        bearer = {"Authorization": f"Bearer {made['key']}"}
        assert requests.get(slots, headers=bearer, timeout=30).status_code == 200
        assert shell("key", "revoke", made["id"]).out == f"{made['id']} is revoked.\n"
        assert requests.get(slots, headers=bearer, timeout=30).status_code == 401
        shell.fails(75, "another `syncd run`", "run")
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert process.returncode == 0
    assert "stopped" in err
    assert shell("key", "list").out.count("key_") == 2


def _ready(process: subprocess.Popen[str]) -> str:
    """The address of a daemon, once it says that it is ready."""
    assert process.stderr is not None
    for line in process.stderr:
        said = json.loads(line)
        if said["event"] == "ready":
            return str(said["url"])
    raise AssertionError("the daemon ended")


# Accounts


def test_connecting_chooses_calendars_pulls_and_writes(shell, radicale, event):
    work, home = radicale.make_calendar("Work", tz="UTC"), radicale.make_calendar("Home", tz="UTC")
    monday = _next(0)
    radicale.put(work, "a", event("a", f"{monday:%Y%m%d}T100000Z", f"{monday:%Y%m%d}T103000Z"))
    radicale.put(home, "b", event("b", f"{monday:%Y%m%d}T120000Z", f"{monday:%Y%m%d}T123000Z"))
    wish = shell.connect(radicale.url, radicale.username, "--name", "dav")
    shell.fails(2, "there is no calendar 'Nope'", *wish, "--blocks", "Nope", stdin=f"{radicale.password}\n")
    done = shell(*wish, "--blocks", "Work", "--target", "Work", "--json", stdin=f"{radicale.password}\n")
    assert done.code == 0, done.err
    chosen = {c["name"]: (c["blocks"], c["target"]) for c in done.json["calendars"]}
    assert (chosen["Work"], chosen["Home"]) == ((True, True), (False, False))
    assert radicale.password not in done.out + done.err
    synced = shell("sync", "--json")
    assert synced.code == 0
    assert [(p["calendar"], p["full"], p["changed"]) for p in synced.json["pulled"]] == [("Work", True, 1)]
    day = f"{monday:%Y-%m-%d}"
    explained = shell("explain", "ada/intro", f"{day}T10:00+00:00")
    assert "busy: a calendar is busy (dav/Work)" in explained.out
    assert "is offered" in shell("explain", "ada/intro", f"{day}T12:00+00:00").out
    (account,) = shell("status", "--json").json["accounts"]
    assert (account["freelancer"], account["name"], account["state"]) == ("ada", "dav", "ok")
    table = shell("status").out
    assert "ada/dav" in table
    assert "blocks, target" in table
    assert "Every booking is written" in table
    # again, with a password that is wrong, then the right one and no choice
    shell.fails(77, "refuses this user name or password", *wish, stdin="wrong\n")
    again = shell(*wish, "--json", stdin=f"{radicale.password}\n")
    kept = {c["name"]: (c["blocks"], c["target"]) for c in again.json["calendars"]}
    assert (kept["Work"], kept["Home"]) == ((True, True), (False, False)), "the choice is kept when none is given"
    everything = shell(*wish, "--blocks", "*", "--json", stdin=f"{radicale.password}\n").json["calendars"]
    assert all(c["blocks"] for c in everything)


def test_a_target_is_proved_by_an_event_that_comes_and_goes(shell, radicale):
    work = radicale.make_calendar("Work", tz="UTC")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--prove")
    shell.fails(2, "--prove writes to the calendar that takes consultations", *wish, stdin=f"{radicale.password}\n")
    proved = shell(*wish, "--target", "Work", "--json", stdin=f"{radicale.password}\n")
    assert proved.code == 0, proved.out + proved.err
    assert [step["name"] for step in proved.json["proof"] if not step["passed"]] == []
    assert {"written", "seen by a pull", "seen by a look", "removed"} <= {s["name"] for s in proved.json["proof"]}
    assert radicale.list(work) == {}
    told = shell(*wish, stdin=f"{radicale.password}\n").out
    assert "ok     seen by a pull (" in told


def test_accounts_tells_what_each_server_was_seen_to_do(shell, radicale):
    radicale.make_calendar("Work", tz="UTC")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--target", "Work", "--prove")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    (account,) = shell("accounts", "--json").json["accounts"]
    (work,) = [c for c in account["calendars"] if c["name"] == "Work"]
    assert (account["provider"], account["url"], account["state"]) == ("caldav", radicale.url, "ok")
    assert work["probe"]["pulls_by"] == "sync-token"
    assert [work["probe"][name] for name in ("preconditions", "recurrence", "zones")] == [True, True, True]
    assert (work["state"], work["synced_at"]) == ("never_pulled", None)
    assert shell("sync").code == 0
    table = shell("accounts").out
    assert f"ada/caldav: caldav at {radicale.url}, ok" in table
    assert "tells what changed, keeps preconditions, keeps series, keeps zones" in " ".join(table.split())
    assert "fresh" in table


def test_a_feed_is_connected_by_its_address_which_nothing_shows(shell, feed, event):
    feed.text = event("b", "20261123T100000Z", "20261123T103000Z")
    address = f"{feed.url}private-1815/basic.ics"
    wish = ("connect", "ics", "ada", "--url", address, "--name", "work")
    shell.configure(private=False)
    shell.fails(2, "allow_private", *wish)
    shell.fails(2, "'Home'", *wish, "--allow-private", "--blocks", "Home")
    connected = shell(*wish, "--allow-private", "--json", "--blocks", "*")
    assert connected.code == 0, connected.err
    (calendar,) = connected.json["calendars"]
    assert (calendar["blocks"], calendar["target"], calendar["probe"]["pulls_by"]) == (True, False, "download")
    assert [p["changed"] for p in shell("sync", "--json").json["pulled"]] == [1]
    told = [shell(*command) for command in (("accounts",), ("status",), ("accounts", "--json"), ("status", "--json"))]
    feed.text = "<!DOCTYPE html><html><body>Please sign in</body></html>"
    failed = shell("sync")
    assert failed.code != 0
    assert "login page" in failed.err
    assert "{" not in failed.err, "sentences, no lines of a log"
    told += [failed, shell("accounts"), shell("status")]
    assert not any("1815" in done.out + done.err for done in told)
    database = b"".join(path.read_bytes() for path in shell.folder.glob("syncd.db*"))
    assert b"private-1815" not in database


def test_one_pass_does_what_is_due_and_says_so(shell, radicale):
    radicale.make_calendar("Work", tz="UTC")
    shell(*shell.connect(radicale.url, radicale.username, "--blocks", "Work"), stdin=f"{radicale.password}\n")
    first, second = shell("run", "--once"), shell("run", "--once", "--json")
    assert (first.code, second.code) == (0, 0)
    assert first.out == "pulled 1 calendar (0 events changed, 0 removed), wrote 0 bookings, 0 failed\n"
    assert second.json["pulled"] == [], "nothing is due"
    overlapping = [shell.start("sync", "--json") for _ in range(2)]
    for process in overlapping:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert [p["calendar"] for p in json.loads(out)["pulled"]] == ["Work"]


def test_a_server_that_cant_be_reached_is_69_and_a_private_one_needs_leave(shell, radicale):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        closed = taken.getsockname()[1]
    shell.fails(69, "", *shell.connect(f"http://127.0.0.1:{closed}/", "ada"), stdin="x\n")
    shell.configure(private=False)
    wish = shell.connect(radicale.url, radicale.username)
    shell.fails(2, "private address", *wish, stdin=f"{radicale.password}\n")
    radicale.make_calendar("Work")
    assert shell(*wish, "--allow-private", stdin=f"{radicale.password}\n").code == 0


def test_a_declared_account_is_changed_in_the_file_alone(shell, radicale):
    radicale.make_calendar("Work")
    shell.environment |= {"DAV_PASSWORD": "wrong"}
    more = (
        f"provider = 'caldav'\nurl = '{radicale.url}'\nusername = '{radicale.username}'\npassword_env = 'DAV_PASSWORD'"
    )
    shell.configure(f"[freelancers.ada.accounts.home]\n{more}")
    wish = shell.connect(radicale.url, radicale.username, "--name", "home")
    shell.fails(1, "declared in the configuration file", *wish, stdin=f"{radicale.password}\n")
    shell.fails(1, "no freelancer eve", "connect", "caldav", "eve", *wish[3:], stdin="x\n")
    failed = shell("run", "--once", "--json")
    assert failed.code == 77
    assert failed.json["failed"][0]["error"] == "GrantRevoked"
    assert shell("status", "--json").json["accounts"][0]["state"] == "needs_reconnect"
    again = shell("run", "--once", "--json")
    assert again.code == 77, "nothing is asked before a person has mended it, and cron goes on hearing of it"
    shell.environment |= {"DAV_PASSWORD": radicale.password}
    assert shell("run", "--once").code == 0
    assert shell("status", "--json").json["accounts"][0]["state"] == "ok"
