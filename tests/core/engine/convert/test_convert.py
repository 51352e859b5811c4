"""Converting a tiny transformer's file to each layout, from each readable one, and the refusals."""

from __future__ import annotations

import re
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.engine.convert.convert import ConvertProgress, convert
from core.engine.convert.layouts import FP8, TARGETS, Target, quantise_fp8
from core.engine.linear.quantised import Int8BlockLinear, QuantisedLinear, ScaledFp8Linear
from core.engine.loading.checkpoint import STEADYDANCER_PARTS, TransformerFile, load_transformer
from core.engine.loading.header import open_checkpoint
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadCheckpoint, BadSetting, Cancelled, DiskError
from tests.fakes.tiny_formats import fp8_scaled, int8_block, save_shards
from tests.fakes.tiny_gguf import write_gguf

TINY = TransformerConfig(
    dim=128, num_heads=2, num_layers=2, ffn_dim=256, text_len=4, text_dim=8, clip_dim=12, freq_dim=16
)
LINEAR = re.compile(r"blocks\.\d\.((self|cross)_attn\.(q|k|v|o|k_img|v_img)|ffn\.[02])\.weight")
# Of all block weights together: a float8 has 4 significant bits, an int8 step is 1/128 of the largest weight.
LARGEST_ERROR: dict[Target, float] = {"fp8": 0.03, "int8": 0.02, "bf16": 0.003}
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return SteadyDancerTransformer(TINY).state_dict()


@pytest.fixture
def source(state: State, tmp_path: Path) -> Path:
    path = tmp_path / "in.safetensors"
    save_file(state, str(path))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.safetensors"


@pytest.mark.parametrize("to", TARGETS)
def test_a_converted_file_loads_as_nearly_the_same_model(
    source: Path, target: Path, state: State, to: Target
) -> None:
    result = convert(source, target, to, TINY)
    loaded = load_transformer(target, TINY, keep_quantised=False).state_dict()
    error = total = 0.0
    for name, tensor in state.items():
        if LINEAR.fullmatch(name):
            error += float((loaded[name] - tensor).square().sum())
            total += float(tensor.square().sum())
        else:
            assert torch.equal(loaded[name], tensor.bfloat16().float()), name
    relative = (error / total) ** 0.5
    assert 0 < relative < LARGEST_ERROR[to]
    if to != "bf16":
        assert result.errors[to] == pytest.approx(relative, rel=1e-3)
        assert result.tensors == {to: 24, "bfloat16": len(state) - 24}
    assert result.errors["bfloat16"] < 0.003
    assert result.size_bytes == target.stat().st_size


@pytest.mark.parametrize(("to", "kind"), [("fp8", ScaledFp8Linear), ("int8", Int8BlockLinear)])
def test_only_the_linear_layers_of_blocks_are_quantised(
    source: Path, target: Path, to: Target, kind: type[QuantisedLinear]
) -> None:
    convert(source, target, to, TINY)
    file = TransformerFile(target, TINY)
    assert set(file.quantised) == {name for name in load_file(str(source)) if LINEAR.fullmatch(name)}
    layers = [m for m in file.build().modules() if isinstance(m, QuantisedLinear)]
    assert {type(layer) for layer in layers} == {kind}
    stored = load_file(str(target))
    assert not any(stored[name].dtype.itemsize == 1 for name in stored if name.startswith(STEADYDANCER_PARTS))
    if to == "fp8":
        assert stored["scaled_fp8"].dtype == FP8
        assert stored["blocks.0.ffn.0.scale_weight"].shape == ()
        assert sum(name.endswith(".scale_weight") for name in stored) == 24
    else:
        assert stored["blocks.0.ffn.0.int8_weight"].dtype == torch.int8
        assert stored["blocks.0.ffn.0.scale"].shape == (2, 1)


def test_every_tensor_is_aligned_to_its_type(source: Path, target: Path) -> None:
    convert(source, target, "fp8", TINY)
    entries = open_checkpoint(target).entries.values()
    assert [entry.key for entry in entries if entry.start % entry.torch_dtype.itemsize] == []
    with safe_open(str(target), "pt") as other_reader:
        assert set(other_reader.keys()) == {entry.key for entry in entries}
        assert other_reader.metadata() == {"format": "pt", "converted_to": "fp8"}


def test_layers_whose_width_does_not_fit_blocks_stay_in_16_bits(target: Path, tmp_path: Path) -> None:
    narrow = {"blocks.0.ffn.0.weight": torch.randn(128, 96), "blocks.0.ffn.2.weight": torch.randn(96, 128)}
    save_file(narrow, str(tmp_path / "narrow.safetensors"))
    result = convert(tmp_path / "narrow.safetensors", target, "int8", None)
    assert result.tensors == {"bfloat16": 1, "int8": 1}
    assert load_file(str(target))["blocks.0.ffn.0.weight"].dtype == torch.bfloat16


def as_shards(state: State, folder: Path) -> Path:
    save_shards(folder, "model", state, 3)
    return folder


def as_half(state: State, folder: Path) -> Path:
    save_file(
        {f"model.diffusion_model.{n}": t.half() for n, t in state.items()}, str(folder / "h.safetensors")
    )
    return folder / "h.safetensors"


def as_pickle(state: State, folder: Path) -> Path:
    torch.save({"iteration": 7, "model": {f"net.{name}": t for name, t in state.items()}}, folder / "m.pth")
    return folder / "m.pth"


def as_gguf(state: State, folder: Path) -> Path:
    write_gguf(folder / "m.gguf", state, "q8_0", "wan")
    return folder / "m.gguf"


def as_fp8(state: State, folder: Path) -> Path:
    save_file(fp8_scaled(state), str(folder / "f.safetensors"))
    return folder / "f.safetensors"


def as_turbo_pickle(state: State, folder: Path) -> Path:
    torch.save(int8_block(state), folder / "turbo.pth")
    return folder / "turbo.pth"


@pytest.mark.parametrize("write", [as_shards, as_half, as_pickle, as_gguf, as_fp8, as_turbo_pickle])
def test_every_readable_file_becomes_bfloat16(
    state: State, tmp_path: Path, target: Path, write: Callable[[State, Path], Path]
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    convert(write(state, folder), target, "bf16", TINY)
    stored = load_file(str(target))
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert {name: tensor.shape for name, tensor in stored.items()} == {n: t.shape for n, t in state.items()}
    for name, tensor in state.items():
        error = (stored[name].float() - tensor).norm() / tensor.norm().clamp_min(1e-6)
        assert error < 0.04, name


def test_float16_weights_that_stay_float_stay_exact(state: State, tmp_path: Path, target: Path) -> None:
    convert(as_half(state, tmp_path), target, "fp8", TINY)
    stored = load_file(str(target))
    assert torch.equal(stored["blocks.0.modulation"], state["blocks.0.modulation"].half())


def test_progress_ends_at_all_bytes(source: Path, target: Path) -> None:
    seen: list[ConvertProgress] = []
    convert(source, target, "bf16", TINY, on_progress=seen.append)
    done = [progress.bytes_done for progress in seen]
    assert done == sorted(done)
    assert (
        done[-1]
        == seen[-1].bytes_total
        == sum(e.size_bytes for e in open_checkpoint(source).entries.values())
    )


def test_a_cancelled_conversion_leaves_nothing(source: Path, target: Path) -> None:
    left = 20

    def check() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Cancelled

    with pytest.raises(Cancelled):
        convert(source, target, "fp8", TINY, check=check)
    assert list(target.parent.iterdir()) == [source]


def test_a_full_drive_is_seen_before_the_first_byte(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(DiskError, match="full") as error:
        convert(source, target, "fp8", TINY)
    assert "bytes" in str(error.value.limit)
    assert not target.exists()


@pytest.mark.parametrize("to", ["fp8", "int8"])
@pytest.mark.parametrize("write", [as_fp8, as_gguf, as_turbo_pickle])
def test_quantised_weights_are_not_quantised_again(
    state: State, tmp_path: Path, target: Path, write: Callable[[State, Path], Path], to: Target
) -> None:
    with pytest.raises(BadCheckpoint, match="quantised already") as error:
        convert(write(state, tmp_path), target, to, TINY)
    assert "16-bit" in error.value.action
    assert not target.exists()


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
@pytest.mark.parametrize("name", ["blocks.1.ffn.2.weight", "head.modulation"])
def test_values_that_are_not_finite_are_refused(
    state: State, tmp_path: Path, target: Path, name: str, value: float
) -> None:
    spoilt = {key: tensor.clone() for key, tensor in state.items()}
    spoilt[name].view(-1)[3] = value
    save_file(spoilt, str(tmp_path / "spoilt.safetensors"))
    with pytest.raises(BadCheckpoint, match=f"{name} holds values that are not finite"):
        convert(tmp_path / "spoilt.safetensors", target, "fp8", TINY)
    assert not target.exists()


def test_a_plain_wan_file_is_refused_unless_any_model_will_do(
    state: State, tmp_path: Path, target: Path
) -> None:
    wan = {name: tensor for name, tensor in state.items() if not name.startswith(STEADYDANCER_PARTS)}
    path = tmp_path / "wan.safetensors"
    save_file(wan, str(path))
    with pytest.raises(BadCheckpoint, match="plain Wan image-to-video"):
        convert(path, target, "fp8", TINY)
    assert convert(path, target, "fp8", None).tensors["fp8"] == 24


def test_the_target_must_be_another_safetensors_file(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(BadSetting, match="is the file to convert"):
        convert(source, source, "bf16", TINY)
    with pytest.raises(BadSetting, match=r"does not end in \.safetensors"):
        convert(source, tmp_path / "out.gguf", "bf16", TINY)
    assert source.read_bytes() == before


def test_no_file_that_is_read_is_overwritten(state: State, tmp_path: Path) -> None:
    save_shards(tmp_path, "dancer", state, 2)
    index = tmp_path / "dancer.safetensors.index.json"
    shard = tmp_path / "dancer-00001-of-00002.safetensors"
    before = shard.read_bytes()
    for source in (index, tmp_path):
        with pytest.raises(BadSetting, match="is the file to convert"):
            convert(source, shard, "bf16", TINY)
    assert shard.read_bytes() == before


class Malicious:
    """Would run code when unpickled without restriction."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (str(self.path),)


def test_a_pickle_runs_no_code(tmp_path: Path, target: Path) -> None:
    torch.save({"weight": torch.ones(2), "more": Malicious(tmp_path / "ran")}, tmp_path / "bad.pth")
    with pytest.raises(BadCheckpoint, match="read safely"):
        convert(tmp_path / "bad.pth", target, "bf16", None)
    assert not (tmp_path / "ran").exists()


def test_pickles_that_hold_no_weights_are_refused(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "bad.pth"
    contents: list[object] = [[torch.ones(2)], {"a": 1}, torch.ones(2)]
    for content in contents:
        torch.save(content, path)
        with pytest.raises(BadCheckpoint, match="no tensors by name"):
            convert(path, target, "bf16", None)
    torch.save({"a": torch.ones(1).expand(10**6, 10**6)}, path)
    with pytest.raises(BadCheckpoint, match="cannot be read: a"):
        convert(path, target, "bf16", None)
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(BadCheckpoint, match="read safely"):
        convert(path, target, "bf16", None)
    path.write_bytes(b"")
    with pytest.raises(BadCheckpoint, match="read safely"):
        convert(path, target, "bf16", None)
    with pytest.raises(BadCheckpoint, match="nowhere"):
        convert(tmp_path / "nowhere.pth", target, "bf16", None)


def test_fp8_of_zeros_and_of_the_largest_value() -> None:
    values, scale = quantise_fp8(torch.zeros(3, 4))
    assert not values.float().any()
    assert float(scale) == 1.0
    weight = torch.tensor([[3e38, -3e38, 1.0]])
    values, scale = quantise_fp8(weight)
    assert values.float()[0, :2].tolist() == [448.0, -448.0]
    assert float(scale) == pytest.approx(3e38 / 448)


def test_damaged_pickles_are_refused_or_read_but_never_crash(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({f"blocks.{n}.ffn.0.weight": torch.ones(16, 16) for n in range(3)}, path)
    whole = path.read_bytes()
    random = Random(6)
    told = []
    for number in range(500):
        changed = bytearray(whole)
        for _ in range(random.choice((1, 3, 20))):
            changed[random.randrange(len(changed))] = random.randrange(256)
        path.write_bytes(changed[: random.randrange(len(changed))] if number % 5 == 0 else changed)
        try:
            convert(path, target, "bf16", None)
        except BadCheckpoint as error:
            told.append(error.sentence())
    assert 100 < len(told) < 500
    assert [sentence for sentence in told if "\n" in sentence or len(sentence) >= 1000] == []
