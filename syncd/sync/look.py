"""The live look: what the calendars that could block say right now, before a hold or a booking (semantics 17).

Decides nothing of what is bookable: what it finds busy goes into the store, where the predicate finds it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to: `verified` if every calendar that blocks answered; `closing` are the ids of those that gave
    no answer and whose accounts say that nothing is offered then."""

    verified: bool
    closing: tuple[str, ...] = ()


NOT_LOOKED = Looked(verified=False)
