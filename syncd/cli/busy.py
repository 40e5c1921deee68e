"""`busy`: what a calendar file blocks, and what in it could not be understood, without any set-up.

Decides where the file comes from, which windows are asked about and how the answer is shown. How a file is understood
is `providers.ical_file`, what blocks `syncd.sync.busy`. Nothing of the configuration or the database is used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import chain, zip_longest
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from availability import ZoneError, zones
from providers.errors import InvalidResponse
from providers.ical_file import CalendarFile, read_file
from providers.ical_values import in_zone, midnight, shift, to_utc
from providers.lookalikes import look_of
from providers.model import Connection, Unreadable, Window
from syncd.cli.show import counted, print_json, print_table, say
from syncd.errors import ApiError
from syncd.instants import rfc3339
from syncd.sync.busy import Choices, Span
from syncd.sync.file import FileAnswer, busy_in_file

LARGEST = 64 * 1024 * 1024

_DAYS_AHEAD = 90
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CUT = "The text ends before the calendar does: what is missing is not known."
_WHAT_TO_DO = "What these block is not known. Correct them in the calendar they come from, or leave them out there."

Moment = date | datetime


@dataclass(frozen=True, slots=True)
class BusyWish:
    """What `busy` was asked: `since` and `until` are pairs, in order."""

    source: str
    tz: str | None
    since: Sequence[str]
    until: Sequence[str]
    emails: Sequence[str]
    allow_private: bool


def show_busy(wish: BusyWish, now: datetime, *, as_json: bool) -> int:
    """Print what a file blocks. Raises ApiError, ProviderError."""
    zones.pin()
    if wish.tz is not None:
        _check_zone(wish.tz)
    asked = list(_pairs(wish))
    file = _understood(wish)
    tz = wish.tz or file.tz or "UTC"
    windows = [_window(first, last, ZoneInfo(tz)) for first, last in asked] or [_coming(now, ZoneInfo(tz))]
    answer = busy_in_file(file, windows, tz, Choices())
    unreadable = [*answer.unreadable, *_cut_off(file)]
    if as_json:
        print_json(_json(answer.busy, unreadable))
    else:
        _print(file, windows, FileAnswer(answer.busy, tuple(unreadable)), tz)
    return 0


def _cut_off(file: CalendarFile) -> Iterator[Unreadable]:
    """Say that the file was cut, unless an event says so already."""
    if file.cut and not file.unreadable:
        yield Unreadable("", "", _CUT)


# The file


def _understood(wish: BusyWish) -> CalendarFile:
    content = _content(wish)
    file = read_file(content, frozenset(wish.emails))
    if file is None:
        raise InvalidResponse(f"{_named(wish.source)} is not a calendar but {look_of(content)}")
    return file


def _content(wish: BusyWish) -> bytes:
    """The bytes of a file, of standard input or of what is at an address. Raises ApiError, ProviderError."""
    if "://" in wish.source:
        return _downloaded(wish)
    if not wish.source:
        raise ApiError(
            "invalid-request", "no file is named; right would be a file, an address, or - for standard input"
        )
    if wish.source == "-":
        if sys.stdin is None:
            raise ApiError("not-found", "standard input is closed")
        return _bounded(sys.stdin.buffer, wish.source)
    try:
        with Path(wish.source).open("rb") as file:
            return _bounded(file, wish.source)
    except IsADirectoryError:
        raise ApiError("not-found", f"{wish.source} is a folder; right would be a file in it") from None
    except OSError as error:
        raise ApiError("not-found", f"{wish.source} can't be read: {error.strerror}") from None
    except ValueError:
        raise ApiError("not-found", "there can be no file of that name") from None


def _bounded(file: BinaryIO, source: str) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ApiError("too-large", f"{_named(source)} is larger than {LARGEST // 1024**2} MB, which no calendar is")
    return content


def _downloaded(wish: BusyWish) -> bytes:
    from providers.connections import is_at_home  # these bring requests, which a file doesn't need
    from providers.download import Remote

    try:
        # Who types a private address means it; what a public one redirects to is another matter.
        remote = Remote(Connection(wish.source, allow_private=wish.allow_private or is_at_home(wish.source)))
    except ValueError as error:
        raise ApiError("invalid-request", str(error)) from None
    with closing(remote):
        return remote.download().content


def _named(source: str) -> str:
    """What a source is called: an address by its host alone, as the rest of it may be its password."""
    if "://" in source:
        return f"what {source.partition('://')[2].partition('/')[0].rpartition('@')[2]} sent"
    return "standard input" if source == "-" else source


# The windows


def _check_zone(tz: str) -> None:
    try:
        zones.load(tz)
    except ZoneError as error:
        raise ApiError("invalid-request", f"--tz: {error}") from None


def _pairs(wish: BusyWish) -> Iterator[tuple[Moment, Moment]]:
    """The beginnings and ends asked for, read but not yet placed in a zone. Raises ApiError."""
    for since, until in zip_longest(wish.since, wish.until):
        if since is None or until is None:
            raise ApiError("invalid-request", "every --from needs a --to, and every --to a --from")
        first, last = _moment(since, "--from"), _moment(until, "--to")
        if isinstance(first, datetime) != isinstance(last, datetime):
            detail = f"--from {since} --to {until}: both must be dates, or both must have a time"
            raise ApiError("invalid-request", detail)
        yield first, last


def _moment(text: str, option: str) -> Moment:
    written = text.strip().upper()
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(written)
        except ValueError:
            continue
    detail = f"{option}: {text!r} is no date and no time; right would be 2026-12-01, 2026-12-01T10:00 (in --tz) "
    raise ApiError("invalid-request", f"{detail}or 2026-12-01T10:00:00+01:00")


def _window(first: Moment, last: Moment, zone: tzinfo) -> Window:
    """Whole days of a zone, the last one included, or from an instant to another. Raises ApiError."""
    end = _instant(last, zone) if isinstance(last, datetime) else to_utc(shift(midnight(last, zone), timedelta(days=1)))
    window = Window(_instant(first, zone), end)
    if window.end_at < window.start_at or (type(first) is type(last) is date and last < first):
        raise ApiError("invalid-request", f"--to {last} is before --from {first}")
    return window


def _instant(moment: Moment, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        return to_utc(midnight(moment, zone))
    return to_utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _coming(now: datetime, zone: tzinfo) -> Window:
    today = now.astimezone(zone).date()
    return Window(_instant(today, zone), _instant(today + timedelta(days=_DAYS_AHEAD), zone))


# The answer


def _json(busy: Iterable[Iterable[Span]], unreadable: Iterable[Unreadable]) -> dict[str, object]:
    return {
        "busy": [[[rfc3339(_at(start)), rfc3339(_at(end))] for start, end in spans] for spans in busy],
        "quarantined": [{"uid": bad.uid, "start": bad.start, "reason": bad.reason} for bad in unreadable],
    }


def _at(instant: int) -> datetime:
    return _EPOCH + timedelta(seconds=instant)


def _print(file: CalendarFile, windows: Sequence[Window], answer: FileAnswer, tz: str) -> None:
    zone = ZoneInfo(tz)
    for window, spans in zip(windows, answer.busy, strict=True):
        first, last = (_shown(in_zone(at, zone)) for at in (window.start_at, window.end_at))
        say(f"Busy from {first} to {last}, times in {tz}:")
        if spans:
            print_table(("day", "from", "to", "for"), _rows(spans, zone))
        total = timedelta(seconds=sum(end - start for start, end in spans))
        say(f"{_length(total)} in all.\n" if spans else "Nothing.\n")
    say(f"{counted(len(file.events), 'event')} or series understood, {len(answer.unreadable)} not.")
    for bad in answer.unreadable:
        say(f"  {' at '.join(filter(None, (bad.uid, bad.start))) or 'no UID'}: {bad.reason}")
    if answer.unreadable:
        say(_WHAT_TO_DO)


def _rows(spans: Iterable[Span], zone: tzinfo) -> Iterator[tuple[str, str, str, str]]:
    """A row for each span, with its day where that is another than the row before."""
    before = None
    for start, end in spans:
        first, last = in_zone(_at(start), zone), in_zone(_at(end), zone)
        day = first.date()
        ends = _time(last) if last.date() == day else _shown(last)
        yield (_day(first) if day != before else "", _time(first), ends, _length(last - first))
        before = day


def _shown(at: datetime) -> str:
    return f"{_day(at)} {_time(at)}"


def _day(at: datetime) -> str:
    return at.strftime("%a %d %b %Y")


def _time(at: datetime) -> str:
    return at.strftime("%H:%M:%S" if at.second else "%H:%M")


def _length(length: timedelta) -> str:
    """Hours and minutes, and days where it is longer than two."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    days, minutes = divmod(minutes, 1440) if minutes > 2880 else (0, minutes)
    parts = ((days, "d"), (minutes // 60, "h"), (minutes % 60, "min"), (seconds, "s"))
    return " ".join(chain.from_iterable((str(number), unit) for number, unit in parts if number)) or "0 min"
