"""A freelancer's accounts over HTTP: connected by really asking their server, changed, pulled, disconnected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator
from sqlalchemy.orm import Session

from syncd.api.acting import BodyBytes, IdempotencyKey
from syncd.api.answers import Answer
from syncd.api.credentials import presented
from syncd.api.idempotency import Sent, replay
from syncd.api.management.desk import (
    CHANGING,
    PROBLEMS,
    READING,
    Desk,
    IfMatch,
    change,
    check_match,
    create,
    desk_of,
    look_up,
    made,
    page,
    there,
)
from syncd.api.schemas.common import Problem
from syncd.api.schemas.links import PageQuery
from syncd.api.schemas.management import (
    AccountList,
    AccountSettings,
    AccountView,
    Disconnected,
    NewAccount,
    SignInView,
)
from syncd.errors import ApiError, invalid
from syncd.instants import rfc3339
from syncd.management import accounts, connecting, signing_in
from syncd.management.tables import file_only
from syncd.services import Services
from syncd.store.access import SIGNED_IN, Access, access_of
from syncd.store.models import Account
from syncd.sync.connect import Found, Known, Storing, Wanted, connection_to, known_account, store_account

router = APIRouter(tags=["accounts"])
_ALL, _ONE = "/v1/freelancers/{handle}/accounts", "/v1/freelancers/{handle}/accounts/{account_id}"
_ASKING: dict[int | str, dict[str, Any]] = {502: {"model": Problem}}
_ACCESS = ("url", "username", "password")


@router.get(_ALL, operation_id="list_accounts", responses={200: {"model": AccountList}, **READING})
def list_accounts(request: Request, handle: str, asked: Annotated[PageQuery, Query()]) -> Response:
    """A freelancer's connected accounts, by name."""

    def document(desk: Desk) -> dict[str, object]:
        person = desk.freelancer(handle)
        return page(
            "accounts",
            asked,
            lambda after, limit: accounts.list_accounts(desk.session, person, after, limit),
            lambda row: row.name,
            accounts.account_json,
        )

    return look_up(request, document)


@router.post(
    _ALL,
    operation_id="connect_account",
    status_code=201,
    responses={201: {"model": AccountView}, 202: {"model": SignInView}, **PROBLEMS, **_ASKING},
)
def connect_account(
    request: Request, handle: str, body: BodyBytes, sent: NewAccount, idempotency_key: IdempotencyKey = None
) -> Response:
    """Connect an account: its server is asked, with the password, before anything is kept.

    Everything blocks unless `blocks` names calendars; `target` names the one that consultations are written to.

    A Google account has no password: the answer is 202 with the `authorize_url` at which its owner gives permission in
    a browser, and the account is there, or connected anew under its name, once they have.
    """
    services: Services = request.app.state.services
    with services.store.read() as session:
        desk_of(request, session).freelancer(handle)
    before = Sent("POST", request.url.path, presented(request), idempotency_key, body)
    if (kept := replay(services, before)) is not None:
        return kept.response(request)
    values = sent.model_dump(exclude_unset=True)
    if sent.provider in SIGNED_IN:
        return create(request, idempotency_key, body, lambda desk: _signing_in(desk, handle, values))
    wanted = connecting.wanted_of(
        values, sent.provider, values.get("name", sent.provider), Access(""), Known("", frozenset())
    )
    connecting.check_kind(wanted)
    with services.store.read() as session:
        known = _unconnected(session, handle, wanted.name)
    found = connecting.ask(services.open_provider, wanted, connection_to(services.config, wanted, known))

    def action(desk: Desk) -> Answer:
        person = desk.freelancer(handle)
        row = _store(desk, wanted, _unconnected(desk.session, handle, wanted.name), found)
        return made(f"/v1/freelancers/{person.handle}/accounts/{row.id}", accounts.account_json(row))

    return create(request, idempotency_key, body, action)


def _signing_in(desk: Desk, handle: str, values: dict[str, Any]) -> Answer:
    services = desk.services
    redirect_uri = f"{desk.config.public_url(services.port)}{signing_in.CALLBACK}"
    at = signing_in.Beginning(desk.session, desk.config, services.vault, desk.now, redirect_uri)
    begun = signing_in.begin(at, desk.freelancer(handle), desk.holder.key_id, values)
    document = {
        "authorize_url": begun.authorize_url,
        "expires_at": rfc3339(begun.expires_at),
        "scopes": [{"scope": scope, "purpose": purpose} for scope, purpose in begun.scopes.items()],
    }
    return Answer.of(202, document, {"Cache-Control": "no-store"})


def _unconnected(session: Session, handle: str, name: str) -> Known:
    known = known_account(session, handle, name)
    if known.is_connected:
        raise ApiError("wrong-state", f"there is an account {name} already: choose another name, or change that one")
    return known


def _store(desk: Desk, wanted: Wanted, known: Known, found: Found) -> Account:
    return store_account(Storing(desk.session, desk.config, desk.services.vault, desk.now), wanted, known, found)


@router.get(_ONE, operation_id="get_account", responses={200: {"model": AccountView}, **READING})
def get_account(request: Request, handle: str, account_id: str) -> Response:
    """An account and its state."""
    return look_up(request, _shown(handle, account_id))


def _shown(handle: str, account_id: str) -> Callable[[Desk], dict[str, Any]]:
    return lambda desk: accounts.account_json(_account(desk, handle, account_id))


def _account(desk: Desk, handle: str, account_id: str) -> Account:
    return there(accounts.find_account(desk.session, desk.freelancer(handle), account_id), "account")


def _leaving(desk: Desk, handle: str, account_id: str) -> Account:
    return there(accounts.find_leaving(desk.session, desk.freelancer(handle), account_id), "account")


@router.patch(_ONE, operation_id="update_account", responses={200: {"model": AccountView}, **CHANGING, **_ASKING})
def update_account(
    request: Request, handle: str, account_id: str, sent: AccountSettings, if_match: IfMatch = None
) -> Response:
    """Change what the body names. With an address, a user name or a password the server is asked first."""
    values = sent.model_dump(exclude_unset=True)
    if any(name in values for name in _ACCESS):
        return _reconnect(request, (handle, account_id), if_match, values)

    def action(desk: Desk) -> Answer:
        row = _account(desk, handle, account_id)
        accounts.change_account(desk.session, desk.config, row, values, desk.now)
        return Answer.of(200, accounts.account_json(row))

    return change(request, if_match, _shown(handle, account_id), action)


def _reconnect(request: Request, at: tuple[str, str], if_match: str | None, values: dict[str, Any]) -> Response:
    services: Services = request.app.state.services
    handle, account_id = at
    with services.store.read() as session:
        row = _account(desk := desk_of(request, session), handle, account_id)
        check_match(desk, if_match, _shown(handle, account_id))
        if row.declared:
            raise file_only(f"the account {row.name}")
        if row.provider in SIGNED_IN:
            pointer = next(f"/{name}" for name in _ACCESS if name in values)
            raise invalid(pointer, "isn't this account's: a POST of its provider and name to its list signs in anew")
        wanted = _renewed(services, row, known := known_account(session, handle, row.name), values)
    connecting.check_kind(wanted)
    found = connecting.ask(services.open_provider, wanted, connection_to(services.config, wanted, known))

    def action(desk: Desk) -> Answer:
        row = _account(desk, handle, account_id)
        # What else was changed while the server was asked stays.
        current = _renewed(services, row, known := known_account(desk.session, handle, row.name), values)
        if current.access != wanted.access:
            raise ApiError("wrong-state", "the account was given another access meanwhile: look at it, and try again")
        _store(desk, current, known, found)
        return Answer.of(200, accounts.account_json(row))

    return change(request, if_match, _shown(handle, account_id), action)


def _renewed(services: Services, row: Account, known: Known, values: dict[str, Any]) -> Wanted:
    """The account with its new access. A password is told to no address but the one it was given for, and what the
    operator allowed, they allowed for that one. Raises ApiError."""
    access = access_of(row, services.vault) or Access(row.url, row.username)
    paced = {"sync_every_seconds": row.sync_every_seconds, **values}
    wanted = connecting.wanted_of(paced, row.provider, row.name, access, known)
    if wanted.access.url != access.url:
        if access.secret and "password" not in values:
            raise invalid("/password", "is missing: another address has to be given the password anew")
        return wanted
    return replace(wanted, allow_private=row.allow_private, ca_file=row.ca_file)


@router.delete(_ONE, operation_id="disconnect_account", responses={200: {"model": Disconnected}, **CHANGING})
def disconnect_account(request: Request, handle: str, account_id: str, if_match: IfMatch = None) -> Response:
    """Forget an account's password and all that its calendars said; the answer names what was still owed to it."""

    def action(desk: Desk) -> Answer:
        row = _leaving(desk, handle, account_id)
        owed = accounts.disconnect(desk.session, row, desk.now)
        left = [{"booking": one.booking_id, "step": one.step} for one in owed]
        return Answer.of(200, {"id": row.id, "name": row.name, "owed": left})

    return change(request, if_match, lambda desk: accounts.account_json(_leaving(desk, handle, account_id)), action)


Full = Annotated[
    bool,
    BeforeValidator(lambda value: True if value == "" else value),
    Query(description="Read everything anew, and believe what was held back."),
]


@router.post(
    f"{_ONE}/sync", operation_id="sync_account", status_code=202, responses={202: {"model": AccountView}, **PROBLEMS}
)
def sync_account(
    request: Request,
    handle: str,
    account_id: str,
    body: BodyBytes,
    full: Full = False,  # noqa: FBT002 - a query's member
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Pull an account's calendars now, in the background."""

    def action(desk: Desk) -> Answer:
        row = _account(desk, handle, account_id)
        accounts.pull_soon(row, desk.now, full=full)
        return Answer.of(202, accounts.account_json(row))

    return create(request, idempotency_key, body, action)
