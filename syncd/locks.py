"""Which processes work on a database: a lock file whose locks the kernel gives back when a process dies.

Byte 0 is the daemon's, so a second one is refused; every process also locks one byte of its own, so a lease it left
behind when it was killed is known to be free at once. Only for SQLite, whose processes are all on one machine.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path
from threading import Lock

from syncd.errors import StoreError

_SLOTS = 2**31


class ProcessLocks:
    """The locks of this process on one database; keep it open for as long as the process works."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # POSIX locks are given back when *any* descriptor of the file is closed: probing shares this one.
        self._probing = Lock()
        self._slot = 0
        self._is_daemon = False
        while not self._slot:
            slot = 1 + secrets.randbelow(_SLOTS)
            if self._lock(slot):
                self._slot = slot
            else:
                time.sleep(0.05)  # while a backup is put back, all are taken

    def new_owner(self) -> str:
        """A fresh name for a lease of this process."""
        return f"{self._slot}:{secrets.token_hex(8)}"

    def is_alive(self, owner: str) -> bool:
        """Whether the process that made this name still runs."""
        slot = int(owner.partition(":")[0] or 0)
        if slot in (0, self._slot):
            return slot == self._slot
        with self._probing:
            if not self._lock(slot):
                return True
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, slot)
            return False

    def become_daemon(self) -> None:
        """Claim to be the one daemon of this database. Raises StoreError if another is."""
        for _ in range(10):
            if self._lock(0):
                break
            time.sleep(0.05)  # another command may be looking, just now, whether there is a daemon
        else:
            message = "another `syncd run` has this database open: stop it first, or give this one its own database"
            raise StoreError(message)
        self._is_daemon = True

    def become_only(self) -> None:
        """Claim to be the only process at this database; others begin once this one ends. Raises StoreError."""
        self.become_daemon()
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SLOTS, 1)
        except OSError:
            message = "another syncd command works on this database: try again once it has ended"
            raise StoreError(message) from None

    def daemon_runs(self) -> bool:
        """Whether a daemon has this database now, in whatever process."""
        with self._probing:
            if self._is_daemon:
                return True
            if not self._lock(0):
                return True
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 0)
            return False

    def _lock(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give all locks back."""
        os.close(self._file)
