"""Recurrence rules: RRULE text → the wall times it names (RFC 5545 §3.3.10).

Decides which dates and times a rule generates, and gives up on a rule that would never stop. Refuses to know UNTIL's
zone, exceptions and overrides: `providers.recurrence` puts those together. Steps are taken on DTSTART's wall clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import product

from providers.errors import InvalidResponse
from providers.ical_values import LATEST, NotUnderstood, read_moment, shift

MAX_STEPS = 400_000

_TOO_OFTEN = "The recurrence rule fires too often: its instances can't be followed."
_UNITS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
_COARSE = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_SPANS = {"WEEKLY": 7 * 86_400, "DAILY": 86_400} | _UNITS
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BY_DAY = re.compile(r"([+-]?\d{1,3})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_LAST_ORDINAL = date.max.toordinal()


class TooManyInstances(InvalidResponse):
    """A rule fires too often, or too seldom to be searched for: quarantine the event."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE, its parts in the order they are written in; `by_day` pairs an ordinal (0: every) and a weekday."""

    freq: str
    until: str | None = None
    count: int | None = None
    interval: int = 1
    by_second: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0
    skip: str = "OMIT"

    def __str__(self) -> str:
        """Return the rule as RRULE text, canonically."""
        parts = [f"FREQ={self.freq}"]
        parts += [f"UNTIL={self.until}"] if self.until else []
        parts += [f"COUNT={self.count}"] if self.count else []
        parts += [f"INTERVAL={self.interval}"] if self.interval != 1 else []
        parts += [f"{key}={_joined(getattr(self, name))}" for key, name in _FIELDS.items() if getattr(self, name)]
        parts += [f"WKST={_WEEKDAYS[self.week_start]}"] if self.week_start else []
        parts += ["RSCALE=GREGORIAN", f"SKIP={self.skip}"] if self.skip != "OMIT" else []
        return ";".join(parts)


_FIELDS = {
    "BYSECOND": "by_second",
    "BYMINUTE": "by_minute",
    "BYHOUR": "by_hour",
    "BYDAY": "by_day",
    "BYMONTHDAY": "by_month_day",
    "BYYEARDAY": "by_year_day",
    "BYWEEKNO": "by_week_no",
    "BYMONTH": "by_month",
    "BYSETPOS": "by_set_pos",
}
_PARTS = frozenset({"FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST", "RSCALE", "SKIP", *_FIELDS})


def _joined(values: tuple[int | tuple[int, int], ...]) -> str:
    return ",".join(
        str(value) if isinstance(value, int) else f"{value[0] or ''}{_WEEKDAYS[value[1]]}" for value in values
    )


def parse_rule(written: str) -> Rule:
    """Read an RRULE; the form of UNTIL is left to whoever knows its zone.

    A negative COUNT, which some programs write for 'no end', is none. Raises NotUnderstood, also for calendars that
    aren't Gregorian (RFC 7529).
    """
    parts = _parts(written)
    if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise NotUnderstood("counts in a calendar other than the Gregorian")
    rule = Rule(
        freq=_one_of(parts, "FREQ", (*_COARSE, *_UNITS)),
        until=_until(parts),
        count=_count(parts),
        interval=_number("INTERVAL", parts.get("INTERVAL", "1"), 1, 10**9),
        by_second=tuple(sorted({min(second, 59) for second in _numbers(parts, "BYSECOND", 0, 60)})),
        by_minute=_numbers(parts, "BYMINUTE", 0, 59),
        by_hour=_numbers(parts, "BYHOUR", 0, 23),
        by_day=tuple(dict.fromkeys(map(_weekday, _items(parts, "BYDAY")))),
        by_month_day=_numbers(parts, "BYMONTHDAY", -31, 31),
        by_year_day=_numbers(parts, "BYYEARDAY", -366, 366),
        by_week_no=_numbers(parts, "BYWEEKNO", -53, 53),
        by_month=_numbers(parts, "BYMONTH", 1, 12),
        by_set_pos=_numbers(parts, "BYSETPOS", -366, 366),
        week_start=_WEEKDAYS.index(_one_of({"WKST": "MO"} | parts, "WKST", _WEEKDAYS)),
        skip=_one_of({"SKIP": "OMIT"} | parts, "SKIP", ("OMIT", "BACKWARD", "FORWARD")),
    )
    if rule.skip != "OMIT" and rule.by_year_day:
        raise NotUnderstood("skips days that are counted in a year")
    return rule


def _parts(written: str) -> dict[str, str]:
    """Split a rule; parts that begin with X- are left out (RFC 2445 §4.3.10), one may be repeated only as it was."""
    parts: dict[str, str] = {}
    for key, value in (_part(part) for part in written.upper().split(";") if part.strip()):
        if key not in _PARTS and not key.startswith("X-"):
            raise NotUnderstood("has a part that is not known")
        if parts.setdefault(key, value) != value:
            raise NotUnderstood(f"says {key} twice, and not the same" if key in _PARTS else "says one part twice")
    return parts


def _part(part: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if not equals:
        raise NotUnderstood("has a part without a value")
    return key.strip(), value.strip()


def _one_of(parts: dict[str, str], key: str, allowed: tuple[str, ...]) -> str:
    if parts.get(key) not in allowed:
        raise NotUnderstood(f"needs a {key} out of {', '.join(allowed)}")
    return parts[key]


def _until(parts: dict[str, str]) -> str | None:
    if "UNTIL" in parts:
        try:
            read_moment(parts["UNTIL"], UTC)
        except NotUnderstood as error:
            raise NotUnderstood("needs UNTIL to be a date or a time") from error
    return parts.get("UNTIL")


def _count(parts: dict[str, str]) -> int | None:
    count = _number("COUNT", parts["COUNT"], -(10**18), 10**18) if "COUNT" in parts else None
    if count == 0:
        raise NotUnderstood("must not have a COUNT of 0")
    return count if count and count > 0 else None


def _number(key: str, written: str, lowest: int, highest: int) -> int:
    if not _NUMBER.fullmatch(written) or not lowest <= int(written) <= highest:
        raise NotUnderstood(f"needs {key} to be a number from {lowest} to {highest}")
    return int(written)


def _items(parts: dict[str, str], key: str) -> list[str]:
    items = [item.strip() for item in parts.get(key, "").split(",")]
    if any(items) and not all(items):
        raise NotUnderstood(f"lacks something in {key}")
    return [item for item in items if item]


def _numbers(parts: dict[str, str], key: str, lowest: int, highest: int) -> tuple[int, ...]:
    numbers = {_number(key, item, lowest, highest) for item in _items(parts, key)}
    if lowest < 0 and 0 in numbers:
        raise NotUnderstood(f"must not have 0 in {key}")
    return tuple(sorted(numbers))


def _weekday(item: str) -> tuple[int, int]:
    match = _BY_DAY.fullmatch(item)
    if match is None or abs(int(match[1] or 0)) > 53:
        raise NotUnderstood("needs BYDAY to be weekdays like MO or -1FR")
    return int(match[1] or 0), _WEEKDAYS.index(match[2])


def starts(
    rule: Rule, dtstart: datetime, *, first: datetime, last: datetime, limit: int = MAX_STEPS
) -> Iterator[datetime]:
    """Yield the wall times a rule names from `first` to `last`, in order, in DTSTART's zone.

    All three share one zone. The search begins next to `first`, unless a COUNT has to be counted from DTSTART. Raises
    TooManyInstances where that takes more than `limit` steps.
    """
    if _steps_evenly(rule):
        rule, last = _counted_out(rule, dtstart, last)
        if (last - max(first, dtstart)).total_seconds() > limit * _SPANS[rule.freq] * rule.interval:
            raise TooManyInstances(_TOO_OFTEN)
    full = _completed(rule, dtstart)
    left = rule.count if rule.count is not None else -1
    steps, previous = 0, None
    for looked_at, period in _periods(full, dtstart, first, last):
        steps += looked_at + len(period)
        if steps > limit:
            raise TooManyInstances(_TOO_OFTEN)
        for start in _at_positions(full, period):
            if start > last or left == 0:
                return
            if start >= dtstart and start != previous:
                previous = start
                left -= 1
                if start >= first:
                    yield start


def _steps_evenly(rule: Rule) -> bool:
    return rule.freq in _SPANS and not any(getattr(rule, name) for name in _FIELDS.values())


def _counted_out(rule: Rule, dtstart: datetime, last: datetime) -> tuple[Rule, datetime]:
    """Turn the COUNT of a rule that only steps on evenly into the end of the search."""
    if rule.count is None:
        return rule, last
    lasts = _SPANS[rule.freq] * rule.interval * (rule.count - 1)
    if lasts < (last - dtstart).total_seconds():
        last = dtstart + timedelta(seconds=lasts)
    return replace(rule, count=None), last


def _completed(rule: Rule, dtstart: datetime) -> Rule:
    """Fill in what the rule leaves to DTSTART."""
    fine = rule.freq in _UNITS
    if rule.freq not in ("MINUTELY", "SECONDLY"):
        rule = replace(rule, by_minute=rule.by_minute or (dtstart.minute,))
    if rule.freq != "SECONDLY":
        rule = replace(rule, by_second=rule.by_second or (dtstart.second,))
    if not fine:
        rule = replace(rule, by_hour=rule.by_hour or (dtstart.hour,))
    if fine or rule.by_day or rule.by_month_day or rule.by_year_day:
        return rule
    if rule.freq == "WEEKLY" or (rule.by_week_no and rule.freq != "DAILY"):
        return replace(rule, by_day=((0, dtstart.weekday()),))
    if rule.freq == "YEARLY":
        return replace(rule, by_month=rule.by_month or (dtstart.month,), by_month_day=(dtstart.day,))
    return replace(rule, by_month_day=(dtstart.day,)) if rule.freq == "MONTHLY" else rule


def _at_positions(rule: Rule, period: list[datetime]) -> list[datetime]:
    """Apply BYSETPOS."""
    if not rule.by_set_pos:
        return period
    size = len(period)
    chosen = {position - 1 if position > 0 else size + position for position in rule.by_set_pos}
    return [period[index] for index in sorted(chosen) if 0 <= index < size]


def _periods(rule: Rule, dtstart: datetime, first: datetime, last: datetime) -> Iterator[tuple[int, list[datetime]]]:
    """Yield how much was looked at for each period (a year, …, a second), and its times before BYSETPOS."""
    if rule.count is not None:
        first = dtstart
    if rule.freq in _UNITS:
        yield from ((not period, period) for period in _ticks(rule, dtstart, first, last))
        return
    times = [time(*at, tzinfo=dtstart.tzinfo) for at in product(rule.by_hour, rule.by_minute, rule.by_second)]
    # A day is held against each of these lists.
    effort = 1 + sum(len(getattr(rule, name)) for name in ("by_day", "by_month_day", "by_year_day", "by_week_no")) // 50
    for offered in _day_periods(rule, dtstart.date(), first.date(), last.date()):
        days = [day for day in offered if _passes(rule, day)]
        if len(days) * len(times) > MAX_STEPS:
            raise TooManyInstances(_TOO_OFTEN)
        yield 1 + effort * len(offered), [datetime.combine(day, at) for day in days for at in times]


def _steps(begin: int, first: int, last: int, interval: int) -> range:
    """Count from `begin` by `interval` up to `last`, leaving out what ends before `first`."""
    return range(begin + max(0, (first - begin) // interval) * interval, last + 1, interval)


def _day_periods(rule: Rule, dtstart: date, first: date, last: date) -> Iterator[list[date]]:
    """Yield the days each period offers, before the BY rules are asked."""
    if rule.freq == "YEARLY":
        for year in _steps(dtstart.year, first.year, last.year, rule.interval):
            yield [day for month in rule.by_month or range(1, 13) for day in _month(rule, year, month)]
    elif rule.freq == "MONTHLY":
        begin, since, until = (12 * day.year + day.month - 1 for day in (dtstart, first, last))
        for number in _steps(begin, since, until, rule.interval):
            yield _month(rule, number // 12, number % 12 + 1)
    elif rule.freq == "WEEKLY":
        monday = dtstart.toordinal() - (dtstart.weekday() - rule.week_start) % 7
        for number in _steps(monday, first.toordinal(), last.toordinal(), 7 * rule.interval):
            yield _on_weekdays(rule, max(number, 1), min(number + 6, _LAST_ORDINAL))
    else:
        for number in _steps(dtstart.toordinal(), first.toordinal(), last.toordinal(), rule.interval):
            yield [date.fromordinal(number)]


def _month(rule: Rule, year: int, month: int) -> list[date]:
    """Return the days of a month that BYMONTH and BYMONTHDAY allow, those it lacks moved by SKIP (RFC 7529 §4.1)."""
    if rule.by_month and month not in rule.by_month:
        return []
    length = _month_length(year, month)
    if not rule.by_month_day:
        begin = date(year, month, 1).toordinal()
        return _on_weekdays(rule, begin, begin + length - 1)
    days = {day if day > 0 else length + 1 + day for day in rule.by_month_day}
    if rule.skip == "OMIT":
        return [date(year, month, day) for day in sorted(days) if 1 <= day <= length]
    lowest, highest = (0, length) if rule.skip == "BACKWARD" else (1, length + 1)
    before = date(year, month, 1).toordinal() - 1
    moved = sorted({before + min(max(day, lowest), highest) for day in days})
    return [date.fromordinal(day) for day in moved if 1 <= day <= _LAST_ORDINAL]


def _on_weekdays(rule: Rule, first: int, last: int) -> list[date]:
    """Return the days between two ordinals, both included, that BYDAY allows as far as it names weekdays."""
    wanted = {weekday for _, weekday in rule.by_day}
    return [date.fromordinal(day) for day in range(first, last + 1) if not wanted or (day - 1) % 7 in wanted]


def _month_length(year: int, month: int) -> int:
    return 31 if month == 12 else (date(year, month + 1, 1) - date(year, month, 1)).days


def _passes(rule: Rule, day: date) -> bool:
    """Say whether every BY rule about days allows this one."""
    of_months = rule.freq in ("YEARLY", "MONTHLY")
    return (
        (of_months or not rule.by_month or day.month in rule.by_month)
        and (of_months or not rule.by_month_day or _counted(*_in_month(day), rule.by_month_day))
        and (not rule.by_year_day or _counted(*_in_year(day), rule.by_year_day))
        and (not rule.by_week_no or _counted(*_week(day, rule.week_start), rule.by_week_no))
        and (not rule.by_day or any((nth, day.weekday()) in rule.by_day for nth in _ordinals(rule, day)))
    )


def _counted(position: int, length: int, allowed: tuple[int, ...]) -> bool:
    """Say whether a position is allowed, counted from the front or, negative, from the back."""
    return position in allowed or position - length - 1 in allowed


def _in_month(day: date) -> tuple[int, int]:
    return day.day, _month_length(day.year, day.month)


def _in_year(day: date) -> tuple[int, int]:
    begin = date(day.year, 1, 1).toordinal()
    return day.toordinal() - begin + 1, date(day.year, 12, 31).toordinal() - begin + 1


def _week(day: date, week_start: int) -> tuple[int, int]:
    """Return the number of a day's week and of the last week of its year; a week belongs to the year of its 4th day."""
    fourth = _fourth_day(day, week_start)
    last = _fourth_day(date(fourth.year, 12, 28), week_start)
    return (_in_year(fourth)[0] - 1) // 7 + 1, (_in_year(last)[0] - 1) // 7 + 1


def _fourth_day(day: date, week_start: int) -> date:
    ordinal = day.toordinal() - (day.weekday() - week_start) % 7 + 3
    return date.fromordinal(min(max(ordinal, 1), _LAST_ORDINAL))


def _ordinals(rule: Rule, day: date) -> Iterable[int]:
    """Return the ordinals under which BYDAY may name a day's weekday; where weeks are counted, any of them."""
    if rule.freq not in ("YEARLY", "MONTHLY") or rule.by_week_no:
        return {nth for nth, _ in rule.by_day}
    position, length = _in_month(day) if rule.freq == "MONTHLY" or rule.by_month else _in_year(day)
    return 0, (position - 1) // 7 + 1, -((length - position) // 7 + 1)


def _ticks(rule: Rule, dtstart: datetime, first: datetime, last: datetime) -> Iterator[list[datetime]]:
    """Yield the periods of an hourly, minutely or secondly rule, leaping over what a BY rule shuts out."""
    step = timedelta(seconds=_UNITS[rule.freq] * rule.interval)
    ticks = max(0, (first - dtstart) // step - 1)
    # One more, as its period may begin before `last`; none beyond the last second there is.
    end = min((last - dtstart) // step + 1, (LATEST.replace(tzinfo=dtstart.tzinfo) - dtstart) // step)
    while ticks <= end:
        tick = dtstart + ticks * step
        opens = _shut_until(rule, tick)
        ticks += 1 if opens is None else max(1, -((tick - opens) // step))
        yield _within(rule, tick) if opens is None else []


def _shut_until(rule: Rule, tick: datetime) -> datetime | None:
    """Return the next time at which a BY rule that shuts this period out may let one in; None if none does."""
    if not _passes(rule, tick.date()):
        return shift(tick.replace(hour=0, minute=0, second=0), timedelta(days=1))
    if rule.by_hour and tick.hour not in rule.by_hour:
        return shift(tick.replace(minute=0, second=0), timedelta(hours=1))
    if rule.freq != "HOURLY" and rule.by_minute and tick.minute not in rule.by_minute:
        return shift(tick.replace(second=0), timedelta(minutes=1))
    if rule.freq == "SECONDLY" and rule.by_second and tick.second not in rule.by_second:
        return shift(tick, timedelta(seconds=1))
    return None


def _within(rule: Rule, tick: datetime) -> list[datetime]:
    """Return the times of one period that lets something in."""
    if rule.freq == "SECONDLY":
        return [tick]
    minutes = rule.by_minute if rule.freq == "HOURLY" else (tick.minute,)
    return [tick.replace(minute=minute, second=second) for minute, second in product(minutes, rule.by_second)]
