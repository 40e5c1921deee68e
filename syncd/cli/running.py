"""`run`, `run --once` and `sync`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from providers.errors import AuthorizationError, ProviderError, Transient
from syncd.cli.setup import opened
from syncd.cli.show import complain, counted, print_json, progress_bars, say
from syncd.daemon import open_workshop, run_daemon, run_once
from syncd.errors import ApiError, MassDeletion, StoreError, exit_code
from syncd.jobs.account import WorkReport, Workshop
from syncd.jobs.due import Order
from syncd.jobs.embedded import work_through
from syncd.log import scrub
from syncd.management.freelancers import find_freelancer
from syncd.services import Services
from syncd.store import leases
from syncd.store.models import Account

_PATIENCE = 30.0  # seconds to wait for an account that another worker has


def run_forever(config_path: Path) -> int:
    """The daemon, until it is told to stop."""
    with opened(config_path, quiet=False) as installation:
        run_daemon(installation.services, installation.locks, installation.config_path)
    return 0


def run_pass(config_path: Path, *, as_json: bool) -> int:
    """One full pass; the exit code tells whether anything failed. What another process is at isn't a failure: passes
    that overlap share the work."""
    with opened(config_path, quiet=False) as installation:
        report = run_once(installation.services, installation.locks)
        names = _names(installation.services, report.skipped)
    return _tell(report, names, as_json=as_json, skipped=0)


def sync_now(config_path: Path, handle: str | None, *, full: bool, as_json: bool) -> int:
    """Pull every calendar of these accounts now, whatever is due; waits for accounts the daemon is at."""
    with opened(config_path) as installation:
        with installation.services.store.read() as session:
            accounts = accounts_of(session, handle)
        with progress_bars(as_json=as_json) as progress:
            shop = replace(open_workshop(installation.services, installation.locks), progress=progress)
            report = _patiently(shop, accounts, Order(everything=True, full=full))
        names = _names(installation.services, report.skipped)
    return _tell(report, names, as_json=as_json, skipped=exit_code(StoreError()))


def accounts_of(session: Session, handle: str | None) -> list[str]:
    """Every account that can be pulled, or those of one freelancer. Raises ApiError."""
    if handle is not None and find_freelancer(session, handle) is None:
        raise ApiError("not-found", f"there is no freelancer {handle}: see `syncd status`")
    return leases.pullable_accounts(session, handle)


def _patiently(shop: Workshop, accounts: list[str], order: Order) -> WorkReport:
    report = work_through(shop, accounts, order)
    until = time.monotonic() + _PATIENCE
    while report.skipped and time.monotonic() < until:
        time.sleep(0.2)
        busy, report.skipped = report.skipped, []
        report.add(work_through(shop, busy, order))
    return report


def _names(services: Services, accounts: Iterable[str]) -> list[str]:
    """Accounts as one names them, by their ids."""
    with services.store.read() as session:
        rows = [session.get(Account, account) for account in accounts]
        return [f"{row.freelancer.handle}/{row.name}" for row in rows if row is not None]


def _tell(report: WorkReport, busy: Sequence[str], *, as_json: bool, skipped: int) -> int:
    """The summary line, and the exit code of the worst that happened; `skipped` is that of another process's work, at
    the accounts named `busy`."""
    held_back = [p for p in report.pulls if p.held_back]
    if as_json:
        print_json(_summary(report))
    else:
        pulled, changed = counted(len(report.pulls), "calendar"), counted(sum(p.changed for p in report.pulls), "event")
        removed, written = sum(p.removed for p in report.pulls), counted(report.written, "booking")
        say(f"pulled {pulled} ({changed} changed, {removed} removed), wrote {written}, {len(report.failures)} failed")
        for where, error in report.failures:
            complain(f"  {where}: {scrub(str(error))}; {_next_step(error)}")
        for pull in held_back:
            vanishing = counted(pull.held_back, "event")
            say(f"  {pull.calendar}: {vanishing} would vanish: held back; `syncd sync --full` accepts it")
        for account in busy:
            complain(f"  {account}: another process is at it; try again once it is done")
    codes = [exit_code(error) for _, error in report.failures]
    if held_back:
        codes.append(exit_code(MassDeletion(calendar="", removed=0, total=0)))
    return max(codes, default=skipped if report.skipped else 0)


def _next_step(error: ProviderError) -> str:
    if isinstance(error, AuthorizationError):
        return "`syncd doctor` says where its password is set"
    if isinstance(error, Transient):
        return "nothing is lost: it is tried again by itself"
    return "`syncd status` and `syncd doctor` say more"


def _summary(report: WorkReport) -> dict[str, object]:
    return {
        "pulled": [
            {
                "calendar": p.calendar,
                "full": p.full,
                "changed": p.changed,
                "removed": p.removed,
                "held_back": p.held_back,
            }
            for p in report.pulls
        ],
        "written": report.written,
        "failed": [
            {"where": where, "error": type(error).__name__, "reason": scrub(str(error))}
            for where, error in report.failures
        ],
        "skipped": report.skipped,
    }
