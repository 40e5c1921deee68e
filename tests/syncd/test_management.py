"""What lies between the file and the rest: names that move from one to the other, accounts that come and go."""

from __future__ import annotations

from datetime import timedelta
from threading import Event, Semaphore

import pytest
from sqlalchemy import select, update

from providers.memory import MemoryProvider
from providers.model import Connection
from syncd.config import load_config
from syncd.errors import ApiError, AvailabilityUnknown, ConfigError
from syncd.jobs.due import Order
from syncd.management import accounts, connecting, consultations, freelancers, schedules
from syncd.store.access import Access
from syncd.store.models import Account, BookingEvent, Consultation, Freelancer, ScheduleRow
from syncd.store.models import Event as EventRow
from syncd.sync.connect import Found, Storing, Wanted, choice_of, known_account, store_account

EMPTY = '[daemon]\ndatabase = "sqlite:///syncd.db"\nkeep_busy_for = "40d"\n'
HOURS = {"hours": {"monday": ["09:00-17:00"]}}
GRACE = """
[freelancers.grace]
time_zone = "UTC"
[freelancers.grace.schedules.default.hours]
tuesday = ["09:00-17:00"]
[freelancers.grace.consultations.talk]
minimum_notice = "0m"
horizon = "20d"
"""


def add_grace(house, **more):
    """Someone made outside the file, with hours and an offer."""
    with house.services.store.write() as session:
        config = house.services.config
        person = freelancers.add_freelancer(session, config, "grace", {"time_zone": "UTC", **more}, house.now)
        schedules.add_schedule(session, person, "default", HOURS)
        talk = {"minimum_notice_minutes": 0, "horizon_minutes": 20 * 1440}
        consultations.add_consultation(session, config, person, "talk", talk, house.now)


def connect(house, name, url, **more):
    """Connect an account of Ada's at a server in memory."""
    wanted = Wanted("caldav", name, Access(url, "ada", "secret"), **more)
    provider = MemoryProvider.open(Connection(url))
    found = provider.list_calendars()
    with house.services.store.write() as session:
        known = known_account(session, "ada", name)
        storing = Storing(session, house.services.config, house.services.vault, house.now)
        choice = choice_of(found, wanted.blocks, wanted.target)
        return store_account(storing, wanted, known, Found(found, choice)).id


def row_of(house, model, **where):
    with house.services.store.read() as session:
        return session.scalars(select(model).filter_by(**where)).one()


def is_offered(house):
    """Whether Grace and her offer are active, as the store has them."""
    return row_of(house, Freelancer, handle="grace").active and row_of(house, Consultation, slug="talk").active


# The file and the rest


def test_what_the_file_does_not_name_is_left_alone(house):
    add_grace(house)
    house.apply()
    house.apply(consultation="daily_limit = 3")
    grace = row_of(house, Freelancer, handle="grace")
    assert (grace.active, grace.declared, grace.removed) == (True, False, False)
    assert is_offered(house)
    assert row_of(house, ScheduleRow, freelancer_id=grace.id).hours == {"monday": ["09:00-17:00"]}


def test_a_freelancer_made_elsewhere_becomes_the_files_once_it_names_them(house):
    add_grace(house, name="Grace of the API")
    grace = row_of(house, Freelancer, handle="grace")
    before = {model: row_of(house, model, freelancer_id=grace.id).id for model in (ScheduleRow, Consultation)}
    house.apply(text=EMPTY + GRACE)
    grace = row_of(house, Freelancer, handle="grace")
    assert (grace.declared, grace.name) == (True, "Grace")
    after = {model: row_of(house, model, freelancer_id=grace.id) for model in (ScheduleRow, Consultation)}
    assert {model: row.id for model, row in after.items()} == before
    assert all(row.declared for row in after.values())
    assert after[ScheduleRow].hours == {"tuesday": ["09:00-17:00"]}
    with house.services.store.write() as session:
        row = session.get_one(Freelancer, grace.id)
        with pytest.raises(ApiError, match="configuration file"):
            freelancers.change_freelancer(session, house.services.config, row, {"name": "Other"}, house.now)


def test_what_left_the_file_is_inactive_and_then_managed_like_the_rest(house):
    house.apply(text=EMPTY + GRACE)
    house.apply(text=EMPTY)
    grace = row_of(house, Freelancer, handle="grace")
    assert (grace.active, grace.declared) == (False, False)
    with house.services.store.write() as session:
        row = session.get_one(Freelancer, grace.id)
        freelancers.change_freelancer(session, house.services.config, row, {"active": True}, house.now)
        talk = consultations.find_consultation(session, row, "talk")
        consultations.change_consultation(session, house.services.config, talk, {"title": "Mine now"}, house.now)
    house.apply(text=EMPTY)
    assert is_offered(house), "the file has nothing to say of it any more"
    house.apply(text=EMPTY + GRACE)
    assert row_of(house, Consultation, slug="talk").title == "Talk"


def test_what_was_removed_comes_back_when_the_file_names_it(house):
    add_grace(house)
    with house.services.store.write() as session:
        row = freelancers.find_freelancer(session, "grace")
        consultations.remove_consultation(session, consultations.find_consultation(session, row, "talk"), house.now)
        freelancers.remove_freelancer(session, row, house.now)
    house.apply(text=EMPTY + GRACE)
    assert row_of(house, Freelancer, handle="grace").removed is False
    assert row_of(house, Consultation, slug="talk").removed is False


def test_a_schedule_of_the_file_stays_while_an_offer_from_elsewhere_goes_by_it(house):
    add_grace(house)
    with house.services.store.write() as session:
        row = freelancers.find_freelancer(session, "grace")
        schedules.add_schedule(session, row, "other", HOURS)
        consultations.add_consultation(
            session, house.services.config, row, "more", {"schedule": "other", "horizon_minutes": 1440}, house.now
        )
    other = "[freelancers.grace.schedules.other.hours]\nfriday = ['09:00-17:00']\n"
    house.apply(text=EMPTY + GRACE + other)
    assert row_of(house, ScheduleRow, name="other").declared
    house.apply(text=EMPTY + GRACE)
    kept = row_of(house, ScheduleRow, name="other")
    assert (kept.declared, kept.hours) == (False, {"friday": ["09:00-17:00"]})
    assert row_of(house, Consultation, slug="more").active


def test_the_file_may_name_calendars_of_accounts_that_connect_adds(make_house, at):
    house = make_house(calendars=("Work", "Home"), consultation='blocks = ["home/Work", "more/Home"]')
    house.sync()
    with pytest.raises(AvailabilityUnknown):  # what it would block is unknown
        house.answer(at(0, 1), 1)
    connect(house, "more", house.url, blocks=[])
    with house.services.store.read() as session:
        more = session.scalars(select(Account).where(Account.name == "more")).one()
        assert [c.name for c in more.calendars if c.is_pulled] == ["Home"]


def test_the_files_target_comes_before_one_that_connect_chose(make_house):
    house = make_house(calendars=("Work", "Home"), account="")
    house.sync()
    connect(house, "more", house.url, target="Home")
    assert row_of(house, Account, name="more").target == "Home"
    house.apply(account='target = "Work"')
    with house.services.store.read() as session:
        chosen = [f"{a.name}/{c.name}" for a in session.scalars(select(Account)) for c in a.calendars if c.target]
    assert chosen == ["home/Work"]
    assert row_of(house, Account, name="more").target == ""


def test_a_bad_account_name_in_the_file_is_still_a_mistake(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(EMPTY + GRACE + 'target = "My Account/Work"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="account/calendar"):
        load_config(path, {})


def test_another_address_of_ones_own_reads_everything_again_whoever_sets_it(house, at):
    house.put("party", at(12, 1), 30, "ATTENDEE;PARTSTAT=DECLINED:mailto:countess@example.org")
    house.pull()
    assert not house.is_listed(at(12, 1))
    with house.services.store.write() as session:
        session.execute(update(Freelancer).values(declared=False))
        row = freelancers.find_freelancer(session, "ada")
        change = {"addresses": ["countess@example.org"]}
        freelancers.change_freelancer(session, house.services.config, row, change, house.now)
    assert [pull.full for pull in house.sync().pulls] == [True]
    assert house.is_listed(at(12, 1))


# Accounts that come and go


class Silent:
    """Servers that answer nothing until they are released; `ended` counts those that were let go."""

    def __init__(self):
        self.release, self.ended = Event(), Semaphore(0)

    def open(self, _kind, _connection):
        return self

    def list_calendars(self):
        self.release.wait()
        return []

    def close(self):
        self.ended.release()

    def ask(self):
        wanted = Wanted("caldav", "dav", Access("https://dav.example/"))
        connecting.ask(self.open, wanted, Connection(wanted.access.url, allow_private=True), patience=0.01)


def test_a_server_that_does_not_answer_is_waited_for_so_long_and_keeps_no_more_than_a_few_waiting():
    silent = Silent()
    for _ in range(connecting.AT_ONCE):
        with pytest.raises(ApiError, match="didn't answer") as caught:
            silent.ask()
        assert caught.value.code == "provider-unavailable"
    with pytest.raises(ApiError, match="too many") as refused:
        silent.ask()
    assert (refused.value.code, refused.value.retry_after) == ("rate-limited", 5)
    silent.release.set()
    for _ in range(connecting.AT_ONCE):
        assert silent.ended.acquire(timeout=60), "what hung ends by itself, its connections closed"
    while True:  # there is room again as soon as the last of them has gone
        with pytest.raises(ApiError) as caught:
            silent.ask()
        if caught.value.code != "rate-limited":
            break
    assert caught.value.code in ("not-found", "provider-unavailable")


def test_a_sync_asked_for_ends_a_pause_of_ours_but_none_that_the_server_asked_for(house):
    until = house.now + timedelta(minutes=10)
    for told, expected in [(False, None), (True, until)]:
        with house.services.store.write() as session:
            row = session.scalars(select(Account)).one()
            row.told_to_wait, row.blocked_until_at = told, until
            accounts.pull_soon(row, house.now, full=False)
            assert (row.blocked_until_at, row.next_list_at) == (expected, house.now)


def test_an_offer_whose_calendar_has_vanished_can_still_be_changed(house):
    with house.services.store.write() as session:
        session.execute(update(Consultation).values(declared=False, blocks=["home/Gone"]))
        offer = session.scalars(select(Consultation)).one()
        change = {"title": "Still mine"}
        consultations.change_consultation(session, house.services.config, offer, change, house.now)
        assert (offer.title, offer.blocks) == ("Still mine", ["home/Gone"])
        with pytest.raises(ApiError, match="/blocks/1: must name a calendar of home"):
            consultations.change_consultation(
                session, house.services.config, offer, {"blocks": ["home/Gone", "home/Other"]}, house.now
            )


def test_a_pull_in_flight_commits_nothing_once_events_are_read_otherwise(make_house, at):
    house = make_house(account='target = "Work"\ntentative = "free"')
    house.put("maybe", at(12, 1), 60, "STATUS:TENTATIVE")
    house.sync()
    assert house.is_listed(at(12, 1))
    with house.services.store.write() as session:
        session.execute(update(Account).values(declared=False))

    def count_what_is_tentative():
        with house.services.store.write() as session:
            row = session.scalars(select(Account)).one()
            accounts.change_account(session, house.services.config, row, {"tentative": "busy"}, house.now)

    house.after_each_page(count_what_is_tentative)
    house.sync(Order(everything=True, full=True))
    with pytest.raises(AvailabilityUnknown):
        house.feed()
    house.after_each_page(lambda: None)
    house.sync()
    assert not house.is_listed(at(12, 1))


def test_a_pull_in_flight_commits_nothing_once_its_account_is_disconnected(make_house, at):
    house = make_house()
    house.put("lunch", at(12, 1))
    house.sync()
    with house.services.store.write() as session:
        session.execute(update(Account).values(declared=False))

    def let_go():
        with house.services.store.write() as session:
            accounts.disconnect(session, session.scalars(select(Account)).one(), house.now)

    house.later(minutes=5)
    house.put("dinner", at(16, 1))
    house.after_each_page(let_go)
    house.sync()
    assert house.count(EventRow) == 0
    row = house.account()
    assert (row.active, row.credential, row.state) == (False, None, "ok")
    assert house.calendar().synced_at is None


def test_a_disconnected_calendar_counts_for_nothing_and_its_written_events_are_remembered(make_house, at):
    house = make_house()
    house.sync()
    booking = house.book(at(12, 1))
    house.sync()
    with house.services.store.write() as session:
        session.execute(update(Account).values(declared=False))
        assert accounts.disconnect(session, session.scalars(select(Account)).one(), house.now) == []
    event = row_of(house, BookingEvent, booking_id=booking)
    assert (event.state, event.remote_id is not None) == ("written", True)
    assert house.is_listed(at(14, 1))
    assert not house.is_listed(at(12, 1)), "the booking itself blocks"
    connect(house, "home", house.url, target="Work")
    house.sync()
    assert not house.is_listed(at(12, 1))
    assert house.is_listed(at(12.5, 1)), "its own event is known again, and blocks nothing beyond"
