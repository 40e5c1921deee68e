"""What follows from a cancellation, row by row, to the second."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncd.booking.policy import (
    Outcome,
    PolicySnapshot,
    cancel_outcome,
    free_cancellation_after_move,
    free_cancellation_until,
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
