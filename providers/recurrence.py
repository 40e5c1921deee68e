"""Series → instances: a timing skeleton, asked for a window, answers in UTC.

Decides how rules, RDATE, EXDATE and overrides (RECURRENCE-ID, also THISANDFUTURE) become instances. Refuses to know
which of them block, and the host's zone. A series that would give too many instances in one window is an error, never a
part of the answer.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import chain, islice

from providers.ical_events import Part, read_parts, text_of, understanding
from providers.ical_rules import MAX_STEPS, Rule, TooManyInstances, parse_rule, starts
from providers.ical_text import Line
from providers.ical_values import Length, in_zone, midnight, read_length, read_moment, shift, to_utc
from providers.model import Instance, Window

__all__ = ["MAX_INSTANCES", "TooManyInstances", "instances"]

MAX_INSTANCES = 100_000

# No clock was ever put forward by more than a day, and none of a time in a gap: a search wider by this misses nothing.
_MARGIN = timedelta(hours=30)

_DAYS_AWAY = timedelta(days=3)  # more than a day's length and the width of all zones
_DATES = re.compile(r"\r\n(?:DTSTART|DTEND)[^:\r]*:(\d{8})", re.ASCII)
_MAY_REACH_FAR = ("\r\nRRULE", "\r\nRDATE", "\r\nDURATION")


def instances(skeleton: str, window: Window, tz: str, limit: int = MAX_INSTANCES) -> list[Instance]:
    """Return the instances whose span meets the half-open window, in UTC, by start.

    One of no length is among them if it starts in the window; a cancelled one is, with that status. `tz` (IANA) is the
    calendar's zone, where a DATE runs from midnight to midnight; a floating time is in the skeleton's X-WR-TIMEZONE,
    else in `tz`. Raises TooManyInstances for a series of more than `limit` in the window, InvalidResponse for what
    isn't a skeleton, ValueError for an unknown `tz`.
    """
    if _lies_elsewhere(skeleton, window):
        return []
    parts = read_parts(skeleton, tz)
    if len(parts) == 1 and not parts[0].recurs:
        found = [parts[0].instance(parts[0].start)]
    else:
        with understanding():
            every = (one for series in _by_uid(parts) for one in _series(series, window, limit))
            # What is named one by one, by nine characters or more each, is no flood.
            found = list(islice(every, limit + len(skeleton) // 9))
            if next(every, None) is not None:
                raise _too_many(limit)
    return sorted((one for one in found if _meets(one, window)), key=lambda one: (one.start_at, one.end_at))


def _too_many(limit: int) -> TooManyInstances:
    return TooManyInstances(f"The series has more than {limit} instances in the time asked about.")


def _lies_elsewhere(skeleton: str, window: Window) -> bool:
    """Say whether nothing in it recurs and all its dates, as they are written, are days away from the window.

    Most of a calendar is long past; this tells without reading it.
    """
    if any(mark in skeleton for mark in _MAY_REACH_FAR):
        return False
    dates = _DATES.findall(skeleton)
    first, last = (_written(shift(at, by)) for at, by in ((window.start_at, -_DAYS_AWAY), (window.end_at, _DAYS_AWAY)))
    return bool(dates) and (max(dates) < first or min(dates) > last)


def _written(at: datetime) -> str:
    return f"{at.year:04}{at.month:02}{at.day:02}"


def _meets(one: Instance, window: Window) -> bool:
    starts_in_time = one.start_at < window.end_at
    return starts_in_time and (one.end_at > window.start_at or one.start_at == one.end_at == window.start_at)


def _by_uid(parts: list[Part]) -> Iterable[list[Part]]:
    series: dict[str | None, list[Part]] = {}
    for part in parts:
        series.setdefault(text_of(part.component, "UID"), []).append(part)
    return series.values()


@dataclass(frozen=True, slots=True)
class _Exceptions:
    """What a master's rules don't give: excluded instants and days, and the overrides by the instant they replace.

    Of several overrides of one instant the highest SEQUENCE counts, and all that share it.
    """

    instants: frozenset[datetime]
    days: frozenset[date]
    overrides: dict[datetime, list[Part]]

    def exclude(self, start: datetime) -> bool:
        return to_utc(start) in self.instants or start.date() in self.days


def _series(parts: list[Part], window: Window, limit: int) -> Iterator[Instance]:
    """Yield the instances of the components of one UID. Raises TooManyInstances.

    Of several masters the highest SEQUENCE counts, and all that share it: what may be two events must block as two.
    """
    masters, overrides = _told_apart(parts)
    newest = max((part.sequence for part in masters), default=0)
    masters = [part for part in masters if part.sequence == newest]
    if len(masters) * len(overrides) > MAX_INSTANCES:
        raise TooManyInstances("The series has too many masters and overrides to tell which belong together.")
    standing: dict[int, Part] = {}
    for master in masters or overrides[:1]:
        exceptions = _exceptions(master, overrides)
        if masters:
            yield from _regular(master, exceptions, window, limit)
            yield from _moved_itself(master, exceptions)
        listed = chain.from_iterable(exceptions.overrides.values())
        standing |= {id(one): one for one in listed if not exceptions.exclude(_replaced(one, master))}
    for override in standing.values():
        yield override.instance(override.start)
        if override.and_future and override.recurs:
            yield from _regular(override, _exceptions(override, []), window, limit)


def _told_apart(parts: list[Part]) -> tuple[list[Part], list[Part]]:
    """Return masters and overrides; where no master is, the one override with a rule is it.

    Some products write a RECURRENCE-ID into each series.
    """
    masters = [part for part in parts if part.recurrence_id is None]
    ruled = [part for part in parts if any(part.component.first(name) for name in ("RRULE", "RDATE"))]
    if not masters and len(ruled) == 1:
        return ruled, [part for part in parts if part is not ruled[0]]
    return masters, [part for part in parts if part.recurrence_id is not None]


def _moved_itself(master: Part, exceptions: _Exceptions) -> Iterator[Instance]:
    """Yield where a master that is an override was moved to, be it past the end of the rule it has a copy of."""
    replaced = _replaced(master, master)
    if to_utc(replaced) != to_utc(master.start) and not exceptions.exclude(replaced):
        yield master.instance(master.start)


def _exceptions(master: Part, overrides: list[Part]) -> _Exceptions:
    excluded = [
        _moment(line, written, master) for line in master.component.every("EXDATE") for written in line.value.split(",")
    ]
    by_day = [moment for moment in excluded if not isinstance(moment, datetime)]
    aligned = [_aligned(moment, master) for moment in excluded if isinstance(moment, datetime)]
    replacing: dict[datetime, list[Part]] = {}
    for override in sorted(overrides, key=lambda part: part.sequence):
        others = replacing.setdefault(to_utc(_replaced(override, master)), [])
        if others and others[-1].sequence < override.sequence:
            others.clear()
        others.append(override)
    return _Exceptions(frozenset(map(to_utc, aligned)), frozenset(by_day), replacing)


def _replaced(override: Part, master: Part) -> datetime:
    line = override.component.first("RECURRENCE-ID")
    return _aligned(_moment(line, line.value, master), master) if line is not None else override.start


def _moment(line: Line, written: str, master: Part) -> date | datetime:
    """Read one value of a property that names instances of a series.

    One that floats is on the clock of the series, where DTSTART names one: that it means another isn't said.
    """
    first = master.component.first("DTSTART")
    if first is not None and "TZID" in first.params and "TZID" not in line.params:
        return read_moment(written, master.zone)
    return master.places.moment(line, written)


def _aligned(moment: date | datetime, master: Part) -> datetime:
    """Put an EXDATE, RDATE or RECURRENCE-ID of another kind than DTSTART where the instance it means starts.

    A DATE means the instance of that day. A time that means a day is that day if it is a midnight, else the day on
    which it falls in the calendar's zone.
    """
    if not isinstance(moment, datetime):
        return datetime.combine(moment, master.start.time(), tzinfo=master.zone)
    if not master.facts.all_day:
        return moment
    zone = master.places.dates
    at_midnight = not (moment.hour or moment.minute or moment.second)
    return midnight((moment if at_midnight else in_zone(moment, zone)).date(), zone)


def _regular(master: Part, exceptions: _Exceptions, window: Window, limit: int) -> Iterator[Instance]:
    """Yield what the master gives where no override stands, each by the THISANDFUTURE overrides in force there.

    A period may start with an instance of the rule; which of the two lengths holds isn't said, so both are given.
    """
    futures = _futures(exceptions)
    plain = ((start, None) for start in _starts(master, futures, window, limit))
    for start, length in chain(plain, _periods(master)):
        at = to_utc(start)
        if at in exceptions.overrides or exceptions.exclude(start):
            continue
        passed = bisect_left(futures, at, key=lambda pair: pair[0])
        if passed == 0:
            yield master.instance(start, length)
            continue
        replaced, governing = futures[passed - 1]
        yield from (part.instance(_moved(start, replaced, part)) for part in governing)


def _futures(exceptions: _Exceptions) -> list[tuple[datetime, list[Part]]]:
    """Return the THISANDFUTURE overrides by the instant they replace, in order."""
    ranges = ((at, [one for one in parts if one.and_future]) for at, parts in exceptions.overrides.items())
    return sorted((pair for pair in ranges if pair[1]), key=lambda pair: pair[0])


def _moved(start: datetime, replaced: datetime, override: Part) -> datetime:
    """Move an instance as a THISANDFUTURE override moved the one it replaced, on its wall clock (RFC 5545 §3.2.13)."""
    moved = shift(in_zone(start, override.zone), _distance(replaced, override))
    return midnight(moved.date(), override.zone) if override.facts.all_day else moved


def _distance(replaced: datetime, override: Part) -> timedelta:
    return override.start - in_zone(replaced, override.zone)


def _periods(master: Part) -> list[tuple[datetime, Length]]:
    """Return where the instances start whose RDATE says how long they last, and how long."""
    found = []
    for line in master.component.every("RDATE"):
        for begin, slash, end in (written.partition("/") for written in line.value.split(",")):
            if slash:
                start = master.places.start(_moment(line, begin, master))
                found.append((start, _period_length(to_utc(start), line, end, master)))
    return found


def _period_length(at: datetime, line: Line, end: str, master: Part) -> Length:
    if end.startswith(("P", "+")):
        return read_length(end)
    ends_at = to_utc(master.places.start(_moment(line, end, master)))
    return Length(exact=max(timedelta(0), ends_at - at))


def _starts(master: Part, futures: list[tuple[datetime, list[Part]]], window: Window, limit: int) -> Iterable[datetime]:
    """Return the starts that may give an instance in the window, on their own wall clocks, each instant once."""
    earliest, latest = _reach(master, futures, window)
    first, last = shift(earliest, -_MARGIN), shift(latest, _MARGIN)
    rules, exrules = _rules(master, "RRULE"), _rules(master, "EXRULE")
    steps = MAX_STEPS // (len(rules) + len(exrules) or 1)
    named = ((to_utc(start), start) for start in _named_starts(master, rules))
    found = {at: start for at, start in named if earliest <= at <= latest}
    for start in chain.from_iterable(_ruled(rule, master, first, last, steps) for rule in rules):
        at = to_utc(start)
        if earliest <= at <= latest:
            found[at] = start
        if len(found) > limit:
            raise _too_many(limit)
    for start in chain.from_iterable(_ruled(rule, master, first, last, steps) for rule in exrules):
        found.pop(to_utc(start), None)
    return found.values()


def _reach(master: Part, futures: list[tuple[datetime, list[Part]]], window: Window) -> tuple[datetime, datetime]:
    """Return the first and the last start whose instance may meet the window, moved or not."""
    pairs = [(at, part) for at, parts in futures for part in parts]
    lengths = (master.length, *(part.length for _, part in pairs))
    longest = max(timedelta(days=length.days) + length.exact for length in lengths)
    # A day may have more than 24 hours, and a moved instance changes its clock.
    moved = max((abs(_distance(*pair)) + _MARGIN for pair in pairs), default=timedelta(0))
    longer = _MARGIN if any(length.days for length in lengths) else timedelta(0)
    return shift(window.start_at, -longest - longer - moved), shift(window.end_at, moved)


def _rules(master: Part, name: str) -> list[Rule]:
    """Return the rules in RRULE or EXRULE; those of a DATE know no time of day (RFC 5545 §3.3.10)."""
    rules = [parse_rule(line.value) for line in master.component.every(name)]
    if not master.facts.all_day:
        return rules
    return [replace(rule, by_hour=(), by_minute=(), by_second=()) for rule in rules]


def _named_starts(master: Part, rules: list[Rule]) -> Iterator[datetime]:
    """Yield DTSTART, unless every rule ended before it, and the RDATEs but for periods."""
    ends = [_until(rule, master) for rule in rules]
    if not ends or any(end is None or end >= to_utc(master.start) for end in ends):
        yield master.start
    for line in master.component.every("RDATE"):
        for begin, slash, _ in (written.partition("/") for written in line.value.split(",")):
            if not slash:
                yield _aligned(_moment(line, begin, master), master)


def _ruled(rule: Rule, master: Part, first: datetime, last: datetime, limit: int) -> Iterator[datetime]:
    until = _until(rule, master)
    if until is not None:
        last = min(last, shift(until, _MARGIN))
    bounds = {"first": in_zone(first, master.zone), "last": in_zone(last, master.zone)}
    for start in starts(rule, master.start, **bounds, limit=limit):
        if until is None or to_utc(start) <= until:
            yield midnight(start.date(), master.zone) if master.facts.all_day else start


def _until(rule: Rule, master: Part) -> datetime | None:
    """Return the last instant at which the rule may fire: UNTIL, read in DTSTART's zone, a DATE being the whole day.

    For a series of days the last minute of a day, in whatever zone it is written, ends that day.
    """
    if rule.until is None:
        return None
    moment = read_moment(rule.until, master.zone)
    if not isinstance(moment, datetime) or (master.facts.all_day and moment.time() >= time(23, 59)):
        return to_utc(datetime.combine(moment, time.max, tzinfo=master.zone))
    return to_utc(_aligned(moment, master))
