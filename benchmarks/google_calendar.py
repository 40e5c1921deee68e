"""A Google calendar of 10,000 events (20 % recurring with exceptions), pulled into a store: against what is usual.

The alternative asks Google to expand the series of the window, page by page, with its own library, and does so again
whenever it wants to know what changed. Ours lists everything once and then by sync token. Requests are counted by the
server, a process of its own (the tests' fake Google), so that its time isn't ours; seconds are CPU time of this one.
Theirs ends with intervals in memory, ours with everything stored. Memory is what a process of its own takes at its peak
for four times as many pages of the same calendar, beyond what it had before: the list of its ids grows, no more.
Targets are shown, and fail nothing.
"""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from _harness import Result, show

sys.path.append(str(Path(__file__).parents[1] / "tests" / "servers"))

from availability import zones
from providers import open_provider
from providers.google.calls import methods
from providers.google.http import Http, open_google_session
from providers.google.oauth import bearer, tokens_of
from providers.google.permissions import FREE_BUSY, LISTING, READING, Grant
from providers.model import Connection
from syncd.config import load_config
from syncd.jobs.account import Workshop, work_account
from syncd.jobs.due import Order
from syncd.locks import ProcessLocks
from syncd.log import configure_logging
from syncd.services import Services, open_services
from syncd.store.access import Access, connection_of, reach_of, renew_access
from syncd.store.models import Account
from syncd.sync.pull import PullSettings, pull_window

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
EVENTS, CHANGES = 10_000, 10
_KEEP = timedelta(days=90)
_AGAINST = "singleEvents, each time"
_CONFIG = """
[daemon]
keep_busy_for = "90d"
[google]
client_id = "{client_id}"
client_secret_env = "GOOGLE"
api_endpoint = "{api_endpoint}"
auth_uri = "{auth_uri}"
token_uri = "{token_uri}"
revoke_uri = "{revoke_uri}"
[freelancers.ada]
time_zone = "Europe/Berlin"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-17:00"]
[freelancers.ada.accounts.google]
provider = "google"
"""


# The server, in a process of its own


def _serve(pipe: Pipe, events: int) -> None:
    from fake_google import FakeGoogle

    google = FakeGoogle()
    with google.lock:
        _fill(google, events)
    token = google.grant(LISTING, READING, FREE_BUSY)
    pipe.send({**google.endpoints, "refresh_token": token})
    acts: dict[str, Callable[[], Any]] = {
        "count": lambda: google.count("events."),
        "change": lambda: _change(google),
        "pages": lambda: google.lists.__dict__.update(page_size=625),
    }
    while (act := pipe.recv()) != "stop":
        pipe.send(acts[act]())
    google.stop()


def _fill(google: Any, events: int) -> None:
    for number in range(events):
        start = MONDAY + timedelta(days=number % 200 - 100, minutes=15 * (number % 36))
        times = {"start": _at(start), "end": _at(start + timedelta(minutes=45))}
        if number % 5:
            google.put("primary", {"summary": f"Event {number}", "description": "x" * 200, **times})
            continue
        rule = ("RRULE:FREQ=WEEKLY;COUNT=40", "RRULE:FREQ=DAILY;COUNT=25", "RRULE:FREQ=MONTHLY;COUNT=12")[number % 3]
        master = google.put("primary", {"summary": f"Series {number}", "recurrence": [rule], **times})
        later = start + timedelta(hours=2)
        moved = {"start": _at(later), "end": _at(later + timedelta(minutes=30))}
        google.put("primary", {**moved, "recurringEventId": master, "originalStartTime": _at(start)})


def _at(at: datetime) -> dict[str, str]:
    return {"dateTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "timeZone": "Europe/Berlin"}


def _change(google: Any) -> None:
    """Ten changes: seven events moved, two series, one exception removed."""
    items = google.items("primary")
    single = [one for one in items if "recurrence" not in one and "recurringEventId" not in one][:7]
    series = [one for one in items if "recurrence" in one][:2]
    for one in (*single, *series):
        google.patch(
            "primary", one["id"], {"end": {**one["end"], "dateTime": one["end"]["dateTime"].replace(":45:", ":50:")}}
        )
    google.delete("primary", next(one for one in items if "recurringEventId" in one)["id"])


@contextmanager
def serving(events: int) -> Iterator[tuple[dict[str, str], Callable[[str], Any]]]:
    """A server with so many events; gives its settings, and a way to have it act."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, events))
    process.start()
    settings = ours.recv()

    def act(what: str) -> Any:
        ours.send(what)
        return ours.recv()

    yield settings, act
    ours.send("stop")
    process.join()


# The two sides


@dataclass
class Ours:
    """An installation with the account, pulled as the daemon pulls it."""

    services: Services
    locks: ProcessLocks
    account_id: str

    def pull(self) -> None:
        settings = PullSettings(_KEEP, timedelta(hours=6), reach_of(self.services.config))
        shop = Workshop(self.services.store, self.services.vault, self.locks, settings, open_provider, lambda: MONDAY)
        report = work_account(shop, self.account_id, Order(everything=True))
        assert report.failures == [], report.failures


@contextmanager
def installed(settings: dict[str, str]) -> Iterator[Ours]:
    """An installation in a temporary folder, with nothing pulled yet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_text(_CONFIG.format(**settings))
        services = open_services(load_config(path, {"GOOGLE": settings["client_secret"]}), clock=lambda: MONDAY)
        with closing(services.store), closing(ProcessLocks(Path(folder, "lock"))) as locks:
            with services.store.write() as session:
                account = session.query(Account).one()
                grant = Grant(settings["refresh_token"], frozenset({LISTING, READING}), MONDAY)
                renew_access(account, services.vault, Access("", "ada", grant.text()), MONDAY)
                account_id = account.id
            yield Ours(services, locks, account_id)


def _theirs(connection: Connection) -> list[tuple[str, str]]:
    """Every instance in the window, expanded by the server."""
    assert connection.client is not None
    session = open_google_session()
    tokens = tokens_of(connection.client, Grant.read(connection.secret))
    http, window = Http(session, bearer(tokens, session, time.monotonic() + 600)), pull_window(MONDAY, _KEEP)
    events = methods(f"{connection.client.api_endpoint}/calendar/v3/").events
    span = {"timeMin": window.start_at.isoformat(), "timeMax": window.end_at.isoformat()}
    request = events.list(calendarId="primary", singleEvents=True, maxResults=2_500, **span)
    found = []
    while request is not None:
        answer = request.execute(http=http)
        found += [(one["start"]["dateTime"], one["end"]["dateTime"]) for one in answer["items"]]
        request = events.list_next(request, answer)
    session.close()
    return sorted(found)


# What is compared


def run() -> Iterator[Result]:
    """All comparisons, one after the other."""
    with serving(EVENTS) as (settings, act), installed(settings) as ours:
        with ours.services.store.read() as session:
            account = session.get_one(Account, ours.account_id)
            connection = connection_of(account, ours.services.vault, reach_of(ours.services.config))
        yield from _compared("first pull", act, ours.pull, lambda: _theirs(connection), None)
        act("change")
        yield from _compared("10 changed", act, ours.pull, lambda: _theirs(connection), 2.0)
    yield _memory()


def _compared(
    measure: str,
    act: Callable[[str], Any],
    ours: Callable[[], object],
    theirs: Callable[[], object],
    most: float | None,
) -> Iterator[Result]:
    """Requests and CPU seconds of both; `most` is how many requests ours may need."""
    counts, times = [], []
    for side in (ours, theirs):
        before, begun = act("count"), _cpu()
        side()
        times.append(_cpu() - begun)
        counts.append(float(act("count") - before))
    target = counts[1] / most if most else None
    yield Result(
        "google", "10,000", f"{measure}, requests", _AGAINST, counts[1] / counts[0], *counts, "requests", target
    )
    yield Result("google", "10,000", f"{measure}, CPU", _AGAINST, times[1] / times[0], *times)


def _cpu() -> float:
    gc.collect()
    return time.process_time()


def _memory() -> Result:
    peaks = [
        float(subprocess.run([sys.executable, __file__, "--peak", str(count)], check=True, capture_output=True).stdout)  # noqa: S603
        for count in (4 * EVENTS, EVENTS)
    ]
    return Result("google", "40,000", "peak memory", "a quarter of the pages", peaks[1] / peaks[0], *peaks, "MB")


def _peak(events: int) -> None:
    """Print how many MB a first pull takes at its peak; run as a process of its own."""
    with serving(200) as (settings, _), installed(settings) as ours:
        ours.pull()  # so that what is imported or kept on first use is there
    with serving(events) as (settings, _), installed(settings) as ours:
        before = _high_water()
        ours.pull()
        print(_high_water() - before)


def _high_water() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024.0 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    zones.pin()
    configure_logging(level="error")
    if sys.argv[1:2] == ["--peak"]:
        _peak(int(sys.argv[2]))
    else:
        sys.exit(show(run()))
