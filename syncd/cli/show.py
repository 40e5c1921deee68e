"""How results are printed: JSON for programs, tables for people.

What others wrote commands no terminal: control characters are replaced. What an output's encoding lacks stops no
command whose work is done.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLAINER = {"–": "-", "…": ".", "→": ">"}


def print_whatever_comes() -> None:
    """Let standard output and error show something plainer for what their encoding lacks."""
    codecs.register_error("plainer", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainer")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAINER.get(one, "?") for one in error.object[error.start : error.end]), error.end


def _harmless(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    in_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(document, ensure_ascii=not in_unicode, indent=2) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line for a person."""
    sys.stdout.write(_harmless(text) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line for a person about what failed, on standard error."""
    sys.stderr.write(_harmless(text) + "\n")


def sentence(error: Exception) -> str:
    """What an error says to a person, without secrets that others wrote into it.

    Our own sentences hold none, but examples and names of keys that look like some.
    """
    from syncd.errors import ApiError, ConfigError
    from syncd.log import scrub

    return str(error) if isinstance(error, (ConfigError, ApiError)) else scrub(str(error))


def counted(number: int, noun: str) -> str:
    """A number of things, as one writes it: 1 event, 2 events."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, to_stderr: bool = False, whole: Sequence[str] = ()
) -> None:
    """A table for a person; on standard error where it goes with a question. The columns in `whole` are never cut."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = [[_harmless(text) for text in row] for row in rows]
    table = Table(box=box.SIMPLE, pad_edge=False)
    for number, name in enumerate(columns):
        lines = (line for row in found for line in row[number].split("\n")) if name in whole else ()
        table.add_column(name, min_width=max(map(len, lines), default=None), no_wrap=name in whole)
    for row in found:
        table.add_row(*map(Text, row))
    console(to_stderr=to_stderr).print(table)


def console(*, to_stderr: bool = False) -> Console:
    """Where people read: with colours on a terminal, unless NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False, stderr=to_stderr)


@contextmanager
def progress_bars(*, as_json: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar per piece of work on a terminal's stderr: its name, how much is done, of how much; nothing for programs."""
    from rich.progress import Progress, TaskID

    screen = console(to_stderr=True)
    if as_json or not screen.is_terminal:
        yield lambda name, done, total: None
        return
    bars: dict[str, TaskID] = {}
    lock = Lock()
    with Progress(console=screen, transient=True) as progress:

        def update(name: str, done: int, total: int | None) -> None:
            with lock:
                if name not in bars:
                    bars[name] = progress.add_task(name, total=total)
                progress.update(bars[name], completed=done, total=total)

        yield update


_PULLS_BY = {
    "sync-token": "tells what changed",
    "ctag": "tells that something changed",
    "etags": "tells nothing: compared each time",
    "download": "downloaded when it changes",
    "free-busy": "tells when it is busy, and no more",
}
_WAYS = {
    "checks_tokens": ("", "takes any sync token"),
    "preconditions": ("keeps preconditions", "ignores preconditions"),
    "recurrence": ("keeps series", "loses series"),
    "zones": ("keeps zones", "loses zones"),
    "finds_by_time": ("", "doesn't find by time"),
}


def ways_of(probe: Mapping[str, Any] | None) -> str:
    """What a calendar's server was seen to do, in a few words; what nobody tried isn't told."""
    if probe is None:
        return "not seen yet"
    words = [_PULLS_BY[probe["pulls_by"]]]
    words += [kept if probe[way] else broken for way, (kept, broken) in _WAYS.items() if probe.get(way) is not None]
    words += ["read-only"] if "write" not in probe.get("privileges", ()) else []
    return ", ".join(filter(None, words))
