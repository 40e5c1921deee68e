"""How the benchmarks measure: rivals in one run, interleaved, medians of process CPU time; and how they print.

Only ratios within one run mean anything: the machine is shared.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

ROUNDS = 11
_ENOUGH = 0.004  # seconds of CPU that one sample should last, so that the clock's grain doesn't show


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison; `ratio` is theirs / ours, so higher is better; `target` is what it must reach, if anything."""

    benchmark: str
    workload: str
    measure: str
    against: str
    ratio: float
    ours: float
    theirs: float
    unit: str = "s"
    target: float | None = None

    @property
    def met(self) -> bool:
        return self.target is None or self.ratio >= self.target


def medians(rivals: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """CPU seconds a call of each rival takes: the median over rounds in which all take turns."""
    repeats = {name: _repeats(call) for name, call in rivals.items()}
    samples: dict[str, list[float]] = {name: [] for name in rivals}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in rivals.items():
                samples[name].append(_cpu(call, repeats[name]) / repeats[name])
    finally:
        gc.enable()
    return {name: median(times) for name, times in samples.items()}


def show(results: Iterable[Result]) -> int:
    """Print the results, one JSON object a line if `--json` was given; the exit code is 1 if a target fails."""
    failed = False
    as_json = "--json" in sys.argv[1:]
    if not as_json:
        print(f"{'workload':<10} {'measure':<22} {'against':<24} {'ours':>11} {'theirs':>11} {'ratio':>8}  target")
    for result in results:
        failed = failed or not result.met
        print(_json(result) if as_json else _row(result), flush=True)
    return 1 if failed else 0


def _cpu(call: Callable[[], object], repeats: int) -> float:
    begun = time.process_time()
    for _ in range(repeats):
        call()
    return time.process_time() - begun


def _repeats(call: Callable[[], object]) -> int:
    call()
    repeats = 1
    while _cpu(call, repeats) < _ENOUGH:
        repeats *= 2
    return repeats


def _json(result: Result) -> str:
    fields = {key: value for key, value in asdict(result).items() if key != "target"}
    return json.dumps(fields | {"ratio": round(result.ratio, 2)})


def _row(result: Result) -> str:
    wanted = "" if result.target is None else f"≥ {result.target:g} {'met' if result.met else 'MISSED'}"
    ours, theirs = (_amount(amount, result.unit) for amount in (result.ours, result.theirs))
    return (
        f"{result.workload:<10} {result.measure:<22} {result.against:<24} "
        f"{ours:>11} {theirs:>11} {result.ratio:>7.1f}×  {wanted}"
    )


def _amount(amount: float, unit: str) -> str:
    return f"{amount * 1e6:,.1f} µs" if unit == "s" else f"{amount:,.1f} {unit}"
