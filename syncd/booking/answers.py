"""What a client answers to a consultation's questions: which are asked, which must be answered, and with what.

Pure. Raises ApiError that names each answer (`/answers/ID`) and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from syncd.errors import ApiError

LONGEST_TEXT = 4000
MOST_TEXTS = 50

Question = Mapping[str, Any]
Mistake = Mapping[str, str]


def check_answers(questions: Sequence[Question], answers: Mapping[str, Any], *, complete: bool) -> None:
    """Refuse answers that don't fit; `complete` says that none which is required may be missing. Raises ApiError."""
    mistakes = [*_mistakes(questions, answers), *(_missing(questions, answers) if complete else ())]
    if mistakes:
        detail = "; ".join(f"{mistake['pointer']}: {mistake['detail']}" for mistake in mistakes[:5])
        raise ApiError("invalid-request", detail, errors=mistakes)


def _missing(questions: Sequence[Question], answers: Mapping[str, Any]) -> Iterator[Mistake]:
    for question in questions:
        if question.get("required") and _is_empty(answers.get(question["id"])):
            yield _mistake(question["id"], "missing", f"must be answered: {question['label']}")


def _is_empty(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _mistakes(questions: Sequence[Question], answers: Mapping[str, Any]) -> Iterator[Mistake]:
    asked = {question["id"]: question for question in questions}
    for name, value in answers.items():
        if name not in asked:
            known = f"right would be one of {', '.join(asked)}" if asked else "nothing is asked"
            yield _mistake(name, "extra_forbidden", f"is not asked here; {known}")
        elif wrong := _wrong(asked[name], value):
            yield _mistake(name, "invalid", wrong)


def _wrong(question: Question, value: object) -> str | None:
    """What is wrong with an answer, None if nothing is."""
    kind = question.get("type", "text")
    if kind == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        return None if number else "must be a number"
    if kind == "boolean":
        return None if isinstance(value, bool) else "must be true or false"
    if kind == "texts":
        right = isinstance(value, list) and all(isinstance(text, str) for text in value)
        return _wrong_texts(value) if right and isinstance(value, list) else "must be a list of texts"
    return _wrong_text(value) if isinstance(value, str) else "must be text"


def _wrong_texts(texts: list[Any]) -> str | None:
    if len(texts) > MOST_TEXTS:
        return f"must have at most {MOST_TEXTS} texts"
    return next((wrong for text in texts if (wrong := _wrong_text(text))), None)


def _wrong_text(text: str) -> str | None:
    return f"must have at most {LONGEST_TEXT} characters" if len(text) > LONGEST_TEXT else None


def _mistake(name: str, code: str, detail: str) -> Mistake:
    pointer = "/answers/" + name.replace("~", "~0").replace("/", "~1")
    return {"pointer": pointer, "code": code, "detail": detail}
