"""Who may book, how much, and with which answers (semantics 18; contract §2: blocked_clients, per_client_limit)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from syncd.booking import lifecycle
from syncd.booking.answers import check_answers
from syncd.booking.making import Wish
from syncd.errors import ApiError, NotOffered, SlotTaken
from syncd.store import offers
from syncd.store.models import Booking, Consultation, Freelancer

GRACE = {"name": "Grace", "email": "Grace@Example.org"}


@pytest.fixture
def book(house):
    """Book or hold half an hour for a client by her address."""

    def book(start, email="grace@example.org", *, minutes=None, standing="public", actor="client"):
        with house.services.store.write() as session:
            offer = offers.find_offer(session, "ada", "intro")
            client = {"name": "Grace", "email": email} if email else {}
            wish = Wish(start, 30, client, hold_minutes=minutes)
            made = lifecycle.book(session, house.services.situations, offer, wish, actor, house.now, standing=standing)
            return made.id

    return book


def set_rules(house, *, blocked=(), limit=None):
    with house.services.store.write() as session:
        session.execute(update(Freelancer).values(blocked_clients=list(blocked)))
        session.execute(update(Consultation).values(per_client_limit=limit))


def refused(call, *args, **more) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ApiError) as info:
        call(*args, **more)
    return info.value.code


# Blocked clients


@pytest.mark.parametrize(
    ("blocked", "email", "is_blocked"),
    [
        (["eve@example.org"], "eve@example.org", True),
        (["EVE@example.org"], "eve@EXAMPLE.org", True),
        (["eve@example.org"], "eve@example.com", False),
        (["eve@example.org"], "steve@example.org", False),
        (["@example.org"], "anyone@example.org", True),
        (["@Example.org"], "anyone@EXAMPLE.ORG", True),
        (["@example.org"], "anyone@mail.example.org", False),
        (["@example.org"], "anyone@badexample.org", False),
        ([], "eve@example.org", False),
    ],
)
def test_blocked_are_addresses_and_domains_whatever_their_case(house, book, at, blocked, email, is_blocked):
    set_rules(house, blocked=blocked)
    if is_blocked:
        assert refused(book, at(9, 1), email) == "forbidden"
        assert house.is_listed(at(9, 1))
    else:
        assert book(at(9, 1), email)


def test_the_refusal_does_not_say_which_rule_it_was(house, book, at):
    set_rules(house, blocked=["eve@example.org"], limit=1)
    book(at(9, 1))
    texts = set()
    for email in ("eve@example.org", "grace@example.org"):
        with pytest.raises(ApiError) as info:
            book(at(10, 1), email)
        texts.add(str(info.value))
    assert len(texts) == 1


def test_the_predicate_speaks_before_the_rules_about_clients(house, book, at):
    book(at(9, 1))
    set_rules(house, blocked=["eve@example.org"])
    with pytest.raises(SlotTaken):
        book(at(9, 1), "eve@example.org")
    with pytest.raises(NotOffered):
        book(at(3, 1), "eve@example.org")


def test_the_freelancer_may_book_anyone(house, book, at):
    set_rules(house, blocked=["@example.org"], limit=0)
    assert refused(book, at(9, 1), standing="key", actor="freelancer") == "forbidden"
    assert book(at(9, 1), standing="freelancer", actor="freelancer")


# How many


def test_a_limit_counts_a_clients_live_bookings_that_have_not_ended(house, book, at):
    set_rules(house, limit=2)
    first = book(at(9.5, 0), "GRACE@example.org")
    book(at(10, 1))
    assert refused(book, at(11, 1)) == "forbidden"
    assert book(at(11, 1), "alan@example.org"), "another client's are others"
    house.now = at(10, 0) - timedelta(seconds=1)
    house.pull_only()
    assert refused(book, at(12, 1)) == "forbidden"
    house.now = at(10, 0)
    assert house.booking(first).state == "confirmed"
    assert book(at(12, 1)), "what has ended counts no more"


def test_what_was_cancelled_or_ran_out_is_not_counted(house, book, at):
    set_rules(house, limit=1)
    book(at(9, 1), minutes=10)
    assert refused(book, at(10, 1)) == "forbidden"
    house.later(minutes=10)
    booking = book(at(10, 1))
    house.cancel(booking)
    assert book(at(11, 1))


def test_a_hold_without_a_client_is_counted_once_it_has_one(house, book, at):
    set_rules(house, limit=1)
    one, two = book(at(9, 1), "", minutes=10), book(at(10, 1), "", minutes=10)
    assert confirm(house, one) == "confirmed"
    assert refused(confirm, house, two) == "forbidden"
    assert house.booking(two).state == "held"


def test_confirming_does_not_count_the_hold_itself(house, book, at):
    set_rules(house, limit=1)
    held = book(at(9, 1), minutes=10)
    assert confirm(house, held) == "confirmed"


def confirm(house, booking_id: str) -> str:
    with house.services.store.write() as session:
        booking = session.get_one(Booking, booking_id)
        situations = house.services.situations
        said = {"client": GRACE}
        return lifecycle.confirm(session, situations, booking, "client", house.now, said=said).state


def test_the_address_is_kept_in_lower_case_beside_the_client(house, book, at):
    booking = house.booking(book(at(9, 1), "Grace@Example.ORG"))
    assert (booking.client["email"], booking.client_address) == ("Grace@Example.ORG", "grace@example.org")


# Answers

QUESTIONS = [
    {"id": "goal", "label": "Goal", "type": "text", "required": True},
    {"id": "age", "label": "Age", "type": "number", "required": False},
    {"id": "new", "label": "New here?", "type": "boolean", "required": False},
    {"id": "likes", "label": "Likes", "type": "texts", "required": False},
]


@pytest.mark.parametrize(
    "answers",
    [
        {"goal": "x"},
        {"goal": "x" * 4000, "age": 7, "new": False, "likes": ["a", "b"]},
        {"goal": "0", "age": -1.5, "new": True, "likes": []},
    ],
)
def test_answers_that_fit_are_taken(answers):
    check_answers(QUESTIONS, answers, complete=True)


@pytest.mark.parametrize(
    ("answers", "pointer", "code"),
    [
        ({}, "/answers/goal", "missing"),
        ({"goal": ""}, "/answers/goal", "missing"),
        ({"goal": " \n"}, "/answers/goal", "missing"),
        ({"goal": 7}, "/answers/goal", "invalid"),
        ({"goal": "x" * 4001}, "/answers/goal", "invalid"),
        ({"goal": "x", "age": "7"}, "/answers/age", "invalid"),
        ({"goal": "x", "age": True}, "/answers/age", "invalid"),
        ({"goal": "x", "age": float("nan")}, "/answers/age", "invalid"),
        ({"goal": "x", "new": 1}, "/answers/new", "invalid"),
        ({"goal": "x", "likes": "a"}, "/answers/likes", "invalid"),
        ({"goal": "x", "likes": [1]}, "/answers/likes", "invalid"),
        ({"goal": "x", "likes": ["a"] * 51}, "/answers/likes", "invalid"),
        ({"goal": "x", "a/b~c": "x"}, "/answers/a~1b~0c", "extra_forbidden"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(answers, pointer, code):
    with pytest.raises(ApiError) as info:
        check_answers(QUESTIONS, answers, complete=True)
    (mistake,) = info.value.errors
    assert (mistake["pointer"], mistake["code"]) == (pointer, code)
    assert mistake["detail"] in info.value.detail


def test_what_must_be_answered_may_be_left_out_where_answers_come_later():
    check_answers(QUESTIONS, {}, complete=False)
    with pytest.raises(ApiError):
        check_answers(QUESTIONS, {"nope": 1}, complete=False)


def test_the_freelancer_may_leave_answers_out_and_a_key_may_not(house, book, at):
    with house.services.store.write() as session:
        session.execute(update(Consultation).values(questions=QUESTIONS))
    for standing in ("public", "key"):
        assert refused(book, at(9, 1), standing=standing) == "invalid-request"
    assert book(at(9, 1), standing="freelancer", actor="freelancer")
    assert book(at(10, 1), minutes=5), "a hold's answers may come later"
