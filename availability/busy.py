"""Outside busy time, calendar by calendar, with its union kept warm.

Decides what of it leaves room. Refuses to know what an event is, and why it blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import ge

from availability import intervals
from availability.intervals import Spans

EVER = 1 << 61  # further off than any instant
_KEPT_AT_MOST = 64


@dataclass(frozen=True, slots=True, eq=False)
class Busy:
    """Busy spans as two arrays of instants per calendar, in any order; read-only, so what is computed once is kept."""

    calendars: tuple[str, ...] = ()
    starts: tuple[Sequence[int], ...] = ()
    ends: tuple[Sequence[int], ...] = ()
    _kept: dict[tuple[int, int], Spans] = field(default_factory=dict, repr=False)
    _union: list[Spans] = field(default_factory=list, repr=False)

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
        if not self._union:
            self._union.append(self._merge())
        return self._union[0]

    def room(self, before: int, after: int) -> Spans:
        """The instants with nothing busy in the `before` seconds up to them and the `after` seconds from them."""
        kept = self._kept.get((before, after))
        if kept is None:
            kept = self._room(before, after)
            if len(self._kept) >= _KEPT_AT_MOST:
                self._kept.clear()
            self._kept[before, after] = kept
        return kept

    def meeting(self, start: int, end: int) -> list[tuple[str, int, int]]:
        """Every single busy span that has a part in `[start, end)`, with its calendar, unmerged."""
        return [
            (calendar, a, b)
            for calendar, starts, ends in zip(self.calendars, self.starts, self.ends, strict=True)
            for a, b in zip(starts, ends, strict=True)
            if a < end and b > start and a < b
        ]

    def _merge(self) -> Spans:
        starts, ends = list(chain.from_iterable(self.starts)), list(chain.from_iterable(self.ends))
        if not any(map(ge, starts, ends)):
            return intervals.union(starts, ends)
        for start, end in zip(starts, ends, strict=True):
            if start > end:
                raise ValueError(f"busy from {start} to {end}; right would be an end that isn't before the start")
        return intervals.of(zip(starts, ends, strict=True))

    def _room(self, before: int, after: int) -> Spans:
        busy = self.union()
        gaps = [
            (left + before, right - after + 1)
            for left, right in zip((-EVER, *busy.ends), (*busy.starts, EVER), strict=True)
            if right - left >= before + after
        ]
        return Spans([start for start, _ in gaps], [end for _, end in gaps])
