"""How management is done over HTTP: by whom, in one transaction, shown with an ETag, listed a page at a time.

Decides nothing of what may be set.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import Header, Request, Response
from sqlalchemy.orm import Session

from syncd.api.answers import Answer, etag_of, unless_known
from syncd.api.credentials import KeyHolder, key_holder, presented
from syncd.api.idempotency import Sent, perform
from syncd.api.problems import refused
from syncd.api.schemas.common import Problem
from syncd.api.schemas.links import PageQuery
from syncd.config import Config
from syncd.errors import ApiError
from syncd.management.freelancers import find_freelancer
from syncd.questions import wrong
from syncd.services import Services
from syncd.store.models import Freelancer

T = TypeVar("T")
READING: dict[int | str, dict[str, object]] = {
    304: {"description": "As it was"},
    **{code: {"model": Problem} for code in (401, 403, 404, 422, 503)},
}
PROBLEMS: dict[int | str, dict[str, object]] = {
    code: {"model": Problem} for code in (401, 403, 404, 409, 413, 422, 503)
}
CHANGING: dict[int | str, dict[str, object]] = {**PROBLEMS, 412: {"model": Problem}}
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="the ETag that GET gave: where it is another by now, nothing changes"),
]


@dataclass(frozen=True, slots=True)
class Desk:
    """A transaction in which someone manages."""

    services: Services
    session: Session
    holder: KeyHolder

    @property
    def now(self) -> datetime:
        """The time."""
        return self.services.clock()

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.services.config

    def freelancer(self, handle: str) -> Freelancer:
        """The freelancer, if the key may manage them. Raises ApiError."""
        found = find_freelancer(self.session, handle)
        if found is None or self.holder.freelancer_id not in (None, found.id):
            raise ApiError("not-found", "there is no such freelancer")
        return found


# Members that change by themselves, as calendars are read: nobody set them.
_FOUND_OUT = frozenset({"state", "problem", "missing", "retry_at", "synced_at", "held_back", "quarantined", "probe"})


def there(found: T | None, what: str) -> T:
    """What was found. Raises ApiError if there is no such thing."""
    if found is None:
        raise ApiError("not-found", f"there is no such {what}")
    return found


def desk_of(request: Request, session: Session) -> Desk:
    """Where the caller manages in a transaction. Raises ApiError for whoever may not manage at all."""
    holder = key_holder(session, presented(request))
    if holder is None:
        raise ApiError("unauthorized", "this takes an API key with the scope manage")
    if "manage" not in holder.scopes:
        raise ApiError("forbidden", "this key lacks the scope manage")
    return Desk(request.app.state.services, session, holder)


def look_up(request: Request, document: Callable[[Desk], Mapping[str, object]]) -> Response:
    """Show something, or that it is as the caller knows it (RFC 9110, 13.1.2)."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        body = Answer.of(200, document(desk_of(request, session))).body
    return unless_known(request, body, _etag(body), {"Cache-Control": "private, no-cache"})


def change(
    request: Request,
    if_match: str | None,
    current: Callable[[Desk], Mapping[str, object] | None],
    action: Callable[[Desk], Answer],
) -> Response:
    """Change something in one transaction, if it is as the caller knows it; `current` shows it, None: it isn't there.

    Raises ApiError if it isn't.
    """
    services: Services = request.app.state.services
    with services.store.write() as session:
        desk = desk_of(request, session)
        check_match(desk, if_match, current)
        answer = action(desk)
    services.nudge()
    return answer.response(request, {} if request.method == "DELETE" else {"ETag": _etag(answer.body)})


def check_match(desk: Desk, if_match: str | None, current: Callable[[Desk], Mapping[str, object] | None]) -> None:
    """Raises ApiError where something isn't as the caller knows it (RFC 9110, 13.1.1)."""
    if if_match is None:
        return
    document = current(desk)
    known = [_settings_part(tag) for tag in if_match.split(",")]
    if document is None or (known != ["*"] and _settings_part(_etag(Answer.of(200, document).body)) not in known):
        raise ApiError("revision-mismatch", "it is not as you know it, someone has changed it since: read it again")


def _etag(body: bytes) -> str:
    """An entity tag in two parts: of what is set, which `If-Match` is about, and of all that is shown."""
    document = json.loads(body)
    settings = {name: value for name, value in document.items() if name not in _FOUND_OUT}
    return f'"{_digest(settings)}.{_digest(document)}"'


def _digest(document: object) -> str:
    return etag_of(json.dumps(document).encode()).strip('"')[:16]


def _settings_part(tag: str) -> str:
    return tag.strip().removeprefix("W/").strip('"').partition(".")[0]


def create(request: Request, idempotency_key: str | None, body: bytes, action: Callable[[Desk], Answer]) -> Response:
    """Make something, once for each Idempotency-Key; an answer is repeated only to whoever may still manage."""
    services: Services = request.app.state.services
    with services.store.read() as session:
        desk_of(request, session)
    sent = Sent("POST", request.url.path, presented(request), idempotency_key, body)
    return perform(services, sent, lambda session: action(desk_of(request, session)), refused).response(request)


def made(path: str, document: Mapping[str, object]) -> Answer:
    """The answer that something was made, and where it is."""
    return Answer.of(201, document, {"Location": path, "Cache-Control": "no-store"})


def gone() -> Answer:
    """The answer that something was removed."""
    return Answer(204, b"")


def page(
    listed: str,
    asked: PageQuery,
    rows_after: Callable[[str, int], Sequence[T]],
    name: Callable[[T], str],
    shown: Callable[[T], Mapping[str, object]],
) -> dict[str, object]:
    """A page of a list that is ordered by name; `rows_after(name, limit)` are the rows behind one."""
    rows = rows_after(_place(listed, asked.cursor), asked.limit + 1)
    cursor = _cursor(listed, name(rows[asked.limit - 1])) if len(rows) > asked.limit else None
    return {"data": [shown(row) for row in rows[: asked.limit]], "next_cursor": cursor}


def _cursor(listed: str, place: str) -> str:
    return base64.urlsafe_b64encode(f"{listed}\n{place}".encode()).rstrip(b"=").decode()


def _place(listed: str, cursor: str | None) -> str:
    if not cursor:
        return ""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        kind, place = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("\n")
    except ValueError:
        kind = place = ""
    if kind != listed or _cursor(listed, place) != cursor or not place.isprintable():
        raise wrong("cursor", "must be the `next_cursor` of the page before, with the same filters")
    return place
