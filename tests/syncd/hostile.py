"""A provider that misbehaves as servers do, by plan, around any provider that doesn't.

It fails before or after an effect, loses answers, spells ETags oddly or tells old ones, repeats, mixes and empties
pages, and believes tokens it shouldn't. It keeps what no client could ever do without: an event keeps being listed
while it is there, a complete listing is complete, and an ETag is never given to a text that is older than it. What it
hides behind a token that it accepts is noted as `doubted`: only a comparison of all there is can bring that to light.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

from providers.errors import SyncTokenInvalid
from providers.model import (
    Capabilities,
    ChangePage,
    ConsultationEvent,
    EventRef,
    Glance,
    Probe,
    RemoteCalendar,
    RemoteEvent,
    Unreadable,
    Window,
    WrittenEvent,
)
from providers.port import Known, Provider

CALLS = ("list_calendars", "changes", "page", "find", "get", "create", "update", "delete")
ETAGS = ("weak", "bare", "none", "old")
LISTINGS = ("empty", "lacking", "twice", "mixed")
LIES = (
    *("mixed", "repeated", "there again", "unknown removed", "empty pages"),
    *("all for a token", "one lost", "token refused", "no token", *ETAGS),
)


class Killed(BaseException):
    """The process is killed here."""


class Bug(Exception):
    """What nobody foresaw."""


@dataclass
class Turn:
    """Something that happens at a call: `skip` calls of that name later, before or after its effect."""

    call: str
    act: Callable[[], None]
    skip: int = 0
    after: bool = False


@dataclass
class Mischief:
    """What will go wrong at an account, whoever opens it; `pages` is how many resources go on a page."""

    turns: list[Turn] = field(default_factory=list)
    answers: list[tuple[frozenset[str], int]] = field(default_factory=list)  # lies of the next pulls, with their seeds
    listings: list[str] = field(default_factory=list)  # lies of the next lists of calendars
    etags: list[str] = field(default_factory=list)  # of the next writes
    pages: int = 100
    tokenless: bool = False  # a server without sync tokens, for good
    doubted: set[str] = field(default_factory=set)  # calendars of which something was hidden
    wrote: Callable[[], None] = lambda: None  # called after each write
    old_etags: dict[str, list[str]] = field(default_factory=dict)

    def stop(self) -> None:
        """From now on the server behaves; what it can't do it still can't."""
        self.turns.clear()
        self.answers.clear()
        self.listings.clear()
        self.etags.clear()

    def happen(self, call: str, *, after: bool) -> None:
        """Let happen what is planned here."""
        for turn in [turn for turn in self.turns if turn.call == call and turn.after == after]:
            if turn.skip:
                turn.skip -= 1
            elif turn in self.turns:  # one before it may have stopped everything
                self.turns.remove(turn)
                turn.act()

    def etag(self, kind: str, remote_id: str, etag: str) -> str:
        """An ETag as such a server tells it."""
        seen = self.old_etags.setdefault(remote_id, [])
        if etag not in seen:
            seen.append(etag)
        opaque = opaque_of(etag)
        told = {"weak": f'W/"{opaque}"', "bare": opaque, "none": "", "old": seen[0]}
        return told.get(kind, etag)


def opaque_of(etag: str) -> str:
    """What counts of an ETag."""
    return etag.removeprefix("W/").strip('"')


def _plain(etag: str | None) -> str:
    return f'"{opaque_of(etag)}"' if etag else ""


@dataclass
class _Unit:
    """All that an answer says of one resource."""

    remote_id: str
    changed: list[RemoteEvent] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    removed: bool = False


class Hostile:
    """A provider in a bad mood."""

    def __init__(self, inner: Provider, mischief: Mischief) -> None:
        self._inner, self._mischief = inner, mischief

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._inner.capabilities, incremental=not self._mischief.tokenless)

    def close(self) -> None:
        self._inner.close()

    @contextmanager
    def _called(self, name: str) -> Iterator[None]:
        self._mischief.happen(name, after=False)
        yield
        self._mischief.happen(name, after=True)

    # Reading

    def list_calendars(self) -> list[RemoteCalendar]:
        with self._called("list_calendars"):
            found = self._inner.list_calendars()
        lie = self._mischief.listings.pop(0) if self._mischief.listings else ""
        lied = {"empty": [], "lacking": found[:-1], "twice": found * 2, "mixed": found[::-1]}
        return lied.get(lie, found)

    def changes(
        self, calendar: RemoteCalendar, sync_token: str | None, window: Window, known: Known | None = None
    ) -> Iterator[ChangePage]:
        lies, seed = self._mischief.answers.pop(0) if self._mischief.answers else (frozenset(), 0)
        if sync_token is not None and (self._mischief.tokenless or "token refused" in lies):
            raise SyncTokenInvalid(calendar=calendar.remote_id)
        with self._called("changes"):
            pages = list(self._inner.changes(calendar, sync_token, window, _respelled(known)))
        complete, token = pages[0].complete, pages[-1].sync_token
        units = _units(pages)
        if "all for a token" in lies and not complete:
            units = self._believed(calendar, window, units, hides=sync_token is not None)
        units = self._lied(calendar.remote_id, units, lies, random.Random(seed), complete=complete)
        if self._mischief.tokenless or "no token" in lies:
            token = None
        yield from self._told(units, complete=complete, token=token, empty="empty pages" in lies)

    def _told(self, units: Sequence[_Unit], *, complete: bool, token: str | None, empty: bool) -> Iterator[ChangePage]:
        """Yield page after page, each of which may fail; the last one has the token."""
        size = self._mischief.pages
        parts: list[Sequence[_Unit]] = [units[at : at + size] for at in range(0, len(units), size)] or [[]]
        if empty:
            parts = [[], *chain.from_iterable((part, []) for part in parts)]
        for number, part in enumerate(parts):
            with self._called("page"):
                last = number == len(parts) - 1
                page = ChangePage(
                    changed=tuple(event for unit in part for event in unit.changed),
                    removed=tuple(unit.remote_id for unit in part if unit.removed),
                    unreadable=tuple(one for unit in part for one in unit.unreadable),
                    complete=complete,
                    sync_token=token if last else None,
                )
            yield page

    def _believed(self, calendar: RemoteCalendar, window: Window, honest: list[_Unit], *, hides: bool) -> list[_Unit]:
        """All there is, in answer to a token; who compares is told what is gone all the same."""
        gone = [unit for unit in honest if unit.removed]
        if gone and hides:
            self._mischief.doubted.add(calendar.remote_id)
        everything = _units(self._inner.changes(calendar, None, window))
        return everything if hides else [*everything, *gone]

    def _lied(
        self, calendar: str, units: list[_Unit], lies: frozenset[str], dice: random.Random, *, complete: bool
    ) -> list[_Unit]:
        if "one lost" in lies and units and not complete:
            units.remove(dice.choice(units))
            self._mischief.doubted.add(calendar)
        kind = next((lie for lie in ETAGS if lie in lies), "")
        units = [self._respelled(unit, kind) for unit in units]
        if "mixed" in lies:
            dice.shuffle(units)
        if "unknown removed" in lies and not complete:
            units.insert(dice.randint(0, len(units)), _Unit("never known", removed=True))
        if "repeated" in lies:
            units += [unit for unit in units if dice.random() < 0.7]
        if "there again" in lies and units and not complete:
            units = self._there_again(units, dice.choice(units))
        return units

    def _there_again(self, units: list[_Unit], one: _Unit) -> list[_Unit]:
        """A resource that is gone and there again, or there and gone again, each on a page of its own."""
        self._mischief.pages = 1
        other = replace(one, removed=True, changed=[], unreadable=[])
        return [*units, other, one] if not one.removed else [*units, one]

    def _respelled(self, unit: _Unit, kind: str) -> _Unit:
        tell = self._mischief.etag
        changed = [replace(event, etag=tell(kind, event.remote_id, event.etag)) for event in unit.changed]
        unreadable = [replace(one, etag=tell(kind, one.remote_id, one.etag)) for one in unit.unreadable]
        return replace(unit, changed=changed, unreadable=unreadable)

    def look(self, calendars: Sequence[RemoteCalendar], window: Window) -> list[Glance]:
        with self._called("look"):
            return self._inner.look(calendars, window)

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        with self._called("probe"):
            return self._inner.probe(calendar, trial_at)

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None:
        with self._called("find"):
            return self._inner.find(calendar, idempotency_key)

    def get(self, ref: EventRef) -> WrittenEvent:
        with self._called("get"):
            return self._inner.get(ref)

    # Writing

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        with self._called("create"), self._wrote():
            ref = self._inner.create(calendar, event, idempotency_key)
        return self._told_of(ref)

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        with self._called("update"), self._wrote():
            ref = self._inner.update(ref, event, _plain(if_match))
        return self._told_of(ref)

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        with self._called("delete"), self._wrote():
            self._inner.delete(ref, _plain(if_match) or None)

    @contextmanager
    def _wrote(self) -> Iterator[None]:
        yield
        self._mischief.wrote()

    def _told_of(self, ref: EventRef) -> EventRef:
        kind = self._mischief.etags.pop(0) if self._mischief.etags else ""
        etag = self._mischief.etag(kind, ref.remote_id, ref.etag or "")
        return replace(ref, etag=etag or None)


def _respelled(known: Known | None) -> Known | None:
    """What is known, with ETags as the server spells them: another spelling is no change."""
    return None if known is None else lambda: {key: _plain(etag) for key, etag in _asked(known).items()}


def _asked(known: Known) -> Mapping[str, str]:
    return known()


def _units(pages: Iterator[ChangePage] | Sequence[ChangePage]) -> list[_Unit]:
    """What an honest answer says, by resource."""
    units: dict[str, _Unit] = {}
    for page in pages:
        for event in page.changed:
            units.setdefault(event.remote_id, _Unit(event.remote_id)).changed.append(event)
        for one in page.unreadable:
            units.setdefault(one.remote_id, _Unit(one.remote_id)).unreadable.append(one)
        for remote_id in page.removed:
            units.setdefault(remote_id, _Unit(remote_id)).removed = True
    return list(units.values())
