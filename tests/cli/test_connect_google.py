"""`connect google`: a browser brings permission to a door on loopback; a person may also paste where it ended."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import sys
import threading
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from providers.google.permissions import FREE_BUSY, LISTING, READING, WRITING_ALL, WRITING_OWN, Grant
from syncd.store import farewells
from syncd.store.access import Access, access_of, renew_access, sealed_whole
from syncd.store.models import Account, Farewell

GOOGLE = """
[google]
client_id = "{client_id}"
client_secret_env = "GOOGLE_CLIENT_SECRET"
api_endpoint = "{api_endpoint}"
auth_uri = "{auth_uri}"
token_uri = "{token_uri}"
revoke_uri = "{revoke_uri}"
"""
DECLARED = """
[freelancers.ada.accounts.work]
provider = "google"
blocks = ["Work", "Gone"]
target = "Work"
tentative = "free"
"""
CONNECT = ("connect", "google", "ada")
BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=60).read()"


@pytest.fixture
def google(google, shell, tmp_path):
    """A fake Google that is configured, where Ada has calendars, and a browser in which she consents."""
    google.make_calendar("Work")
    shell.configure(GOOGLE.format(**google.endpoints))
    script = tmp_path / "browser.py"
    script.write_text(BROWSER, encoding="utf-8")
    shell.environment["GOOGLE_CLIENT_SECRET"] = google.endpoints["client_secret"]
    shell.environment["BROWSER"] = f"{sys.executable} -S {script} %s"
    return google


@pytest.fixture
def account(inside):
    """The one account there is, with its grant."""

    def read():
        house = inside()
        with house.store.read() as session:
            row = session.scalars(select(Account)).one()
            access = access_of(row, house.services.vault)
            session.refresh(row, ["calendars"])
            return row, Grant.read(access.secret) if access else None

    return read


class Asked:
    """A command that waits for an answer to the address it printed."""

    def __init__(self, shell, *arguments):
        self.process = shell.start(*CONNECT, "--no-browser", *arguments)
        self.told = ""
        while not self.told.rstrip().endswith("…)"):
            line = self.process.stderr.readline()
            assert line, self.told
            self.told += line
        self.url = re.search(r"^http\S+$", self.told, re.MULTILINE)[0]
        said = {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}
        self.state, self.door = said["state"], urlsplit(said["redirect_uri"])

    def knock(self, path, *, method="GET", host=None):
        """Ask at the door; the status and the page."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=60)) as connection:
            connection.request(method, path, headers={"Host": host or self.door.netloc})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())

    def consent(self):
        with contextlib.suppress(HTTPError):
            urllib.request.urlopen(self.url, timeout=60).read()

    def end(self):
        out, err = self.process.communicate()
        assert "Traceback" not in err, err
        return self.process.returncode, out, err


@pytest.fixture
def ask(shell, google):
    started = []

    def start(*arguments):
        started.append(Asked(shell, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def test_an_account_is_connected_by_a_browser(shell, google, account):
    done = shell(*CONNECT, "--blocks", "Work", "--json")
    assert done.code == 0, done
    assert [(c["name"], c["blocks"]) for c in done.json["calendars"]] == [("ada@example.com", False), ("Work", True)]
    assert done.json["username"] == "ada@example.com"
    row, grant = account()
    assert (row.name, row.provider, row.username, row.url, row.state) == (
        "google",
        "google",
        "ada@example.com",
        "",
        "ok",
    )
    assert grant.scopes == {LISTING, READING}


def test_what_is_asked_for_is_explained_before_the_browser_opens(shell, google):
    done = shell(*CONNECT, "--target", "Work")
    assert "google (ada@example.com) is connected" in done.out
    told = done.err
    lines = [line.strip() for line in told.splitlines()]
    assert [line for line in lines if line.startswith("- ")] == [
        "- to list your calendars, so that you can choose among them",
        "- to see when you are busy; titles, places and guests are never asked for",
        "- to write consultations into a calendar of yours, and to change and remove them again",
    ]
    (url,) = [line for line in lines if line.startswith(google.url)]
    (asked,) = google.oauth.asked
    assert parse_qs(urlsplit(url).query)["state"] == [asked["state"]]
    assert set(asked["scope"].split()) == {LISTING, READING, WRITING_OWN}
    assert (asked["code_challenge_method"], asked["access_type"]) == ("S256", "offline")


def test_what_the_chosen_calendars_need_besides_is_asked_for_next(shell, google, account):
    google.make_calendar("Team", role="writer")
    google.make_calendar("Boss", role="freeBusyReader")
    done = shell(*CONNECT, "--blocks", "Boss", "--target", "Team")
    assert done.code == 0, done
    first, second = (set(asked["scope"].split()) for asked in google.oauth.asked)
    assert (first, second - first) == ({LISTING, READING, WRITING_OWN}, {FREE_BUSY, WRITING_ALL})
    assert google.oauth.asked[1]["login_hint"] == "ada@example.com"
    assert not account()[1].lacks({FREE_BUSY, WRITING_ALL})


def test_reconnecting_keeps_the_choices_and_asks_for_all_of_it_at_once(shell, google, account):
    google.make_calendar("Team", role="writer")
    assert shell(*CONNECT, "--blocks", "Work", "--target", "Team").code == 0
    ids = {calendar.id for calendar in account()[0].calendars}
    google.revoke()
    google.oauth.asked.clear()
    assert shell(*CONNECT).code == 0
    row, _ = account()
    assert ({calendar.id for calendar in row.calendars}, row.blocks, row.target) == (ids, ["Work"], "Team")
    assert len(google.oauth.asked) == 1


def test_what_is_chosen_while_the_browser_is_open_stays(shell, ask, google, account, inside):
    google.make_calendar("Private")
    assert shell(*CONNECT, "--blocks", "Work").code == 0
    asked = ask("--target", "Work")
    assert shell("calendars", "--blocks", "Private").code == 0
    with inside().store.write() as session:
        session.scalars(select(Account)).one().tentative = "free"
    asked.consent()
    assert asked.end()[0] == 0
    row, _ = account()
    assert (sorted(row.blocks), row.target, row.tentative) == (["Private", "Work"], "Work", "free")


def test_what_is_chosen_meanwhile_needs_its_permission_as_well(shell, ask, google, account):
    google.make_calendar("Boss", role="freeBusyReader")
    assert shell(*CONNECT, "--blocks", "Work").code == 0
    before, asked = account()[1], ask()
    assert shell("calendars", "--blocks", "Boss").code == 0
    asked.consent()
    code, _, err = asked.end()
    assert (code, "share with you without details" in err) == (77, True), err
    assert account()[1] == before


def test_an_account_that_is_disconnected_meanwhile_stays_so(shell, ask, google, account):
    assert shell(*CONNECT).code == 0
    asked = ask()
    assert shell("disconnect", "google").code == 0
    asked.consent()
    code, _, err = asked.end()
    assert (code, "was disconnected meanwhile" in err) == (1, True), err
    assert (account()[0].active, google.oauth.permissions) == (False, {})


def test_another_google_user_is_refused_with_a_sentence(shell, google, account):
    assert shell(*CONNECT).code == 0
    before = account()[1]
    google.oauth.user = "bob@example.com"
    done = shell(*CONNECT)
    assert (done.code, done.out) == (1, "")
    assert "this account is ada@example.com's, and bob@example.com has signed in: nothing was changed" in done.err
    assert account()[1] == before
    assert shell("disconnect", "google").code == 0
    assert shell(*CONNECT).code == 0
    assert account()[0].username == "bob@example.com"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"denies": True}, "permission was refused at Google"),
        ({"grants_only": frozenset({READING})}, "to list your calendars"),
        ({"grants_only": frozenset({LISTING})}, "to see when you are busy"),
    ],
)
def test_a_permission_that_is_not_given_is_an_error_and_nothing_is_stored(shell, google, inside, spoil, words):
    for name, value in spoil.items():
        setattr(google.oauth, name, value)
    done = shell(*CONNECT)
    assert (done.code, done.out) == (77, "")
    assert words in done.err.splitlines()[-1]
    with inside().store.read() as session:
        assert not session.scalars(select(Account)).all()


def test_a_target_that_may_not_be_written_to_is_an_error_and_nothing_is_stored(shell, google, inside):
    google.oauth.grants_only = frozenset({LISTING, READING})
    done = shell(*CONNECT, "--target", "Work")
    assert done.code == 77
    assert "to write consultations into a calendar of yours" in done.err.splitlines()[-1]
    assert "tick its box" in done.err
    with inside().store.read() as session:
        assert not session.scalars(select(Account)).all()


def test_without_a_client_of_google_the_command_says_how_to_get_one(shell):
    shell.fails(78, "OAuth client in the Google Cloud console", *CONNECT)


def test_a_freelancer_that_is_not_there_is_told_before_any_browser_opens(shell, google):
    shell.fails(1, "there is no freelancer bob", "connect", "google", "bob")
    assert not google.oauth.asked


def test_only_the_answer_that_was_asked_for_opens_the_door(ask, google, account):
    asked = ask("--json")
    wrong = [
        asked.knock(f"/?state={'x' * 43}&code=4/stolen"),
        asked.knock("/?code=4/stolen"),
        asked.knock(f"/?state={asked.state}&code=4/stolen", host="evil.example"),
        asked.knock(f"/?state={asked.state}&code=4/stolen", method="POST"),
        asked.knock(f"/elsewhere?state={asked.state}&code=4/stolen"),
        asked.knock("/favicon.ico"),
        asked.knock("/"),
        asked.knock(f"//[?state={asked.state}&code=4/stolen"),
    ]
    assert [status for status, _, _ in wrong] == [403, 403, 400, 400, 404, 404, 404, 400]
    assert all("default-src 'none'" in headers["Content-Security-Policy"] for _, _, headers in wrong)
    asked.consent()
    code, out, err = asked.end()
    assert (code, "google" in out) == (0, True), err
    assert account()[1].scopes == {LISTING, READING}


def test_a_port_that_cannot_be_is_refused(shell):
    done = shell(*CONNECT, "--port", "65536")
    assert (done.code, "Invalid value for '--port'" in done.err) == (2, True), done


def test_a_browser_that_says_nothing_or_too_much_keeps_nobody_out(ask):
    asked = ask("--json")
    silent = [http.client.HTTPConnection("127.0.0.1", asked.door.port) for _ in range(40)]
    for connection in silent:
        connection.connect()
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        asked.knock("/" + "x" * 100_000)
    asked.consent()
    assert asked.end()[0] == 0
    for connection in silent:
        connection.close()


def test_what_a_browser_is_shown_holds_no_code_and_says_what_to_do(ask):
    asked = ask()
    status, page, headers = asked.knock(f"/?state={asked.state}&code=4/made-up")
    assert (status, "You can close this window" in page, "4/made-up" in page) == (200, True, False)
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
    code, out, err = asked.end()
    assert (code, out) == (77, "")
    assert "begin again" in err
    assert "made-up" not in err
    assert asked.state not in err.replace(asked.url, "")


def test_a_second_question_that_comes_to_nothing_gives_both_answers_back(ask, google):
    google.make_calendar("Team", role="writer")
    asked = ask("--target", "Team")
    asked.consent()
    while len(found := re.findall(r"^http\S+$", asked.told, re.MULTILINE)) < 2:
        asked.told += asked.process.stderr.readline()
    asked.url, google.oauth.user = found[1], "bob@example.com"
    asked.consent()
    assert asked.end()[0] == 1
    assert google.oauth.permissions == {}


def test_ctrl_c_while_calendars_are_chosen_gives_the_permission_back(on_terminal, shell, google):
    del shell.environment["BROWSER"]
    terminal = on_terminal(*CONNECT, "--no-browser")
    terminal.answer("can't be opened there.", "where?")
    url = re.search(rf"{re.escape(google.url)}\S+", terminal.shown.replace("\n", " "))[0]
    urllib.request.urlopen(url, timeout=60).read()
    terminal.interrupt("Which of them block?")
    assert terminal.end() == 130, terminal.shown
    assert google.oauth.permissions == {}


def test_ctrl_c_ends_the_waiting(ask):
    asked = ask()
    threading.Timer(0.2, lambda: os.kill(asked.process.pid, signal.SIGINT)).start()
    assert asked.end()[0] == 130


def test_the_address_a_browser_ended_at_may_be_pasted(on_terminal, shell, google, account):
    del shell.environment["BROWSER"]
    terminal = on_terminal(*CONNECT, "--blocks", "*", "--target", "none", "--no-browser")
    terminal.answer("can't be opened there.", "http://[")
    terminal.answer("That isn't the address", "http://127.0.0.1:1/?state=wrong&code=x")
    url = re.search(rf"{re.escape(google.url)}\S+", terminal.shown.replace("\n", " "))[0]
    query = parse_qs(urlsplit(url).query)
    redirect = query["redirect_uri"][0]

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_args):
            return None

    with pytest.raises(HTTPError) as sent:
        urllib.request.build_opener(Stay).open(url)
    ended_at = sent.value.headers["Location"]
    sent.value.close()
    assert ended_at.startswith(redirect)
    terminal.answer("That isn't the address", ended_at)
    assert terminal.end() == 0, terminal.shown
    assert account()[0].username == "ada@example.com"


def test_a_declared_account_is_given_its_permission_and_keeps_what_the_file_says(shell, google, account):
    shell.configure(GOOGLE.format(**google.endpoints) + DECLARED)
    shell.environment["GOOGLE_CLIENT_SECRET"] = google.endpoints["client_secret"]
    (waiting,) = shell("accounts", "--json").json["accounts"]
    assert waiting["state"] == "needs_reconnect"
    assert "`syncd connect google ada --name work`" in waiting["problem"]
    shell.fails(1, "the configuration file says them", *CONNECT, "--name", "work", "--blocks", "*")
    assert shell(*CONNECT, "--name", "work").code == 0
    assert shell("accounts").code == 0, "and the file is applied once more"
    row, grant = account()
    assert (row.declared, row.blocks, row.target, row.tentative) == (True, ["Work", "Gone"], "Work", "free")
    assert (row.state, row.missing, row.username) == ("ok", ["Gone"], "ada@example.com")
    assert not grant.lacks({WRITING_OWN})


def test_a_declared_account_of_another_user_waits_for_that_one(shell, google, account):
    shell.configure(GOOGLE.format(**google.endpoints) + DECLARED)
    assert shell(*CONNECT, "--name", "work").code == 0
    shell.configure(GOOGLE.format(**google.endpoints) + DECLARED + 'username = "bob@example.com"')
    assert shell("accounts", "--json").json["accounts"][0]["state"] == "needs_reconnect"
    done = shell(*CONNECT, "--name", "work")
    assert "this account is bob@example.com's, and ada@example.com has signed in" in done.err
    google.oauth.user = "bob@example.com"
    google.make_calendar("Work")
    assert shell(*CONNECT, "--name", "work").code == 0
    assert account()[0].username == "bob@example.com"


def test_disconnecting_gives_the_permission_back_at_once(shell, google, inside):
    assert shell(*CONNECT).code == 0
    assert google.oauth.permissions
    done = shell("disconnect", "google")
    assert (done.code, google.oauth.permissions) == (0, {})
    assert "permission was given back" in done.out
    with inside().store.read() as session:
        assert not session.scalars(select(Farewell)).all()


def test_what_cannot_be_given_back_at_once_is_given_back_by_a_later_pass(shell, google, inside):
    assert shell(*CONNECT).code == 0
    shell.configure(GOOGLE.format(**google.endpoints | {"revoke_uri": "http://127.0.0.1:1/revoke"}))
    done = shell("disconnect", "google")
    assert done.code == 0
    assert "is given back later" in done.out
    assert google.oauth.permissions
    shell.configure(GOOGLE.format(**google.endpoints))
    house = inside()
    with house.store.write() as session:
        (owed,) = session.scalars(select(Farewell)).all()
        assert owed.attempts == 1
        owed.due_at = owed.created_at
    assert shell("run", "--once").code == 0
    assert google.oauth.permissions == {}


def test_a_freelancer_who_is_forgotten_gives_the_permission_back(shell, google, inside):
    shell("freelancer", "add", "eve", "--time-zone", "UTC")
    assert shell("connect", "google", "eve").code == 0
    assert google.oauth.permissions
    house = inside()
    with house.store.write() as session:
        another = sealed_whole(Access("", "bob@example.com", "x"), house.services.vault)
        later = datetime.now(UTC) + timedelta(days=1)
        farewells.owe_unkept(session, "google", another, later, datetime.now(UTC))
    told = shell("forget", "eve", "--yes", "--json")
    assert (told.code, told.json["permissions_owed"]) == (0, 0), "that of another is none of hers"
    assert google.oauth.permissions == {}


def test_an_account_that_left_the_file_can_be_disconnected(shell, google, account):
    shell.configure(GOOGLE.format(**google.endpoints) + DECLARED)
    assert shell(*CONNECT, "--name", "work").code == 0
    shell.configure(GOOGLE.format(**google.endpoints))
    assert shell("accounts").code == 0
    assert (account()[0].active, bool(google.oauth.permissions)) == (False, True)
    assert "permission was given back" in shell("disconnect", "work").out
    assert (account()[1], google.oauth.permissions) == (None, {})
    shell.fails(1, "there is no account 'work'", "disconnect", "work")


def test_an_account_whose_permission_was_revoked_says_what_to_do(shell, google):
    assert shell(*CONNECT).code == 0
    google.revoke()
    assert shell("run", "--once").code == 77
    told = "`syncd connect google ada --name google` asks for permission again"
    assert told in shell("accounts").out
    assert told in shell("status").out
    assert told in shell("doctor").out
    assert shell(*CONNECT).code == 0
    assert shell("run", "--once").code == 0
    assert told not in shell("status").out


def test_doctor_tells_a_limited_permission_from_one_of_an_app_in_testing(shell, google, inside):
    assert shell(*CONNECT).code == 0
    house, now = inside(), datetime.now(UTC)
    with house.store.write() as session:
        row = session.scalars(select(Account)).one()
        access = access_of(row, house.services.vault)
        limited = replace(Grant.read(access.secret), ends_at=now + timedelta(days=30))
        renew_access(row, house.services.vault, replace(access, secret=limited.text()), now)
    told = shell("doctor").out
    assert "it was given for a limited time" in told
    assert "Testing" not in told


def test_doctor_warns_of_permissions_that_end_after_seven_days(shell, google):
    google.oauth.testing = True
    assert shell(*CONNECT).code == 0
    told = shell("doctor").out
    assert "the OAuth app is in state Testing, where permissions last 7 days" in told
    assert "In production" in told
    google.oauth.testing = False
    assert shell(*CONNECT).code == 0
    assert "Testing" not in shell("doctor").out


def test_doctor_says_what_is_wrong_with_the_client_of_google(shell, google):
    shell.environment["GOOGLE_CLIENT_SECRET"] = "two words"
    usual = GOOGLE.format(**google.endpoints).splitlines()[:4]
    shell.configure("\n".join(usual).replace(".apps.googleusercontent.com", ""))
    told = {(one["state"], one["what"].partition(":")[0]) for one in shell("doctor", "--json").json["findings"]}
    assert ("mend", "google.client_id is none of Google's") in told
    assert ("mend", "GOOGLE_CLIENT_SECRET holds no client secret") in told


def test_doctor_misses_the_client_of_a_google_account(shell, google):
    assert shell(*CONNECT).code == 0
    shell.configure()
    assert "isn't in the configuration" in shell("doctor").out
