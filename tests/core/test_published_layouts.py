"""Every layout in which a part is published loads to the float model, within a tolerance that is stated."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPVisionConfig

from core.engine.loading.checkpoint import load_transformer
from core.engine.models.clip_vision import build_clip_vision, load_clip_vision
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.models.umt5 import build_umt5, encode_ids, load_umt5, umt5_config
from core.engine.models.wan_vae import build_wan_vae, load_wan_vae
from tests.fakes.tiny_formats import fp8_scaled, int8_block, save
from tests.fakes.tiny_gguf import quantise
from tests.fakes.tiny_models import MODELS, TinyModels, toy_of
from tests.fakes.tiny_weights import CLIP, VAE, Toy, clip_state, golden_toy, vae_state, wide_toy

CPU = torch.device("cpu")
# Relative error of the velocity, |loaded - float| / |float|, of one forward through two random blocks.
TOLERANCES = {
    "transformer-fp32": 1e-5,
    "transformer-fp16": 1e-3,
    "transformer-mbf16": 1e-2,
    "transformer-fp8": 5e-2,
    "transformer-int8-quanto": 2e-2,
    "transformer-q4_k_m": 0.15,
    "transformer-q5_k_m": 7e-2,
    "transformer-q6_k-from-fp8": 3e-2,
    "transformer-q8_0": 1e-2,
}
# The same of the text encoder's output, computed in float32.
TEXT_TOLERANCES = {
    "umt5-fp32-shards": 1e-6,
    "umt5-bf16": 1e-2,
    "umt5-bf16-shards": 1e-2,
    "umt5-fp16": 2e-3,
    "umt5-fp8": 0.1,
    "umt5-gguf-q5_k_m": 0.15,
    "umt5-gguf-q6_k": 0.1,
    "umt5-gguf-q8_0": 3e-2,
}


def test_block_formats_are_those_of_the_gguf_package() -> None:
    """Relative error that so many bits leave on normal numbers; a block of zeros stays zero."""
    values = np.random.default_rng(0).normal(size=(8, 512)).astype(np.float32)
    values[0, :256] = 0
    for kind, most in ((Type.Q4_K, 0.09), (Type.Q5_K, 0.05), (Type.Q6_K, 0.025)):
        read = gguf.quants.dequantize(quantise(values, kind), kind)
        assert np.linalg.norm(read - values) < most * np.linalg.norm(values), kind
        assert not read[0, :256].any()


def test_files_have_the_peculiarities_of_the_published_ones(tiny_models: TinyModels) -> None:
    reader = gguf.GGUFReader(tiny_models.path("transformer-q4_k_m"))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    kinds = {tensor.tensor_type for tensor in reader.tensors}
    assert sum(len(tensor.shape) == 5 for tensor in reader.tensors) == 9
    assert {Type.F32, Type.F16, Type.Q4_K, Type.Q6_K, Type.Q5_0} <= kinds
    assert list(tensors["condition_embedding_align.norm1.weight"].shape) == [1, 1, 128]
    assert list(tensors["patch_embedding.weight"].shape) == [2, 2, 1, 36, 256]
    with safe_open(str(tiny_models.path("transformer-fp8")), "pt") as file:
        keys = list(file.keys())
        assert file.get_tensor("scaled_fp8").dtype == torch.float8_e4m3fn
    blocks = 12 * wide_toy().transformer_sizes["num_layers"]
    assert sum(key.endswith(".scale_weight") for key in keys) == blocks + 8
    assert len(tiny_models.assets["transformer-fp32"].files) == 9


@pytest.mark.parametrize("asset", TOLERANCES)
def test_a_transformer_computes_the_float_models_velocity(tiny_models: TinyModels, asset: str) -> None:
    model = next((model for model, parts in MODELS.items() if asset in parts), "steadydancer-14b-fp16")
    error = velocity_error(toy_of(model), tiny_models.path(asset))
    print(f"{asset}: {error:.1e}")
    assert error < TOLERANCES[asset]


def test_later_names_of_fp8_scales_are_read(tmp_path: Path) -> None:
    save(tmp_path / "newer.safetensors", fp8_scaled(wide_toy().transformer, newer=True))
    assert velocity_error(wide_toy(), tmp_path / "newer.safetensors") < TOLERANCES["transformer-fp8"]


def test_the_layout_of_turbodiffusion_is_read(tmp_path: Path) -> None:
    save(tmp_path / "block.safetensors", int8_block(wide_toy().transformer))
    assert velocity_error(wide_toy(), tmp_path / "block.safetensors") < 2e-2


@pytest.mark.parametrize("asset", TEXT_TOLERANCES)
def test_a_text_encoder_computes_the_float_models_features(tiny_models: TinyModels, asset: str) -> None:
    toy = golden_toy() if asset == "umt5-fp32-shards" else wide_toy()
    config = umt5_config(**toy.text_sizes)
    encoder = load_umt5(tiny_models.path(asset), tiny_models.path("tokenizer"), CPU, torch.float32, config)
    ids = encoder._tokenizer("a dancer in the rain")["input_ids"]
    exact = build_umt5(toy.text_encoder, config, CPU, torch.float32, "float")
    error = relative(encoder.encode("a dancer in the rain"), encode_ids(exact, torch.tensor(ids)))
    print(f"{asset}: {error:.1e}")
    assert error < TEXT_TOLERANCES[asset]


@pytest.mark.parametrize("asset", ["clip-fp32", "clip-fp16", "clip-open-fp16"])
def test_an_image_encoder_computes_the_float_models_features(tiny_models: TinyModels, asset: str) -> None:
    config, picture = CLIPVisionConfig(**CLIP), torch.rand(3, 40, 32, generator=seeded())
    exact = build_clip_vision(clip_state(), config, CPU, torch.float32, "float")
    loaded = load_clip_vision(tiny_models.path(asset), CPU, config=config)
    assert relative(loaded.encode(picture), exact.encode(picture)) < 1e-4


@pytest.mark.parametrize("asset", ["vae-fp32", "vae-bf16", "vae-kijai-bf16", "vae-diffusers-fp32"])
def test_a_video_autoencoder_computes_the_float_models_latents(tiny_models: TinyModels, asset: str) -> None:
    video = torch.rand(1, 3, 5, 16, 16, generator=seeded()) * 2 - 1
    exact, loaded = (
        build_wan_vae(vae_state(), CPU, "", **VAE),
        load_wan_vae(tiny_models.path(asset), CPU, **VAE),
    )
    assert relative(loaded.encode(video), exact.encode(video)) < 1e-4


def velocity_error(toy: Toy, path: Path) -> float:
    """Relative error of one forward through the file's transformer."""
    config = TransformerConfig.from_dict(toy.transformer_sizes)
    exact = SteadyDancerTransformer(config)
    exact.load_state_dict(toy.transformer)
    loaded = load_transformer(path, config, CPU, torch.float32)
    generator = seeded()
    shapes = {"x": 16, "condition": 16, "y": 20, "ref_x": 36, "ref_c": 36}
    inputs = {
        name: torch.randn(1, channels, 1 if name.startswith("ref") else 2, 8, 6, generator=generator)
        for name, channels in shapes.items()
    }
    for name, shape in (("text", (1, 7, config.text_dim)), ("clip_x", (1, 257, config.clip_dim))):
        inputs[name] = torch.randn(shape, generator=generator)
    with torch.no_grad():
        wanted, found = (model.eval()(t=torch.tensor([800.0]), **inputs) for model in (exact, loaded))
    return relative(found, wanted)


def relative(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(11)
