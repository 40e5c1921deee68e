"""Lays before the predicate what it needs to judge one consultation now. Decides nothing of what is bookable itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock

from sqlalchemy.orm import Session

from availability import BookingRules, Busy, Claim, Schedule, Situation, whole_second
from syncd.store import offers
from syncd.store.bookings import is_named
from syncd.store.models import Account, Booking, Calendar, Consultation, Freelancer, ScheduleRow
from syncd.store.offers import Offer
from syncd.sync.drift import own_spans
from syncd.sync.staleness import Freshness, Trust, trust_of, unknown_account

_LIMITS_LOOK_BACK = timedelta(days=9)  # a week's count needs the bookings of its past days
_BUSY_KEPT = 256


@dataclass(frozen=True, slots=True)
class Circumstances:
    """A situation with what the feed says about it."""

    situation: Situation
    trusts: tuple[Trust, ...]
    lapses_at: datetime | None
    overdue: tuple[Booking, ...] = ()  # what has run out and wasn't swept yet

    @property
    def is_degraded(self) -> bool:
        """Whether some calendar isn't known, and the owner wants slots offered all the same."""
        return any(not trust.is_known for trust in self.trusts)

    @property
    def changes_at(self) -> datetime | None:
        """When a hold or a wait for approval ends or a calendar goes stale, whichever comes first."""
        instants = [trust.stale_at for trust in self.trusts] + [self.lapses_at]
        return min((at for at in instants if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Taken:
    """What takes a freelancer's time: what calendars say, and live bookings."""

    busy: Busy
    bookings: tuple[Booking, ...]
    trusts: tuple[Trust, ...]

    @property
    def is_known(self) -> bool:
        """Whether no calendar that isn't known closes."""
        return all(trust.is_known or not trust.closes for trust in self.trusts)


class Situations:
    """Builds circumstances, keeping merged busy time and parsed set hours warm between questions.

    What is kept is what a transaction that only reads has seen.
    """

    def __init__(self, freshness: Freshness) -> None:
        self.freshness = freshness
        self._busy: dict[tuple[object, ...], Busy] = {}
        self._lock = Lock()

    def load(self, session: Session, offer: Offer, now: datetime, *, leave_out: str | None = None) -> Circumstances:
        """Read the circumstances of an offer; `leave_out` is a booking being moved (semantics 6)."""
        rules = rules_of(offer.freelancer, offer.consultation)
        reach_at = now + timedelta(seconds=rules.horizon + max(rules.durations) + rules.buffer_after)
        calendars, trusts = self._calendars(session, offer.freelancer, offer.consultation.blocks, now, reach_at)
        live = offers.live_bookings(session, offer.freelancer.id, now - _LIMITS_LOOK_BACK)
        others = [b for b in live if b.id != leave_out]
        bookings = [b for b in others if not is_over(b, now)]
        situation = Situation(
            schedule=schedule_of(offer.schedule),
            rules=rules,
            tz=offer.freelancer.tz,
            consultation=offer.consultation.id,
            busy=self._busy_of(session, offer.freelancer, calendars, live, leave_out),
            claims=tuple(_claim(b) for b in bookings),
            stale=tuple(t.id for t in trusts if t.closes and not t.is_known),
            now=whole_second(now),
        )
        lapses = [at for b in bookings if (at := _lapses_at(b))]
        overdue = tuple(b for b in others if is_over(b, now))
        return Circumstances(situation, trusts, min(lapses, default=None), overdue)

    def taken(self, session: Session, freelancer: Freelancer, now: datetime, reach_at: datetime) -> Taken:
        """Read what takes a freelancer's time, whatever the consultation, as far as `reach_at`."""
        calendars, trusts = self._calendars(session, freelancer, (), now, reach_at)
        live = offers.live_bookings(session, freelancer.id, now - _LIMITS_LOOK_BACK)
        busy = self._busy_of(session, freelancer, calendars, live, None)
        return Taken(busy, tuple(b for b in live if not is_over(b, now)), trusts)

    def _calendars(
        self, session: Session, freelancer: Freelancer, named: Sequence[str], now: datetime, reach_at: datetime
    ) -> tuple[list[Calendar], tuple[Trust, ...]]:
        """The calendars that block, and how far all that may block can be trusted."""
        accounts = offers.accounts_of(session, freelancer.id)
        calendars = blocking(accounts, named)
        known = [trust_of(c, c.account, self.freshness, now, reach_at=reach_at) for c in calendars]
        return calendars, (*known, *unknowns(accounts, named))

    def _busy_of(
        self,
        session: Session,
        freelancer: Freelancer,
        calendars: Sequence[Calendar],
        live: Sequence[Booking],
        leave_out: str | None,
    ) -> Busy:
        key = (freelancer.id, freelancer.availability_version, tuple((c.id, c.generation) for c in calendars))
        if leave_out is None and (kept := self._busy.get(key)):
            return kept
        busy = _read_busy(session, calendars, live, leave_out)
        if leave_out is None and _sees_what_is_kept(session):
            self._keep(key, busy)
        return busy

    def _keep(self, key: tuple[object, ...], busy: Busy) -> None:
        with self._lock:
            while len(self._busy) >= _BUSY_KEPT:
                del self._busy[next(iter(self._busy))]
            self._busy[key] = busy


def blocking(accounts: Sequence[Account], named: Sequence[str]) -> list[Calendar]:
    """The calendars that block a consultation: all that block, or those it names as "account/calendar"."""
    if named:
        return _named(accounts, named)
    return [calendar for account in accounts for calendar in account.calendars if calendar.blocks]


def _named(accounts: Sequence[Account], names: Sequence[str]) -> list[Calendar]:
    parts = [name.partition("/") for name in names]
    return [
        calendar
        for account in accounts
        for calendar in account.calendars
        if not calendar.gone and any(owner == account.name and is_named(calendar, name) for owner, _, name in parts)
    ]


def unknowns(accounts: Sequence[Account], named: Sequence[str]) -> list[Trust]:
    """What stands for calendars that may block and that nobody has seen."""
    if named:
        return [_unknown(accounts, name) for name in named if not _named(accounts, [name])]
    return [trust for account in accounts if (trust := unknown_account(account))]


def _unknown(accounts: Sequence[Account], name: str) -> Trust:
    """A calendar that a consultation names and nobody has seen: what it would block is unknown, never free."""
    account = next((account for account in accounts if account.name == name.partition("/")[0]), None)
    return Trust(
        account.id if account else name, "never_pulled", None, None, not account or account.when_stale == "close"
    )


def _sees_what_is_kept(session: Session) -> bool:
    """Whether a session changes nothing: a version that another one raised may be rolled back, and stand for something
    else the next time."""
    return bool(session.get_bind().get_execution_options().get("readonly"))


def _lapses_at(booking: Booking) -> datetime | None:
    """When time alone gives a booking's span back: a hold's end, or that of a wait for approval."""
    return {"held": booking.hold_expires_at, "pending": booking.overdue_at}.get(booking.state)


def is_over(booking: Booking, now: datetime) -> bool:
    """Whether a live booking lives no more: what has run out no longer counts, swept or not (semantics 19)."""
    lapses_at = _lapses_at(booking)
    return lapses_at is not None and lapses_at <= now


def _read_busy(session: Session, calendars: Sequence[Calendar], live: Sequence[Booking], leave_out: str | None) -> Busy:
    """Everything that blocks but our own events where they should be, and those of a booking being moved."""
    spans: dict[str, tuple[list[int], list[int]]] = {calendar.id: ([], []) for calendar in calendars}
    rows = offers.busy_spans_in(session, calendars)
    ours = _with_others(session, live, {booking_id for *_, booking_id in rows if booking_id})
    for calendar_id, start, end, booking_id in rows:
        if booking_id is None or (booking_id != leave_out and (start, end) not in ours.get(booking_id, ())):
            starts, ends = spans[calendar_id]
            starts.append(start)
            ends.append(end)
    return Busy.from_arrays(spans)


def _with_others(session: Session, live: Sequence[Booking], named: set[str]) -> dict[str, frozenset[tuple[int, int]]]:
    """Where the events of the named bookings may be by our own doing; few of them aren't live."""
    others = offers.bookings_of(session, named - {booking.id for booking in live})
    return {b.id: own_spans(b.event, b) for b in (*live, *others) if b.id in named}


def _claim(booking: Booking) -> Claim:
    return Claim(
        id=booking.id,
        start=int(booking.starts_at.timestamp()),
        end=int(booking.ends_at.timestamp()),
        buffer_before=booking.buffer_before_minutes * 60,
        buffer_after=booking.buffer_after_minutes * 60,
        consultation=booking.consultation_id,
        held=booking.state == "held",
    )


def schedule_of(row: ScheduleRow) -> Schedule:
    """Read a schedule's row; equal hours share one Schedule, which remembers its openings."""
    return _schedule(json.dumps(row.hours), json.dumps(row.on), row.tz)


@lru_cache(maxsize=1024)
def _schedule(hours: str, on: str, tz: str) -> Schedule:
    return Schedule.parse(json.loads(hours), json.loads(on), tz)


def rules_of(freelancer: Freelancer, consultation: Consultation) -> BookingRules:
    """A consultation's rules in seconds, with the freelancer's limits over all consultations."""
    return BookingRules(
        durations=tuple(60 * minutes for minutes in consultation.durations_minutes),
        increment=60 * consultation.increment_minutes,
        minimum_notice=60 * consultation.minimum_notice_minutes,
        horizon=60 * consultation.horizon_minutes,
        buffer_before=60 * consultation.buffer_before_minutes,
        buffer_after=60 * consultation.buffer_after_minutes,
        daily_limit=consultation.daily_limit,
        weekly_limit=consultation.weekly_limit,
        freelancer_daily_limit=freelancer.daily_limit,
        freelancer_weekly_limit=freelancer.weekly_limit,
        active=consultation.active and freelancer.active,
    )
