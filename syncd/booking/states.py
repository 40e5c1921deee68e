"""States of a booking as a table: (state, action) → state. What isn't in it is `wrong-state`."""

from __future__ import annotations

from typing import Literal

from syncd.errors import WrongState

State = Literal["held", "pending", "confirmed", "expired", "declined", "cancelled", "completed", "no_show"]
Action = Literal["reschedule", "cancel"]

TRANSITIONS: dict[tuple[str, Action], State] = {
    ("pending", "reschedule"): "pending",
    ("confirmed", "reschedule"): "confirmed",
    ("held", "cancel"): "cancelled",
    ("pending", "cancel"): "cancelled",
    ("confirmed", "cancel"): "cancelled",
}


def next_state(state: str, action: Action) -> State:
    """The state an action leads to. Raises WrongState."""
    following = TRANSITIONS.get((state, action))
    if following is None:
        message = f"a booking that is {state} can't be {_PAST[action]}"
        raise WrongState(message, current_state=state)
    return following


_PAST: dict[Action, str] = {"reschedule": "rescheduled", "cancel": "cancelled"}
