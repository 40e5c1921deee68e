"""What the daemon's halves share: the store and its locks, the vault, the predicate's circumstances and the feed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import make_url

from providers import open_provider
from providers.model import Connection
from providers.port import Provider
from syncd.config import Config
from syncd.errors import ConfigError, Mistake, StoreError
from syncd.feed import Feed
from syncd.locks import ProcessLocks
from syncd.secrets import Vault
from syncd.situation import Situations
from syncd.store.access import reach_of
from syncd.store.declared import Applying, apply_config
from syncd.store.engine import Store, has_data, open_store
from syncd.sync.farewells import PATIENCE, Saying, deliver_farewells
from syncd.sync.listing import choose
from syncd.sync.looker import Looker
from syncd.sync.pull import pull_window
from syncd.sync.staleness import Freshness


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Services:
    """One opened installation. `nudge` tells the worker that something is owed; `beat_at` is its last sign of life."""

    config: Config
    store: Store
    vault: Vault
    situations: Situations
    feed: Feed
    clock: Callable[[], datetime] = utc_now
    open_provider: Callable[[str, Connection], Provider] = open_provider
    port: int = 0  # where the HTTP server listens
    nudge: Callable[[], None] = lambda: None
    beat_at: datetime | None = field(default=None)
    looker: Looker = field(default_factory=Looker)


def open_services(config: Config, *, apply: bool = True, clock: Callable[[], datetime] = utc_now) -> Services:
    """Open key, database and caches; `apply` brings what the file declares into the store.

    Raises ConfigError, StoreError.
    """
    vault = Vault.open(config.daemon.secret_key_file, create=not has_data(config.database_url))
    store = open_store(config.database_url)
    situations = Situations(Freshness.of(config.daemon))
    services = Services(config, store, vault, situations, Feed(situations), clock)
    if apply:
        apply_declared(services)
    return services


def apply_declared(services: Services) -> None:
    """Make the store say what the configuration file says."""
    now = services.clock()
    busy_until_at = pull_window(now, timedelta(seconds=services.config.daemon.keep_busy_for)).end_at
    with services.store.write() as session:
        apply_config(Applying(session, services.config, services.vault, now, busy_until_at, choose))


def say_farewells(services: Services, patience: float = PATIENCE) -> int:
    """Say what is owed to providers of accounts that have ended; returns how much still is. Raises StoreError."""
    reach = reach_of(services.config)
    saying = Saying(services.store, services.vault, reach, services.open_provider, services.clock, patience)
    return deliver_farewells(saying)


def database_file(config: Config) -> str | None:
    """The path of a SQLite database, None for any other."""
    url = make_url(config.database_url)
    return url.database if url.get_backend_name() == "sqlite" else None


def database_path(config: Config) -> Path:
    """Where the configured database is. Raises ConfigError for one that isn't SQLite."""
    path = database_file(config)
    if path is None:
        expected = "must be sqlite:///… : PostgreSQL is not supported by this version"
        raise ConfigError(mistakes=[Mistake("daemon.database", expected)])
    return Path(path)


def open_locks(config: Config) -> ProcessLocks:
    """The process locks of the configured database, by whatever links it is reached.

    Raises ConfigError where it isn't SQLite or has no folder, StoreError where nothing can be written beside it.
    """
    path = database_path(config).resolve()
    try:
        return ProcessLocks(Path(f"{path}.lock"))
    except (FileNotFoundError, NotADirectoryError):
        expected = f"there is no folder {path.parent} for {path.name}: make it, or name a file elsewhere"
        raise ConfigError(mistakes=[Mistake("daemon.database", expected)]) from None
    except OSError as error:
        where = f"{path}.lock can't be written: {error.strerror}"
        raise StoreError(f"{where}; syncd must be able to write to {path.parent}, where its database is") from None
