"""Settings as rows: what a freelancer, a schedule or a consultation is set to, whoever set it, file or API.

Decides which column holds which key of the configuration, and what a change means for what calendars said before.
Lengths are seconds there and minutes here. Refuses to know where settings come from and whether they are right.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from syncd import config
from syncd.store.models import Account, Consultation, Freelancer, ScheduleRow

_MINUTE = 60

LENGTHS = (
    *("increment", "minimum_notice", "horizon", "buffer_before", "buffer_after", "approve_within", "hold_max"),
    *("documents_due", "cancellation_notice", "late_after", "complete_after"),
)
"""Keys of a consultation that are lengths; their columns and members end in `_minutes`."""
_AS_THEY_ARE = (
    *("title", "description", "active", "visibility", "schedule", "target", "confirmation", "location"),
    *("daily_limit", "weekly_limit", "per_client_limit", "reschedule_keeps_deadline", "instant"),
)


def fill_freelancer(row: Freelancer, freelancer: config.Freelancer, invite: str, now: datetime) -> None:
    """Set all that is the freelancer's own, without schedules, consultations and accounts."""
    before = (row.tz, row.email, row.addresses)
    row.name, row.email, row.tz = freelancer.name, freelancer.email, freelancer.time_zone
    row.addresses = list(freelancer.addresses)
    row.active, row.profile, row.removed = freelancer.active, freelancer.profile, False
    row.daily_limit, row.weekly_limit = freelancer.daily_limit, freelancer.weekly_limit
    row.blocked_clients = list(freelancer.blocked_clients)
    row.on_calendar_change = freelancer.on_calendar_change.model_dump()
    row.remind_before_minutes = [length // _MINUTE for length in freelancer.remind_before]
    row.proposals_expire_minutes = freelancer.proposals_expire // _MINUTE
    row.invite = invite
    if before != (row.tz, row.email, row.addresses):
        read_again(row.accounts, now)  # all-day events and one's own participation depend on them


def fill_schedule(row: ScheduleRow, schedule: config.Schedule, freelancer_tz: str) -> None:
    """Set a schedule's hours; without a zone of its own it has the freelancer's."""
    row.tz = schedule.time_zone or freelancer_tz
    row.hours = {day: list(ranges) for day, ranges in dict(schedule.hours).items() if ranges}
    row.on = {dates: list(ranges) for dates, ranges in schedule.on.items()}


def fill_consultation(row: Consultation, consultation: config.Consultation) -> None:
    """Set all of a consultation but its slug."""
    for name in _AS_THEY_ARE:
        setattr(row, name, getattr(consultation, name))
    for name in LENGTHS:
        setattr(row, f"{name}_minutes", getattr(consultation, name) // _MINUTE)
    row.durations_minutes = [length // _MINUTE for length in consultation.durations]
    row.blocks, row.documents = list(consultation.blocks), list(consultation.documents)
    row.price = consultation.price.model_dump() if consultation.price else None
    row.questions = [question.model_dump() for question in consultation.questions]
    row.removed = False


def reading_of(account: Account) -> tuple[str, str, str] | None:
    """What decides which events of an account block: when it changes, all are read again."""
    return (account.tentative, account.unanswered, account.working_elsewhere) if account.calendars else None


def read_again(accounts: Iterable[Account], now: datetime) -> None:
    """What is known was understood otherwise: it isn't relied on until it is read anew."""
    for account in accounts:
        account.lease_owner = account.lease_until = None  # a pull in flight reads as before: it commits nothing
        for calendar in account.calendars:
            calendar.full_wanted, calendar.next_pull_at, calendar.expanded_until_at = True, now, None
