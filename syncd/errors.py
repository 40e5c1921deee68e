"""The errors of the daemon, named for what the caller does, and the tables from an error to an exit code or a problem.

Decides which word, status and exit code each failure has. Refuses to know HTTP, the command line and the store: the
edges ask these tables. Facts are attributes; the text is for people and never holds a secret, a title or an address
of a client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from providers import errors as remote


class SyncdError(Exception):
    """Anything that keeps the daemon from doing what it was asked."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend in a configuration: the key as written, its value as it may be shown, and what is right."""

    key: str
    expected: str
    value: str | None = None
    variable: str | None = None  # the environment variable the value came from, where it wasn't the file

    def __str__(self) -> str:
        where = f"{self.key} (from {self.variable})" if self.variable else self.key
        named = where if self.value is None else f"{where} = {self.value}"
        return f"{named}: {self.expected}" if named else self.expected


class ConfigError(SyncdError):
    """The configuration can't be used: a person mends it."""

    def __init__(self, message: str = "", *, file: Path | None = None, mistakes: Iterable[Mistake] = ()) -> None:
        self.file = file
        self.mistakes = tuple(mistakes)
        super().__init__(message or self._described())

    def _described(self) -> str:
        lines = [str(mistake) for mistake in self.mistakes]
        prefix = f"{self.file}: " if self.file else ""
        if len(lines) < 2:
            return prefix + "".join(lines)
        return f"{prefix}{len(lines)} things to mend" + "".join(f"\n  {line}" for line in lines)


class StoreError(SyncdError):
    """The database can't be used now: try again later."""


class MassDeletion(SyncdError):
    """A pull would remove most of a calendar: hold it back and ask again."""

    def __init__(self, message: str = "", *, calendar: str, removed: int, total: int) -> None:
        super().__init__(message)
        self.calendar = calendar
        self.removed = removed
        self.total = total


class BookingError(SyncdError):
    """A booking can't be made or changed as asked.

    `reasons` are the predicate's (all that the caller may see), `alternatives` the nearest bookable starts in seconds
    since the epoch, `current_state` the booking's, `retry_after` seconds.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reasons: Iterable[object] = (),
        alternatives: Iterable[int] = (),
        current_state: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)
        self.alternatives = tuple(alternatives)
        self.current_state = current_state
        self.retry_after = retry_after


class SlotTaken(BookingError):
    """Someone or something else has that time: offer the alternatives."""


class NotOffered(BookingError):
    """The rules don't offer that start: say why."""


class HoldExpired(BookingError):
    """The hold has run out: take a new one."""


class WrongState(BookingError):
    """The booking isn't in a state that allows this: read it again."""


class AvailabilityUnknown(BookingError):
    """A calendar that could block can't be read: ask again later."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One word of the API for a failure (RFC 9457), with its HTTP status and title."""

    code: str
    status: int
    title: str


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    code: ProblemType(code, status, title)
    for code, status, title in (
        ("unauthorized", 401, "A valid credential is needed"),
        ("forbidden", 403, "This credential does not allow that"),
        ("read-only", 403, "This is declared in the configuration file"),
        ("not-found", 404, "There is nothing here"),
        ("method-not-allowed", 405, "This is not what can be done here"),
        ("slot-taken", 409, "This time is no longer free"),
        ("wrong-state", 409, "The state does not allow that"),
        ("already-ringing", 409, "Someone is already asking"),
        ("not-online", 409, "The freelancer is not online"),
        ("outside-hours", 409, "Outside today's set hours"),
        ("request-in-progress", 409, "The same request is still running"),
        ("hold-expired", 410, "The hold has expired"),
        ("revision-mismatch", 412, "It has changed since it was read"),
        ("too-large", 413, "The request is too large"),
        ("invalid-request", 422, "The request can't be understood"),
        ("not-offered", 422, "This start is not offered"),
        ("idempotency-mismatch", 422, "The idempotency key was used for another request"),
        ("rate-limited", 429, "Too many requests"),
        ("provider-unavailable", 502, "The calendar can't be reached"),
        ("availability-unknown", 503, "It is not known what is free"),
        ("store-unavailable", 503, "The database can't be used now"),
    )
}


class ApiError(Exception):
    """An answer of the API that has no leaf of its own; raised at the API's edge alone, so it is no part of the tree.

    `code` is a key of PROBLEM_TYPES; `errors` are `{pointer, code, detail}` of a request's fields; `retry_after` is in
    seconds. Raises KeyError for a code that isn't in the table.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Iterable[Mapping[str, str]] = (),
        reasons: Iterable[object] = (),
        current_state: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.problem = PROBLEM_TYPES[code]
        self.code = code
        self.detail = detail or self.problem.title
        self.errors = tuple(errors)
        self.reasons = tuple(reasons)
        self.current_state = current_state
        self.retry_after = retry_after
        super().__init__(self.detail)


def invalid(pointer: str, detail: str) -> ApiError:
    """The error of one member of a request's body, by its JSON pointer (RFC 6901)."""
    found = {"pointer": pointer, "code": "value_error", "detail": detail}
    return ApiError("invalid-request", detail, errors=[found])


def invalid_at(pointer: str, detail: str, code: str = "value_error") -> ApiError:
    """As `invalid`, where the sentence alone wouldn't say which member is meant."""
    found = {"pointer": pointer, "code": code, "detail": detail}
    return ApiError("invalid-request", f"{pointer}: {detail}", errors=[found])


# A class stands for its leaves; what never reaches HTTP has None.
EXIT_CODES: Mapping[type[Exception], int] = {
    ConfigError: 78,
    StoreError: 75,
    MassDeletion: 1,
    SlotTaken: 1,
    NotOffered: 1,
    HoldExpired: 1,
    WrongState: 1,
    AvailabilityUnknown: 75,
    remote.RateLimited: 75,
    remote.Unavailable: 69,
    remote.AuthorizationError: 77,
    remote.PreconditionFailed: 1,
    remote.SyncTokenInvalid: 1,
    remote.Unsupported: 1,
    remote.InvalidResponse: 1,
}

PROBLEM_CODES: Mapping[type[Exception], str | None] = {
    ConfigError: None,
    StoreError: "store-unavailable",
    MassDeletion: None,
    SlotTaken: "slot-taken",
    NotOffered: "not-offered",
    HoldExpired: "hold-expired",
    WrongState: "wrong-state",
    AvailabilityUnknown: "availability-unknown",
    remote.Transient: "provider-unavailable",
    remote.AuthorizationError: "provider-unavailable",
    remote.PreconditionFailed: None,
    remote.SyncTokenInvalid: None,
    remote.Unsupported: None,
    remote.InvalidResponse: None,
}


def exit_code(error: BaseException) -> int:
    """The exit code of the command line for this error; 1 for whatever isn't in the table."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), 1)


def problem_type(error: BaseException) -> ProblemType | None:
    """What this error is called over HTTP, or None if it must never get there."""
    if isinstance(error, ApiError):
        return error.problem
    code = next((PROBLEM_CODES[kind] for kind in type(error).__mro__ if kind in PROBLEM_CODES), None)
    return PROBLEM_TYPES[code] if code else None
