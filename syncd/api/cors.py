"""Which web pages may call: those of the configured origins (contract §9), whatever the answer is.

Decides it for the origins as they are configured now. No answer is ever for a page with the browser's own credentials.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from syncd.services import Services

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ALLOWED = (
    *("Authorization", "Content-Type", "Idempotency-Key"),
    *("If-Match", "If-None-Match", "Last-Event-ID"),
)
_EXPOSED = ("ETag", "Location", "Retry-After", "Syncd-Synced-At", "X-Request-Id")


class Cors:
    """Starlette's CORS around the application, for the origins that the configuration names."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._origins: tuple[str, ...] = ()
        self._around = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        origins = self._services.config.server.cors_origins
        if origins != self._origins:
            self._around = _cors(self._app, origins) if origins else self._app
            self._origins = origins
        await self._around(scope, receive, send)


def _cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    middleware = CORSMiddleware(
        app,
        allow_origins=[origin.lower() for origin in origins],  # as browsers send them
        allow_methods=_METHODS,
        allow_headers=_ALLOWED,
        expose_headers=_EXPOSED,
    )
    # Starlette adds those that need no leave.
    middleware.preflight_headers["Access-Control-Allow-Headers"] = ", ".join(_ALLOWED)
    return middleware
