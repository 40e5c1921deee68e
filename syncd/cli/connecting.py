"""`connect`: adds or renews an account, after asking the server with it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from getpass import getpass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from providers import open_provider
from providers.errors import GrantRevoked, ProviderError, Transient
from providers.model import Connection, Probe, RemoteCalendar
from providers.port import Provider
from syncd.cli.setup import Opened, opened
from syncd.cli.show import print_json, print_table, say, ways_of
from syncd.errors import ApiError
from syncd.ids import new_id
from syncd.log import scrub
from syncd.store import probes, pulls
from syncd.store.access import FEED, Access, renew_access
from syncd.store.models import Account, Freelancer
from syncd.sync.listing import apply_listing, plan_choice
from syncd.sync.prove import Step, Trial, prove


@dataclass(frozen=True, slots=True)
class Wish:
    """What `connect` was asked."""

    provider: str
    freelancer: str
    name: str
    url: str
    username: str = ""
    blocks: list[str] | None = None
    target: str | None = None
    allow_private: bool = False
    ca_file: Path | None = None
    prove: bool = False


@dataclass(slots=True)
class _Found:
    """What the server has and what was chosen of it; `probes` by remote id."""

    calendars: Sequence[RemoteCalendar]
    blocks: frozenset[str]
    target: str | None
    probes: dict[str, Probe] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def connect(config_path: Path, wish: Wish, *, as_json: bool) -> int:
    """Check by connecting, choose calendars, see what the server does, store. Raises ApiError, ProviderError."""
    with opened(config_path) as installation:
        known = _known(installation, wish)
        connection = _connection(installation, wish, known)
        with closing(_open(wish, connection)) as provider:
            calendars = _list_calendars(provider)
            chosen = _choose(wish, calendars, known)
            choice = plan_choice(calendars, chosen.blocks or (), chosen.target or "")
            found = _Found(calendars, choice.blocks, choice.target)
            _check_proof(chosen, found)
            _probe(provider, found)
            if chosen.prove:
                _prove(provider, found, installation.services.clock(), as_json=as_json)
        _store(installation, known.freelancer_id, chosen, connection, found)
    _tell(chosen, found, as_json=as_json)
    return 0 if all(step.passed for step in found.steps) else 1


def _open(wish: Wish, connection: Connection) -> Provider:
    try:
        return open_provider(wish.provider, connection)
    except ValueError as error:  # what was typed is no address
        raise ApiError("invalid-request", str(error)) from None


def _connection(installation: Opened, wish: Wish, known: _Known) -> Connection:
    if wish.ca_file is not None and not wish.ca_file.is_file():
        raise ApiError("invalid-request", f"{wish.ca_file} is no file: name the server's certificates, in PEM")
    return Connection(
        url=wish.url,
        username=wish.username,
        secret=_ask_password(wish),
        allow_private=wish.allow_private or installation.services.config.daemon.allow_private_networks,
        ca_file=str(wish.ca_file.resolve()) if wish.ca_file else "",
        own_addresses=known.addresses,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """The freelancer, and what an account of that name has chosen so far; a new one: everything blocks."""

    freelancer_id: str
    addresses: frozenset[str]
    blocks: list[str]
    target: str


def _known(installation: Opened, wish: Wish) -> _Known:
    with installation.services.store.read() as session:
        row = session.scalars(select(Freelancer).where(Freelancer.handle == wish.freelancer)).one_or_none()
        if row is None:
            detail = f"there is no freelancer {wish.freelancer}: add [freelancers.{wish.freelancer}] to the file"
            raise ApiError("not-found", detail)
        account = next((a for a in row.accounts if a.name == wish.name), None)
        if account is not None and account.declared and account.active:
            detail = f"the account {wish.name} is declared in the configuration file: change it there"
            raise ApiError("read-only", detail)
        addresses = frozenset(a.lower() for a in (row.email, *row.addresses) if a)
        if account is None:
            return _Known(row.id, addresses, ["*"], "")
        return _Known(row.id, addresses, account.blocks, account.target)


def _list_calendars(provider: Provider) -> list[RemoteCalendar]:
    """Ask the server with what was typed in. Raises ProviderError."""
    try:
        return provider.list_calendars()
    except GrantRevoked as error:
        message = f"the server refuses this user name or password ({error}): nothing was changed"
        raise GrantRevoked(message) from None


def _ask_password(wish: Wish) -> str:
    if wish.provider == FEED and not wish.username:
        return ""
    if sys.stdin.isatty():
        return getpass(f"Password of {wish.username} at {wish.url}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _check_proof(wish: Wish, found: _Found) -> None:
    if wish.prove and found.target is None:
        raise ApiError(
            "invalid-request", "--prove writes to the calendar that takes consultations: name it by --target"
        )
    if found.target and not next(c.can_write for c in found.calendars if c.remote_id == found.target):
        raise ApiError("invalid-request", f"{wish.target} can't be written to: choose another --target, or none")


def _probe(provider: Provider, found: _Found) -> None:
    """See what the server does with each calendar that matters; what can't be seen is left for the daemon."""
    chosen = [c for c in found.calendars if c.remote_id in found.blocks or c.remote_id == found.target]
    with _progress(len(chosen)) as advance:
        for calendar in chosen:
            try:
                found.probes[calendar.remote_id] = provider.probe(calendar)
            except (GrantRevoked, Transient):
                raise
            except ProviderError:
                pass
            advance()


def _prove(provider: Provider, found: _Found, now: datetime, *, as_json: bool) -> None:
    """Write a throwaway event, a month ahead and at night, and tell of each step."""
    target = next(c for c in found.calendars if c.remote_id == found.target)
    at = (now + timedelta(days=30)).replace(hour=2, minute=0, second=0, microsecond=0)
    key = f"syncd-trial-{secrets.token_hex(8)}"
    trial = Trial(provider, target, at, key, time.monotonic, time.sleep)
    for step in prove(trial):
        found.steps.append(step)
        if not as_json:
            mark, detail = "ok" if step.passed else "FAILED", f": {scrub(step.detail)}" if step.detail else ""
            say(f"  {mark:6} {step.name} ({step.seconds:.1f} s){detail}")
    if trial.probe is not None:
        found.probes[target.remote_id] = trial.probe


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("asking what the server does", total=total)
        yield lambda: progress.advance(task)


def _choose(wish: Wish, calendars: Sequence[RemoteCalendar], known: _Known) -> Wish:
    """Ask what blocks and where consultations go, if a person is there and didn't say; else keep what was chosen."""
    if not calendars:
        raise ApiError("not-found", "the server has no calendar for this user: make one there first")
    blocks, target = wish.blocks, wish.target
    if sys.stdin.isatty() and (blocks is None or target is None):
        print_table(("calendar", "zone", "writable"), [(c.name, c.tz or "", _yes(c.can_write)) for c in calendars])
        if blocks is None:
            usual = ",".join(known.blocks)
            answer = input(f'Which calendars block? Names with commas, or "*" for all [{usual}]: ')
            blocks = [name.strip() for name in (answer.strip() or usual).split(",") if name.strip()]
        if target is None:
            target = input(f"Which calendar takes consultations? [{known.target or 'none'}]: ").strip() or None
    kept = known.target if target is None else target
    chosen = replace(wish, blocks=known.blocks if blocks is None else blocks, target=kept)
    if missing := plan_choice(calendars, chosen.blocks or (), chosen.target or "").missing:
        names = ", ".join(c.name for c in calendars)
        raise ApiError("invalid-request", f"there is no calendar {missing[0]!r}; right would be one of {names}")
    return chosen


def _check_target(freelancer: Freelancer, wish: Wish) -> None:
    """A freelancer has one target."""
    others = [a for a in freelancer.accounts if a.active and a.target and a.name != wish.name]
    if wish.target and others:
        detail = f"{others[0].name}/{others[0].target} takes consultations already: a freelancer has one target"
        raise ApiError("invalid-request", detail)


def _store(installation: Opened, freelancer_id: str, wish: Wish, connection: Connection, found: _Found) -> None:
    services = installation.services
    now, reconcile_every = services.clock(), timedelta(seconds=services.config.daemon.reconcile_every)
    with services.store.write() as session:
        freelancer = session.get_one(Freelancer, freelancer_id)
        _check_target(freelancer, wish)
        account = next((a for a in freelancer.accounts if a.name == wish.name), None) or _new(freelancer, wish, now)
        account.provider, account.auth, account.declared = wish.provider, "auto", False
        account.blocks, account.target = wish.blocks or [], wish.target or ""
        account.allow_private, account.ca_file, account.active = connection.allow_private, connection.ca_file, True
        account.sync_every_seconds = services.config.sync_every(wish.provider)
        renew_access(account, services.vault, Access(wish.url, wish.username, connection.secret), now)
        apply_listing(account, found.calendars, now)
        account.listed_at, account.next_list_at = now, now + reconcile_every
        for calendar in account.calendars:
            if calendar.remote_id in found.probes:
                probes.keep(calendar, found.probes[calendar.remote_id], now)
        pulls.bump_availability(session, freelancer_id)


def _new(freelancer: Freelancer, wish: Wish, now: datetime) -> Account:
    account = Account(id=new_id("acc"), name=wish.name, created_at=now, missing=[], attempts=0)
    account.tentative = account.unanswered = "busy"
    account.working_elsewhere, account.when_stale = "free", "close"
    freelancer.accounts.append(account)
    return account


def _tell(wish: Wish, found: _Found, *, as_json: bool) -> None:
    calendars = [_calendar_json(c, found) for c in found.calendars]
    if as_json:
        proof = {"proof": [asdict(step) for step in found.steps]} if wish.prove else {}
        print_json({"account": wish.name, "calendars": calendars, **proof})
        return
    rows = [(c["name"], _yes(c["blocks"]), _yes(c["target"]), ways_of(c["probe"])) for c in calendars]
    print_table(("calendar", "blocks", "takes consultations", "what its server does"), rows)
    say(f"{wish.name} is connected. `syncd sync {wish.freelancer}` pulls it now; `syncd run` keeps it up to date.")


def _calendar_json(calendar: RemoteCalendar, found: _Found) -> Mapping[str, Any]:
    probe = found.probes.get(calendar.remote_id)
    return {
        "name": calendar.name,
        "blocks": calendar.remote_id in found.blocks,
        "target": calendar.remote_id == found.target,
        "probe": asdict(probe) if probe else None,
    }


def _yes(value: object) -> str:
    return "yes" if value else ""
