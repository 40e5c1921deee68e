"""The slot engine against portion, sorted integers and a loop over datetimes; set hours and rendering against zoneinfo.

Cold: the busy time arrives as arrays and nothing is remembered of it. Warm: its union is kept from the query before.
Every rule is on: notice, horizon, buffers, bookings and holds, daily and weekly limits. The rivals are given the rules
worked out beforehand, as a few more blocked intervals, and must return the same slots. Exit code 1 if a target fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import _rivals as rivals
import _workloads as workloads
from _harness import ROUNDS, Result, medians, show
from _workloads import DURATION, FIRST, INCREMENT, ZONE, Workload

from availability import Busy, Schedule, open_slots, zones
from syncd import feed_json

_SIZES = {"W1": (60, 300, 1), "W2": (60, 5_000, 10), "W3": (365, 20_000, 10)}
_COLD = {"W1": 20, "W2": 10, "W3": 6}
_WARM = {"W1": 50, "W2": 300, "W3": 150}


def run() -> Iterator[Result]:
    """All comparisons, one after the other."""
    zones.pin()
    warm: dict[str, float] = {}
    for name, (days, busy, calendars) in _SIZES.items():
        workload = workloads.build(name, days, busy, calendars)
        times = medians(_rivals(workload), ROUNDS if name != "W3" else 5)
        warm[name] = times["warm"]
        yield from _compared(name, times)
    yield Result("slots", "W2", "warm, against itself", "warm W1", warm["W1"] / warm["W2"], warm["W2"], warm["W1"],
                 target=0.5)  # fmt: skip
    yield _hours()
    yield _rendering()


def _rivals(workload: Workload) -> dict[str, Callable[[], object]]:
    plain, minutes = workload.plain, (DURATION // 60, INCREMENT // 60)
    merged = rivals.merged(plain.blocked)
    calls: dict[str, Callable[[], list[int]]] = {
        "cold": partial(_cold, workload),
        "warm": partial(open_slots, workload.situation, DURATION, workload.window),
        "portion": partial(rivals.by_portion, plain.openings, plain.blocked, *minutes),
        "sorted integers": lambda: rivals.by_sorted_integers(plain.openings, rivals.merged(plain.blocked), *minutes),
        "sorted integers, warm": partial(rivals.by_sorted_integers, plain.openings, merged, *minutes),
    }
    ours = calls["warm"]()
    assert len(ours) > 50
    for name, call in calls.items():
        seconds = 1 if name in ("cold", "warm") else 60
        assert [start * seconds for start in call()] == ours, name
    return {**calls, **(_loop(workload, ours) if workload.name != "W3" else {})}


def _cold(workload: Workload) -> list[int]:
    situation = workload.situation
    fresh = type(situation)(
        situation.schedule,
        situation.rules,
        situation.tz,
        situation.consultation,
        Busy.from_arrays(workload.spans),
        situation.claims,
        situation.stale,
        situation.now,
    )
    return open_slots(fresh, DURATION, workload.window)


def _loop(workload: Workload, ours: list[int]) -> dict[str, Callable[[], object]]:
    def moments(spans: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
        return [(datetime.fromtimestamp(a * 60, UTC), datetime.fromtimestamp(b * 60, UTC)) for a, b in spans]

    plain = workload.plain
    lengths = timedelta(seconds=DURATION), timedelta(seconds=INCREMENT)
    call = partial(rivals.by_datetimes, moments(plain.openings), moments(plain.blocked), *lengths)
    assert [int(start.timestamp()) for start in call()] == ours
    return {"loop over datetimes": call}


def _compared(name: str, times: dict[str, float]) -> Iterator[Result]:
    pairs = [("cold", "portion", _COLD[name]), ("cold", "sorted integers", None), ("cold", "loop over datetimes", None)]
    pairs += [("warm", "portion", _WARM[name]), ("warm", "sorted integers, warm", None)]
    pairs += [("warm", "loop over datetimes", None)]
    for measure, against, target in pairs:
        if against in times:
            ours, theirs = times[measure], times[against]
            yield Result("slots", name, measure, against, theirs / ours, ours, theirs, target=target)


def _hours() -> Result:
    """The set hours of W1, nothing of them remembered."""
    week = {day: ["09:00-17:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
    schedule, days, zone = Schedule.parse(week, {}, ZONE), _SIZES["W1"][0], zones.load(ZONE)
    theirs = rivals.openings_by_zoneinfo(FIRST, days, zone)
    window = theirs[0][0], theirs[-1][1]
    fresh = lambda: Schedule(schedule.tz, schedule.weekly, schedule.on).openings(window)
    found = fresh()
    assert set(theirs) <= set(zip(found.opens, found.closes, strict=True))
    times = medians({"ours": fresh, "theirs": lambda: rivals.openings_by_zoneinfo(FIRST, days, zone)})
    return _against("weekly hours to UTC", "two conversions each", times)


def _rendering() -> Result:
    """W1's slots under rules that leave many of them."""
    theirs = rivals.openings_by_zoneinfo(FIRST, 60, ZoneInfo(ZONE))
    starts = [start for low, high in theirs for start in range(low, high - DURATION + 1, INCREMENT)][::2][:529]
    zone = zones.load(ZONE)
    assert feed_json.render_days(starts, DURATION, ZONE) == rivals.render_by_isoformat(starts, DURATION, zone)
    times = medians(
        {
            "ours": lambda: feed_json.render_days(starts, DURATION, ZONE),
            "theirs": lambda: rivals.render_by_isoformat(starts, DURATION, zone),
        }
    )
    return _against("rendering 529 slots", "isoformat + json", times)


def _against(measure: str, against: str, times: dict[str, float]) -> Result:
    ours, theirs = times["ours"], times["theirs"]
    return Result("slots", "W1", measure, against, theirs / ours, ours, theirs, target=5)


if __name__ == "__main__":
    sys.exit(show(run()))
