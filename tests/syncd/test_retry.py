"""When a failed call to a provider is made again: the table, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from providers import errors
from providers.errors import ProviderError
from syncd.retry import LONGEST, RULES, Retry, backoff, plan_retry, rule

HOUR, DAY = 3_600.0, 86_400.0


def leaves(kind: type[ProviderError]) -> Iterator[type[ProviderError]]:
    below = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    if not below:
        yield kind
    for child in below:
        yield from leaves(child)


@pytest.mark.parametrize("leaf", [*leaves(ProviderError)], ids=lambda leaf: leaf.__name__)
def test_every_leaf_has_a_rule(leaf: type[ProviderError]) -> None:
    assert rule(leaf) in RULES.values()


def test_an_error_without_a_rule_is_named() -> None:
    with pytest.raises(LookupError, match="ProviderError"):
        plan_retry(ProviderError(), 1, jitter=0)


# error, attempts, jitter → action, seconds
TABLE = [
    (errors.RateLimited(retry_after=2), 1, 0.5, "again", 2),
    (errors.RateLimited(retry_after=0), 1, 0.5, "again", 1),
    (errors.RateLimited(retry_after=-5), 1, 0.5, "again", 1),
    (errors.RateLimited(retry_after=10 * DAY), 1, 0.5, "again", DAY),
    (errors.RateLimited(), 1, 0, "again", 30),
    (errors.RateLimited(retry_after=1), 4, 0, "again", 240),
    (errors.Unavailable(), 1, 0, "again", 30),
    (errors.Unavailable(), 2, 0, "again", 60),
    (errors.Unavailable(), 3, 0, "again", 120),
    (errors.Unavailable(), 99, 0, "again", LONGEST["read"] / 2),
    (errors.Unavailable(retry_after=HOUR), 1, 0, "again", HOUR),
    (errors.Unavailable(retry_after=1), 1, 0, "again", 30),
    (errors.Unavailable(retry_after=10 * DAY), 1, 0, "again", DAY),
    (errors.GrantRevoked(), 1, 0, "reconnect", None),
    (errors.GrantRevoked(retry_after=5), 9, 0, "reconnect", None),
    (errors.PermissionDenied(), 1, 0, "leave_calendar", HOUR),
    (errors.NotFound(), 1, 0, "replan", 0),
    (errors.AlreadyExists(), 3, 0, "replan", 0),
    (errors.ETagMismatch(), 4, 0, "replan", 240),
    (errors.SyncTokenInvalid(), 1, 0, "in_full", 0),
    (errors.SyncTokenInvalid(), 4, 0, "in_full", 240),
    (errors.InvalidResponse(), 1, 0, "again", 30),
    (errors.Unsupported(), 1, 0, "again", DAY),
]


@pytest.mark.parametrize(("error", "attempts", "jitter", "action", "seconds"), TABLE)
def test_an_error_is_retried_as_the_table_says(
    error: ProviderError, attempts: int, jitter: float, action: str, seconds: float | None
) -> None:
    retry = plan_retry(error, attempts, jitter=jitter)
    assert (retry.action, retry.due_in_seconds) == (action, seconds)


@pytest.mark.parametrize("attempts", [*range(1, 20), 10_000])
def test_a_pause_lies_between_half_of_the_back_off_and_all_of_it(attempts: int) -> None:
    least, most = backoff(attempts, jitter=0, longest=3_600), backoff(attempts, jitter=0.999, longest=3_600)
    assert 30 <= least < most < 2 * least
    assert most < 3_600


def test_what_is_to_be_written_is_tried_over_days() -> None:
    error = errors.Unavailable()
    pauses = [plan_retry(error, attempts, jitter=0.5, work="write").due_in_seconds for attempts in range(1, 20)]
    assert sum(pause or 0 for pause in pauses) > 2 * DAY
    assert max(pause or 0 for pause in pauses) <= LONGEST["write"] == 6 * HOUR


def test_a_calendar_that_answers_again_is_pulled_before_half_an_hour_has_passed() -> None:
    pause = plan_retry(errors.Unavailable(), 99, jitter=0.999).due_in_seconds
    assert pause is not None
    assert pause < 1_800


def test_a_retry_is_due_that_long_after_now_or_never_by_itself() -> None:
    now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert Retry("again", 90).due_at(now) == now + timedelta(seconds=90)
    assert Retry("reconnect", None).due_at(now) is None
