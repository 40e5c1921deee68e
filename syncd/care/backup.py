"""A backup of a running installation: its database as it was at one moment, in one file.

The secret key is not in it, nor is the configuration file: whoever finds a backup reads bookings, but no password.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from syncd.care.files import new_file
from syncd.errors import StoreError
from syncd.store import copies
from syncd.store.copies import Contents, NotACopy, Progress
from syncd.store.engine import Store


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    path: Path
    size: int
    contents: Contents


def back_up(store: Store, path: Path, progress: Progress = lambda done, total: None) -> Backup:
    """Copy the database to a new file while it is in use, and read the copy through. Raises ApiError, StoreError."""
    with new_file(path) as aside:
        contents = copies.snapshot(store, aside, progress)
        try:
            copies.check(aside)
        except NotACopy as error:
            message = f"the copy isn't kept: {error}"
            raise StoreError(message) from None
    return Backup(path, path.stat().st_size, contents)
