"""Connecting an account for a caller who waits: its server is asked for so long, and what it says told by its cause.

Decides which failure is the caller's to mend (422, by JSON pointer) and which is the server's (502). Private networks
are the operator's to allow, never the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Any, TypeVar

from providers.connections import is_at_home
from providers.errors import GrantRevoked, ProviderError, Transient
from providers.model import Connection
from syncd.errors import ApiError, invalid
from syncd.log import scrub
from syncd.store.access import Access
from syncd.sync.connect import Found, Habits, Known, OpenProvider, Wanted, choice_of, list_calendars, opened_account

PATIENCE = 20.0  # seconds
AT_ONCE = 8  # servers that may be asked at a time: more would keep everyone else's requests waiting
ADAPTERS = ("caldav", "ics")
T = TypeVar("T")
_room = BoundedSemaphore(AT_ONCE)


def check_kind(wanted: Wanted) -> None:
    """Raises ApiError for what can't be connected by sending an address and a password."""
    if wanted.provider not in ADAPTERS:
        detail = f"must be one of {', '.join(ADAPTERS)}: {wanted.provider} is not supported by this version"
        raise invalid("/provider", detail)
    if not wanted.access.url:
        raise invalid("/url", "is missing: the address of the server or the feed")


def wanted_of(values: Mapping[str, Any], provider: str, name: str, access: Access, known: Known) -> Wanted:
    """The account as it shall be: what is sent, laid over what is known."""
    return Wanted(
        provider=provider,
        name=name,
        access=Access(
            values.get("url", access.url),
            values.get("username", access.username),
            values.get("password", access.secret),
        ),
        blocks=values.get("blocks", known.blocks),
        target=values.get("target", known.target),
        habits=Habits(
            tentative=values.get("tentative", known.habits.tentative),
            unanswered=values.get("unanswered", known.habits.unanswered),
            working_elsewhere=values.get("working_elsewhere", known.habits.working_elsewhere),
            when_stale=values.get("when_stale", known.habits.when_stale),
            sync_every_seconds=values.get("sync_every_seconds", known.habits.sync_every_seconds),
        ),
    )


def ask(open_provider: OpenProvider, wanted: Wanted, connection: Connection, patience: float = PATIENCE) -> Found:
    """Which calendars the account has, chosen from as wanted. Raises ApiError for everything that stands in the way."""
    try:
        return within(patience, lambda: _ask(open_provider, wanted, connection))
    except GrantRevoked as error:
        raise invalid("/password", scrub(str(error))) from None
    except Transient as error:
        raise ApiError("provider-unavailable", scrub(str(error)), retry_after=error.retry_after) from None
    except TimeoutError:
        detail = f"the server didn't answer within {patience:g} seconds: nothing was changed, try again"
        raise ApiError("provider-unavailable", detail) from None
    except ProviderError as error:
        raise invalid("/url", f"no calendars are found there: {scrub(str(error))}") from None


def _ask(open_provider: OpenProvider, wanted: Wanted, connection: Connection) -> Found:
    if not connection.allow_private and is_at_home(connection.url):
        raise invalid("/url", "is on a private network: only the operator of this installation may allow that")
    with opened_account(open_provider, wanted.provider, connection) as provider:
        calendars = list_calendars(provider)
        return Found(calendars, choice_of(calendars, wanted.blocks, wanted.target))


def within(patience: float, work: Callable[[], T], unwanted: Callable[[T], object] = bool) -> T:
    """What the work returns. Raises what it raises, TimeoutError if it takes too long: then it ends by itself, and what
    it made is `unwanted`.

    Raises ApiError where too much is being asked already.
    """
    if not _room.acquire(blocking=False):
        raise ApiError("rate-limited", "too many accounts are being connected at this moment", retry_after=5)
    done: Future[T] = Future()

    def run() -> None:
        try:
            _work(done, work, unwanted)
        finally:
            _room.release()

    Thread(target=run, name="connect", daemon=True).start()
    try:
        return done.result(patience)
    except TimeoutError:
        if done.cancel():
            raise
        return done.result()  # it came just then


def _work(done: Future[T], work: Callable[[], T], unwanted: Callable[[T], object]) -> None:
    try:
        made = work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the waiting thread's
        if done.set_running_or_notify_cancel():
            done.set_exception(error)
        return
    if done.set_running_or_notify_cancel():
        done.set_result(made)
    else:
        unwanted(made)
