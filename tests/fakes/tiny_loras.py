"""Tiny LoRA files in every layout that is met for Wan, and what they must do to the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.engine.loading.checkpoint import expected_shapes
from core.engine.loading.lora_names import diffusers_name
from core.engine.models.config import TransformerConfig

TINY = TransformerConfig(dim=24, num_heads=2, num_layers=2, ffn_dim=32, text_len=4, text_dim=8, clip_dim=12)
RANK = 3
ALPHA = 6.0
State = dict[str, Tensor]
LAYOUTS = ("comfy", "kijai", "kohya", "diffusers", "peft", "bare", "lightx2v training")


@dataclass(frozen=True)
class TinyLora:
    """Halves by Wan module name, full differences by parameter name; ``alpha`` None stores none."""

    pairs: Mapping[str, tuple[Tensor, Tensor]]
    differences: Mapping[str, Tensor]
    alpha: float | None = None

    def deltas(self) -> State:
        """What strength 1 adds to each parameter."""
        factor = 1.0 if self.alpha is None else self.alpha / RANK
        low_rank = {f"{name}.weight": factor * up @ down for name, (down, up) in self.pairs.items()}
        return {**low_rank, **self.differences}


def linear_modules(config: TransformerConfig = TINY) -> list[str]:
    """The linear layers that LoRAs train: those of the blocks, the text, time and picture ones, the head."""
    own = ("patch_embedding", "condition_embedding")
    names = (name for name, shape in expected_shapes(config).items() if len(shape) == 2)
    return [name.removesuffix(".weight") for name in names if not name.startswith(own)]


def random_lora(
    config: TransformerConfig = TINY,
    modules: list[str] | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    alpha: float | None = None,
) -> TinyLora:
    """Low-rank deltas of the given linear layers (default: all), about a tenth of a random weight."""
    shapes = expected_shapes(config)
    random = torch.Generator().manual_seed(seed)

    def half(*shape: int) -> Tensor:
        return (0.1 * torch.randn(shape, generator=random)).to(dtype)

    pairs = {}
    for name in linear_modules(config) if modules is None else modules:
        outputs, inputs = shapes[f"{name}.weight"]
        pairs[name] = (half(RANK, inputs), half(outputs, RANK))
    return TinyLora(pairs, {}, alpha)


def with_differences(lora: TinyLora, names: list[str], config: TransformerConfig = TINY) -> TinyLora:
    """The LoRA with random full differences of the named parameters too."""
    random = torch.Generator().manual_seed(99)
    shapes = expected_shapes(config)
    return replace(
        lora, differences={name: 0.1 * torch.randn(shapes[name], generator=random) for name in names}
    )


def lightx2v_names(config: TransformerConfig = TINY) -> tuple[list[str], list[str]]:
    """Modules with halves and parameters with full differences in lightx2v's rank-64 file.

    Deduced from the file's size: every linear layer that plain Wan has, every bias but the patch embedding's,
    every norm weight.
    """
    own = ("patch_embedding", "condition_embedding")
    others = [
        name
        for name, shape in expected_shapes(config).items()
        if len(shape) == 1 and not name.startswith(own)
    ]
    return linear_modules(config), others


def lightx2v_lora(config: TransformerConfig = TINY) -> TinyLora:
    """A LoRA of that structure, bfloat16, without alpha."""
    modules, others = lightx2v_names(config)
    lora = with_differences(random_lora(config, modules, dtype=torch.bfloat16), others, config)
    return replace(lora, differences={n: t.bfloat16() for n, t in lora.differences.items()})


def tensors_of(lora: TinyLora, layout: str) -> State:
    """The file's tensors in one of ``LAYOUTS``."""
    tensors: State = {}
    for module, (down, up) in lora.pairs.items():
        stem, (lower, upper) = _stem(module, layout), _halves(layout)
        tensors |= {stem + lower: down.contiguous(), stem + upper: up.contiguous()}
        if lora.alpha is not None and layout not in ("diffusers", "peft", "bare"):
            tensors[f"{stem}.alpha"] = torch.tensor(lora.alpha)
    for parameter, values in lora.differences.items():
        owner, _, attribute = parameter.rpartition(".")
        ending = {"weight": "diff", "bias": "diff_b", "modulation": "diff_m"}[attribute]
        tensors[f"{_stem(owner, layout)}.{ending}"] = values.contiguous()
    return tensors


def write_lora(lora: TinyLora, path: Path, layout: str = "comfy") -> Path:
    """A LoRA file; Diffusers' and PEFT's layouts store the alpha as those tools do."""
    metadata = {"format": "pt"}
    if lora.alpha is not None and layout == "diffusers":
        settings = {"transformer.lora_alpha": lora.alpha, "transformer.r": RANK}
        metadata["lora_adapter_metadata"] = json.dumps(settings)
    if lora.alpha is not None and layout in ("peft", "bare"):
        path = path.with_name("adapter_model.safetensors")
        path.with_name("adapter_config.json").write_text(json.dumps({"lora_alpha": lora.alpha, "r": RANK}))
    save_file(tensors_of(lora, layout), str(path), metadata)
    return path


def _stem(module: str, layout: str) -> str:
    if layout == "kohya":
        return "lora_unet_" + module.replace(".", "_")
    if layout in ("diffusers", "peft", "bare"):
        prefix = {"diffusers": "transformer.", "peft": "base_model.model.", "bare": ""}[layout]
        return prefix + (diffusers_name(module) or module)
    return "diffusion_model." + module


def _halves(layout: str) -> tuple[str, str]:
    if layout in ("comfy", "kohya"):
        return ".lora_down.weight", ".lora_up.weight"
    if layout == "peft":
        return ".lora_A.default.weight", ".lora_B.default.weight"
    if layout == "lightx2v training":
        return ".lora.down.weight", ".lora.up.weight"
    return ".lora_A.weight", ".lora_B.weight"
