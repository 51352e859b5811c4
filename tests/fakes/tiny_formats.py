"""The layouts in which weights are published, from float weights in native names."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.engine.linear.int8_block import quantise_blocks
from core.engine.models.clip_vision import transformers_state
from core.engine.models.umt5 import transformers_name
from core.engine.models.wan_vae import diffusers_name

State = dict[str, Tensor]
FP8_LARGEST = 448.0
# Of SteadyDancer's own tensors eight carry a scale in the published fp8 file; which ones is not known. These
# are its linear layers and three of its 1x1 convolutions.
SCALED_CONDITION = (
    "condition_embedding_spatial.fc.0.weight",
    "condition_embedding_spatial.fc.1.fc.0.weight",
    "condition_embedding_spatial.fc_phi.weight",
    "condition_embedding_spatial.fc_scale.weight",
    "condition_embedding_align.cross_attn.out_proj.weight",
    "condition_embedding_align.proj_p.weight",
    "condition_embedding_align.proj_r.weight",
    "condition_embedding_align.proj_p_back.weight",
)


def save(path: Path, state: State, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file in a folder that need not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, metadata)


def save_shards(folder: Path, stem: str, state: State, count: int) -> None:
    """``count`` files of about equal numbers of tensors, and their index."""
    names, size = sorted(state), math.ceil(len(state) / count)
    weight_map: dict[str, str] = {}
    for index in range(count):
        file = f"{stem}-{index + 1:05}-of-{count:05}.safetensors"
        part = names[index * size : (index + 1) * size]
        save(folder / file, {name: state[name] for name in part}, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map})
    (folder / f"{stem}.safetensors.index.json").write_text(text, encoding="utf-8")


def cast(state: State, dtype: torch.dtype) -> State:
    """Every tensor in one dtype."""
    return {name: tensor.to(dtype) for name, tensor in state.items()}


def is_block_linear(name: str, tensor: Tensor) -> bool:
    """A linear layer's weight in a block: what every 8-bit layout replaces."""
    return name.startswith("blocks.") and name.endswith(".weight") and tensor.ndim == 2


def fp8_scaled(state: State, newer: bool = False) -> State:
    """One float32 scale a tensor and the marker ``scaled_fp8``; the rest in float16.

    Args:
        newer: the names of later files, ``weight_scale`` and no marker.
    """
    stored: State = {} if newer else {"scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)}
    for name, tensor in state.items():
        if not is_block_linear(name, tensor) and name not in SCALED_CONDITION:
            stored[name] = tensor.half()
            continue
        scale = tensor.abs().max() / FP8_LARGEST
        stored[name] = (tensor / scale).to(torch.float8_e4m3fn)
        scale_name = "weight_scale" if newer else "scale_weight"
        stored[f"{name.removesuffix('weight')}{scale_name}"] = scale
    return stored


def fp8_scaled_umt5(state: State) -> State:
    """The text encoder in transformers names, as ComfyUI's repository has it, its tokenizer inside."""
    stored: State = {
        "scaled_fp8": torch.zeros(0).to(torch.float8_e4m3fn),
        "spiece_model": torch.zeros(4, dtype=torch.uint8),
    }
    for name, tensor in umt5_transformers(state, tied=False).items():
        if tensor.ndim != 2 or name == "shared.weight" or "relative_attention_bias" in name:
            stored[name] = tensor.half()
            continue
        scale = tensor.abs().max() / FP8_LARGEST
        stored[name] = (tensor / scale).to(torch.float8_e4m3fn)
        stored[f"{name.removesuffix('weight')}scale_weight"] = scale
    return stored


def int8_quanto(state: State) -> tuple[State, dict[str, str]]:
    """One scale a row, as optimum-quanto writes it; the rest in bfloat16. State and metadata."""
    stored: State = {}
    kinds: dict[str, dict[str, str]] = {}
    for name, tensor in state.items():
        if not is_block_linear(name, tensor):
            stored[name] = tensor.bfloat16()
            continue
        scale = (tensor.abs().amax(dim=1, keepdim=True) / 127).bfloat16()
        stored[f"{name}._data"] = (tensor / scale.float()).round().clamp(-127, 127).to(torch.int8)
        stored[f"{name}._scale"] = scale
        module = name.removesuffix(".weight")
        stored[f"{module}.input_scale"] = torch.ones(1)
        stored[f"{module}.output_scale"] = torch.ones(1)
        kinds[module] = {"weights": "qint8", "activations": "none"}
    return stored, {"format": "pt", "quantization_format": "quanto", "quantization_map": json.dumps(kinds)}


def int8_block(state: State) -> State:
    """TurboDiffusion's layout: blocks of 128 x 128, patch embeddings as matrices; the rest in bfloat16."""
    stored: State = {}
    for name, tensor in state.items():
        if is_block_linear(name, tensor):
            module = name.removesuffix("weight")
            stored[f"{module}int8_weight"], stored[f"{module}scale"] = quantise_blocks(tensor)
        elif name == "patch_embedding.weight":
            stored[name] = tensor.flatten(1).bfloat16()
        else:
            stored[name] = tensor.bfloat16()
    return stored


def umt5_transformers(state: State, tied: bool) -> State:
    """The text encoder in transformers names.

    Args:
        tied: with the embedding under its second name, too.
    """
    renamed = {transformers_name(name): tensor for name, tensor in state.items()}
    if tied:
        renamed["encoder.embed_tokens.weight"] = renamed["shared.weight"].clone()
    return renamed


def clip_transformers(state: State) -> State:
    """The vision tower in transformers names with what surrounds it in published files."""
    tower = {f"vision_model.{name}": tensor for name, tensor in transformers_state(state).items()}
    width = state["pre_norm.weight"].shape[0]
    return tower | {"visual_projection.weight": torch.ones(8, width)}


def clip_open(state: State) -> State:
    """Both towers of open-clip; the text tower is only hinted at."""
    text = {"textual.model.embeddings.word_embeddings.weight": torch.ones(4, 8), "log_scale": torch.zeros(())}
    return {f"visual.{name}": tensor for name, tensor in state.items()} | text


def vae_diffusers(state: State, num_res_blocks: int = 2) -> State:
    """The video autoencoder in diffusers names."""
    return {diffusers_name(name, num_res_blocks): tensor for name, tensor in state.items()}
