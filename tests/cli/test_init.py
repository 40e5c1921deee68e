"""`syncd init`: a person's answers, a script's, and nothing half-written whatever happens (contract §3)."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_xml import Answer

from syncd import cli
from syncd.cli.first_config import First, config_text, hours_text, read_hours, words_of
from syncd.cli.init import guess_zone

FIRST = ("Ada Lovelace", "", "ada@example.org", "Europe/London", "", "", "")


@pytest.fixture
def empty(shell):
    """A folder in which nothing was set up yet."""
    (shell.folder / "config.toml").unlink()
    return shell


def _made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


# A person


def test_a_person_is_asked_and_can_be_booked(empty, on_terminal, radicale):
    radicale.make_calendar("Work", tz="Europe/Berlin")
    radicale.make_calendar("Home")
    terminal = on_terminal("init")
    terminal.answer("Your name", "Ada Lovelace")
    terminal.answer("handle, the word in your addresses [ada]", "instant")
    terminal.answer("instant: must be another word: this one is reserved", "ada")
    terminal.answer("e-mail address [none]", "ada@example.org")
    terminal.answer("time zone [", "europe/london")
    terminal.answer("set hours", "mon-fri 9-25")
    terminal.answer("monday must be", "mon-fri 9-12 13-17")
    terminal.answer("What can be booked? [Intro call]", "")
    terminal.answer("How many minutes?", "30 60")
    terminal.answer("9  Radicale", "9")
    terminal.answer("server's address", radicale.url)
    terminal.answer("user name there", radicale.username)
    terminal.answer("Password of ", "wrong")
    terminal.answer("refuses this user name or password", "y")
    terminal.answer("server's address", radicale.url)
    terminal.answer("user name there", radicale.username)
    terminal.answer("Password of ", radicale.password)
    terminal.answer("Which of them block?", "1,2")
    terminal.answer("Which takes the consultations", "Work")
    assert terminal.end() == 0
    assert radicale.password not in terminal.shown, "a password is never shown"
    assert "syncd sync" in terminal.shown
    assert _made(empty.folder) == ["config.toml", "secret.key", "syncd.db", "syncd.db.lock"]
    assert radicale.password.encode() not in _stored(empty.folder), "it is sealed"
    assert all(not stat.S_IMODE(path.stat().st_mode) & 0o077 for path in empty.folder.iterdir())
    config = tomllib.loads((empty.folder / "config.toml").read_text(encoding="utf-8"))
    ada = config["freelancers"]["ada"]
    assert (ada["time_zone"], ada["email"]) == ("Europe/London", "ada@example.org")
    assert ada["schedules"]["default"]["hours"]["friday"] == ["09:00-12:00", "13:00-17:00"]
    assert ada["consultations"]["intro-call"]["durations"] == ["30m", "60m"]
    assert empty("sync").code == 0
    assert empty("slots", "ada/intro-call", "--json").json["slots"]
    chosen = {c["name"]: (c["blocks"], c["target"]) for c in empty("calendars", "--json").json["calendars"]}
    assert (chosen["Work"], chosen["Home"]) == ((True, True), (True, False))


def test_a_calendar_that_cant_be_connected_can_wait(empty, on_terminal):
    terminal = on_terminal("init", "--name", "Ada", "--handle", "ada", "--email", "", "--hours", "mon 9-17")
    terminal.answer("time zone [", "Europe/London")
    terminal.answer("What can be booked?", "")
    terminal.answer("How many minutes?", "")
    terminal.answer("A number [0]", "own")
    terminal.answer("server's address", "http://127.0.0.1:1/")
    terminal.answer("user name there", "ada")
    terminal.answer("Password of ", "secret")
    terminal.answer("refuses connections", "n")
    assert terminal.end() == 0
    assert "syncd connect caldav ada" in terminal.shown
    assert empty("accounts", "--json").json["accounts"] == []


@pytest.mark.parametrize("at", ["Your name", "set hours", "A number", "Password of", "Which of them block?"])
def test_ctrl_c_writes_nothing(empty, on_terminal, radicale, at):
    radicale.make_calendar("Work")
    terminal = on_terminal("init")
    answers = {
        "Your name": "Ada",
        "handle": "",
        "e-mail": "",
        "time zone": "",
        "set hours": "",
        "What can": "",
        "How many": "",
        "A number": "9",
        "server's address": radicale.url,
        "user name": radicale.username,
        "Password of": radicale.password,
        "Which of them block?": "",
    }
    for question in takewhile(lambda question: question != at, answers):
        terminal.answer(question, answers[question])
    terminal.interrupt(at)
    assert terminal.end() == 130
    assert "nothing was written" in terminal.shown
    assert _made(empty.folder) == []


# A script


def test_answers_may_be_piped_and_a_nextcloud_is_found_behind_its_redirect(empty, scripted):
    scripted.make_calendar("Work")

    def redirect(request):
        return Answer(301, {"Location": "/"}) if request.path.startswith("/remote.php/dav") else None

    scripted.meanwhile = redirect
    answers = [*FIRST, "nextcloud", f"{scripted.url}apps/calendar/dayGridMonth", scripted.username, scripted.password]
    done = empty("init", "--json", stdin="\n".join([*answers, "*", "Work", ""]))
    assert done.code == 0, done.err
    assert done.err == ""
    assert (done.json["freelancer"], done.json["consultation"]) == ("ada", "intro-call")
    assert [(c["name"], c["blocks"], c["target"]) for c in done.json["calendars"]] == [("Work", True, True)]
    assert scripted.seen[0].path == "/remote.php/dav/"
    (account,) = empty("accounts", "--json").json["accounts"]
    assert account["url"] == f"{scripted.url}remote.php/dav/"


def test_an_icloud_is_found_whose_principal_is_on_another_host(tmp_path, monkeypatch, capsys, scripted):
    """Names of one registrable domain lead to the scripted server; only this process knows them."""
    scripted.make_calendar("Home")
    real, port = socket.getaddrinfo, scripted.port

    def known(host, *more, **other):
        return real("127.0.0.1" if host.endswith("caldav.dav.example") else host, *more, **other)

    def elsewhere(request):
        if request.path != "/" or request.method != "PROPFIND":
            return None
        href = f"http://p42-caldav.dav.example:{port}{scripted.principal}"
        return Answer(
            207,
            {"Content-Type": "application/xml"},
            b'<multistatus xmlns="DAV:"><response><href>/</href><propstat><prop><current-user-principal>'
            b"<href>%s</href></current-user-principal></prop><status>HTTP/1.1 200 OK</status></propstat></response>"
            b"</multistatus>" % href.encode(),
        )

    monkeypatch.setattr(socket, "getaddrinfo", known)
    scripted.meanwhile = lambda request: scripted._unless_stranger(request) or elsewhere(request)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{scripted.password}\n"))
    url = f"http://caldav.dav.example:{port}/"
    options = ("--yes", "--name", "Ada", "--time-zone", "UTC", "--preset", "icloud", "--url", url)
    code = cli.run(["init", *options, "--username", scripted.username, "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert '"name": "Home"' in said.out
    hosts = {request.headers.get("Host") for request in scripted.seen}
    assert hosts == {f"caldav.dav.example:{port}", f"p42-caldav.dav.example:{port}"}


def test_yes_takes_what_would_be_proposed(empty):
    empty.environment |= {"TZ": "America/New_York"}
    done = empty("init", "--yes", "--name", "Ada Lovelace", "--json")
    assert done.code == 0, done.err
    assert (done.json["account"], done.json["freelancer"]) == (None, "ada")
    assert empty("slots", f"ada/{done.json['consultation']}", "--json").json["time_zone"] == "America/New_York"


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--name is needed", ()),
        ("--hours 'every day': must be days and hours", ("--name", "Ada", "--hours", "every day")),
        ("--handle 'V1': must be lower-case words", ("--name", "Ada", "--handle", "V1")),
        ("--email 'ada': must be an e-mail address", ("--name", "Ada", "--email", "ada")),
        ("--time-zone 'Paris': must be an IANA time zone", ("--name", "Ada", "--time-zone", "Paris")),
        ("--minutes 'long': must be minutes", ("--name", "Ada", "--minutes", "long")),
        ("there is no preset 'hotmail'", ("--name", "Ada", "--preset", "hotmail")),
        ("--server is needed", ("--name", "Ada", "--preset", "nextcloud")),
    ],
)
def test_what_cant_be_is_told_with_its_option_and_nothing_is_written(empty, words, options):
    empty.fails(2, words, "init", "--yes", *options)
    assert _made(empty.folder) == []


def test_a_server_that_cant_be_reached_leaves_nothing(empty):
    url = ("--preset", "own", "--url", "http://127.0.0.1:1/", "--username", "ada")
    empty.fails(69, "refuses connections", "init", "--yes", "--name", "Ada", *url, stdin="secret\n")
    assert _made(empty.folder) == []


def test_a_folder_that_isnt_there_is_told(empty):
    empty.fails(
        2, "is no folder that can be written to", "init", "--yes", "--name", "Ada", "--config", "no/config.toml"
    )


def test_what_is_there_is_never_replaced_unasked(shell, on_terminal):
    before = (shell.folder / "config.toml").read_text(encoding="utf-8")
    shell.fails(2, "exists and was left as it is", "init", "--yes", "--name", "Bob")
    terminal = on_terminal("init")
    terminal.answer("exists: replace it?", "")
    assert terminal.end() == 2
    assert (shell.folder / "config.toml").read_text(encoding="utf-8") == before
    assert shell("init", "--yes", "--name", "Bob", "--overwrite").code == 0
    assert (shell.folder / "config.toml.old").read_text(encoding="utf-8") == before
    assert "[freelancers.bob]" in (shell.folder / "config.toml").read_text(encoding="utf-8")


def test_a_file_that_cant_be_used_in_the_end_is_never_there(empty):
    """The environment is laid over the file, and may spoil it."""
    empty.environment |= {"SYNCD_SERVER__PORT": "many"}
    done = empty("init", "--yes", "--name", "Ada")
    assert done.code == 78
    assert "server.port" in done.err
    assert _made(empty.folder) == []


# What was typed


@pytest.mark.parametrize(
    ("typed", "hours"),
    [
        ("mon-fri 9-17", {key: ["09:00-17:00"] for key in ("monday", "tuesday", "wednesday", "thursday", "friday")}),
        ("Mon 9:30-12, 13-17; Sat 10.15-14", {"monday": ["09:30-12:00", "13:00-17:00"], "saturday": ["10:15-14:00"]}),
        ("sat, sun 22 – 2", {"saturday": ["22:00-02:00"], "sunday": ["22:00-02:00"]}),
        ("fri-mon 8-9", {key: ["08:00-09:00"] for key in ("monday", "friday", "saturday", "sunday")}),
        ("wednesday 0-24", {"wednesday": ["00:00-24:00"]}),
        ("mon 9-12 mon 13-17", {"monday": ["09:00-12:00", "13:00-17:00"]}),
    ],
)
def test_hours_are_read_as_people_write_them(typed, hours):
    assert read_hours(typed) == hours
    assert read_hours(hours_text(hours)) == hours


@pytest.mark.parametrize(
    "typed", ["", "mon", "9-17", "mon 9", "t 9-17", "mon 9-17 tue", "mon-fri-sat 9-17", "mon 9-1x"]
)
def test_hours_that_say_too_little_or_too_much_are_refused(typed):
    with pytest.raises(ValueError, match="must be days and hours"):
        read_hours(typed)


@given(st.text(), st.text())
def test_whatever_a_name_is_the_file_holds_it(name, title):
    first = First(name, "ada", "ada@example.org", "UTC", {"monday": ["09:00-17:00"]}, title, "intro", [30])
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair is no text
        text = config_text(first).encode().decode()
        ada = tomllib.loads(text)["freelancers"]["ada"]
        assert (ada["name"], ada["consultations"]["intro"]["title"]) == (name, title)


@pytest.mark.parametrize(
    ("text", "words"),
    [("Intro call!", "intro-call"), ("Größe & Maß", "grosse-mass"), ("日本", ""), ("x" * 62 + " y", "x" * 62)],
)
def test_words_are_made_of_any_text(text, words):
    assert words_of(text) == words


def test_the_machines_zone_is_guessed(tmp_path):
    there = tmp_path / "localtime"
    there.symlink_to("/usr/share/zoneinfo/Europe/Paris")
    assert guess_zone({}, there) == "Europe/Paris"
    assert guess_zone({"TZ": ":Asia/Tokyo"}, there) == "Asia/Tokyo"
    assert guess_zone({"TZ": "EST5EDT,M3.2.0"}, there) == "Europe/Paris"
    assert guess_zone({}, tmp_path / "nothing") == "UTC"
    assert os.environ.get("TZ") is None or guess_zone(os.environ)
