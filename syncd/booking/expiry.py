"""What time alone ends: holds and waits for approval run out, consultations without a report are completed.

Decides when and how; whoever is about to book asks first (semantics 19), the daemon sweeps up the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from syncd.booking.aftermath import complete_overdue
from syncd.booking.making import enter
from syncd.booking.recording import change, record
from syncd.booking.states import Action, State, next_state
from syncd.errors import HoldExpired, WrongState
from syncd.instants import rfc3339
from syncd.services import Services
from syncd.store import lives, offers
from syncd.store.models import Booking

log = structlog.get_logger("syncd.booking")

BY_TIME = "time"
"""Who did it, in a booking's history, where nobody did."""


def expire_overdue(session: Session, freelancer_id: str, now: datetime) -> int:
    """End a freelancer's holds and waits for approval whose time is up; returns how many."""
    offers.lock_freelancer(session, freelancer_id)
    late = lives.overdue(session, freelancer_id, now)
    expire(session, late, now)
    return len(late)


def expire(session: Session, late: Sequence[Booking], now: datetime) -> None:
    """End these holds and waits for approval.

    It comes before a booking is made or moved, so that a late sweep never keeps a slot closed.
    """
    for booking in late:
        _expire(session, booking, now)
    if late:
        session.flush()  # the database's guard looks at states, and new rows may be written before changed ones


def step(booking: Booking, action: Action, now: datetime) -> State:
    """The state an action leads to. Raises WrongState, and HoldExpired for whatever is asked of a hold that is over."""
    check_in_time(booking, now)
    return next_state(booking.state, action)


def check_in_time(booking: Booking, now: datetime) -> None:
    """Raise HoldExpired for a hold that is over, WrongState for a wait for approval that is, noticed or not."""
    ends_at = booking.hold_expires_at
    if booking.state in ("held", "expired") and ends_at is not None and ends_at <= now:
        raise HoldExpired(f"the hold ended at {rfc3339(ends_at)}: take a new one", current_state="expired")
    if booking.state == "pending" and booking.overdue_at is not None and booking.overdue_at <= now:
        raise WrongState("nobody approved it in time", current_state="expired")


def _expire(session: Session, booking: Booking, now: datetime) -> None:
    before = booking.state
    enter(booking, next_state(before, "expire"), now)
    change(booking, now)
    record(session, booking, BY_TIME, "expire", now, {"from": before})


def sweep(services: Services) -> int:
    """Do for every freelancer what time alone has decided; returns how many bookings changed.

    What fails for one keeps nobody else's from being done.
    """
    with services.store.read() as session:
        freelancer_ids = lives.overdue_freelancers(session, services.clock())
    changed = 0
    for freelancer_id in freelancer_ids:
        try:
            changed += _sweep_one(services, freelancer_id)
        except Exception as error:
            log.error("a sweep failed", freelancer=freelancer_id, exc_info=error)
    return changed


def _sweep_one(services: Services, freelancer_id: str) -> int:
    with services.store.write() as session:
        now = services.clock()
        expired = expire_overdue(session, freelancer_id, now)
        late = lives.ended(session, freelancer_id, now)
        for booking in late:
            complete_overdue(session, booking, now)
        return expired + len(late)
