"""RFC 9457: every failure as `application/problem+json`, from the one table of problem types."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from availability import Reason
from syncd.api.answers import Answer
from syncd.booking.reasons import reasons_json, slots_json, visible_reasons
from syncd.errors import PROBLEM_TYPES, ApiError, BookingError, ProblemType, SyncdError, problem_type

log = structlog.get_logger("syncd.api")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_STATUS = {401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}

# What validation found, as a sentence; `{…}` are facts it gives with it.
_RIGHT = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "must be JSON: {error}",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "string_type": "must be text",
    "string_unicode": "must be valid Unicode",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have a length of at most {max_length}",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
    "wrong": "must be {right}",
    "withheld": "must be {right}",
}


def problem(kind: ProblemType, detail: str, *, retry_after: float | None = None, **members: object) -> Answer:
    """A problem document; members that are None are left out."""
    body = {
        "type": f"urn:syncd:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.title,
        "code": kind.code,
        **{name: value for name, value in members.items() if value is not None},
    }
    headers = {"Retry-After": str(max(1, round(retry_after)))} if retry_after else {}
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(kind.status, json.dumps(body, ensure_ascii=False).encode(), headers, "application/problem+json")


def booking_problem(error: BookingError, *, tz: str, duration_minutes: int, trusted: bool) -> Answer:
    """Why a booking can't be: the reasons the caller may see, and the nearest slots, be there any or none."""
    kind = problem_type(error)
    assert kind is not None
    found = [reason for reason in error.reasons if isinstance(reason, Reason)]
    reasons = reasons_json(visible_reasons(found, trusted=trusted), tz)
    codes = ", ".join(dict.fromkeys(reason["code"] for reason in reasons))
    return problem(
        kind,
        f"{kind.title}: {codes}" if codes else str(error),
        retry_after=error.retry_after or (60 if kind.status == 503 else None),
        reasons=reasons or None,
        alternatives=slots_json(error.alternatives, duration_minutes, tz) if kind.code == "slot-taken" else None,
        current_state=error.current_state,
    )


def refused(error: BookingError) -> Answer:
    """Why a booking can't be, where none was asked for: told to the holder of a key."""
    return booking_problem(error, tz="UTC", duration_minutes=0, trusted=True)


def api_problem(error: ApiError) -> Answer:
    """A problem raised at the edge itself."""
    return problem(
        error.problem,
        error.detail,
        retry_after=error.retry_after,
        errors=list(error.errors) or None,
        current_state=error.current_state,
    )


async def on_api_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for ApiError."""
    assert isinstance(error, ApiError)
    return _told(request, error.problem, error, api_problem(error))


async def on_syncd_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for whatever of our tree gets here; the rest is a bug and answered as such."""
    assert isinstance(error, SyncdError)
    if isinstance(error, BookingError):
        return booking_problem(error, tz="UTC", duration_minutes=0, trusted=False).response(request)
    kind = problem_type(error) or PROBLEM_TYPES["store-unavailable"]
    return _told(request, kind, error, problem(kind, kind.title, retry_after=5))


def _told(request: Request, kind: ProblemType, error: Exception, answer: Answer) -> Response:
    """The answer; one that blames the store leaves a line in the log, since it says nothing of the cause itself."""
    if kind.code == "store-unavailable":
        log.error(
            "the store can't be used", error=str(error), path=request.url.path, request=request.scope["request_id"]
        )
    return answer.response(request)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """FastAPI's handler for what its validation refuses."""
    assert isinstance(error, RequestValidationError)
    return invalid_request([_field_error(e) for e in error.errors()]).response(request)


def invalid_request(errors: list[dict[str, str]]) -> Answer:
    """What was sent can't be understood, and where."""
    detail = "; ".join(f"{e['pointer'] or 'the body'}: {e['detail']}" for e in errors[:5])
    return problem(PROBLEM_TYPES["invalid-request"], detail, errors=errors)


def _field_error(error: dict[str, Any]) -> dict[str, str]:
    """Where (a JSON pointer into the body, RFC 6901, or `query:name`), which kind, and what would be right."""
    kind, (where, *path) = str(error["type"]), error["loc"]
    detail = _RIGHT[kind].format_map(error.get("ctx", {})) if kind in _RIGHT else str(error["msg"])
    if where != "body":
        pointer = f"{where}:{'/'.join(map(str, path))}"
    elif kind == "json_invalid":
        pointer, detail = "", f"{detail}, at character {path[0]}"
    else:
        pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
        if not path and kind in ("missing", "model_attributes_type"):
            detail = "must be a JSON object, sent as application/json"
    return {"pointer": pointer, "code": kind, "detail": detail}


async def on_http_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for the framework's own errors, such as an unknown path."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # the framework's word for a body that breaks its parser
        detail = "the body can't be read: it must be JSON in UTF-8, with numbers of a sensible length"
        return problem(PROBLEM_TYPES["invalid-request"], detail).response(request)
    kind = PROBLEM_TYPES[_BY_STATUS.get(error.status_code, "invalid-request")]
    details = {404: "there is nothing at this address", 405: f"this address doesn't take {request.method}"}
    detail = details.get(error.status_code, str(error.detail))
    status = ProblemType(kind.code, error.status_code, kind.title)
    return problem(status, detail).response(request, {**(error.headers or {}), **_allow(request, error.status_code)})


def _allow(request: Request, status: int) -> dict[str, str]:
    """What can be done at an address (RFC 9110, 10.2.1): of several routes the framework names the first one's."""
    paths: dict[str, dict[str, object]] = request.app.state.document["paths"] if status == 405 else {}
    here = [known for path, known in paths.items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)]
    methods = {method.upper() for known in here for method in known}
    methods |= {"HEAD"} if "GET" in methods else set()
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


async def on_bug(request: Request, error: Exception) -> Response:
    """FastAPI's handler for what nobody foresaw: said plainly, without its text."""
    kind = ProblemType("internal-error", 500, "The daemon failed")
    return problem(kind, "this is a fault of the daemon; its log has the request id").response(request)
