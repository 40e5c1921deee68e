"""How long a person waits before a command begins: `syncd --help` against an interpreter that does nothing.

Rich, the web framework, the database and the provider libraries are loaded only when used. Exit code 1 if it misses.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from _harness import ROUNDS, Result, show


def run() -> Iterator[Result]:
    """CPU seconds of whole processes, which take turns."""
    rounds = [(_cpu("-m", "syncd", "--help"), _cpu("-c", "pass")) for _ in range(ROUNDS)]
    ours, theirs = (median(column) for column in zip(*rounds, strict=True))
    most = 10 * theirs
    yield Result("start", "--help", "CPU", "10 times python -c pass", most / ours, ours, most, target=1)


def _cpu(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(show(run()))
