"""`connect`: asks what is missing, checks by connecting, lets choose calendars, tells what was found.

Decides what is asked and printed. What must be true of an account and how it is stored is `syncd.sync.connect`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from providers.connections import is_at_home
from providers.errors import GrantRevoked, Unavailable
from providers.model import Connection, Probe, RemoteCalendar
from providers.port import Provider
from syncd.cli.asking import Asker, Question
from syncd.cli.presets import PRESETS, Preset, address_of, find_preset, preset_of
from syncd.cli.setup import Opened, opened
from syncd.cli.show import counted, print_json, print_table, say, sentence, ways_of
from syncd.errors import ApiError
from syncd.log import scrub
from syncd.store.access import FEED, SIGNED_IN, Access, access_of
from syncd.store.bookings import is_named
from syncd.store.models import Account
from syncd.sync import connect as connection
from syncd.sync.connect import Found, Known, Wanted
from syncd.sync.prove import Step, Trial, prove


@dataclass(frozen=True, slots=True)
class Wish:
    """What `connect` was asked; None is what wasn't said."""

    provider: str
    freelancer: str
    name: str
    url: str | None = None
    username: str | None = None
    preset: str | None = None
    server: str | None = None
    blocks: list[str] | None = None
    target: str | None = None
    allow_private: bool = False
    ca_file: Path | None = None
    prove: bool = False


def connect(config_path: Path, wish: Wish, *, as_json: bool) -> int:
    """Check by connecting, choose calendars, see what the server does, store. Raises ApiError, ProviderError."""
    asker = Asker()
    asker.takes_defaults = not asker.has_person  # what is piped is the password
    with opened(config_path) as installation:
        services = installation.services
        wish, known = _as_before(installation, wish)
        wanted = replace(_wanted(asker, wish), habits=known.habits)
        reached = connection.connection_to(services.config, wanted, known)
        with (
            _hinting(wish, reached),
            connection.opened_account(services.open_provider, wish.provider, reached) as provider,
        ):
            wanted, found = choose(asker, provider, wanted, Choosing(wish.blocks, wish.target, known))
            check_proof(wish, found)
            found = looked_at(provider, found)
            steps, found = proved(provider, found, services.clock(), as_json=as_json) if wish.prove else ([], found)
        _store(installation, wanted, known, found)
    tell(wish, found, steps, as_json=as_json)
    return 0 if all(step.passed for step in steps) else 1


@contextmanager
def _hinting(wish: Wish, reached: Connection) -> Iterator[None]:
    """Say of a password that is refused which one this service wants, and that a private address needs leave."""
    try:
        yield
    except GrantRevoked as error:
        preset = find_preset(wish.preset) if wish.preset else preset_of(reached.url)
        if preset is None or not preset.source:
            raise
        raise GrantRevoked(f"{error}; {preset.title} wants {preset.password}") from None
    except Unavailable as error:
        if reached.allow_private or not is_at_home(reached.url):
            raise
        raise ApiError("invalid-request", sentence(error)) from None  # asking again would change nothing


def _as_before(installation: Opened, wish: Wish) -> tuple[Wish, Known]:
    """What is known of the account; one that is connected already needs no new address for a new password."""
    with installation.services.store.read() as session:
        try:
            known = connection.known_account(session, wish.freelancer, wish.name)
        except ApiError as error:
            raise with_next_step(error, wish.freelancer) from None
        if not known.is_connected or wish.url is not None or wish.preset is not None:
            return wish, known
        same = (Account.freelancer_id == known.freelancer_id, Account.name == wish.name)
        account = session.scalars(select(Account).where(*same, Account.provider == wish.provider)).one_or_none()
        access = access_of(account, installation.services.vault) if account else None
    if account is None or access is None:
        return wish, known
    return replace(
        wish,
        url=access.url,
        username=wish.username or access.username,
        allow_private=wish.allow_private or account.allow_private,
        ca_file=wish.ca_file or (Path(account.ca_file) if account.ca_file else None),
    ), known


def with_next_step(error: ApiError, handle: str) -> ApiError:
    """The error that there is no such freelancer, with what to do about it; any other as it is."""
    if error.code != "not-found":
        return error
    return ApiError(error.code, f"{error.detail}: `syncd freelancer add {handle}` makes one, `list` lists them")


def _wanted(asker: Asker, wish: Wish) -> Wanted:
    ca_file = certificates(wish)
    access = _feed(asker, wish) if wish.provider == FEED else ask_access(asker, wish)
    return Wanted(wish.provider, wish.name, access, allow_private=wish.allow_private, ca_file=ca_file)


def certificates(wish: Wish) -> str:
    """The file with the server's own certificates, "" for the system's. Raises ApiError."""
    if wish.ca_file is not None and not wish.ca_file.is_file():
        raise ApiError("invalid-request", f"{wish.ca_file} is no file: name the server's certificates, in PEM")
    return str(wish.ca_file.resolve()) if wish.ca_file else ""


def _feed(asker: Asker, wish: Wish) -> Access:
    url = asker.ask(Question("The feed's address: webcal://… or https://…", "--url", _not_empty, given=wish.url))
    username = wish.username or ""
    secret = asker.password(f"Password of {username} for this feed") if username else ""
    return Access(url, username, secret)


# Where the account is


def ask_access(asker: Asker, wish: Wish) -> Access:
    """The address, the user name and the password of a CalDAV account. Raises ApiError."""
    preset = find_preset(wish.preset) if wish.preset else None
    if preset is None and wish.url is None:
        preset = _ask_preset(asker)
    if wish.server is not None and (wish.url is not None or (preset and not preset.needs_server)):
        known = "--url names it" if wish.url is not None or preset is None else f"that of {preset.title} is known"
        raise ApiError("invalid-request", f"--server isn't used, the server's address is given: {known}; leave it out")
    shown = preset or preset_of(wish.url or "")
    server = wish.url
    if server is None and preset and preset.needs_server:
        example = "https://dav.example.org/" if preset.key == "own" else "cloud.example.org"
        server = asker.ask(
            Question(f"The server's address, such as {example}", "--server", _server_of(preset), given=wish.server)
        )
    user = Question(shown.user if shown else "The user name there", "--username", _not_empty, given=wish.username)
    username = asker.ask(user)
    url = wish.url if wish.url is not None else address_of(preset or PRESETS[-1], server or "", username)
    if shown and shown.source:
        asker.say(f"  {shown.title} wants {shown.password}.")
    return Access(url, username, asker.password(f"Password of {username} at {host_of(url)}"))


def _ask_preset(asker: Asker) -> Preset:
    if not asker.is_talking:
        known = ", ".join(preset.key for preset in PRESETS)
        raise ApiError("invalid-request", f"--url or --preset is needed; the presets are {known}")
    show_presets(asker)
    return asker.ask(Question("Which is it? A number", "--preset", read_preset))


def show_presets(asker: Asker, *others: tuple[str, str]) -> None:
    """The services, numbered, in two columns."""
    lines = [f"{number:>2}  {preset.title}" for number, preset in enumerate(PRESETS, 1)]
    lines += [f"{key:>2}  {title}" for key, title in others]
    half = (len(lines) + 1) // 2
    for number in range(half):
        right = lines[number + half] if number + half < len(lines) else ""
        asker.say(f"  {lines[number]:24}{right}".rstrip())


def read_preset(text: str) -> Preset:
    """A preset by its number or its name. Raises ValueError."""
    if text.isdigit() and 0 < int(text) <= len(PRESETS):
        return PRESETS[int(text) - 1]
    try:
        return find_preset(text)
    except ApiError as error:
        raise ValueError(f"must be a number from 1 to {len(PRESETS)}, or a name: {error}") from None


def _server_of(preset: Preset) -> Callable[[str], str]:
    def read(text: str) -> str:
        address_of(preset, text, "")
        return text

    return read


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def host_of(url: str) -> str:
    """What an address may be called: its host, without the user and the password it may name."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2] or url


# Which of its calendars


@dataclass(frozen=True, slots=True)
class Choosing:
    """What was said of calendars, and what stands where nothing was: as before, or as for a new account."""

    blocks: Sequence[str] | None
    target: str | None
    known: Known
    proposes_target: bool = False  # the first that can be written to, unless one was chosen before


def choose(asker: Asker, provider: Provider, wanted: Wanted, choosing: Choosing) -> tuple[Wanted, Found]:
    """Ask the server for its calendars, and a person which of them matter. Raises ApiError, ProviderError."""
    return choose_among(asker, connection.list_calendars(provider), wanted, choosing)


def choose_among(
    asker: Asker, calendars: Sequence[RemoteCalendar], wanted: Wanted, choosing: Choosing
) -> tuple[Wanted, Found]:
    """Ask a person which calendars matter, as far as it wasn't said. Raises ApiError."""
    if choosing.blocks is None or choosing.target is None:
        rows = [(str(n), c.name + _marks(c), c.tz or "", _yes(c.can_write)) for n, c in enumerate(calendars, 1)]
        asker.table(("", "calendar", "zone", "writable"), rows)
    blocks, target = choosing.blocks, choosing.target
    if blocks is None:
        blocks = asker.ask(_which_block(calendars, choosing.known.blocks))
    if target is None:
        target = asker.ask(_which_target(calendars, _usual_target(calendars, choosing)))
    choice = connection.choice_of(calendars, blocks, target)
    return replace(wanted, blocks=tuple(blocks), target=target), Found(calendars, choice)


def _marks(calendar: RemoteCalendar) -> str:
    """What tells calendars apart beside their names, where the provider says it."""
    said = {"yours": calendar.is_primary, "hidden there": calendar.is_hidden, "free/busy": calendar.role == "free_busy"}
    marks = ", ".join(mark for mark, holds in said.items() if holds)
    return f" ({marks})" if marks else ""


def _which_block(calendars: Sequence[RemoteCalendar], usual: Sequence[str]) -> Question[list[str]]:
    def read(text: str) -> list[str]:
        if text in ("", "none"):
            return []
        names = [text] if _named(calendars, text) else [part.strip() for part in text.split(",") if part.strip()]
        return [_name(calendars, name) for name in names]

    text = 'Which of them block? Numbers or names with commas, "*" for all'
    return Question(text, "--blocks", read, ",".join(usual) or "none")


def _which_target(calendars: Sequence[RemoteCalendar], usual: str) -> Question[str]:
    def read(text: str) -> str:
        return "" if text == "none" else _name([c for c in calendars if c.can_write], text)

    text = 'Which takes the consultations that are booked? "none" for none'
    return Question(text, "--target", read, usual or "none")


def _usual_target(calendars: Sequence[RemoteCalendar], choosing: Choosing) -> str:
    if choosing.known.target or not choosing.proposes_target:
        return choosing.known.target
    return next((c.name for c in calendars if c.can_write), "")


def _named(calendars: Sequence[RemoteCalendar], text: str) -> bool:
    return text == "*" or any(is_named(c, text) for c in calendars)


def _name(calendars: Sequence[RemoteCalendar], text: str) -> str:
    """A calendar as its account keeps it: by name, by its id where another has the same name. Raises ValueError."""
    if _named(calendars, text):
        return text
    if text.isdigit() and 0 < int(text) <= len(calendars):
        chosen = calendars[int(text) - 1]
        return chosen.name if sum(is_named(c, chosen.name) for c in calendars) == 1 else chosen.remote_id
    names = ", ".join(c.name for c in calendars)
    raise ValueError(f"there is no calendar {text!r}; right would be one of {names}")


# What its server does


def looked_at(provider: Provider, found: Found) -> Found:
    """See what the server does with each calendar that matters, with a bar for a person."""
    with _progress(len(connection.chosen_of(found))) as advance:
        return replace(found, probes=connection.probe_chosen(provider, found, advance))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    from rich.progress import Progress

    from syncd.cli.show import console

    screen = console(to_stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("asking what the server does", total=total)
        yield lambda: progress.advance(task)


def check_proof(wish: Wish, found: Found) -> None:
    """Raise ApiError where what is to be proved would be written nowhere."""
    if wish.prove and found.choice.target is None:
        raise ApiError(
            "invalid-request", "--prove writes to the calendar that takes consultations: name it by --target"
        )


def proved(provider: Provider, found: Found, now: datetime, *, as_json: bool) -> tuple[list[Step], Found]:
    """Write a throwaway event, a month ahead and at night, and tell of each step."""
    target = next(c for c in found.calendars if c.remote_id == found.choice.target)
    at = (now + timedelta(days=30)).replace(hour=2, minute=0, second=0, microsecond=0)
    trial = Trial(provider, target, at, f"syncd-trial-{secrets.token_hex(8)}", time.monotonic, time.sleep)
    steps = []
    for step in prove(trial):
        steps.append(step)
        if not as_json:
            mark, detail = "ok" if step.passed else "FAILED", f": {scrub(step.detail)}" if step.detail else ""
            say(f"  {mark:6} {step.name} ({step.seconds:.1f} s){detail}")
    seen: dict[str, Probe] = {target.remote_id: trial.probe} if trial.probe is not None else {}
    return steps, replace(found, probes={**found.probes, **seen})


def _store(installation: Opened, wanted: Wanted, known: Known, found: Found) -> None:
    services = installation.services
    with services.store.write() as session:
        storing = connection.Storing(session, services.config, services.vault, services.clock())
        connection.store_account(storing, wanted, known, found)


def tell(wish: Wish, found: Found, steps: Sequence[Step], *, as_json: bool) -> None:
    """Say what was connected, and whose it is where that was found out."""
    calendars = calendars_json(found)
    if as_json:
        proof = {"proof": [asdict(step) for step in steps]} if wish.prove else {}
        whose = {"username": wish.username} if wish.provider in SIGNED_IN else {}
        print_json({"account": wish.name, **whose, "calendars": calendars, **proof})
        return
    show_calendars(calendars)
    name = f"{wish.name} ({wish.username})" if wish.provider in SIGNED_IN else wish.name
    say(f"{name} is connected, {counted(len(calendars), 'calendar')}. `syncd sync {wish.freelancer}` pulls it now;")
    say("`syncd run` keeps it up to date; `syncd calendars` changes what blocks.")


def calendars_json(found: Found) -> list[Mapping[str, Any]]:
    """The calendars that were found, and what was chosen and seen of them."""
    return [_calendar_json(calendar, found) for calendar in found.calendars]


def _calendar_json(calendar: RemoteCalendar, found: Found) -> Mapping[str, Any]:
    probe = found.probes.get(calendar.remote_id)
    return {
        "name": calendar.name,
        "blocks": calendar.remote_id in found.choice.blocks,
        "target": calendar.remote_id == found.choice.target,
        "probe": asdict(probe) if probe else None,
    }


def show_calendars(calendars: Sequence[Mapping[str, Any]]) -> None:
    """What was connected, as a table."""
    rows = [(c["name"], _yes(c["blocks"]), _yes(c["target"]), _ways(c)) for c in calendars]
    print_table(("calendar", "blocks", "takes consultations", "what its server does"), rows)


def _ways(calendar: Mapping[str, Any]) -> str:
    is_used = calendar["blocks"] or calendar["target"]
    return ways_of(calendar["probe"]) if is_used else ""


def _yes(value: object) -> str:
    return "yes" if value else ""
