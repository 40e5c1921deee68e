"""Readers are fed what no one would write: they neither fail nor hang, and what they say is sound."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_PIECES = [
    *(b"BEGIN:VCALENDAR", b"END:VCALENDAR", b"BEGIN:VEVENT", b"END:VEVENT", b"BEGIN:VTIMEZONE", b"END:VTIMEZONE"),
    *(b"BEGIN:STANDARD", b"END:STANDARD", b"TZOFFSETFROM:+0100", b"TZOFFSETTO:-2359", b"TZID:Odd", b"UID:u", b"UID:"),
    *(b"DTSTART:20261124T090000", b"DTSTART;TZID=Odd:16010101T000000", b"DTSTART;VALUE=DATE:99991231"),
    *(
        b"DTEND:20261124T100000Z",
        b"DTEND;VALUE=DATE:20261125",
        b"DURATION:PT1H",
        b"DURATION:-P1W",
        b"DURATION:P9999999D",
    ),
    *(b"RRULE:FREQ=SECONDLY", b"RRULE:FREQ=DAILY;COUNT=999999999", b"RRULE:FREQ=YEARLY;BYMONTHDAY=30;BYMONTH=2"),
    *(b"RRULE:FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU", b"RRULE:FREQ=WEEKLY;UNTIL=20270101;WKST=SU;INTERVAL=999999999"),
    *(b"EXDATE:20261124T090000", b"RDATE;VALUE=PERIOD:20261124T090000Z/PT1H,20261201T000000Z/20261202T000000Z"),
    *(
        b"RECURRENCE-ID:20261125T090000",
        b"RECURRENCE-ID;RANGE=THISANDFUTURE:20261201T090000",
        b"X-WR-TIMEZONE:Asia/Apia",
    ),
    *(
        b" folded",
        b"\xff\xfe",
        b"\x00",
        b":",
        b";",
        b'X;A="',
        b"STATUS:CANCELLED",
        b"BEGIN:VFREEBUSY",
        b"END:VFREEBUSY",
    ),
]
_FREEBUSY = [b"FREEBUSY;FBTYPE=BUSY:20261124T090000Z/PT8H", b"FREEBUSY:20261124T090000Z/20261123T090000Z"]
_LINES = st.lists(st.sampled_from([*_PIECES, *_FREEBUSY]), max_size=40).map(b"\r\n".join)
_USUAL = settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def _mutated(seed: bytes, seeds: list[bytes], number: int) -> bytes:
    """Change a seed in a few places: bytes flipped, cut, doubled, or taken from another seed."""
    chance, data = random.Random(number), bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at, other = chance.randrange(len(data) + 1), chance.choice(seeds)
        begin = chance.randrange(len(other) + 1)
        piece = other[begin : begin + chance.randint(0, 40)]
        chosen = chance.choice([b"", piece, bytes([chance.randrange(256)]), b"\r\n ", bytes(data[at : at + 20])])
        data[at : at + chance.choice([0, 1, len(chosen)])] = chosen
    return bytes(data)


@_USUAL
@given(_LINES)
def test_any_lines_are_read_as_a_calendar_or_as_none(targets, lines):
    targets.check_calendar(b"BEGIN:VCALENDAR\r\n" + lines + b"\r\nEND:VCALENDAR\r\n")
    targets.check_calendar(lines)


def test_calendars_broken_in_a_few_places_are_read_for_what_is_left(targets):
    seeds = targets.calendar_seeds()
    for number in range(3 * len(seeds)):
        targets.check_calendar(_mutated(seeds[number % len(seeds)], seeds, number))


@_USUAL
@given(st.binary(max_size=400))
def test_any_bytes_are_no_calendar_and_no_multistatus(targets, data):
    targets.check_calendar(data)
    targets.check_multistatus(data)


def test_multistatuses_broken_in_a_few_places_fail_as_provider_errors(targets):
    seeds = targets.multistatus_seeds()
    for number in range(400):
        targets.check_multistatus(_mutated(seeds[number % len(seeds)], seeds, number))
