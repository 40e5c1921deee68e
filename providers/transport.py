"""How an HTTP request to a calendar server is sent, and what its failure means.

Decides: time-outs, how large an answer may be, which redirects are followed, what a status or an exception of
the HTTP libraries means (two tables). Refuses to know: WebDAV, credentials, calendars. Nothing here retries, but for a
kept connection that turns out to be closed.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests import exceptions as http
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import exceptions as wire
from urllib3.util.ssl_match_hostname import CertificateError

from providers.addresses import Scope
from providers.bodies import read_body
from providers.connections import Pools, Terms
from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    Unavailable,
    Unsupported,
)

_LONGEST_PAUSE = 86_400.0
_CHANGING = frozenset({"PUT", "DELETE"})

LEAF_BY_STATUS: dict[int, type[ProviderError]] = {
    400: Unsupported,
    401: GrantRevoked,
    402: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    405: Unsupported,
    408: Unavailable,
    409: AlreadyExists,
    410: NotFound,
    412: ETagMismatch,
    423: Unavailable,  # locked by another client
    425: Unavailable,
    428: Unsupported,
    429: RateLimited,
}

LEAF_BY_EXCEPTION: dict[type[Exception], type[ProviderError]] = {
    **dict.fromkeys(
        (
            http.RequestException,
            http.ChunkedEncodingError,
            http.ConnectTimeout,
            http.ConnectionError,
            http.HTTPError,
            http.ProxyError,
            http.ReadTimeout,
            http.RetryError,
            http.SSLError,
            http.StreamConsumedError,
            http.Timeout,
            http.UnrewindableBodyError,
            wire.HTTPError,
            wire.ClosedPoolError,
            wire.ConnectTimeoutError,
            wire.EmptyPoolError,
            wire.FullPoolError,
            wire.HostChangedError,
            wire.IncompleteRead,
            wire.InvalidChunkLength,
            wire.MaxRetryError,
            wire.NameResolutionError,
            wire.NewConnectionError,
            wire.PoolError,
            wire.ProtocolError,
            wire.ProxyError,
            wire.ReadTimeoutError,
            wire.RequestError,
            wire.ResponseError,
            wire.SSLError,
            wire.TimeoutError,
            wire.TimeoutStateError,
            wire.UnrewindableBodyError,
            CertificateError,
            HTTPException,
            OSError,
        ),
        Unavailable,
    ),
    **dict.fromkeys(
        (
            http.InvalidHeader,
            http.InvalidProxyURL,
            http.InvalidSchema,
            http.InvalidURL,
            http.MissingSchema,
            http.URLRequired,
            wire.LocationParseError,
            wire.LocationValueError,
            wire.ProxySchemeUnknown,
            wire.ProxySchemeUnsupported,
            wire.URLSchemeUnknown,
        ),
        Unsupported,
    ),
    **dict.fromkeys(
        (
            http.ContentDecodingError,
            http.InvalidJSONError,
            http.JSONDecodeError,
            http.TooManyRedirects,
            wire.BodyNotHttplibCompatible,
            wire.DecodeError,
            wire.HeaderParsingError,
            wire.InvalidHeader,
            wire.ResponseNotChunked,
            ValueError,
        ),
        InvalidResponse,
    ),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request: seconds, and bytes of the answer after decompression."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 180.0
    size: int = 64 * 1024 * 1024
    redirects: int = 5


def leaf_for_status(status: int) -> type[ProviderError]:
    """Return what an HTTP status of 300 or more means; statuses without a row go by their hundred."""
    if status in LEAF_BY_STATUS:
        return LEAF_BY_STATUS[status]
    if status < 400:
        return InvalidResponse
    return Unsupported if status < 500 or status == 501 else Unavailable


def leaf_for_exception(error: Exception) -> type[ProviderError]:
    """Return what an exception of requests, urllib3 or what is below them means."""
    return next(LEAF_BY_EXCEPTION[kind] for kind in type(error).__mro__ if kind in LEAF_BY_EXCEPTION)


def retry_after(value: str | None, *, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110 §10.2.3: seconds or an HTTP date) as seconds from `now`, a day at most."""
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), _LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), _LONGEST_PAUSE)


class BoundedAdapter(HTTPAdapter):
    """Sends a request within `limits` and reads the answer whole, or not at all."""

    limits = Limits()
    terms = Terms()
    on_response: Callable[[requests.Response], None] | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - the signature is requests'
        timeout: object = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        """Send one request and return its answer, read. Raises `InvalidResponse` if that is too large or can't be
        unpacked, `Unavailable` if it takes too long or the address or the file of certificates won't do."""
        limits, host = self.limits, _host(request.url)
        self.terms.begin(host, limits.total, limits.size)
        try:
            response = self._sent(request, verify)
        except OSError:
            if isinstance(verify, str):
                _check_certificates(verify)
            raise
        with response:
            encoding = response.headers.get("Content-Encoding", "")
            response._content = read_body(_chunks(response), encoding, size=limits.size, host=host)
            response._content_consumed = True  # type: ignore[attr-defined]
        if self.on_response is not None:
            self.on_response(response)
        return response

    def _sent(self, request: requests.PreparedRequest, verify: bool | str) -> requests.Response:  # noqa: FBT001
        """Send a request; once more if it met a kept connection that its server had closed (RFC 9112 §9.3.1).

        Every request here may be sent again: what it changes, it changes under a condition or at an address of its own.
        """
        waits = (self.limits.connect, self.limits.read)
        try:
            return super().send(request, stream=True, timeout=waits, verify=verify)
        except requests.ConnectionError:
            if not self.terms.kept:
                raise
        return super().send(request, stream=True, timeout=waits, verify=verify)

    def close(self) -> None:
        """Close the connections now: urllib3 waits until nothing refers to them, which a caught error may for long."""
        for key in self.poolmanager.pools.keys():  # noqa: SIM118 - it can't be iterated over
            self.poolmanager.pools[key].close()
        super().close()


def _chunks(response: requests.Response) -> Iterator[bytes]:
    # read1 returns what has arrived; read would wait for all it asks for
    while chunk := response.raw.read1(65_536, decode_content=False):
        yield chunk


class GuardedSession(requests.Session):
    """A session that keeps nothing between requests, and follows redirects with the same method and body.

    With a scope, a redirect that leaves it is an error: a calendar never silently moves to another owner's host.
    Without one it may lead to another host, which is told no credential. It never leads away from https, and what
    changes something is never sent to another name: a DELETE led to the calendar above would remove all of it.
    """

    scope: Scope | None = None

    def resolve_redirects(
        self,
        resp: requests.Response,
        req: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - the signature is requests'
        timeout: object = None,
        verify: bool | str | None = True,  # noqa: FBT001, FBT002
        cert: object = None,
        proxies: object = None,
        yield_requests: bool = False,  # noqa: FBT001, FBT002
        **adapter_kwargs: object,
    ) -> Generator[requests.Response, None, None]:
        """Yield the answers along a chain of redirects (RFC 9110 §15.4), for any method of WebDAV."""
        if yield_requests:
            return  # only a look at what would come next, which nobody here asks for
        home = self.scope or Scope(req.url or "")
        for _ in range(self.max_redirects):
            location = self.get_redirect_target(resp)
            if not location:
                return
            req = self._redirected(req, urljoin(resp.url, location), home)
            resp = self.send(req, verify=verify, allow_redirects=False)
            yield resp
        if self.get_redirect_target(resp):
            msg = f"{_host(resp.url)} redirects more than {self.max_redirects} times"
            raise InvalidResponse(msg)

    def _redirected(self, request: requests.PreparedRequest, url: str, home: Scope) -> requests.PreparedRequest:
        following = request.copy()
        following.headers.pop("Authorization", None)
        following.prepare_url(url, None)
        here, there = request.url or "", following.url or ""  # as it is connected to, not as it was written
        if not there.startswith("https:" if here.startswith("https:") else ("https:", "http:")):
            msg = f"{_host(here)} redirects from {urlsplit(here).scheme} to {urlsplit(there).scheme}: not followed"
            raise InvalidResponse(msg)
        if request.method in _CHANGING and _name(here) != _name(there):
            msg = f"{_host(here)} redirects a {request.method} to something else: not followed"
            raise InvalidResponse(msg)
        if self.scope is not None and not self.scope.covers(there):
            msg = f"{_host(here)} redirects to {_host(there)}: connect the account to that address if it is right"
            raise InvalidResponse(msg)
        if isinstance(self.auth, AuthBase) and home.covers(there):
            following.prepare_auth(self.auth, there)
        return following


def open_session(
    *,
    scope: Scope | None = None,
    auth: AuthBase | None = None,
    allow_private: bool = False,
    ca_file: str = "",
    limits: Limits | None = None,
    patience: float | None = None,
    on_response: Callable[[requests.Response], None] | None = None,
) -> GuardedSession:
    """Return a session with this module's rules; nothing of the environment (proxies, .netrc) or of cookies is used.

    `auth` is asked to sign every request, redirected ones too unless they leave the registrable domain, and decides
    itself where it may. `patience` is for how many seconds from now all answers together are waited for. `on_response`
    sees every answer before anyone else does.
    """
    session = GuardedSession()
    session.trust_env, session.scope, session.auth = False, scope, auth
    session.verify = ca_file or True
    session.headers["Accept-Encoding"] = "gzip"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a cookie could outlive a revoked password
    adapter = BoundedAdapter()
    adapter.limits = limits or Limits()
    until = math.inf if patience is None else time.monotonic() + patience
    adapter.terms, adapter.on_response = Terms(allow_private=allow_private, until=until), on_response
    adapter.poolmanager = Pools(adapter.terms)
    session.max_redirects = adapter.limits.redirects
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _check_certificates(ca_file: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)
    except ssl.SSLError as error:
        right = "-----BEGIN CERTIFICATE----- and so on would be right"
        raise Unavailable(f"ca_file {ca_file} holds no certificate in PEM form: {right}") from error
    except OSError as error:
        raise Unavailable(f"ca_file {ca_file} can't be read: {error.strerror}") from error


def _host(url: str | None) -> str:
    parts = urlsplit(url or "")
    return parts.netloc.rpartition("@")[2] or "the server"


def _name(url: str) -> str:
    return unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
