"""What `/openapi.json` says beyond what the routes do: who may ask, which headers come, what each refusal means.

Decides it by rules over paths and methods, so that a new route has them too; and says in one place what parameters of
one name mean everywhere. Refuses to know how anything is answered: the tests hold every answer against the document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from syncd.api.examples import EXAMPLES
from syncd.errors import PROBLEM_TYPES

Json = dict[str, Any]

_LATER = frozenset({"already-ringing", "not-online", "outside-hours"})  # of what this version doesn't do yet
_TAGS = {
    "slots": "What can be booked, and when.",
    "bookings": "Bookings, and what is told of them. The actor is the credential.",
    "holds": "Slots kept for someone who is still paying or typing.",
    "approvals": "The freelancer's word on a pending booking.",
    "links": "Private links, by which a consultation is booked whatever its visibility.",
    "freelancers": "Those whose time is booked.",
    "schedules": "Set hours.",
    "consultations": "Bookable offers.",
    "accounts": "Connections to calendar servers.",
    "calendars": "The calendars of accounts: which block, and which one is written to.",
    "keys": "API keys.",
    "operations": "Whether the daemon is well.",
}
_BEARER = {"type": "http", "scheme": "bearer"}
_QUERY = {"type": "apiKey", "in": "query", "name": "token"}
_SCHEMES = {
    "apiKey": {**_BEARER, "description": "An API key, for one freelancer or all, with the scopes that are named."},
    "bookingToken": {**_BEARER, "description": "The token of a booking: whoever has it acts as its client."},
    "linkToken": {**_BEARER, "description": "The token of a private link to one consultation."},
    "bookingTokenInQuery": {**_QUERY, "description": "The token of a booking, on GET alone."},
    "linkTokenInQuery": {**_QUERY, "description": "The token of a private link, on GET alone."},
    "feedTokenInQuery": {**_QUERY, "description": "The token in a freelancer's `bookings_feed`."},
}
_HEADERS = {
    "X-Request-Id": ("The request's id: the caller's own, if it sent one.", {"type": "string"}),
    "ETag": ("What `If-None-Match` takes, and `If-Match` where it is named.", {"type": "string"}),
    "Location": ("Where what was made is.", {"type": "string", "format": "uri-reference"}),
    "Retry-After": ("After how many seconds to try again.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("The scheme by which to send a credential.", {"type": "string", "const": "Bearer"}),
    "Syncd-Synced-At": (
        "When the oldest pull was.",
        {"type": "string", "format": "date-time"},
    ),
}
_PARAMETERS = {
    "handle": "the freelancer's handle",
    "slug": "the consultation's slug",
    "booking_id": "the booking's id",
    "link_id": "the link's id",
    "name": "the schedule's name",
    "account_id": "the account's id",
    "calendar_id": "the calendar's id",
    "key_id": "the key's id; it isn't its text",
    "start": "a date, or an instant with an offset",
    "end": "a date (inclusive), or an instant (exclusive)",
    "time_zone": "an IANA time zone; by default the freelancer's",
    "duration_minutes": "one of the consultation's durations; by default the first",
    "format": "`periods`: the spans in which every start of the grid is allowed",
    "rescheduling": "the id of a booking to be moved, which then blocks nothing; takes its token or a key",
    "limit": "how many at most",
    "Idempotency-Key": "the same key and body get the same answer for 24 hours; 1 to 255 printable characters",
}
_SHAPES: dict[str, Json] = {
    "Idempotency-Key": {"minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    **{name: {"minLength": len("2026-11-24")} for name in ("start", "end", "at")},
}
_EXAMPLE_OF = {"handle": "ada", "slug": "intro", "booking_id": "bkg_2b8f1c0d9e7a6543", "name": "default"}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "an ETag of before: if it is still right, the answer is 304 without a body",
}


def described(document: Json) -> Json:
    """The document that the routes gave, completed in place."""
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    components = document["components"]
    components["securitySchemes"] = _SCHEMES
    components["headers"] = {
        name: {"description": text, "required": name != "Syncd-Synced-At", "schema": schema}
        for name, (text, schema) in _HEADERS.items()
    }
    for name, examples in EXAMPLES.items():
        components["schemas"][name]["examples"] = examples
    for path, method, operation in _operations(document):
        operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
        operation["security"] = _security(path, method, operation["operationId"])
        _describe_parameters(operation)
        _describe_responses(operation)
    return document


def text_of(document: Json) -> str:
    """The document as it is committed: sorted, so that a difference is where something differs."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    return ((path, method, o) for path, item in document["paths"].items() for method, o in item.items())


def _security(path: str, method: str, name: str) -> list[Json]:
    """Which credentials an operation takes, each with the scopes that a key needs; `{}` is none at all."""
    if not path.startswith("/v1/"):
        return []
    if path.startswith("/v1/freelancers") or name == "decide_outcome":
        return [{"apiKey": ["manage"]}]
    change = {"apiKey": ["bookings:write"]}
    if name in ("create_link", "revoke_link", "approve_booking", "decline_booking"):
        return [change]
    if name in ("list_links", "list_bookings"):
        return [{"apiKey": ["bookings:read"]}]
    if name == "get_bookings_feed":
        return [{"apiKey": ["bookings:read"]}, {"feedTokenInQuery": []}]
    if path.startswith("/v1/bookings/"):
        own: Json = {"bookingToken": []}
        return [{"apiKey": ["bookings:read"]}, own, {"bookingTokenInQuery": []}] if method == "get" else [change, own]
    if name == "create_booking":
        return [{}, change, {"linkToken": []}]
    return _security_of_slots(name)


def _security_of_slots(name: str) -> list[Json]:
    key: Json = {"apiKey": ["slots:read"]}
    if name == "simulate_slots":
        return [key]
    found = [{}, key, {"linkToken": []}, {"linkTokenInQuery": []}]
    return [*found, {"bookingToken": []}, {"bookingTokenInQuery": []}] if name == "list_slots" else found


def _describe_parameters(operation: Json) -> None:
    """What each parameter is; one that may be left out isn't null then, it isn't there."""
    parameters: list[Json] = operation.get("parameters", [])
    for parameter in parameters:
        name, schema = parameter["name"], parameter["schema"]
        parameter.setdefault("description", _PARAMETERS.get(name, ""))
        some = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
        if len(some) == 1:
            del schema["anyOf"]
            schema.update(some[0])
        schema.update(_SHAPES.get(name, {}))
        schema.pop("title", None)
        schema.pop("description", None)
        if parameter["in"] == "path" and name in _EXAMPLE_OF:
            parameter["example"] = _EXAMPLE_OF[name]
    if "304" in operation["responses"]:
        operation["parameters"] = [*parameters, _IF_NONE_MATCH]


def _describe_responses(operation: Json) -> None:
    responses: Json = operation["responses"]
    operation["responses"] = dict(sorted(responses.items()))
    for status, answer in responses.items():
        if int(status) >= 400:
            answer["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            answer["description"] = _meaning(int(status))
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _sent(operation, status)}


def _meaning(status: int) -> str:
    """The problems that have a status, as `code: title`."""
    kinds = [kind for kind in PROBLEM_TYPES.values() if kind.status == status and kind.code not in _LATER]
    return "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds) or "`internal-error`: The daemon failed"


def _sent(operation: Json, status: str) -> Iterator[str]:
    """The headers of an answer."""
    name, answer = operation["operationId"], operation["responses"][status]
    yield "X-Request-Id"
    if status == "401":
        yield "WWW-Authenticate"
    if status in ("429", "503"):
        yield "Retry-After"
    if int(status) >= 400:
        return
    schema = str(answer.get("content", {}).get("application/json", {}).get("schema"))
    is_booking = schema.endswith(("/BookingView'}", "/NewBookingView'}"))
    is_shown = status == "200" and ("304" in operation["responses"] or name == "list_actions")
    is_set = name.startswith(("update_", "put_"))
    if status == "304" or is_shown or is_booking or is_set:
        yield "ETag"
    if status == "201" and name != "create_link":
        yield "Location"
    if name == "list_slots":
        yield "Syncd-Synced-At"
