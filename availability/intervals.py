"""Sets of whole numbers as half-open intervals: union, intersection, difference.

Decides how two sets of intervals combine. Refuses to know what the numbers mean: here they are neither times nor days.

A set is two sequences side by side, the starts and the ends, both strictly rising, with `start < end` and a gap between
neighbours. That form is the smallest Python sorts, slices and bisects without touching an element twice, and it allows
the union to be read off starts and ends sorted *apart*: after i intervals have begun and i have ended, none is open.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Spans(NamedTuple):
    """A set of integers: the union of `[starts[i], ends[i])`, disjoint, never touching, rising."""

    starts: Sequence[int]
    ends: Sequence[int]

    def pairs(self) -> list[tuple[int, int]]:
        """The intervals one by one."""
        return list(zip(self.starts, self.ends, strict=True))


EMPTY = Spans((), ())


def union(starts: Iterable[int], ends: Iterable[int]) -> Spans:
    """The union of the intervals `[starts[i], ends[i])`, in any order; each must have start < end."""
    return _merge(sorted(starts), sorted(ends))


def of(pairs: Iterable[tuple[int, int]]) -> Spans:
    """The union of pairs in any order; empty pairs count for nothing."""
    kept = [pair for pair in pairs if pair[0] < pair[1]]
    return union([start for start, _ in kept], [end for _, end in kept])


def intersect(one: Spans, other: Spans) -> Spans:
    """What is in both."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in zip(*other, strict=True):
        first, last = bisect_right(one.ends, start), bisect_left(one.starts, end)
        if first < last:
            starts += [max(start, one.starts[first]), *one.starts[first + 1 : last]]
            ends += [*one.ends[first : last - 1], min(end, one.ends[last - 1])]
    return Spans(starts, ends)


def subtract(spans: Spans, holes: Spans) -> Spans:
    """What is in `spans` and not in `holes`; the work grows with the holes, the rest is copied in slices."""
    left, right = list(spans.starts), spans.ends
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for start, end in zip(*holes, strict=True):
        before = bisect_right(right, start, at)
        starts += left[at:before]
        ends += right[at:before]
        if before < len(left) and left[before] < start:
            starts.append(left[before])
            ends.append(start)
        at = bisect_right(right, end, before)
        if at < len(left) and left[at] < end:
            left[at] = end
    starts += left[at:]
    ends += right[at:]
    return Spans(starts, ends)


def clip(spans: Spans, start: int, end: int) -> Spans:
    """What lies in `[start, end)`."""
    return intersect(spans, Spans((start,), (end,))) if start < end else EMPTY


def _merge(starts: Sequence[int], ends: Sequence[int]) -> Spans:
    if not starts:
        return EMPTY
    gaps = [(end, start) for end, start in zip(ends, starts[1:], strict=False) if end < start]
    return Spans([starts[0], *[start for _, start in gaps]], [*[end for end, _ in gaps], ends[-1]])
