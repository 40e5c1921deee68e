"""`init`: a few questions, a connection that is tried, then the configuration file, the key and the account at once.

Decides what is asked, in which order, and that nothing is written before everything is answered. The password goes
sealed into the database, as `connect` does it, so that no file and no environment variable holds it.
"""

from __future__ import annotations

import os
import signal
import sys
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError

from availability import Schedule, ScheduleError, zones
from providers import open_provider
from providers.connections import is_at_home
from providers.errors import ProviderError
from providers.model import Connection
from syncd.cli import connecting
from syncd.cli.asking import Asker, Question, yes_or_no
from syncd.cli.first_config import First, config_text, hours_text, read_hours, words_of
from syncd.cli.presets import Preset
from syncd.cli.show import print_json, say, sentence
from syncd.config import Config, fields, load_config
from syncd.errors import ApiError, StoreError
from syncd.log import configure_logging
from syncd.sync import connect as connection
from syncd.sync.connect import Found, Known, Wanted

_HOURS = "mon-fri 9:00-17:00"
_TITLE = "Intro call"
_LATER = ("0", "none", "later")
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class InitWish:
    """What the options of `init` answer; None is asked."""

    name: str | None = None
    handle: str | None = None
    email: str | None = None
    time_zone: str | None = None
    hours: str | None = None
    title: str | None = None
    slug: str | None = None
    durations: str | None = None
    account: connecting.Wish | None = None
    yes: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class _Account:
    """An account that was tried, and is stored once the file is written."""

    wanted: Wanted
    found: Found


def init(config_path: Path, wish: InitWish, *, as_json: bool) -> int:
    """Ask, try, write. Raises ApiError, ConfigError, ProviderError, StoreError; nothing is written then."""
    zones.pin()
    configure_logging(level="warning")
    asker = Asker(takes_defaults=wish.yes)
    try:
        _may_write(config_path, asker, wish)
        asker.say("syncd is set up in a few questions. Enter takes what stands in [brackets]; Ctrl-C writes nothing.\n")
        first = _ask_first(asker, wish)
        account = _ask_account(asker, wish)
    except (KeyboardInterrupt, typer.Abort):
        print("\nsyncd: stopped, nothing was written", file=sys.stderr)  # noqa: T201 - this is the place
        return _INTERRUPTED
    _write(config_path, first, account)
    _tell(config_path, first, account, as_json=as_json)
    return 0


def _may_write(config_path: Path, asker: Asker, wish: InitWish) -> None:
    folder = config_path.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ApiError("invalid-request", f"--config: {folder} is no folder that can be written to: make it first")
    if not config_path.exists() or wish.overwrite:
        return
    replaced = Question(
        f"{config_path} exists: replace it? The old one is kept beside it", "--overwrite", yes_or_no, "n"
    )
    if not asker.is_talking or not asker.ask(replaced):
        detail = f"{config_path} exists and was left as it is: edit it, or name another by --config, or say --overwrite"
        raise ApiError("invalid-request", detail)


# The freelancer


def _ask_first(asker: Asker, wish: InitWish) -> First:
    name = asker.ask(Question("Your name, as clients see it", "--name", _some, given=wish.name))
    handle = Question(
        "Your handle, the word in your addresses", "--handle", _like(fields.Handle), _handle_of(name), wish.handle
    )
    email = Question("Your e-mail address", "--email", _like(fields.OptionalEmail), "", wish.email, "none")
    zone = Question("Your time zone", "--time-zone", _zone, guess_zone(os.environ), wish.time_zone)
    hours = Question('Your set hours, as in "mon-fri 9-12 13-17, sat 10-14"', "--hours", _hours, _HOURS, wish.hours)
    title = Question("What can be booked?", "--title", _some, _TITLE, wish.title)
    minutes = Question('How many minutes? Several are offered as a choice: "30 60"', "--minutes", _minutes, "30")
    answers = asker.ask(handle), asker.ask(email), asker.ask(zone), asker.ask(hours), asker.ask(title)
    slug = Question("Its address", "--slug", _like(fields.Slug), words_of(answers[4]) or "intro", wish.slug)
    asked = asker.ask(slug) if wish.slug is not None else _like(fields.Slug)(slug.default or "")
    return First(name, *answers, asked, asker.ask(replace(minutes, given=wish.durations)))


def _some(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def _like(kind: Any) -> Callable[[str], str]:
    """Reads what the configuration file would take for a value of this kind."""
    adapter: TypeAdapter[str] = TypeAdapter(kind)

    def read(text: str) -> str:
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            raise ValueError(f"must be {error.errors()[0]['msg']}") from None

    return read


def _zone(text: str) -> str:
    """A zone by its name, in whatever case and with spaces for underscores."""
    known = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
    return _like(fields.TimeZone)(known.get(text.strip().lower().replace(" ", "_"), text))


def _hours(text: str) -> dict[str, list[str]]:
    hours = read_hours(text)
    try:
        Schedule.parse(hours, {}, "UTC")
    except ScheduleError as error:
        raise ValueError(f"{error.key} must be {error.expected}") from None
    return hours


def _minutes(text: str) -> Sequence[int]:
    words = [word.removesuffix("m") for word in text.replace(",", " ").split()]
    found = [int(word) for word in words if word.isascii() and word.isdigit()]
    if not words or len(found) < len(words) or not all(0 < number <= fields.DAY // 60 for number in found):
        raise ValueError('must be minutes, such as 30, or "30 60"')
    return list(dict.fromkeys(found))


def _handle_of(name: str) -> str | None:
    """The first word of a name that may be a handle."""
    for text in (name.split()[0], name):
        with suppress(ValueError):
            return _like(fields.Handle)(words_of(text))
    return None


def guess_zone(environ: Mapping[str, str], localtime: Path = Path("/etc/localtime")) -> str:
    """The machine's time zone by TZ or by where /etc/localtime leads, UTC where neither tells."""
    parts = str(localtime.resolve()).partition("/zoneinfo/")[2]
    for name in (environ.get("TZ", "").removeprefix(":"), parts.removeprefix("posix/")):
        with suppress(ValueError):
            return fields.time_zone(name) if name else _nowhere()
    return "UTC"


def _nowhere() -> str:
    raise ValueError


# The calendar


def _ask_account(asker: Asker, wish: InitWish) -> _Account | None:
    said = wish.account or connecting.Wish("caldav", "", "caldav")
    if said.url is None and said.preset is None:
        preset = _ask_preset(asker)
        if preset is None:
            return None
        said = replace(said, preset=preset.key)
    while True:
        try:
            return _tried(asker, said)
        except (ApiError, ProviderError) as error:
            if not asker.is_talking:
                raise
            asker.say(f"  {sentence(error)}")
        again = Question("Once more? With n the calendar is left for later", "--preset", yes_or_no, "y")
        if not asker.ask(again):
            return None
        said = replace(said, username=None, server=None, blocks=None, target=None)


def _ask_preset(asker: Asker) -> Preset | None:
    def read(text: str) -> Preset | None:
        return None if text.lower() in _LATER else connecting.read_preset(text)

    asker.say("\nWhere is your calendar?")
    connecting.show_presets(asker, ("0", "none yet, or Google or Microsoft"))
    return asker.ask(Question("A number", "--preset", read, "0"))


def _tried(asker: Asker, said: connecting.Wish) -> _Account:
    """Connect with what was answered and let calendars be chosen. Raises ApiError, ProviderError."""
    ca_file = connecting.certificates(said)
    access = connecting.ask_access(asker, said)
    private = said.allow_private or is_at_home(access.url)  # who types a private address means it
    wanted = Wanted("caldav", said.name, access, allow_private=private, ca_file=ca_file)
    reached = Connection(access.url, access.username, access.secret, allow_private=private, ca_file=ca_file)
    asker.say(f"  Asking {connecting.host_of(access.url)} …")
    with connection.opened_account(open_provider, "caldav", reached) as provider:
        choosing = connecting.Choosing(said.blocks, said.target, Known("", frozenset()), proposes_target=True)
        wanted, found = connecting.choose(asker, provider, wanted, choosing)
        return _Account(wanted, connecting.looked_at(provider, found))


# Writing


def _write(config_path: Path, first: First, account: _Account | None) -> None:
    """File, key, database and account, or none of them. Raises ApiError, ConfigError, StoreError, OSError."""
    draft = config_path.with_name(f".{config_path.name}.new")
    with _undisturbed(), _undone_on_failure(config_path, draft):
        draft.write_text(config_text(first), encoding="utf-8")
        _store(load_config(draft, os.environ), first, account)
        if config_path.exists():
            config_path.replace(config_path.with_name(f"{config_path.name}.old"))
        draft.replace(config_path)


def _store(config: Config, first: First, account: _Account | None) -> None:
    """Make key and database, and keep the account that was tried. Raises ApiError, ConfigError, StoreError."""
    from syncd.services import open_locks, open_services

    with closing(open_locks(config)) as locks:
        if locks.daemon_runs():
            raise StoreError("a daemon has this database open: stop it first, then call `syncd init` again")
        services = open_services(config)
        with closing(services.store) as store:
            if account is None:
                return
            with store.write() as session:
                known = connection.known_account(session, first.handle, account.wanted.name)
                storing = connection.Storing(session, config, services.vault, services.clock())
                connection.store_account(storing, account.wanted, known, account.found)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and the like wait until all is written, which takes a moment; what is made is its owner's alone."""
    waiting = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before, mask = signal.pthread_sigmask(signal.SIG_BLOCK, waiting), os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _undone_on_failure(config_path: Path, draft: Path) -> Iterator[None]:
    """What fails leaves the folder as it was."""
    names = ("secret.key", "syncd.db", "syncd.db-wal", "syncd.db-shm", "syncd.db.lock")
    new = [path for name in names if not (path := config_path.with_name(name)).exists()]
    try:
        yield
    except BaseException:
        for path in (draft, *new):
            path.unlink(missing_ok=True)
        raise


# The end


def _tell(config_path: Path, first: First, account: _Account | None, *, as_json: bool) -> None:
    offer = f"{first.handle}/{first.slug}"
    steps = _next_steps(config_path, first, account)
    if as_json:
        calendars = connecting.calendars_json(account.found) if account else []
        print_json(
            {
                "config": str(config_path),
                "freelancer": first.handle,
                "consultation": first.slug,
                "account": account.wanted.name if account else None,
                "calendars": calendars,
                "next": [{"command": command, "why": why} for command, why in steps],
            }
        )
        return
    say(f"\n{first.name} ({first.time_zone}), {hours_text(first.hours)}: {offer}, {first.title}.")
    if account:
        connecting.show_calendars(connecting.calendars_json(account.found))
    say(f"Written: {config_path}, and beside it secret.key (keep a copy: it opens what is stored) and syncd.db.\n")
    say("Next:")
    width = max(len(command) for command, _ in steps)
    for command, why in steps:
        say(f"  {command:{width}}   {why}")


def _next_steps(config_path: Path, first: First, account: _Account | None) -> list[tuple[str, str]]:
    option = "" if config_path == Path("config.toml") else f" --config {config_path}"
    offer = f"{first.handle}/{first.slug}"
    connect = (f"syncd connect caldav {first.handle}{option}", "connects your calendar")
    return [
        *([] if account else [connect]),
        (f"syncd sync{option}", "pulls your calendars now"),
        (f"syncd slots {offer}{option}", "what clients can book"),
        (f"syncd doctor{option}", "says what isn't right yet"),
        (f"syncd run{option}", f"serves http://127.0.0.1:8480/v1/{offer}/slots and keeps all up to date"),
        (f"syncd key create --freelancer {first.handle}{option}", "a key for your own programs"),
    ]
