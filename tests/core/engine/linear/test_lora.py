"""LoRAs in a tiny transformer: merged and live, several, block by block, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.engine.convert.convert import convert
from core.engine.convert.layouts import Target
from core.engine.linear import lora as lora_module
from core.engine.linear.lora import LoraSet, Mode, apply_loras
from core.engine.linear.quantised import QuantisedLinear
from core.engine.loading.checkpoint import TransformerFile, expected_shapes, load_transformer
from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadCheckpoint, BadSetting
from core.types import Lora
from tests.fakes.tiny_loras import TINY, TinyLora, random_lora, with_differences, write_lora

SMALL_PARTS = ["blocks.1.norm3.weight", "blocks.0.ffn.2.bias", "blocks.0.modulation", "head.modulation"]
CPU = torch.device("cpu")
SHAPES = expected_shapes(TINY)


class Frozen(QuantisedLinear):
    """A layer that is handled as a quantised one but keeps its weight exactly."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, True, torch.float32)
        self.register_buffer("data", layer.weight.detach().clone())
        self.bias = layer.bias

    def dequantise(self, dtype: torch.dtype) -> Tensor:
        return self.data.to(dtype)


@pytest.fixture
def model() -> SteadyDancerTransformer:
    torch.manual_seed(0)
    return SteadyDancerTransformer(TINY).eval().requires_grad_(False)


@pytest.fixture
def full_lora() -> TinyLora:
    return with_differences(random_lora(alpha=2.0), SMALL_PARTS)


def saved(lora: TinyLora, folder: Path, name: str = "lora") -> str:
    return str(write_lora(lora, folder / f"{name}.safetensors"))


def freeze_blocks(model: SteadyDancerTransformer) -> SteadyDancerTransformer:
    """All linear layers of the blocks as frozen ones."""
    for path, layer in list(model.blocks.named_modules()):
        if isinstance(layer, nn.Linear):
            owner, _, attribute = path.rpartition(".")
            setattr(model.blocks.get_submodule(owner), attribute, Frozen(layer))
    return model


@torch.no_grad()
def velocity(model: nn.Module, dtype: torch.dtype | None = None) -> Tensor:
    """The model's answer to fixed random inputs, under autocast to ``dtype`` when given."""
    random = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        out: Tensor = model(
            normal(1, 16, 2, 4, 4),
            torch.tensor([500.0]),
            normal(1, 3, 8),
            normal(1, 16, 2, 4, 4),
            normal(1, 20, 2, 4, 4),
            normal(1, 36, 1, 4, 4),
            normal(1, 16, 1, 4, 4),
            normal(1, 257, 12),
            normal(1, 257, 12),
        )
    return out


def test_merging_adds_the_deltas_to_the_weights(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = apply_loras(model, [Lora(saved(full_lora, tmp_path), 0.7)])
    deltas = full_lora.deltas()
    for name, tensor in model.state_dict().items():
        expected = before[name] + 0.7 * deltas[name] if name in deltas else before[name]
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-6)
    assert (report.merged, report.live) == (len(deltas), 0)
    assert report.files[0].applied == len(deltas)
    assert report.sentences() == ()


def test_live_equals_merged(model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path) -> None:
    loras = [Lora(saved(full_lora, tmp_path), 0.7), Lora(saved(random_lora(seed=3), tmp_path, "two"), -0.4)]
    plain = velocity(model)
    sets = {mode: LoraSet.open(loras, SHAPES, mode) for mode in ("merge", "live")}
    outputs = {}
    for mode, loras_of_mode in sets.items():
        loras_of_mode.patch(model)
        outputs[mode] = velocity(model)
        loras_of_mode.remove(model)
    torch.testing.assert_close(outputs["live"], outputs["merge"], atol=2e-5, rtol=1e-4)
    assert (outputs["live"] - plain).abs().max() > 0.05


def test_live_beside_frozen_layers_equals_merged_into_float_ones(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path
) -> None:
    loras = [Lora(saved(full_lora, tmp_path))]
    layers = sum(isinstance(layer, nn.Linear) for layer in model.blocks.modules())
    frozen = freeze_blocks(SteadyDancerTransformer(TINY).eval().requires_grad_(False))
    for path, layer in model.blocks.named_modules():
        if isinstance(layer, nn.Linear):
            target = frozen.blocks.get_submodule(path)
            target.get_buffer("data").copy_(layer.weight)
    frozen.load_state_dict(model.state_dict(), strict=False)
    report = apply_loras(frozen, loras)
    apply_loras(model, loras)
    assert report.live == layers
    torch.testing.assert_close(velocity(frozen), velocity(model), atol=2e-5, rtol=1e-4)
    low, exact = velocity(frozen, torch.bfloat16), velocity(model)
    assert (low - exact).norm() / exact.norm() < 0.05


@pytest.mark.parametrize("mode", ["merge", "live"])
def test_strength_zero_changes_no_bit(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path, mode: Mode
) -> None:
    half = model.bfloat16()
    before = {name: tensor.clone() for name, tensor in half.state_dict().items()}
    report = apply_loras(half, [Lora(saved(full_lora, tmp_path), 0.0)], mode)
    assert all(torch.equal(tensor, before[name]) for name, tensor in half.state_dict().items())
    assert (report.merged, report.live, report.files[0].applied) == (0, 0, 0)


@pytest.mark.parametrize("mode", ["merge", "live"])
def test_removing_restores(
    model: SteadyDancerTransformer,
    full_lora: TinyLora,
    tmp_path: Path,
    mode: Mode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lora_module, "KEPT_VALUES", 100)  # the tiny weights count as large ones
    names, before = set(model.state_dict()), velocity(model)
    loras = LoraSet.open([Lora(saved(full_lora, tmp_path))], SHAPES, mode)
    loras.patch(model)
    assert set(model.state_dict()) == names
    assert not torch.equal(velocity(model), before)
    loras.remove(model)
    torch.testing.assert_close(velocity(model), before, atol=1e-5, rtol=1e-5)
    if mode == "live":
        live = [m for m in model.blocks.modules() if isinstance(m, nn.Linear)]
        assert not any(layer._forward_hooks or len(list(layer.children())) for layer in live)


def test_patching_live_layers_again_changes_nothing(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path
) -> None:
    loras = LoraSet.open([Lora(saved(full_lora, tmp_path))], SHAPES)
    frozen = freeze_blocks(model)
    loras.patch(frozen, "blocks.")
    once = velocity(frozen)
    loras.patch(frozen, "blocks.")
    loras.patch(frozen, "blocks.1.")
    assert torch.equal(velocity(frozen), once)


def test_a_new_set_replaces_the_live_one(model: SteadyDancerTransformer, tmp_path: Path) -> None:
    layer = "blocks.0.ffn.0"
    first, second = (Lora(saved(random_lora(modules=[layer], seed=n), tmp_path, str(n))) for n in (1, 2))
    apply_loras(model, [first], "live")
    apply_loras(model, [second], "live")
    both = velocity(model)
    LoraSet.open([second], SHAPES, "live").remove(model)
    apply_loras(model, [second], "live")
    assert torch.equal(velocity(model), both)


@pytest.mark.parametrize("alone", [True, False])
def test_blocks_are_patched_one_by_one(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path, alone: bool
) -> None:
    loras = LoraSet.open([Lora(saved(full_lora, tmp_path))], SHAPES)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if alone:
        loras.patch(model.blocks[1], "blocks.1.")
    else:
        loras.patch(model, "blocks.1.")
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in full_lora.deltas() if name.startswith("blocks.1.")}


def test_weights_that_are_not_filled_yet_wait(full_lora: TinyLora, tmp_path: Path) -> None:
    loras = LoraSet.open([Lora(saved(full_lora, tmp_path))], SHAPES)
    torch.manual_seed(0)
    with torch.device("meta"):
        empty = SteadyDancerTransformer(TINY)
    empty.blocks[0].to_empty(device="cpu")
    report = loras.patch(empty)
    assert report.merged == sum(name.startswith("blocks.0.") for name in full_lora.deltas())


def test_sixteen_bit_weights_are_rounded_once(model: SteadyDancerTransformer, tmp_path: Path) -> None:
    name = "blocks.0.self_attn.q"
    loras = [random_lora(modules=[name], seed=n) for n in range(3)]
    half = model.bfloat16()
    exact = half.get_parameter(f"{name}.weight").float() + sum(
        0.3 * lora.deltas()[f"{name}.weight"] for lora in loras
    )
    apply_loras(half, [Lora(saved(lora, tmp_path, str(n)), 0.3) for n, lora in enumerate(loras)])
    weight = half.get_parameter(f"{name}.weight")
    assert weight.dtype == torch.bfloat16
    assert ((weight - exact).abs() <= exact.abs() * 2**-8 + 1e-7).all()


def test_merging_into_frozen_layers_is_refused(model: SteadyDancerTransformer, tmp_path: Path) -> None:
    path = saved(random_lora(), tmp_path)
    with pytest.raises(BadSetting, match="cannot be merged into the quantised weights of blocks"):
        apply_loras(freeze_blocks(model), [Lora(path)], "merge")


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_a_strength_that_is_no_number_is_refused(
    model: SteadyDancerTransformer, tmp_path: Path, strength: float
) -> None:
    with pytest.raises(BadSetting, match="strength"):
        apply_loras(model, [Lora(str(tmp_path / "never read.safetensors"), strength)])


def test_a_missing_file_is_refused(model: SteadyDancerTransformer, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="nowhere"):
        apply_loras(model, [Lora(str(tmp_path / "nowhere.safetensors"))])


def test_the_report_names_what_was_left_out(model: SteadyDancerTransformer, tmp_path: Path) -> None:
    path = Path(saved(random_lora(modules=["blocks.0.ffn.0"]), tmp_path))
    odd = {"mystery": torch.ones(1), "diffusion_model.patch_embedding.diff": torch.ones(24, 16, 1, 2, 2)}
    save_file(load_file(str(path)) | odd, str(path))
    report = apply_loras(model, [Lora(str(path))])
    sentences = report.sentences()
    assert any("mystery" in sentence for sentence in sentences)
    assert any("(24, 16, 1, 2, 2) instead of (24, 36, 1, 2, 2)" in sentence for sentence in sentences)
    assert all(sentence.startswith("LoRA lora.safetensors: ") for sentence in sentences)


def test_the_file_itself_is_never_written(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), str(path))
    lora = saved(full_lora, tmp_path)
    contents = path.read_bytes(), Path(lora).read_bytes()
    apply_loras(load_transformer(path, TINY), [Lora(lora)])
    assert (path.read_bytes(), Path(lora).read_bytes()) == contents


@pytest.mark.parametrize("to", ["fp8", "bf16"])
def test_streamed_blocks_answer_as_resident_ones(
    model: SteadyDancerTransformer, full_lora: TinyLora, tmp_path: Path, to: Target
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), str(tmp_path / "float.safetensors"))
    convert(tmp_path / "float.safetensors", path, to, TINY)
    loras = [Lora(saved(full_lora, tmp_path), 0.7)]
    resident = load_transformer(path, TINY)
    apply_loras(resident, loras)
    expected = velocity(resident)
    part = TransformerPart(
        TransformerFile(path, TINY), CPU, LoraSet.open(loras, SHAPES).patch, blocks_resident=0
    )
    for _ in range(2):  # the second time all is read and patched again
        part.bring()
        assert torch.equal(velocity(part.module), expected)
        part.release()
