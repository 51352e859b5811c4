from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.settings import places, resources


def test_home_moves_everything_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIROUETTE_HOME", str(tmp_path / "elsewhere"))
    folders = dataclasses.asdict(places())
    assert len(set(folders.values())) == len(folders)
    assert all(folder.parent == tmp_path / "elsewhere" for folder in folders.values())
    assert not (tmp_path / "elsewhere").exists()


def test_without_it_the_folders_are_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIROUETTE_HOME")
    folders = places()
    assert all("Pirouette" in str(folder) for folder in dataclasses.asdict(folders).values())
    assert folders.models.parent == folders.data


def test_resources_hold_the_presets() -> None:
    assert (resources() / "presets.toml").is_file()
