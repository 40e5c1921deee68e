"""A booking as JSON, for its client or its freelancer."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from syncd.api.aftermath_views import aftermath_json
from syncd.api.credentials import Caller
from syncd.instants import rfc3339, rfc3339_or_none
from syncd.services import Services
from syncd.situation import is_over
from syncd.store.models import OWNING_STATES, Booking


def booking_json(booking: Booking, caller: Caller, now: datetime) -> dict[str, object]:
    """The booking object; a client never sees which calendar it is in. What has run out is expired, swept or not."""
    tz = booking.freelancer.tz
    event = booking.event
    trusted = caller.is_trusted
    state = "expired" if is_over(booking, now) else booking.state
    held_until = booking.hold_expires_at if state == "held" else None
    return {
        "id": booking.id,
        "state": state,
        "revision": booking.revision,
        "sequence": booking.sequence,
        "freelancer": booking.freelancer.handle,
        "consultation": booking.consultation.slug,
        "start": _in_zone(booking.starts_at, tz),
        "end": _in_zone(booking.ends_at, tz),
        "duration_minutes": int((booking.ends_at - booking.starts_at).total_seconds()) // 60,
        "location": booking.location or None,
        "join_url": event.join_url if booking.state in OWNING_STATES else None,
        "client": booking.client or None,
        "answers": booking.answers,
        "note": booking.note,
        "metadata": booking.extra,
        "verified": booking.verified,
        "calendar_event": {
            "state": event.state,
            "calendar": event.calendar_id if trusted else None,
            "html_link": event.html_link if trusted else None,
        },
        "policy": booking.policy,
        "free_cancellation_until": rfc3339(booking.free_cancellation_until_at),
        "proposals": [],
        "conflicts": [],
        "hold_expires_at": rfc3339_or_none(held_until),
        **aftermath_json(booking, trusted=trusted),
        "links": _links(booking),
        "created_at": rfc3339(booking.created_at),
        "updated_at": rfc3339(booking.updated_at),
    }


def new_booking_json(services: Services, booking: Booking, caller: Caller) -> dict[str, object]:
    """The booking with its token, which no later answer repeats."""
    token = services.vault.booking_token(booking.id, booking.token_generation)
    manage_url = f"{services.config.public_url(services.port)}/b/{booking.id}?token={token}"
    return {**booking_json(booking, caller, services.clock()), "token": token, "manage_url": manage_url}


def _links(booking: Booking) -> dict[str, str]:
    self = f"/v1/bookings/{booking.id}"
    offer = f"/v1/{booking.freelancer.handle}/{booking.consultation.slug}"
    slots = f"{offer}/slots?rescheduling={booking.id}"
    return {"self": self, "reschedule": f"{self}/reschedule", "cancel": f"{self}/cancel", "slots": slots}


def _in_zone(at: datetime, tz: str) -> str:
    return at.astimezone(ZoneInfo(tz)).isoformat()
