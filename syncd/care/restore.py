"""A backup back in its place, of an installation that nobody works on meanwhile.

Decides what is checked before anything is touched, and in which order files change places: at any moment there is the
old database or the new one under its name, never half of one, and the old one is kept aside.

A database that is put back knows the past. Bookings are again what they were then; what happened since is in the
calendars alone, so those are read in full before any slot is offered: bookings made since are events that block, and
one that was moved or cancelled since shows as drifted. Keys and links revoked since are valid again, and people
forgotten since are back: an owner is told.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import URL

from syncd.care.files import sync_file
from syncd.errors import ApiError
from syncd.locks import ProcessLocks
from syncd.secrets import Vault
from syncd.store import copies
from syncd.store.copies import Contents, NotACopy, Progress
from syncd.store.engine import open_store

_LOGS = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database belongs, and the key that opens what is sealed in it."""

    database: Path
    secret_key_file: Path


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back, where the one before is now, and how many calendars are read anew."""

    database: Path
    kept: Path | None
    contents: Contents
    calendars: int


def check_backup(path: Path, place: Place) -> None:
    """Raise ApiError unless a file is a backup that this version can put back, ConfigError without a usable key."""
    if not path.is_file():
        raise ApiError("invalid-request", f"{path} is no file; right would be one that `syncd backup` made")
    if place.database.exists() and path.samefile(place.database):
        raise ApiError("invalid-request", f"{path} is the database itself; right would be a backup of it")
    try:
        copies.check(path)
    except NotACopy as error:
        raise ApiError("invalid-request", f"{path} is no backup that can be put back: {error}") from None
    Vault.open(place.secret_key_file, create=False)


def restore(
    path: Path, place: Place, locks: ProcessLocks, now: datetime, progress: Progress = lambda done, total: None
) -> Restored:
    """Put a backup in the database's place. Raises ApiError, ConfigError, and StoreError while anyone works on it."""
    locks.become_only()
    check_backup(path, place)
    with _prepared(path, place, progress) as fresh:
        contents, calendars = _made_ready(fresh, place, now)
        kept = _set_aside(place.database, now)
        fresh.replace(place.database)
        sync_file(place.database.parent)
    return Restored(place.database, kept, contents, calendars)


@contextmanager
def _prepared(path: Path, place: Place, progress: Progress) -> Iterator[Path]:
    """A copy of the backup beside the database; what an attempt that was killed left there is removed."""
    fresh = place.database.with_name(f".{place.database.name}.restoring")
    _discard(fresh)
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        copies.copy_file(path, fresh, progress)
        yield fresh
    finally:
        _discard(fresh)


def _made_ready(fresh: Path, place: Place, now: datetime) -> tuple[Contents, int]:
    """Bring it to this version's schema, see that the key opens it, and let it believe nothing of calendars."""
    vault = Vault.open(place.secret_key_file, create=False)
    url = URL.create("sqlite", database=str(fresh)).render_as_string()
    with closing(open_store(url)) as store, store.write() as session:
        for sealed in copies.sealed_in(session):
            vault.unseal(sealed)
        contents, calendars = copies.contents_of(session), copies.distrust(session, now)
    copies.one_file(fresh)
    _give_away(fresh, place.database)
    sync_file(fresh)
    return contents, calendars


def _give_away(fresh: Path, before: Path) -> None:
    """Let it belong to whom the old one belonged: the one who restores may be another than the one who runs it."""
    with suppress(OSError):
        was = before.stat()
        shutil.chown(fresh, was.st_uid, was.st_gid)
        fresh.chmod(was.st_mode & 0o777)


def _set_aside(database: Path, now: datetime) -> Path | None:
    """Keep the old database under another name as well; its log must not be there when another takes its place."""
    kept = _unused(database.with_name(f"{database.name}.before-{now:%Y%m%dT%H%M%SZ}"))
    if not database.exists():
        _move_logs(database, kept)
        return None
    try:
        copies.one_file(database)
    except NotACopy:
        _move_logs(database, kept)  # damaged: what is left of it stays together
    try:
        os.link(database, kept)
    except OSError:
        shutil.copy2(database, kept)  # a filesystem without links
        sync_file(kept)
    sync_file(database.parent)
    return kept


def _unused(path: Path) -> Path:
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def _move_logs(database: Path, kept: Path) -> None:
    for log in _LOGS:
        with suppress(FileNotFoundError):
            Path(f"{database}{log}").rename(f"{kept}{log}")


def _discard(fresh: Path) -> None:
    for name in (fresh, *(Path(f"{fresh}{log}") for log in _LOGS)):
        name.unlink(missing_ok=True)
