"""What follows from a cancellation, and from what was told after the start: row by row, to the microsecond."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.booking.policy import (
    SIDES,
    Absence,
    Arrival,
    Document,
    Facts,
    Outcome,
    PolicySnapshot,
    cancel_outcome,
    contradicts,
    decide,
    documents_due_at,
    final_at,
    free_cancellation_after_move,
    free_cancellation_until,
    is_absence,
    is_in_time,
    next_change_at,
)

POLICY = PolicySnapshot(
    cancellation_notice_minutes=24 * 60,
    reschedule_keeps_deadline=True,
    late_after_minutes=5,
    complete_after_minutes=24 * 60,
    documents=("meeting_summary",),
    documents_due_minutes=48 * 60,
)
LENIENT = PolicySnapshot(**{**asdict(POLICY), "reschedule_keeps_deadline": False})
START = datetime(2026, 11, 24, 10, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

IN_TIME = [START - 30 * DAY, START - DAY - SECOND, START - DAY]
LATE = [START - DAY + timedelta(microseconds=1), START - DAY + SECOND, START - SECOND]

# refund, F paid, F protected, C protected, C may dispute, C feedback, F feedback
ROWS = {
    ("freelancer", "in_time"): ("full", "no", False, False, False, False, False),
    ("freelancer", "late"): ("full", "no", False, False, False, True, False),
    ("client", "in_time"): ("full", "no", False, True, False, False, False),
    ("client", "late"): ("none", "yes", True, False, False, False, False),
}
CASES = [
    (actor, when, at, row) for (actor, when), row in ROWS.items() for at in (IN_TIME if when == "in_time" else LATE)
]


@pytest.mark.parametrize(("actor", "when", "at", "row"), CASES)
def test_a_cancel_has_the_outcome_of_its_row(actor: str, when: str, at: datetime, row: tuple[object, ...]) -> None:
    outcome = cancel_outcome(actor, at, free_cancellation_until(START, POLICY))
    assert tuple(asdict(outcome).values()) == (*row, True, at, f"{actor}_cancelled_{when}")


def test_an_outcome_has_the_fields_of_the_contract_and_no_others() -> None:
    assert [field.name for field in fields(Outcome)] == [
        *("refund", "freelancer_paid", "freelancer_protected", "client_protected", "client_may_dispute"),
        *("client_may_leave_feedback", "freelancer_may_leave_feedback", "final", "final_at", "reason"),
    ]


def test_without_notice_cancelling_is_free_until_the_start_itself() -> None:
    policy = PolicySnapshot(**{**asdict(POLICY), "cancellation_notice_minutes": 0})
    assert free_cancellation_until(START, policy) == START
    assert cancel_outcome("client", START - SECOND, free_cancellation_until(START, policy)).refund == "full"


# The night before has 25, then 23 hours: the notice is elapsed time, not the same reading of the clock.
@pytest.mark.parametrize(
    ("start", "until"),
    [
        ("2026-10-25T10:00", "2026-10-24T11:00:00+02:00"),
        ("2026-03-29T10:00", "2026-03-28T09:00:00+01:00"),
        ("2026-11-24T10:00", "2026-11-23T10:00:00+01:00"),
    ],
)
def test_the_notice_is_elapsed_time_over_a_change_of_the_clock(start: str, until: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    deadline = free_cancellation_until(datetime.fromisoformat(start).replace(tzinfo=berlin), POLICY)
    assert deadline == datetime.fromisoformat(until)
    assert deadline.tzinfo is UTC
    assert cancel_outcome("client", deadline.astimezone(berlin), deadline).reason == "client_cancelled_in_time"
    late = (deadline + SECOND).astimezone(berlin)
    assert cancel_outcome("client", late, deadline).reason == "client_cancelled_late"


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    assert cancel_outcome("client", second, first).reason == "client_cancelled_late"
    assert cancel_outcome("client", first, second).reason == "client_cancelled_in_time"


def test_moving_in_time_moves_the_deadline() -> None:
    until = free_cancellation_until(START, POLICY)
    later = START + 7 * DAY
    assert free_cancellation_after_move(until, later, until - SECOND, POLICY) == later - DAY
    assert free_cancellation_after_move(until, later, until, POLICY) == later - DAY


def test_moving_after_the_deadline_does_not_reopen_it() -> None:
    until = free_cancellation_until(START, POLICY)
    moved_at, later = until + SECOND, START + 7 * DAY
    kept = free_cancellation_after_move(until, later, moved_at, POLICY)
    assert kept == until
    assert cancel_outcome("client", moved_at + HOUR, kept).refund == "none"
    assert free_cancellation_after_move(kept, later + 7 * DAY, moved_at + DAY, POLICY) == until


def test_where_the_policy_says_so_moving_reopens_the_deadline() -> None:
    until = free_cancellation_until(START, LENIENT)
    later = START + 7 * DAY
    assert free_cancellation_after_move(until, later, until + SECOND, LENIENT) == later - DAY


def test_a_move_to_an_earlier_start_brings_the_deadline_forward() -> None:
    until = free_cancellation_until(START, POLICY)
    earlier = START - 3 * DAY
    assert free_cancellation_after_move(until, earlier, until - 10 * DAY, POLICY) == earlier - DAY


def test_a_policy_survives_json() -> None:
    data = json.loads(json.dumps(POLICY.to_json()))
    assert data == {
        "cancellation_notice_minutes": 1440,
        "reschedule_keeps_deadline": True,
        "late_after_minutes": 5,
        "complete_after_minutes": 1440,
        "documents": ["meeting_summary"],
        "documents_due_minutes": 2880,
    }
    assert PolicySnapshot.from_json(data) == POLICY


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="with an offset"):
        free_cancellation_until(datetime(2026, 1, 1), POLICY)  # noqa: DTZ001 - what is refused


# After the start. F is the freelancer, C the client, as in the contract's table.

END = START + HOUR
LATE_AFTER, DUE = timedelta(minutes=5), END + 2 * DAY
TICK = timedelta(microseconds=1)
SUMMARY = "meeting_summary"
IN_TIME_DOCUMENT = (Document(SUMMARY, delivered_at=DUE),)
LATE_DOCUMENT = (Document(SUMMARY, delivered_at=DUE + TICK),)
WAIVED = (Document(SUMMARY, waived_at=END),)
LATE_AND_WAIVED = (Document(SUMMARY, delivered_at=DUE + TICK, waived_at=DUE + TICK),)
F_ABSENT, C_ABSENT = Absence("freelancer", "client"), Absence("client", "freelancer")
BOTH_ABSENT = (Absence("freelancer", "freelancer"), C_ABSENT)  # one reporter, as a marketplace that saw neither
PROMPT, EXACTLY = LATE_AFTER - TICK, LATE_AFTER
TOO_LATE = LATE_AFTER + TICK


def _facts(**more: object) -> Facts:
    return Facts(**{"policy": POLICY, "start": START, "end": END, "now": DUE + DAY} | more)


def _joined(freelancer: timedelta | None = None, client: timedelta | None = None) -> tuple[Arrival, ...]:
    late = {"freelancer": freelancer, "client": client}
    return tuple(Arrival(who, START + by, "freelancer") for who, by in late.items() if by is not None)


def _cells(outcome: Outcome) -> tuple[object, ...]:
    return tuple(asdict(outcome).values())[:7]


# refund, F paid, F protected, C protected, C may dispute, C feedback, F feedback
TABLE = [
    # C absent or more than 5 min late
    ("client_absent", {"absences": (C_ABSENT,)}, "none on_request yes no no no no"),
    ("client_absent", {"absences": (C_ABSENT,), "arrivals": _joined(PROMPT)}, "none on_request yes no no no no"),
    ("client_absent", {"absences": (C_ABSENT,), "arrivals": _joined(EXACTLY)}, "none on_request no no no no no"),
    ("client_absent", {"absences": (C_ABSENT,), "arrivals": _joined(HOUR)}, "none on_request no no no no no"),
    (
        "client_absent",
        {"absences": (C_ABSENT,), "arrivals": _joined(client=TOO_LATE)},
        "none on_request yes no no no no",
    ),
    ("client_absent", {"absences": (C_ABSENT,), "documents": IN_TIME_DOCUMENT}, "none on_request yes no no no no"),
    # F absent or more than 5 min late, even if then held; both absent
    ("freelancer_absent", {"absences": (F_ABSENT,)}, "on_dispute unless_disputed no yes yes yes no"),
    (
        "freelancer_absent",
        {"absences": (F_ABSENT,), "arrivals": _joined(TOO_LATE, PROMPT)},
        "on_dispute unless_disputed no yes yes yes no",
    ),
    (
        "freelancer_absent",
        {"absences": (F_ABSENT,), "arrivals": _joined(client=EXACTLY)},
        "on_dispute unless_disputed no no yes yes no",
    ),
    (
        "freelancer_absent",
        {"absences": (F_ABSENT,), "documents": LATE_DOCUMENT},
        "on_dispute unless_disputed no no yes yes no",
    ),
    (
        "freelancer_absent",
        {"absences": (F_ABSENT,), "documents": IN_TIME_DOCUMENT},
        "on_dispute unless_disputed no no yes yes no",
    ),
    (
        "freelancer_absent",
        {"absences": (F_ABSENT,), "documents": WAIVED},
        "on_dispute unless_disputed no yes yes yes no",
    ),
    ("both_absent", {"absences": BOTH_ABSENT}, "on_dispute unless_disputed no no yes yes no"),
    # completed, F less than 5 min late, documents in time
    ("completed", {"documents": IN_TIME_DOCUMENT}, "none yes yes no yes yes yes"),
    ("completed", {"documents": IN_TIME_DOCUMENT, "arrivals": _joined(PROMPT, HOUR)}, "none yes yes no yes yes yes"),
    ("completed", {"documents": IN_TIME_DOCUMENT, "arrivals": _joined(EXACTLY)}, "none yes no no yes yes yes"),
    ("completed", {"documents": IN_TIME_DOCUMENT, "arrivals": _joined(TOO_LATE)}, "none yes no no yes yes yes"),
    ("completed", {"documents": IN_TIME_DOCUMENT, "approved": True}, "none yes yes no yes yes yes"),
    ("completed", {"now": DUE - TICK}, "none yes yes no yes yes yes"),  # not due yet
    ("completed", {"documents": WAIVED}, "none yes yes no yes yes yes"),  # waived, not approved
    # completed, documents late or never
    ("completed_documents_missed", {}, "on_dispute unless_disputed no yes yes yes yes"),
    ("completed_documents_missed", {"now": DUE}, "on_dispute unless_disputed no yes yes yes yes"),
    ("completed_documents_missed", {"documents": LATE_DOCUMENT}, "on_dispute unless_disputed no no yes yes yes"),
    (
        "completed_documents_missed",
        {"arrivals": _joined(PROMPT, PROMPT)},
        "on_dispute unless_disputed no yes yes yes yes",
    ),
    (
        "completed_documents_missed",
        {"arrivals": _joined(client=EXACTLY)},
        "on_dispute unless_disputed no no yes yes yes",
    ),
    ("completed_documents_missed", {"arrivals": _joined(EXACTLY)}, "on_dispute unless_disputed no yes yes yes yes"),
    ("completed_documents_missed", {"approved": True}, "on_dispute unless_disputed no yes yes yes yes"),
    # completed, F less than 5 min late, C waived the documents and approved
    ("completed_documents_waived", {"documents": WAIVED, "approved": True}, "none yes yes no no yes yes"),
    ("completed_documents_waived", {"documents": LATE_AND_WAIVED, "approved": True}, "none yes yes no no yes yes"),
    (
        "completed_documents_waived",
        {"documents": WAIVED, "approved": True, "arrivals": _joined(EXACTLY)},
        "none yes no no no yes yes",
    ),
]


@pytest.mark.parametrize(("reason", "told", "cells"), TABLE)
def test_what_was_told_has_the_outcome_of_its_row(reason: str, told: dict[str, object], cells: str) -> None:
    outcome = decide(_facts(**told))
    refund, paid, *flags = cells.split()
    assert (outcome.reason, *_cells(outcome)) == (reason, refund, paid, *(flag == "yes" for flag in flags))


def test_who_owes_no_documents_has_them_in_time() -> None:
    free = replace(POLICY, documents=())
    outcome = decide(_facts(policy=free))
    assert (outcome.reason, *_cells(outcome)) == ("completed", "none", "yes", True, False, True, True, True)
    assert decide(_facts(policy=free, approved=True, documents=WAIVED)).reason == "completed"


def test_who_owes_no_documents_and_was_absent_leaves_the_client_protected() -> None:
    assert decide(_facts(policy=replace(POLICY, documents=()), absences=(F_ABSENT,))).client_protected


def test_of_several_documents_one_that_fails_decides() -> None:
    two = replace(POLICY, documents=("agenda", SUMMARY))
    missed = decide(_facts(policy=two, documents=IN_TIME_DOCUMENT))
    assert missed.reason == "completed_documents_missed"
    assert not missed.client_protected  # one was received
    settled = (*IN_TIME_DOCUMENT, Document("agenda", waived_at=END))
    assert decide(_facts(policy=two, documents=settled)).reason == "completed"
    assert decide(_facts(policy=two, documents=settled, approved=True)).reason == "completed_documents_waived"
    late_agenda = (*IN_TIME_DOCUMENT, Document("agenda", delivered_at=DUE + TICK))
    assert decide(_facts(policy=two, documents=late_agenda)).reason == "completed_documents_missed"


def test_a_document_that_nobody_owes_changes_nothing() -> None:
    assert decide(_facts(documents=(Document("poem", delivered_at=END),))).client_protected


# Times


@pytest.mark.parametrize(("late", "absent"), [(PROMPT, False), (EXACTLY, False), (TOO_LATE, True), (-HOUR, False)])
def test_exactly_five_minutes_is_no_absence(late: timedelta, absent: bool) -> None:
    assert is_absence(START, START + late, POLICY) is absent


@pytest.mark.parametrize(("late", "in_time"), [(-HOUR, True), (PROMPT, True), (EXACTLY, False), (TOO_LATE, False)])
def test_exactly_five_minutes_is_not_in_time(late: timedelta, in_time: bool) -> None:
    for who in SIDES:
        assert is_in_time(_facts(arrivals=_joined(**{who: late})), who) is in_time


def test_a_side_of_which_nothing_was_told_was_in_time() -> None:
    assert all(is_in_time(_facts(), who) for who in SIDES)


def test_whoever_comes_back_joined_when_they_first_came() -> None:
    for twice in itertools.permutations((*_joined(client=HOUR), *_joined(client=PROMPT))):
        assert is_in_time(_facts(arrivals=twice), "client")
        assert not contradicts(_facts(arrivals=twice))


def test_lateness_is_elapsed_time_in_the_hour_that_comes_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 25, 2, 58, tzinfo=berlin)
    exactly = datetime(2026, 10, 25, 2, 3, tzinfo=berlin, fold=1)
    assert not is_absence(start, exactly, POLICY)
    assert is_absence(start, exactly.replace(microsecond=1), POLICY)
    assert not is_in_time(_facts(start=start, arrivals=(Arrival("client", exactly, "client"),)), "client")
    early = replace(_facts(start=start), arrivals=(Arrival("client", exactly.replace(minute=2), "client"),))
    assert is_in_time(early, "client")


@pytest.mark.parametrize(
    ("end", "due"),
    [
        ("2026-10-24T11:00:00+02:00", "2026-10-26T10:00:00+01:00"),  # 25 hours that day
        ("2026-03-28T11:00:00+01:00", "2026-03-30T12:00:00+02:00"),  # 23 hours
        ("2026-11-24T11:00:00+01:00", "2026-11-26T11:00:00+01:00"),
    ],
)
def test_documents_are_due_in_elapsed_time_over_a_change_of_the_clock(end: str, due: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    wall = datetime.fromisoformat(end).astimezone(berlin)
    at = datetime.fromisoformat(due)
    assert documents_due_at(wall, POLICY) == at
    in_time = _facts(start=wall - HOUR, end=wall, documents=(Document(SUMMARY, at.astimezone(berlin)),), now=at + DAY)
    late = replace(in_time, documents=(Document(SUMMARY, (at + TICK).astimezone(berlin)),))
    assert (decide(in_time).reason, decide(late).reason) == ("completed", "completed_documents_missed")
    assert decide(in_time).final_at == at


@pytest.mark.parametrize(("complete", "due"), [(24, 48), (48, 24), (24, 24), (0, 0)])
def test_an_outcome_is_final_at_the_later_of_completion_and_documents(complete: int, due: int) -> None:
    policy = replace(POLICY, complete_after_minutes=60 * complete, documents_due_minutes=60 * due)
    at = END + max(complete, due) * HOUR
    assert final_at(END, policy) == at
    for told in ({}, {"absences": (C_ABSENT,)}, {"absences": BOTH_ABSENT}, {"documents": WAIVED, "approved": True}):
        before, then = (decide(_facts(policy=policy, now=now, **told)) for now in (at - TICK, at))
        assert (before.final, before.final_at, then.final, then.final_at) == (False, at, True, at)


def test_no_final_outcome_changes_with_time() -> None:
    for told in ({}, {"documents": IN_TIME_DOCUMENT}, {"absences": (F_ABSENT,)}):
        assert decide(_facts(now=DUE, **told)) == decide(_facts(now=DUE + 99 * DAY, **told))


# Contradictions and disputes

CONTRADICTIONS = [
    (_facts(absences=(F_ABSENT, C_ABSENT)), "both_absent"),  # each says that the other wasn't there
    (_facts(absences=(C_ABSENT,), arrivals=_joined(client=EXACTLY)), "client_absent"),
    (_facts(absences=(F_ABSENT,), arrivals=_joined(freelancer=-HOUR)), "freelancer_absent"),
    (_facts(absences=(*BOTH_ABSENT, F_ABSENT)), "both_absent"),
    (_facts(arrivals=(*_joined(client=HOUR), Arrival("client", START, "client"))), "completed_documents_missed"),
    (
        _facts(arrivals=(*_joined(client=EXACTLY), Arrival("client", START + PROMPT, "client"))),
        "completed_documents_missed",
    ),
    (_facts(absences=(F_ABSENT,), completed_by=frozenset({"freelancer"})), "freelancer_absent"),
    (_facts(absences=(C_ABSENT,), completed_by=frozenset({"client"})), "client_absent"),
    (_facts(absences=(C_ABSENT,), completed_by=frozenset({"client", "freelancer"})), "client_absent"),
    (_facts(absences=(F_ABSENT, Absence("client", "client")), completed_by=frozenset({"freelancer"})), "both_absent"),
]


@pytest.mark.parametrize(("facts", "reason"), CONTRADICTIONS)
def test_reports_that_contradict_each_other_are_never_final(facts: Facts, reason: str) -> None:
    for reports in itertools.permutations(facts.absences):
        for arrivals in itertools.permutations(facts.arrivals):
            outcome = decide(replace(facts, absences=reports, arrivals=arrivals, now=DUE + 999 * DAY))
            assert (outcome.reason, outcome.final, outcome.final_at) == (reason, False, DUE)


@pytest.mark.parametrize(
    "facts",
    [
        _facts(absences=BOTH_ABSENT),
        _facts(absences=(C_ABSENT,), arrivals=_joined(PROMPT, TOO_LATE)),
        _facts(absences=(F_ABSENT, Absence("freelancer", "freelancer"))),
        _facts(arrivals=(*_joined(client=HOUR), Arrival("client", START + EXACTLY, "client"))),
        _facts(arrivals=_joined(HOUR, -HOUR)),
        _facts(completed_by=frozenset({"client", "freelancer"})),
        _facts(absences=(C_ABSENT,), completed_by=frozenset({"freelancer"})),
        _facts(absences=(F_ABSENT,), completed_by=frozenset({"client"})),
        _facts(absences=(F_ABSENT,), arrivals=_joined(freelancer=TOO_LATE), completed_by=frozenset({"freelancer"})),
    ],
)
def test_reports_that_can_all_be_true_do_not_contradict(facts: Facts) -> None:
    assert not contradicts(facts)
    assert decide(facts).final


DISPUTED = [
    ({"absences": (F_ABSENT,)}, "full", "no"),
    ({}, "full", "no"),
    ({"documents": LATE_DOCUMENT}, "full", "no"),
    ({"documents": IN_TIME_DOCUMENT}, "none", "yes"),
    ({"now": DUE - TICK}, "none", "yes"),
]


@pytest.mark.parametrize(("told", "refund", "paid"), DISPUTED)
def test_a_dispute_settles_what_hangs_on_one_and_waits_for_a_person(
    told: dict[str, object], refund: str, paid: str
) -> None:
    before, after = decide(_facts(**told)), decide(_facts(**told, disputed=True))
    assert (after.refund, after.freelancer_paid, after.final) == (refund, paid, False)
    assert replace(after, refund=before.refund, freelancer_paid=before.freelancer_paid, final=before.final) == before


# For any facts

_LATENESS = st.sampled_from([-HOUR, timedelta(0), PROMPT, EXACTLY, TOO_LATE, HOUR])
_SIDE = st.sampled_from(SIDES)
_MOMENT = st.sampled_from([START, END, DUE - TICK, DUE, DUE + TICK, DUE + DAY, END + DAY])
_ARRIVAL = st.builds(lambda who, late, by: Arrival(who, START + late, by), _SIDE, _LATENESS, _SIDE)
_DOCUMENT = st.builds(Document, st.sampled_from([SUMMARY, "agenda"]), st.none() | _MOMENT, st.none() | _MOMENT)
_POLICY = st.builds(
    lambda documents, complete, due: replace(
        POLICY, documents=documents, complete_after_minutes=complete, documents_due_minutes=due
    ),
    st.sampled_from([(), (SUMMARY,), (SUMMARY, "agenda")]),
    st.sampled_from([0, 24 * 60, 72 * 60]),
    st.sampled_from([0, 24 * 60, 48 * 60]),
)
_FACTS = st.builds(
    Facts,
    policy=_POLICY,
    start=st.just(START),
    end=st.just(END),
    now=_MOMENT,
    arrivals=st.lists(_ARRIVAL, max_size=4).map(tuple),
    absences=st.lists(st.builds(Absence, _SIDE, _SIDE), max_size=3).map(tuple),
    documents=st.lists(_DOCUMENT, max_size=2, unique_by=lambda d: d.name).map(tuple),
    approved=st.booleans(),
    disputed=st.booleans(),
).filter(lambda facts: all(d.delivered_at is None or d.delivered_at <= facts.now for d in facts.documents))


def _documents_of(facts: Facts) -> list[str]:
    """What became of each document that is owed, in the contract's words."""
    due = END + timedelta(minutes=facts.policy.documents_due_minutes)
    told = {document.name: document for document in facts.documents}

    def fate(name: str) -> str:
        document = told.get(name, Document(name))
        if document.waived_at is not None:
            return "waived"
        if document.delivered_at is None:
            return "never" if facts.now >= due else "waited for"
        return "in time" if document.delivered_at <= due else "late"

    return [fate(name) for name in facts.policy.documents]


# The contract's rows as sentences about facts, apart from the code that decides.
APPLIES: dict[str, Callable[[set[str], list[str], Facts], bool]] = {
    "client_absent": lambda absent, _documents, _facts: absent == {"client"},
    "freelancer_absent": lambda absent, _documents, _facts: absent == {"freelancer"},
    "both_absent": lambda absent, _documents, _facts: absent == {"client", "freelancer"},
    "completed_documents_missed": lambda absent, documents, _facts: (
        not absent and ("late" in documents or "never" in documents)
    ),
    "completed_documents_waived": lambda absent, documents, facts: (
        not absent and not {"late", "never"} & set(documents) and "waived" in documents and facts.approved
    ),
    "completed": lambda absent, documents, facts: (
        not absent and not {"late", "never"} & set(documents) and not ("waived" in documents and facts.approved)
    ),
}


@given(_FACTS)
def test_of_any_facts_exactly_one_row_applies_and_is_the_one_decided(facts: Facts) -> None:
    absent = {absence.absent for absence in facts.absences}
    rows = [name for name, applies in APPLIES.items() if applies(absent, _documents_of(facts), facts)]
    assert rows == [decide(facts).reason]


@given(_FACTS)
def test_of_any_facts_the_outcome_changes_when_it_says_and_at_no_other_time(facts: Facts) -> None:
    change, outcome = next_change_at(facts), decide(facts)
    later = facts.now + 999 * DAY if change is None else change - TICK
    assert decide(replace(facts, now=later)) == outcome
    assert change is None or change > facts.now


@given(_FACTS)
def test_of_any_facts_nobody_is_protected_who_was_late_and_never_both(facts: Facts) -> None:
    outcome = decide(facts)
    assert not (outcome.freelancer_protected and outcome.client_protected)
    for who, protected in (("freelancer", outcome.freelancer_protected), ("client", outcome.client_protected)):
        joined = [a.joined_at for a in facts.arrivals if a.who == who]
        assert not (protected and joined and min(joined) - START >= LATE_AFTER)
    assert outcome.freelancer_may_leave_feedback is outcome.reason.startswith("completed")
    assert not outcome.final or facts.now >= outcome.final_at


def test_an_outcome_as_json_has_its_instant_in_utc() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    outcome = cancel_outcome("client", (START - 2 * DAY).astimezone(berlin), START - DAY)
    assert outcome.to_json()["final_at"] == "2026-11-22T10:00:00Z"
    assert json.loads(json.dumps(outcome.to_json())) == outcome.to_json()
