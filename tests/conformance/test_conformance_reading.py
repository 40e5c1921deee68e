"""What every provider promises about reading: one test for each sentence of `providers.port`."""

from __future__ import annotations

import dataclasses

import pytest

from providers.errors import GrantRevoked, NotFound, SyncTokenInvalid


def ids(pages):
    return sorted(event.series_id for page in pages for event in page.changed)


def removed(pages):
    return [remote_id for page in pages for remote_id in page.removed]


def test_list_calendars_names_every_calendar_with_its_zone_and_whether_it_can_be_written(world, provider):
    world.make_calendar("Work", "Europe/Berlin")
    world.make_calendar("Home", "America/New_York")
    found = {calendar.name: calendar for calendar in provider.list_calendars()}
    assert (found["Work"].tz, found["Home"].tz) == ("Europe/Berlin", "America/New_York")
    assert found["Work"].can_write
    assert found["Work"].remote_id != found["Home"].remote_id


@pytest.mark.parametrize("count", [0, 1, 100, 101])
def test_a_full_pull_lists_every_resource_once_and_ends_with_a_token(world, provider, calendar, pull, ics, count):
    for number in range(count):
        world.put(calendar, f"e{number}@example", ics(f"e{number}@example"))
    pages = pull(provider, calendar)
    assert ids(pages) == sorted(f"e{number}@example" for number in range(count))
    assert len({event.remote_id for page in pages for event in page.changed}) == count
    assert all(page.complete and not page.removed and len(page.changed) <= 200 for page in pages)
    assert pages[-1].sync_token or not provider.capabilities.incremental
    assert all(page.sync_token is None for page in pages[:-1])


def test_a_pull_with_a_token_lists_nothing_when_nothing_changed(world, provider, calendar, pull, ics):
    world.put(calendar, "one", ics("one"))
    full = pull(provider, calendar)
    pages = pull(provider, calendar, full)
    assert ids(pages) == removed(pages) == []
    assert len(pages) == 1
    assert not pages[0].complete
    assert bool(pages[0].sync_token) == bool(full[-1].sync_token)


def test_a_pull_with_a_token_lists_what_was_created_changed_or_removed_and_nothing_else(
    world, provider, calendar, pull, ics
):
    for uid in ("stays", "changes", "goes"):
        world.put(calendar, uid, ics(uid))
    full = pull(provider, calendar)
    known = {event.series_id: event for page in full for event in page.changed}
    world.put(calendar, "comes", ics("comes"))
    world.put(calendar, "changes", ics("changes", start="20261125T100000"))
    world.remove(calendar, "goes")
    pages = pull(provider, calendar, full)
    assert ids(pages) == ["changes", "comes"]
    assert removed(pages) == [known["goes"].remote_id]
    changed = next(event for page in pages for event in page.changed if event.series_id == "changes")
    assert changed.remote_id == known["changes"].remote_id
    assert changed.etag != known["changes"].etag
    assert "20261125T100000Z" in changed.skeleton
    assert ids(pull(provider, calendar, pages)) == []


def test_an_event_that_was_created_and_removed_between_two_pulls_is_not_listed(world, provider, calendar, pull, ics):
    full = pull(provider, calendar)
    world.put(calendar, "brief", ics("brief"))
    world.remove(calendar, "brief")
    assert ids(pull(provider, calendar, full)) == []


def test_an_event_that_was_removed_and_made_again_is_listed_and_not_removed(world, provider, calendar, pull, ics):
    world.put(calendar, "again", ics("again"))
    full = pull(provider, calendar)
    world.remove(calendar, "again")
    world.put(calendar, "again", ics("again", start="20261126T110000"))
    pages = pull(provider, calendar, full)
    assert ids(pages) == ["again"]
    assert removed(pages) == []


@pytest.mark.parametrize("token", ["nonsense", "http://radicale.org/ns/sync/" + "0" * 64, "999999-999999"])
def test_a_token_the_server_does_not_know_is_refused_before_anything_is_listed(
    world, provider, calendar, pull, ics, token
):
    if world.checks_tokens:
        pages = provider.changes(calendar, token, None)
        with pytest.raises(SyncTokenInvalid):
            next(pages)
        return
    for uid in ("stays", "goes"):
        world.put(calendar, uid, ics(uid))
    full = pull(provider, calendar)
    world.remove(calendar, "goes")
    pages = pull(provider, calendar, [dataclasses.replace(full[-1], sync_token=token)])
    assert (ids(pages), len(removed(pages))) == ([], 1)


def test_a_calendar_that_was_made_anew_is_never_mixed_with_the_old_one(world, provider, pull, ics):
    calendar = world.make_calendar("Twice", "Europe/Berlin")
    for uid in ("old", "both"):
        world.put(calendar, uid, ics(uid))
    full = pull(provider, calendar)
    names = {event.remote_id: event.series_id for page in full for event in page.changed}
    world.remove_calendar(calendar)
    calendar = world.make_calendar("Twice", "Europe/Berlin")
    for uid in ("new", "both"):
        world.put(calendar, uid, ics(uid))
    if not world.checks_tokens:  # then it is found when all is compared
        full = [dataclasses.replace(full[-1], sync_token=None)]
    try:
        later = pull(provider, calendar, full)
    except SyncTokenInvalid:
        later = pull(provider, calendar)
    names |= {event.remote_id: event.series_id for page in later for event in page.changed}
    assert sorted(names[remote_id] for remote_id in pull.known[calendar.remote_id]) == ["both", "new"]


def test_changes_made_during_a_pull_are_in_it_or_in_the_next(world, provider, calendar, pull, ics):
    for number in range(205):
        world.put(calendar, f"e{number}", ics(f"e{number}"))
    pages = provider.changes(calendar, None, None)
    seen = [next(pages)]
    world.put(calendar, "late", ics("late"))
    world.remove(calendar, "e0")
    world.put(calendar, "e204", ics("e204", start="20270101T120000"))
    seen += pages
    later = pull(provider, calendar, pull.noted(calendar, seen))
    known = {event.remote_id: event for page in [*seen, *later] for event in page.changed}
    for gone in removed(later):
        known.pop(gone, None)
    assert {event.series_id for event in known.values()} == {"late", *(f"e{number}" for number in range(1, 205))}
    assert "20270101T120000Z" in next(event.skeleton for event in known.values() if event.series_id == "e204")


def test_what_no_longer_holds_an_event_is_removed(world, provider, calendar, pull, ics):
    world.put(calendar, "one", ics("one"))
    (event,) = pull(provider, calendar)[0].changed
    full = pull(provider, calendar)
    world.remove(calendar, "one")
    world.put(calendar, "one", ics("one").replace("VEVENT", "VTODO"))
    pages = pull(provider, calendar, full)
    assert (ids(pages), removed(pages)) == ([], [event.remote_id])
    assert ids(pull(provider, calendar)) == []


def test_what_can_not_be_understood_is_named_and_the_rest_is_listed(world, provider, calendar, pull, ics):
    world.put(calendar, "good", ics("good"))
    world.put(calendar, "bad", ics("bad").replace("DTSTART:", "DTSTART;TZID=Mars/Olympus:").replace("00Z", "00"))
    pages = pull(provider, calendar)
    assert ids(pages) == ["good"]
    (unreadable,) = [item for page in pages for item in page.unreadable]
    assert unreadable.uid == "bad"
    assert unreadable.reason
    assert unreadable.remote_id
    assert "SECRET" not in repr(unreadable)


def test_no_title_description_location_or_foreign_attendee_is_in_any_page(world, provider, calendar, pull, ics):
    world.put(calendar, "private", ics("private"))
    world.put(calendar, "odd", ics("odd").replace("DTSTART:", "DTSTART;TZID=Mars/Olympus:").replace("00Z", "00"))
    pages = pull(provider, calendar)
    assert [len(page.changed) + len(page.unreadable) for page in pages] == [2]
    assert "secret" not in repr(pages).lower()
    assert "20261124T090000Z" in repr(pages)


def test_a_calendar_that_is_gone_raises_not_found(world, provider, pull, ics):
    calendar = world.make_calendar("Gone", "Europe/Berlin")
    world.put(calendar, "one", ics("one"))
    full = pull(provider, calendar)
    world.remove_calendar(calendar)
    for since in (full, None):
        with pytest.raises(NotFound) as caught:
            pull(provider, calendar, since)
        assert caught.value.calendar == calendar.remote_id


def test_a_wrong_password_raises_grant_revoked(world, calendar, pull, consultation):
    stranger = world.open(secret="wrong")
    calls = [
        lambda: stranger.list_calendars(),
        lambda: pull(stranger, calendar),
        lambda: stranger.find(calendar, "key"),
        lambda: stranger.create(calendar, consultation(), "key"),
    ]
    for call in calls:
        with pytest.raises(GrantRevoked) as caught:
            call()
        assert "wrong" not in str(caught.value)
    stranger.close()
