"""Calls of the Calendar API: one at a time, sent again where that can help.

Decides how often and after which pauses (exponential, with jitter) a call is repeated that met a limit or a fault: all
calls may be, as a write has an id of its own, or a condition. Decides that an answer that isn't JSON is no answer.
Refuses to know what is asked.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from googleapiclient.discovery import Resource, build
from googleapiclient.http import HttpRequest

from providers.errors import ProviderError, Transient, Unavailable
from providers.google.failures import translated
from providers.google.http import Http, open_google_session
from providers.google.oauth import bearer, tokens_of
from providers.google.permissions import Grant
from providers.model import Connection

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before the second, third … try; jitter takes up to half away
_LONGEST_ASKED = 15.0  # a server that asks for more is left to whoever called


class Calls:
    """The API as one account; opened when it is first called."""

    def __init__(self, connection: Connection, pauses: tuple[float, ...] = PAUSES) -> None:
        self._connection, self._pauses = connection, pauses
        self._until = math.inf if connection.patience is None else time.monotonic() + connection.patience
        self._http: Http | None = None

    @property
    def api(self) -> Methods:
        """The API's methods, which make requests for `call`. Raises Unavailable where nothing is configured."""
        return methods(self.endpoint)

    @property
    def endpoint(self) -> str:
        """Where the API is; an address without a path is the host's."""
        client = self._connection.client
        if client is None:
            raise Unavailable("Google isn't configured: [google] needs client_id and client_secret_env")
        has_path = urlsplit(client.api_endpoint).path.strip("/")
        return f"{client.api_endpoint.rstrip('/')}{'' if has_path else '/calendar/v3'}/"

    def call(
        self,
        request: HttpRequest,
        *,
        calendar: str | None = None,
        remote_id: str | None = None,
        if_match: str | None = None,
        is_silent: bool = False,
    ) -> dict[str, Any]:
        """The answer of a request; {} of one that `is_silent`, which has none. Raises ProviderError."""
        if if_match is not None:
            request.headers["If-Match"] = if_match
        for pause in (*self._pauses, None):
            try:
                with translated(self.endpoint, calendar=calendar, remote_id=remote_id):
                    answer = request.execute(http=self._opened())
                    return {} if is_silent else _checked(answer, self.endpoint)
            except Transient as error:
                if pause is None or not self._rested(error, pause):
                    raise
        raise AssertionError("the last try returns or raises")

    def _rested(self, error: ProviderError, pause: float) -> bool:
        """Wait before the next try; False where there is no time left for one, or waiting so little can't help."""
        wait = pause * (1 - random.random() / 2)  # noqa: S311 - spreads tries, guards nothing
        wait = max(wait, error.retry_after or 0.0)
        if wait > _LONGEST_ASKED or time.monotonic() + wait >= self._until:
            return False
        time.sleep(wait)
        return True

    def _opened(self) -> Http:
        if self._http is None:
            assert self._connection.client is not None
            tokens = tokens_of(self._connection.client, Grant.read(self._connection.secret))
            session = open_google_session(self._connection)
            self._http = Http(session, bearer(tokens, session, self._until))
        return self._http

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()


def _checked(answer: object, endpoint: str) -> dict[str, Any]:
    """An answer that was cut short comes as a plain text, without any exception; an empty one says nothing."""
    if not isinstance(answer, Mapping) or not answer:
        raise Unavailable(f"{urlsplit(endpoint).netloc} answered something that isn't JSON, or half of it")
    return dict(answer)


@dataclass(frozen=True, slots=True)
class Methods:
    """What is used of the API, noun by noun."""

    calendar_list: Resource
    events: Resource
    freebusy: Resource
    channels: Resource


def service(endpoint: str) -> Resource:
    """The API by the discovery document that comes with the library; whoever calls brings the connection."""
    nowhere, options = _Nowhere(), {"api_endpoint": endpoint, "universe_domain": "googleapis.com"}
    return build("calendar", "v3", http=nowhere, static_discovery=True, client_options=options)


@lru_cache(maxsize=8)
def methods(endpoint: str) -> Methods:
    """What is used of it, kept: the library makes each noun anew whenever it is asked for it."""
    api = service(endpoint)
    return Methods(api.calendarList(), api.events(), api.freebusy(), api.channels())


class _Nowhere:
    """Stands where the library wants a connection; it is asked for nothing, as every call brings its own."""

    def close(self) -> None:
        """Nothing is open."""
