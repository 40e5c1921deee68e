"""How the bytes of an answer become its body: unpacked here, bounded while they are, whole or not at all.

HTTP libraries take a compressed body that breaks off for a shorter one, and unpack what wasn't asked for. Decides
which encodings are read. Refuses to know where the bytes come from.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from providers.errors import InvalidResponse

_STEP = 65_536
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_OTHER = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})  # anything else is a mistaken label
_EITHER_HEADER = 32 + zlib.MAX_WBITS  # zlib's or gzip's


def read_body(chunks: Iterable[bytes], encoding: str, *, size: int, host: str) -> bytes:
    """Return a body as it is once unpacked by its Content-Encoding (RFC 9110 §8.4).

    Raises `InvalidResponse` if it is larger than `size` bytes, breaks off, or can't be unpacked.
    """
    applied = [name for part in encoding.lower().split(",") if (name := part.strip()) in _PACKED | _OTHER]
    if len(applied) > 1 or _OTHER.intersection(applied):
        raise InvalidResponse(f"{host} packs its answer as {', '.join(applied)}, which wasn't asked for")
    body = bytearray()
    for chunk in _unpacked(chunks, host) if applied else chunks:
        body += chunk
        if len(body) > size:
            raise InvalidResponse(f"{host} sent more than {size} bytes")
    return bytes(body)


def _unpacked(chunks: Iterable[bytes], host: str) -> Iterator[bytes]:
    """Unpack one gzip member after another (RFC 1952 §2.2) or one zlib stream, a little at a time."""
    member = zlib.decompressobj(_EITHER_HEADER)
    started = False
    try:
        for chunk in chunks:
            packed, started = chunk, True
            while packed:
                if member.eof:
                    if packed[:1] != b"\x1f":
                        return  # padding after the last member
                    member = zlib.decompressobj(_EITHER_HEADER)
                yield member.decompress(packed, _STEP)
                packed = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise InvalidResponse(f"{host} sent a packed answer that can't be unpacked") from error
    if started and not member.eof:
        raise InvalidResponse(f"{host} sent an answer that breaks off")
