"""Plays one fixed story on a stage (`stages`), and may die at any of its effects: the crash test's driver.

An effect is a commit to the store or a call to the provider. To die before one is to die after the one before it, since
nothing else lasts; so each is followed by one chance to die, and the first is preceded by one, number 0. As a program
it rehearses once, so that everything is loaded, and then plays each job that it reads from standard input in a fork of
its own, so that dying costs nothing. A restarted player goes on at the step it died in, and its clients repeat the
requests they have made.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Engine, event, select
from sqlalchemy.engine.default import DefaultDialect
from stages import Stage, stage_of

from availability import zones
from providers import open_provider
from providers.errors import Unavailable
from providers.model import (
    ChangePage,
    Connection,
    ConsultationEvent,
    EventRef,
    Probe,
    RemoteCalendar,
    Watch,
    Window,
    WrittenEvent,
)
from providers.port import Known
from syncd.api.answers import Answer
from syncd.api.idempotency import Sent, perform
from syncd.booking import lifecycle, links
from syncd.booking.expiry import sweep
from syncd.booking.making import Wish
from syncd.config import load_config
from syncd.jobs.account import Workshop, work_account
from syncd.locks import ProcessLocks
from syncd.log import configure_logging
from syncd.services import Services, open_services
from syncd.store import leases, offers
from syncd.store.access import connection_of, reach_of
from syncd.store.links import uses_of
from syncd.store.models import OWNING_STATES, Account, Booking, BusySpan, Calendar, Event, Link, OutboxItem
from syncd.store.probes import remote_of
from syncd.sync.pull import PullSettings, pull_window

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DIED = 137
KEPT = timedelta(days=30)

CONFIG = """
[daemon]
sync_every = "2m"
reconcile_every = "6h"
keep_busy_for = "30d"
[freelancers.ada]
time_zone = "Europe/London"
email = "ada@example.org"
[freelancers.ada.schedules.default.hours]
tuesday = ["09:00-17:00"]
wednesday = ["09:00-17:00"]
thursday = ["09:00-17:00"]
[freelancers.ada.consultations.intro]
durations = ["30m"]
increment = "30m"
minimum_notice = "0m"
horizon = "20d"
[freelancers.ada.consultations.asked]
confirmation = "freelancer"
location = "video"
durations = ["30m"]
increment = "30m"
minimum_notice = "0m"
horizon = "20d"
{account}
blocks = ["Work", "Private"]
target = "Work"
"""


def at(day: int, hour: int) -> datetime:
    """An hour of a day of the story, Monday being 0."""
    return MONDAY.replace(hour=hour) + timedelta(days=day)


class Bomb:
    """Counts effects, and ends the process once it has seen so many; `set` is the one that counts now."""

    set: ClassVar[Bomb]

    def __init__(self, after: int | None) -> None:
        self._after = after
        self.effects: list[str] = []
        self._check()

    def saw(self, effect: str) -> None:
        self.effects.append(effect)
        self._check()

    def _check(self) -> None:
        if len(self.effects) == self._after:
            os._exit(DIED)


def watch_commits() -> None:
    """Let the commits of writers be effects of the bomb that is set; what only reads changes nothing."""
    writing = False
    commit = DefaultDialect.do_commit

    def before_commit(connection: Any) -> None:
        nonlocal writing
        writing = not connection.get_execution_options().get("readonly", False)

    def counted(dialect: DefaultDialect, connection: Any) -> None:
        commit(dialect, connection)
        if writing:
            Bomb.set.saw("commit")

    event.listen(Engine, "commit", before_commit)
    DefaultDialect.do_commit = counted  # type: ignore[method-assign]


class Counted:
    """A provider whose calls are effects; the answer to one `create` may be lost."""

    def __init__(self, provider: Any, bomb: Bomb, loses: datetime | None) -> None:
        self._provider, self._bomb, self._loses = provider, bomb, loses
        self.capabilities = provider.capabilities

    def close(self) -> None:
        self._provider.close()

    def _seen(self, effect: str, answer: Any) -> Any:
        self._bomb.saw(effect)
        return answer

    def list_calendars(self) -> list[RemoteCalendar]:
        return self._seen("list", self._provider.list_calendars())

    def changes(
        self,
        calendar: RemoteCalendar,
        sync_token: str | None,
        window: Window,
        known: Known | None = None,
        beside: Sequence[RemoteCalendar] = (),
    ) -> Iterator[ChangePage]:
        for page in self._provider.changes(calendar, sync_token, window, known, beside):
            yield self._seen("changes", page)

    def probe(self, calendar: RemoteCalendar, trial_at: datetime | None = None) -> Probe:
        return self._provider.probe(calendar, trial_at)

    def find(self, calendar: RemoteCalendar, idempotency_key: str) -> WrittenEvent | None:
        return self._seen("find", self._provider.find(calendar, idempotency_key))

    def get(self, ref: EventRef) -> WrittenEvent:
        return self._seen("get", self._provider.get(ref))

    def create(self, calendar: RemoteCalendar, wanted: ConsultationEvent, idempotency_key: str) -> EventRef:
        ref = self._seen("create", self._provider.create(calendar, wanted, idempotency_key))
        if wanted.start_at == self._loses:
            raise Unavailable("the answer was lost")
        return ref

    def update(self, ref: EventRef, wanted: ConsultationEvent, if_match: str) -> EventRef:
        return self._seen("update", self._provider.update(ref, wanted, if_match))

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        self._seen("delete", self._provider.delete(ref, if_match))

    def watch(self, calendar: RemoteCalendar, address: str, channel_id: str, token: str) -> Watch:
        return self._seen("watch", self._provider.watch(calendar, address, channel_id, token))

    def unwatch(self, watch: Watch) -> None:
        self._seen("unwatch", self._provider.unwatch(watch))


@dataclass
class Player:
    """One process that plays the story."""

    services: Services
    locks: ProcessLocks
    bomb: Bomb
    stage: Stage
    ids: dict[str, str]
    clock: Callable[[], datetime]

    def close(self) -> None:
        self.services.store.close()
        self.locks.close()
        self.stage.close()

    # What clients ask for

    def book(self, name: str, day: int, hour: int, slug: str = "intro", **more: Any) -> None:
        start = at(day, hour)

        def make(session: Any) -> Answer:
            offer = offers.find_offer(session, "ada", slug)
            assert offer is not None
            wish = Wish(start, 30, {"name": name, "email": f"{name}@example.org"}, **more)
            if wish.link_id:
                links.check_open(session, wish.link_id, self.clock())
            booking = lifecycle.book(session, self.services.situations, offer, wish, "client", self.clock())
            return Answer.of(201, booking.id)

        self.ids[name] = self.ask(f"book {name}", make)

    def link(self, name: str) -> str:
        """Make a private link for one use; returns its id."""

        def make(session: Any) -> Answer:
            offer = offers.find_offer(session, "ada", "intro")
            assert offer is not None
            return Answer.of(201, links.make_link(session, offer, links.LinkTerms(), self.clock()).id)

        return str(self.ask(f"link {name}", make))

    def confirm(self, name: str) -> None:
        def confirm(session: Any) -> Answer:
            booking = session.get_one(Booking, self.ids[name])
            lifecycle.confirm(session, self.services.situations, booking, "client", self.clock())
            return Answer.of(200, booking.revision)

        self.ask(f"confirm {name}", confirm)

    def answer(self, name: str, *, approved: bool) -> None:
        """The freelancer's word on a pending booking."""

        def answer(session: Any) -> Answer:
            booking = session.get_one(Booking, self.ids[name])
            if approved:
                lifecycle.approve(session, self.services.situations, booking, "freelancer", self.clock())
            else:
                lifecycle.decline(session, booking, "freelancer", self.clock())
            return Answer.of(200, booking.revision)

        self.ask(f"answer {name}", answer)

    def sweep(self) -> None:
        sweep(self.services)

    def move(self, name: str, day: int, hour: int) -> None:
        start = at(day, hour)

        def move(session: Any) -> Answer:
            booking = session.get_one(Booking, self.ids[name])
            lifecycle.reschedule(session, self.services.situations, booking, start, "client", self.clock())
            return Answer.of(200, booking.sequence)

        self.ask(f"move {name} {start}", move)

    def cancel(self, name: str) -> None:
        def cancel(session: Any) -> Answer:
            booking = session.get_one(Booking, self.ids[name])
            lifecycle.cancel(session, booking, "client", None, self.clock())
            return Answer.of(200, booking.sequence)

        self.ask(f"cancel {name}", cancel)

    def ask(self, request: str, action: Callable[[Any], Answer]) -> Any:
        """Send a request as the HTTP edge does, twice: the second answer is the first one's."""
        sent = Sent("POST", "/", "a client", request, request.encode())
        answers = [json.loads(perform(self.services, sent, action, _refused).body) for _ in range(2)]
        assert answers[0] == answers[1], request
        return answers[0]

    # What the daemon does

    def work(self, *, loses: datetime | None = None) -> None:
        """All that is due at the account, as the daemon's worker does it."""

        def opened(kind: str, connection: Connection) -> Counted:
            return Counted(open_provider(kind, connection), self.bomb, loses)

        shop = _workshop(self.services, self.locks, opened)
        with self.services.store.read() as session:
            due = leases.due_accounts(session, self.clock())
        for account_id in due:
            report = work_account(shop, account_id)
            failures = [str(error) for _, error in report.failures]
            assert report.skipped == []
            assert failures == [] or (loses and failures == ["the answer was lost"]), failures


def _refused(error: Exception) -> Answer:
    raise error


def _workshop(services: Services, locks: ProcessLocks, opened: Callable[[str, Connection], Any]) -> Workshop:
    settings = PullSettings(KEPT, timedelta(hours=6), reach_of(services.config))
    return Workshop(services.store, services.vault, locks, settings, opened, services.clock)


LOST = at(1, 12)  # the start of the booking whose first answer is lost


def _monday_morning(player: Player) -> None:
    player.stage.put("Private", "dentist", at(1, 9))
    player.stage.put("Private", "weekly", at(2, 9), rule="FREQ=WEEKLY")
    player.stage.put("Work", "standup", at(3, 9))
    player.stage.put("Private", "vanishing", at(3, 16))


def _outside_changes(player: Player) -> None:
    player.stage.put("Private", "dentist", at(1, 14))
    player.stage.put("Work", "lunch", at(3, 12))
    player.stage.remove("Private", "vanishing")
    player.stage.move_instance("Private", "weekly", at(9, 9), at(9, 15))


def _four_bookings(player: Player) -> None:
    player.book("moved", 1, 10)
    player.book("edited", 1, 11)
    player.book("unconfirmed", 1, 12)
    player.book("cancelled", 1, 13)


def _holds_and_requests(player: Player) -> None:
    player.book("held", 2, 12, hold_minutes=10)
    player.book("lapsed", 2, 13, hold_minutes=10)
    player.book("approved", 2, 14, "asked")
    player.book("declined", 2, 15, "asked")
    player.book("linked", 2, 16, link_id=player.link("linked"))


def _words_given(player: Player) -> None:
    player.confirm("held")
    player.answer("approved", approved=True)
    player.answer("declined", approved=False)


def _changes_of_mind(player: Player) -> None:
    player.move("moved", 2, 10)
    player.cancel("unconfirmed")
    player.move("edited", 2, 11)


def _deleted_by_hand(player: Player) -> None:
    player.stage.remove_booking("Work", player.ids["moved"])


def _more_changes(player: Player) -> None:
    player.cancel("cancelled")
    player.move("moved", 3, 10)
    player.book("late", 3, 14)


def _days_changes(player: Player) -> None:
    player.stage.remove("Private", "dentist")
    player.stage.put("Work", "standup", at(3, 15), rule="FREQ=DAILY")
    player.stage.drop_instance("Private", "weekly", at(16, 9))


Step = tuple[timedelta, Callable[[Player], None]]

STORY: tuple[Step, ...] = (
    (timedelta(minutes=0), _monday_morning),
    (timedelta(minutes=1), Player.work),
    (timedelta(minutes=2), _outside_changes),
    (timedelta(minutes=3), _four_bookings),
    (timedelta(minutes=3, seconds=30), _holds_and_requests),
    (timedelta(minutes=4), lambda player: player.work(loses=LOST)),
    (timedelta(minutes=5), lambda player: player.stage.edit_notes("Work", player.ids["edited"])),
    (timedelta(minutes=7), _changes_of_mind),
    (timedelta(minutes=7, seconds=30), _words_given),
    (timedelta(minutes=8), Player.work),
    (timedelta(minutes=9), _deleted_by_hand),
    (timedelta(minutes=10), _more_changes),
    (timedelta(minutes=12), Player.work),
    (timedelta(minutes=13), _days_changes),
    (timedelta(minutes=14), Player.sweep),
    (timedelta(hours=7), Player.work),  # compared in full, into a new generation
    (timedelta(days=1), Player.work),  # busy time extended
    (timedelta(days=1, minutes=3), Player.work),
)
REQUESTS = (_four_bookings, _holds_and_requests, _changes_of_mind, _words_given, _more_changes)


def play(job: dict[str, Any]) -> dict[str, Any]:
    """Play the story from the step an earlier player died in to its end, or to the bomb."""
    folder = Path(job["folder"])
    progress = folder / "progress"
    first = int(progress.read_text()) if progress.exists() else 0
    now = MONDAY + STORY[min(first, len(STORY) - 1)][0]
    bomb = Bomb.set = Bomb(job["bomb"])
    services = _open(job, folder, lambda: now)
    player = Player(services, ProcessLocks(folder / "lock"), bomb, stage_of(job["stage"]), {}, lambda: now)
    for _, step in STORY[:first]:
        if step in REQUESTS and now - MONDAY < timedelta(hours=24):  # answers are kept so long
            step(player)
    for number, (after, step) in enumerate(STORY[first:], first):
        now = MONDAY + after
        step(player)
        progress.write_text(str(number + 1))
    player.close()
    return {"effects": bomb.effects}


def _open(job: dict[str, Any], folder: Path, clock: Callable[[], datetime]) -> Services:
    path = folder / "config.toml"
    with closing(stage_of(job["stage"])) as stage:
        path.write_text(CONFIG.format(account=stage.account("freelancers.ada.accounts.home")), encoding="utf-8")
        services = open_services(load_config(path, stage.environ), clock=clock)
        stage.sign_in(services)
        return services


# What is true afterwards


def look(job: dict[str, Any]) -> dict[str, Any]:
    """What the store says, what the server has, and what a fresh full pull into an empty store says."""
    folder, fresh = Path(job["folder"]), Path(job["folder"]) / "fresh"
    shutil.copytree(job["template"], fresh)
    now = MONDAY + STORY[-1][0]
    services, empty = _open(job, folder, lambda: now), _open(job, fresh, lambda: now)
    with closing(services.store), closing(empty.store), closing(stage_of(job["stage"])) as stage:
        with closing(ProcessLocks(fresh / "lock")) as locks, empty.store.read() as session:
            account_id = session.scalars(select(Account.id)).one()
            assert work_account(_workshop(empty, locks, open_provider), account_id).failures == []
        with services.store.read() as session:
            bookings = {b.id: _booking(b) for b in session.scalars(select(Booking))}
            owed = len(session.scalars(select(OutboxItem)).all())
            owner = session.scalars(select(Account.lease_owner)).one()
            uses = list(uses_of(session, session.scalars(select(Link.id)).all(), now).values())
        with closing(ProcessLocks(folder / "lock")) as locks:
            leased = owner is not None and locks.is_alive(owner)
        return {
            "bookings": bookings,
            "owed": owed,
            "uses": uses,
            "leased": leased,
            "remote": list(stage.own_events()),
            "known": _known(services),
            "truth": _known(empty),
        }


def _booking(booking: Booking) -> dict[str, Any]:
    return {
        "name": booking.client["name"],
        "live": booking.state in OWNING_STATES,
        "span": [booking.starts_at.isoformat(), booking.ends_at.isoformat()],
        "event": booking.event.state,
        "link": booking.event.join_url is not None,
        "state": booking.state,
    }


def _known(services: Services) -> list[list[Any]]:
    """Every resource and every span in which it blocks, by calendar."""
    with services.store.read() as session:
        rows = session.execute(
            select(Calendar.name, Event.remote_id, Event.etag, BusySpan.starts_at, BusySpan.ends_at)
            .join(Event, (Event.calendar_id == Calendar.id) & (Event.generation == Calendar.generation))
            .outerjoin(BusySpan, BusySpan.event_id == Event.id)
        )
        return sorted([*row] for row in rows)


def catch_up(job: dict[str, Any]) -> dict[str, Any]:
    """What a pull with the stored sync token would make of each calendar in the store, beside what is really there."""
    services = _open(job, Path(job["folder"]), lambda: MONDAY)
    with closing(services.store):
        with services.store.read() as session:
            account = session.scalars(select(Account)).one()
            connection = connection_of(account, services.vault, reach_of(services.config))
            rows = session.scalars(select(Calendar).where(Calendar.sync_token.is_not(None))).all()
            calendars = [(remote_of(row), row.sync_token, _etags(session, row)) for row in rows]
        window = pull_window(MONDAY, KEPT)
        with closing(open_provider(account.provider, connection)) as provider:
            caught_up, truth = {}, {}
            for remote, sync_token, stored in calendars:
                caught_up[remote.name] = _applied(stored, provider.changes(remote, sync_token, window))
                truth[remote.name] = _applied({}, provider.changes(remote, None, window))
        return {"caught_up": caught_up, "truth": truth}


def _etags(session: Any, calendar: Calendar) -> dict[str, str]:
    rows = select(Event.remote_id, Event.etag).where(
        Event.calendar_id == calendar.id, Event.generation == calendar.generation
    )
    return {row.remote_id: row.etag for row in session.execute(rows)}


def _applied(known: dict[str, str], pages: Iterator[ChangePage]) -> dict[str, str]:
    known = dict(known)
    for page in pages:
        known |= {item.remote_id: item.etag for item in page.changed}
        for remote_id in page.removed:
            known.pop(remote_id, None)
    return known


def rehearse(job: dict[str, Any]) -> None:
    """Make an installation that has seen nothing yet, to be copied; then do everything once, so that all is loaded."""
    template = Path(job["template"])
    template.mkdir()
    _open(job, template, lambda: MONDAY).store.close()
    for act in (play, catch_up, look):
        act(job)


ACTS = {"play": play, "look": look, "catch_up": catch_up}


def perform_job(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in a fork; returns its exit code and what it found, or how it failed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 0
        try:
            found = ACTS[job["act"]](job)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
            found, code = {"failed": traceback.format_exc()}, 1
        with os.fdopen(writing, "w", encoding="utf-8") as answer:
            json.dump(found, answer)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        found = answer.read()
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "found": json.loads(found) if found else {}}


def main() -> None:
    """Rehearse with the first job, then do the others until standard input ends."""
    zones.pin()
    configure_logging(level="error")
    watch_commits()
    Bomb.set = Bomb(None)
    rehearse(json.loads(sys.stdin.readline()))
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(perform_job(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
