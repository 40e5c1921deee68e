"""A page of a configured origin may read every answer, and a page of any other none."""

from __future__ import annotations

import pytest

PAGE = "https://ada.example"
EXPOSED = {"etag", "location", "retry-after", "syncd-synced-at", "x-request-id"}
ALLOWED = {"authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "last-event-id"}
FEED = "/v1/ada/intro/slots?start=2026-11-23&end=2026-11-29"


def words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


def check_open_to_the_page(answer) -> None:
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "origin" in words(answer.headers["Vary"])
    assert words(answer.headers["Access-Control-Expose-Headers"]) == EXPOSED
    assert "Access-Control-Allow-Credentials" not in answer.headers


def preflight(house, origin: str, method: str = "POST", asked: str = "authorization, idempotency-key"):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    return house.http.options(f"{house.url}/v1/ada/intro/bookings", headers=headers)


def test_a_page_may_read_slots_and_what_has_not_changed(untouched):
    answer = untouched.get(FEED, headers={"Origin": PAGE})
    check_open_to_the_page(answer)
    again = untouched.get(FEED, headers={"Origin": PAGE, "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    check_open_to_the_page(again)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/ada/nothing/slots?start=2026-11-23&end=2026-11-29", 404),
        ("GET", "/v1/ada/intro/slots", 422),
        ("GET", "/v1/ada/secret/slots?start=2026-11-23&end=2026-11-29", 401),
        ("DELETE", "/v1/ada/intro/slots", 405),
        ("POST", "/v1/ada/intro/bookings", 422),
    ],
)
def test_a_page_may_read_what_went_wrong(untouched, method, path, status):
    answer = untouched.call(method, path, headers={"Origin": PAGE})
    assert answer.status_code == status
    check_open_to_the_page(answer)


def test_a_page_may_read_that_a_body_was_too_large(untouched):
    answer = untouched.call("POST", "/v1/ada/intro/bookings", data=b"x" * 70_000, headers={"Origin": PAGE})
    assert answer.status_code == 413
    check_open_to_the_page(answer)


def test_a_page_may_read_that_the_daemon_failed(house, monkeypatch):
    monkeypatch.setattr(house.services.feed, "answer", lambda *_: 1 / 0)
    answer = house.http.get(house.url + FEED, headers={"Origin": PAGE})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    check_open_to_the_page(answer)


def test_a_page_of_another_origin_may_read_nothing(untouched):
    answer = untouched.get(FEED, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Access-Control-Allow-Origin" not in preflight(untouched, "https://evil.example").headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_allows_the_headers_of_the_contract(untouched, method):
    answer = preflight(untouched, PAGE, method, ", ".join(sorted(ALLOWED)))
    assert answer.ok
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert words(answer.headers["Access-Control-Allow-Headers"]) == ALLOWED
    assert method.lower() in words(answer.headers["Access-Control-Allow-Methods"])
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["X-Request-Id"]


def test_a_preflight_for_another_header_is_refused(untouched):
    assert not preflight(untouched, PAGE, asked="x-other").ok


def test_without_origins_no_page_may_read_anything_and_a_changed_setting_counts_at_once(house):
    config = house.services.config
    house.services.config = config.model_copy(update={"server": config.server.model_copy(update={"cors_origins": ()})})
    assert "Access-Control-Allow-Origin" not in house.get(FEED, headers={"Origin": PAGE}).headers
    assert preflight(house, PAGE).status_code == 405
    house.services.config = config
    check_open_to_the_page(house.get(FEED, headers={"Origin": PAGE}))


def test_any_origin_where_the_configuration_says_so(house):
    config = house.services.config
    house.services.config = config.model_copy(
        update={"server": config.server.model_copy(update={"cors_origins": ("*",)})}
    )
    answer = house.get(FEED, headers={"Origin": "https://anyone.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
