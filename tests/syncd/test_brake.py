"""A pull that would remove most of a calendar is held back until it is sure (semantics 15)."""

from __future__ import annotations

import pytest

from syncd.jobs.due import Order


@pytest.fixture
def full_house(house, at):
    """A calendar with twelve events in future and some in the past."""
    for number in range(12):
        house.put(f"e{number}", at(9 + number % 6, 1 + number // 6))
    house.put("past", at(3))
    house.pull()
    return house


def _empty(house, count: int, *, tombstones: bool = True) -> None:
    for number in range(count):
        house.remote.remove("Work", f"e{number}")
    if not tombstones:
        house.remote.forget_tokens("Work")


@pytest.mark.parametrize("tombstones", [True, False], ids=["incremental", "full"])
def test_a_pull_that_would_remove_too_much_is_held_back_and_the_old_state_serves(full_house, at, tombstones):
    house = full_house
    before, slots, generation = house.rows(), house.feed(at(0, 1), 3), house.calendar().generation
    _empty(house, 12, tombstones=tombstones)
    house.put("new", at(16, 1))
    house.later(minutes=3)
    assert [pull.held_back for pull in house.sync().pulls] == [12]
    assert (house.rows(), house.calendar().generation) == (before, generation)
    assert house.generations() == {generation}
    assert house.feed(at(0, 1), 3) == slots
    assert house.answer()["meta"]["state"] == "fresh"
    calendar = house.status()["calendars"][0]
    assert (calendar["state"], calendar["held_back"]) == ("held_back", 12)


@pytest.mark.parametrize("tombstones", [True, False], ids=["incremental", "full"])
def test_a_full_pull_five_minutes_later_that_agrees_is_taken(full_house, at, tombstones):
    house = full_house
    _empty(house, 12, tombstones=tombstones)
    house.later(minutes=3)
    house.sync()
    house.later(minutes=4, seconds=59)
    assert house.sync().pulls == []  # it isn't asked again before
    house.later(seconds=1)
    [report] = house.sync().pulls
    assert (report.full, report.held_back) == (True, 0)
    assert {row[0] for row in house.rows()} == {"past"}
    assert house.is_listed(at(9, 1))
    calendar = house.status()["calendars"][0]
    assert (calendar["state"], calendar["held_back"]) == ("fresh", None)
    house.later(minutes=3)
    assert [pull.full for pull in house.sync().pulls] == [False]


def test_one_that_disagrees_is_held_back_again_for_five_minutes(full_house):
    house = full_house
    _empty(house, 11)
    house.later(minutes=3)
    assert [pull.held_back for pull in house.sync().pulls] == [11]
    house.remote.remove("Work", "e11")
    house.later(minutes=5)
    assert [pull.held_back for pull in house.sync().pulls] == [12]
    house.later(minutes=5)
    assert [pull.held_back for pull in house.sync().pulls] == [0]
    assert {row[0] for row in house.rows()} == {"past"}


def test_what_comes_back_in_time_was_never_gone(full_house):
    house = full_house
    before, texts = house.rows(), house.remote.texts("Work")
    _empty(house, 12)
    house.later(minutes=3)
    house.sync()
    for uid, text in texts.items():
        house.remote.put("Work", uid, text)
    house.later(minutes=5)
    assert [pull.held_back for pull in house.sync().pulls] == [0]
    assert house.rows() == before
    assert house.status()["calendars"][0]["state"] == "fresh"


def test_a_sync_in_full_accepts_at_once(full_house):
    house = full_house
    _empty(house, 12)
    house.later(minutes=3)
    assert [pull.held_back for pull in house.sync().pulls] == [12]
    assert [pull.held_back for pull in house.sync(Order(everything=True, full=True)).pulls] == [0]
    assert {row[0] for row in house.rows()} == {"past"}


def test_asking_again_and_again_convinces_no_one(full_house):
    house = full_house
    before = house.rows()
    _empty(house, 12)
    for _ in range(3):
        house.later(seconds=30)
        assert [pull.held_back for pull in house.pull().pulls] == [12]
    assert house.rows() == before


def test_fewer_than_ten_or_up_to_half_may_go(full_house):
    house = full_house
    _empty(house, 9)
    house.later(minutes=3)
    assert [pull.held_back for pull in house.sync().pulls] == [0]
    assert {row[0] for row in house.rows()} == {"past", "e9", "e10", "e11"}


def test_events_that_are_over_may_all_go(house, at):
    for number in range(30):
        house.put(f"past{number}", at(1, 0), 60)
    house.pull()
    for number in range(30):
        house.remote.remove("Work", f"past{number}")
    assert [pull.held_back for pull in house.pull().pulls] == [0]
    assert house.rows() == set()


def test_a_calendar_that_never_agrees_with_itself_goes_stale_in_the_end(full_house, at):
    """The old state serves for as long as it may be trusted, and no longer."""
    house = full_house
    before = house.rows()
    _empty(house, 11)
    states = []
    for number in range(8):
        there, away = ("e10", "e11") if number % 2 else ("e11", "e10")
        house.put(there, at(14, 2))
        if away in house.remote.texts("Work"):
            house.remote.remove("Work", away)
        house.later(minutes=5)
        house.sync()
        states.append(house.status()["calendars"][0]["state"])
    assert house.rows() == before
    assert states == ["held_back"] * 6 + ["stale"] * 2


def test_a_wiped_calendar_is_held_back_with_one_line_that_names_no_event(full_house, logged):
    house = full_house
    _empty(house, 12)
    house.later(minutes=3)
    house.sync()
    [line] = [line for line in logged() if line["level"] == "warning"]
    assert (line["calendar"], line["events"]) == (house.calendar().id, 12)
