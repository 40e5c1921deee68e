"""Takes one planned step at a provider; safe to take again after a lost answer or a crash at any line.

Raises ProviderError for the caller's retry table. Knows neither the store nor what a booking is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    GrantRevoked,
    InvalidResponse,
    NotFound,
    ProviderError,
    Transient,
)
from providers.model import ConsultationEvent, EventRef, RemoteCalendar
from providers.port import Provider
from syncd.outbox.plan import is_as_wanted

_TRIES = 4  # someone may edit the event between our reading and our writing, but not for ever


class Vanished(Exception):
    """The event can't be had under this id (any more): deleted by hand, or its id is used up. Use a new generation."""


def create(
    provider: Provider, calendar: RemoteCalendar, event: ConsultationEvent, key: str, *, earlier: Iterable[str] = ()
) -> EventRef:
    """Make the event, or find the one an earlier attempt made and bring it up to date. Raises Vanished.

    What was made under `earlier` keys and then said to be missing is removed first, should it be there after all: a
    server may have been wrong for a moment, and a whole calendar may come back.
    """
    for old in earlier:
        remove(provider, calendar, None, old)
    try:
        return _made(provider, calendar, event, key)
    except AlreadyExists:
        written = provider.find(calendar, key)
    if written is None:
        raise Vanished(key)
    return written.ref if is_as_wanted(written, event) else change(provider, written.ref, event)


def _made(provider: Provider, calendar: RemoteCalendar, event: ConsultationEvent, key: str) -> EventRef:
    """Make the event, once more where it meets what another writes there at that moment."""
    try:
        return provider.create(calendar, event, key)
    except ETagMismatch:
        return provider.create(calendar, event, key)


def change(provider: Provider, ref: EventRef, event: ConsultationEvent) -> EventRef:
    """Bring the event up to date whatever else was edited in it. Raises Vanished if it is gone.

    What is known of its meeting link stands until an answer says something of it.
    """
    return _still_linked(_changed(provider, ref, event), ref)


def _still_linked(ref: EventRef, known: EventRef) -> EventRef:
    ref = replace(ref, invited=ref.invited or known.invited)
    if ref.join_url or ref.link_pending:
        return ref
    return replace(ref, join_url=known.join_url, link_pending=known.link_pending)


def _changed(provider: Provider, ref: EventRef, event: ConsultationEvent) -> EventRef:
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


def ask_link(provider: Provider, ref: EventRef) -> EventRef:
    """The event as it is now, with its meeting link; one that is gone gets none. Raises Transient, GrantRevoked.

    While the event can't be read, its link counts as still being made: it was written, so nothing has failed but this.
    """
    try:
        return provider.get(ref).ref
    except (Transient, GrantRevoked):
        raise
    except NotFound:
        return replace(ref, join_url=None, link_pending=False)
    except ProviderError:
        return ref


def remove(provider: Provider, calendar: RemoteCalendar, ref: EventRef | None, key: str) -> None:
    """Remove the event; without a ref, the one an unanswered attempt may have made."""
    if ref is None:
        ref = _found(provider, calendar, key)
        if ref is None:
            return
    for _ in range(_TRIES):
        try:
            provider.delete(ref, ref.etag)
            return
        except ETagMismatch:
            ref = replace(_as_it_is(provider, ref), invited=ref.invited)
    raise ETagMismatch(remote_id=ref.remote_id)


def _found(provider: Provider, calendar: RemoteCalendar, key: str) -> EventRef | None:
    """Where the event made with this key is, whether it can be read or not."""
    try:
        written = provider.find(calendar, key)
    except InvalidResponse as error:
        if error.remote_id is None:
            raise
        return EventRef(calendar.remote_id, error.remote_id, key)
    return None if written is None else written.ref


def _as_it_is(provider: Provider, ref: EventRef) -> EventRef:
    """The event's newest ETag; none where it can't be read or is said to be missing, so that deleting will tell."""
    try:
        return provider.get(ref).ref
    except (NotFound, InvalidResponse):
        return replace(ref, etag=None)
