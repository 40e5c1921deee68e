"""A sign-in at Google: which permissions are asked for, whose they are, and whether they are enough.

Decides the least that has to be asked, what follows from a box that is left unticked, and that an account stays its
user's. Refuses to know how a person gets to Google and back, and where a sign-in waits meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from providers.errors import GrantRevoked, InvalidResponse, PermissionDenied, ProviderError
from providers.google.permissions import FREE_BUSY, LISTING, PURPOSES, READING, WRITING_ALL, WRITING_OWN, Asking, Grant
from providers.model import Connection, OAuthClient, RemoteCalendar
from syncd.config import Config
from syncd.errors import ApiError, ConfigError, Mistake
from syncd.secrets import Vault
from syncd.store import farewells
from syncd.store.access import Access, reach_of, sealed_whole
from syncd.store.engine import Store
from syncd.sync.connect import Found, Known, OpenProvider
from syncd.sync.listing import Choice

GOOGLE = "google"
_FIRST = frozenset({LISTING, READING})
_GIVING_BACK = 5.0  # seconds
LASTS = timedelta(minutes=10)
"""So long a person may take to answer."""
_LEFT = (
    "What was given is left at Google, since it isn't known whose it is: unless you begin again, or another account "
    "of yours is in use here, remove it at https://myaccount.google.com/permissions"
)


def google_client(config: Config) -> OAuthClient:
    """syncd as Google knows it. Raises ConfigError, which says how it gets to be known there."""
    client = reach_of(config).google
    if client is None:
        expected = (
            "is missing: make an OAuth client in the Google Cloud console (APIs & Services, Credentials; of type "
            'Desktop app for `syncd connect google`, of type Web application with the redirect URI "<public_url>'
            '/oauth/google/callback" for sign-ins by the web), enable the Google Calendar API, and set client_id and '
            "client_secret_env there"
        )
        raise ConfigError(mistakes=[Mistake("[google]", expected)])
    return client


def begin(redirect_uri: str, scopes: Iterable[str], user: str, random: Callable[[int], str]) -> Asking:
    """A new question to a person; `random(n)` gives n unguessable bytes as text."""
    return Asking(redirect_uri, frozenset(scopes), state=random(32), verifier=random(48), user=user)


def purposes(scopes: Iterable[str]) -> Mapping[str, str]:
    """What each scope that is asked for is for."""
    asked = frozenset(scopes)
    return {scope: purpose for scope, purpose in PURPOSES.items() if scope in asked}


def first_scopes(known: Known, *, takes_bookings: bool) -> frozenset[str]:
    """What has to be asked before anything is known of the calendars, and what was needed when they were known."""
    before = needed(known.calendars, known.takes)
    target = frozenset({WRITING_OWN}) if takes_bookings and WRITING_ALL not in before else frozenset[str]()
    return _FIRST | before | target


def needed(chosen: Iterable[RemoteCalendar], target: RemoteCalendar | None) -> frozenset[str]:
    """What the calendars that were chosen need beyond the first scopes; of one whose role isn't known, the least."""
    scopes = {FREE_BUSY for calendar in chosen if calendar.role == "free_busy"}
    if target is not None:
        scopes.add(WRITING_OWN if target.role in ("owner", None) else WRITING_ALL)
    return frozenset(scopes)


def needed_by(found: Found) -> frozenset[str]:
    """What the calendars that were found and chosen need beyond the first scopes."""
    blocking = [c for c in found.calendars if c.remote_id in found.choice.blocks]
    return needed(blocking, _target(found.calendars, found.choice))


def _target(calendars: Sequence[RemoteCalendar], choice: Choice) -> RemoteCalendar | None:
    return next((c for c in calendars if c.remote_id == choice.target), None)


# The answer


@dataclass(frozen=True, slots=True)
class Signed:
    """A permission that was just given, whose it is, and what it opens."""

    grant: Grant
    user: str
    calendars: Sequence[RemoteCalendar]

    def access(self, known: Known) -> Access:
        """What an account keeps of it; the same user is written as before."""
        is_same = known.user.casefold() == self.user.casefold()
        return Access("", known.user if is_same else self.user, self.grant.text())


@dataclass(frozen=True, slots=True)
class Reception:
    """Where the answer of a person is looked at; each request to Google may take `patience` seconds, None: as it
    takes."""

    client: OAuthClient
    open_provider: OpenProvider
    store: Store
    vault: Vault
    clock: Callable[[], datetime]
    patience: float | None = None


def refused(error: str) -> ProviderError:
    """What an answer of Google's without a code means (RFC 6749, 4.1.2.1)."""
    if error == "access_denied":
        return PermissionDenied("permission was refused at Google, so nothing was changed: begin again to give it")
    if error == "admin_policy_enforced":
        return PermissionDenied("the administrator of this Google Workspace doesn't allow it: nothing was changed")
    word = error if error.isidentifier() and len(error) <= 64 else "an error"
    return PermissionDenied(f"Google answered {word} instead of giving permission: nothing was changed, begin again")


def end(reception: Reception, asking: Asking, code: str) -> Signed:
    """Turn the code of a person's answer into a permission, and see whose it is and what it opens.

    Raises PermissionDenied where a box was left unticked, GrantRevoked for a code that isn't good, Transient.
    """
    from providers.google.oauth import exchange  # with its libraries, once somebody signs in

    with reception.store.write() as session:
        make_room(session, reception.clock())
    try:
        grant = exchange(reception.client, asking, code, reception.clock(), reception.patience)
    except GrantRevoked as error:
        raise PermissionDenied(f"{error}: nothing was changed, begin again") from None
    with giving_back_if_refused(reception, grant, ""):
        signed = _seen(reception, asking, grant)
    with giving_back_if_refused(reception, grant, signed.user):
        check_granted(grant, _FIRST)
    return signed


def _seen(reception: Reception, asking: Asking, grant: Grant) -> Signed:
    """Whose a permission is; where its user can't be known by it, all that is missing is told."""
    if grant.lacks({LISTING}):
        check_granted(grant, _FIRST)
    connection = Connection("", asking.user, grant.text(), client=reception.client, patience=reception.patience)
    with closing(reception.open_provider(GOOGLE, connection)) as provider:
        calendars = provider.list_calendars()
    return Signed(grant, _user_of(calendars), calendars)


def check_granted(grant: Grant, scopes: Iterable[str]) -> None:
    """Raise PermissionDenied, with what is missing and what it is for, unless all of them were granted."""
    missing = purposes(grant.lacks(scopes)).values()
    if missing:
        what = "; and ".join(missing)
        raise PermissionDenied(
            f"a permission was left out that is needed {what}: nothing was changed. Sign in again and tick its box"
        )


def _user_of(calendars: Iterable[RemoteCalendar]) -> str:
    """The address of whoever signed in: it is the id of their primary calendar."""
    user = next((c.remote_id for c in calendars if c.is_primary), "")
    if not user:
        raise InvalidResponse("Google names no primary calendar, by which one knows whose account it is")
    return user


def check_user(user: str, name: str, known: Known) -> None:
    """Raise ApiError for an account of that name that is another's, or another provider's."""
    if known.is_connected and known.provider != GOOGLE:
        detail = f"{name} is an account of another kind ({known.provider}): choose another name, or disconnect it first"
        raise ApiError("wrong-state", detail)
    if known.user and user and known.user.casefold() != user.casefold():
        detail = f"this account is {known.user}'s, and {user} has signed in: nothing was changed"
        way = "disconnect it first"
        if known.is_declared:
            way = f'set username = "{user}" in its section of the configuration file'
        raise ApiError("wrong-state", f"{detail}. Sign in as {known.user}, or {way}")


# What nobody keeps


@contextmanager
def giving_back_if_refused(reception: Reception, grant: Grant, user: str) -> Iterator[None]:
    """A permission that nobody keeps is given back at once, unless another account of that user lives by it.

    Whose it is may not be known (""): then it is left where any account lives by a permission, and the error says so.
    """
    try:
        yield
    except ProviderError as error:
        if give_back(reception, grant, user) or user:
            raise
        raise type(error)(f"{error}. {_LEFT}", retry_after=error.retry_after) from None
    except BaseException:  # also what is interrupted leaves nothing behind
        give_back(reception, grant, user)
        raise


def give_back(reception: Reception, grant: Grant, user: str) -> bool:
    """Give a permission back that no account lives by, or note that it is owed; returns whether that was right."""
    from providers.google.oauth import revoke

    with reception.store.read() as session:
        if farewells.has_account(session, GOOGLE, user):
            return False
    try:
        revoke(reception.client, grant, _GIVING_BACK)
    except ProviderError:
        sealed, now = sealed_whole(Access("", user, grant.text()), reception.vault), reception.clock()
        with reception.store.write() as session:
            farewells.owe_unkept(session, GOOGLE, sealed, now, now)
    return True


def make_room(session: Session, now: datetime) -> None:
    """Have nothing given back while a person signs in: it would end what they are giving."""
    farewells.make_room(session, GOOGLE, now + LASTS, now)
