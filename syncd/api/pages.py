"""How every list is answered: `{data, next_cursor}`.

Decides what a cursor looks like. Refuses to know what is listed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from syncd.api.answers import Answer
from syncd.errors import ApiError
from syncd.instants import read_instant, rfc3339
from syncd.questions import wrong
from syncd.store.pages import Place


def cursor_of(listed: str, place: Place | None) -> str | None:
    """The cursor that goes on behind a place of a list; `listed` names the list and its order."""
    if place is None:
        return None
    return base64.urlsafe_b64encode("\n".join((listed, rfc3339(place.at), place.id)).encode()).rstrip(b"=").decode()


def place_in(listed: str, cursor: str | None) -> Place | None:
    """Where a cursor goes on. Raises ApiError for one that is none, or another list's."""
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        kind, at, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("\n")
        place = Place(read_instant(at), row_id)
    except ValueError:
        raise _bad_cursor() from None
    if kind != listed or cursor_of(listed, place) != cursor:
        raise _bad_cursor()
    return place


def page_answer(data: Sequence[Mapping[str, object]], next_cursor: str | None) -> Answer:
    """A page as every list shows it; it may hold what is private."""
    return Answer.of(200, {"data": list(data), "next_cursor": next_cursor}, {"Cache-Control": "no-store"})


def _bad_cursor() -> ApiError:
    return wrong("cursor", "must be the `next_cursor` of the page before, with the same filters")
