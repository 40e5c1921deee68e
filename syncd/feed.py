"""The slot feed: the predicate's listing as bytes, kept until something or time alone changes it (semantics 10).

Where nothing is listed it says what comes next. The zones can't change below a running process, so tzdata's version
needs no place in the key of what is kept. Never calls a provider. What is unknown is said to be unknown: a stale
calendar that closes is AvailabilityUnknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Literal

from sqlalchemy.orm import Session

from availability import Situation, first_slot, open_periods, open_slots, valid_until, whole_second
from syncd.booking.judging import moving
from syncd.errors import AvailabilityUnknown
from syncd.feed_json import render_days, render_periods
from syncd.instants import local, rfc3339_or_none
from syncd.situation import Circumstances, Situations
from syncd.store.models import Booking, Freelancer
from syncd.store.offers import Offer
from syncd.sync.staleness import Trust

_KEPT_BYTES = 32 * 1024 * 1024
_LONGEST_KEPT = timedelta(days=366)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FeedQuestion:
    """What a frontend asks: a half-open window of starts, how long, in which zone, in which form."""

    start_at: datetime
    end_at: datetime
    duration_minutes: int
    time_zone: str
    form: Literal["slots", "periods"] = "slots"


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """The answer's bytes, their ETag, the calendars they rest on, and until when they may be kept."""

    body: bytes
    etag: str
    calendar_ids: tuple[str, ...]
    expires_at: datetime


class Feed:
    """Answers questions about slots and keeps the answers."""

    def __init__(self, situations: Situations) -> None:
        self._situations = situations
        self._kept: dict[tuple[object, ...], FeedAnswer] = {}
        self._kept_bytes = 0
        self._lock = Lock()

    def answer(self, session: Session, offer: Offer, question: FeedQuestion, now: datetime) -> FeedAnswer:
        """The public answer, from what is kept if nothing has changed. Raises AvailabilityUnknown."""
        make = partial(_answer, offer, question, with_calendars=False)
        return self._recall(session, offer, now, question, make)

    def detailed(
        self,
        session: Session,
        offer: Offer,
        question: FeedQuestion,
        now: datetime,
        *,
        with_calendars: bool,
        moved: Booking | None = None,
    ) -> FeedAnswer:
        """The answer for one caller alone, never kept: with the state of every calendar it rests on for a key's holder,
        around a booking that is being moved (semantics 6). Raises AvailabilityUnknown."""
        circumstances = self._situations.load(session, offer, now, leave_out=moved.id if moved else None)
        return _answer(offer, question, circumstances, with_calendars=with_calendars, moved=moved)

    def first(self, session: Session, offer: Offer, tz: str, now: datetime) -> FeedAnswer:
        """The first slot of the consultation's first duration, as one item of a list; kept like `answer`."""
        return self._recall(session, offer, now, tz, partial(_first, offer, tz))

    def _recall(
        self, session: Session, offer: Offer, now: datetime, asked: object, make: Callable[[Circumstances], FeedAnswer]
    ) -> FeedAnswer:
        def made() -> FeedAnswer:
            circumstances = self._situations.load(session, offer, now)
            answer = make(circumstances)
            return replace(answer, expires_at=now) if circumstances.is_degraded else answer

        key = (offer.consultation.id, asked, *self.version_of(offer.freelancer, offer.pulled_at))
        return self.recall(key, now, made)

    def version_of(self, freelancer: Freelancer, pulled_at: datetime | None) -> tuple[object, ...]:
        """What an answer about a freelancer rests on besides the time; `pulled_at` is the latest pull of theirs."""
        # A pull that changes no slot still changes how fresh they are, and so does another setting of it.
        return freelancer.id, freelancer.availability_version, pulled_at, self._situations.freshness

    def recall(self, key: tuple[object, ...], now: datetime, make: Callable[[], FeedAnswer]) -> FeedAnswer:
        """What is kept under a key, unless it has expired; else what `make` makes, kept as long as it says."""
        kept = self._kept.get(key)
        if kept is not None and now < kept.expires_at:
            return kept
        answer = make()
        if now < answer.expires_at:
            self._keep(key, answer)
        return answer

    def _keep(self, key: tuple[object, ...], answer: FeedAnswer) -> None:
        with self._lock:
            replaced = self._kept.pop(key, None)
            self._kept_bytes += _size(answer) - (_size(replaced) if replaced else 0)
            self._kept[key] = answer
            while self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= _size(self._kept.pop(next(iter(self._kept))))


def _size(answer: FeedAnswer) -> int:
    return len(answer.body) + 1024  # and what lies around it


def _answer(
    offer: Offer,
    question: FeedQuestion,
    circumstances: Circumstances,
    *,
    with_calendars: bool,
    moved: Booking | None = None,
) -> FeedAnswer:
    situation = circumstances.situation
    if situation.stale:
        raise AvailabilityUnknown(retry_after=60)
    if moved is not None:
        situation = moving(situation, moved)
    duration = question.duration_minutes * 60
    window = (whole_second(question.start_at), whole_second(question.end_at))
    if question.form == "periods":
        found = render_periods(open_periods(situation, duration, window), question.time_zone)
    else:
        found = render_days(open_slots(situation, duration, window), duration, question.time_zone)
    listed_none = found in (b"{}", b"[]")
    ahead = look_ahead(situation, duration, window[1]) if listed_none else Ahead(None, None)
    changes_at = _earliest(circumstances, valid_until(situation, duration, window), ahead.changes)
    meta = _meta(circumstances, _local(ahead.start, question.time_zone), changes_at)
    if with_calendars:
        meta["calendars"] = [_calendar(trust) for trust in circumstances.trusts]
    body = _body(offer, question, found, meta, situation.rules.increment)
    return _feed_answer(circumstances, body, changes_at)


def _feed_answer(circumstances: Circumstances, body: bytes, changes_at: datetime | None) -> FeedAnswer:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    longest = _EPOCH + timedelta(seconds=circumstances.situation.now) + _LONGEST_KEPT
    calendar_ids = tuple(trust.id for trust in circumstances.trusts)
    return FeedAnswer(body, etag, calendar_ids, min(changes_at or longest, longest))


@dataclass(frozen=True, slots=True)
class Ahead:
    """The first start that can be booked from some instant on, and the first second of now at which it is another."""

    start: int | None
    changes: int | None


def look_ahead(situation: Situation, duration: int, start: int) -> Ahead:
    """Look for a slot from `start` on, all in whole seconds since the epoch. Raises ValueError as `first_slot` does.

    What enters the horizon is looked for as far as an answer is kept.
    """
    _, high = situation.rules.booking_window(situation.now)
    first = first_slot(situation, duration, (start, high))
    if first is not None:
        return Ahead(first, valid_until(situation, duration, (first, first + 1)))
    farthest = high + int(_LONGEST_KEPT.total_seconds())
    return Ahead(None, valid_until(situation, duration, (max(start, high), farthest)))


def _earliest(circumstances: Circumstances, *seconds: int | None) -> datetime | None:
    """The last instant at which an answer is right for sure; None if time alone never changes it."""
    instants = [_EPOCH + timedelta(seconds=second - 1) for second in seconds if second is not None]
    return min(instants + [at for at in [circumstances.changes_at] if at], default=None)


def _first(offer: Offer, tz: str, circumstances: Circumstances) -> FeedAnswer:
    situation, minutes = circumstances.situation, offer.consultation.durations_minutes[0]
    known = not situation.stale
    ahead = look_ahead(situation, minutes * 60, situation.now) if known else Ahead(None, None)
    changes_at = _earliest(circumstances, ahead.changes)
    meta = _meta(circumstances, _local(ahead.start, tz), changes_at) | ({} if known else {"state": "unknown"})
    item = {
        "freelancer": offer.freelancer.handle,
        "consultation": offer.consultation.slug,
        "duration_minutes": minutes,
        "time_zone": tz,
        **meta,
        "online": None,
    }
    return _feed_answer(circumstances, json.dumps(item, separators=(",", ":")).encode(), changes_at)


def _meta(circumstances: Circumstances, next_slot: str | None, changes_at: datetime | None) -> dict[str, object]:
    return {
        "state": "degraded" if circumstances.is_degraded else "fresh",
        "next_slot": next_slot,
        "valid_until": rfc3339_or_none(changes_at),
    }


def _local(start: int | None, tz: str) -> str | None:
    return None if start is None else local(start, tz)


def _calendar(trust: Trust) -> dict[str, str | None]:
    return {"id": trust.id, "state": trust.state, "synced_at": rfc3339_or_none(trust.synced_at)}


def _body(offer: Offer, question: FeedQuestion, found: bytes, meta: dict[str, object], increment: int) -> bytes:
    head: dict[str, object] = {
        "freelancer": offer.freelancer.handle,
        "consultation": offer.consultation.slug,
        "duration_minutes": question.duration_minutes,
        "time_zone": question.time_zone,
    }
    if question.form == "periods":
        head["increment_minutes"] = increment // 60
    opening = json.dumps(head, separators=(",", ":"), ensure_ascii=False)[:-1].encode()
    ending = json.dumps(meta, separators=(",", ":")).encode()
    return b'%s,"%s":%s,"meta":%s}' % (opening, question.form.encode(), found, ending)
