"""What is told of a consultation once it began: when it may be told, what is kept, what follows and when time alone
changes it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from syncd.booking import aftermath, lifecycle
from syncd.booking.expiry import sweep
from syncd.booking.facts import MOST_ARRIVALS, facts_of, is_final
from syncd.booking.policy import decide
from syncd.errors import WrongState
from syncd.instants import rfc3339
from syncd.store.models import Booking, BookingAction, OutboxItem

CONSULTATION = 'documents = ["summary", "invoice"]\n'
TICK = timedelta(microseconds=1)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BOTH = ("summary", "invoice")


class Story:
    """One booking, and what is told of it at the house's time."""

    def __init__(self, house: Any, start: datetime) -> None:
        self.house, self.start, self.end = house, start, start + 30 * MINUTE
        self.id = house.book(start)
        self.version = house.version()

    @property
    def due(self) -> datetime:
        return self.end + 48 * HOUR

    def at(self, moment: datetime) -> Story:
        """Let it be then."""
        self.house.now = moment
        return self

    def tell(self, action: Callable[[Session, Booking], object]) -> Booking:
        with self.house.services.store.write() as session:
            action(session, session.get_one(Booking, self.id))
        return self.now()

    def now(self) -> Booking:
        return self.house.booking(self.id)

    def joined(self, who: str, late: timedelta, by: str = "freelancer") -> Booking:
        told_at = self.house.now
        return self.tell(lambda s, b: aftermath.report_attendance(s, b, who, self.start + late, by, told_at))

    def absent(self, who: str, by: str = "", note: str | None = None) -> Booking:
        reporter = by or {"client": "freelancer", "freelancer": "client"}[who]
        return self.tell(lambda s, b: aftermath.report_no_show(s, b, who, note, reporter, self.house.now))

    def completed(self, by: str = "freelancer") -> Booking:
        return self.tell(lambda s, b: aftermath.complete(s, b, by, self.house.now))

    def delivered(self, at: datetime, *names: str) -> Booking:
        return self.tell(lambda s, b: aftermath.deliver(s, b, names or BOTH, at, "freelancer", self.house.now))

    def waived(self, *names: str) -> Booking:
        return self.tell(lambda s, b: aftermath.waive(s, b, names or BOTH, self.house.now))

    def disputed(self, text: str = "Nothing of it is true.") -> Booking:
        return self.tell(lambda s, b: aftermath.dispute(s, b, text, self.house.now))

    def decided(self, reason: str = "Goodwill", **decision: object) -> Booking:
        return self.tell(lambda s, b: aftermath.decide_outcome(s, b, decision, reason, "key_1", self.house.now))

    def swept(self) -> Booking:
        sweep(self.house.services)
        return self.now()

    def history(self) -> list[tuple[str, str]]:
        with self.house.services.store.read() as session:
            rows = session.scalars(select(BookingAction).order_by(BookingAction.id))
            return [(row.actor, row.action) for row in rows if row.booking_id == self.id]


@pytest.fixture
def story(make_house, at) -> Story:
    """A booking from ten to half past, on Monday; it is eight o'clock."""
    house = make_house(consultation=CONSULTATION)
    house.sync()
    return Story(house, at(10))


def _reason(booking: Booking) -> str | None:
    return booking.outcome and booking.outcome["reason"]


# When


ENDED = ["held", "pending", "expired", "declined", "cancelled"]


@pytest.mark.parametrize("state", ENDED)
def test_nothing_is_told_of_a_booking_that_never_took_place(story: Story, state: str) -> None:
    with story.house.services.store.write() as session:
        session.get_one(Booking, story.id).state = state
    story.at(story.end + HOUR)
    for tell in (
        lambda: story.joined("client", MINUTE),
        lambda: story.absent("client"),
        story.completed,
        lambda: story.delivered(story.end),
        story.waived,
        story.disputed,
    ):
        with pytest.raises(WrongState) as refused:
            tell()
        assert refused.value.current_state == state
    assert story.now().revision == 1


@pytest.mark.parametrize("late", [timedelta(0), 5 * MINUTE])
def test_no_absence_is_reported_before_five_minutes_have_passed(story: Story, late: timedelta) -> None:
    story.at(story.start + late)
    with pytest.raises(WrongState, match="once 5 minutes have passed"):
        story.absent("client")
    assert story.at(story.start + 5 * MINUTE + TICK).absent("client").state == "no_show"


@pytest.mark.parametrize("late", [-HOUR, timedelta(0), 5 * MINUTE])
def test_whoever_joined_within_five_minutes_is_not_reported_absent(story: Story, late: timedelta) -> None:
    story.at(story.end).joined("client", late)
    with pytest.raises(WrongState, match="that is no no-show"):
        story.absent("client")
    assert story.now().state == "confirmed"
    assert story.absent("freelancer").state == "no_show"


def test_nobody_joins_more_than_an_hour_before_the_start(story: Story) -> None:
    for moment in (story.start - HOUR - TICK, story.end):
        with pytest.raises(WrongState, match="can be told from an hour before the start on: 2026-11-23T09:00:00Z"):
            story.at(moment).joined("client", -HOUR - TICK)
    assert len(story.at(story.start - HOUR).joined("client", -HOUR).attendance) == 1


def test_whoever_joined_later_is_reported_absent(story: Story) -> None:
    story.at(story.end).joined("freelancer", 5 * MINUTE + TICK)
    assert _reason(story.absent("freelancer")) == "freelancer_absent"


def test_the_same_side_reports_the_same_absence_once(story: Story) -> None:
    story.at(story.end).absent("client")
    with pytest.raises(WrongState, match="already"):
        story.absent("client")
    assert len(story.now().reports) == 1


def test_it_is_completed_from_its_start_on_and_once(story: Story) -> None:
    story.at(story.start - TICK)
    with pytest.raises(WrongState, match="has not begun"):
        story.completed()
    booking = story.at(story.start).completed("client")
    assert (booking.state, booking.revision, booking.updated_at) == ("completed", 2, story.start)
    with pytest.raises(WrongState, match="already"):
        story.completed("client")
    assert story.completed("freelancer").completed_by == ["client", "freelancer"]


def test_what_is_completed_may_still_turn_out_a_no_show(story: Story) -> None:
    story.at(story.end).completed()
    assert _reason(story.absent("freelancer")) == "freelancer_absent"
    with pytest.raises(WrongState):
        story.completed()


def test_arrivals_are_kept_up_to_a_number(story: Story) -> None:
    story.at(story.end)
    for minute in range(MOST_ARRIVALS):
        story.joined("client", minute * MINUTE)
    with pytest.raises(WrongState, match="no more"):
        story.joined("client", MINUTE)


def test_documents_are_told_of_only_where_some_are_owed(make_house, at) -> None:
    house = make_house(consultation="documents = []\n")
    house.sync()
    story = Story(house, at(10)).at(at(11))
    for tell in (lambda: story.delivered(at(10)), story.waived):
        with pytest.raises(WrongState, match="no documents are owed"):
            tell()
    assert story.completed().outcome["freelancer_paid"] == "yes"


# What is kept, and what follows


def test_what_is_told_is_kept_and_counted(story: Story) -> None:
    story.at(story.end)
    story.joined("client", MINUTE, by="client")
    story.absent("freelancer", note="Nobody came")
    booking = story.delivered(story.end, "summary")
    assert booking.revision == 4
    assert booking.attendance == [{"who": "client", "joined_at": "2026-11-23T10:01:00Z", "by": "client"}]
    assert booking.reports == [
        {"absent": "freelancer", "by": "client", "note": "Nobody came", "at": "2026-11-23T10:30:00Z"}
    ]
    assert booking.documents == [
        {"name": "summary", "delivered_at": "2026-11-23T10:30:00Z", "waived_at": None},
        {"name": "invoice", "delivered_at": None, "waived_at": None},
    ]
    assert [actor for actor, _ in story.history()] == ["client", "client", "client", "freelancer"]
    assert [action for _, action in story.history()] == ["book", "attendance", "no_show", "documents"]
    assert json.loads(json.dumps(booking.outcome)) == booking.outcome


def test_what_is_told_changes_no_slot_and_no_event(story: Story) -> None:
    story.house.sync()
    before, version = dict(story.house.remote.texts("Work")), story.house.version()
    story.at(story.end).joined("client", MINUTE)
    story.completed()
    story.absent("freelancer")
    story.disputed()
    story.decided(refund="none")
    assert story.house.version() == version
    assert story.house.count(OutboxItem) == 0
    assert story.now().event.state == "written"
    story.house.sync()
    assert story.house.remote.texts("Work") == before


def test_what_is_told_before_the_event_is_written_does_not_keep_it_from_being_struck_off(story: Story) -> None:
    story.at(story.end).completed()
    story.house.sync()
    assert story.house.count(OutboxItem) == 0
    assert story.now().event.state == "written"


def test_nothing_follows_until_it_is_over(story: Story) -> None:
    booking = story.at(story.end).joined("freelancer", MINUTE)
    assert (booking.state, booking.outcome, booking.decided) == ("confirmed", None, None)
    with pytest.raises(WrongState, match="nothing follows"):
        story.decided(refund="full")


def test_whoever_came_for_the_old_time_has_not_come_for_the_new_one(story: Story, at) -> None:
    story.at(at(9.5)).joined("client", -30 * MINUTE)
    story.house.sync()
    story.house.reschedule(story.id, at(12))
    story.start = at(12)
    assert story.now().attendance == []
    assert story.at(at(12.5)).absent("client").state == "no_show"


@pytest.mark.parametrize("told_of_first", ["client", "freelancer"])
def test_two_sides_that_blame_each_other_are_both_kept_and_never_final(story: Story, told_of_first: str) -> None:
    story.at(story.end).absent(told_of_first)
    booking = story.absent("client" if told_of_first == "freelancer" else "freelancer")
    assert len(booking.reports) == 2
    booking = story.at(story.due + 99 * HOUR).swept()
    assert (booking.outcome["reason"], booking.outcome["final"]) == ("both_absent", False)
    assert not is_final(booking, story.house.now)


SAYS_IT_TOOK_PLACE = lambda side: lambda story: story.completed(side)
REPORTS = lambda side, absent: lambda story: story.absent(absent, by=side)


@pytest.mark.parametrize("absent", ["client", "freelancer"])
@pytest.mark.parametrize("side", ["client", "freelancer"])
@pytest.mark.parametrize("first", ["complete", "no_show"])
def test_one_side_says_it_took_place_and_the_other_that_someone_was_absent(
    story: Story, first: str, side: str, absent: str
) -> None:
    other = {"client": "freelancer", "freelancer": "client"}[side]
    words = [SAYS_IT_TOOK_PLACE(side), REPORTS(other, absent)]
    story.at(story.end)
    for say in words if first == "complete" else reversed(words):
        say(story)
    booking = story.at(story.due + 99 * HOUR).swept()
    assert (booking.state, len(booking.reports), booking.completed_by) == ("no_show", 1, [side])
    assert (booking.outcome["reason"], booking.outcome["final"]) == (f"{absent}_absent", False)
    assert not is_final(booking, story.house.now)
    assert aftermath.effective_outcome(story.decided(refund="none"))["final"]


@pytest.mark.parametrize("side", ["client", "freelancer"])
def test_a_side_takes_its_own_word_back_once(story: Story, side: str) -> None:
    other = {"client": "freelancer", "freelancer": "client"}[side]
    story.at(story.end).completed(side)
    story.absent(other, by=side)
    with pytest.raises(WrongState, match="reported a no-show already"):
        story.completed(side)
    assert story.at(story.due).swept().outcome["final"]


def test_whoever_agreed_that_it_took_place_is_contradicted_by_a_later_report(story: Story) -> None:
    story.at(story.end).completed("client")
    story.completed("freelancer")
    story.absent("freelancer", by="client")
    assert not story.at(story.due).swept().outcome["final"]


def test_who_reports_both_absent_contradicts_nobody(story: Story) -> None:
    story.at(story.end).absent("client")
    story.absent("freelancer", by="freelancer")
    assert story.at(story.due).swept().outcome["final"]


def test_a_time_of_joining_contradicts_an_absence_reported_before(story: Story) -> None:
    story.at(story.end).absent("client")
    story.joined("client", MINUTE, by="client")
    booking = story.at(story.due).swept()
    assert (len(booking.reports), len(booking.attendance)) == (1, 1)
    assert (booking.outcome["reason"], booking.outcome["final"]) == ("client_absent", False)


# Documents


def test_documents_in_time_late_and_missing_by_their_names(story: Story) -> None:
    story.at(story.end).completed()
    story.at(story.due).delivered(story.due, "summary")
    assert _reason(story.swept()) == "completed_documents_missed"
    booking = story.at(story.due + HOUR).delivered(story.due + HOUR, "invoice")
    assert (booking.outcome["reason"], booking.outcome["client_protected"]) == ("completed_documents_missed", False)


def test_received_late_is_told_when_all_is_final_and_changes_no_money(story: Story) -> None:
    story.at(story.end).completed()
    before = story.at(story.due).swept().outcome
    assert (before["final"], before["client_protected"]) == (True, True)
    with pytest.raises(WrongState, match="had to be told before"):
        story.at(story.due + HOUR).delivered(story.due)
    after = story.delivered(story.due + TICK).outcome
    assert after == {**before, "client_protected": False}


def test_of_two_times_of_delivery_the_earlier_counts(story: Story) -> None:
    story.at(story.end + HOUR).completed()
    story.delivered(story.end + HOUR)
    with pytest.raises(WrongState, match="already"):
        story.delivered(story.end + HOUR)
    booking = story.delivered(story.end)
    assert {document["delivered_at"] for document in booking.documents} == {rfc3339(story.end)}


def test_the_client_approves_by_completing_after_waiving(story: Story) -> None:
    story.at(story.end).waived()
    booking = story.completed("client")
    assert (booking.approved_at, _reason(booking)) == (story.end, "completed_documents_waived")
    assert not booking.outcome["client_may_dispute"]
    with pytest.raises(WrongState, match="can't be disputed"):
        story.disputed()


def test_the_client_approves_what_is_completed_already(story: Story) -> None:
    story.at(story.end).completed("client")
    story.waived()
    assert _reason(story.now()) == "completed"
    assert _reason(story.completed("client")) == "completed_documents_waived"
    with pytest.raises(WrongState, match="already"):
        story.completed("client")


def test_a_freelancer_approves_nothing(story: Story) -> None:
    story.at(story.end).waived()
    booking = story.completed("freelancer")
    assert (booking.approved_at, _reason(booking)) == (None, "completed")


def test_what_came_in_time_or_was_waived_is_not_waived(story: Story) -> None:
    story.at(story.end).delivered(story.end, "summary")
    booking = story.waived()
    assert [bool(document["waived_at"]) for document in booking.documents] == [False, True]
    with pytest.raises(WrongState, match="nothing to waive"):
        story.waived()


# Disputes


def test_a_dispute_is_kept_and_waits_for_a_person(story: Story) -> None:
    story.at(story.end + HOUR).absent("freelancer")
    booking = story.disputed("I waited")
    assert booking.dispute == {"text": "I waited", "at": rfc3339(story.end + HOUR)}
    assert (booking.outcome["refund"], booking.outcome["freelancer_paid"]) == ("full", "no")
    assert not story.at(story.due + HOUR).swept().outcome["final"]
    with pytest.raises(WrongState, match="disputed already"):
        story.disputed()


def test_what_is_disputed_in_time_follows_what_becomes_of_it(story: Story) -> None:
    story.at(story.end).completed()
    assert story.disputed("Where are the documents?").outcome["refund"] == "none"
    booking = story.at(story.due).swept()
    assert (booking.outcome["refund"], booking.outcome["freelancer_paid"]) == ("full", "no")


def test_what_is_final_is_not_disputed_and_nothing_more_is_heard(story: Story) -> None:
    story.at(story.end).completed()
    story.at(story.due)
    for tell in (
        story.disputed,
        story.waived,
        lambda: story.absent("client"),
        lambda: story.joined("client", MINUTE),
        lambda: story.completed("client"),
    ):
        with pytest.raises(WrongState, match="final"):
            tell()
    assert story.at(story.due - TICK).disputed().dispute


def test_the_absent_client_disputes_nothing(story: Story) -> None:
    story.at(story.end).absent("client")
    with pytest.raises(WrongState, match="can't be disputed"):
        story.disputed()


# Time alone


def test_without_a_report_it_is_completed_when_its_time_has_come(story: Story) -> None:
    over = story.end + 24 * HOUR
    assert story.at(over - TICK).swept().state == "confirmed"
    booking = story.at(over).swept()
    assert (booking.state, booking.revision, booking.updated_at) == ("completed", 2, over)
    assert (_reason(booking), booking.outcome["final"]) == ("completed", False)
    assert story.history()[-1] == ("time", "complete")


def test_time_changes_an_outcome_once_and_is_then_done(story: Story) -> None:
    story.at(story.end).completed()
    assert story.at(story.due - TICK).swept().revision == 2
    booking = story.at(story.due).swept()
    assert (booking.revision, _reason(booking), booking.overdue_at) == (3, "completed_documents_missed", None)
    assert booking.outcome["final"]
    assert story.at(story.due + 99 * HOUR).swept().revision == 3
    assert sweep(story.house.services) == 0


def test_a_change_of_time_that_changes_nothing_is_not_looked_at_again(make_house, at) -> None:
    house = make_house(consultation=CONSULTATION + 'complete_after = "72h"\n')
    house.sync()
    story = Story(house, at(10)).at(at(11))
    story.absent("client")
    assert story.at(story.due).swept().revision == 2  # that the documents are due changes nothing for an absent client
    assert story.now().overdue_at == story.end + 72 * HOUR
    assert sweep(house.services) == 0
    assert story.at(story.end + 72 * HOUR).swept().outcome["final"]


def test_a_dispute_of_what_nobody_reported_completes_it_first(story: Story) -> None:
    booking = story.at(story.end + 25 * HOUR).disputed()
    assert (booking.state, booking.revision) == ("completed", 3)
    assert [action for _, action in story.history()] == ["book", "complete", "dispute"]


def test_a_sweep_late_by_days_says_what_follows_by_then(story: Story) -> None:
    booking = story.at(story.due + 99 * HOUR).swept()
    assert (_reason(booking), booking.outcome["final"], booking.overdue_at) == (
        "completed_documents_missed",
        True,
        None,
    )


# A person decides


def test_a_person_decides_some_members_and_the_rule_stays_beside(story: Story) -> None:
    story.at(story.end).absent("client")
    rule = story.now().outcome
    booking = story.decided("Ill, with a note", refund="full", freelancer_paid="no")
    outcome = aftermath.effective_outcome(booking)
    assert outcome == {
        **rule,
        "refund": "full",
        "freelancer_paid": "no",
        "final": True,
        "final_at": rfc3339(story.end),
        "reason": "Ill, with a note",
        "decided_at": rfc3339(story.end),
        "by_rule": rule,
    }
    assert (booking.decided["by"], booking.revision) == ("key_1", 3)
    assert story.history()[-1] == ("key_1", "outcome")


def test_a_second_decision_replaces_the_first(story: Story) -> None:
    story.at(story.end).absent("client")
    story.decided(refund="full", client_protected=True)
    outcome = aftermath.effective_outcome(story.decided(freelancer_paid="no"))
    assert (outcome["refund"], outcome["freelancer_paid"], outcome["client_protected"]) == ("none", "no", False)


def test_after_a_final_decision_nothing_more_is_heard(story: Story) -> None:
    story.at(story.end).completed()
    story.decided(refund="full")
    with pytest.raises(WrongState, match="final"):
        story.disputed()
    story.decided(refund="full", final=False)
    assert story.disputed().dispute


def test_a_disputed_outcome_is_ended_by_a_person(story: Story) -> None:
    story.at(story.end).completed()
    story.disputed()
    booking = story.decided("Both heard", refund="none")
    assert aftermath.effective_outcome(booking)["final"]
    assert not booking.outcome["final"]


def test_a_cancellation_is_decided_by_a_person_too(story: Story) -> None:
    with story.house.services.store.write() as session:
        lifecycle.cancel(session, session.get_one(Booking, story.id), "client", None, story.house.now)
    booking = story.decided("First time", refund="full")
    assert aftermath.effective_outcome(booking)["by_rule"]["reason"] == "client_cancelled_late"


# For any story


def _words(story: Story, dice: random.Random) -> Callable[[], Booking]:
    """Anything that anyone may try to say, true or not."""
    side = dice.choice(["client", "freelancer"])
    late = dice.choice([-HOUR, timedelta(0), 5 * MINUTE, 5 * MINUTE + TICK])
    name = dice.choice(BOTH)
    return dice.choice(
        [
            lambda: story.joined(side, late, by=dice.choice(["client", "freelancer"])),
            lambda: story.absent(side),
            lambda: story.completed(side),
            lambda: story.delivered(story.house.now - dice.choice([timedelta(0), HOUR]), name),
            lambda: story.waived(name),
            story.disputed,
            story.swept,
        ]
    )


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_said_what_follows_is_what_the_policy_says_and_final_stays_final(story: Story, seed: int) -> None:
    dice = random.Random(seed)
    story.at(story.start)
    for _ in range(40):
        story.house.later(minutes=dice.choice([0, 1, 5, 60, 600]))
        before = story.swept()
        try:
            after = _words(story, dice)()
        except WrongState:
            assert story.now().revision == before.revision
            continue
        assert after.revision - before.revision in (0, 1)
        over = after.state in ("completed", "no_show")
        assert after.outcome == (decide(facts_of(after, story.house.now)).to_json() if over else None)
        if is_final(before, story.house.now) and before.outcome:
            changed = {name for name in before.outcome if before.outcome[name] != after.outcome[name]}
            assert changed <= {"client_protected"}
            assert after.overdue_at is None
    assert story.house.version() == story.version
