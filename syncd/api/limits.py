"""How often one client address may call (semantics 30).

Decides under which address a call is counted, which calls count, and when one is refused. Refuses to know what a call
does. The counts are this process's own: several processes behind one address allow as many times as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Lock
from typing import Literal

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from syncd.api.problems import api_problem
from syncd.errors import ApiError, SyncdError
from syncd.secrets import API_KEY_PREFIX, hash_api_key
from syncd.services import Services
from syncd.store import keys

_MOST_COUNTED = 50_000
_SIGN_INS = "/oauth/"
_COUNTED = ("/v1/", _SIGN_INS)
_KEY_KNOWN_FOR = 60.0  # seconds in which a key isn't looked up again; what it may do is asked at every call

_Address = IPv4Address | IPv6Address


class RateLimits:
    """Refuses calls under `/v1` and `/oauth` beyond the configured rates, by kind of call and client address.

    The holder of a valid API key isn't counted; a wrong key is, so that none can be guessed.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._counts = Counts(lambda: _seconds(services.clock()))
        self._limiter = FixedWindowRateLimiter(self._counts)
        self._known_keys: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(_COUNTED) or await self._has_key(scope):
            await self._app(scope, receive, send)
            return
        looks = scope["method"] in ("GET", "HEAD") and not scope["path"].startswith(_SIGN_INS)
        wait = self._wait(scope, "feed" if looks else "booking")
        if not wait:
            await self._app(scope, receive, send)
            return
        problem = ApiError("rate-limited", f"too many calls from this address: try again in {wait} s", retry_after=wait)
        await api_problem(problem).response(Request(scope))(scope, receive, send)

    def _wait(self, scope: Scope, kind: Literal["feed", "booking", "key"]) -> int:
        """Count a call: 0, or how many seconds to wait where there were too many.

        Keys that aren't known are looked up as often as the feed is: whoever guesses them makes no more look-ups.
        """
        rates = self._services.config.server.rate_limits
        rate = _rate(rates.booking if kind == "booking" else rates.feed)
        address = client_address(HTTPConnection(scope), self._services.config.server.trusted_proxies)
        if self._limiter.hit(rate, kind, address):
            return 0
        over_at = self._limiter.get_window_stats(rate, kind, address).reset_time
        return max(1, math.ceil(over_at - _seconds(self._services.clock())))

    async def _has_key(self, scope: Scope) -> bool:
        """Whether a valid API key comes with the call."""
        scheme, _, credential = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not credential.strip().startswith(API_KEY_PREFIX):
            return False
        key_hash, now = hash_api_key(credential.strip()), _seconds(self._services.clock())
        if self._known_keys.get(key_hash, 0.0) > now:
            return True
        if self._wait(scope, "key") or not await run_in_threadpool(self._is_key, key_hash):
            return False
        self._known_keys[key_hash] = now + _KEY_KNOWN_FOR
        return True

    def _is_key(self, key_hash: str) -> bool:
        try:
            with self._services.store.read() as session:
                return keys.find_key(session, key_hash) is not None
        except SyncdError:
            return False  # whoever it is, the call itself will say what is wrong


class Counts(Storage):
    """The counters of `limits`, in memory and no more than so many: beyond that the oldest is forgotten.

    The package's own memory storage starts a thread for every few calls, and grows with every address that calls.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float], most: int = _MOST_COUNTED) -> None:
        super().__init__()
        self._clock = clock
        self._most = most
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this storage raises of its own."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a call in the window of a key, which begins with its first and lasts `expiry` seconds."""
        with self._lock:
            now = self._clock()
            count, ends = self._windows.get(key, (0, 0.0))
            if ends <= now:
                self._windows.pop(key, None)  # what begins anew goes to the end
                count, ends = 0, now + expiry
            self._windows[key] = (count + amount, ends)
            if len(self._windows) > self._most:
                del self._windows[next(iter(self._windows))]
            return count + amount

    def get(self, key: str) -> int:
        """How many calls were counted in the window of a key."""
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """When the window of a key ends, in seconds since the epoch."""
        return self._windows.get(key, (0, self._clock()))[1]

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int:
        """Forget every count, and say how many there were."""
        forgotten = len(self._windows)
        self._windows.clear()
        return forgotten

    def clear(self, key: str) -> None:
        """Forget the count of a key."""
        self._windows.pop(key, None)


def client_address(connection: HTTPConnection, proxies: tuple[str, ...]) -> str:
    """The network address a call comes from, as it is counted: an IPv6 address stands for its /64.

    `X-Forwarded-For` is read from the right, and only as far as it was written by trusted proxies: each of them adds
    who called it, and what a caller wrote there stands to the left of that.
    """
    here = _ip(connection.client.host) if connection.client else None
    if here is None:
        return ""
    if proxies:
        hops = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
        while hops and _is_among(here, proxies) and (before := _ip(hops.pop()[:64])) is not None:
            here = before
    return str(here) if isinstance(here, IPv4Address) else f"{IPv6Address(int(here) >> 64 << 64)}/64"


def _is_among(address: _Address, networks: tuple[str, ...]) -> bool:
    return any(address in network for network in _networks(networks))


@lru_cache(maxsize=16)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


@lru_cache(maxsize=4096)
def _ip(text: str) -> _Address | None:
    """An address as proxies write it, with a port or without; None for anything else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def per_minute(rate: str) -> int:
    """How often a rate allows something in a minute, rounded down."""
    item = _rate(rate)
    return item.amount * 60 // item.get_expiry()


@lru_cache(maxsize=64)
def _rate(text: str) -> RateLimitItem:
    return parse(text)


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
