"""Consultations outside the file: added, changed, removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd import config
from syncd.config.checks import Fault, consultation_faults
from syncd.config.fields import Slug
from syncd.errors import ApiError
from syncd.ids import new_id
from syncd.management.tables import Values, check, check_name, file_only, read, table_of
from syncd.store import bookings, pulls
from syncd.store.bookings import is_named
from syncd.store.models import Account, Consultation, Freelancer
from syncd.store.settings import LENGTHS, fill_consultation
from syncd.sync.listing import choose

_SLUG = TypeAdapter[str](Slug)


def find_consultation(session: Session, person: Freelancer, slug: str) -> Consultation | None:
    """The freelancer's consultation of that slug, unless removed."""
    found = select(Consultation).where(Consultation.freelancer_id == person.id, Consultation.slug == slug)
    return session.scalars(found.where(Consultation.removed.is_(False))).one_or_none()


def list_consultations(session: Session, person: Freelancer, after: str, limit: int) -> Sequence[Consultation]:
    """A freelancer's consultations by slug, those behind `after`."""
    found = select(Consultation).where(Consultation.freelancer_id == person.id, Consultation.removed.is_(False))
    return session.scalars(found.where(Consultation.slug > after).order_by(Consultation.slug).limit(limit)).all()


def values_of(row: Consultation) -> dict[str, Any]:
    """A consultation's settings as the API says them."""
    names = (f"{n}_minutes" if n in (*LENGTHS, "durations") else n for n in config.Consultation.model_fields)
    return {name: getattr(row, name) for name in names}


def add_consultation(
    session: Session, settings: config.Config, person: Freelancer, slug: str, values: Values, now: datetime
) -> Consultation:
    """Add a consultation, with the file's defaults for what isn't said; one that was removed keeps its bookings.

    Raises ApiError: a slug that can't be one or is taken, a value that isn't right.
    """
    if person.declared:
        raise file_only(f"the freelancer {person.handle}")
    check_name("/slug", _SLUG, slug)
    row = next((c for c in person.consultations if c.slug == slug), None)
    if row is not None and not row.removed:
        raise ApiError("wrong-state", f"there is a consultation {slug} already: change that one")
    wanted = read_consultation(settings, person, {"title": slug.replace("-", " ").capitalize(), **values})
    if row is None:
        row = Consultation(id=new_id("con"), slug=slug, declared=False)
        person.consultations.append(row)
    _set(session, person, row, wanted, now)
    return row


def change_consultation(
    session: Session, settings: config.Config, row: Consultation, values: Values, now: datetime
) -> None:
    """Change what `values` says. Raises ApiError."""
    if row.declared:
        raise file_only(f"the consultation {row.slug}")
    named = frozenset((*row.blocks, row.target))
    wanted = read_consultation(settings, row.freelancer, {**values_of(row), **values}, named=named)
    _set(session, row.freelancer, row, wanted, now)


def remove_consultation(session: Session, row: Consultation, now: datetime) -> None:
    """Offer a consultation no more and show it nowhere; its bookings are kept. Raises ApiError."""
    if row.declared:
        raise file_only(f"the consultation {row.slug}")
    row.removed, row.active = True, False
    _follow(session, row.freelancer, now)


def read_consultation(
    settings: config.Config, person: Freelancer, values: Values, *, named: Set[str] = frozenset()
) -> config.Consultation:
    """What a consultation of this freelancer would be with all of `values`. Raises ApiError.

    A calendar that isn't there is no mistake where it was `named` before: it may have vanished since.
    """
    wanted = read(config.Consultation, values)
    accounts = {account.name: account for account in person.accounts if account.active}
    kinds = {name: {"provider": account.provider} for name, account in accounts.items()}
    schedules = [schedule.name for schedule in person.schedules]
    faults = [*consultation_faults(table_of(values), schedules, kinds, settings.daemon.keep_busy_for)]
    check(faults or _unknown_calendars(wanted, accounts, named))
    return wanted


def _unknown_calendars(wanted: config.Consultation, accounts: dict[str, Account], named: Set[str]) -> Iterator[Fault]:
    """Calendars that aren't there, and a target that can't be written to: what nobody knows closes every slot."""
    for index, text in enumerate(wanted.blocks):
        if text not in named:
            yield from _unknown_calendar(("blocks", index), text, accounts, to_write=False)
    if wanted.target and wanted.target not in named:
        yield from _unknown_calendar(("target",), wanted.target, accounts, to_write=True)


def _unknown_calendar(
    at: tuple[str | int, ...], text: str, accounts: dict[str, Account], *, to_write: bool
) -> Iterator[Fault]:
    owner, _, name = text.partition("/")
    if owner not in accounts:
        known = ", ".join(sorted(accounts)) or "none is connected yet"
        yield Fault(at, f'must begin with one of this freelancer\'s accounts ({known}), then "/calendar"')
    elif accounts[owner].listed_at is not None:
        there = [c for c in accounts[owner].calendars if not c.gone]
        meant = [c for c in there if is_named(c, name)]
        if not meant:
            yield Fault(at, f"must name a calendar of {owner}: {', '.join(sorted(c.name for c in there))}")
        elif to_write and not meant[0].can_write:
            yield Fault(at, "must be a calendar that can be written to")


def _set(session: Session, person: Freelancer, row: Consultation, wanted: config.Consultation, now: datetime) -> None:
    fill_consultation(row, wanted)
    _follow(session, person, now)


def _follow(session: Session, person: Freelancer, now: datetime) -> None:
    """What a consultation names is pulled from now on, and what it no longer names isn't."""
    session.flush()
    for account in person.accounts:
        if account.active:
            choose(account, now)
    bookings.assign_targets(session, person.id)
    pulls.bump_availability(session, person.id)
