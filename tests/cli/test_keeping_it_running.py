"""The daemon beside systemd, cron and other commands: real processes on one database (semantics 27, 28)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import requests

_HOME = """
[freelancers.ada.accounts.home]
provider = "caldav"
url = "{url}"
username = "ada@example"
password_env = "ADA_PASSWORD"
blocks = ["*"]
target = "Work"
"""


@pytest.fixture
def work(shell, radicale):
    """A declared account at a real server, and the address of its calendar."""
    shell.environment["ADA_PASSWORD"] = radicale.password
    shell.configure(_HOME.format(url=radicale.url))
    return radicale.make_calendar("Work")


@contextmanager
def _daemon(shell):
    """A daemon with a service manager's socket: the process, and what it tells, line by line."""
    path = shell.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        shell.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}
        process = shell.start("run", stderr=subprocess.PIPE)
        del shell.environment["NOTIFY_SOCKET"], shell.environment["WATCHDOG_USEC"]
        try:
            yield process, manager
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate()
            assert "Traceback" not in err
            path.unlink()


def _heard(manager, word):
    """Wait for a word; returns what was told before it."""
    before = []
    while word not in (told := manager.recv(4096).decode()):
        before.append(told)
    return before


def test_systemd_hears_ready_signs_of_life_reloading_and_stopping(shell, work):
    with _daemon(shell) as (process, manager):
        _heard(manager, "READY=1")
        _heard(manager, "WATCHDOG=1")
        _heard(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        _heard(manager, "RELOADING=1")
        _heard(manager, "READY=1")
        process.send_signal(signal.SIGTERM)
        _heard(manager, "STOPPING=1")
    assert process.returncode == 0


def _url(process):
    for line in process.stderr:
        if '"url"' in line or "url=" in line or "http://" in line:
            return "http://" + line.split("http://", 1)[1].split()[0].strip("\"',}")
    raise AssertionError("the daemon ended before it was ready")


def _read_again(shell, process, manager, text):
    shell.configure(text)
    process.send_signal(signal.SIGHUP)
    _heard(manager, "RELOADING=1")
    _heard(manager, "READY=1")


def test_a_bad_file_at_sighup_changes_nothing_and_says_so_and_a_good_one_counts(shell, work, radicale):
    good = _HOME.format(url=radicale.url)
    later = "[freelancers.ada.consultations.late]\ntitle = 'Late'\n"
    with _daemon(shell) as (process, manager):
        late = f"{_url(process)}/v1/ada/late/slots?start=2026-11-23&end=2026-11-23"
        _heard(manager, "READY=1")
        _read_again(shell, process, manager, later + "nonsense = 3\n" + good)
        assert requests.get(late, timeout=30).status_code == 404
        assert "nonsense" in next(line for line in process.stderr if "not taken over" in line)
        _read_again(shell, process, manager, later + good)
        assert requests.get(late, timeout=30).status_code != 404
        text = (shell.folder / "config.toml").read_text(encoding="utf-8")
        (shell.folder / "config.toml").write_text(text.replace("port = 0", "port = 1"), encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        assert "server.port" in next(line for line in process.stderr if "after a restart only" in line)


def test_signals_that_come_thick_and_fast_leave_it_able_to_end(shell):
    process = shell.start("run")
    assert any('"ready"' in line for line in process.stderr)
    for _ in range(2000):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.0002)  # or the kernel makes one of many
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


def test_passes_that_overlap_pull_every_calendar_once_and_none_fails(shell, work, radicale, event):
    soon = datetime.now(UTC) + timedelta(days=3)
    radicale.put(work, "dentist", event("dentist", f"{soon:%Y%m%dT100000Z}", f"{soon:%Y%m%dT110000Z}"))
    processes = [shell.start("run", "--once", "--json") for _ in range(4)]
    done = [(*process.communicate(), process.returncode) for process in processes]
    assert [code for *_, code in done] == [0] * 4, done
    pulled = [pull["calendar"] for out, _, _ in done for pull in json.loads(out)["pulled"]]
    assert pulled == ["Work"]
    assert shell("explain", "ada/intro", f"{soon:%Y-%m-%d}T10:00Z", "--json").json["reasons"]
