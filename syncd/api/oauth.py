"""Where Google sends a person back to: the page that says how a sign-in ended.

Decides what a browser is shown, and what it may do with the page. It isn't in the API's document: no program calls it.
"""

from __future__ import annotations

from html import escape

import structlog
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from providers.errors import AuthorizationError, ProviderError
from syncd.errors import ApiError, ConfigError, problem_type
from syncd.log import scrub
from syncd.management import signing_in
from syncd.management.signing_in import Connected, Question, Told
from syncd.services import Services

log = structlog.get_logger("syncd.api")
router = APIRouter()

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds a code
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST = 4096
_PERMISSIONS = "https://myaccount.google.com/permissions"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


@router.get(signing_in.CALLBACK, include_in_schema=False)
def google_callback(request: Request) -> Response:
    """End a sign-in: the account is connected, or the person is asked once more, or told why neither."""
    services: Services = request.app.state.services
    state, code, error = (request.query_params.get(name, "")[:_LONGEST] for name in ("state", "code", "error"))
    try:
        ended = signing_in.end(services, Told(state, code, error))
    except (ApiError, ProviderError, ConfigError) as problem:
        return _failed(problem)
    if isinstance(ended, Question):
        return RedirectResponse(ended.authorize_url, 303, _HEADERS)
    return page(200, "Connected", _told(ended, services.config.public_url(services.port)))


def _told(ended: Connected, here: str) -> str:
    """Whom the person gave what: somebody else may have sent them to Google."""
    name, handle = ended.freelancer
    whose = f"{name} ({handle})" if name not in ("", handle) else handle
    count = f"{ended.calendars} calendar{'' if ended.calendars == 1 else 's'}"
    lines = [
        f"The account {ended.name} is connected, with {count}.",
        f"{ended.user}'s calendars are now used by {whose} at {here} (account {ended.name}).",
        f"If you didn't mean that, remove the permission at {_PERMISSIONS}. Else you can close this window.",
    ]
    if ended.missing:
        names = ", ".join(map(repr, ended.missing))
        lines.insert(
            1, f"There is no calendar {names}, as was chosen: what it would block is unknown, so slots stay closed."
        )
    return " ".join(lines)


def _failed(problem: ApiError | ProviderError | ConfigError) -> Response:
    kind = problem_type(problem)
    log.info("a sign-in ended without an account", reason=kind.code if kind else type(problem).__name__)
    if isinstance(problem, ApiError):
        more = ": load this page again in a moment" if problem.code == "rate-limited" else ""
        return page(problem.problem.status, "Not connected", f"{problem}{more}")
    if isinstance(problem, ConfigError):
        return page(503, "Not connected", "Google isn't set up here any more: the operator of this service knows why.")
    return page(403 if isinstance(problem, AuthorizationError) else 502, "Not connected", scrub(str(problem)))


def page(status: int, title: str, text: str) -> Response:
    """A page by itself, which loads nothing and is framed by no one."""
    shown = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    return HTMLResponse(_PAGE.format(title=escape(title), text=escape(shown)), status, _HEADERS)
