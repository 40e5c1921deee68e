"""What is asked of private links, and how one is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from syncd.api.schemas.bookings import Client, ClientView
from syncd.api.schemas.common import Body, Instant, Metadata


class NewLink(Body):
    """A private link: for whom, how often, how long; `uses` null is any number."""

    uses: Annotated[int, Field(gt=0, le=1_000_000, strict=True)] | None = 1
    expires_at: Instant | None = None
    client: Client | None = None
    metadata: Annotated[Metadata, Field(default_factory=dict)]


class PageQuery(BaseModel):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=300, description="the `next_cursor` of the page before")


class LinkView(BaseModel):
    """A private link; `used` are its bookings that are neither expired nor declined.

    `url` and `token` are for those who may make links: null for a key without `bookings:write`.
    """

    id: str
    url: str | None
    token: str | None
    state: Literal["open", "used_up", "expired", "revoked"]
    uses: int | None
    used: int
    expires_at: datetime | None
    client: ClientView | None
    metadata: dict[str, Any]
    freelancer: str
    consultation: str
    created_at: datetime
    revoked_at: datetime | None


class LinkList(BaseModel):
    """A page of links."""

    data: list[LinkView]
    next_cursor: str | None
