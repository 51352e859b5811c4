"""Linear layers of the blocks made 8-bit ones while a file is read, with LoRAs merged before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.engine.linear import narrowing
from core.engine.linear.lora import LoraSet
from core.engine.linear.lora_adapter import adapter_of
from core.engine.linear.narrowing import NARROW_KINDS, NarrowKind, narrow_module, narrow_rows
from core.engine.linear.quantised import QuantisedLinear, ScaledFp8Linear
from core.engine.loading.checkpoint import TransformerFile, expected_shapes, load_transformer
from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.ops.rows import plain_rows
from core.errors import BadSetting
from core.types import Lora
from tests.core.engine.linear.test_lora import velocity
from tests.fakes.tiny_loras import random_lora, with_differences, write_lora

SMALL = TransformerConfig(dim=32, num_heads=2, num_layers=2, ffn_dim=48, text_len=4, text_dim=8, clip_dim=12)
CPU = torch.device("cpu")
LAYERS_OF_A_BLOCK = 12
BOUND = {"fp8": 0.1, "int8": 0.03}
# The same weights elsewhere in memory: processors differ in whether products are the same to the last bit.
ROUNDING = 1e-5
kinds = pytest.mark.parametrize("kind", NARROW_KINDS)


@pytest.fixture
def model() -> SteadyDancerTransformer:
    torch.manual_seed(0)
    return SteadyDancerTransformer(SMALL).eval().requires_grad_(False)


@pytest.fixture
def path(model: SteadyDancerTransformer, tmp_path: Path) -> Path:
    save_file(model.state_dict(), str(tmp_path / "model.safetensors"))
    return tmp_path / "model.safetensors"


@pytest.fixture
def loras(tmp_path: Path) -> list[Lora]:
    lora = with_differences(random_lora(SMALL), ["blocks.0.ffn.2.bias", "blocks.1.norm3.weight"], SMALL)
    return [Lora(str(write_lora(lora, tmp_path / "lora.safetensors")), 0.7)]


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def narrow_names(module: nn.Module) -> list[str]:
    return [name for name, layer in module.named_modules() if isinstance(layer, QuantisedLinear)]


@kinds
def test_the_blocks_layers_become_narrow_and_answer_nearly_alike(
    kind: NarrowKind, model: SteadyDancerTransformer, path: Path
) -> None:
    narrow = load_transformer(path, SMALL, quantise=kind)
    names = narrow_names(narrow)
    assert len(names) == SMALL.num_layers * LAYERS_OF_A_BLOCK
    assert all(name.startswith("blocks.") for name in names)
    assert {narrow.get_submodule(name).rows_kind for name in names} == {kind}
    error = relative(velocity(narrow), velocity(model))
    assert 1e-4 < error < BOUND[kind]


@kinds
def test_a_filled_model_becomes_the_same(
    kind: NarrowKind, model: SteadyDancerTransformer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_transformer(path, SMALL, quantise=kind)
    model.blocks[0].self_attn.proj_l = nn.Linear(16, 16)  # type: ignore[union-attr]
    model.blocks[0].self_attn.odd = nn.Linear(24, 24)  # type: ignore[union-attr]
    monkeypatch.setattr(narrowing, "CHUNK_VALUES", 100)
    assert narrow_module(model, kind) == SMALL.num_layers * LAYERS_OF_A_BLOCK
    assert narrow_names(model) == narrow_names(loaded)
    for name in narrow_names(loaded):
        ours, theirs = model.get_submodule(name), loaded.get_submodule(name)
        assert torch.equal(ours.data.view(torch.uint8), theirs.data.view(torch.uint8))
        assert torch.equal(ours.scale, theirs.scale)
    assert relative(velocity(model), velocity(loaded)) < ROUNDING


@kinds
def test_rows_are_quantised_as_activations_are(kind: NarrowKind, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(7, 48)
    weight[3] = 0
    whole = plain_rows(weight, kind, torch.float32)
    for chunk in (1 << 24, 100):
        monkeypatch.setattr(narrowing, "CHUNK_VALUES", chunk)
        values, scale = narrow_rows(weight.bfloat16().float(), kind)
        half_values, half_scale = narrow_rows(weight.bfloat16(), kind)
        assert torch.equal(values.view(torch.uint8), half_values.view(torch.uint8))
        assert torch.equal(scale, half_scale)
        assert torch.equal(narrow_rows(weight, kind)[0].view(torch.uint8), whole.values.view(torch.uint8))


def test_an_unknown_kind_is_refused(path: Path) -> None:
    kind: Any = "int4"
    with pytest.raises(BadSetting, match="int4"):
        TransformerFile(path, SMALL, quantise=kind)


@kinds
def test_sizes_are_known_and_nothing_else_is_read(kind: NarrowKind, path: Path) -> None:
    file = TransformerFile(path, SMALL, quantise=kind)
    model = file.build()
    file.fill(model, CPU, "blocks.1.")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        assert tensor.is_meta != name.startswith("blocks.1.")
    tensors = (*model.blocks[1].parameters(), *model.blocks[1].buffers())
    assert file.size_bytes("blocks.1.") == sum(tensor.nbytes for tensor in tensors)
    assert len(file.quantised) == SMALL.num_layers * LAYERS_OF_A_BLOCK


@kinds
@pytest.mark.parametrize("resident", [None, 0])
def test_loras_are_merged_before_and_streamed_blocks_answer_alike(
    kind: NarrowKind, resident: int | None, path: Path, model: SteadyDancerTransformer, loras: list[Lora]
) -> None:
    def opened() -> LoraSet:
        return LoraSet.open(loras, expected_shapes(SMALL))

    opened().patch(model)
    exact = velocity(model)
    narrow_module(model, kind)
    file, lora_set = TransformerFile(path, SMALL, quantise=kind), opened()
    file.merge(lora_set)
    part = TransformerPart(file, CPU, lora_set.patch, blocks_resident=resident)
    for _ in range(2):  # the second time all is read and patched again
        part.bring()
        found = velocity(part.module)
        assert relative(found, velocity(model)) < ROUNDING
        assert relative(found, exact) < BOUND[kind]
        assert not any(adapter_of(layer) for layer in part.module.modules())
        part.release()


@kinds
def test_loras_that_were_not_merged_stay_beside(
    kind: NarrowKind, path: Path, model: SteadyDancerTransformer, loras: list[Lora]
) -> None:
    lora_set = LoraSet.open(loras, expected_shapes(SMALL))
    plain = load_transformer(path, SMALL, quantise=kind)
    before = velocity(plain)
    report = lora_set.patch(plain)
    assert report.live == SMALL.num_layers * LAYERS_OF_A_BLOCK
    LoraSet.open(loras, expected_shapes(SMALL)).patch(model)
    exact = velocity(model)
    assert relative(velocity(plain), exact) < BOUND[kind] < relative(before, exact)
    lora_set.remove(plain)
    assert relative(velocity(plain), before) < 1e-5


def test_a_layer_that_took_the_loras_keeps_them_when_they_are_removed(path: Path, loras: list[Lora]) -> None:
    lora_set = LoraSet.open(loras, expected_shapes(SMALL))
    file = TransformerFile(path, SMALL, quantise="fp8")
    file.merge(lora_set)
    model = file.build()
    file.fill(model, CPU)
    report = lora_set.patch(model)
    assert (report.live, report.merged) == (0, sum(len(f.deltas) for f, _ in lora_set.files))
    layer = model.get_submodule("blocks.0.ffn.2")
    assert isinstance(layer, QuantisedLinear)
    changed, weight = layer.bias.clone(), layer.data.clone()  # type: ignore[union-attr]
    lora_set.remove(model)
    assert not torch.equal(layer.bias, changed)  # type: ignore[arg-type]
    assert torch.equal(layer.data.view(torch.uint8), weight.view(torch.uint8))


def stored_fp8(model: nn.Module, path: Path) -> Path:
    """The blocks' matrices and one outside of them as float8 with one scale each."""
    state = dict(model.state_dict())
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 2 and name.startswith(("blocks.", "time_embedding.2")):
            state[name] = (tensor * 100).to(torch.float8_e4m3fn)
            state[f"{name.removesuffix('weight')}scale_weight"] = torch.tensor(0.01)
    save_file(state, str(path))
    return path


def test_a_float8_file_is_multiplied_as_it_is_or_made_over(
    model: SteadyDancerTransformer, tmp_path: Path
) -> None:
    path, exact = stored_fp8(model, tmp_path / "fp8.safetensors"), velocity(model)
    as_stored = load_transformer(path, SMALL, matmul="fp8", quantise="fp8")
    layer = as_stored.get_submodule("blocks.0.ffn.0")
    assert isinstance(layer, ScaledFp8Linear)
    assert (layer.rows_kind, layer.scale.tolist()) == ("fp8", [torch.tensor(0.01).item()] * 48)  # type: ignore[union-attr]
    outside = as_stored.time_embedding[2]
    assert isinstance(outside, ScaledFp8Linear)
    assert outside.rows_kind == "float"  # it computes in the weights' dtype, not autocast's
    file = TransformerFile(path, SMALL, matmul="fp8")
    tensors = (*as_stored.blocks[1].parameters(), *as_stored.blocks[1].buffers())
    assert file.size_bytes("blocks.1.") == sum(tensor.nbytes for tensor in tensors)
    made_over = load_transformer(path, SMALL, keep_quantised=False, quantise="int8")
    assert relative(velocity(as_stored), exact) < BOUND["fp8"]
    assert relative(velocity(made_over), exact) < BOUND["fp8"]
