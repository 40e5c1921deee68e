"""One thing that was looked at: it is well, worth knowing, or to be mended, and then with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "mend"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found where; `next_step` says what to do about it."""

    check: str  # configuration, clock, database, secret key, accounts, calendars, zones, daemon, offers, mail
    state: State
    what: str
    next_step: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", what)


def note(check: str, what: str, next_step: str = "") -> Finding:
    """Worth knowing; nothing has to be done."""
    return Finding(check, "note", what, next_step)


def mend(check: str, what: str, next_step: str) -> Finding:
    """Something doesn't work, or soon won't."""
    return Finding(check, "mend", what, next_step)
