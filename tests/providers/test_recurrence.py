"""Series and single events become the right instances, whatever the host's zone is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from providers.errors import InvalidResponse
from providers.ical import reduce
from providers.model import Instance, Window
from providers.recurrence import TooManyInstances, instances

BERLIN = "DTSTART;TZID=Europe/Berlin:20260302T090000\nDTEND;TZID=Europe/Berlin:20260302T100000"
YEAR = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture(params=["UTC", "America/St_Johns", "Pacific/Kiritimati"], autouse=True)
def host_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


def skeleton_of(*events: str, above: str = "") -> str:
    body = "".join(f"BEGIN:VEVENT\nUID:u\n{event}\nEND:VEVENT\n" for event in events)
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\n{above}{body}END:VCALENDAR\n"
    reduced = reduce(text, remote_id="r", etag="e", own_addresses=frozenset())
    assert reduced.unreadable == ()
    assert reduced.event is not None
    return reduced.event.skeleton


def found(*events: str, above: str = "", window: Window = YEAR, tz: str = "Europe/Berlin") -> list[Instance]:
    """Read the events in either order, which must make no difference."""
    forwards = instances(skeleton_of(*events, above=above), window, tz)
    assert forwards == instances(skeleton_of(*reversed(events), above=above), window, tz)
    return forwards


def spans(*events: str, above: str = "", window: Window = YEAR, tz: str = "Europe/Berlin") -> list[str]:
    listed = found(*events, above=above, window=window, tz=tz)
    return [f"{one.start_at:%m-%dT%H:%M}/{one.end_at:%m-%dT%H:%M}" for one in listed]


def starts(*events: str, above: str = "", window: Window = YEAR, tz: str = "Europe/Berlin") -> list[str]:
    return [span.partition("/")[0] for span in spans(*events, above=above, window=window, tz=tz)]


def between(start: str, end: str) -> Window:
    return Window(datetime.fromisoformat(start + "+00:00"), datetime.fromisoformat(end + "+00:00"))


def test_a_single_event_is_one_instance_in_utc():
    assert found(BERLIN) == [
        Instance(
            start_at=datetime(2026, 3, 2, 8, tzinfo=UTC),
            end_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
            all_day=False,
            transparency="OPAQUE",
            status="CONFIRMED",
            partstat=None,
            fb_type=None,
        )
    ]


@pytest.mark.parametrize(
    ("start", "end", "meets"),
    [
        ("2026-03-02T09:00", "2026-03-02T10:00", False),
        ("2026-03-02T08:59", "2026-03-02T10:00", True),
        ("2026-03-02T07:00", "2026-03-02T08:00", False),
        ("2026-03-02T07:00", "2026-03-02T08:01", True),
        ("2026-03-02T08:20", "2026-03-02T08:40", True),
    ],
)
def test_the_window_is_half_open_and_an_event_that_began_before_it_counts(start: str, end: str, meets: bool):
    assert bool(spans(BERLIN, window=between(start, end))) is meets
    assert bool(spans(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=1", window=between(start, end))) is meets


def test_an_event_without_an_end_has_no_length_and_counts_where_it_starts():
    event = "DTSTART:20260302T080000Z"
    assert spans(event) == ["03-02T08:00/03-02T08:00"]
    assert spans(event, window=between("2026-03-02T08:00", "2026-03-02T09:00")) != []
    assert spans(event, window=between("2026-03-02T07:00", "2026-03-02T08:00")) == []


@pytest.mark.parametrize("end", ["", "\nDTEND;VALUE=DATE:20260331", "\nDTEND;VALUE=DATE:20260330", "\nDURATION:P1D"])
def test_a_date_lasts_one_day_on_the_clock_of_the_calendars_zone(end: str):
    event = f"DTSTART;VALUE=DATE:20260330{end}"
    assert spans(event) == ["03-29T22:00/03-30T22:00"]
    assert spans(event, tz="America/New_York") == ["03-30T04:00/03-31T04:00"]
    assert found(event)[0].all_day


def test_the_end_of_days_is_exclusive_and_the_day_of_the_dst_change_is_an_hour_shorter():
    assert spans("DTSTART;VALUE=DATE:20260328\nDTEND;VALUE=DATE:20260330") == ["03-27T23:00/03-29T22:00"]


def test_a_series_of_days_keeps_its_number_of_days_over_the_dst_change():
    event = "DTSTART;VALUE=DATE:20260322\nDTEND;VALUE=DATE:20260324\nRRULE:FREQ=WEEKLY;COUNT=2"
    assert spans(event) == ["03-21T23:00/03-23T23:00", "03-28T23:00/03-30T22:00"]


def test_a_floating_time_is_in_the_calendars_zone():
    event = "DTSTART:20260302T090000\nDTEND:20260302T100000"
    assert starts(event) == ["03-02T08:00"]
    assert starts(event, tz="America/New_York") == ["03-02T14:00"]


def test_x_wr_timezone_comes_first_for_floating_times_but_not_for_dates():
    above = "X-WR-TIMEZONE:Asia/Tokyo\n"
    assert starts("DTSTART:20260302T090000", above=above) == ["03-02T00:00"]
    assert starts("DTSTART;VALUE=DATE:20260302", above=above) == ["03-01T23:00"]


def test_a_windows_zone_name_means_its_iana_zone():
    assert starts("DTSTART;TZID=Pacific Standard Time:20260702T090000") == ["07-02T16:00"]


def test_a_zone_named_after_its_maker_means_the_zone_at_its_end():
    assert starts("DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260702T090000") == ["07-02T07:00"]


def test_a_weekly_series_keeps_its_wall_clock_over_the_dst_change():
    assert starts(f"{BERLIN}\nRRULE:FREQ=WEEKLY;COUNT=5") == [
        "03-02T08:00",
        "03-09T08:00",
        "03-16T08:00",
        "03-23T08:00",
        "03-30T07:00",
    ]


def test_a_wall_time_that_does_not_exist_is_read_with_the_offset_before_the_gap():
    event = "DTSTART;TZID=Europe/Berlin:20260328T023000\nDURATION:PT15M\nRRULE:FREQ=DAILY;COUNT=3"
    assert starts(event) == ["03-28T01:30", "03-29T01:30", "03-30T00:30"]


def test_a_wall_time_that_comes_twice_is_the_first():
    event = "DTSTART;TZID=Europe/Berlin:20261024T023000\nDURATION:PT15M\nRRULE:FREQ=DAILY;COUNT=3"
    assert starts(event) == ["10-24T00:30", "10-25T00:30", "10-26T01:30"]


def test_an_event_inside_the_hour_that_does_not_exist_is_as_long_as_its_clock_says():
    event = "DTSTART;TZID=Europe/Berlin:20260329T023000\nDTEND;TZID=Europe/Berlin:20260329T030000"
    assert spans(event) == ["03-29T01:30/03-29T02:00"]


def test_dtend_gives_every_instance_the_same_elapsed_time():
    event = (
        "DTSTART;TZID=Europe/Berlin:20260327T220000\nDTEND;TZID=Europe/Berlin:20260328T060000\nRRULE:FREQ=DAILY;COUNT=2"
    )
    assert spans(event) == ["03-27T21:00/03-28T05:00", "03-28T21:00/03-29T05:00"]


def test_a_duration_in_days_is_nominal_and_one_in_hours_exact():
    start = "DTSTART;TZID=Europe/Berlin:20260328T120000"
    assert spans(f"{start}\nDURATION:P1D") == ["03-28T11:00/03-29T10:00"]
    assert spans(f"{start}\nDURATION:PT24H") == ["03-28T11:00/03-29T11:00"]
    assert spans(f"{start}\nDURATION:P1DT1H") == ["03-28T11:00/03-29T11:00"]


def test_start_and_end_may_be_in_two_zones():
    event = "DTSTART;TZID=Europe/Berlin:20260302T090000\nDTEND;TZID=Europe/London:20260302T090000"
    assert spans(event) == ["03-02T08:00/03-02T09:00"]


def test_exdate_removes_an_instance_in_whatever_zone_it_is_written():
    rule = f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3"
    for exdate in ("EXDATE;TZID=Europe/Berlin:20260303T090000", "EXDATE:20260303T080000Z", "EXDATE:20260303T090000"):
        assert starts(f"{rule}\n{exdate}") == ["03-02T08:00", "03-04T08:00"]


def test_exdate_of_another_time_removes_nothing():
    assert len(starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=Europe/Berlin:20260303T091500")) == 3


def test_an_exdate_that_is_a_date_removes_the_instances_of_that_day():
    event = f"{BERLIN}\nRRULE:FREQ=DAILY;BYHOUR=9,15;COUNT=6\nEXDATE;VALUE=DATE:20260303"
    assert starts(event) == ["03-02T08:00", "03-02T14:00", "03-04T08:00", "03-04T14:00"]


@pytest.mark.parametrize("exdate", [";VALUE=DATE:20260303", ":20260302T230000Z", ":20260303T000000Z"])
def test_an_exdate_of_a_series_of_days_removes_that_day(exdate: str):
    event = f"DTSTART;VALUE=DATE:20260302\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE{exdate}"
    assert starts(event) == ["03-01T23:00", "03-03T23:00"]


def test_exdate_may_remove_the_first_instance():
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE;TZID=Europe/Berlin:20260302T090000") == ["03-03T08:00"]


def test_rdate_adds_instances_also_without_a_rule_and_once_only():
    rdate = "RDATE;TZID=Europe/Berlin:20260302T090000,20260305T110000\nRDATE:20260306T080000Z"
    assert starts(f"{BERLIN}\n{rdate}") == ["03-02T08:00", "03-05T10:00", "03-06T08:00"]


def test_an_rdate_that_is_a_date_adds_an_instance_at_the_usual_time():
    assert starts(f"{BERLIN}\nRDATE;VALUE=DATE:20260330") == ["03-02T08:00", "03-30T07:00"]


def test_an_rdate_period_has_a_length_of_its_own():
    event = f"{BERLIN}\nRDATE;VALUE=PERIOD:20260303T080000Z/20260303T113000Z,20260304T080000Z/PT15M"
    assert spans(event)[1:] == ["03-03T08:00/03-03T11:30", "03-04T08:00/03-04T08:15"]


def test_a_long_rdate_period_reaches_into_the_window():
    event = f"{BERLIN}\nRDATE;VALUE=PERIOD:20260401T080000Z/P30D"
    assert spans(event, window=between("2026-04-20T00:00", "2026-04-21T00:00")) == ["04-01T08:00/05-01T08:00"]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20260304T080000Z", "03-04T08:00"),
        ("20260304T075959Z", "03-03T08:00"),
        ("20260304", "03-04T08:00"),
        ("20260304T090000", "03-04T08:00"),
        ("20260304T085959", "03-03T08:00"),
    ],
)
def test_until_is_inclusive_as_an_instant_a_day_or_a_floating_time(until: str, last: str):
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;UNTIL={until}")[-1] == last


@pytest.mark.parametrize("until", ["20260304", "20260303T230000Z", "20260304T000000Z", "20260304T120000"])
def test_until_of_a_series_of_days_is_the_day_it_means(until: str):
    assert starts(f"DTSTART;VALUE=DATE:20260302\nRRULE:FREQ=DAILY;UNTIL={until}")[-1] == "03-03T23:00"


def test_a_series_that_ended_before_it_began_is_empty():
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;UNTIL=20260228T080000Z") == []


def test_count_is_counted_from_the_start_not_from_the_window():
    window = between("2026-03-06T00:00", "2026-04-01T00:00")
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=6", window=window) == ["03-06T08:00", "03-07T08:00"]


def test_excluded_instances_count():
    event = f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260303T080000Z"
    assert starts(event) == ["03-02T08:00", "03-04T08:00"]


def test_a_start_outside_its_own_rule_is_an_instance_too():
    assert starts(f"{BERLIN}\nRRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2") == ["03-02T08:00", "03-03T08:00", "03-10T08:00"]


def test_two_rules_are_united():
    event = f"{BERLIN}\nRRULE:FREQ=WEEKLY;COUNT=2\nRRULE:FREQ=DAILY;COUNT=2"
    assert starts(event) == ["03-02T08:00", "03-03T08:00", "03-09T08:00"]


def override(replaced: str, start: str, end: str, more: str = "") -> str:
    return f"RECURRENCE-ID{replaced}\nDTSTART:{start}\nDTEND:{end}{more}"


def test_an_override_replaces_its_instance():
    moved = override(";TZID=Europe/Berlin:20260303T090000", "20260303T150000Z", "20260303T170000Z")
    assert spans(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3", moved) == [
        "03-02T08:00/03-02T09:00",
        "03-03T15:00/03-03T17:00",
        "03-04T08:00/03-04T09:00",
    ]


@pytest.mark.parametrize("replaced", [":20260303T080000Z", ";VALUE=DATE:20260303", ";TZID=Asia/Tokyo:20260303T170000"])
def test_a_recurrence_id_names_its_instance_in_any_zone_or_as_a_day(replaced: str):
    moved = override(replaced, "20260303T150000Z", "20260303T170000Z")
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=2", moved) == ["03-02T08:00", "03-03T15:00"]


def test_an_instance_moved_into_the_window_from_far_away_is_found():
    moved = override(":20260303T080000Z", "20261103T080000Z", "20261103T090000Z")
    window = between("2026-11-03T00:00", "2026-11-04T00:00")
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3", moved, window=window) == ["11-03T08:00"]


def test_an_instance_moved_out_of_the_window_leaves_its_place_free():
    moved = override(":20260303T080000Z", "20261103T080000Z", "20261103T090000Z")
    window = between("2026-03-03T00:00", "2026-03-04T00:00")
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3", moved, window=window) == []


def test_an_override_without_its_master_stands_for_itself():
    moved = override(":20260303T080000Z", "20260303T150000Z", "20260303T170000Z")
    assert spans(moved) == ["03-03T15:00/03-03T17:00"]


def test_an_override_of_an_instance_the_rule_does_not_give_is_an_instance():
    extra = override(":20260420T080000Z", "20260420T080000Z", "20260420T090000Z")
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=1", extra) == ["03-02T08:00", "04-20T08:00"]


def test_a_cancelled_override_is_an_instance_with_that_status():
    gone = override(":20260303T080000Z", "20260303T080000Z", "20260303T090000Z", "\nSTATUS:CANCELLED")
    listed = found(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3", gone)
    assert [one.status for one in listed] == ["CONFIRMED", "CANCELLED", "CONFIRMED"]


def test_an_override_of_an_excluded_instance_is_gone():
    gone = override(":20260303T080000Z", "20260303T150000Z", "20260303T170000Z")
    event = f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260303T080000Z"
    assert starts(event, gone) == ["03-02T08:00", "03-04T08:00"]


def test_of_two_overrides_of_one_instance_the_higher_sequence_counts():
    old = override(":20260303T080000Z", "20260303T150000Z", "20260303T160000Z", "\nSEQUENCE:1")
    new = override(":20260303T080000Z", "20260303T180000Z", "20260303T190000Z", "\nSEQUENCE:2")
    assert starts(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=2", old, new) == ["03-02T08:00", "03-03T18:00"]


def test_this_and_future_moves_what_follows_and_changes_its_length():
    later = (
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260323T090000\n"
        "DTSTART;TZID=Europe/Berlin:20260324T110000\nDTEND;TZID=Europe/Berlin:20260324T113000"
    )
    assert spans(f"{BERLIN}\nRRULE:FREQ=WEEKLY;COUNT=5", later) == [
        "03-02T08:00/03-02T09:00",
        "03-09T08:00/03-09T09:00",
        "03-16T08:00/03-16T09:00",
        "03-24T10:00/03-24T10:30",
        "03-31T09:00/03-31T09:30",
    ]


def test_the_last_this_and_future_before_an_instance_governs_it():
    def later(day: str, hour: str) -> str:
        return override(
            f";RANGE=THISANDFUTURE:202603{day}T080000Z", f"202603{day}T{hour}0000Z", f"202603{day}T{hour}3000Z"
        )

    event = f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=6"
    assert starts(event, later("03", "12"), later("05", "16"))[1:] == [
        "03-03T12:00",
        "03-04T12:00",
        "03-05T16:00",
        "03-06T16:00",
        "03-07T16:00",
    ]


def test_this_and_future_reaches_into_a_window_far_from_the_override():
    later = override(";RANGE=THISANDFUTURE:20260303T080000Z", "20260313T080000Z", "20260313T090000Z")
    window = between("2026-06-12T00:00", "2026-06-13T00:00")
    assert starts(f"{BERLIN}\nRRULE:FREQ=WEEKLY;BYDAY=TU", later, window=window) == ["06-12T07:00"]


def test_this_and_future_brings_instances_from_after_the_window_into_it():
    later = override(";RANGE=THISANDFUTURE:20260310T080000Z", "20260305T080000Z", "20260305T090000Z")
    window = between("2026-05-01T00:00", "2026-05-08T00:00")
    assert starts(f"{BERLIN}\nRRULE:FREQ=WEEKLY;BYDAY=TU", later, window=window) == ["05-07T07:00"]


def test_this_and_future_that_makes_it_a_day_gives_whole_days_in_the_calendars_zone():
    master = "DTSTART;TZID=Asia/Tokyo:20260320T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3"
    later = "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Asia/Tokyo:20260327T090000\nDTSTART;VALUE=DATE:20260327"
    assert spans(master, later)[1:] == ["03-26T23:00/03-27T23:00", "04-02T22:00/04-03T22:00"]


def test_a_cancelled_this_and_future_cancels_what_follows():
    gone = override(
        ";RANGE=THISANDFUTURE:20260303T080000Z", "20260303T080000Z", "20260303T090000Z", "\nSTATUS:CANCELLED"
    )
    assert [one.status for one in found(f"{BERLIN}\nRRULE:FREQ=DAILY;COUNT=3", gone)] == [
        "CONFIRMED",
        "CANCELLED",
        "CANCELLED",
    ]


def test_two_events_of_one_uid_both_count():
    assert starts(BERLIN, "DTSTART:20260304T080000Z\nDTEND:20260304T090000Z") == ["03-02T08:00", "03-04T08:00"]


def test_of_two_versions_of_a_master_the_higher_sequence_counts():
    assert starts(f"{BERLIN}\nSEQUENCE:1", "DTSTART:20260304T080000Z\nSEQUENCE:2") == ["03-04T08:00"]


def test_what_decides_whether_it_blocks_is_carried_along():
    event = f"{BERLIN}\nTRANSP:TRANSPARENT\nSTATUS:TENTATIVE\nX-MICROSOFT-CDO-BUSYSTATUS:OOF\nX-SYNCD-PARTSTAT:DECLINED"
    one = found(event)[0]
    assert (one.transparency, one.status, one.fb_type, one.partstat) == (
        "TRANSPARENT",
        "TENTATIVE",
        "BUSY_UNAVAILABLE",
        "DECLINED",
    )


@pytest.mark.parametrize(
    ("written", "fb_type"),
    [
        ("FREE", "FREE"),
        ("TENTATIVE", "BUSY_TENTATIVE"),
        ("BUSY", "BUSY"),
        ("OOF", "BUSY_UNAVAILABLE"),
        ("WORKINGELSEWHERE", "WORKING_ELSEWHERE"),
        ("SOMETHING", None),
    ],
)
def test_microsofts_busy_status_is_an_fb_type(written: str, fb_type: str | None):
    assert found(f"{BERLIN}\nX-MICROSOFT-CDO-BUSYSTATUS:{written}")[0].fb_type == fb_type


def vtimezone(tzid: str, offset: str) -> str:
    standard = f"BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:{offset}\nTZOFFSETTO:{offset}\nEND:STANDARD"
    return f"BEGIN:VTIMEZONE\nTZID:{tzid}\n{standard}\nEND:VTIMEZONE\n"


def test_a_vtimezone_gives_the_offset_of_a_zone_nobody_knows():
    event = "DTSTART;TZID=Customized Time Zone:20260302T090000"
    assert starts(event, above=vtimezone("Customized Time Zone", "+0530")) == ["03-02T03:30"]
    assert starts(event, above=vtimezone("Customized Time Zone", "-0200")) == ["03-02T11:00"]


EXCHANGE = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


@pytest.mark.parametrize("day", ["0328", "0329", "0330", "1024", "1025", "1026"])
@pytest.mark.parametrize("clock", ["013000", "020000", "023000", "030000", "033000"])
def test_a_vtimezone_with_berlins_rules_reads_every_clock_as_berlin_does(day: str, clock: str):
    event = "DTSTART;TZID={}:2026" + f"{day}T{clock}\nDURATION:P1D"
    assert spans(event.format("Customized Time Zone"), above=EXCHANGE) == spans(event.format("Europe/Berlin"))


def test_this_and_future_works_on_the_wall_clock_of_a_vtimezone():
    master = "DTSTART;TZID={0}:20261019T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3"
    later = "RECURRENCE-ID;RANGE=THISANDFUTURE:20261019T070000Z\nDTSTART;TZID={0}:20261019T100000\nDURATION:PT1H"
    for tzid in ("Customized Time Zone", "Europe/Berlin"):
        assert starts(master.format(tzid), later.format(tzid), above=EXCHANGE) == [
            "10-19T08:00",
            "10-26T09:00",
            "11-02T09:00",
        ]


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=SECONDLY;COUNT=999999999"])
def test_a_rule_that_fires_without_end_is_an_error(rule: str):
    with pytest.raises(TooManyInstances):
        starts(f"DTSTART:20200101T000000Z\nRRULE:{rule}")


HOURLY = "DTSTART:20260101T100000Z\nDURATION:PT1M\nRRULE:FREQ=HOURLY"
OFTEN = "RECURRENCE-ID;RANGE=THISANDFUTURE:20260101T110000Z\nDURATION:PT1M\nDTSTART:20260101T1100{0:02}Z"


@pytest.mark.parametrize(
    "events",
    [
        (HOURLY, *(OFTEN.format(number) for number in range(20))),
        (*(f"DTSTART:20260101T1000{number % 60:02}Z" for number in range(400)), *(OFTEN.format(1) for _ in range(300))),
    ],
    ids=["of which many govern what follows", "of many masters and overrides"],
)
def test_a_series_is_an_error_whose_parts_multiply(events: tuple[str, ...]):
    with pytest.raises(TooManyInstances):
        instances(skeleton_of(*events), YEAR, "UTC")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1",
        "FREQ=DAILY;INTERVAL=7;BYDAY=SU",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=3",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
    ],
)
def test_a_rule_that_never_fires_ends_and_leaves_the_start(rule: str):
    assert starts(f"DTSTART:20260302T080000Z\nRRULE:{rule}") == ["03-02T08:00"]


def test_a_rule_from_long_ago_is_followed_from_near_the_window():
    window = between("2026-03-02T00:00", "2026-03-02T00:10")
    assert len(starts("DTSTART:19000101T000000Z\nRRULE:FREQ=SECONDLY;INTERVAL=60", window=window)) == 10


@pytest.mark.parametrize(
    "event",
    [
        "DTSTART;VALUE=DATE:16010101\nDTEND;VALUE=DATE:99991231\nRRULE:FREQ=YEARLY",
        "DTSTART:00010101T000000\nDTEND:99991231T235959",
        "DTSTART;TZID=Pacific/Kiritimati:00010101T000000\nDURATION:P9999999W",
        "DTSTART;TZID=Asia/Tokyo:00010101T000000\nDTEND;TZID=America/New_York:99991231T235959\nRRULE:FREQ=YEARLY",
        "DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:99991231\nRRULE:FREQ=DAILY;COUNT=1;UNTIL=99991231T235959Z",
    ],
)
def test_the_edges_of_the_calendar_are_in_reach(event: str):
    assert spans(event) != []
    assert spans("DTSTART;VALUE=DATE:99991231\nRRULE:FREQ=DAILY") == []


def test_a_long_instance_that_began_long_before_the_window_is_found():
    event = "DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20260301\nRRULE:FREQ=YEARLY"
    window = Window(datetime(2030, 2, 27, tzinfo=UTC), datetime(2030, 2, 28, tzinfo=UTC))
    assert starts(event, window=window) == ["12-31T23:00"]


def test_every_instance_that_reaches_into_the_window_is_found_where_they_overlap():
    event = f"{BERLIN.partition(chr(10))[0]}\nDURATION:P20D\nRRULE:FREQ=WEEKLY"
    window = between("2026-06-10T00:00", "2026-06-11T00:00")
    assert starts(event, window=window) == ["05-25T07:00", "06-01T07:00", "06-08T07:00"]


def test_a_leap_second_is_the_second_before_it():
    assert found("DTSTART:20261231T235960Z")[0].start_at == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["", "SUMMARY:x", "DTSTART:x", "DTSTART;TZID=Nowhere:20260302T080000", f"{BERLIN}\nRRULE:x", f"{BERLIN}\nEXDATE:x"],
)
def test_what_is_no_skeleton_is_an_invalid_response(written: str):
    text = f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{written}\nEND:VEVENT\nEND:VCALENDAR\n" if written else ""
    with pytest.raises(InvalidResponse):
        instances(text, YEAR, "Europe/Berlin")


def test_an_unknown_calendar_zone_is_named():
    with pytest.raises(ValueError, match="Europe/Atlantis"):
        instances(skeleton_of(BERLIN), YEAR, "Europe/Atlantis")


@pytest.fixture
def oracle() -> Callable[[str, Window], list[tuple[datetime, datetime]]]:
    """What recurring-ical-events makes of it, where it is right."""
    import icalendar
    import recurring_ical_events

    def expand(text: str, window: Window) -> list[tuple[datetime, datetime]]:
        events = recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(window.start_at, window.end_at)
        return sorted((event.start.astimezone(UTC), event.end.astimezone(UTC)) for event in events)

    return expand


RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;COUNT=40",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR;UNTIL=20260701T000000Z",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,TU",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
    "FREQ=YEARLY;BYMONTH=3,6;BYDAY=2TU",
    "FREQ=YEARLY;BYYEARDAY=70,-50",
    "FREQ=HOURLY;INTERVAL=36",
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("more", ["", "EXDATE;TZID=Europe/Berlin:20260309T090000\n", "RDATE:20260412T120000Z\n"])
def test_plain_series_agree_with_another_implementation(rule: str, more: str, oracle):
    skeleton = skeleton_of(
        f"{BERLIN}\nRRULE:{rule}\n{more}",
        override(":20260316T080000Z", "20260317T100000Z", "20260317T113000Z"),
    )
    for days in range(0, 300, 50):
        start = datetime(2026, 2, 20, 8, 30, tzinfo=UTC) + timedelta(days=days)
        window = Window(start, start + timedelta(days=60))
        ours = [(one.start_at, one.end_at) for one in instances(skeleton, window, "Europe/Berlin")]
        assert ours == oracle(skeleton, window)
