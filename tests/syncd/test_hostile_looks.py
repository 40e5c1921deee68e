"""The days of `hostile_days.py` with looks in them: during pulls, and with pulls during looks.

Whatever a look stored, and whenever, the store ends up with what the server holds.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from sqlalchemy import select

from providers.model import Window
from syncd.store.models import Calendar
from syncd.sync.glance import look_at

MANY = int(os.environ.get("SYNCD_HOSTILE", "0"))


def with_looks(days: type, hostile: type, killed: type[BaseException]) -> type:
    """The same days; whoever books looks first, and anyone may look at any time."""

    class Looking(days):
        def look_around(self, *, works: bool) -> None:
            """Look at every calendar; if it `works`, all that is due is done between the answer and its storing."""
            meanwhile = self.do_work if works and not self.working else lambda _order: None

            class Slow(hostile):
                def look(self, calendars, window):
                    found = super().look(calendars, window)
                    meanwhile("due")
                    return found

            self.house.services.open_provider = lambda _kind, _connection: Slow(self.other.open(), self.mischief)
            around = Window(self.house.now - timedelta(days=1), self.house.now + timedelta(days=30))
            with self.house.services.store.read() as session:
                calendars = session.scalars(select(Calendar.id)).all()
            for calendar_id in calendars:
                with contextlib.suppress(Exception, killed):  # with the work that is done meanwhile
                    look_at(self.house.services, calendar_id, around, time.monotonic() + 60)

        def wish(self, wish) -> None:
            self.look_around(works=False)
            super().wish(wish)

        @rule(works=st.booleans(), minutes=st.sampled_from([0, 1, 5]))
        def look_and_work(self, works: bool, minutes: int) -> None:
            self.house.later(minutes=minutes)
            self.look_around(works=works)
            self.note_doubts()

    return Looking


def play(days: type, *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        days,
        settings=settings(
            max_examples=MANY or examples,
            stateful_step_count=steps,
            derandomize=not MANY,
            database=None,
            deadline=None,
            print_blob=bool(MANY),
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_after_days_of_pulls_and_looks_the_store_holds_what_the_server_holds(hostility, at_memory):
    class AtMemory(with_looks(hostility.Days, hostility.Hostile, hostility.Killed)):
        build = staticmethod(at_memory)

    play(AtMemory, examples=12, steps=20)


def test_after_days_of_pulls_and_looks_at_a_caldav_server_the_store_holds_what_it_holds(hostility, at_radicale):
    class AtRadicale(with_looks(hostility.Days, hostility.Hostile, hostility.Killed)):
        build = staticmethod(at_radicale)

    play(AtRadicale, examples=1, steps=10)
