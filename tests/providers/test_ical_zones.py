"""A zone defined by a VTIMEZONE reads clocks as the zone it describes does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from providers.ical_text import parse
from providers.ical_zones import DefinedZone, canonical, defined, zone_named
from providers.zone_names import iana_name

OBSERVANCE = "BEGIN:{kind}\nDTSTART:{start}\nTZOFFSETFROM:{before}\nTZOFFSETTO:{after}\n{rule}\nEND:{kind}\n"


def zone(*observances: str) -> DefinedZone:
    component = parse(f"BEGIN:VTIMEZONE\nTZID:x\n{''.join(observances)}END:VTIMEZONE\n")[0].parts[0]
    return defined("\r\n".join(canonical(component)[1]))


def standard(rule: str, start: str = "19700101T030000") -> str:
    return OBSERVANCE.format(kind="STANDARD", start=start, before="+0200", after="+0100", rule=rule)


def daylight(rule: str, start: str = "19700101T020000") -> str:
    return OBSERVANCE.format(kind="DAYLIGHT", start=start, before="+0100", after="+0200", rule=rule)


LAST_MARCH = "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"
LAST_OCTOBER = "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("around", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
def test_every_instant_and_every_clock_is_read_as_the_database_reads_it(around: datetime):
    described = zone(standard(LAST_OCTOBER), daylight(LAST_MARCH))
    for minutes in range(-240, 241, 15):
        instant = around + timedelta(minutes=minutes)
        local, known = instant.astimezone(described), instant.astimezone(BERLIN)
        assert (local.replace(tzinfo=BERLIN), local.fold) == (known, known.fold)
        assert local.astimezone(UTC) == instant
        for fold in (0, 1):
            clock = known.replace(fold=fold)
            assert clock.replace(tzinfo=described).utcoffset() == clock.utcoffset()


@pytest.mark.parametrize(
    ("until", "summer"), [("20260329T010000Z", 2), ("20260329T020000", 2), ("20260329T005959Z", 1)]
)
def test_until_of_a_zone_is_in_utc_or_as_exchange_writes_it_local(until: str, summer: int):
    # Standard time begins every year but 2026, so that July tells whether the last onset of March was kept.
    described = zone(standard("RDATE:20251026T030000"), daylight(f"{LAST_MARCH};UNTIL={until}"))
    assert datetime(2026, 7, 1, tzinfo=described).utcoffset() == timedelta(hours=summer)


def test_before_its_first_onset_a_zone_has_the_offset_it_comes_from():
    described = zone(daylight("", "20260329T020000"))
    assert datetime(2020, 7, 1, tzinfo=described).utcoffset() == timedelta(hours=1)
    assert datetime(2027, 1, 1, tzinfo=described).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("Europe", None),
        ("../etc/passwd", None),
        ("/Europe/Berlin", None),
        ("localtime", None),
        ("", None),
        ("zone\x00", None),
    ],
)
def test_a_name_is_known_if_the_database_or_windows_knows_it(written: str, name: str | None):
    assert iana_name(written) == name


def test_a_zone_that_is_not_known_is_said_to_be():
    with pytest.raises(ValueError, match="'Nowhere' is not known"):
        zone_named("Nowhere")
