"""What an error of the caldav package, or of what lies beneath it, means: one table, and the place where it is used.

Decides the leaf of `providers.errors` and its text, which names the host and the reason, never a body, a path or a
secret. Refuses to know which call failed: the calls that can tell more from a status look themselves, first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.parse import urlsplit

from caldav.discovery import DiscoveryError
from caldav.lib import error as dav
from lxml.etree import LxmlError  # type: ignore[import-untyped]
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    GrantRevoked,
    InvalidResponse,
    NotFound,
    ProviderError,
    Unavailable,
)
from providers.reasons import reason
from providers.transport import leaf_for_exception, leaf_for_status, retry_after

LEAF_BY_DAV_ERROR: dict[type[dav.DAVError], type[ProviderError]] = {
    # what it means when the error carries no HTTP status; with one, the status decides
    **dict.fromkeys((dav.AuthorizationError,), GrantRevoked),
    **dict.fromkeys((dav.RateLimitError, DiscoveryError), Unavailable),
    **dict.fromkeys((dav.NotFoundError,), NotFound),
    **dict.fromkeys((dav.ETagMismatchError, dav.ScheduleTagMismatchError), ETagMismatch),
    **dict.fromkeys(
        (
            dav.UidConflictError,
            dav.UidConflictAuthorizationError,
            dav.UidConflictConsistencyAuthorizationError,
            dav.UidConflictConsistencyError,
            dav.UidConflictETagMismatchError,
            dav.UidConflictScheduleTagMismatchError,
        ),
        AlreadyExists,
    ),
    **dict.fromkeys(
        (
            dav.DAVError,
            dav.ConsistencyError,
            dav.DeleteError,
            dav.MkcalendarError,
            dav.MkcolError,
            dav.PropfindError,
            dav.ProppatchError,
            dav.PropsetError,
            dav.PutError,
            dav.ReportError,
            dav.ResponseError,
        ),
        InvalidResponse,
    ),
}


@contextmanager
def translated(url: str, *, calendar: str | None = None, remote_id: str | None = None) -> Iterator[None]:
    """Turn whatever the libraries raise while talking to `url` into a `ProviderError` that knows where it was."""
    try:
        yield
    except ProviderError as error:
        error.calendar = error.calendar or calendar
        error.remote_id = error.remote_id or remote_id
        raise
    except dav.DAVError as error:
        raise _of_dav(error, url, calendar, remote_id) from error
    except (RequestException, HTTPError, OSError, HTTPException, LxmlError, ValueError) as error:
        raise _of_library(error, url, calendar, remote_id) from error


def leaf_of(error: dav.DAVError) -> type[ProviderError]:
    """Return what an error of the caldav package means: a UID conflict first, then its status, then its class."""
    if isinstance(error, dav.UidConflictError) or dav.UID_CONFLICT_PRECONDITIONS.intersection(error.preconditions):
        return AlreadyExists
    if error.status is not None:
        return leaf_for_status(error.status)
    return next(LEAF_BY_DAV_ERROR[kind] for kind in type(error).__mro__ if kind in LEAF_BY_DAV_ERROR)


def _of_dav(error: dav.DAVError, url: str, calendar: str | None, remote_id: str | None) -> ProviderError:
    pause = retry_after(error.retry_after, now=datetime.now(UTC)) if isinstance(error, dav.RateLimitError) else None
    said = [f"HTTP {error.status}"] if error.status is not None else []
    said += [name.rpartition("}")[2] for name in error.preconditions]
    leaf = leaf_of(error)
    told = ", ".join(said) or type(error).__name__
    what = f"doesn't accept the user name and password ({told})" if leaf is GrantRevoked else f"answered {told}"
    msg = f"{_host(url)} {what}"
    if leaf is NotFound and calendar and not remote_id:
        msg += ": the calendar isn't there"
    return leaf(msg, calendar=calendar, remote_id=remote_id, retry_after=pause)


def _of_library(error: Exception, url: str, calendar: str | None, remote_id: str | None) -> ProviderError:
    leaf = InvalidResponse if isinstance(error, LxmlError) else leaf_for_exception(error)
    host = _host(getattr(getattr(error, "request", None), "url", None) or url)  # a redirect may have led elsewhere
    what = "can't be reached" if leaf is Unavailable else "couldn't be asked, or its answer not be read"
    told = reason(error, host) if leaf is Unavailable else None
    return leaf(told or f"{host} {what} ({type(error).__name__})", calendar=calendar, remote_id=remote_id)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
