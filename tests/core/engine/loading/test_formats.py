"""Every published layout of the transformer loads, and computes as the float model does."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.linear.quantised import Int8BlockLinear, QuantisedLinear
from core.engine.loading.checkpoint import TransformerFile, load_transformer
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadCheckpoint
from tests.fakes import tiny_formats as formats
from tests.fakes.tiny_gguf import write_gguf
from tests.fakes.tiny_weights import wide_toy

CPU = torch.device("cpu")
State = dict[str, Tensor]


def safetensors(make: Callable[[State], State], prefix: str = "") -> Callable[[Path, State], Path]:
    def write(folder: Path, state: State) -> Path:
        path = folder / "dancer.safetensors"
        formats.save(path, {prefix + name: tensor for name, tensor in make(state).items()})
        return path

    return write


def shards(folder: Path, state: State) -> Path:
    formats.save_shards(folder, "dancer", state, 3)
    return folder / "dancer.safetensors.index.json"


def gguf_file(mixture: str) -> Callable[[Path, State], Path]:
    def write(folder: Path, state: State) -> Path:
        path = folder / "dancer.gguf"
        write_gguf(path, state, mixture, "wan")
        return path

    return write


# Layout -> writer, whether layers stay quantised, largest relative error of the velocity (2-norm). Floats are
# mapped at other addresses than tensors of our own, which changes the order of sums in a product.
LAYOUTS: dict[str, tuple[Callable[[Path, State], Path], bool, float]] = {
    "float32": (safetensors(dict), False, 1e-6),
    "float32 shards": (shards, False, 1e-6),
    "float16": (
        safetensors(lambda state: formats.cast(state, torch.float16), "model.diffusion_model."),
        False,
        8e-4,
    ),
    "bfloat16": (safetensors(lambda state: formats.cast(state, torch.bfloat16)), False, 6e-3),
    "fp8 scaled": (safetensors(formats.fp8_scaled), True, 0.04),
    "fp8 scaled, newer names": (safetensors(lambda state: formats.fp8_scaled(state, True)), True, 0.04),
    "int8 quanto": (safetensors(lambda state: formats.int8_quanto(state)[0]), True, 0.011),
    "int8 blocks": (safetensors(formats.int8_block), True, 0.0125),
    "q8_0": (gguf_file("q8_0"), True, 0.007),
    "q6_k": (gguf_file("q6_k"), True, 0.024),
    "q5_k_m": (gguf_file("q5_k_m"), True, 0.055),
    "q4_k_m": (gguf_file("q4_k_m"), True, 0.105),
}


def config() -> TransformerConfig:
    return TransformerConfig.from_dict(wide_toy().transformer_sizes)


def velocity(model: torch.nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    sizes = config()
    with torch.no_grad():
        result: Tensor = model(
            noise(1, 16, 2, 4, 4),
            torch.tensor([700.0]),
            noise(1, 5, sizes.text_dim),
            noise(1, 16, 2, 4, 4),
            noise(1, 20, 2, 4, 4),
            noise(1, 36, 1, 4, 4),
            noise(1, 36, 1, 4, 4),
            noise(1, 257, sizes.clip_dim),
        )
    return result


@pytest.fixture(scope="module")
def expected() -> Tensor:
    model = SteadyDancerTransformer(config())
    model.load_state_dict(wide_toy().transformer)
    return velocity(model.eval())


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_computes_as_the_float_model_does(layout: str, tmp_path: Path, expected: Tensor) -> None:
    write, quantised, tolerance = LAYOUTS[layout]
    path = write(tmp_path, wide_toy().transformer)
    file = TransformerFile(path, config())
    model = file.build()
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    file.fill(model, CPU)
    error = relative(velocity(model), expected)
    print(f"{layout}: relative error {error:.4f}")
    assert error <= tolerance
    assert bool(file.quantised) == quantised
    tensors = [*model.parameters(), *model.buffers()]
    assert file.size_bytes() == sum(tensor.nbytes for tensor in tensors)
    assert not any(tensor.is_meta or tensor.requires_grad for tensor in tensors)


@pytest.mark.parametrize("layout", [name for name, (_, quantised, _) in LAYOUTS.items() if quantised])
def test_kept_and_dequantised_layers_compute_the_same(layout: str, tmp_path: Path) -> None:
    path = LAYOUTS[layout][0](tmp_path, wide_toy().transformer)
    kept, plain = load_transformer(path, config()), load_transformer(path, config(), keep_quantised=False)
    layers = [module for module in kept.modules() if isinstance(module, QuantisedLinear)]
    assert len(layers) >= 24
    assert not any(isinstance(module, QuantisedLinear) for module in plain.modules())
    assert torch.equal(velocity(kept), velocity(plain))
    assert (
        sum(layer.data.nbytes for layer in layers)
        < sum(4 * math.prod((layer.in_features, layer.out_features)) for layer in layers) / 3
    )


def test_16_bit_products_under_autocast(tmp_path: Path, expected: Tensor) -> None:
    path = LAYOUTS["q8_0"][0](tmp_path, wide_toy().transformer)
    model = load_transformer(path, config(), dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative(velocity(model), expected) < 0.03


def test_products_in_8_bits(tmp_path: Path, expected: Tensor) -> None:
    path = LAYOUTS["int8 blocks"][0](tmp_path, wide_toy().transformer)
    model = load_transformer(path, config(), dtype=torch.bfloat16, matmul="int8")
    layers = [module for module in model.modules() if isinstance(module, Int8BlockLinear)]
    assert {layer.matmul for layer in layers} == {"int8"}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative(velocity(model), expected) < 0.06


@pytest.mark.parametrize("layout", ["float16", "fp8 scaled", "q4_k_m"])
def test_blocks_are_filled_and_measured_one_by_one(layout: str, tmp_path: Path) -> None:
    file = TransformerFile(LAYOUTS[layout][0](tmp_path, wide_toy().transformer), config())
    model = file.build()
    file.fill(model, CPU, "blocks.1.")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        assert tensor.is_meta != name.startswith("blocks.1.")
    block = [tensor.nbytes for tensor in (*model.blocks[1].parameters(), *model.blocks[1].buffers())]
    assert file.size_bytes("blocks.1.") == sum(block)
    prefixes = [f"{name}." for name, _ in model.named_children()]
    assert sum(file.size_bytes(prefix) for prefix in prefixes) == file.size_bytes()
    before = model.blocks[1].ffn[0]
    model.to("meta")
    file.fill(model, CPU, "blocks.1.")  # again, after they had been dropped
    assert model.blocks[1].ffn[0] is before
    assert not any(tensor.is_meta for tensor in (*before.parameters(), *before.buffers()))


def test_scales_are_found_by_key_wherever_they_are(tmp_path: Path) -> None:
    state = wide_toy().transformer
    stored = formats.cast(state, torch.float16)
    for name in (
        "condition_embedding_align.cross_attn.in_proj_weight",
        "condition_embedding_spatial.conv.weight",
    ):
        stored[name] = (state[name] * 4).to(torch.float8_e4m3fn)
        stored[f"{name.removesuffix('weight')}scale_weight"] = torch.tensor(0.25)
    stored["blocks.0.ffn.0.weight"] = state["blocks.0.ffn.0.weight"].half() / 2
    stored["blocks.0.ffn.0.weight_scale"] = torch.tensor([2.0])
    stored["blocks.0.ffn.0.scale_input"] = torch.tensor(3.0)
    stored["blocks.0.ffn.0.comfy_quant"] = torch.zeros(5, dtype=torch.uint8)
    formats.save(tmp_path / "dancer.safetensors", stored)
    model = load_transformer(tmp_path / "dancer.safetensors", config())
    found = dict(model.named_parameters())
    for name in (
        "condition_embedding_align.cross_attn.in_proj_weight",
        "condition_embedding_spatial.conv.weight",
    ):
        torch.testing.assert_close(found[name].data, state[name], rtol=0.07, atol=0.002)
    torch.testing.assert_close(
        model.blocks[0].ffn[0].dequantise(torch.float32), state["blocks.0.ffn.0.weight"], rtol=1e-3, atol=1e-4
    )


def without(state: State, *names: str) -> State:
    return {name: tensor for name, tensor in state.items() if name not in names}


Q = "blocks.0.self_attn.q."
DAMAGES: dict[str, tuple[Callable[[State], State], str]] = {
    "scale missing": (lambda s: without(formats.int8_block(s), f"{Q}scale"), "no scales"),
    "fp8 scale missing": (lambda s: without(formats.fp8_scaled(s), f"{Q}scale_weight"), "no scale, as"),
    "newer fp8 scale missing": (
        lambda s: without(formats.fp8_scaled(s, newer=True), f"{Q}weight_scale"),
        "no scale, as",
    ),
    "all fp8 scales missing": (
        lambda s: {n: t for n, t in formats.fp8_scaled(s).items() if not n.endswith("scale_weight")},
        "no scale, as",
    ),
    "scales of another shape": (
        lambda s: formats.int8_block(s) | {f"{Q}scale": torch.ones(1, 1)},
        "scales of shape",
    ),
    "scale without a weight": (lambda s: s | {"blocks.0.foo.scale_weight": torch.ones(())}, "unknown"),
    "quanto scale missing": (lambda s: without(formats.int8_quanto(s)[0], f"{Q}weight._scale"), "no scales"),
    "packed 4 bits": (
        lambda s: formats.int8_quanto(s)[0] | {f"{Q}weight._data": torch.ones(128, 256).byte()},
        "U8",
    ),
    "weight twice": (lambda s: formats.int8_block(s) | {f"{Q}weight": s[f"{Q}weight"]}, "twice"),
    "plain Wan": (
        lambda s: {
            n: t
            for n, t in formats.fp8_scaled(s).items()
            if "fuse" not in n and "ref_c" not in n and "condition" not in n
        },
        "plain Wan",
    ),
    "transposed": (lambda s: s | {"blocks.0.ffn.0.weight": s["blocks.0.ffn.0.weight"].T}, "another shape"),
    "sparse attention in one block": (
        lambda s: s | {"blocks.0.self_attn.attn_op.local_attn.proj_l.weight": torch.ones(128, 128)},
        "lacks 3 of .*proj_l",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_files_that_do_not_fit_are_refused_by_their_headers(name: str, tmp_path: Path) -> None:
    change, words = DAMAGES[name]
    formats.save(tmp_path / "dancer.safetensors", change(dict(wide_toy().transformer)))
    with pytest.raises(BadCheckpoint, match=words) as caught:
        TransformerFile(tmp_path / "dancer.safetensors", config())
    assert caught.value.action


def test_float8_weights_of_a_file_without_any_scale_count_as_they_are(tmp_path: Path) -> None:
    state = wide_toy().transformer
    stored = {
        name: tensor.to(torch.float8_e4m3fn) if formats.is_block_linear(name, tensor) else tensor
        for name, tensor in state.items()
    }
    formats.save(tmp_path / "dancer.safetensors", stored)
    model = load_transformer(tmp_path / "dancer.safetensors", config())
    weight = model.blocks[0].ffn[0].dequantise(torch.float32)
    assert torch.equal(weight, stored["blocks.0.ffn.0.weight"].float())


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "dancer.pth")
    with pytest.raises(BadCheckpoint) as caught:
        TransformerFile(tmp_path / "dancer.pth", config())
    assert "pirouette models convert dancer.pth dancer.safetensors" in caught.value.sentence()
