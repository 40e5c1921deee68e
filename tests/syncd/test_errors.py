"""The tables from an error to an exit code and to a problem of the API have no holes."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from providers import errors as remote
from syncd import errors
from syncd.errors import EXIT_CODES, PROBLEM_CODES, PROBLEM_TYPES, ApiError, ConfigError, Mistake, SyncdError


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    below = [child for child in kind.__subclasses__() if child.__module__ in (errors.__name__, remote.__name__)]
    if not below:
        yield kind
    for child in below:
        yield from leaves(child)


LEAVES = [*leaves(SyncdError), *leaves(remote.ProviderError)]


def made(kind: type[Exception]) -> Exception:
    if issubclass(kind, errors.MassDeletion):
        return kind(calendar="cal_1", removed=10, total=12)
    return kind()


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_leaf_has_an_exit_code_and_a_problem_or_none(leaf: type[Exception]) -> None:
    assert any(kind in EXIT_CODES for kind in leaf.__mro__)
    assert any(kind in PROBLEM_CODES for kind in leaf.__mro__)
    assert errors.exit_code(made(leaf)) in (1, 69, 75, 77, 78)
    assert str(made(leaf))


def test_the_tables_name_no_error_outside_the_trees() -> None:
    assert all(issubclass(kind, SyncdError | remote.ProviderError) for kind in (*EXIT_CODES, *PROBLEM_CODES))
    assert set(PROBLEM_CODES.values()) <= {None, *PROBLEM_TYPES}


@pytest.mark.parametrize(
    ("error", "code", "problem"),
    [
        (errors.ConfigError("x"), 78, None),
        (errors.StoreError(), 75, "store-unavailable"),
        (errors.MassDeletion(calendar="cal_1", removed=10, total=12), 1, None),
        (errors.SlotTaken(), 1, "slot-taken"),
        (errors.NotOffered(), 1, "not-offered"),
        (errors.HoldExpired(), 1, "hold-expired"),
        (errors.WrongState(), 1, "wrong-state"),
        (errors.AvailabilityUnknown(), 75, "availability-unknown"),
        (remote.Unavailable(), 69, "provider-unavailable"),
        (remote.RateLimited(), 75, "provider-unavailable"),
        (remote.GrantRevoked(), 77, "provider-unavailable"),
        (remote.PermissionDenied(), 77, "provider-unavailable"),
        (remote.ETagMismatch(), 1, None),
        (remote.SyncTokenInvalid(), 1, None),
        (ApiError("rate-limited"), 1, "rate-limited"),
        (ZeroDivisionError(), 1, None),
    ],
)
def test_an_error_has_the_exit_code_and_the_problem_of_the_contract(
    error: Exception, code: int, problem: str | None
) -> None:
    found = errors.problem_type(error)
    assert (errors.exit_code(error), found.code if found else None) == (code, problem)


def test_the_problems_are_those_of_the_contract() -> None:
    by_status: dict[int, set[str]] = {}
    for problem in PROBLEM_TYPES.values():
        by_status.setdefault(problem.status, set()).add(problem.code)
    assert by_status == {
        401: {"unauthorized"},
        403: {"forbidden", "read-only"},
        404: {"not-found"},
        405: {"method-not-allowed"},  # ours: the contract has no word for it
        409: {
            *("slot-taken", "wrong-state", "already-ringing", "not-online", "outside-hours", "request-in-progress"),
        },
        410: {"hold-expired"},
        412: {"revision-mismatch"},
        413: {"too-large"},
        422: {"invalid-request", "not-offered", "idempotency-mismatch"},
        429: {"rate-limited"},
        502: {"provider-unavailable"},
        503: {"availability-unknown", "store-unavailable"},
    }
    assert all(HTTPStatus(status) for status in by_status)
    assert all(problem.title for problem in PROBLEM_TYPES.values())


def test_an_answer_without_a_code_of_the_contract_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        ApiError("teapot")


def test_an_answer_says_its_title_unless_it_has_more_to_say() -> None:
    assert str(ApiError("not-found")) == "There is nothing here"
    assert str(ApiError("not-found", "no such consultation")) == "no such consultation"


def test_facts_are_attributes() -> None:
    taken = errors.SlotTaken("taken", reasons=["busy"], alternatives=[1, 2], current_state="held", retry_after=5)
    assert (taken.reasons, taken.alternatives) == (("busy",), (1, 2))
    assert (taken.current_state, taken.retry_after) == ("held", 5)


def test_a_configuration_error_lists_every_mistake_with_its_file() -> None:
    one, two = Mistake("a.b", "must be right", '"x"'), Mistake("c", "is missing", variable="SYNCD_C")
    assert str(ConfigError(file=Path("f.toml"), mistakes=[one])) == 'f.toml: a.b = "x": must be right'
    both = ConfigError(file=Path("f.toml"), mistakes=[one, two])
    assert str(both) == 'f.toml: 2 things to mend\n  a.b = "x": must be right\n  c (from SYNCD_C): is missing'
    assert both.mistakes == (one, two)
