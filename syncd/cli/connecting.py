"""`connect`: adds or renews an account, after asking the server with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from getpass import getpass
from pathlib import Path

from sqlalchemy import select

from providers import open_provider
from providers.errors import GrantRevoked
from providers.model import Connection, RemoteCalendar
from syncd.cli.setup import Opened, opened
from syncd.cli.show import print_json, print_table, say
from syncd.errors import ApiError
from syncd.ids import new_id
from syncd.store import pulls
from syncd.store.declared import renew_access
from syncd.store.models import Account, Freelancer
from syncd.sync.listing import plan_choice


@dataclass(frozen=True, slots=True)
class CaldavWish:
    """What `connect caldav` was asked."""

    freelancer: str
    name: str
    url: str
    username: str
    blocks: list[str] | None
    target: str | None
    allow_private: bool


def connect(config_path: Path, wish: CaldavWish, *, as_json: bool) -> int:
    """Check by connecting, choose calendars, store. Raises ApiError, ProviderError."""
    with opened(config_path) as installation:
        known = _known(installation, wish)
        private = wish.allow_private or installation.services.config.daemon.allow_private_networks
        connection = Connection(
            url=wish.url,
            username=wish.username,
            secret=_ask_password(wish),
            allow_private=private,
            own_addresses=known.addresses,
        )
        calendars = _list_calendars(connection)
        chosen = _choose(wish, calendars, known)
        _store(installation, known.freelancer_id, chosen, connection)
    choice = plan_choice(calendars, chosen.blocks or (), chosen.target or "")
    _tell(wish, calendars, choice.blocks, choice.target, as_json=as_json)
    return 0


@dataclass(frozen=True, slots=True)
class _Known:
    """The freelancer, and what an account of that name has chosen so far; a new one: everything blocks."""

    freelancer_id: str
    addresses: frozenset[str]
    blocks: list[str]
    target: str


def _known(installation: Opened, wish: CaldavWish) -> _Known:
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


def _list_calendars(connection: Connection) -> list[RemoteCalendar]:
    """Ask the server with what was typed in. Raises ProviderError."""
    try:
        with closing(open_provider("caldav", connection)) as provider:
            return provider.list_calendars()
    except GrantRevoked as error:
        message = f"the server refuses this user name or password ({error}): nothing was changed"
        raise GrantRevoked(message) from None


def _ask_password(wish: CaldavWish) -> str:
    if sys.stdin.isatty():
        return getpass(f"Password of {wish.username} at {wish.url}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _choose(wish: CaldavWish, calendars: Sequence[RemoteCalendar], known: _Known) -> CaldavWish:
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


def _check_target(freelancer: Freelancer, wish: CaldavWish) -> None:
    """A freelancer has one target."""
    others = [a for a in freelancer.accounts if a.active and a.target and a.name != wish.name]
    if wish.target and others:
        detail = f"{others[0].name}/{others[0].target} takes consultations already: a freelancer has one target"
        raise ApiError("invalid-request", detail)


def _store(installation: Opened, freelancer_id: str, wish: CaldavWish, connection: Connection) -> None:
    services = installation.services
    now = services.clock()
    with services.store.write() as session:
        freelancer = session.get_one(Freelancer, freelancer_id)
        _check_target(freelancer, wish)
        account = next((a for a in freelancer.accounts if a.name == wish.name), None)
        if account is None:
            account = Account(id=new_id("acc"), name=wish.name, created_at=now, missing=[], attempts=0)
            account.tentative = account.unanswered = "busy"
            account.working_elsewhere, account.when_stale = "free", "close"
            account.auth, account.ca_file, account.declared = "auto", "", False
            freelancer.accounts.append(account)
        account.provider = "caldav"
        account.credential = services.vault.seal(connection.secret)
        account.blocks, account.target = wish.blocks or [], wish.target or ""
        account.allow_private, account.active = connection.allow_private, True
        account.sync_every_seconds = services.config.daemon.sync_every
        account.declared = False
        renew_access(account, wish.url, wish.username, now)
        pulls.bump_availability(session, freelancer_id)


def _tell(
    wish: CaldavWish,
    calendars: Sequence[RemoteCalendar],
    blocks: frozenset[str],
    target: str | None,
    *,
    as_json: bool,
) -> None:
    rows = [(c.name, _yes(c.remote_id in blocks), _yes(c.remote_id == target)) for c in calendars]
    if as_json:
        listed = [{"name": name, "blocks": bool(b), "target": bool(t)} for name, b, t in rows]
        print_json({"account": wish.name, "calendars": listed})
        return
    print_table(("calendar", "blocks", "takes consultations"), rows)
    say(f"{wish.name} is connected. `syncd sync {wish.freelancer}` pulls it now; `syncd run` keeps it up to date.")


def _yes(value: object) -> str:
    return "yes" if value else ""
