"""Dates and RFC 3339 instants as texts, read and written. Decides which texts are one, not where they stood."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1971, 2199  # leaves room for every offset, buffer and horizon within what a datetime holds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,6}0*)?)?)([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOST_PLUS = re.compile(r" (?=\d\d:\d\d$)", re.ASCII)


def read_instant(text: str) -> datetime:
    """An instant with its offset, in UTC, no finer than microseconds. ValueError says what would be right."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("must be an instant with an offset, such as 2026-12-01T10:00:00+01:00")
    try:
        found = datetime.fromisoformat("".join(match.groups()).upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no instant: there is no such date, time or offset") from None
    _check_year(found.year)
    return found


def is_date(text: str) -> bool:
    """Whether a text has the form of a date."""
    return _DATE.fullmatch(text) is not None


def read_date(text: str) -> date:
    """A date of the form 2026-12-01. ValueError says what would be right."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is no date") from None
    _check_year(found.year)
    return found


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"must lie between {FIRST_YEAR} and {LAST_YEAR}")


def restore_plus(text: str) -> str:
    """A `+` before an offset that arrived as a space, as query strings decode it, put back."""
    return _LOST_PLUS.sub("+", text)


def rfc3339(at: datetime) -> str:
    """An instant in UTC as the API writes it."""
    text = at.astimezone(UTC).isoformat(timespec="microseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def rfc3339_or_none(at: datetime | None) -> str | None:
    """The same of an instant that there may not be."""
    return rfc3339(at) if at else None


def local(instant: int, tz: str) -> str:
    """An instant with the offset of a zone."""
    return (_EPOCH + timedelta(seconds=instant)).astimezone(ZoneInfo(tz)).isoformat()
