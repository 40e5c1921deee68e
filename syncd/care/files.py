"""New files that are whole or not there, and that their owner alone may read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

from syncd.errors import ApiError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which gets that name once it is whole and on the disk.

    Nothing is ever overwritten, also not what came there meanwhile. Raises ApiError.
    """
    if path.exists():
        raise _exists(path)
    try:
        handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")  # mode 0600
    except OSError as error:
        raise ApiError("invalid-request", f"{path} can't be written: {error.strerror}") from None
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        sync_file(aside)
        _publish(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_file(path.parent)


def _publish(aside: Path, path: Path) -> None:
    """Give the file its name. Where a folder knows no links it is renamed, after another look."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        if path.exists():
            raise _exists(path) from None
        aside.rename(path)


def _exists(path: Path) -> ApiError:
    return ApiError("invalid-request", f"{path} is there already: name a file that isn't, nothing is overwritten")


def sync_file(path: Path) -> None:
    """Make sure that a file, or what a folder lists, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some filesystems know no such thing for folders
            os.fsync(handle)
    finally:
        os.close(handle)
