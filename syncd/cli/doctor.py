"""`doctor`: looks at everything, prints what to mend, each with its next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from syncd.cli.setup import Opened, opened
from syncd.cli.show import console, counted, print_json
from syncd.doctor import accounts, machine, offers
from syncd.doctor.findings import Finding, mend, ok
from syncd.errors import ConfigError, StoreError
from syncd.log import scrub

_FILE = "configuration"
_SOMETHING = 1
_CONFIGURATION = 78
_MARKS = {"ok": ("ok", "green"), "note": ("note", "cyan"), "mend": ("mend", "bold red")}


def doctor(config_path: Path, *, as_json: bool) -> int:
    """Look, tell, and return 0 if all is well, 1 if something is to mend, 78 for the configuration."""
    found: list[Finding] = []
    for finding in _looked_at(config_path):
        found.append(finding)
        if not as_json:
            _show(finding)
    number = sum(finding.state == "mend" for finding in found)
    if as_json:
        print_json({"ok": not number, "findings": [asdict(finding) for finding in found]})
    else:
        console().print(f"\n{counted(number, 'thing')} to mend." if number else "\nAll is well.", style="bold")
    is_unusable = found[0].state == "mend" and found[0].check == _FILE
    return _CONFIGURATION if is_unusable else _SOMETHING if number else 0


def _looked_at(config_path: Path) -> Iterator[Finding]:
    """Everything, one after the other; with a mistake in the configuration there is nothing else to look at."""
    try:
        with opened(config_path) as installation:
            yield ok(_FILE, f"{config_path} has no mistakes")
            yield from _examined(installation)
    except ConfigError as error:
        yield from _mistakes(config_path, error)
    except StoreError as error:
        yield mend("database", scrub(str(error)), "`syncd restore FILE` puts a backup back, if it is damaged")


def _mistakes(config_path: Path, error: ConfigError) -> Iterator[Finding]:
    where = error.file or config_path
    if not error.mistakes:
        yield mend(_FILE, str(error), "`syncd init` writes a file that fits")
    for mistake in error.mistakes:
        yield mend(_FILE, f"{where}: {mistake}", "correct it there; config.example.toml explains every key")


def _examined(installation: Opened) -> Iterator[Finding]:
    services = installation.services
    config, now = services.config, services.clock()
    stale_after = timedelta(seconds=config.daemon.stale_after)
    with services.store.read() as session:
        yield from machine.database(session, config)
        yield from machine.secret_key(session, services.vault)
        waiting = accounts.to_ask(session, services.vault)
    with _patience(len(waiting)):  # and no transaction: it takes a while
        asked = accounts.ask(waiting, services.open_provider, services.clock)
    yield from machine.zones()
    yield from machine.clock(machine.hosts([(one.host, one.drift) for one in asked]))
    yield from (finding for one in asked for finding in accounts.judged(one))
    with services.store.read() as session:
        yield from machine.daemon(session, config, now, runs=installation.locks.daemon_runs())
        yield from accounts.known(session, stale_after, now)
        yield from offers.examined(session, services.situations, now)
    yield from machine.settings(config)


@contextmanager
def _patience(number: int) -> Iterator[None]:
    """Say on a terminal what is waited for."""
    screen = console(to_stderr=True)
    if not (number and screen.is_terminal):
        yield
        return
    with screen.status(f"asking {counted(number, 'calendar server')}"):
        yield


def _show(finding: Finding) -> None:
    from rich.text import Text

    mark, style = _MARKS[finding.state]
    screen, width = console(), len(_FILE)
    screen.print(Text.assemble((f"{mark:5}", style), f"{finding.check:{width}}  ", finding.what), soft_wrap=True)
    if finding.next_step:
        screen.print(Text(f"{'':{5 + width}}  → {finding.next_step}", "dim"), soft_wrap=True)
