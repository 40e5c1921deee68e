"""Each account, really asked: reachable, its password right, the chosen calendars there, the target writable.

Decides what an answer means to the person who connected it. Nothing is stored: the daemon finds it out by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from providers.clock import clock_of
from providers.errors import AuthorizationError, ProviderError
from providers.model import Connection, RemoteCalendar
from providers.port import Provider
from syncd.doctor.findings import Finding, mend, note, ok
from syncd.errors import ConfigError
from syncd.log import scrub
from syncd.secrets import Vault
from syncd.store import pulls
from syncd.store.access import SIGNED_IN, Reach, connection_of, how_to_connect
from syncd.store.models import Account, Calendar
from syncd.store.overview import reach_of
from syncd.sync.listing import plan_choice
from syncd.sync.staleness import Freshness, trust_of

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """An account, and what its server said: `calendars`, or why there are none; `drift` of its clock."""

    label: str  # ada/home
    handle: str
    name: str
    kind: str
    is_declared: bool
    blocks: tuple[str, ...]
    target: str
    connection: Connection
    calendars: Sequence[RemoteCalendar] = ()
    error: ProviderError | ValueError | None = None
    drift: timedelta | None = None

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.address).hostname or self.address

    @property
    def address(self) -> str:
        """Where the server is."""
        client = self.connection.client
        return client.api_endpoint if client else self.connection.url


def to_ask(session: Session, vault: Vault, reach: Reach) -> list[Asked]:
    """The accounts that are connected, with what opens them; those that can't be opened or asked are left out."""
    found = []
    for row in session.scalars(select(Account).where(Account.active).order_by(Account.name)):
        handle = row.freelancer.handle
        try:
            connection = connection_of(row, vault, reach)
        except ConfigError:
            continue
        if row.provider in SIGNED_IN and connection.client is None:
            continue
        label, said = f"{handle}/{row.name}", (tuple(row.blocks), row.target)
        found.append(Asked(label, handle, row.name, row.provider, row.declared, *said, connection))
    return found


def ask(
    accounts: Sequence[Asked], open_provider: Callable[[str, Connection], Provider], now: Callable[[], datetime]
) -> list[Asked]:
    """Ask every server, a few at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda account: _ask(account, open_provider, now), accounts))


def _ask(account: Asked, open_provider: Callable[[str, Connection], Provider], now: Callable[[], datetime]) -> Asked:
    try:
        with closing(open_provider(account.kind, account.connection)) as provider:
            calendars = provider.list_calendars()
    except (ProviderError, ValueError) as error:
        is_reached = isinstance(error, AuthorizationError)
        return replace(account, error=error, drift=_drift(account, now) if is_reached else None)
    return replace(account, calendars=calendars, drift=_drift(account, now))


def _drift(account: Asked, now: Callable[[], datetime]) -> timedelta | None:
    return clock_of(replace(account.connection, url=account.address), now)


def judged(asked: Asked) -> Iterator[Finding]:
    """What an account's answer means."""
    if asked.error is not None:
        what = f"{asked.label}: {scrub(str(asked.error))}"
        is_refused = isinstance(asked.error, AuthorizationError)
        yield mend("accounts", what, _renewal(asked) if is_refused else "nothing is lost: it is tried again by itself")
        return
    choice = plan_choice(asked.calendars, asked.blocks, asked.target)
    yield ok("accounts", f"{asked.label} answers, {len(asked.calendars)} calendars, {len(choice.blocks)} block")
    for name in choice.missing:
        there = ", ".join(c.name for c in asked.calendars) or "none"
        what = f"{asked.label} has no calendar {name!r} (there are: {there}): what it would block is unknown"
        yield mend("accounts", what, _change(asked))
    if any(c.remote_id == choice.target and not c.can_write for c in asked.calendars):
        what = f"{asked.label}: consultations can't be written to {asked.target!r}, it is read-only"
        yield mend("accounts", what, _change(asked))


def _renewal(asked: Asked) -> str:
    if asked.kind in SIGNED_IN:
        return f"{how_to_connect(asked.kind, asked.handle, asked.name)} asks for permission again"
    if asked.is_declared:
        return f"put the right password into the variable of {_section(asked)}.password_env, then restart"
    return f"{how_to_connect(asked.kind, asked.handle, asked.name)} asks for a new password"


def _change(asked: Asked) -> str:
    if asked.is_declared:
        return f"change blocks or target in {_section(asked)} of the file"
    return f"`syncd calendars {asked.handle}` lists them, `--blocks`, `--free` and `--target` change it"


def _section(asked: Asked) -> str:
    return f"freelancers.{asked.handle}.accounts.{asked.name}"


def known(session: Session, freshness: Freshness, now: datetime) -> Iterator[Finding]:
    """What the pulls so far say of each calendar that matters."""
    rows = session.scalars(select(Calendar).join(Account).where(Account.active, Calendar.gone.is_(False)))
    for row in rows:
        if row.is_pulled:
            yield from _known(session, row, freshness, now)


def _known(session: Session, row: Calendar, freshness: Freshness, now: datetime) -> Iterator[Finding]:
    label = f"{row.account.freelancer.handle}/{row.account.name}/{row.name}"
    trust = trust_of(row, row.account, freshness, now, reach_at=reach_of(row.account.freelancer, now))
    if not trust.is_known:
        since = _since(row, trust.synced_at)
        closes = "slots that it could block are refused" if trust.closes else "slots are offered all the same"
        problem = f" ({scrub(row.problem)})" if row.problem else ""
        yield mend("calendars", f"{label} {since}{problem}: {closes}", "`syncd sync` pulls it now")
    if row.held_back:
        what = f"{label}: {len(row.held_back)} events would vanish at once, and were held back"
        yield mend("calendars", what, "`syncd sync --full` accepts it, if it is right")
    if bad := pulls.quarantined(session, row.id, row.generation):
        what = f"{label}: {len(bad)} of its events can't be understood; what they block is not known"
        yield note("calendars", what, "`syncd status` names them")


def _since(row: Calendar, synced_at: datetime | None) -> str:
    if synced_at is None:
        return "was never pulled"
    if row.expanded_until_at is None:
        return "has to be read in full, since a setting changed what its events mean"
    return f"wasn't pulled since {synced_at:%Y-%m-%d %H:%M} UTC"
