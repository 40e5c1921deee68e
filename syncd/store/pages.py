"""A list a page at a time, by key: what doesn't change between two pages is neither skipped nor shown twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")


class Place(NamedTuple):
    """Where a page of a list ended: its last row's instant and id."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, and where the next page goes on; None where there is none."""

    rows: Sequence[Row]
    ended: Place | None = None


def page_of(
    session: Session,
    chosen: Select[Row],
    order: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[str]],
    *,
    limit: int,
    after: Place | None,
) -> Page[Row]:
    """At most `limit` of the chosen rows, by an instant and then by their ids, from behind a place on."""
    at, row_id = order
    if after is not None:
        chosen = chosen.where(or_(at > after.at, and_(at == after.at, row_id > after.id)))
    rows = session.scalars(chosen.order_by(at, row_id).limit(limit + 1)).all()
    return Page(rows) if len(rows) <= limit else Page(rows[:limit], _place(rows[limit - 1], order))


def _place(row: Any, order: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[str]]) -> Place:
    at, row_id = order
    return Place(getattr(row, at.key), getattr(row, row_id.key))
