"""The machine: the database's file, the secret key's, zones, the clock, the daemon.

Decides from what point on a disk is full, a clock wrong, a pass late. Refuses to know freelancers and what they offer.
"""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from syncd.config import Config, later_keys
from syncd.doctor.findings import Finding, mend, note, ok
from syncd.errors import ConfigError
from syncd.secrets import Vault
from syncd.services import database_file
from syncd.store.channels import unheard
from syncd.store.leases import last_pull_at
from syncd.store.models import Account
from syncd.sync.watches import UNANSWERED, hooks_of

_FULL = 200 * 1024 * 1024  # bytes left
_SWOLLEN = 256 * 1024 * 1024  # bytes of a write-ahead log
_TOO_FAR = timedelta(seconds=5)
_MEGABYTE = 1024 * 1024


def database(session: Session, config: Config) -> Iterator[Finding]:
    """The database: sound, and read by its owner alone."""
    broken = [row for row in session.scalars(text("PRAGMA integrity_check")) if row != "ok"]
    schema = session.scalar(text("SELECT version_num FROM alembic_version"))
    path = Path(database_file(config) or "")
    if broken:
        yield mend("database", f"{path} is damaged: {broken[0]}", "`syncd restore FILE` puts a backup back")
        return
    size = path.stat().st_size
    yield ok("database", f"{path} is sound, {max(1, size // _MEGABYTE)} MB, schema {schema}")
    for file in (path, path.with_name(f"{path.name}-wal")):
        if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            what = f"other users of this machine can read {file} (mode {mode:o}), which holds clients' addresses"
            yield note("database", what, f"chmod 600 {file}")


def room(config: Config) -> Iterator[Finding]:
    """Room on the disk for what is to be booked; nothing, where the database has no folder. Raises OSError."""
    path = Path(database_file(config) or "")
    if not path.parent.is_dir():
        return
    size = path.stat().st_size if path.exists() else 0
    free = shutil.disk_usage(path.parent).free
    if free < max(_FULL, size):
        what = f"only {free // _MEGABYTE} MB are free on the disk of {path}"
        yield mend("database", what, "make room: without it nothing can be booked, and no backup be made")
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size > _SWOLLEN:
        what = (
            f"{wal} has grown to {wal.stat().st_size // _MEGABYTE} MB: some program holds an old view of the database"
        )
        yield mend("database", what, "end that program, or restart the daemon")


def secret_key(session: Session, vault: Vault) -> Iterator[Finding]:
    """The key opens what is stored. (That it exists and is its owner's alone was checked when it was opened.)"""
    closed = []
    for account in session.scalars(select(Account).where(Account.active, Account.credential.is_not(None))):
        try:
            vault.unseal(account.credential or b"")
        except ConfigError:
            closed.append(f"{account.freelancer.handle}/{account.name}")
    if closed:
        what = f"{vault.path} doesn't open the password of {', '.join(closed)}"
        yield mend("secret key", what, "put back the key file this database was made with, or connect them again")
    else:
        mode = stat.S_IMODE(vault.path.stat().st_mode)
        yield ok("secret key", f"{vault.path} opens what is stored, mode {mode:o}; keep a copy of it elsewhere")


def zones() -> Iterator[Finding]:
    """Which zones are used, and where this machine is."""
    from importlib.metadata import version

    yield ok("zones", f"tzdata {version('tzdata')}, the same on every machine; this one is in {time.tzname[0]}")


def clock(drifts: Mapping[str, timedelta]) -> Iterator[Finding]:
    """Our clock against those of the servers that were asked: most of them would have to be wrong at once."""
    if not drifts:
        yield note("clock", "no server was there to compare it with", "timedatectl shows whether it is synchronised")
        return
    drift = timedelta(seconds=median(each.total_seconds() for each in drifts.values()))
    hosts = ", ".join(sorted(drifts))
    if abs(drift) <= _TOO_FAR:
        yield ok("clock", f"within {_TOO_FAR.seconds} s of {hosts}")
        return
    way = "behind" if drift > timedelta() else "ahead of"
    what = f"this machine's clock is {_words(abs(drift))} {way} {hosts}: minimum notice, holds and reminders go by it"
    yield mend("clock", what, "synchronise it: timedatectl set-ntp true")


def _words(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def daemon(session: Session, config: Config, now: datetime, *, runs: bool) -> Iterator[Finding]:
    """Whether calendars are pulled often enough, by a daemon or by passes of a timer."""
    if runs:
        yield ok("daemon", f"runs, at {config.public_url(config.server.port)}")
        yield from _unheard(session, config, now)
        return
    has_accounts = session.scalar(select(Account.id).where(Account.active).limit(1)) is not None
    last, stale_after = last_pull_at(session), timedelta(seconds=config.daemon.stale_after)
    start = "start `syncd run`, or let a timer call `syncd run --once` every few minutes"
    if has_accounts and last is None:
        yield mend("daemon", "no daemon runs, and no calendar was pulled yet: no slots are offered", start)
    elif has_accounts and last is not None and now - last > stale_after:
        what = f"no daemon runs, and the last pull was {_words(now - last)} ago, longer than stale_after"
        yield mend("daemon", f"{what} ({_words(stale_after)}): no slots are offered", start)
    else:
        pulled = f"; the last pull was {_words(now - last)} ago" if last else ""
        yield note("daemon", f"no daemon runs now: nothing is served over HTTP{pulled}", start)


def _unheard(session: Session, config: Config, now: datetime) -> Iterator[Finding]:
    """Accounts whose provider was asked to tell of changes, which it confirms at once, and from which nothing came."""
    if silent := unheard(session, now - UNANSWERED):
        where = f"{hooks_of(config.daemon.public_url)}/"
        what = f"changes of {', '.join(silent)} are to be told at {where}, but nothing arrives there"
        step = f"see that your proxy hands {where}… on to syncd, and that its certificate is one that all trust"
        yield mend("daemon", what, step)


def settings(config: Config) -> Iterator[Finding]:
    """What the file leaves out, and what that means."""
    if config.mail is None:
        what = (
            "no [mail] is configured: no confirmation, change, cancellation, proposal or reminder is mailed to anyone"
        )
        yield note("mail", what, "add [mail] with host and from; or leave it to your own pages and webhooks")
    if later := later_keys(config):
        yield note("configuration", f"set, but with no effect in this version: {', '.join(later)}")
    if not config.daemon.public_url.startswith("https://") and (config.google or config.microsoft):
        what = f"public_url is {config.daemon.public_url}, but changes are told to https addresses alone"
        pace = f"calendars are asked every {_words(timedelta(seconds=config.daemon.sync_every))} instead"
        yield note("configuration", f"{what}: {pace}", "set daemon.public_url to the https address of your proxy")
    yield from _open_to_all(config)
    if config.daemon.sync_every >= config.daemon.stale_after:
        what = "daemon.sync_every isn't shorter than stale_after: calendars go stale between two pulls"
        yield mend("configuration", what, "make stale_after several times sync_every")


def _open_to_all(config: Config) -> Iterator[Finding]:
    is_local = config.server.host in ("127.0.0.1", "::1", "localhost")
    if not is_local and "public_url" not in config.daemon.model_fields_set:
        what = f"the server listens on {config.server.host}, but links say {config.public_url(config.server.port)}"
        yield note("configuration", what, "set daemon.public_url to the address that clients use")


def hosts(drifts: Sequence[tuple[str, timedelta | None]]) -> dict[str, timedelta]:
    """The drift by host, of those that told."""
    return {host: drift for host, drift in drifts if drift is not None}
