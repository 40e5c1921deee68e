"""What pulls write: events, busy spans and sync tokens, by calendar and generation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from syncd.store.models import Booking, BookingEvent, BusySpan, Event, Freelancer

Span = tuple[int, int]
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


def _chunks(ids: Iterable[str]) -> Iterable[Sequence[str]]:
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


def understood(session: Session, calendar_id: str, generation: int, remote_ids: Set[str]) -> dict[str, tuple[str, str]]:
    """Remote id → UID and skeleton of what of these is in a generation and was understood in full."""
    found: dict[str, tuple[str, str]] = {}
    rows = select(Event.remote_id, Event.uid, Event.skeleton).where(
        Event.calendar_id == calendar_id, Event.generation == generation, func.json_array_length(Event.quarantined) == 0
    )
    for chunk in _chunks(remote_ids):
        found |= {r.remote_id: (r.uid, r.skeleton) for r in session.execute(rows.where(Event.remote_id.in_(chunk)))}
    return found


def load_rows(session: Session, calendar_id: str, generation: int, remote_ids: Set[str]) -> list[EventRow]:
    """Events as they are in a generation, with their spans."""
    events = [
        event
        for chunk in _chunks(remote_ids)
        for event in session.scalars(
            select(Event).where(
                Event.calendar_id == calendar_id, Event.generation == generation, Event.remote_id.in_(chunk)
            )
        )
    ]
    return [_as_row(session, event) for event in events]


def _as_row(session: Session, event: Event) -> EventRow:
    spans = session.execute(
        select(BusySpan.starts_at, BusySpan.ends_at, BusySpan.booking_id)
        .where(BusySpan.event_id == event.id)
        .order_by(BusySpan.starts_at, BusySpan.ends_at)
    ).all()
    booking_id = spans[0].booking_id if spans else None
    return EventRow(
        event.remote_id,
        event.uid,
        event.etag,
        event.skeleton,
        tuple((s.starts_at, s.ends_at) for s in spans),
        tuple(event.quarantined),
        booking_id,
        event.understood,
    )


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
    rows = select(Event.id, Event.remote_id, Event.uid, Event.skeleton, Event.understood).where(
        Event.calendar_id == calendar_id, Event.generation == generation, Event.skeleton != ""
    )
    return [
        EventRow(r.remote_id, r.uid, "", r.skeleton, (), understood=r.understood, event_id=r.id)
        for r in session.execute(rows)
    ]


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
