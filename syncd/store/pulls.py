"""What pulls write: events, busy spans and sync tokens, by calendar and generation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Row, Select, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from syncd.store.models import OWNING_STATES, Booking, BookingEvent, BusySpan, Event, Freelancer

Span = tuple[int, int]
_T = TypeVar("_T", str, int)
_CHUNK = 500  # SQLite allows 32,766 parameters a statement; this keeps every IN list well below


@dataclass(frozen=True, slots=True)
class EventRow:
    """One remote resource as it goes into the store, with the spans in which it blocks."""

    remote_id: str
    uid: str
    etag: str
    skeleton: str
    spans: tuple[Span, ...]
    quarantined: tuple[dict[str, str | None], ...] = ()
    booking_id: str | None = None
    understood: str = ""  # where only a part is: the last skeleton that was in full
    event_id: int = 0  # its row in the store, where it has one
    series_id: str = ""  # the master's remote id, where each override is a row of its own

    @property
    def leads(self) -> bool:
        """Whether it is the master of a series of many rows."""
        return bool(self.series_id) and self.series_id == self.remote_id

    @property
    def replaces(self) -> bool:
        """Whether it stands for an instance of such a series, and says when that is."""
        return bool(self.series_id and self.skeleton) and not self.leads and not self.quarantined


def _chunks(ids: Iterable[_T]) -> Iterable[Sequence[_T]]:
    items = list(ids)
    return (items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK))


def known_etags(session: Session, calendar_id: str, generation: int) -> dict[str, str]:
    """Remote id → ETag of all that is in the store of a generation.

    What couldn't be understood has none, so that it is read anew whenever all is compared: a server may show tomorrow
    what it refuses today, and we may understand more.
    """
    unread = func.json_array_length(Event.quarantined) > 0
    rows = select(Event.remote_id, case((unread, ""), else_=Event.etag).label("etag"))
    rows = rows.where(Event.calendar_id == calendar_id, Event.generation == generation)
    return {row.remote_id: row.etag for row in session.execute(rows)}


def stored_among(session: Session, calendar_id: str, generation: int, remote_ids: Set[str]) -> set[str]:
    """Which of these remote ids are in the store of a generation."""
    here = select(Event.remote_id).where(Event.calendar_id == calendar_id, Event.generation == generation)
    return {one for chunk in _chunks(remote_ids) for one in session.scalars(here.where(Event.remote_id.in_(chunk)))}


def future_busy(session: Session, calendar_id: str, generation: int, now: datetime) -> set[str]:
    """Remote ids of the events that block some time after now."""
    rows = (
        select(Event.remote_id)
        .join(BusySpan, BusySpan.event_id == Event.id)
        .where(
            BusySpan.calendar_id == calendar_id,
            BusySpan.generation == generation,
            BusySpan.ends_at > int(now.timestamp()),
        )
        .distinct()
    )
    return set(session.scalars(rows))


def put_events(session: Session, calendar_id: str, generation: int, rows: Sequence[EventRow]) -> None:
    """Write events and their busy spans, replacing what the generation has of them."""
    if not rows:
        return
    drop_events(session, calendar_id, generation, {row.remote_id for row in rows})
    ids = session.scalars(
        insert(Event).returning(Event.id, sort_by_parameter_order=True),
        [
            {
                "calendar_id": calendar_id,
                "generation": generation,
                "remote_id": row.remote_id,
                "uid": row.uid,
                "series_id": row.series_id,
                "etag": row.etag,
                "skeleton": row.skeleton,
                "quarantined": list(row.quarantined),
                "understood": row.understood,
            }
            for row in rows
        ],
    ).all()
    numbered = [replace(row, event_id=event_id) for event_id, row in zip(ids, rows, strict=True)]
    add_spans(session, calendar_id, generation, numbered)


def add_spans(session: Session, calendar_id: str, generation: int, rows: Iterable[EventRow]) -> None:
    """Add busy spans to events that are in the store."""
    spans = [
        {
            "calendar_id": calendar_id,
            "generation": generation,
            "event_id": row.event_id,
            "starts_at": start,
            "ends_at": end,
            "booking_id": row.booking_id,
        }
        for row in rows
        for start, end in row.spans
    ]
    if spans:
        session.execute(insert(BusySpan), spans)


def drop_events(session: Session, calendar_id: str, generation: int, remote_ids: Set[str]) -> None:
    """Remove events; their busy spans go with them."""
    for chunk in _chunks(remote_ids):
        session.execute(
            delete(Event).where(
                Event.calendar_id == calendar_id, Event.generation == generation, Event.remote_id.in_(chunk)
            )
        )


def understood(session: Session, calendar_id: str, generation: int, remote_ids: Set[str]) -> dict[str, tuple[str, ...]]:
    """Remote id → UID, series id and skeleton of what of these is in a generation and was understood in full."""
    found: dict[str, tuple[str, ...]] = {}
    rows = select(Event.remote_id, Event.uid, Event.series_id, Event.skeleton).where(
        Event.calendar_id == calendar_id, Event.generation == generation, func.json_array_length(Event.quarantined) == 0
    )
    for chunk in _chunks(remote_ids):
        here = session.execute(rows.where(Event.remote_id.in_(chunk)))
        found |= {r.remote_id: (r.uid, r.series_id, r.skeleton) for r in here}
    return found


def load_rows(session: Session, calendar_id: str, generation: int, remote_ids: Iterable[str]) -> list[EventRow]:
    """Events as they are in a generation, with their spans."""
    rows: list[EventRow] = []
    for chunk in _chunks(remote_ids):
        events = session.scalars(_events(calendar_id, generation).where(Event.remote_id.in_(chunk))).all()
        spans = _spans_of(session, [event.id for event in events])
        rows += [_as_row(event, spans.get(event.id, ())) for event in events]
    return rows


def _events(calendar_id: str, generation: int) -> Select[Event]:
    return select(Event).where(Event.calendar_id == calendar_id, Event.generation == generation)


def _spans_of(session: Session, event_ids: Sequence[int]) -> dict[int, list[tuple[Span, str | None]]]:
    found: dict[int, list[tuple[Span, str | None]]] = {}
    rows = select(BusySpan.event_id, BusySpan.starts_at, BusySpan.ends_at, BusySpan.booking_id)
    ordered = rows.where(BusySpan.event_id.in_(event_ids)).order_by(BusySpan.starts_at, BusySpan.ends_at)
    for row in session.execute(ordered):
        found.setdefault(row.event_id, []).append(((row.starts_at, row.ends_at), row.booking_id))
    return found


def _as_row(event: Event, spans: Sequence[tuple[Span, str | None]]) -> EventRow:
    return EventRow(
        event.remote_id,
        event.uid,
        event.etag,
        event.skeleton,
        tuple(span for span, _ in spans),
        tuple(event.quarantined),
        spans[0][1] if spans else None,
        event.understood,
        series_id=event.series_id,
    )


def series_of(session: Session, calendar_id: str, generation: int, remote_ids: Iterable[str]) -> dict[str, str]:
    """Remote id → series id of those of these events that are a row of a series."""
    rows = select(Event.remote_id, Event.series_id).where(
        Event.calendar_id == calendar_id, Event.generation == generation, Event.series_id != ""
    )
    found = (session.execute(rows.where(Event.remote_id.in_(chunk))) for chunk in _chunks(remote_ids))
    return {row.remote_id: row.series_id for rows in found for row in rows}


def rows_of_series(session: Session, calendar_id: str, generation: int, series_ids: Iterable[str]) -> list[EventRow]:
    """Masters and overrides of these series, without their spans."""
    these = _skeletons(calendar_id, generation)
    found = (session.execute(these.where(Event.series_id.in_(chunk))) for chunk in _chunks(series_ids))
    return [_without_spans(row) for rows in found for row in rows]


def masters(session: Session, calendar_id: str, generation: int) -> list[Sequence[str]]:
    """Remote ids of all masters of a generation, in portions."""
    leading = select(Event.remote_id).where(
        Event.calendar_id == calendar_id,
        Event.generation == generation,
        Event.series_id != "",
        Event.series_id == Event.remote_id,
    )
    return list(_chunks(session.scalars(leading)))


def put_back(session: Session, calendar_id: str, generation: int, gone: Set[str]) -> set[str]:
    """Which of these are overrides whose master stays: without them it blocks where they stood."""
    rows = select(Event.remote_id, Event.series_id).where(
        Event.calendar_id == calendar_id, Event.generation == generation, Event.series_id != ""
    )
    series = {row.remote_id: row.series_id for row in session.execute(rows)}
    masters = {remote_id for remote_id, of in series.items() if remote_id == of} - gone
    return {remote_id for remote_id, of in series.items() if remote_id in gone and of in masters}


def drop_generations(session: Session, calendar_id: str, keep: int) -> None:
    """Remove the rows of all generations but one: an old one, or one a crash left unfinished."""
    session.execute(delete(Event).where(Event.calendar_id == calendar_id, Event.generation != keep))


def drop_spans_of_events(session: Session, calendar_id: str, remote_ids: Set[str], spans: Set[Span]) -> None:
    """Forget spans that our event has left, as far as they are known of it: what else it had stays, copies too."""
    ours = select(Event.id).where(Event.calendar_id == calendar_id, Event.remote_id.in_(remote_ids))
    for start, end in spans:
        session.execute(
            delete(BusySpan).where(
                BusySpan.calendar_id == calendar_id,
                BusySpan.event_id.in_(ours),
                BusySpan.starts_at == start,
                BusySpan.ends_at == end,
            )
        )


def drop_past_spans(session: Session, calendar_id: str, before: datetime) -> None:
    """Remove spans that ended before an instant."""
    session.execute(
        delete(BusySpan).where(BusySpan.calendar_id == calendar_id, BusySpan.ends_at <= int(before.timestamp()))
    )


def skeletons(session: Session, calendar_id: str, generation: int) -> list[EventRow]:
    """Every event of a generation that has a skeleton, without its spans."""
    rows = session.execute(_skeletons(calendar_id, generation).where(Event.skeleton != ""))
    return [_without_spans(row) for row in rows]


_SKELETON = (
    *(Event.id, Event.remote_id, Event.uid, Event.etag, Event.series_id),
    *(Event.skeleton, Event.understood, Event.quarantined),
)


def _skeletons(calendar_id: str, generation: int) -> Select[Any]:
    return select(*_SKELETON).where(Event.calendar_id == calendar_id, Event.generation == generation)


def _without_spans(row: Row[Any]) -> EventRow:
    return EventRow(
        row.remote_id,
        row.uid,
        row.etag,
        row.skeleton,
        (),
        tuple(row.quarantined),
        understood=row.understood,
        event_id=row.id,
        series_id=row.series_id,
    )


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something that couldn't be understood; `known` says whether its resource closes slots all the same."""

    remote_id: str
    uid: str | None
    start: str | None
    reason: str
    known: bool


def quarantined(session: Session, calendar_id: str, generation: int) -> list[Quarantined]:
    """Everything in a generation that couldn't be understood."""
    blocks = select(BusySpan.event_id).where(BusySpan.event_id == Event.id).exists()
    rows = select(Event.remote_id, Event.quarantined, blocks.label("known")).where(
        Event.calendar_id == calendar_id,
        Event.generation == generation,
        func.json_array_length(Event.quarantined) > 0,
    )
    found = session.execute(rows.order_by(Event.remote_id))
    return [Quarantined(row.remote_id, **item, known=row.known) for row in found for item in row.quarantined]


def bump_availability(session: Session, freelancer_id: str) -> None:
    """Say that something changed which can change a slot."""
    session.execute(
        update(Freelancer)
        .where(Freelancer.id == freelancer_id)
        .values(availability_version=Freelancer.availability_version + 1)
    )


@dataclass(frozen=True, slots=True)
class OwnIds:
    """What may tell that events of a calendar are ours."""

    remote_ids: Set[str]
    uids: Set[str]
    booking_ids: Set[str]


def own_bookings(session: Session, freelancer_id: str, calendar_id: str, ids: OwnIds) -> dict[str, str]:
    """Which of these ids are the freelancer's own bookings, of any state: the id → booking id.

    A UID and a booking id count in any calendar, a remote id only in the one it was written to.
    """
    own: dict[str, str] = {}
    mine = select(BookingEvent.uid, BookingEvent.remote_id, Booking.id).join(Booking)
    mine = mine.where(Booking.freelancer_id == freelancer_id)
    for chunk in _chunks(ids.booking_ids):
        own |= {row.id: row.id for row in session.execute(mine.where(Booking.id.in_(chunk)))}
    for chunk in _chunks(ids.uids):
        own |= {row.uid: row.id for row in session.execute(mine.where(BookingEvent.uid.in_(chunk)))}
    here = mine.where(BookingEvent.calendar_id == calendar_id)
    for chunk in _chunks(ids.remote_ids):
        own |= {row.remote_id: row.id for row in session.execute(here.where(BookingEvent.remote_id.in_(chunk)))}
    return own


def events_at(session: Session, freelancer_id: str, spans: Iterable[Span]) -> list[tuple[BookingEvent, Booking]]:
    """Events of the freelancer's bookings that are or may be in a calendar, and begin when one of these spans does."""
    mine = select(BookingEvent, Booking).join(Booking, Booking.id == BookingEvent.booking_id)
    written = (BookingEvent.written_starts_at, BookingEvent.attempted_starts_at)
    mine = mine.where(
        Booking.freelancer_id == freelancer_id,
        or_(Booking.state.in_(OWNING_STATES), *(at.is_not(None) for at in written)),
    )
    found: list[tuple[BookingEvent, Booking]] = []
    for chunk in _chunks({start for start, _ in spans}):
        starts = [datetime.fromtimestamp(start, UTC) for start in chunk]
        begins = or_(*(at.in_(starts) for at in (Booking.starts_at, *written)))
        found += [(event, booking) for event, booking in session.execute(mine.where(begins))]
    return found


def written_in(session: Session, calendar_id: str) -> list[tuple[BookingEvent, Booking]]:
    """Our events that are written in a calendar, with their bookings."""
    rows = (
        select(BookingEvent, Booking)
        .join(Booking, Booking.id == BookingEvent.booking_id)
        .where(BookingEvent.calendar_id == calendar_id, BookingEvent.remote_id.is_not(None))
    )
    return [(event, booking) for event, booking in session.execute(rows)]


def written_ids(session: Session, calendar_id: str) -> set[str]:
    """Remote ids of our events that are written in a calendar."""
    written = select(BookingEvent.remote_id).where(BookingEvent.calendar_id == calendar_id)
    return {remote_id for remote_id in session.scalars(written) if remote_id}
