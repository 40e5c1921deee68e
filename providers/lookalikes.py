"""What a file is that isn't a calendar: the words for a person who took it for one.

Decides by the content alone, as servers label calendars as web pages and web pages as calendars. Refuses to know where
it came from, and tells nothing of what it says.
"""

from __future__ import annotations

import re

_LOOKED_AT = 4096
_WEB_PAGE = re.compile(rb"<!doctype\s+html|<(?:html|head|body|title|meta|script|form)\b")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MARKS = (
    (b"PK\x03\x04", "a ZIP archive, in which the calendars are the .ics files"),
    (b"\x1f\x8b", "a gzip archive, in which the calendar may be"),
    (b"%PDF", "a PDF document"),
)


def look_of(content: bytes) -> str:
    """Return what a file that isn't a calendar looks like, as words that follow 'it is'."""
    marked = next((words for mark, words in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return marked
    # without the byte order marks and the zeros of UTF-16
    head = content[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").replace(b"\xff\xfe", b"").replace(b"\xfe\xff", b"")
    head = (head.replace(b"\0", b"") if head[:4].count(0) else head).strip().lower()
    if not head:
        return "an empty file"
    if _NOT_TEXT.search(head):
        return "something that isn't text"
    return _look_of_text(head)


def _look_of_text(head: bytes) -> str:
    if _WEB_PAGE.search(head):
        return "a web page, perhaps a login page"
    if head.startswith(b"<"):
        return "XML"
    if head.startswith((b"{", b"[")):
        return "JSON, perhaps an error message"
    return "contacts" if head.startswith(b"begin:vcard") else "some other text"
