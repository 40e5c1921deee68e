"""What the configuration file declares is in the store, what has left it is deactivated, and bookings are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from syncd.ids import new_id
from syncd.management.consultations import remove_consultation
from syncd.services import open_services
from syncd.store import leases, offers
from syncd.store.models import Account, Booking, Consultation, Freelancer, ScheduleRow

OTHER = """
[daemon]
database = "sqlite:///syncd.db"
[freelancers.grace]
time_zone = "America/New_York"
[freelancers.grace.schedules.default.hours]
monday = ["09:00-12:00"]
[freelancers.grace.consultations.debugging]
"""


def rows(house, model):
    with house.services.store.read() as session:
        return session.scalars(select(model)).all()


def due(house) -> list[str]:
    with house.services.store.read() as session:
        return leases.due_accounts(session, house.now)


def test_applying_the_same_file_again_changes_nothing(house):
    version, calendar = house.version(), house.calendar()
    house.apply()
    assert house.version() == version
    assert (house.calendar().full_wanted, house.calendar().next_pull_at) == (False, calendar.next_pull_at)
    assert [len(rows(house, model)) for model in (Freelancer, ScheduleRow, Consultation, Account)] == [1, 1, 1, 1]


def test_a_changed_rule_shows_in_the_next_answer(house, at):
    assert len(house.feed(at(0, 1), 1)) == 16
    house.apply(consultation="buffer_after = '30m'")
    assert len(house.feed(at(0, 1), 1)) == 16
    house.put("lunch", at(12, 1))
    house.pull()
    assert not house.is_listed(at(11.5, 1))
    assert len(house.feed(at(0, 1), 1)) == 13
    house.apply(consultation="active = false")
    assert house.feed(at(0, 1), 1) == []


def test_a_freelancer_that_left_the_file_is_deactivated_and_the_bookings_kept(house, at):
    booking = house.book(at(12, 1))
    house.apply(text=OTHER)
    people = {row.handle: row.active for row in rows(house, Freelancer)}
    assert people == {"ada": False, "grace": True}
    assert house.booking(booking).state == "confirmed"
    assert house.feed() == []


def test_one_that_comes_back_is_active_again_with_all_that_was_there(house, at):
    booking = house.book(at(12, 1))
    ids = {row.id for row in rows(house, Freelancer)} | {row.id for row in rows(house, Consultation)}
    house.apply(text=OTHER)
    house.apply()
    assert ids <= {row.id for row in rows(house, Freelancer)} | {row.id for row in rows(house, Consultation)}
    assert house.feed(at(0, 1), 1)
    assert not house.is_listed(at(12, 1))
    assert house.booking(booking).state == "confirmed"


def test_a_consultation_that_left_the_file_is_not_offered_and_its_bookings_still_block(house, at):
    booking = house.book(at(12, 1))
    other = "[freelancers.ada.consultations.chat]\ndurations = ['30m']\nminimum_notice = '0m'\nhorizon = '9d'\n"
    text = (house.folder / "config.toml").read_text()
    house.apply(text=text.replace("[freelancers.ada.consultations.intro]", other + "[freelancers.ada.consultations.x]"))
    assert house.feed(at(0, 1), 1) == []
    starts = house.feed(at(0, 1), 1, "chat")
    assert at(12, 1).isoformat() not in starts
    assert at(12.5, 1).isoformat() in starts
    assert house.booking(booking).state == "confirmed"


def test_a_schedule_that_left_the_file_goes_unless_it_is_used(house):
    text = (house.folder / "config.toml").read_text()
    more = text + "[freelancers.ada.schedules.summer.hours]\nmonday = ['10:00-11:00']\n"
    house.apply(text=more)
    assert {row.name for row in rows(house, ScheduleRow)} == {"default", "summer"}
    house.apply(text=text)
    assert {row.name for row in rows(house, ScheduleRow)} == {"default"}


def test_a_schedule_that_left_the_file_stays_while_a_removed_consultations_booking_may_be_moved(house, at):
    summer = "[freelancers.ada.schedules.summer.hours]\nmonday = ['10:00-11:00']\n"
    text = (house.folder / "config.toml").read_text()
    hours, offer = "[freelancers.ada.schedules.default.hours]", "[freelancers.ada.consultations.intro]"
    house.book(at(12, 1))
    other = "[freelancers.ada.consultations.chat]\nschedule = 'summer'\nhorizon = '9d'\n"
    house.apply(text=text.replace(offer, f"{summer}{other}[freelancers.ada.consultations.x]"))
    with house.services.store.write() as session:
        removed = session.scalars(select(Consultation).where(Consultation.slug == "intro")).one()
        remove_consultation(session, removed, house.now)
    without = text.replace(hours, hours.replace("default", "summer")).replace(
        offer, f"{other}{offer}\nschedule = 'summer'"
    )
    moved_on = without.replace("consultations.intro]", "consultations.x]")
    house.apply(text=moved_on)
    assert {row.name for row in rows(house, ScheduleRow)} == {"default", "summer"}
    with house.services.store.read() as session:
        person = session.scalars(select(Freelancer)).one()
        assert offers.users_of_schedules(session, person, house.now)["default"] == ["intro"]
        assert "default" not in offers.users_of_schedules(session, person, house.now + timedelta(days=30))


def test_an_account_that_left_the_file_is_not_asked_and_blocks_no_more(house, at):
    house.put("lunch", at(12, 1))
    house.pull()
    text = (house.folder / "config.toml").read_text()
    house.apply(text=text[: text.index("[freelancers.ada.accounts.home]")])
    house.later(days=2)
    assert due(house) == []
    assert house.status()["active"] is False
    assert house.is_listed(at(12, 3))
    house.apply(text=text)
    assert due(house) == [house.account_id]


def test_an_account_that_connect_added_stays(house):
    with house.services.store.write() as session:
        declared = session.scalars(select(Account)).one()
        values = {column.key: getattr(declared, column.key) for column in Account.__table__.columns}
        added = Account(**{**values, "id": new_id("acc"), "name": "added", "declared": False})
        session.add(added)
    house.apply()
    house.apply(consultation="daily_limit = 3")
    assert {row.name: row.active for row in rows(house, Account)} == {"home": True, "added": True}


@pytest.mark.parametrize(
    ("before", "after", "mark", "freed"),
    [
        ("busy", "free", "STATUS:TENTATIVE", True),
        ("free", "busy", "STATUS:TENTATIVE", False),
    ],
)
def test_a_changed_meaning_of_uncertain_events_reads_them_again(make_house, at, before, after, mark, freed):
    house = make_house(account=f'tentative = "{before}"')
    house.put("maybe", at(12, 1), 30, mark)
    house.sync()
    assert house.is_listed(at(12, 1)) is not freed
    house.apply(account=f'tentative = "{after}"')
    assert [pull.full for pull in house.sync().pulls] == [True]
    assert house.is_listed(at(12, 1)) is freed


def test_another_address_of_ones_own_reads_everything_again(house, at):
    invited = "ATTENDEE;PARTSTAT=DECLINED:mailto:countess@example.org"
    house.put("party", at(12, 1), 30, invited)
    house.pull()
    assert not house.is_listed(at(12, 1))
    text = (house.folder / "config.toml").read_text()
    house.apply(text=text.replace('email = "ada@example.org"', 'email = "countess@example.org"'))
    assert [pull.full for pull in house.sync().pulls] == [True]
    assert house.is_listed(at(12, 1))


def test_another_choice_of_calendars_counts_at_once_and_is_unknown_until_pulled(make_house, at):
    house = make_house(calendars=("Work", "Home"), account='blocks = ["Work"]')
    house.put("home", at(12, 1), calendar="Home")
    house.sync()
    assert house.is_listed(at(12, 1))
    house.apply(account='blocks = ["Work", "Home"]')
    assert {c["name"]: (c["blocks"], c["state"]) for c in house.status()["calendars"]} == {
        "Home": (True, "never_pulled"),
        "Work": (True, "fresh"),
    }
    house.sync()
    assert not house.is_listed(at(12, 1))
    house.apply(account='blocks = ["Work"]')
    assert house.is_listed(at(12, 1))


def test_a_restart_finds_everything_as_it_was(house, at):
    house.put("lunch", at(12, 1))
    house.pull()
    slots, version = house.feed(at(0, 1), 5), house.version()
    house.services.store.close()
    house.services = open_services(house.services.config, clock=house.clock)
    house.shop = house.workshop()
    assert house.feed(at(0, 1), 5) == slots
    assert house.version() == version
    with house.services.store.read() as session:
        assert offers.find_offer(session, "ada", "intro") is not None
    assert house.count(Booking) == 0
