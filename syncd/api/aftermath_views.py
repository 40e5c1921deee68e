"""What was told of a consultation, and what follows, as JSON: members of the booking object."""

from __future__ import annotations

from typing import Any

from syncd.booking import policy
from syncd.booking.aftermath import effective_outcome
from syncd.booking.facts import facts_of
from syncd.instants import rfc3339, rfc3339_or_none
from syncd.store.models import Booking


def aftermath_json(booking: Booking, *, trusted: bool) -> dict[str, Any]:
    """The members of a booking that its aftermath fills; to its client only the client's own notes are shown."""
    return {
        "outcome": effective_outcome(booking),
        "attendance": booking.attendance,
        "reports": [_report(report, trusted=trusted) for report in booking.reports],
        "documents": _documents(booking),
        "dispute": _dispute(booking),
        "extension_of": booking.extension_of,
        "paid_by": booking.paid_by,
    }


def _report(report: dict[str, Any], *, trusted: bool) -> dict[str, Any]:
    note = report["note"] if trusted or report["by"] == "client" else None
    return {"absent": report["absent"], "by": report["by"], "note": note, "reported_at": report["at"]}


def _documents(booking: Booking) -> list[dict[str, str | None]]:
    """Each document that is owed, once."""
    facts = facts_of(booking, booking.updated_at)
    due_at = rfc3339(policy.documents_due_at(facts.end, facts.policy))
    return [
        {
            "name": document.name,
            "due_at": due_at,
            "delivered_at": rfc3339_or_none(document.delivered_at),
            "waived_at": rfc3339_or_none(document.waived_at),
        }
        for document in policy.documents_owed(facts)
    ]


def _dispute(booking: Booking) -> dict[str, str] | None:
    return {"text": booking.dispute["text"], "disputed_at": booking.dispute["at"]} if booking.dispute else None
