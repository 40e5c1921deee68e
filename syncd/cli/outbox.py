"""`outbox`: what is owed to calendars, tried again, or dropped."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

from syncd.care import owed as care
from syncd.care.owed import Owed
from syncd.cli.setup import opened
from syncd.cli.show import counted, print_json, print_table, say
from syncd.instants import rfc3339

_STEPS = {
    "create": "write",
    "change": "change",
    "remove": "remove",
    "nothing": "nothing any more",
    "ask_link": "ask for the meeting link of",
}


def show_owed(config_path: Path, *, as_json: bool) -> int:
    """Print what is owed, and what went wrong so far."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        found = care.owed(session)
    if as_json:
        print_json({"owed": [_json(one) for one in found]})
        return 0
    if not found:
        say("Every booking is in its calendar as it should be.")
        return 0
    print_table(("booking", "to do", "calendar", "tried", "next", "problem"), map(_row, found), whole=("booking",))
    return 0


def retry_owed(config_path: Path, booking_id: str | None, *, as_json: bool) -> int:
    """Make what is owed due at once. Raises ApiError."""
    with opened(config_path) as installation:
        with installation.services.store.write() as session:
            found = care.retry(session, booking_id, installation.services.clock())
        runs = installation.locks.daemon_runs()
    if as_json:
        print_json({"owed": [_json(one) for one in found]})
        return 0
    who = "the running daemon tries at once" if runs else "`syncd run`, or `syncd run --once`, tries"
    say(f"{counted(len(found), 'booking')} due now: {who}." if found else "Nothing is owed.")
    return 0


def drop_owed(config_path: Path, booking_id: str, *, as_json: bool) -> int:
    """Leave a booking's calendar as it is. Raises ApiError."""
    with opened(config_path) as installation, installation.services.store.write() as session:
        dropped = care.drop(session, booking_id, installation.services.clock())
    if as_json:
        print_json(_json(dropped))
    else:
        what = _STEPS[dropped.step]
        say(f"Dropped: to {what} the event of {booking_id}. The booking stays as it is; its calendar isn't touched.")
    return 0


def _json(one: Owed) -> dict[str, object]:
    return {
        "booking": one.booking_id,
        "offer": one.offer,
        "start": one.start_at.astimezone(ZoneInfo(one.tz)).isoformat(),
        "step": one.step,
        "calendar": one.calendar,
        "attempts": one.attempts,
        "problem": one.problem,
        "due_at": rfc3339(one.due_at),
        "since": rfc3339(one.since),
    }


def _row(one: Owed) -> tuple[str, ...]:
    start = one.start_at.astimezone(ZoneInfo(one.tz))
    due = f"{one.due_at.astimezone(UTC):%H:%M:%S} UTC"
    what = f"{start:%a %d %b %Y %H:%M}\n{one.booking_id}"
    to_do = _STEPS[one.step].removesuffix(" of")
    return what, to_do, one.calendar or "not chosen yet", str(one.attempts), due, one.problem or ""
