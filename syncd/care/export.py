"""All that is kept of one freelancer, as JSON: what the person may ask for, and what another system could read.

Decides the document's form. Refuses to know where it goes. It holds no secrets (passwords, tokens, keys) and nothing of
any other freelancer; of the person's own events it holds what is kept of them, their timing.

The document: `format` ("syncd-export"), `version` (1), `exported_at`, then `freelancer`, `schedules`, `consultations`,
`links`, `api_keys`, `accounts` (each with its `calendars`, these with their `events` and the time they keep `busy`) and
`bookings` (each with its `calendar_event`, its `actions` and what is `owed` to the calendar). Members are named as they
are stored: instants end in `_at` and are RFC 3339 in UTC, lengths end in `_minutes`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from syncd.care.files import new_file
from syncd.errors import ApiError
from syncd.instants import rfc3339
from syncd.store import belongings

FORMAT, VERSION = "syncd-export", 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def export(session: Session, handle: str, now: datetime) -> dict[str, Any]:
    """The document of one freelancer. Raises ApiError if there is none of that handle."""
    person = belongings.freelancer_named(session, handle)
    if person is None:
        raise ApiError("not-found", f"there is no freelancer {handle}: see `syncd freelancer list`")
    found = belongings.belongings(session, person.id)
    for account in found["accounts"]:
        for calendar in account["calendars"]:
            for event in calendar["events"]:
                event["busy"] = [[_second(span["starts_at"]), _second(span["ends_at"])] for span in event["busy"]]
    head = {"format": FORMAT, "version": VERSION, "exported_at": now}
    return {name: _plain(value) for name, value in (head | found).items()}


def write_export(document: dict[str, Any], path: Path) -> int:
    """Write a document to a new file that its owner alone may read; returns its bytes. Raises ApiError."""
    content = (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
    with new_file(path) as aside:
        aside.write_bytes(content)
    return len(content)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return rfc3339(value) if isinstance(value, datetime) else value


def _second(instant: int) -> datetime:
    return _EPOCH + timedelta(seconds=instant)
