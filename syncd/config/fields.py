"""What one value of the configuration may look like: lengths, names, zones, addresses, paths, secrets.

Decides the form of single values. Refuses to know which key holds them and how keys depend on each other. Lengths are
whole seconds, everywhere after loading; `d` is 24 hours, elapsed.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr, Strict, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from availability import zones

MINUTE, HOUR, DAY = 60, 3_600, 86_400
LONGEST = 3_660 * DAY  # ten years: keeps every instant we compute within what a datetime holds

# The first word of a path that a handle would shadow, the last one that a slug would (contract: Words).
RESERVED_HANDLES = frozenset(
    {
        *("v1", "b", "docs", "hooks", "static", "embed", "metrics", "healthz", "readyz", "openapi", "oauth", "login"),
        *("logout", "api", "admin", "bookings", "instant", "webhooks", "freelancers", "keys", "next", "jobs"),
        *("outbox", "demo", "me"),
    }
)
RESERVED_SLUGS = frozenset({"online", "instant", "slots", "freebusy", "bookings", "links"})

_LENGTH = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
_WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What validation may look at besides the value: the file's folder, and the environment."""

    folder: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EnvSecret:
    """A secret that an environment variable holds."""

    variable: str
    value: SecretStr


def wrong(right: str, kind: str = "wrong") -> PydanticCustomError:
    """The error of a value; `right` goes on from 'must be'. A value of kind 'withheld' is never shown."""
    return PydanticCustomError(kind, "{right}", {"right": right})


def parse_length(text: object) -> int:
    """Seconds of a length such as "90s", "30m", "24h", "60d" or "0m"; ValueError says what would be right."""
    match = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise wrong('a length such as "90s", "30m", "24h" or "60d"')
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST:
        raise wrong(f"a length of {LONGEST // DAY}d at most")
    return seconds


def length_text(seconds: int) -> str:
    """A length as it is written in the file, in the largest unit that divides it; 0 is "0m"."""
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0) if seconds else "m"
    return f"{seconds // _UNITS[unit]}{unit}"


def _matching(pattern: str, right: str) -> AfterValidator:
    expression = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not expression.fullmatch(text):
            raise wrong(right)
        return text

    return AfterValidator(check)


def some_once(values: tuple[int, ...]) -> tuple[int, ...]:
    """At least one value, and none twice."""
    if not values or len(set(values)) < len(values):
        raise wrong("at least one, and none twice")
    return values


def _more_than_nothing(seconds: int) -> int:
    if not seconds:
        raise wrong("longer than nothing")
    return seconds


def _whole_minutes(seconds: int) -> int:
    if seconds % MINUTE:
        raise wrong("whole minutes: the API speaks of minutes")
    return seconds


def is_name(text: str) -> bool:
    """Whether a text may name an account or a schedule."""
    return len(text) <= 63 and _WORDS.fullmatch(text) is not None


def _word(reserved: frozenset[str], text: str) -> str:
    if not is_name(text):
        raise wrong('lower-case words with dashes, such as "ada-lovelace", of 63 characters at most')
    if text in reserved:
        raise wrong("another word: this one is reserved, it would shadow a path")
    return text


def _named(reserved: frozenset[str]) -> Callable[[str], str]:
    return lambda text: _word(reserved, text)


def time_zone(name: str) -> str:
    """The name of an IANA time zone that tzdata knows; ValueError says what would be right."""
    try:
        zones.load(name)
    except (KeyError, ValueError, OSError):
        raise wrong('an IANA time zone such as "Europe/London"' + _nearest_zone(name)) from None
    return name


def _nearest_zone(name: str) -> str:
    known = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
    near = difflib.get_close_matches(name.strip().lower().replace(" ", "_"), known, n=1)
    return f'; did you mean "{known[near[0]]}"?' if near else ""


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise wrong('an e-mail address such as "ada@example.org"')
    return text


def _blocked_client(text: str) -> str:
    if not _EMAIL.fullmatch("x" + text if text.startswith("@") else text):
        raise wrong('e-mail addresses, or domains such as "@example.org"', kind="withheld")
    return text


def _sender(text: str) -> str:
    address = text[text.find("<") + 1 :].removesuffix(">") if "<" in text else text
    if not _EMAIL.fullmatch(address.strip()) or "\n" in text or "\r" in text:
        raise wrong('an address such as "Ada <ada@example.org>"')
    return text


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", text):
        raise wrong("an address that starts with http:// or https:// and names a host")
    if parts.username is not None:
        raise wrong("an address without user name and password: those have keys of their own", kind="withheld")
    return text


def _unaliased(text: str) -> str:
    """An address as it is asked for: webcal:// is how calendars write https://."""
    return re.sub(r"\Awebcals?(?=://)", "https", text, flags=re.IGNORECASE)


def _base_url(text: str) -> str:
    parts = urlsplit(_http_url(text))
    if parts.query or parts.fragment:
        raise wrong("an address without ? and #")
    return text.rstrip("/")


def _origin(text: str) -> str:
    if text != "*" and urlsplit(_http_url(text))._replace(scheme="", netloc="").geturl():
        raise wrong('an origin such as "https://ada.example": scheme, host and port, without a path')
    return text


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise wrong('an address or a network such as "10.0.0.0/8"') from None


def _database(url: str, info: ValidationInfo) -> str:
    if url.startswith("postgresql+psycopg://"):
        return url
    if not url.startswith("sqlite:///") or url.removeprefix("sqlite:///").partition("?")[0] in ("", ":memory:"):
        raise wrong('"sqlite:///FILE" or "postgresql+psycopg://USER@HOST/DATABASE"')
    file, question, options = url.removeprefix("sqlite:///").partition("?")
    return f"sqlite:///{_beside_the_file(Path(file), info)}{question}{options}"


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    return _surroundings(info).folder / path


def _surroundings(info: ValidationInfo) -> Surroundings:
    assert isinstance(info.context, Surroundings), "the models are validated by load_config"
    return info.context


def _optional_file(text: str, info: ValidationInfo) -> str:
    return str(_beside_the_file(Path(text), info)) if text else ""


def _from_environment(name: object, info: ValidationInfo) -> EnvSecret:
    environ = _surroundings(info).environ
    if not isinstance(name, str) or not name:
        raise wrong("the name of an environment variable", kind="withheld")
    if name not in environ:
        # Who writes the secret itself in place of a variable's name must not find it in a log.
        looks_like_a_name = re.fullmatch(r"[A-Z][A-Z0-9_]*", name, re.ASCII)
        raise wrong(
            "the name of an environment variable that is set: this one isn't",
            kind="wrong" if looks_like_a_name else "withheld",
        )
    return EnvSecret(name, SecretStr(environ[name]))


Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Port = Annotated[int, Strict(), Field(ge=0, le=65_535)]
Length = Annotated[int, BeforeValidator(parse_length)]
PositiveLength = Annotated[Length, AfterValidator(_more_than_nothing)]
Minutes = Annotated[Length, AfterValidator(_whole_minutes)]
PositiveMinutes = Annotated[Minutes, AfterValidator(_more_than_nothing)]
Handle = Annotated[str, AfterValidator(_named(RESERVED_HANDLES))]
Slug = Annotated[str, AfterValidator(_named(RESERVED_SLUGS))]
Name = Annotated[str, AfterValidator(_named(frozenset()))]
Identifier = Annotated[str, _matching(r"[a-z][a-z0-9_]{0,62}", 'lower-case words with underscores, such as "goal"')]
TimeZone = Annotated[str, AfterValidator(time_zone)]
Email = Annotated[str, AfterValidator(_email)]
OptionalEmail = Annotated[str, AfterValidator(lambda text: text and _email(text))]
BlockedClient = Annotated[str, AfterValidator(_blocked_client)]
Sender = Annotated[str, AfterValidator(_sender)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
OptionalUrl = Annotated[str, AfterValidator(lambda text: text and _http_url(_unaliased(text)))]
Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]
Rate = Annotated[
    str,
    _matching(r"[1-9]\d{0,8}/(second|minute|hour|day)", 'a rate such as "30/minute", by second, minute, hour or day'),
]
Amount = Annotated[str, _matching(r"\d{1,12}(\.\d{1,4})?", 'an amount such as "75.00"')]
Currency = Annotated[str, _matching(r"[A-Z]{3}", 'an ISO 4217 code such as "EUR"')]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
OptionalFile = Annotated[str, AfterValidator(_optional_file)]
FromEnvironment = Annotated[EnvSecret, NoDecode, PlainValidator(_from_environment)]
