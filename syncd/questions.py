"""What is asked of the feed, from the words it was asked in. Raises ApiError that names the word and what is right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from availability import ZoneError, zones
from syncd.errors import ApiError
from syncd.instants import is_date, read_date, read_instant, restore_plus
from syncd.store.offers import Offer

LONGEST = timedelta(days=92)


def duration_of(offer: Offer, minutes: int | None, *, pointer: str = "/duration_minutes") -> int:
    """The duration asked for, or the consultation's first. Raises ApiError for one that isn't offered."""
    offered = offer.consultation.durations_minutes
    if minutes is not None and minutes not in offered:
        detail = f"{minutes} minutes are not offered; right would be one of {', '.join(map(str, offered))}"
        errors = [{"pointer": pointer, "code": "not_offered", "detail": detail}]
        raise ApiError("invalid-request", detail, errors=errors)
    return minutes or offered[0]


def window_of(start: str, end: str, tz: str) -> tuple[datetime, datetime]:
    """The half-open window of instants: whole days of a zone, `end` inclusive, or instants. Raises ApiError."""
    if is_date(start) != is_date(end):
        raise wrong("end", "start and end must both be dates, or both instants")
    if is_date(start):
        first, last = _date(start, "start"), _date(end, "end")
        length = timedelta(days=(last - first).days + 1)
        start_at, end_at = _day(first, tz)[0], _day(last, tz)[1]
        least = timedelta(days=1)
    else:
        start_at, end_at = parse_instant(start, "start"), parse_instant(end, "end")
        length, least = end_at - start_at, timedelta()
    if length < least:
        raise wrong("end", "must not be before start")
    if length > LONGEST:
        raise wrong("end", f"must be at most {LONGEST.days} days after start")
    return start_at, end_at


def bound_of(text: str | None, name: str, tz: str, *, ends: bool = False) -> datetime | None:
    """An instant, or of a date its beginning; its end for the bound that `ends`. Raises ApiError that names `name`."""
    if not text:
        return None
    if not is_date(text):
        return parse_instant(text, name)
    return _day(_date(text, name), tz)[ends]


def _date(text: str, name: str) -> date:
    try:
        return read_date(text)
    except ValueError as error:
        raise wrong(name, str(error)) from None


def _day(on: date, tz: str) -> tuple[datetime, datetime]:
    """The first and the last instant that can have this local date; an empty range where a zone skipped it."""
    spans = zones.day_spans(tz, on.toordinal() - date(1970, 1, 1).toordinal()).pairs()
    if not spans:
        jump = datetime(on.year, on.month, on.day, tzinfo=zones.load(tz)).astimezone(UTC)
        return jump, jump
    return datetime.fromtimestamp(spans[0][0], UTC), datetime.fromtimestamp(spans[-1][1], UTC)


def check_zone(tz: str) -> str:
    """The name of a time zone. Raises ApiError for one that isn't known."""
    try:
        zones.load(tz)
    except ZoneError as error:
        raise wrong("time_zone", str(error)) from None
    return tz


def parse_instant(text: str, name: str) -> datetime:
    """An RFC 3339 instant with its offset, in UTC; a `+` that arrived as a space is understood. Raises ApiError."""
    try:
        return read_instant(restore_plus(text))
    except ValueError as error:
        raise wrong(name, str(error)) from None


def wrong(name: str, detail: str) -> ApiError:
    """The error for one member of a query."""
    return ApiError(
        "invalid-request",
        f"{name}: {detail}",
        errors=[{"pointer": f"query:{name}", "code": "invalid", "detail": detail}],
    )
