"""An oracle of what is bookable: it walks every minute and asks zoneinfo for each, and shares no code with the engine.

A case is read as texts and minutes: `tz`, `day`, `hours`, `on`, `busy`, `now` unrounded, `window`, `duration`. Of
`engine`, what the engine gets, only rules, claims and names are looked at.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

MINUTE, DAY = 60, 86_400
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@lru_cache(maxsize=256)
def clock(tz: str, day: date) -> dict[int, datetime]:
    """What the zone's clock reads in each minute of the ten days around a date."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    zone = ZoneInfo(tz)
    instants = range(noon - 9 * DAY // 2, noon + 11 * DAY // 2, MINUTE)
    return {instant: datetime.fromtimestamp(instant, zone).replace(tzinfo=None) for instant in instants}


@lru_cache(maxsize=256)
def readings(tz: str, day: date) -> dict[datetime, list[int]]:
    found: dict[datetime, list[int]] = {}
    for instant, wall in clock(tz, day).items():
        found.setdefault(wall, []).append(instant)
    return found


def when(case: Any, wall: datetime) -> list[int]:
    jumps = (
        b
        for a, b in pairwise(clock(case.tz, case.day))
        if (clock(case.tz, case.day)[a] < wall < clock(case.tz, case.day)[b])
    )
    return readings(case.tz, case.day).get(wall) or [next(jumps)]


def hours_on(case: Any, day: date) -> list[str]:
    best, chosen = 10**9, case.hours.get(WEEKDAYS[day.weekday()], [])
    for key, texts in case.on.items():
        first, _, last = key.partition("/")
        covers = date.fromisoformat(first) <= day <= date.fromisoformat(last or first)
        length = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1 if last else 0
        if covers and length < best:
            best, chosen = length, texts
    return chosen


def ranges(case: Any) -> list[tuple[int, int]]:
    found = []
    for number in range(-3, 4):
        day = case.day + timedelta(days=number)
        for text in hours_on(case, day):
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)
            (oh, om), (ch, cm) = (map(int, part.split(":")) for part in text.split("-"))
            opened, closed = midnight + timedelta(hours=oh, minutes=om), midnight + timedelta(hours=ch, minutes=cm)
            closed += timedelta(days=closed <= opened)
            found.append((when(case, opened)[0], when(case, closed)[-1]))
    return found


def reasons(case: Any, opened: list[tuple[int, int]], minutes: set[int], start: int) -> set[str]:
    """The codes of the contract for a start on a whole minute."""
    return {
        *why_now(case, start),
        *why_hours(case, opened, minutes, start),
        *why_taken(case, start),
        *why_limits(case, start),
        *(["calendar_stale"] if case.engine.stale else []),
    }


def why_now(case: Any, start: int) -> list[str]:
    rules, at = case.engine.rules, datetime.fromtimestamp(start, UTC)
    codes = [] if rules.active else ["inactive"]
    if at < case.now:
        codes.append("past")
    elif at < case.now + timedelta(seconds=rules.minimum_notice):
        codes.append("inside_notice")
    if not at < case.now + timedelta(seconds=rules.horizon):
        codes.append("beyond_horizon")
    return codes


def why_hours(case: Any, opened: list[tuple[int, int]], minutes: set[int], start: int) -> list[str]:
    if start not in minutes:
        day = datetime.fromtimestamp(start, ZoneInfo(case.tz)).date()
        replaced = any(date.fromisoformat(key[:10]) <= day <= date.fromisoformat(key[-10:]) for key in case.on)
        return ["date_closed" if replaced and not hours_on(case, day) else "outside_hours"]
    codes = []
    if any(minute not in minutes for minute in range(start, start + case.duration, MINUTE)):
        codes.append("outside_hours")
    if not any(low <= start < high and (start - low) % case.engine.rules.increment == 0 for low, high in opened):
        codes.append("off_grid")
    return codes


def why_taken(case: Any, start: int) -> list[str]:
    rules, end, codes = case.engine.rules, start + case.duration, []
    for spans in case.busy.values():
        for low, high in spans:
            blocked = range(low, high, MINUTE)
            if any(start <= minute < end for minute in blocked):
                codes.append("busy")
            elif any(start - rules.buffer_before <= minute < end + rules.buffer_after for minute in blocked):
                codes.append("buffer")
    for claim in case.engine.claims:
        if any(claim.start <= minute < claim.end for minute in range(start, end, MINUTE)):
            codes.append("held" if claim.held else "booked")
            continue
        gap, room = start - claim.end, max(claim.buffer_after, rules.buffer_before)
        if claim.start >= end:
            gap, room = claim.start - end, max(rules.buffer_after, claim.buffer_before)
        if gap < room:
            codes.append("buffer")
    return codes


def why_limits(case: Any, start: int) -> list[str]:
    rules, zone = case.engine.rules, ZoneInfo(case.engine.tz)
    day = datetime.fromtimestamp(start, zone).date()
    dates = [(datetime.fromtimestamp(claim.start, zone).date(), claim) for claim in case.engine.claims]
    own = [date for date, claim in dates if claim.consultation == case.engine.consultation]
    every = [date for date, _ in dates]
    week = lambda date: date - timedelta(days=date.weekday())
    same_day = lambda some: sum(each == day for each in some)
    same_week = lambda some: sum(week(each) == week(day) for each in some)
    limits = (
        ("daily_limit", same_day(own), rules.daily_limit),
        ("daily_limit", same_day(every), rules.freelancer_daily_limit),
        ("weekly_limit", same_week(own), rules.weekly_limit),
        ("weekly_limit", same_week(every), rules.freelancer_weekly_limit),
    )
    return [code for code, count, limit in limits if limit is not None and count >= limit]


def oracle(case: Any) -> dict[int, set[str]]:
    """The codes for every minute of the window; a slot is a minute without."""
    opened = ranges(case)
    minutes = {minute for low, high in opened for minute in range(low, high, MINUTE)}
    first = -(-case.window[0] // MINUTE) * MINUTE
    return {start: reasons(case, opened, minutes, start) for start in range(first, case.window[1], MINUTE)}


@pytest.fixture(scope="session")
def walk() -> SimpleNamespace:
    """The oracle: `reasons(case)` for every minute of its window, and the `ranges` and the `clock` it reads."""
    return SimpleNamespace(reasons=oracle, ranges=ranges, clock=clock)
