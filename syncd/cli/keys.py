"""`key create`, `key list`, `key revoke`."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from syncd.cli.setup import opened
from syncd.cli.show import print_json, print_table, say
from syncd.errors import ApiError
from syncd.instants import rfc3339, rfc3339_or_none
from syncd.management.freelancers import find_freelancer
from syncd.management.keys import add_key
from syncd.store import keys
from syncd.store.keys import SCOPES
from syncd.store.models import ApiKey, Freelancer

if TYPE_CHECKING:
    from syncd.services import Services


def make_key(services: Services, handle: str | None, scopes: list[str]) -> tuple[str, str]:
    """Store a new key; returns its id and its text, which nobody can read again. Raises ApiError."""
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise ApiError("invalid-request", f"unknown scope {unknown[0]!r}: right would be one of {', '.join(SCOPES)}")
    with services.store.write() as session:
        person = find_freelancer(session, handle) if handle is not None else None
        if handle is not None and person is None:
            raise ApiError("not-found", f"there is no freelancer {handle}: see `syncd freelancer list`")
        freelancer_id = person.id if person else None
        row, text = add_key(session, freelancer_id, scopes, SCOPES, secrets.token_bytes, services.clock())
        return row.id, text


def create(config_path: Path, handle: str | None, scopes: list[str] | None, *, as_json: bool) -> int:
    """Make a key and show it, once."""
    chosen = scopes or ["slots:read", "bookings:read", "bookings:write"]
    with opened(config_path) as installation:
        key_id, text = make_key(installation.services, handle, chosen)
    if as_json:
        print_json({"id": key_id, "key": text, "freelancer": handle, "scopes": chosen})
    else:
        say(f"{text}\n\n{key_id} for {handle or 'all freelancers'}, scopes {' '.join(chosen)}. It is not shown again.")
        if "manage" not in chosen:
            say("It can't change settings: that takes --scope manage, beside each other scope it needs.")
    return 0


def show(config_path: Path, *, as_json: bool) -> int:
    """List keys, without their texts."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        handles = {row.id: row.handle for row in session.scalars(select(Freelancer))}
        rows = [(key, handles.get(key.freelancer_id or "")) for key in keys.list_keys(session)]
    if as_json:
        print_json([_key_json(key, handle) for key, handle in rows])
    else:
        print_table(
            ("key", "for", "scopes", "made", "revoked"),
            [
                (key.id, handle or "all", " ".join(key.scopes), f"{key.created_at:%Y-%m-%d}", _day(key.revoked_at))
                for key, handle in rows
            ],
        )
    return 0


def _key_json(key: ApiKey, handle: str | None) -> dict[str, object]:
    return {
        "id": key.id,
        "freelancer": handle,
        "scopes": key.scopes,
        "created_at": rfc3339(key.created_at),
        "revoked_at": rfc3339_or_none(key.revoked_at),
    }


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else ""


def revoke(config_path: Path, key_id: str, *, as_json: bool) -> int:
    """Revoke a key at once."""
    with opened(config_path) as installation, installation.services.store.write() as session:
        key = session.get(ApiKey, key_id)
        if key is None:
            raise ApiError("not-found", f"there is no key {key_id}: see `syncd key list`")
        key.revoked_at = key.revoked_at or installation.services.clock()
        revoked_at = key.revoked_at
    if as_json:
        print_json({"id": key_id, "revoked_at": rfc3339(revoked_at)})
    else:
        say(f"{key_id} is revoked.")
    return 0
