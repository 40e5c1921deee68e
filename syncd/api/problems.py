"""RFC 9457: every failure as `application/problem+json`, from the one table of problem types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from availability import Reason
from syncd.api.answers import Answer
from syncd.booking.lifecycle import visible_reasons
from syncd.errors import PROBLEM_TYPES, ApiError, BookingError, ProblemType, SyncdError, problem_type

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_STATUS = {401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "not-found", 413: "too-large"}


def problem(kind: ProblemType, detail: str, *, retry_after: float | None = None, **members: object) -> Answer:
    """A problem document; members that are empty are left out."""
    body = {
        "type": f"urn:syncd:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.title,
        "code": kind.code,
        **{name: value for name, value in members.items() if value},
    }
    headers = {"Retry-After": str(max(1, round(retry_after)))} if retry_after else {}
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(kind.status, json.dumps(body, ensure_ascii=False).encode(), headers, "application/problem+json")


def booking_problem(error: BookingError, *, tz: str, duration_minutes: int, trusted: bool) -> Answer:
    """Why a booking can't be: the reasons the caller may see, and the nearest slots."""
    kind = problem_type(error)
    assert kind is not None
    found = [reason for reason in error.reasons if isinstance(reason, Reason)]
    reasons = reasons_json(visible_reasons(found, trusted=trusted), tz)
    codes = ", ".join(dict.fromkeys(reason["code"] for reason in reasons))
    return problem(
        kind,
        f"{kind.title}: {codes}" if codes else str(error),
        retry_after=error.retry_after or (60 if kind.status == 503 else None),
        reasons=reasons,
        alternatives=slots_json(error.alternatives, duration_minutes, tz) if kind.code == "slot-taken" else None,
        current_state=error.current_state,
    )


def reasons_json(reasons: Iterable[Reason | Literal["unavailable"]], tz: str) -> list[dict[str, str]]:
    """Reasons as the API writes them, with instants in a zone."""
    return [{"code": "unavailable"} if isinstance(r, str) else _reason(r, tz) for r in reasons]


def _reason(reason: Reason, tz: str) -> dict[str, str]:
    members = {
        "code": reason.code,
        "calendar": reason.calendar,
        "from": local(reason.start, tz) if reason.start is not None else None,
        "to": local(reason.end, tz) if reason.end is not None else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def slots_json(starts: Sequence[int], duration_minutes: int, tz: str) -> list[dict[str, str]]:
    """Slots as the API writes them."""
    return [{"start": local(start, tz), "end": local(start + 60 * duration_minutes, tz)} for start in starts]


def local(instant: int, tz: str) -> str:
    """An instant with the offset of a zone."""
    return (_EPOCH + timedelta(seconds=instant)).astimezone(ZoneInfo(tz)).isoformat()


def api_problem(error: ApiError) -> Answer:
    """A problem raised at the edge itself."""
    return problem(
        error.problem,
        error.detail,
        retry_after=error.retry_after,
        errors=list(error.errors),
        current_state=error.current_state,
    )


async def on_api_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for ApiError."""
    assert isinstance(error, ApiError)
    return api_problem(error).response(request)


async def on_syncd_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for whatever of our tree gets here; the rest is a bug and answered as such."""
    assert isinstance(error, SyncdError)
    if isinstance(error, BookingError):
        return booking_problem(error, tz="UTC", duration_minutes=0, trusted=False).response(request)
    kind = problem_type(error) or PROBLEM_TYPES["store-unavailable"]
    return problem(kind, kind.title, retry_after=5).response(request)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """FastAPI's handler for what its validation refuses."""
    assert isinstance(error, RequestValidationError)
    errors = [_field_error(e) for e in error.errors()]
    detail = "; ".join(f"{e['pointer']}: {e['detail']}" for e in errors[:5])
    return problem(PROBLEM_TYPES["invalid-request"], detail, errors=errors).response(request)


def _field_error(error: dict[str, Any]) -> dict[str, str]:
    where, *path = error["loc"]
    names = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path if not isinstance(part, bytes))
    pointer = f"/{names}" if where == "body" else f"{where}:{names}"
    return {"pointer": pointer, "code": str(error["type"]), "detail": str(error["msg"])}


async def on_http_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for the framework's own errors, such as an unknown path."""
    assert isinstance(error, HTTPException)
    kind = PROBLEM_TYPES[_BY_STATUS.get(error.status_code, "invalid-request")]
    if error.status_code not in (kind.status, 405):
        kind = ProblemType(kind.code, error.status_code, kind.title)
    status = ProblemType(kind.code, error.status_code, kind.title)
    return problem(status, str(error.detail)).response(request, dict(error.headers or {}))


async def on_bug(request: Request, error: Exception) -> Response:
    """FastAPI's handler for what nobody foresaw: said plainly, without its text."""
    kind = ProblemType("internal-error", 500, "The daemon failed")
    return problem(kind, "this is a fault of the daemon; its log has the request id").response(request)
