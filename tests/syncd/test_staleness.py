"""What is unknown is never shown as free, from the calendar to the feed (semantics 16)."""

from __future__ import annotations

import dataclasses

import pytest

from availability import explain
from providers.errors import Unavailable
from syncd.errors import AvailabilityUnknown
from syncd.store import leases


def is_closed(house, slug: str = "intro") -> bool:
    """Whether the feed refuses to say what is free, and says when to ask again."""
    try:
        house.feed(slug=slug)
    except AvailabilityUnknown as unknown:
        return bool(unknown.retry_after)
    return False


def test_a_calendar_that_was_never_pulled_closes(make_house, at):
    house = make_house()
    assert is_closed(house)
    with pytest.raises(AvailabilityUnknown):
        house.book(at(12, 1))
    house.sync()
    assert not is_closed(house)
    assert house.book(at(12, 1))


def test_an_account_whose_calendars_are_not_listed_yet_closes(make_house):
    house = make_house()
    house.remote.fail_next(Unavailable())
    house.sync()
    assert house.account().listed_at is None
    assert is_closed(house)


def test_a_calendar_closes_when_its_last_pull_is_older_than_stale_after(house, at):
    house.remote.secret = "something that lets no one in"
    house.later(minutes=30)
    assert not is_closed(house)
    house.later(microseconds=1)
    assert is_closed(house)
    with pytest.raises(AvailabilityUnknown):
        house.book(at(12, 1))
    assert house.status()["calendars"][0]["state"] == "stale"


def test_a_kept_answer_ends_when_the_calendar_goes_stale(house):
    house.feed()
    house.later(minutes=30, seconds=1)
    assert is_closed(house)


def test_pulls_without_changes_keep_a_calendar_fresh(house):
    for _ in range(20):
        house.later(minutes=4)
        house.sync()
        assert not is_closed(house)


def test_an_account_that_waits_for_a_person_closes_at_once(house, at):
    assert house.feed()
    house.remote.secret = "changed"
    house.later(minutes=3)
    house.sync()
    assert house.account().state == "needs_reconnect"
    assert is_closed(house)
    with pytest.raises(AvailabilityUnknown):
        house.book(at(12, 1))


@pytest.mark.parametrize("spoil", ["age", "reconnect", "missing"])
def test_an_owner_who_wants_it_served_gets_it_served_and_said(make_house, at, spoil):
    house = make_house(account='target = "Work"\nwhen_stale = "serve"')
    house.put("lunch", at(12, 1))
    house.sync()
    assert house.answer()["meta"]["state"] == "fresh"
    if spoil == "age":
        house.later(minutes=31)
    elif spoil == "reconnect":
        house.remote.secret = "changed"
        house.later(minutes=3)
        house.sync()
    else:
        house.apply(account='blocks = ["Work", "Holidays"]\nwhen_stale = "serve"')
    assert house.answer()["meta"]["state"] == "degraded"
    assert not house.is_listed(at(12, 1))
    assert house.is_listed(at(13, 1))
    assert house.book(at(13, 1))


def test_one_that_was_never_pulled_is_served_too_where_the_owner_wants_it(make_house, at):
    house = make_house(account='when_stale = "serve"')
    assert house.answer()["meta"]["state"] == "degraded"
    assert house.is_listed(at(12, 1))


def test_degraded_answers_are_not_kept(make_house, at):
    house = make_house(account='when_stale = "serve"')
    house.put("lunch", at(12, 1))
    assert house.is_listed(at(12, 1))
    house.sync()
    assert not house.is_listed(at(12, 1))
    assert house.answer()["meta"]["state"] == "fresh"


def test_a_chosen_calendar_that_is_missing_closes_until_it_is_there(make_house):
    house = make_house(account='blocks = ["Work", "Holidays"]')
    house.sync()
    assert house.account().missing == ["Holidays"]
    assert is_closed(house)
    house.remote.add_calendar("Holidays")
    house.pull()
    assert house.account().missing == []
    assert not is_closed(house)


def test_a_missing_target_closes_nothing(make_house):
    house = make_house(account='target = "Consultations"')
    house.sync()
    assert house.account().missing == ["Consultations"]
    assert not is_closed(house)


def test_a_calendar_that_was_renamed_away_closes(make_house):
    house = make_house(calendars=("Work", "Other"), account='blocks = ["Work"]')
    house.sync()
    assert not is_closed(house)
    house.remote.remove_calendar("Work")
    house.later(minutes=31)
    house.pull()
    assert is_closed(house)


def test_an_account_of_a_kind_without_an_adapter_stays_unknown(make_house):
    house = make_house(provider="microsoft", account="")
    for _ in range(3):
        house.later(hours=1)
        with house.services.store.read() as session:
            assert leases.due_accounts(session, house.now) == []
    assert is_closed(house)
    assert house.remote.calls.total() == 0


def test_a_target_that_does_not_block_is_pulled_and_can_not_make_the_feed_stale(make_house, at):
    house = make_house(calendars=("Work", "Target"), account='blocks = ["Work"]\ntarget = "Target"')
    house.put("not blocking", at(12, 1), calendar="Target")
    house.sync()
    assert house.calendar("Target").synced_at == house.now
    assert house.is_listed(at(12, 1))
    house.remote.remove_calendar("Target")
    for _ in range(12):
        house.later(minutes=5)
        house.sync()
    assert house.status()["calendars"][0]["state"] == "stale"
    assert house.account().state == "failing"
    assert not is_closed(house)


def test_a_fresh_calendar_does_not_make_up_for_a_stale_one(make_house):
    house = make_house(calendars=("Work", "Home"))
    house.sync()
    house.remote.remove_calendar("Home")
    for _ in range(12):
        house.later(minutes=5)
        house.sync()
    assert {c["name"]: c["state"] for c in house.status()["calendars"]} == {"Work": "fresh", "Home": "stale"}
    assert is_closed(house)


# Calendars that a consultation names

NAMED = 'blocks = ["home/{}"]'


def test_a_consultation_is_blocked_by_the_calendars_it_names_alone(make_house, at):
    house = make_house(calendars=("Work", "Home"), consultation=NAMED.format("Home"))
    house.put("work", at(12, 1), calendar="Work")
    house.put("home", at(13, 1), calendar="Home")
    house.sync()
    assert house.is_listed(at(12, 1))
    assert not house.is_listed(at(13, 1))


def test_a_calendar_no_one_named_so_closes_the_consultation_that_names_it(make_house, at):
    house = make_house(consultation=NAMED.format("Holidays"))
    house.sync()
    assert is_closed(house)
    house.remote.add_calendar("Holidays")
    house.put("beach", at(12, 1), calendar="Holidays")
    house.pull()
    assert not is_closed(house)
    assert not house.is_listed(at(12, 1))


def test_a_calendar_that_only_a_consultation_names_is_pulled_for_it(make_house, at):
    house = make_house(calendars=("Work", "Private"), consultation=NAMED.format("Private"), account='blocks = ["Work"]')
    house.put("private", at(13, 1), calendar="Private")
    assert is_closed(house)
    house.sync()
    assert not is_closed(house)
    assert not house.is_listed(at(13, 1))


def test_a_consultation_is_written_to_the_calendar_it_names(make_house, at):
    house = make_house(calendars=("Work", "Private"), consultation='target = "home/Private"', account='target = "Work"')
    house.sync()
    house.book(at(13, 1))
    house.sync()
    assert (len(house.remote.texts("Work")), len(house.remote.texts("Private"))) == (0, 1)


def test_a_target_blocks_a_consultation_that_names_it(make_house, at):
    house = make_house(
        calendars=("Work", "Target"),
        consultation=NAMED.format("Target"),
        account='blocks = ["Work"]\ntarget = "Target"',
    )
    house.put("there", at(12, 1), calendar="Target")
    house.sync()
    assert not house.is_listed(at(12, 1))


def test_a_missing_calendar_closes_only_consultations_it_could_block(make_house):
    house = make_house(consultation=NAMED.format("Work"), account='blocks = ["Work", "Holidays"]')
    house.sync()
    assert not is_closed(house)


def test_every_reason_names_the_calendar_that_is_unknown(house, at):
    house.later(minutes=31)
    reasons = explain(house.situation(), 1800, int(at(12, 1).timestamp()))
    assert [(reason.code, reason.calendar) for reason in reasons] == [("calendar_stale", house.calendar().id)]


# Whether busy time is known as far as a slot can reach, and as it is meant now


def test_busy_time_kept_for_longer_is_unknown_until_it_is_expanded(make_house, at):
    """As at SIGHUP: the horizon reaches further before anything has been expanded that far."""
    house = make_house(keep="20d")
    house.put("far", at(12, 30))
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    house.parts["keep"] = "60d"
    text = (house.folder / "config.toml").read_text().replace('horizon = "20d"', 'horizon = "50d"')
    house.apply(text.replace('keep_busy_for = "20d"', 'keep_busy_for = "60d"'))
    assert is_closed(house)
    house.shop = house.workshop()
    house.later(minutes=3)
    house.sync()
    assert not is_closed(house)
    assert not [slot for slot in house.feed(at(0, 25), 20) if slot[11:13] == "10"]


def test_a_choice_that_changes_is_unknown_until_everything_is_read_anew(house, at):
    house.put("maybe", at(12, 1), more="STATUS:TENTATIVE")
    house.apply(account='target = "Work"\ntentative = "free"')
    house.pull()
    assert house.is_listed(at(12, 1))
    house.apply(account='target = "Work"\ntentative = "busy"')
    house.remote.fail_next(Unavailable())
    house.sync()
    assert is_closed(house)
    house.later(minutes=20)
    house.sync()
    assert not house.is_listed(at(12, 1))


def test_an_account_at_another_address_is_unknown_until_it_is_read(house, make_house, at):
    other = make_house()
    house.put("busy", at(12, 1))
    house.pull()
    other.put("elsewhere", at(14, 1))
    house.url = other.url
    house.apply(account='target = "Work"')
    assert is_closed(house)
    house.sync()
    assert house.is_listed(at(12, 1))
    assert not house.is_listed(at(14, 1))


def test_series_are_expanded_on_though_the_account_waits_for_a_person(make_house, at):
    house = make_house(keep="20d", account='when_stale = "serve"')
    house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
    house.pull()
    house.remote.secret = "another"
    house.later(minutes=3)
    house.sync()
    assert house.account().state == "needs_reconnect"
    for _ in range(8):
        house.later(days=1)
        with house.services.store.read() as session:
            assert leases.due_accounts(session, house.now) == [house.account_id]
        house.sync()
        assert not [slot for slot in house.feed(house.now, 30) if slot[11:13] == "10"]


def test_a_choice_that_changes_during_a_full_pull_is_unknown_until_the_next(house, at):
    house.put("maybe", at(12, 1), more="STATUS:TENTATIVE")
    house.apply(account='target = "Work"\ntentative = "free"')
    house.after_each_page(lambda: house.apply(account='target = "Work"\ntentative = "busy"'))
    house.pull()
    assert is_closed(house)
    house.shop = house.workshop()
    house.sync()
    assert not is_closed(house)
    assert not house.is_listed(at(12, 1))


def test_what_changed_while_busy_time_was_kept_shorter_is_expanded_when_it_is_kept_longer_again(make_house, at):
    house = make_house(keep="60d")
    house.pull()
    for keep, horizon in (("20d", "20d"), ("60d", "50d")):
        house.parts["keep"] = keep
        house.config()
        text = (house.folder / "config.toml").read_text().replace('horizon = "20d"', f'horizon = "{horizon}"')
        house.apply(text)
        house.shop = house.workshop()
        house.put("daily", at(10), 60, "RRULE:FREQ=DAILY")
        house.later(minutes=3)
        house.sync()
    assert not is_closed(house)
    assert not [slot for slot in house.feed(at(0, 25), 20) if slot[11:13] == "10"]


def test_a_list_in_flight_when_the_address_changes_is_not_believed(make_house, at):
    house, other = make_house(), make_house()
    house.put("busy", at(12, 1))
    listed = house.remote.calls.total()
    house.after_each_page(lambda: None)
    house.url = other.url
    opened = house.shop.open_provider

    def change_address(kind, connection):
        house.apply(account='target = "Work"')
        return opened(kind, connection)

    house.shop = dataclasses.replace(house.shop, open_provider=change_address)
    house.sync()
    assert house.remote.calls.total() > listed, "the old server was asked"
    assert house.account().listed_at is None
    assert is_closed(house)
