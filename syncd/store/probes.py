"""What a calendar's server was seen to do, as it is kept: JSON in the calendar's row."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from providers.model import Probe, RemoteCalendar
from syncd.store.models import Calendar

EVERY = timedelta(days=7)
_AFTER_A_FAILURE = timedelta(hours=1)


def is_due(calendar: Calendar, now: datetime) -> bool:
    """Whether it should be found out (again) what the server does with a calendar."""
    return (
        calendar.is_pulled and not calendar.gone and (calendar.probed_at is None or now - calendar.probed_at >= EVERY)
    )


def keep(calendar: Calendar, probe: Probe | None, now: datetime) -> None:
    """Remember a probe; what it didn't try is still as an earlier one found it. One that failed, None, is due soon."""
    if probe is not None:
        kept: dict[str, Any] = dict(calendar.probe) if calendar.probe else {}
        kept.update((name, value) for name, value in asdict(probe).items() if value is not None)
        calendar.probe = kept
    calendar.probed_at = now if probe is not None else now - EVERY + _AFTER_A_FAILURE


def probe_of(calendar: Calendar) -> Probe | None:
    """The probe that is kept."""
    return _probe(calendar.probe) if calendar.probe else None


def _probe(kept: dict[str, Any]) -> Probe:
    found: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in kept.items()}
    return Probe(**found)


def remote_of(calendar: Calendar) -> RemoteCalendar:
    """A calendar as its provider knows it, with what was seen of its server."""
    return RemoteCalendar(
        calendar.remote_id,
        calendar.name,
        calendar.colour,
        calendar.tz,
        calendar.can_write,
        calendar.role,  # type: ignore[arg-type] # stored as it was listed
        calendar.is_primary,
        calendar.is_hidden,
        calendar.makes_links,
        probe=probe_of(calendar),
    )
