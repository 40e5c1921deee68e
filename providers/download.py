"""One file behind an address: asked for anew only if it has changed, within bounds of size and time.

Decides how a feed's address is spelt, what is asked of its server, which marks of a version are trusted, and what a
failure means to the person who subscribed. Refuses to know what the file holds. The address itself is often the secret
that opens the feed, so no text tells more of it than the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from providers.addresses import Scope
from providers.caldav.credentials import Credentials
from providers.errors import InvalidResponse, ProviderError, Unavailable, Unsupported
from providers.model import Connection
from providers.reasons import reason
from providers.transport import Limits, leaf_for_exception, leaf_for_status, open_session, retry_after

LIMITS = Limits(read=30.0, total=60.0, size=32 * 1024 * 1024)

_SCHEMES = {"webcal": "https", "webcals": "https", "https": "https", "http": "http"}
_AGENT = "syncd (calendar subscription)"
# Microsoft answers a published calendar with a circle of redirects to whatever doesn't call itself a browser.
_BROWSERS_ONLY = frozenset({"outlook.office365.com", "outlook.office.com", "outlook.live.com"})
_AS_BROWSER = f"Mozilla/5.0 (X11) Chrome/139.0.0.0 {_AGENT}"
_LONGEST_MARK = 512

_WHY = "its private address may have been reset, or the calendar unpublished; connect it by the address it has now"
_GONE = f"there is no feed at this address: {_WHY}. Until then, what was read of it before stays in force"
_SENTENCES: Mapping[int, str] = {
    401: "it asks for a user name and a password, or refuses those it was given",
    403: f"it refuses to hand out this feed: {_WHY}",
    404: _GONE,
    410: _GONE,
    429: "it is asked too often",
}


@dataclass(frozen=True, slots=True)
class Version:
    """The marks of one version of a file, as its server writes them (RFC 9110 §8.8); empty ones are not there."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        """Return what asks for the file unless it is still this version."""
        marks = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: mark for name, mark in marks.items() if mark}

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Version:
        """Read the marks of an answer; a time is none if the file may have changed again within that second."""
        etag, modified = (headers.get(name, "").strip() for name in ("ETag", "Last-Modified"))
        kept = [mark if len(mark) <= _LONGEST_MARK and mark.isprintable() else "" for mark in (etag, modified)]
        return cls(kept[0], kept[1] if _is_older(modified, headers.get("Date", "")) else "")


NO_VERSION = Version()


@dataclass(frozen=True, slots=True)
class Download:
    """A file as it was sent, and its version."""

    content: bytes
    version: Version


class Remote:
    """The file at one address; raises ValueError for an address that no feed can have."""

    def __init__(self, connection: Connection) -> None:
        there = spelt(connection)
        self._url = there.url
        self.host = _host(there.url)
        self.name = urlsplit(there.url).hostname or self.host
        scope = Scope(there.url)
        self._session = open_session(
            auth=Credentials(there, scope) if there.username or there.secret else None,
            allow_private=there.allow_private,
            ca_file=there.ca_file,
            limits=LIMITS,
            patience=there.patience,
        )
        agent = _AS_BROWSER if self.name in _BROWSERS_ONLY else _AGENT
        self._session.headers.update({"User-Agent": agent, "Accept": "text/calendar, */*;q=0.5"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def download(self) -> Download:
        """Return the file. Raises ProviderError."""
        return _read(self._ask(NO_VERSION))

    def download_unless(self, known: Version) -> Download | None:
        """Return the file, or None if it is still the `known` version. Raises ProviderError."""
        response = self._ask(known)
        return None if response.status_code == 304 and known != NO_VERSION else _read(response)

    def _ask(self, known: Version) -> requests.Response:
        try:
            return self._session.get(self._url, headers=known.headers())
        except (RequestException, HTTPError, OSError, HTTPException, ValueError) as error:
            raise self._not_asked(error) from None  # what they say holds the whole address

    def _not_asked(self, error: Exception) -> ProviderError:
        host = _host(getattr(getattr(error, "request", None), "url", None) or self._url)  # redirects lead elsewhere
        leaf = leaf_for_exception(error)
        what = "can't be reached" if leaf is Unavailable else "can't be asked for the feed"
        return leaf(reason(error, host) or f"{host} {what} ({type(error).__name__})")


def spelt(connection: Connection) -> Connection:
    """Return a connection whose address is https or http, without the user name and password written into it.

    webcal is how calendars say https; http is taken only as it is typed. Raises ValueError for any other address.
    """
    parts = urlsplit(connection.url.strip())
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname:
        raise ValueError("a feed's address starts with https://, http:// or webcal:// and a host")
    return replace(
        connection,
        url=parts._replace(scheme=scheme, netloc=parts.netloc.rpartition("@")[2], fragment="").geturl(),
        username=connection.username or unquote(parts.username or ""),
        secret=connection.secret or unquote(parts.password or ""),
    )


def _read(response: requests.Response) -> Download:
    if response.status_code not in (200, 203):
        raise _refusal(response)
    return Download(response.content, Version.of(response.headers))


def _refusal(response: requests.Response) -> ProviderError:
    status = response.status_code
    leaf = leaf_for_status(status) if status >= 300 else InvalidResponse
    leaf = InvalidResponse if leaf is Unsupported else leaf  # nothing can be wrong with a plain question
    told = f": {_SENTENCES[status]}" if status in _SENTENCES else ""
    pause = retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC))
    return leaf(f"{_host(response.url)} answered HTTP {status}{told}", retry_after=pause)


def _is_older(modified: str, answered: str) -> bool:
    try:
        return (parsedate_to_datetime(answered) - parsedate_to_datetime(modified)).total_seconds() > 1
    except (ValueError, TypeError):  # not a date, or only one of the two with a zone
        return False


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
