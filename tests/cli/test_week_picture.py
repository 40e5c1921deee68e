"""The picture of a week: what each character stands for, in any zone, at any width, with colour and without."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from datetime import UTC, date, datetime, timedelta

import pytest

from availability import BookingRules, Busy, Claim, Schedule, Situation, intervals
from syncd.cli.week import LOOKS, Layers, Row, layers_json, layers_of, picture, rows_of
from syncd.store.models import Booking

MONDAY = date(2026, 11, 23)
HOUR = 3600


def _at(day: date, hour: float) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + hour * HOUR)


def _layers(**spans: list[tuple[int, int]]) -> Layers:
    names = ("booked", "held", "open", "busy", "set_hours")
    return Layers(**{name: intervals.of(spans.get(name, ())) for name in names})


def _lines(rows: list[Row], width: int = 120, *, ascii_only: bool = False) -> list[str]:
    return [line.plain for line in picture(rows, width, ascii_only=ascii_only)]


def _day(layers: Layers, day: date = MONDAY, tz: str = "UTC", width: int = 120) -> str:
    return _lines(list(rows_of(layers, [day], tz)), width)[1]


def test_every_state_has_a_character_of_its_own_in_unicode_and_in_ascii():
    assert len({look.glyph for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.ascii for look in LOOKS.values()}) == len(LOOKS)
    assert all(look.ascii.isascii() for look in LOOKS.values())


def test_a_quarter_of_an_hour_is_a_character_and_bookings_lie_above_all_else():
    layers = _layers(
        set_hours=[(_at(MONDAY, 9), _at(MONDAY, 12))],
        open=[(_at(MONDAY, 9), _at(MONDAY, 10)), (_at(MONDAY, 11), _at(MONDAY, 11.5))],
        busy=[(_at(MONDAY, 10), _at(MONDAY, 10.5)), (_at(MONDAY, 7), _at(MONDAY, 9))],
        booked=[(_at(MONDAY, 9.25), _at(MONDAY, 9.5))],
        held=[(_at(MONDAY, 11.25), _at(MONDAY, 11.5))],
    )
    scale, row, *_ = _lines(list(rows_of(layers, [MONDAY], "UTC")))
    assert scale == "            09  10  11"
    assert row == "Mon 23 Nov  ▇●▇▇××░░▇○░░"
    assert _lines(list(rows_of(layers, [MONDAY], "UTC")), ascii_only=True)[1] == "Mon 23 Nov  #B##xx--#h--"


def test_the_picture_is_in_the_zone_that_was_asked_for():
    layers = _layers(open=[(_at(MONDAY, 23), _at(MONDAY, 25))], set_hours=[(_at(MONDAY, 23), _at(MONDAY, 25))])
    days = [MONDAY, MONDAY + timedelta(days=1)]
    assert [row.quarters.get(92) for row in rows_of(layers, days, "UTC")] == ["open", "closed"]
    berlin = list(rows_of(layers, days, "Europe/Berlin"))
    assert [row.quarters[0] for row in berlin] == ["closed", "open"]
    assert sum(state == "open" for state in berlin[1].quarters.values()) == 8


@pytest.mark.parametrize(("width", "each"), [(120, 4), (44, 2), (32, 1), (20, 1)])
def test_a_narrow_terminal_gets_coarser_characters_and_no_line_is_wider_than_it(width, each):
    layers = _layers(
        set_hours=[(_at(MONDAY, 6), _at(MONDAY, 22))],
        open=[(_at(MONDAY, 6), _at(MONDAY, 12))],
        booked=[(_at(MONDAY, 12), _at(MONDAY, 12.25))],
    )
    scale, row, *_ = _lines(list(rows_of(layers, [MONDAY], "UTC")), width)
    cells = row.removeprefix("Mon 23 Nov  ")
    minutes = 60 // each if width != 20 else 120
    assert len(cells) == 16 * 60 // minutes
    assert max(len(scale), len(row)) <= width
    assert cells[6 * 60 // minutes] == "●", "a short booking is never swallowed"
    marks = [(int(m.group()), m.start() - 12) for m in re.finditer(r"\d\d", scale)]
    assert len(marks) > 1
    assert all((hour - 6) * 60 // minutes == at for hour, at in marks), "an hour stands above its character"


def test_an_hour_that_comes_twice_has_a_row_of_its_own_and_one_that_doesnt_exist_is_blank():
    back, on = date(2027, 10, 31), date(2027, 3, 28)
    twice = _layers(open=[(_at(back, 1), _at(back, 2))], busy=[(_at(back, 0), _at(back, 1))])
    hours = [(_at(back, -1), _at(back, 4))]
    rows = list(rows_of(_layers(open=[(_at(back, 1), _at(back, 2))], set_hours=hours), [back], "Europe/London"))
    assert [row.label for row in rows] == ["Sun 31 Oct", "     again"]
    assert {rows[0].quarters[quarter] for quarter in range(4, 8)} == {"set_hours"}, "01:00 in summer time"
    assert rows[1].quarters == dict.fromkeys(range(4, 8), "open"), "01:00 in winter time"
    assert len(rows[0].quarters) == 96
    assert any("goes back" in line for line in _lines(rows))
    assert [row.quarters[4] for row in rows_of(twice, [back], "Europe/London")] == ["busy", "open"]
    (spring,) = rows_of(_layers(open=[(_at(on, 0), _at(on, 3))]), [on], "Europe/London")
    assert [spring.quarters.get(quarter) for quarter in (3, 4, 7, 8)] == ["open", None, None, "open"]
    assert len(spring.quarters) == 92
    lines = _lines([spring], 120)
    assert lines[1].startswith("Sun 28 Mar  ▇▇▇▇    ▇▇▇▇▇▇▇▇")
    assert any("goes forward" in line for line in lines)


def test_a_day_that_a_zone_left_out_is_an_empty_row():
    (row,) = rows_of(_layers(), [date(2011, 12, 30)], "Pacific/Apia")
    assert row.quarters == {}


def test_what_is_shown_is_what_the_predicate_lists():
    start = _at(MONDAY, 9)
    situation = Situation(
        schedule=Schedule.parse({"monday": ["09:00-12:00"]}, {}, "UTC"),
        rules=BookingRules(durations=(1800,), increment=1800, minimum_notice=HOUR),
        tz="UTC",
        consultation="con_1",
        busy=Busy.of({"cal_1": [(start + 2 * HOUR, start + 2 * HOUR + 900)]}),
        claims=(Claim("b", start + HOUR, start + HOUR + 1800, 0, 0, "con_1", held=False),),
        stale=(),
        now=start - HOUR + 1800,
    )
    at = datetime.fromtimestamp(start + HOUR, UTC)
    booked = Booking(state="confirmed", starts_at=at, ends_at=at + timedelta(minutes=30))
    waits = Booking(state="pending", starts_at=at + timedelta(hours=2), ends_at=at + timedelta(hours=3))
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    layers = layers_of(situation, [booked, waits], 30, (midnight, midnight + timedelta(days=1)))
    assert _day(layers) == "Mon 23 Nov  ░░▇▇●●▇▇×░▇▇○○○○", (
        "notice, open, booked, open, busy and too short, open, pending"
    )
    assert layers_json(layers, "Europe/Berlin")["booked"] == [
        ["2026-11-23T11:00:00+01:00", "2026-11-23T11:30:00+01:00"]
    ]


# As a person sees it


def _on_a_terminal(shell, columns: int, *arguments: str, **environment: str) -> str:
    """What a command prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    kept = {name: value for name, value in shell.environment.items() if name not in ("NO_COLOR", "COLUMNS")}
    environ = kept | {"TERM": "xterm-256color"} | environment
    command = [sys.executable, "-m", "syncd", *arguments]
    with subprocess.Popen(command, cwd=shell.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        seen = b""
        try:
            while some := os.read(ours, 65536):
                seen += some
        except OSError:  # the last one to have it open has gone
            pass
    os.close(ours)
    assert child.returncode == 0, seen
    return seen.decode().replace("\r\n", "\n")


def _next_monday() -> str:
    day = datetime.now(UTC).date() + timedelta(days=2)
    return f"{day + timedelta(days=-day.weekday() % 7)}"


def test_a_terminal_gets_the_picture_in_colour_and_a_pipe_only_when_it_asks(shell):
    day = _next_monday()
    wish = ("slots", "ada/intro", "--from", day, "--to", day)
    seen = _on_a_terminal(shell, 100, *wish)
    assert "09:00" in seen
    assert "\x1b[32m▇" in seen, "open time is green"
    assert "held or pending" in seen
    plain = _on_a_terminal(shell, 100, *wish, NO_COLOR="1")
    assert "▇" in plain
    assert "\x1b[32m" not in plain
    assert "▇" not in _on_a_terminal(shell, 100, *wish, "--no-week")
    piped = shell(*wish)
    assert "▇" not in piped.out
    assert "▇▇▇▇" in shell(*wish, "--week").out
    assert set(shell(*wish, "--week", "--json").json["week"]) == {"booked", "held", "open", "busy", "set_hours"}
    assert "week" not in shell(*wish, "--json").json


@pytest.mark.parametrize("columns", [100, 40, 24])
def test_no_line_is_wider_than_the_terminal(shell, columns):
    day = _next_monday()
    seen = _on_a_terminal(shell, columns, "slots", "ada/intro", "--from", day, NO_COLOR="1")
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", seen).splitlines()) <= columns


def test_a_terminal_that_knows_only_ascii_gets_ascii(shell):
    shell.environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    day = _next_monday()
    done = shell("slots", "ada/intro", "--from", day, "--to", day, "--week")
    assert done.code == 0, done.err
    assert done.out.isascii()
    assert "# open" in done.out
