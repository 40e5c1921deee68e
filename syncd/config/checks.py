"""What keys must have to do with each other: names that are named, one target, busy time kept for the whole horizon.

Decides on tables as the file has them, so that a mistake in one key hides none elsewhere: a value of the wrong kind
counts as not there, since the models have named it already. Refuses to know the models' types and where the tables
come from: the API asks the same of what it is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from availability import Schedule, ScheduleError
from syncd.config import fields, models
from syncd.config.keys import Path, key_text, value_text
from syncd.errors import Mistake

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Where in a table something is wrong, what would be right (after the key), and the value where it may be shown."""

    at: Path
    right: str
    value: object = None


def between_keys(data: Raw) -> Iterator[Mistake]:
    """Every mistake that no key makes alone, in the order of the file."""
    kept = _length(_table(data, "daemon").get("keep_busy_for"))
    for handle, freelancer in _tables(data, "freelancers"):
        for fault in _freelancer(freelancer, kept):
            shown = None if fault.value is None else value_text(fault.value)
            yield Mistake(key_text(("freelancers", handle, *fault.at)), fault.right, shown)


def _freelancer(freelancer: Raw, kept: int) -> Iterator[Fault]:
    for name, schedule in _tables(freelancer, "schedules"):
        zone = _usable_zone(schedule.get("time_zone")) or _usable_zone(freelancer.get("time_zone")) or "UTC"
        yield from _below(("schedules", name), schedule_faults(schedule, zone))
    schedules, accounts = _table(freelancer, "schedules"), dict(_tables(freelancer, "accounts"))
    for slug, consultation in _tables(freelancer, "consultations"):
        yield from _below(("consultations", slug), consultation_faults(consultation, schedules, accounts, kept))
    for name, account in accounts.items():
        yield from _below(("accounts", name), _account(account))
    yield from _targets(freelancer)


def _below(above: Path, faults: Iterator[Fault]) -> Iterator[Fault]:
    return (Fault((*above, *fault.at), fault.right, fault.value) for fault in faults)


def consultation_faults(
    consultation: Raw, schedules: Collection[str], accounts: Mapping[str, Raw], kept: int
) -> Iterator[Fault]:
    """What of a consultation doesn't go with the freelancer's schedules and accounts, or with `kept` seconds of busy
    time. An account that isn't among `accounts` may be connected later, or was by `connect`."""
    yield from _schedule_name(consultation, schedules)
    yield from _calendars(consultation, accounts)
    yield from _horizon(consultation, kept)
    yield from _buffer(consultation)


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


def _usable_zone(name: object) -> str | None:
    try:
        return fields.time_zone(name) if isinstance(name, str) else None
    except ValueError:
        return None


def schedule_faults(schedule: Raw, zone: str) -> Iterator[Fault]:
    """Each day by itself, so that every one is named; then all together, for what contradicts itself."""
    weekly = {day: ranges for day in models.WeeklyHours.model_fields if (ranges := _ranges(schedule, "hours", day))}
    dates = {key: _ranges(schedule, "on", key) or [] for key in _table(schedule, "on")}
    alone = [_parsed({day: ranges}, {}, zone) for day, ranges in weekly.items()]
    alone += [_parsed({}, {key: ranges}, zone) for key, ranges in dates.items()]
    found = [fault for fault in alone if fault]
    together = None if found else _parsed(weekly, dates, zone)
    yield from [*found, *([together] if together else [])]


def _ranges(schedule: Raw, table: str, key: str) -> list[str] | None:
    return _texts(_table(schedule, table), key)


def _parsed(weekly: Mapping[str, list[str]], dates: Mapping[str, list[str]], zone: str) -> Fault | None:
    try:
        Schedule.parse(weekly, dates, zone)
    except ScheduleError as error:
        table = "hours" if error.key in weekly else "on"
        return Fault((table, error.key), f"must be {error.expected}", error.value)
    return None


def _schedule_name(consultation: Raw, schedules: Collection[str]) -> Iterator[Fault]:
    name = consultation.get("schedule", "default")
    if isinstance(name, str) and name not in schedules:
        known = ", ".join(sorted(schedules)) or "there is none yet"
        yield Fault(("schedule",), f"must be one of this freelancer's schedules ({known})", name)


def _calendars(consultation: Raw, accounts: Mapping[str, Raw]) -> Iterator[Fault]:
    for index, calendar in enumerate(_texts(consultation, "blocks")):
        yield from _calendar(("blocks", index), calendar)
    target = consultation.get("target")
    if isinstance(target, str) and target:
        yield from _calendar(("target",), target)
        yield from _read_only(("target",), target, accounts.get(target.partition("/")[0], {}))


def _calendar(at: Path, text: str) -> Iterator[Fault]:
    account, _, calendar = text.partition("/")
    if not calendar or not fields.is_name(account):
        yield Fault(at, 'must be "account/calendar", such as "home/Work"', text)


def _read_only(at: Path, text: str, account: Raw) -> Iterator[Fault]:
    if account.get("provider") == "ics":
        yield Fault(at, "must be a calendar that can be written: an ICS feed is read-only", text)


def _horizon(consultation: Raw, kept: int) -> Iterator[Fault]:
    text = consultation.get("horizon")
    longest = max((_length(d, 0) for d in _texts(consultation, "durations")), default=0)
    after = longest + _length(consultation.get("buffer_after"), 0)
    beyond = after if after > fields.DAY else 0  # a day is to spare
    if _length(text, models.Consultation.model_fields["horizon"].default) + beyond > kept:
        most = f"daemon.keep_busy_for ({fields.length_text(kept)})"
        most += f" less the longest duration and buffer ({fields.length_text(beyond)})" if beyond else ""
        yield Fault(("horizon",), f"must be {most} at most: busy time beyond it is not known", text)


def _buffer(consultation: Raw) -> Iterator[Fault]:
    text = consultation.get("buffer_before")
    if _length(text, 0) > LONGEST_BUFFER:
        right = f"must be {fields.length_text(LONGEST_BUFFER)} at most: busy time longer ago is not kept"
        yield Fault(("buffer_before",), right, text)


def _account(account: Raw) -> Iterator[Fault]:
    provider, target = account.get("provider"), account.get("target")
    if provider in ("caldav", "ics") and not account.get("url"):
        yield Fault(("url",), 'is missing, for example: url = "https://dav.example/"')
    if isinstance(target, str) and target:
        yield from _read_only(("target",), target, account)


def _targets(freelancer: Raw) -> Iterator[Fault]:
    claims = [(name, table["target"]) for name, table in _tables(freelancer, "accounts") if table.get("target")]
    for name, target in claims[1:]:
        right = f"must be empty: a freelancer has one target, and accounts.{claims[0][0]} claims it already"
        yield Fault(("accounts", name, "target"), right, target)
