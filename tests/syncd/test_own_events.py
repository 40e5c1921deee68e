"""Our own events never block twice, block wherever else they are, and only the written one can drift (semantics 13)."""

from __future__ import annotations

import itertools

import pytest

from providers.errors import Unavailable
from syncd.jobs.due import Order


@pytest.fixture
def pair(make_house):
    """A house with two calendars, consultations being written to Work."""
    house = make_house(calendars=("Home", "Work"))
    house.sync()
    return house


def event_text(house, booking_id: str) -> tuple[str, str]:
    """The remote id and text of the one event of a booking in Work."""
    [found] = [(key, text) for key, text in house.remote.texts("Work").items() if booking_id in text]
    return found


def moved_text(text: str, start, end) -> str:
    lines = [
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}"
        if line.startswith("DTSTART")
        else f"DTEND:{end:%Y%m%dT%H%M%SZ}"
        if line.startswith("DTEND")
        else line
        for line in text.split("\r\n")
    ]
    return "\r\n".join(lines)


def write(house) -> None:
    """Deliver what is owed, without a pull being due."""
    assert house.sync().written


# Freed at once, and for good


def test_a_cancelled_booking_frees_its_slot_at_once_and_in_every_order_of_writes_and_pulls(pair, at):
    for steps in itertools.product(["write", "pull"], repeat=2):
        booking = pair.book(at(12, 1))
        write(pair)
        pair.pull()
        assert not pair.is_listed(at(12, 1))
        pair.cancel(booking)
        assert pair.is_listed(at(12, 1))
        for step in steps:
            pair.pull_only() if step == "pull" else pair.sync()
            assert pair.is_listed(at(12, 1)), steps
        pair.later(minutes=2)
        pair.pull()
        assert pair.is_listed(at(12, 1))
        assert pair.remote.texts("Work") == {}


@pytest.mark.parametrize("steps", list(itertools.product(["write", "pull"], repeat=3)), ids=" ".join)
def test_a_moved_bookings_old_span_is_free_at_once_and_stays_so(pair, at, steps):
    booking = pair.book(at(12, 1))
    write(pair)
    pair.pull()
    pair.reschedule(booking, at(15, 1))
    assert pair.is_listed(at(12, 1))
    for step in steps:
        pair.later(minutes=1)
        pair.pull_only() if step == "pull" else pair.sync()
        assert pair.is_listed(at(12, 1))
        assert not pair.is_listed(at(15, 1))
        assert pair.booking(booking).event.drift is None
    pair.later(minutes=10)
    pair.pull()
    assert pair.is_listed(at(12, 1))
    assert not pair.is_listed(at(15, 1))
    assert pair.booking(booking).event.state == "written"
    assert pair.booking(booking).event.written_starts_at == at(15, 1)


def test_a_lost_answer_leaves_no_trace_once_the_event_is_written(pair, at):
    """Created, its answer lost, seen by a pull, moved: the place where it was made is free when it has left it."""
    booking = pair.book(at(12, 1))
    pair.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    assert len(pair.pull().pulls) == 2
    assert len(pair.remote.texts("Work")) == 1
    pair.reschedule(booking, at(15, 1))
    pair.later(minutes=1)  # the write is due; what it leaves behind is looked at at once
    assert [report.calendar for report in pair.sync().pulls] == ["Work"]
    assert pair.is_listed(at(12, 1))
    assert len(pair.remote.texts("Work")) == 1


# What is ours


@pytest.mark.parametrize("calendar", ["Work", "Home"])
@pytest.mark.parametrize("mark", ["uid", "property"])
def test_a_copy_at_the_booked_span_blocks_nothing_beyond_the_booking(pair, at, calendar, mark):
    booking = pair.book(at(12, 1))
    write(pair)
    _, text = event_text(pair, booking)
    if mark == "property":
        text = text.replace(f"UID:{booking}-1", "UID:another")
    else:
        text = "\r\n".join(line for line in text.split("\r\n") if not line.startswith("X-SYNCD-BOOKING"))
    pair.remote.put(calendar, "copy", text)
    pair.pull()
    assert not pair.is_listed(at(12, 1))
    pair.cancel(booking)
    pair.pull()
    assert pair.is_listed(at(12, 1))  # the copy an invitation left behind stands at the booked span


@pytest.mark.parametrize("calendar", ["Work", "Home"])
def test_a_copy_anywhere_else_blocks_there_and_never_drifts(pair, at, calendar):
    booking = pair.book(at(12, 1))
    write(pair)
    _, text = event_text(pair, booking)
    copy = text.replace(f"UID:{booking}-1", "UID:another")
    pair.remote.put(calendar, "copy", moved_text(copy, at(15, 1), at(15.5, 1)))
    pair.pull()
    assert not pair.is_listed(at(12, 1))
    assert not pair.is_listed(at(15, 1))
    assert pair.booking(booking).event.state == "written"
    pair.remote.remove(calendar, "copy")
    pair.pull()
    assert pair.is_listed(at(15, 1))
    assert pair.booking(booking).event.state == "written"


@pytest.mark.parametrize("calendar", ["Work", "Home"])
def test_a_copy_elsewhere_goes_on_blocking_when_the_booking_is_written_anew(pair, at, calendar):
    booking = pair.book(at(12, 1))
    write(pair)
    _, text = event_text(pair, booking)
    copy = text.replace(f"UID:{booking}-1", "UID:another")
    pair.remote.put(calendar, "copy", moved_text(copy, at(15, 1), at(15.5, 1)))
    pair.pull()
    pair.reschedule(booking, at(16, 1))
    write(pair)
    assert not pair.is_listed(at(15, 1))
    assert pair.is_listed(at(12, 1))
    pair.cancel(booking)
    write(pair)
    assert not pair.is_listed(at(15, 1))


def test_our_resource_is_ours_whatever_a_client_did_to_its_uid_and_property(pair, at):
    booking = pair.book(at(12, 1))
    write(pair)
    remote_id, text = event_text(pair, booking)
    plain = [line for line in text.split("\r\n") if not line.startswith("X-SYNCD-BOOKING")]
    pair.remote.put("Work", remote_id, "\r\n".join(plain).replace(f"UID:{booking}-1", "UID:renamed"))
    pair.pull()
    pair.cancel(booking)
    assert pair.is_listed(at(12, 1))


def test_someone_elses_event_that_names_an_unknown_booking_blocks(pair, at):
    pair.put("stranger", at(12, 1), 30, "X-SYNCD-BOOKING:bkg_never")
    pair.put("bkg_abc-1", at(13, 1), 30)
    pair.pull()
    assert not pair.is_listed(at(12, 1))
    assert not pair.is_listed(at(13, 1))


def test_further_instances_block_if_someone_made_it_recurring(pair, at):
    booking = pair.book(at(12, 1))
    write(pair)
    remote_id, text = event_text(pair, booking)
    pair.remote.put("Work", remote_id, text.replace("TRANSP:OPAQUE", "RRULE:FREQ=DAILY;COUNT=3\r\nTRANSP:OPAQUE"))
    pair.pull()
    assert [pair.is_listed(at(12, day)) for day in (1, 2, 3, 4)] == [False, False, False, True]
    assert pair.booking(booking).event.state == "drifted"
    pair.cancel(booking)
    assert [pair.is_listed(at(12, day)) for day in (1, 2, 3, 4)] == [True, False, False, True]


def test_a_booking_being_moved_is_not_in_its_own_way_wherever_its_event_is(pair, at):
    booking = pair.book(at(12, 1))
    write(pair)
    remote_id, text = event_text(pair, booking)
    pair.remote.put("Work", remote_id, moved_text(text, at(15, 1), at(15.5, 1)))
    pair.pull()
    assert not pair.is_listed(at(15, 1))
    pair.reschedule(booking, at(15, 1))
    pair.pull()
    assert pair.booking(booking).starts_at == at(15, 1)
    assert pair.is_listed(at(12, 1))


# Drift


@pytest.mark.parametrize("order", [Order(everything=True), Order(everything=True, full=True)], ids=["token", "full"])
@pytest.mark.parametrize("kind", ["moved", "deleted", "recurring"])
def test_what_someone_does_to_our_event_is_drift_until_it_is_put_back(pair, at, order, kind):
    booking = pair.book(at(12, 1))
    write(pair)
    pair.sync(order)
    assert pair.booking(booking).event.state == "written"
    remote_id, text = event_text(pair, booking)
    if kind == "moved":
        pair.remote.put("Work", remote_id, moved_text(text, at(15, 1), at(15.5, 1)))
    elif kind == "deleted":
        pair.remote.remove("Work", remote_id)
    else:
        pair.remote.put("Work", remote_id, text.replace("TRANSP:OPAQUE", "RRULE:FREQ=WEEKLY\r\nTRANSP:OPAQUE"))
    pair.sync(order)
    event = pair.booking(booking).event
    assert event.state == "drifted"
    assert event.drift
    assert event.drift["kind"] == (kind if kind == "deleted" else "moved")
    assert not pair.is_listed(at(12, 1))  # the booking stands, whatever became of its event
    assert pair.is_listed(at(15, 1)) == (kind not in ("moved",))
    pair.remote.put("Work", remote_id, text)
    pair.sync(order)
    event = pair.booking(booking).event
    assert (event.state, event.drift) == ("written", None)
    assert pair.is_listed(at(15, 1))


@pytest.mark.parametrize("order", [Order(everything=True), Order(everything=True, full=True)], ids=["token", "full"])
@pytest.mark.parametrize(("before", "after"), [("TRANSP", "RRULE:FREQ=SECONDLY\r\nTRANSP"), ("DTSTART:", "DTSTART:x")])
@pytest.mark.parametrize("seen", [True, False], ids=["once seen", "never seen"])
def test_our_event_is_named_and_no_drift_while_nobody_can_say_where_it_is(pair, at, order, before, after, seen):
    booking = pair.book(at(12, 1))
    write(pair)
    if seen:
        pair.sync(order)
    remote_id, text = event_text(pair, booking)
    pair.remote.put("Work", remote_id, text.replace(before, after))
    pair.sync(order)
    assert [href for href, _ in pair.quarantined()] == [remote_id]
    event = pair.booking(booking).event
    assert (event.state, event.drift) == ("written", None)
    assert not pair.is_listed(at(12, 1))


@pytest.mark.parametrize("order", [Order(everything=True), Order(everything=True, full=True)], ids=["token", "full"])
def test_an_event_deleted_before_it_was_ever_pulled_is_drift(pair, at, order):
    booking = pair.book(at(12, 1))
    write(pair)
    pair.remote.remove("Work", event_text(pair, booking)[0])
    pair.sync(order)
    assert pair.booking(booking).event.drift == {"kind": "deleted"}


def test_notes_and_titles_that_a_person_changed_are_no_drift(pair, at):
    booking = pair.book(at(12, 1))
    write(pair)
    remote_id, text = event_text(pair, booking)
    pair.remote.put("Work", remote_id, text.replace("TRANSP:OPAQUE", "CATEGORIES:mine\r\nCOMMENT:bring the plan"))
    pair.pull()
    assert pair.booking(booking).event.state == "written"


def test_rescheduling_writes_a_drifted_event_anew(pair, at):
    booking = pair.book(at(12, 1))
    write(pair)
    remote_id, text = event_text(pair, booking)
    pair.remote.put("Work", remote_id, moved_text(text, at(15, 1), at(15.5, 1)))
    pair.pull()
    pair.reschedule(booking, at(10, 1))
    write(pair)
    pair.pull()
    event = pair.booking(booking).event
    assert (event.state, event.drift) == ("written", None)
    assert pair.is_listed(at(15, 1))
    assert "DTSTART:20261124T100000Z" in pair.remote.texts("Work")[remote_id]
