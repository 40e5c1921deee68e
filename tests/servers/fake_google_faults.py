"""What goes wrong at the fake Google server, on demand: limits, failures, answers that are cut, late or lost.

Documented (guides "Handle API errors", "Usage limits"): the reasons and domains of 403, 429, 500 and 503. How
connections fail is nobody's document: a cut in mid-body, half a body that claims to be whole, an answer that is lost
after its effect.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from fake_google_schema import Refusal

Kind = Literal["refuse", "cut", "truncate", "delay", "lose", "expire"]
_WRITES = ("events.insert", "events.patch", "events.update", "events.delete", "events.move")
_LIMITS = ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "calendarUsageLimitsExceeded")


@dataclass
class Fault:
    """One kind of fault for the next `count` requests of a method, after the first `skip`.

    `method` is how the name of the method begins, as in "events."; `seconds` are those of a delay.
    """

    kind: Kind
    count: int = 1
    method: str = ""
    skip: int = 0
    status: int = 503
    reason: str = "backendError"
    retry_after: int | None = None
    seconds: float = 0.0

    def meets(self, method: str) -> bool:
        """Whether a request is hit; it counts."""
        if self.count <= 0 or not method.startswith(self.method) or (self.kind == "lose" and method not in _WRITES):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        return True

    def refusal(self) -> Refusal:
        """What is answered instead."""
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        domain = "usageLimits" if self.reason in _LIMITS else "global"
        return Refusal(self.status, self.reason, f"Fault: {self.reason}", domain=domain, headers=headers)


@dataclass
class Faults:
    """All faults that wait for requests."""

    waiting: list[Fault] = field(default_factory=list)

    def before(self, method: str) -> set[Kind]:
        """Let happen what comes before a request's effect, and say what shall happen. Raises Refusal."""
        kinds: set[Kind] = set()
        for fault in self.waiting:
            if fault.meets(method):
                kinds.add(fault.kind)
                time.sleep(fault.seconds)
                if fault.kind == "refuse":
                    raise fault.refusal()
        return kinds
