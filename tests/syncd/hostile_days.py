"""Days in the life of an installation whose server misbehaves, drawn step by step; `Days` is the machine.

Another client edits, clients book, time passes, processes end; the calls, pages, ETags and lists in between go wrong by
plan. After each step what must never be wrong is looked at; in the end the server behaves, time passes, and the store
holds what the server holds.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from hostile import CALLS, ETAGS, LIES, LISTINGS, Bug, Hostile, Killed, Mischief, Turn, opaque_of
from hostile_servers import AtMemory, AtRadicale, OtherClient, short
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from oracle import READABLE, SAMPLES, Sample, Span, busy
from sqlalchemy import select

from providers import errors, ical
from providers.model import RemoteCalendar, Window
from syncd.errors import SyncdError
from syncd.jobs.account import work_account
from syncd.jobs.due import DUE, Order
from syncd.locks import ProcessLocks
from syncd.services import open_services
from syncd.store import leases, pulls
from syncd.store.models import OWNING_STATES, Booking, BusySpan, Calendar, Event, OutboxItem
from syncd.sync.pull import pull_window

__all__ = ["AtMemory", "AtRadicale", "Days", "Hostile", "Mischief", "Turn"]

OURS = re.compile(r"(bkg_[a-z2-7]+)-\d+")
FAILURES = (
    *(errors.Unavailable, errors.RateLimited, errors.GrantRevoked, errors.PermissionDenied, errors.NotFound),
    *(errors.ETagMismatch, errors.AlreadyExists, errors.InvalidResponse, errors.Unsupported, Bug, Killed),
)
WAITS = {
    "at once": timedelta(),
    "minutes": timedelta(minutes=3),
    "a while": timedelta(minutes=16),
    "hours": timedelta(hours=7),
    "a day": timedelta(days=1, minutes=1),
    "days": timedelta(days=5),
    "midnight": timedelta(),
}
ORDERS = {"due": DUE, "everything": Order(everything=True), "full": Order(everything=True, full=True)}

NAMES = [f"e{number}" for number in range(4)]

orders = st.sampled_from(["due", "everything", "full", "full"])
calendars = st.sampled_from(["home", "work"])
edits = st.tuples(st.sampled_from(sorted(SAMPLES)), st.sampled_from(NAMES), st.integers(-2, 24), st.integers(0, 47))
wishes = st.tuples(
    st.sampled_from(["book", "move", "move", "cancel"]), st.integers(0, 1), st.integers(1, 9), st.integers(18, 32)
)
hands = st.tuples(
    st.sampled_from(["moved", "deleted", "noted", "unreadable", "copied", "copied bare"]), st.integers(0, 1)
)
# What goes wrong during a piece of work: a call fails, a pull's answer lies, something else happens meanwhile …
calls = st.sampled_from([*CALLS, "page", "page", "page", "page", "page", "create", "update"])
sizes = st.sampled_from([1, 1, 2, 100])
fails = st.tuples(st.just("fails"), calls, st.integers(0, 3), st.booleans(), st.sampled_from(FAILURES))
lies = st.tuples(st.just("lies"), st.frozensets(st.sampled_from(LIES), min_size=1, max_size=3), st.integers(0, 99))
odds = st.tuples(st.just("odd"), st.sampled_from(LISTINGS), st.sampled_from(ETAGS), sizes)
meanwhile = st.tuples(
    *(st.just("meanwhile"), calls, st.integers(0, 2), st.booleans()),
    st.one_of(wishes, wishes, hands, st.tuples(calendars, edits), st.just(())),
)
troubles = st.lists(st.one_of(fails, lies, odds, meanwhile), max_size=4)
acts = st.lists(st.one_of(wishes, wishes, hands, st.tuples(calendars, edits)), min_size=1, max_size=5)


class Days(RuleBasedStateMachine):
    """One installation, one account with two calendars; a subclass says how they are built."""

    def build(self) -> tuple[Any, OtherClient]:
        """A house and another client of its server."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.house, self.other = self.build()
        self.calendars = {"home": self.other.home, "work": self.other.work}
        self.mischief = Mischief(wrote=self.at_most_one_event_a_booking)
        self.samples: dict[tuple[str, str], Sample] = {}
        self.ever: dict[tuple[str, str], set[str]] = {}  # readable texts a resource has had
        self.kept: dict[tuple[str, str], set[Span]] = {}  # what was known of it when it couldn't be read any more
        self.bookings: list[str] = []
        self.by_hand: dict[str, str] = {}  # what somebody did to the event of a booking since it was written
        self.working = False
        self.put_meanwhile: set[tuple[str, str]] = set()
        self.doubted_until: dict[str, datetime] = {}
        self.moved_in()

    def moved_in(self) -> None:
        """What is to be done once the installation is open, and again when it was opened anew."""
        self.house.shop = self.house.workshop(lambda _kind, _connection: Hostile(self.other.open(), self.mischief))

    @initialize(tokenless=st.booleans(), pages=sizes)
    def begin(self, tokenless: bool, pages: int) -> None:
        self.mischief.tokenless, self.mischief.pages = tokenless, pages
        for number, calendar in enumerate(["work", "work", "home", "work"]):
            self.edit(calendar, ("once", NAMES[number], 1, 20))
        self.work([], "at once", "due", [])

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # else a step has failed, and says why
                self.all_is_well_in_the_end()
        finally:
            self.house.close()

    # Another client

    def edit(self, calendar: str, edit: tuple[str, str, int, int]) -> None:
        kind, name, days, half_hours = edit
        where = self.calendars[calendar]
        if not self.other.has_calendar(where) or (kind not in READABLE and not self.other.takes_anything):
            return
        midnight = self.house.now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.put(
            where, name, SAMPLES[kind](f"{where}-{name}", midnight + timedelta(days=days, minutes=30 * half_hours))
        )

    def put(self, where: str, name: str, sample: Sample) -> None:
        key = (where, name)
        if sample.readable is None and sample.is_event and not self.working:
            self.kept.setdefault(key, set()).update(self.stored(where).get(name, _NOTHING).spans)
        else:
            self.kept.pop(key, None)
        if sample.readable:
            self.ever.setdefault(key, set()).add(sample.readable)
        self.samples[key] = sample
        self.put_meanwhile.add(key)
        self.other.put(where, name, sample.text)

    @rule(calendar=calendars, many=st.booleans())
    def fill_or_wipe(self, calendar: str, many: bool) -> None:
        where = self.calendars[calendar]
        for number in range(12 if self.other.has_calendar(where) else 0):
            if many:
                at = self.house.now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=number % 9 + 1)
                self.put(where, f"f{number}", SAMPLES["once"](f"{where}-f{number}", at))
            elif f"f{number}" in self.other.names(where):
                self.remove(where, f"f{number}")

    @rule(calendar=calendars, name=st.sampled_from(NAMES))
    def delete(self, calendar: str, name: str) -> None:
        where = self.calendars[calendar]
        if name in self.other.names(where):
            self.remove(where, name)

    def remove(self, where: str, name: str) -> None:
        self.kept.pop((where, name), None)
        self.samples.pop((where, name), None)
        self.other.remove(where, name)

    def lay_hands_on_ours(self, hand: tuple[str, int]) -> None:
        how, which = hand
        texts = self.other.texts(self.other.work)
        ours = sorted(name for name in texts if OURS.fullmatch(name))
        if not ours or (how in ("unreadable", "copied") and not self.other.takes_anything):
            return
        ours.sort(key=lambda name: self.bookings.index(name.rpartition("-")[0]))
        name = ours[which % len(ours)]
        text, booking = texts[name], name.rpartition("-")[0]
        if how != "deleted" and not self.sample(self.other.work, name, text).is_whole:
            return
        if how.startswith("copied"):
            copy = text if how == "copied" else text.replace(f"UID:{name}", f"UID:copy-of-{name}")
            where = self.other.work if which % 2 and self.other.takes_anything else self.other.home
            if self.other.has_calendar(where):
                self.put(where, f"copy-of-{booking}", Sample(copy, copy))
            return
        if how == "deleted":
            self.remove(self.other.work, name)
        else:
            self.put(self.other.work, name, _edited(text, how))
        if how == "unreadable" or (how != "noted" and self.by_hand.get(booking) != "unreadable"):
            unsure = how != "unreadable" and (self.working or self.owes(booking))
            self.by_hand[booking] = "maybe" if unsure else how

    @rule(what=st.sampled_from(["forget", "delete", "make", "remake"]), calendar=calendars)
    def change_server(self, what: str, calendar: str) -> None:
        where = self.calendars[calendar]
        there = self.other.has_calendar(where)
        if what == "forget" and there:
            self.other.forget_tokens(where)
        if what in ("delete", "remake") and there:
            for name in self.other.names(where):
                booking = name.rpartition("-")[0]
                if OURS.fullmatch(name) and not self.owes(booking):
                    self.by_hand[booking] = "deleted"
                self.remove(where, name)
            self.other.delete_calendar(where)
        if what in ("make", "remake") and not self.other.has_calendar(where):
            self.other.make_calendar(where)

    # Clients

    def wish(self, wish: tuple[str, int, int, int]) -> None:
        what, which, days, half_hours = wish
        midnight = self.house.now.replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight + timedelta(days=days, minutes=30 * half_hours)
        start += timedelta(days=2 if start.weekday() > 4 else 0)
        live = self.live(self.house.now)
        with contextlib.suppress(SyncdError):
            if what == "book" or not live:
                self.bookings.append(self.house.book(start))
                return
            booking = live[which % len(live)]
            self.house.cancel(booking) if what == "cancel" else self.house.reschedule(booking, start)
            if self.by_hand.get(booking) != "unreadable":
                self.by_hand.pop(booking, None)

    def live(self, since: datetime) -> list[str]:
        with self.house.services.store.read() as session:
            live = select(Booking.id).where(Booking.state.in_(OWNING_STATES), Booking.starts_at > since)
            found = set(session.scalars(live))
        return [booking for booking in self.bookings if booking in found]

    # What syncd does

    @rule(acts=acts, wait=st.sampled_from(sorted(WAITS)), order=orders, troubles=troubles)
    def work(self, acts: list[Any], wait: str, order: str, troubles: list[Any]) -> None:
        """People act, time passes, and the daemon does what is due, or someone says what to do."""
        for act in acts:
            self.happen(act)
        self.wait(wait)
        if order != "due":
            self.let_someone_act(restarts=False)
        for trouble in troubles:
            self.plan(*trouble)
        before = {where: set(self.stored(where)) for where in self.calendars.values()}
        self.put_meanwhile.clear()
        self.working = True
        try:
            with contextlib.suppress(Bug, Killed):
                self.do_work(order)
        finally:
            self.working = False
        for where, names in before.items():
            lost = (names - set(self.stored(where))) & self.events(where).keys()
            lost -= {name for calendar, name in self.put_meanwhile if calendar == where}
            assert not lost, f"removed, but the server has them: {lost}"
        self.note_doubts()

    @rule(acts=acts, wait=st.sampled_from(sorted(WAITS)), troubles=troubles)
    def work_on(self, acts: list[Any], wait: str, troubles: list[Any]) -> None:
        self.work(acts, wait, "due", troubles)

    def wait(self, wait: str) -> None:
        midnight = self.house.now.replace(hour=23, minute=55, second=0, microsecond=0)
        self.house.now = midnight if wait == "midnight" else self.house.now + WAITS[wait]

    def do_work(self, order: str) -> None:
        with self.house.services.store.read() as session:
            due = leases.due_accounts(session, self.house.now)
        if due or order != "due":
            work_account(self.house.shop, self.house.account_id, ORDERS[order])

    def plan(self, what: str, *how: Any) -> None:
        """Let something go wrong from now on."""
        if what == "lies":
            self.mischief.answers.append(how)
        elif what == "odd":
            listing, etag, self.mischief.pages = how
            self.mischief.listings.append(listing)
            self.mischief.etags.append(etag)
        else:
            call, skip, after, act = how
            self.mischief.turns.append(Turn(call, lambda: self.happen(act), skip, after))

    def happen(self, act: type[BaseException] | tuple[Any, ...]) -> None:
        if isinstance(act, type):
            raise act("as planned")
        if not act:
            self.house.later(minutes=7)
        elif len(act) == 4:
            self.wish(act)
        elif act[0] in self.calendars:
            self.edit(*act)
        else:
            self.lay_hands_on_ours(act)

    def note_doubts(self) -> None:
        """What was hidden comes to light when all is compared, honestly, later."""
        for remote_id in self.mischief.doubted:
            where = next(
                name for name in self.calendars.values() if self.row(name) and self.row(name).remote_id == remote_id
            )
            self.doubted_until[where] = self.house.now
        self.mischief.doubted.clear()

    @rule(restarts=st.booleans())
    def let_someone_act(self, restarts: bool) -> None:
        """Connect the account anew if that is wanted, or end the process and start it again."""
        if self.house.account().state == "needs_reconnect":
            self.house.password += "!"
            self.house.apply()
        if restarts:
            self.house.close()
            self.house.services = open_services(self.house.config(), clock=self.house.clock)
            self.house.locks = ProcessLocks(self.house.folder / "lock")
            self.moved_in()

    # What must never be wrong

    @invariant()
    def at_most_one_event_a_booking(self) -> None:
        names = [name for where in self.calendars.values() for name in self.other.names(where)]
        ours = Counter(name.rpartition("-")[0] for name in names if OURS.fullmatch(name))
        assert all(count == 1 for count in ours.values()), ours

    @invariant()
    def no_two_live_bookings_overlap(self) -> None:
        with self.house.services.store.read() as session:
            spans = session.execute(
                select(Booking.starts_at, Booking.ends_at)
                .where(Booking.state.in_(OWNING_STATES))
                .order_by(Booking.starts_at)
            ).all()
        assert all(one.ends_at <= other.starts_at for one, other in itertools.pairwise(spans))

    @invariant()
    def no_token_is_ahead_of_what_is_stored(self) -> None:
        """What is stored, and what a pull with the stored token brings, is what the server holds."""
        for where in self.calendars.values():
            row = self.row(where)
            if row is None or not row.generation or row.full_wanted or not self.other.has_calendar(where):
                continue
            if self.is_in_doubt(where, row):
                continue
            held = {name: one.skeleton for name, one in self.stored(where).items()}
            with contextlib.suppress(errors.SyncTokenInvalid):
                self._pulled_into(held, row)
                wanted = {name: self.skeleton(where, name, text) for name, text in self.events(where).items()}
                assert {name: held[name] for name in held if wanted.get(name) is not None} == {
                    name: skeleton for name, skeleton in wanted.items() if skeleton is not None
                }
                assert held.keys() == wanted.keys()

    def is_in_doubt(self, where: str, row: Calendar) -> bool:
        since = self.doubted_until.get(where)
        return since is not None and (row.full_synced_at is None or row.full_synced_at <= since)

    def _pulled_into(self, held: dict[str, str], row: Calendar) -> None:
        remote = RemoteCalendar(row.remote_id, row.name, tz=row.tz)
        with self.house.services.store.read() as session:
            known = pulls.known_etags(session, row.id, row.generation)
        spelled = {remote_id: f'"{opaque_of(etag)}"' for remote_id, etag in known.items()}
        window = pull_window(self.house.now, timedelta(days=21))
        with contextlib.closing(self.other.open()) as provider:
            for page in provider.changes(remote, row.sync_token, window, lambda: spelled):
                held |= {short(event.remote_id): event.skeleton for event in page.changed}
                held |= {short(one.remote_id): "" for one in page.unreadable}
                for remote_id in page.removed:
                    held.pop(short(remote_id), None)

    def sample(self, where: str, name: str, text: str) -> Sample:
        """What a text means; ours, and what a server wrote in its own words, is understood as a whole."""
        known = self.samples.get((where, name))
        return known if known is not None and known.text == text else Sample(text, text)

    def events(self, where: str) -> dict[str, str]:
        texts = self.other.texts(where)
        return {name: text for name, text in texts.items() if self.sample(where, name, text).is_event}

    def skeleton(self, where: str, name: str, text: str) -> str | None:
        """What is kept of a resource that is understood as a whole."""
        sample = self.sample(where, name, text)
        if not sample.is_whole:
            return None
        reduced = ical.reduce(sample.text, remote_id=name, etag="", own_addresses=frozenset({"ada@example.org"}))
        assert reduced.event is not None
        return reduced.event.skeleton

    # In the end

    def all_is_well_in_the_end(self) -> None:
        self.mischief.stop()
        for where in self.calendars.values():
            if not self.other.has_calendar(where):
                self.other.make_calendar(where)
        self.let_someone_act(restarts=False)
        for hours in (7, 0.1, 0.1, 25, 0.1, 0.1, 7, 0.1):
            self.house.later(hours=hours)
            self.work([], "at once", "due", [])
        self.every_booking_has_its_event()
        for where in self.calendars.values():
            self.the_store_holds_what_the_server_holds(where)
        self.no_token_is_ahead_of_what_is_stored()

    def every_booking_has_its_event(self) -> None:
        ours = {
            name.rpartition("-")[0]: text
            for name, text in self.other.texts(self.other.work).items()
            if OURS.fullmatch(name)
        }
        with self.house.services.store.read() as session:
            bookings = session.scalars(select(Booking)).all()
            states = {b.id: b.event.state for b in bookings}
            owed = set(session.scalars(select(OutboxItem.booking_id)))
        for booking in bookings:
            live, by_hand = booking.state in OWNING_STATES, self.by_hand.get(booking.id)
            if not live:
                assert booking.id not in ours
                assert booking.id not in owed
                continue
            if by_hand == "unreadable" or (by_hand == "maybe" and states[booking.id] in ("drifted", "failed")):
                continue
            assert booking.id not in owed
            if by_hand in ("moved", "deleted"):
                assert states[booking.id] == "drifted"
                assert (booking.id in ours) == (by_hand == "moved")
            else:
                assert states[booking.id] == "written"
                span = (int(booking.starts_at.timestamp()), int(booking.ends_at.timestamp()))
                assert busy(ours[booking.id], "UTC", *_YEARS) == {span}

    def the_store_holds_what_the_server_holds(self, where: str) -> None:
        row, stored, held = self.row(where), self.stored(where), self.events(where)
        assert row is not None
        assert (row.problem, row.held_back_at, row.unlisted_at, row.gone) == (None, None, None, False)
        assert stored.keys() == held.keys()
        etags = self.other.etags(where)
        assert {name: opaque_of(one.etag) for name, one in stored.items()} == {n: opaque_of(etags[n]) for n in stored}
        assert self.house.generations(where) <= {row.generation}
        window = pull_window(self.house.now, timedelta(days=21))
        for name, one in stored.items():
            self._means(where, name, self.sample(where, name, held[name]), one, window)

    def _means(self, where: str, name: str, sample: Sample, one: _Stored, within: Window) -> None:
        tz, window = self.other.tz[where], (within.start_at, within.end_at)
        assert one.named == (not sample.is_whole), name
        assert len(one.spans) == len(set(one.spans)), f"{name} blocks twice"
        readable = busy(sample.readable, tz, *window) if sample.readable else set()
        if sample.is_whole:
            assert set(one.spans) == readable, name
            assert busy(one.skeleton, tz, *_YEARS) == busy(sample.text, tz, *_YEARS), name
            return
        if OURS.fullmatch(name):
            return  # what was known of it depends on how far its writing had come
        first = int(window[0].timestamp())
        ever = {span for text in self.ever.get((where, name), ()) for span in busy(text, tz, *_YEARS)}
        kept = {span for span in self.kept.get((where, name), ()) if span[1] > first}
        assert readable | kept <= set(one.spans) <= ever | readable, name

    # Looking

    def owes(self, booking: str) -> bool:
        with self.house.services.store.read() as session:
            return session.scalars(select(OutboxItem).where(OutboxItem.booking_id == booking)).first() is not None

    def row(self, where: str) -> Calendar | None:
        with self.house.services.store.read() as session:
            return session.scalars(select(Calendar).where(Calendar.name == where)).one_or_none()

    def stored(self, where: str) -> dict[str, _Stored]:
        with self.house.services.store.read() as session:
            events = session.execute(
                select(Event).join(Calendar).where(Calendar.name == where, Event.generation == Calendar.generation)
            ).scalars()
            found = {event.id: _Stored(event) for event in events}
            spans = select(BusySpan).where(BusySpan.event_id.in_(found))
            for span in session.scalars(spans):
                found[span.event_id].spans.append((span.starts_at, span.ends_at))
        return {short(one.remote_id): one for one in found.values()}


class _Stored:
    """One event as the store has it."""

    def __init__(self, event: Event | None) -> None:
        self.remote_id = event.remote_id if event else ""
        self.etag = event.etag if event else ""
        self.skeleton = event.skeleton if event else ""
        self.named = bool(event and event.quarantined)
        self.spans: list[Span] = []


_NOTHING = _Stored(None)
_YEARS = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))


def _edited(text: str, how: str) -> Sample:
    """Our event as somebody has changed it."""
    if how == "noted":
        changed = text.replace("TRANSP:OPAQUE", "COMMENT:bring the plans\r\nTRANSP:OPAQUE")
        return Sample(changed, changed)
    if how == "moved":
        changed = re.sub(r"(DTSTART|DTEND):(\d{8}T\d\d)\d\d", r"\1:\g<2>41", text)
        changed = re.sub(r"DTEND:(\d{8}T\d\d)\d\d", r"DTEND:\g<1>59", changed)
        changed = re.sub(
            r"(DTEND:)\d{8}T\d\d", lambda m: m[1] + re.search(r"DTSTART:(\d{8}T\d\d)", changed)[1], changed
        )
        return Sample(changed, changed)
    return Sample(re.sub(r"DTSTART:(\d{8})T\d{6}Z", r"DTSTART:\1T996100Z", text), None)
