"""From provider events to busy spans: the one table of what blocks.

| what the event says                                | blocks |
|----------------------------------------------------|--------|
| STATUS:CANCELLED                                   | no |
| own PARTSTAT DECLINED                              | no |
| working elsewhere                                  | as the account's `working_elsewhere` says |
| TRANSP:TRANSPARENT, free                           | no |
| own PARTSTAT NEEDS-ACTION                          | as `unanswered` says |
| STATUS:TENTATIVE, own PARTSTAT TENTATIVE, tentative | as `tentative` says |
| everything else, all-day or not                    | yes |

Rows further up win. Times are whole seconds since the epoch, rounded outwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from providers.model import Instance, Window
from providers.recurrence import MAX_INSTANCES, instances

Span = tuple[int, int]
_FEW = 2_000


class AccountChoices(Protocol):
    """An account's choices: "busy" or "free" each."""

    tentative: str
    unanswered: str
    working_elsewhere: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What an account wants uncertain events to mean."""

    tentative: str = "busy"
    unanswered: str = "busy"
    working_elsewhere: str = "free"

    @classmethod
    def of(cls, account: AccountChoices) -> Choices:
        """Take the choices of an account's row."""
        return cls(account.tentative, account.unanswered, account.working_elsewhere)


def blocks(instance: Instance, choices: Choices) -> bool:
    """Whether an instance closes slots."""
    if instance.status == "CANCELLED" or instance.partstat == "DECLINED":
        return False
    if instance.fb_type == "WORKING_ELSEWHERE":
        return choices.working_elsewhere == "busy"
    if instance.transparency == "TRANSPARENT" or instance.fb_type == "FREE":
        return False
    if instance.partstat == "NEEDS-ACTION":
        return choices.unanswered == "busy"
    if "TENTATIVE" in (instance.status, instance.partstat) or instance.fb_type == "BUSY_TENTATIVE":
        return choices.tentative == "busy"
    return True


def busy_spans(instances: Iterable[Instance], choices: Choices) -> tuple[Span, ...]:
    """The spans of the instances that block and have a length, sorted."""
    spans = {span_of(i.start_at, i.end_at) for i in instances if i.start_at < i.end_at and blocks(i, choices)}
    return tuple(sorted(spans))


@dataclass(slots=True)
class Room:
    """How many spans the series of one calendar may take together; those of few spans always find room.

    Without it a few lines of text, each within the bounds of one series, would fill the memory.
    """

    left: int = 300_000

    @property
    def for_one(self) -> int:
        """How many instances the next series may have."""
        return max(_FEW, min(self.left, MAX_INSTANCES))

    def take(self, spans: int) -> None:
        """Note what a series took."""
        self.left -= spans if spans > _FEW else 0


def expand(skeleton: str, window: Window, tz: str, choices: Choices, room: Room) -> tuple[Span, ...]:
    """The spans in which a series blocks in a window. Raises ProviderError where that can't be told."""
    spans = busy_spans(instances(skeleton, window, tz, room.for_one), choices)
    room.take(len(spans))
    return spans


def span_of(start_at: datetime, end_at: datetime) -> Span:
    """A span of instants in whole seconds, rounded outwards so that nothing busy is lost."""
    return math.floor(start_at.timestamp()), math.ceil(end_at.timestamp())
