"""A SQLite database as a file: copied while it is written to, looked into, and prepared to take another's place.

Decides what of a copy can be relied on, and what a database that was put back must not believe any more. Refuses to
know where copies are kept and who may make one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from syncd.errors import StoreError
from syncd.store.engine import Store, alembic_config
from syncd.store.models import Account, Booking, Calendar, Channel, Freelancer, IdempotentAnswer, OutboxItem

Progress = Callable[[int, int], None]
"""Told how many pages are done, and how many there are."""

_PAGES = 512  # a step of 2 MB
_MAGIC = b"SQLite format 3\x00"
_OURS = frozenset({"alembic_version", "freelancers", "bookings", "accounts"})


class NotACopy(Exception):
    """A file that isn't a whole database of ours; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """How much is in a database."""

    freelancers: int
    accounts: int
    bookings: int


def snapshot(store: Store, path: Path, progress: Progress) -> Contents:
    """Copy the database into an empty file as it is at one moment, whoever writes meanwhile. Raises StoreError.

    The view is opened first: without it the copying would begin anew with every commit of another process.
    """
    with store.read() as session:
        contents = contents_of(session)
        source = session.connection().connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        _copy(source, path, progress)
    return contents


def copy_file(source: Path, path: Path, progress: Progress) -> None:
    """Copy a database file that nobody writes to. Raises StoreError."""
    with _failing("can't be copied"), closing(_read_only(source)) as connection:
        _copy(connection, path, progress)


def _copy(source: sqlite3.Connection, path: Path, progress: Progress) -> None:
    def tell(_status: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)

    with _failing("can't be copied"), closing(sqlite3.connect(path)) as copy:
        source.backup(copy, pages=_PAGES, progress=tell)
    one_file(path)


def one_file(path: Path) -> None:
    """Leave no write-ahead log beside a database. Raises StoreError if someone has it open, NotACopy if damaged."""
    _check_magic(path)  # SQLite removes the log of what it doesn't know for a database
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        mode = str(error)
    except sqlite3.DatabaseError as error:
        raise NotACopy(f"it is damaged: {error}") from None
    if mode != "delete":
        message = f"the database {path} can't be closed: another process may have it open ({mode})"
        raise StoreError(message)


def contents_of(session: Session) -> Contents:
    """How much is in a database."""
    counts = [session.scalar(select(func.count()).select_from(m)) or 0 for m in (Freelancer, Account, Booking)]
    return Contents(*counts)


def check(path: Path) -> None:
    """Raise NotACopy unless a file is a whole database of ours, of this version or an earlier one."""
    _check_magic(path)
    try:
        with closing(_read_only(path)) as connection:
            found, revisions = _structure(connection)
    except sqlite3.Error as error:
        raise NotACopy(f"it can't be read: {error}") from None
    if found != "ok":
        raise NotACopy(f"it is damaged: {found}")
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if unknown := set(revisions) - known:
        raise NotACopy(f"it was made by a newer version of syncd (schema {unknown.pop()}): update this one first")


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise NotACopy("it is no SQLite database")


def _structure(connection: sqlite3.Connection) -> tuple[str, list[str]]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables >= _OURS:
        raise NotACopy("it is a database of something else")
    ((found, *_), *_) = connection.execute("PRAGMA integrity_check(1)")
    return str(found), [revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")]


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message = f"the database {what}: {error}"
        raise StoreError(message) from None


# Put back


def sealed_in(session: Session) -> list[bytes]:
    """What only the right key opens: the credentials; where there are none, the newest kept answer."""
    sealed = session.scalars(select(Account.credential).where(Account.credential.is_not(None))).all()
    newest = select(IdempotentAnswer.answer).order_by(IdempotentAnswer.created_at.desc()).limit(1)
    return [one for one in sealed or session.scalars(newest).all() if one is not None]


def distrust(session: Session, now: datetime) -> int:
    """Make a database that was put back believe nothing of calendars until they are read in full; returns how many.

    What its sync tokens and ETags tell of is the past: bookings made since are events there of which it knows nothing.
    So no slot rests on what it knows, lists and calendars are asked for at once, and no worker of then has an account.
    Its channels may have ended since: others take their place.
    """
    session.execute(
        update(Account).values(lease_owner=None, lease_until=None, attempts=0, blocked_until_at=None, next_list_at=now)
    )
    session.execute(
        update(Calendar).values(
            sync_token=None,
            full_wanted=True,
            next_pull_at=now,
            expanded_until_at=None,
            attempts=0,
            held_back_at=None,
            held_back=None,
            live_until_at=None,
            next_watch_at=None,
            watch_attempts=0,
        )
    )
    session.execute(update(Channel).values(retired=True))
    session.execute(update(Freelancer).values(availability_version=Freelancer.availability_version + 1))
    session.execute(update(OutboxItem).values(due_at=now, attempts=0))
    return session.scalar(select(func.count()).select_from(Calendar)) or 0
