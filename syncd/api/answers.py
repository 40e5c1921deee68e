"""An answer as plain values, so that it can be kept and sent again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request, Response


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
