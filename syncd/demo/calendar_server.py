"""Runs Radicale in a process of its own that ends when its parent does, however that ends.

As a program (`python -m syncd.demo.calendar_server CONFIG`): serves until standard input closes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from syncd.errors import SyncdError

USERNAME = "ada"
_CONFIG = """[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
[web]
type = internal
[logging]
level = error
"""
_PATIENCE = 30.0  # seconds
_TRIES = 3  # at ports of which each was free a moment before


@dataclass(frozen=True, slots=True)
class CalendarServer:
    """A running Radicale on loopback."""

    url: str
    password: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it and wait until it is gone."""
        if self.process.stdin:
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        self.process.kill()
        self.process.wait()


def start(folder: Path, password: str) -> CalendarServer:
    """Start it with one user. Raises SyncdError if Radicale isn't installed or doesn't come up."""
    folder.mkdir()
    users = folder / "users"
    users.touch(mode=0o600)
    users.write_text(f"{USERNAME}:{password}\n", encoding="utf-8")
    for _ in range(_TRIES):
        if server := _start_at(_free_port(), folder, password):
            return server
    message = "the demo's calendar server did not start: install syncd with its extra `demo` (Radicale)"
    raise SyncdError(message)


def _start_at(port: int, folder: Path, password: str) -> CalendarServer | None:
    config = folder / "config"
    config.write_text(_CONFIG.format(port=port, folder=folder), encoding="utf-8")
    command = [sys.executable, "-m", "syncd.demo.calendar_server", str(config)]
    with (folder / "log").open("wb") as log:
        # In a session of its own: Ctrl-C reaches a terminal's whole group, and we stop it in order.
        process = subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    server = CalendarServer(f"http://127.0.0.1:{port}/", password, process)
    if _comes_up(process, port):
        return server
    server.stop()
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _comes_up(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False


def main(config_path: str) -> None:
    """Serve until standard input closes."""
    import radicale.config
    import radicale.log
    import radicale.server

    Thread(target=_end_with_parent, daemon=True).start()
    configuration = radicale.config.load([(config_path, False)])
    radicale.log.setup()
    radicale.log.set_level(configuration.get("logging", "level"), False)
    radicale.server.serve(configuration)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
