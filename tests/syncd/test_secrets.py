"""What is sealed opens again with the right key only, and tokens can't be guessed or mixed up."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from syncd.errors import ConfigError, exit_code
from syncd.secrets import Vault, hash_api_key, new_api_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret.key"


def written(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join(lines))
    path.chmod(0o600)
    return path


def test_the_key_is_made_at_first_start_for_the_owner_alone(path: Path) -> None:
    Vault.open(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_mode_of_a_new_key_does_not_depend_on_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        Vault.open(path, create=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_sealed_opens_after_a_restart(path: Path) -> None:
    sealed = Vault.open(path, create=True).seal("pässword")
    assert Vault.open(path, create=False).unseal(sealed).decode() == "pässword"
    assert Vault.open(path, create=True).unseal(sealed).decode() == "pässword"
    assert b"ssword" not in sealed


def test_the_same_secret_never_looks_the_same(path: Path) -> None:
    vault = Vault.open(path, create=True)
    assert vault.seal(b"x") != vault.seal(b"x")


def test_two_first_starts_at_once_agree_on_one_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        vaults = list(pool.map(lambda _: Vault.open(path, create=True), range(32)))
    assert {vault.unseal(vaults[0].seal(b"x")) for vault in vaults} == {b"x"}


def test_a_missing_key_beside_a_database_is_an_error_and_never_a_new_key(path: Path) -> None:
    with pytest.raises(ConfigError, match="put the key file back") as caught:
        Vault.open(path, create=False)
    assert exit_code(caught.value) == 78
    assert str(path) in str(caught.value)
    assert "daemon.secret_key_file" in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_file_that_others_may_open_is_refused_with_what_to_do(path: Path, mode: int) -> None:
    Vault.open(path, create=True)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {re.escape(str(path))}"):
        Vault.open(path, create=False)


def test_a_read_only_key_file_is_good(path: Path) -> None:
    Vault.open(path, create=True)
    path.chmod(0o400)
    Vault.open(path, create=False)


@pytest.mark.parametrize(
    "content",
    [b"", b"# only a comment", b"short", b"x" * 44, b"!" * 44, b"A" * 43, b"A" * 43 + b"= trailing"],
)
def test_a_file_without_a_usable_key_is_refused_and_kept(path: Path, content: bytes) -> None:
    written(path, content)
    with pytest.raises(ConfigError, match="no key") as caught:
        Vault.open(path, create=True)
    assert path.read_bytes() == content
    assert content.decode() not in str(caught.value) or not content


def test_a_bad_line_is_named_by_its_number_alone(path: Path) -> None:
    written(path, b"# ours", Fernet.generate_key(), b"hunter2")
    with pytest.raises(ConfigError, match="line 3 is no key") as caught:
        Vault.open(path, create=False)
    assert "hunter2" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be made: No such file"):
        Vault.open(tmp_path / "nowhere" / "secret.key", create=True)


def test_another_key_opens_nothing_and_says_so(tmp_path: Path) -> None:
    sealed = Vault.open(tmp_path / "a", create=True).seal(b"x")
    with pytest.raises(ConfigError, match="no key that opens what is stored") as caught:
        Vault.open(tmp_path / "b", create=True).unseal(sealed)
    assert caught.value.__cause__ is None


def test_what_was_tampered_with_does_not_open(path: Path) -> None:
    vault = Vault.open(path, create=True)
    sealed = bytearray(vault.seal(b"x" * 50))
    sealed[40] ^= 1
    with pytest.raises(ConfigError):
        vault.unseal(bytes(sealed))


def test_a_new_key_on_top_seals_and_the_old_one_still_opens(path: Path) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    before = Vault.open(written(path, old), create=False)
    sealed, token = before.seal(b"x"), before.booking_token("bkg_1", 0)
    both = Vault.open(written(path, b"# changed today", new, b"", old), create=False)
    assert both.unseal(sealed) == b"x"
    assert both.is_booking_token(token, "bkg_1", 0)
    only_new = Vault.open(written(path, new), create=False)
    assert only_new.unseal(both.seal(b"y")) == b"y"
    assert both.booking_token("bkg_1", 0) == only_new.booking_token("bkg_1", 0) != token
    assert not only_new.is_booking_token(token, "bkg_1", 0)


def test_a_booking_token_is_the_same_again_until_its_generation_rises(path: Path) -> None:
    token = Vault.open(path, create=True).booking_token("bkg_1", 1)
    again = Vault.open(path, create=False)
    assert again.booking_token("bkg_1", 1) == token
    assert again.is_booking_token(token, "bkg_1", 1)
    assert not again.is_booking_token(token, "bkg_1", 2)
    assert not again.is_booking_token(token, "bkg_2", 1)


def test_booking_and_generation_cannot_be_mixed_up(path: Path) -> None:
    vault = Vault.open(path, create=True)
    assert vault.booking_token("bkg_1", 11) != vault.booking_token("bkg_11", 1)


@pytest.mark.parametrize("token", ["", "bkt_", "nonsense", "é", "\udcff", "bkt_" + "A" * 43])
def test_no_other_text_is_a_booking_token(path: Path, token: str) -> None:
    assert not Vault.open(path, create=True).is_booking_token(token, "bkg_1", 1)


def test_tokens_are_recognisable_and_fit_into_an_address(path: Path) -> None:
    token = Vault.open(path, create=True).booking_token("bkg_1", 1)
    assert re.fullmatch(r"bkt_[A-Za-z0-9_-]{43}", token)


def test_an_api_key_has_an_id_that_may_be_shown_and_256_random_bits() -> None:
    drawn: list[int] = []

    def random(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    key_id, text = new_api_key(random)
    assert re.fullmatch(r"key_[0-9a-f]{12}", key_id)
    assert re.fullmatch(rf"syncd_{key_id.removeprefix('key_')}_[A-Za-z0-9_-]{{43}}", text)
    assert max(drawn) == 32
    assert new_api_key(random)[1] != text


def test_what_is_stored_of_an_api_key_is_its_hash() -> None:
    assert hash_api_key("syncd_x") == hashlib.sha256(b"syncd_x").hexdigest()
    assert hash_api_key("syncd_x") != hash_api_key("syncd_y")


def test_a_vault_shows_no_key(path: Path) -> None:
    vault = Vault.open(path, create=True)
    assert path.read_text().strip() not in repr(vault)
    assert repr(vault).startswith("<")
