"""The hand of a person at the fake Google server, for shells and for tests in other processes: `POST /_hand/<verb>`.

A verb is a method of `FakeGoogle`, its JSON body the method's arguments by name; the answer is `{"result": …}`. `grant`
takes `{"scopes": […]}`, `set` takes `{"name": "oauth.denies", "value": true}`, and `requests` tells what came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_google_http import Answer, in_json
from fake_google_schema import Refusal

if TYPE_CHECKING:
    from fake_google import FakeGoogle

_METHODS = (
    *("make_calendar", "remove_calendar", "put", "patch", "delete", "move", "items", "calendars", "revoke", "reset"),
    *("expire_access", "expire_sync", "shuffle", "overrides_first", "fail", "count"),
)


def by_hand(google: FakeGoogle, verb: str, told: dict[str, Any]) -> Answer:
    """Do what a verb says."""
    try:
        return in_json(200, {"result": _done(google, verb, told)})
    except (Refusal, LookupError, TypeError, AttributeError, ValueError) as error:
        return in_json(400, {"error": repr(error)})


def _done(google: FakeGoogle, verb: str, told: dict[str, Any]) -> Any:
    if verb in _METHODS:
        return getattr(google, verb)(**told)
    if verb == "grant":
        return google.grant(*told["scopes"])
    if verb == "set":
        owner, _, name = told["name"].rpartition(".")
        return setattr(getattr(google, owner) if owner else google, name, told["value"])
    if verb == "requests":
        return [[seen.name, seen.http, seen.path, seen.status] for seen in google.requests]
    if verb == "writes":
        return {"mails": google.writes.mails, "unsaid": google.writes.unsaid}
    raise LookupError(f"one of {sorted([*_METHODS, 'grant', 'set', 'requests', 'writes'])}")
