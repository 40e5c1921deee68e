"""`calendars`: which there are, how far each is known, and which block or take consultations; `disconnect`.

Decides how a calendar is named on the command line and what is printed. What a change means is `syncd.management`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from syncd.cli.setup import Opened, opened
from syncd.cli.show import counted, print_json, print_table, say
from syncd.errors import ApiError
from syncd.management.accounts import can_leave, disconnect
from syncd.management.calendars import change_calendar
from syncd.management.freelancers import find_freelancer
from syncd.services import Services, say_farewells
from syncd.store import farewells
from syncd.store.access import SIGNED_IN
from syncd.store.models import Account, Calendar, Freelancer
from syncd.store.overview import calendar_json

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


_PATIENCE = 5.0  # seconds
_GIVEN_BACK = "The permission was given back, unless another account lives by it."
_GIVEN_BACK_LATER = "The permission is given back later: by the daemon, or by `syncd run --once`."


@dataclass(frozen=True, slots=True)
class CalendarsWish:
    """What `calendars` was asked: whose, and what to change of them, by name."""

    freelancer: str | None
    blocks: Sequence[str]
    free: Sequence[str]
    target: str | None

    @property
    def changes(self) -> bool:
        """Whether anything is to be changed."""
        return bool(self.blocks or self.free or self.target is not None)


def show_calendars(config_path: Path, wish: CalendarsWish, *, as_json: bool) -> int:
    """Change what was asked, all or nothing, then list the calendars. Raises ApiError."""
    with opened(config_path) as installation:
        if wish.changes:
            _change(installation, wish)
        found = _listed(installation, wish.freelancer)
    if as_json:
        print_json({"calendars": found})
    else:
        _print(found)
    return 0


def _change(installation: Opened, wish: CalendarsWish) -> None:
    services = installation.services
    if both := set(wish.blocks) & set(wish.free):
        raise ApiError("invalid-request", f"{min(both)!r} can't both block and be free: name it once")
    with services.store.write() as session:
        there = _there(session, wish.freelancer)
        now = services.clock()
        for name, blocks in (*((n, True) for n in wish.blocks), *((n, False) for n in wish.free)):
            for row in there if name == "*" else [_named(there, name)]:
                change_calendar(session, row, blocks=blocks, target=None, now=now)
        if wish.target == "none":
            for row in [row for row in there if row.target]:
                change_calendar(session, row, blocks=None, target=False, now=now)
        elif wish.target is not None:
            change_calendar(session, _named(there, wish.target), blocks=None, target=True, now=now)
    services.nudge()


def _there(session: Session, handle: str | None) -> list[Calendar]:
    """The calendars of connected accounts, of one freelancer or of all. Raises ApiError."""
    found = select(Calendar).join(Account).join(Freelancer).where(Account.active, Calendar.gone.is_(False))
    found = found.where(Freelancer.removed.is_(False))
    if handle is not None:
        if find_freelancer(session, handle) is None:
            raise ApiError("not-found", f"there is no freelancer {handle}: see `syncd freelancer list`")
        found = found.where(Freelancer.handle == handle)
    return list(session.scalars(found.order_by(Freelancer.handle, Account.name, Calendar.name, Calendar.id)))


def _named(there: Sequence[Calendar], name: str) -> Calendar:
    """The one calendar of that name, "account/calendar" or id. Raises ApiError."""
    matches = [row for row in there if name in (row.id, row.remote_id, *_names(row))]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(_names(row)[1] for row in there) or "none is known yet"
    if not matches:
        raise ApiError("not-found", f"there is no calendar {name!r}; right would be one of {known}")
    ids = ", ".join(f"{row.id} ({row.account.freelancer.handle}'s {_names(row)[1]})" for row in matches)
    raise ApiError("invalid-request", f"{name!r} could be several: say which by its id, of {ids}")


def _names(row: Calendar) -> tuple[str, str]:
    return row.name, f"{row.account.name}/{row.name}"


def _listed(installation: Opened, handle: str | None) -> list[dict[str, Any]]:
    services = installation.services
    freshness, now = services.situations.freshness, services.clock()
    with services.store.read() as session:
        return [
            {
                "freelancer": row.account.freelancer.handle,
                "account": row.account.name,
                **calendar_json(session, row, row.account, freshness, now),
                "read_only": row.account.declared,
            }
            for row in _there(session, handle)
        ]


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    if not found:
        say("No calendar is known: `syncd connect caldav FREELANCER` connects an account, `syncd accounts` lists them.")
        return
    columns = ("calendar", "zone", "colour", "used", "state", "pulled")
    print_table(columns, [_row(calendar) for calendar in found])
    for calendar in found:
        if calendar["problem"] and (calendar["blocks"] or calendar["target"]):
            say(f"{calendar['freelancer']}/{calendar['account']}/{calendar['name']}: {calendar['problem']}")
    if declared := sorted({f"{c['freelancer']}.accounts.{c['account']}" for c in found if c["read_only"]}):
        say(f"Changed in the configuration file: freelancers.{', freelancers.'.join(declared)} (blocks, target).")
    if any(not calendar["read_only"] for calendar in found):
        say("To change: `syncd calendars --blocks NAME`, `--free NAME`, `--target NAME` (or none).")


def _row(calendar: Mapping[str, Any]) -> tuple[str, ...]:
    used = ", ".join(word for word in ("blocks", "target") if calendar[word])
    at = calendar["synced_at"]
    pulled = f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC" if at else "never"
    name = f"{calendar['freelancer']}/{calendar['account']}/{calendar['name']}"
    state = calendar["state"] if used else ""
    return name, calendar["time_zone"] or "", calendar["colour"] or "", used or "free", state, pulled if used else ""


def disconnect_account(config_path: Path, name: str, *, as_json: bool) -> int:
    """Forget how to reach an account and all it said; its bookings are kept. Raises ApiError."""
    with opened(config_path) as installation:
        services = installation.services
        with services.store.write() as session:
            account = _account(session, name)
            before = farewells.owed(session)
            full, is_signed_in = f"{account.freelancer.handle}/{account.name}", account.provider in SIGNED_IN
            owed = len(disconnect(session, account, services.clock()))
            parting = farewells.owed(session) - before
        given_back = is_signed_in and _gave_back(services, parting)
    if as_json:
        print_json({"account": full, "owed": owed, **({"given_back": given_back} if is_signed_in else {})})
        return 0
    say(f"{full} is disconnected: its calendars block nothing any more.")
    if is_signed_in:
        say(_GIVEN_BACK if given_back else _GIVEN_BACK_LATER)
    if owed:
        say(f"{counted(owed, 'booking')} still had to be written there: that is done if it is connected again.")
    return 0


def _gave_back(services: Services, parting: set[int]) -> bool:
    say_farewells(services, _PATIENCE)
    with services.store.read() as session:
        return not parting & farewells.owed(session)


def _account(session: Session, name: str) -> Account:
    handle, slash, account = name.partition("/")
    found = select(Account).join(Freelancer).where(Freelancer.removed.is_(False))
    named = found.where(Account.name == (account if slash else name))
    rows = [
        row for row in session.scalars(named.where(Freelancer.handle == handle) if slash else named) if can_leave(row)
    ]
    if len(rows) == 1:
        return rows[0]
    if rows:
        several = ", ".join(sorted(f"{row.freelancer.handle}/{row.name}" for row in rows))
        raise ApiError("invalid-request", f"{name!r} could be several: say which, of {several}")
    raise ApiError("not-found", f"there is no account {name!r}: `syncd accounts` lists them, as FREELANCER/ACCOUNT")
