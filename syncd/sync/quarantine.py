"""What a person can do about an event that can't be understood (semantics 14)."""

from __future__ import annotations

_MEND = "Open the event in the calendar program, set its time and its repetition anew and save it, or delete it."
_KNOWN = "Until then what was last known of it goes on closing slots."
_UNKNOWN = "Until then it closes no slots: if it matters, block that time with another event."


def advice(*, known: bool) -> str:
    """Say what to do; `known` says whether anything of the event is understood, now or from before."""
    return f"{_MEND} {_KNOWN if known else _UNKNOWN}"
