"""No log line holds a secret, a title or a client's address, and every line goes one way."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from syncd.log import OURS, configure_logging, redact, scrub


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging belongs to the process: what a test sets is undone."""
    names = [None, "uvicorn", "uvicorn.error", "uvicorn.access", "caldav", *OURS]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    logging.getLogger("caldav").propagate = True  # the adapter silences it for the whole process once it is loaded
    yield
    structlog.reset_defaults()
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def lines() -> Callable[..., list[dict[str, Any]]]:
    stream = io.StringIO()
    configure_logging(level="debug", json=True, stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


SCRUBBED = [
    ("https://ada:hunter2@dav.example/cal/", "https://dav.example/cal/"),
    ("postgresql+psycopg://u:hunter2@db:5432/syncd", "postgresql+psycopg://db:5432/syncd"),
    ("GET https://a.example/b/1?token=hunter2&x=1 404", "GET https://a.example/b/1 404"),
    ("GET /v1/bookings/bkg_1?token=hunter2 200", "GET /v1/bookings/bkg_1 200"),
    ("https://calendar.example/private-hunter2/basic.ics", "https://calendar.example/private-***/basic.ics"),
    ("Authorization: Basic aHVudGVyMg==", "Authorization: ***"),
    ("{'Authorization': 'Digest username=\"a\", response=\"hunter2\"'}", "{'Authorization': ***"),
    ("sent bearer hunter2, got 401", "sent bearer ***, got 401"),
    ("password=hunter2 for ada", "password=*** for ada"),
    ("{'client_secret': 'hunter2', 'x': 1}", "{'client_secret': ***, 'x': 1}"),
    ("refresh_token: hunter2", "refresh_token: ***"),
    ("mail to eve@example.org failed", "mail to *** failed"),
    ("mail to <eve.o'neill+x@mail.example.co.uk>", "mail to <***>"),
    ("/calendars/eve%40example.org/work/", "/calendars/***/work/"),
    ("mailto:eve@localhost", "mailto:***"),
    ("key syncd_0123456789ab_hunter2hunter2 is new", "key *** is new"),
    ("bkt_hunter2hunter2hunter2", "***"),
    ("[SQL: SELECT 1]\n[parameters: ('hunter2', 1)]\nnext", "[SQL: SELECT 1]\n[parameters: ***]\nnext"),
    ("[type=x, input_value='hunter2', input_type=str]", "[type=x, input_value=***, input_type=str]"),
]


@pytest.mark.parametrize(("text", "scrubbed"), SCRUBBED)
def test_text_is_scrubbed(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "pulled cal_abc in 0.3 s: 12 changed, 0 removed",
        "2026-11-24T10:00:00+01:00",
        "is ada/intro bookable? no: basic authentication is needed",
        "https://dav.example/calendars/work/1.ics",
        "daemon.password_env names no variable",
    ],
)
def test_text_without_secrets_stays(text: str) -> None:
    assert scrub(text) == text


def test_scrubbing_takes_time_in_proportion_to_the_text() -> None:
    # Each of these made a careless pattern try every start against every end; they'd take hours.
    words = (
        "a",
        "a.b%",
        "token",
        "a_",
        "://",
        "\"'",
        "?",
        "token='",
        "input_value=",
        "bearer ",
        "://a:",
        "authorization",
    )
    for hostile in (word * (300_000 // len(word)) for word in words):
        assert scrub(hostile)


def test_values_are_masked_by_their_keys() -> None:
    event = {
        "event": "kept",
        "password": "hunter2",
        "Authorization": "hunter2",
        "api_key": "hunter2",
        "client_email": "hunter2",
        "sync_token": "hunter2",
        "title": "hunter2",
        "pin_secret": 1234,
        "booking": "bkg_1",
        "count": 3,
        "ok": True,
        "nothing": None,
    }
    shown = redact(None, "info", event)
    assert "hunter2" not in str(shown)
    assert "1234" not in str(shown)
    assert {key: shown[key] for key in ("event", "booking", "count", "ok", "nothing")} == {
        "event": "kept",
        "booking": "bkg_1",
        "count": 3,
        "ok": True,
        "nothing": None,
    }


def test_what_is_nested_is_masked_too() -> None:
    event = {"event": "x", "data": {"client": {"name": "Eve"}, "list": [{"token": "hunter2"}, "eve@example.org"]}}
    assert redact(None, "info", event)["data"] == {"client": "***", "list": [{"token": "***"}, "***"]}


def test_a_uid_stays_although_it_looks_like_an_address() -> None:
    assert redact(None, "info", {"event": "quarantined", "uid": "1234@google.com"})["uid"] == "1234@google.com"


Lines = Callable[..., list[dict[str, Any]]]


def test_a_line_is_one_json_object_with_level_logger_and_utc_time(lines: Lines) -> None:
    structlog.get_logger("syncd.sync").info("pulled", calendar="cal_1", changed=3)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "pulled", "calendar": "cal_1", "changed": 3, "level": "info", "logger": "syncd.sync"}


def test_an_exception_is_told_without_what_its_text_gives_away(lines: Lines) -> None:
    password = "hunter2"
    try:
        raise RuntimeError(f"https://ada:{password}@dav.example/?t={password} refused eve@example.org")
    except RuntimeError:
        structlog.get_logger("syncd").exception("failed")
        logging.getLogger("somewhere").exception("failed too")
    told = lines()
    assert [line["event"] for line in told] == ["failed", "failed too"]
    for line in told:
        assert "RuntimeError" in line["exception"]
        assert "https://dav.example/" in line["exception"]
        assert "hunter2" not in line["exception"].replace('password = "hunter2"', "")
        assert "eve@" not in line["exception"]


def test_lines_of_libraries_go_the_same_way(lines: Lines) -> None:
    logging.getLogger("sqlalchemy.pool").warning("connection to %s lost", "postgresql://u:hunter2@db/s")
    logging.getLogger("uvicorn.error").error("failed", extra={"password": "hunter2"})
    first, second = lines()
    assert (first["event"], first["level"]) == ("connection to postgresql://db/s lost", "warning")
    assert (second["logger"], second["password"]) == ("uvicorn.error", "***")


@pytest.mark.parametrize("name", ["caldav", "urllib3.connectionpool", "sqlalchemy.engine", "alembic", "uvicorn.access"])
def test_libraries_are_heard_from_warning_on_whatever_they_set(lines: Lines, name: str) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        logger.debug("SUMMARY:Dentist")
        logger.info("SUMMARY:Dentist")
        logger.warning("heard")
    finally:
        logger.setLevel(before)
    assert [line["event"] for line in lines()] == ["heard"]


def test_our_own_lines_follow_the_level() -> None:
    stream = io.StringIO()
    configure_logging(level="warning", json=True, stream=stream)
    structlog.get_logger("syncd.sync").info("quiet")
    structlog.get_logger("providers.caldav").warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_setting_up_again_replaces_the_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = structlog.get_logger("syncd")
    configure_logging(json=True, stream=first)
    log.info("one")
    configure_logging(json=True, stream=second)
    log.info("two")
    assert ("one" in first.getvalue(), "two" in first.getvalue()) == (True, False)
    assert ("one" in second.getvalue(), "two" in second.getvalue()) == (False, True)


def test_a_terminal_gets_lines_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure_logging(stream=stream)
    structlog.get_logger("syncd").info("pulled", calendar="cal_1")
    assert "pulled" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_a_daemon_writes_json_to_stderr_and_nothing_to_stdout() -> None:
    program = (
        "import structlog; from syncd.log import configure_logging; configure_logging();"
        "structlog.get_logger('syncd').info('started', password='hunter2')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert json.loads(done.stderr)["event"] == "started"
    assert "hunter2" not in done.stderr
