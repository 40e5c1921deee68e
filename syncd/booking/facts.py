"""What was told of a booking once it began, as the policy judges it, and what it would be after one more word.

Decides when something may still be told: every `with_*` gives the facts as they would then be, or raises WrongState.
Pure: the row is read, never changed. Refuses to know who may say what, and what is written where.

What is final stays: after that nothing more is heard, but for a document that came late. It never changes who gets the
money, and without it nobody could receive one late where the outcome ends with the day it is due.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from syncd.booking import policy
from syncd.booking.policy import Absence, Actor, Arrival, Document, Facts, PolicySnapshot
from syncd.booking.states import next_state
from syncd.errors import WrongState
from syncd.instants import rfc3339
from syncd.store.models import Booking

EARLIEST_ARRIVAL = timedelta(hours=1)
"""How long before the start someone may have joined: who comes earlier hasn't come for that consultation."""
OVER = ("completed", "no_show")
"""States of a consultation that took place, or should have."""
MOST_ARRIVALS = 50
"""How many times of joining are kept of one booking."""


def facts_of(booking: Booking, now: datetime) -> Facts:
    """What is known of a booking now."""
    return Facts(
        policy=PolicySnapshot.from_json(booking.policy),
        start=booking.starts_at,
        end=booking.ends_at,
        now=now,
        arrivals=tuple(Arrival(a["who"], datetime.fromisoformat(a["joined_at"]), a["by"]) for a in booking.attendance),
        absences=tuple(Absence(report["absent"], report["by"]) for report in booking.reports),
        completed_by=frozenset(booking.completed_by),
        documents=tuple(
            Document(d["name"], _instant(d["delivered_at"]), _instant(d["waived_at"])) for d in booking.documents
        ),
        approved=booking.approved_at is not None,
        disputed=booking.dispute is not None,
    )


def is_overdue(booking: Booking, facts: Facts) -> bool:
    """Whether nobody told anything in time: time alone completes it (contract §7)."""
    return booking.state == "confirmed" and facts.now >= policy.completed_at(facts.end, facts.policy)


def is_final(booking: Booking, now: datetime) -> bool:
    """Whether nothing that is told changes what follows any more: a person has decided, or its time has come."""
    if booking.decided is not None:
        return bool(booking.decided["outcome"]["final"])
    if booking.state == "cancelled":
        return True
    facts = facts_of(booking, now)
    is_over = booking.state in OVER or now >= policy.completed_at(facts.end, facts.policy)
    return is_over and policy.decide(facts).final


def with_arrival(booking: Booking, who: Actor, joined_at: datetime, by: Actor, now: datetime) -> Facts:
    """The facts once someone is said to have joined then, at most an hour before the start. Raises WrongState."""
    next_state(booking.state, "attendance")
    _not_final(booking, now)
    facts = facts_of(booking, now)
    earliest = booking.starts_at - EARLIEST_ARRIVAL
    if joined_at < earliest:
        raise _wrong(booking, f"a time of joining can be told from an hour before the start on: {rfc3339(earliest)}")
    if len(facts.arrivals) >= MOST_ARRIVALS:
        raise _wrong(booking, f"{MOST_ARRIVALS} times of joining are kept, and no more")
    return replace(facts, arrivals=(*facts.arrivals, Arrival(who, joined_at, by)))


def with_absence(booking: Booking, absent: Actor, by: Actor, now: datetime) -> Facts:
    """The facts once a side is reported absent. Raises WrongState, also for one that came (semantics 24)."""
    next_state(booking.state, "no_show")
    _not_final(booking, now)
    facts = facts_of(booking, now)
    if not policy.is_absence(facts.start, now, facts.policy):
        late = facts.policy.late_after_minutes
        raise _wrong(booking, f"a no-show can be reported once {late} minutes have passed after the start")
    if Absence(absent, by) in facts.absences:
        raise _wrong(booking, f"the {by} has reported this already")
    came = [a.joined_at for a in facts.arrivals if a.who == absent]
    if any(not policy.is_absence(facts.start, at, facts.policy) for at in came):
        raise _wrong(booking, f"the {absent} joined at {rfc3339(min(came))}: that is no no-show")
    return replace(facts, absences=(*facts.absences, Absence(absent, by)))


def with_completion(booking: Booking, by: Actor, now: datetime) -> Facts:
    """The facts once a side says that it took place: from the start on, since it may end early. Raises WrongState.

    Each side says so once, unless it has reported that a side was absent. The client's word after waiving documents is
    approval as well, also where the client has said before that it took place.
    """
    next_state(booking.state, "complete")
    _not_final(booking, now)
    facts = facts_of(booking, now)
    if now < facts.start:
        raise _wrong(booking, "the consultation has not begun")
    if any(absence.by == by for absence in facts.absences):
        raise _wrong(booking, f"the {by} has reported a no-show already")
    approves = by == "client" and policy.has_waived(facts) and not facts.approved
    if by in facts.completed_by and not approves:
        raise _wrong(booking, f"the {by} has said so already")
    return replace(facts, completed_by=facts.completed_by | {by}, approved=facts.approved or approves)


def with_delivery(booking: Booking, names: Collection[str], delivered_at: datetime, now: datetime) -> Facts:
    """The facts once documents are said to have come then; of two times the earlier counts. Raises WrongState."""
    facts = _with_documents(booking, now)
    if is_final(booking, now) and delivered_at <= policy.documents_due_at(facts.end, facts.policy) < now:
        raise _wrong(booking, "the outcome is final: that documents came in time had to be told before")
    delivered = [
        replace(document, delivered_at=delivered_at)
        for document in policy.documents_owed(facts)
        if document.name in names and not (document.delivered_at and document.delivered_at <= delivered_at)
    ]
    if not delivered:
        raise _wrong(booking, "these documents were delivered already")
    return _with_these(facts, delivered)


def with_waiver(booking: Booking, names: Collection[str], now: datetime) -> Facts:
    """The facts once the client waives documents; what came in time can't be waived. Raises WrongState."""
    facts = _with_documents(booking, now)
    _not_final(booking, now)
    waived = [
        replace(document, waived_at=now)
        for document in policy.documents_owed(facts)
        if document.name in names and not document.waived_at and not policy.is_delivered_in_time(facts, document)
    ]
    if not waived:
        raise _wrong(booking, "there is nothing to waive: these documents were delivered in time or waived already")
    return _with_these(facts, waived)


def with_dispute(booking: Booking, now: datetime) -> Facts:
    """The facts once the client disputes what follows. Raises WrongState where the outcome doesn't allow that."""
    next_state(booking.state, "dispute")
    _not_final(booking, now)
    facts = facts_of(booking, now)
    if facts.disputed:
        raise _wrong(booking, "the booking is disputed already")
    if not policy.decide(facts).client_may_dispute:
        raise _wrong(booking, "what follows from this booking can't be disputed")
    return replace(facts, disputed=True)


def _with_documents(booking: Booking, now: datetime) -> Facts:
    next_state(booking.state, "documents")
    facts = facts_of(booking, now)
    if not facts.policy.documents:
        raise _wrong(booking, "no documents are owed for this booking")
    return facts


def _with_these(facts: Facts, changed: Collection[Document]) -> Facts:
    by_name = {document.name: document for document in (*policy.documents_owed(facts), *changed)}
    return replace(facts, documents=tuple(by_name.values()))


def _not_final(booking: Booking, now: datetime) -> None:
    if is_final(booking, now):
        raise _wrong(booking, "what follows from this booking is final")


def _wrong(booking: Booking, message: str) -> WrongState:
    return WrongState(message, current_state=booking.state)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
