"""Content lines: iCalendar text ↔ components, properties and parameters (RFC 5545 §3.1).

Decides how a text is encoded, how its lines unfold, where a name, its parameters and its value part, and which
component a line belongs to. Refuses to know what any property means. Forgiving: a line it can't split is left out, a
component that never ends says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

_HEAD = re.compile(r'((?:[^":]|"[^"]*")*+):(.*)', re.DOTALL)
_PIECE = re.compile(r'(?:[^";]|"[^"]*")++')
_ESCAPED_IN_PARAM = re.compile(r"\^([n^'])")
_ESCAPED_IN_TEXT = re.compile(r"\\([\\;,nN])")
_TO_ESCAPE = re.compile(r"[\\;,]")
_NO_PARAMS: Mapping[str, str] = MappingProxyType({})
# These stand side by side in a VCALENDAR, so that where one begins, another that is still open has lost its end.
_SIDE_BY_SIDE = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE"})
# Their values hold no colon, so that the last one ends a TZID that should have been quoted: (UTC+01:00) Berlin.
_OF_TIME = ("DTSTART;", "DTEND;", "RECURRENCE-ID;", "RDATE;", "EXDATE;")
_DEEPEST = 20
# What nobody here reads is left out at once, which saves half of the time and of the memory that a feed takes.
_NEVER_READ = (
    *("SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "CATEGORIES", "X-ALT-DESC", "URL", "ATTACH", "ORGANIZER"),
    *("DTSTAMP", "CREATED", "LAST-MODIFIED", "CLASS", "PRIORITY", "ACTION", "TRIGGER", "X-APPLE-", "X-GOOGLE-"),
)


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
        for line in self.lines:
            if line.name == name:
                return line
        return None

    def every(self, name: str) -> list[Line]:
        """Return all properties of that name, in order."""
        return [line for line in self.lines if line.name == name]

    def parts_named(self, name: str) -> list[Component]:
        """Return the components of that name directly inside."""
        return [part for part in self.parts if part.name == name]


def parse(text: str | bytes) -> list[Component]:
    """Return the outermost components of a text; an empty list where there are none.

    Bytes are UTF-8 or UTF-16, byte order mark or not; a line that is neither is Latin-1, as no timing depends on it.
    Where an event begins inside another, that one has lost its END; where it begins outside a VCALENDAR, it belongs to
    the one before it, or to one whose BEGIN was lost.
    """
    root = Component("")
    stack = [root]
    for line in _lines(text):
        if line.name == "BEGIN":
            _open(stack, line.value.strip().upper())
        elif line.name == "END":
            _close(stack, line.value.strip().upper())
        else:
            stack[-1].lines.append(line)
    _leave(stack, 1)
    return root.parts


def unescaped(written: str) -> str:
    """Return the text that a TEXT value stands for (RFC 5545 §3.3.11)."""
    if "\\" not in written:
        return written
    return _ESCAPED_IN_TEXT.sub(lambda match: "\n" if match[1] in "nN" else match[1], written)


def escaped(text: str) -> str:
    """Return the TEXT value for a text of one line (RFC 5545 §3.3.11)."""
    return _TO_ESCAPE.sub(r"\\\g<0>", text)


def _open(stack: list[Component], name: str) -> None:
    """Begin a component; one too deep to mean anything is not told apart from what holds it."""
    if name == "VCALENDAR":
        _leave(stack, 1)
    elif name in _SIDE_BY_SIDE:
        if len(stack) > 2:
            _leave(stack, next((depth for depth, open_ in enumerate(stack) if open_.name in _SIDE_BY_SIDE), len(stack)))
        if len(stack) == 1:
            stack.append(_calendar_of(stack[0]))
    if len(stack) <= _DEEPEST:
        stack.append(Component(name))
        stack[-2].parts.append(stack[-1])


def _calendar_of(root: Component) -> Component:
    """Return the VCALENDAR that a component belongs to that stands in none."""
    if not (root.parts and root.parts[-1].name == "VCALENDAR"):
        root.parts.append(Component("VCALENDAR", lines=root.lines))
    return root.parts[-1]


def _close(stack: list[Component], name: str) -> None:
    """End the innermost component of that name; those inside it that never ended stay open."""
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth].name == name:
            stack[depth].closed = True
            _leave(stack, depth)
            return
    if name == "VCALENDAR":
        # It ends one in which another began, which ended before.
        wrapping = (part for part in reversed(stack[0].parts) if part.name == name and not part.closed)
        next(wrapping, stack[0]).closed = True


def _leave(stack: list[Component], depth: int) -> None:
    """Go up to a depth; events inside a component that never ended are beside it."""
    while len(stack) > depth:
        left = stack.pop()
        if left.parts and not left.closed and left.name != "VCALENDAR":
            stack[-1].parts += [part for part in left.parts if part.name in _SIDE_BY_SIDE]


def _lines(text: str | bytes) -> Iterator[Line]:
    raw = _utf8(text) if isinstance(text, bytes) else text.encode("utf-8", "replace")
    for written in _decoded(_unfolded(raw)).split("\n"):
        line = None if written.startswith(_NEVER_READ) else _split(written.rstrip("\r"))
        if line is not None:
            yield line


def _unfolded(raw: bytes) -> bytes:
    """Undo folds, in bytes, as one may stand inside a UTF-8 character; line ends of any kind become line feeds.

    A line end that was doubled (CR CR LF, or LF LF before a fold) is one. Takes no longer than the text is.
    """
    raw = raw.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r\n", b"\n")
    if raw.count(b"\n") <= 1:
        raw = raw.replace(b"\r", b"\n")
    for fold in (b"\n\n ", b"\n\n\t", b"\n ", b"\n\t"):
        raw = raw.replace(fold, b"")
    return raw


def _utf8(raw: bytes) -> bytes:
    """Return UTF-16, known by its byte order mark or by the zeros in ASCII, as UTF-8."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace").encode()
    if raw[1:2] == b"\0" or raw[:1] == raw[2:3] == b"\0":
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le", "replace").encode()
    return raw


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\n".join(map(_decoded_line, raw.split(b"\n")))
    return text.replace("\ufeff", "")


def _decoded_line(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _split(written: str) -> Line | None:
    head, colon, value = written.partition(":")
    if not colon:
        return None
    if '"' in head:
        quoted = _HEAD.fullmatch(written)
        # A quote that never ends, or ends in the value, is none.
        head, value = quoted.groups() if quoted is not None else (head.replace('"', ""), value.replace('"', ""))
    elif ":" in value and head.upper().startswith(_OF_TIME):
        head, _, value = written.rpartition(":")
    if ";" not in head:
        return Line(head.strip().upper(), _NO_PARAMS, value)
    name, *params = _PIECE.findall(head) or [""]
    return Line(name.strip().upper(), dict(map(_param, params)), value)


def _param(written: str) -> tuple[str, str]:
    name, _, value = written.partition("=")
    value = value.strip().replace('"', "")
    if "^" in value:
        value = _ESCAPED_IN_PARAM.sub(lambda match: {"n": "\n", "^": "^", "'": '"'}[match[1]], value)
    return name.strip().upper(), value
