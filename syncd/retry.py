"""When a failed call to a provider is made again, and how.

Decides it in one table, from the error, how often it has failed and a number drawn by the caller. Refuses to know what
was called, the store and the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from providers import errors
from providers.errors import ProviderError

Action = Literal["again", "replan", "in_full", "reconnect", "leave_calendar"]
Work = Literal["read", "write"]

FLOOR = 30.0
LONGEST: Mapping[Work, float] = {"read": 900.0, "write": 6 * 3_600.0}
HOUR, DAY = 3_600.0, 86_400.0
AT_ONCE = 3  # attempts that are made without a pause where a pause mends nothing


@dataclass(frozen=True, slots=True)
class Retry:
    """What to do next: `due_in_seconds` from now, or never by itself (None) where a person must act first.

    `again` repeats the call, `replan` reads the remote side first, `in_full` drops the sync token, `leave_calendar`
    does without this calendar meanwhile, `reconnect` stops the account.
    """

    action: Action
    due_in_seconds: float | None

    def due_at(self, now: datetime) -> datetime | None:
        """The instant it is due, seen from `now`."""
        return None if self.due_in_seconds is None else now + timedelta(seconds=self.due_in_seconds)


@dataclass(frozen=True, slots=True)
class _Failure:
    """One failed call: how often in a row, the pause that back-off asks for, the pause that the server asks for."""

    attempts: int
    backoff: float
    retry_after: float | None


Wait = Callable[[_Failure], float | None]


def _as_asked(failure: _Failure) -> float:
    """The server's word, but not for ever, and not forever at once: then the longer of both."""
    if failure.retry_after is None:
        return failure.backoff
    asked = min(max(failure.retry_after, 1.0), DAY)
    return asked if failure.attempts <= AT_ONCE else max(asked, failure.backoff)


def _growing(failure: _Failure) -> float:
    return max(failure.backoff, min(failure.retry_after or 0.0, DAY))


def _at_once(failure: _Failure) -> float:
    return 0.0 if failure.attempts <= AT_ONCE else failure.backoff


# A class stands for its leaves.
RULES: Mapping[type[ProviderError], tuple[Action, Wait]] = {
    errors.RateLimited: ("again", _as_asked),
    errors.Transient: ("again", _growing),
    errors.GrantRevoked: ("reconnect", lambda _: None),
    errors.PermissionDenied: ("leave_calendar", lambda _: HOUR),
    errors.PreconditionFailed: ("replan", _at_once),
    errors.SyncTokenInvalid: ("in_full", _at_once),
    errors.Unsupported: ("again", lambda _: DAY),
    errors.InvalidResponse: ("again", _growing),
}


def plan_retry(error: ProviderError, attempts: int, *, jitter: float, work: Work = "read") -> Retry:
    """What follows from a provider's error after `attempts` failures in a row, this one included.

    `jitter` is drawn by the caller from [0, 1): a pause lies between half of the back-off and all of it. Back-off
    doubles from a minute on, up to a quarter of an hour, so that a calendar recovers before it is stale; for what is to
    be written, up to six hours. LookupError for an error that the table doesn't know.
    """
    failure = _Failure(attempts, backoff(attempts, jitter=jitter, longest=LONGEST[work]), error.retry_after)
    action, wait = rule(type(error))
    return Retry(action, wait(failure))


def backoff(attempts: int, *, jitter: float, longest: float) -> float:
    """Seconds to wait after `attempts` failures in a row: doubling, spread by `jitter` in [0, 1), up to `longest`."""
    doubled = FLOOR * 2.0 ** min(max(attempts, 1), 32)
    return min(doubled, longest) * (1 + jitter) / 2


def rule(kind: type[ProviderError]) -> tuple[Action, Wait]:
    """The row of the table for a leaf of the providers' errors; LookupError if there is none."""
    for ancestor in kind.__mro__:
        if ancestor in RULES:
            return RULES[ancestor]
    raise LookupError(f"no retry rule for {kind.__name__}: only the leaves of the tree are raised")
