"""What every provider promises about reading: one test for each sentence of `providers.port`."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from providers.errors import GrantRevoked, NotFound, SyncTokenInvalid, Unsupported
from providers.model import Pulled, Window
from providers.overrides import excluding
from providers.recurrence import instances


def ids(pages):
    return sorted(event.uid for page in pages for event in page.changed)


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
    known = {event.uid: event for page in full for event in page.changed}
    world.put(calendar, "comes", ics("comes"))
    world.put(calendar, "changes", ics("changes", start="20261125T100000"))
    world.remove(calendar, "goes")
    pages = pull(provider, calendar, full)
    assert ids(pages) == ["changes", "comes"]
    assert removed(pages) == [known["goes"].remote_id]
    changed = next(event for page in pages for event in page.changed if event.uid == "changes")
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
    names = {event.remote_id: event.uid for page in full for event in page.changed}
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
    names |= {event.remote_id: event.uid for page in later for event in page.changed}
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
    assert {event.uid for event in known.values()} == {"late", *(f"e{number}" for number in range(1, 205))}
    assert "20270101T120000Z" in next(event.skeleton for event in known.values() if event.uid == "e204")


def test_what_no_longer_holds_an_event_is_removed(world, provider, calendar, pull, ics):
    world.put(calendar, "one", ics("one"))
    (event,) = [event for page in pull(provider, calendar) for event in page.changed]
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
    assert sum(len(page.changed) + len(page.unreadable) for page in pages) == 2
    assert "secret" not in repr(pages).lower()
    assert "20261124T090000Z" in repr(pages)


def busy(pages, window, tz):
    """When what was listed has instances; of a series that has its overrides beside it, each in its place."""
    events = [event for page in pages for event in page.changed]
    spans = []
    for event in events:
        beside = [one.skeleton for one in events if one.series_id == event.remote_id != one.remote_id]
        found = instances(excluding(event.skeleton, beside), window, tz)
        spans += [(one.start_at.isoformat(), one.end_at.isoformat()) for one in found if one.status != "CANCELLED"]
    return sorted(spans)


def test_a_series_means_the_same_wherever_its_overrides_are_kept(world, provider, calendar, pull, ics):
    weekly = ics("weekly", start="20261124T090000", more="RRULE:FREQ=WEEKLY;COUNT=4\r\n")
    moved = ics("weekly", start="20261203T150000", more="RECURRENCE-ID:20261201T090000Z\r\n")
    gone = ics("weekly", start="20261208T090000", more="RECURRENCE-ID:20261208T090000Z\r\nSTATUS:CANCELLED\r\n")
    parts = [text[text.index("BEGIN:VEVENT") : text.index("END:VCALENDAR")] for text in (weekly, moved, gone)]
    for number in range(3):
        world.put(calendar, f"later{number}", ics(f"later{number}", start="20270301T090000"))
    world.put(calendar, "weekly", weekly.replace(parts[0], "".join(parts)))
    full = pull(provider, calendar)
    window = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    expected = [
        ("2026-11-24T09", "2026-11-24T10"),
        ("2026-12-03T15", "2026-12-03T16"),
        ("2026-12-15T09", "2026-12-15T10"),
    ]
    assert busy(full, window, "Europe/Berlin") == [(f"{a}:00:00+00:00", f"{b}:00:00+00:00") for a, b in expected]
    world.remove(calendar, "weekly")
    later = pull(provider, calendar, full)
    assert ids(later) == []
    series = {event.remote_id: event.series_id or event.remote_id for page in full for event in page.changed}
    uids = {event.remote_id: event.uid for page in full for event in page.changed}
    assert [uids[series[remote_id]] for remote_id in removed(later)] == ["weekly"]


def test_a_pull_that_is_told_what_is_beside_lists_its_own_calendar_alone(world, provider, ics):
    calendars = [world.make_calendar(name, "Europe/Berlin") for name in ("Work", "Home")]
    for calendar in calendars:
        world.put(calendar, calendar.name, ics(calendar.name))
    for calendar, other in zip(calendars, reversed(calendars), strict=True):
        window = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC))
        assert ids(provider.changes(calendar, None, window, None, [other])) == [calendar.name]


def test_a_watched_calendar_tells_of_its_changes_until_it_is_unwatched(world, provider, calendar, ics):
    def watch(channel):
        return provider.watch(calendar, world.address, channel, f"token of {channel}")

    if not provider.capabilities.push:
        with pytest.raises(Unsupported):
            watch("channel-1")
        return
    opened = [watch("channel-1"), watch("channel-2")]
    assert all(one.expires_at > datetime.now(UTC) for one in opened)
    world.put(calendar, "one", ics("one"))
    assert sorted(world.told(calendar)) == [(f"channel-{n}", f"token of channel-{n}") for n in (1, 2)]
    provider.unwatch(opened[0])
    provider.unwatch(opened[0])
    world.put(calendar, "two", ics("two"))
    assert world.told(calendar) == [("channel-2", "token of channel-2")]


LOOKED_AT = Window(datetime(2027, 3, 2, tzinfo=UTC), datetime(2027, 3, 3, tzinfo=UTC))


def test_a_look_lists_whatever_may_have_an_instance_in_the_span(world, provider, calendar, ics):
    at = "20270302T100000"
    texts = {
        "plain": ics("plain", start=at),
        "weekly": ics("weekly", start="20260901T100000", more="RRULE:FREQ=WEEKLY\r\n"),
        "added": ics("added", start="20260902T100000", more=f"RRULE:FREQ=MONTHLY;COUNT=2\r\nRDATE:{at}Z\r\n"),
        "moved": ics("moved", start="20270310T100000", more="RRULE:FREQ=WEEKLY;COUNT=2\r\n"),
        "whole": ics("whole").replace("DTSTART:20261124T090000Z\r\nDURATION:PT1H", "DTSTART;VALUE=DATE:20270302"),
        "around": ics("around", start="20270225T100000").replace("DURATION:PT1H", "DURATION:P9D"),
    }
    override = ics("moved", start=at, more="RECURRENCE-ID:20270310T100000Z\r\n")
    texts["moved"] = texts["moved"].replace("END:VCALENDAR\r\n", "") + override[override.index("BEGIN:VEVENT") :]
    for uid, text in texts.items():
        world.put(calendar, uid, text)
    (glance,) = provider.look([calendar], LOOKED_AT)
    found = {event.uid for event in glance.events if instances(event.skeleton, LOOKED_AT, "Europe/Berlin")}
    assert found == set(texts)
    assert glance.complete
    assert glance.calendar == calendar.remote_id


def test_a_look_shows_calendars_as_they_are_now_and_nothing_private(world, provider, ics):
    calendars = [world.make_calendar(name, "Europe/Berlin") for name in ("Work", "Home")]
    first = provider.look(calendars, LOOKED_AT)
    world.put(calendars[1], "new", ics("new", start="20270302T100000"))
    second = provider.look(calendars, LOOKED_AT)
    assert [[event.uid for event in glance.events] for glance in (*first, *second)] == [[], [], [], ["new"]]
    world.put(calendars[1], "new", ics("new", start="20270302T110000"))
    world.put(calendars[0], "odd", ics("odd").replace("DTSTART:", "DTSTART;TZID=Mars/Olympus:").replace("00Z", "00"))
    third = provider.look(calendars, LOOKED_AT)
    assert "20270302T110000Z" in third[1].events[0].skeleton
    assert "secret" not in repr(third).lower()
    world.remove(calendars[1], "new")
    assert provider.look(calendars[1:], LOOKED_AT)[0].events == ()


def test_a_look_that_is_told_what_was_pulled_leaves_nothing_out_that_changed_since(
    world, provider, calendar, pull, ics
):
    for uid in ("stays", "changes"):
        world.put(calendar, uid, ics(uid, start="20270302T080000"))
    full = pull(provider, calendar)
    known = dict(pull.known[calendar.remote_id])
    told = dataclasses.replace(calendar, pulled=Pulled(full[-1].sync_token, lambda: known))
    (before,) = provider.look([told], LOOKED_AT)
    assert before.complete
    assert {event.uid for event in before.events} <= {"stays", "changes"}
    world.put(calendar, "changes", ics("changes", start="20270302T110000"))
    world.put(calendar, "new", ics("new", start="20270302T120000"))
    (after,) = provider.look([told], LOOKED_AT)
    found = {event.uid: event.skeleton for event in after.events}
    assert after.complete
    assert "DTSTART:20270302T110000Z" in found["changes"]
    assert "new" in found


def test_a_probe_says_how_a_calendar_is_pulled_and_writes_nothing(world, provider, calendar, pull, ics):
    world.put(calendar, "one", ics("one"))
    before = world.texts(calendar)
    probe = provider.probe(calendar)
    assert probe.privileges == ("read", "write")
    assert world.texts(calendar) == before
    full = pull(provider, dataclasses.replace(calendar, probe=probe))
    assert ids(full) == ["one"]
    assert bool(full[-1].sync_token) == (probe.pulls_by != "etags")
    assert all(remark.endswith((".", ")")) for remark in probe.remarks)


def test_a_trial_tells_what_becomes_of_a_series_and_leaves_nothing_behind(world, provider, calendar, pull, ics):
    world.put(calendar, "one", ics("one"))
    before = world.texts(calendar)
    full = pull(provider, calendar)
    probe = provider.probe(calendar, datetime(2027, 2, 1, 9, tzinfo=UTC))
    assert (probe.recurrence, probe.zones) == world.keeps
    assert (None in (probe.preconditions, probe.finds_by_time)) == (probe.zones is None)
    assert world.texts(calendar) == before
    assert ids(pull(provider, calendar, full)) == []


def test_a_calendar_that_is_gone_raises_not_found(world, provider, pull, ics):
    calendar = world.make_calendar("Gone", "Europe/Berlin")
    world.put(calendar, "one", ics("one"))
    full = pull(provider, calendar)
    world.remove_calendar(calendar)
    for since in (full, None):
        with pytest.raises(NotFound) as caught:
            pull(provider, calendar, since)
        assert caught.value.calendar == calendar.remote_id
    for call in (lambda: provider.look([calendar], LOOKED_AT), lambda: provider.probe(calendar)):
        with pytest.raises(NotFound):
            call()


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
