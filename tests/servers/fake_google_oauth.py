"""How the fake Google server gives permission: consent, codes, tokens, and their end.

Documented ("Using OAuth 2.0 for Web Server Applications", "OAuth 2.0 for Mobile & Desktop Apps", RFC 6749, RFC 7636):
the parameters of the question and of the token endpoint, loopback redirects on any port, registered redirects, codes
that are good once, PKCE, `include_granted_scopes`, that a person may grant only some of the scopes,
`error=access_denied`, `invalid_grant`, that revoking any token ends the whole permission; `refresh_token_expires_in`
for permissions that end by themselves. Reported: a refresh token comes only with `access_type=offline` and the first
consent or `prompt=consent`; those of an app in Testing state die after seven days; the errors' descriptions.
Nobody sits at this server: it consents at once, as it was told to.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from fake_google_schema import SCOPES, Json

_OTHER_SCOPES = frozenset({"openid", "email", "profile", "https://www.googleapis.com/auth/userinfo.email"})
_PARAMETERS = frozenset(
    (
        *("client_id", "redirect_uri", "response_type", "scope", "access_type", "state", "prompt", "login_hint", "hl"),
        *("code_challenge", "code_challenge_method", "include_granted_scopes", "enable_granular_consent"),
    )
)
_WEEK = 604_800


@dataclass
class OAuthRefusal(Exception):
    """An error of the token or the revocation endpoint (RFC 6749 §5.2)."""

    status: int
    error: str
    description: str = ""

    def body(self) -> Json:
        return {"error": self.error} | ({"error_description": self.description} if self.description else {})


@dataclass
class Permission:
    """What one person has permitted one client."""

    user: str
    client_id: str
    scopes: frozenset[str] = frozenset()


@dataclass
class Code:
    """A code that waits to be exchanged."""

    permission: Permission
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str
    lasting: bool
    expires_at: float


@dataclass
class Token:
    """An access token, or a refresh token; one without an end lasts until it is revoked."""

    permission: Permission
    scopes: frozenset[str]
    expires_at: float | None


@dataclass
class OAuth:
    """The permissions of everybody, with what the next person who is asked does."""

    client_id: str = "client-1.apps.googleusercontent.com"
    client_secret: str = "GOCSPX-fake-secret"
    redirects: set[str] = field(default_factory=set)  # registered ones, besides loopback
    user: str = "ada@example.com"  # who signs in
    denies: bool = False
    grants_only: frozenset[str] | None = None
    other_state: bool = False
    testing: bool = False
    lifetime: int = 3599  # of access tokens, in seconds
    moved_on: float = 0.0  # seconds by which this server's clock is ahead
    refreshes: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)  # questions, oldest first
    failing: list[OAuthRefusal] = field(default_factory=list)  # answers of the next refreshes
    permissions: dict[tuple[str, str], Permission] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Token] = field(default_factory=dict)
    lasting: dict[str, Token] = field(default_factory=dict)

    def now(self) -> float:
        return time.time() + self.moved_on

    # The question

    def ask(self, query: str) -> tuple[int, str]:
        """Answer a person's question: 302 and where to, or a status and why there is no question."""
        asked = dict(parse_qsl(query, keep_blank_values=True))
        self.asked.append(asked)
        problem = self._problem(asked)
        if problem is not None:
            return problem
        told = {"state": secrets.token_urlsafe(9)} if self.other_state else {"state": asked.get("state", "")}
        if self.denies:
            return 302, _with(asked["redirect_uri"], {"error": "access_denied"} | told)
        code, scopes = self._consent(asked)
        return 302, _with(asked["redirect_uri"], {"code": code, "scope": " ".join(sorted(scopes))} | told)

    def _problem(self, asked: dict[str, str]) -> tuple[int, str] | None:
        """Why there is no question, if there is none: such a page is shown, and nobody is sent back."""
        scopes = set(asked.get("scope", "").split())
        checks = [
            (asked.get("client_id") == self.client_id, 401, "invalid_client"),
            (self._may_return_to(asked.get("redirect_uri", "")), 400, "redirect_uri_mismatch"),
            (asked.get("response_type") == "code", 400, "unsupported_response_type"),
            (scopes and scopes <= SCOPES | _OTHER_SCOPES, 400, "invalid_scope"),
            (asked.get("access_type", "online") in ("online", "offline"), 400, "invalid_request: access_type"),
            (set(asked.get("prompt", "none").split()) <= {"none", "consent", "select_account"}, 400, "invalid_request"),
            (asked.get("include_granted_scopes", "true") in ("true", "false"), 400, "invalid_request"),
            (self._has_good_challenge(asked), 400, "invalid_request: code_challenge"),
            (set(asked) <= _PARAMETERS, 400, f"invalid_request: {sorted(set(asked) - _PARAMETERS)}"),
        ]
        return next(((status, error) for holds, status, error in checks if not holds), None)

    def _may_return_to(self, uri: str) -> bool:
        parts = urlsplit(uri)
        loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        return (loopback or uri in self.redirects) and not parts.fragment

    def _has_good_challenge(self, asked: dict[str, str]) -> bool:
        if "code_challenge" not in asked:
            return "code_challenge_method" not in asked
        good = re.fullmatch(r"[A-Za-z0-9_\-]{43}", asked["code_challenge"])
        return asked.get("code_challenge_method") == "S256" and bool(good)

    def _consent(self, asked: dict[str, str]) -> tuple[str, frozenset[str]]:
        first = (self.user, self.client_id) not in self.permissions
        scopes = frozenset(asked["scope"].split())
        scopes = scopes if self.grants_only is None else scopes & self.grants_only
        permission = self.permit(self.user, scopes)
        scopes = permission.scopes if asked.get("include_granted_scopes") == "true" else scopes
        lasting = asked.get("access_type") == "offline" and (first or "consent" in asked.get("prompt", "").split())
        code = f"4/{secrets.token_urlsafe(24)}"
        challenge = asked.get("code_challenge", "")
        self.codes[code] = Code(permission, scopes, asked["redirect_uri"], challenge, lasting, self.now() + 600)
        return code, scopes

    def permit(self, user: str, scopes: frozenset[str]) -> Permission:
        """Add to what a person has permitted."""
        permission = self.permissions.setdefault((user, self.client_id), Permission(user, self.client_id))
        permission.scopes |= scopes
        return permission

    # Tokens

    def token(self, form: dict[str, str]) -> Json:
        """The token endpoint. Raises OAuthRefusal."""
        if form.get("client_id") != self.client_id:
            raise OAuthRefusal(401, "invalid_client", "The OAuth client was not found.")
        if form.get("client_secret") != self.client_secret:
            raise OAuthRefusal(401, "invalid_client", "Unauthorized")
        kinds = {"authorization_code": self._exchange, "refresh_token": self._refresh}
        if form.get("grant_type") not in kinds:
            raise OAuthRefusal(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
        return kinds[form["grant_type"]](form)

    def _exchange(self, form: dict[str, str]) -> Json:
        code = self.codes.pop(form.get("code", ""), None)  # good once
        if code is None or code.expires_at < self.now():
            raise OAuthRefusal(400, "invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthRefusal(400, "redirect_uri_mismatch", "Bad Request")
        if code.challenge != _challenge(form.get("code_verifier", "")):
            raise OAuthRefusal(400, "invalid_grant", "Invalid code verifier.")
        told = self._access(code.permission, code.scopes)
        return told | (self.lasting_token(code.permission, code.scopes) if code.lasting else {})

    def lasting_token(self, permission: Permission, scopes: frozenset[str]) -> Json:
        """A new refresh token, as an answer tells it."""
        token = f"1//{secrets.token_urlsafe(32)}"
        self.lasting[token] = Token(permission, scopes, self.now() + _WEEK if self.testing else None)
        return {"refresh_token": token} | ({"refresh_token_expires_in": _WEEK - 1} if self.testing else {})

    def _access(self, permission: Permission, scopes: frozenset[str]) -> Json:
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self.access[token] = Token(permission, scopes, self.now() + self.lifetime)
        told = {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
        return told | {"scope": " ".join(sorted(scopes))}

    def _refresh(self, form: dict[str, str]) -> Json:
        self.refreshes += 1
        if self.failing:
            raise self.failing.pop(0)
        token = self.lasting.get(form.get("refresh_token", ""))
        if token is None or (token.expires_at is not None and token.expires_at < self.now()):
            raise OAuthRefusal(400, "invalid_grant", "Token has been expired or revoked.")
        return self._access(token.permission, token.scopes)

    def revoke(self, form: dict[str, str]) -> Json:
        """The revocation endpoint: any token ends the permission. Raises OAuthRefusal."""
        text = form.get("token", "")
        token = self.access.get(text) or self.lasting.get(text)
        if token is None:
            raise OAuthRefusal(400, "invalid_token", "Token expired or revoked")
        self.end(token.permission)
        return {}

    def end(self, permission: Permission) -> None:
        """Take a permission back, as its person may in her account."""
        self.permissions.pop((permission.user, permission.client_id), None)
        for kept in (self.access, self.lasting):
            for text in [text for text, token in kept.items() if token.permission is permission]:
                del kept[text]

    def known(self, text: str) -> Token | None:
        """The access token, if it is good now."""
        token = self.access.get(text)
        return token if token is not None and (token.expires_at or 0) > self.now() else None


def _with(uri: str, more: dict[str, str]) -> str:
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode({name: one for name, one in more.items() if one})}"


def _challenge(verifier: str) -> str:
    """What a verifier comes to (RFC 7636 §4.2); "" for none."""
    if not re.fullmatch(r"[A-Za-z0-9._~\-]{43,128}", verifier):
        return "" if not verifier else "not a verifier"
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
