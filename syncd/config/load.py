"""From a file and the environment to a Config, or to one error that lists everything to mend.

Decides where values come from and how mistakes are told. Refuses to know what the keys mean. Values of secrets are in
no message.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from syncd.config import keys, models
from syncd.config.checks import between_keys
from syncd.config.fields import Surroundings
from syncd.errors import ConfigError, Mistake

PREFIX = "SYNCD_"

Raw = dict[str, Any]

_RIGHT = {
    "bool_type": "must be true or false, without quotes",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number, without quotes",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list in square brackets",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


class _Overridable(BaseSettings):
    """The sections that environment variables may override."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", strict=True)

    daemon: models.Daemon
    server: models.Server
    google: models.Google
    microsoft: models.Microsoft
    mail: models.Mail


def load_config(path: Path, environ: Mapping[str, str]) -> models.Config:
    """Reads the file, lays the environment over it and checks every key.

    Paths in the result are absolute, taken from the file's folder. Raises ConfigError, which lists every mistake with
    its key, its value and what would be right.
    """
    path = path.absolute()
    overrides, variables, mistakes = _overrides(environ)
    data = _merged({"daemon": {}, "server": {}}, _merged(_read(path), overrides))
    config, found = _validated(data, Surroundings(path.parent, environ))
    mistakes = [*mistakes, *(_traced(mistake, variables) for mistake in (*found, *between_keys(data)))]
    if config is None or mistakes:
        raise ConfigError(file=path, mistakes=mistakes)
    return config


def _read(path: Path) -> Raw:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        right = "there is no such file; copy config.example.toml, which explains every key, or call `syncd init`"
        raise ConfigError(f"{path}: {right}", file=path) from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8; byte {error.start} isn't", file=path) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: must be TOML: {error}", file=path) from None


def _merged(below: Raw, above: Raw) -> Raw:
    both = {key: _merged(below[key], value) for key, value in above.items() if _tables(below.get(key), value)}
    return {**below, **above, **both}


def _tables(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def _overrides(environ: Mapping[str, str]) -> tuple[Raw, dict[str, str], list[Mistake]]:
    """What the environment sets, which variable set which key, and what is wrong with the variables themselves."""
    data: Raw = {}
    variables: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for name in sorted(name for name in environ if name.upper().startswith(PREFIX)):
        key = name.lower().removeprefix(PREFIX.lower()).replace("__", ".")
        try:
            data = _merged(data, _override(name, environ[name]))
            variables[key] = name
        except SettingsError:
            mistakes.append(Mistake(key, "must be JSON: this key is a list or a table", variable=name))
        mistakes += _misnamed(name)
    return data, variables, mistakes


def _override(name: str, text: str) -> Raw:
    source = EnvSettingsSource(_Overridable)
    source.env_vars = {name.lower(): text}
    return source()


def _misnamed(name: str) -> Iterator[Mistake]:
    section, delimiter, _ = name.lower().removeprefix(PREFIX.lower()).partition("__")
    if delimiter and section not in _Overridable.model_fields:
        sections = ", ".join(_Overridable.model_fields)
        yield Mistake(name, f"unknown variable: only keys of {sections} can be overridden by the environment")
    elif not delimiter and (meant := _with_one_underscore().get(name.upper())):
        yield Mistake(name, f"unknown variable; did you mean {meant}?")


def _with_one_underscore() -> dict[str, str]:
    sections = {section: keys.table_at(_Overridable, (section,)) for section in _Overridable.model_fields}
    return {
        f"{PREFIX}{section}_{key}".upper(): f"{PREFIX}{section}__{key}".upper()
        for section, table in sections.items()
        if table
        for key in keys.fields_by_key(table)
    }


def _traced(mistake: Mistake, variables: Mapping[str, str]) -> Mistake:
    name = next((name for key, name in variables.items() if f"{mistake.key}.".startswith(f"{key}.")), None)
    return Mistake(mistake.key, mistake.expected, mistake.value, name) if name else mistake


def _validated(data: Raw, surroundings: Surroundings) -> tuple[models.Config | None, list[Mistake]]:
    try:
        return models.Config.model_validate(data, context=surroundings), []
    except ValidationError as error:
        return None, [_mistake(details) for details in error.errors(include_url=False)]


def _mistake(details: ErrorDetails) -> Mistake:
    path = tuple(part for part in details["loc"] if part != "[key]")
    key, kind = keys.key_text(path), details["type"]
    if kind == "extra_forbidden":
        return Mistake(key, _unknown(path))
    if kind == "missing":
        return Mistake(key, _missing(path))
    if kind == "withheld":
        return Mistake(key, f"must be {details['msg']} (its value is not shown)")
    right = _RIGHT[kind].format(**details.get("ctx", {})) if kind in _RIGHT else f"must be {details['msg']}"
    return Mistake(key, right, None if "[key]" in details["loc"] else keys.value_text(details["input"]))


def _unknown(path: keys.Path) -> str:
    table = keys.table_at(models.Config, path[:-1])
    known = list(keys.fields_by_key(table)) if table else []
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f'unknown key; did you mean "{near[0]}"?' if near else f"unknown key; known here: {', '.join(known)}"


def _missing(path: keys.Path) -> str:
    field = keys.field_at(models.Config, path)
    examples = field.examples if field and field.examples else []
    return "is missing" + "".join(f", for example: {path[-1]} = {keys.value_text(example)}" for example in examples)
