"""The booking life from a shell: the same steps as over HTTP, in words and in JSON (contract §3)."""

from __future__ import annotations

import json
import re
import signal
from datetime import datetime, timedelta

import pytest
from scripted_xml import Answer
from sqlalchemy import select

from syncd.store.models import Booking, OutboxItem

MORE = """
location = "https://meet.example/{room}"
hold_max = "15m"
[[freelancers.ada.consultations.intro.questions]]
id = "goal"
label = "What for?"
required = true
[freelancers.ada.consultations.ask]
minimum_notice = "0m"
confirmation = "freelancer"
per_client_limit = 1
"""
GRACE = ("--name", "Grace Hopper", "--email", "grace@navy.example")


@pytest.fixture
def start(coming):
    """A start as one types it, on the wall clock of London, where it is winter or summer."""

    def start(hour: float, days: int = 0) -> str:
        return f"{coming(hour, days):%Y-%m-%dT%H:%M}"

    return start


def _booked(shell, *arguments: str) -> str:
    done = shell("book", *arguments, "--json")
    assert done.code == 0, done.err
    return done.json["id"]


def test_a_booking_is_made_and_shown_with_its_token_once(shell, start):
    shell.configure(MORE)
    told = shell("book", "ada/intro", start(10), *GRACE, "--phone", "1", "--note", "Hello", "--answer", "goal=To begin")
    assert told.code == 0, told.err
    (booking,) = set(re.findall(r"bkg_[a-z2-7]+", told.out))
    token = re.search(r"the client's token, not shown again: (bkt_[\w-]+), ", told.out)
    assert token
    assert "/b/" not in told.out, "a page this version hasn't"
    assert "10:00–10:30, ada/intro with Grace Hopper <grace@navy.example>" in told.out
    assert "where: https://meet.example/" in told.out
    shown = shell("bookings", "show", booking, "--json")
    assert token[1] not in shown.out
    assert (shown.json["state"], shown.json["note"], shown.json["answers"]) == (
        "confirmed",
        "Hello",
        {"goal": "To begin"},
    )
    assert shown.json["client"] == {"name": "Grace Hopper", "email": "grace@navy.example", "phone": "1"}
    assert shown.json["start"].startswith(f"{start(10)}:00"), "on the freelancer's clock"
    assert [step["action"] for step in shown.json["history"]] == ["book"]
    table = shell("bookings").out
    assert booking in table
    assert "Grace" in table
    made = shell("book", "ada/intro", start(12), *GRACE, "--duration", "60", "--json").json
    assert (made["duration_minutes"], made["token"][:4], made["manage_url"].partition("?")[0][-25:]) == (
        60,
        "bkt_",
        made["id"],
    )


def test_a_start_may_have_an_offset(shell, coming):
    instant = coming(11)
    made = shell("book", "ada/intro", f"{instant:%Y-%m-%dT%H:%M}+00:00", *GRACE, "--json").json
    assert datetime.fromisoformat(made["start"]) == instant


def test_a_taken_start_says_what_is_open_instead(shell, start):
    _booked(shell, "ada/intro", start(10), *GRACE)
    shell.fails(
        1, "10:15 (Europe/London) is taken: it is booked; open near it: ", "book", "ada/intro", start(10.25), *GRACE
    )
    refused = shell("book", "ada/intro", start(10.25), *GRACE, "--json")
    assert refused.code == 1
    assert refused.json["code"] == "slot-taken"
    open_again = [datetime.fromisoformat(slot["start"]).strftime("%H:%M") for slot in refused.json["alternatives"]]
    assert open_again == ["09:15", "09:30", "10:30", "10:45", "11:00"]
    assert "10:30" in refused.err


def test_what_cant_be_booked_says_why(shell, start):
    shell.configure(MORE)
    shell.fails(1, "isn't offered: it doesn't fit into the set hours", "book", "ada/intro", start(7), *GRACE)
    shell.fails(1, "starts lie on the consultation's grid", "book", "ada/intro", start(10 + 7 / 60), *GRACE)
    shell.fails(1, "no consultation 'ada/x'", "book", "ada/x", start(10), *GRACE)
    shell.fails(2, "right would be 2026-12-01T10:00", "book", "ada/intro", "noon", *GRACE)
    shell.fails(2, "right would be one of 30, 60", "book", "ada/intro", start(10), *GRACE, "--duration", "45")
    shell.fails(2, "--name and --email are missing", "book", "ada/intro", start(10))
    shell.fails(2, "--email is missing", "book", "ada/intro", start(10), "--name", "Grace")
    shell.fails(2, "--email: must be an e-mail", "book", "ada/intro", start(10), "--name", "G", "--email", "x")
    shell.fails(2, "must be ID=ANSWER", "book", "ada/intro", start(10), *GRACE, "--answer", "goal")
    shell.fails(2, "--answer age: is not asked here", "book", "ada/intro", start(10), *GRACE, "--answer", "age=3")
    as_client = ("book", "ada/intro", start(10), *GRACE, "--as", "client")
    shell.fails(2, "--answer goal: must be answered: What for?", *as_client)
    assert shell("book", "ada/intro", start(10), *GRACE, "--as", "nobody").code == 2
    assert shell("bookings", "--json").json["data"] == []


def test_an_answer_is_what_its_question_wants(shell, start):
    kinds = {"age": "number", "new": "boolean", "topics": "texts", "goal": "text"}
    asked = [
        f'[[freelancers.ada.consultations.intro.questions]]\nid = "{name}"\nlabel = "?"\ntype = "{kind}"\n'
        for name, kind in kinds.items()
    ]
    shell.configure("\n".join(asked))
    given = [("age", "47"), ("new", "yes"), ("topics", "engines"), ("topics", "looms"), ("goal", "47")]
    answers = [option for name, value in given for option in ("--answer", f"{name}={value}")]
    made = shell("book", "ada/intro", start(10), *GRACE, *answers, "--json")
    assert made.code == 0, made.err
    assert made.json["answers"] == {"age": 47, "new": True, "topics": ["engines", "looms"], "goal": "47"}
    wrong = ("book", "ada/intro", start(12), *GRACE, "--answer", "new=perhaps", "--answer", "age=old")
    shell.fails(2, "--answer new: must be true or false; --answer age: must be a number", *wrong)


def test_a_hold_is_confirmed_with_its_client_or_cancelled(shell, start):
    shell.configure(MORE)
    held = shell("book", "ada/intro", start(10), "--hold", "10m")
    assert held.code == 0, held.err
    (booking, *_) = re.findall(r"bkg_[a-z2-7]+", held.out)
    assert "held until" in held.out
    assert f"`syncd confirm {booking}` books it" in held.out
    shell.fails(1, "is taken: someone holds it", "book", "ada/intro", start(10), *GRACE)
    shell.fails(2, "--name and --email are missing", "confirm", booking)
    confirmed = shell("confirm", booking, *GRACE, "--answer", "goal=Now", "--json").json
    assert (confirmed["state"], confirmed["client"]["name"], confirmed["answers"]) == (
        "confirmed",
        "Grace Hopper",
        {"goal": "Now"},
    )
    other = _booked(shell, "ada/intro", start(12), "--hold", "5m")
    cancelled = shell("cancel", other)
    assert "Nothing follows from it" in cancelled.out
    for length, words in (("90s", "whole minutes"), ("soon", "a length such as"), ("1h", "1 to 15 minutes")):
        shell.fails(2, words, "book", "ada/intro", start(14), "--hold", length)


def test_what_waits_for_approval_is_approved_or_declined(shell, start):
    shell.configure(MORE)
    asked = shell("book", "ada/ask", start(10), *GRACE, "--as", "client")
    (booking, *_) = re.findall(r"bkg_[a-z2-7]+", asked.out)
    assert f"`syncd approve {booking}` confirms it" in asked.out
    shell.fails(
        1, "this client can't book this consultation now", "book", "ada/ask", start(11), *GRACE, "--as", "client"
    )
    assert shell("approve", booking, "--json").json["state"] == "confirmed"
    shell.fails(1, "confirmed can't be approved", "approve", booking)
    other = _booked(shell, "ada/ask", start(11), "--name", "Al", "--email", "al@x.example", "--as", "client")
    assert "Declined: " in shell("decline", other, "--reason", "away").out
    history = shell("bookings", "show", other, "--json").json
    assert history["cancel_reason"] == "away"
    assert [(step["by"], step["action"]) for step in history["history"]] == [
        ("client", "request"),
        ("freelancer", "decline"),
    ]
    at_once = shell("book", "ada/ask", start(11), *GRACE, "--json").json
    assert at_once["state"] == "confirmed", "the freelancer's own word needs no approval"


def test_moving_and_cancelling_say_what_follows(shell, start):
    booking = _booked(shell, "ada/intro", start(10), *GRACE)
    _booked(shell, "ada/intro", start(12), *GRACE)
    shell.fails(1, "12:00 (Europe/London) is taken", "reschedule", booking, start(12))
    moved = shell("reschedule", booking, start(10.25), "--as", "client")
    assert moved.out.startswith("Moved: ")
    assert "10:15–10:45" in moved.out
    assert shell("reschedule", booking, start(10.25)).code == 0, "to the start it has, nothing changes"
    cancelled = shell("cancel", booking, "--reason", "ill", "--as", "client")
    assert "The client cancelled in time: the client gets everything back, the freelancer isn't paid" in cancelled.out
    again = shell("cancel", booking)
    assert (again.code, again.out) == (1, "")
    assert "a booking that is cancelled can't be cancelled" in again.err
    shown = shell("bookings", "show", booking).out
    assert "reschedule" in shown
    assert "cancelled because" in shown
    steps = shell("bookings", "show", booking, "--json").json["history"]
    assert [(step["by"], step["action"]) for step in steps] == [
        ("freelancer", "book"),
        ("client", "reschedule"),
        ("client", "cancel"),
    ]
    shell.fails(1, "there is no booking bkg_nobody", "cancel", "bkg_nobody")


def test_the_list_is_narrowed_as_the_apis_is(shell, inside, coming):
    home = inside()
    first, second = home.book(coming(9)), home.book(coming(10), name="Al", email="Al@x.example")
    later = home.book(coming(9, 7))
    assert shell("cancel", second).code == 0

    def ids(*options: str) -> list[str]:
        done = shell("bookings", *options, "--json")
        assert done.code == 0, done.err
        return [booking["id"] for booking in done.json["data"]]

    day = f"{coming(0):%Y-%m-%d}"
    assert ids() == [first, second, later]
    assert ids("list", "--to", day) == [first, second]
    assert ids("--from", f"{coming(0, 1):%Y-%m-%d}") == [later]
    assert ids("--from", f"{coming(10):%Y-%m-%dT%H:%MZ}", "--to", f"{coming(11):%Y-%m-%dT%H:%MZ}") == [second]
    assert ids("--state", "confirmed") == [first, later]
    assert ids("--state", "cancelled,held") == [second]
    assert ids("--client", "al@X.example") == [second]
    assert ids("--consultation", "ada/intro", "--freelancer", "ada") == [first, second, later]
    assert ids("--freelancer", "bob") == []
    assert ids("--updated-since", day.replace(day[:4], "2020"))[-1] == second, "by their last change"
    cut = shell("bookings", "--limit", "2", "--json").json
    assert [booking["id"] for booking in cut["data"]] == [first, second]
    rest = shell("bookings", "--cursor", cut["next_cursor"], "--json").json
    assert ([booking["id"] for booking in rest["data"]], rest["next_cursor"]) == ([later], None)
    assert f"--cursor {cut['next_cursor']}" in shell("bookings", "--limit", "2").out
    shell.fails(2, "`next_cursor` of the page before", "bookings", "--cursor", "nonsense")
    shell.fails(2, "--state maybe: must be one of held", "bookings", "--state", "maybe")
    shell.fails(2, "must be at least 1", "bookings", "--limit", "0")
    assert shell("bookings", "whatever").code == 2
    shell.environment |= {"COLUMNS": "60"}
    assert all(booking in shell("bookings").out for booking in (first, second, later)), "ids are never cut"


def test_an_event_is_written_by_the_daemon_or_the_next_pass_and_that_is_said(shell, radicale, start):
    work = radicale.make_calendar("Work", tz="UTC")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--target", "Work")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    told = shell("book", "ada/intro", start(10), *GRACE)
    assert told.code == 0, told.err
    assert "`syncd run --once`, writes it" in told.out
    (booking,) = set(re.findall(r"bkg_[a-z2-7]+", told.out))
    shown = shell("bookings", "show", booking, "--json").json
    assert (shown["event"]["state"], shown["event"]["owed"]["attempts"]) == ("pending", 0)
    assert shown["verified"], "the calendar was looked at"
    assert shell("run", "--once").code == 0
    assert len(radicale.list(work)) == 1
    shown = shell("bookings", "show", booking, "--json").json
    assert (shown["event"]["state"], shown["event"]["calendar"]) == ("written", "caldav/Work")
    assert shown["event"]["written"]
    assert shown["event"]["owed"] is None
    process = shell.start("run")
    try:
        assert any('"ready"' in line for line in process.stderr)
        moved = shell("reschedule", booking, start(11))
        assert "the running daemon brings the calendar up to date" in moved.out
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def test_what_is_owed_is_listed_tried_again_and_dropped(shell, radicale, inside, coming):
    work = radicale.make_calendar("Work", tz="UTC")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work", "--target", "Work")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    assert shell("outbox").out == "Every booking is in its calendar as it should be.\n"
    home = inside()
    first, second = home.book(coming(10)), home.book(coming(11))
    assert [(one["booking"], one["step"]) for one in shell("outbox", "--json").json["owed"]] == [
        (first, "create"),
        (second, "create"),
    ]
    later = home.services.clock() + timedelta(hours=6)
    with home.store.write() as session:
        for item in session.scalars(select(OutboxItem)):
            item.due_at, item.attempts, item.problem = later, 3, "the server is on holiday"
    assert shell("run", "--once").code == 0
    assert len(radicale.list(work)) == 0, "not before its time"
    listed = shell("outbox").out
    assert first in listed
    assert "holiday" in listed
    assert "Dropped: to write the event" in shell("outbox", "drop", second).out
    shown = shell("case", second, "--json").json
    assert (shown["event"]["state"], shown["event"]["owed"], shown["state"]) == ("failed", None, "confirmed")
    assert [step["action"] for step in shown["history"]] == ["book", "drop_event"]
    shell.fails(1, "nothing is owed of", "outbox", "drop", second)
    assert "1 booking due now: `syncd run`" in shell("outbox", "retry").out
    assert shell("run", "--once").code == 0
    assert len(radicale.list(work)) == 1
    assert shell("outbox", "--json").json == {"owed": []}
    assert shell("outbox", "drop").code == 2


def test_a_look_at_the_calendar_finds_what_no_pull_has_seen(shell, radicale, event, coming):
    work = radicale.make_calendar("Work", tz="UTC")
    wish = shell.connect(radicale.url, radicale.username, "--blocks", "Work")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    day = f"{coming(0):%Y%m%d}"
    radicale.put(work, "a", event("a", f"{day}T100000Z", f"{day}T103000Z"))
    instant = f"{coming(10):%Y-%m-%dT%H:%M}+00:00"
    shell.fails(1, "is taken: a calendar is busy", "book", "ada/intro", instant, *GRACE)
    assert "busy" in shell("explain", "ada/intro", instant).out


def test_of_two_commands_that_race_for_a_start_one_wins(shell, start):
    assert shell("status").code == 0, "the database is there"
    racing = [shell.start("book", "ada/intro", start(10), *GRACE) for _ in range(2)]
    said = [process.communicate()[1] for process in racing]
    assert sorted(process.returncode for process in racing) == [0, 1]
    (lost,) = [error for process, error in zip(racing, said, strict=True) if process.returncode]
    assert "is taken" in lost


def test_what_an_output_cant_show_is_shown_plainer_and_stops_nothing(shell, start):
    shell.environment |= {"PYTHONIOENCODING": "ascii", "COLUMNS": "60"}
    made = shell("book", "ada/intro", start(10), "--name", "Zoë", "--email", "zoe@x.example")
    assert made.code == 0, made.err
    assert "10:00-10:30, ada/intro with Zo? <zoe@x.example>" in made.out
    assert shell("bookings").code == 0
    assert shell("bookings", "--json").json["data"][0]["client"]["name"] == "Zoë"


def test_what_a_client_wrote_commands_no_terminal_and_fills_no_screen(shell, start, inside):
    booking = _booked(shell, "ada/intro", start(10), "--name", "x" * 200, "--email", "x@x.example")
    with inside().store.write() as session:
        session.get_one(Booking, booking).extra = {"\x1b[2J": "\x1b]0;mine\x07"}
    shown = shell("bookings", "show", booking)
    assert "metadata: \ufffd[2J" in shown.out
    assert "\x1b" not in shown.out
    assert f"{'x' * 39}…" in shell("bookings").out
    assert len(shell("bookings").out.splitlines()) < 8


def test_a_calendar_that_gives_no_answer_just_now_is_named_as_such(shell, feed, event, coming, start):
    feed.text = event("b", f"{coming(16):%Y%m%dT%H%M%SZ}", f"{coming(16.5):%Y%m%dT%H%M%SZ}")
    assert shell("connect", "ics", "ada", "--url", feed.url, "--blocks", "*", "--name", "work").code == 0
    assert shell("sync").code == 0
    feed.text = "<!DOCTYPE html><html><body>Please sign in</body></html>"
    done = shell("book", "ada/intro", start(10), *GRACE)
    assert (done.code, done.out) == (75, "")
    assert done.err.startswith("syncd: it isn't known whether "), done.err
    assert len(done.err.splitlines()) == 1, "no line of a log"
    assert "gave no answer just now" in done.err
    assert "too long" not in done.err


def test_a_calendar_whose_password_is_refused_just_now_wants_a_person(shell, gateway, radicale, start):
    radicale.make_calendar("Work")
    wish = shell.connect(gateway.url, radicale.username, "--blocks", "Work", "--name", "work")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    gateway.rule = lambda _seen: Answer(401, {"WWW-Authenticate": "Basic"})
    shell.fails(75, "try again in a while", "book", "ada/intro", start(10), *GRACE)
    assert shell("sync").code == 77, "a pull judges what a look met"
    shell.fails(77, "refuses the password; `syncd connect`", "book", "ada/intro", start(10), *GRACE)
    told = json.loads(shell("book", "ada/intro", start(10), *GRACE, "--json").out)
    assert told["status"] == 503
    gateway.rule = lambda _seen: None
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    assert shell("sync").code == 0
    assert shell("book", "ada/intro", start(10), *GRACE).code == 0
