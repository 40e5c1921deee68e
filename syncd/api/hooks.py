"""Where providers tell that a calendar changed. Noted and answered at once; the pull is the worker's.

Decides who is believed: whoever shows the token that was made for a channel. Nothing is looked up for anyone else, so
that all of them get the same answer in the same time, and there is nothing to guess or to wear out. Google sends for
everyone from a few addresses, and what it can't deliver may be lost: no rate limit stands before this.
"""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from syncd.errors import ApiError
from syncd.services import Services
from syncd.sync.watches import Message, hear

router = APIRouter(tags=["operations"])
_NAME = re.compile(r"[!-~]{1,255}")
_LONGEST_TOKEN = 255


@router.post("/hooks/google", include_in_schema=False, status_code=204)
def google(request: Request) -> Response:
    """Google's message that a calendar changed, or that a channel was opened: all of it is in the headers."""
    services: Services = request.app.state.services
    message = _message(request, services)
    heard = hear(services.store, message, services.clock()) if message else "unknown"
    if heard == "unknown":
        raise ApiError("not-found", "there is nothing at this address")
    if heard == "due":
        services.nudge()
    return Response(status_code=204)


def _message(request: Request, services: Services) -> Message | None:
    """What a request says; None unless it shows the token of the channel it names."""
    channel_id, token = (request.headers.get(f"x-goog-channel-{part}", "") for part in ("id", "token"))
    if not services.vault.is_channel_token(token[:_LONGEST_TOKEN], channel_id[:_LONGEST_TOKEN]):
        return None
    resource_id = request.headers.get("x-goog-resource-id", "")
    return Message(
        channel_id,
        resource_id if _NAME.fullmatch(resource_id) else None,
        is_first=request.headers.get("x-goog-resource-state") == "sync",
    )
