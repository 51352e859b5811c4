"""Weight files of medium size with random values, in every layout that a device is filled from."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from core.engine.convert.convert import convert
from core.engine.loading.checkpoint import expected_shapes
from core.engine.models.config import TransformerConfig
from core.engine.models.umt5 import TABLE_AGAIN
from core.engine.models.wan_vae_net import WanVAEConfig, WanVAENet
from core.evaluation.memory_peaks.forwards import Clip

RANK, ALPHA = 8, 4.0
FP8_LARGEST = {torch.float8_e4m3fn: 448.0, torch.float8_e5m2: 57_344.0}
INT8_LARGEST = 127
# What the gguf package can quantise to, by the layer's name; K blocks are checked apart, on random bytes.
GGUF_KINDS = {".q.": "Q8_0", ".k.": "Q5_0", ".v.": "Q4_0", ".o.": "Q4_1", "ffn.": "Q5_1"}
State = dict[str, Tensor]


@dataclass(frozen=True)
class Sizes:
    """Networks, and the clip that goes through them; medium ones take more than one chunk of the reader."""

    transformer: TransformerConfig
    text: UMT5Config
    image: CLIPVisionConfig
    vae: Mapping[str, Any]
    picture: Clip


def transformer_state(config: TransformerConfig) -> State:
    """Random float32 weights; the same for the same sizes."""
    return {name: _random(name, shape) for name, shape in expected_shapes(config).items()}


def write_transformers(folder: Path, config: TransformerConfig) -> dict[str, Path]:
    """Files by layout; GGUF only where the package is there."""
    state = transformer_state(config)
    paths = {
        "fp32": _save(folder / "fp32.safetensors", state),
        "bf16": _save(folder / "bf16.safetensors", {k: v.bfloat16() for k, v in state.items()}),
        "fp8 by rows": _save(folder / "fp8_rows.safetensors", _narrowed(state, _fp8_rows)),
        "int8 by rows": _save(folder / "int8_rows.safetensors", _narrowed(state, _int8_rows)),
        "fp8": folder / "fp8.safetensors",
        "int8 by blocks": folder / "int8.safetensors",
        "gguf": folder / "mixed.gguf",
    }
    convert(paths["bf16"], paths["fp8"], "fp8", config)
    convert(paths["bf16"], paths["int8 by blocks"], "int8", config)
    if not write_gguf(paths["gguf"], state, "wan", is_block_linear):
        del paths["gguf"]
    return paths


def write_text_encoders(folder: Path, config: UMT5Config) -> dict[str, Path]:
    """umT5 in transformers names: bfloat16, scaled fp8, and GGUF with its table of words."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in UMT5EncoderModel(config).state_dict().items()}
    state = {name: _random(name, tuple(shape)) for name, shape in shapes.items() if name != TABLE_AGAIN}
    layers = [name for name in state if state[name].ndim == 2 and name.startswith("encoder.block.")]
    layers = [name for name in layers if "relative_attention_bias" not in name]
    narrowed: State = {name: tensor.half() for name, tensor in state.items() if name not in layers}
    for name in layers:
        scale = state[name].abs().max() / FP8_LARGEST[torch.float8_e4m3fn]
        narrowed[name] = (state[name] / scale).to(torch.float8_e4m3fn)
        narrowed[f"{name.removesuffix('weight')}scale_weight"] = scale
    paths = {
        "bf16": _save(folder / "umt5_bf16.safetensors", {k: v.bfloat16() for k, v in state.items()}),
        "fp8": _save(folder / "umt5_fp8.safetensors", narrowed),
        "gguf": folder / "umt5.gguf",
    }
    if not write_gguf(paths["gguf"], state, "t5encoder", lambda name: name in (*layers, "shared.weight")):
        del paths["gguf"]
    return paths


def write_vae(folder: Path, sizes: Mapping[str, Any]) -> Path:
    """The video autoencoder in bfloat16 under diffusers' names, as torch initialises it."""
    torch.manual_seed(5)
    state = WanVAENet(WanVAEConfig.of(sizes)).state_dict()
    return _save(folder / "vae.safetensors", {name: tensor.bfloat16() for name, tensor in state.items()})


def write_image_encoder(folder: Path, config: CLIPVisionConfig) -> Path:
    """The CLIP tower in float16 under transformers' names."""
    torch.manual_seed(6)
    model = CLIPVisionModel(config)
    state = getattr(model, "vision_model", model).state_dict()
    half = {f"vision_model.{name}": t.half() for name, t in state.items() if t.is_floating_point()}
    return _save(folder / "clip.safetensors", half)


def write_lora(folder: Path, config: TransformerConfig) -> Path:
    """Pairs for all linear layers of the blocks, differences of biases, norms and modulations."""
    state: State = {}
    for name, shape in expected_shapes(config).items():
        module, _, attribute = name.rpartition(".")
        key = f"diffusion_model.{module}"
        if is_block_linear(name):
            state[f"{key}.lora_down.weight"] = _random(f"{name} down", (RANK, shape[1])).bfloat16()
            state[f"{key}.lora_up.weight"] = _random(f"{name} up", (shape[0], RANK)).bfloat16()
            state[f"{key}.alpha"] = torch.tensor(ALPHA)
        elif name.startswith("blocks.") and attribute == "bias":
            state[f"{key}.diff_b"] = _random(f"{name} b", shape)
        elif name.startswith("blocks.") and attribute == "modulation":
            state[f"{key}.diff_m"] = _random(f"{name} m", shape)
        elif name.startswith("blocks.") and attribute == "weight":
            state[f"{key}.diff"] = _random(f"{name} norm", shape).sub(1)
    return _save(folder / "lora.safetensors", state)


def write_gguf(path: Path, state: State, architecture: str, is_quantised: Callable[[str], bool]) -> bool:
    """A file by the gguf package; False where it is not installed."""
    try:
        import gguf
    except ImportError:
        return False
    types = gguf.GGMLQuantizationType
    writer = gguf.GGUFWriter(path, architecture)
    for name, tensor in state.items():
        values = tensor.numpy()
        usual = types.F32 if values.ndim == 1 else types.F16
        chosen = next((kind for part, kind in GGUF_KINDS.items() if part in name), "Q8_0")
        kind = types[chosen] if is_quantised(name) else usual
        data = gguf.quants.quantize(values, kind)
        writer.add_tensor(name, data, raw_shape=data.shape, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return True


def is_block_linear(name: str) -> bool:
    """A linear layer's weight in a block of the transformer."""
    return name.startswith("blocks.") and name.endswith(".weight") and "norm" not in name


def _narrowed(state: State, narrow: Callable[[str, Tensor], State]) -> State:
    stored: State = {}
    for name, tensor in state.items():
        stored |= narrow(name, tensor) if is_block_linear(name) else {name: tensor.bfloat16()}
    return stored


def _fp8_rows(name: str, weight: Tensor) -> State:
    """float8_e5m2 with a scale for each row, under the newer name."""
    scale = weight.abs().amax(dim=1, keepdim=True) / FP8_LARGEST[torch.float8_e5m2]
    return {name: (weight / scale).to(torch.float8_e5m2), f"{name}_scale": scale}


def _int8_rows(name: str, weight: Tensor) -> State:
    """As optimum-quanto stores it."""
    scale = (weight.abs().amax(dim=1, keepdim=True) / INT8_LARGEST).bfloat16()
    values = (weight / scale.float()).round().clamp(-INT8_LARGEST, INT8_LARGEST)
    return {f"{name}._data": values.to(torch.int8), f"{name}._scale": scale}


def _random(name: str, shape: tuple[int, ...]) -> Tensor:
    """Norms around one; matrices that keep the size of what they are given, roughly."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return 0.02 * values + (1.0 if "norm" in name else 0.0)
    return values / math.sqrt(math.prod(shape[1:]))


def _save(path: Path, state: State) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path
