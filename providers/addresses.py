"""Which hosts an account's credential may be sent to, and which addresses may be connected to at all.

A calendar's address is typed in by a person and then decides what this machine connects to. So names are resolved,
checked and connected to in one step, and a credential stays with its registrable domain. Refuses to know: HTTP.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import connection as sockets

from providers.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an account's credential may be sent: its own server, and hosts of the same registrable domain."""

    url: str

    def covers(self, url: str) -> bool:
        """Say whether `url` belongs to the account; never once encryption would be lost.

        An address or a bare host name has no domain to share: there the port must be the same too, or both be the
        scheme's own.
        """
        home, there = urlsplit(self.url), urlsplit(url)
        mine, its = (home.hostname or "").lower(), (there.hostname or "").lower()
        if (home.scheme, there.scheme) not in _SAFE_STEPS or not mine or not its:
            return False
        if _has_domain(mine):
            return registrable_domain(mine) == registrable_domain(its)
        return mine == its and (home.port == there.port)


_SAFE_STEPS = frozenset({("http", "http"), ("http", "https"), ("https", "https")})
_REGISTRY_LABEL = re.compile("ac|asn|co|com|edu|gob|gov|id|lib|me|mil|ne|net|nom|or|org|sch")
_SHARED_DOMAIN = re.compile(
    r"(azurewebsites|ddns|zapto)\.net|(duckdns|dyndns|hopto|no-ip)\.org|(fly|pages|workers)\.dev|"
    r"(dedyn|github|gitlab|ngrok)\.io|(herokuapp|onrender)\.com|(netlify|ngrok-free|vercel|web)\.app|(myds|synology)\.me"
)


def registrable_domain(host: str) -> str:
    """Return the part of `host` that one owner registers: the last two labels, three under a registry's own second
    level (`co.uk`) or a domain shared by strangers (`duckdns.org`)."""
    labels = host.lower().rstrip(".").split(".")
    registry = len(labels[-1]) == 2 and len(labels) > 1 and _REGISTRY_LABEL.fullmatch(labels[-2])
    shared = _SHARED_DOMAIN.fullmatch(".".join(labels[-2:]))
    return ".".join(labels[-3 if registry or shared else -2 :])


# IPv4 in IPv6's clothes, by rules of the local network (RFC 8215) or long gone (RFC 4291 §2.5.5.1).
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("::/96"))


def _has_domain(host: str) -> bool:
    return "." in host and _address(host) is None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Say whether an IP address is on the public internet, looking into IPv6 forms that carry an IPv4 address."""
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = _carried_ipv4(parsed)
        if inner is not None:
            return is_public(str(inner))
        if any(parsed in network for network in _TRANSLATED):
            return False
    return parsed is not None and parsed.is_global and not parsed.is_multicast


def _carried_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def public_addresses(host: str, port: int) -> list[str]:
    """Resolve `host` and return its public addresses; raise `Unavailable` if it has none.

    The caller connects to what is returned, never to the name again, so a name that resolves differently a moment
    later changes nothing.
    """
    found = dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    public = [address for address in found if is_public(address)]
    if not public:
        msg = f"{host} is at the private address {', '.join(found)}: set allow_private for this account to permit that"
        raise Unavailable(msg)
    return public


def _connect_publicly(connection: HTTPConnection) -> socket.socket:
    try:
        return _first_that_answers(connection, public_addresses(connection.host, connection.port))
    except socket.gaierror as error:
        raise wire.NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise wire.ConnectTimeoutError(connection, f"connecting to {connection.host} timed out") from error
    except OSError as error:
        raise wire.NewConnectionError(connection, f"connecting to {connection.host} failed: {error}") from error


def _first_that_answers(connection: HTTPConnection, addresses: list[str]) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            return sockets.create_connection(
                (address, connection.port), connection.timeout, socket_options=connection.socket_options
            )
        except OSError as error:
            failure = error
    raise failure


class _PublicHTTPConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect_publicly(self)


class _PublicHTTPSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect_publicly(self)


class _PublicHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PublicHTTPConnection


class _PublicHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPSConnection


PUBLIC_POOLS: dict[str, type[urllib3.HTTPConnectionPool]] = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}
