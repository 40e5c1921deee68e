"""Consultations that can never be booked, or not as they are meant to, and why: asked of the real predicate.

Decides which setting is to blame. What is bookable `availability` decides: it is asked as things are, and as if nothing
were busy, on each of the days to come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from availability import Busy, Situation, first_slot
from syncd.booking.describe import VIDEO
from syncd.doctor.findings import Finding, mend, note, ok
from syncd.situation import Situations, blocking
from syncd.store.bookings import target_of
from syncd.store.models import Account, Consultation, Freelancer
from syncd.store.offers import Offer, accounts_of, offers_by

_DAY = 86_400
_DAYS = 15  # that many days' starts are tried: a weekday comes twice
_INVITING = ("google",)  # kinds of providers that mail those who are invited
_KINDS = {"caldav": "CalDAV"}  # and how the others are called


def examined(session: Session, situations: Situations, now: datetime) -> Iterator[Finding]:
    """Everything about what the freelancers offer."""
    people = session.scalars(select(Freelancer).where(Freelancer.removed.is_(False)).order_by(Freelancer.handle)).all()
    if not people:
        yield mend("offers", "there is no freelancer", "add [freelancers.NAME] to the file, or `syncd freelancer add`")
    for person in people:
        yield from _person(session, person)
        known = {offer.consultation.id: offer for offer in offers_by(session, person.id)}
        for consultation in sorted(person.consultations, key=lambda c: c.slug):
            if not consultation.removed:
                yield from _consultation(session, situations, known.get(consultation.id), consultation, now)


def _person(session: Session, person: Freelancer) -> Iterator[Finding]:
    if not person.active:
        yield note(
            "offers", f"{person.handle} is inactive: nothing can be booked", "set active = true, if that is over"
        )
        return
    shown = [c for c in person.consultations if not c.removed]
    if not shown:
        over_http = "add one over the API, with a key of `syncd key create --scope manage`"
        step = f"add one to freelancers.{person.handle} of the file" if person.declared else over_http
        yield mend("offers", f"{person.handle} offers no consultation", step)
    accounts = accounts_of(session, person.id)
    connect = f"`syncd connect caldav {person.handle}`"
    if not accounts:
        yield note("offers", f"{person.handle} has no calendar: only bookings block, and none is written down", connect)
    elif not blocking(accounts, ()):
        what = f"no calendar of {person.handle} blocks: what is in them closes no slot"
        yield note("offers", what, _choose(accounts, "blocks"))
    if accounts and target_of(session, person.id, "") is None and not any(c.target for c in shown):
        what = f"no calendar takes {person.handle}'s consultations: bookings aren't written to any"
        yield note("offers", what, _choose(accounts, "target"))
    if person.invite == "provider":
        yield from _uninvited(session, person, shown)


def _uninvited(session: Session, person: Freelancer, shown: Sequence[Consultation]) -> Iterator[Finding]:
    """Targets whose provider invites nobody, although it is meant to."""
    found = (target_of(session, person.id, consultation.target) for consultation in shown)
    for target in {calendar.id: calendar for calendar in found if calendar}.values():
        account: Account = target.account
        if account.provider not in _INVITING:
            what = f'{person.handle} has invite = "provider", but nobody is invited: {account.name}/{target.name} is '
            step = 'choose a target whose provider invites (Google), or set invite = "none"'
            yield note("offers", what + _KINDS.get(account.provider, account.provider), step)


def _choose(accounts: Sequence[Account], key: str) -> str:
    """Where it is set which calendars block or take consultations: in the file for the accounts declared there."""
    handle = accounts[0].freelancer.handle
    if all(account.declared for account in accounts):
        sections = ", ".join(f"freelancers.{handle}.accounts.{account.name}" for account in accounts)
        return f"set {key} in {sections} of the file"
    return f"`syncd calendars {handle} --{key} NAME`"


def _consultation(
    session: Session, situations: Situations, offer: Offer | None, row: Consultation, now: datetime
) -> Iterator[Finding]:
    label = f"{row.freelancer.handle}/{row.slug}"
    if not (row.active and row.freelancer.active):
        yield note("offers", f"{label} is inactive", "set active = true to offer it")
        return
    if offer is None:
        what = f"{label} can never be booked: there is no schedule {row.schedule!r}"
        yield mend("offers", what, f"give {row.freelancer.handle} that schedule, or name another")
        return
    yield from _names(session, offer, label)
    situation = situations.load(session, offer, now).situation
    found = list(never(label, situation)) or list(_now(label, situation))
    yield from found or [ok("offers", f"{label} can be booked")]


def _names(session: Session, offer: Offer, label: str) -> Iterator[Finding]:
    """Calendars that it names and that aren't there, and a meeting link that nobody makes."""
    accounts = accounts_of(session, offer.freelancer.id)
    for name in offer.consultation.blocks:
        if not blocking(accounts, [name]):
            what = f"{label} is blocked by {name!r}, which isn't there: its time is unknown, no slot is offered"
            yield mend("offers", what, f"`syncd calendars {offer.freelancer.handle}` lists what there is")
    named = offer.consultation.target
    target = target_of(session, offer.freelancer.id, named)
    if named and target is None:
        what = f"{label} is written to {named!r}, which isn't there"
        yield mend("offers", what, f"`syncd calendars {offer.freelancer.handle}` lists what there is")
    elif offer.consultation.location == VIDEO and not (target and target.makes_links):
        where = f"{target.account.name}/{target.name}" if target else "no calendar"
        what = f'{label} has location = "video", but {where} makes no meeting links: join_url stays empty'
        yield mend("offers", what, 'give a location of your own, such as "https://meet.example/{room}"')


# The rules alone


def never(label: str, situation: Situation) -> Iterator[Finding]:
    """Durations for which the rules alone offer no start, on none of the days to come, and the setting to blame."""
    bare = replace(situation, busy=Busy.of({}), claims=(), stale=())
    for duration in situation.rules.durations:
        if not any(_first(replace(bare, now=bare.now + day * _DAY), duration) for day in range(_DAYS)):
            why, next_step = _why_never(bare, duration)
            several = len(situation.rules.durations) > 1
            which = f"{label} for {duration // 60} minutes" if several else label
            yield mend("offers", f"{which} can never be booked: {why}", next_step)
    longest = max((end - start for start, end in _openings(bare)), default=0)
    if 0 < longest < situation.rules.increment:
        what = f"{label}: increment ({_words(situation.rules.increment)}) is longer than any range of set hours"
        yield note("offers", f"{what}: each offers its opening alone", "make increment shorter for more starts")


def _first(situation: Situation, duration: int) -> int | None:
    return first_slot(situation, duration, situation.rules.booking_window(situation.now))


def _why_never(bare: Situation, duration: int) -> tuple[str, str]:
    rules = bare.rules
    limits = (rules.daily_limit, rules.weekly_limit, rules.freelancer_daily_limit, rules.freelancer_weekly_limit)
    if 0 in limits:
        return "a limit is 0", "raise daily_limit or weekly_limit, of the consultation or of the freelancer"
    if rules.horizon <= rules.minimum_notice:
        lengths = f"horizon ({_words(rules.horizon)}), minimum_notice ({_words(rules.minimum_notice)})"
        return f"it can't be booked further ahead than it has to be: {lengths}", "make horizon the longer one"
    open_now = _openings(bare)
    if not open_now and any(bare.schedule.weekly):
        until = _words(rules.horizon + (_DAYS - 1) * _DAY)
        return f"every date of the next {until} is closed", "take the closed dates away that no longer hold"
    if not open_now:
        return "its schedule has no hours in the booking window", "give the schedule hours, for instance monday"
    longest = max(reach - start for start, reach in _reaches(bare))
    if longest < duration:
        what = f"it lasts {_words(duration)}, and set hours are open for {_words(longest)} at most"
        return what, "make it shorter, or the hours longer"
    return "no start fits into the booking window", "make horizon longer, or minimum_notice shorter"


def _openings(bare: Situation) -> list[tuple[int, int]]:
    hours = bare.schedule.openings(_window(bare))
    return list(zip(hours.opens, hours.closes, strict=True))


def _reaches(bare: Situation) -> list[tuple[int, int]]:
    hours = bare.schedule.openings(_window(bare))
    return list(zip(hours.opens, hours.reach, strict=True))


def _window(bare: Situation) -> tuple[int, int]:
    start, end = bare.rules.booking_window(bare.now)
    return start, max(start, end) + (_DAYS - 1) * _DAY


# As things are


def _now(label: str, situation: Situation) -> Iterator[Finding]:
    """What can be booked by the rules, but by nobody as things are."""
    if situation.stale:
        what = f"{label} has no slot now: what its calendars hold isn't known well enough"
        yield note("offers", what, "see what is said of accounts, calendars and daemon")
        return
    full = [duration for duration in situation.rules.durations if _first(situation, duration) is None]
    if not full:
        return
    which = f"{label} for {full[0] // 60} minutes" if len(situation.rules.durations) > 1 else label
    without = replace(situation, rules=replace(situation.rules, buffer_before=0, buffer_after=0))
    if _first(without, full[0]) is not None:
        what = f"{which} has no slot: its buffers fit nowhere between what is busy"
        yield mend("offers", what, "make buffer_before or buffer_after shorter")
    else:
        until = _words(situation.rules.horizon)
        yield note("offers", f"{which} has no slot now: all is closed, busy, booked or full for the next {until}")


def _words(seconds: int) -> str:
    units: Sequence[tuple[int, str]] = ((_DAY, "d"), (3600, "h"), (60, "min"))
    size, unit = next(((s, u) for s, u in units if seconds and seconds % s == 0), (60, "min"))
    return f"{seconds // size} {unit}"
