"""What keys must have to do with each other: names that are named, one target, busy time kept for the whole horizon.

Decides on the tables as written, so that a mistake in one key hides none elsewhere: a value of the wrong kind counts
as not there, since the models have named it already. Refuses to know the models' types and where the tables come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from availability import Schedule, ScheduleError
from syncd.config import fields, models
from syncd.config.keys import Path, key_text, value_text
from syncd.errors import Mistake

Raw = Mapping[str, Any]


def between_keys(data: Raw) -> Iterator[Mistake]:
    """Every mistake that no key makes alone, in the order of the file."""
    kept = _length(_table(data, "daemon").get("keep_busy_for"))
    for handle, freelancer in _tables(data, "freelancers"):
        at: Path = ("freelancers", handle)
        yield from _schedules(at, freelancer)
        for slug, consultation in _tables(freelancer, "consultations"):
            yield from _consultation((*at, "consultations", slug), consultation, freelancer)
            yield from _horizon((*at, "consultations", slug, "horizon"), consultation, kept)
            yield from _buffer((*at, "consultations", slug, "buffer_before"), consultation)
        for name, account in _tables(freelancer, "accounts"):
            yield from _account((*at, "accounts", name), account)
        yield from _targets(at, freelancer)


def _table(data: Raw, key: str) -> Raw:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _tables(data: Raw, key: str) -> Iterator[tuple[str, Raw]]:
    return ((name, table) for name, table in _table(data, key).items() if isinstance(table, dict))


def _texts(data: Raw, key: str) -> list[str]:
    value = data.get(key)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


LONGEST_BUFFER = 7 * fields.DAY


def _length(text: object, default: int = models.Daemon.model_fields["keep_busy_for"].default) -> int:
    try:
        return fields.parse_length(text)
    except ValueError:
        return default


def _mistake(at: Path, right: str, value: object = None) -> Mistake:
    return Mistake(key_text(at), right, None if value is None else value_text(value))


def _schedules(at: Path, freelancer: Raw) -> Iterator[Mistake]:
    for name, schedule in _tables(freelancer, "schedules"):
        zone = _usable_zone(schedule.get("time_zone")) or _usable_zone(freelancer.get("time_zone")) or "UTC"
        yield from _hours((*at, "schedules", name), schedule, zone)


def _usable_zone(name: object) -> str | None:
    try:
        return fields.time_zone(name) if isinstance(name, str) else None
    except ValueError:
        return None


def _hours(at: Path, schedule: Raw, zone: str) -> Iterator[Mistake]:
    """Each day by itself, so that every one is named; then all together, for what contradicts itself."""
    weekly = {day: ranges for day in models.WeeklyHours.model_fields if (ranges := _ranges(schedule, "hours", day))}
    dates = {key: _ranges(schedule, "on", key) or [] for key in _table(schedule, "on")}
    alone = [_parsed(at, {day: ranges}, {}, zone) for day, ranges in weekly.items()]
    alone += [_parsed(at, {}, {key: ranges}, zone) for key, ranges in dates.items()]
    found = [mistake for mistake in alone if mistake]
    together = None if found else _parsed(at, weekly, dates, zone)
    yield from [*found, *([together] if together else [])]


def _ranges(schedule: Raw, table: str, key: str) -> list[str] | None:
    return _texts(_table(schedule, table), key)


def _parsed(at: Path, weekly: Mapping[str, list[str]], dates: Mapping[str, list[str]], zone: str) -> Mistake | None:
    try:
        Schedule.parse(weekly, dates, zone)
    except ScheduleError as error:
        table = "hours" if error.key in weekly else "on"
        return _mistake((*at, table, error.key), f"must be {error.expected}", error.value)
    return None


def _consultation(at: Path, consultation: Raw, freelancer: Raw) -> Iterator[Mistake]:
    name = consultation.get("schedule", "default")
    known = sorted(_table(freelancer, "schedules"))
    if isinstance(name, str) and name not in known:
        right = f"must be one of this freelancer's schedules ({', '.join(known) or 'there is none yet'})"
        yield _mistake((*at, "schedule"), right, name)
    accounts = _table(freelancer, "accounts")
    for index, calendar in enumerate(_texts(consultation, "blocks")):
        yield from _calendar((*at, "blocks", index), calendar, accounts)
    target = consultation.get("target")
    if isinstance(target, str) and target:
        yield from _calendar((*at, "target"), target, accounts)
        yield from _read_only((*at, "target"), target, _table(accounts, target.partition("/")[0]))


def _calendar(at: Path, text: str, accounts: Raw) -> Iterator[Mistake]:
    account, slash, calendar = text.partition("/")
    if not slash or not calendar:
        yield _mistake(at, 'must be "account/calendar", such as "home/Work"', text)
    elif account not in accounts:
        known = ", ".join(sorted(accounts)) or "none is declared"
        yield _mistake(at, f'must begin with one of this freelancer\'s accounts ({known}), then "/calendar"', text)


def _read_only(at: Path, text: str, account: Raw) -> Iterator[Mistake]:
    if account.get("provider") == "ics":
        yield _mistake(at, "must be a calendar that can be written: an ICS feed is read-only", text)


def _horizon(at: Path, consultation: Raw, kept: int) -> Iterator[Mistake]:
    text = consultation.get("horizon")
    longest = max((_length(d, 0) for d in _texts(consultation, "durations")), default=0)
    after = longest + _length(consultation.get("buffer_after"), 0)
    beyond = after if after > fields.DAY else 0  # a day is to spare
    if _length(text, models.Consultation.model_fields["horizon"].default) + beyond > kept:
        most = f"daemon.keep_busy_for ({fields.length_text(kept)})"
        most += f" less the longest duration and buffer ({fields.length_text(beyond)})" if beyond else ""
        yield _mistake(at, f"must be {most} at most: busy time beyond it is not known", text)


def _buffer(at: Path, consultation: Raw) -> Iterator[Mistake]:
    text = consultation.get("buffer_before")
    if _length(text, 0) > LONGEST_BUFFER:
        right = f"must be {fields.length_text(LONGEST_BUFFER)} at most: busy time longer ago is not kept"
        yield _mistake(at, right, text)


def _account(at: Path, account: Raw) -> Iterator[Mistake]:
    provider, target = account.get("provider"), account.get("target")
    if provider in ("caldav", "ics") and not account.get("url"):
        right = 'is missing, for example: url = "https://dav.example/"'
        yield _mistake((*at, "url"), right)
    if isinstance(target, str) and target:
        yield from _read_only((*at, "target"), target, account)


def _targets(at: Path, freelancer: Raw) -> Iterator[Mistake]:
    claims = [(name, table["target"]) for name, table in _tables(freelancer, "accounts") if table.get("target")]
    for name, target in claims[1:]:
        right = f"must be empty: a freelancer has one target, and accounts.{claims[0][0]} claims it already"
        yield _mistake((*at, "accounts", name, "target"), right, target)
