"""The workloads W1 to W3, from a seed: busy time, bookings and rules, and the same said in the rivals' words."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from availability import BookingRules, Busy, Claim, Schedule, Situation

ZONE = "Europe/Berlin"
DURATION = 30 * 60
INCREMENT = 15 * 60
FIRST = date(2026, 10, 5)  # a Monday; the clocks go back within every workload
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Plain:
    """A workload as a rival gets it, its rules worked out beforehand, in whole minutes since the epoch.

    `openings` are already cut to the booking window; `blocked` is busy time with its buffers, bookings with theirs,
    and the days whose limit is reached, unsorted and unmerged.
    """

    openings: list[tuple[int, int]]
    blocked: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Workload:
    """`spans` is busy time per calendar; `situation` has all of it in, with every rule on."""

    name: str
    days: int
    spans: dict[str, tuple[list[int], list[int]]]
    situation: Situation
    window: tuple[int, int]
    plain: Plain


def build(name: str, days: int, busy: int, calendars: int, seed: int = 7) -> Workload:
    """A workload of so many days and busy intervals over so many calendars."""
    chance = random.Random(f"{name}{seed}")
    spans = _spans(chance, days, busy, calendars)
    claims = _claims(chance, days)
    rules = BookingRules(
        durations=(DURATION, 2 * DURATION),
        increment=INCREMENT,
        minimum_notice=DAY,
        horizon=(days - 1) * DAY,
        buffer_before=5 * 60,
        buffer_after=10 * 60,
        daily_limit=2,
        weekly_limit=6,
        freelancer_daily_limit=3,
        freelancer_weekly_limit=9,
    )
    hours = Schedule.parse({day: ["09:00-17:00"] for day in _WORKDAYS}, {}, ZONE)
    now = _instant(FIRST, 10)
    situation = Situation(hours, rules, ZONE, "intro", Busy.from_arrays(spans), claims, (), now)
    window = _instant(FIRST, 0), _instant(FIRST + timedelta(days=days), 0)
    return Workload(name, days, spans, situation, window, _plain(situation, days))


_WORKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")


def _instant(day: date, hour: float) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)) + timedelta(hours=hour)).timestamp())


def _spans(chance: random.Random, days: int, busy: int, calendars: int) -> dict[str, tuple[list[int], list[int]]]:
    """About five meetings a day, nine of ten between 08:00 and 18:00; more spans than that lie on top of each other.

    Several calendars of one person mostly say the same. Each calendar's spans are in the order a store returns them.
    """
    meetings = []
    for _ in range(min(busy, 5 * days)):
        hour = chance.randrange(8 * 12, 18 * 12) / 12 if chance.random() < 0.9 else chance.randrange(24)
        meetings.append((_instant(FIRST + timedelta(days=chance.randrange(days)), hour), 300 * chance.randrange(3, 19)))
    each: dict[str, list[tuple[int, int]]] = {f"cal_{number}": [] for number in range(calendars)}
    for number in range(busy):
        start, length = meetings[number] if number < len(meetings) else chance.choice(meetings)
        late = 300 * chance.randrange(length // 300) if number >= len(meetings) else 0
        each[f"cal_{number % calendars}"].append((start + late, start + length))
    return {
        key: ([start for start, _ in sorted(pairs)], [end for _, end in sorted(pairs)]) for key, pairs in each.items()
    }


def _claims(chance: random.Random, days: int) -> tuple[Claim, ...]:
    """A booking or hold on about every third working day, and now and then enough of them to fill a day."""
    claims = []
    for number in range(days):
        day = FIRST + timedelta(days=number)
        if day.weekday() < 5 and chance.random() < 0.3:
            for hour in (9, 12, 15)[: chance.choice((1, 1, 2, 3))]:
                start = _instant(day, hour)
                name = chance.choice(("intro", "review"))
                claims.append(Claim(f"bkg_{start}", start, start + DURATION, 300, 900, name, chance.random() < 0.2))
    return tuple(claims)


def _plain(situation: Situation, days: int) -> Plain:
    rules, earliest = situation.rules, situation.now + situation.rules.minimum_notice
    latest = situation.now + rules.horizon
    openings = []
    for number in range(days):
        day = FIRST + timedelta(days=number)
        low, high = _instant(day, 9), _instant(day, 17)
        low, high = max(low, earliest), min(high, latest - 60 + DURATION)  # the last start is before `latest`
        if day.weekday() < 5 and high - low >= DURATION:
            openings.append((low // 60, high // 60))
    blocked = [(start - rules.buffer_after, end + rules.buffer_before) for start, end in _unmerged(situation.busy)]
    blocked += [
        (
            claim.start - max(rules.buffer_after, claim.buffer_before),
            claim.end + max(rules.buffer_before, claim.buffer_after),
        )
        for claim in situation.claims
    ]
    blocked += _full(situation)
    return Plain(openings, [(start // 60, end // 60) for start, end in blocked])


def _unmerged(busy: Busy) -> list[tuple[int, int]]:
    return [
        pair for starts, ends in zip(busy.starts, busy.ends, strict=True) for pair in zip(starts, ends, strict=True)
    ]


def _full(situation: Situation) -> list[tuple[int, int]]:
    """The days and weeks whose limit is reached, counted on calendar dates."""
    rules = situation.rules
    dates = [
        (datetime.fromtimestamp(claim.start, UTC).astimezone(ZoneInfo(ZONE)).date(), claim.consultation)
        for claim in situation.claims
    ]
    full: set[date] = set()
    for days, own_limit, limit in (
        (1, rules.daily_limit, rules.freelancer_daily_limit),
        (7, rules.weekly_limit, rules.freelancer_weekly_limit),
    ):
        firsts = [(day - timedelta(days=day.weekday() if days == 7 else 0), name) for day, name in dates]
        own = Counter(first for first, name in firsts if name == "intro")
        every = Counter(first for first, _ in firsts)
        reached = [f for f in every if own[f] >= (own_limit or 0) or every[f] >= (limit or 0)]
        full |= {first + timedelta(days=more) for first in reached for more in range(days)}
    return [(_instant(day, 0), _instant(day + timedelta(days=1), 0)) for day in full]
