"""All that is looked at, in its order: what can't be looked at is one finding, and the rest is told all the same.

Decides what is told of an installation that is open, and what is left to tell of one that can't be opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from datetime import datetime

from syncd.config import Config
from syncd.doctor import accounts, machine, offers, permissions
from syncd.doctor.findings import Finding, mend
from syncd.errors import ConfigError, Mistake, StoreError
from syncd.log import scrub
from syncd.services import Services
from syncd.situation import Situations
from syncd.store.access import reach_of
from syncd.store.engine import Store, has_data, open_store
from syncd.sync.staleness import Freshness

_STEPS = {
    "daemon.secret_key_file": ("secret key", "put back the key file this database was made with, or name it there"),
    "daemon.database": ("database", "name another file there, or mend this one as it says"),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in a database, and what it is judged by."""

    config: Config
    store: Store
    situations: Situations
    now: datetime

    def database(self) -> Iterator[Finding]:
        """The database itself."""
        with self.store.read() as session:
            yield from machine.database(session, self.config)

    def calendars(self) -> Iterator[Finding]:
        """What is known of them."""
        with self.store.read() as session:
            yield from accounts.known(session, self.situations.freshness, self.now)

    def offers(self) -> Iterator[Finding]:
        """What is offered."""
        with self.store.read() as session:
            yield from offers.examined(session, self.situations, self.now)


def examined(
    services: Services, patience: Callable[[int], AbstractContextManager[None]], *, daemon_runs: bool
) -> Iterator[Finding]:
    """Everything, of an installation that is open; `patience` says how many servers are waited for."""
    config, now = services.config, services.clock()
    stored = Stored(config, services.store, services.situations, now)
    yield from caught("database", stored.database)
    yield from caught("database", lambda: machine.room(config))
    yield from caught("secret key", lambda: _secret_key(services))
    yield from machine.zones()
    yield from caught("accounts", lambda: _accounts(services, patience))
    yield from caught("daemon", lambda: _daemon(services, now, daemon_runs=daemon_runs))
    yield from caught("calendars", stored.calendars)
    yield from caught("offers", stored.offers)
    yield from permissions.client(config)
    yield from machine.settings(config)


def _secret_key(services: Services) -> Iterator[Finding]:
    with services.store.read() as session:
        yield from machine.secret_key(session, services.vault)


def _accounts(services: Services, patience: Callable[[int], AbstractContextManager[None]]) -> Iterator[Finding]:
    with services.store.read() as session:
        waiting = accounts.to_ask(session, services.vault, reach_of(services.config))
    with patience(len(waiting)):  # and no transaction: it takes a while
        asked = accounts.ask(waiting, services.open_provider, services.clock)
    yield from machine.clock(machine.hosts([(one.host, one.drift) for one in asked]))
    yield from (finding for one in asked for finding in accounts.judged(one))
    with services.store.read() as session:
        yield from permissions.granted(session, services.vault, services.config)


def _daemon(services: Services, now: datetime, *, daemon_runs: bool) -> Iterator[Finding]:
    with services.store.read() as session:
        yield from machine.daemon(session, services.config, now, runs=daemon_runs)


def unopened(config: Config, now: datetime) -> Iterator[Finding]:
    """What is left to tell where the database or the key that opens what is in it can't be used."""
    yield from caught("database", lambda: machine.room(config))
    yield from machine.zones()
    with suppress(ConfigError, StoreError):  # that was told
        if has_data(config.database_url):
            with closing(open_store(config.database_url)) as store:
                stored = Stored(config, store, Situations(Freshness.of(config.daemon)), now)
                yield from caught("database", stored.database)
                yield from caught("calendars", stored.calendars)
                yield from caught("offers", stored.offers)
    yield from machine.settings(config)


def caught(check: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What was found, and as one more finding what kept it from being looked at."""
    try:
        yield from look()
    except (OSError, StoreError) as error:
        yield fault(check, error)


def fault(check: str, error: OSError | StoreError) -> Finding:
    """Why something can't be looked at, in words."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return mend(check, f"{where}{error.strerror or error}", "see that this user may read and write it")
    what = scrub(str(error))
    if "damaged" in what or "missing" in what:
        return mend(check, what, "`syncd restore FILE` puts a backup back")
    return mend(check, what, "see that its disk has room and can be written, and that it is this user's file")


def mistaken(where: str, mistake: Mistake) -> Finding:
    """A mistake of the configuration, under the heading it belongs to, with what mends it."""
    if mistake.key in _STEPS:
        check, step = _STEPS[mistake.key]
        return mend(check, str(mistake), step)
    if mistake.value and mistake.key.endswith("_env"):
        name = mistake.value.strip('"')
        step = f"set {name} for whatever starts syncd: export {name}=… in a shell, EnvironmentFile= in systemd"
        return mend("configuration", f"{where}: {mistake}", step)
    return mend("configuration", f"{where}: {mistake}", "correct it there; config.example.toml explains every key")
