"""config.example.toml against the models, both ways, and the table of keys that have no effect yet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from syncd.config import Config, later_keys, load_config
from syncd.config.keys import fields_by_key, is_table, plain, table_at
from syncd.config.later import LATER, Later

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
NAMED = ("freelancers", "schedules", "consultations", "accounts")  # tables of tables that a person names


@pytest.fixture(scope="module")
def plainly() -> str:
    return EXAMPLE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def in_full(plainly: str) -> str:
    """The example with every `#key = value` and `#[table]` taken at its word."""
    return re.sub(r"^#(?=[a-z\[])", "", plainly, flags=re.MULTILINE)


def load(folder: Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, dict.fromkeys(re.findall(r'_env = "(\w+)"', text), "secret"))


def keys_of_models(kind: Any, at: str = "") -> Iterator[str]:
    for name, field in fields_by_key(kind).items():
        inner = plain(field.annotation)
        key = f"{at}.{name}".lstrip(".")
        if get_origin(inner) is Mapping and is_table(plain(get_args(inner)[1])):
            yield from keys_of_models(plain(get_args(inner)[1]), f"{key}.*")
        elif get_origin(inner) is tuple and is_table(plain(get_args(inner)[0])):
            yield from keys_of_models(plain(get_args(inner)[0]), key)
        elif is_table(inner):
            yield from keys_of_models(inner, key)
        else:
            yield key


def keys_of_file(value: Any, at: tuple[str, ...] = ()) -> Iterator[str]:
    tables = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
    for table in tables:
        if not isinstance(table, dict) or at[-1:] == ("on",):
            yield ".".join(at)
            continue
        for name, below in table.items():
            yield from keys_of_file(below, (*at, "*" if at[-1:] and at[-1] in NAMED else name))


def test_the_example_shows_every_key_and_no_other(in_full: str) -> None:
    assert set(keys_of_file(tomllib.loads(in_full))) == set(keys_of_models(Config))


def test_every_group_of_keys_in_the_example_is_explained(plainly: str) -> None:
    key = re.compile(r"#?(?!\")[a-z_]+ = ")
    lines = plainly.splitlines()
    groups = [(above, line) for above, line in pairwise(lines) if key.match(line) and not key.match(above)]
    hours = "[freelancers.ada.schedules.default.hours]"
    assert [line for above, line in groups if not above.startswith("# ") and above != hours] == []


def test_the_example_loads_as_it_is_and_with_every_key_set(plainly: str, in_full: str, tmp_path: Path) -> None:
    assert load(tmp_path, plainly).freelancers.keys() == {"ada"}
    assert load(tmp_path, in_full).mail is not None


def test_a_key_that_is_commented_out_shows_its_default(plainly: str, in_full: str, tmp_path: Path) -> None:
    as_is, full = load(tmp_path, plainly), load(tmp_path, in_full)
    checked = list(shown_defaults(as_is, full))
    assert checked
    assert [(key, shown) for key, shown, default in checked if shown != default] == []


def shown_defaults(as_is: Any, full: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Key, value shown and default of all that is set in full only, and has a default."""
    for name, field in type(full).model_fields.items():
        key, shown, below = f"{at}.{name}", getattr(full, name), getattr(as_is, name, None)
        if is_table(type(shown)):
            yield from shown_defaults(below, shown, key)
        elif isinstance(shown, Mapping) and name in NAMED:
            for entry in shown:
                yield from shown_defaults(below[entry], shown[entry], key)
        elif as_is is None or name not in as_is.model_fields_set:
            default = field.default if as_is is None else below
            if name in full.model_fields_set and not field.is_required() and default not in (None, "", ()):
                yield key, shown, default


def test_keys_without_effect_are_named_only_if_they_are_set(plainly: str, in_full: str, tmp_path: Path) -> None:
    assert later_keys(load(tmp_path, "")) == []
    assert later_keys(load(tmp_path, plainly)) == []
    ours = {later.key.replace("*", "ada", 1) for later in LATER if later.values is None}
    named = set(later_keys(load(tmp_path, in_full)))
    assert {re.sub(r"(consultations|accounts)\.\w+", r"\1.*", key) for key in named} == ours


TABLES = {
    "freelancers.ada": 'time_zone = "UTC"',
    "freelancers.ada.schedules.default": "",
    "freelancers.ada.consultations.intro": "",
    "freelancers.ada.accounts.home": 'url = "https://dav.example/"',
}


@pytest.mark.parametrize("later", [later for later in LATER if later.values], ids=lambda later: later.key)
def test_a_value_without_effect_is_named_and_the_others_are_not(tmp_path: Path, later: Later) -> None:
    table, _, key = later.key.rpartition(".")
    table = next(name for name in TABLES if re.fullmatch(table.replace("*", r"\w+"), name))
    kind = table_at(Config, tuple(table.split(".")))
    assert kind is not None
    values = get_args(plain(kind.model_fields[key].annotation))
    assert later.values is not None
    for value in values:
        lines = dict(TABLES)
        lines[table] += f'\n{key} = "{value}"'
        if key != "provider":
            lines["freelancers.ada.accounts.home"] += '\nprovider = "caldav"'
        text = "\n".join(f"[{name}]\n{keys}" for name, keys in lines.items())
        assert later_keys(load(tmp_path, text)) == [f"{table}.{key}"] * (value in later.values)


def test_every_later_key_is_a_key_of_the_models() -> None:
    for later in LATER:
        *above, name = ("x" if part == "*" else part for part in later.key.split("."))
        table = table_at(Config, tuple(above))
        assert table is not None
        assert name in fields_by_key(table)
