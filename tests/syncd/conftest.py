"""A house to test in: one freelancer with memory calendars, a database in a file, and a clock set by hand."""

from __future__ import annotations

import importlib
import io
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import structlog
from furnished import furnish
from sqlalchemy import func, select

from availability import Situation
from providers import memory
from providers.errors import Unavailable
from providers.memory import MemoryAccount, MemoryProvider
from providers.model import ChangePage, Connection, ConsultationEvent, EventRef, RemoteCalendar, Window
from providers.port import Known
from syncd.booking import lifecycle
from syncd.booking.making import Wish
from syncd.config import Config, load_config
from syncd.feed import FeedQuestion
from syncd.jobs.account import WorkReport, Workshop, work_account
from syncd.jobs.due import DUE, Order
from syncd.locks import ProcessLocks
from syncd.log import OURS, configure_logging
from syncd.services import apply_declared, open_services
from syncd.store import engine, offers, overview, pulls
from syncd.store.models import Account, Booking, BusySpan, Calendar, Event, Freelancer
from syncd.sync.pull import PullSettings

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
_NUMBERS = itertools.count()
OWN = frozenset({"ada@example.org"})

CONFIG = """
[daemon]
database = "sqlite:///syncd.db"
sync_every = "2m"
reconcile_every = "6h"
stale_after = "30m"
keep_busy_for = "{keep}"
[freelancers.ada]
time_zone = "Europe/London"
email = "ada@example.org"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-17:00"]
tuesday = ["09:00-17:00"]
wednesday = ["09:00-17:00"]
thursday = ["09:00-17:00"]
friday = ["09:00-17:00"]
[freelancers.ada.consultations.intro]
durations = ["30m"]
increment = "30m"
minimum_notice = "1h"
horizon = "20d"
{consultation}
[freelancers.ada.accounts.home]
provider = "{provider}"
url = "{url}"
username = "ada"
password_env = "PASSWORD"
{account}
"""


class PagingProvider(MemoryProvider):
    """A memory provider that says when it has given a page."""

    hook: Callable[[], None]

    @classmethod
    def watched(cls, connection: Connection, hook: Callable[[], None]) -> PagingProvider:
        provider = cls(memory.account(connection.url), connection)
        provider.hook = hook
        return provider

    def changes(
        self, calendar: RemoteCalendar, sync_token: str | None, window: Window, known: Known | None = None
    ) -> Iterator[ChangePage]:
        for page in super().changes(calendar, sync_token, window, known):
            yield page
            self.hook()


class ReadOnlyProvider(MemoryProvider):
    """A memory provider whose server takes no writes for now."""

    def create(self, calendar: RemoteCalendar, event: ConsultationEvent, idempotency_key: str) -> EventRef:
        raise Unavailable("read-only for now")

    def update(self, ref: EventRef, event: ConsultationEvent, if_match: str) -> EventRef:
        raise Unavailable("read-only for now")

    def delete(self, ref: EventRef, if_match: str | None) -> None:
        raise Unavailable("read-only for now")


class House:
    """One installation on memory calendars; `clock` is what the whole of it believes the time to be."""

    def __init__(self, folder: Path, *, calendars: tuple[str, ...], password: str, config: dict[str, str]) -> None:
        self.folder = folder
        self.now = MONDAY
        self.password = password
        self.url = f"https://dav.example/{next(_NUMBERS)}/"
        self.parts = {"keep": "40d", "provider": "caldav", "consultation": "", "account": 'target = "Work"', **config}
        self.remote: MemoryAccount = memory.account(self.url)
        for name in calendars:
            self.remote.add_calendar(name)
        furnish(folder)
        self.services = open_services(self.config(), clock=self.clock)
        self.locks = ProcessLocks(folder / "lock")
        self.shop = self.workshop()

    def clock(self) -> datetime:
        return self.now

    def later(self, **lengths: float) -> None:
        """Let time pass."""
        self.now += timedelta(**lengths)

    def config(self, **changes: str) -> Config:
        self.parts |= changes
        path = self.folder / "config.toml"
        path.write_text(CONFIG.format(url=self.url, **self.parts), encoding="utf-8")
        return load_config(path, {"PASSWORD": self.password})

    def apply(self, text: str | None = None, **changes: str) -> None:
        """Take over a changed configuration, as the daemon does at SIGHUP; `text` is the whole of another file."""
        if text is not None:
            (self.folder / "config.toml").write_text(text, encoding="utf-8")
            self.services.config = load_config(self.folder / "config.toml", {"PASSWORD": self.password})
        else:
            self.services.config = self.config(**changes)
        apply_declared(self.services)

    def workshop(self, open_provider: Callable[[str, Connection], MemoryProvider] | None = None) -> Workshop:
        daemon = self.services.config.daemon
        return Workshop(
            self.services.store,
            self.services.vault,
            self.locks,
            PullSettings(timedelta(seconds=daemon.keep_busy_for), timedelta(seconds=daemon.reconcile_every)),
            open_provider or (lambda _kind, connection: MemoryProvider.open(connection)),
            self.clock,
        )

    def after_each_page(self, hook: Callable[[], None]) -> None:
        """Call `hook` whenever the provider has given a page of changes."""
        self.shop = self.workshop(lambda _kind, connection: PagingProvider.watched(connection, hook))

    def close(self) -> None:
        self.services.store.close()
        self.locks.close()

    # Working

    def sync(self, order: Order = DUE) -> WorkReport:
        """Do what is due at the account, or what `order` says."""
        return work_account(self.shop, self.account_id, order)

    def pull(self) -> WorkReport:
        """Pull every calendar now."""
        return self.sync(Order(everything=True))

    def pull_only(self) -> WorkReport:
        """Pull every calendar while the server takes no writes."""
        shop = self.workshop(lambda _kind, connection: ReadOnlyProvider.open(connection))
        return work_account(shop, self.account_id, Order(everything=True))

    @property
    def account_id(self) -> str:
        with self.services.store.read() as session:
            return session.scalars(select(Account.id).where(Account.name == "home")).one()

    def put(self, uid: str, start: datetime, minutes: float = 60, more: str = "", calendar: str = "Work") -> None:
        """Write an event as another client."""
        self.remote.put(calendar, uid, self.ics(uid, start, minutes, more))

    @staticmethod
    def ics(uid: str, start: datetime, minutes: float = 60, more: str = "") -> str:
        end = start + timedelta(minutes=minutes)
        lines = [
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", f"UID:{uid}"),
            *(f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}", *more.split()),
            *("END:VEVENT", "END:VCALENDAR", ""),
        ]
        return "\r\n".join(lines)

    @staticmethod
    def broken(uid: str, start: str = "20261124T999999Z") -> str:
        """An event whose times can't be understood."""
        return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:{start}\r\nSUMMARY:Dentist\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"  # noqa: E501

    # Looking

    def calendar(self, name: str = "Work") -> Calendar:
        with self.services.store.read() as session:
            return session.scalars(select(Calendar).where(Calendar.name == name)).one()

    def account(self) -> Account:
        with self.services.store.read() as session:
            return session.scalars(select(Account).where(Account.name == "home")).one()

    def version(self) -> int:
        with self.services.store.read() as session:
            return session.scalars(select(Freelancer.availability_version)).one()

    def rows(self, calendar: str = "Work") -> set[tuple[str, int, int]]:
        """Remote id, start and end of every busy span that serves."""
        with self.services.store.read() as session:
            found = session.execute(
                select(Event.remote_id, BusySpan.starts_at, BusySpan.ends_at)
                .join(BusySpan, BusySpan.event_id == Event.id)
                .join(Calendar, Calendar.id == Event.calendar_id)
                .where(
                    Calendar.name == calendar,
                    BusySpan.generation == Calendar.generation,
                    Event.generation == Calendar.generation,
                )
            ).all()
            assert len(found) == len(set(found)), "a span is stored twice"
            return {(row[0], row[1], row[2]) for row in found}

    def generations(self, calendar: str = "Work") -> set[int]:
        """Every generation that has rows."""
        with self.services.store.read() as session:
            calendar_id = session.scalars(select(Calendar.id).where(Calendar.name == calendar)).one()
            events = set(session.scalars(select(Event.generation).where(Event.calendar_id == calendar_id)))
            spans = set(session.scalars(select(BusySpan.generation).where(BusySpan.calendar_id == calendar_id)))
            return events | spans

    def quarantined(self, calendar: str = "Work") -> list[tuple[str, dict[str, str | None]]]:
        row = self.calendar(calendar)
        with self.services.store.read() as session:
            found = pulls.quarantined(session, row.id, row.generation)
            return [(q.remote_id, {"uid": q.uid, "start": q.start, "reason": q.reason}) for q in found]

    def status(self) -> dict[str, object]:
        """The account as `status --json` shows it."""
        with self.services.store.read() as session:
            return overview.overview(session, self.services.situations.freshness, self.now)["accounts"][0]

    def count(self, model: type) -> int:
        with self.services.store.read() as session:
            return session.scalar(select(func.count()).select_from(model)) or 0

    # Slots and bookings

    def feed(self, day: datetime = MONDAY, days: int = 7, slug: str = "intro") -> list[str]:
        """The starts that the feed lists, as text in UTC; from what it keeps where it keeps something."""
        return [slot for slots in self.answer(day, days, slug)["slots"].values() for slot in slots]

    def answer(self, day: datetime = MONDAY, days: int = 7, slug: str = "intro") -> dict[str, object]:
        """The feed's whole answer, its slots as the text of their starts."""
        midnight = day.replace(hour=0, minute=0)
        question = FeedQuestion(midnight, midnight + timedelta(days=days), 30, "UTC")
        with self.services.store.read() as session:
            offer = offers.find_offer(session, "ada", slug)
            assert offer is not None
            answer = json.loads(self.services.feed.answer(session, offer, question, self.now).body)
        answer["slots"] = {day: [slot["start"] for slot in slots] for day, slots in answer["slots"].items()}
        return answer

    def is_listed(self, start: datetime) -> bool:
        return start.isoformat() in self.feed(start, 1)

    def situation(self) -> Situation:
        """What the predicate judges by, read anew."""
        with self.services.store.read() as session:
            offer = offers.find_offer(session, "ada", "intro")
            assert offer is not None
            return self.services.situations.load(session, offer, self.now).situation

    def book(self, start: datetime) -> str:
        """Book half an hour and return the booking's id."""
        with self.services.store.write() as session:
            offer = offers.find_offer(session, "ada", "intro")
            assert offer is not None
            wish = Wish(start, 30, {"name": "Grace", "email": "grace@example.org"})
            return lifecycle.book(session, self.services.situations, offer, wish, "client", self.now).id

    def reschedule(self, booking_id: str, start: datetime) -> None:
        with self.services.store.write() as session:
            booking = session.get_one(Booking, booking_id)
            lifecycle.reschedule(session, self.services.situations, booking, start, "client", self.now)

    def cancel(self, booking_id: str) -> None:
        with self.services.store.write() as session:
            lifecycle.cancel(session, session.get_one(Booking, booking_id), "client", None, self.now)

    def booking(self, booking_id: str) -> Booking:
        """A booking with its event."""
        with self.services.store.read() as session:
            booking = session.get_one(Booking, booking_id)
            assert booking.event is not None
            return booking


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Build a house with these calendars and these parts of the configuration; it is closed at the end."""
    built: list[House] = []

    def make(*, calendars: tuple[str, ...] = ("Work",), password: str = "open sesame", **config: str) -> House:
        folder = tmp_path / str(len(built))
        folder.mkdir()
        built.append(House(folder, calendars=calendars, password=password, config=config))
        return built[-1]

    yield make
    for house in built:
        house.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    """A house whose one calendar was pulled while it was empty."""
    house = make_house()
    house.sync()
    return house


@pytest.fixture
def monday() -> datetime:
    """The instant at which every house begins: Monday, 08:00 in UTC and in London."""
    return MONDAY


@pytest.fixture
def at() -> Callable[[float, int], datetime]:
    """An instant by its hour, so many days after that Monday: `at(9.5)`, `at(9, 1)`."""

    def at(hour: float, days: int = 0) -> datetime:
        return MONDAY.replace(hour=0) + timedelta(days=days, hours=hour)

    return at


@pytest.fixture
def span(at: Callable[..., datetime]) -> Callable[..., tuple[int, int]]:
    """A span in seconds since the epoch: `span(9, 60, 1)` is an hour from nine on Tuesday."""

    def span(hour: float, minutes: float = 60, days: int = 0) -> tuple[int, int]:
        start = int(at(hour, days).timestamp())
        return start, start + int(minutes * 60)

    return span


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """The log lines written since the test began, as data."""
    names = [None, "uvicorn", "uvicorn.error", "uvicorn.access", *OURS]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in map(logging.getLogger, names)]
    stream = io.StringIO()
    configure_logging(level="debug", json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture(scope="module")
def hostility() -> Iterator[ModuleType]:
    """The machine that plays days with a hostile server, and what it is made of; its databases aren't for keeping."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        patch.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS, "synchronous=OFF"))
        yield importlib.import_module("hostile_days")


@pytest.fixture
def at_memory(hostility: ModuleType, tmp_path: Path) -> Callable[[], tuple[House, object]]:
    """Build a house whose calendars are in memory, and another client of them."""
    numbers = itertools.count()

    def build() -> tuple[House, object]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        house = House(folder, calendars=(), password="open sesame", config={"keep": "21d"})
        return house, hostility.AtMemory(house.remote, Connection(house.url, own_addresses=OWN))

    return build


@pytest.fixture
def at_radicale(
    hostility: ModuleType, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[], tuple[House, object]]:
    """Build a house whose calendars are on a real server, and another client of them."""
    radicale, gateway = request.getfixturevalue("radicale"), request.getfixturevalue("gateway")
    numbers = itertools.count()

    def build() -> tuple[House, object]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        other = hostility.AtRadicale(radicale, gateway)
        chosen = f'blocks = ["{other.home}", "{other.work}"]\ntarget = "{other.work}"'
        house = House(folder, calendars=(), password="open sesame", config={"keep": "21d", "account": chosen})
        return house, other

    return build
