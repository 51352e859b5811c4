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
from core.training.carry import carry
from core.training.checkpoint import AVERAGED, RAW, named


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


def test_a_weight_that_is_no_number_is_not_saved(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, state(1), {"step": 5})
    with pytest.raises(BadCheckpoint, match="w2 is not finite"):
        checkpoint.save(tmp_path, state(2) | {"w2": torch.full((4, 4), 1e6)}, {"step": 9})
    check(tmp_path, 1, 5)


def test_rows_are_close_and_half_as_large(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    weights = {"kernel": torch.randn(64, 8, 3, 3, generator=generator), "gain": torch.randn(64)}
    checkpoint.save(tmp_path / "half", weights, {})
    checkpoint.save(tmp_path / "rows", weights, {}, rows=True)
    loaded = checkpoint.load(tmp_path / "rows")
    assert loaded is not None
    assert loaded[0].keys() == weights.keys()
    largest = weights["kernel"].flatten(1).abs().amax(1).view(-1, 1, 1, 1)
    assert ((loaded[0]["kernel"] - weights["kernel"]).abs() <= largest / 127 * 0.51).all()
    assert torch.equal(loaded[0]["gain"], weights["gain"].half().float())
    sizes = [
        sum(part.stat().st_size for part in (tmp_path / n).glob("*.safetensors")) for n in ("half", "rows")
    ]
    assert sizes[1] < 0.56 * sizes[0]


def test_a_carried_run_begins_again_with_its_averaged_weights(tmp_path: Path) -> None:
    weights = {
        f"{RAW}w": torch.ones(2),
        f"{AVERAGED}w": torch.zeros(2),
        f"{RAW}alone": torch.ones(2),
        "x": torch.ones(2),
    }
    checkpoint.save(tmp_path / "run", weights, {"step": 7})
    assert carry(tmp_path / "run", tmp_path / "light") > 0
    loaded = checkpoint.load(tmp_path / "light")
    assert loaded is not None
    assert loaded[1] == {"step": 7}
    assert sorted(loaded[0]) == [f"{AVERAGED}w", f"{RAW}alone", "x"]
    averaged = {f"{AVERAGED}w": torch.zeros(2)}
    assert torch.equal(named(averaged, RAW)["w"], torch.zeros(2))
    assert torch.equal(named(weights, RAW)["w"], torch.ones(2))


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
