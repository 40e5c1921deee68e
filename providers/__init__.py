"""What a remote calendar says, and takes: one adapter per kind, all behind `providers.port`."""

from __future__ import annotations

from providers.model import Connection
from providers.port import Provider


def open_provider(kind: str, connection: Connection) -> Provider:
    """Return the adapter for `kind` ("caldav", "memory"); adapters and their libraries are imported on first use."""
    if kind == "caldav":
        from providers.caldav.client import CalDAVProvider

        return CalDAVProvider(connection)
    if kind == "memory":
        from providers.memory import MemoryProvider

        return MemoryProvider.open(connection)
    msg = f"unknown provider {kind!r}: known are caldav and memory"
    raise ValueError(msg)
