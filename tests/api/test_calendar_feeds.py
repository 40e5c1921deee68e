"""Calendar programs read when a freelancer is free, and their consultations; the public reads no more than the feed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar

from availability import intervals
from syncd import freebusy
from syncd.feed import Feed
from syncd.management.freelancers import find_freelancer
from syncd.store.models import Booking, Consultation
from syncd.sync.staleness import Freshness

WIDE = {"start": "2026-11-22", "end": "2027-02-20"}


def read(house, path: str, **more) -> Calendar:
    answer = house.get(path, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    return Calendar.from_ical(answer.content)


def free_busy(house, who: str = "ada", **more) -> dict[str, list[tuple[int, int]]]:
    """The periods by kind, in seconds, after checking the component's form."""
    [component] = read(house, f"/v1/{who}/freebusy.ics", **more).walk("VFREEBUSY")
    assert component.start < component.end
    assert component["DTSTAMP"].dt.tzinfo is UTC or component["DTSTAMP"].dt.utcoffset() == timedelta()
    assert "SUMMARY" not in component
    lines = component.get("FREEBUSY", [])
    found: dict[str, list[tuple[int, int]]] = {}
    starts = []
    for line in lines if isinstance(lines, list) else [lines]:
        start, end = (int(at.timestamp()) for at in line.dt)
        starts.append(start)
        found.setdefault(line.params["FBTYPE"], []).append((start, end))
    assert starts == sorted(starts)
    return found


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def offered(house, *offers: str) -> list[tuple[int, int]]:
    """The spans that the feed offers, merged."""
    spans = []
    for name in offers:
        slug = name.partition("/")[2]
        with house.services.store.read() as session:
            durations = session.query(Consultation.durations_minutes).filter(Consultation.slug == slug).first()[0]
        for minutes in durations:
            days = house.slots(name, WIDE["start"], WIDE["end"], params={"duration_minutes": minutes})["slots"]
            spans += [(seconds(s["start"]), seconds(s["end"])) for slots in days.values() for s in slots]
    return intervals.of(spans).pairs()


PUBLIC = ("ada/intro", "ada/far", "ada/daily", "ada/lenient")


def only(house, *slugs: str) -> None:
    """Leave only these consultations active."""
    with house.services.store.write() as session:
        for row in find_freelancer(session, "ada").consultations:
            row.active = row.slug in slugs
        find_freelancer(session, "ada").availability_version += 1


# Free and busy, for all


@pytest.mark.parametrize("slugs", [("intro",), ("intro", "daily"), ("intro", "chat", "secret"), ()])
def test_the_public_learns_exactly_what_the_feed_tells(house, slugs):
    house.busy("2026-11-23T09:30+00:00", "2026-11-23T10:30+00:00")
    house.busy("2026-11-25T00:00+00:00", "2026-11-26T00:00+00:00", "Private")
    house.pull()
    house.book("2026-11-24T14:00:00+00:00", "ada/daily")
    only(house, *slugs)
    found = free_busy(house)
    assert set(found) == {"BUSY-UNAVAILABLE"}
    public = [f"ada/{slug}" for slug in slugs if f"ada/{slug}" in PUBLIC]
    closed = intervals.of(found["BUSY-UNAVAILABLE"])
    horizon = (min(closed.starts), max(closed.ends))
    open_ = intervals.subtract(intervals.of([horizon]), closed)
    assert open_.pairs() == offered(house, *public)


def test_the_public_cant_tell_busy_from_closed(make_twins):
    """A freelancer whose hours end and one who is busy there look the same to everyone without a key."""
    closed, busy = make_twins("monday = ['09:00-12:00']", "monday = ['09:00-17:00']")
    for week in range(12):
        day = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(weeks=week)
        busy.busy((day + timedelta(hours=12)).isoformat(), (day + timedelta(hours=17)).isoformat())
    busy.pull()
    paths = ["/v1/ada/freebusy.ics", "/v1/ada/intro/slots?start=2026-11-22&end=2026-12-20", "/v1/ada"]
    paths += ["/v1/next?consultations=ada/intro", "/v1/ada/intro/slots?start=2026-11-24&end=2026-11-25"]
    for path in paths:
        one, other = closed.get(path), busy.get(path)
        assert one.status_code == 200
        assert one.text == other.text
        assert one.headers["ETag"] == other.headers["ETag"]


def test_a_private_profile_tells_nothing_without_a_key(house, problem_of):
    with house.services.store.write() as session:
        find_freelancer(session, "ada").profile = "private"
    problem_of(house.get("/v1/ada/freebusy.ics"), 404, "not-found")
    assert free_busy(house, token=house.key("slots:read")) == {}


def test_what_is_unknown_is_neither_free_nor_busy(house, problem_of):
    house.clock.forward(minutes=31)
    problem_of(house.get("/v1/ada/freebusy.ics"), 503, "availability-unknown")
    problem_of(house.get("/v1/ada/freebusy.ics", token=house.key("slots:read")), 503, "availability-unknown")


def test_it_is_sent_again_only_when_it_changes(house):
    first = house.get("/v1/ada/freebusy.ics")
    known = {"If-None-Match": first.headers["ETag"]}
    house.clock.forward(minutes=5)
    assert house.get("/v1/ada/freebusy.ics", headers=known).status_code == 304
    house.book("2026-11-24T14:00:00+00:00", "ada/daily")
    assert house.get("/v1/ada/freebusy.ics", headers=known).status_code == 200


def test_what_the_public_is_told_is_reckoned_once_until_it_changes(house, monkeypatch):
    reckoned = []
    reckon = freebusy.told_to_all
    monkeypatch.setattr(freebusy, "told_to_all", lambda *asked: reckoned.append(asked) or reckon(*asked))
    first = free_busy(house)
    house.clock.forward(minutes=5)
    assert free_busy(house) == first
    assert len(reckoned) == 1
    house.busy("2026-11-24T09:00+00:00", "2026-11-24T12:00+00:00")
    house.pull()
    assert free_busy(house) != first
    assert len(reckoned) == 2


@pytest.mark.parametrize("minutes", [1, 5, 15, 20, 45, 90, 600, 1439, 1440])
def test_what_is_kept_for_the_public_is_what_would_be_told_now(house, minutes):
    """A slot that has come too near, one that has come near enough, and a new day all change it."""
    house.clock.set("2026-11-23T08:50:00+00:00")
    house.pull()
    only(house, "intro", "daily", "far")
    house.services.situations.freshness = Freshness(timedelta(days=3), timedelta(days=3))
    free_busy(house)
    house.clock.forward(minutes=minutes)
    kept = free_busy(house)
    house.services.feed = Feed(house.services.situations)
    assert free_busy(house) == kept


# Free and busy, for a key


def test_a_key_learns_merged_busy_and_booked_time(house):
    house.busy("2026-11-23T09:30+00:00", "2026-11-23T10:30+00:00", title="Dentist")
    house.busy("2026-11-23T10:00+00:00", "2026-11-23T11:00+00:00", "Private")
    house.pull()
    house.book("2026-11-23T11:00:00+00:00", "ada/daily")
    house.pull()  # our own event has come back, and counts once
    found = free_busy(house, token=house.key("slots:read"))
    assert found == {"BUSY": [(seconds("2026-11-23T09:30+00:00"), seconds("2026-11-23T11:30+00:00"))]}
    assert "Dentist" not in house.get("/v1/ada/freebusy.ics", token=house.key("slots:read")).text


def test_what_is_not_confirmed_yet_is_tentative_and_goes_when_it_lapses(house):
    held = house.book("2026-11-24T14:00:00+00:00", "ada/daily")["id"]
    waiting = house.book("2026-11-23T15:00:00+00:00", "ada/daily")["id"]
    house.busy("2026-11-24T14:15+00:00", "2026-11-24T16:00+00:00")
    house.pull()
    with house.services.store.write() as session:
        hold, pending = session.get_one(Booking, held), session.get_one(Booking, waiting)
        hold.state, hold.hold_expires_at = "held", house.clock.now + timedelta(minutes=5)
        pending.state, pending.overdue_at = "pending", house.clock.now + timedelta(minutes=9)
        pending.freelancer.availability_version += 1
    key = house.key("slots:read")
    busy = (seconds("2026-11-24T14:15+00:00"), seconds("2026-11-24T16:00+00:00"))
    hold_left = (seconds("2026-11-24T14:00+00:00"), seconds("2026-11-24T14:15+00:00"))
    wait = (seconds("2026-11-23T15:00+00:00"), seconds("2026-11-23T15:30+00:00"))
    assert free_busy(house, token=key) == {"BUSY": [busy], "BUSY-TENTATIVE": [wait, hold_left]}
    house.clock.forward(minutes=5)
    assert free_busy(house, token=key) == {"BUSY": [busy], "BUSY-TENTATIVE": [wait]}
    house.clock.forward(minutes=4)
    assert free_busy(house, token=key) == {"BUSY": [busy]}


def test_a_key_of_another_freelancer_learns_what_the_public_does(house):
    house.busy("2026-11-23T09:30+00:00", "2026-11-23T10:30+00:00")
    house.pull()
    found = free_busy(house, token=house.key("slots:read", freelancer="bob"))
    assert set(found) == {"BUSY-UNAVAILABLE"}


# The consultations


@pytest.fixture
def token(house) -> str:
    with house.services.store.read() as session:
        return house.services.vault.feed_token(find_freelancer(session, "ada").id, 1)


def events(house, **more) -> dict[str, dict]:
    calendar = read(house, "/v1/ada/bookings.ics", **more)
    assert "METHOD" not in calendar
    return {str(event["UID"]): event for event in calendar.walk("VEVENT")}


def test_the_feed_lists_consultations_with_who_comes(house, token):
    booking = house.book("2026-11-24T14:00:00+00:00", "ada/daily")
    [(uid, event)] = events(house, params={"token": token}).items()
    assert booking["id"] in uid
    assert str(event["SUMMARY"]) == "Daily: Grace Hopper"
    assert (event.start, event.end) == (
        datetime(2026, 11, 24, 14, tzinfo=UTC),
        datetime(2026, 11, 24, 14, 30, tzinfo=UTC),
    )
    assert (event["STATUS"], event["SEQUENCE"], event["TRANSP"]) == ("CONFIRMED", 0, "OPAQUE")
    assert "ATTENDEE" not in event
    assert "grace@example.com" not in house.get("/v1/ada/bookings.ics", params={"token": token}).text


def test_a_moved_consultation_keeps_its_uid_with_a_higher_sequence_and_a_cancelled_one_goes(house, token):
    booking = house.book("2026-11-24T14:00:00+00:00", "ada/daily")
    [uid] = events(house, params={"token": token})
    house.post(f"/v1/bookings/{booking['id']}/reschedule", {"start": "2026-11-25T09:00:00Z"}, token=booking["token"])
    [(moved, event)] = events(house, params={"token": token}).items()
    assert (moved, event["SEQUENCE"], event.start.day) == (uid, 1, 25)
    house.post(f"/v1/bookings/{booking['id']}/cancel", {}, token=booking["token"])
    assert events(house, params={"token": token}) == {}


def test_what_waits_for_approval_is_tentative_and_a_hold_is_not_listed(house, token):
    names = {}
    for start, state in (("2026-11-24T14:00:00Z", "held"), ("2026-11-25T14:00:00Z", "pending")):
        names[state] = house.book(start, "ada/lenient")["id"]
        with house.services.store.write() as session:
            booking = session.get_one(Booking, names[state])
            booking.state = state
            booking.overdue_at = booking.hold_expires_at = house.clock.now + timedelta(minutes=9)
    [(uid, event)] = events(house, params={"token": token}).items()
    assert names["pending"] in uid
    assert event["STATUS"] == "TENTATIVE"


@pytest.mark.parametrize(("days", "shown"), [(29, 1), (32, 0)])
def test_it_goes_back_thirty_days(house, token, days, shown):
    house.book("2026-11-24T14:00:00+00:00", "ada/daily")
    house.clock.set("2026-11-24T15:00:00+00:00")
    house.clock.forward(days=days)
    assert len(events(house, params={"token": token})) == shown


def test_an_unchanged_list_is_not_sent_again(house, token):
    known = {"If-None-Match": house.get("/v1/ada/bookings.ics", params={"token": token}).headers["ETag"]}
    assert house.get("/v1/ada/bookings.ics", params={"token": token}, headers=known).status_code == 304
    house.book("2026-11-24T14:00:00+00:00", "ada/daily")
    assert house.get("/v1/ada/bookings.ics", params={"token": token}, headers=known).status_code == 200


def test_only_its_token_or_a_key_opens_it(house, token, problem_of):
    path = "/v1/ada/bookings.ics"
    assert house.get(path, token=house.key("bookings:read")).status_code == 200
    assert house.get(path, token=token).status_code == 200
    problem_of(house.get(path), 401, "unauthorized")
    problem_of(house.get(path, params={"token": token[:-1] + "x"}), 401, "unauthorized")
    problem_of(house.get("/v1/bob/bookings.ics", params={"token": token}), 401, "unauthorized")
    problem_of(house.get("/v1/nobody/bookings.ics", params={"token": token}), 401, "unauthorized")
    problem_of(house.get(path, token=house.key("slots:read")), 403, "forbidden")
    problem_of(house.get(path, token=house.key("bookings:read", freelancer="bob")), 404, "not-found")


def test_the_address_that_management_gives_works(house):
    feed = house.get("/v1/freelancers/ada", token=house.key("manage", "bookings:read")).json()["bookings_feed"]
    path = feed.removeprefix("https://book.example")
    assert house.get(path).status_code == 200


def test_who_may_not_read_bookings_is_not_shown_their_address(house):
    assert house.get("/v1/freelancers/ada", token=house.key("manage")).json()["bookings_feed"] is None
    listed = house.get("/v1/freelancers", token=house.key("manage", freelancer=None)).json()["data"]
    assert {one["bookings_feed"] for one in listed} == {None}


def test_a_renewed_address_takes_the_place_of_the_one_before_also_for_whom_the_file_declares(house, token, problem_of):
    key = house.key("manage", "bookings:read")
    answer = house.call("PATCH", "/v1/freelancers/ada", json={"renew_bookings_feed": True}, token=key)
    path = answer.json()["bookings_feed"].removeprefix("https://book.example")
    assert house.get(path).status_code == 200
    problem_of(house.get("/v1/ada/bookings.ics", params={"token": token}), 401, "unauthorized")
    problem_of(house.call("PATCH", "/v1/freelancers/ada", json={"name": "A"}, token=key), 403, "read-only")
    assert house.get("/v1/freelancers/ada", token=key).json()["bookings_feed"].endswith(path)


def test_a_removed_freelancers_address_opens_nothing_for_one_who_comes_back(house, problem_of):
    key, new = house.key("manage", "bookings:read", freelancer=None), {"handle": "grace", "time_zone": "UTC"}
    before = house.post("/v1/freelancers", new, token=key).json()["bookings_feed"].removeprefix("https://book.example")
    assert house.call("DELETE", "/v1/freelancers/grace", token=key).status_code == 204
    problem_of(house.get(before), 401, "unauthorized")
    assert house.post("/v1/freelancers", new, token=key).status_code == 201
    problem_of(house.get(before), 401, "unauthorized")
