"""Checkpoints survive an interrupted save and tell of damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from core.errors import BadCheckpoint, DiskError
from core.training import checkpoint


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tensors a part."""
    monkeypatch.setattr(checkpoint, "PART_BYTES", 64)


def state(value: float) -> dict[str, Tensor]:
    return {f"w{index}": torch.full((4, 4), value + index) for index in range(5)}


def check(folder: Path, value: float, step: int) -> None:
    loaded = checkpoint.load(folder)
    assert loaded is not None
    tensors, progress = loaded
    assert progress == {"step": step}
    assert tensors.keys() == state(value).keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state(value).items())
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "none") is None


def test_what_is_saved_is_loaded_and_replaces_the_former(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, state(1), {"step": 5})
    check(tmp_path, 1, 5)
    checkpoint.save(tmp_path, state(2), {"step": 9})
    check(tmp_path, 2, 9)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3, "the former parts are gone"


def test_an_interrupted_save_leaves_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, state(1), {"step": 5})
    written = []

    def full_after_one(tensors: dict[str, Tensor], path: Path) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        save_file(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full_after_one)
        with pytest.raises(DiskError, match="is full"):
            checkpoint.save(tmp_path, state(2), {"step": 9})
    assert len(written) == 1
    check(tmp_path, 1, 5)
    checkpoint.save(tmp_path, state(3), {"step": 11})
    check(tmp_path, 3, 11)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


def test_damage_is_told(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, state(1), {"step": 5})
    index = json.loads((tmp_path / "index.json").read_text())
    part = tmp_path / index["parts"][1]
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCheckpoint, match=part.name):
        checkpoint.load(tmp_path)
    part.unlink()
    with pytest.raises(BadCheckpoint, match=part.name):
        checkpoint.load(tmp_path)
    (tmp_path / "index.json").write_text('{"generation": 0, "par')
    with pytest.raises(BadCheckpoint, match=r"index\.json"):
        checkpoint.load(tmp_path)
