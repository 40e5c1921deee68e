"""The embedded runner: due accounts, found in the store, worked on by a pool of threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Lock

import structlog

from syncd.jobs.account import WorkReport, Workshop, work_account
from syncd.jobs.due import DUE, Order
from syncd.store import leases
from syncd.sync.watches import mark_of

log = structlog.get_logger("syncd.jobs")

WORKERS = 8


class Runner:
    """Starts work on accounts, never on one twice at once."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")
        self._at_work: dict[str, Future[object]] = {}
        self._lock = Lock()

    def use(self, shop: Workshop) -> None:
        """Work by other settings from now on."""
        self._shop = shop

    def submit_due(self) -> None:
        """Start work on every account that has some; what is due and isn't started is found again by the next call."""
        with self._shop.store.read() as session:
            due = leases.due_accounts(session, self._shop.clock(), mark=mark_of(self._shop.settings.hooks))
        for account_id in due:
            self.submit(account_id, partial(work_account, self._shop, account_id))

    def submit(self, name: str, work: Callable[[], object]) -> None:
        """Start other work by its name, unless it is being done."""
        with self._lock:
            if name in self._at_work:
                return
            future = self._at_work[name] = self._pool.submit(work)
        future.add_done_callback(partial(self._done, name))

    def _done(self, name: str, future: Future[object]) -> None:
        with self._lock:
            self._at_work.pop(name, None)
        if not future.cancelled() and (error := future.exception()) is not None:
            log.error("work failed", account=name, exc_info=error)

    def stop(self, patience: float) -> bool:
        """Start no more, let running work come to a safe point; say whether all has within `patience` seconds.

        What still waits for a server's answer may be abandoned: it is found again, as after a crash.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = list(self._at_work.values())
        return not wait(running, timeout=patience).not_done


def work_through(shop: Workshop, account_ids: Iterable[str], order: Order = DUE) -> WorkReport:
    """Work on these accounts now, side by side, and report."""
    report = WorkReport()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="work") as pool:
        for done in pool.map(lambda account_id: work_account(shop, account_id, order), account_ids):
            report.add(done)
    return report
