"""What the shell completes: handles, offers, calendars, bookings, keys, as the database has them now.

Decides where the words come from. A completion must be quick and must never fail or change anything, so the database is
read as a file, without the rest of syncd, and what can't be read completes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

_MOST = 200
Words = list[tuple[str, str]]


def _complete(sql: str) -> Callable[[typer.Context, str], Words]:
    """A completion from a query of words and what they mean; `:word` is what is typed so far."""

    def words(ctx: typer.Context, incomplete: str) -> Words:
        return [(word, meaning) for word, meaning in _rows(ctx, sql, incomplete) if word.startswith(incomplete)]

    return words


handles = _complete("SELECT handle, name FROM freelancers WHERE NOT removed ORDER BY handle")
offers = _complete(
    "SELECT f.handle || '/' || c.slug, c.title FROM consultations c JOIN freelancers f ON f.id = c.freelancer_id"
    " WHERE NOT c.removed AND NOT f.removed ORDER BY 1"
)
accounts = _complete("SELECT name, provider FROM accounts WHERE active ORDER BY name")
calendars = _complete(
    "SELECT a.name || '/' || c.name, a.provider FROM calendars c JOIN accounts a ON a.id = c.account_id"
    " WHERE a.active AND NOT c.gone ORDER BY 1"
)
bookings = _complete(
    "SELECT id, state || ', ' || substr(starts_at, 1, 16) FROM bookings ORDER BY starts_at DESC LIMIT 200"
)
live_bookings = _complete(
    "SELECT id, state || ', ' || substr(starts_at, 1, 16) FROM bookings WHERE state IN ('held', 'pending', 'confirmed')"
    " ORDER BY starts_at DESC LIMIT 200"
)
keys = _complete("SELECT id, coalesce(revoked_at, 'in use') FROM api_keys ORDER BY created_at DESC")


def presets(incomplete: str) -> Words:
    """The services that `connect caldav` and `init` know."""
    from syncd.cli.presets import PRESETS

    return [(preset.key, preset.title) for preset in PRESETS if preset.key.startswith(incomplete.lower())]


def zones(incomplete: str) -> list[str]:
    """The time zones there are."""
    from zoneinfo import available_timezones

    return sorted(name for name in available_timezones() if name.startswith(incomplete))


def states(incomplete: str) -> list[str]:
    """The states of bookings."""
    from typing import get_args

    from syncd.booking.states import State

    return [state for state in get_args(State) if state.startswith(incomplete)]


def scopes(incomplete: str) -> list[str]:
    """What an API key may do."""
    return [s for s in ("slots:read", "bookings:read", "bookings:write", "manage") if s.startswith(incomplete)]


def _rows(ctx: typer.Context, sql: str, incomplete: str) -> Iterable[tuple[str, str]]:
    import sqlite3  # what only a completion needs must not slow down every command
    from contextlib import closing, suppress

    with suppress(OSError, ValueError, sqlite3.Error):
        database = _database(Path(ctx.params.get("config") or "config.toml"))
        if database is not None:
            address = f"{database.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=0.2)) as connection:
                return [(str(word), str(meaning)) for word, meaning in connection.execute(sql).fetchmany(_MOST)]
    return []


def _database(config_path: Path) -> Path | None:
    """The SQLite file that a configuration names, None where there is another database. Raises OSError, ValueError."""
    import tomllib

    config: dict[str, Any] = tomllib.loads(config_path.read_text(encoding="utf-8-sig"))
    daemon = config.get("daemon")
    named = daemon.get("database") if isinstance(daemon, dict) else None
    url = os.environ.get("SYNCD_DAEMON__DATABASE") or named or "sqlite:///syncd.db"
    scheme, _, rest = str(url).partition(":///")
    return config_path.absolute().parent / rest.partition("?")[0] if scheme == "sqlite" else None
