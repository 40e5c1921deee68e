"""`syncd busy`: what a calendar file blocks, without any set-up (contract §3)."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

SECRET = "9f8e7d6c5b"


@pytest.fixture
def bare(shell):
    """A shell in a folder where nothing is set up."""
    (shell.folder / "config.toml").unlink()
    return shell


@pytest.fixture
def busy(bare):
    """Write a calendar and ask what it blocks; the parsed answer."""

    def ask(*events: str, head: str = "", more: tuple[str, ...] = ()):
        write(bare, *events, head=head)
        done = bare("busy", "a.ics", "--json", *more)
        assert (done.code, done.err) == (0, "")
        assert set(done.json) == {"busy", "quarantined"}
        return done.json

    return ask


def write(shell, *events: str, head: str = "", name: str = "a.ics") -> None:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", *([head] if head else []), *events, "END:VCALENDAR", ""]
    (shell.folder / name).write_bytes("\r\n".join(lines).encode())


def vevent(start: str, end: str = "DURATION:PT1H", uid: str = "one", more: str = "") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", f"DTSTART{start}", end, *more.split(), "SUMMARY:x", "END:VEVENT"])


NINE = vevent(":20261124T090000Z")
DAY = ("--from", "2026-11-24", "--to", "2026-11-24")


def test_it_needs_neither_configuration_nor_database_and_leaves_nothing_behind(bare, busy):
    assert busy(NINE, more=DAY) == {"busy": [[["2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z"]]], "quarantined": []}
    assert [path.name for path in bare.folder.iterdir()] == ["a.ics"]


def test_busy_time_is_merged_and_cut_to_the_window(busy):
    events = [vevent(f":20261124T{hour}Z", uid=hour) for hour in ("083000", "090000", "093000", "110000", "235900")]
    [found] = busy(*events, more=("--from", "2026-11-24T09:15:00Z", "--to", "2026-11-25T00:00:00Z"))["busy"]
    assert found == [
        ["2026-11-24T09:15:00Z", "2026-11-24T10:30:00Z"],
        ["2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"],
        ["2026-11-24T23:59:00Z", "2026-11-25T00:00:00Z"],
    ]


def test_several_windows_are_answered_in_their_order_one_list_each(busy):
    days = ("2026-11-26", "2026-11-24", "2026-11-25", "2026-11-24")
    more = [part for day in days for part in ("--from", day, "--to", day)]
    found = busy(NINE, vevent(":20261125T090000Z", uid="two"), more=tuple(more))["busy"]
    assert [[span[0] for span in spans] for spans in found] == [
        [],
        ["2026-11-24T09:00:00Z"],
        ["2026-11-25T09:00:00Z"],
        ["2026-11-24T09:00:00Z"],
    ]


def test_dates_are_whole_days_in_tz_and_the_last_one_is_in(busy):
    nights = [vevent(f":202611{day}T{hour}Z", uid=f"{day}") for day, hour in ((23, "100000"), (25, "045900"))]
    nights.append(vevent(":20261125T050000Z", uid="out"))
    more = ("--tz", "America/New_York", "--from", "2026-11-23", "--to", "2026-11-24")
    found = busy(*nights, more=more)["busy"]
    assert found == [
        [["2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"], ["2026-11-25T04:59:00Z", "2026-11-25T05:00:00Z"]]
    ]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-11-24T09:30:00Z", "2026-11-24T09:45:00Z"),
        ("2026-11-24T10:30:00+01:00", "2026-11-24T04:45:00-05:00"),
        ("2026-11-24T10:30", "2026-11-24T10:45"),
        ("2026-11-24t10:30:00", "2026-11-24 09:45:00z"),
    ],
)
def test_a_time_without_an_offset_is_in_tz(busy, since, until):
    found = busy(NINE, more=("--tz", "Europe/Berlin", "--from", since, "--to", until))["busy"]
    assert found == [[["2026-11-24T09:30:00Z", "2026-11-24T09:45:00Z"]]]


@pytest.mark.parametrize(
    ("head", "tz", "floating", "dated"),
    [
        ("", "", "09:00:00Z", "24T00:00:00Z"),
        ("", "Europe/Berlin", "08:00:00Z", "23T23:00:00Z"),
        ("X-WR-TIMEZONE:Asia/Tokyo", "", "00:00:00Z", "23T15:00:00Z"),
        ("X-WR-TIMEZONE:Asia/Tokyo", "Europe/Berlin", "00:00:00Z", "23T23:00:00Z"),
        ("X-WR-TIMEZONE:W. Europe Standard Time", "", "08:00:00Z", "23T23:00:00Z"),
    ],
)
def test_floating_times_lie_in_the_files_own_zone_and_dates_in_tz(busy, head, tz, floating, dated):
    more = ("--from", "2026-11-22T00:00:00Z", "--to", "2026-11-27T00:00:00Z", *(("--tz", tz) if tz else ()))
    [[first, second]] = busy(
        vevent(";VALUE=DATE:20261124", "DURATION:P1D"), vevent(":20261126T090000", uid="two"), head=head, more=more
    )["busy"]
    assert first[0] == f"2026-11-{dated}"
    assert second[0] == f"2026-11-26T{floating}"


def test_without_a_window_it_is_today_and_the_90_days_that_follow(busy):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [today - timedelta(hours=1), today, today + timedelta(days=89, hours=23), today + timedelta(days=91)]
    found = busy(*(vevent(f":{at:%Y%m%dT%H%M%SZ}", uid=str(at)) for at in moments))["busy"]
    assert len(found) == 1
    assert [datetime.fromisoformat(start) for start, _ in found[0]] == moments[1:3]


def test_what_cant_be_understood_is_named_by_uid_start_and_reason_and_the_rest_blocks(busy):
    found = busy(NINE, vevent(":20261124T250000Z", uid="bad"), vevent(":20261124T120000Z", uid="three"), more=DAY)
    assert [span[0] for span in found["busy"][0]] == ["2026-11-24T09:00:00Z", "2026-11-24T12:00:00Z"]
    [bad] = found["quarantined"]
    assert set(bad) == {"uid", "start", "reason"}
    assert (bad["uid"], bad["start"]) == ("bad", "20261124T250000Z")
    assert "DTSTART" in bad["reason"]


def test_a_file_that_was_cut_says_so(bare):
    write(bare, NINE)
    path = bare.folder / "a.ics"
    path.write_bytes(path.read_bytes().removesuffix(b"END:VCALENDAR\r\n"))
    found = bare("busy", "a.ics", "--json", *DAY).json
    assert len(found["busy"][0]) == 1
    assert "ends before" in found["quarantined"][0]["reason"]


def test_the_answers_to_invitations_count_of_those_who_are_named(busy):
    declined = vevent(":20261124T090000Z", more="ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.org")
    assert len(busy(declined, more=DAY)["busy"][0]) == 1
    assert busy(declined, more=(*DAY, "--email", "eve@example.org", "--email", "Ada@example.org"))["busy"] == [[]]
    assert len(busy(declined, more=(*DAY, "--email", ""))["busy"][0]) == 1


def test_a_file_may_come_through_standard_input(bare):
    write(bare, NINE)
    done = bare("busy", "-", "--json", *DAY, stdin=(bare.folder / "a.ics").read_text())
    assert len(done.json["busy"][0]) == 1


def test_a_person_gets_days_times_and_lengths_in_their_zone_and_what_to_do(bare):
    write(bare, NINE, vevent(":20261124T230000Z", "DURATION:PT90M", uid="late"), vevent(":x", uid="bad"))
    done = bare("busy", "a.ics", "--tz", "Europe/Berlin", "--from", "2026-11-24", "--to", "2026-11-25")
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "Busy from Tue 24 Nov 2026 00:00 to Thu 26 Nov 2026 00:00, times in Europe/Berlin:"
    assert "Tue 24 Nov 2026 10:00 11:00 1 h" in lines
    assert "Wed 25 Nov 2026 00:00 01:30 1 h 30 min" in lines
    assert "2 h 30 min in all." in lines
    assert "2 events or series understood, 1 not." in lines
    assert any(line.startswith("bad: DTSTART") for line in lines)
    assert "Correct them in the calendar they come from" in lines[-1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--from", "2026-11-24"), "every --from needs a --to"),
        (("--to", "2026-11-24"), "every --from needs a --to"),
        ((*DAY, "--from", "2026-11-25"), "every --from needs a --to"),
        (("--from", "2026-11-24", "--to", "2026-11-24T10:00"), "both must be dates, or both must have a time"),
        (("--from", "24.11.2026", "--to", "2026-11-25"), "--from: '24.11.2026' is no date and no time"),
        (("--from", "2026-11-24", "--to", "2026-11-31"), "--to: '2026-11-31' is no date and no time"),
        (("--from", "2026-11-25", "--to", "2026-11-24"), "--to 2026-11-24 is before --from 2026-11-25"),
        (("--from", "2026-11-24T10:00", "--to", "2026-11-24T09:00"), "is before --from"),
        (("--tz", "Europe/Atlantis"), "--tz: 'Europe/Atlantis' is no time zone"),
        (("--tz", ""), "is no time zone"),
    ],
)
def test_wrong_usage_is_2_in_one_sentence(bare, more, words):
    write(bare, NINE)
    bare.fails(2, words, "busy", "a.ics", *more)


@pytest.mark.parametrize("window", [("0001-01-01", "9999-12-31"), ("1601-01-01T00:00Z", "9999-12-31T23:59:59-12:00")])
def test_the_widest_windows_are_answered(busy, window):
    for tz in ("UTC", "Asia/Tokyo", "America/New_York"):
        found = busy(NINE, more=("--tz", tz, "--from", window[0], "--to", window[1]))["busy"]
        assert found == [[["2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z"]]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a.ics is not a calendar but an empty file"),
        (b"<html>", "a web page"),
        (b"\x7fELF\0\0\1", "something that isn't text"),
        (b"Dear Ada,", "some other text"),
    ],
)
def test_a_file_that_is_no_calendar_is_1_and_named_as_what_it_is(bare, content, words):
    (bare.folder / "a.ics").write_bytes(content)
    bare.fails(1, words, "busy", "a.ics")


def test_a_file_that_cant_be_read_is_1(bare):
    bare.fails(1, "nowhere.ics can't be read: No such file", "busy", "nowhere.ics")
    bare.fails(1, ". is a folder", "busy", ".")
    bare.fails(1, "larger than 64 MB", "busy", "/dev/zero")


class _Site(BaseHTTPRequestHandler):
    def do_GET(self):
        status, content = self.server.answers.get(self.path.partition("/")[2].partition("?")[0], (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def site(bare):
    """A server with a calendar, and pages that are none."""
    write(bare, NINE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    server.answers = {
        "good": (200, (bare.folder / "a.ics").read_bytes()),
        "login": (200, b"<html>Sign in"),
        "closed": (401, b""),
        "busy": (429, b""),
        "down": (503, b""),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield lambda name: f"http://127.0.0.1:{server.server_port}/{name}?key={SECRET}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_calendar_may_be_at_an_address(bare, site):
    found = bare("busy", site("good"), "--allow-private", "--json", *DAY).json
    assert found == {"busy": [[["2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z"]]], "quarantined": []}


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("login", 1, "sent is not a calendar but a web page, perhaps a login page"),
        ("gone", 1, "HTTP 404"),
        ("closed", 77, "HTTP 401"),
        ("busy", 75, "HTTP 429"),
        ("down", 69, "HTTP 503"),
    ],
)
def test_an_address_that_fails_has_the_exit_code_of_its_error_and_is_not_repeated(bare, site, name, code, words):
    bare.fails(code, words, "busy", site(name), "--allow-private")
    assert SECRET not in bare("busy", site(name), "--allow-private").err


def test_a_private_address_that_was_typed_is_asked(bare, site):
    assert bare("busy", site("good"), "--json", *DAY).json["busy"] != [[]]


def test_no_file_at_all_is_wrong_usage(bare):
    bare.fails(2, "no file is named", "busy", "")


@pytest.mark.parametrize("url", ["ftp://cal.example/a.ics", "https://", "file:///etc/passwd"])
def test_an_address_that_no_feed_can_have_is_wrong_usage(bare, url):
    bare.fails(2, "https://, http:// or webcal://", "busy", url)


def test_a_file_is_answered_without_what_only_daemons_and_tables_need(bare):
    write(bare, NINE)
    code = (
        "import sys; from syncd.cli import run; run(['busy', 'a.ics', '--json'])\n"
        "heavy = {'sqlalchemy', 'fastapi', 'uvicorn', 'requests', 'caldav', 'rich', 'cryptography', 'structlog'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=bare.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
