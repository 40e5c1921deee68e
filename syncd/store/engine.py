"""Opens the database: SQLite for one writer and many readers, migrations run, the double-booking guard asserted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from syncd.errors import ConfigError, Mistake, StoreError
from syncd.store.models import TRIGGERS

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

_MIGRATIONS = Path(__file__).parent / "migrations"
_PRAGMAS = ("journal_mode=WAL", "busy_timeout=30000", "foreign_keys=ON", "synchronous=FULL")


class Store:
    """Sessions on one database: `write()` takes the write lock at once and commits at the end, `read()` never waits.

    A write that fails rolls back as a whole. Database faults surface as `StoreError`; a violated constraint stays
    an `IntegrityError`, since its meaning is the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._readonly = engine.execution_options(readonly=True)
        # SQLite makes a writer that must wait poll: threads of one process queue here instead, and lose no time.
        self._turn: AbstractContextManager[object] = Lock() if engine.dialect.name == "sqlite" else nullcontext()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may change things."""
        with self._turn, _faults(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view."""
        with _faults(), Session(self._readonly, expire_on_commit=False) as session, session.begin():
            yield session

    def watch(self) -> Changes:
        """Notices what others write; for one thread."""
        return Changes(self.engine)

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


class Changes:
    """Says whether anything was committed on other connections, of this process or of another, since it last said so.

    SQLite answers from the WAL's header in microseconds; of other databases it says nothing, and looking now and then
    has to do.
    """

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection() if engine.dialect.name == "sqlite" else None
        self._seen = self._version()

    def happened(self) -> bool:
        """Whether there were any."""
        before, self._seen = self._seen, self._version()
        return before != self._seen

    def _version(self) -> int:
        if self._connection is None:
            return 0
        cursor = self._connection.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        finally:
            cursor.close()

    def close(self) -> None:
        """Give back the connection."""
        if self._connection is not None:
            self._connection.close()


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        # SQLAlchemy's text quotes the statement's parameters, which may hold a client's address.
        raise StoreError(_in_words(error.orig)) from None


_MEANINGS = {
    sqlite3.SQLITE_FULL: "its disk is full: make room there",
    sqlite3.SQLITE_IOERR: "its file can't be read or written: its disk may be full or failing, `syncd doctor` looks",
    sqlite3.SQLITE_READONLY: "its file can't be written: is its disk read-only, or does it belong to another user?",
    sqlite3.SQLITE_CANTOPEN: "its file can't be opened: may this user read and write it, and make files beside it?",
    sqlite3.SQLITE_BUSY: "another process keeps it locked: try again in a while",
    sqlite3.SQLITE_CORRUPT: "its file is damaged: `syncd restore FILE` puts a backup back",
}


def _in_words(fault: BaseException | None) -> str:
    """What a fault of the database means to whoever runs it."""
    meaning = _MEANINGS.get(_code(fault))
    return f"the database failed: {meaning} ({fault})" if meaning else f"the database failed: {fault}"


def _code(fault: BaseException | None) -> int:
    """SQLite's primary result code, 0 for another database's faults."""
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def _opening(engine: Engine) -> Iterator[None]:
    """What isn't a database is for a person to mend. Raises ConfigError, StoreError."""
    try:
        with _faults():
            yield
    except StoreError as error:
        if _code(getattr(error.__context__, "orig", None)) != sqlite3.SQLITE_NOTADB:
            raise
        wrong = f"{engine.url.database} is no SQLite database: name another file, or `syncd restore FILE` puts a backup"
        raise ConfigError(mistakes=[Mistake("daemon.database", f"{wrong} back")]) from None


def open_store(url: str) -> Store:
    """Open (or make) the database at `url`, brought to the newest schema. Raises ConfigError, StoreError."""
    engine = make_engine(url)
    with _opening(engine):
        upgrade(engine)
        _assert_guard(engine)
    return Store(engine)


def make_engine(url: str) -> Engine:
    """An engine whose transactions begin as they mean to go on (BEGIN IMMEDIATE for writers on SQLite)."""
    engine = create_engine(url, pool_size=20, max_overflow=60, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        _make_private(engine.url.database)
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)
    return engine


def _make_private(database: str | None) -> None:
    """Make a database that isn't there as a file for its owner alone; SQLite gives its log the same mode."""
    if database and database != ":memory:" and not database.startswith("file:"):
        with suppress(OSError):  # it is there, or can't be made: SQLite says why
            os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:
    readonly = connection.get_execution_options().get("readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def alembic_config(url: str = "") -> AlembicConfig:
    """Alembic's settings without an .ini file; `url` only matters for rendering SQL offline."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction; who finds it there waits for no writer.

    Raises ConfigError for a schema that this version doesn't know.
    """
    known = sorted(script.name.partition("_")[0] for script in (_MIGRATIONS / "versions").glob("0*.py"))
    found = _revision(engine)
    if found == known[-1]:
        return
    if found is not None and found not in known:
        newer = f"was made by a newer version of syncd (its schema is {found}, this one knows {known[-1]})"
        raise ConfigError(mistakes=[Mistake("daemon.database", f"{newer}: update syncd, or restore a backup")])
    from alembic import command  # which takes longer to load than most commands take

    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: Engine) -> str | None:
    """The schema's revision; none where there is no schema yet."""
    with engine.connect().execution_options(readonly=True) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def has_data(url: str) -> bool:
    """Whether the database was made before: then its secret key must exist too."""
    engine = make_engine(url)
    try:
        with _opening(engine):
            return _revision(engine) is not None
    finally:
        engine.dispose()


def _assert_guard(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    with engine.connect().execution_options(readonly=True) as connection:
        found = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    if missing := set(TRIGGERS) - found:
        msg = f"the guard against double booking is missing ({', '.join(sorted(missing))}): restore a backup"
        raise StoreError(msg)
