"""The document that frontends are built on: committed, complete, stable, and every change of it said by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "openapi.json"

OPERATIONS = """
GET    /healthz healthz
GET    /readyz readyz
GET    /v1/bookings list_bookings
GET    /v1/bookings/{booking_id} get_booking
PATCH  /v1/bookings/{booking_id} amend_booking
GET    /v1/bookings/{booking_id}/actions list_actions
POST   /v1/bookings/{booking_id}/approve approve_booking
POST   /v1/bookings/{booking_id}/attendance report_attendance
POST   /v1/bookings/{booking_id}/cancel cancel_booking
POST   /v1/bookings/{booking_id}/complete complete_booking
POST   /v1/bookings/{booking_id}/confirm confirm_booking
POST   /v1/bookings/{booking_id}/decline decline_booking
POST   /v1/bookings/{booking_id}/dispute dispute_booking
POST   /v1/bookings/{booking_id}/documents report_documents
POST   /v1/bookings/{booking_id}/extend extend_booking
DELETE /v1/bookings/{booking_id}/hold release_hold
PATCH  /v1/bookings/{booking_id}/hold prolong_hold
POST   /v1/bookings/{booking_id}/no_show report_no_show
PUT    /v1/bookings/{booking_id}/outcome decide_outcome
POST   /v1/bookings/{booking_id}/reschedule reschedule_booking
GET    /v1/freelancers list_freelancers
POST   /v1/freelancers create_freelancer
GET    /v1/freelancers/{handle} get_freelancer
PATCH  /v1/freelancers/{handle} update_freelancer
DELETE /v1/freelancers/{handle} delete_freelancer
GET    /v1/freelancers/{handle}/accounts list_accounts
POST   /v1/freelancers/{handle}/accounts connect_account
GET    /v1/freelancers/{handle}/accounts/{account_id} get_account
PATCH  /v1/freelancers/{handle}/accounts/{account_id} update_account
DELETE /v1/freelancers/{handle}/accounts/{account_id} disconnect_account
POST   /v1/freelancers/{handle}/accounts/{account_id}/sync sync_account
GET    /v1/freelancers/{handle}/calendars list_calendars
GET    /v1/freelancers/{handle}/calendars/{calendar_id} get_calendar
PATCH  /v1/freelancers/{handle}/calendars/{calendar_id} update_calendar
GET    /v1/freelancers/{handle}/consultations list_consultations
POST   /v1/freelancers/{handle}/consultations create_consultation
GET    /v1/freelancers/{handle}/consultations/{slug} get_consultation
PATCH  /v1/freelancers/{handle}/consultations/{slug} update_consultation
DELETE /v1/freelancers/{handle}/consultations/{slug} delete_consultation
GET    /v1/freelancers/{handle}/keys list_keys
POST   /v1/freelancers/{handle}/keys create_key
GET    /v1/freelancers/{handle}/keys/{key_id} get_key
DELETE /v1/freelancers/{handle}/keys/{key_id} revoke_key
GET    /v1/freelancers/{handle}/schedules list_schedules
POST   /v1/freelancers/{handle}/schedules create_schedule
GET    /v1/freelancers/{handle}/schedules/{name} get_schedule
PUT    /v1/freelancers/{handle}/schedules/{name} put_schedule
PATCH  /v1/freelancers/{handle}/schedules/{name} update_schedule
DELETE /v1/freelancers/{handle}/schedules/{name} delete_schedule
GET    /v1/next list_next
GET    /v1/{handle} get_profile
GET    /v1/{handle}/bookings.ics get_bookings_feed
GET    /v1/{handle}/freebusy.ics get_freebusy
POST   /v1/{handle}/{slug}/bookings create_booking
GET    /v1/{handle}/{slug}/links list_links
POST   /v1/{handle}/{slug}/links create_link
DELETE /v1/{handle}/{slug}/links/{link_id} revoke_link
GET    /v1/{handle}/{slug}/slots list_slots
GET    /v1/{handle}/{slug}/slots/explain explain_slot
POST   /v1/{handle}/{slug}/slots/simulate simulate_slots
"""

MEMBERS = {
    "NewBooking": "start duration_minutes client answers note metadata hold_minutes on_behalf_of",
    "Client": "name email time_zone locale phone",
    "Amend": "note answers metadata",
    "Hold": "hold_minutes",
    "Confirm": "client answers metadata",
    "Reschedule": "start agreed on_behalf_of",
    "Cancel": "reason on_behalf_of",
    "Attendance": "who joined_at",
    "NoShow": "absent note",
    "Documents": "delivered_at waived",
    "Dispute": "text",
    "Extension": "minutes paid_by",
    "Decision": "refund freelancer_paid freelancer_protected client_protected client_may_dispute reason "
    "client_may_leave_feedback freelancer_may_leave_feedback final final_at",
    "BookingView": "id state revision sequence freelancer consultation start end duration_minutes location join_url "
    "client answers note metadata verified calendar_event policy free_cancellation_until outcome proposals attendance "
    "documents conflicts hold_expires_at extension_of links created_at updated_at",
    "NewBookingView": "id state token manage_url",
    "CalendarEventView": "state calendar html_link",
    "OutcomeView": "refund freelancer_paid freelancer_protected client_protected client_may_dispute final final_at "
    "reason client_may_leave_feedback freelancer_may_leave_feedback",
    "ActionView": "action allowed reason outcome changes_at",
    "BookingList": "data next_cursor",
    "SlotsAnswer": "freelancer consultation duration_minutes time_zone slots periods increment_minutes meta",
    "FeedMeta": "state next_slot valid_until calendars",
    "CalendarState": "id state synced_at",
    "Explanation": "bookable reasons",
    "ReasonView": "code calendar from to",
    "Simulate": "consultation schedule blocks",
    "Simulated": "slots added removed",
    "NewLink": "uses expires_at client metadata",
    "LinkView": "url token",
    "NewAccount": "provider name url username password blocks target",
    "CalendarView": "blocks target state synced_at quarantined",
    "Problem": "type title status detail code request_id errors reasons current_state alternatives",
    "FieldError": "pointer code detail",
}

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(untouched) -> Document:
    """As the server serves it."""
    return untouched.document


def _operations(document: Document) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def _differences(before: Document, after: Document) -> Iterator[str]:
    """Each operation, each member of a schema and each other part of the document that isn't as before."""
    yield from _compared("operation", _operations(before), _operations(after))
    old, new = before["components"]["schemas"], after["components"]["schemas"]
    for name in sorted(old.keys() | new.keys()):
        if name in old and name in new:
            yield from _compared(f"schema {name}: member", _members(old[name]), _members(new[name]))
            yield from _compared(f"schema {name}:", _rest(old[name], "properties"), _rest(new[name], "properties"))
        else:
            yield f"schema {name} {'added' if name in new else 'removed'}"
    for name in sorted(before["components"].keys() | after["components"].keys() - {"schemas"}):
        if name != "schemas":
            yield from _compared(name, before["components"].get(name, {}), after["components"].get(name, {}))
    yield from _compared("the document's", _rest(before, "paths", "components"), _rest(after, "paths", "components"))


def _members(schema: Document) -> Document:
    return schema.get("properties", {})


def _rest(value: Document, *names: str) -> Document:
    return {name: item for name, item in value.items() if name not in names}


def _compared(what: str, before: Document, after: Document) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{what} {name} removed"
        elif name not in before:
            yield f"{what} {name} added"
        elif before[name] != after[name]:
            yield f"{what} {name} changed: " + "; ".join(_changes(before[name], after[name], ""))


def _changes(before: Any, after: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from _changes(before.get(name), after.get(name), f"{where}/{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, pair in enumerate(zip(before, after, strict=True)):
            yield from _changes(*pair, f"{where}/{at}")
    elif before != after:
        yield f"{where or 'it'} was {json.dumps(before)}, is {json.dumps(after)}"


def test_the_committed_document_is_what_the_server_says(document):
    differences = list(_differences(json.loads(COMMITTED.read_text(encoding="utf-8")), document))
    assert not differences, "\n".join(
        ["openapi.json isn't what the code says (`make openapi` writes it):", *differences]
    )


def test_the_committed_document_is_sorted_and_ends_with_a_line_end(document):
    text = COMMITTED.read_text(encoding="utf-8")
    assert text == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _without_an_operation(document: Document) -> None:
    del document["paths"]["/v1/bookings/{booking_id}/cancel"]["post"]


def _with_another_status(document: Document) -> None:
    document["paths"]["/v1/next"]["get"]["responses"]["418"] = {"description": "A teapot"}


def _without_a_member(document: Document) -> None:
    del document["components"]["schemas"]["BookingView"]["properties"]["join_url"]


def _with_a_member_of_another_type(document: Document) -> None:
    document["components"]["schemas"]["BookingView"]["properties"]["revision"]["type"] = "string"


def _with_a_member_that_may_be_left_out(document: Document) -> None:
    document["components"]["schemas"]["Slot"]["required"].remove("end")


def _without_a_schema(document: Document) -> None:
    del document["components"]["schemas"]["Hold"]


def _with_another_scheme(document: Document) -> None:
    document["components"]["securitySchemes"]["apiKey"]["scheme"] = "basic"


def _with_another_title(document: Document) -> None:
    document["info"]["title"] = "other"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_an_operation, "operation POST /v1/bookings/{booking_id}/cancel removed"),
        (
            _with_another_status,
            'operation GET /v1/next changed: /responses/418 was null, is {"description": "A teapot"}',
        ),
        (_without_a_member, "schema BookingView: member join_url removed"),
        (
            _with_a_member_of_another_type,
            'schema BookingView: member revision changed: /type was "integer", is "string"',
        ),
        (
            _with_a_member_that_may_be_left_out,
            'schema Slot: required changed: it was ["start", "end"], is ["start"]',
        ),
        (_without_a_schema, "schema Hold removed"),
        (_with_another_scheme, 'securitySchemes apiKey changed: /scheme was "bearer", is "basic"'),
        (_with_another_title, 'the document\'s info changed: /title was "syncd", is "other"'),
    ],
)
def test_every_difference_is_said_by_name(document, change, said):
    other = copy.deepcopy(document)
    change(other)
    assert list(_differences(document, other)) == [said]
    reverse = list(_differences(other, document))
    assert len(reverse) == 1
    assert reverse != [said]


def test_operation_ids_are_unique_and_stay_what_they_were(document):
    promised = {f"{method} {path}": name for method, path, name in map(str.split, OPERATIONS.strip().splitlines())}
    found = {name: operation["operationId"] for name, operation in _operations(document).items()}
    assert promised.items() <= found.items()
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(("schema", "names"), MEMBERS.items())
def test_what_the_contract_names_has_that_name(document, schema, names):
    assert set(names.split()) <= set(document["components"]["schemas"][schema]["properties"])


def test_every_operation_says_what_it_is_and_what_it_takes(document):
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in _operations(document).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])
            assert {"type": "null"} not in parameter["schema"].get("anyOf", []), (name, parameter["name"])


def test_every_operation_says_who_may_ask(document):
    schemes = document["components"]["securitySchemes"]
    scopes = {"slots:read", "bookings:read", "bookings:write", "manage"}
    for name, operation in _operations(document).items():
        asked = operation["security"]
        assert {scheme for one in asked for scheme in one} <= schemes.keys(), name
        assert {scope for one in asked for scope in one.get("apiKey", [])} <= scopes, name
        in_query = [one for one in asked for scheme in one if schemes[scheme].get("in") == "query"]
        assert not in_query or name.startswith("GET "), name
        assert ("/v1/" in name) == bool(asked), name


def test_every_answer_says_its_headers(document):
    headers = document["components"]["headers"]
    for name, operation in _operations(document).items():
        for status, answer in operation["responses"].items():
            assert set(answer["headers"]) <= set(headers), (name, status)
            assert "X-Request-Id" in answer["headers"], (name, status)
            assert ("Retry-After" in answer["headers"]) == (status in ("429", "503")), (name, status)
            assert ("WWW-Authenticate" in answer["headers"]) == (status == "401"), (name, status)


def test_an_action_on_a_booking_says_its_conditions(document):
    for name, operation in _operations(document).items():
        taken = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert name.split()[0] != "POST" or "Idempotency-Key" in taken or name.endswith("/simulate"), name
        assert ("If-Match" in taken) == ("412" in operation["responses"]), name
        assert ("If-None-Match" in taken) == ("304" in operation["responses"]), name


def test_every_example_is_one_of_what_it_stands_for(document):
    found = {
        name: schema["examples"] for name, schema in document["components"]["schemas"].items() if "examples" in schema
    }
    assert {"NewBooking", "SlotsAnswer", "Problem", "NewConsultation"} <= found.keys()
    for name, examples in found.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        for example in examples:
            assert not [str(error) for error in validator.iter_errors(example)], name
