"""The kinds of text that requests hold, and what answers of every noun have in common."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from availability import Code
from syncd.errors import PROBLEM_TYPES
from syncd.instants import read_instant

Side = Literal["client", "freelancer"]

_LARGEST_METADATA, _DEEPEST_METADATA = 8 * 1024, 20
_EMAIL = re.compile(r"[^@\s<>()\[\],;:\\\"]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be text: an instant with an offset, such as 2026-12-01T10:00:00+01:00")
    return read_instant(value)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone, such as Europe/Berlin") from None
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address")
    return value


def printable(value: str) -> str:
    """Text without control characters but tabs and line ends, which are made `\\n`. ValueError."""
    if any(ord(c) < 32 and c not in "\n\t" for c in value.replace("\r\n", "\n")):
        raise ValueError("must not hold control characters")
    return value.replace("\r\n", "\n")


def _one_line(value: str) -> str:
    if any(ord(c) < 32 for c in value):
        raise ValueError("must be a single line")
    return value


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except RecursionError:
        raise ValueError("must not be nested that deep") from None
    except ValueError:  # what is no number in JSON, and halves of surrogate pairs
        raise ValueError("must hold JSON values only") from None
    if size > _LARGEST_METADATA:
        raise ValueError(f"must have at most {_LARGEST_METADATA} bytes as JSON")
    if _depth(value) > _DEEPEST_METADATA:
        raise ValueError(f"must be nested at most {_DEEPEST_METADATA} levels deep")
    return value


def _depth(value: object) -> int:
    """How deep a value is nested; a level at a time, since as many calls would break the interpreter's own bound."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = (one.values() if isinstance(one, dict) else one if isinstance(one, list) else () for one in level)
        level = [item for items in inner for item in items]
    return depth


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
ZoneName = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_one_line)]
LongLine = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_one_line)]
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(printable)]
Metadata = Annotated[dict[Line, Any], Field(max_length=50), AfterValidator(_metadata)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_email)]


class Body(BaseModel):
    """A request's body; a member that isn't known is a mistake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Slot(BaseModel):
    """A start a client may book right now, and its end."""

    start: datetime
    end: datetime


class ReasonView(BaseModel):
    """One reason why a start is not offered; `unavailable` is all that the public is told of private time."""

    code: Code | Literal["unavailable"]
    calendar: str | None = None
    from_: datetime | None = Field(None, alias="from")
    to: datetime | None = None


class FieldError(BaseModel):
    """What is wrong with one member; where: a JSON pointer into the body (RFC 6901), or such as `query:start`."""

    pointer: str
    code: str
    detail: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(json_schema_extra={"enum": [*PROBLEM_TYPES, "internal-error"]})]
    request_id: str
    errors: list[FieldError] | None = None
    reasons: list[ReasonView] | None = None
    alternatives: list[Slot] | None = None
    current_state: str | None = None


class Health(BaseModel):
    """Whether the daemon is well."""

    status: Literal["ok"]
