"""Which keys the file may hold although what they ask for isn't built yet.

Decides it in one table: a line leaves it when its feature lands. Refuses to know what the keys mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncd.config.keys import key_text
from syncd.config.models import Config, Table


@dataclass(frozen=True, slots=True)
class Later:
    """A key, `*` standing for any name; `values` are those that are built later, None all of them."""

    key: str
    values: frozenset[str] | None = None


LATER: tuple[Later, ...] = (
    Later("microsoft"),
    Later("mail"),
    Later("freelancers.*.on_calendar_change"),
    Later("freelancers.*.remind_before"),
    Later("freelancers.*.proposals_expire"),
    Later("freelancers.*.invite", frozenset({"syncd"})),
    Later("freelancers.*.consultations.*.instant", frozenset({"key", "public"})),
    Later("freelancers.*.accounts.*.provider", frozenset({"microsoft"})),
)


def later_keys(config: Config) -> list[str]:
    """The dotted keys that the file sets and that have no effect yet, in the order of the table."""
    return [
        key_text(path)
        for later in LATER
        for path, value in _found(config, tuple(later.key.split(".")))
        if later.values is None or value in later.values
    ]


def _found(value: object, pattern: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if not pattern:
        yield (), value
        return
    head, *rest = pattern
    for name, below in _set_here(value):
        if head in ("*", name):
            yield from (((name, *path), found) for path, found in _found(below, tuple(rest)))


def _set_here(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Table):
        yield from ((name, getattr(value, name)) for name in type(value).model_fields if name in value.model_fields_set)
    elif isinstance(value, Mapping):
        yield from value.items()
