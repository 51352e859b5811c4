"""Reading stored tensors: from any place, into any dtype, and when the file changes meanwhile."""

from __future__ import annotations

import mmap
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from core.engine.loading import tensors
from core.engine.loading.header import open_checkpoint
from core.errors import BadCheckpoint

CPU = torch.device("cpu")


@pytest.fixture
def values() -> Tensor:
    return torch.randn(7, 33, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def path(tmp_path: Path, values: Tensor) -> Path:
    state = {
        "a.weight": values,
        "b.weight": values.bfloat16(),
        "n": torch.tensor(3),
        "none": torch.ones(0, 4),
    }
    save_file(state, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


@pytest.mark.parametrize("chunk_bytes", [8, 64, 1 << 20])
def test_tensors_come_whole_in_every_dtype(
    path: Path, values: Tensor, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "CHUNK_BYTES", chunk_bytes)
    with open_checkpoint(path).reader() as read:
        assert torch.equal(read("a.weight"), values)
        assert torch.equal(read.to("a.weight", CPU), values)
        assert torch.equal(read.to("a.weight", CPU, torch.float16), values.half())
        assert torch.equal(read.to("b.weight", CPU, torch.float32), values.bfloat16().float())
        assert read("n").item() == 3
        assert read.to("n", CPU, torch.float32).shape == ()
        assert read.to("none", CPU).shape == read("none").shape == (0, 4)


def test_a_mapped_tensor_can_be_changed_without_changing_the_file(path: Path, values: Tensor) -> None:
    before = path.read_bytes()
    with open_checkpoint(path).reader() as read:
        mapped = read.to("a.weight", CPU)
    mapped.add_(1)
    assert torch.equal(mapped, values + 1)
    assert path.read_bytes() == before


def test_where_nothing_can_be_mapped_it_is_read(
    path: Path, values: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    checkpoint = open_checkpoint(path)
    monkeypatch.setattr(mmap, "mmap", refuse)
    with checkpoint.reader() as read:
        assert torch.equal(read.to("a.weight", CPU), values)


def test_a_tensor_at_an_odd_place_is_read(tmp_path: Path) -> None:
    text = (
        b'{"odd":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},'
        b'"a":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}}'
    )
    content = len(text).to_bytes(8, "little") + text + b"abc" + np.float32([1, 2]).tobytes()
    (tmp_path / "odd.safetensors").write_bytes(content)
    with open_checkpoint(tmp_path / "odd.safetensors").reader() as read:
        assert read.to("a", CPU).tolist() == read("a").tolist() == [1, 2]


def test_a_file_that_shrank_or_went_away_is_told(path: Path) -> None:
    checkpoint = open_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-8])
    with checkpoint.reader() as read, pytest.raises(BadCheckpoint, match="ends inside the tensor"):
        [read(name) for name in checkpoint.entries]
    with checkpoint.reader() as read, pytest.raises(BadCheckpoint, match="ends inside the tensor"):
        [read.to(name, CPU) for name in checkpoint.entries]
    path.unlink()
    with checkpoint.reader() as read, pytest.raises(BadCheckpoint, match="No such file"):
        read("n")


def test_gguf_gives_back_the_shape_that_the_metadata_note(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "wan")
    writer.add_array("comfy.gguf.orig_shape.conv.weight", [4, 2, 1, 2, 2])
    writer.add_array("tokens", ["a", "bc", ""])
    writer.add_array("scores", [0.5] * 100)
    writer.add_bool("flag", True)
    values = np.arange(32, dtype=np.float32)
    writer.add_tensor("conv.weight", values.reshape(8, 4))
    writer.add_tensor("model.diffusion_model.five", values.reshape(2, 2, 2, 2, 2))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    checkpoint = open_checkpoint(path)
    assert checkpoint.shapes() == {"conv.weight": (4, 2, 1, 2, 2), "five": (2, 2, 2, 2, 2)}
    assert checkpoint.metadata["general.architecture"] == "wan"
    with checkpoint.reader() as read:
        assert read("conv.weight").flatten().tolist() == values.tolist()
