"""Some days as a picture: a row a day, a character a quarter of an hour or more: what is open, and what isn't.

Decides what a character stands for and how wide the picture is. Refuses to know why a time is or isn't offered: it
shows what the predicate lists over what lies beneath. Columns are the wall clock of the zone asked: an hour that comes
twice has a row of its own, one that doesn't exist stays blank.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.text import Text

from availability import Situation, intervals, open_periods, zones
from availability.intervals import Spans
from availability.schedule import day_number
from syncd.instants import local
from syncd.store.models import Booking

_QUARTER = 900
_CELLS = (15, 30, 60, 120)  # minutes a character may stand for
_LABEL = 12


@dataclass(frozen=True, slots=True)
class Layers:
    """What there is over some days, as sets of seconds since the epoch: what lies above comes first."""

    booked: Spans
    held: Spans
    open: Spans
    busy: Spans
    set_hours: Spans


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: with a character that tells it apart without colour, and one where there is only ASCII."""

    glyph: str
    ascii: str
    style: str
    words: str


_SHOWN = frozenset({"booked", "held", "open", "set_hours"})  # what a picture must be wide enough for
LOOKS: Mapping[str, Look] = {
    "open": Look("▇", "#", "green", "open"),
    "booked": Look("●", "B", "bold blue", "booked"),
    "held": Look("○", "h", "bold yellow", "held or pending"),
    "busy": Look("×", "x", "red", "busy"),
    "set_hours": Look("░", "-", "bright_black", "set hours, not offered"),
    "closed": Look("·", ".", "bright_black", "closed"),
}

_BLANK = Look(" ", " ", "", "")


def layers_of(
    situation: Situation, bookings: Iterable[Booking], duration_minutes: int, window: tuple[datetime, datetime]
) -> Layers:
    """What there is in a window: `bookings` are the live ones, without holds whose time is up."""
    start, end = (int(at.timestamp()) for at in window)
    duration = duration_minutes * 60
    hours = situation.schedule.openings((start, end))
    waiting = ("held", "pending")
    spans = [(b.state in waiting, (int(b.starts_at.timestamp()), int(b.ends_at.timestamp()))) for b in bookings]
    found = (
        intervals.of(span for waits, span in spans if not waits),
        intervals.of(span for waits, span in spans if waits),
        intervals.of(open_periods(situation, duration, (start - duration, end))),
        situation.busy.union(),
        intervals.of(zip(hours.opens, hours.closes, strict=True)),
    )
    return Layers(*(intervals.clip(layer, start, end) for layer in found))


def layers_json(layers: Layers, tz: str) -> dict[str, list[list[str]]]:
    """The same for programs: each a list of [from, to]."""
    kinds: dict[str, Spans] = {field.name: getattr(layers, field.name) for field in fields(layers)}
    return {kind: [[local(start, tz), local(end, tz)] for start, end in spans.pairs()] for kind, spans in kinds.items()}


# What each quarter of an hour shows


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the picture: what each quarter of the wall clock's day shows; those that don't exist are missing."""

    label: str
    quarters: Mapping[int, str]


def rows_of(layers: Layers, days: Iterable[date], tz: str) -> Iterator[Row]:
    """A row for each day, and another for hours that come twice."""
    for day in days:
        label = f"{day:%a %d %b}"
        for quarters in _passes(layers, day, tz):
            yield Row(label, quarters)
            label = "     again"


def _passes(layers: Layers, day: date, tz: str) -> Iterator[dict[int, str]]:
    """A day's quarters, and once more those that come twice."""
    once: dict[int, str] = {}
    again: dict[int, str] = {}
    for start, end in zones.day_spans(tz, day_number(day)).pairs():
        for instant in range(start, end, _QUARTER):
            at = datetime.fromtimestamp(instant, ZoneInfo(tz))
            quarter = at.hour * 4 + at.minute // 15
            (again if quarter in once else once)[quarter] = _state(layers, instant, instant + _QUARTER)
    yield once
    if again:
        yield again


def _state(layers: Layers, start: int, end: int) -> str:
    half = (end - start + 1) // 2
    if _overlap(layers.booked, start, end):
        return "booked"
    if _overlap(layers.held, start, end):
        return "held"
    if _overlap(layers.open, start, end) >= half:
        return "open"
    if _overlap(layers.busy, start, end):
        return "busy"
    return "set_hours" if _overlap(layers.set_hours, start, end) >= half else "closed"


def _overlap(spans: Spans, start: int, end: int) -> int:
    first, last = bisect_right(spans.ends, start), bisect_left(spans.starts, end)
    pairs = zip(spans.starts[first:last], spans.ends[first:last], strict=True)
    return sum(min(b, end) - max(a, start) for a, b in pairs)


# The picture


def picture(rows: Sequence[Row], width: int, *, ascii_only: bool = False) -> Iterator[Text]:
    """The lines of the picture, no wider than `width` where a character may stand for two hours at most."""
    first, last = _hours(rows)
    minutes = next((cell for cell in _CELLS if _LABEL + (last - first) * 60 // cell <= width), _CELLS[-1])
    yield Text(" " * _LABEL + _scale(first, last, minutes))
    for row in rows:
        line = Text(row.label.ljust(_LABEL))
        for state, cells in groupby(_cells(row.quarters, first, last, minutes)):
            look = LOOKS.get(state, _BLANK)
            line.append((look.ascii if ascii_only else look.glyph) * len(list(cells)), style=look.style)
        yield line
    yield _legend(minutes, ascii_only=ascii_only)
    yield from _odd_days(rows)


def _hours(rows: Iterable[Row]) -> tuple[int, int]:
    """From the first to the last hour in which something is shown; the whole day if nothing is."""
    shown = [quarter for row in rows for quarter, state in row.quarters.items() if state in _SHOWN]
    return (min(shown) // 4, max(shown) // 4 + 1) if shown else (0, 24)


def _scale(first: int, last: int, minutes: int) -> str:
    """The hours above their characters, as many as there is room for."""
    step = next(hours for hours in (1, 2, 3, 6) if hours * 60 // minutes >= 3)
    line = [" "] * ((last - first) * 60 // minutes + 2)
    for hour in range(first, last):
        if hour % step == 0:
            at = (hour - first) * 60 // minutes
            line[at : at + 2] = f"{hour:02}"
    return "".join(line).rstrip()


def _cells(quarters: Mapping[int, str], first: int, last: int, minutes: int) -> Iterator[str]:
    """What each character shows: a booking wherever there is one, else what there is most of."""
    length = minutes // 15
    for begin in range(first * 4, last * 4, length):
        found = [quarters[quarter] for quarter in range(begin, begin + length) if quarter in quarters]
        taken = next((state for state in ("booked", "held") if state in found), None)
        order = ("busy", "open", "set_hours", "closed")
        yield taken or max(order, key=found.count) if found else ""


def _legend(minutes: int, *, ascii_only: bool) -> Text:
    legend = Text()
    for look in LOOKS.values():
        legend.append(look.ascii if ascii_only else look.glyph, style=look.style)
        legend.append(f" {look.words}  ")
    length = f"{minutes} minutes" if minutes < 60 else "an hour" if minutes == 60 else "two hours"
    return legend.append(f"({length} a character)")


def _odd_days(rows: Sequence[Row]) -> Iterator[Text]:
    """Say why a row has blanks, or a second one follows."""
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        again = following is not None and following.label.strip() == "again"
        if again:
            yield Text(f"{row.label}: the clock goes back; what comes twice has a row of its own.")
        elif row.label.strip() != "again" and len(row.quarters) < 96:
            yield Text(f"{row.label}: the clock goes forward; what is left blank doesn't exist.")
