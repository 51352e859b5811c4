"""Reading, checking and refusing weight files, with a tiny transformer's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.engine.loading.checkpoint import (
    STEADYDANCER_PARTS,
    check_complete,
    expected_shapes,
    load_transformer,
)
from core.engine.loading.header import open_checkpoint
from core.engine.loading.int8_rows import (
    load_state,
    quantise_rows,
    save_int8_rows,
)
from core.engine.loading.stored import dequantise_rows
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadCheckpoint, DiskError

TINY = TransformerConfig(dim=24, num_heads=2, num_layers=1, ffn_dim=32, text_len=4, text_dim=8, clip_dim=12)
State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return SteadyDancerTransformer(TINY).state_dict()


@pytest.fixture
def file(state: State, tmp_path: Path) -> Path:
    path = tmp_path / "dancer.safetensors"
    save_file(state, str(path), {"format": "pt"})
    return path


def assert_holds(model: SteadyDancerTransformer, state: State) -> None:
    loaded = model.state_dict()
    assert set(loaded) == set(state)
    for name, tensor in state.items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model.", "net."])
def test_round_trip_under_every_prefix(state: State, tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "dancer.safetensors"
    save_file({prefix + name: tensor for name, tensor in state.items()}, str(path))
    model = load_transformer(path, TINY)
    assert_holds(model, state)
    assert not model.training
    assert not any(p.requires_grad or p.is_meta for p in model.parameters())


def test_loads_into_another_dtype(file: Path, state: State) -> None:
    model = load_transformer(file, TINY, dtype=torch.bfloat16)
    assert_holds(model, {name: tensor.bfloat16() for name, tensor in state.items()})


@pytest.mark.parametrize("by_folder", [True, False])
def test_loads_shards(state: State, tmp_path: Path, by_folder: bool) -> None:
    names = sorted(state)
    halves = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, part in halves.items():
        save_file({name: state[name] for name in part}, str(tmp_path / shard))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {n: s for s, part in halves.items() for n in part}}))
    assert_holds(load_transformer(tmp_path if by_folder else index, TINY), state)
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match=r"b\.safetensors"):
        load_transformer(index, TINY)


def test_a_plain_wan_file_is_refused_by_its_header_alone() -> None:
    expected = expected_shapes(STEADYDANCER_14B)
    wan = {name: shape for name, shape in expected.items() if name.split(".")[0] not in STEADYDANCER_PARTS}
    assert len(wan) == 1303
    with pytest.raises(BadCheckpoint, match="plain Wan image-to-video") as error:
        check_complete(wan, STEADYDANCER_14B)
    for part in STEADYDANCER_PARTS:
        assert part in error.value.message
    assert (error.value.value, error.value.limit) == (1303, 1345)
    check_complete(expected, STEADYDANCER_14B)


def test_a_missing_tensor_is_named() -> None:
    shapes = expected_shapes(TINY)
    del shapes["blocks.0.norm3.bias"]
    with pytest.raises(BadCheckpoint, match=r"lacks 1 of .* blocks\.0\.norm3\.bias"):
        check_complete(shapes, TINY)
    shapes = expected_shapes(TINY)
    del shapes["condition_embedding_align.proj_p.bias"]
    with pytest.raises(BadCheckpoint, match=r"incomplete.*condition_embedding_align .*1 tensors") as error:
        check_complete(shapes, TINY)
    assert "plain Wan" not in error.value.message


def test_unexpected_tensors_are_listed() -> None:
    more = {f"blocks.1.extra{n}": (2,) for n in range(5)}
    with pytest.raises(BadCheckpoint, match=r"5 tensors unknown.*blocks\.1\.extra0.* and 2 more"):
        check_complete(expected_shapes(TINY) | more, TINY)


def test_a_wrong_shape_is_named() -> None:
    shapes = expected_shapes(TINY) | {"blocks.0.ffn.0.weight": (64, 24)}
    with pytest.raises(BadCheckpoint, match=r"ffn\.0\.weight: \(64, 24\) instead of \(32, 24\)") as error:
        check_complete(shapes, TINY)
    assert (error.value.value, error.value.limit) == ((64, 24), (32, 24))


def test_a_file_cut_off_anywhere_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for size in (0, 5, 9, 200, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(BadCheckpoint) as error:
            open_checkpoint(file)
        assert str(file) in error.value.message
        assert error.value.action
    file.write_bytes(whole[:-1])
    with pytest.raises(BadCheckpoint, match=f"cut off: it has {len(whole) - 1} of {len(whole)} bytes"):
        load_transformer(file, TINY)


def test_damaged_files_are_refused(file: Path) -> None:
    whole = file.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    damaged = {
        "not a safetensors file": b"PK\x03\x04" + whole[4:8] + b"\x80" + whole[9:],
        "follow its tensors": whole + b"more",
        "header claims": (1 << 40).to_bytes(8, "little") + whole[8:],
        "header cannot be read": whole[:8] + b"{" + b"?" * (length - 1) + whole[8 + length :],
        "does not fit its shape": whole.replace(b"[48,24]", b"[49,24]").replace(b"[24,24]", b"[24,25]"),
        "dtype F99": whole.replace(b'"F32"', b'"F99"', 1),
    }
    for words, content in damaged.items():
        file.write_bytes(content)
        with pytest.raises(BadCheckpoint, match=words):
            open_checkpoint(file)


def test_missing_files_and_crowded_folders_are_refused(state: State, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="No such file"):
        open_checkpoint(tmp_path / "nothing.safetensors")
    for name in ("first", "second"):
        save_file(state, str(tmp_path / f"{name}.safetensors"))
    with pytest.raises(BadCheckpoint, match="no single"):
        open_checkpoint(tmp_path)
    index = tmp_path / "x.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    with pytest.raises(BadCheckpoint, match="outside"):
        open_checkpoint(index)


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.safetensors"
    save_file({"a": torch.ones(1), "net.a": torch.ones(1)}, str(path))
    with pytest.raises(BadCheckpoint, match="a twice"):
        open_checkpoint(path)


def test_int8_rows_err_by_at_most_half_a_step() -> None:
    weight = torch.randn(6, 3, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    weight[2] *= 1000
    weight[4] = 0
    values, scale = quantise_rows(weight)
    assert (values.dtype, values.shape, scale.dtype, scale.shape) == (
        torch.int8,
        weight.shape,
        torch.float32,
        (6,),
    )
    assert values.flatten(1).abs().amax(1).tolist() == [127, 127, 127, 127, 0, 127]
    error = (dequantise_rows(values, scale) - weight).abs().flatten(1).amax(1)
    assert bool((error <= scale * 0.5001).all())
    assert float(error[4]) == 0


def test_int8_file_keeps_small_tensors_exactly(tmp_path: Path) -> None:
    state = {
        "big.weight": torch.randn(64, 96),
        "kept.weight": torch.randn(64, 96),
        "huge.weight": torch.full((64, 96), 1e6),
        "norm.weight": torch.randn(96),
        "modulation": torch.randn(1, 6, 1024),
        "steps": torch.arange(3),
    }
    path = tmp_path / "mini.safetensors"
    save_int8_rows(state, path, {"format": "test"}, keep=lambda name: name[:4] in ("kept", "huge"))
    stored = load_file(str(path))
    assert stored["big.weight"].dtype == torch.int8
    assert stored["big.weight_scale"].shape == (64,)
    assert stored["kept.weight"].dtype == torch.float16
    assert stored["huge.weight"].dtype == torch.float32
    loaded = load_state(path)
    assert set(loaded) == set(state)
    for name in ("norm.weight", "modulation", "steps", "huge.weight"):
        assert torch.equal(loaded[name], state[name])
    assert loaded["big.weight"].dtype == torch.float32
    torch.testing.assert_close(loaded["big.weight"], state["big.weight"], atol=0.02, rtol=0)
    assert open_checkpoint(path).metadata == {"format": "test"}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_int8_file_loads_as_a_transformer(state: State, tmp_path: Path) -> None:
    state["blocks.0.ffn.0.weight"].mul_(2)
    path = tmp_path / "int8.safetensors"
    save_int8_rows(state, path)
    assert any(name.endswith("weight_scale") for name in load_file(str(path)))
    assert_holds(load_transformer(path, TINY, keep_quantised=False), load_state(path))


def test_int8_scales_of_the_wrong_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({"a.weight": torch.ones(4, 2, dtype=torch.int8), "a.weight_scale": torch.ones(3)}, str(path))
    with pytest.raises(BadCheckpoint, match=r"a\.weight has 4 rows"):
        load_state(path)


def test_saving_leaves_nothing_behind_when_it_fails(state: State, tmp_path: Path) -> None:
    taken = tmp_path / "folder.safetensors"
    taken.mkdir()
    (taken / "file").touch()
    for path in (taken, taken / "file" / "x.safetensors"):
        with pytest.raises(DiskError):
            save_int8_rows(state, path)
    assert [p.name for p in tmp_path.iterdir()] == [taken.name]
    with pytest.raises(BadCheckpoint, match="not finite"):
        save_int8_rows({"a.weight": torch.tensor([float("nan")])}, tmp_path / "nan.safetensors")
