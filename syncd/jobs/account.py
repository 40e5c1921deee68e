"""All that is due at one account, done by one worker at a time: writes first, then the calendar list, then pulls.

Decides what a failure means for the account, its calendars and what they are owed. The retry table is `syncd.retry`.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from providers.errors import GrantRevoked, PermissionDenied, ProviderError, RateLimited, Transient
from providers.model import Connection
from providers.port import Provider
from syncd.errors import SyncdError
from syncd.jobs.due import DUE, Order, due_calendars, list_is_due
from syncd.locks import ProcessLocks
from syncd.outbox.deliver import Delivery, deliver
from syncd.retry import plan_retry
from syncd.secrets import Vault
from syncd.store import channels, leases, outbox, probes, pulls
from syncd.store.access import connection_of
from syncd.store.engine import Store
from syncd.store.leases import LeaseLost
from syncd.store.models import Account, BookingEvent, Calendar, OutboxItem
from syncd.sync.listing import list_account
from syncd.sync.pull import Pull, PullReport, PullSettings, extend_calendar, pull_calendar
from syncd.sync.watches import Watching, look_after

log = structlog.get_logger("syncd.jobs")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every worker of this process shares."""

    store: Store
    vault: Vault
    locks: ProcessLocks
    settings: PullSettings
    open_provider: Callable[[str, Connection], Provider]
    clock: Callable[[], datetime]
    stopping: Callable[[], bool] = lambda: False
    progress: Callable[[str, int, int | None], None] = lambda calendar, done, total: None


@dataclass(slots=True)
class WorkReport:
    """What was done at accounts: how many writes and listings, each pull, and what failed (where, why)."""

    written: int = 0
    listed: int = 0
    extended: int = 0
    pulls: list[PullReport] = field(default_factory=list)
    failures: list[tuple[str, ProviderError]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # accounts another worker has

    def add(self, other: WorkReport) -> None:
        """Sum up."""
        self.written += other.written
        self.listed += other.listed
        self.extended += other.extended
        self.pulls += other.pulls
        self.failures += other.failures
        self.skipped += other.skipped


_AFTER_A_BUG = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Job:
    shop: Workshop
    provider: Provider
    account_id: str
    name: str
    owner: str
    order: Order
    report: WorkReport


def work_account(shop: Workshop, account_id: str, order: Order = DUE) -> WorkReport:
    """Do all that is due at one account now. Raises StoreError; everything else is in the report and the store."""
    report = WorkReport()
    owner = shop.locks.new_owner()
    with shop.store.write() as session:
        account = leases.claim(session, account_id, owner, shop.clock(), shop.locks.is_alive)
        if account is None:
            report.skipped.append(account_id)
            return report
        kind, name = account.provider, account.name
        connection = connection_of(account, shop.vault, shop.settings.reach)
        may_ask = order.everything or leases.may_ask(account, shop.clock(), insist=order.insist)
        if may_ask and (account.blocked_until_at is not None or order.everything or order.insist):
            outbox.try_again(session, account_id, shop.clock())
    try:
        provider = shop.open_provider(kind, connection)
        try:
            _work(_Job(shop, provider, account_id, name, owner, order, report), may_ask=may_ask)
        finally:
            provider.close()
    except LeaseLost:
        log.warning("lease lost", account=account_id)
    except SyncdError:
        raise
    except Exception as error:
        _note_bug(shop, account_id, owner, error)
        raise
    finally:
        with shop.store.write() as session:
            leases.release(session, account_id, owner)
    return report


def _note_bug(shop: Workshop, account_id: str, owner: str, error: Exception) -> None:
    """What nobody foresaw is not tried again at once: the timetable would find it due every second."""
    with shop.store.write() as session:
        leases.hold(session, account_id, owner, shop.clock())
        account = session.get_one(Account, account_id)
        if account.state != "needs_reconnect":
            account.state, account.problem = "failing", f"a fault of syncd: {type(error).__name__}"
        account.blocked_until_at = shop.clock() + _AFTER_A_BUG


def _work(job: _Job, *, may_ask: bool) -> None:
    """Expansion asks nobody, so it goes on whatever the account's state; and it comes first, before a pull can make a
    calendar fresh whose far end isn't expanded yet."""
    _extend(job)
    if not may_ask:
        return
    try:
        with _noting_account_faults(job):
            _deliver_writes(job)
            _list_calendars(job)
            _probe_calendars(job)
            due = _calendars(job)
            for number, calendar_id in enumerate(due, 1):
                if job.shop.stopping():
                    return
                _deliver_writes(job)  # what was booked meanwhile need not wait for the next calendar
                _pull(job, calendar_id, due[number:])
            _look_after_channels(job)
    except ProviderError:
        return  # noted; everything else at this account waits as well


@contextmanager
def _noting_account_faults(job: _Job) -> Iterator[None]:
    """A fault of the whole account blocks it, by the retry table, until it may be tried again."""
    try:
        yield
    except ProviderError as error:
        job.report.failures.append((job.name, error))
        with job.shop.store.write() as session:
            leases.hold(session, job.account_id, job.owner, job.shop.clock())
            _note_account_fault(session, session.get_one(Account, job.account_id), error, job.shop.clock())
        raise


def _note_account_fault(session: Session, account: Account, error: ProviderError, now: datetime) -> None:
    account.attempts += 1
    retry = plan_retry(error, account.attempts, jitter=random.random())  # noqa: S311 - spreads retries, guards nothing
    if account.state == "needs_reconnect" and not isinstance(error, GrantRevoked):
        return  # whatever else fails, a person must still reconnect it
    state = "needs_reconnect" if isinstance(error, GrantRevoked) else "failing"
    if state != account.state:
        told = "the account must be reconnected" if state == "needs_reconnect" else "the account fails"
        log.warning(told, account=account.name, account_id=account.id, reason=str(error))
        pulls.bump_availability(session, account.freelancer_id)
        if state == "needs_reconnect":
            channels.distrust(session, account.id)
    account.state, account.problem = state, str(error)
    account.blocked_until_at = retry.due_at(now)
    account.told_to_wait = isinstance(error, RateLimited) or error.retry_after is not None


def _deliver_writes(job: _Job) -> None:
    shop = job.shop
    with shop.store.read() as session:
        due = [item.id for item in outbox.due_writes(session, job.account_id, shop.clock())]
    delivery = Delivery(shop.store, job.provider, job.account_id, job.owner, shop.clock)
    for item_id in due:
        if shop.stopping():
            return
        try:
            done = deliver(delivery, item_id)
        except ProviderError as error:
            _note_write_fault(job, item_id, error)
            if isinstance(error, (RateLimited, GrantRevoked)):
                raise
            if isinstance(error, Transient):
                return  # the server may be down, or only this write may fail: the pulls will tell
        else:
            job.report.written += done
            if not done:
                _note_write_fault(job, item_id, None)


def _note_write_fault(job: _Job, item_id: int, error: ProviderError | None) -> None:
    """Try a write again later; what isn't a passing fault shows as `failed`."""
    shop = job.shop
    with shop.store.write() as session:
        leases.hold(session, job.account_id, job.owner, shop.clock())
        item = session.get(OutboxItem, item_id)
        if item is None:
            return
        item.attempts += 1
        item.problem = str(error) if error else "the event keeps changing"
        retry = plan_retry(error or Transient(), item.attempts, jitter=random.random(), work="write")  # noqa: S311
        item.due_at = retry.due_at(shop.clock()) or shop.clock()
        if not isinstance(error, (Transient, GrantRevoked)):
            session.get_one(BookingEvent, item.booking_id).state = "failed"
            log.warning("an event can't be written", booking=item.booking_id, reason=item.problem)
    job.report.failures.append((job.name, error or Transient()))


def _list_calendars(job: _Job) -> None:
    shop = job.shop
    with shop.store.read() as session:
        account = session.get_one(Account, job.account_id)
        due = list_is_due(account, shop.clock(), job.order)
        known = account.listed_at is not None
    if not due:
        return
    every = shop.settings.reconcile_every
    try:
        list_account(shop.store, job.provider, job.account_id, job.owner, shop.clock, every)
        job.report.listed += 1
    except ProviderError as error:
        if not known or isinstance(error, (Transient, GrantRevoked)):
            raise
        _note_listing_fault(job, error)


def _note_listing_fault(job: _Job, error: ProviderError) -> None:
    """The calendars known from before are pulled all the same; the list is asked for again in an hour."""
    job.report.failures.append((job.name, error))
    log.warning("the calendars can't be listed", account=job.name, reason=str(error))
    with job.shop.store.write() as session:
        now = job.shop.clock()
        leases.hold(session, job.account_id, job.owner, now)
        session.get_one(Account, job.account_id).next_list_at = now + timedelta(hours=1)


def _probe_calendars(job: _Job) -> None:
    """Find out what the server does with each calendar that is pulled, now and then: servers are replaced."""
    shop = job.shop
    with shop.store.read() as session:
        account = session.get_one(Account, job.account_id)
        due = [(c.id, probes.remote_of(c)) for c in account.calendars if probes.is_due(c, shop.clock())]
    for calendar_id, remote in due:
        try:
            probe = job.provider.probe(remote)
        except GrantRevoked:
            raise
        except ProviderError as error:
            # The server may be down, or take offence at this question alone: the pulls will tell.
            log.info("a calendar can't be probed", calendar=calendar_id, reason=str(error))
            probe = None
        with shop.store.write() as session:
            leases.hold(session, job.account_id, job.owner, shop.clock())
            probes.keep(session.get_one(Calendar, calendar_id), probe, shop.clock())


def _calendars(job: _Job) -> list[str]:
    with job.shop.store.read() as session:
        account = session.get_one(Account, job.account_id)
        return [calendar.id for calendar in due_calendars(account, job.shop.clock(), job.order)]


def _pull(job: _Job, calendar_id: str, due: Sequence[str]) -> None:
    """Pull one calendar; of those `due` after it, the ones that only show when they are busy may be asked along."""
    shop = job.shop
    with shop.store.read() as session:
        name = session.get_one(Calendar, calendar_id).name
        others = (session.get_one(Calendar, one) for one in due)
        beside = [probes.remote_of(one) for one in others if one.role == "free_busy"]
    pull = Pull(
        shop.store,
        job.provider,
        shop.settings,
        job.owner,
        calendar_id,
        shop.clock,
        jitter=random.random(),  # noqa: S311 - spreads pulls, guards nothing
        beside=beside,
        accept=job.order.full,
        progress=lambda done, total: shop.progress(name, done, total),
    )
    try:
        report = pull_calendar(pull, full=job.order.full)
    except ProviderError as error:
        _note_pull_fault(job, calendar_id, error)
        if isinstance(error, (Transient, GrantRevoked)):
            raise
        job.report.failures.append((f"{job.name}/{name}", error))
    else:
        job.report.pulls.append(report)
        if report.held_back:
            log.warning("pull held back: too much would vanish", calendar=calendar_id, events=report.held_back)


def _note_pull_fault(job: _Job, calendar_id: str, error: ProviderError) -> None:
    with job.shop.store.write() as session:
        now = job.shop.clock()
        leases.hold(session, job.account_id, job.owner, now)
        calendar = session.get_one(Calendar, calendar_id)
        calendar.attempts += 1
        calendar.problem = str(error)
        retry = plan_retry(error, calendar.attempts, jitter=random.random())  # noqa: S311 - spreads retries
        calendar.next_pull_at = retry.due_at(now) or now + timedelta(hours=1)
        account = calendar.account
        if isinstance(error, PermissionDenied):
            account.next_list_at = now  # it may have been shared in another way: the list tells
        if account.state != "needs_reconnect" and not isinstance(error, (Transient, GrantRevoked)):  # the account's own
            if account.state == "ok":
                log.warning("a calendar fails", calendar=calendar_id, account=account.name, reason=str(error))
            account.state, account.problem = "failing", f"{calendar.name}: {error}"


def _look_after_channels(job: _Job) -> None:
    shop = job.shop
    if not shop.stopping():
        watching = Watching(
            shop.store,
            shop.vault,
            job.provider,
            job.account_id,
            job.owner,
            shop.settings.hooks,
            shop.clock,
            new_id=lambda: uuid.uuid4().hex,
            jitter=random.random,
        )
        look_after(watching)


def _extend(job: _Job) -> None:
    shop = job.shop
    with shop.store.read() as session:
        today = shop.clock().date().isoformat()
        stale = [
            c.id
            for c in session.get_one(Account, job.account_id).calendars
            if c.is_pulled and c.generation and c.expanded_on != today
        ]
    for calendar_id in stale:
        extend_calendar(Pull(shop.store, job.provider, shop.settings, job.owner, calendar_id, shop.clock, jitter=0.0))
        job.report.extended += 1
