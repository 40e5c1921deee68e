"""What every provider promises about writing: one test for each sentence of `providers.port`."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from providers.errors import AlreadyExists, ETagMismatch, NotFound, Unavailable


def edited(text, old, new):
    assert old in text
    return text.replace(old, new)


def test_create_writes_one_event_and_returns_its_ref_with_the_etag(world, provider, calendar, pull, consultation):
    event = consultation(sequence=3)
    ref = provider.create(calendar, event, "bkg-1@syncd")
    assert (ref.calendar, ref.uid) == (calendar.remote_id, world.uid("bkg-1@syncd"))
    written = provider.get(ref)
    assert written.ref.etag == ref.etag
    assert (written.start_at, written.end_at) == (event.start_at, event.end_at)
    assert (written.sequence, written.status, written.booking_id) == (3, "CONFIRMED", "bkg_1")
    (text,) = world.texts(calendar)
    assert f"UID:{ref.uid}" in text
    (listed,) = [one for page in pull(provider, calendar) for one in page.changed]
    assert (listed.remote_id, listed.uid) == (ref.remote_id, ref.uid)
    assert provider.update(ref, event, listed.etag).etag


def test_create_with_a_used_key_raises_already_exists_and_changes_nothing(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    before = world.texts(calendar)
    with pytest.raises(AlreadyExists):
        provider.create(calendar, consultation(hour=15, title="Another"), "key")
    assert world.texts(calendar) == before
    assert provider.get(ref).ref.etag == ref.etag


def test_find_returns_what_create_with_that_key_made_or_none(provider, calendar, consultation):
    assert provider.find(calendar, "key") is None
    ref = provider.create(calendar, consultation(), "key")
    found = provider.find(calendar, "key")
    assert found == provider.get(ref)
    assert found.ref == ref
    assert provider.find(calendar, "other") is None


def test_a_key_with_odd_characters_comes_back_as_the_same_remote_id(provider, calendar, pull, consultation):
    ref = provider.create(calendar, consultation(), "Bkg_1~2+ä@syncd.example")
    assert provider.find(calendar, "Bkg_1~2+ä@syncd.example").ref == ref
    assert [event.remote_id for page in pull(provider, calendar) for event in page.changed] == [ref.remote_id]


def test_get_returns_the_event_as_it_is_now_or_raises_not_found(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    (text,) = world.texts(calendar)
    world.put(calendar, "key", edited(text, "T090000Z", "T100000Z").replace("T093000Z", "T110000Z"))
    now = provider.get(ref)
    assert (now.start_at.hour, now.end_at.hour) == (10, 11)
    assert now.ref.etag != ref.etag
    world.remove(calendar, "key")
    with pytest.raises(NotFound):
        provider.get(ref)


def test_update_changes_the_fields_that_are_ours_and_keeps_everything_else(world, provider, calendar, consultation):
    provider.create(calendar, consultation(), "key")
    (text,) = world.texts(calendar)
    alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:soon\r\nTRIGGER:-PT10M\r\nEND:VALARM\r\n"
    kept = "COLOR:tomato\r\nX-NOTE;X-KIND=mine:bring the contract\r\n" + alarm
    text = edited(text, "Booked by Bob.", "My own notes").replace("END:VEVENT", kept + "END:VEVENT")
    world.put(calendar, "key", text)
    ref = provider.find(calendar, "key").ref
    new = provider.update(ref, consultation(hour=14, sequence=1, title="Moved", location="Room 5"), ref.etag)
    assert dataclasses.replace(new, etag=None) == dataclasses.replace(ref, etag=None)
    assert new.etag != ref.etag
    (text,) = world.texts(calendar)
    for line in (
        f"UID:{world.uid('key')}",
        "SUMMARY:Moved",
        "LOCATION:Room 5",
        "My own notes",
        "COLOR:tomato",
        "bring the contract",
    ):
        assert line in text
    assert "TRIGGER:-PT10M" in text
    assert "Intro call" not in text
    now = provider.get(new)
    assert (now.ref, now.start_at.hour, now.sequence) == (new, 14, 1)


def test_an_update_never_lowers_or_raises_the_sequence_by_itself(provider, calendar, consultation):
    ref = provider.create(calendar, consultation(sequence=2), "key")
    ref = provider.update(ref, consultation(sequence=2, title="Same time"), ref.etag)
    assert provider.get(ref).sequence == 2


def test_an_update_with_a_stale_etag_raises_and_changes_nothing(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    (text,) = world.texts(calendar)
    world.put(calendar, "key", edited(text, "Intro call", "Renamed call"))
    before = world.texts(calendar)
    with pytest.raises(ETagMismatch):
        provider.update(ref, consultation(hour=16), ref.etag)
    assert world.texts(calendar) == before


def test_an_update_of_a_missing_event_raises_not_found_and_makes_none(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    world.remove(calendar, "key")
    with pytest.raises(NotFound):
        provider.update(ref, consultation(hour=16), ref.etag)
    assert world.texts(calendar) == []


@pytest.mark.parametrize("conditional", [True, False])
def test_delete_removes_the_event_and_succeeds_when_it_is_gone(world, provider, calendar, consultation, conditional):
    ref = provider.create(calendar, consultation(), "key")
    provider.create(calendar, consultation("bkg_2", hour=12), "stays")
    provider.delete(ref, ref.etag if conditional else None)
    assert [text for text in world.texts(calendar) if f"UID:{ref.uid}" in text] == []
    assert len(world.texts(calendar)) == 1
    provider.delete(ref, ref.etag if conditional else None)


def test_a_delete_with_a_stale_etag_raises_and_changes_nothing(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    (text,) = world.texts(calendar)
    world.put(calendar, "key", edited(text, "Intro call", "Renamed call"))
    before = world.texts(calendar)
    with pytest.raises(ETagMismatch):
        provider.delete(ref, ref.etag)
    assert world.texts(calendar) == before


def test_in_a_calendar_that_is_gone_there_is_nothing(world, provider, consultation):
    calendar = world.make_calendar("Brief", "Europe/Berlin")
    ref = provider.create(calendar, consultation(), "key")
    world.remove_calendar(calendar)
    assert provider.find(calendar, "key") is None
    for if_match in (None, ref.etag):
        provider.delete(ref, if_match)
    calls = [
        lambda: provider.get(ref),
        lambda: provider.update(ref, consultation(hour=11), ref.etag),
        lambda: provider.create(calendar, consultation(), "other"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


def test_no_call_notifies_anyone(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    provider.update(ref, consultation(hour=11, sequence=1), ref.etag)
    (text,) = world.texts(calendar)
    assert "ATTENDEE" not in text
    assert "ORGANIZER" not in text


def test_a_meeting_link_is_made_where_the_calendar_makes_such(provider, calendar, consultation):
    ref = provider.create(calendar, dataclasses.replace(consultation(), wants_link=True), "key")
    for _ in range(3):  # it may take a while
        ref = provider.get(ref).ref
    assert not ref.link_pending
    assert bool(ref.join_url) == calendar.makes_links
    again = provider.update(ref, dataclasses.replace(consultation(hour=15, sequence=1), wants_link=True), ref.etag)
    assert again.join_url == ref.join_url


def test_what_was_deleted_can_be_created_again_under_a_new_key(world, provider, calendar, consultation):
    provider.delete(provider.create(calendar, consultation(), "key-1"), None)
    provider.create(calendar, consultation(), "key-2")
    assert len(world.texts(calendar)) == 1


def test_a_create_whose_answer_was_lost_can_be_sent_again(world, provider, calendar, consultation):
    world.lose_next_answer()
    with contextlib.suppress(Unavailable, AlreadyExists):  # what was cut off may have been sent again by itself
        provider.create(calendar, consultation(), "key")
    with pytest.raises(AlreadyExists):
        provider.create(calendar, consultation(), "key")
    assert provider.find(calendar, "key").booking_id == "bkg_1"
    assert len(world.texts(calendar)) == 1


def test_an_update_whose_answer_was_lost_can_be_sent_again(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    moved = consultation(hour=17, sequence=1)
    world.lose_next_answer()
    with contextlib.suppress(Unavailable, ETagMismatch):
        provider.update(ref, moved, ref.etag)
    with pytest.raises(ETagMismatch):
        provider.update(ref, moved, ref.etag)
    now = provider.get(ref)
    assert (now.start_at, now.sequence) == (moved.start_at, 1)
    again = provider.update(now.ref, moved, now.ref.etag)
    assert provider.get(again).sequence == 1


def test_a_delete_whose_answer_was_lost_can_be_sent_again(world, provider, calendar, consultation):
    ref = provider.create(calendar, consultation(), "key")
    world.lose_next_answer()
    with contextlib.suppress(Unavailable):
        provider.delete(ref, ref.etag)
    provider.delete(ref, ref.etag)
    assert world.texts(calendar) == []
