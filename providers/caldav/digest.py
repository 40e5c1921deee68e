"""Digest access authentication (RFC 7616): from a server's challenges to the header that answers the best of them.

Pure: nothing is sent here, and the client's own random number is an argument. Refuses to know who asks. Written out
because the HTTP library's own mixes up challenges of several algorithms, and falls over those it doesn't know.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InvalidResponse

_HASHES: dict[str, Callable[[bytes], str]] = {  # the best one first
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
_SESSION = "-SESS"
_PART = re.compile(
    r"""\s*+,?\s*+(?:
        (?P<key>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]*))(?=\s*(?:,|$))
      | (?P<scheme>[\w!#$%&'*+.^`|~-]+)(?:\s+(?P<token>[\w.~+/-]+=*)(?=\s*(?:,|$)))?
    )""",
    re.VERBOSE,
)


def offered(header: str) -> Sequence[tuple[str, Mapping[str, str]]]:
    """Return the schemes of a WWW-Authenticate header (RFC 9110 §11.6.1), in lower case, with their parameters."""
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while part := _PART.match(header, at):
        at = part.end()
        if part["scheme"]:
            found.append((part["scheme"].lower(), {}))
        elif found:
            plain = part["plain"] if part["quoted"] is None else re.sub(r"\\(.)", r"\1", part["quoted"])
            found[-1][1].setdefault(part["key"].lower(), plain)
    return found


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks to be answered; `algorithm` is None where it named none, which means MD5."""

    realm: str
    nonce: str
    algorithm: str | None
    opaque: str | None
    has_qop: bool

    def answer(self, user: str, password: str, method: str, uri: str, *, count: int, cnonce: str) -> str:
        """Return the Authorization header for one request; `count` is how often this nonce was used, this time too."""
        name = (self.algorithm or "MD5").upper()
        hashed = _HASHES[name.removesuffix(_SESSION)]

        def digest(*parts: str) -> str:
            return hashed(":".join(parts).encode())

        secret = digest(user, self.realm, password)
        if name.endswith(_SESSION):
            secret = digest(secret, self.nonce, cnonce)
        use = (f"{count:08x}", cnonce, "auth") if self.has_qop else ()
        response = digest(secret, self.nonce, *use, digest(method, uri))
        fields = {"username": user, "realm": self.realm, "nonce": self.nonce, "uri": uri, "response": response}
        said = [f'{key}="{_escaped(value)}"' for key, value in fields.items()]
        said += [f'opaque="{_escaped(self.opaque)}"'] if self.opaque is not None else []
        said += [f"algorithm={self.algorithm}"] if self.algorithm is not None else []
        said += [f'qop=auth, nc={use[0]}, cnonce="{cnonce}"'] if use else []
        return f"Digest {', '.join(said)}".encode().decode("latin-1")  # headers go out as latin-1, names are UTF-8


def best_challenge(header: str) -> Challenge | None:
    """Return the Digest challenge to answer, None if there is none; raise `InvalidResponse` if none can be answered."""
    asked = [parameters for scheme, parameters in offered(header) if scheme == "digest"]
    known = [challenge for parameters in asked if (challenge := _challenge(parameters)) is not None]
    if asked and not known:
        raise InvalidResponse(
            "the server asks for a kind of Digest that isn't known: SHA-256 with qop auth would be right"
        )
    order = list(_HASHES)
    return min(known, key=lambda one: order.index(_base(one.algorithm)), default=None)


def _challenge(parameters: Mapping[str, str]) -> Challenge | None:
    qop = [option.strip().lower() for option in parameters.get("qop", "").split(",") if option.strip()]
    algorithm = parameters.get("algorithm")
    if _base(algorithm) not in _HASHES or "nonce" not in parameters or (qop and "auth" not in qop):
        return None
    return Challenge(parameters.get("realm", ""), parameters["nonce"], algorithm, parameters.get("opaque"), bool(qop))


def _base(algorithm: str | None) -> str:
    return (algorithm or "MD5").upper().removesuffix(_SESSION)


def _escaped(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text)
