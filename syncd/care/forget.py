"""A person's data gone, for good: rows deleted, files rewritten.

Decides what has to be settled first: what the file declares would come back, clients who are coming wouldn't be told,
and what is owed to a calendar could never be written. Refuses to know how a person is asked whether they mean it.

A permission that they gave by signing in is given back; where the provider can't be reached, it alone is kept, sealed,
until it is. Events that were written stay in the person's own calendars; backups, and databases that a restore set
aside, keep what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from syncd.errors import ApiError, ConfigError, WrongState
from syncd.services import Services, say_farewells
from syncd.store import belongings, farewells
from syncd.store.models import Freelancer

_PATIENCE = 5.0  # seconds
_ID = re.compile(r"[a-z]+_[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Standing:
    """What still hangs on a freelancer: consultations that aren't over, and writes owed to their calendars."""

    handle: str
    name: str
    coming: int
    owed: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted, and what was dropped undone; `permissions_owed` are still to be given back, and then gone."""

    handle: str
    bookings: int
    accounts: int
    calendars: int
    dropped: Standing
    permissions_owed: int


def standing(services: Services, handle: str) -> Standing:
    """How things stand with a freelancer who is to be forgotten. Raises ApiError for one unknown or declared."""
    with services.store.read() as session:
        return _standing(services, session, _person(services, session, handle))


def forget(services: Services, handle: str, *, even_if_owed: bool = False) -> Forgotten:
    """Delete all that is kept of a freelancer. Raises ApiError, WrongState, and StoreError if traces may be left."""
    with services.store.write() as session:
        person = _person(services, session, handle)
        left = _standing(services, session, person)
        if not even_if_owed:
            check_settled(left)
        before = farewells.owed(session)
        for account in person.accounts:
            farewells.owe(session, account, services.clock())
        parting = farewells.owed(session) - before
        belongings.drop_answers(session, _names(services, handle, belongings.names_in(session, person.id)))
        counts = belongings.erase(session, person.id)
    say_farewells(services, _PATIENCE)
    with services.store.read() as session:
        permissions_owed = len(parting & farewells.owed(session))
    belongings.scrub(services.store.engine)
    return Forgotten(
        handle, counts["bookings"], counts["accounts"], counts["calendars"], left, permissions_owed=permissions_owed
    )


def check_settled(left: Standing) -> None:
    """Raise WrongState, with what to do, while something still hangs on a freelancer."""
    if left.coming:
        raise WrongState(
            f"{left.handle} still has consultations or holds to come ({left.coming}): cancel them first "
            "(`syncd bookings` lists them), so that their clients are told; --even-if-owed drops them"
        )
    if left.owed:
        raise WrongState(
            f"bookings of {left.handle} still wait to be written to a calendar ({left.owed}): `syncd run --once` "
            "writes them; --even-if-owed leaves the calendar as it is"
        )


def _person(services: Services, session: Session, handle: str) -> Freelancer:
    person = belongings.freelancer_named(session, handle)
    if person is None:
        raise ApiError("not-found", f"there is no freelancer {handle}: see `syncd freelancer list`")
    if handle in services.config.freelancers:
        detail = f"{handle} is declared in the configuration file: take [freelancers.{handle}] out of it first"
        raise ApiError("read-only", detail)
    return person


def _standing(services: Services, session: Session, person: Freelancer) -> Standing:
    now = services.clock()
    coming, owed = belongings.coming(session, person.id, now), belongings.owed(session, person.id)
    return Standing(person.handle, person.name, coming, owed)


def _names(services: Services, handle: str, ids: list[str]) -> Callable[[bytes], bool]:
    """Tells whether a sealed answer names a freelancer or anything of theirs; one that can't be opened is of no use."""
    own, named = frozenset(ids), re.compile(rf'["/]{re.escape(handle)}["/]')

    def is_about(sealed: bytes) -> bool:
        try:
            text = services.vault.unseal(sealed).decode().replace("\\", "")
        except ConfigError:
            return True
        return bool(named.search(text)) or not own.isdisjoint(_ID.findall(text))

    return is_about
