"""What a server really does with one calendar, found out by asking.

Decides which questions tell it. Refuses to know what is made of the answers, and to write anything unless it is given
a time for a trial.
"""

from __future__ import annotations

from datetime import datetime

from caldav.elements import dav
from caldav.lib import error as failures

from providers.caldav import pull, wire
from providers.caldav.server import Server
from providers.errors import InvalidResponse, SyncTokenInvalid
from providers.model import Probe, RemoteCalendar

_NEVER_GIVEN_OUT = "http://syncd.invalid/never-given-out"


def probe(server: Server, calendar: str, trial_at: datetime | None) -> Probe:
    """Ask a calendar how its changes are found and what may be done in it."""
    del trial_at
    rows = server.propfind(calendar, (dav.CurrentUserPrivilegeSet,), depth=0)
    if not rows:
        raise InvalidResponse("the server says nothing of the calendar")
    [row, *_] = rows
    pulls_by = pull.everything(server, calendar).pulls_by
    return Probe(
        pulls_by=pulls_by,
        checks_tokens=_checks_tokens(server, calendar) if pulls_by == "sync-token" else None,
        privileges=("read", "write") if wire.may_write(row) else ("read",),
    )


def _checks_tokens(server: Server, calendar: str) -> bool:
    try:
        pull.listing(server, RemoteCalendar(calendar, ""), _NEVER_GIVEN_OUT, None)
    except (SyncTokenInvalid, failures.DAVError):
        return True
    return False
