"""What a remote calendar says, and takes: one adapter per kind, all behind `providers.port`."""

from __future__ import annotations

from providers.model import Connection
from providers.port import Provider


def open_provider(kind: str, connection: Connection) -> Provider:
    """Return the adapter for `kind` ("caldav", "google", "ics", "memory"), imported with its libraries on first use."""
    if kind == "caldav":
        from providers.caldav.client import CalDAVProvider

        return CalDAVProvider(connection)
    if kind == "google":
        from providers.google.client import GoogleProvider

        return GoogleProvider(connection)
    if kind == "ics":
        from providers.ics_feed import IcsFeedProvider

        return IcsFeedProvider(connection)
    if kind == "memory":
        from providers.memory import MemoryProvider

        return MemoryProvider.open(connection)
    msg = f"unknown provider {kind!r}: known are caldav, google, ics and memory"
    raise ValueError(msg)
