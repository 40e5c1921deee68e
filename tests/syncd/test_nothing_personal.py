"""Titles, descriptions, locations and attendees of the freelancer's events are stored and logged nowhere."""

from __future__ import annotations

import gc
import io
import logging

import pytest
import structlog

from providers.errors import Unavailable
from syncd.jobs.due import Order
from syncd.log import OURS, configure_logging

# Words that nothing else in the system spells, each in another property of an event.
MARKS = [f"Xq{number}Wzk{number}" for number in range(14)]
TELLING = (
    "SUMMARY:{} LOCATION:{} DESCRIPTION:{} COMMENT:{} CATEGORIES:{} URL:https://{}.example/ "
    "ORGANIZER;CN={}:mailto:{}@people.example ATTENDEE;CN={};PARTSTAT=ACCEPTED:mailto:{}@people.example "
    "CONTACT:{} X-NOTES:{} ATTACH:https://files.example/{} CONFERENCE:https://meet.example/{}"
).format(*MARKS)


@pytest.fixture
def log():
    """All that is logged, at every level, as bytes."""
    names = [None, "uvicorn", "uvicorn.error", "uvicorn.access", *OURS]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in map(logging.getLogger, names)]
    stream = io.StringIO()
    configure_logging(level="debug", json=True, stream=stream)
    yield stream
    structlog.reset_defaults()
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate


def found(folder, log) -> dict[str, set[str]]:
    """Which marks are in which file, and in the log; case doesn't matter."""
    places = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    places["the log"] = log.getvalue().encode()
    return {
        name: marks
        for name, content in places.items()
        if (marks := {mark for mark in MARKS if mark.lower().encode() in content.lower()})
    }


def test_pulls_quarantine_failures_and_drift_leave_no_trace_of_what_events_say(make_house, at, log):
    house = make_house()
    remote = house.remote
    house.put("plain", at(10, 1), more=TELLING)
    house.put("series", at(11, 1), 30, f"RRULE:FREQ=WEEKLY;COUNT=5 {TELLING}")
    remote.put(
        "Work", "unreadable", house.broken("unreadable").replace("SUMMARY:Dentist", TELLING.replace(" ", "\r\n"))
    )
    remote.put("Work", "rubbish", " ".join(MARKS))
    remote.put("Work", "endless", house.ics("endless", at(12, 1), 0.01, f"RRULE:FREQ=SECONDLY {TELLING}"))
    remote.put("Work", "bad rule", house.ics("bad-rule", at(13, 1), 30, f"RRULE:FREQ={MARKS[0]} {TELLING}"))
    remote.put("Work", "cut", house.ics("cut", at(13, 1), 30, TELLING)[:-40])
    house.sync()
    assert len(house.quarantined()) >= 4
    booking = house.book(at(15, 1))
    house.sync()
    [(own, text)] = [(key, text) for key, text in remote.texts("Work").items() if booking in text]
    extended = text.replace("TRANSP:OPAQUE", "TRANSP:OPAQUE\r\n" + TELLING.replace(" ", "\r\n"))
    remote.put("Work", own, extended.replace("T150000Z", "T140000Z"))
    house.pull()
    assert house.booking(booking).event.state == "drifted"
    for number in range(2):
        house.sync(Order(everything=True, full=True))
        remote.fail_next(Unavailable())
        house.pull()
        house.later(hours=8)
        house.put("plain", at(10 + number, 2), more=TELLING)
        house.sync()
    house.later(days=1)
    house.sync()
    assert (house.folder / "syncd.db-wal").exists()  # not yet folded into the database: it is searched as well
    assert found(house.folder, log) == {}
    house.services.store.close()
    gc.collect()
    assert found(house.folder, log) == {}


def test_the_search_would_find_what_was_stored_or_logged(make_house, at, log):
    house = make_house()
    house.put(MARKS[0], at(10, 1))
    house.sync()
    structlog.get_logger("syncd").info(MARKS[1])
    assert found(house.folder, log)["the log"] == {MARKS[1]}
    assert {mark for marks in found(house.folder, log).values() for mark in marks} == set(MARKS[:2])


def test_a_password_is_nowhere_in_the_clear(make_house, at, log):
    house = make_house(password=MARKS[3])
    house.remote.secret = "another"
    house.sync()
    house.remote.secret = MARKS[3]
    house.pull()
    (house.folder / "config.toml").unlink()
    assert found(house.folder, log) == {}
