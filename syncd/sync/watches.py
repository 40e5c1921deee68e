"""Channels by which a provider tells that a calendar changed: when one is opened, replaced and closed."""

from __future__ import annotations

from urllib.parse import urlsplit


def hooks_of(public_url: str) -> str:
    """The address below which providers tell of changes; "" where there is no https, without which none of them do."""
    return f"{public_url.rstrip('/')}/hooks" if urlsplit(public_url).scheme == "https" else ""
