"""Seals what is stored, and makes the tokens and keys that others hold.

Decides how secrets are kept at rest, and what API keys and the tokens of bookings, private links and feeds look like.
Refuses to know where sealed bytes are stored and what a token allows.

The key file holds one key a line (32 bytes, url-safe base64; `#` begins a comment): the first seals, all of them open,
so that a key is changed by putting a new one on top.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, get_args

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from syncd.errors import ConfigError, Mistake

BOOKING_TOKEN_PREFIX = "bkt_"  # noqa: S105 - what tells tokens apart, not one of them
LINK_TOKEN_PREFIX = "blt_"  # noqa: S105
FEED_TOKEN_PREFIX = "bft_"  # noqa: S105
API_KEY_PREFIX = "syncd_"

Use = Literal["booking token", "link token", "bookings feed token", "push channel", "network address"]
_USES: tuple[Use, ...] = get_args(Use)
_LINK_TOKEN = re.compile(rf"{LINK_TOKEN_PREFIX}(.{{1,64}})_(.{{43}})")  # a MAC of 256 bits has 43 characters

_KEY = "daemon.secret_key_file"


@dataclass(frozen=True, slots=True, repr=False)
class Vault:
    """The secret keys of one daemon; `path` is where they came from."""

    path: Path
    _fernet: MultiFernet
    _keys: Mapping[Use, tuple[bytes, ...]]

    @classmethod
    def open(cls, path: Path, *, create: bool, new_key: Callable[[], bytes] = Fernet.generate_key) -> Vault:
        """Reads the key file, or makes it where there is none and `create` says so.

        `create` is for a first start only: with a database that is there already, a missing key file is a ConfigError,
        never a new key. So are a file that others may read, and one without a usable key.
        """
        if create and not path.exists():
            _make_key_file(path, new_key())
        keys = _usable_keys(path, _read_key_file(path))
        derived = {use: tuple(_derived_key(key, use) for key in keys) for use in _USES}
        return cls(path, MultiFernet([Fernet(key) for key in keys]), derived)

    def seal(self, secret: bytes | str) -> bytes:
        """Encrypts and signs; text as UTF-8."""
        return self._fernet.encrypt(secret.encode() if isinstance(secret, str) else secret)

    def unseal(self, sealed: bytes) -> bytes:
        """What was sealed; ConfigError if none of the keys opens it."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise _error(
                self.path, "holds no key that opens what is stored: put back the key file this database was made with"
            ) from None

    def booking_token(self, booking_id: str, generation: int) -> str:
        """The token of a booking's client; the same again for the same generation, so that it needn't be stored."""
        return BOOKING_TOKEN_PREFIX + next(self._macs("booking token", f"{booking_id}.{generation}"))

    def is_booking_token(self, token: str, booking_id: str, generation: int) -> bool:
        """Whether a token is this booking's, made with any of the keys; in constant time, whatever is wrong with it."""
        mac = token.removeprefix(BOOKING_TOKEN_PREFIX)
        return token != mac and self._is_mac(mac, "booking token", f"{booking_id}.{generation}")

    def link_token(self, link_id: str) -> str:
        """The token of a private link; it names the link, and is the same again whenever it is asked for."""
        return f"{LINK_TOKEN_PREFIX}{link_id}_{next(self._macs('link token', link_id))}"

    def link_id(self, token: str) -> str | None:
        """The id of the link a token was made for, by any of the keys; None for a forged token."""
        match = _LINK_TOKEN.fullmatch(token)
        return match[1] if match and self._is_mac(match[2], "link token", match[1]) else None

    def feed_token(self, freelancer_id: str, generation: int) -> str:
        """The token of a freelancer's feed of bookings; the same again for the same generation."""
        return FEED_TOKEN_PREFIX + next(self._macs("bookings feed token", f"{freelancer_id}.{generation}"))

    def is_feed_token(self, token: str, freelancer_id: str, generation: int) -> bool:
        """Whether a token opens this freelancer's feed of bookings, made with any of the keys; in constant time."""
        mac = token.removeprefix(FEED_TOKEN_PREFIX)
        return token != mac and self._is_mac(mac, "bookings feed token", f"{freelancer_id}.{generation}")

    def channel_token(self, channel_id: str) -> str:
        """What a provider shows when it tells of changes by a channel; the same again for the same channel."""
        return next(self._macs("push channel", channel_id))

    def is_channel_token(self, token: str, channel_id: str) -> bool:
        """Whether a token is this channel's, made with any of the keys; in constant time, whatever is wrong with it."""
        return self._is_mac(token, "push channel", channel_id)

    def address_mark(self, address: str) -> str:
        """What is stored of a network address: enough to know it again, too little to find it out."""
        return next(self._macs("network address", address))

    def _macs(self, use: Use, text: str) -> Iterator[str]:
        """What each of the keys makes of a text, the one that seals first."""
        return (_text(hmac.digest(key, text.encode(), "sha256")) for key in self._keys[use])

    def _is_mac(self, mac: str, use: Use, text: str) -> bool:
        given = mac.encode(errors="replace")
        found = [hmac.compare_digest(given, right.encode()) for right in self._macs(use, text)]
        return any(found)


def new_api_key(random: Callable[[int], bytes]) -> tuple[str, str]:
    """A new API key: its id, which may be listed, and its text, which is shown once.

    `random(n)` gives n random bytes, unguessable ones.
    """
    name = random(6).hex()
    return f"key_{name}", f"{API_KEY_PREFIX}{name}_{_text(random(32))}"


def hash_api_key(text: str) -> str:
    """What is stored of an API key, in hex.

    A plain SHA-256: 256 random bits can't be guessed, so there is nothing that salt or a slow hash would protect.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def _derived_key(key: bytes, use: Use) -> bytes:
    # A key of its own for each use: what a token gives away can't help to open what is sealed (RFC 5869, 3.2).
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"syncd {use}".encode())
    return derive.derive(base64.urlsafe_b64decode(key))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _make_key_file(path: Path, key: bytes) -> None:
    """Complete or not at all: written aside, then linked to its name, which fails if another process was first."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as aside:  # mode 0600, O_EXCL
            aside.write(key + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(aside.name, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _error(path, f"can't be made: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise _error(path, f"may be read by others (mode {mode:04o}): run chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        raise _error(
            path, "isn't there, but the database is: put the key file back, what is stored can't be opened without it"
        ) from None
    except OSError as error:
        raise _error(path, f"can't be read: {error.strerror}") from None


def _usable_keys(path: Path, content: bytes) -> list[bytes]:
    lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), 1)]
    keys = [(number, line) for number, line in lines if line and not line.startswith(b"#")]
    for number, key in keys:
        if not _is_key(key):
            raise _error(path, f"line {number} is no key: right are 32 bytes in url-safe base64, one key a line")
    if not keys:
        raise _error(path, "holds no key: put back the key file, or delete it if nothing was ever stored with it")
    return [key for _, key in keys]


def _is_key(text: bytes) -> bool:
    try:
        return len(base64.b64decode(text, altchars=b"-_", validate=True)) == 32
    except binascii.Error:
        return False


def _error(path: Path, what: str) -> ConfigError:
    return ConfigError(mistakes=[Mistake(_KEY, what, value=str(path))])
