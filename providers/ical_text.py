"""Content lines: iCalendar text ↔ components, properties and parameters (RFC 5545 §3.1).

Decides how lines unfold, where a name, its parameters and its value part, and which component a line belongs to.
Refuses to know what any property means. Forgiving: a line it can't split is left out, a component that never ends says
so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

_FOLD = re.compile(rb"\r*\n[ \t]")
_HEAD = re.compile(r'((?:[^":]|"[^"]*")*+):(.*)', re.DOTALL)
_PIECE = re.compile(r'(?:[^";]|"[^"]*")++')
_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


class Line(NamedTuple):
    """One property: its name and parameter names in capitals, its value as written."""

    name: str
    params: Mapping[str, str]
    value: str


@dataclass(slots=True)
class Component:
    """What stands between BEGIN and END; `closed` is False where the text ended first."""

    name: str
    lines: list[Line] = field(default_factory=list)
    parts: list[Component] = field(default_factory=list)
    closed: bool = False

    def first(self, name: str) -> Line | None:
        """Return the first property of that name."""
        return next((line for line in self.lines if line.name == name), None)

    def every(self, name: str) -> list[Line]:
        """Return all properties of that name, in order."""
        return [line for line in self.lines if line.name == name]

    def parts_named(self, name: str) -> list[Component]:
        """Return the components of that name directly inside."""
        return [part for part in self.parts if part.name == name]


def parse(text: str | bytes) -> list[Component]:
    """Return the outermost components of a text; an empty list where there are none.

    Bytes are read as UTF-8, byte order mark or not; what isn't UTF-8 is replaced, as no timing depends on it.
    """
    root = Component("")
    stack = [root]
    for line in _lines(text):
        if line.name == "BEGIN":
            stack.append(Component(line.value.strip().upper()))
            stack[-2].parts.append(stack[-1])
        elif line.name == "END":
            _close(stack, line.value.strip().upper())
        else:
            stack[-1].lines.append(line)
    return root.parts


def _close(stack: list[Component], name: str) -> None:
    """End the innermost component of that name; those inside it that never ended stay open."""
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth].name == name:
            stack[depth].closed = True
            del stack[depth:]
            return


def _lines(text: str | bytes) -> Iterator[Line]:
    # Folds are undone in bytes: a fold may stand inside a UTF-8 character.
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if b"\n " in raw or b"\n\t" in raw:
        raw = _FOLD.sub(b"", raw)
    for written in raw.decode("utf-8-sig", "replace").split("\n"):
        line = _split(written.rstrip("\r"))
        if line is not None:
            yield line


def _split(written: str) -> Line | None:
    head, colon, value = written.partition(":")
    if not colon:
        return None
    if '"' in head:
        quoted = _HEAD.fullmatch(written)
        if quoted is not None:
            head, value = quoted.groups()
    if ";" not in head:
        return Line(head.strip().upper(), _NO_PARAMS, value)
    name, *params = _PIECE.findall(head) or [""]
    return Line(name.strip().upper(), dict(map(_param, params)), value)


def _param(written: str) -> tuple[str, str]:
    name, _, value = written.partition("=")
    return name.strip().upper(), value.strip().replace('"', "")
