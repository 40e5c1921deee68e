"""Which calendars an account has, as its server's lists come and change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from syncd.errors import AvailabilityUnknown


def list_again(house, **lengths):
    house.later(**lengths)
    return house.pull()


def test_a_calendar_removed_at_the_server_is_gone_once_two_lists_lack_it(make_house, at):
    house = make_house(calendars=("Work", "Old"), account="")
    house.put("busy", at(10, 1), calendar="Old")
    house.pull()
    assert not house.is_listed(at(10, 1))
    house.remote.remove_calendar("Old")
    list_again(house, minutes=1)
    assert house.calendar("Old").blocks
    assert not house.is_listed(at(10, 1))
    assert house.account().next_list_at == house.now + timedelta(minutes=5)
    list_again(house, minutes=5)
    assert not house.calendar("Old").blocks
    assert house.account().state == "ok"
    assert house.is_listed(at(10, 1))


def test_a_list_without_any_calendar_takes_none_away(make_house):
    house = make_house(account="")
    house.pull()
    house.remote.remove_calendar("Work")
    for _ in range(3):
        list_again(house, minutes=10)
    assert house.calendar("Work").blocks
    house.later(hours=1)
    with pytest.raises(AvailabilityUnknown):
        house.feed()


def test_a_calendar_that_comes_back_counts_as_before(make_house, at):
    house = make_house(calendars=("Work", "Other"), account="")
    house.pull()
    house.remote.remove_calendar("Other")
    list_again(house, minutes=1)
    house.remote.add_calendar("Other")
    house.put("busy", at(10, 1), calendar="Other")
    list_again(house, minutes=10)
    assert house.calendar("Other").unlisted_at is None
    assert not house.is_listed(at(10, 1))


def test_a_calendar_chosen_by_name_that_is_gone_closes_and_is_named(make_house):
    house = make_house(calendars=("Work", "Old"), account='blocks = ["Old"]')
    house.pull()
    house.remote.remove_calendar("Old")
    list_again(house, minutes=1)
    list_again(house, minutes=6)
    assert house.account().missing == ["Old"]
    with pytest.raises(AvailabilityUnknown):
        house.feed()
