"""What every command begins with: zones, log, configuration, the opened installation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.config import Config
    from syncd.locks import ProcessLocks
    from syncd.services import Services


@dataclass(frozen=True, slots=True)
class Opened:
    """An installation a command works on."""

    services: Services
    locks: ProcessLocks
    config_path: Path


def prepare(config_path: Path, *, quiet: bool = False) -> Config:
    """Pin the zones, start the log, read the configuration. Raises ConfigError."""
    from availability import zones
    from syncd.config import load_config
    from syncd.log import configure_logging

    zones.pin()
    configure_logging(level="error" if quiet else "info")  # what a command has to tell, it says itself
    return load_config(config_path, os.environ)


@contextmanager
def opened(config_path: Path, *, quiet: bool = True) -> Iterator[Opened]:
    """Open the installation for one command. Raises ConfigError, StoreError.

    While a daemon runs, the file is applied by it alone, at its start and on SIGHUP (semantics 28).
    """
    config = prepare(config_path, quiet=quiet)
    from syncd.services import open_locks, open_services

    locks = open_locks(config)
    services = open_services(config, apply=not locks.daemon_runs())
    try:
        yield Opened(services, locks, config_path)
    finally:
        services.store.close()
        locks.close()
