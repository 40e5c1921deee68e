"""What may be done with a booking, told before it is done (contract §5): it is as it was told, for everyone, always."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, inspect, update

from syncd.booking.expiry import sweep
from syncd.store.models import Booking, BookingEvent, OutboxItem

CONFIG = """
[server]
rate_limits = { feed = "1000000/minute", booking = "1000000/minute" }
[freelancers.ada]
time_zone = "UTC"
[freelancers.ada.schedules.default.hours]
monday = ["00:00-24:00"]
tuesday = ["00:00-24:00"]
wednesday = ["00:00-24:00"]
thursday = ["00:00-24:00"]
friday = ["00:00-24:00"]
saturday = ["00:00-24:00"]
sunday = ["00:00-24:00"]
[freelancers.ada.consultations.plain]
minimum_notice = "0m"
documents_due = "0m"
[freelancers.ada.consultations.papers]
minimum_notice = "0m"
documents = ["summary", "invoice"]
[freelancers.ada.consultations.paid]
minimum_notice = "0m"
confirmation = "key"
[freelancers.ada.consultations.asked]
minimum_notice = "0m"
confirmation = "freelancer"
documents = ["summary"]
"""

MADE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
START = MADE + timedelta(hours=48)
END = START + timedelta(minutes=30)
JUST = timedelta(microseconds=1)
ACTIONS = [
    *("confirm", "prolong", "release", "approve", "decline", "reschedule", "cancel"),
    *("attendance", "no_show", "complete", "documents", "dispute", "extend"),
]


@pytest.fixture(scope="module")
def home(make_house):
    """A house open day and night, whose keys may do all."""
    home = make_house(CONFIG)
    home.all_keys = {
        "all": home.key("bookings:read", "bookings:write", "manage"),
        "read": home.key("bookings:read"),
    }
    return home


def minutes(number):
    return timedelta(minutes=number)


# How a booking comes to be: an offer, what it is asked for with, and what happened then: when, what, how.

KEY, CLIENT = {}, {"on_behalf_of": "client"}
STORIES = {
    "held": ("plain", {"hold_minutes": 10}, []),
    "held, long ago": ("plain", {"hold_minutes": 15}, [(MADE + minutes(14), "prolong", {"hold_minutes": 15})]),
    "held for a key": ("paid", {}, []),
    "held for a request": ("asked", {"hold_minutes": 10}, []),
    "released": ("plain", {"hold_minutes": 10}, [(MADE + minutes(1), "release", KEY)]),
    "pending": ("asked", {}, []),
    "declined": ("asked", {}, [(MADE + minutes(1), "decline", KEY)]),
    "approved": ("asked", {}, [(MADE + minutes(1), "approve", KEY)]),
    "paid": ("paid", {}, [(MADE + minutes(1), "confirm", KEY)]),
    "confirmed": ("plain", {}, []),
    "confirmed with papers": ("papers", {}, []),
    "cancelled": ("plain", {}, [(MADE + minutes(1), "cancel", KEY)]),
    "moved late": ("plain", {}, [(START - minutes(60), "reschedule", {"start": START.isoformat()})]),
    "client in time": (
        "papers",
        {},
        [(START + minutes(2), "attendance", {"who": "client", "joined_at": START.isoformat()})],
    ),
    "freelancer late": (
        "papers",
        {},
        [
            (
                START + minutes(7),
                "attendance",
                {"who": "freelancer", "joined_at": (START + minutes(6)).isoformat()},
            )
        ],
    ),
    "client absent": ("papers", {}, [(START + minutes(6), "no_show", {"absent": "client"})]),
    "both absent": (
        "papers",
        {},
        [
            (START + minutes(6), "no_show", {"absent": "client"}),
            (START + minutes(7), "no_show", {"absent": "freelancer", **CLIENT}),
        ],
    ),
    "completed": ("plain", {}, [(END, "complete", KEY)]),
    "completed with papers": ("papers", {}, [(END, "complete", KEY)]),
    "delivered": ("papers", {}, [(END, "complete", KEY), (END, "documents", {"delivered_at": END.isoformat()})]),
    "one waived": ("papers", {}, [(END, "documents", {"waived": True, "name": "summary", **CLIENT})]),
    "waived": ("papers", {}, [(END, "complete", KEY), (END, "documents", {"waived": True, **CLIENT})]),
    "approved of": ("papers", {}, [(END, "documents", {"waived": True, **CLIENT}), (END, "complete", CLIENT)]),
    "disputed": ("papers", {}, [(END, "complete", KEY), (END, "dispute", {"text": "No.", **CLIENT})]),
    "decided": (
        "papers",
        {},
        [(END, "complete", KEY), (END, "outcome", {"refund": "full", "reason": "Courtesy."})],
    ),
    "decided for now": (
        "papers",
        {},
        [(END, "complete", KEY), (END, "outcome", {"refund": "full", "final": False, "reason": "Courtesy."})],
    ),
}

TURNS = [
    MADE,
    MADE + minutes(10),
    MADE + minutes(15),
    MADE + minutes(29),
    MADE + minutes(59),
    MADE + timedelta(hours=24),
    START - minutes(60),
    START - minutes(30),
    START,
    START + minutes(5),
    END,
    END + timedelta(hours=24),
    END + timedelta(hours=48),
    END + timedelta(hours=72),
]


@dataclass(frozen=True)
class Whom:
    """Who asks: by the booking's token or by a key, and the side that is named."""

    by: str
    named: str | None

    @property
    def side(self):
        return self.named or ("client" if self.by == "token" else "freelancer")

    @property
    def naming(self):
        return {"on_behalf_of": self.named} if self.named else {}


PEOPLE = [
    Whom("token", None),
    Whom("token", "client"),
    Whom("key", None),
    Whom("key", "client"),
    Whom("key", "freelancer"),
]


class Stage:
    """One booking after its story, at a time: what is told of it, and what happens if it is done."""

    def __init__(self, home, story, *, swept):
        self.home = home
        offer, wish, happened = STORIES[story]
        home.clock.now = MADE
        self.booking = home.book(START.isoformat(), f"ada/{offer}", **wish)
        for at, action, body in happened:
            home.clock.now = at
            answer = self.do(Whom("key", None), action, body)
            assert answer.ok, (story, action, answer.text)
        self.began_at = home.clock.now
        self.swept = swept

    def at(self, now):
        """Go to a time, but never back."""
        self.home.clock.now = max(now, self.began_at)
        if self.swept:
            sweep(self.home.services)

    @property
    def now(self):
        return self.home.clock.now

    def token(self, whom):
        return self.booking["token"] if whom.by == "token" else self.home.all_keys["all"]

    def told(self, whom):
        """What is told of every action, by name."""
        path = f"/v1/bookings/{self.booking['id']}/actions"
        answer = self.home.get(path, token=self.token(whom), params=whom.naming)
        assert answer.status_code == 200, answer.text
        return {entry["action"]: entry for entry in answer.json()}

    def do(self, whom, action, body):
        method, path = {
            "prolong": ("PATCH", "hold"),
            "release": ("DELETE", "hold"),
            "outcome": ("PUT", "outcome"),
        }.get(action, ("POST", action))
        sent = {} if action == "release" else {"json": body | whom.naming}
        return self.home.call(method, f"/v1/bookings/{self.booking['id']}/{path}", token=self.token(whom), **sent)

    def body(self, whom, action, told):
        """The least that an action is asked for with, or what its prospect assumes."""
        other = {"client": "freelancer", "freelancer": "client"}[whom.side]
        late = math.ceil(max(self.now - END, timedelta()) / minutes(1)) + 1
        least = {
            "prolong": {"hold_minutes": 1},
            "reschedule": {"start": (START + timedelta(hours=6)).isoformat()},
            "attendance": {"who": whom.side, "joined_at": self.now.isoformat()},
            "no_show": {"absent": other},
            "documents": {"waived": True} if whom.side == "client" else {"delivered_at": self.now.isoformat()},
            "dispute": {"text": "No."},
            "extend": {"minutes": min(late, 1440), "paid_by": "consultation"},
        }
        return least.get(action, {}) | told.get("assuming", {})

    def undone(self, action):
        """Do something as if it had never been done."""
        with self.home.services.store.read() as session:
            kept = [
                {c.key: getattr(row, c.key) for c in inspect(type(row)).column_attrs}
                for row in (
                    session.get_one(Booking, self.booking["id"]),
                    session.get_one(BookingEvent, self.booking["id"]),
                )
            ]
        answer = action()
        with self.home.services.store.write() as session:
            session.execute(delete(Booking).where(Booking.extension_of == self.booking["id"]))
            for model, values in zip((Booking, BookingEvent), kept, strict=True):
                name = model.id if model is Booking else model.booking_id
                session.execute(update(model).where(name == self.booking["id"]).values(values))
            session.execute(delete(OutboxItem))
        return answer

    def clear(self):
        with self.home.services.store.write() as session:
            session.execute(delete(Booking))


def volatile(entry):
    """What of an entry may go with the time without a change: instants that only say 'now', and the words."""
    outcome = {name: value for name, value in entry.get("outcome", {}).items() if name != "final_at"}
    return entry["allowed"], entry.get("reason"), outcome


times = st.builds(
    lambda turn, by: turn + by,
    st.sampled_from(TURNS),
    st.sampled_from([-minutes(1), -JUST, timedelta(), JUST, minutes(3)]),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STORIES)), times, st.sampled_from(PEOPLE), st.booleans())
def test_what_is_allowed_succeeds_with_the_outcome_told_and_the_rest_fails_for_the_reason_told(
    home, story, now, whom, swept
):
    stage = Stage(home, story, swept=swept)
    try:
        stage.at(now)
        told = stage.told(whom)
        assert list(told) == ACTIONS
        for action, entry in told.items():
            body = stage.body(whom, action, entry)
            answer = stage.undone(lambda action=action, body=body: stage.do(whom, action, body))
            happened = f"{story} at {stage.now}, {whom}, {entry}: {answer.text}"
            assert answer.ok == entry["allowed"], happened
            if not answer.ok:
                assert answer.json()["code"] == entry["reason"], happened
                assert "outcome" not in entry
            elif action != "extend":
                assert answer.json()["outcome"] == entry.get("outcome"), happened
    finally:
        stage.clear()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STORIES)), times, st.sampled_from(PEOPLE), st.data())
def test_an_entry_changes_when_it_said_it_would_and_not_before(home, story, now, whom, data):
    stage = Stage(home, story, swept=False)
    try:
        stage.at(now)
        now, told = stage.now, stage.told(whom)
        far = END + timedelta(days=30)
        action = data.draw(st.sampled_from(ACTIONS))
        ends_at = datetime.fromisoformat(told[action]["changes_at"]) if "changes_at" in told[action] else far
        assert ends_at >= now
        between = now + data.draw(st.floats(0, 1)) * max(ends_at - now - JUST, timedelta())
        stage.at(between)
        assert volatile(stage.told(whom)[action]) == volatile(told[action])
        if ends_at < far:
            later = []
            for at in (ends_at, ends_at + JUST):
                stage.at(at)
                later.append(volatile(stage.told(whom)[action]))
            assert any(said != volatile(told[action]) for said in later)
    finally:
        stage.clear()


# Some of it in words


def entry(home, booking, action, token=None, **params):
    path = f"/v1/bookings/{booking['id']}/actions"
    found = home.get(path, token=token or booking["token"], params=params).json()
    return next(one for one in found if one["action"] == action)


@pytest.fixture
def stage(home):
    """Set a stage for a story; it is cleared at the end."""
    made = []

    def build(story):
        made.append(Stage(home, story, swept=False))
        return made[-1]

    yield build
    for one in made:
        one.clear()


def test_a_client_sees_that_cancelling_is_free_and_until_when(home, stage):
    booking = stage("confirmed").booking
    told = entry(home, booking, "cancel")
    assert told["outcome"] | {"final_at": None} == {
        "refund": "full",
        "freelancer_paid": "no",
        "freelancer_protected": False,
        "client_protected": True,
        "client_may_dispute": False,
        "client_may_leave_feedback": False,
        "freelancer_may_leave_feedback": False,
        "final": True,
        "final_at": None,
        "reason": "client_cancelled_in_time",
    }
    assert told["changes_at"] == booking["free_cancellation_until"]


def test_exactly_at_the_deadline_cancelling_is_still_free_and_about_to_change(home, stage):
    one = stage("confirmed")
    one.at(START - timedelta(hours=24))
    told = entry(home, one.booking, "cancel")
    assert told["outcome"]["reason"] == "client_cancelled_in_time"
    assert told["changes_at"] == one.booking["free_cancellation_until"]
    one.at(START - timedelta(hours=24) + JUST)
    told = entry(home, one.booking, "cancel")
    assert told["outcome"]["reason"] == "client_cancelled_late"
    assert datetime.fromisoformat(told["changes_at"]) == START


def test_a_held_booking_is_cancelled_without_an_outcome(home, stage):
    told = entry(home, stage("held").booking, "cancel")
    assert told == {"action": "cancel", "allowed": True, "changes_at": "2026-11-22T12:10:00Z"}


def test_a_hold_that_is_over_says_so_of_every_action_of_its_client(home, stage):
    one = stage("held")
    one.at(MADE + minutes(10))
    told = one.told(Whom("token", None))
    reasons = {told[action]["reason"] for action in ACTIONS if action not in ("approve", "decline")}
    assert reasons == {"hold-expired"}


def test_only_a_key_confirms_where_only_a_key_may(home, stage):
    booking = stage("held for a key").booking
    assert entry(home, booking, "confirm")["reason"] == "forbidden"
    assert entry(home, booking, "confirm", home.all_keys["all"])["allowed"]


def test_a_key_that_may_only_read_may_do_nothing(home, stage):
    one = stage("confirmed")
    found = home.get(f"/v1/bookings/{one.booking['id']}/actions", token=home.all_keys["read"]).json()
    assert [(told["action"], told["allowed"], told["reason"]) for told in found] == [
        (action, False, "forbidden") for action in ACTIONS
    ]


def test_each_side_is_told_of_the_other_s_absence(home, stage):
    one = stage("confirmed with papers")
    one.at(START + minutes(6))
    mine = entry(home, one.booking, "no_show")
    assert (mine["assuming"], mine["outcome"]["reason"]) == ({"absent": "freelancer"}, "freelancer_absent")
    theirs = entry(home, one.booking, "no_show", home.all_keys["all"])
    assert (theirs["assuming"], theirs["outcome"]["reason"]) == ({"absent": "client"}, "client_absent")


def test_what_happens_is_told_to_whoever_may_see_the_booking(home, stage, problem_of):
    path = f"/v1/bookings/{stage('confirmed').booking['id']}/actions"
    problem_of(home.get(path), 401, "unauthorized")
    problem_of(home.get(path, token=home.key("slots:read")), 403, "forbidden")
    problem_of(home.get(path.replace("bkg_", "bkg_x"), token=home.all_keys["all"]), 404, "not-found")
    problem_of(home.get(path, token="bkt_wrong"), 401, "unauthorized")


def test_a_client_doesn_t_ask_for_the_other_side(home, stage, problem_of):
    booking = stage("confirmed").booking
    path = f"/v1/bookings/{booking['id']}/actions"
    answer = home.get(path, token=booking["token"], params={"on_behalf_of": "freelancer"})
    problem_of(answer, 403, "forbidden")


def test_looking_changes_nothing(home, stage):
    one = stage("confirmed")
    one.at(END + timedelta(hours=30))
    path = f"/v1/bookings/{one.booking['id']}"
    before = home.get(path, token=one.booking["token"])
    answer = home.get(f"{path}/actions", token=one.booking["token"])
    assert answer.headers["ETag"] == before.headers["ETag"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert home.get(path, token=one.booking["token"]).json() == before.json()
