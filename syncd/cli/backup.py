"""`backup` and `restore`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType

from syncd.care.backup import back_up
from syncd.care.restore import Place, restore
from syncd.cli.setup import opened, prepare
from syncd.cli.show import counted, print_json, progress_bars, say
from syncd.services import database_path, open_locks, utc_now
from syncd.store.copies import Contents


def run_backup(config_path: Path, path: Path, *, as_json: bool) -> int:
    """Copy the database to a new file. Raises ApiError, StoreError."""
    with _tidily(), opened(config_path) as installation, progress_bars(as_json=as_json) as bars:
        key_file = installation.services.vault.path
        made = back_up(installation.services.store, path, partial(bars, "backup"))
    if as_json:
        print_json({"file": str(path), "bytes": made.size, **asdict(made.contents), "secret_key_file": str(key_file)})
    else:
        say(f"{path}: {_said(made.contents)}, {made.size:,} bytes, readable by its owner alone.")
        say(f"Not in it, and needed with it: the secret key ({key_file}) and {config_path}. Keep copies elsewhere.")
    return 0


def run_restore(config_path: Path, path: Path, *, as_json: bool) -> int:
    """Put a backup in the database's place. Raises ApiError, ConfigError, StoreError."""
    config = prepare(config_path, quiet=True)
    place = Place(database_path(config).resolve(), config.daemon.secret_key_file)  # a link stays one
    with _tidily(), closing(open_locks(config)) as locks, progress_bars(as_json=as_json) as bars:
        done = restore(path, place, locks, utc_now(), partial(bars, "restore"))
    kept = str(done.kept) if done.kept else None
    if as_json:
        document = {"file": str(path), "database": str(done.database), "kept": kept, **asdict(done.contents)}
        print_json({**document, "calendars": done.calendars})
        return 0
    say(f"{done.database} is what {path} holds: {_said(done.contents)}.")
    if kept:
        say(f"The database there was is kept as {kept}.")
    if done.calendars:
        read = f"{counted(done.calendars, 'calendar')} must be read anew before slots are offered"
        say(f"{read}: start `syncd run`, or run `syncd sync`.")
    say("Bookings are as they were then; those made since block as events of their calendars.")
    say("Keys and links revoked since are valid again, and people forgotten since are back: see `syncd key list`.")
    return 0


@contextmanager
def _tidily() -> Iterator[None]:
    """SIGTERM and SIGHUP end it as Ctrl-C does: no half copy of clients' data is left."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _said(contents: Contents) -> str:
    parts = (contents.freelancers, "freelancer"), (contents.accounts, "account"), (contents.bookings, "booking")
    return ", ".join(counted(number, noun) for number, noun in parts)
