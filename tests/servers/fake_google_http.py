"""How requests come in at the fake Google server and answers go out, whole or not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any


@dataclass
class Seen:
    """One request of the API as it came in."""

    name: str  # "events.list"
    http: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  # lower-case names
    body: Any
    token: str
    status: int = 0


@dataclass
class Answer:
    """What goes out; `sends` is how much: "all", "half" of what is announced, a "short" half, or "nothing"."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sends: str = "all"


def in_json(status: int, told: Any, headers: dict[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    return Answer(status, json.dumps(told).encode(), kind | (headers or {}))


Answering = Callable[[str, str, dict[str, str], bytes], Answer]


def handler(answering: Answering) -> type[BaseHTTPRequestHandler]:
    """A handler that asks for its answers by method, raw path, headers and body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = answering(self.command, self.path, headers, body)
            with contextlib.suppress(ConnectionError):  # whoever asked may have lost patience
                self.send(answer)

        def send(self, answer: Answer) -> None:
            self.close_connection = self.close_connection or answer.sends in ("half", "nothing")
            if answer.sends == "nothing":
                return
            half = answer.body[: len(answer.body) // 2]
            announced = half if answer.sends == "short" else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(len(announced)))
            self.end_headers()
            self.wfile.write(answer.body if answer.sends == "all" else half)
            self.wfile.flush()

        def log_message(self, *_said: object) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler
