"""iCalendar to busy time (W4): ours against icalendar with recurring-ical-events, on the same bytes, in the same run.

First pull: a whole calendar is read and its merged busy time of 90 days found. One changed event: the same for the one
resource that a server sends. A day rolls by: what the first pull kept is expanded for one day more, without asking
anyone, against the libraries' full expansion, which is what they need for it. Both must find the same intervals. Peak
memory is what a process of its own takes beyond what it had once its libraries and the file were in (VmHWM of Linux, so
what C takes counts as well). Targets are shown, and fail nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import _calendar_file as w4
import _rivals as rivals
from _harness import Result, medians, show
from _rivals import Spans

from availability import zones
from providers.ical import reduce
from providers.ical_file import read_file
from providers.model import RemoteEvent, Window
from providers.recurrence import instances
from syncd.sync.busy import Choices, busy_spans
from syncd.sync.file import busy_in_file

_AGAINST = "icalendar + r.-i.-events"
_WINDOW = w4.FROM, w4.TO
_ROUNDS = 3
_MB = 1024.0


def run() -> Iterator[Result]:
    """All comparisons, one after the other."""
    zones.pin()
    text = w4.calendar_file()
    ours, theirs = _ours(text), _theirs(text)
    assert ours == theirs
    assert len(ours) > 300
    file = read_file(text)
    assert file is not None
    times = medians({"ours": lambda: _ours(text), "theirs": lambda: _theirs(text)}, _ROUNDS)
    yield _result("first pull to busy", times["ours"], times["theirs"], 25)
    yield _changed()
    a_day = {"ours": lambda: _extended(file.events, w4.TO)}
    yield _result("a day rolls by", medians(a_day, _ROUNDS)["ours"], times["theirs"], 20)
    yield _memory(text)


def _ours(text: bytes) -> Spans:
    file = read_file(text)
    assert file is not None
    return list(busy_in_file(file, [Window(*_WINDOW)], w4.ZONE, Choices()).busy[0])


def _theirs(text: bytes) -> Spans:
    return rivals.busy_by_libraries(text, _WINDOW, ZoneInfo(w4.ZONE))


def _changed() -> Result:
    """One series, as a server sends it after a change."""
    text = w4.changed_event()

    def ours() -> Spans:
        event = reduce(text, remote_id="changed.ics", etag="", own_addresses=frozenset()).event
        assert event is not None
        return list(busy_spans(instances(event.skeleton, Window(*_WINDOW), w4.ZONE), Choices()))

    assert ours() == _theirs(text)
    assert len(ours()) > 10
    times = medians({"ours": ours, "theirs": lambda: _theirs(text)})
    return _result("one changed event", times["ours"], times["theirs"], 25)


def _extended(events: tuple[RemoteEvent, ...], until: datetime) -> list[tuple[int, int]]:
    """The spans that come into view with the next day, as `extend_calendar` finds them."""
    window, found = Window(until, until + timedelta(days=1)), []
    for event in events:
        found += busy_spans(instances(event.skeleton, window, w4.ZONE), Choices())
    return found


def _result(measure: str, ours: float, theirs: float, target: float, unit: str = "s") -> Result:
    return Result("ics", "W4", measure, _AGAINST, theirs / ours, ours, theirs, unit, target)


def _memory(text: bytes) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w4.ics"
        path.write_bytes(text)
        peaks = [
            float(subprocess.run([sys.executable, __file__, side, path], check=True, capture_output=True).stdout)  # noqa: S603
            for side in _SIDES
        ]
    return _result("first pull, peak memory", peaks[0], peaks[1], 4, "MB")


_SIDES: dict[str, Callable[[bytes], Spans]] = {"--peak-of-ours": _ours, "--peak-of-theirs": _theirs}


def _peak(side: str, path: str) -> None:
    """Print how many MB one side takes at most; run as a process of its own."""
    text = Path(path).read_bytes()
    _SIDES[side](w4.changed_event())  # so that what is imported or kept on first use is there
    before = _high_water()
    assert _SIDES[side](text)
    print(_high_water() - before)


def _high_water() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / _MB for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in _SIDES:
        _peak(*sys.argv[1:3])
    else:
        show(run())
