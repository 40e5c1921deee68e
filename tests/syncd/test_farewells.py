"""What is owed to a provider when an account ends is said, tried again, and given up after three days."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from fake_google_accounts import client_of, connection_to, grant_of
from sqlalchemy import select, update

from providers import open_provider
from providers.model import OAuthClient, RemoteCalendar
from syncd.ids import new_id
from syncd.store import farewells
from syncd.store.access import Access, Reach, renew_access
from syncd.store.models import Account, Channel, Farewell
from syncd.sync import sign_in
from syncd.sync.farewells import Saying, deliver_farewells
from syncd.sync.listing import apply_listing

ADA = "ada@example.com"
GONE = "http://127.0.0.1:1"


class Leaving:
    """An installation with Google accounts, and what it owes Google."""

    def __init__(self, house, google):
        self.house, self.google, self.reach = house, google, Reach(google=client_of(google))
        google.channels.allow_http = True

    def account(self, name="google", user=ADA):
        """A connected account with one calendar; returns its id."""
        grant = grant_of(self.google, user=user)
        with self.house.services.store.write() as session:
            like = session.scalars(select(Account).where(Account.name == "home")).one()
            kept = {c.name: getattr(like, c.name) for c in Account.__table__.columns}
            kept |= {"id": new_id("acc"), "name": name, "provider": "google", "credential": None, "declared": False}
            row = Account(**kept)
            session.add(row)
            session.flush()
            renew_access(row, self.house.services.vault, Access("", user, grant.text()), self.house.now)
            apply_listing(row, [RemoteCalendar(user, user, is_primary=True)], self.house.now)
            return row.id

    def watch(self, account_id, *, known=True):
        """Open a channel of the account's calendar."""
        with self.house.services.store.write() as session:
            row = session.get_one(Account, account_id)
            (calendar,) = row.calendars
            channel = Channel(id=new_id("ch"), calendar_id=calendar.id, created_at=self.house.now, retired=False)
            if known:
                connection = connection_to(self.google)
                with contextlib.closing(open_provider("google", connection)) as provider:
                    remote = next(c for c in provider.list_calendars() if c.is_primary)
                    watch = provider.watch(remote, "http://127.0.0.1:9/hooks/google", channel.id, "token")
                channel.resource_id, channel.expires_at = watch.resource_id, watch.expires_at
            session.add(channel)
            return channel.id

    def leave(self, account_id):
        with self.house.services.store.write() as session:
            row = session.get_one(Account, account_id)
            farewells.owe(session, row, self.house.now)
            row.active, row.credential = False, None

    def begin(self):
        """Somebody begins to sign in."""
        with self.house.services.store.write() as session:
            sign_in.make_room(session, self.house.now)

    def say(self):
        services = self.house.services
        saying = Saying(services.store, services.vault, self.reach, open_provider, self.house.clock, patience=2.0)
        return deliver_farewells(saying)

    def owed(self):
        with self.house.services.store.read() as session:
            return session.scalars(select(Farewell)).all()


@pytest.fixture
def leaving(make_house, google):
    house = make_house()
    house.now = datetime.now(UTC)
    return Leaving(house, google)


def test_channels_are_closed_and_then_the_permission_is_given_back(leaving, google):
    account = leaving.account()
    leaving.watch(account)
    assert len(google.channels.open) == 1
    leaving.leave(account)
    assert leaving.say() == 0
    assert (google.channels.open, google.oauth.permissions) == ({}, {})
    with leaving.house.services.store.read() as session:
        assert not session.scalars(select(Channel)).all()


def test_a_permission_that_the_person_took_back_is_no_longer_owed(leaving, google):
    account = leaving.account()
    leaving.watch(account)
    leaving.leave(account)
    google.revoke()
    assert leaving.say() == 0
    assert leaving.owed() == []


def test_a_channel_that_was_never_heard_of_needs_no_closing(leaving, google):
    account = leaving.account()
    leaving.watch(account, known=False)
    leaving.leave(account)
    assert leaving.say() == 0
    assert google.oauth.permissions == {}


def test_what_is_owed_is_kept_without_anything_that_can_be_read(leaving, google):
    account = leaving.account()
    leaving.leave(account)
    (kept,) = leaving.owed()
    (token,) = google.oauth.lasting
    assert token.encode() not in kept.sealed
    assert b"ada@" not in kept.sealed
    assert set(json.loads(kept.sealed)) == {"secret", "channels"}, "nor anything that a guess could be compared with"


def test_it_is_tried_again_with_growing_pauses_and_given_up_after_three_days(leaving, google):
    leaving.leave(leaving.account())
    google_there = leaving.reach
    leaving.reach = Reach(google=OAuthClient("x", "y", GONE, GONE, GONE, GONE))
    pauses = []
    while leaving.owed():
        assert len(pauses) < 50
        leaving.say()
        if found := leaving.owed():
            pauses.append(found[0].due_at - leaving.house.now)
            assert leaving.say() == 1, "and not before it is due"
            leaving.house.now = found[0].due_at
    assert pauses[0] < timedelta(minutes=2)
    assert max(pauses) <= timedelta(hours=6)
    assert sum(pauses, timedelta()) >= timedelta(days=3)
    leaving.reach = google_there
    assert leaving.say() == 0
    assert google.oauth.permissions


def test_without_a_client_of_google_it_waits(leaving, google):
    leaving.leave(leaving.account())
    there, leaving.reach = leaving.reach, Reach()
    assert leaving.say() == 1
    leaving.reach = there
    leaving.house.later(hours=1)
    assert leaving.say() == 0
    assert google.oauth.permissions == {}


def test_what_another_process_is_saying_is_left_to_it_and_taken_up_if_it_dies(leaving, google):
    leaving.leave(leaving.account())
    services = leaving.house.services
    with services.store.write() as session:
        assert len(farewells.take_due(session, services.vault, leaving.house.now)) == 1
    assert leaving.say() == 1
    assert google.oauth.permissions
    leaving.house.later(minutes=3)
    assert leaving.say() == 0
    assert google.oauth.permissions == {}


@pytest.mark.parametrize("user", [ADA, "Ada@Example.com"])
def test_a_permission_that_another_account_of_that_user_lives_by_stays(leaving, google, user):
    first, second = leaving.account(), leaving.account("second")
    with leaving.house.services.store.write() as session:
        session.execute(update(Account).where(Account.id == second).values(username=user))
    leaving.leave(first)
    assert leaving.say() == 0
    assert google.oauth.permissions
    leaving.leave(second)
    assert leaving.say() == 0
    assert google.oauth.permissions == {}


def test_a_permission_of_nobody_knows_whom_stays_while_any_account_lives_by_one(leaving, google):
    first, second = leaving.account(user="bob@example.com"), leaving.account("second")
    with leaving.house.services.store.write() as session:
        row = session.get_one(Account, first)
        row.credential = leaving.house.services.vault.seal(grant_of(google, user="bob@example.com").text())
    leaving.leave(first)
    assert leaving.say() == 0
    assert len(google.oauth.permissions) == 2
    leaving.leave(second)
    assert leaving.say() == 0
    assert {user for user, _ in google.oauth.permissions} == {"bob@example.com"}


def test_a_late_farewell_waits_while_somebody_signs_in_but_not_for_ever(leaving, google):
    leaving.leave(leaving.account())
    there, leaving.reach = leaving.reach, Reach()
    assert leaving.say() == 1, "Google can't be reached"
    leaving.reach, until = there, leaving.house.now + timedelta(days=3)
    while leaving.house.now < until:
        leaving.begin()
        leaving.house.later(minutes=9)
        leaving.begin()
        leaving.house.later(minutes=9)
        assert leaving.say() == 1
        leaving.house.later(hours=9)
    leaving.begin()
    assert leaving.say() == 0
    assert google.oauth.permissions == {}


def test_a_farewell_that_is_said_this_moment_waits_for_nobody(leaving, google):
    leaving.leave(leaving.account())
    leaving.begin()
    assert leaving.say() == 0
    assert google.oauth.permissions == {}


def test_only_who_signed_in_has_anything_to_give_back(leaving):
    with leaving.house.services.store.write() as session:
        home = session.scalars(select(Account).where(Account.name == "home")).one()
        farewells.owe(session, home, leaving.house.now)
    assert leaving.owed() == []


def test_a_secret_that_was_never_a_permission_is_dropped(leaving):
    account = leaving.account()
    with leaving.house.services.store.write() as session:
        session.get_one(Account, account).credential = leaving.house.services.vault.seal("a password")
    leaving.leave(account)
    assert leaving.say() == 0
