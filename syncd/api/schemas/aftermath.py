"""What is told of a consultation once it began, and how it is shown with what follows from it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from syncd.api.schemas.common import Body, Instant, Line, Side, Text

Refund = Literal["full", "none", "on_dispute"]
Paid = Literal["yes", "no", "on_request", "unless_disputed"]


class Attendance(Body):
    """When someone joined; a client's token tells of the client alone."""

    who: Side
    joined_at: Instant
    on_behalf_of: Side | None = None


class NoShow(Body):
    """Who was absent, or more than `late_after` late."""

    absent: Side
    note: Text | None = None
    on_behalf_of: Side | None = None


class Completion(Body):
    """It took place."""

    on_behalf_of: Side | None = None


class Documents(Body):
    """When documents reached the client, or that the client waives them; `name` is one of them, else all are meant."""

    delivered_at: Instant | None = None
    waived: Literal[True] | None = None
    name: Line | None = None
    on_behalf_of: Side | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Documents:
        if (self.delivered_at is None) == (self.waived is None):
            raise ValueError("must have either delivered_at or waived")
        return self


class Dispute(Body):
    """What the client has against the outcome."""

    text: Annotated[Text, Field(min_length=1)]
    on_behalf_of: Side | None = None


class Extension(Body):
    """How much longer, and by which contract it is paid."""

    minutes: Annotated[int, Field(gt=0, le=1440, strict=True)]
    paid_by: Literal["consultation", "hourly_contract"]
    on_behalf_of: Side | None = None


class Decision(Body):
    """A person's outcome: what isn't given stays as the rules have it, and it is final unless it says otherwise."""

    refund: Refund | None = None
    freelancer_paid: Paid | None = None
    freelancer_protected: bool | None = None
    client_protected: bool | None = None
    client_may_dispute: bool | None = None
    client_may_leave_feedback: bool | None = None
    freelancer_may_leave_feedback: bool | None = None
    final: bool | None = None
    final_at: Instant | None = None
    reason: Annotated[Text, Field(min_length=1)]


class AttendanceView(BaseModel):
    """When someone joined, and which side told it."""

    who: Side
    joined_at: datetime
    by: Side


class ReportView(BaseModel):
    """A no-show, and which side reported it; its note is for that side and for keys."""

    absent: Side
    by: Side
    note: str | None
    reported_at: datetime


class DocumentView(BaseModel):
    """A document that the freelancer owes the client."""

    name: str
    due_at: datetime
    delivered_at: datetime | None
    waived_at: datetime | None


class DisputeView(BaseModel):
    """What the client has against the outcome."""

    text: str
    disputed_at: datetime


class RuleOutcome(BaseModel):
    """What follows from a booking by its policy; `reason` names the row of the table."""

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


class OutcomeView(RuleOutcome):
    """What follows from a booking; where a person decided, with when, and with what the rules say beside it."""

    decided_at: datetime | None = None
    by_rule: RuleOutcome | None = None
