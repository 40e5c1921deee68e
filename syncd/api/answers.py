"""An answer as plain values, so that it can be kept and sent again; and one that isn't sent again to whoever has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response


def unless_known(
    request: Request, body: bytes, etag: str, headers: Mapping[str, str], media_type: str = "application/json"
) -> Response:
    """The body with its ETag, or 304 without it for whoever has it already; asked for again at every use."""
    headers = {"ETag": etag, "Cache-Control": "no-cache", **headers}
    if _is_known(etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


def etag_of(body: bytes) -> str:
    """A strong ETag of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _is_known(etag: str, if_none_match: str) -> bool:
    """RFC 9110, 13.1.2: weak comparison with a list of tags, or `*` for any."""
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag.removeprefix("W/") in known or known == ["*"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers of an HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    @classmethod
    def of(cls, status: int, document: object, headers: Mapping[str, str] | None = None) -> Answer:
        """An answer with a JSON document."""
        return cls(status, json.dumps(document, ensure_ascii=False).encode(), headers or {})

    def response(self, request: Request, more: Mapping[str, str] | None = None) -> Response:
        """What is sent, with the request's id; in a problem document it is a member as well."""
        request_id = str(request.scope.get("request_id", ""))
        body = self.body
        if self.media_type == "application/problem+json":
            body = json.dumps({**json.loads(body), "request_id": request_id}, ensure_ascii=False).encode()
        return Response(body, self.status, {**self.headers, **(more or {})}, self.media_type)

    def dump(self) -> bytes:
        """As bytes that `load` reads."""
        text = {"status": self.status, "headers": dict(self.headers), "media_type": self.media_type}
        return json.dumps({**text, "body": self.body.decode()}).encode()

    @classmethod
    def load(cls, data: bytes) -> Answer:
        """The answer that `dump` wrote."""
        kept = json.loads(data)
        return cls(kept["status"], kept["body"].encode(), kept["headers"], kept["media_type"])
