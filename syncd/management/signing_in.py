"""Connecting an account by a sign-in in a browser: begun by the holder of a key, ended by whoever comes back.

Decides who may begin one, what is kept meanwhile, when the person is asked once more, and that nothing is stored unless
all is well. The answer needs no session of a browser: its `state` is known to nobody but who was given the address.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from providers.google.permissions import Asking, authorize_url
from syncd.config import Config
from syncd.errors import ApiError, ConfigError, invalid
from syncd.management import connecting
from syncd.management.tables import file_only
from syncd.secrets import Vault
from syncd.services import Services
from syncd.store import farewells, sign_ins
from syncd.store.access import Access, sealed_whole
from syncd.store.models import ApiKey, Freelancer
from syncd.store.sign_ins import Begun
from syncd.sync import sign_in
from syncd.sync.connect import Found, Known, Storing, check_one_target, choice_of, known_account, store_account
from syncd.sync.listing import plan_choice
from syncd.sync.sign_in import GOOGLE, Reception, Signed

log = structlog.get_logger("syncd.management")

CALLBACK = "/oauth/google/callback"
PATIENCE = 15.0  # seconds
_MOST_QUESTIONS = 2
_LATE = timedelta(minutes=2)  # an answer that came just in time is being looked at


@dataclass(frozen=True, slots=True)
class Beginning:
    """What beginning a sign-in needs: a transaction, the configuration, sealing, the time, where Google sends back."""

    session: Session
    config: Config
    vault: Vault
    now: datetime
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Question:
    """Where a person is asked, until when, and for what: scopes with their purposes."""

    authorize_url: str
    expires_at: datetime
    scopes: Mapping[str, str]


def begin(at: Beginning, person: Freelancer, key_id: str, values: Mapping[str, Any]) -> Question:
    """Begin to connect a freelancer's account as `values` say, or to connect it anew. Raises ApiError."""
    if values["provider"] != GOOGLE:
        raise invalid("/provider", f"{values['provider']} is not supported by this version")
    for member in ("url", "username", "password"):
        if member in values:
            raise invalid(f"/{member}", "isn't sent: its owner signs in at Google")
    settings = {name: value for name, value in values.items() if name not in ("provider", "name")}
    name = values.get("name", GOOGLE)
    known = known_account(at.session, person.handle, name, GOOGLE)
    _check(person, name, known, settings)
    target = settings.get("target", known.target)
    scopes = sign_in.first_scopes(known, takes_bookings=bool(target))
    asking = sign_in.begin(at.redirect_uri, scopes, known.user, secrets.token_urlsafe)
    return _kept(at, _begun(person.id, key_id, name, settings, asking), asking)


def _check(person: Freelancer, name: str, known: Known, settings: Mapping[str, Any]) -> None:
    sign_in.check_user("", name, known)
    if known.is_declared and settings:
        raise file_only(f"the account {name}")
    if settings.get("target"):
        check_one_target(person, name, settings["target"])


def _begun(freelancer_id: str, key_id: str, name: str, settings: Mapping[str, Any], asking: Asking) -> Begun:
    scopes = tuple(sorted(asking.scopes))
    return Begun(
        GOOGLE, freelancer_id, key_id, name, settings, asking.redirect_uri, asking.verifier, scopes, asking.user
    )


def _kept(at: Beginning, begun: Begun, asking: Asking) -> Question:
    try:
        client = sign_in.google_client(at.config)
    except ConfigError:
        detail = "google isn't set up here: the operator gives [google] in the configuration, `syncd doctor` says how"
        raise invalid("/provider", detail) from None
    sign_in.make_room(at.session, at.now)
    expires_at = sign_ins.keep(at.session, at.vault, asking.state, begun, at.now)
    return Question(authorize_url(client, asking), expires_at, sign_in.purposes(asking.scopes))


# The answer


@dataclass(frozen=True, slots=True)
class Told:
    """What Google sent back: a `code`, or an `error`."""

    state: str
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Connected:
    """An account that is connected now: at Google it is `user`'s, and here `freelancer`'s, by name and handle.

    `missing` are the chosen calendars that it hasn't.
    """

    name: str
    user: str
    freelancer: tuple[str, str]
    calendars: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Received:
    """A sign-in that was answered with a permission."""

    begun: Begun
    reception: Reception
    signed: Signed

    def give_back(self) -> None:
        sign_in.give_back(self.reception, self.signed.grant, self.signed.user)


def end(services: Services, told: Told) -> Connected | Question:
    """Store the account, or ask the person for what its calendars need besides.

    Raises ApiError and ProviderError, and then nothing was changed.
    """
    received = _patiently(lambda: _received(services, told))
    begun, signed = received.begun, received.signed
    with (
        _ending(services, begun),
        sign_in.giving_back_if_refused(received.reception, signed.grant, signed.user),
        services.store.write() as session,
    ):
        at = Beginning(session, services.config, services.vault, services.clock(), begun.redirect_uri)
        ended = _ended(at, begun, signed)
    services.nudge()
    return ended


def _patiently(work: Callable[[], _Received]) -> _Received:
    try:
        return connecting.within(2 * PATIENCE, work, _Received.give_back)
    except TimeoutError:
        raise ApiError(
            "provider-unavailable", "Google didn't answer in time: nothing was changed, begin again"
        ) from None


def _received(services: Services, told: Told) -> _Received:
    """Take the sign-in that the answer belongs to, once there is room to look at it."""
    with services.store.write() as session:
        begun = sign_ins.take(session, services.vault, GOOGLE, told.state, services.clock())
    if begun is None:
        detail = "this sign-in isn't known, or no longer: if it was connected a moment ago, you can close this window"
        raise ApiError("not-found", f"{detail}; else ask for a new address, and begin again")
    with _ending(services, begun):
        if not told.code:
            raise sign_in.refused(told.error)
        client = sign_in.google_client(services.config)
        reception = Reception(client, services.open_provider, services.store, services.vault, services.clock, PATIENCE)
        asking = Asking(begun.redirect_uri, frozenset(begun.scopes), told.state, begun.verifier, begun.user)
        return _Received(begun, reception, sign_in.end(reception, asking, told.code))


@contextmanager
def _ending(services: Services, begun: Begun) -> Iterator[None]:
    """What was given in answer to the first question is given back at once when the second comes to nothing."""
    try:
        yield
    except Exception:
        if begun.farewell:
            with services.store.write() as session:
                farewells.hasten(session, begun.farewell, services.clock())
            services.nudge()
        raise


def _ended(at: Beginning, begun: Begun, signed: Signed) -> Connected | Question:
    person, known = _still_wanted(at.session, begun)
    sign_in.check_user(signed.user, begun.name, replace(known, user=known.user or begun.user))
    wanted = connecting.wanted_of(begun.values, GOOGLE, begun.name, Access(""), known)
    wanted = replace(wanted, access=signed.access(known))
    keeps = known.is_connected and not {"blocks", "target"} & begun.values.keys()
    choose = plan_choice if keeps else choice_of
    found = Found(signed.calendars, choose(signed.calendars, wanted.blocks, wanted.target))
    needed = sign_in.needed_by(found)
    if signed.grant.lacks(needed) and begun.questions < _MOST_QUESTIONS:
        return _asked_again(at, begun, signed, needed)
    sign_in.check_granted(signed.grant, needed)
    account = store_account(Storing(at.session, at.config, at.vault, at.now), wanted, known, found)
    farewells.drop(at.session, begun.farewell)
    log.info("an account is connected", account=account.name, account_id=account.id, freelancer=person.handle)
    whose = (person.name, person.handle)
    return Connected(account.name, signed.user, whose, len(signed.calendars), found.choice.missing)


def _still_wanted(session: Session, begun: Begun) -> tuple[Freelancer, Known]:
    """The freelancer and what is known by now. Raises ApiError where whoever began it may no longer."""
    person, key = session.get(Freelancer, begun.freelancer_id), session.get(ApiKey, begun.key_id)
    if person is None or person.removed or key is None or key.revoked_at is not None:
        raise ApiError("forbidden", "who asked for this sign-in may no longer connect accounts: nothing was changed")
    known = known_account(session, person.handle, begun.name, GOOGLE)
    _check(person, begun.name, known, begun.values)
    return person, known


def _asked_again(at: Beginning, begun: Begun, signed: Signed, needed: frozenset[str]) -> Question:
    scopes = frozenset(begun.scopes) | needed
    asking = sign_in.begin(begun.redirect_uri, scopes, signed.user, secrets.token_urlsafe)
    again = replace(
        begun,
        verifier=asking.verifier,
        scopes=tuple(sorted(scopes)),
        user=signed.user,
        questions=begun.questions + 1,
        farewell=_owed_if_unanswered(at, signed),
    )
    return _kept(at, again, asking)


def _owed_if_unanswered(at: Beginning, signed: Signed) -> int:
    """Note what was given so far: it is given back when no account has come of it by the end of the second question."""
    sealed = sealed_whole(signed.access(Known("", frozenset())), at.vault)
    return farewells.owe_unkept(at.session, GOOGLE, sealed, at.now + sign_ins.LASTS + _LATE, at.now)
