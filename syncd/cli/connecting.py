"""`connect`: asks a person what they want connected, and tells what came of it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from getpass import getpass
from pathlib import Path
from typing import Any

from providers.model import Probe, RemoteCalendar
from providers.port import Provider
from syncd.cli.setup import opened
from syncd.cli.show import print_json, print_table, say, ways_of
from syncd.errors import ApiError
from syncd.log import scrub
from syncd.store.access import FEED, Access
from syncd.sync.connect import (
    Found,
    Known,
    Storing,
    Wanted,
    choice_of,
    chosen_of,
    connection_to,
    known_account,
    list_calendars,
    opened_account,
    probe_chosen,
    store_account,
)
from syncd.sync.prove import Step, Trial, prove


@dataclass(frozen=True, slots=True)
class Wish:
    """What `connect` was asked."""

    provider: str
    freelancer: str
    name: str
    url: str
    username: str = ""
    blocks: list[str] | None = None
    target: str | None = None
    allow_private: bool = False
    ca_file: Path | None = None
    prove: bool = False


@dataclass(slots=True)
class _Proof:
    """The steps of a trial, and what it showed of the target."""

    steps: list[Step] = field(default_factory=list)
    probes: dict[str, Probe] = field(default_factory=dict)


def connect(config_path: Path, wish: Wish, *, as_json: bool) -> int:
    """Check by connecting, choose calendars, see what the server does, store. Raises ApiError, ProviderError."""
    with opened(config_path) as installation:
        services = installation.services
        with services.store.read() as session:
            known = known_account(session, wish.freelancer, wish.name)
        wanted = _wanted(wish, known)
        connection = connection_to(services.config, wanted, known)
        with opened_account(services.open_provider, wish.provider, connection) as provider:
            calendars = list_calendars(provider)
            wanted = _choose(wish, wanted, calendars, known)
            found = Found(calendars, choice_of(calendars, wanted.blocks, wanted.target))
            _check_proof(wish, found)
            found = replace(found, probes=_probe(provider, found))
            proof = _prove(provider, found, services.clock(), as_json=as_json) if wish.prove else _Proof()
        found = replace(found, probes={**found.probes, **proof.probes})
        with services.store.write() as session:
            store_account(Storing(session, services.config, services.vault, services.clock()), wanted, known, found)
    _tell(wish, found, proof, as_json=as_json)
    return 0 if all(step.passed for step in proof.steps) else 1


def _wanted(wish: Wish, known: Known) -> Wanted:
    if wish.ca_file is not None and not wish.ca_file.is_file():
        raise ApiError("invalid-request", f"{wish.ca_file} is no file: name the server's certificates, in PEM")
    return Wanted(
        provider=wish.provider,
        name=wish.name,
        access=Access(wish.url, wish.username, _ask_password(wish)),
        habits=known.habits,
        allow_private=wish.allow_private,
        ca_file=str(wish.ca_file.resolve()) if wish.ca_file else "",
    )


def _ask_password(wish: Wish) -> str:
    if wish.provider == FEED and not wish.username:
        return ""
    if sys.stdin.isatty():
        return getpass(f"Password of {wish.username} at {wish.url}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _check_proof(wish: Wish, found: Found) -> None:
    if wish.prove and found.choice.target is None:
        raise ApiError(
            "invalid-request", "--prove writes to the calendar that takes consultations: name it by --target"
        )


def _probe(provider: Provider, found: Found) -> dict[str, Probe]:
    with _progress(len(chosen_of(found))) as advance:
        return probe_chosen(provider, found, advance)


def _prove(provider: Provider, found: Found, now: datetime, *, as_json: bool) -> _Proof:
    """Write a throwaway event, a month ahead and at night, and tell of each step."""
    proof = _Proof()
    target = next(c for c in found.calendars if c.remote_id == found.choice.target)
    at = (now + timedelta(days=30)).replace(hour=2, minute=0, second=0, microsecond=0)
    key = f"syncd-trial-{secrets.token_hex(8)}"
    trial = Trial(provider, target, at, key, time.monotonic, time.sleep)
    for step in prove(trial):
        proof.steps.append(step)
        if not as_json:
            mark, detail = "ok" if step.passed else "FAILED", f": {scrub(step.detail)}" if step.detail else ""
            say(f"  {mark:6} {step.name} ({step.seconds:.1f} s){detail}")
    if trial.probe is not None:
        proof.probes[target.remote_id] = trial.probe
    return proof


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("asking what the server does", total=total)
        yield lambda: progress.advance(task)


def _choose(wish: Wish, wanted: Wanted, calendars: Sequence[RemoteCalendar], known: Known) -> Wanted:
    """Ask what blocks and where consultations go, if a person is there and didn't say; else keep what was chosen."""
    blocks, target = wish.blocks, wish.target
    if sys.stdin.isatty() and (blocks is None or target is None):
        print_table(("calendar", "zone", "writable"), [(c.name, c.tz or "", _yes(c.can_write)) for c in calendars])
        if blocks is None:
            usual = ",".join(known.blocks)
            answer = input(f'Which calendars block? Names with commas, or "*" for all [{usual}]: ')
            blocks = [name.strip() for name in (answer.strip() or usual).split(",") if name.strip()]
        if target is None:
            target = input(f"Which calendar takes consultations? [{known.target or 'none'}]: ").strip() or None
    kept = known.target if target is None else target
    return replace(wanted, blocks=known.blocks if blocks is None else tuple(blocks), target=kept)


def _tell(wish: Wish, found: Found, proof: _Proof, *, as_json: bool) -> None:
    calendars = [_calendar_json(c, found) for c in found.calendars]
    if as_json:
        steps = {"proof": [asdict(step) for step in proof.steps]} if wish.prove else {}
        print_json({"account": wish.name, "calendars": calendars, **steps})
        return
    rows = [(c["name"], _yes(c["blocks"]), _yes(c["target"]), ways_of(c["probe"])) for c in calendars]
    print_table(("calendar", "blocks", "takes consultations", "what its server does"), rows)
    say(f"{wish.name} is connected. `syncd sync {wish.freelancer}` pulls it now; `syncd run` keeps it up to date.")


def _calendar_json(calendar: RemoteCalendar, found: Found) -> Mapping[str, Any]:
    probe = found.probes.get(calendar.remote_id)
    return {
        "name": calendar.name,
        "blocks": calendar.remote_id in found.choice.blocks,
        "target": calendar.remote_id == found.choice.target,
        "probe": asdict(probe) if probe else None,
    }


def _yes(value: object) -> str:
    return "yes" if value else ""
