"""A resource is reduced to its timing, and what can't be understood is named, part by part."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import icalendar
import pytest

from providers.ical import Reduced, reduce
from providers.model import Window
from providers.recurrence import instances

ME = frozenset({"mailto:Ada@Example.org", "ada@home.example"})

FULL = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//secret//EN
METHOD:PUBLISH
X-WR-CALNAME:secret
X-WR-TIMEZONE:W. Europe Standard Time
BEGIN:VTIMEZONE
TZID:Europe/Berlin
X-LIC-LOCATION:secret
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0900
TZOFFSETTO:+0900
END:STANDARD
END:VTIMEZONE
BEGIN:VTIMEZONE
TZID:secret
COMMENT:secret
X-FOO:secret
BEGIN:STANDARD
COMMENT:secret
TZNAME:secret
DTSTART:20200101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
BEGIN:DAYLIGHT
TZNAME:secret
DTSTART:20200101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RDATE:20210328T020000,20220327T020000
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VTODO
UID:secret
SUMMARY:secret
END:VTODO
BEGIN:VEVENT
X-SYNCD-BOOKING:bkg_7
SEQUENCE:4
SUMMARY;LANGUAGE=en:secret
DESCRIPTION:one secret
  folded
 \tsecret
LOCATION;ALTREP="http://secret:1/x;y":secret
ORGANIZER;CN=secret:mailto:secret@secret.org
ATTENDEE;CN="secret: x; y";PARTSTAT=ACCEPTED:mailto:secret@secret.org
ATTENDEE;CN=secret;PARTSTAT=TENTATIVE:MAILTO:ada@example.ORG
CATEGORIES:secret
URL:https://secret
ATTACH:https://secret
COMMENT:secret
X-SECRET:secret
STATUS:confirmed
TRANSP:OPAQUE
X-MICROSOFT-CDO-BUSYSTATUS:OOF
DTSTART;X-SECRET=secret;TZID="W. Europe Standard Time":20260302T090000
DTEND;TZID=Europe/Berlin:20260302T100000
RRULE:INTERVAL=1;COUNT=5;FREQ=WEEKLY;X-SECRET=secret
EXDATE;TZID=Europe/Berlin:20260309T090000
EXDATE;VALUE=DATE:20260316
RDATE;VALUE=PERIOD;TZID=Europe/Berlin:20260401T090000/PT3H,20260402T090000/20260402T093000
UID:u-1
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:secret
TRIGGER:-PT15M
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:u-1
RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=secret:20260323T090000
DTSTART;TZID=secret:20260323T110000
DURATION:PT90M
SUMMARY:secret
END:VEVENT
END:VCALENDAR
"""

SKELETON = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//syncd//syncd//EN
X-WR-TIMEZONE:Europe/Berlin
BEGIN:VTIMEZONE
TZID:{tzid}
BEGIN:STANDARD
DTSTART:20200101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:20200101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RDATE:20210328T020000
RDATE:20220327T020000
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:u-1
DTSTART;TZID=Europe/Berlin:20260302T090000
DTEND;TZID=Europe/Berlin:20260302T100000
RRULE:FREQ=WEEKLY;COUNT=5
RDATE;VALUE=PERIOD;TZID=Europe/Berlin:20260401T090000/PT3H,20260402T090000/20260402T093000
EXDATE;TZID=Europe/Berlin:20260309T090000
EXDATE;VALUE=DATE:20260316
TRANSP:OPAQUE
STATUS:CONFIRMED
SEQUENCE:4
X-MICROSOFT-CDO-BUSYSTATUS:OOF
X-SYNCD-PARTSTAT:TENTATIVE
X-SYNCD-BOOKING:bkg_7
END:VEVENT
BEGIN:VEVENT
UID:u-1
RECURRENCE-ID;RANGE=THISANDFUTURE;TZID={tzid}:20260323T090000
DTSTART;TZID={tzid}:20260323T110000
DURATION:PT90M
END:VEVENT
END:VCALENDAR
"""


def reduced(text: str | bytes, own: frozenset[str] = ME) -> Reduced:
    return reduce(text, remote_id="/cal/1.ics", etag='"1"', own_addresses=own)


def resource(*events: str, above: str = "") -> str:
    body = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{above}{body}END:VCALENDAR\n"


def skeleton_of(text: str | bytes, own: frozenset[str] = ME) -> str:
    result = reduced(text, own)
    assert result.unreadable == ()
    assert result.event is not None
    return result.event.skeleton


def lines_of(event: str, own: frozenset[str] = ME) -> list[str]:
    skeleton = skeleton_of(resource(event), own)
    return skeleton.partition("BEGIN:VEVENT\r\n")[2].partition("END:VEVENT")[0].split("\r\n")[:-1]


def test_a_resource_is_reduced_to_its_timing_in_one_spelling():
    result = reduced(FULL)
    assert result.event is not None
    tzid = result.event.skeleton.partition("\r\nTZID:")[2].partition("\r\n")[0]
    assert result.event.skeleton == SKELETON.format(tzid=tzid).replace("\n", "\r\n")
    assert (result.event.remote_id, result.event.uid, result.event.etag) == ("/cal/1.ics", "u-1", '"1"')
    assert result.unreadable == ()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r\r\n"])
def test_line_ends_folds_and_byte_order_marks_make_no_difference(newline: str):
    text = FULL.replace("DTSTART;X-SECRET", "DTST\n ART;X-SECRET").replace("\n", newline)
    assert reduced(b"\xef\xbb\xbf" + text.encode()) == reduced(FULL)


def test_a_fold_inside_a_character_is_undone():
    text = resource("UID:grün\nDTSTART:20260302T090000Z").encode().replace("ü".encode(), b"\xc3\r\n \xbc")
    result = reduced(text)
    assert result.event is not None
    assert result.event.uid == "grün"


def test_nothing_but_timing_survives():
    assert "secret" not in repr(reduced(FULL)).lower()


@pytest.mark.parametrize(
    "broken",
    [
        "DTSTART:secret",
        "DTSTART;TZID=secret place:20260302T090000",
        "DTSTART:20260302T090000Z\nDTEND:secret",
        "DTSTART:20260302T090000Z\nDURATION:secret",
        "DTSTART:20260302T090000Z\nRRULE:FREQ=secret",
        "DTSTART:20260302T090000Z\nRRULE:FREQ=DAILY;UNTIL=secret",
        "DTSTART:20260302T090000Z\nRDATE:secret",
        "DTSTART:20260302T090000Z\nEXDATE:secret",
        "DTSTART:20260302T090000Z\nRECURRENCE-ID:secret",
    ],
)
def test_what_is_said_of_an_unreadable_event_repeats_no_free_text(broken: str):
    result = reduced(resource(f"UID:u\nSUMMARY:secret\n{broken}"))
    assert result.event is None
    assert "secret" not in repr(result).lower()
    assert result.unreadable[0].uid == "u"


def test_a_foreign_value_of_our_booking_property_can_hold_no_prose():
    assert lines_of("DTSTART:20260302T090000Z\nX-SYNCD-BOOKING:a title of someone") == ["DTSTART:20260302T090000Z"]


def test_reducing_a_skeleton_changes_nothing():
    once = reduced(FULL)
    assert once.event is not None
    assert reduced(once.event.skeleton) == once
    assert reduced(once.event.skeleton, frozenset()) == once


def test_another_library_reads_the_skeleton():
    events = icalendar.Calendar.from_ical(skeleton_of(FULL)).events
    assert [event["UID"] for event in events] == ["u-1", "u-1"]
    assert events[0].end.astimezone(UTC) == datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("component", ["VTODO", "VJOURNAL", "VFREEBUSY"])
def test_a_resource_without_an_event_is_no_event_and_not_unreadable(component: str):
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:{component}\nUID:u\nDTSTART:x\nEND:{component}\nEND:VCALENDAR\n"
    assert reduced(text) == Reduced(None, ())


@pytest.mark.parametrize("text", ["", "<html>Sign in</html>", b"\xff\xfe\x00", "BEGIN:VCARD\nEND:VCARD\n", "DTSTART"])
def test_a_text_that_is_no_calendar_is_unreadable(text: str | bytes):
    result = reduced(text)
    assert result.event is None
    assert [(one.uid, one.start) for one in result.unreadable] == [(None, None)]
    assert (result.unreadable[0].remote_id, result.unreadable[0].etag) == ("/cal/1.ics", '"1"')


GOOD = "UID:good\nDTSTART:20260303T090000Z\nDTEND:20260303T100000Z"


@pytest.mark.parametrize(
    ("event", "says", "start"),
    [
        ("SUMMARY:x", "DTSTART is missing", None),
        ("DTSTART:tomorrow", "DTSTART is not a date", None),
        ("DTSTART:20260231T090000Z", "DTSTART names a day", "20260231T090000Z"),
        ("DTSTART:20260302T250000", "DTSTART names a day or an hour", "20260302T250000"),
        ("DTSTART:20260302T090000Z\nDTEND:20260302T085959Z", "DTEND is before DTSTART", "20260302T090000Z"),
        ("DTSTART;TZID=Europe/Berlin:20260302T090000\nDTEND:20260302T075959Z", "DTEND is before", "20260302T090000"),
        ("DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:20260301", "DTEND is before", "20260302"),
        ("DTSTART:20260302T090000Z\nDTEND:", "DTEND is not a date", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nDURATION:-PT1H", "DURATION is negative", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nDURATION:P", "DURATION is not a duration", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRRULE:FREQ=NEVER", "RRULE needs a FREQ", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRRULE:FREQ=DAILY;INTERVAL=0", "RRULE needs INTERVAL to be", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRRULE:FREQ=DAILY;BYDAY=XX", "RRULE needs BYDAY to be", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRRULE:FREQ=DAILY;UNTIL=soon", "RRULE needs UNTIL to be", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRRULE:RSCALE=HEBREW;FREQ=YEARLY", "other than the Gregorian", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRDATE:20261301", "RDATE names a day", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRDATE:20260302/P1D", "RDATE has a period where", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nRDATE:20260302T090000Z/20260303", "RDATE has a period", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nEXDATE:20260302T090000Z/PT1H", "EXDATE has a period", "20260302T090000Z"),
        ("DTSTART:20260302T090000Z\nEXDATE:20260302T", "EXDATE is not a date", "20260302T090000Z"),
        ("DTSTART;TZID=Europe/Atlantis:20260302T090000", "time zone Europe/Atlantis is not known", "20260302T090000"),
        ("DTSTART;TZID=localtime:20260302T090000", "time zone localtime is not known", "20260302T090000"),
        ("RECURRENCE-ID:x\nDTSTART:20260302T090000Z", "RECURRENCE-ID is not a date", "20260302T090000Z"),
    ],
)
def test_a_broken_event_is_named_by_uid_and_start_and_the_rest_is_kept(event: str, says: str, start: str | None):
    result = reduced(resource(f"UID:bad\nSUMMARY:secret\n{event}", GOOD))
    assert result.event is not None
    assert result.event.skeleton == skeleton_of(resource(GOOD))
    [unreadable] = result.unreadable
    assert says in unreadable.reason
    assert (unreadable.uid, unreadable.start) == ("bad", start)


def test_an_override_is_kept_where_its_master_is_broken():
    override = "UID:u\nRECURRENCE-ID:20260302T090000Z\nDTSTART:20260302T110000Z"
    result = reduced(resource("UID:u\nDTSTART:20260302T090000Z\nRRULE:x", override))
    assert result.event is not None
    assert "RECURRENCE-ID" in result.event.skeleton
    assert result.event.uid == "u"
    assert len(result.unreadable) == 1


def test_a_text_cut_off_in_an_event_keeps_what_came_before_it():
    whole = resource(GOOD, "UID:cut\nDTSTART:20260304T090000Z\nRRULE:FREQ=DAILY")
    result = reduced(whole[: whole.rindex("FREQ")])
    assert result.event is not None
    assert result.event.skeleton == skeleton_of(resource(GOOD))
    assert [(one.uid, one.start) for one in result.unreadable] == [("cut", "20260304T090000Z")]


def test_an_alarm_without_an_end_costs_no_event():
    assert skeleton_of(resource("UID:a\nDTSTART:20260302T090000Z\nBEGIN:VALARM", GOOD)).count("BEGIN:VEVENT") == 2


def test_a_floating_start_and_a_fixed_end_may_seem_out_of_order():
    assert len(lines_of("DTSTART:20260302T090000\nDTEND:20260302T080000Z")) == 2


def test_a_text_cut_off_between_events_says_so():
    result = reduced(resource(GOOD).removesuffix("END:VCALENDAR\n"))
    assert result.event is not None
    assert ["ends before" in one.reason for one in result.unreadable] == [True]


def test_an_event_without_uid_still_counts_and_is_its_own_series():
    result = reduced(resource("DTSTART:20260302T090000Z"))
    assert result.event is not None
    assert result.event.uid == "/cal/1.ics"


@pytest.mark.parametrize("year", ["0001", "1601", "9999"])
def test_the_first_and_last_years_are_dates_like_any_other(year: str):
    assert lines_of(f"DTSTART:{year}1231T235959Z") == [f"DTSTART:{year}1231T235959Z"]
    assert lines_of(f"DTSTART;VALUE=DATE:{year}1231") == [f"DTSTART;VALUE=DATE:{year}1231"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("DTSTART:20260302", "DTSTART;VALUE=DATE:20260302"),
        ("DTSTART;VALUE=DATE;TZID=Europe/Berlin:20260302", "DTSTART;VALUE=DATE:20260302"),
        ("DTSTART;VALUE=DATE:20260302T000000", "DTSTART;VALUE=DATE:20260302"),
        ("DTSTART;VALUE=DATE-TIME:20260302T090000z", "DTSTART:20260302T090000Z"),
        ("DTSTART;TZID=Europe/Berlin:20260302T090000Z", "DTSTART:20260302T090000Z"),
        ("DTSTART;TZID=UTC:20260302T090000", "DTSTART:20260302T090000Z"),
        ("DTSTART;TZID=GMT Standard Time:20260302T090000", "DTSTART;TZID=Europe/London:20260302T090000"),
        ("dtstart;tzid=Europe/Berlin: 20260302T090000 ", "DTSTART;TZID=Europe/Berlin:20260302T090000"),
    ],
)
def test_a_time_has_one_spelling(written: str, kept: str):
    assert lines_of(written) == [kept]


@pytest.mark.parametrize("noise", ["EXDATE:", "RDATE:,", "TRANSP:MAYBE", "STATUS:x", "SEQUENCE:one", "no colon"])
def test_what_says_nothing_is_left_out(noise: str):
    assert lines_of(f"DTSTART:20260302T090000Z\n{noise}") == ["DTSTART:20260302T090000Z"]


def test_a_description_with_a_line_break_of_its_own_hurts_nothing():
    event = "UID:u\nDTSTART:20260302T090000Z\nDESCRIPTION:one\u2028two\x0bthree\nfour\nSUMMARY:x"
    assert lines_of(event) == ["UID:u", "DTSTART:20260302T090000Z"]


def partstat_of(*attendees: str, own: frozenset[str] = ME) -> str | None:
    lines = lines_of("\n".join(["DTSTART:20260302T090000Z", *attendees]), own)
    return next((line.partition(":")[2] for line in lines if line.startswith("X-SYNCD-PARTSTAT")), None)


@pytest.mark.parametrize(
    "attendee",
    [
        "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.org",
        "ATTENDEE;PARTSTAT=declined;CN=Ada:MAILTO:ADA@EXAMPLE.ORG",
        'ATTENDEE;CN="Ada: x;y";PARTSTAT=DECLINED:mailto:ada@home.example',
        "ATTENDEE;PARTSTAT=DECLINED;EMAIL=ada@example.org:urn:uuid:1",
    ],
)
def test_own_participation_is_that_of_the_attendee_with_an_own_address(attendee: str):
    others = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.org"
    assert partstat_of(others, attendee) == "DECLINED"


def test_whoever_is_not_an_attendee_has_no_participation():
    assert partstat_of("ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.org") is None
    assert partstat_of("ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.org", own=frozenset()) is None


def test_the_organizer_is_not_an_attendee():
    assert partstat_of("ORGANIZER;PARTSTAT=DECLINED:mailto:ada@example.org") is None


def test_an_attendee_who_said_nothing_has_yet_to_answer():
    assert partstat_of("ATTENDEE:mailto:ada@example.org") == "NEEDS-ACTION"
    assert partstat_of("ATTENDEE;PARTSTAT=X-PERHAPS:mailto:ada@example.org") == "NEEDS-ACTION"


def test_of_two_own_addresses_the_one_that_comes_counts():
    declined = "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.org"
    accepted = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ada@home.example"
    assert partstat_of(declined, accepted) == partstat_of(accepted, declined) == "ACCEPTED"


def test_a_participation_forged_into_an_invitation_is_ignored():
    attendee = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ada@example.org"
    assert partstat_of("X-SYNCD-PARTSTAT:DECLINED", attendee) == "ACCEPTED"
    assert partstat_of("X-SYNCD-PARTSTAT:DECLINED", "ATTENDEE:mailto:bob@example.org") is None


def custom_zone(offset: str) -> str:
    body = f"DTSTART:19700101T000000\nTZOFFSETFROM:{offset}\nTZOFFSETTO:{offset}"
    return f"BEGIN:VTIMEZONE\nTZID:Customized Time Zone\nBEGIN:STANDARD\n{body}\nEND:STANDARD\nEND:VTIMEZONE\n"


@pytest.mark.parametrize(
    "zone",
    [
        "BEGIN:VTIMEZONE\nTZID:Customized Time Zone\nEND:VTIMEZONE\n",
        custom_zone("+2400"),
        custom_zone("noon"),
        custom_zone("+0100").replace("DTSTART", "DTSTAMP"),
        custom_zone("+0100").replace("TZOFFSETTO", "RRULE:FREQ=SECONDLY\nTZOFFSETTO"),
    ],
)
def test_an_event_in_a_zone_whose_definition_is_broken_is_unreadable(zone: str):
    broken = "UID:u\nDTSTART;TZID=Customized Time Zone:20260302T090000"
    result = reduced(resource(broken, GOOD, above=zone))
    assert result.event is not None
    assert [one.uid for one in result.unreadable] == ["u"]
    assert "VTIMEZONE" in result.unreadable[0].reason


def test_a_broken_definition_that_no_event_needs_hurts_nothing():
    assert skeleton_of(resource(GOOD, above=custom_zone("noon"))) == skeleton_of(resource(GOOD))


def test_a_zone_that_only_a_broken_event_needs_is_left_out():
    broken = "UID:u\nDTSTART;TZID=Customized Time Zone:20260302T090000\nRRULE:x"
    result = reduced(resource(broken, GOOD, above=custom_zone("+0100")))
    assert result.event is not None
    assert result.event.skeleton == skeleton_of(resource(GOOD))


def test_of_two_definitions_of_one_zone_that_differ_none_is_chosen():
    event = "UID:u\nDTSTART;TZID=Customized Time Zone:20260302T090000"
    result = reduced(resource(event, GOOD, above=custom_zone("+0100") + custom_zone("+0900")))
    assert [(one.uid, "the two differ" in one.reason) for one in result.unreadable] == [("u", True)]
    twice = resource(event, above=custom_zone("+0100") + custom_zone("+0100"))
    assert skeleton_of(twice) == skeleton_of(resource(event, above=custom_zone("+0100")))


def test_zones_of_one_name_are_told_apart_in_every_thread():
    event = "UID:u\nDTSTART;TZID=Customized Time Zone:20260302T120000"
    window = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC))
    wrong: list[str] = []
    together = threading.Barrier(4)

    def read(first: int) -> None:
        together.wait()
        for turn in range(150):
            hours = (first + turn) % 12
            skeleton = skeleton_of(resource(event, above=custom_zone(f"+{hours:02}00")))
            [one] = instances(skeleton, window, "UTC")
            if one.start_at != datetime(2026, 3, 2, 12 - hours, tzinfo=UTC):
                wrong.append(f"+{hours:02}00: {one.start_at}")

    threads = [threading.Thread(target=read, args=(3 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
