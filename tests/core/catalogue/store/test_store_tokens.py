"""Tokens live in the keyring only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError

from core.catalogue.store.tokens import read_token, remove_token, save_token
from core.errors import BadSetting

HUB = "https://huggingface.co"
MIRROR = "https://mirror.example"


class Memory(KeyringBackend):
    """A keyring that forgets at the end."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("none")


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    before, made = keyring.get_keyring(), Memory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_token_is_kept_for_its_host_only(ring: Memory, own_home: Path) -> None:
    save_token(HUB, " hf_secret\n")
    assert ring.kept == {("Pirouette", "huggingface.co"): "hf_secret"}
    assert (read_token(HUB), read_token(MIRROR)) == ("hf_secret", None)
    assert not any(b"hf_secret" in path.read_bytes() for path in own_home.rglob("*") if path.is_file())
    assert remove_token(HUB)
    assert not remove_token(HUB)
    assert read_token(HUB) is None


def test_the_environment_counts_first_and_for_the_hub_and_its_named_mirror_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_token(HUB, "hf_kept")
    monkeypatch.setenv("HF_TOKEN", "hf_now")
    assert (read_token(HUB), read_token(MIRROR)) == ("hf_now", None)
    monkeypatch.setenv("HF_ENDPOINT", MIRROR)
    assert read_token(MIRROR) == "hf_now"


@pytest.mark.parametrize("token", ["", "  ", "hf_\x00", "ключ", "x" * 600])
def test_what_cannot_be_a_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(BadSetting) as error:
        save_token(HUB, token)
    assert error.value.value is None
    assert token.strip() == "" or token not in error.value.sentence()


def test_without_a_keyring_the_way_out_is_told() -> None:
    keyring.set_keyring(NoKeyring())
    assert read_token(HUB) is None
    with pytest.raises(BadSetting, match="no keyring") as error:
        save_token(HUB, "hf_secret")
    assert "HF_TOKEN" in error.value.action
    assert "hf_secret" not in error.value.sentence()


class Broken(Memory):
    """Fails as a system's service may, with the token in its words."""

    def get_password(self, *_: str) -> str | None:
        raise RuntimeError("no bus")

    def set_password(self, *told: str) -> None:
        raise RuntimeError(f"no bus for {told}")


def test_a_broken_keyring_has_no_token_and_tells_none() -> None:
    keyring.set_keyring(Broken())
    assert read_token(HUB) is None
    with pytest.raises(BadSetting, match="keyring refused") as raised:
        save_token(HUB, "hf_secret")
    assert "hf_secret" not in raised.value.sentence()


def test_the_variable_may_end_in_a_new_line_but_must_be_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    assert read_token(HUB) == "hf_secret"
    for wrong in ("hf_sec\nret", "sécret", "s" * 600):
        monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(BadSetting, match="HF_TOKEN") as raised:
            read_token(HUB)
        assert wrong not in raised.value.sentence()
