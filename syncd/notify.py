"""Tells systemd how the daemon is: ready, reloading, alive, stopping (sd_notify(3), systemd.service(5)).

Says nothing where nobody listens. Refuses to know what the daemon does.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Notifier:
    """A channel to the service manager; `every` is how often it wants a sign of life, in seconds, None for never."""

    address: str = ""
    every: float | None = None
    clock: Callable[[], float] = time.monotonic
    _told_at: float | None = field(default=None)

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int, clock: Callable[[], float] = time.monotonic) -> Notifier:
        """The channel that the environment names for this process, as systemd sets it."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        meant = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        # Half of it, as sd_watchdog_enabled(3) advises, so that one late word isn't the end.
        every = int(microseconds) / 2_000_000 if microseconds.isdigit() and meant else None
        return cls(environ.get("NOTIFY_SOCKET", ""), every or None, clock)

    def ready(self, status: str) -> None:
        """The service is up."""
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The configuration is read again; `ready` says when that is over."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def alive(self) -> None:
        """A sign of life, if one is due."""
        now = self.clock()
        if self.every is not None and (self._told_at is None or now - self._told_at >= self.every):
            self._told_at = now
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The service comes to an end."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self.address:
            return
        # An address that begins with "@" is in Linux' abstract namespace.
        path = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)  # a service manager that doesn't read must not stop the daemon
            channel.sendto(text.encode(), path)
