"""The same request, sent again (contract §5; semantics 20, 21)."""

from __future__ import annotations

import threading

import pytest
import structlog
from sqlalchemy import func, select

from syncd.api.answers import Answer
from syncd.api.idempotency import Sent, perform, replay
from syncd.store.models import IdempotentAnswer

NINE, TEN = "2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z"
PATH = "/v1/ada/intro/bookings"


def _again(house, path, body, key="k-1", token=""):
    return house.post(path, body, token=token, headers={"Idempotency-Key": key})


def test_the_same_request_has_the_same_answer_with_its_token(house):
    first = _again(house, PATH, house.wish(NINE))
    second = _again(house, PATH, house.wish(NINE))
    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    for name in ("Location", "ETag"):
        assert second.headers[name] == first.headers[name]
    assert second.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    booking = first.json()
    assert house.get(f"/v1/bookings/{booking['id']}", token=second.json()["token"]).json()["revision"] == 1


def test_another_body_under_the_same_key_is_refused_and_changes_nothing(house, problem_of):
    _again(house, PATH, house.wish(NINE))
    problem_of(_again(house, PATH, house.wish(TEN)), 422, "idempotency-mismatch")
    assert house.explain(TEN)["bookable"]


def test_a_key_counts_for_one_path_and_one_credential(house):
    writer, other = house.key("bookings:write"), house.key("bookings:write")
    ids = {
        _again(house, PATH, house.wish("2026-11-24T09:00:00Z")).json()["id"],
        _again(house, PATH, house.wish("2026-11-24T10:00:00Z"), token=writer).json()["id"],
        _again(house, PATH, house.wish("2026-11-24T11:00:00Z"), token=other).json()["id"],
        _again(house, "/v1/ada/chat/bookings", house.wish("2026-11-24T14:00:00Z")).json()["id"],
        _again(house, PATH, house.wish("2026-11-24T15:00:00Z"), key="k-2").json()["id"],
    }
    assert len(ids) == 5


def test_an_action_sent_again_is_done_once(house):
    booking = house.book(NINE)
    path = f"/v1/bookings/{booking['id']}"
    first = _again(house, f"{path}/reschedule", {"start": TEN}, token=booking["token"])
    again = _again(house, f"{path}/reschedule", {"start": TEN}, token=booking["token"])
    assert (again.status_code, again.content) == (200, first.content)
    cancelled = _again(house, f"{path}/cancel", {}, token=booking["token"])
    assert _again(house, f"{path}/cancel", {}, token=booking["token"]).content == cancelled.content
    assert house.get(path, token=booking["token"]).json()["revision"] == 3


def test_a_refusal_is_kept_too(house, problem_of):
    taken = house.book(NINE)
    first = problem_of(_again(house, PATH, house.wish(NINE)), 409, "slot-taken")
    house.post(f"/v1/bookings/{taken['id']}/cancel", token=taken["token"])
    again = problem_of(_again(house, PATH, house.wish(NINE)), 409, "slot-taken")
    assert again | {"request_id": ""} == first | {"request_id": ""}
    assert house.explain(NINE)["bookable"]
    stale = {"Idempotency-Key": "k-3", "If-Match": '"9"'}
    booking = house.book(TEN)
    for _ in range(2):
        answer = house.post(f"/v1/bookings/{booking['id']}/cancel", {}, token=booking["token"], headers=stale)
        problem_of(answer, 412, "revision-mismatch")


def test_what_may_be_tried_again_is_not_kept(house, problem_of):
    house.clock.forward(hours=1)
    problem_of(_again(house, PATH, house.wish(NINE)), 503, "availability-unknown")
    house.pull()
    assert _again(house, PATH, house.wish(NINE)).status_code == 201


def test_a_key_is_forgotten_after_a_day(house, problem_of):
    _again(house, PATH, house.wish("2026-11-30T09:00:00Z"))
    house.clock.forward(hours=23, minutes=59)
    house.pull()
    problem_of(_again(house, PATH, house.wish("2026-11-30T10:00:00Z")), 422, "idempotency-mismatch")
    house.clock.forward(minutes=2)
    house.pull()
    assert _again(house, PATH, house.wish("2026-11-30T10:00:00Z")).status_code == 201


def test_an_answer_whose_time_is_up_is_no_longer_read_and_stays_until_another_takes_its_place(house):
    sent = Sent("POST", PATH, "", "k-1", b"{}")
    kept = lambda: Answer.of(200, {"at": house.clock().isoformat()}, {})
    perform(house.services, sent, lambda session: kept(), lambda error: pytest.fail(str(error)))
    first = replay(house.services, sent)
    house.clock.forward(hours=24)
    with house.services.store.write() as session:  # who reads doesn't wait for who writes
        assert replay(house.services, sent) is None
        assert session.scalar(select(func.count()).select_from(IdempotentAnswer)) == 1
    perform(house.services, sent, lambda session: kept(), lambda error: pytest.fail(str(error)))
    assert replay(house.services, sent) not in (None, first)


def test_a_store_that_can_not_be_used_is_named_in_the_log(house, problem_of):
    with house.services.store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE idempotent_answers RENAME TO elsewhere")
    with structlog.testing.capture_logs() as lines:
        problem_of(_again(house, PATH, house.wish(NINE)), 503, "store-unavailable")
    (line,) = [line for line in lines if line["event"] == "the store can't be used"]
    assert "idempotent_answers" in line["error"]
    assert line["path"] == PATH


def test_the_same_request_twice_at_once_books_once(house):
    answers = []

    def send():
        headers = {"Idempotency-Key": "at-once"}
        answers.append(house.http.post(house.url + PATH, json=house.wish(NINE), headers=headers))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1


def test_kept_answers_are_sealed_in_the_file(house, tmp_path):
    key = "order-4711-idempotent"
    booking = _again(house, PATH, house.wish(NINE), key=key).json()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("syncd.db*"))
    assert booking["id"].encode() in kept, "this is the file"
    for secret in (booking["token"], booking["manage_url"], key, '"token"', '{\\"id\\": \\"bkg'):
        assert secret.encode() not in kept


def test_a_key_must_be_printable_and_of_sensible_length(house, problem_of):
    for key in ("", "k" * 256, "a\tb"):
        problem = problem_of(_again(house, PATH, house.wish(NINE), key=key), 422, "invalid-request")
        assert "1 to 255 printable characters" in problem["detail"]
    assert _again(house, PATH, house.wish(TEN), key="k" * 255).status_code == 201


def test_a_hold_refused_for_now_may_be_tried_again_under_its_key(open_house, problem_of):
    house = open_house("")
    for hour in (9, 10, 11):
        _again(house, PATH, {"start": f"2026-11-24T{hour:02}:00:00Z", "hold_minutes": 5}, key=f"k-{hour}")
    config = house.services.config
    rates = config.server.rate_limits.model_copy(update={"booking": "30/minute"})
    server = config.server.model_copy(update={"rate_limits": rates})
    house.services.config = config.model_copy(update={"server": server})
    fourth = {"start": "2026-11-24T14:00:00Z", "hold_minutes": 5}
    problem_of(_again(house, PATH, fourth), 429, "rate-limited")
    house.clock.forward(minutes=5)
    assert _again(house, PATH, fourth).status_code == 201


def test_a_refused_client_is_refused_again_under_the_same_key(open_house, problem_of):
    house = open_house("[freelancers.ada.consultations.once]\nper_client_limit = 1\n")
    path = "/v1/ada/once/bookings"
    first = _again(house, path, house.wish(NINE)).json()
    refused = problem_of(_again(house, path, house.wish(TEN), key="k-2"), 403, "forbidden")
    house.post(f"/v1/bookings/{first['id']}/cancel", token=first["token"])
    again = problem_of(_again(house, path, house.wish(TEN), key="k-2"), 403, "forbidden")
    assert again | {"request_id": ""} == refused | {"request_id": ""}
    assert _again(house, path, house.wish(TEN), key="k-3").status_code == 201


def test_a_body_that_nests_too_deep_for_any_parser_is_still_told_from_others(house, problem_of):
    held = _again(house, PATH, {"start": NINE, "hold_minutes": 5}).json()
    path = f"/v1/bookings/{held['id']}/hold"
    headers = {"Idempotency-Key": "k-2", "Content-Type": "application/json"}
    for _ in range(2):
        answer = house.call("DELETE", path, data="[" * 60_000, token=held["token"], headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (200, "expired")
    problem_of(house.call("DELETE", path, token=held["token"], headers=headers), 422, "idempotency-mismatch")
