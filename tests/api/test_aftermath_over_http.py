"""What is told of consultations over HTTP: who may say what, what is answered, what others see (contract §5, §7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from syncd.booking.expiry import sweep

NINE = "2026-11-24T09:00:00+00:00"
FIVE_PAST, HALF_PAST, NEXT_DAY = "2026-11-24T09:05:00Z", "2026-11-24T09:30:00Z", "2026-11-25T09:30:00Z"
DUE = "2026-11-26T09:30:00Z"
ACTIONS = {
    "attendance": {"who": "client", "joined_at": NINE},
    "no_show": {"absent": "freelancer"},
    "complete": {},
    "documents": {"delivered_at": NINE},
    "dispute": {"text": "No"},
    "extend": {"minutes": 15, "paid_by": "consultation"},
}


@dataclass
class Told:
    """A booking of half an hour, and both who tell of it."""

    house: Any
    booking: dict[str, Any]
    key: str

    def tell(self, action: str, body: object = None, *, token: str = "", **more: Any) -> Any:
        """As the client, or with this token."""
        return self.house.post(f"/v1/bookings/{self.booking['id']}/{action}", body, token=token or self.client, **more)

    def told(self, action: str, body: object = None, *, token: str = "", **more: Any) -> dict[str, Any]:
        """The same; it must be taken."""
        answer = self.tell(action, body, token=token, **more)
        assert answer.status_code == 200, answer.text
        booking = dict(answer.json())
        assert answer.headers["ETag"] == f'"{booking["revision"]}"'
        assert booking == self.seen(token=token)
        return booking

    @property
    def client(self) -> str:
        return str(self.booking["token"])

    def seen(self, *, token: str = "") -> dict[str, Any]:
        return dict(self.house.get(f"/v1/bookings/{self.booking['id']}", token=token or self.client).json())

    def decide(self, body: object, *, token: str, **more: Any) -> Any:
        return self.house.call("PUT", f"/v1/bookings/{self.booking['id']}/outcome", json=body, token=token, **more)


@pytest.fixture
def told(house) -> Told:
    """It is half past nine on Tuesday, and a booking from nine has just ended."""
    told = Told(house, house.book(NINE), house.key("bookings:read", "bookings:write"))
    house.clock.set(HALF_PAST)
    return told


def _row(booking: dict[str, Any]) -> str:
    """An outcome in the columns of the contract's table."""
    o = booking["outcome"]
    flags = ["freelancer_protected", "client_protected", "client_may_dispute", "client_may_leave_feedback"]
    words = {True: "yes", False: "no"}
    cells = [o["refund"], o["freelancer_paid"], *(words[o[f]] for f in (*flags, "freelancer_may_leave_feedback"))]
    return " ".join(cells)


# Who may say what


@pytest.mark.parametrize("action", ACTIONS)
def test_without_a_right_credential_nothing_is_told(told, problem_of, action):
    path = f"/v1/bookings/{told.booking['id']}/{action}"
    problem_of(told.house.post(path, ACTIONS[action]), 401, "unauthorized")
    problem_of(told.house.post(path, ACTIONS[action], token="bkt_wrong"), 401, "unauthorized")
    reader = told.house.key("bookings:read", "manage")
    problem_of(told.house.post(path, ACTIONS[action], token=reader), 403, "forbidden")
    stranger = told.house.key("bookings:write", freelancer="bob")
    problem_of(told.house.post(path, ACTIONS[action], token=stranger), 404, "not-found")
    assert told.seen()["revision"] == 1


@pytest.mark.parametrize("action", ACTIONS)
def test_a_token_speaks_for_nobody_else(told, problem_of, action):
    body = ACTIONS[action] | {"on_behalf_of": "freelancer"}
    problem_of(told.tell(action, body), 403, "forbidden")


def test_a_client_tells_when_the_client_joined_and_a_key_when_anyone_did(told, problem_of):
    mine = {"who": "client", "joined_at": NINE}
    assert told.told("attendance", mine)["attendance"] == [
        {**mine, "joined_at": "2026-11-24T09:00:00Z", "by": "client"}
    ]
    other = {"who": "freelancer", "joined_at": NINE}
    problem_of(told.tell("attendance", other), 403, "forbidden")
    problem_of(told.tell("attendance", other | {"on_behalf_of": "client"}, token=told.key), 403, "forbidden")
    for who in ("client", "freelancer"):
        told.told("attendance", {"who": who, "joined_at": NINE}, token=told.key)
    assert [(a["who"], a["by"]) for a in told.seen()["attendance"]] == [
        *(("client", "client"), ("client", "freelancer"), ("freelancer", "freelancer")),
    ]


def test_nobody_reports_themselves_absent(told, problem_of):
    for body, token in (
        ({"absent": "client"}, ""),
        ({"absent": "client", "on_behalf_of": "client"}, told.key),
        ({"absent": "freelancer", "on_behalf_of": "freelancer"}, told.key),
    ):
        problem = problem_of(told.tell("no_show", body, token=token), 422, "invalid-request")
        assert [error["pointer"] for error in problem["errors"]] == ["/absent"]
    assert told.seen()["state"] == "confirmed"


def test_a_key_that_names_no_side_reports_either_absent(told):
    booking = told.told("no_show", {"absent": "freelancer"}, token=told.key)
    assert (booking["state"], booking["outcome"]["reason"]) == ("no_show", "freelancer_absent")
    assert told.told("no_show", {"absent": "client"}, token=told.key)["outcome"]["reason"] == "both_absent"


def test_only_the_client_waives_and_disputes(told, problem_of):
    told.told("complete", token=told.key)
    for action, body in (("documents", {"waived": True}), ("dispute", {"text": "No"})):
        problem_of(told.tell(action, body, token=told.key), 403, "forbidden")
        told.told(action, body | {"on_behalf_of": "client"}, token=told.key)
    assert told.seen()["dispute"] == {"text": "No", "disputed_at": HALF_PAST}


def test_a_client_does_not_tell_when_documents_were_delivered(told, problem_of):
    body = {"delivered_at": HALF_PAST}
    problem_of(told.tell("documents", body), 403, "forbidden")
    told.told("documents", body, token=told.key)


def test_deciding_needs_the_scope_manage_and_a_key(told, problem_of):
    told.told("complete")
    body = {"refund": "full", "reason": "Goodwill"}
    problem_of(told.decide(body, token=told.key), 403, "forbidden")
    problem_of(told.decide(body, token=told.client), 403, "forbidden")
    problem_of(told.decide(body, token=told.house.key("manage", freelancer="bob")), 404, "not-found")
    assert told.decide(body, token=told.house.key("manage")).status_code == 200


def test_notes_are_for_keys_and_for_who_wrote_them(told):
    told.told("no_show", {"absent": "client", "note": "I waited"}, token=told.key)
    told.told("no_show", {"absent": "freelancer", "note": "So did I"})
    notes = {report["by"]: report["note"] for report in told.seen()["reports"]}
    assert notes == {"freelancer": None, "client": "So did I"}
    assert [report["note"] for report in told.seen(token=told.key)["reports"]] == ["I waited", "So did I"]


# What follows


ROWS = [
    # what is told, by whom (the key unless it says client); the outcome as it is once the documents are due
    ([("no_show", {"absent": "client"}, "key")], "client_absent", "none on_request yes no no no no"),
    (
        [
            ("attendance", {"who": "freelancer", "joined_at": FIVE_PAST}, "key"),
            ("no_show", {"absent": "client"}, "key"),
        ],
        "client_absent",
        "none on_request no no no no no",
    ),
    (
        [("no_show", {"absent": "freelancer"}, "client")],
        "freelancer_absent",
        "on_dispute unless_disputed no yes yes yes no",
    ),
    (
        [("no_show", {"absent": "freelancer"}, "client"), ("documents", {"delivered_at": HALF_PAST}, "key")],
        "freelancer_absent",
        "on_dispute unless_disputed no no yes yes no",
    ),
    (
        [("complete", {}, "key"), ("documents", {"delivered_at": HALF_PAST}, "key")],
        "completed",
        "none yes yes no yes yes yes",
    ),
    (
        [
            ("attendance", {"who": "freelancer", "joined_at": FIVE_PAST}, "key"),
            ("complete", {}, "key"),
            ("documents", {"delivered_at": HALF_PAST}, "key"),
        ],
        "completed",
        "none yes no no yes yes yes",
    ),
    ([], "completed_documents_missed", "on_dispute unless_disputed no yes yes yes yes"),
    (
        [("attendance", {"who": "client", "joined_at": FIVE_PAST}, "client")],
        "completed_documents_missed",
        "on_dispute unless_disputed no no yes yes yes",
    ),
    (
        [("documents", {"waived": True}, "client"), ("complete", {}, "client")],
        "completed_documents_waived",
        "none yes yes no no yes yes",
    ),
    ([("documents", {"waived": True}, "client")], "completed", "none yes yes no yes yes yes"),
    (
        [("no_show", {"absent": "freelancer"}, "client"), ("dispute", {"text": "I waited"}, "client")],
        "freelancer_absent",
        "full no no yes yes yes no",
    ),
]


@pytest.mark.parametrize(("words", "reason", "row"), ROWS)
def test_what_was_told_has_the_outcome_of_its_row(told, words, reason, row):
    for action, body, who in words:
        told.told(action, body, token=told.key if who == "key" else "")
    told.house.clock.set(DUE)
    sweep(told.house.services)
    booking = told.seen()
    assert (booking["outcome"]["reason"], _row(booking)) == (reason, row)
    disputed = booking["dispute"] is not None
    assert (booking["outcome"]["final"], booking["outcome"]["final_at"]) == (not disputed, DUE)


def test_documents_are_shown_by_their_names_with_what_became_of_them(told):
    summary = {"name": "meeting_summary", "due_at": DUE, "delivered_at": None, "waived_at": None}
    assert told.seen()["documents"] == [summary]
    told.told("documents", {"delivered_at": "2026-11-24T10:25:00+01:00", "name": "meeting_summary"}, token=told.key)
    assert told.seen()["documents"] == [summary | {"delivered_at": "2026-11-24T09:25:00Z"}]


def test_reports_that_contradict_each_other_are_both_shown_and_not_final(told):
    told.told("no_show", {"absent": "client"}, token=told.key)
    told.told("no_show", {"absent": "freelancer"})
    told.house.clock.set("2027-01-01T00:00:00Z")
    sweep(told.house.services)
    booking = told.seen()
    assert [(report["absent"], report["by"]) for report in booking["reports"]] == [
        *(("client", "freelancer"), ("freelancer", "client")),
    ]
    assert not booking["outcome"]["final"]


def test_a_person_decides_beside_the_rule(told):
    told.told("no_show", {"absent": "client"}, token=told.key)
    rule = told.seen()["outcome"]
    manager = told.house.key("manage")
    body = {"refund": "full", "freelancer_paid": "no", "reason": "Ill that day"}
    answer = told.decide(body, token=manager, headers={"If-Match": '"2"'})
    outcome = answer.json()["outcome"]
    assert outcome == rule | body | {
        "final": True,
        "final_at": HALF_PAST,
        "decided_at": HALF_PAST,
        "by_rule": rule,
    }
    assert told.seen()["outcome"] == outcome
    assert answer.headers["ETag"] == '"3"'


# When not


def test_before_the_start_it_is_too_early(told, problem_of):
    told.house.clock.set("2026-11-24T08:59:59Z")
    for action, body in (("no_show", {"absent": "freelancer"}), ("complete", None), ("dispute", {"text": "No"})):
        problem = problem_of(told.tell(action, body), 409, "wrong-state")
        assert problem["current_state"] == "confirmed"


def test_a_no_show_is_reported_once_five_minutes_have_passed(told, problem_of):
    told.house.clock.set(FIVE_PAST)
    problem_of(told.tell("no_show", {"absent": "freelancer"}), 409, "wrong-state")
    told.house.clock.forward(microseconds=1)
    assert told.told("no_show", {"absent": "freelancer"})["state"] == "no_show"


def test_whoever_joined_within_five_minutes_is_no_no_show(told, problem_of):
    told.told("attendance", {"who": "client", "joined_at": FIVE_PAST})
    problem_of(told.tell("no_show", {"absent": "client"}, token=told.key), 409, "wrong-state")


def test_after_all_is_final_there_is_no_dispute(told, problem_of):
    told.house.clock.set(DUE)
    problem_of(told.tell("dispute", {"text": "Too late"}), 409, "wrong-state")


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_told_of_a_cancelled_booking(house, problem_of, action):
    booking = house.book(NINE)
    told = Told(house, booking, house.key("bookings:write"))
    told.told("cancel")
    house.clock.set(HALF_PAST)
    body = {"waived": True} if action == "documents" else ACTIONS[action]
    problem = problem_of(told.tell(action, body), 409, "wrong-state")
    assert problem["current_state"] == "cancelled"


@pytest.mark.parametrize(
    ("action", "body", "pointer"),
    [
        ("attendance", {"who": "client", "joined_at": "2026-11-24T09:30:00.000001Z"}, "/joined_at"),
        ("attendance", {"who": "client", "joined_at": "2026-11-24T09:00:00"}, "/joined_at"),
        ("attendance", {"who": "both", "joined_at": NINE}, "/who"),
        ("attendance", {"who": "client"}, "/joined_at"),
        ("no_show", {"absent": "nobody"}, "/absent"),
        ("no_show", {}, "/absent"),
        ("documents", {"delivered_at": DUE}, "/delivered_at"),
        ("documents", {}, ""),
        ("documents", {"delivered_at": NINE, "waived": True}, ""),
        ("documents", {"waived": False}, "/waived"),
        ("documents", {"delivered_at": NINE, "name": "poem"}, "/name"),
        ("dispute", {"text": ""}, "/text"),
        ("dispute", {}, "/text"),
        ("extend", {"minutes": 0, "paid_by": "consultation"}, "/minutes"),
        ("extend", {"minutes": 1441, "paid_by": "consultation"}, "/minutes"),
        ("extend", {"minutes": 15, "paid_by": "me"}, "/paid_by"),
        ("extend", {"minutes": 15}, "/paid_by"),
    ],
)
def test_what_is_told_badly_is_named(told, problem_of, action, body, pointer):
    problem = problem_of(told.tell(action, body, token="" if action == "dispute" else told.key), 422, "invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"refund": "half", "reason": "x"}, {"prize": 1, "reason": "x"}])
def test_a_decision_is_made_in_the_words_of_the_table(told, problem_of, body):
    told.told("complete")
    problem_of(told.decide(body, token=told.house.key("manage")), 422, "invalid-request")


def test_nothing_is_decided_before_anything_follows(told, problem_of):
    problem_of(told.decide({"reason": "Early"}, token=told.house.key("manage")), 409, "wrong-state")


# Once


@pytest.mark.parametrize(("action", "body"), [("no_show", {"absent": "freelancer"}), ("complete", None)])
def test_the_same_request_is_answered_the_same_way(told, action, body):
    headers = {"Idempotency-Key": "a"}
    first, again = told.tell(action, body, headers=headers), told.tell(action, body, headers=headers)
    assert first.status_code == 200
    assert (again.status_code, again.content) == (200, first.content)
    assert told.seen()["revision"] == 2


def test_a_stale_etag_changes_nothing(told, problem_of):
    told.told("attendance", {"who": "client", "joined_at": NINE})
    for action in ACTIONS:
        token = told.key if action == "documents" else ""
        answer = told.tell(action, ACTIONS[action], token=token, headers={"If-Match": '"1"'})
        problem_of(answer, 412, "revision-mismatch")
    assert told.seen()["revision"] == 2


# Extending


def _running(told: Told) -> Told:
    told.house.clock.set("2026-11-24T09:20:00Z")
    told.house.pull()
    return told


def test_an_extension_is_answered_as_a_new_booking(told):
    answer = _running(told).tell("extend", {"minutes": 20, "paid_by": "hourly_contract"})
    assert answer.status_code == 201
    new = answer.json()
    assert answer.headers["Location"] == f"/v1/bookings/{new['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert set(new) == set(told.booking)
    assert (new["start"], new["end"], new["duration_minutes"]) == (told.booking["end"], "2026-11-24T09:50:00+00:00", 20)
    assert (new["state"], new["extension_of"], new["paid_by"]) == ("confirmed", told.booking["id"], "hourly_contract")
    assert (new["client"], new["documents"]) == (told.booking["client"], [])
    assert new["token"] != told.client
    shown = told.house.get(f"/v1/bookings/{new['id']}", token=new["token"])
    assert shown.json() == {name: value for name, value in new.items() if name not in ("token", "manage_url")}
    told.house.work()
    assert len(told.house.remote["ada"].texts("Work")) == 2


def test_an_extension_is_made_once(told):
    _running(told)
    body, headers = {"minutes": 15, "paid_by": "consultation"}, {"Idempotency-Key": "more"}
    first, again = told.tell("extend", body, headers=headers), told.tell("extend", body, headers=headers)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)


def test_an_extension_never_overlaps(told, problem_of):
    _running(told)
    told.house.busy("2026-11-24T09:40:00+00:00", "2026-11-24T10:00:00+00:00")
    told.house.pull()
    body = {"minutes": 11, "paid_by": "consultation"}
    problem = problem_of(told.tell("extend", body), 409, "slot-taken")
    assert problem["reasons"] == [{"code": "unavailable"}]
    assert problem["alternatives"] == []
    assert told.tell("extend", body | {"minutes": 10}).status_code == 201


def test_an_extension_beyond_set_hours_is_not_offered(house, problem_of):
    told = Told(house, house.book("2026-11-24T11:30:00Z"), "")
    problem = problem_of(told.tell("extend", {"minutes": 1, "paid_by": "consultation"}), 422, "not-offered")
    assert problem["reasons"] == [{"code": "outside_hours"}]


def test_of_many_who_extend_at_once_one_does(told):
    _running(told)
    url = f"{told.house.url}/v1/bookings/{told.booking['id']}/extend"
    login = {"Authorization": f"Bearer {told.client}"}

    def extend(minutes: int) -> int:
        body = {"minutes": minutes, "paid_by": "consultation"}
        return requests.post(url, json=body, headers=login, timeout=60).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(extend, range(5, 11))) == [201] + [409] * 5


def test_of_many_who_report_at_once_every_word_is_kept(told):
    url = f"{told.house.url}/v1/bookings/{told.booking['id']}/attendance"
    login = {"Authorization": f"Bearer {told.client}"}

    def join(minute: int) -> int:
        body = {"who": "client", "joined_at": f"2026-11-24T09:{minute:02}:00Z"}
        return requests.post(url, json=body, headers=login, timeout=60).status_code

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(join, range(6))) == [200] * 6
    booking = told.seen()
    assert booking["revision"] == 7
    assert sorted(arrival["joined_at"][14:16] for arrival in booking["attendance"]) == [f"{m:02}" for m in range(6)]
