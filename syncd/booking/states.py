"""States of a booking as a table: (state, action) → state. What isn't in it is `wrong-state`."""

from __future__ import annotations

from typing import Literal

from syncd.errors import WrongState

State = Literal["held", "pending", "confirmed", "expired", "declined", "cancelled", "completed", "no_show"]
Before = Literal["prolong", "release", "request", "confirm", "expire", "approve", "decline"]
After = Literal["reschedule", "cancel", "extend", "attendance", "complete", "no_show", "documents", "dispute"]
Action = Before | After

TRANSITIONS: dict[tuple[str, Action], State] = {
    ("held", "prolong"): "held",
    ("held", "release"): "expired",
    ("held", "expire"): "expired",
    ("held", "request"): "pending",
    ("held", "confirm"): "confirmed",
    ("held", "cancel"): "cancelled",
    ("pending", "approve"): "confirmed",
    ("pending", "decline"): "declined",
    ("pending", "expire"): "expired",
    ("pending", "reschedule"): "pending",
    ("pending", "cancel"): "cancelled",
    ("confirmed", "reschedule"): "confirmed",
    ("confirmed", "cancel"): "cancelled",
    ("confirmed", "extend"): "confirmed",
    ("confirmed", "complete"): "completed",
    ("confirmed", "no_show"): "no_show",
    ("confirmed", "attendance"): "confirmed",
    ("confirmed", "documents"): "confirmed",
    ("completed", "complete"): "completed",
    ("completed", "no_show"): "no_show",
    ("completed", "attendance"): "completed",
    ("completed", "documents"): "completed",
    ("completed", "dispute"): "completed",
    ("no_show", "complete"): "no_show",
    ("no_show", "no_show"): "no_show",
    ("no_show", "attendance"): "no_show",
    ("no_show", "documents"): "no_show",
    ("no_show", "dispute"): "no_show",
}

_PAST: dict[Action, str] = {
    "prolong": "prolonged",
    "release": "released",
    "request": "sent for approval",
    "confirm": "confirmed",
    "expire": "expired",
    "approve": "approved",
    "decline": "declined",
    "reschedule": "rescheduled",
    "cancel": "cancelled",
    "extend": "extended",
    "attendance": "attended",
    "complete": "completed",
    "no_show": "reported as a no-show",
    "documents": "followed by documents",
    "dispute": "disputed",
}


def next_state(state: str, action: Action) -> State:
    """The state an action leads to. Raises WrongState."""
    following = TRANSITIONS.get((state, action))
    if following is None:
        message = f"a booking that is {state} can't be {_PAST[action]}"
        raise WrongState(message, current_state=state)
    return following
