"""What follows from a cancellation, a no-show or a completed consultation (contract §7).

Decides outcomes from the policy as it was when booked and from what was told. Payment-neutral: it says what follows,
others move the money. Refuses to know the store, the clock and whether an action is allowed in the booking's state.

Where the contract leaves a choice:

- Whoever joined less than `late_after` late was in time, and so was a side of which nothing was told; of several times
  that one reporter told, the earliest counts.
- A document that isn't due yet is neither late nor missing: until then the row is that of documents in time.
- A waiver settles a document whatever becomes of it; without the client's approval the row is that of documents in
  time.
- A dispute settles what hangs on one, for the client: `on_dispute` becomes `full`, `unless_disputed` becomes `no`. In a
  row where nothing hangs on it, it is kept beside the row. Either way only a person can make the outcome final.
- `on_request` is a word for the marketplace: who asks, and with which note, is its business.
- Two sides that each report the other absent contradict each other, as do a report of absence and a time of joining
  that is no absence, one side's report of absence and the other's word that it took place, and two reporters of whom
  only one says that someone was in time. A side that takes its own word back contradicts nobody. All is kept, what was
  reported decides the row, and `final` stays false until a person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from syncd.instants import rfc3339

Actor = Literal["client", "freelancer"]
Refund = Literal["full", "none", "on_dispute"]
Paid = Literal["yes", "no", "on_request", "unless_disputed"]

SIDES: tuple[Actor, Actor] = ("client", "freelancer")


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """The policy as it was when booked; lengths are whole minutes, as on the wire."""

    cancellation_notice_minutes: int
    reschedule_keeps_deadline: bool
    late_after_minutes: int
    complete_after_minutes: int
    documents: tuple[str, ...]
    documents_due_minutes: int

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: a booking's `policy`."""
        return {**asdict(self), "documents": list(self.documents)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicySnapshot:
        """From what `to_json` gave; TypeError for any other keys."""
        return cls(**{**data, "documents": tuple(data["documents"])})

    @property
    def late_after(self) -> timedelta:
        """How late is no longer in time; more than that is a no-show."""
        return timedelta(minutes=self.late_after_minutes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows for money, protection and feedback; `final_at` is an instant in UTC, `reason` the row's name."""

    refund: Refund
    freelancer_paid: Paid
    freelancer_protected: bool
    client_protected: bool
    client_may_dispute: bool
    client_may_leave_feedback: bool
    freelancer_may_leave_feedback: bool
    final: bool
    final_at: datetime
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: a booking's `outcome`."""
        return {**asdict(self), "final_at": rfc3339(self.final_at)}


@dataclass(frozen=True, slots=True)
class Arrival:
    """When someone joined, as one side tells it."""

    who: Actor
    joined_at: datetime
    by: Actor


@dataclass(frozen=True, slots=True)
class Absence:
    """A no-show, as one side reports it."""

    absent: Actor
    by: Actor


@dataclass(frozen=True, slots=True)
class Document:
    """What became of one document that the freelancer owes."""

    name: str
    delivered_at: datetime | None = None
    waived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that an outcome is decided from, once a consultation took place or should have; documents told of by name."""

    policy: PolicySnapshot
    start: datetime
    end: datetime
    now: datetime
    arrivals: tuple[Arrival, ...] = ()
    absences: tuple[Absence, ...] = ()
    completed_by: frozenset[Actor] = frozenset()
    documents: tuple[Document, ...] = ()
    approved: bool = False
    disputed: bool = False


# Attendance


def is_absence(start: datetime, joined_at: datetime, policy: PolicySnapshot) -> bool:
    """Whether who joined then may be reported absent: more than `late_after` late; exactly that late is no absence."""
    return _utc(joined_at) - _utc(start) > policy.late_after


def is_in_time(facts: Facts, who: Actor) -> bool:
    """Whether a side joined less than `late_after` late; one of whom nothing was told did."""
    joined = _joined(facts, who)
    return not _is_reported(facts, who) and (not joined or _is_prompt(facts, min(joined.values())))


def contradicts(facts: Facts) -> bool:
    """Whether what the sides told can't all be true."""
    never_came = [absence for absence in facts.absences if not _came_too_late(facts, absence.absent)]
    disagreed = any(facts.completed_by - {absence.by} for absence in never_came)
    return disagreed or any(_contradicts(facts, who) for who in SIDES)


def _came_too_late(facts: Facts, who: Actor) -> bool:
    """Whether a side is told to have joined so late that it counts as absent; the consultation may still be held."""
    joined = _joined(facts, who).values()
    return bool(joined) and all(is_absence(facts.start, at, facts.policy) for at in joined)


def _contradicts(facts: Facts, who: Actor) -> bool:
    joined = _joined(facts, who).values()
    if _is_reported(facts, who):
        came = any(not is_absence(facts.start, at, facts.policy) for at in joined)
        return came or _claims_presence(facts, who)
    return len({_is_prompt(facts, at) for at in joined}) > 1


def _claims_presence(facts: Facts, who: Actor) -> bool:
    """Who reports that the other was absent says that they were there, unless they report themselves as well."""
    reported = {absence.absent for absence in facts.absences if absence.by == who}
    return bool(reported) and who not in reported


def _is_reported(facts: Facts, who: Actor) -> bool:
    return any(absence.absent == who for absence in facts.absences)


def _is_prompt(facts: Facts, joined_at: datetime) -> bool:
    return joined_at - _utc(facts.start) < facts.policy.late_after


def _joined(facts: Facts, who: Actor) -> dict[Actor, datetime]:
    """When a side first joined, in UTC, by reporter."""
    first: dict[Actor, datetime] = {}
    for arrival in facts.arrivals:
        if arrival.who == who:
            at = _utc(arrival.joined_at)
            first[arrival.by] = min(at, first.get(arrival.by, at))
    return first


# Documents


def documents_due_at(end: datetime, policy: PolicySnapshot) -> datetime:
    """The last instant at which a document is in time, in UTC."""
    return _utc(end) + timedelta(minutes=policy.documents_due_minutes)


def documents_owed(facts: Facts) -> tuple[Document, ...]:
    """Every document of the policy with what became of it, each name once; others that were told of aren't owed."""
    told = {document.name: document for document in facts.documents}
    return tuple(told.get(name, Document(name)) for name in dict.fromkeys(facts.policy.documents))


def is_delivered_in_time(facts: Facts, document: Document) -> bool:
    """Whether a document came no later than it was due; exactly then is in time."""
    at = document.delivered_at
    return at is not None and _utc(at) <= documents_due_at(facts.end, facts.policy)


def has_waived(facts: Facts) -> bool:
    """Whether the client waived a document that is owed."""
    return any(document.waived_at for document in documents_owed(facts))


def _has_none(facts: Facts) -> bool:
    return not any(document.delivered_at for document in documents_owed(facts))


def _is_outstanding(facts: Facts, document: Document) -> bool:
    return not document.waived_at and not is_delivered_in_time(facts, document)


def _fails(facts: Facts, document: Document) -> bool:
    """Whether a document came late or is missing; not before it is due."""
    return _is_outstanding(facts, document) and _utc(facts.now) >= documents_due_at(facts.end, facts.policy)


# The table


Cell = bool | Callable[[Facts], bool]
"""Yes, no, or "yes, if"."""


class _Row(NamedTuple):
    """One row of the contract's table, in its columns."""

    refund: Refund
    freelancer_paid: Paid
    freelancer_protected: Cell
    client_protected: Cell
    client_may_dispute: bool
    client_may_leave_feedback: bool
    freelancer_may_leave_feedback: bool = False


def _if_freelancer_in_time(facts: Facts) -> bool:
    return is_in_time(facts, "freelancer")


def _if_client_in_time_without_documents(facts: Facts) -> bool:
    return is_in_time(facts, "client") and _has_none(facts)


_YES, _NO = True, False
_F_IN_TIME, _C_EMPTY_HANDED = _if_freelancer_in_time, _if_client_in_time_without_documents
_FREELANCER_ABSENT = _Row("on_dispute", "unless_disputed", _NO, _C_EMPTY_HANDED, _YES, _YES)

ROWS: Mapping[str, _Row] = {
    # reason                          refund  F paid F prot C prot C disp C feedback F feedback
    "freelancer_cancelled_in_time": _Row("full", "no", _NO, _NO, _NO, _NO),
    "freelancer_cancelled_late": _Row("full", "no", _NO, _NO, _NO, _YES),
    "client_cancelled_in_time": _Row("full", "no", _NO, _YES, _NO, _NO),
    "client_cancelled_late": _Row("none", "yes", _YES, _NO, _NO, _NO),
    "client_absent": _Row("none", "on_request", _F_IN_TIME, _NO, _NO, _NO),
    "freelancer_absent": _FREELANCER_ABSENT,
    "both_absent": _FREELANCER_ABSENT,
    "completed": _Row("none", "yes", _F_IN_TIME, _NO, _YES, _YES, _YES),
    "completed_documents_missed": _Row("on_dispute", "unless_disputed", _NO, _C_EMPTY_HANDED, _YES, _YES, _YES),
    "completed_documents_waived": _Row("none", "yes", _F_IN_TIME, _NO, _NO, _YES, _YES),
}

_BY_DISPUTE = {"on_dispute": "full", "unless_disputed": "no"}

# Before the start


def free_cancellation_until(start: datetime, policy: PolicySnapshot) -> datetime:
    """The last instant at which cancelling is in time, in UTC: the notice before the start, elapsed."""
    return _utc(start) - timedelta(minutes=policy.cancellation_notice_minutes)


def free_cancellation_after_move(
    until: datetime, start: datetime, moved_at: datetime, policy: PolicySnapshot
) -> datetime:
    """The last instant at which cancelling is in time once a booking has been moved to `start`.

    `until` is the one before the move. If it had passed, moving doesn't reopen it where the policy keeps deadlines.
    """
    passed = not _in_time(moved_at, until)
    return _utc(until) if passed and policy.reschedule_keeps_deadline else free_cancellation_until(start, policy)


def cancel_outcome(actor: Actor, cancelled_at: datetime, until: datetime) -> Outcome:
    """What follows from a cancellation before the start.

    `until` is the booking's last instant of free cancellation: exactly then is in time.
    """
    when = "in_time" if _in_time(cancelled_at, until) else "late"
    reason = f"{actor}_cancelled_{when}"
    return Outcome(**ROWS[reason]._asdict(), final=True, final_at=_utc(cancelled_at), reason=reason)


def _in_time(at: datetime, until: datetime) -> bool:
    return _utc(at) <= _utc(until)


# After it


def decide(facts: Facts) -> Outcome:
    """What follows from a consultation that took place, or should have."""
    reason, ends_at = reason_of(facts), final_at(facts.end, facts.policy)
    cells = {name: cell(facts) if callable(cell) else cell for name, cell in ROWS[reason]._asdict().items()}
    if facts.disputed:
        cells = {name: _BY_DISPUTE.get(cell, cell) for name, cell in cells.items()}
    is_final = not _is_open(facts) and _utc(facts.now) >= ends_at
    return Outcome(**cells, final=is_final, final_at=ends_at, reason=reason)


def reason_of(facts: Facts) -> str:
    """The name of the one row that applies."""
    absent = {absence.absent for absence in facts.absences}
    if absent:
        return "both_absent" if len(absent) == 2 else f"{absent.pop()}_absent"
    if any(_fails(facts, document) for document in documents_owed(facts)):
        return "completed_documents_missed"
    return "completed_documents_waived" if facts.approved and has_waived(facts) else "completed"


def final_at(end: datetime, policy: PolicySnapshot) -> datetime:
    """When an outcome becomes final by itself, in UTC: both the completion and the documents are due by then."""
    return max(completed_at(end, policy), documents_due_at(end, policy))


def completed_at(end: datetime, policy: PolicySnapshot) -> datetime:
    """When a consultation of which nobody told anything counts as completed, in UTC."""
    return _utc(end) + timedelta(minutes=policy.complete_after_minutes)


def next_change_at(facts: Facts) -> datetime | None:
    """When time alone may next change the outcome; None if it never does."""
    turns = (documents_due_at(facts.end, facts.policy), final_at(facts.end, facts.policy))
    return min((at for at in turns if at > _utc(facts.now)), default=None)


def _is_open(facts: Facts) -> bool:
    """Whether only a person can end it."""
    return facts.disputed or contradicts(facts)


def _utc(at: datetime) -> datetime:
    # Arithmetic and comparison within one zone are wall-clock ones, and wrong across a change of offset.
    if at.tzinfo is None:
        raise ValueError(f"an instant with an offset is needed, not {at}")
    return at.astimezone(UTC)
