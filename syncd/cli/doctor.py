"""`doctor`: looks at everything, prints what to mend, each with its next step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from syncd.cli.setup import Opened, opened
from syncd.cli.show import console, counted, print_json
from syncd.doctor import accounts, machine, offers
from syncd.doctor.findings import Finding, mend, ok
from syncd.errors import ConfigError, StoreError
from syncd.log import scrub

_SOMETHING = 1
_CONFIGURATION = 78
_MARKS = {"ok": ("ok", "green"), "note": ("note", "cyan"), "mend": ("mend", "bold red")}


def doctor(config_path: Path, *, as_json: bool) -> int:
    """Look, tell, and return 0 if all is well, 1 if something is to mend, 78 for the configuration."""
    code = 0
    try:
        with opened(config_path) as installation:
            found = [ok("configuration", f"{config_path} has no mistakes"), *_examined(installation)]
    except ConfigError as error:
        found, code = list(_mistakes(config_path, error)), _CONFIGURATION
    except StoreError as error:
        found = [mend("database", scrub(str(error)), "`syncd restore FILE` puts a backup back, if it is damaged")]
    is_well = not any(finding.state == "mend" for finding in found)
    if as_json:
        print_json({"ok": is_well, "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
    return code or (0 if is_well else _SOMETHING)


def _mistakes(config_path: Path, error: ConfigError) -> Iterator[Finding]:
    where = error.file or config_path
    if not error.mistakes:
        yield mend("configuration", scrub(str(error)), "`syncd init` writes a file that fits")
    for mistake in error.mistakes:
        yield mend("configuration", f"{where}: {mistake}", "correct it there; config.example.toml explains every key")


def _examined(installation: Opened) -> Iterator[Finding]:
    services = installation.services
    config, now = services.config, services.clock()
    stale_after = timedelta(seconds=config.daemon.stale_after)
    with services.store.read() as session:
        yield from machine.database(session, config)
        yield from machine.secret_key(session, services.vault)
        waiting = accounts.to_ask(session, services.vault)
    asked = accounts.ask(waiting, services.open_provider, services.clock)  # outside any transaction: it takes a while
    yield from machine.zones()
    yield from machine.clock(machine.hosts([(one.host, one.drift) for one in asked]))
    yield from (finding for one in asked for finding in accounts.judged(one))
    with services.store.read() as session:
        yield from machine.daemon(session, config, now, runs=installation.locks.daemon_runs())
        yield from accounts.known(session, stale_after, now)
        yield from offers.examined(session, services.situations, now)
    yield from machine.settings(config)


def _print(found: list[Finding]) -> None:
    from rich.text import Text

    screen = console()
    width = max(len(finding.check) for finding in found)
    for finding in found:
        mark, style = _MARKS[finding.state]
        line = Text.assemble((f"{mark:5}", style), f"{finding.check:{width}}  ", finding.what)
        screen.print(line, soft_wrap=True)
        if finding.next_step:
            screen.print(Text(f"{'':{5 + width}}  → {finding.next_step}", "dim"), soft_wrap=True)
    number = sum(finding.state == "mend" for finding in found)
    told = f"{counted(number, 'thing')} to mend." if number else "All is well."
    screen.print(Text(f"\n{told}", "bold"))
