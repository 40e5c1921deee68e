"""Delivers what a booking owes its calendar: reads, plans, records the attempt, acts, records the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from providers.model import ConsultationEvent, EventRef, RemoteCalendar
from providers.port import Provider
from syncd.booking.describe import describe
from syncd.outbox import apply
from syncd.outbox.plan import LINK_IS_HOPELESS_AFTER, Place, Step, pause_before_asking, plan_write, uid_of
from syncd.store import leases, outbox, pulls
from syncd.store.engine import Store
from syncd.store.models import OWNING_STATES, Booking, BookingEvent, Calendar, OutboxItem
from syncd.store.probes import remote_of
from syncd.sync.drift import own_spans

log = structlog.get_logger("syncd.outbox")

_STEPS = 6  # remove, renew, create, and the booking changing meanwhile: more at once is no progress


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who delivers: the worker that holds the account's lease."""

    store: Store
    provider: Provider
    account_id: str
    owner: str
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Order:
    """One step to take, read in one transaction."""

    step: Step
    item_id: int
    booking_id: str
    revision: int
    calendar: RemoteCalendar | None
    ref: EventRef | None
    key: str
    earlier: tuple[str, ...]  # keys of the events that this one replaces
    event: ConsultationEvent


def deliver(delivery: Delivery, item_id: int) -> bool:
    """Take steps until the remote event is as the booking wants it; True if it is. Raises ProviderError, LeaseLost.

    A meeting link that is still being made keeps the item, to be asked after later.
    """
    for _ in range(_STEPS):
        order = _take_order(delivery, item_id)
        if order is None:
            return True
        if _record(delivery, order, _act(delivery.provider, order)):
            return True
    return False


def _take_order(delivery: Delivery, item_id: int) -> _Order | None:
    """Plan the next step and record that it is about to be taken; None when nothing is owed any more."""
    with delivery.store.write() as session:
        leases.hold(session, delivery.account_id, delivery.owner, delivery.clock())
        item = session.get(OutboxItem, item_id)
        if item is None:
            return None
        booking = session.get_one(Booking, item.booking_id)
        order = _order(session, item, booking, booking.event)
        if order.step == "nothing":
            _rest(booking.event, wanted=booking.state in OWNING_STATES)
            outbox.settle(session, item.id, booking.revision)
            return None
        if order.step in ("create", "change"):
            booking.event.attempted_starts_at, booking.event.attempted_ends_at = booking.starts_at, booking.ends_at
        return order


def _order(session: Session, item: OutboxItem, booking: Booking, event: BookingEvent) -> _Order:
    calendar = session.get(Calendar, event.calendar_id) if event.calendar_id else None
    step = next_step(booking)
    remote = remote_of(calendar) if calendar else None
    ref = None
    if remote and event.remote_id:
        ref = EventRef(
            remote.remote_id,
            event.remote_id,
            event.uid,
            event.etag,
            event.html_link,
            event.join_url,
            event.link_pending,
            event.invited,
        )
    *earlier, key = (uid_of(booking.id, generation + 1) for generation in range(event.generation))
    return _Order(step, item.id, booking.id, booking.revision, remote, ref, key, tuple(earlier), describe(booking))


def next_step(booking: Booking) -> Step:
    """What a booking's event needs next, by what is stored of it."""
    event = booking.event
    is_as_wanted = event.state in ("written", "drifted")  # a change makes it pending until it is written
    place = Place(
        event.calendar_id,
        event.remote_id,
        attempted=event.attempted_starts_at is not None,
        awaits_link=event.link_pending and is_as_wanted,
    )
    # An event stays in the calendar it was promised to; a changed target moves none that was sent.
    return plan_write(place, wanted=booking.state in OWNING_STATES, target_id=event.calendar_id)


def _act(provider: Provider, order: _Order) -> EventRef | None:
    """Take the step; returns where the event is now, None if there is none (any more) under this id."""
    assert order.calendar is not None
    try:
        if order.step == "create":
            return apply.create(provider, order.calendar, order.event, order.key, earlier=order.earlier)
        if order.step == "change" and order.ref is not None:
            return apply.change(provider, order.ref, order.event)
        if order.step == "ask_link" and order.ref is not None:
            return apply.ask_link(provider, order.ref)
        apply.remove(provider, order.calendar, order.ref, order.key)
    except apply.Vanished:
        pass  # the next step makes it anew, under the next generation's id
    return None


def _record(delivery: Delivery, order: _Order, ref: EventRef | None) -> bool:
    """Store the result of a step; True if nothing more is owed."""
    now = delivery.clock()
    with delivery.store.write() as session:
        leases.hold(session, delivery.account_id, delivery.owner, now)
        event = session.get_one(BookingEvent, order.booking_id)
        if order.step == "ask_link" and ref is not None:
            return _record_link(session, order, event, ref, now)
        places, before = {event.remote_id or "", ref.remote_id if ref else ""}, own_spans(event, event.booking)
        if ref is None:
            _renew(event, now)
            done = order.step == "remove" and event.booking.state not in OWNING_STATES
        else:
            _note_written(session, event, order, ref, now)
            done = True
        if event.calendar_id:
            left = before - own_spans(event, event.booking)
            pulls.drop_spans_of_events(session, event.calendar_id, places, left)
            session.get_one(Calendar, event.calendar_id).next_pull_at = now  # see it come back
        pulls.bump_availability(session, event.booking.freelancer_id)
        if done and not event.link_pending:
            outbox.settle(session, order.item_id, order.revision)
        return done and event.booking.revision == order.revision


def _note_written(session: Session, event: BookingEvent, order: _Order, ref: EventRef, now: datetime) -> None:
    event.remote_id, event.etag, event.html_link, event.uid = ref.remote_id, ref.etag, ref.html_link, ref.uid
    event.written_starts_at, event.written_ends_at = order.event.start_at, order.event.end_at
    event.drift, event.invited = None, ref.invited
    item = session.get(OutboxItem, order.item_id)
    if ref.link_pending and item is not None and item.revision == order.revision:
        item.created_at = item.created_at if event.link_pending else now  # what is owed from now on is the link alone
        item.attempts, item.problem, item.due_at = 0, None, now + pause_before_asking(0)
    _set_link(event, ref.join_url, now, pending=ref.link_pending)
    if event.booking.revision == order.revision:
        event.state = "written"


def _record_link(session: Session, order: _Order, event: BookingEvent, ref: EventRef, now: datetime) -> bool:
    """Store what became of a meeting link; False if the booking has changed meanwhile, which is written first."""
    if next_step(event.booking) != "ask_link":
        return False
    event.etag = ref.etag
    _set_link(event, ref.join_url, now, pending=ref.link_pending)
    item = session.get(OutboxItem, order.item_id)
    if item is None:
        return True
    if event.link_pending and now - item.created_at < LINK_IS_HOPELESS_AFTER:
        item.attempts += 1
        item.problem, item.due_at = None, now + pause_before_asking(item.attempts)
        return True
    if event.join_url is None:
        log.warning("no meeting link was made", booking=order.booking_id)
    event.link_pending = False
    outbox.drop(session, item)
    return True


def _set_link(event: BookingEvent, join_url: str | None, now: datetime, *, pending: bool) -> None:
    """A link that becomes known, or changes, is a change of the booking to those who ask what has changed."""
    if event.join_url != join_url and event.booking.state in OWNING_STATES:
        event.booking.updated_at = now
    event.join_url, event.link_pending = join_url, pending


def _renew(event: BookingEvent, now: datetime) -> None:
    """There is no event now; the next one, if any, has a new id."""
    _set_link(event, None, now, pending=False)
    event.invited = False
    event.generation += 1
    event.uid = uid_of(event.booking_id, event.generation)
    event.remote_id = event.etag = event.html_link = event.drift = None
    event.attempted_starts_at = event.attempted_ends_at = event.written_starts_at = event.written_ends_at = None
    event.state = "pending" if event.booking.state in OWNING_STATES else "none"


def _rest(event: BookingEvent, *, wanted: bool) -> None:
    if not wanted:
        event.state = "none"
