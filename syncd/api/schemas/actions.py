"""How the actions on a booking are shown before they are done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from syncd.api.schemas.aftermath import OutcomeView
from syncd.booking.actions import ActionName


class ActionView(BaseModel):
    """What an action would mean now.

    `reason` is the code of the problem it would be answered with, `detail` says it in words; `outcome` is what would
    follow, `assuming` what of the request that rests on; `changes_at` is when time alone next changes any of it.
    """

    action: ActionName
    allowed: bool
    reason: str | None = None
    detail: str | None = None
    outcome: OutcomeView | None = None
    assuming: dict[str, Any] | None = None
    changes_at: datetime | None = None
