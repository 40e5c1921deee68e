"""What a calendar file blocks: the way of a pull, without a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from availability import intervals
from providers.errors import ProviderError
from providers.ical_file import CalendarFile
from providers.model import Unreadable, Window
from syncd.sync.busy import Choices, Room, Span, expand, span_of
from syncd.sync.quarantine import as_unreadable


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """Merged spans, clipped to each window in turn, and what could not be understood."""

    busy: tuple[tuple[Span, ...], ...]
    unreadable: tuple[Unreadable, ...]


def busy_in_file(file: CalendarFile, windows: Sequence[Window], tz: str, choices: Choices) -> FileAnswer:
    """Say when a file blocks; `tz` (IANA) is where its dates and its floating times without a zone lie."""
    unreadable = {(one.remote_id, one.start, one.reason): one for one in file.unreadable}
    answers: list[tuple[Span, ...]] = []
    for window in windows:
        spans, room = list[Span](), Room()
        for event in file.events:
            try:
                spans += expand(event.skeleton, window, tz, choices, room)
            except ProviderError as error:
                bad = as_unreadable(event, str(error))
                unreadable[(bad.remote_id, bad.start, bad.reason)] = bad
        answers.append(_clipped(spans, window))
    return FileAnswer(tuple(answers), tuple(unreadable.values()))


def _clipped(spans: Iterable[Span], window: Window) -> tuple[Span, ...]:
    first, last = span_of(window.start_at, window.end_at)
    return tuple(intervals.of((max(start, first), min(end, last)) for start, end in spans).pairs())
