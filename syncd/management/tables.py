"""Settings as the API says them, and as the configuration file says them, so that the same code judges both.

Decides how one becomes the other: `increment_minutes = 15` here is `increment = "15m"` there. Refuses to know which
settings there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from syncd.config.checks import Fault
from syncd.config.keys import Path
from syncd.errors import ApiError, invalid
from syncd.store.settings import LENGTHS

T = TypeVar("T", bound=BaseModel)
Values = Mapping[str, Any]
_MINUTES = "_minutes"
_IN_MINUTES = frozenset((*LENGTHS, "durations", "remind_before", "proposals_expire"))


def table_of(values: Values) -> dict[str, Any]:
    """Members of the API's objects as a table of the file; lengths in minutes become texts."""
    return {name.removesuffix(_MINUTES): _texts(name, value) for name, value in values.items()}


def _texts(name: str, value: Any) -> Any:
    if not name.endswith(_MINUTES):
        return value
    return [f"{minutes}m" for minutes in value] if isinstance(value, (list, tuple)) else f"{value}m"


def read(model: type[T], values: Values) -> T:
    """The file's model of these values. Raises ApiError, which names every member to mend."""
    try:
        return model.model_validate(table_of(values))
    except ValidationError as error:
        found = [Fault(tuple(one["loc"]), _right(one["type"], one["msg"])) for one in error.errors(include_url=False)]
        raise _to_mend(found) from None


def _right(kind: str, said: str) -> str:
    return f"must be {said}" if kind in ("wrong", "withheld") else said[:1].lower() + said[1:]


def check(faults: Iterable[Fault]) -> None:
    """Raises ApiError if there are any; pointers are those of the API's members."""
    if found := list(faults):
        raise _to_mend(found)


def _to_mend(faults: Iterable[Fault]) -> ApiError:
    errors = [{"pointer": _pointer(f.at), "code": "value_error", "detail": f.right} for f in faults]
    detail = "; ".join(f"{e['pointer'] or 'the body'}: {e['detail']}" for e in errors[:5])
    return ApiError("invalid-request", detail, errors=errors)


def _pointer(path: Path) -> str:
    parts = [str(part) for part in path if part != "[key]"]
    if parts and parts[0] in _IN_MINUTES:
        parts[0] += _MINUTES
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def check_name(pointer: str, kind: TypeAdapter[str], name: str) -> None:
    """Raises ApiError for what can't be a name of that kind."""
    try:
        kind.validate_python(name)
    except ValidationError as error:
        raise invalid(pointer, f"must be {error.errors()[0]['msg']}") from None


def file_only(what: str) -> ApiError:
    """The error of changing what the configuration file declares."""
    return ApiError("read-only", f"{what} is declared in the configuration file: change it there")
