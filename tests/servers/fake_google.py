"""A fake Google: the Calendar API v3, sign-in and push, over real HTTP, as strict as Google's documents.

What is checked and how it is answered say `fake_google_schema` (against the discovery document), `fake_google_methods`,
`fake_google_lists`, `fake_google_writes`, `fake_google_queries`, `fake_google_push`, `fake_google_oauth` and
`fake_google_times`; each names the documents it follows and what is only reported. Here requests come in, and tests act
as other clients and as people do.

Documented (guide "Handle API errors"): 401 `authError`. In the client library: `x-http-method-override` for addresses
that are too long.

As a program: `python tests/servers/fake_google.py --port 8090`, and then for example
`curl http://127.0.0.1:8090/_hand/put -d '{"calendar_id": "primary", "body": {"start": …, "end": …}}'`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import threading
import traceback
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from fake_google_calendars import Account
from fake_google_faults import Fault, Faults
from fake_google_hand import by_hand
from fake_google_http import Answer, Seen, handler, in_json
from fake_google_lists import Lists
from fake_google_methods import Call, check_scopes, play
from fake_google_oauth import OAuth, OAuthRefusal, Token
from fake_google_push import Channels
from fake_google_schema import BASE, Json, Method, Refusal, check_body, find_method, read_parameters, reduced, selection
from fake_google_times import check_zone
from fake_google_writes import Writes

_SIGN_IN = ("/o/oauth2/v2/auth", "/token", "/revoke")
_SENDS = {"lose": "nothing", "cut": "half", "truncate": "short"}


class FakeGoogle:
    """One Google, with as many people as sign in; `account` is the one most tests are about."""

    def __init__(self, port: int = 0) -> None:
        self.lock = threading.RLock()
        self.channels = Channels()
        self.reset()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler(self.answer))
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = self.url + BASE
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self.channels.stop()

    def reset(self) -> None:
        """Begin anew: nobody has permitted anything, and nobody has a calendar but the primary one."""
        self.channels.forget()
        with self.lock:
            self.oauth, self.lists, self.writes, self.faults = OAuth(), Lists(), Writes(), Faults()
            self.accounts: dict[str, Account] = {}
            self.requests: list[Seen] = []
            self.crashes: list[str] = []  # where this server itself failed
            self.busy_errors: dict[str, str] = {}  # calendar id → reason inside the answer of freeBusy.query
            self.list_page_size: int | None = None  # of the calendar list
            self._revisions = itertools.count(1)

    @property
    def endpoints(self) -> dict[str, str]:
        """The settings of a client: its id and secret, and where Google is."""
        return {
            "client_id": self.oauth.client_id,
            "client_secret": self.oauth.client_secret,
            "api_endpoint": self.url,
            "auth_uri": f"{self.url}/o/oauth2/v2/auth",
            "token_uri": f"{self.url}/token",
            "revoke_uri": f"{self.url}/revoke",
        }

    # Another client, and the people themselves

    def person(self, email: str) -> Account:
        """What a person has at Google."""
        with self.lock:
            if email not in self.accounts:
                self.accounts[email] = Account(email, self._revisions, self.channels.tell)
            return self.accounts[email]

    @property
    def account(self) -> Account:
        return self.person(self.oauth.user)

    def make_calendar(self, name: str, tz: str = "Europe/Berlin", role: str = "owner", **more: Any) -> str:
        with self.lock:
            return self.account.make_calendar(name, tz, role, **more)

    def remove_calendar(self, calendar_id: str) -> None:
        with self.lock:
            self.account.remove_calendar(calendar_id)

    def put(self, calendar_id: str, body: Json) -> str:
        """Write an event as another client, unchecked, and return its id."""
        with self.lock:
            return self.account.put(calendar_id, body)

    def patch(self, calendar_id: str, item_id: str, changes: Json) -> None:
        with self.lock:
            self.account.patch(calendar_id, item_id, changes)

    def delete(self, calendar_id: str, item_id: str) -> None:
        with self.lock:
            self.account.delete(calendar_id, item_id)

    def move(self, calendar_id: str, item_id: str, destination: str) -> None:
        with self.lock:
            self.account.move(calendar_id, item_id, destination)

    def items(self, calendar_id: str) -> list[Json]:
        with self.lock:
            return self.account.items(calendar_id)

    def calendars(self) -> list[str]:
        return list(self.account.calendars)

    def grant(self, *scopes: str, user: str | None = None) -> str:
        """A refresh token as if a person had just permitted this; the scopes are whole addresses."""
        with self.lock:
            permission = self.oauth.permit(user or self.oauth.user, frozenset(scopes))
            return str(self.oauth.lasting_token(permission, frozenset(scopes))["refresh_token"])

    def revoke(self) -> None:
        """Take all permissions back, as people do in their own accounts."""
        with self.lock:
            for permission in list(self.oauth.permissions.values()):
                self.oauth.end(permission)

    def expire_access(self) -> None:
        """Let all access tokens end now."""
        with self.lock:
            self.oauth.access.clear()

    def expire_sync(self, calendar_id: str) -> None:
        """Let all sync tokens of a calendar end now."""
        with self.lock:
            held = self.account.calendar(calendar_id)
            held.expired_to = self.account.next_revision()

    def shuffle(self, seed: int) -> None:
        """List events in an order of no meaning."""
        self.lists.arrange = lambda items: random.Random(seed).sample(items, len(items))

    def overrides_first(self) -> None:
        """List each series after all that belongs to it."""
        self.lists.arrange = lambda items: sorted(items, key=lambda one: not one.is_exception)

    def fail(self, **fault: Any) -> None:
        """Let something go wrong: the arguments are those of `fake_google_faults.Fault`."""
        with self.lock:
            self.faults.waiting.append(Fault(**fault))

    def count(self, name: str = "") -> int:
        """How many requests came for a method, or for all whose name begins so."""
        return sum(seen.name.startswith(name) for seen in self.requests)

    # HTTP

    def answer(self, http: str, raw: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer a request."""
        parts = urlsplit(raw)
        if parts.path.startswith("/_hand/"):
            return by_hand(self, parts.path.removeprefix("/_hand/"), json.loads(body or b"{}"))
        if parts.path in _SIGN_IN:
            return self._sign_in(http, parts.path, parts.query, body)
        if http == "POST" and headers.get("x-http-method-override"):
            return self._api(headers["x-http-method-override"], parts.path, body.decode(), headers, b"")
        return self._api(http, parts.path, parts.query, headers, body)

    def _sign_in(self, http: str, path: str, query: str, body: bytes) -> Answer:
        form = dict(parse_qsl(body.decode() or query, keep_blank_values=True))
        with self.lock:
            if path == _SIGN_IN[0]:
                status, told = self.oauth.ask(query)
                return Answer(status, told.encode(), {"Location": told} if status == 302 else {})
            if http != "POST":
                return Answer(405)
            try:
                return in_json(200, self.oauth.token(form) if path == "/token" else self.oauth.revoke(form))
            except OAuthRefusal as refused:
                return in_json(refused.status, refused.body())

    def _api(self, http: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        seen = Seen("", http, path, parse_qs(query, keep_blank_values=True), headers, body, token)
        self.requests.append(seen)
        try:
            answer = self._answered(seen, body)
        except Refusal as refused:
            answer = in_json(refused.status, refused.body(), refused.headers)
        except Exception:  # noqa: BLE001 - a fault of this server must be seen by the test
            self.crashes.append(traceback.format_exc())
            answer = in_json(500, Refusal(500, "backendError", self.crashes[-1]).body())
        seen.status = answer.status
        return answer

    def _answered(self, seen: Seen, body: bytes) -> Answer:
        method, named = find_method(seen.http, seen.path)
        seen.name, seen.body = method.id, _read(method, body)
        kinds = self.faults.before(method.id)
        with self.lock:
            if "expire" in kinds:
                self.expire_access()
            answer = self._let_in(method, named, seen)
        answer.sends = next((how for kind, how in _SENDS.items() if kind in kinds), "all")
        return answer

    def _let_in(self, method: Method, named: dict[str, str], seen: Seen) -> Answer:
        token = self._known(seen.token)
        asked = read_parameters(method, named, seen.query)
        account = self.person(token.permission.user)
        check_scopes(method, token, account, asked)
        check_zone(asked.get("timeZone", "UTC"))
        chosen = selection(asked["fields"], method.response) if "fields" in asked and method.response else None
        if method.request:
            check_body(method, seen.body)
        result = play(self, method, Call(account, asked, seen.body or {}, seen.headers))
        if result is None:
            return Answer(204)
        etag = {"ETag": result["etag"]} if "etag" in result else {}
        if etag and seen.http == "GET" and seen.headers.get("if-none-match") == etag["ETag"]:
            return Answer(304, b"", etag)
        return in_json(200, reduced(result, chosen), etag)

    def _known(self, text: str) -> Token:
        token = self.oauth.known(text)
        if token is None:
            challenge = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
            raise Refusal(401, "authError", "Invalid Credentials", "Authorization", "header", headers=challenge)
        return token


def _read(method: Method, body: bytes) -> Any:
    if not method.request:
        return None
    try:
        return json.loads(body or b"{}")
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error") from None


def main() -> None:
    """Run until it is interrupted, and say how it is asked."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    google = FakeGoogle(parser.parse_args().port)
    google.channels.allow_http = True
    print(json.dumps({**google.endpoints, "user": google.oauth.user, "hand": f"{google.url}/_hand/"}), flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        google.stop()


if __name__ == "__main__":
    main()
