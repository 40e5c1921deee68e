"""The one predicate: which starts can be booked, and why any other can't.

Decides what is bookable; nothing else anywhere does. Refuses to know where busy time and bookings come from, what they
are called, and what time it is: `now` is part of the situation.

All instants are whole seconds since the epoch, UTC. Notice, horizon and past compare a start with `now`; as starts are
whole seconds, rounding now *up* (`whole_second`) answers exactly as the unrounded instant would.

Each rule is one function, asked by the listing about spans of starts and by `explain` about a single start.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class Reason:
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
    periods: list[list[int]] = []
    growing: dict[int, list[int]] = {}
    starts = open_slots(situation, duration, window)
    hours = situation.schedule.openings((starts[0], starts[-1] + duration)) if starts else None
    for start in starts:
        period = growing.get(start % increment)
        if hours and period and period[1] == start - increment and hours.reach_from(period[1]) > start:
            period[1] = start
        else:
            growing[start % increment] = period = [start, start]
            periods.append(period)
    return [(first, last + duration) for first, last in periods]


def open_time(situation: Situation, duration: int) -> Spans:
    """The time that all slots of `open_slots` take together, without listing them; raises as `open_slots` does."""
    _check_offered(situation, duration)
    low, high = situation.rules.booking_window(situation.now)
    if low >= high or _offers_nothing(situation):
        return intervals.EMPTY
    free = intervals.subtract(Spans((low,), (high,)), _taken(situation, duration))
    starts, ends = list[int](), list[int]()
    for run in _runs(situation, duration, low // DAY * DAY, -(high // -DAY) * DAY):
        for first, stop in intervals.clip(free, run.start, run.stop).pairs():
            kept = run[-((run.start - first) // run.step) : -((run.start - stop) // run.step)]
            meet = run.step <= duration
            starts += kept[:1] if meet else kept
            ends += [start + duration for start in (kept[-1:] if meet else kept)]
    return intervals.union(starts, ends)


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
        found = _starts(situation, duration, max(low, start - radius), min(high, start + radius))
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
    changes = [start - rules.minimum_notice + 1 for start in open_slots(situation, duration, window)[:1]]
    _, high = rules.booking_window(situation.now)
    enters = _first(situation, duration, max(high, window[0]), window[1])
    if enters is not None and rules.minimum_notice < rules.horizon:
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
    if low >= high or _offers_nothing(situation):
        return []
    found = _grid(situation, duration, low // DAY * DAY, -(high // -DAY) * DAY)
    at, stop = bisect_left(found, low), bisect_left(found, high)
    starts: list[int] = []
    for begin, end in zip(*_taken(situation, duration), strict=True):
        hole = bisect_left(found, begin, at, stop)
        starts += found[at:hole]
        at = bisect_left(found, end, hole, stop)
    return starts + found[at:stop]


def _offers_nothing(situation: Situation) -> bool:
    rules = situation.rules
    nought = 0 in (rules.daily_limit, rules.weekly_limit, rules.freelancer_daily_limit, rules.freelancer_weekly_limit)
    return bool(situation.stale) or not rules.active or nought


def _grid(situation: Situation, duration: int, low: int, high: int) -> list[int]:
    """The starts that set hours and outside busy time allow, at least those in `[low, high)`.

    Both seldom change while claims and the time do, so this is kept with the busy time.
    """
    schedule, rules = situation.schedule, situation.rules
    return situation.busy.recall(
        (schedule, rules.increment, duration, rules.buffer_before, rules.buffer_after, low, high),
        lambda: _lay_out(situation, duration, low, high),
    )


def _lay_out(situation: Situation, duration: int, low: int, high: int) -> list[int]:
    found: list[int] = []
    for run in _runs(situation, duration, low, high):
        found += run
    return found if situation.schedule.openings((low, high + duration)).plain else sorted(set(found))


def _runs(situation: Situation, duration: int, low: int, high: int) -> Iterator[range]:
    """As `_grid`, in runs of starts that follow each other; those of hours that overlap may overlap."""
    rules, hours = situation.rules, situation.schedule.openings((low, high + duration))
    starts, ends = situation.busy.room(rules.buffer_before, duration + rules.buffer_after)
    count, met, increment = len(starts), 0, rules.increment
    for opened, closed, reach in zip(hours.opens, hours.closes, hours.reach, strict=True):
        if closed <= low or opened >= high:
            continue
        stop = closed if closed + duration <= reach else reach - duration + 1
        met = at = bisect_right(ends, opened, met)
        while at < count and (first := starts[at]) < stop:
            end = ends[at]
            first = first + (opened - first) % increment if first > opened else opened
            yield range(first, end if end < stop else stop, increment)
            at += 1


def _first(situation: Situation, duration: int, low: int, high: int) -> int | None:
    step = DAY
    while low < high:
        found = _starts(situation, duration, low, min(high, low + step))
        if found:
            return found[0]
        low, step = low + step, step * 4
    return None


# The rules


def _taken(situation: Situation, duration: int) -> Spans:
    """The starts that claims and limits leave no room for."""
    rules = situation.rules
    lows, highs = _full_spans(situation)
    for claim in situation.claims:
        low, high = _taken_by(claim, rules, duration)
        lows.append(low)
        highs.append(high)
    return intervals.union(lows, highs)


def _taken_by(claim: Claim, rules: BookingRules, duration: int) -> tuple[int, int]:
    """The starts a claim leaves no room for: the gap is the larger of the earlier's after and the later's before."""
    ahead = rules.buffer_after if rules.buffer_after > claim.buffer_before else claim.buffer_before
    behind = rules.buffer_before if rules.buffer_before > claim.buffer_after else claim.buffer_after
    return claim.start - duration - ahead + 1, claim.end + behind


def _unlimited(rules: BookingRules) -> bool:
    own, every = (rules.daily_limit, rules.weekly_limit), (rules.freelancer_daily_limit, rules.freelancer_weekly_limit)
    return own == every == (None, None)


def _full_spans(situation: Situation) -> tuple[list[int], list[int]]:
    """The starts and the ends of the days whose own or whose week's limit is reached."""
    days, weeks = _full_days(situation)
    days.update(day for week in weeks for day in range(week * 7 - 3, week * 7 + 4))
    starts: list[int] = []
    ends: list[int] = []
    for day in days:
        span = zones.day_spans(situation.tz, day)
        starts += span.starts
        ends += span.ends
    return starts, ends


def _full_days(situation: Situation) -> tuple[set[int], set[int]]:
    """The local days, and the weeks, whose limits are reached; weeks are numbered from the Monday before the epoch."""
    rules, claims = situation.rules, situation.claims
    if _unlimited(rules) or not claims:
        return set(), set()
    every = zones.local_days(situation.tz, [claim.start for claim in claims])
    mine = situation.consultation
    own = sorted(day for day, claim in zip(every, claims, strict=True) if claim.consultation == mine)
    every.sort()
    return (
        _full(own, rules.daily_limit) | _full(every, rules.freelancer_daily_limit),
        _full(_weeks(own), rules.weekly_limit) | _full(_weeks(every), rules.freelancer_weekly_limit),
    )


def _weeks(days: list[int]) -> list[int]:
    return [(day + 3) // 7 for day in days]


def _full(counted: list[int], limit: int | None) -> set[int]:
    """What occurs `limit` times or more in a sorted list."""
    if not limit:
        return set()
    return {first for first, last in zip(counted, counted[limit - 1 :], strict=False) if first == last}


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
    if hours.reach_from(start) < start + duration:
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
        low, high = _taken_by(claim, situation.rules, duration)
        if not low <= start < high:
            continue
        overlaps = claim.start < start + duration and claim.end > start
        code: Code = "buffer" if not overlaps else "held" if claim.held else "booked"
        yield Reason(code, None, claim.start, claim.end)


def _why_limits(situation: Situation, start: int) -> Iterator[Reason]:
    rules = situation.rules
    days, weeks = _full_days(situation)
    day = zones.local_day(situation.tz, start)
    if day in days or 0 in (rules.daily_limit, rules.freelancer_daily_limit):
        yield Reason("daily_limit")
    if (day + 3) // 7 in weeks or 0 in (rules.weekly_limit, rules.freelancer_weekly_limit):
        yield Reason("weekly_limit")
