"""How an account proves who it is: Basic, Digest or Bearer, and to whom.

Decides which scheme is used and when it changes. Refuses to know what is asked for. A credential leaves only for the
account's own scope (`providers.addresses`), whatever a server answers.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, cast

import requests
from requests.auth import AuthBase, HTTPDigestAuth

from providers.addresses import Scope
from providers.errors import GrantRevoked
from providers.model import Connection


class _Utf8Digest(HTTPDigestAuth):
    def build_digest_header(self, method: str, url: str) -> str | None:
        header: str | None = super().build_digest_header(method, url)  # type: ignore[no-untyped-call]
        return header and header.encode().decode("latin-1")  # headers are latin-1 on the way out, user names are not


class Credentials(AuthBase):
    """Signs requests inside the scope.

    "auto" sends Basic at once where the connection is encrypted or known to be private: some servers never ask
    (Cyrus answers 207 to a stranger). Elsewhere, or when told that Basic won't do, it takes the Digest it is offered.
    """

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._scope = scope
        self._secret = connection.secret
        self._basic = "Basic " + b64encode(f"{connection.username}:{connection.secret}".encode()).decode()
        self._digest = _Utf8Digest(connection.username, connection.secret)
        self._auto = connection.auth == "auto"
        eager = "basic" if connection.allow_private or connection.url.startswith("https:") else "none"
        self._scheme = eager if self._auto else connection.auth

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, unless it goes elsewhere."""
        if not self._scope.covers(request.url or ""):
            return request
        if self._scheme == "digest":
            return cast(requests.PreparedRequest, self._digest(request))
        if self._scheme != "none":
            request.headers["Authorization"] = self._basic if self._scheme == "basic" else f"Bearer {self._secret}"
        if self._auto:
            request.register_hook("response", self._on_answer)  # type: ignore[no-untyped-call]
        return request

    def _on_answer(self, response: requests.Response, **sending: Any) -> requests.Response:
        offered = response.headers.get("WWW-Authenticate", "").lower()
        if response.status_code != 401 or not self._scope.covers(response.url):
            return response
        if "digest" in offered:
            self._scheme = "digest"
            self._digest(response.request.copy())  # counts this request's challenges from one, as handle_401 expects
            again = self._digest.handle_401(response, **sending)  # type: ignore[no-untyped-call]
            return cast(requests.Response, again)
        if "basic" in offered and self._scheme == "none":
            msg = "the server asks for the password over an unencrypted connection: use https, or set auth to basic"
            raise GrantRevoked(msg)
        return response
