"""How requests to Google travel: by our own transport, in the shape that Google's two libraries ask of theirs.

Decides time-outs, bounds and deadlines by `providers.transport`, that a refused access token is replaced once, and
which answer of the token endpoint is one.
Refuses to know what is asked. `httplib2`, which the API library would use, knows no deadline, no bound of bytes, and
can't be shared between threads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httplib2
from google.auth import transport as auth_transport
from googleapiclient.errors import HttpError

from providers.errors import Unavailable
from providers.google.failures import of_token_endpoint
from providers.model import Connection
from providers.transport import GuardedSession, Limits, open_session, retry_after

LONGEST = 10 * 365 * 86_400  # seconds that anything may be said to last
_LIMITS = Limits(connect=10.0, read=60.0, total=180.0, redirects=0)


def open_google_session(connection: Connection | None = None) -> GuardedSession:
    """A session for Google's addresses, which are the operator's settings: private ones are fine.

    Its certificates are those of `REQUESTS_CA_BUNDLE`, where that is set.
    """
    return open_session(
        allow_private=True,
        ca_file=os.environ.get("REQUESTS_CA_BUNDLE", ""),
        limits=_LIMITS,
        patience=connection.patience if connection else None,
    )


Bearer = Callable[[str | None], str]
"""Gives an access token: another than the one that was refused, if one is named."""


class Http:
    """What `googleapiclient` calls its `http`: `request` sends with an access token and returns what came."""

    def __init__(self, session: GuardedSession, bearer: Bearer) -> None:
        self._session, self._bearer = session, bearer

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,  # redirections and connection_type are httplib2's
    ) -> tuple[httplib2.Response, bytes]:
        """Send; once more with a new access token if the first was refused (401). Raises HttpError."""
        token = self._bearer(None)
        answer = self._send(uri, method, body, headers, token)
        if answer.status == 401:
            answer = self._send(uri, method, body, headers, self._bearer(token))
        if answer.status >= 300:
            raise HttpError(answer, answer.content, uri)  # the library stumbles over errors of a shape it doesn't know
        return answer, answer.content

    def _send(
        self, uri: str, method: str, body: str | bytes | None, headers: Mapping[str, str] | None, token: str
    ) -> _Answer:
        signed = {**(headers or {}), "authorization": f"Bearer {token}"}
        signed.pop("accept-encoding", None)  # the session says which encodings it can bound
        answer = self._session.request(method, uri, data=body, headers=signed, allow_redirects=False)
        return _Answer(answer.status_code, answer.headers, answer.content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _Answer(httplib2.Response):  # type: ignore[misc] # httplib2 has no types
    """An answer as httplib2 would give it: a mapping of lower-case headers with a status."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})
        self.status, self["status"], self.content = status, str(status), content


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer as `google.auth` reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class AuthRequest(auth_transport.Request):
    """What `google.auth` calls its `request`: it asks the token endpoint."""

    def __init__(self, session: GuardedSession) -> None:
        self._session = session

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Told:
        """Send one request; its time is bounded by the session. Raises ProviderError for what isn't a good token.

        The library would call every answer a refusal that it can't read, repeat some, and sleep in between.
        """
        answer = self._session.request(method, url, data=body, headers=dict(headers or {}), allow_redirects=False)
        told = json_object(answer.content)
        if answer.status_code != 200:
            pause = retry_after(answer.headers.get("Retry-After"), now=datetime.now(UTC))
            raise of_token_endpoint(answer.status_code, told, url, pause)
        if not is_token(told):
            raise Unavailable(f"{urlsplit(url).netloc} answered something that is no access token")
        return _Told(answer.status_code, answer.headers, answer.content)


def json_object(content: bytes) -> dict[str, Any]:
    """What an answer says, {} for one that is no JSON object."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def is_token(told: Mapping[str, Any]) -> bool:
    """Whether an answer gives an access token, for a time that can be."""
    token, lasts = told.get("access_token"), told.get("expires_in", 0)
    return isinstance(token, str) and bool(token) and isinstance(lasts, int) and 0 <= lasts <= LONGEST
