"""Outside busy time, calendar by calendar, and what was worked out from it.

Decides where busy time leaves room. Refuses to know what an event is, and why it blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import ge
from typing import Any, TypeVar

from availability import intervals
from availability.intervals import Spans

EVER = 1 << 61  # further off than any instant
_KEPT_AT_MOST = 16

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, eq=False)
class Busy:
    """Busy spans as two arrays of instants per calendar, in any order; read-only, so what is worked out is kept."""

    calendars: tuple[str, ...] = ()
    starts: tuple[Sequence[int], ...] = ()
    ends: tuple[Sequence[int], ...] = ()
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _sorted: list[tuple[list[int], list[int]]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, spans: Mapping[str, Iterable[tuple[int, int]]]) -> Busy:
        """Busy time from (start, end) pairs per calendar."""
        pairs = {calendar: list(each) for calendar, each in spans.items()}
        return cls.from_arrays({key: ([a for a, _ in each], [b for _, b in each]) for key, each in pairs.items()})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, tuple[Sequence[int], Sequence[int]]]) -> Busy:
        """Busy time from arrays of starts and of ends per calendar, taken as they are: nothing is copied or sorted."""
        for calendar, (starts, ends) in arrays.items():
            if len(starts) != len(ends):
                raise ValueError(
                    f"{calendar}: {len(starts)} starts and {len(ends)} ends; right would be as many of each"
                )
        return cls(
            tuple(arrays),
            tuple(starts for starts, _ in arrays.values()),
            tuple(ends for _, ends in arrays.values()),
        )

    def union(self) -> Spans:
        """When any calendar is busy; spans without length count for nothing, one that ends before it starts raises."""
        return self.recall("union", lambda: intervals.union(*self._edges()))

    def room(self, before: int, after: int) -> Spans:
        """The instants with nothing busy in the `before` seconds up to them and the `after` seconds from them."""
        return self.recall((before, after), lambda: self._room(before, after))

    def meeting(self, start: int, end: int) -> list[tuple[str, int, int]]:
        """Every single busy span that has a part in `[start, end)`, with its calendar, unmerged."""
        return [
            (calendar, a, b)
            for calendar, starts, ends in zip(self.calendars, self.starts, self.ends, strict=True)
            for a, b in zip(starts, ends, strict=True)
            if a < end and b > start and a < b
        ]

    def recall(self, key: Hashable, compute: Callable[[], Kept]) -> Kept:
        """What was worked out from this busy time under a key: kept as long as the busy time is, within bounds."""
        kept: Kept | None = self._kept.get(key)
        if kept is None:
            kept = compute()
            if len(self._kept) >= _KEPT_AT_MOST:
                self._kept.clear()
            self._kept[key] = kept
        return kept

    def _edges(self) -> tuple[list[int], list[int]]:
        """All starts and all ends, each sorted by itself: no busy time lies between an end and a later next start."""
        if not self._sorted:
            self._sorted.append(self._sort())
        return self._sorted[0]

    def _sort(self) -> tuple[list[int], list[int]]:
        starts, ends = list(chain.from_iterable(self.starts)), list(chain.from_iterable(self.ends))
        if any(map(ge, starts, ends)):
            pairs = [pair for pair in zip(starts, ends, strict=True) if pair[0] != pair[1]]
            for start, end in pairs:
                if start > end:
                    raise ValueError(f"busy from {start} to {end}; right would be an end after the start")
            starts, ends = [start for start, _ in pairs], [end for _, end in pairs]
        starts.sort()
        ends.sort()
        return starts, ends

    def _room(self, before: int, after: int) -> Spans:
        starts, ends = self._edges()
        need, shift = before + after, after - 1
        lows: list[int] = []
        highs: list[int] = []
        for left, right in zip((-EVER, *ends), (*starts, EVER), strict=True):
            if right - left >= need:
                lows.append(left + before)
                highs.append(right - shift)
        return Spans(lows, highs)
