"""What follows from a cancellation, a no-show or a completed consultation (contract: Policy outcomes).

Decides outcomes from the policy as it was when booked. Payment-neutral: it says what follows, others move the money.
Refuses to know the store, the clock and whether an action is allowed in the booking's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

Actor = Literal["client", "freelancer"]
Refund = Literal["full", "none", "on_dispute"]
Paid = Literal["yes", "no", "on_request", "unless_disputed"]


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


class _Row(NamedTuple):
    """One row of the contract's table, in its columns."""

    refund: Refund
    freelancer_paid: Paid
    freelancer_protected: bool
    client_protected: bool
    client_may_dispute: bool
    client_may_leave_feedback: bool
    freelancer_may_leave_feedback: bool = False


_YES, _NO = True, False

ROWS: Mapping[str, _Row] = {
    # reason                          refund  F paid F prot C prot C disp C feedback
    "freelancer_cancelled_in_time": _Row("full", "no", _NO, _NO, _NO, _NO),
    "freelancer_cancelled_late": _Row("full", "no", _NO, _NO, _NO, _YES),
    "client_cancelled_in_time": _Row("full", "no", _NO, _YES, _NO, _NO),
    "client_cancelled_late": _Row("none", "yes", _YES, _NO, _NO, _NO),
}


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
    return _outcome(f"{actor}_cancelled_{when}", final=True, final_at=cancelled_at)


def _in_time(at: datetime, until: datetime) -> bool:
    return _utc(at) <= _utc(until)


def _outcome(reason: str, *, final: bool, final_at: datetime) -> Outcome:
    return Outcome(*ROWS[reason], final=final, final_at=_utc(final_at), reason=reason)


def _utc(at: datetime) -> datetime:
    # Arithmetic and comparison within one zone are wall-clock ones, and wrong across a change of offset.
    if at.tzinfo is None:
        raise ValueError(f"an instant with an offset is needed, not {at}")
    return at.astimezone(UTC)
