"""Clients are invited by the provider of the target where their freelancer wants it, and by nobody else."""

from __future__ import annotations

import pytest

from providers import memory
from providers.errors import ETagMismatch, Unavailable
from providers.memory import MemoryProvider
from providers.model import Attendee, Connection, ConsultationEvent, EventRef
from syncd.booking.describe import describe
from syncd.doctor.offers import examined
from syncd.store.models import Account, Booking, Freelancer

GRACE = Attendee("grace@example.org", "Grace")


class Listening(MemoryProvider):
    """A provider that notes of each write whom it would have mailed."""

    mailed: list[tuple[str, bool]]

    def create(self, calendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        self.mailed.append(("create", event.attendee is not None))
        return super().create(calendar, event, idempotency_key)

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        self.mailed.append(("update", ref.invited))
        return super().update(ref, event, if_match)

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        self.mailed.append(("delete", ref.invited))
        super().delete(ref, if_match)


@pytest.fixture
def mailed(house):
    """The writes at a house's provider, each with whether anyone is mailed."""
    found: list[tuple[str, bool]] = []

    def opened(_kind: str, connection: Connection) -> Listening:
        provider = Listening(memory.account(connection.url), connection)
        provider.mailed = found
        return provider

    house.shop = house.workshop(opened)
    return found


def invite_by(house, who: str) -> None:
    with house.services.store.write() as session:
        session.query(Freelancer).one().invite = who


def told(house) -> list[str]:
    with house.services.store.read() as session:
        return [finding.what for finding in examined(session, house.services.situations, house.now)]


@pytest.mark.parametrize("who", ["provider", "none", "syncd"])
def test_the_client_is_told_of_creation_change_and_removal_only_by_a_provider_that_invites(house, at, mailed, who):
    invite_by(house, who)
    booking = house.book(at(12))
    house.sync()
    house.reschedule(booking, at(14))
    house.sync()
    house.cancel(booking)
    house.sync()
    assert mailed == [(call, who == "provider") for call in ("create", "update", "delete")]
    assert house.remote.attendees == ({f"{booking}-1": GRACE} if who == "provider" else {})


@pytest.mark.parametrize("who", ["provider", "none"])
def test_who_was_invited_is_told_whatever_is_set_by_then(house, at, mailed, who):
    invite_by(house, who)
    booking = house.book(at(12))
    house.sync()
    invite_by(house, "none" if who == "provider" else "provider")
    house.reschedule(booking, at(14))
    house.sync()
    house.cancel(booking)
    house.sync()
    assert mailed == [(call, who == "provider") for call in ("create", "update", "delete")]


def test_an_event_whose_creation_was_never_confirmed_is_taken_back_with_a_word_to_the_client(house, at, mailed):
    invite_by(house, "provider")
    booking = house.book(at(12))
    house.remote.fail_next(Unavailable("the answer was lost"), after_effect=True)
    house.sync()
    house.cancel(booking)
    house.later(minutes=2)
    house.sync()
    assert mailed == [("create", True), ("delete", True)]
    assert house.remote.texts("Work") == {}


def test_a_removal_that_has_to_read_first_tells_the_client_all_the_same(house, at, mailed):
    invite_by(house, "provider")
    booking = house.book(at(12))
    house.sync()
    house.remote.fail_next(ETagMismatch())
    house.cancel(booking)
    house.sync()
    assert mailed == [("create", True), ("delete", True), ("delete", True)]


def test_who_left_no_address_is_not_invited(house, at):
    invite_by(house, "provider")
    booking_id = house.book(at(12))
    with house.services.store.write() as session:
        booking = session.get_one(Booking, booking_id)
        booking.client = {"name": "Grace"}
        assert describe(booking).attendee is None


def test_an_event_in_the_calendar_names_nobody_that_could_be_mailed_by_its_server(house, at):
    invite_by(house, "provider")
    house.book(at(12))
    house.sync()
    (text,) = house.remote.texts("Work").values()
    assert "ATTENDEE" not in text
    assert "ORGANIZER" not in text


@pytest.mark.parametrize(("provider", "who"), [("caldav", "provider"), ("google", "provider"), ("caldav", "none")])
def test_the_doctor_says_where_nobody_is_invited(house, provider, who):
    invite_by(house, who)
    with house.services.store.write() as session:
        session.query(Account).one().provider = provider
    what = 'ada has invite = "provider", but nobody is invited: home/Work is CalDAV'
    assert (what in told(house)) == ((provider, who) == ("caldav", "provider"))
