"""The proof that consultations can be written to a calendar and come back: a throwaway event goes the whole way.

Decides which steps prove it. The event is removed whatever happens. Refuses to know the store, and who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from providers.errors import ETagMismatch, ProviderError, Transient
from providers.model import ConsultationEvent, EventRef, Probe, RemoteCalendar, Window
from providers.port import Provider
from providers.recurrence import instances

PATIENCE = 60.0
_LENGTH = timedelta(minutes=15)
_PAUSE = 1.0
_TRIES = 4
_TITLE = "syncd: a trial that removes itself"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the proof: how long it took, and what is worth knowing."""

    name: str
    passed: bool
    seconds: float
    detail: str


@dataclass(slots=True)
class Trial:
    """A proof under way; `clock` counts seconds, `wait` lets some pass, `at` is where the event stands."""

    provider: Provider
    calendar: RemoteCalendar
    at: datetime
    key: str
    clock: Callable[[], float]
    wait: Callable[[float], None]
    probe: Probe | None = None
    ref: EventRef | None = None
    stale_etag: str = ""
    sync_token: str | None = None
    known: dict[str, str] = field(default_factory=dict)

    @property
    def event(self) -> ConsultationEvent:
        """The throwaway event."""
        end_at, made_at = self.at + _LENGTH, self.at - timedelta(days=1)
        return ConsultationEvent(self.key, self.at, end_at, _TITLE, "", None, 0, made_at)

    @property
    def moved(self) -> ConsultationEvent:
        """The event a quarter of an hour later."""
        return replace(self.event, start_at=self.at + _LENGTH, end_at=self.at + 2 * _LENGTH, sequence=1)

    @property
    def window(self) -> Window:
        """The day around it."""
        return Window(self.at - timedelta(hours=12), self.at + timedelta(hours=12))

    @property
    def written(self) -> EventRef:
        """Where the event is."""
        if self.ref is None:
            raise _Failed("the event was never written")
        return self.ref


class _Failed(Exception):
    """A step didn't come out as it must; the text says how."""


def prove(trial: Trial) -> Iterator[Step]:
    """Do every step, telling of each as it ends; without a written event the rest is left out."""
    try:
        for name, act in _STEPS:
            step = _done(trial, name, act)
            yield step
            if not step.passed and trial.ref is None:
                break
    finally:
        removed = _done(trial, "removed", _remove)
    yield removed


def _done(trial: Trial, name: str, act: Callable[[Trial], str]) -> Step:
    begun = trial.clock()
    try:
        detail, passed = act(trial), True
    except (ProviderError, _Failed) as error:
        detail, passed = str(error), False
    return Step(name, passed, trial.clock() - begun, detail)


def _read(trial: Trial) -> str:
    for page in trial.provider.changes(trial.calendar, None, trial.window):
        trial.known |= {event.remote_id: event.etag for event in page.changed}
        trial.known |= {item.remote_id: item.etag for item in page.unreadable}
        trial.sync_token = page.sync_token
    return f"{len(trial.known)} events"


def _write(trial: Trial) -> str:
    trial.ref = trial.provider.create(trial.calendar, trial.event, trial.key)
    return ""


def _pull(trial: Trial) -> str:
    until = trial.clock() + PATIENCE
    while True:
        pages = trial.provider.changes(trial.calendar, trial.sync_token, trial.window, lambda: trial.known)
        if trial.written.remote_id in {event.remote_id for page in list(pages) for event in page.changed}:
            return ""
        if trial.clock() >= until:
            raise _Failed(f"no pull brought it within {PATIENCE:.0f} s")
        trial.wait(_PAUSE)


def _look(trial: Trial) -> str:
    [glance] = trial.provider.look([trial.calendar], trial.window)
    found = [event for event in glance.events if event.remote_id == trial.written.remote_id]
    if not any(instances(event.skeleton, trial.window, "UTC") for event in found):
        raise _Failed("a look at that day doesn't show it")
    return ""


def _change(trial: Trial) -> str:
    trial.ref = trial.provider.get(trial.written).ref
    trial.stale_etag = trial.written.etag or ""
    trial.ref = trial.provider.update(trial.written, trial.moved, trial.stale_etag)
    if trial.provider.get(trial.written).start_at != trial.moved.start_at:
        raise _Failed("the server took the change and kept the old time")
    return ""


def _change_what_is_stale(trial: Trial) -> str:
    try:
        trial.provider.update(trial.written, trial.event, trial.stale_etag)
    except ETagMismatch:
        return ""
    raise _Failed("a change was taken although the event had changed meanwhile")


def _ask_the_server(trial: Trial) -> str:
    trial.probe = trial.provider.probe(trial.calendar, trial.at + timedelta(days=7))
    return " ".join(trial.probe.remarks)


def _remove(trial: Trial) -> str:
    """Remove it, also where it is only possible that it was written, and in spite of a passing fault."""
    for left in reversed(range(_TRIES)):
        try:
            found = trial.provider.find(trial.calendar, trial.key)
            if found is None:
                return ""
            trial.provider.delete(found.ref, None)
        except Transient:
            if not left:
                raise
            trial.wait(_PAUSE)
    raise _Failed(f"it is still there: remove the event “{_TITLE}” by hand")


_STEPS: tuple[tuple[str, Callable[[Trial], str]], ...] = (
    ("read", _read),
    ("written", _write),
    ("seen by a pull", _pull),
    ("seen by a look", _look),
    ("changed under If-Match", _change),
    ("a stale change refused", _change_what_is_stale),
    ("the server's ways tried", _ask_the_server),
)
