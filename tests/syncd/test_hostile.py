"""Whatever a server does to us, the store ends up with what the server holds (invariants 1, 3, 4 and 5).

A hypothesis state machine (`hostile_days.py`) plays days with a misbehaving provider (`hostile.py`) around calendars in
memory, and around a real CalDAV server. The same examples are drawn at each run; `SYNCD_HOSTILE=500` plays that many
others, drawn at random:

    SYNCD_HOSTILE=500 .venv/bin/pytest tests/syncd/test_hostile.py
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

MANY = int(os.environ.get("SYNCD_HOSTILE", "0"))


def play(days: type, *, examples: int, steps: int) -> None:
    """Play the machine: a fixed set of examples, or many at random."""
    run_state_machine_as_test(
        days,
        settings=settings(
            max_examples=MANY or examples,
            stateful_step_count=steps,
            derandomize=not MANY,
            database=None,
            deadline=None,
            print_blob=bool(MANY),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_after_days_with_a_hostile_server_the_store_holds_what_the_server_holds(hostility, at_memory):
    class AtMemory(hostility.Days):
        build = staticmethod(at_memory)

    play(AtMemory, examples=35, steps=30)


def test_after_days_with_a_hostile_caldav_server_the_store_holds_what_the_server_holds(hostility, at_radicale):
    class AtRadicale(hostility.Days):
        build = staticmethod(at_radicale)

    play(AtRadicale, examples=5, steps=15)
