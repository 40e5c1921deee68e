"""Puts the HTTP edge together: routers, problem handlers, and around them request ids, CORS, rate limits, bounds."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware

from syncd.api import (
    actions,
    aftermath,
    approvals,
    booking_list,
    bookings,
    calendars,
    holds,
    hooks,
    ics,
    links,
    oauth,
    problems,
    profile,
    simulate,
    slots,
)
from syncd.api.answers import Answer
from syncd.api.cors import Cors
from syncd.api.document import described
from syncd.api.limits import RateLimits
from syncd.api.management import ROUTERS as MANAGEMENT
from syncd.api.schemas.common import Health, Problem
from syncd.errors import PROBLEM_TYPES, ApiError, SyncdError
from syncd.management.signing_in import CALLBACK
from syncd.services import Services

LARGEST_BODY = 64 * 1024
_TOO_LARGE = f"a request may have {LARGEST_BODY} bytes"
_HEARTBEAT = timedelta(minutes=1)
_LIMITED: dict[int | str, dict[str, Any]] = {429: {"model": Problem}}
_READY: dict[int | str, dict[str, Any]] = {200: {"model": Health}, 503: {"model": Problem}}
_REQUEST_ID = re.compile(r"[\w.-]{1,64}")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def create_app(services: Services) -> FastAPI:
    """The HTTP application on an opened installation."""
    app = FastAPI(routes=_routed().routes, openapi_url=None, redirect_slashes=False)
    app.state.services, app.state.document = services, document()
    _add_handlers(app)
    _add_middleware(app, services)
    return app


@cache
def _routed() -> FastAPI:
    """The routes and their document; every installation has the same, and making them takes most of a start."""
    app = FastAPI(
        title="syncd",
        version=version("syncd"),
        description="Bookable slots from a freelancer's calendars, and bookings back into them.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # what is sent to `…/` may have come by a proxy, of which a redirect knows nothing
        responses={500: {"model": Problem}},
    )
    _add_routes(app)
    app.openapi_schema = described(app.openapi())
    return app


def document() -> dict[str, Any]:
    """`/openapi.json`."""
    return _routed().openapi()


_NOUNS = (booking_list, links, bookings, actions, holds, approvals, aftermath, calendars, ics, simulate, profile)


def _add_routes(app: FastAPI) -> None:
    """Every address; the first that fits is taken."""
    app.include_router(slots.router, responses=_LIMITED)  # first, being asked for most
    for router in (*MANAGEMENT, *(noun.router for noun in _NOUNS)):  # MANAGEMENT before what takes any handle
        app.include_router(router, responses=_LIMITED)
    app.include_router(oauth.router)
    app.include_router(hooks.router)
    app.add_api_route("/healthz", healthz, operation_id="healthz", tags=["operations"], response_model=Health)
    app.add_api_route("/readyz", readyz, operation_id="readyz", tags=["operations"], responses=_READY)


def _add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ApiError, problems.on_api_error)
    app.add_exception_handler(SyncdError, problems.on_syncd_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid_request)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(Exception, problems.on_bug)


def _add_middleware(app: FastAPI, services: Services) -> None:
    """What stands around all routes, from the inside out."""
    app.add_middleware(HeadAsGet)
    app.add_middleware(Bounds)
    app.add_middleware(NoNul)
    app.add_middleware(RateLimits, services=services)
    # FastAPI's own answer to a bug comes from outside of everything: without the headers that all others have.
    app.add_middleware(ServerErrorMiddleware, handler=problems.on_bug)
    app.add_middleware(Cors, services=services)
    app.add_middleware(RequestIds)


def healthz() -> Health:
    """The process is alive."""
    return Health(status="ok")


def readyz(request: Request) -> Response:
    """The database answers, and the worker has shown a sign of life within a minute."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        session.connection().exec_driver_sql("SELECT 1")
    beat = services.beat_at
    if beat is None or services.clock() - beat > _HEARTBEAT:
        raise ApiError("store-unavailable", "the worker shows no sign of life", retry_after=5)
    return Answer.of(200, {"status": "ok"}).response(request)


class RequestIds:
    """Gives every request an id, the caller's if it sent a sane one, and every answer the header."""

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(8)
        scope["request_id"] = request_id

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, with_id)


class HeadAsGet:
    """Whatever takes GET takes HEAD (RFC 9110, 9.1), and the server leaves the body out; but for the end of a sign-in,
    which counts once and isn't for programs that only look at an address."""

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD" and scope["path"] != CALLBACK
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


def _holder_of_nul(scope: MutableMapping[str, Any]) -> str:
    """The name of the first parameter that holds NUL, without what it holds."""
    asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return next((name.replace("\0", "") for name, value in asked if "\0" in name + value), "")


class NoNul:
    """Refuses NUL in an address: no name here holds it, and PostgreSQL can't be asked for a text that does."""

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        app: ASGI = self._app
        if scope["type"] == "http" and "\0" in scope["path"]:
            app = problems.problem(PROBLEM_TYPES["not-found"], "there is nothing at this address").response(
                Request(scope)
            )
        elif scope["type"] == "http" and b"%00" in scope["query_string"]:
            wrong = {"pointer": f"query:{_holder_of_nul(scope)}", "code": "nul", "detail": "must not hold NUL (%00)"}
            app = problems.invalid_request([wrong]).response(Request(scope))
        await app(scope, receive, send)


class Bounds:
    """Refuses bodies over 64 KiB, whether they say so or not."""

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        told = request.headers.get("content-length", "0")
        if not told.isdigit() or int(told) > LARGEST_BODY:
            await _too_large(request)(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(413, _TOO_LARGE)  # the one error that FastAPI lets pass while it reads a body
            return message

        await self._app(scope, bounded, send)


def _too_large(request: Request) -> Response:
    kind = PROBLEM_TYPES["too-large"]
    return problems.problem(kind, _TOO_LARGE).response(request)
