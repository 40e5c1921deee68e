"""Which hosts an account's credential may be sent to, and which addresses may be connected to at all.

A calendar's address is typed in by a person and then decides what this machine connects to. Decides which IP
addresses are on the public internet, and that a credential stays with its registrable domain. Refuses to know: how
names are resolved, HTTP.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an account's credential may be sent: its own server, and hosts of the same registrable domain."""

    url: str

    def covers(self, url: str) -> bool:
        """Say whether `url` belongs to the account; never once encryption would be lost.

        An address or a bare host name has no domain to share: there the port must be the same too, or both be the
        scheme's own.
        """
        home, there = _place(self.url), _place(url)
        if home is None or there is None or (home.scheme, there.scheme) not in _SAFE_STEPS:
            return False
        if _has_domain(home.host):
            return registrable_domain(home.host) == registrable_domain(there.host)
        return (home.host, home.port) == (there.host, there.port)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a URL leads; `port` is None if it is the scheme's own."""

    scheme: str
    host: str
    port: int | None


def _place(url: str) -> _Place | None:
    """Read a URL by the rules of the library that connects: another reader may see another host in it."""
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return None
    if not parsed.scheme or not parsed.host:
        return None
    usual = {"http": 80, "https": 443}.get(parsed.scheme)
    host = parsed.host.strip("[]").lower().rstrip(".")
    return _Place(parsed.scheme, host, None if parsed.port == usual else parsed.port)


_SAFE_STEPS = frozenset({("http", "http"), ("http", "https"), ("https", "https")})
_REGISTRY_LABEL = re.compile(
    "ac|ad|asn|asso|co|com|ed|edu|go|gob|gouv|gov|gv|id|lib|ltd|me|mil|ne|net|nom|or|org|plc|sch"
)
# Domains whose next label belongs to someone else each: names for machines at home above all, and a few hosters.
_SHARED_BY_STRANGERS = {
    "net": "azurewebsites ddns dynv6 myfritz sytes ts zapto",
    "org": "duckdns dyndns eu freeddns hopto mooo no-ip spdns",
    "com": "asuscomm herokuapp myqnapcloud onrender owncube trycloudflare uk",
    "de": "ddnss dnshome goip selfhost spdns your-storageshare",
    "me": "diskstation dscloud i234 myds nohost synology",
    "io": "dedyn github gitlab ngrok nip sslip",
    "app": "netlify ngrok-free vercel web",
    "dev": "fly ngrok-free pages workers",
    "digital": "tab",
    "st": "noho",
    "fr": "ynh",
}
_SHARED_DOMAINS = frozenset(f"{name}.{top}" for top, names in _SHARED_BY_STRANGERS.items() for name in names.split())


def registrable_domain(host: str) -> str:
    """Return the part of `host` that one owner registers: the last two labels, three under a registry's own second
    level (`co.uk`) or a domain shared by strangers (`duckdns.org`)."""
    labels = host.lower().rstrip(".").split(".")
    registry = len(labels[-1]) == 2 and len(labels) > 1 and _REGISTRY_LABEL.fullmatch(labels[-2])
    shared = ".".join(labels[-2:]) in _SHARED_DOMAINS
    return ".".join(labels[-3 if registry or shared else -2 :])


_OWN_SPELLING = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)  # 127.1 and 0x7f.1 are addresses to a resolver
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is given out so far
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SPECIAL = (  # global to some versions of ipaddress: protocol assignments, relays into tunnels (RFC 7526), examples
    *(ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24")),
    ipaddress.IPv6Network("3fff::/20"),
)


def _has_domain(host: str) -> bool:
    return "." in host and ":" not in host and not _OWN_SPELLING.fullmatch(host.rpartition(".")[2])


def is_public(address: str) -> bool:
    """Say whether an IP address is on the public internet, looking into IPv6 forms that carry an IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = _carried_ipv4(parsed)
        if inner is not None:
            return is_public(str(inner))
        if parsed not in _GLOBAL_UNICAST:
            return False
    return parsed.is_global and not parsed.is_multicast and not any(parsed in network for network in _SPECIAL)


def _carried_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour
