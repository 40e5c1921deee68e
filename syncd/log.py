"""Log lines as data on one stream, without secrets, titles and addresses.

Decides how every line of this process looks, ours and the libraries', and what is taken out of it. Refuses to know who
logs and why. What identifies a thing (an id, a UID, an instant) stays; what it says or unlocks goes.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]

GONE = "***"
OURS = ("syncd", "providers", "availability")

# Part of a key's name: whatever unlocks something. The whole name: whatever says something about a person or an event.
_UNLOCKS = re.compile(
    r"passw|secret|token|authorization|cookie|credential|api_?key|private_?key|e_?mail", re.IGNORECASE
)
_TELLS = frozenset(
    {
        *("title", "summary", "description", "location", "subject", "body", "note", "answers", "metadata"),
        *("client", "attendee", "attendees", "organizer", "phone", "address", "addresses", "recipient"),
        *("ics", "payload", "parameters", "params"),
    }
)

_IDENTIFIES = frozenset({"uid"})  # many a UID looks like an e-mail address, and is all that names a quarantined event

# In order: what spans most comes first. Every pattern is linear in the length of the text.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\[parameters:[^\n]*", "[parameters: ***]"),  # SQLAlchemy's errors quote what was bound
        (r"\binput_value=[^\n]{0,200}?, input_type", "input_value=***, input_type"),  # so do pydantic's, shortened
        (r"(authorization\b[\"']?\s*[:=]\s*)[^\r\n]+", r"\1***"),
        (r"((?:set-)?cookie\b[\"']?\s*[:=]\s*)[^\r\n]+", r"\1***"),
        (r"\b(bearer)\s+[^\s\"',;]+", r"\1 ***"),
        (r"\b(basic|digest)\s+[a-z0-9+/=_-]{16,}", r"\1 ***"),
        (r"(://)[^\s/\"'<>@]*@", r"\1"),
        (r"(\(url=\w+://[^\s/)]*)[^\s)]*", r"\1/***"),  # urllib3 quotes the address when an answer's headers are odd
        (r"(/private-)[^\s/\"'<>]+", r"\1***"),  # the part of Google's secret feed addresses that is secret
        (r"(?<=[\w/.%-])\?[^\s\"'<>)\]]+", ""),  # a query may hold a token
        (
            r"\b((?:\w*_)?(?:passw(?:or)?d|secret|token|api_?key)s?[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)",
            r"\1***",
        ),
        (r"\bsyncd_[0-9a-f]{12}_[\w-]+|\bb[klf]t_[\w-]{16,}|\bgAAAAA[\w-]{16,}=*", GONE),
        (r"(?<![\w.+%!#$&'*^{|}~-])[\w.+%!#$&'*^{|}~-]+?(?:@|%40)[\w-]+(?:\.[\w-]+)*", GONE),
    )
)


def scrub(text: str) -> str:
    """The text without passwords, tokens, e-mail addresses, and without user and query of the URLs in it."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """A structlog processor: masks values by their keys, and scrubs every text that is left."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: object) -> object:
    if value is None or isinstance(value, bool) or key in _IDENTIFIES:
        return value
    if _UNLOCKS.search(key) or key.lower() in _TELLS:
        return GONE
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(key, entry) for entry in value]
    return scrub(value if isinstance(value, str) else str(value))


def configure_logging(*, level: Level = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sends the lines of this process to `stream` (stderr): for people on a terminal, otherwise one JSON object a line.

    `level` is for our own lines; the libraries' are shown from WARNING on, whatever they set themselves, since some log
    the bodies of requests below it. Called once by each entry point; calling it again replaces what was set.
    """
    stream = stream or sys.stderr
    as_json = not stream.isatty() if json is None else json
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # else a second call would leave old loggers with the old stream
    )
    _route(_handler(stream, as_json=as_json), level.upper())


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _handler(stream: TextIO, *, as_json: bool) -> logging.Handler:
    # Exceptions become text before redaction, plainly: renderers that quote local variables would quote secrets.
    handler = logging.StreamHandler(stream)
    handler.addFilter(_only_our_chatter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                redact,
                _renderer(as_json=as_json, colors=stream.isatty()),
            ],
        )
    )
    return handler


def _renderer(*, as_json: bool, colors: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _only_our_chatter(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OURS


def _route(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
