"""How an event that can't be understood is named, and what a person can do about it (semantics 14)."""

from __future__ import annotations

from providers.model import RemoteEvent, Unreadable

_MEND = "Open the event in the calendar program, set its time and its repetition anew and save it, or delete it."
_KNOWN = "Until then what was last known of it goes on closing slots."
_UNKNOWN = "Until then it closes no slots: if it matters, block that time with another event."


def advice(*, known: bool) -> str:
    """Say what to do; `known` says whether the event closes slots all the same, as far as it is or was understood."""
    return f"{_MEND} {_KNOWN if known else _UNKNOWN}"


def as_unreadable(event: RemoteEvent, reason: str) -> Unreadable:
    """Name an event that can be read and not expanded."""
    first = event.skeleton.partition("BEGIN:VEVENT")[2].partition("DTSTART")[2].partition("\r\n")[0]
    return Unreadable(event.remote_id, event.etag, reason, event.uid, first.rpartition(":")[2] or None)
