"""The live look: what the calendars that could block say right now, before a hold or a booking (semantics 17).

Decides which calendars are asked, about which span, and what it means that one gave no answer. Decides nothing of what
is bookable: what it finds busy goes into the store, where the predicate finds it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.orm import Session

from providers.model import Window
from syncd.situation import blocking, unknowns
from syncd.store import leases, offers
from syncd.store.models import Consultation
from syncd.sync.glance import look_at, stands
from syncd.sync.looker import NOT_IN_TIME, Look, Outcome, Place, Ticket

if TYPE_CHECKING:
    from syncd.services import Services

log = structlog.get_logger("syncd.sync")

PATIENCE = 1.8
"""Seconds for all accounts together, connecting included: of two, what the store and the answer need is left."""
SERVERS_PATIENCE = 8.0
"""Seconds for a server once it is asked, whoever still waits for it: what it says then is for who asks again."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to: `verified` if every calendar that blocks answered; `closing` are the ids of those that gave
    no answer and whose accounts say that nothing is offered then."""

    verified: bool
    closing: tuple[str, ...] = ()


NOT_LOOKED = Looked(verified=False)
_NOT_ASKED = Outcome(answered=False, reason="it can't be asked now")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A calendar whose answer is wanted; one that can't be asked has no place."""

    id: str
    closes: bool
    place: Place | None


def look(
    services: Services, consultation_id: str, start_at: datetime, end_at: datetime, *, patience: float | None = None
) -> Looked:
    """Ask every account whose calendars could block this span, outside any transaction: within two seconds altogether,
    or with the `patience` of a person at a terminal.

    What is found busy is in the store when this returns. Our own events, that of a booking which is being moved too,
    are told by identity and never by the span. Raises StoreError.
    """
    began = time.monotonic()
    until = began + (PATIENCE if patience is None else patience)
    with services.store.read() as session:
        consultation = session.get(Consultation, consultation_id)
        if consultation is None:
            return NOT_LOOKED
        wanted = _wanted(session, consultation, services.clock())
        window = _window(consultation, start_at, end_at)
    outcomes = _outcomes(services, wanted, window, until)
    unanswered = [one for one in wanted if not outcomes[one.id].answered]
    _tell(consultation_id, outcomes, time.monotonic() - began)
    return Looked(not unanswered, tuple(dict.fromkeys(one.id for one in unanswered if one.closes)))


def _wanted(session: Session, consultation: Consultation, now: datetime) -> list[_Wanted]:
    """The calendars that block a consultation, and what stands for those that nobody has seen."""
    accounts = offers.accounts_of(session, consultation.freelancer_id)
    unseen = [_Wanted(trust.id, trust.closes, None) for trust in unknowns(accounts, consultation.blocks)]
    return unseen + [
        _Wanted(
            calendar.id,
            calendar.account.when_stale == "close",
            Place(calendar.account_id, calendar.id) if leases.may_look(calendar.account, now) else None,
        )
        for calendar in blocking(accounts, consultation.blocks)
    ]


def _window(consultation: Consultation, start_at: datetime, end_at: datetime) -> Window:
    """The span with its buffers, in whole days and one more at each end.

    Dates lie on other instants in each zone, and which one a server goes by isn't known.
    """
    first = start_at - timedelta(minutes=consultation.buffer_before_minutes)
    last = end_at + timedelta(minutes=consultation.buffer_after_minutes)
    return Window(_midnight(first) - _DAY, _midnight(last) + 2 * _DAY)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _outcomes(services: Services, wanted: list[_Wanted], window: Window, until: float) -> dict[str, Outcome]:
    """Ask all at once and wait for all of them together."""
    of_use_until = time.monotonic() + SERVERS_PATIENCE
    tickets = {
        one.place: services.looker.ask(one.place, window, until, of_use_until, _looking_at(services, one.id))
        for one in wanted
        if one.place is not None
    }
    answers = {place.calendar_id: _outcome(services, place, ticket) for place, ticket in tickets.items()}
    return dict.fromkeys((one.id for one in wanted), _NOT_ASKED) | answers


def _looking_at(services: Services, calendar_id: str) -> Look:
    return lambda window: look_at(services, calendar_id, window, time.monotonic() + SERVERS_PATIENCE)


def _outcome(services: Services, place: Place, ticket: Ticket) -> Outcome:
    outcome = ticket.wait()
    return outcome if outcome != NOT_IN_TIME else _late(services, place, ticket.window) or outcome


def _late(services: Services, place: Place, window: Window) -> Outcome | None:
    """The answer that a look gave, which began some seconds before this one was asked for and was too late for another.

    So it may miss what came in since, 15 s at most. Yet only where the server is slower than anyone waits: a look that
    is answered in time is what counts, and an error too. Without this such a server's calendars could never be booked,
    and what was pulled last, which would have to do if nobody looked, is minutes old.
    """
    found = (one for one in services.looker.late(place, window) if stands(services, place.calendar_id, one.basis))
    return next((replace(one, changed=0) for one in found), None)


def _tell(consultation_id: str, outcomes: dict[str, Outcome], seconds: float) -> None:
    failed = {calendar_id: outcome.reason for calendar_id, outcome in outcomes.items() if not outcome.answered}
    changed = sum(outcome.changed for outcome in outcomes.values())
    (log.warning if failed else log.info)(
        "looked",
        consultation=consultation_id,
        calendars=len(outcomes),
        changed=changed,
        unanswered=failed,
        seconds=round(seconds, 3),
    )
