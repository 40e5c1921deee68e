"""How an account proves who it is: Basic, Digest or Bearer, and to whom.

Decides which scheme is used and when it changes. Refuses to know what is asked for. A credential leaves only for the
account's own scope (`providers.addresses`), whatever a server answers.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from providers.addresses import Scope
from providers.caldav.digest import Challenge, best_challenge, offered
from providers.connections import is_at_home
from providers.errors import GrantRevoked
from providers.model import Connection

_UNENCRYPTED = "the server asks for the password over an unencrypted connection: use https, or set auth to basic"
_UNASKED = "the server asks for no password, and unasked none is sent unencrypted: use https, or set auth to basic"


class Credentials(AuthBase):
    """Signs requests inside the scope.

    "auto" sends Basic at once where the connection is encrypted or known to be private: some servers never ask
    (Cyrus answers 207 to a stranger). Elsewhere, or when told that Basic won't do, it takes the Digest it is offered.
    `unasked` says whether it may be sent at once at all.
    """

    def __init__(self, connection: Connection, scope: Scope, *, unasked: bool = True) -> None:
        self._scope = scope
        self._user, self._secret = connection.username, connection.secret
        self._auth = connection.auth
        self._may_be_private = connection.allow_private
        self._at_home: dict[str, bool] = {}
        self._takes_basic = unasked
        self._challenge: Challenge | None = None
        self._count = 0
        self._is_sent = False

    @property
    def withheld(self) -> str | None:
        """Why no credential was sent yet, and what would be right; None if one was."""
        if self._is_sent:
            return None
        return "the server asks for no Digest: set auth to auto" if self._auth == "digest" else _UNASKED

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, unless it goes elsewhere."""
        if not self._scope.covers(request.url or ""):
            return request
        self._sign(request)
        if self._on_answer not in request.hooks["response"]:  # a redirected request has it already
            request.register_hook("response", self._on_answer)  # type: ignore[no-untyped-call]
        return request

    def _scheme(self, url: str) -> str:
        if self._auth != "auto":
            return self._auth
        if self._challenge is not None:
            return "digest"
        return "basic" if self._takes_basic and self._is_private(url) else "none"

    def _is_private(self, url: str) -> bool:
        if url.lower().startswith("https:"):
            return True
        host = urlsplit(url).netloc
        if self._may_be_private and host not in self._at_home:
            self._at_home[host] = is_at_home(url)
        return self._at_home.get(host, False)

    def _sign(self, request: requests.PreparedRequest) -> None:
        scheme = self._scheme(request.url or "")
        if scheme == "basic":
            pair = f"{self._user}:{self._secret}".encode()
            request.headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        elif scheme == "bearer":
            request.headers["Authorization"] = f"Bearer {self._secret}"
        elif self._challenge is not None:
            self._count += 1
            request.headers["Authorization"] = self._challenge.answer(
                self._user,
                self._secret,
                request.method or "",
                request.path_url,
                count=self._count,
                cnonce=secrets.token_hex(8),
            )
        self._is_sent = self._is_sent or "Authorization" in request.headers

    def _on_answer(self, response: requests.Response, **sending: Any) -> requests.Response:
        if not self._scope.covers(response.url):
            return response
        if response.status_code != 401:
            self._take_next_nonce(response)
            return response
        schemes = [scheme for scheme, _ in offered(response.headers.get("WWW-Authenticate", ""))]
        if self._auth in ("auto", "digest") and "digest" in schemes:
            return self._answered(response, sending)
        if self._scheme(response.url) == "none" and "basic" in schemes:
            if not self._is_private(response.url):
                raise GrantRevoked(_UNENCRYPTED)
            self._takes_basic = True
            return self._sent_again(response, sending)
        if schemes and self._auth not in ("auto", *schemes):
            msg = (
                f"{urlsplit(response.url).hostname} asks for {' or '.join(schemes)}, not {self._auth}: set auth to auto"
            )
            raise GrantRevoked(msg)
        return response

    def _answered(self, response: requests.Response, sending: dict[str, Any]) -> requests.Response:
        """Answer a Digest challenge, unless it is the one that was just answered: then the password is wrong."""
        challenge = best_challenge(response.headers["WWW-Authenticate"])
        if challenge == self._challenge:
            return response
        self._challenge, self._count = challenge, 0
        return self._sent_again(response, sending)

    def _sent_again(self, response: requests.Response, sending: dict[str, Any]) -> requests.Response:
        request = response.request.copy()
        self._sign(request)
        again: requests.Response = response.connection.send(request, **sending)
        again.history.append(response)
        self._take_next_nonce(again)
        return again

    def _take_next_nonce(self, response: requests.Response) -> None:
        """Take the nonce that the server wants next (RFC 7616 §3.5), instead of being asked again."""
        told = offered(f"digest {response.headers.get('Authentication-Info', '')}")
        nonce = told[0][1].get("nextnonce") if told else None
        if self._challenge is not None and nonce:
            self._challenge, self._count = replace(self._challenge, nonce=nonce), 0
