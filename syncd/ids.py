"""Ids of things: a prefix that says what, and 100 random bits."""

from __future__ import annotations

import base64
import secrets


def new_id(prefix: str) -> str:
    """Return a fresh id such as `bkg_k5x…`."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(13)).decode().rstrip('=').lower()}"
