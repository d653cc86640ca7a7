"""Tests of stored credentials: sealed for one row, unreadable without the key, with a clear error."""

import pytest

from heliograph.ports.secrets import CannotOpen
from heliograph.vault import Vault, is_plain

SECRET = '{"token": "EAAG-something-secret"}'


def test_a_sealed_text_shows_nothing_and_opens_again() -> None:
    vault = Vault("thirty-two bytes or so of a secret key")
    sealed = vault.seal(SECRET, about="phone-a")
    assert "EAAG" not in sealed and "secret" not in sealed
    assert not is_plain(sealed)
    assert vault.open(sealed, about="phone-a") == SECRET
    assert vault.seal(SECRET, about="phone-a") != sealed
    assert "key" not in repr(vault).lower()


@pytest.mark.parametrize("key", [None, "another key of thirty-two bytes or so"])
def test_without_the_right_key_it_does_not_open_and_says_what_to_do(key: str | None) -> None:
    sealed = Vault("thirty-two bytes or so of a secret key").seal(SECRET, about="phone-a")
    with pytest.raises(CannotOpen, match="HELIOGRAPH_SECRET_KEY") as caught:
        Vault(key).open(sealed, about="phone-a")
    assert "EAAG" not in str(caught.value)


def test_sealed_text_that_was_moved_or_altered_does_not_open() -> None:
    vault = Vault("thirty-two bytes or so of a secret key")
    sealed = vault.seal(SECRET, about="phone-a")
    for text, about in (
        (sealed, "phone-b"),
        (sealed[:-4] + "AAA=", "phone-a"),
        ("aes1:", "phone-a"),
        ("aes1:é", "phone-a"),
    ):
        with pytest.raises(CannotOpen):
            vault.open(text, about=about)


def test_without_a_key_it_is_plain_and_known_to_be() -> None:
    vault = Vault(None)
    stored = vault.seal(SECRET, about="phone-a")
    assert is_plain(stored) and not vault.encrypts
    assert vault.open(stored, about="phone-a") == SECRET
    assert Vault("a key that was set later").open(stored, about="phone-a") == SECRET
    assert Vault("a key that was set later").open("{}", about="phone-a") == "{}"
    assert not is_plain("")
