"""Why a start isn't offered, as callers may know it (contract §4, semantics 18)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from availability import Reason
from syncd.instants import local

RULES = frozenset({"past", "inactive", "inside_notice", "beyond_horizon", "outside_hours", "date_closed", "off_grid"})
"""Reasons that the rules alone give: the public may see them (semantics 18)."""


def visible_reasons(
    reasons: tuple[Reason, ...] | list[Reason], *, trusted: bool
) -> list[Reason | Literal["unavailable"]]:
    """What a caller may know (contract §4): to the public, private time is `unavailable` where the rules allow it."""
    if trusted:
        return list(reasons)
    public = [reason for reason in reasons if reason.code in RULES]
    return list(public) if public or not reasons else ["unavailable"]


def reasons_json(reasons: Iterable[Reason | Literal["unavailable"]], tz: str) -> list[dict[str, str]]:
    """Reasons as the API writes them, with instants in a zone."""
    return [{"code": "unavailable"} if isinstance(r, str) else _reason(r, tz) for r in reasons]


def _reason(reason: Reason, tz: str) -> dict[str, str]:
    members = {
        "code": reason.code,
        "calendar": reason.calendar,
        "from": local(reason.start, tz) if reason.start is not None else None,
        "to": local(reason.end, tz) if reason.end is not None else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def slots_json(starts: Sequence[int], duration_minutes: int, tz: str) -> list[dict[str, str]]:
    """Slots as the API writes them."""
    return [{"start": local(start, tz), "end": local(start + 60 * duration_minutes, tz)} for start in starts]
