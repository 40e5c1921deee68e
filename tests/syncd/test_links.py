"""Private links: whose token opens what, and when a link is open (contract §4, §5)."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.booking import links
from syncd.booking.links import LinkTerms
from syncd.errors import ApiError
from syncd.secrets import Vault
from syncd.store import offers
from syncd.store.links import links_of, uses_of
from syncd.store.models import Booking, Link

SOON = timedelta(hours=1)


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.open(tmp_path_factory.mktemp("links") / "secret.key", create=True)


@pytest.fixture
def make(house):
    """Make a link to ada/intro and return its id."""

    def make(uses=1, expires_at=None, **terms):
        with house.services.store.write() as session:
            offer = offers.find_offer(session, "ada", "intro")
            return links.make_link(session, offer, LinkTerms(uses, expires_at, **terms), house.now).id

    return make


@pytest.fixture
def booked(house):
    """Book by a link, or as if by it, and give the booking these members."""

    def booked(link_id, start, **members):
        booking_id = house.book(start)
        with house.services.store.write() as session:
            booking = session.get_one(Booking, booking_id)
            for name, value in {"link_id": link_id, **members}.items():
                setattr(booking, name, value)
        return booking_id

    return booked


def closed(house, link_id):
    """Why a link is closed now; None for an open one."""
    with house.services.store.read() as session:
        try:
            links.check_open(session, link_id, house.now)
        except ApiError as error:
            return f"{error.problem.status} {error.code}: {error.detail}"
    return None


def used(house, *link_ids):
    with house.services.store.read() as session:
        return list(uses_of(session, link_ids, house.now).values())


# Tokens


def test_a_token_names_its_link_and_is_the_same_again(vault):
    token = vault.link_token("lnk_abc")
    assert token.startswith("blt_lnk_abc_")
    assert token == vault.link_token("lnk_abc")
    assert vault.link_id(token) == "lnk_abc"


def test_no_other_character_anywhere_in_a_token_will_do(vault):
    token = vault.link_token("lnk_abc")
    for at, right in enumerate(token):
        for other in string.ascii_letters + string.digits + "-_~ ":
            assert other == right or vault.link_id(token[:at] + other + token[at + 1 :]) is None


def test_a_token_of_another_kind_is_no_link(vault):
    token = vault.link_token("lnk_abc")
    mac = token.rpartition("lnk_abc_")[2]
    assert not vault.is_booking_token(f"bkt_{mac}", "lnk_abc", 1)
    assert not vault.is_feed_token(f"bft_{mac}", "lnk_abc", 1)
    assert vault.link_id(f"blt_lnk_abc_{vault.booking_token('lnk_abc', 1).removeprefix('bkt_')}") is None
    assert vault.link_id(f"blt_lnk_abc_{vault.feed_token('lnk_abc', 1).removeprefix('bft_')}") is None
    assert vault.link_id(f"blt_lnk_abc_{vault.address_mark('lnk_abc')}") is None


def test_the_token_of_another_installation_is_forged(vault, tmp_path: Path):
    other = Vault.open(tmp_path / "secret.key", create=True)
    assert vault.link_id(other.link_token("lnk_abc")) is None


def test_tokens_survive_a_change_of_keys_until_the_old_key_goes(tmp_path: Path):
    path = tmp_path / "secret.key"
    old = Vault.open(path, create=True)
    token, feed = old.link_token("lnk_abc"), old.feed_token("frl_a", 1)
    new = Vault.open(tmp_path / "new.key", create=True)
    path.write_bytes((tmp_path / "new.key").read_bytes() + path.read_bytes())
    both = Vault.open(path, create=False)
    assert both.link_id(token) == "lnk_abc"
    assert both.is_feed_token(feed, "frl_a", 1)
    assert both.link_token("lnk_abc") == new.link_token("lnk_abc") != token
    assert new.link_id(token) is None
    assert not new.is_feed_token(feed, "frl_a", 1)


@given(st.text() | st.text().map("blt_".__add__) | st.text().map("blt_lnk_abc_".__add__))
def test_no_text_is_a_token_or_an_accident(text):
    vault = Vault(Path(), None, {"link token": (b"k" * 32,), "bookings feed token": (b"k" * 32,)})
    assert vault.link_id(text) is None
    assert not vault.is_feed_token(text, "frl_a", 1)


def test_a_feed_token_opens_one_freelancer_s_bookings(vault):
    token = vault.feed_token("frl_a", 1)
    assert token == vault.feed_token("frl_a", 1)
    assert vault.is_feed_token(token, "frl_a", 1)
    assert not vault.is_feed_token(token, "frl_b", 1)
    assert not vault.is_feed_token(token, "frl_a", 2)
    assert not vault.is_feed_token(token.removeprefix("bft_"), "frl_a", 1)


def test_a_network_address_is_known_again_and_not_found_out(vault, tmp_path: Path):
    mark = vault.address_mark("192.0.2.7")
    assert mark == vault.address_mark("192.0.2.7") != vault.address_mark("192.0.2.8")
    assert "192" not in mark
    assert mark != Vault.open(tmp_path / "secret.key", create=True).address_mark("192.0.2.7")


# When a link is open


def test_a_link_is_open_until_it_is_used_as_often_as_it_may(house, make, booked, at):
    link_id = make(uses=2)
    assert closed(house, link_id) is None
    booked(link_id, at(10))
    assert closed(house, link_id) is None
    booked(link_id, at(11))
    assert "403 forbidden: this link is used up" in closed(house, link_id)
    assert used(house, link_id) == [2]


def test_a_link_for_any_number_of_uses_is_never_used_up(house, make, booked, at):
    link_id = make(uses=None)
    for hour in range(10, 15):
        booked(link_id, at(hour))
    assert closed(house, link_id) is None
    assert used(house, link_id) == [5]


def test_a_link_expires_at_exactly_its_instant(house, make):
    link_id = make(expires_at=house.now + SOON)
    house.later(seconds=SOON.total_seconds() - 0.000001)
    assert closed(house, link_id) is None
    house.later(microseconds=1)
    assert "expired" in closed(house, link_id)


def test_a_revoked_link_is_closed_whatever_else_it_is(house, make, booked, at):
    link_id = make(expires_at=house.now + SOON)
    booked(link_id, at(10))
    with house.services.store.write() as session:
        link = session.get_one(Link, link_id)
        links.revoke(link, house.now)
        links.revoke(link, house.now + SOON)
        assert link.revoked_at == house.now
    house.later(hours=2)
    assert "revoked" in closed(house, link_id)


@pytest.mark.parametrize("state", ["held", "pending", "confirmed", "cancelled", "completed", "no_show"])
def test_a_booking_uses_its_link_whatever_became_of_it(house, make, booked, at, state):
    link_id = make()
    booked(link_id, at(10), state=state, overdue_at=house.now + SOON)
    assert "403 forbidden: this link is used up" in closed(house, link_id)


@pytest.mark.parametrize("state", ["expired", "declined"])
def test_a_booking_that_never_came_about_frees_its_use(house, make, booked, at, state):
    link_id = make()
    booked(link_id, at(10), state=state)
    assert closed(house, link_id) is None


@pytest.mark.parametrize("state", ["held", "pending"])
def test_a_hold_or_a_request_whose_time_is_over_frees_its_use_before_anyone_sweeps(house, make, booked, at, state):
    link_id = make()
    booked(link_id, at(10), state=state, overdue_at=house.now + SOON)
    house.later(seconds=SOON.total_seconds() - 0.000001)
    assert used(house, link_id) == [1]
    house.later(microseconds=1)
    assert used(house, link_id) == [0]


def test_a_confirmed_booking_uses_its_link_also_when_it_is_over(house, make, booked, at):
    link_id = make()
    booked(link_id, at(10), overdue_at=at(11))
    house.later(days=3)
    assert used(house, link_id) == [1]


def test_uses_are_counted_link_by_link(house, make, booked, at):
    one, other, unused = make(), make(), make()
    booked(one, at(10))
    booked(other, at(11))
    booked(other, at(12))
    house.book(at(13))
    assert used(house, one, other, unused) == [1, 2, 0]
    assert used(house) == []


def test_links_are_listed_oldest_first_a_page_at_a_time(house, make):
    made = []
    for _ in range(5):
        made.append(make(uses=None))
        house.later(seconds=1)
    with house.services.store.read() as session:
        consultation_id = offers.find_offer(session, "ada", "intro").consultation.id
        first = links_of(session, consultation_id, limit=3)
        rest = links_of(session, consultation_id, limit=3, after=first.ended)
        assert [link.id for link in (*first.rows, *rest.rows)] == made
        assert rest.ended is None
        assert links_of(session, "con_other", limit=3).rows == []


def test_who_brings_a_link_brings_what_it_was_made_with(house, make):
    terms = LinkTerms(client={"name": "Grace", "email": "grace@example.org"}, metadata={"order": 7})
    link_id = make(client=terms.client, metadata=terms.metadata)
    with house.services.store.read() as session:
        holder = links.link_holder(session, link_id)
        assert (holder.client, holder.metadata) == (terms.client, terms.metadata)
        assert replace(holder, client=None) == replace(links.link_holder(session, link_id), client=None)
        assert links.link_holder(session, "lnk_other") is None
