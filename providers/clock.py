"""What time a server says it is, by the Date of any answer (RFC 9110 §6.6.1). No credential is sent, nothing read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException

from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from providers.errors import ProviderError
from providers.model import Connection
from providers.transport import Limits, open_session

_LIMITS = Limits(connect=5.0, read=10.0, total=15.0, size=1024 * 1024)
_TO_THE_SECOND = timedelta(seconds=0.5)  # a Date has whole seconds: it lies half a second back on average


def clock_of(connection: Connection, now: Callable[[], datetime]) -> timedelta | None:
    """How far the server's clock is ahead of ours, to about a second; None where it doesn't tell."""
    session = open_session(allow_private=connection.allow_private, ca_file=connection.ca_file, limits=_LIMITS)
    try:
        asked_at = now()
        answer = session.request("OPTIONS", connection.url)
        told = parsedate_to_datetime(answer.headers.get("Date", ""))
    except (ProviderError, RequestException, HTTPError, HTTPException, OSError, ValueError, TypeError):
        return None
    finally:
        session.close()
    between = asked_at + (now() - asked_at) / 2
    return told.replace(tzinfo=told.tzinfo or UTC) + _TO_THE_SECOND - between
