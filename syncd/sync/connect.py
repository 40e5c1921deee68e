"""Connects an account: asks its server with what was given, matches what was chosen with what is there, stores it.

Decides what must be true before an account is stored, and what disconnecting one means. Refuses to know who asks and
how: the command line and the API ask, print and answer. Raises ApiError with JSON pointers to what is to be mended;
what a server does wrong stays a ProviderError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from providers.errors import GrantRevoked, ProviderError, Transient
from providers.model import Connection, Probe, RemoteCalendar
from providers.port import Provider
from syncd.config import Config
from syncd.config.fields import Name
from syncd.errors import ApiError, invalid
from syncd.ids import new_id
from syncd.log import scrub
from syncd.secrets import Vault
from syncd.store import bookings, channels, farewells, probes, pulls
from syncd.store.access import SIGNED_IN, Access, reach_of, renew_access
from syncd.store.models import Account, Freelancer
from syncd.store.settings import read_again, reading_of
from syncd.sync.listing import Choice, apply_listing, plan_choice

OpenProvider = Callable[[str, Connection], Provider]
_NAME = TypeAdapter[str](Name)


@dataclass(frozen=True, slots=True)
class Habits:
    """How an account's events are read, how often (None: as its kind usually is), and what its silence means."""

    tentative: str = "busy"
    unanswered: str = "busy"
    working_elsewhere: str = "free"
    when_stale: str = "close"
    sync_every_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as it shall be: named `name` as in "account/calendar"."""

    provider: str
    name: str
    access: Access
    blocks: Sequence[str] = ("*",)
    target: str = ""
    habits: Habits = Habits()
    allow_private: bool = False
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """The freelancer, and what an account of that name has chosen so far; of a new one everything blocks.

    `provider` and `user` are what it is and whose, "" where that is open; `calendars` are those chosen when it was last
    listed, `takes` the one among them that consultations are written to: none while it waits for its first permission.
    """

    freelancer_id: str
    addresses: frozenset[str]
    blocks: tuple[str, ...] = ("*",)
    target: str = ""
    habits: Habits = Habits()
    is_connected: bool = False
    is_declared: bool = False
    provider: str = ""
    user: str = ""
    calendars: tuple[RemoteCalendar, ...] = ()
    takes: RemoteCalendar | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What the server has, what was chosen of it, and what was seen of it by remote id."""

    calendars: Sequence[RemoteCalendar]
    choice: Choice
    probes: Mapping[str, Probe] = field(default_factory=dict)


def known_account(session: Session, handle: str, name: str, provider: str = "") -> Known:
    """What is known before an account of this `provider` is connected. Raises ApiError for what can't be connected
    under that name: what the file declares, unless its secret is a permission, which no file can hold.
    """
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise invalid("/name", f"must be {error.errors()[0]['msg']}") from None
    found = select(Freelancer).where(Freelancer.handle == handle, Freelancer.removed.is_(False))
    person = session.scalars(found).one_or_none()
    if person is None:
        raise ApiError("not-found", f"there is no freelancer {handle}")
    addresses = frozenset(a.lower() for a in (person.email, *person.addresses) if a)
    account = next((a for a in person.accounts if a.name == name), None)
    if account is None or not account.active:
        return Known(person.id, addresses)
    if account.declared and not (account.provider == provider and provider in SIGNED_IN):
        raise ApiError("read-only", f"the account {name} is declared in the configuration file: change it there")
    return _known(person.id, addresses, account)


def _known(freelancer_id: str, addresses: frozenset[str], account: Account) -> Known:
    listed = account.calendars if account.credential is not None else []  # else they may be somebody else's
    chosen = [row for row in listed if row.is_pulled and not row.gone]
    return Known(
        freelancer_id,
        addresses,
        tuple(account.blocks),
        account.target,
        _habits(account),
        is_connected=True,
        is_declared=account.declared,
        provider=account.provider,
        user=account.username,
        calendars=tuple(probes.remote_of(row) for row in chosen),
        takes=next((probes.remote_of(row) for row in chosen if row.target), None),
    )


def _habits(account: Account) -> Habits:
    return Habits(
        account.tentative,
        account.unanswered,
        account.working_elsewhere,
        account.when_stale,
        account.sync_every_seconds,
    )


def connection_to(config: Config, wanted: Wanted, known: Known) -> Connection:
    """How the account will be reached; private networks where the operator allows them."""
    return Connection(
        url=wanted.access.url,
        username=wanted.access.username,
        secret=wanted.access.secret,
        allow_private=wanted.allow_private or config.daemon.allow_private_networks,
        ca_file=wanted.ca_file,
        own_addresses=known.addresses,
        client=reach_of(config).client(wanted.provider),
    )


@contextmanager
def opened_account(open_provider: OpenProvider, kind: str, connection: Connection) -> Iterator[Provider]:
    """The account's adapter, closed at the end. Raises ApiError for what is no address."""
    try:
        provider = open_provider(kind, connection)
    except ValueError as error:
        raise invalid("/url", scrub(str(error))) from None
    try:
        yield provider
    finally:
        provider.close()


def list_calendars(provider: Provider) -> list[RemoteCalendar]:
    """Ask the server with what was given. Raises ProviderError, and ApiError where it has no calendar."""
    try:
        calendars = provider.list_calendars()
    except GrantRevoked as error:
        message = f"the server refuses this user name or password ({error}): nothing was changed"
        raise GrantRevoked(message) from None
    if not calendars:
        raise ApiError("not-found", "the server has no calendar for this user: make one there first")
    return calendars


def choice_of(calendars: Sequence[RemoteCalendar], blocks: Sequence[str], target: str) -> Choice:
    """What blocks and what takes consultations. Raises ApiError for what isn't there or can't be written to."""
    choice = plan_choice(calendars, blocks, target)
    if choice.missing:
        pointer = f"/blocks/{blocks.index(choice.missing[0])}" if choice.missing[0] in blocks else "/target"
        names = ", ".join(c.name for c in calendars)
        raise invalid(pointer, f"there is no calendar {choice.missing[0]!r}; right would be one of {names}")
    if choice.target and not next(c.can_write for c in calendars if c.remote_id == choice.target):
        raise invalid("/target", f"{target} can't be written to: choose another target, or none")
    return choice


def probe_chosen(provider: Provider, found: Found, advance: Callable[[], object]) -> dict[str, Probe]:
    """See what the server does with each calendar that matters, calling `advance` after each.

    What can't be seen is left for the daemon. Raises GrantRevoked, Transient.
    """
    seen: dict[str, Probe] = {}
    for calendar in chosen_of(found):
        try:
            seen[calendar.remote_id] = provider.probe(calendar)
        except (GrantRevoked, Transient):
            raise
        except ProviderError:
            pass
        advance()
    return seen


def chosen_of(found: Found) -> list[RemoteCalendar]:
    """The calendars that matter: those that block, and the target."""
    return [c for c in found.calendars if c.remote_id in found.choice.blocks or c.remote_id == found.choice.target]


@dataclass(frozen=True, slots=True)
class Storing:
    """What storing an account needs: a transaction, the configuration, sealing, the time."""

    session: Session
    config: Config
    vault: Vault
    now: datetime


def store_account(storing: Storing, wanted: Wanted, known: Known, found: Found) -> Account:
    """Keep the account with what was found of it, as it is due next. Raises ApiError for a second target.

    Of one that the file declares the access alone is taken.
    """
    session, now = storing.session, storing.now
    freelancer = session.get_one(Freelancer, known.freelancer_id)
    account = next((a for a in freelancer.accounts if a.name == wanted.name), None)
    if account is None:
        account = Account(id=new_id("acc"), name=wanted.name, created_at=now, missing=[], attempts=0)
        freelancer.accounts.append(account)
    elif account.provider != wanted.provider or _is_anothers(account, wanted):
        _part(storing, account)
    elif wanted.provider in SIGNED_IN:
        channels.distrust(session, account.id)
    before = reading_of(account)
    if not known.is_declared:
        check_one_target(freelancer, wanted.name, wanted.target)
        _fill(storing.config, account, wanted)
    renew_access(account, storing.vault, wanted.access, now)
    apply_listing(account, found.calendars, now)
    if before is not None and before != reading_of(account):
        read_again([account], now)
    account.listed_at = now
    account.next_list_at = now + timedelta(seconds=storing.config.daemon.reconcile_every)
    for calendar in account.calendars:
        if calendar.remote_id in found.probes:
            probes.keep(calendar, found.probes[calendar.remote_id], now)
    session.flush()
    bookings.assign_targets(session, freelancer.id)
    pulls.bump_availability(session, freelancer.id)
    return account


def _part(storing: Storing, account: Account) -> None:
    """Another provider or user takes the name: what opened the old account opens nothing any more."""
    farewells.owe(storing.session, account, storing.now)
    account.credential = None


def _is_anothers(account: Account, wanted: Wanted) -> bool:
    """Whether somebody else gave the permission that is kept: one that the file declared once keeps it."""
    is_signed_in = account.provider in SIGNED_IN and account.credential is not None
    return is_signed_in and account.username.casefold() != wanted.access.username.casefold()


def _fill(config: Config, account: Account, wanted: Wanted) -> None:
    habits = wanted.habits
    account.provider, account.auth, account.declared, account.active = wanted.provider, "auto", False, True
    account.blocks, account.target = list(wanted.blocks), wanted.target
    account.allow_private, account.ca_file = wanted.allow_private, wanted.ca_file
    account.tentative, account.unanswered = habits.tentative, habits.unanswered
    account.working_elsewhere, account.when_stale = habits.working_elsewhere, habits.when_stale
    account.sync_every_seconds = config.sync_every(wanted.provider, habits.sync_every_seconds)


def check_one_target(freelancer: Freelancer, name: str, target: str) -> None:
    """A freelancer has one target. Raises ApiError if another account than `name` has it."""
    others = [a for a in freelancer.accounts if a.active and a.target and a.name != name]
    if target and others:
        detail = f"{others[0].name}/{others[0].target} takes consultations already: a freelancer has one target"
        raise invalid("/target", detail)
