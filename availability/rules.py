"""The rules of one consultation: how long, on what grid, how soon, how far ahead, how much room, how many.

Decides which settings make sense. Refuses to know whose they are and when they are asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

_NEVER_NEGATIVE = (
    "minimum_notice",
    "horizon",
    "buffer_before",
    "buffer_after",
    "daily_limit",
    "weekly_limit",
    "freelancer_daily_limit",
    "freelancer_weekly_limit",
)


class RulesError(ValueError):
    """A rule that makes no sense: `key` is `value`, right would be `expected`."""

    def __init__(self, key: str, value: object, expected: str) -> None:
        super().__init__(f"{key}: {value!r} is not possible; right would be {expected}")
        self.key, self.value, self.expected = key, value, expected


@dataclass(frozen=True, slots=True)
class BookingRules:
    """A consultation's rules; lengths are elapsed seconds, a limit of None is no limit.

    `daily_limit` and `weekly_limit` count this consultation alone, the freelancer's count all of theirs.
    """

    durations: tuple[int, ...]
    increment: int
    minimum_notice: int = 0
    horizon: int = 60 * 86_400
    buffer_before: int = 0
    buffer_after: int = 0
    daily_limit: int | None = None
    weekly_limit: int | None = None
    freelancer_daily_limit: int | None = None
    freelancer_weekly_limit: int | None = None
    active: bool = True

    def __post_init__(self) -> None:
        if not self.durations or min(self.durations) <= 0:
            raise RulesError("durations", self.durations, "at least one, each over 0 seconds")
        if self.increment <= 0:
            raise RulesError("increment", self.increment, "over 0 seconds")
        for key in _NEVER_NEGATIVE:
            value = getattr(self, key)
            if value is not None and value < 0:
                raise RulesError(key, value, "0 or more")

    def booking_window(self, now: int) -> tuple[int, int]:
        """The instants a start may have: from now + minimum_notice up to and without now + horizon."""
        return now + self.minimum_notice, now + self.horizon
