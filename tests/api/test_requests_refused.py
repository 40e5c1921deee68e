"""Requests that can't be right: each answer says where and what would be, none is a fault (contract §9)."""

from __future__ import annotations

import json

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATH = "/v1/ada/intro/bookings"
RIGHT = {"start": "2026-11-24T09:00:00Z", "client": {"name": "Grace", "email": "grace@example.com"}}
JSON = {"Content-Type": "application/json"}


def _with(pointer: str, value: object) -> dict[str, object]:
    """The right body with one member set; `client/name` is a member of a member."""
    head, _, tail = pointer.partition("/")
    return RIGHT | {head: RIGHT["client"] | {tail: value} if tail else value}  # type: ignore[operator]


def _nested(levels: int) -> object:
    return {"a": _nested(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("start", "2026-11-24T09:00:00", "an instant with an offset, such as"),
        ("start", "2026-11-24", "an instant with an offset"),
        ("start", 1795510800, "must be text"),
        ("start", None, "must be text"),
        ("start", "2026-02-30T09:00:00Z", "is no instant"),
        ("start", "2026-11-24T09:00:00+99:99", "is no instant"),
        ("start", "2026-11-24T09:00:00 01:00", "an instant with an offset"),
        ("start", "9999-12-31T23:59:59Z", "between 1971 and 2199"),
        ("start", "9999-12-31T23:59:59-23:59", "is no instant"),
        ("start", "0001-01-01T00:00:00+23:59", "is no instant"),
        ("duration_minutes", "30", "must be a whole number"),
        ("duration_minutes", 30.5, "must be a whole number"),
        ("duration_minutes", True, "must be a whole number"),
        ("duration_minutes", 0, "must be more than 0"),
        ("duration_minutes", 10**30, "must be at most 10080"),
        ("duration_minutes", 45, "45 minutes are not offered; right would be one of 30, 60"),
        ("client", None, "is missing: only a hold may come without a client"),
        ("client", [], "must be a JSON object"),
        ("client", "Grace", "must be a JSON object"),
        ("client/name", "", "must not be empty"),
        ("client/name", "   ", "must not be empty"),
        ("client/name", "a\nb", "must be a single line"),
        ("client/name", "a\x00b", "must be a single line"),
        ("client/name", "x" * 201, "at most 200 characters"),
        ("client/name", 7, "must be text"),
        ("client/email", "grace", "must be an e-mail address"),
        ("client/email", "grace@example.com, eve@example.com", "must be an e-mail address"),
        ("client/email", "grace@example.com\r\nBcc: eve@example.com", "must be an e-mail address"),
        ("client/time_zone", "Mars/Phobos", "must be an IANA time zone, such as Europe/Berlin"),
        ("client/time_zone", "../../etc/passwd", "must be an IANA time zone"),
        ("client/phone", "1" * 41, "at most 40"),
        ("client/ssn", "1", "is not known here"),
        ("answers", [], "must be a JSON object"),
        ("answers", {"goal": 7}, "must be text"),
        ("answers", {"goal": "a\x07b"}, "must not hold control characters"),
        ("answers", {str(n): "" for n in range(51)}, "at most 50"),
        ("note", "x" * 4001, "at most 4000 characters"),
        ("answers", {"goal": {"a": 1}}, "must be text, a number, true or false, or a list of texts"),
        ("answers", {"goal": [7]}, "must be text, a number, true or false, or a list of texts"),
        ("answers", {"goal": "x" * 4001}, "at most 4000 characters"),
        ("answers", {"gaol": "x"}, "is not asked here; right would be one of goal"),
        ("metadata", [], "must be a JSON object"),
        ("metadata", {"x": "y" * 8200}, "at most 8192 bytes"),
        ("metadata", {str(n): n for n in range(51)}, "at most 50"),
        ("metadata", {"x": _nested(20)}, "nested at most 20 levels deep"),
        ("metadata", {"x": _nested(900)}, "nested at most 20 levels deep"),
        ("hold_minutes", 0, "must be more than 0"),
        ("hold_minutes", 16, "must be 1 to 15 minutes"),
        ("hold_minutes", "5", "must be a whole number"),
        ("on_behalf_of", "boss", "'client' or 'freelancer'"),
        ("hold", 5, "is not known here"),
    ],
)
def test_a_wrong_member_is_named_with_what_would_be_right(untouched, problem_of, member, value, words):
    problem = problem_of(untouched.post(PATH, _with(member, value)), 422, "invalid-request")
    (error,) = problem["errors"]
    assert error["pointer"].startswith(f"/{member}")
    assert words in error["detail"]
    assert error["detail"] in problem["detail"]
    assert "Input" not in problem["detail"]
    assert "Value" not in problem["detail"]


def test_every_mistake_is_told_at_once_and_pointers_are_json_pointers(untouched, problem_of):
    wrong = {"client": {"name": "Grace"}, "answers": {"a/b~c": {}}}
    errors = problem_of(untouched.post(PATH, wrong), 422, "invalid-request")["errors"]
    assert [e["pointer"] for e in errors] == ["/start", "/client/email", "/answers/a~1b~0c"]
    assert errors[0]["detail"] == "is missing"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "must be a JSON object"),
        (b"{", "must be JSON: Expecting property name"),
        (b'{"start": }', "must be JSON: Expecting value, at character 10"),
        (b"[]", "must be a JSON object, sent as application/json"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"note": "\xff"}', "JSON in UTF-8"),
        (b"\xff\xfe{}", "must be JSON"),
        (b'{"start": ' + b"9" * 5000 + b"}", "numbers of a sensible length"),
        (b"[" * 60_000, "can't be read"),
        (b'{"\\ud800": 1}', "must be valid Unicode"),
        (b'{"start": NaN, "client": Infinity}', "must be text"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_so(untouched, problem_of, body, words):
    problem = problem_of(untouched.call("POST", PATH, data=body, headers=JSON), 422, "invalid-request")
    assert words in problem["detail"]
    assert all(error["pointer"] in ("", "/start", "/client") for error in problem.get("errors", []))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
def test_only_json_is_taken_for_json(house, problem_of, content_type):
    headers = {"Content-Type": content_type}
    problem = problem_of(house.call("POST", PATH, data=json.dumps(RIGHT), headers=headers), 422, "invalid-request")
    assert problem["detail"] == "the body: must be a JSON object, sent as application/json"
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert house.call("POST", PATH, data=json.dumps(RIGHT), headers=headers).status_code == 201


def test_a_body_over_the_bound_is_too_large_whether_it_says_so_or_not(house, problem_of):
    large = json.dumps(_with("note", "x" * 70_000)).encode()
    booking = house.book("2026-11-24T09:00:00Z")
    for path in (PATH, f"/v1/bookings/{booking['id']}/cancel"):
        problem_of(house.call("POST", path, data=large, headers=JSON), 413, "too-large")
        chunks = (large[at : at + 9_000] for at in range(0, len(large), 9_000))
        problem_of(house.call("POST", path, data=chunks, headers=JSON), 413, "too-large")
    exact = json.dumps(RIGHT).encode().ljust(64 * 1024)
    assert house.call("POST", PATH, data=exact, headers=JSON).status_code == 409
    problem_of(house.call("POST", PATH, data=exact + b" ", headers=JSON), 413, "too-large")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_a_method_that_an_address_does_not_take_is_405_with_those_it_does(untouched, method):
    for path, allowed in ((PATH, "POST"), ("/v1/ada/intro/slots", "GET, HEAD"), ("/healthz", "GET, HEAD")):
        answer = untouched.call(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert answer.json()["detail"] == f"this address doesn't take {method}"


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/v1", "/v1/nobody", "/v1/ada/intro", "/v1/bookings//cancel", "/%2e%2e/x"]
)
def test_an_address_that_is_not_there_is_a_problem_too(untouched, path):
    answer = untouched.get(path)
    assert answer.status_code in (404, 405)


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "syncd_x", "Bearer a b"])
def test_a_credential_of_another_kind_is_401_wherever_it_is_sent(untouched, problem_of, header):
    for path in ("/v1/ada/intro/slots?start=2026-11-23&end=2026-11-24", "/v1/bookings/bkg_x"):
        answer = untouched.get(path, headers={"Authorization": header})
        problem_of(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_sane_request_id_is_kept_and_another_one_replaced(untouched):
    assert untouched.get("/healthz", headers={"X-Request-Id": "order-17.a_b"}).headers["X-Request-Id"] == "order-17.a_b"
    for strange in ("a b", "x" * 65, "<script>", "é".encode()):
        given_back = untouched.get("/nope", headers={"X-Request-Id": strange}).headers["X-Request-Id"]
        assert given_back not in (strange, "")


def test_a_fault_of_ours_is_a_problem_with_the_request_id_and_tells_nothing(house):
    house.services.feed = None
    answer = house.http.get(f"{house.url}/v1/ada/intro/slots?start=2026-11-23&end=2026-11-24")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert "NoneType" not in answer.text


_TEXT = st.text(max_size=40)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT | st.just("2026-11-24T09:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_MEMBERS = ("start", "duration_minutes", "client", "answers", "note", "metadata", "on_behalf_of", "reason", "agreed")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.sampled_from(_MEMBERS) | _TEXT, _VALUE, max_size=5) | _VALUE, right=st.booleans())
def test_no_body_whatever_breaks_the_daemon(house, body, right):
    sent = RIGHT | body if right and isinstance(body, dict) else body
    for path in (PATH, "/v1/bookings/bkg_x/cancel", "/v1/bookings/bkg_x/reschedule"):
        answer = house.call("POST", path, data=json.dumps(sent), headers=JSON)
        assert answer.status_code in (201, 401, 409, 422)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(["start", "end", "time_zone", "duration_minutes", "format", "rescheduling", "token", "at"]),
        _TEXT | st.sampled_from(["2026-11-24", "2026-11-23T09:00:00Z", "30", "slots", "Asia/Tokyo"]),
    ),
    names=st.tuples(st.sampled_from(["ada"]) | _TEXT, st.sampled_from(["intro", "secret"]) | _TEXT),
)
def test_no_question_whatever_breaks_the_daemon(untouched, query, names):
    handle, slug = (requests.utils.quote(name, safe="") for name in names)
    for path in (f"/v1/{handle}/{slug}/slots", f"/v1/{handle}/{slug}/slots/explain", f"/v1/bookings/{slug}"):
        answer = untouched.get(path, params=query)
        assert answer.status_code in (200, 307, 401, 404, 405, 422)


@pytest.mark.parametrize("path", ["/v1/%00", "/v1/ada/a%00b/slots?start=2026-11-24&end=2026-11-24", "/v1/bookings/%00"])
def test_nothing_has_a_name_with_nul_in_it(untouched, problem_of, path):
    problem_of(untouched.get(path), 404, "not-found")


@pytest.mark.parametrize("path", ["/v1/ada/intro/slots?start=%00&end=2026-11-24", "/v1/next?consultations=ada/%00"])
def test_no_question_holds_nul(untouched, problem_of, path):
    assert "NUL" in problem_of(untouched.get(path), 422, "invalid-request")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/ada", "GET, HEAD"),
        ("DELETE", "/v1/next", "GET, HEAD"),
        ("PUT", "/v1/bookings/bkg_1", "GET, HEAD, PATCH"),
        ("OPTIONS", "/v1/ada/intro/slots", "GET, HEAD"),
        ("GET", "/v1/ada/intro/slots/simulate", "POST"),
    ],
)
def test_what_cant_be_done_at_an_address_says_what_can(untouched, problem_of, method, path, allowed):
    answer = untouched.call(method, path)
    assert problem_of(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["/v1/ada/", "/v1/ada/intro/slots/", "/v1/nothing/here/at/all", "/favicon.ico"])
def test_where_nothing_is_there_is_no_redirect(untouched, problem_of, path):
    problem_of(untouched.get(path), 404, "not-found")
