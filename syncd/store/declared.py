"""Brings what the configuration file declares into the store (semantics 28).

What the file declares is written as the file says; what has left it is deactivated and its bookings kept. Accounts
that `connect` added stay. Raises nothing of its own: the configuration was checked when it was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncd import config as declared
from syncd.ids import new_id
from syncd.secrets import Vault
from syncd.store import pulls
from syncd.store.access import Access, access_of, renew_access
from syncd.store.models import Account, Consultation, Freelancer, ScheduleRow

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Applying:
    """What applying a configuration needs: sealing, the time, how far busy time is kept, choosing among calendars."""

    session: Session
    config: declared.Config
    vault: Vault
    now: datetime
    busy_until_at: datetime
    choose: Callable[[Account, datetime], None]


def apply_config(applying: Applying) -> None:
    """Make the store say what the file says; availability changes only if something did."""
    session = applying.session
    with session.no_autoflush:
        _apply_freelancers(applying)
        changed = session.new or session.deleted or any(session.is_modified(row) for row in session.dirty)
    session.flush()
    for row in session.scalars(select(Freelancer)) if changed else ():
        pulls.bump_availability(session, row.id)
    if changed:
        # Work in flight reads by the old settings: without its lease it commits nothing, and is done again.
        session.execute(update(Account).values(lease_owner=None, lease_until=None))


def _apply_freelancers(applying: Applying) -> None:
    session, config = applying.session, applying.config
    rows = {row.handle: row for row in session.scalars(select(Freelancer))}
    for handle, freelancer in config.freelancers.items():
        row = rows.get(handle)
        if row is None:
            row = Freelancer(id=new_id("frl"), handle=handle, created_at=applying.now, availability_version=0)
            session.add(row)
        _apply_freelancer(applying, row, freelancer)
    for handle, row in rows.items():
        if row.declared and handle not in config.freelancers:
            row.active = False


def _apply_freelancer(applying: Applying, row: Freelancer, freelancer: declared.Freelancer) -> None:
    before = (row.tz, row.email, row.addresses)
    row.name, row.email, row.tz = freelancer.name, freelancer.email, freelancer.time_zone
    row.addresses = list(freelancer.addresses)
    row.active, row.profile, row.declared = freelancer.active, freelancer.profile, True
    row.daily_limit, row.weekly_limit = freelancer.daily_limit, freelancer.weekly_limit
    row.blocked_clients = list(freelancer.blocked_clients)
    row.on_calendar_change = freelancer.on_calendar_change.model_dump()
    row.remind_before_minutes = [length // _MINUTE for length in freelancer.remind_before]
    row.proposals_expire_minutes = freelancer.proposals_expire // _MINUTE
    row.invite = applying.config.invite(freelancer)
    _apply_schedules(row, freelancer)
    _apply_consultations(row, freelancer)
    _apply_accounts(applying, row, freelancer)
    if before != (row.tz, row.email, row.addresses):
        _read_again(row.accounts, applying.now)  # all-day events and one's own participation depend on them
    for account in row.accounts:
        for calendar in account.calendars:
            if calendar.expanded_until_at is not None and calendar.expanded_until_at < applying.busy_until_at:
                calendar.expanded_on = ""  # busy time is kept for longer now


def _apply_schedules(row: Freelancer, freelancer: declared.Freelancer) -> None:
    schedules = {schedule.name: schedule for schedule in row.schedules}
    for name, schedule in freelancer.schedules.items():
        kept = schedules.pop(name, None)
        if kept is None:
            kept = ScheduleRow(id=new_id("sch"), name=name)
            row.schedules.append(kept)
        kept.tz = schedule.time_zone or freelancer.time_zone
        kept.hours = {day: list(ranges) for day, ranges in dict(schedule.hours).items() if ranges}
        kept.on = {dates: list(ranges) for dates, ranges in schedule.on.items()}
        kept.declared = True
    used = {consultation.schedule for consultation in freelancer.consultations.values()}
    for name, gone in schedules.items():
        if gone.declared and name not in used:
            row.schedules.remove(gone)


def _apply_consultations(row: Freelancer, freelancer: declared.Freelancer) -> None:
    rows = {consultation.slug: consultation for consultation in row.consultations}
    for slug, consultation in freelancer.consultations.items():
        kept = rows.pop(slug, None)
        if kept is None:
            kept = Consultation(id=new_id("con"), slug=slug)
            row.consultations.append(kept)
        _fill_consultation(kept, consultation)
    for gone in rows.values():
        if gone.declared:
            gone.active = False


def _fill_consultation(row: Consultation, consultation: declared.Consultation) -> None:
    for name in ("title", "description", "active", "visibility", "schedule", "target", "confirmation", "location"):
        setattr(row, name, getattr(consultation, name))
    for name in ("daily_limit", "weekly_limit", "per_client_limit", "reschedule_keeps_deadline", "instant"):
        setattr(row, name, getattr(consultation, name))
    for name in (
        *("increment", "minimum_notice", "horizon", "buffer_before", "buffer_after", "approve_within", "hold_max"),
        *("documents_due", "cancellation_notice", "late_after", "complete_after"),
    ):
        setattr(row, f"{name}_minutes", getattr(consultation, name) // _MINUTE)
    row.durations_minutes = [length // _MINUTE for length in consultation.durations]
    row.blocks, row.documents = list(consultation.blocks), list(consultation.documents)
    row.price = consultation.price.model_dump() if consultation.price else None
    row.questions = [question.model_dump() for question in consultation.questions]
    row.declared = True


def _apply_accounts(applying: Applying, row: Freelancer, freelancer: declared.Freelancer) -> None:
    rows = {account.name: account for account in row.accounts}
    for name, account in freelancer.accounts.items():
        kept = rows.pop(name, None)
        if kept is None:
            kept = Account(id=new_id("acc"), name=name, created_at=applying.now, missing=[], state="ok", attempts=0)
            row.accounts.append(kept)
        _fill_account(applying, kept, account)
    for gone in rows.values():
        if gone.declared:
            gone.active = False


def _fill_account(applying: Applying, row: Account, account: declared.Account) -> None:
    before = _meaning(row)
    row.provider, row.auth, row.ca_file = account.provider, account.auth, account.ca_file
    _set_access(applying, row, account)
    row.blocks, row.target = list(account.blocks), account.target
    row.tentative, row.unanswered = account.tentative, account.unanswered
    row.working_elsewhere, row.when_stale = account.working_elsewhere, account.when_stale
    row.sync_every_seconds = applying.config.sync_every(account.provider, account.sync_every)
    row.allow_private = applying.config.allows_private(account)
    row.active = row.declared = True
    if before is not None and before != _meaning(row):
        _read_again([row], applying.now)
    chosen = {c.remote_id for c in row.calendars if c.target}
    applying.choose(row, applying.now)
    if chosen != {c.remote_id for c in row.calendars if c.target}:
        row.next_list_at = applying.now  # gives promised events their calendar


def _read_again(accounts: Iterable[Account], now: datetime) -> None:
    """What is known was understood otherwise: it isn't relied on until it is read anew."""
    for account in accounts:
        for calendar in account.calendars:
            calendar.full_wanted, calendar.next_pull_at, calendar.expanded_until_at = True, now, None


def _meaning(row: Account) -> tuple[str, str, str] | None:
    """What decides which events block: when it changes, all are read again."""
    return (row.tentative, row.unanswered, row.working_elsewhere) if row.calendars else None


def _set_access(applying: Applying, row: Account, account: declared.Account) -> None:
    """Set address and password; if either is new, the account is tried again at once."""
    access = Access(account.url, account.username, account.password.get_secret_value() if account.password else "")
    if access_of(row, applying.vault) != access:
        renew_access(row, applying.vault, access, applying.now)
