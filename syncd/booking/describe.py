"""How a booking reads in the freelancer's calendar, and whom the calendar's provider is asked to invite."""

from __future__ import annotations

from providers.model import Attendee, ConsultationEvent
from syncd.store.models import Booking

VIDEO = "video"
"""The location that asks for the target's own meeting link; it is no place."""


def describe(booking: Booking) -> ConsultationEvent:
    """The event a booking owns: who comes, for what, with what they wrote.

    Its client is an attendee only where the provider is to invite them; otherwise nobody is mailed.
    """
    is_video = booking.location == VIDEO
    return ConsultationEvent(
        booking_id=booking.id,
        start_at=booking.starts_at,
        end_at=booking.ends_at,
        title=_title(booking),
        description="\n".join(_lines(booking)),
        location=None if is_video else booking.location or None,
        sequence=booking.sequence,
        updated_at=booking.updated_at,
        attendee=_attendee(booking),
        wants_link=is_video,
    )


def _attendee(booking: Booking) -> Attendee | None:
    email = booking.client.get("email")
    invites = booking.freelancer.invite == "provider"
    return Attendee(email, booking.client.get("name") or "") if invites and email else None


def _title(booking: Booking) -> str:
    name = booking.client.get("name")
    return f"{booking.consultation.title}: {name}" if name else booking.consultation.title


def _lines(booking: Booking) -> list[str]:
    client = booking.client
    lines = [f"{client[key]}" for key in ("name", "email", "phone") if client.get(key)]
    labels = {question["id"]: question["label"] for question in booking.consultation.questions}
    lines += [f"{labels.get(key, key)}: {_answer(answer)}" for key, answer in booking.answers.items()]
    if booking.note:
        lines.append(booking.note)
    return [*lines, f"Booking {booking.id}"]


def _answer(answer: object) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return ", ".join(answer) if isinstance(answer, list) else str(answer)
