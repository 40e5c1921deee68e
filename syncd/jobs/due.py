"""What there is to do at an account now, read from the store alone: its writes, its list of calendars, its pulls.

The workers do it, and `--dry-run` tells it. Refuses to know how it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from syncd.outbox.deliver import next_step
from syncd.outbox.plan import Step
from syncd.store import leases, outbox
from syncd.store.models import Account, Booking, Calendar
from syncd.sync.pull import Way, way_of


@dataclass(frozen=True, slots=True)
class Order:
    """What to do beyond what is due: not wait for back-off to end; pull everything now; in full, believing what the
    brake would hold back."""

    insist: bool = False
    everything: bool = False
    full: bool = False


DUE = Order()


def list_is_due(account: Account, now: datetime, order: Order) -> bool:
    """Whether the server is asked which calendars there are."""
    return order.everything or account.next_list_at is None or account.next_list_at <= now


def due_calendars(account: Account, now: datetime, order: Order) -> list[Calendar]:
    """What is to be pulled, the failing ones last: one at which the server fails ends the round."""
    wanted = sorted((c for c in account.calendars if c.is_pulled), key=lambda c: c.attempts)
    return [c for c in wanted if order.everything or c.next_pull_at <= now or (order.insist and c.problem)]


@dataclass(frozen=True, slots=True)
class DueWrite:
    """A booking whose event would be made, changed or removed."""

    booking: Booking
    step: Step
    calendar: str


@dataclass(frozen=True, slots=True)
class DueWork:
    """All that would be done at one account; `waits` says why its server isn't asked now."""

    account: Account
    waits: str | None
    lists: bool = False
    writes: tuple[DueWrite, ...] = ()
    pulls: tuple[tuple[Calendar, Way], ...] = ()


def due_work(session: Session, account_id: str, now: datetime, order: Order, reconcile_every: timedelta) -> DueWork:
    """Say what a worker would do at an account; the session is one whose changes nobody will see."""
    account = session.get_one(Account, account_id)
    if not order.everything and not leases.may_ask(account, now, insist=order.insist):
        return DueWork(account, account.problem or account.state)
    if account.blocked_until_at is not None or order.everything or order.insist:
        outbox.try_again(session, account_id, now)
        session.flush()
    return DueWork(
        account,
        None,
        lists=list_is_due(account, now, order),
        writes=tuple(_writes(session, account_id, now)),
        pulls=tuple((c, way_of(c, now, reconcile_every, full=order.full)) for c in due_calendars(account, now, order)),
    )


def _writes(session: Session, account_id: str, now: datetime) -> list[DueWrite]:
    due = [session.get_one(Booking, item.booking_id) for item in outbox.due_writes(session, account_id, now)]
    steps = [(booking, next_step(booking)) for booking in due]
    names = {c.id: c.name for c in session.get_one(Account, account_id).calendars}
    return [DueWrite(b, step, names.get(b.event.calendar_id or "", "")) for b, step in steps if step != "nothing"]
