"""Takes one planned step at a provider; safe to take again after a lost answer or a crash at any line.

Raises ProviderError for the caller's retry table. Knows neither the store nor what a booking is.
"""

from __future__ import annotations

from providers.errors import AlreadyExists, ETagMismatch, NotFound
from providers.model import ConsultationEvent, EventRef, RemoteCalendar
from providers.port import Provider
from syncd.outbox.plan import is_as_wanted

_TRIES = 4  # someone may edit the event between our reading and our writing, but not for ever


class Vanished(Exception):
    """The event can't be had under this id (any more): deleted by hand, or its id is used up. Use a new generation."""


def create(provider: Provider, calendar: RemoteCalendar, event: ConsultationEvent, key: str) -> EventRef:
    """Make the event, or find the one an earlier attempt made and bring it up to date. Raises Vanished."""
    try:
        return provider.create(calendar, event, key)
    except AlreadyExists:
        written = provider.find(calendar, key)
    if written is None:
        raise Vanished(key)
    return written.ref if is_as_wanted(written, event) else change(provider, written.ref, event)


def change(provider: Provider, ref: EventRef, event: ConsultationEvent) -> EventRef:
    """Bring the event up to date whatever else was edited in it. Raises Vanished if it is gone."""
    try:
        for _ in range(_TRIES):
            if ref.etag is not None:
                try:
                    return provider.update(ref, event, ref.etag)
                except ETagMismatch:
                    pass
            written = provider.get(ref)
            if is_as_wanted(written, event):
                return written.ref
            ref = written.ref
    except NotFound:
        raise Vanished(ref.uid) from None
    raise ETagMismatch(remote_id=ref.remote_id)


def remove(provider: Provider, calendar: RemoteCalendar, ref: EventRef | None, key: str) -> None:
    """Remove the event; without a ref, the one an unanswered attempt may have made."""
    if ref is None:
        written = provider.find(calendar, key)
        if written is None:
            return
        ref = written.ref
    for _ in range(_TRIES):
        try:
            provider.delete(ref, ref.etag)
            return
        except ETagMismatch:
            try:
                ref = provider.get(ref).ref
            except NotFound:
                return
    raise ETagMismatch(remote_id=ref.remote_id)
