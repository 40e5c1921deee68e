"""`book`, `confirm`, `reschedule`, `cancel`, `approve`, `decline`: the booking life from a shell.

Decides how a step is run for whoever sits at the machine: the freelancer, unless they say that they act for the client.
What may be done, and what follows, is `syncd.booking.lifecycle`'s, as over HTTP: first what the store alone refuses,
then a look at the calendars, then one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from availability import Reason
from providers.errors import GrantRevoked
from syncd.api.schemas.bookings import Cancel, Confirm, NewBooking
from syncd.booking import lifecycle
from syncd.booking.clients import Standing
from syncd.booking.making import Said, Wish, given
from syncd.booking.permitted import check_movable
from syncd.cli.booking_words import Around, Document, in_words, problem_json, told, why_unanswered
from syncd.cli.looking import find, local_instant
from syncd.cli.setup import Opened, opened
from syncd.cli.show import print_json, say
from syncd.config import parse_length
from syncd.errors import ApiError, AvailabilityUnknown, BookingError
from syncd.instants import rfc3339
from syncd.questions import duration_of
from syncd.services import Services
from syncd.store.models import Booking, Calendar
from syncd.sync.look import NOT_LOOKED, SERVERS_PATIENCE, Looked, look

Side = Literal["client", "freelancer"]
Body = TypeVar("Body", bound=BaseModel)

_STANDING: Mapping[Side, Standing] = {"client": "key", "freelancer": "freelancer"}
_OPTIONS = {
    "/answers/": "--answer ",
    "/client/": "--",
    "/client: is": "--name and --email are",
    "/hold_minutes": "--hold",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who comes, and what they say, as options have it; `answers` are ID=TEXT."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    note: str | None = None
    answers: Sequence[str] = ()

    def client(self) -> dict[str, str] | None:
        """The client as the API takes one; None where nothing is said of one."""
        return dict(given(name=self.name, email=self.email, phone=self.phone)) or None


@dataclass(frozen=True, slots=True)
class BookWish:
    """What `book` was asked."""

    offer: str
    at: str
    person: Person
    duration: int | None
    hold: str | None
    side: Side


def book(config_path: Path, wish: BookWish, *, as_json: bool) -> int:
    """Book or hold a start. Raises ApiError, BookingError."""
    with opened(config_path) as installation:
        services, standing = installation.services, _STANDING[wish.side]
        with services.store.read() as session:
            offer = find(session, wish.offer)
            around = _asked(wish, offer.freelancer.tz, duration_of(offer, wish.duration))
            wanted = _wanted(wish, around, offer.consultation.questions)
            with _explained(services, around, as_json=as_json):
                lifecycle.check_bookable(
                    session, services.situations, offer, wanted, services.clock(), standing=standing
                )
        looked = look(services, offer.consultation.id, around.start_at, around.end_at, patience=SERVERS_PATIENCE)
        with _explained(services, around, as_json=as_json), services.store.write() as session:
            offer, now, situations = find(session, wish.offer), services.clock(), services.situations
            made = lifecycle.book(session, situations, offer, wanted, wish.side, now, looked=looked, standing=standing)
            document = shown(services, made, new=True)
        return _tell("book", document, installation, as_json=as_json)


def _asked(wish: BookWish, tz: str, minutes: int) -> Around:
    return Around(wish.offer, tz, minutes, local_instant(wish.at, tz))


def _wanted(wish: BookWish, around: Around, questions: Sequence[Mapping[str, Any]]) -> Wish:
    """What is booked, checked as the API checks it. Raises ApiError."""
    checked = _checked(
        NewBooking,
        start=rfc3339(around.start_at),
        client=wish.person.client(),
        answers=_answers(wish.person.answers, questions),
        note=wish.person.note,
        hold_minutes=_minutes(wish.hold) if wish.hold is not None else None,
    )
    return Wish(
        start_at=checked.start,
        duration_minutes=around.minutes,
        client=checked.client.model_dump(exclude_none=True) if checked.client else {},
        answers=checked.answers,
        note=checked.note,
        hold_minutes=checked.hold_minutes,
    )


# Steps in a booking's life


@dataclass(frozen=True, slots=True)
class Step:
    """A step: `change` does it; where a look comes before, `rehearse` raises what stands against it, or says False."""

    name: str
    change: Callable[[Session, Services, Booking, Looked], Booking]
    rehearse: Callable[[Session, Services, Booking], object] | None = None


def cancel(config_path: Path, booking_id: str, reason: str | None, side: Side, *, as_json: bool) -> int:
    """Cancel before the start, and say what follows. Raises ApiError, BookingError."""
    why = _checked(Cancel, reason=reason).reason

    def change(session: Session, services: Services, booking: Booking, _looked: Looked) -> Booking:
        return lifecycle.cancel(session, booking, side, why, services.clock())

    return _run(config_path, booking_id, Step("cancel", change), as_json=as_json)


def decline(config_path: Path, booking_id: str, reason: str | None, *, as_json: bool) -> int:
    """Refuse what waits for approval. Raises ApiError, BookingError."""
    why = _checked(Cancel, reason=reason).reason

    def change(session: Session, services: Services, booking: Booking, _looked: Looked) -> Booking:
        return lifecycle.decline(session, booking, "freelancer", services.clock(), why)

    return _run(config_path, booking_id, Step("decline", change), as_json=as_json)


def approve(config_path: Path, booking_id: str, *, as_json: bool) -> int:
    """Confirm what waits for approval. Raises ApiError, BookingError."""

    def rehearse(session: Session, services: Services, booking: Booking) -> object:
        return lifecycle.check_approve(session, services.situations, booking, "freelancer", services.clock())

    def change(session: Session, services: Services, booking: Booking, looked: Looked) -> Booking:
        now = services.clock()
        return lifecycle.approve(session, services.situations, booking, "freelancer", now, looked=looked)

    return _run(config_path, booking_id, Step("approve", change, rehearse), as_json=as_json)


def confirm(config_path: Path, booking_id: str, person: Person, side: Side, *, as_json: bool) -> int:
    """Make a booking of a hold. Raises ApiError, BookingError."""
    standing = _STANDING[side]

    def rehearse(session: Session, services: Services, booking: Booking) -> object:
        said, now = _said(person, booking), services.clock()
        return lifecycle.check_confirm(session, services.situations, booking, said, now, standing=standing)

    def change(session: Session, services: Services, booking: Booking, looked: Looked) -> Booking:
        said, now, situations = _said(person, booking), services.clock(), services.situations
        return lifecycle.confirm(session, situations, booking, side, now, said=said, looked=looked, standing=standing)

    return _run(config_path, booking_id, Step("confirm", change, rehearse), as_json=as_json)


def _said(person: Person, booking: Booking) -> Said:
    answers = _answers(person.answers, booking.consultation.questions) or None
    wish = _checked(Confirm, client=person.client(), answers=answers)
    client = wish.client.model_dump(exclude_none=True) if wish.client else None
    return given(client=client, answers=wish.answers)


def reschedule(config_path: Path, booking_id: str, at: str, side: Side, *, as_json: bool) -> int:
    """Move a booking to another start. Raises ApiError, BookingError."""

    def start_of(booking: Booking) -> datetime:
        return local_instant(at, booking.freelancer.tz)

    def rehearse(session: Session, services: Services, booking: Booking) -> object:
        start_at, now = start_of(booking), services.clock()
        check_movable(booking, now)
        if start_at == booking.starts_at:
            return False  # nothing will change: there is nothing to look at
        return lifecycle.check_reschedule(session, services.situations, booking, start_at, now)

    def change(session: Session, services: Services, booking: Booking, looked: Looked) -> Booking:
        start_at, now, situations = start_of(booking), services.clock(), services.situations
        return lifecycle.reschedule(session, situations, booking, start_at, side, now, looked=looked)

    return _run(config_path, booking_id, Step("reschedule", change, rehearse), start_of, as_json=as_json)


def _run(
    config_path: Path,
    booking_id: str,
    step: Step,
    start_of: Callable[[Booking], datetime] = lambda booking: booking.starts_at,
    *,
    as_json: bool,
) -> int:
    """Ask the store, look at the calendars where that is called for, and do it in one transaction."""
    with opened(config_path) as installation:
        services, looked = installation.services, NOT_LOOKED
        with services.store.read() as session:
            booking = find_booking(session, booking_id)
            around = replace(around_of(booking), start_at=start_of(booking))
            span = booking.starts_at, booking.ends_at
            with _explained(services, around, as_json=as_json):
                looks = step.rehearse is not None and step.rehearse(session, services, booking) is not False
        if looks:
            looked = look(services, booking.consultation_id, around.start_at, around.end_at, patience=SERVERS_PATIENCE)
        with _explained(services, around, as_json=as_json), services.store.write() as session:
            booking = find_booking(session, booking_id)
            if looks and span != (booking.starts_at, booking.ends_at):
                raise ApiError("revision-mismatch", "the booking was moved meanwhile: try again")
            changed = step.change(session, services, booking, looked)
            document = shown(services, changed)
        return _tell(step.name, document, installation, as_json=as_json)


def find_booking(session: Session, booking_id: str) -> Booking:
    """A booking by its id. Raises ApiError."""
    booking = session.get(Booking, booking_id)
    if booking is None:
        raise ApiError("not-found", f"there is no booking {booking_id}: see `syncd bookings`")
    return booking


def around_of(booking: Booking) -> Around:
    """What a booking is about, for its words."""
    name = f"{booking.freelancer.handle}/{booking.consultation.slug}"
    minutes = int((booking.ends_at - booking.starts_at).total_seconds()) // 60
    return Around(name, booking.freelancer.tz, minutes, booking.starts_at)


# What was typed


def _answers(texts: Sequence[str], questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Answers by their questions' ids, each as its question's type has it. Raises ApiError."""
    kinds = {question["id"]: question.get("type", "text") for question in questions}
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise ApiError("invalid-request", f"--answer {text!r} must be ID=ANSWER, such as goal='To begin'")
        if kinds.get(name) == "texts":
            found.setdefault(name, []).append(value)
        else:
            found[name] = _value(kinds.get(name, "text"), value)
    return found


def _value(kind: str, text: str) -> object:
    if kind == "boolean":
        return {"yes": True, "true": True, "no": False, "false": False}.get(text.strip().lower(), text)
    if kind == "number":
        with suppress(ValueError):
            return int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
    return text


def _minutes(text: str) -> int:
    try:
        seconds = parse_length(text)
    except ValueError as error:
        raise ApiError("invalid-request", f"--hold {text}: {error}") from None
    if seconds % 60:
        raise ApiError("invalid-request", f"--hold {text}: must be whole minutes")
    return seconds // 60


def _checked(body: type[Body], **members: object) -> Body:
    """What was typed, checked as the API checks it. Raises ApiError that names the option."""
    try:
        return body.model_validate({name: value for name, value in members.items() if value is not None})
    except ValidationError as error:
        raise ApiError("invalid-request", "; ".join(map(_mistake, error.errors()))) from None


def _mistake(found: Mapping[str, Any]) -> str:
    where = f"--{found['loc'][-1]}".replace("hold_minutes", "hold")
    return f"{where} is missing" if found["type"] == "missing" else f"{where}: {found['msg'].rpartition('error, ')[2]}"


# What is said


@contextmanager
def _explained(services: Services, around: Around, *, as_json: bool) -> Iterator[None]:
    """Say of what is refused which start it was, why, and what is open instead; to programs also as JSON."""
    try:
        yield
    except BookingError as error:
        if as_json:
            print_json(problem_json(error, around))
        unknown = _unknown(services, error)
        wants_person = bool(unknown) and all(is_refused for _, is_refused in unknown)
        was_look = error.retry_after is not None
        explained = in_words(error, around, why_unanswered(unknown) if was_look or wants_person else "")
        raise GrantRevoked(str(explained)) if wants_person else explained from None
    except ApiError as error:
        raise ApiError(error.code, _as_options(error.detail), retry_after=error.retry_after) from None


def _unknown(services: Services, error: BookingError) -> list[tuple[str, bool]]:
    """The calendars of which it isn't known what is in them, and whether their server refuses the password."""
    if not isinstance(error, AvailabilityUnknown):
        return []
    with services.store.read() as session:
        rows = [session.get(Calendar, reason.calendar) for reason in error.reasons if isinstance(reason, Reason)]
        return [(f"{row.account.name}/{row.name}", row.account.state == "needs_reconnect") for row in rows if row]


def _as_options(detail: str) -> str:
    for pointer, option in _OPTIONS.items():
        detail = detail.replace(pointer, option)
    return detail


def shown(services: Services, booking: Booking, *, new: bool = False) -> Document:
    """The booking as the API shows it to a key, which the command line stands for; a `new` one with its token."""
    from syncd.api.credentials import Caller, KeyHolder
    from syncd.api.views import booking_json, new_booking_json

    services.port = services.port or services.config.server.port  # where its page is, once a daemon runs
    caller = Caller("freelancer", KeyHolder("", None, frozenset()))
    return new_booking_json(services, booking, caller) if new else booking_json(booking, caller, services.clock())


def _tell(step: str, document: Document, installation: Opened, *, as_json: bool) -> int:
    if as_json:
        print_json(document)
        return 0
    for line in told(step, document, daemon_runs=installation.locks.daemon_runs()):
        say(line)
    return 0
