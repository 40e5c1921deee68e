"""Which XML is read at all: none with a document type definition, in an odd encoding, or of too many elements.

WebDAV needs no DTD, and entities, external ones above all, come with nothing else (RFC 4918 §20.6). Looked at before
a parser sees it. Refuses to know what the XML says.
"""

from __future__ import annotations

import re

_MOST = 1_500_000  # tags and attributes; an element takes about 120 bytes of memory, an attribute as much
_WIDE = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_WIDE_UNMARKED = ((b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_EBCDIC = b"\x4c\x6f\xa7\x94"
# Possessive, so that a body of a million comments is read once.
_BEFORE = rb"(?is)(?:\s++|(?><\?.*?\?>)|(?><!--.*?-->))*+"
_DOCTYPE = re.compile(_BEFORE + rb"<!DOCTYPE")
_PAGE = re.compile(_BEFORE + rb"<(?:!DOCTYPE\s++)?html\b")
_DECLARED = re.compile(rb"\s*+<\?xml\s[^>]*?encoding\s*=\s*[\"']([^\"']*)")
_READ = re.compile(rb"utf-?8|utf-16(le|be)?|(us-)?ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)


def refusal(body: bytes) -> str | None:
    """Return why a body isn't given to an XML parser, as a clause that follows the server's name; None if it may be."""
    if not body:
        return None
    prolog = _as_bytes_of_ascii(body)
    declared = _DECLARED.match(prolog)
    if body.startswith(_EBCDIC) or (declared and not _READ.fullmatch(declared[1])):
        return "sends XML in an encoding that isn't read: UTF-8 would be right"
    if _PAGE.match(prolog):
        return "answers with a web page"
    if _DOCTYPE.match(prolog):
        return "sends XML with a document type definition, which isn't read"
    if body.count(b"<") + (body.count(b'"') + body.count(b"'")) // 2 > _MOST:
        return "sends XML of too many elements"
    return None


def is_page(body: bytes) -> bool:
    """Say whether a body is a web page."""
    return _PAGE.match(_as_bytes_of_ascii(body)) is not None


def _as_bytes_of_ascii(body: bytes) -> bytes:
    """Return a body in an encoding that spells markup as ASCII does."""
    for mark, encoding in (*_WIDE, *_WIDE_UNMARKED):
        if body.startswith(mark):
            return body.decode(encoding, "replace").encode()
    return body.removeprefix(b"\xef\xbb\xbf")
