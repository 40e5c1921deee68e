"""The laws of the interval algebra, against plain sets of integers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from availability import intervals
from availability.intervals import Spans

ROOMY = settings(deadline=None, max_examples=150)
PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=8)


def numbers(spans: Spans) -> set[int]:
    return {number for start, end in spans.pairs() for number in range(start, end)}


def is_normal(spans: Spans) -> bool:
    edges = [edge for pair in spans.pairs() for edge in pair]
    return edges == sorted(set(edges))


@ROOMY
@given(PAIRS)
def test_a_union_holds_what_its_parts_hold_in_one_form_only(pairs):
    spans = intervals.of(pairs)
    assert numbers(spans) == {number for start, end in pairs for number in range(start, end)}
    assert is_normal(spans)
    assert intervals.of(reversed(pairs)) == spans == intervals.of(spans.pairs())


@ROOMY
@given(PAIRS, PAIRS)
def test_intersection_and_difference_split_a_set_in_two(one, other):
    a, b = intervals.of(one), intervals.of(other)
    both, only = intervals.intersect(a, b), intervals.subtract(a, b)
    assert numbers(both) == numbers(a) & numbers(b)
    assert numbers(only) == numbers(a) - numbers(b)
    assert is_normal(both)
    assert is_normal(only)
    assert intervals.of([*both.pairs(), *only.pairs()]).pairs() == a.pairs()


@ROOMY
@given(PAIRS, PAIRS)
def test_intersection_does_not_care_for_order(one, other):
    a, b = intervals.of(one), intervals.of(other)
    assert intervals.intersect(a, b).pairs() == intervals.intersect(b, a).pairs()


@ROOMY
@given(PAIRS, st.integers(-5, 60), st.integers(-5, 60))
def test_clipping_keeps_what_lies_in_the_window(pairs, start, end):
    spans = intervals.of(pairs)
    assert numbers(intervals.clip(spans, start, end)) == {n for n in numbers(spans) if start <= n < end}
