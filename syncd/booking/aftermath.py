"""What is told of a consultation once it began, and what follows: attendance, absence, completion, documents, disputes.

Each word is kept, the booking's outcome decided anew (`policy`), and the change written down. Every function works in
the caller's write transaction, raises WrongState where it may not be told any more (`facts`), and leaves slots and the
calendar's event as they are: the time was used, whatever became of it. Refuses to know who may say what.

A person's decision (`decide_outcome`) is kept beside the rule's outcome, which goes on being decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from syncd.booking import facts as known
from syncd.booking import policy
from syncd.booking.policy import Actor, Facts
from syncd.booking.recording import change, note
from syncd.booking.states import next_state
from syncd.errors import WrongState
from syncd.instants import rfc3339, rfc3339_or_none
from syncd.store.models import Booking

By = Actor | Literal["time"]


def report_attendance(
    session: Session, booking: Booking, who: Actor, joined_at: datetime, by: Actor, now: datetime
) -> Booking:
    """Keep when someone joined."""
    complete_overdue(session, booking, now)
    facts = known.with_arrival(booking, who, joined_at, by, now)
    told = {"who": who, "joined_at": rfc3339(joined_at)}
    booking.attendance = [*booking.attendance, {**told, "by": by}]
    return _written(session, booking, facts, by, "attendance", told)


def report_no_show(
    session: Session, booking: Booking, absent: Actor, text: str | None, by: Actor, now: datetime
) -> Booking:
    """Keep that a side was absent, or more than `late_after` late, with what whoever says so adds to it."""
    complete_overdue(session, booking, now)
    facts = known.with_absence(booking, absent, by, now)
    booking.reports = [*booking.reports, {"absent": absent, "by": by, "note": text, "at": rfc3339(now)}]
    booking.state = "no_show"
    return _written(session, booking, facts, by, "no_show", {"absent": absent})


def complete(session: Session, booking: Booking, by: Actor, now: datetime) -> Booking:
    """It took place; by the client after waiving documents it is approved as well. A no-show that was reported stays
    one, with the word against it."""
    facts = known.with_completion(booking, by, now)
    booking.state = next_state(booking.state, "complete")
    booking.completed_by = sorted(facts.completed_by)
    if facts.approved and booking.approved_at is None:
        booking.approved_at = now
    return _written(session, booking, facts, by, "complete", {"approved": facts.approved})


def deliver(
    session: Session, booking: Booking, names: Collection[str], delivered_at: datetime, by: Actor, now: datetime
) -> Booking:
    """Keep when the client got documents."""
    complete_overdue(session, booking, now)
    facts = known.with_delivery(booking, names, delivered_at, now)
    booking.documents = _documents(facts)
    detail = {"names": sorted(names), "delivered_at": rfc3339(delivered_at)}
    return _written(session, booking, facts, by, "documents", detail)


def waive(session: Session, booking: Booking, names: Collection[str], now: datetime) -> Booking:
    """Keep that the client wants no documents any more."""
    complete_overdue(session, booking, now)
    facts = known.with_waiver(booking, names, now)
    booking.documents = _documents(facts)
    return _written(session, booking, facts, "client", "waive", {"names": sorted(names)})


def dispute(session: Session, booking: Booking, text: str, now: datetime) -> Booking:
    """Keep what the client has against the outcome: from then on only a person can make it final."""
    complete_overdue(session, booking, now)
    facts = known.with_dispute(booking, now)
    booking.dispute = {"text": text, "at": rfc3339(now)}
    return _written(session, booking, facts, "client", "dispute", {})


def decide_outcome(
    session: Session, booking: Booking, decision: Mapping[str, Any], reason: str, by: str, now: datetime
) -> Booking:
    """Lay a person's decision over what the rules say now; members that aren't decided stay, and it is final unless it
    says otherwise. Raises WrongState while nothing follows yet."""
    complete_overdue(session, booking, now)
    if booking.outcome is None:
        raise WrongState("nothing follows from this booking yet", current_state=booking.state)
    settled = {"final": True, "final_at": rfc3339(now)}
    outcome = {**booking.outcome, **settled, **decision, "reason": reason}
    booking.decided = {"outcome": outcome, "by": by, "at": rfc3339(now)}
    change(booking, now)
    session.flush()
    note(session, booking, by, "outcome", now, {**decision, "reason": reason})
    return booking


def complete_overdue(session: Session, booking: Booking, now: datetime) -> None:
    """Do what time alone does: complete what nobody told anything of (contract §7), decide an outcome anew when it may
    have changed. Nothing happens to a booking for which it isn't time."""
    facts = known.facts_of(booking, now)
    if known.is_overdue(booking, facts):
        booking.state = "completed"
        _written(session, booking, facts, "time", "complete", {})
    elif booking.state in known.OVER:
        booking.overdue_at = policy.next_change_at(facts)
        if policy.decide(facts).to_json() != booking.outcome:
            _written(session, booking, facts, "time", "outcome", {})


def effective_outcome(booking: Booking) -> dict[str, Any] | None:
    """What follows from a booking: as a person decided, the rule's beside it as `by_rule`; else the rule's."""
    if booking.decided is None:
        return booking.outcome
    return {**booking.decided["outcome"], "decided_at": booking.decided["at"], "by_rule": booking.outcome}


def _written(
    session: Session, booking: Booking, facts: Facts, by: By, action: str, detail: Mapping[str, Any]
) -> Booking:
    if booking.state in known.OVER:
        outcome = policy.decide(facts)
        booking.outcome, booking.overdue_at = outcome.to_json(), policy.next_change_at(facts)
        detail = {**detail, "outcome": outcome.reason, "final": outcome.final}
    change(booking, facts.now)
    session.flush()
    note(session, booking, by, action, facts.now, detail)
    return booking


def _documents(facts: Facts) -> list[dict[str, str | None]]:
    return [
        {
            "name": document.name,
            "delivered_at": rfc3339_or_none(document.delivered_at),
            "waived_at": rfc3339_or_none(document.waived_at),
        }
        for document in policy.documents_owed(facts)
    ]
