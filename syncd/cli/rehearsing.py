"""`--dry-run` of `sync` and `run --once`: what would be pulled and written, worked out on a copy of the database.

No server is asked, and nothing that is kept is touched: what the file declares anew is taken over by the copy alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from syncd.cli.setup import prepare
from syncd.cli.show import counted, print_json, say
from syncd.config import Config
from syncd.jobs.due import DueWork, Order, due_work
from syncd.outbox.plan import Step
from syncd.services import Services, database_path, open_services
from syncd.store import leases
from syncd.sync.pull import Way

_WAYS: Mapping[Way, str] = {
    "first": "for the first time, in full",
    "full": "in full",
    "compare": "compared with what is known",
    "changes": "what changed",
}
_STEPS: Mapping[Step, str] = {
    "create": "make",
    "change": "change",
    "remove": "remove",
    "nothing": "leave",
    "ask_link": "ask for the meeting link of",
}


def rehearse(config_path: Path, handle: str | None, order: Order, *, as_json: bool) -> int:
    """Print what a pass would do. Raises ApiError, ConfigError, StoreError."""
    from syncd.cli.running import accounts_of

    with _copied(config_path) as services, services.store.write() as session:
        now = services.clock()
        wanted = accounts_of(session, handle) if order.everything else leases.due_accounts(session, now, insist=True)
        every = timedelta(seconds=services.config.daemon.reconcile_every)
        work = [due_work(session, account_id, now, order, every) for account_id in wanted]
        told = [_as_json(each) for each in work]
        session.rollback()
    if as_json:
        print_json({"dry_run": True, "accounts": told})
    else:
        _print(told)
    return 0


@contextmanager
def _copied(config_path: Path) -> Iterator[Services]:
    """The installation as it would be for the next command, on a copy that is thrown away."""
    config = prepare(config_path, quiet=True)
    with TemporaryDirectory(prefix="syncd-dry-run-") as folder:
        copy = _copy(config, Path(folder))
        services = open_services(copy)
        try:
            yield services
        finally:
            services.store.close()


def _copy(config: Config, folder: Path) -> Config:
    """The configuration with a copy of its database, and a key file of the copy's own where there is none yet."""
    source, key = database_path(config), config.daemon.secret_key_file
    if source.exists():
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(folder / "syncd.db")) as new:
            old.backup(new)
    changed: dict[str, Any] = {"database": f"sqlite:///{folder / 'syncd.db'}"}
    if not source.exists() and not key.exists():
        changed["secret_key_file"] = folder / "secret.key"
    return config.model_copy(update={"daemon": config.daemon.model_copy(update=changed)})


def _as_json(work: DueWork) -> dict[str, Any]:
    account = work.account
    return {
        "account": f"{account.freelancer.handle}/{account.name}",
        "waits": work.waits,
        "lists_calendars": work.lists,
        "writes": [{"booking": w.booking.id, "step": w.step, "calendar": w.calendar} for w in work.writes],
        "pulls": [{"calendar": calendar.name, "way": way} for calendar, way in work.pulls],
    }


def _print(told: Sequence[Mapping[str, Any]]) -> None:
    for account in told:
        if account["waits"]:
            say(f"{account['account']}: its server isn't asked: {account['waits']}")
            continue
        say(f"{account['account']}:")
        if account["lists_calendars"]:
            say("  ask which calendars there are")
        for write in account["writes"]:
            say(f"  {_STEPS[write['step']]} the event of {write['booking']} in {write['calendar']}")
        for pull in account["pulls"]:
            say(f"  pull {pull['calendar']}: {_WAYS[pull['way']]}")
    pulls, writes = (sum(len(account[kind]) for account in told) for kind in ("pulls", "writes"))
    say(f"would pull {counted(pulls, 'calendar')} and write {counted(writes, 'booking')}; nothing was done")
