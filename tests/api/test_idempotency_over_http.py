"""The same request, sent again (contract §5; semantics 20, 21)."""

from __future__ import annotations

import threading

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
