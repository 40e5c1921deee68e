"""What systemd is told (sd_notify(3)): real sockets, as it makes them."""

from __future__ import annotations

import os
import socket

import pytest

from syncd.notify import Notifier


@pytest.fixture
def manager(tmp_path):
    """A service manager's end of the channel."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def _told(manager):
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def _notifier(tmp_path, more=(), clock=lambda: 0.0):
    return Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "notify"), **dict(more)}, os.getpid(), clock)


def test_ready_reloading_and_stopping_are_told(tmp_path, manager):
    notifier = _notifier(tmp_path)
    notifier.ready("serving")
    notifier.reloading()
    notifier.stopping()
    ready, reloading, stopping = _told(manager)
    assert ready == "READY=1\nSTATUS=serving"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert stopping == "STOPPING=1"


def test_a_sign_of_life_comes_at_half_the_time_that_is_asked_for(tmp_path, manager):
    now = 100.0
    notifier = _notifier(tmp_path, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, lambda: now)
    for now in (100.0, 114.9, 115.0, 129.0, 130.0):  # noqa: B007 - the clock reads it
        notifier.alive()
    assert _told(manager) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}]
)
def test_without_a_watchdog_for_this_process_no_sign_of_life_is_given(tmp_path, manager, environment):
    notifier = _notifier(tmp_path, environment)
    notifier.alive()
    assert _told(manager) == []


def test_an_address_in_the_abstract_namespace_is_understood():
    name = f"@syncd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:])
        Notifier(name).ready("serving")
        assert listening.recv(4096) == b"READY=1\nSTATUS=serving"


def test_nobody_listening_stops_nothing(tmp_path):
    Notifier().ready("serving")
    Notifier(str(tmp_path / "gone")).ready("serving")
