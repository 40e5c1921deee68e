"""A sign-in: the least that is asked for, what is enough, whose it is; and accounts of the file that wait for one."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from providers.errors import PermissionDenied
from providers.google.permissions import FREE_BUSY, LISTING, READING, WRITING_ALL, WRITING_OWN, Grant
from providers.model import RemoteCalendar
from syncd.errors import ApiError, ConfigError
from syncd.store import leases
from syncd.store.access import Access, access_of, renew_access
from syncd.store.models import Account, Farewell
from syncd.sync import sign_in
from syncd.sync.connect import Found, Known, Storing, Wanted, known_account, store_account
from syncd.sync.listing import apply_listing, plan_choice

NOBODY = Known("frl_1", frozenset())
CALENDARS = [
    RemoteCalendar("ada@example.com", "Ada", role="owner", is_primary=True),
    RemoteCalendar("team", "Team", role="writer"),
    RemoteCalendar("holidays", "Holidays", role="reader", can_write=False),
    RemoteCalendar("boss", "Boss", role="free_busy", can_write=False),
]
FIRST = {LISTING, READING}
DECLARED = """
[daemon]
database = "sqlite:///syncd.db"
[freelancers.ada]
time_zone = "Europe/London"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-17:00"]
[freelancers.ada.consultations.intro]
[freelancers.ada.accounts.work]
provider = "google"
"""


def grant(*scopes):
    return Grant("1//token", frozenset(scopes), datetime(2026, 11, 23, tzinfo=UTC))


@pytest.mark.parametrize(
    ("known", "takes_bookings", "scopes"),
    [
        (NOBODY, False, FIRST),
        (NOBODY, True, FIRST | {WRITING_OWN}),
        (Known("frl_1", frozenset(), calendars=(CALENDARS[3],)), False, FIRST | {FREE_BUSY}),
        (Known("frl_1", frozenset(), calendars=(CALENDARS[1],), takes=CALENDARS[1]), True, FIRST | {WRITING_ALL}),
        (Known("frl_1", frozenset(), calendars=(CALENDARS[1],)), False, FIRST),
        (Known("frl_1", frozenset(), takes=RemoteCalendar("old", "Old", role=None)), True, FIRST | {WRITING_OWN}),
    ],
)
def test_no_more_is_asked_for_than_is_known_to_be_needed(known, takes_bookings, scopes):
    assert sign_in.first_scopes(known, takes_bookings=takes_bookings) == scopes


@pytest.mark.parametrize(
    ("blocks", "target", "scopes"),
    [
        (["Ada", "Team", "Holidays"], "", set()),
        (["Boss"], "", {FREE_BUSY}),
        (["*"], "Ada", {FREE_BUSY, WRITING_OWN}),
        ([], "Team", {WRITING_ALL}),
    ],
)
def test_what_a_calendar_needs_follows_from_what_may_be_done_in_it(blocks, target, scopes):
    found = Found(CALENDARS, plan_choice(CALENDARS, blocks, target))
    assert sign_in.needed_by(found) == scopes


def test_a_wider_permission_than_was_asked_for_is_enough():
    calendar = "https://www.googleapis.com/auth/calendar"
    sign_in.check_granted(grant(calendar), {*FIRST, FREE_BUSY, WRITING_ALL})
    sign_in.check_granted(grant(LISTING, WRITING_ALL), {*FIRST, WRITING_OWN})
    with pytest.raises(PermissionDenied, match="without details"):
        sign_in.check_granted(grant(LISTING, WRITING_ALL), {*FIRST, FREE_BUSY})


def test_an_account_stays_its_users_however_the_address_is_written():
    known = Known("frl_1", frozenset(), is_connected=True, provider="google", user="Ada@Example.com")
    sign_in.check_user("ada@example.com", "work", known)
    sign_in.check_user("", "work", known)
    with pytest.raises(ApiError, match=r"this account is Ada@Example.com's, and bob@example.com has signed in"):
        sign_in.check_user("bob@example.com", "work", known)
    with pytest.raises(ApiError, match=r'or set username = "bob@example.com" in its section of the configuration'):
        sign_in.check_user("bob@example.com", "work", replace(known, is_declared=True))
    other = Known("frl_1", frozenset(), is_connected=True, provider="caldav", user="ada")
    with pytest.raises(ApiError, match=r"another kind \(caldav\)"):
        sign_in.check_user("ada@example.com", "work", other)


def test_no_two_questions_have_anything_in_common_that_could_be_guessed():
    first, second = (sign_in.begin("http://127.0.0.1:1/", FIRST, "", secrets.token_urlsafe) for _ in range(2))
    assert first.state != second.state
    assert first.verifier != second.verifier
    assert len(first.state) >= 43
    assert 43 <= len(first.verifier) <= 128, "RFC 7636, 4.1"


@pytest.mark.parametrize("error", ["access_denied", "admin_policy_enforced", "server_error", "<script>", "x" * 5000])
def test_a_refusal_is_told_in_a_sentence_of_ours(error):
    told = str(sign_in.refused(error))
    assert "nothing was changed" in told
    assert "<" not in told
    assert len(told) < 200


# Accounts of the file


def account(house):
    with house.services.store.read() as session:
        return session.scalars(select(Account).where(Account.name == "work")).one()


def sign_in_as(house, user):
    with house.services.store.write() as session:
        row = session.scalars(select(Account).where(Account.name == "work")).one()
        renew_access(row, house.services.vault, Access("", user, grant(*FIRST).text()), house.now)


def known(house):
    with house.services.store.read() as session:
        return known_account(session, "ada", "work", "google")


def take_name(house, user):
    """Connect an account under the same name."""
    services, found = house.services, Found(CALENDARS, plan_choice(CALENDARS, ["*"], ""))
    with services.store.write() as session:
        wanted = Wanted("google", "work", Access("", user, grant(*FIRST).text()))
        storing = Storing(session, services.config, services.vault, house.now)
        store_account(storing, wanted, known_account(session, "ada", "work", "google"), found)


def test_a_declared_account_waits_for_its_owner_and_says_for_what(house):
    house.apply(text=DECLARED)
    row = account(house)
    assert (row.state, row.credential, row.declared) == ("needs_reconnect", None, True)
    assert "`syncd connect google ada --name work`" in row.problem
    with house.services.store.read() as session:
        assert row.id not in leases.due_accounts(session, house.now, insist=True)
    version = house.version()
    house.apply(text=DECLARED)
    assert house.version() == version


def test_applying_the_file_keeps_a_permission(house):
    house.apply(text=DECLARED)
    sign_in_as(house, "ada@example.com")
    before = account(house).credential
    version = house.version()
    house.apply(text=DECLARED)
    row = account(house)
    assert (row.credential, row.state, row.username) == (before, "ok", "ada@example.com")
    assert house.version() == version


def test_an_account_that_the_file_gives_to_another_user_waits_for_that_one(house):
    house.apply(text=DECLARED)
    sign_in_as(house, "ada@example.com")
    house.apply(text=DECLARED + 'username = "ADA@example.com"\n')
    assert account(house).state == "ok"
    house.apply(text=DECLARED + 'username = "bob@example.com"\n')
    row = account(house)
    assert (row.state, row.credential, row.username) == ("needs_reconnect", None, "bob@example.com")
    assert house.count(Farewell) == 1


def test_of_calendars_that_another_user_had_nothing_is_asked(house):
    house.apply(text=DECLARED + 'target = "team"\n')
    sign_in_as(house, "ada@example.com")
    with house.services.store.write() as session:
        apply_listing(session.scalars(select(Account).where(Account.name == "work")).one(), CALENDARS, house.now)
    assert known(house).takes.role == "writer"
    house.apply(text=DECLARED + 'target = "team"\nusername = "bob@example.com"\n')
    assert (known(house).takes, known(house).calendars) == (None, ())


def test_an_account_that_left_the_file_keeps_its_permission_until_another_user_takes_its_name(house):
    house.apply(text=DECLARED)
    sign_in_as(house, "ada@example.com")
    house.apply(text=DECLARED.partition("[freelancers.ada.accounts")[0])
    row = account(house)
    assert (row.active, row.credential is not None, house.count(Farewell)) == (False, True, 0)
    take_name(house, "Ada@example.com")
    assert house.count(Farewell) == 0
    house.apply(text=DECLARED)
    house.apply(text=DECLARED.partition("[freelancers.ada.accounts")[0])
    take_name(house, "bob@example.com")
    assert (account(house).username, house.count(Farewell)) == ("bob@example.com", 1)


def test_an_account_that_becomes_another_kind_gives_its_permission_back(house):
    house.apply(text=DECLARED)
    sign_in_as(house, "ada@example.com")
    caldav = DECLARED.replace('provider = "google"', 'provider = "caldav"\nurl = "https://dav.example/"')
    house.apply(text=caldav)
    row = account(house)
    assert (row.provider, row.state, row.url) == ("caldav", "ok", "https://dav.example/")
    assert access_of(row, house.services.vault).secret == ""
    assert house.count(Farewell) == 1
    house.apply(text=DECLARED)
    assert (account(house).state, account(house).credential) == ("needs_reconnect", None)
    assert house.count(Farewell) == 1, "a password is nobody's to give back"


def test_without_a_client_the_sentence_says_where_to_make_one(house):
    with pytest.raises(ConfigError, match=r"\[google\]: is missing: make an OAuth client in the Google Cloud console"):
        sign_in.google_client(house.services.config)
