"""What the fake Google server lets through: every request is held against the discovery document of the API.

Documented: paths, methods, parameters, bodies, answers and scopes are those of `calendar.v3.json`, which the client
library brings along; the shape of errors is that of "Handle API errors" (Calendar API guides); partial responses
(`fields=`) are those of "Performance tips". Stricter than Google: a field or parameter that the document doesn't have
is refused wherever it stands, and so is one of another type, although some of Google's own servers only ignore it.
Knows nothing of calendars and events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import googleapiclient

DOCUMENT: dict[str, Any] = json.loads(
    Path(googleapiclient.__file__).with_name("discovery_cache").joinpath("documents/calendar.v3.json").read_text()
)
BASE = "/" + DOCUMENT["servicePath"]  # /calendar/v3/
Json = dict[str, Any]


@dataclass
class Refusal(Exception):
    """An answer that isn't a success: status, reason and message as the guide "Handle API errors" shows them."""

    status: int
    reason: str
    message: str
    location: str = ""
    location_type: str = "parameter"
    domain: str = "global"
    headers: dict[str, str] = field(default_factory=dict)
    details: list[Json] = field(default_factory=list)

    def body(self) -> Json:
        """The JSON that goes with the status."""
        one = {"domain": self.domain, "reason": self.reason, "message": self.message}
        if self.location:
            one |= {"locationType": self.location_type, "location": self.location}
        told = {"errors": [one], "code": self.status, "message": self.message}
        return {"error": told | ({"details": self.details} if self.details else {})}


def invalid(message: str, location: str = "", location_type: str = "parameter", reason: str = "invalid") -> Refusal:
    """A 400: the client sent what the document doesn't allow."""
    return Refusal(400, reason, message, location, location_type)


@dataclass(frozen=True)
class Method:
    """One method of the API."""

    id: str  # "events.list"
    http: str
    segments: tuple[str, ...]
    parameters: Mapping[str, Json]
    request: str | None
    response: str | None
    scopes: frozenset[str]

    def variables(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """What the path names, or None if it is another's."""
        if len(segments) != len(self.segments):
            return None
        pairs = list(zip(self.segments, segments, strict=True))
        if any(ours != theirs and not ours.startswith("{") for ours, theirs in pairs):
            return None
        return {ours.strip("{}"): theirs for ours, theirs in pairs if ours.startswith("{")}


def _methods() -> list[Method]:
    found = [
        Method(
            f"{resource}.{name}",
            told["httpMethod"],
            tuple(told["path"].split("/")),
            told.get("parameters", {}) | DOCUMENT["parameters"],
            told.get("request", {}).get("$ref"),
            told.get("response", {}).get("$ref"),
            frozenset(told["scopes"]),
        )
        for resource, group in DOCUMENT["resources"].items()
        for name, told in group["methods"].items()
    ]
    return sorted(found, key=lambda one: sum(part.startswith("{") for part in one.segments))


METHODS = _methods()
SCOPES = frozenset(DOCUMENT["auth"]["oauth2"]["scopes"])


def find_method(http: str, path: str) -> tuple[Method, dict[str, str]]:
    """The method that a raw path means, with what the path names. Raises Refusal 404."""
    segments = tuple(unquote(part) for part in path.removeprefix(BASE).split("/"))
    for method in METHODS:
        named = method.variables(segments) if method.http == http and path.startswith(BASE) else None
        if named is not None:
            return method, named
    raise Refusal(404, "notFound", f"There is no {http} {path}")


# Parameters


def read_parameters(method: Method, named: Mapping[str, str], query: Mapping[str, list[str]]) -> Json:
    """Path and query parameters by name, typed; repeated ones as lists. Raises Refusal 400."""
    for name in query:
        if method.parameters.get(name, {}).get("location") != "query":
            raise invalid(f"Unknown name {name!r}: cannot bind query parameter", name, reason="invalidParameter")
    given = {**query, **{name: [value] for name, value in named.items()}}
    missing = [
        name for name, told in method.parameters.items() if told.get("required") and not any(given.get(name, ()))
    ]
    if missing:
        raise invalid(f"Required parameter: {missing[0]}", missing[0], reason="required")
    return {name: _parameter(name, method.parameters[name], values) for name, values in given.items()}


def _parameter(name: str, told: Json, values: list[str]) -> Any:
    if told.get("repeated"):
        return [_typed(name, told, value) for value in values]
    if len(values) > 1:
        raise invalid(f"Parameter {name} given more than once", name, reason="invalidParameter")
    return _typed(name, told, values[0])


def _typed(name: str, told: Json, text: str) -> Any:
    if "enum" in told and text not in told["enum"]:
        raise invalid(
            f"Invalid string value: '{text}'. Allowed values: {told['enum']}", name, reason="invalidParameter"
        )
    kind = told["type"]
    if kind == "boolean":
        return _boolean(name, text)
    if kind == "integer":
        return _integer(name, told, text)
    if told.get("format") == "date-time" and not _is_instant(text):
        raise invalid("Bad Request", name, reason="badRequest")
    return text


def _boolean(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise invalid(f"Invalid boolean value: '{text}'", name, reason="invalidParameter")
    return text == "true"


def _integer(name: str, told: Json, text: str) -> int:
    lowest, highest = int(told.get("minimum", -(2**31))), int(told.get("maximum", 2**31 - 1))
    if not re.fullmatch(r"-?\d+", text) or not lowest <= int(text) <= highest:
        raise invalid(f"Invalid value '{text}'. It must be in [{lowest}, {highest}]", name, reason="invalidParameter")
    return int(text)


# Bodies


def check_body(method: Method, body: Any) -> None:
    """Hold a request's body against its schema. Raises Refusal 400."""
    if not isinstance(body, dict):
        raise invalid("The body must be an object", reason="parseError")
    schema = DOCUMENT["schemas"][method.request]
    _check_object(schema, body, "", f"calendar.{method.id}")


def _check(schema: Json, value: Any, where: str, method: str) -> None:
    schema = DOCUMENT["schemas"][schema["$ref"]] if "$ref" in schema else schema
    if value is None or schema["type"] == "any":
        return
    if schema["type"] == "object":
        _check_object(schema, value, where, method)
    elif schema["type"] == "array":
        _check_array(schema, value, where, method)
    elif not _PLAIN[schema["type"], schema.get("format")](value):
        raise invalid(f"Invalid value for {where}: {value!r}", where, "other")


def _check_array(schema: Json, value: Any, where: str, method: str) -> None:
    if not isinstance(value, list):
        raise invalid(f"Invalid value for {where}: not a list", where, "other")
    for number, one in enumerate(value):
        _check(schema["items"], one, f"{where}[{number}]", method)


def _check_object(schema: Json, value: Any, where: str, method: str) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Invalid value for {where}: not an object", where, "other")
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, told in known.items():
        if method in told.get("annotations", {}).get("required", ()) and value.get(name) is None:
            raise invalid(f"Missing {name}.", f"{where}{name}", "other", "required")
    for name, one in value.items():
        if name not in known and others is None:
            raise invalid(
                f"Unknown name {name!r} at {where or 'the top'}: cannot find field", f"{where}{name}", "other"
            )
        _check(known.get(name, others), one, f"{where}.{name}" if where else name, method)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_long(value: Any) -> bool:
    return (isinstance(value, str) and value.isdecimal()) or (isinstance(value, int) and not isinstance(value, bool))


def _is_date(value: Any) -> bool:
    return (
        isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value)) and _reads(date.fromisoformat, value)
    )


def _is_instant(value: Any) -> bool:
    return _is_time(value) and bool(re.search(r"(Z|[+-]\d\d:\d\d)$", value))


def _is_time(value: Any) -> bool:
    shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
    return isinstance(value, str) and bool(re.fullmatch(shape, value)) and _reads(datetime.fromisoformat, value)


def _reads(reader: Callable[[str], object], text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


_PLAIN: dict[tuple[str, str | None], Callable[[Any], bool]] = {
    ("string", None): lambda value: isinstance(value, str),
    ("string", "date"): _is_date,
    ("string", "date-time"): _is_time,
    ("string", "int64"): _is_long,
    ("integer", "int32"): _is_integer,
    ("boolean", None): lambda value: isinstance(value, bool),
}


# Partial responses

Selection = dict[str, Any]  # name → what is selected of it, None for all; "*" stands for every name


@lru_cache(maxsize=256)
def selection(text: str, schema: str) -> Selection:
    """What `fields=` selects of an answer: `a,b(c,d/e)`, `*`. Raises Refusal 400 for what the answer doesn't have."""
    parts = re.findall(r"[^,()/\s]+|[,()/]", text)
    if "".join(parts) != text or not parts:
        raise _misselected(text)
    read, rest = _list(parts, text)
    if rest:
        raise _misselected(text)
    _known(read, {"$ref": schema})
    return read


def _misselected(name: str) -> Refusal:
    return invalid(f"Invalid field selection {name}", "fields", reason="invalidParameter")


def _list(parts: list[str], text: str) -> tuple[Selection, list[str]]:
    chosen: Selection = {}
    while True:
        path, parts = _path(parts, text)
        below: Selection | None = None
        if parts[:1] == ["("]:
            below, parts = _list(parts[1:], text)
            if parts[:1] != [")"]:
                raise _misselected(text)
            parts = parts[1:]
        _choose(chosen, path, below)
        if parts[:1] != [","]:
            return chosen, parts
        parts = parts[1:]


def _path(parts: list[str], text: str) -> tuple[list[str], list[str]]:
    path: list[str] = []
    while True:
        if not parts or parts[0] in "(),/":
            raise _misselected(text)
        path.append(parts[0])
        if parts[1:2] != ["/"]:
            return path, parts[1:]
        parts = parts[2:]


def _choose(chosen: Selection, path: list[str], below: Selection | None) -> None:
    for name in reversed(path[1:]):
        below = {name: below}
    merge(chosen, {path[0]: below})


def merge(chosen: Selection, more: Selection) -> None:
    """Add to a selection."""
    for name, below in more.items():
        if name not in chosen or below is None or chosen[name] is None:
            chosen[name] = None if name in chosen and chosen[name] is None else below
        else:
            merge(chosen[name], below)


def _known(chosen: Selection | None, schema: Json) -> None:
    while "$ref" in schema or schema.get("type") == "array":
        schema = DOCUMENT["schemas"][schema["$ref"]] if "$ref" in schema else schema["items"]
    for name, below in (chosen or {}).items():
        inside = [*schema.get("properties", {}).values()] if name == "*" else [_member(schema, name)]
        for one in inside if below else ():
            _known(below, one)


def _member(schema: Json, name: str) -> Json:
    found: Json | None = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    if found is None:
        raise _misselected(name)
    return found


def reduced(value: Any, chosen: Selection | None) -> Any:
    """What is left of an answer."""
    if chosen is None:
        return value
    if isinstance(value, list):
        return [reduced(one, chosen) for one in value]
    if not isinstance(value, dict):
        return value
    if "*" in chosen:
        return {name: reduced(one, chosen.get(name, chosen["*"])) for name, one in value.items()}
    return {name: reduced(value[name], below) for name, below in chosen.items() if name in value}
