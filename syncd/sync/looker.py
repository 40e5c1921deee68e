"""Who may look, and when: questions about one calendar that wait while it is being looked at share the next answer.

Decides how many threads look at all and at one account, and which questions are answered together. A look counts for
a question only if it began after it was asked. One that came too late for whoever asked is remembered for a while, for
who asks again. Refuses to know what a look is. Its threads don't outlive the process and aren't waited for: one that
hangs keeps its own calendar waiting, no other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Lock, Thread

import structlog

from providers.model import Window

log = structlog.get_logger("syncd.sync")

THREADS = 64
AT_ONE_ACCOUNT = 4  # as many requests as Graph takes at once from one mailbox
REMEMBERED = 15.0  # seconds from its beginning: who was told to ask again in five does, and waits two once more
_TOGETHER = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at a calendar came to: whether it was answered, how many events the store had otherwise, and why
    not if it wasn't; `basis` is what whoever looked can tell by whether it still holds."""

    answered: bool
    changed: int = 0
    reason: str = ""
    basis: object = field(default=None, compare=False, repr=False)


Look = Callable[[Window], Outcome]
"""Looks at a calendar in a window, for as long as it sees fit."""

NOT_IN_TIME = Outcome(answered=False, reason="no answer in time")


@dataclass(frozen=True, slots=True)
class Place:
    """A calendar, and the account it belongs to."""

    account_id: str
    calendar_id: str


@dataclass(eq=False, slots=True)
class Ticket:
    """A question that was asked; `until` is when nobody waits for it any more, `of_use_until` when it needn't be looked
    into any more either, both on the monotonic clock."""

    window: Window
    until: float
    of_use_until: float
    look: Look
    outcome: Outcome = NOT_IN_TIME
    _answered: Event = field(default_factory=Event)

    def wait(self) -> Outcome:
        """The outcome, as soon as there is one, and none when the time is over."""
        self._answered.wait(max(0.0, self.until - time.monotonic()))
        return self.outcome

    def answer(self, outcome: Outcome) -> None:
        """Let whoever waits go on."""
        self.outcome = outcome
        self._answered.set()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A look that was made, when it began on the monotonic clock, and what it came to."""

    window: Window
    began: float
    outcome: Outcome


class Looker:
    """Looks at calendars on threads of its own; one calendar is looked at once at a time."""

    def __init__(
        self, threads: int = THREADS, at_one_account: int = AT_ONE_ACCOUNT, remembered: float = REMEMBERED
    ) -> None:
        self._most, self._most_at_one, self._remembered = threads, at_one_account, remembered
        self._lock = Lock()
        self._waiting: dict[Place, list[Ticket]] = {}  # of every place that is ready or being looked at
        self._ready: list[Place] = []
        self._at_work: Counter[str] = Counter()  # looks by account
        self._late: dict[Place, list[_Seen]] = {}  # answers that someone had stopped waiting for, oldest first
        self._threads = 0

    def ask(self, place: Place, window: Window, until: float, of_use_until: float, look: Look) -> Ticket:
        """Ask for a look at a calendar that begins from now on; `until` is when nobody waits for it any more.

        It is begun even then, until `of_use_until`: of many calendars at a slow server, those that wait for the first
        few would else never be looked at.
        """
        ticket = Ticket(window, until, of_use_until, look)
        with self._lock:
            if place not in self._waiting:
                self._ready.append(place)
            self._waiting[place] = [*_still_asked(self._waiting.get(place, ())), ticket]
            if self._threads < self._most and self._next() is not None:
                Thread(target=self._work, name="look", daemon=True).start()
                self._threads += 1
        return ticket

    def _work(self) -> None:
        while (place := self._begin()) is not None:
            if not (tickets := self._take(place)):
                self._end(place)
                continue
            seen = _looked(tickets)
            self._remember(place, tickets, seen)
            self._end(place)
            for ticket in tickets:
                ticket.answer(seen.outcome)

    def _next(self) -> Place | None:
        return next((place for place in self._ready if self._at_work[place.account_id] < self._most_at_one), None)

    def _begin(self) -> Place | None:
        with self._lock:
            place = self._next()
            if place is None:
                self._threads -= 1
                return None
            self._ready.remove(place)
            self._at_work[place.account_id] += 1
            return place

    def _take(self, place: Place) -> list[Ticket]:
        """The questions to answer now: all whose windows lie near that of the first."""
        with self._lock:
            waiting = _still_asked(self._waiting[place])
            taken = [
                ticket for ticket in waiting if ticket is waiting[0] or _are_near(ticket.window, waiting[0].window)
            ]
            self._waiting[place] = [ticket for ticket in waiting if ticket not in taken]
            return taken

    def late(self, place: Place, window: Window) -> list[Outcome]:
        """What answered looks at all of a window came to that were too late for someone, the last first.

        Those of a server that answers in time aren't among them, nor any from before its last error.
        """
        with self._lock:
            seen = self._fresh(self._late.get(place, ()))
        return [one.outcome for one in reversed(seen) if _lies_in(window, one.window)]

    def _fresh(self, seen: Iterable[_Seen]) -> list[_Seen]:
        since = time.monotonic() - self._remembered
        return [one for one in seen if one.began > since]

    def _remember(self, place: Place, tickets: Sequence[Ticket], seen: _Seen) -> None:
        now = time.monotonic()
        is_late = any(ticket.until < now for ticket in tickets)
        with self._lock:
            if not seen.outcome.answered:
                self._late.pop(place, None)
            elif is_late:
                self._late.setdefault(place, []).append(seen)
            self._late = {place: fresh for place, ones in self._late.items() if (fresh := self._fresh(ones))}

    def _end(self, place: Place) -> None:
        with self._lock:
            self._at_work -= Counter((place.account_id,))
            if self._waiting[place]:
                self._ready.append(place)
            else:
                del self._waiting[place]


def _still_asked(tickets: Sequence[Ticket]) -> list[Ticket]:
    now = time.monotonic()
    return [ticket for ticket in tickets if ticket.of_use_until > now]


def _are_near(one: Window, other: Window) -> bool:
    return max(one.end_at, other.end_at) - min(one.start_at, other.start_at) <= _TOGETHER


def _lies_in(one: Window, other: Window) -> bool:
    return other.start_at <= one.start_at and one.end_at <= other.end_at


def _looked(tickets: Sequence[Ticket]) -> _Seen:
    """One look for all; what nobody foresaw is no answer, and told."""
    starts, ends = [ticket.window.start_at for ticket in tickets], [ticket.window.end_at for ticket in tickets]
    window, began = Window(min(starts), max(ends)), time.monotonic()
    try:
        return _Seen(window, began, tickets[0].look(window))
    except Exception as error:
        log.error("a look failed", exc_info=error)
        return _Seen(window, began, Outcome(answered=False, reason=f"a fault of syncd: {type(error).__name__}"))
