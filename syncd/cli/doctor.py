"""`doctor`: looks at everything, prints what to mend, each with its next step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from syncd.cli.setup import opened, prepare
from syncd.cli.show import console, counted, print_json
from syncd.doctor import looking, machine
from syncd.doctor.findings import Finding, mend, ok
from syncd.errors import ConfigError, StoreError
from syncd.services import utc_now

Take = Callable[[Iterable[Finding]], None]
_FILE = "configuration"
_SOMETHING = 1
_CONFIGURATION = 78
_MARKS = {"ok": ("ok", "green"), "note": ("note", "cyan"), "mend": ("mend", "bold red")}


def doctor(config_path: Path, *, as_json: bool) -> int:
    """Look, tell, and return 0 if all is well, 1 if something is to mend, 78 for the configuration."""
    found: list[Finding] = []

    def take(findings: Iterable[Finding]) -> None:
        for finding in findings:
            found.append(finding)
            if not as_json:
                _show(finding)

    is_usable = _look(config_path, take)
    number = sum(finding.state == "mend" for finding in found)
    if as_json:
        print_json({"ok": not number, "findings": [asdict(finding) for finding in found]})
    else:
        console().print(f"\n{counted(number, 'thing')} to mend." if number else "\nAll is well.", style="bold")
    return _CONFIGURATION if not is_usable else _SOMETHING if number else 0


def _look(config_path: Path, take: Take) -> bool:
    """Look at everything, as far as it can be opened; returns whether the configuration can be used."""
    try:
        config = prepare(config_path, quiet=True)
    except ConfigError as error:
        take(_mistakes(config_path, error))
        take(machine.zones())
        return False
    take([ok(_FILE, f"{config_path} has no mistakes")])
    try:
        with opened(config_path) as installation:
            runs = installation.locks.daemon_runs()
            take(looking.examined(installation.services, _patience, daemon_runs=runs))
        return True
    except (ConfigError, StoreError, OSError) as error:
        is_usable = not isinstance(error, ConfigError)
        take(_mistakes(config_path, error) if isinstance(error, ConfigError) else [looking.fault("database", error)])
    take(looking.unopened(config, utc_now()))
    return is_usable


def _mistakes(config_path: Path, error: ConfigError) -> Iterator[Finding]:
    if not error.mistakes:
        yield mend(_FILE, str(error), "`syncd init` writes a file that fits")
    for mistake in error.mistakes:
        yield looking.mistaken(str(error.file or config_path), mistake)


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
