"""How keys and values of the configuration are written in messages, and which field of the models a key is.

Decides what may be shown. Refuses to know what is right or wrong.
"""

from __future__ import annotations

import json
import re
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_USERINFO = re.compile(r"(://)[^\s\"]*@|(?<![^\s\"])[^\s\"@:/]+:(?!//)[^\s\"]*@")
_BEYOND_HOST = re.compile(r"(://[^/?#\s\"]+)[/?#][^\s\"]+")


def key_text(path: Path) -> str:
    """A key as in the file: dotted, quoted where TOML asks for it, entries of a list in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            text += f".{quoted}" if text else quoted
    return text


def value_text(value: object) -> str:
    """A value as in the file, shortened; of tables and addresses only what can't be secret.

    An address is shown up to its host, without user and password; a file's ("sqlite:///syncd.db") has no host and
    stays whole.
    """
    text = json.dumps(_outline(value), ensure_ascii=False, default=str)
    text = _BEYOND_HOST.sub(r"\1/…", _USERINFO.sub(r"\1***@", text))
    return text if len(text) <= 80 else text[:79] + "…"


def _outline(value: object) -> object:
    if isinstance(value, dict):
        return "{…}"
    return [_outline(entry) for entry in value] if isinstance(value, list) else value


def fields_by_key(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a table by their names in the file."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def field_at(table: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field that a path of keys leads to; None where there is none."""
    above = table_at(table, path[:-1])
    return fields_by_key(above).get(str(path[-1])) if above and path else None


def table_at(table: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The table that a path of keys leads to; None where there is no table."""
    kind: Any = table
    for part in path:
        kind = _below(kind, part)
    return kind if is_table(kind) else None


def is_table(kind: object) -> bool:
    """Whether a type is one of the models."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _below(kind: Any, part: str | int) -> Any:
    if is_table(kind):
        field = fields_by_key(kind).get(str(part))
        return plain(field.annotation) if field else None
    return plain(get_args(kind)[0 if isinstance(part, int) else -1]) if get_args(kind) else None


def plain(kind: Any) -> Any:
    """A type without what wraps it: no metadata, no None."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return plain(next(part for part in get_args(kind) if part is not type(None)))
    return kind
