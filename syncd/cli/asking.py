"""Questions to a person at a terminal, or to whoever pipes one answer a line; none at all with `--yes`.

Decides how a question is put, what stands in for an answer and what becomes of a wrong one: a person is asked again, a
script is told. Refuses to know what is asked for. Questions go to standard error, so that the output stays data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from getpass import getpass
from typing import Generic, TypeVar

import typer

from syncd.errors import ApiError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked, the option that answers it too, and how an answer is read: ValueError says what would be right."""

    text: str
    option: str
    read: Callable[[str], T]
    default: str | None = None
    given: str | None = None  # what the option says
    shown: str | None = None  # the default in words, where it has better ones

    @property
    def prompt(self) -> str:
        """The question as it is put."""
        words = self.default if self.shown is None else self.shown
        return f"{self.text} [{words}]: " if words is not None else f"{self.text}: "


class Asker:
    """Puts questions; `takes_defaults` puts none but for passwords."""

    def __init__(self, *, takes_defaults: bool = False) -> None:
        self.takes_defaults = takes_defaults
        self.has_person = sys.stdin is not None and sys.stdin.isatty()

    @property
    def is_talking(self) -> bool:
        """Whether a person is there to be talked to."""
        return self.has_person and not self.takes_defaults

    def ask(self, question: Question[T]) -> T:
        """The answer, from the option, the person, the pipe or the default. Raises ApiError."""
        if question.given is not None:
            return _read(question, question.given)
        if self.is_talking:
            return self._until_right(question)
        text = "" if self.takes_defaults else _line().strip()
        return _read(question, text or _default(question))

    def _until_right(self, question: Question[T]) -> T:
        while True:
            text = _typed(question.prompt).strip() or question.default
            if text is None:
                self.say(f"  An answer is needed: {question.text[0].lower()}{question.text[1:]}")
                continue
            try:
                return question.read(text)
            except ValueError as error:
                self.say(f"  {text}: {error}")

    def password(self, prompt: str) -> str:
        """A password, never shown; a pipe's next line."""
        if self.has_person:
            return getpass(f"{prompt}: ")
        return _line().rstrip("\r\n")

    def say(self, text: str = "") -> None:
        """A line beside the questions, for a person alone."""
        if self.is_talking:
            print(text, file=sys.stderr)  # noqa: T201 - this is the place

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table beside the questions, for a person alone."""
        from syncd.cli.show import print_table

        if self.is_talking:
            print_table(columns, rows, to_stderr=True)


def yes_or_no(text: str) -> bool:
    """Read an answer to a question that has two. Raises ValueError."""
    word = text.strip().lower()
    if word not in ("y", "yes", "n", "no"):
        raise ValueError("must be y or n")
    return word.startswith("y")


def _read(question: Question[T], text: str) -> T:
    try:
        return question.read(text)
    except ValueError as error:
        raise ApiError("invalid-request", f"{question.option} {text!r}: {error}") from None


def _default(question: Question[T]) -> str:
    if question.default is None:
        what = f"{question.text[0].lower()}{question.text[1:]}"
        raise ApiError("invalid-request", f"{question.option} is needed: {what}")
    return question.default


def _line() -> str:
    return sys.stdin.readline() if sys.stdin is not None else ""


def _typed(prompt: str) -> str:
    """A line from a person, who ends the command with the end of input."""
    print(prompt, end="", file=sys.stderr, flush=True)  # noqa: T201 - this is the place
    line = _line()
    if not line:
        raise typer.Abort
    return line
