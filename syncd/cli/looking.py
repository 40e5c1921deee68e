"""`slots`, `explain` and `status`: what is offered, why, and how things are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from availability import ZoneError, zones
from syncd.booking.judging import reasons_against
from syncd.booking.reasons import reasons_json
from syncd.cli.setup import opened
from syncd.cli.show import console, counted, print_json, print_table, say, ways_of
from syncd.cli.week import Layers, layers_json, layers_of, picture, rows_of
from syncd.errors import ApiError, AvailabilityUnknown
from syncd.feed import FeedQuestion
from syncd.instants import FIRST_YEAR, LAST_YEAR
from syncd.questions import duration_of, window_of
from syncd.services import Services
from syncd.store import offers
from syncd.store.access import SIGNED_IN, how_to_connect
from syncd.store.offers import Offer
from syncd.store.overview import overview

WORDS = {
    "past": "it is in the past",
    "inactive": "the consultation or the freelancer is switched off",
    "outside_hours": "it doesn't fit into the set hours",
    "date_closed": "that date is closed",
    "off_grid": "starts lie on the consultation's grid, and this one doesn't",
    "inside_notice": "it is too soon: less than the minimum notice ahead",
    "beyond_horizon": "it is too far ahead",
    "busy": "a calendar is busy",
    "buffer": "it leaves too little room before or after something",
    "held": "someone holds it",
    "booked": "it is booked",
    "daily_limit": "the day's limit is reached",
    "weekly_limit": "the week's limit is reached",
    "calendar_stale": "a calendar that could block it hasn't been read for too long",
}


@dataclass(frozen=True, slots=True)
class SlotsWish:
    """What `slots` was asked."""

    offer: str
    since: str | None
    until: str | None
    tz: str | None
    duration: int | None
    week: bool | None = None  # a picture of the days; None: on a terminal


def show_slots(config_path: Path, wish: SlotsWish, *, as_json: bool) -> int:
    """Print the slots of some days: today and the six after it, if none are named."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        services = installation.services
        offer = find(session, wish.offer)
        now = services.clock()
        tz = zone(wish.tz or offer.freelancer.tz)
        question, days = _question(offer, wish, tz, now)
        answer = json.loads(_answer(services, session, offer, question, now))
        layers = _layers(services, session, offer, question, now)
    if as_json:
        print_json({**answer, "week": layers_json(layers, tz)} if wish.week else answer)
        return 0
    _print_days(answer, offer)
    screen = console()
    if wish.week or (wish.week is None and screen.is_terminal):
        ascii_only = screen.options.ascii_only
        for line in picture(list(rows_of(layers, days, tz)), screen.width, ascii_only=ascii_only):
            screen.print(line)
    return 0


def _question(offer: Offer, wish: SlotsWish, tz: str, now: datetime) -> tuple[FeedQuestion, list[date]]:
    """What is asked of the feed, and the days that it is about. Raises ApiError."""
    first = _day(wish.since, "--from ") if wish.since else now.astimezone(ZoneInfo(tz)).date()
    last = _day(wish.until, "--to ") if wish.until else first + timedelta(days=6)
    if last < first:
        raise ApiError("invalid-request", f"--to {last} must not lie before --from {first}")
    window = window_of(first.isoformat(), last.isoformat(), tz)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return FeedQuestion(*window, duration_of(offer, wish.duration), tz), days


def _answer(services: Services, session: Session, offer: Offer, question: FeedQuestion, now: datetime) -> bytes:
    try:
        return services.feed.detailed(session, offer, question, now, with_calendars=True).body
    except AvailabilityUnknown:
        why = "a calendar that could block hasn't been read, or not for too long"
        message = f"it isn't known what is free: {why}; `syncd status` says which, `syncd sync` reads it"
        raise AvailabilityUnknown(message) from None


def _layers(services: Services, session: Session, offer: Offer, question: FeedQuestion, now: datetime) -> Layers:
    situation = services.situations.load(session, offer, now).situation
    window = question.start_at, question.end_at
    live = offers.live_bookings(session, offer.freelancer.id, question.start_at)
    standing = [b for b in live if b.state not in ("held", "pending") or b.overdue_at is None or b.overdue_at > now]
    return layers_of(situation, standing, question.duration_minutes, window)


def _print_days(answer: Mapping[str, Any], offer: Offer) -> None:
    tell = console().print  # breaks lines between words
    tell(f"{offer.consultation.title}, {answer['duration_minutes']} minutes, times in {answer['time_zone']}")
    if not answer["slots"]:
        tell("No slot in these days. `syncd explain` says why a time isn't offered.")
        return
    rows = [
        (_day(day).strftime("%a %d %b %Y"), "  ".join(slot["start"][11:16] for slot in slots))
        for day, slots in answer["slots"].items()
    ]
    print_table(("day", "starts"), rows)


def show_reasons(config_path: Path, name: str, at: str, duration: int | None, *, as_json: bool) -> int:
    """Print every reason why a start isn't offered."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        services = installation.services
        offer = find(session, name)
        minutes = duration_of(offer, duration)
        start = local_instant(at, offer.freelancer.tz)
        situation = services.situations.load(session, offer, services.clock()).situation
        names = {c.id: f"{a.name}/{c.name}" for a in offer.freelancer.accounts for c in a.calendars}
    reasons = reasons_json(reasons_against(situation, minutes * 60, start), offer.freelancer.tz)
    if as_json:
        print_json({"bookable": not reasons, "reasons": reasons})
        return 0
    shown = start.astimezone(ZoneInfo(offer.freelancer.tz)).isoformat()
    say(f"{shown} is {'not offered' if reasons else 'offered'}.")
    for reason in reasons:
        say(f"  {reason['code']}: {WORDS[reason['code']]}{_where(reason, names)}")
    return 0


def _where(reason: Mapping[str, str], names: Mapping[str, str]) -> str:
    calendar = reason.get("calendar")
    where = f" ({names.get(calendar, calendar)})" if calendar else ""
    return f"{where}, {reason['from']} to {reason['to']}" if "from" in reason else where


def show_status(config_path: Path, *, as_json: bool) -> int:
    """Print accounts, calendars and what is owed."""
    found = _overview(config_path)
    if as_json:
        print_json(found)
    else:
        _print_status(found)
    return 0


def _overview(config_path: Path) -> dict[str, Any]:
    with opened(config_path) as installation, installation.services.store.read() as session:
        services = installation.services
        return overview(session, services.situations.freshness, services.clock())


def _print_status(found: Mapping[str, Any]) -> None:
    rows = []
    for account in found["accounts"]:
        state = account["state"] if account["active"] else "inactive"
        rows.append((f"{account['freelancer']}/{account['name']}", "", state, "", account["problem"] or ""))
        rows += [("", c["name"], c["state"], _moment(c["synced_at"]), _remarks(c)) for c in account["calendars"]]
        rows += [("", name, "missing", "", "the server has no such calendar") for name in account["missing"]]
    print_table(("account", "calendar", "state", "pulled", "remarks"), rows)
    for account in found["accounts"]:
        if renewal := _renewal(account):
            say(f"{account['freelancer']}/{account['name']}: {renewal}")
        for calendar in account["calendars"]:
            _print_quarantined(calendar)
    owed = found["outbox"]["owed"]
    waiting = f"{counted(owed, 'booking')} {'waits' if owed == 1 else 'wait'} to be written to a calendar."
    say(waiting if owed else "Every booking is written to its calendar.")


def _print_quarantined(calendar: Mapping[str, Any]) -> None:
    for item in calendar["quarantined"]:
        start = f" of {item['start']}" if item["start"] else ""
        say(f"{calendar['name']}: not understood: {item['uid'] or item['href']}{start}: {item['reason']}")
        say(f"  {item['advice']}")


def show_accounts(config_path: Path, *, as_json: bool) -> int:
    """Print what is connected, and what its servers were seen to do."""
    found = _overview(config_path)
    if as_json:
        print_json({"accounts": found["accounts"]})
        return 0
    for account in found["accounts"]:
        state = account["state"] if account["active"] else "inactive"
        where = f" at {account['url']}" if account["url"] else ""
        say(f"{account['freelancer']}/{account['name']}: {account['provider']}{where}, {state}")
        for told in filter(None, (account["problem"], _renewal(account))):
            say(f"  {told}")
        rows = [_account_row(c) for c in account["calendars"]]
        rows += [(name, "", "missing", "", "the server has no such calendar") for name in account["missing"]]
        print_table(("calendar", "used", "state", "pulled", "what its server does"), rows)
        _print_remarks(account)
    return 0


def _renewal(account: Mapping[str, Any]) -> str:
    """How a permission that is no longer good is given again."""
    if account["state"] != "needs_reconnect" or account["provider"] not in SIGNED_IN or not account["active"]:
        return ""
    command = how_to_connect(account["provider"], account["freelancer"], account["name"])
    return f"{command} asks for permission again" if command not in (account["problem"] or "") else ""


def _account_row(calendar: Mapping[str, Any]) -> tuple[str, ...]:
    used = ", ".join(word for word in ("blocks", "target") if calendar[word])
    pulled = _moment(calendar["synced_at"]) if used else ""
    state = calendar["state"] if used else ""
    return calendar["name"], used, state, pulled, ways_of(calendar["probe"]) if used else ""


def _print_remarks(account: Mapping[str, Any]) -> None:
    remarks = [remark for c in account["calendars"] if c["probe"] for remark in c["probe"].get("remarks", ())]
    remarks += [f"{c['name']}: {c['problem']}" for c in account["calendars"] if c["problem"]]
    for remark in dict.fromkeys(remarks):
        say(f"  {remark}")


def _moment(text: str | None) -> str:
    """An instant of the overview to the second, as a person reads it."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC" if text else "never"


def _remarks(calendar: Mapping[str, Any]) -> str:
    remarks = [word for word in ("blocks", "target") if calendar[word]]
    if calendar["held_back"]:
        remarks.append(f"{calendar['held_back']} removals held back")
    if calendar["problem"]:
        remarks.append(calendar["problem"])
    return ", ".join(remarks)


def find(session: Session, name: str) -> Offer:
    """The offer of `HANDLE/SLUG`. Raises ApiError."""
    handle, _, slug = name.partition("/")
    offer = offers.find_offer(session, handle, slug)
    if offer is None:
        raise ApiError("not-found", f"there is no consultation {name!r}; right would be HANDLE/CONSULTATION")
    return offer


def local_instant(text: str, tz: str) -> datetime:
    """An instant as a person types it: with an offset, or on the wall clock of a zone. Raises ApiError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        detail = f"{text!r} is no date and time; right would be 2026-12-01T10:00 or 2026-12-01T10:00+01:00"
        raise ApiError("invalid-request", detail) from None
    _check_year(at.year, text)
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(tz))).astimezone(UTC)


def _day(text: str, option: str = "") -> date:
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise ApiError("invalid-request", f"{option}{text!r} is no date; right would be 2026-12-01") from None
    _check_year(on.year, text)
    return on


def _check_year(year: int, text: str) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ApiError("invalid-request", f"{text!r} must lie between {FIRST_YEAR} and {LAST_YEAR}")


def zone(name: str) -> str:
    """The name of a zone there is. Raises ApiError."""
    try:
        zones.load(name)
    except ZoneError as error:
        raise ApiError("invalid-request", str(error)) from None
    return name
