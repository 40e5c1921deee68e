"""What those who run the daemon and those who build on it ask for: health, readiness, the OpenAPI document."""

from __future__ import annotations

from sqlalchemy import event


def test_the_process_is_alive_whatever_the_worker_does(house):
    assert house.get("/healthz").json() == {"status": "ok"}
    assert house.call("HEAD", "/healthz").status_code == 200


def test_it_is_ready_while_the_worker_shows_signs_of_life(house, problem_of):
    answer = house.get("/readyz")
    assert "no sign of life" in problem_of(answer, 503, "store-unavailable")["detail"]
    assert answer.headers["Retry-After"]
    house.services.beat_at = house.clock.now
    assert house.get("/readyz").json() == {"status": "ok"}
    house.clock.forward(seconds=60)
    assert house.get("/readyz").status_code == 200
    house.clock.forward(seconds=1)
    assert house.get("/readyz").status_code == 503


def test_a_database_that_fails_is_said_to_and_without_its_words(house, problem_of):
    house.services.beat_at = house.clock.now

    def fail(_connection, _cursor, statement, _parameters, _context, _executemany):
        return f"{statement} FROM a_table_that_is_gone", ()

    event.listen(house.services.store.engine, "before_cursor_execute", fail, retval=True)
    query = {"start": "2026-11-23", "end": "2026-11-24"}
    for answer in (
        house.get("/readyz"),
        house.get("/v1/ada/intro/slots", params=query),
        house.post("/v1/ada/intro/bookings", house.wish("2026-11-24T09:00:00Z")),
    ):
        problem_of(answer, 503, "store-unavailable")
        assert answer.headers["Retry-After"]
        assert "a_table_that_is_gone" not in answer.text
    event.remove(house.services.store.engine, "before_cursor_execute", fail)


def test_the_document_is_openapi_with_stable_operations(house):
    document = house.document
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "syncd"
    operations = {
        (method.upper(), path): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    of_the_first_day = {
        ("GET", "/v1/{handle}/{slug}/slots"): "list_slots",
        ("GET", "/v1/{handle}/{slug}/slots/explain"): "explain_slot",
        ("POST", "/v1/{handle}/{slug}/bookings"): "create_booking",
        ("GET", "/v1/bookings/{booking_id}"): "get_booking",
        ("POST", "/v1/bookings/{booking_id}/reschedule"): "reschedule_booking",
        ("POST", "/v1/bookings/{booking_id}/cancel"): "cancel_booking",
        ("GET", "/v1/freelancers/{handle}/calendars"): "list_calendars",
        ("GET", "/healthz"): "healthz",
        ("GET", "/readyz"): "readyz",
    }
    assert of_the_first_day.items() <= operations.items()


def test_every_reference_of_the_document_leads_somewhere_and_every_failure_is_a_problem(house):
    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    known = {f"#/components/{kind}/{name}" for kind, parts in house.document["components"].items() for name in parts}
    assert set(references(house.document)) <= known
    for path in house.document["paths"].values():
        for operation in path.values():
            assert operation["description"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (operation["operationId"], status)
