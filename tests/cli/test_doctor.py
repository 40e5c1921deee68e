"""`syncd doctor`: what isn't right is named with its next step, and asked of the real thing (contract §3, pains 14)."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability import BookingRules, Busy, Schedule, Situation, open_slots
from providers.clock import clock_of
from providers.model import Connection
from syncd.doctor import machine
from syncd.doctor.offers import never

_NOW = int(datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp())
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def _findings(done, state="mend"):
    return [(f["check"], f["what"]) for f in done.json["findings"] if f["state"] == state]


def _situation(hours=None, on=None, **rules):
    schedule = Schedule.parse({"monday": ["09:00-12:00"]} if hours is None else hours, on or {}, "UTC")
    made = BookingRules(**{"durations": (30 * _MINUTE,), "increment": 15 * _MINUTE} | rules)
    return Situation(
        schedule=schedule, rules=made, tz="UTC", consultation="con", busy=Busy.of({}), claims=(), stale=(), now=_NOW
    )


# Settings that can never offer a slot


@pytest.mark.parametrize(
    ("why", "situation"),
    [
        ("can't be booked further ahead than it has to be", _situation(minimum_notice=_DAY, horizon=_DAY)),
        ("its schedule has no hours", _situation(hours={})),
        ("it lasts 4 h, and set hours are open for 3 h at most", _situation(durations=(4 * _HOUR,))),
        ("every date of the next 74 d is closed", _situation(on={"2026-01-01/2028-01-01": []})),
        ("a limit is 0", _situation(daily_limit=0)),
        ("a limit is 0", _situation(freelancer_weekly_limit=0)),
    ],
)
def test_settings_that_can_never_offer_a_slot_are_named(why, situation):
    (finding,) = never("ada/intro", situation)
    assert finding.state == "mend"
    assert why in finding.what
    assert finding.next_step


def test_of_several_durations_the_one_that_never_fits_is_named():
    (finding,) = never("ada/intro", _situation(durations=(30 * _MINUTE, 5 * _HOUR)))
    assert "ada/intro for 300 minutes can never be booked" in finding.what


def test_an_increment_longer_than_any_range_is_worth_knowing():
    (finding,) = never("ada/intro", _situation(increment=4 * _HOUR))
    assert (finding.state, "each offers its opening alone" in finding.what) == ("note", True)


def test_ranges_that_touch_are_one_opening():
    touching = {"monday": ["22:00-24:00"], "tuesday": ["00:00-02:00"]}
    assert list(never("ada/intro", _situation(hours=touching, durations=(4 * _HOUR,)))) == []


def test_what_is_open_on_one_weekday_alone_can_be_booked_on_some_days():
    short = _situation(hours={"friday": ["09:00-12:00"]}, horizon=2 * _DAY, minimum_notice=_DAY)
    assert list(never("ada/intro", short)) == []


_HOURS = st.dictionaries(
    st.sampled_from(("monday", "wednesday", "sunday")),
    st.sampled_from(([], ["09:00-09:30"], ["09:00-12:00", "13:00-17:00"], ["22:00-02:00"])),
)


@settings(max_examples=60)
@given(_HOURS, st.sampled_from((15, 60, 240)), st.integers(0, 5), st.integers(1, 20))
def test_what_is_said_to_be_never_bookable_never_is(hours, minutes, notice, horizon):
    situation = _situation(
        hours=hours, durations=(minutes * _MINUTE,), minimum_notice=notice * _DAY, horizon=horizon * _DAY
    )
    found = [finding for finding in never("ada/intro", situation) if finding.state == "mend"]
    listed = []
    for day in range(15):
        later = Situation(
            **{name: getattr(situation, name) for name in Situation.__slots__ if name != "now"}, now=_NOW + day * _DAY
        )
        listed += open_slots(later, minutes * _MINUTE, later.rules.booking_window(later.now))
    assert bool(found) == (not listed)


# The clock


@pytest.fixture
def server_ahead():
    """A server whose clock is ten minutes ahead; it answers whatever it is asked, and remembers with which headers."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self):
            seen.append(dict(self.headers))
            self.send_response_only(405)
            self.send_header("Date", self.date_time_string(self.at()))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def at(self):
            return (datetime.now(UTC) + timedelta(minutes=10)).timestamp()

        def log_message(self, format, *args):  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_address[1]}/", seen=seen)
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_servers_clock_is_compared_without_a_password(server_ahead):
    connection = Connection(server_ahead.url, "ada", "secret", allow_private=True)
    drift = clock_of(connection, lambda: datetime.now(UTC))
    assert drift is not None
    assert abs(drift - timedelta(minutes=10)) < timedelta(seconds=30)
    assert all("Authorization" not in headers for headers in server_ahead.seen)
    assert clock_of(Connection("http://127.0.0.1:1/", allow_private=True), lambda: datetime.now(UTC)) is None
    assert clock_of(Connection(server_ahead.url), lambda: datetime.now(UTC)) is None, "a private address needs leave"


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        ((0.3,), "ok", "within 5 s"),
        ((-4.9,), "ok", "within 5 s"),
        ((47,), "mend", "47 s behind"),
        ((-7300,), "mend", "2 h ahead of"),
        ((0, 1, 5000), "ok", "within 5 s"),
        ((), "note", "no server was there"),
    ],
)
def test_a_clock_that_is_wrong_is_told_by_most_of_the_servers(seconds, state, words):
    drifts = {f"dav{number}.example": timedelta(seconds=each) for number, each in enumerate(seconds)}
    (finding,) = machine.clock(drifts)
    assert (finding.state, words in finding.what) == (state, True), finding


# The whole


def test_every_mistake_of_the_file_is_named_and_is_78(shell):
    shell.configure("increment = 15\nbuffer_after = 'soon'")
    done = shell("doctor", "--json")
    assert (done.code, done.json["ok"]) == (78, False)
    told = [what for _, what in _findings(done)]
    assert len(told) == 2
    assert "consultations.intro.increment = 15" in told[0] + told[1]
    spoken = shell("doctor")
    assert spoken.code == 78
    assert "2 things to mend." in spoken.out
    assert shell("doctor", "--config", "nowhere.toml", "--json").code == 78


def test_all_is_well_when_calendars_were_pulled(shell, radicale):
    radicale.make_calendar("Work")
    wish = shell.connect(radicale.url, radicale.username, "--target", "Work")
    assert shell(*wish, stdin=f"{radicale.password}\n").code == 0
    before = shell("doctor", "--json")
    assert before.code == 1
    assert {check for check, _ in _findings(before)} == {"daemon", "calendars"}
    assert shell("sync").code == 0
    after = shell("doctor", "--json")
    assert (after.code, after.json["ok"], _findings(after)) == (0, True, [])
    checks = {finding["check"] for finding in after.json["findings"] if finding["state"] == "ok"}
    assert checks == {"configuration", "database", "secret key", "zones", "clock", "accounts", "offers"}
    assert any("no [mail]" in what for check, what in _findings(after, "note") if check == "mail")
    assert radicale.password not in after.out
    assert "All is well." in shell("doctor").out


def test_what_is_wrong_with_accounts_and_offers_is_told_with_what_to_do(shell, radicale):
    radicale.make_calendar("Work")
    shell.environment |= {"DAV_PASSWORD": radicale.password}
    account = f"provider = 'caldav'\nurl = '{radicale.url}'\nusername = '{radicale.username}'"
    lines = [
        'location = "video"',
        'blocks = ["home/Nope"]',
        "[freelancers.ada.consultations.later]\nminimum_notice = '60d'",
        "[freelancers.ada.consultations.long]\ndurations = ['9h']",
        "[freelancers.ada.consultations.off]\nactive = false",
        f"[freelancers.ada.accounts.home]\n{account}\npassword_env = 'DAV_PASSWORD'",
        "blocks = ['Gone']\ntarget = 'Work'",
        f"[freelancers.ada.accounts.other]\n{account}\npassword_env = 'WRONG'",
    ]
    shell.environment |= {"WRONG": "wrong"}
    shell.configure("\n".join(lines))
    shell("sync")
    done = shell("doctor", "--json")
    assert done.code == 1
    told = "\n".join(f"{f['what']} -> {f['next_step']}" for f in done.json["findings"] if f["state"] == "mend")
    for words in (
        "ada/home has no calendar 'Gone' (there are: Work)",
        "-> change blocks or target in freelancers.ada.accounts.home of the file",
        "ada/other: ",
        "-> put the right password into the variable of freelancers.ada.accounts.other.password_env",
        "ada/intro is blocked by 'home/Nope', which isn't there",
        'ada/intro has location = "video", but home/Work makes no meeting links',
        "ada/later can never be booked: it can't be booked further ahead than it has to be",
        "ada/long can never be booked: it lasts 9 h, and set hours are open for 8 h at most",
    ):
        assert words in told
    assert ("offers", "ada/off is inactive") in _findings(done, "note")


def test_buffers_that_fit_nowhere_are_named(shell, feed):
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//test//EN",
        "BEGIN:VEVENT",
        "UID:a",
        "DTSTAMP:20260101T000000Z",
    ]
    lines += [f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{start + timedelta(minutes=30):%Y%m%dT%H%M%SZ}"]
    feed.text = "\r\n".join([*lines, "RRULE:FREQ=HOURLY", "END:VEVENT", "END:VCALENDAR", ""])
    tight = "[freelancers.ada.consultations.tight]\nminimum_notice = '0m'\nhorizon = '30d'\nbuffer_before = '10m'"
    shell.configure(tight)
    assert shell("connect", "ics", "ada", "--url", feed.url, "--blocks", "*").code == 0
    assert shell("sync").code == 0
    told = [what for check, what in _findings(shell("doctor", "--json")) if check == "offers"]
    assert told == ["ada/tight has no slot: its buffers fit nowhere between what is busy"]


def test_a_key_that_opens_nothing_and_a_damaged_database_are_told(shell, radicale):
    radicale.make_calendar("Work")
    assert shell(*shell.connect(radicale.url, radicale.username), stdin=f"{radicale.password}\n").code == 0
    key = shell.folder / "secret.key"
    kept = key.read_bytes()
    key.unlink()
    assert shell("doctor", "--json").code == 78, "never a new key for an old database"
    other = shell.folder / "other"
    other.mkdir()
    (other / "config.toml").write_bytes((shell.folder / "config.toml").read_bytes())
    shell("status", "--config", "other/config.toml")
    key.write_bytes((other / "secret.key").read_bytes())
    key.chmod(0o600)
    told = _findings(shell("doctor", "--json"))
    assert any(check == "secret key" and "doesn't open the password of ada/caldav" in what for check, what in told)
    key.write_bytes(kept)
    with sqlite3.connect(shell.folder / "syncd.db") as connection:
        connection.execute("DROP TRIGGER booking_no_overlap_insert")
    connection.close()
    done = shell("doctor", "--json")
    assert done.code == 1
    assert _findings(done)[0][0] == "database"
    assert "the guard against double booking is missing" in _findings(done)[0][1]


def test_files_that_others_may_read_are_worth_knowing(shell):
    assert shell("status").code == 0
    (shell.folder / "syncd.db").chmod(0o644)
    assert any("chmod 600" in f["next_step"] for f in shell("doctor", "--json").json["findings"])
    (shell.folder / "syncd.db").chmod(0o600)
    assert not any("chmod 600" in f["next_step"] for f in shell("doctor", "--json").json["findings"])


def _small(tmp_path, words):
    """A configuration whose database lies where it is said to."""
    made = f"[daemon]\ndatabase = 'sqlite:///{words}'\n[freelancers.ada]\nname = 'Ada'\ntime_zone = 'UTC'\n"
    (tmp_path / "config.toml").write_text(made + "email = 'ada@example.org'\n", encoding="utf-8")


def test_a_database_without_a_folder_is_78_and_the_rest_is_told_all_the_same(shell):
    _small(shell.folder, "nodir/x.db")
    shell.fails(78, f"daemon.database: there is no folder {shell.folder}/nodir for x.db", "status")
    done = shell("doctor", "--json")
    assert done.code == 78
    assert [check for check, _ in _findings(done)] == ["database"]
    assert {finding["check"] for finding in done.json["findings"]} >= {"configuration", "zones", "mail"}


def test_what_is_no_database_is_78_and_told_as_such(shell):
    (shell.folder / "syncd.db").write_bytes(b"this is no database at all" * 100)
    shell.fails(78, "syncd.db is no SQLite database", "status")
    done = shell("doctor", "--json")
    assert (done.code, _findings(done)[0][0]) == (78, "database")
    assert "zones" in {finding["check"] for finding in done.json["findings"]}


def test_a_lock_that_cant_be_written_is_told_with_file_and_next_step(shell):
    (shell.folder / "syncd.db.lock").mkdir()  # as on a read-only disk, whoever looks
    shell.fails(75, "syncd.db.lock can't be written", "status")
    done = shell("doctor", "--json")
    (wrong,) = [
        finding for finding in done.json["findings"] if finding["state"] == "mend" and "lock" in finding["what"]
    ]
    assert (done.code, wrong["check"]) == (1, "database")
    assert "can be written" in wrong["next_step"]


def test_without_its_key_a_database_is_looked_at_all_the_same(shell):
    assert shell("status").code == 0
    (shell.folder / "secret.key").unlink()
    done = shell("doctor", "--json")
    (wrong,) = [finding for finding in done.json["findings"] if finding["state"] == "mend"]
    assert (done.code, wrong["check"]) == (78, "secret key")
    assert "put back the key file" in wrong["next_step"]
    assert {finding["check"] for finding in done.json["findings"] if finding["state"] == "ok"} >= {"database", "offers"}


def test_a_password_variable_that_isnt_set_is_told_with_how_to_set_it(shell):
    shell.configure("[freelancers.ada.accounts.home]\nprovider = 'ics'\npassword_env = 'NOT_SET_1'")
    (step,) = [f["next_step"] for f in shell("doctor", "--json").json["findings"] if "NOT_SET_1" in f["what"]]
    assert "export NOT_SET_1=" in step


def test_what_the_file_says_is_changed_there_and_the_rest_over_the_api(shell, feed, event):
    feed.text = event("b", "20261123T100000Z", "20261123T103000Z")
    shell.configure(f"[freelancers.ada.accounts.home]\nprovider = 'ics'\nurl = '{feed.url}'\nblocks = []")
    assert shell("freelancer", "add", "bob", "--time-zone", "UTC").code == 0
    steps = {finding["what"]: finding["next_step"] for finding in shell("doctor", "--json").json["findings"]}
    (offers_none,) = [step for what, step in steps.items() if what == "bob offers no consultation"]
    assert "over the API" in offers_none
    (blocks,) = [step for what, step in steps.items() if "no calendar of ada blocks" in what]
    assert blocks == "set blocks in freelancers.ada.accounts.home of the file"
