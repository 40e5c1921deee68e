"""Every odd calendar in tests/calendars blocks what the comment beside it argues, in any order and on any host."""

from __future__ import annotations

import re
import time
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
import recurring_ical_events

from providers.ical import reduce
from providers.ical_file import CalendarFile, read_file
from providers.ical_zones import zone_named
from providers.model import Instance, Window
from syncd.sync.busy import Choices, busy_spans
from syncd.sync.file import FileAnswer, busy_in_file

FOLDER = Path(__file__).parent.parent / "calendars"
FREE_TEXT = ("SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "CATEGORIES", "CONTACT", "URL")
COMPONENTS = ("VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE")
FB_TYPES = {
    "FREE": "FREE",
    "TENTATIVE": "BUSY_TENTATIVE",
    "OOF": "BUSY_UNAVAILABLE",
    "WORKINGELSEWHERE": "WORKING_ELSEWHERE",
}


@dataclass(frozen=True)
class Case:
    """One calendar and its table: `busy` are merged spans, one list a window; `libraries` says why theirs differ."""

    name: str
    text: bytes
    windows: list[str]
    busy: list[list[str]]
    tz: str = "UTC"
    own: list[str] = field(default_factory=list)
    quarantined: list[dict[str, str]] = field(default_factory=list)
    cut: bool = False
    not_a_calendar: bool = False
    libraries: str = ""
    libraries_never_end: bool = False

    def spans(self) -> list[list[str]]:
        """Return what is expected in the spelling of `shown`."""
        return [[shown(*map(seconds, span.split("/"))) for span in spans] for spans in self.busy]


def case_of(topic: str, name: str, table: dict[str, Any]) -> Case:
    if "window" in table:
        table |= {"windows": [table.pop("window")], "busy": [table["busy"]]}
    path = FOLDER / topic / f"{name}.ics"
    return Case(name=f"{topic}/{name}", text=path.read_bytes() if path.exists() else b"", **table)


def all_cases() -> list[Case]:
    tables = [(path.stem, tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.toml"))]
    return [case_of(topic, name, table) for topic, topics in tables for name, table in topics.items()]


CASES = all_cases()
every_calendar = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(params=["America/St_Johns", "Pacific/Kiritimati", "UTC"])
def host_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


def seconds(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp())


def shown(start: int, end: int) -> str:
    return "/".join(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (start, end))


def windows_of(case: Case) -> list[Window]:
    ends = [map(datetime.fromisoformat, window.split("/")) for window in case.windows]
    return [Window(*pair) for pair in ends]


def read(case: Case, text: bytes) -> tuple[CalendarFile, FileAnswer]:
    file = read_file(text, frozenset(case.own))
    assert file is not None
    return file, busy_in_file(file, windows_of(case), case.tz, Choices())


def check(case: Case, text: bytes) -> None:
    if case.not_a_calendar:
        assert read_file(text) is None
        return
    file, answer = read(case, text)
    assert [[shown(*span) for span in spans] for spans in answer.busy] == case.spans()
    assert file.cut == case.cut
    check_quarantine(case, answer)


def check_quarantine(case: Case, answer: FileAnswer) -> None:
    found = sorted(answer.unreadable, key=lambda one: (one.uid or "", one.start or "", one.reason))
    expected = sorted(case.quarantined, key=lambda one: (one.get("uid", ""), one.get("start", ""), one["reason"]))
    assert [one.uid or "" for one in found] == [one.get("uid", "") for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert other["reason"] in one.reason
        assert other.get("start", one.start) == one.start


@every_calendar
def test_a_calendar_blocks_what_is_argued_whatever_the_host(case: Case, host_zone: None):
    check(case, case.text)


@every_calendar
def test_the_order_of_components_makes_no_difference(case: Case, host_zone: None):
    check(case, backwards(case.text))


@every_calendar
def test_reducing_again_changes_nothing_and_lets_no_text_through(case: Case):
    file = read_file(case.text, frozenset(case.own))
    for event in file.events if file else ():
        again = reduce(event.skeleton, remote_id=event.remote_id, etag=event.etag, own_addresses=frozenset(case.own))
        assert again.unreadable == ()
        assert again.event is not None
        assert again.event.skeleton == event.skeleton
    kept = "\n".join(
        [event.skeleton for event in file.events] + [one.reason for one in file.unreadable] if file else []
    )
    assert [text for text in free_texts(case.text) if text in kept] == []


@pytest.mark.parametrize("case", [c for c in CASES if not c.libraries_never_end], ids=lambda case: case.name)
def test_other_libraries_agree_unless_the_standard_says_otherwise(case: Case):
    theirs = by_other_libraries(case)
    if case.libraries:
        assert theirs != case.spans(), "they agree: leave out `libraries`"
    else:
        assert theirs == case.spans()


def test_every_calendar_has_a_table_with_an_argument_and_the_other_way_round():
    calendars = {f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.ics")}
    assert len(calendars) >= 150
    assert calendars == {case.name for case in CASES}
    argued = set()
    for path in FOLDER.glob("*.toml"):
        tables = re.findall(r"(?<=\n)#[^\n]+\n\[([^\]\n]+)\]\n", "\n" + path.read_text(encoding="utf-8"))
        argued |= {f"{path.stem}/{name}" for name in tables}
    assert calendars - argued == set()


# Another reading: the same text by other libraries, judged by the same table.


def by_other_libraries(case: Case) -> list[list[str]] | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            icalendar.timezone.tzp.use_default()
            calendars = icalendar.Calendar.from_ical(case.text, multiple=True)
            return [their_spans(case, calendars, window) for window in windows_of(case)]
    except Exception as error:  # noqa: BLE001 - whatever it is, they don't answer
        return f"{type(error).__name__}: {error}"


def their_spans(case: Case, calendars: list[Any], window: Window) -> list[str]:
    around = (window.start_at - timedelta(days=2), window.end_at + timedelta(days=2))
    found = [event for one in calendars for event in recurring_ical_events.of(one).between(*around)]
    spans = busy_spans((instance_of(event, case) for event in found), Choices())
    first, last = int(window.start_at.timestamp()), int(window.end_at.timestamp())
    return [shown(*span) for span in merged((max(start, first), min(end, last)) for start, end in spans)]


def merged(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def instance_of(event: Any, case: Case) -> Instance:
    def word(name: str) -> str:
        return str(event.get(name, "")).upper()

    return Instance(
        start_at=placed(event.start, case),
        end_at=placed(event.end, case),
        all_day=not isinstance(event.start, datetime),
        transparency="TRANSPARENT" if word("TRANSP") == "TRANSPARENT" else "OPAQUE",
        status=word("STATUS") or "CONFIRMED",
        partstat=own_partstat(event, case),
        fb_type=FB_TYPES.get(word("X-MICROSOFT-CDO-BUSYSTATUS")),  # type: ignore[arg-type]
    )


def own_partstat(event: Any, case: Case) -> str | None:
    attendees = event.get("ATTENDEE", [])
    for attendee in attendees if isinstance(attendees, list) else [attendees]:
        if str(attendee).lower().removeprefix("mailto:") in case.own:
            return str(attendee.params.get("PARTSTAT", "NEEDS-ACTION")).upper()
    return None


def placed(moment: date | datetime, case: Case) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - its zone comes next
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone_named(case.tz))).astimezone(UTC)


# The same text backwards: the components inside each VCALENDAR in the reverse order, whatever is broken in it.


def backwards(text: bytes) -> bytes:
    encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    head: list[str] = []
    blocks: list[str] = []
    out: list[str] = []
    open_in: list[str] = []
    for line in logical_lines(text.decode(encoding)):
        kind, _, name = re.sub(r"\r*\n[ \t]", "", line).strip().upper().partition(":")
        target = place(kind, name, open_in, blocks)
        if target == "outside":
            out += [*head, *reversed(blocks), line]
            head, blocks = [], []
        elif target == "head":
            head.append(line)
        else:
            blocks[-1] += line
    return "".join([*out, *head, *reversed(blocks)]).encode(encoding)


def place(kind: str, name: str, open_in: list[str], blocks: list[str]) -> str:
    """Say where a line goes: `outside` the components, to the `head` of a calendar, or into its last `block`."""
    if name == "VCALENDAR" and kind in ("BEGIN", "END"):
        open_in[:] = []
        return "outside"
    if kind == "BEGIN":
        if name in COMPONENTS and any(other in COMPONENTS for other in open_in):
            open_in[:] = []
        if not open_in:
            blocks.append("")
        open_in.append(name)
        return "block"
    inside = "block" if open_in else "head"
    if kind == "END" and name in open_in:
        del open_in[open_in.index(name) :]
    return inside


def logical_lines(text: str) -> list[str]:
    """Split a text into lines with their folds and line ends; one that was cut short gets an end."""
    lines = re.findall(r"(?:[^\r\n]|\r*\n[ \t])*(?:\r*\n|\r|$)", text)
    return [line if line.endswith(("\r", "\n")) else line + "\r\n" for line in lines if line]


def free_texts(text: bytes) -> list[str]:
    unfolded = re.sub(rb"\r*\n[ \t]", b"", text).decode("utf-8", "replace")
    pattern = rf"(?im)^(?:{'|'.join(FREE_TEXT)})(?:;[^\r\n]*?)?:([^\r\n]{{4,}})$"
    return [found.strip()[:20] for found in re.findall(pattern, unfolded)]
