"""Set hours: weekly hours and hours on dates in one time zone, and the instants they open.

Decides what the text of set hours means and when a range of it runs. Refuses to know busy time, rules and the clock.

A range belongs to the date it opens on. It runs from the earliest instant that reads its opening to the latest that
reads its close, so the hour that comes twice is in it twice; a wall time that doesn't exist is the instant of the jump.
A close before the opening is on the next date, "24:00" is the date's end, equal ends are refused: a whole day is
"00:00-24:00". Ranges of one date may overlap. On a date the most specific entry counts, and it replaces all others.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import le, lt
from typing import NamedTuple, NoReturn

from availability import zones
from availability.zones import DAY

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EPOCH = date(1970, 1, 1).toordinal()
_KEPT_AT_MOST = 64
_RANGE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Range = tuple[int, int]  # seconds of the wall clock since the date's midnight; the end may be on the next date


class ScheduleError(ValueError):
    """Set hours that can't be understood: under `key` stands `value`, right would be `expected`."""

    def __init__(self, key: str, value: object, expected: str) -> None:
        super().__init__(f"{key}: {value!r} is not understood; right would be {expected}")
        self.key, self.value, self.expected = key, value, expected


class Dated(NamedTuple):
    """The hours of the dates first to last, both included, in days since 1970-01-01; `rank` is 0 for a single date."""

    rank: int
    first: int
    last: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Openings:
    """Ranges as instants, sorted by start.

    `days[i]` is the date range i belongs to; `reach[i]` is how far the time after `opens[i]` stays open, through ranges
    that touch or overlap. `plain` says that no two ranges overlap.
    """

    opens: Sequence[int]
    closes: Sequence[int]
    days: Sequence[int]
    reach: Sequence[int]
    plain: bool

    def reach_from(self, instant: int) -> int:
        """How far the time from an instant inside a range stays open."""
        return self.reach[bisect_right(self.opens, instant) - 1]

    def around(self, instant: int) -> list[int]:
        """The indices of the ranges that an instant lies in."""
        until = bisect_right(self.opens, instant)
        return [index for index in range(until) if instant < self.closes[index]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Set hours in one time zone; `weekly` holds the ranges of Monday to Sunday, `on` the dates, the broadest first."""

    tz: str
    weekly: tuple[tuple[Range, ...], ...]
    on: tuple[Dated, ...] = ()
    _kept: dict[tuple[int, int], Openings] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, hours: Mapping[str, Sequence[str]], on: Mapping[str, Sequence[str]], tz: str) -> Schedule:
        """Read set hours as a config file has them; raises ScheduleError.

        `hours` has the keys monday to sunday, `on` dates ("2026-12-28") or ranges of dates with both ends included
        ("2026-12-24/2027-01-02"). A date beats a range, a shorter range a longer one.
        """
        try:
            zones.load(tz)
        except zones.ZoneError as error:
            raise ScheduleError("time_zone", tz, "an IANA name such as 'Europe/Berlin'") from error
        for key in hours:
            if key not in WEEKDAYS:
                raise ScheduleError(str(key), hours[key], "one of the keys " + ", ".join(WEEKDAYS))
        weekly = tuple(_ranges(day, hours.get(day, ())) for day in WEEKDAYS)
        return cls(tz, weekly, _dated(on))

    def openings(self, window: tuple[int, int]) -> Openings:
        """All ranges that meet the window of instants, and a few days more on either side; remembered."""
        first, last = window[0] // DAY - 3, window[1] // DAY + 3
        kept = self._kept.get((first, last))
        if kept is None:
            kept = self._open(first, last)
            if len(self._kept) >= _KEPT_AT_MOST:
                self._kept.clear()
            self._kept[first, last] = kept
        return kept

    def closes_date_of(self, instant: int) -> bool:
        """Whether the local date of an instant is one whose hours are replaced by none at all."""
        day = zones.local_day(self.tz, instant)
        return next((not entry.ranges for entry in reversed(self.on) if entry.first <= day <= entry.last), False)

    def _open(self, first: int, last: int) -> Openings:
        hours = self._hours(first, last)
        found: list[tuple[int, int, int]] = []
        done = first
        for run_start, run_end, offset in zones.plain_days(self.tz, first, last):
            start, end = min(max(run_start, done), last), min(run_end, last)
            found += self._odd(hours, first, done, start)
            found += [
                (midnight + opened, midnight + closed, day)
                for day, midnight in enumerate(range(start * DAY - offset, end * DAY - offset, DAY), start)
                for opened, closed in hours[day - first]
            ]
            done = max(start, end)
        found += self._odd(hours, first, done, last)
        return _openings(sorted(found))

    def _hours(self, first: int, last: int) -> list[tuple[Range, ...]]:
        """The ranges of the dates from first up to last."""
        weekday = (first + 3) % 7
        hours = list(self.weekly * ((last - first) // 7 + 2))[weekday : weekday + last - first]
        for entry in self.on:
            for day in range(max(first, entry.first), min(last, entry.last + 1)):
                hours[day - first] = entry.ranges
        return hours

    def _odd(self, hours: list[tuple[Range, ...]], first: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The ranges of dates near a change of offset, each end looked up by itself."""
        for day in range(start, end):
            for opened, closed in hours[day - first]:
                opens = zones.earliest(self.tz, day * DAY + opened)
                closes = zones.latest(self.tz, day * DAY + closed)
                if opens < closes:
                    yield opens, closes, day


def day_number(day: date) -> int:
    """A date in days since 1970-01-01."""
    return day.toordinal() - _EPOCH


def _openings(found: list[tuple[int, int, int]]) -> Openings:
    opens, closes, days = zip(*found, strict=True) if found else ((), (), ())
    if all(map(lt, closes, opens[1:])):
        return Openings(opens, closes, days, reach=closes, plain=True)
    return Openings(opens, closes, days, _reach(opens, closes), plain=all(map(le, closes, opens[1:])))


def _reach(opens: Sequence[int], closes: Sequence[int]) -> list[int]:
    """For each range the end of the united range it is part of."""
    reach = list(closes)
    united, furthest = 0, 0
    for index, closed in enumerate(closes):
        if index and opens[index] > furthest:
            reach[united:index] = [furthest] * (index - united)
            united = index
        furthest = closed if united == index else max(furthest, closed)
    reach[united:] = [furthest] * (len(closes) - united)
    return reach


def _ranges(key: str, texts: object) -> tuple[Range, ...]:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ScheduleError(key, texts, 'a list of ranges such as ["09:00-12:00", "13:00-17:00"]')
    return tuple(sorted(_range(key, text) for text in texts))


def _range(key: str, text: object) -> Range:
    read = _RANGE.fullmatch(text) if isinstance(text, str) else None
    if read is None:
        raise ScheduleError(key, text, '"HH:MM-HH:MM", from 00:00 to 23:59, the close up to 24:00')
    open_hour, open_minute, close_hour, close_minute = read.groups()
    opened = int(open_hour) * 3600 + int(open_minute) * 60
    closed = DAY if close_hour is None else int(close_hour) * 3600 + int(close_minute) * 60
    if opened == closed:
        raise ScheduleError(key, text, 'a range with two different ends; a whole day is "00:00-24:00"')
    return opened, closed if opened < closed else closed + DAY


def _dated(on: Mapping[str, Sequence[str]]) -> tuple[Dated, ...]:
    named = sorted(((_dates(key, texts), key) for key, texts in on.items()), key=lambda entry: -entry[0].rank)
    for index, (entry, key) in enumerate(named):
        for other, other_key in named[index + 1 :]:
            meet = entry.rank == other.rank and entry.first <= other.last and other.first <= entry.last
            if meet and entry.ranges != other.ranges:
                raise ScheduleError(key, on[key], f'the hours of "{other_key}", as long and about the same dates')
    return tuple(entry for entry, _ in named)


def _dates(key: object, texts: object) -> Dated:
    parts = key.split("/") if isinstance(key, str) else []
    if not 1 <= len(parts) <= 2 or not all(_DATE.fullmatch(part) for part in parts):
        _refuse_dates(key, texts)
    try:
        days = [day_number(date.fromisoformat(part)) for part in parts]
    except ValueError:
        _refuse_dates(key, texts)
    if days[0] > days[-1]:
        _refuse_dates(key, texts)
    rank = 0 if len(days) == 1 else days[1] - days[0] + 1
    return Dated(rank, days[0], days[-1], _ranges(str(key), texts))


def _refuse_dates(key: object, texts: object) -> NoReturn:
    raise ScheduleError(str(key), texts, 'a key like "2026-12-28", or "2026-12-24/2027-01-02", first date first')
