"""`connect google`: a person gives permission in a browser, chooses calendars, and gives what those need besides.

Decides what is told and asked. What is asked of Google, and what must be true of the answer, is `syncd.sync.sign_in`.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from providers.errors import PermissionDenied
from providers.google.permissions import authorize_url
from providers.model import RemoteCalendar
from syncd.cli import connecting
from syncd.cli.asking import Asker
from syncd.cli.connecting import Choosing, Wish
from syncd.cli.loopback import Door, open_door
from syncd.cli.setup import Opened, opened
from syncd.cli.show import complain
from syncd.errors import ApiError
from syncd.store.access import Access
from syncd.sync import connect as connection
from syncd.sync import sign_in
from syncd.sync.connect import Found, Known, Wanted
from syncd.sync.listing import plan_choice
from syncd.sync.prove import Step
from syncd.sync.sign_in import GOOGLE, Reception, Signed


@dataclass(frozen=True, slots=True)
class GoogleWish:
    """What `connect google` was asked; None is what wasn't said."""

    freelancer: str
    name: str
    blocks: list[str] | None
    target: str | None
    opens_browser: bool
    port: int
    prove: bool


@dataclass(frozen=True, slots=True)
class _Visit:
    """One run of the command."""

    installation: Opened
    wish: GoogleWish
    known: Known
    asker: Asker
    door: Door
    reception: Reception


def connect_google(config_path: Path, wish: GoogleWish, *, as_json: bool) -> int:
    """Ask for permission, choose calendars, see that they can be read, store. Raises ApiError, ProviderError."""
    wish = replace(wish, target="" if wish.target == "none" else wish.target)
    asker = Asker()
    asker.takes_defaults = not asker.has_person
    with opened(config_path) as installation, open_door(wish.port) as door:
        services = installation.services
        client = sign_in.google_client(services.config)
        known = _known(installation, wish)
        reception = Reception(client, services.open_provider, services.store, services.vault, services.clock)
        visit = _Visit(installation, wish, known, asker, door, reception)
        user, steps, found = _connect(visit, as_json=as_json)
    connecting.tell(replace(_as_wish(wish), username=user), found, steps, as_json=as_json)
    for missing in found.choice.missing:
        complain(
            f"There is no calendar {missing!r}, as was chosen: what it would block is unknown, so slots stay closed."
        )
    return 0 if all(step.passed for step in steps) else 1


def _connect(visit: _Visit, *, as_json: bool) -> tuple[str, Sequence[Step], Found]:
    """Whose account was connected, what was proved, and what was found."""
    known, wish = visit.known, visit.wish
    takes_bookings = bool(known.target if wish.target is None else wish.target)
    scopes = sign_in.first_scopes(known, takes_bookings=takes_bookings)
    signed = _signed_in(visit, scopes, known.user)
    with sign_in.giving_back_if_refused(visit.reception, signed.grant, signed.user):
        sign_in.check_user(signed.user, wish.name, known)
        wanted, found = _chosen(visit, signed.calendars)
        connecting.check_proof(_as_wish(wish), found)
        if signed.grant.lacks(sign_in.needed_by(found)):
            signed = _signed_in_again(visit, signed, scopes, sign_in.needed_by(found))
        wanted = replace(wanted, access=signed.access(known))
        steps, found = _seen(visit, wanted, found, as_json=as_json)
        found = _store(visit, signed, wanted, found)
    return signed.user, steps, found


def _known(installation: Opened, wish: GoogleWish) -> Known:
    with installation.services.store.read() as session:
        try:
            known = connection.known_account(session, wish.freelancer, wish.name, GOOGLE)
        except ApiError as error:
            raise connecting.with_next_step(error, wish.freelancer) from None
    sign_in.check_user("", wish.name, known)
    if known.is_declared and (wish.blocks is not None or wish.target is not None):
        where = f"freelancers.{wish.freelancer}.accounts.{wish.name}"
        detail = f"--blocks and --target aren't used: the configuration file says them ({where})"
        raise ApiError("read-only", detail)
    return known


def _as_wish(wish: GoogleWish) -> Wish:
    return Wish(GOOGLE, wish.freelancer, wish.name, blocks=wish.blocks, target=wish.target, prove=wish.prove)


# In the browser


def _signed_in(visit: _Visit, scopes: frozenset[str], user: str) -> Signed:
    """Send a person to Google, and look at what they come back with. Raises ProviderError, ApiError."""
    reception = visit.reception
    with reception.store.write() as session:
        sign_in.make_room(session, reception.clock())
    asking = sign_in.begin(visit.door.redirect_uri, scopes, user, secrets.token_urlsafe)
    _explain(visit, scopes, authorize_url(reception.client, asking))
    brought = visit.door.wait(asking.state, sign_in.LASTS.total_seconds(), may_type=visit.asker.has_person)
    if brought is None:
        raise PermissionDenied("nobody gave permission within ten minutes: nothing was changed, run it again")
    if not brought.code:
        raise sign_in.refused(brought.error)
    return sign_in.end(reception, asking, brought.code)


def _signed_in_again(visit: _Visit, signed: Signed, scopes: frozenset[str], needed: frozenset[str]) -> Signed:
    """Ask for what the chosen calendars need besides. Raises PermissionDenied where it isn't given."""
    again = _signed_in(visit, scopes | needed, signed.user)
    with sign_in.giving_back_if_refused(visit.reception, again.grant, again.user):
        sign_in.check_user(again.user, visit.wish.name, replace(visit.known, user=signed.user))
        sign_in.check_granted(again.grant, needed)
    return again


def _explain(visit: _Visit, scopes: frozenset[str], url: str) -> None:
    """Say what is asked for and where, and open a browser where there is one."""
    complain(f"syncd asks {urlsplit(url).hostname} for permission:")
    for purpose in sign_in.purposes(scopes).values():
        complain(f"  - {purpose}")
    if visit.wish.opens_browser and _has_browser():
        _browse(url)
        complain("A browser opens; if it doesn't, open this address on this machine:")
        complain(url)
        return
    port = visit.door.port
    complain("Open this address in a browser on this machine:")
    complain(url)
    complain(f"On another one, let its port lead here first (ssh -L {port}:127.0.0.1:{port} …)")
    if visit.asker.has_person:
        complain("or paste here the address at which its browser ends, which can't be opened there.")


def _has_browser() -> bool:
    """Whether a browser with windows can be expected: one in the terminal would take its place."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def _browse(url: str) -> None:
    """In a process of its own: what a browser prints, and how long it takes, is its own affair."""
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-I", "-m", "webbrowser", url]
    subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603 - our own


# The account


def _chosen(visit: _Visit, calendars: Sequence[RemoteCalendar]) -> tuple[Wanted, Found]:
    """What blocks and what takes consultations: as before, unless something else is said, or it is a new account."""
    wish, known = visit.wish, visit.known
    wanted = Wanted(GOOGLE, wish.name, Access(""), known.blocks, known.target, habits=known.habits)
    if known.is_connected and wish.blocks is None and wish.target is None:
        return wanted, Found(calendars, plan_choice(calendars, known.blocks, known.target))
    before = known.is_connected
    blocks = list(known.blocks) if before and wish.blocks is None else wish.blocks
    target = known.target if before and wish.target is None else wish.target
    return connecting.choose_among(visit.asker, calendars, wanted, Choosing(blocks, target, known))


def _seen(visit: _Visit, wanted: Wanted, found: Found, *, as_json: bool) -> tuple[Sequence[Step], Found]:
    services = visit.installation.services
    reached = connection.connection_to(services.config, wanted, visit.known)
    with connection.opened_account(services.open_provider, GOOGLE, reached) as provider:
        found = connecting.looked_at(provider, found)
        return (
            connecting.proved(provider, found, services.clock(), as_json=as_json) if visit.wish.prove else ([], found)
        )


def _store(visit: _Visit, signed: Signed, wanted: Wanted, found: Found) -> Found:
    """Store the account, unless it became another's meanwhile, or was disconnected; what was chosen meanwhile stays."""
    services, wish = visit.installation.services, visit.wish
    with services.store.write() as session:
        known = connection.known_account(session, wish.freelancer, wish.name, GOOGLE)
        sign_in.check_user(signed.user, wish.name, known)
        if visit.known.is_connected and not known.is_connected:
            raise ApiError("wrong-state", "the account was disconnected meanwhile: nothing was changed, run it again")
        wanted, found = _as_by_now(visit, wanted, found, known)
        sign_in.check_granted(signed.grant, sign_in.needed_by(found))
        storing = connection.Storing(session, services.config, services.vault, services.clock())
        connection.store_account(storing, wanted, known, found)
    return found


def _as_by_now(visit: _Visit, wanted: Wanted, found: Found, known: Known) -> tuple[Wanted, Found]:
    """What was said here, laid over what is known by now: a browser takes its time, and others choose as well."""
    if not known.is_connected:
        return wanted, found
    was_asked, wish = visit.asker.is_talking and not visit.known.is_connected, visit.wish
    blocks = wanted.blocks if was_asked or wish.blocks is not None else known.blocks
    target = wanted.target if was_asked or wish.target is not None else known.target
    wanted = replace(wanted, blocks=blocks, target=target, habits=known.habits)
    return wanted, replace(found, choice=plan_choice(found.calendars, blocks, target))
