"""The text of a first configuration file, and the set hours that go into it, from what a person typed.

Pure: decides how "mon-fri 9-12 13-17" is read and how the file looks. Refuses to know who asks and where it is written.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Hours = Mapping[str, Sequence[str]]

_RIGHT = 'must be days and hours, such as "mon-fri 9-12 13-17, sat 10-14"'
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class First:
    """What a first file says: one freelancer, set hours, one consultation; lengths in whole minutes."""

    name: str
    handle: str
    email: str
    time_zone: str
    hours: Hours
    title: str
    slug: str
    durations: Sequence[int]


def read_hours(text: str) -> dict[str, list[str]]:
    """Ranges of hours by weekday, as the file has them. Raises ValueError that says what would be right."""
    found: dict[str, list[str]] = {}
    days: list[str] = []
    is_open = False  # whether the days already have hours, so that another day begins anew
    for word in re.split(r"[,;\s]+", re.sub(r"\s*[-–]\s*", "-", text.strip().lower())):
        if word[:1].isalpha():
            days = [*([] if is_open else days), *_days(word)]
            is_open = False
        elif not days:
            raise ValueError(_RIGHT)
        else:
            is_open = True
            for day in days:
                found.setdefault(day, []).append(_range(word))
    if not found or not is_open:
        raise ValueError(_RIGHT)
    return {day: found[day] for day in DAYS if day in found}


def _days(word: str) -> list[str]:
    """The days of "mon" or "mon-fri"; a range may run over Sunday."""
    first, dash, last = word.partition("-")
    start = _day(first)
    count = (_day(last) - start) % 7 + 1 if dash else 1
    return [DAYS[(start + number) % 7] for number in range(count)]


def _day(word: str) -> int:
    matches = [number for number, day in enumerate(DAYS) if len(word) >= 2 and day.startswith(word)]
    if len(matches) != 1:
        raise ValueError(_RIGHT)
    return matches[0]


def _range(word: str) -> str:
    start, dash, end = word.partition("-")
    if not dash:
        raise ValueError(_RIGHT)
    return f"{_time(start)}-{_time(end)}"


def _time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(_RIGHT)
    return f"{int(match[1]):02}:{match[2] or '00'}"


def hours_text(hours: Hours) -> str:
    """Set hours as a person reads them: "mon-fri 09:00-17:00", days that are alike together."""
    runs: list[tuple[str, str, Sequence[str]]] = []
    for number, day in enumerate(DAYS):
        ranges = hours.get(day, ())
        if ranges and runs and runs[-1][1] == DAYS[number - 1] and runs[-1][2] == ranges:
            runs[-1] = (runs[-1][0], day, ranges)
        elif ranges:
            runs.append((day, day, ranges))
    return ", ".join(f"{_span(first, last)} {' '.join(ranges)}" for first, last, ranges in runs)


def _span(first: str, last: str) -> str:
    return first[:3] if first == last else f"{first[:3]}-{last[:3]}"


def words_of(text: str) -> str:
    """Lower-case words with dashes made of any text, such as "intro-call" of "Intro call!"; "" if nothing is left."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:63].strip("-")


def config_text(first: First) -> str:
    """The file, with a word about what can be added; `config.example.toml` explains every key."""
    return "\n".join(_lines(first)) + "\n"


def _lines(first: First) -> Iterator[str]:
    person = f"freelancers.{first.handle}"
    yield "# syncd's configuration, written by `syncd init`. config.example.toml explains every key there is."
    yield "# After a change: `syncd doctor` says whether it's right, SIGHUP (or a restart) makes the daemon read it."
    yield "# Calendars that were connected by `syncd connect` aren't here: `syncd accounts` lists them."
    yield from ("", "[daemon]", 'database = "sqlite:///syncd.db"')
    yield 'secret_key_file = "secret.key"  # seals the calendars\' passwords: keep a copy of it'
    yield from ("", "[server]", 'host = "127.0.0.1"', "port = 8480")
    yield from ("", f"[{person}]", f"name = {_text(first.name)}")
    yield from [f"email = {_text(first.email)}"] if first.email else []
    yield f"time_zone = {_text(first.time_zone)}"
    yield from ("", f"[{person}.schedules.default.hours]")
    yield from (f"{day} = {_texts(ranges)}" for day, ranges in first.hours.items())
    yield from ("", f"[{person}.schedules.default.on]", '# "2026-12-24/2027-01-02" = []  # closed on these days')
    yield from ("", f"[{person}.consultations.{first.slug}]", f"title = {_text(first.title)}")
    yield f"durations = {_texts([f'{minutes}m' for minutes in first.durations])}"
    yield 'minimum_notice = "24h"  # the least time between booking and start'
    yield 'horizon = "60d"         # how far ahead it can be booked'
    yield 'buffer_after = "10m"    # free time that is kept after it'


def _texts(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def _text(text: str) -> str:
    """A string as TOML has it: JSON's, with the one character escaped that JSON lets pass."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
