"""Connecting an account for a caller who waits: its server is asked for so long, and what it says told by its cause.

Decides which failure is the caller's to mend (422, by JSON pointer) and which is the server's (502). Private networks
are the operator's to allow, never the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import TypeVar

from providers.connections import is_at_home
from providers.errors import GrantRevoked, ProviderError, Transient
from providers.model import Connection
from syncd.errors import ApiError, invalid
from syncd.log import scrub
from syncd.sync.connect import Found, OpenProvider, Wanted, choice_of, list_calendars, opened_account

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


def ask(open_provider: OpenProvider, wanted: Wanted, connection: Connection, patience: float = PATIENCE) -> Found:
    """Which calendars the account has, chosen from as wanted. Raises ApiError for everything that stands in the way."""
    try:
        return _within(patience, lambda: _ask(open_provider, wanted, connection))
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


def _within(patience: float, work: Callable[[], T]) -> T:
    """What the work returns. Raises what it raises, TimeoutError if it takes too long: then it ends by itself."""
    if not _room.acquire(blocking=False):
        raise ApiError("rate-limited", "too many accounts are being connected at this moment", retry_after=5)
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the waiting thread's
            done.set_exception(error)
        finally:
            _room.release()

    Thread(target=run, name="connect", daemon=True).start()
    return done.result(patience)
