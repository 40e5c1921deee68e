"""Schedules outside the file: added, changed, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd import config
from syncd.config.checks import schedule_faults
from syncd.config.fields import Name
from syncd.errors import ApiError
from syncd.ids import new_id
from syncd.management.tables import Values, check, check_name, file_only, read
from syncd.store import offers, pulls
from syncd.store.models import Freelancer, ScheduleRow
from syncd.store.settings import fill_schedule

_NAME = TypeAdapter[str](Name)


def find_schedule(session: Session, person: Freelancer, name: str) -> ScheduleRow | None:
    """The freelancer's schedule of that name."""
    found = select(ScheduleRow).where(ScheduleRow.freelancer_id == person.id, ScheduleRow.name == name)
    return session.scalars(found).one_or_none()


def list_schedules(session: Session, person: Freelancer, after: str, limit: int) -> Sequence[ScheduleRow]:
    """A freelancer's schedules by name, those behind `after`."""
    found = select(ScheduleRow).where(ScheduleRow.freelancer_id == person.id, ScheduleRow.name > after)
    return session.scalars(found.order_by(ScheduleRow.name).limit(limit)).all()


def values_of(row: ScheduleRow) -> dict[str, Any]:
    """A schedule's settings as the API says them."""
    return {"time_zone": row.tz, "hours": row.hours, "on": row.on}


def add_schedule(session: Session, person: Freelancer, name: str, values: Values) -> ScheduleRow:
    """Add a schedule; without a zone of its own it has the freelancer's. Raises ApiError."""
    if person.declared:
        raise file_only(f"the freelancer {person.handle}")
    check_name("/name", _NAME, name)
    if find_schedule(session, person, name) is not None:
        raise ApiError("wrong-state", f"there is a schedule {name} already: change that one")
    row = ScheduleRow(id=new_id("sch"), name=name, declared=False)
    _fill(row, person, values)
    person.schedules.append(row)
    session.flush()
    pulls.bump_availability(session, person.id)
    return row


def change_schedule(session: Session, person: Freelancer, row: ScheduleRow, values: Values) -> None:
    """Set a schedule to all of `values`: what it had otherwise is gone. Raises ApiError."""
    if row.declared:
        raise file_only(f"the schedule {row.name}")
    _fill(row, person, values)
    session.flush()
    pulls.bump_availability(session, person.id)


def _fill(row: ScheduleRow, person: Freelancer, values: Values) -> None:
    fill_schedule(row, read_schedule(person, values), person.tz)


def read_schedule(person: Freelancer, values: Values) -> config.Schedule:
    """What a schedule of this freelancer would be with all of `values`. Raises ApiError."""
    wanted = read(config.Schedule, values)
    check(schedule_faults(values, wanted.time_zone or person.tz))
    return wanted


def remove_schedule(session: Session, person: Freelancer, row: ScheduleRow, now: datetime) -> None:
    """Remove a schedule. Raises ApiError while a consultation, or a coming booking of a removed one, goes by it."""
    if row.declared:
        raise file_only(f"the schedule {row.name}")
    if users := offers.users_of_schedules(session, person, now).get(row.name):
        raise ApiError("wrong-state", f"the schedule {row.name} is used by {', '.join(users)}: give them another first")
    person.schedules.remove(row)
    session.flush()
    pulls.bump_availability(session, person.id)
