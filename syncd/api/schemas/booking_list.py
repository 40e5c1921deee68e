"""Which bookings are asked for, and how a list of them is shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from syncd.api.schemas.bookings import BookingView

When = Annotated[str, Field(max_length=40)]


class BookingQuery(BaseModel):
    """What a list of bookings is narrowed to; `start` and `end` bound the start."""

    start: When | None = Field(None, description="a date, or an instant with an offset: none that starts before it")
    end: When | None = Field(None, description="a date (inclusive), or an instant (exclusive)")
    time_zone: str | None = Field(None, max_length=64, description="whose dates `start` and `end` are")
    state: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], description="one or several states, also separated by commas"
    )
    freelancer: str | None = Field(None, max_length=64, description="a handle")
    consultation: str | None = Field(None, max_length=130, description="`slug`, or `handle/slug`")
    client: str | None = Field(None, max_length=254, description="the client's e-mail address")
    updated_since: When | None = Field(None, description="an instant, inclusive; the list is then by last change")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=300, description="the `next_cursor` of the page before")


class BookingList(BaseModel):
    """A page of bookings."""

    data: list[BookingView]
    next_cursor: str | None
