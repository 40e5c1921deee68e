"""The one predicate: which starts can be booked, and why any other can't.

Decides what is bookable; nothing else anywhere does. Refuses to know where busy time and bookings come from, what they
are called, and what time it is: `now` is part of the situation.

All instants are whole seconds since the epoch, UTC. Notice, horizon and past compare a start with `now`; as starts are
whole seconds, rounding now *up* (`whole_second`) answers exactly as the unrounded instant would.

Each rule is one function, asked by the listing about spans of starts and by `explain` about a single start.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Literal, NamedTuple

from availability import intervals, zones
from availability.busy import Busy
from availability.intervals import Spans
from availability.rules import BookingRules
from availability.schedule import Schedule
from availability.zones import DAY

Code = Literal[
    "past",
    "inactive",
    "outside_hours",
    "date_closed",
    "off_grid",
    "inside_notice",
    "beyond_horizon",
    "busy",
    "buffer",
    "held",
    "booked",
    "daily_limit",
    "weekly_limit",
    "calendar_stale",
]
Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Claim:
    """A live hold or booking, with the buffers it was made with; `held` says it is still a hold."""

    id: str
    start: int
    end: int
    buffer_before: int
    buffer_after: int
    consultation: str
    held: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides what is bookable of one consultation.

    `tz` is the freelancer's zone, in which limits count; `claims` are those of all consultations, at least over the
    weeks asked about and the buffers around them, without one that is being moved; `stale` are the calendars whose
    state is unknown and that close.
    """

    schedule: Schedule
    rules: BookingRules
    tz: str
    consultation: str
    busy: Busy
    claims: tuple[Claim, ...]
    stale: tuple[str, ...]
    now: int


class Reason(NamedTuple):
    """Why a start can't be booked: a code of the contract, and the calendar and span it is about where there is one."""

    code: Code
    calendar: str | None = None
    start: int | None = None
    end: int | None = None


def whole_second(moment: datetime) -> int:
    """The first whole second that isn't before an aware datetime: what `Situation.now` wants."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return -(since // timedelta(seconds=-1))


def open_slots(situation: Situation, duration: int, window: Window) -> list[int]:
    """The starts in `[window[0], window[1])` that can be booked now, sorted, each once.

    Empty when a calendar is stale or the consultation inactive. Raises ValueError for a duration that isn't offered.
    """
    _check_offered(situation, duration)
    low, high = situation.rules.booking_window(situation.now)
    return _starts(situation, duration, max(low, window[0]), min(high, window[1]))


def open_periods(situation: Situation, duration: int, window: Window) -> list[tuple[int, int]]:
    """Spans in which every grid start can be booked: start, start + increment and so on while the duration fits.

    They hold the slots of the same window and no others. Set hours that don't touch are never in one period; ranges
    that overlap on different grids have periods of their own.
    """
    increment = situation.rules.increment
    reach = situation.schedule.openings((window[0], window[1] + duration))
    periods: list[list[int]] = []
    growing: dict[int, list[int]] = {}
    for start in open_slots(situation, duration, window):
        period = growing.get(start % increment)
        if period and period[1] == start - increment and reach.reach[bisect_right(reach.opens, period[1]) - 1] > start:
            period[1] = start
        else:
            growing[start % increment] = period = [start, start]
            periods.append(period)
    return [(first, last + duration) for first, last in periods]


def first_slot(situation: Situation, duration: int, window: Window) -> int | None:
    """The first start in the window that can be booked now, None if there is none; raises as `open_slots` does."""
    _check_offered(situation, duration)
    low, high = situation.rules.booking_window(situation.now)
    return _first(situation, duration, max(low, window[0]), min(high, window[1]))


def nearest(situation: Situation, duration: int, start: int, count: int = 5) -> list[int]:
    """The bookable starts nearest to a start, at most `count`, in order of time; of two as near the earlier counts."""
    _check_offered(situation, duration)
    low, high = situation.rules.booking_window(situation.now)
    radius, found = DAY, list[int]()
    while len(found) < count:
        found = _starts(situation, duration, max(low, start - radius), min(high, start + radius + 1))
        if start - radius <= low and start + radius >= high:
            break
        radius *= 4
    return sorted(sorted(found, key=lambda near: (abs(near - start), near))[:count])


def valid_until(situation: Situation, duration: int, window: Window) -> int | None:
    """The first whole second of `now` at which time alone changes `open_slots` for this window; None if it never does.

    That is one second after the first listed start is exactly its notice away, or the first start beyond the horizon
    exactly the horizon: at that very instant the old answer still holds. Holds that expire and calendars that go stale
    are the caller's to add.
    """
    rules = situation.rules
    leaves = first_slot(situation, duration, window)
    _, high = rules.booking_window(situation.now)
    enters = None
    if rules.minimum_notice < rules.horizon:
        enters = _first(situation, duration, max(high, window[0]), window[1])
    changes = [] if leaves is None else [leaves - rules.minimum_notice + 1]
    if enters is not None:
        changes.append(enters - rules.horizon + 1)
    return min(changes, default=None)


def explain(situation: Situation, duration: int, start: int) -> list[Reason]:
    """Every reason why a start can't be booked now; none exactly if `open_slots` lists it.

    Raises ValueError for a duration that isn't offered. A start in the past isn't inside the notice as well; one
    outside all set hours is either `date_closed` or `outside_hours`.
    """
    _check_offered(situation, duration)
    return [
        *_why_now(situation, start),
        *_why_hours(situation, duration, start),
        *_why_busy(situation, duration, start),
        *_why_claims(situation, duration, start),
        *_why_limits(situation, start),
        *(Reason("calendar_stale", calendar) for calendar in situation.stale),
    ]


def _check_offered(situation: Situation, duration: int) -> None:
    offered = situation.rules.durations
    if duration not in offered:
        raise ValueError(f"a duration of {duration} s is not offered; right would be one of {offered}")


# The listing


def _starts(situation: Situation, duration: int, low: int, high: int) -> list[int]:
    """All starts in `[low, high)`, whatever the booking window says."""
    if low >= high or situation.stale or not situation.rules.active:
        return []
    hours = situation.schedule.openings((low, high + duration))
    starts, ends = _room(situation, duration, low, high)
    increment, count = situation.rules.increment, len(starts)
    runs: list[range] = []
    for opened, closed, reach in zip(hours.opens, hours.closes, hours.reach, strict=True):
        stop = closed if closed + duration <= reach else reach - duration + 1
        at = bisect_right(ends, opened)
        while at < count and (first := starts[at]) < stop:
            end = ends[at]
            first = first + (opened - first) % increment if first > opened else opened
            runs.append(range(first, end if end < stop else stop, increment))
            at += 1
    found = chain.from_iterable(runs)
    return list(found) if hours.plain else sorted(set(found))


def _room(situation: Situation, duration: int, low: int, high: int) -> Spans:
    """The instants in `[low, high)` that busy time, claims and limits leave to a start."""
    rules = situation.rules
    room = situation.busy.room(rules.buffer_before, duration + rules.buffer_after)
    first, last = bisect_right(room.ends, low), bisect_left(room.starts, high)
    if first >= last:
        return intervals.EMPTY
    starts, ends = list(room.starts[first:last]), list(room.ends[first:last])
    starts[0], ends[-1] = max(starts[0], low), min(ends[-1], high)
    taken = [_taken(claim, rules, duration) for claim in situation.claims]
    taken += _full_spans(situation)
    return intervals.subtract(Spans(starts, ends), intervals.of(taken)) if taken else Spans(starts, ends)


def _first(situation: Situation, duration: int, low: int, high: int) -> int | None:
    step = DAY
    while low < high:
        found = _starts(situation, duration, low, min(high, low + step))
        if found:
            return found[0]
        low, step = low + step, step * 4
    return None


# The rules


def _taken(claim: Claim, rules: BookingRules, duration: int) -> tuple[int, int]:
    """The starts a claim leaves no room for: the gap is the larger of the earlier's after and the later's before."""
    ahead = max(rules.buffer_after, claim.buffer_before)
    behind = max(rules.buffer_before, claim.buffer_after)
    return claim.start - duration - ahead + 1, claim.end + behind


def _full_days(situation: Situation) -> tuple[set[int], set[int]]:
    """The local days, and the weeks, whose limits are reached; weeks are counted from the Monday before the epoch."""
    rules, tz = situation.rules, situation.tz
    days = [(zones.local_day(tz, claim.start), claim.consultation) for claim in situation.claims]
    weeks = [(_week(day), consultation) for day, consultation in days]
    own = situation.consultation
    return (
        _full(days, own, rules.daily_limit, rules.freelancer_daily_limit),
        _full(weeks, own, rules.weekly_limit, rules.freelancer_weekly_limit),
    )


def _full(counted: list[tuple[int, str]], own: str, limit: int | None, over_all: int | None) -> set[int]:
    full: set[int] = set()
    if limit is not None:
        mine = Counter(when for when, consultation in counted if consultation == own)
        full.update(when for when, count in mine.items() if count >= limit)
    if over_all is not None:
        full.update(when for when, count in Counter(when for when, _ in counted).items() if count >= over_all)
    return full


def _full_spans(situation: Situation) -> list[tuple[int, int]]:
    """The instants of full days and weeks; all there are where a limit is 0."""
    if _never(situation.rules, "daily") or _never(situation.rules, "weekly"):
        return [(-(1 << 61), 1 << 61)]
    days, weeks = _full_days(situation)
    days.update(day for week in weeks for day in range(week * 7 - 3, week * 7 + 4))
    return [span for day in days for span in zones.day_spans(situation.tz, day).pairs()]


def _never(rules: BookingRules, unit: Literal["daily", "weekly"]) -> bool:
    if unit == "daily":
        return 0 in (rules.daily_limit, rules.freelancer_daily_limit)
    return 0 in (rules.weekly_limit, rules.freelancer_weekly_limit)


def _week(day: int) -> int:
    return (day + 3) // 7


# The same rules, asked about one start


def _why_now(situation: Situation, start: int) -> Iterator[Reason]:
    low, high = situation.rules.booking_window(situation.now)
    if start < situation.now:
        yield Reason("past")
    if not situation.rules.active:
        yield Reason("inactive")
    if situation.now <= start < low:
        yield Reason("inside_notice")
    if start >= high:
        yield Reason("beyond_horizon")


def _why_hours(situation: Situation, duration: int, start: int) -> Iterator[Reason]:
    schedule = situation.schedule
    hours = schedule.openings((start, start + duration))
    inside = hours.around(start)
    if not inside:
        yield Reason("date_closed" if schedule.closes_date_of(start) else "outside_hours")
        return
    if hours.reach[inside[0]] < start + duration:
        yield Reason("outside_hours")
    if all((start - hours.opens[index]) % situation.rules.increment for index in inside):
        yield Reason("off_grid")


def _why_busy(situation: Situation, duration: int, start: int) -> Iterator[Reason]:
    rules = situation.rules
    padded = start - rules.buffer_before, start + duration + rules.buffer_after
    for calendar, busy_from, busy_to in situation.busy.meeting(*padded):
        meets = busy_from < start + duration and busy_to > start
        yield Reason("busy" if meets else "buffer", calendar, busy_from, busy_to)


def _why_claims(situation: Situation, duration: int, start: int) -> Iterator[Reason]:
    for claim in situation.claims:
        low, high = _taken(claim, situation.rules, duration)
        if not low <= start < high:
            continue
        overlaps = claim.start < start + duration and claim.end > start
        code: Code = "buffer" if not overlaps else "held" if claim.held else "booked"
        yield Reason(code, None, claim.start, claim.end)


def _why_limits(situation: Situation, start: int) -> Iterator[Reason]:
    days, weeks = _full_days(situation)
    day = zones.local_day(situation.tz, start)
    if day in days or _never(situation.rules, "daily"):
        yield Reason("daily_limit")
    if _week(day) in weeks or _never(situation.rules, "weekly"):
        yield Reason("weekly_limit")
