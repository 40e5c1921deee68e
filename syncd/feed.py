"""The slot feed: the predicate's listing as bytes, kept until something or time alone changes it (semantics 10).

The zones can't change below a running process, so tzdata's version needs no place in the key of what is kept. Never
calls a provider. What is unknown is said to be unknown: a stale calendar that closes is AvailabilityUnknown.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Literal

from sqlalchemy.orm import Session

from availability import open_periods, open_slots, valid_until, whole_second
from syncd.booking.judging import moving
from syncd.errors import AvailabilityUnknown
from syncd.feed_json import render_days, render_periods
from syncd.instants import rfc3339
from syncd.situation import Circumstances, Situations
from syncd.store.models import Booking
from syncd.store.offers import Offer

_KEPT_BYTES = 32 * 1024 * 1024
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
    """The answer's bytes, their ETag, and the calendars they rest on."""

    body: bytes
    etag: str
    calendar_ids: tuple[str, ...]
    expires_at: datetime | None


class Feed:
    """Answers questions about slots and keeps the answers."""

    def __init__(self, situations: Situations) -> None:
        self._situations = situations
        self._kept: dict[tuple[object, ...], FeedAnswer] = {}
        self._kept_bytes = 0
        self._lock = Lock()

    def answer(self, session: Session, offer: Offer, question: FeedQuestion, now: datetime) -> FeedAnswer:
        """The public answer, from what is kept if nothing has changed. Raises AvailabilityUnknown."""
        # A pull that changes no slot still changes how fresh they are.
        version = offer.freelancer.availability_version, offer.pulled_at
        key = (offer.freelancer.id, version, offer.consultation.id, question)
        kept = self._kept.get(key)
        if kept is not None and (kept.expires_at is None or now < kept.expires_at):
            return kept
        circumstances = self._situations.load(session, offer, now)
        answer = _answer(offer, question, circumstances, with_calendars=False)
        if not circumstances.is_degraded:
            self._keep(key, answer)
        return answer

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
    changes = valid_until(situation, duration, window)
    instants = [circumstances.changes_at, _EPOCH + timedelta(seconds=changes - 1) if changes is not None else None]
    expires_at = min((at for at in instants if at is not None), default=None)
    meta = _meta(circumstances, expires_at, with_calendars=with_calendars)
    body = _body(offer, question, found, meta, situation.rules.increment)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    calendar_ids = tuple(trust.id for trust in circumstances.trusts)
    return FeedAnswer(body, etag, calendar_ids, expires_at)


def _meta(circumstances: Circumstances, expires_at: datetime | None, *, with_calendars: bool) -> dict[str, object]:
    meta: dict[str, object] = {
        "state": "degraded" if circumstances.is_degraded else "fresh",
        "next_slot": None,
        "valid_until": rfc3339(expires_at) if expires_at else None,
    }
    if with_calendars:
        meta["calendars"] = [
            {"id": t.id, "state": t.state, "synced_at": rfc3339(t.synced_at) if t.synced_at else None}
            for t in circumstances.trusts
        ]
    return meta


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
