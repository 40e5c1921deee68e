"""What would be bookable under other settings, without setting them.

Decides what an offer would be under proposed settings, by the code that judges settings when they are made, and which
slots that adds and removes, by the one predicate. Writes nothing. Refuses to know how it was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from availability import Situation, open_slots
from syncd import config
from syncd.errors import ApiError
from syncd.management import consultations, schedules
from syncd.store.models import Consultation, ScheduleRow
from syncd.store.offers import Offer
from syncd.store.settings import fill_consultation, fill_schedule

Values = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings to try, as the API says them: each member stands in place of today's, what isn't named stays."""

    consultation: Values
    schedule: Values
    blocks: list[str] | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Starts in seconds since the epoch, all for one duration in seconds."""

    starts: list[int]
    duration: int


def propose(session: Session, settings: config.Config, offer: Offer, proposal: Proposal) -> Offer:
    """The offer as it would be. Raises ApiError, which names every value to mend by its place in the request."""
    person, values = offer.freelancer, {**consultations.values_of(offer.consultation), **proposal.consultation}
    wanted = _within("/consultation", lambda: consultations.read_consultation(settings, person, values))
    if proposal.blocks is not None:
        blocks = {**values, "blocks": proposal.blocks}
        wanted = _within("", lambda: consultations.read_consultation(settings, person, blocks))
    # Rows of no session: nothing of them can get into the store.
    consultation = Consultation(id=offer.consultation.id, slug=offer.consultation.slug, freelancer_id=person.id)
    fill_consultation(consultation, wanted)
    return replace(offer, consultation=consultation, schedule=_schedule(session, offer, wanted, proposal.schedule))


def _schedule(session: Session, offer: Offer, wanted: config.Consultation, values: Values) -> ScheduleRow:
    person = offer.freelancer
    today = schedules.find_schedule(session, person, wanted.schedule) or offer.schedule
    if not values:
        return today
    proposed = {**schedules.values_of(today), **values}
    row = ScheduleRow(id=today.id, freelancer_id=person.id, name=today.name)
    fill_schedule(row, _within("/schedule", lambda: schedules.read_schedule(person, proposed)), person.tz)
    return row


def _within(place: str, judge: Callable[[], T]) -> T:
    """Judge a part of the request; what is wrong with it is named by its place in the whole. Raises ApiError."""
    try:
        return judge()
    except ApiError as error:
        errors = [{**found, "pointer": place + found["pointer"]} for found in error.errors]
        detail = "; ".join(f"{found['pointer']}: {found['detail']}" for found in errors[:5])
        raise ApiError(error.code, detail or error.detail, errors=errors) from None


def listing(situation: Situation, duration: int, window: tuple[int, int]) -> Listing:
    """What is listed in a window; nothing for a duration that isn't offered. Units as for `open_slots`."""
    offered = duration in situation.rules.durations
    return Listing(open_slots(situation, duration, window) if offered else [], duration)


def beyond(these: Listing, those: Listing) -> Listing:
    """The slots that are in one listing and not in another: a slot of another length is another slot."""
    known = frozenset(those.starts) if these.duration == those.duration else frozenset()
    return Listing([start for start in these.starts if start not in known], these.duration)
