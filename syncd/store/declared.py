"""Brings what the configuration file declares into the store (semantics 28).

What the file declares is written as the file says, also what the API or `connect` made before under that name; what
has left it is deactivated, its bookings kept, and from then on managed like all that was never in it. Everything else
stays as it is. Raises nothing of its own: the configuration was checked when it was loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncd import config as declared
from syncd.ids import new_id
from syncd.secrets import Vault
from syncd.store import farewells, pulls
from syncd.store.access import SIGNED_IN, Access, access_of, await_sign_in, how_to_connect, renew_access
from syncd.store.models import Account, Consultation, Freelancer, ScheduleRow
from syncd.store.offers import users_of_schedules
from syncd.store.settings import fill_consultation, fill_freelancer, fill_schedule, read_again, reading_of


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
            _let_go(row)


def _let_go(row: Freelancer) -> None:
    """Deactivate a freelancer who left the file; the accounts go on, so that what is owed to calendars is written."""
    row.active = row.declared = False
    for schedule in row.schedules:
        schedule.declared = False
    for consultation in row.consultations:
        consultation.declared = False
    for account in row.accounts:
        account.declared = False


def _apply_freelancer(applying: Applying, row: Freelancer, freelancer: declared.Freelancer) -> None:
    fill_freelancer(row, freelancer, applying.config.invite(freelancer), applying.now)
    row.declared = True
    _apply_schedules(applying, row, freelancer)
    _apply_consultations(row, freelancer)
    _apply_accounts(applying, row, freelancer)
    for account in row.accounts:
        for calendar in account.calendars:
            if calendar.expanded_until_at is not None and calendar.expanded_until_at < applying.busy_until_at:
                calendar.expanded_on = ""  # busy time is kept for longer now


def _apply_schedules(applying: Applying, row: Freelancer, freelancer: declared.Freelancer) -> None:
    schedules = {schedule.name: schedule for schedule in row.schedules}
    for name, schedule in freelancer.schedules.items():
        kept = schedules.pop(name, None)
        if kept is None:
            kept = ScheduleRow(id=new_id("sch"), name=name)
            row.schedules.append(kept)
        fill_schedule(kept, schedule, freelancer.time_zone)
        kept.declared = True
    users = users_of_schedules(applying.session, row, applying.now)
    for name, gone in schedules.items():
        if gone.declared and set(users.get(name, ())) <= freelancer.consultations.keys():
            row.schedules.remove(gone)
        gone.declared = False


def _apply_consultations(row: Freelancer, freelancer: declared.Freelancer) -> None:
    rows = {consultation.slug: consultation for consultation in row.consultations}
    for slug, consultation in freelancer.consultations.items():
        kept = rows.pop(slug, None)
        if kept is None:
            kept = Consultation(id=new_id("con"), slug=slug)
            row.consultations.append(kept)
        fill_consultation(kept, consultation)
        kept.declared = True
    for gone in rows.values():
        if gone.declared:
            gone.active = gone.declared = False


def _apply_accounts(applying: Applying, row: Freelancer, freelancer: declared.Freelancer) -> None:
    rows = {account.name: account for account in row.accounts}
    for name, account in freelancer.accounts.items():
        kept = rows.pop(name, None)
        if kept is None:
            kept = Account(id=new_id("acc"), name=name, created_at=applying.now, missing=[], state="ok", attempts=0)
            row.accounts.append(kept)
        _fill_account(applying, kept, account)
    claimed = any(account.target for account in freelancer.accounts.values())
    for other in rows.values():
        if other.declared:
            other.active = other.declared = False
        elif other.active:
            other.target = "" if claimed else other.target  # a freelancer has one target, and the file's comes first
            applying.choose(other, applying.now)  # the file's consultations may name its calendars


def _fill_account(applying: Applying, row: Account, account: declared.Account) -> None:
    before = reading_of(row)
    if row.provider not in (None, account.provider) or _is_anothers(row, account):
        farewells.owe(applying.session, row, applying.now)
        row.credential = None
    row.provider, row.auth, row.ca_file = account.provider, account.auth, account.ca_file
    _set_access(applying, row, account)
    row.blocks, row.target = list(account.blocks), account.target
    row.tentative, row.unanswered = account.tentative, account.unanswered
    row.working_elsewhere, row.when_stale = account.working_elsewhere, account.when_stale
    row.sync_every_seconds = applying.config.sync_every(account.provider, account.sync_every)
    row.allow_private = account.allow_private
    row.active = row.declared = True
    if before is not None and before != reading_of(row):
        read_again([row], applying.now)
    chosen = {c.remote_id for c in row.calendars if c.target}
    applying.choose(row, applying.now)
    if chosen != {c.remote_id for c in row.calendars if c.target}:
        row.next_list_at = applying.now  # gives promised events their calendar


def _set_access(applying: Applying, row: Account, account: declared.Account) -> None:
    """Set address and password; if either is new, the account is tried again at once. A permission is a person's to
    give: here it is kept, or waited for."""
    if account.provider in SIGNED_IN:
        row.username = row.username if row.credential is not None else account.username
        if row.credential is None:
            command = how_to_connect(account.provider, row.freelancer.handle, row.name)
            await_sign_in(row, applying.now, f"nobody has signed in yet: {command} asks for permission")
        return
    access = Access(account.url, account.username, account.password.get_secret_value() if account.password else "")
    if access_of(row, applying.vault) != access:
        renew_access(row, applying.vault, access, applying.now)


def _is_anothers(row: Account, account: declared.Account) -> bool:
    """Whether the file names another user than the one who signed in."""
    is_signed_in = account.provider in SIGNED_IN and row.credential is not None
    return is_signed_in and bool(account.username) and account.username.casefold() != row.username.casefold()
