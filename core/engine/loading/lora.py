"""LoRA files: low-rank and full differences of weights, in every layout that is met for Wan.

A low-rank delta is ``strength * alpha / rank * up @ down``; without an alpha the factor is ``strength``. What
the keys mean is told by ``lora_names``. Tensors stay mapped to the file until they are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from core.engine.loading.header import Checkpoint, TensorReader, open_checkpoint
from core.engine.loading.lora_alpha import AlphaConfig, read_alpha_config
from core.engine.loading.lora_names import Kind, ParameterNames, split_key
from core.errors import BadCheckpoint

SHOWN: Final = 3
CPU: Final = torch.device("cpu")
WRONG_MODEL: Final = "Choose a LoRA made for Wan 2.1 14B, best for image to video."
# Endings of methods whose result is not the sum that is computed here.
OTHER_METHODS: Final = {
    ".dora_scale": "DoRA",
    ".lora_magnitude_vector": "DoRA",
    ".hada_w1_a": "LoHa",
    ".lokr_w1": "LoKr",
    ".oft_blocks": "OFT",
}
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LowRank:
    """factor * up @ down: down [rank, inputs], up [outputs, rank]."""

    down: Tensor
    up: Tensor
    factor: float

    def add_to(self, weight: Tensor, strength: float) -> None:
        """Add it in place to a float32 weight [outputs, ...]."""
        up, down = (half.to(weight.device, torch.float32) for half in (self.up, self.down))
        weight.view(weight.shape[0], -1).addmm_(up, down, alpha=strength * self.factor)


@dataclass(frozen=True)
class Difference:
    """A full difference of a weight, a bias or a modulation, in its shape."""

    values: Tensor

    def add_to(self, weight: Tensor, strength: float) -> None:
        """Add it in place to a float32 weight."""
        values = self.values.to(weight.device, torch.float32)
        weight.add_(values.reshape(weight.shape), alpha=strength)


Delta = LowRank | Difference


@dataclass(frozen=True)
class LoraFile:
    """What a LoRA file changes.

    Attributes:
        deltas: by name of the transformer's parameter.
        unknown: keys that mean nothing to the transformer.
        skipped: modules that cannot be used -> why.
        notes: sentences that a user should read.
    """

    path: Path
    deltas: Mapping[str, tuple[Delta, ...]]
    unknown: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def open_lora(path: Path, shapes: Mapping[str, Shape]) -> LoraFile:
    """Read a LoRA file for a transformer with parameters of these shapes.

    Raises:
        BadCheckpoint: it is damaged, of a kind that cannot be computed, holds values that are not finite, or
            nothing in it fits the transformer.
    """
    checkpoint = open_checkpoint(Path(path))
    _refuse_other_methods(checkpoint)
    modules, unknown = _group(checkpoint, ParameterNames(shapes))
    deltas: dict[str, tuple[Delta, ...]] = {}
    skipped: dict[str, str] = {}
    with checkpoint.reader() as read:
        builder = _Builder(checkpoint, read, read_alpha_config(checkpoint))
        for (parameter, module), keys in modules.items():
            reason = builder.misfit(keys, shapes[parameter])
            if reason:
                skipped[module] = reason
            else:
                deltas[parameter] = (*deltas.get(parameter, ()), *builder.build(module, keys))
    if not deltas:
        raise _nothing_fits(checkpoint, unknown, skipped)
    return LoraFile(checkpoint.path, deltas, tuple(unknown), skipped, _notes(deltas, shapes))


_Modules = dict[tuple[str, str], dict[Kind, str]]


def _group(checkpoint: Checkpoint, names: ParameterNames) -> tuple[_Modules, list[str]]:
    """(our parameter, its module in the file) -> kind -> key; and the keys that fit nothing."""
    modules: _Modules = {}
    unknown: list[str] = []
    for key in checkpoint.entries:
        split = split_key(key)
        parameter = names.find(*split) if split else None
        if split is None or parameter is None:
            unknown.append(key)
            continue
        module, kind = split
        keys = modules.setdefault((parameter, module), {})
        if kind in keys:
            raise BadCheckpoint(
                f"{checkpoint.path} holds two deltas for {module}: {keys[kind]} and {key}.",
                value=module,
                limit="one delta for each module",
                action="Save each LoRA to its own file.",
            )
        keys[kind] = key
    return modules, unknown


class _Builder:
    """Makes the deltas of one file."""

    def __init__(self, checkpoint: Checkpoint, read: TensorReader, alphas: AlphaConfig) -> None:
        self.entries, self.path = checkpoint.entries, checkpoint.path
        self.read, self.alphas = read, alphas

    def misfit(self, keys: Mapping[Kind, str], shape: Shape) -> str:
        """Why these tensors cannot change a parameter of ``shape``; empty when they can."""
        for kind, key in keys.items():
            if not self.entries[key].torch_dtype.is_floating_point and kind != "alpha":
                return f"it is stored as {self.entries[key].dtype}"
        if "down" in keys or "up" in keys:
            return self._low_rank_misfit(keys, shape)
        for key in (key for kind, key in keys.items() if kind != "alpha"):
            found = self.entries[key].shape
            if _without_ones(found) != _without_ones(shape):
                return f"its shape is {found} instead of {shape}"
        return "" if set(keys) != {"alpha"} else "it has an alpha alone"

    def _low_rank_misfit(self, keys: Mapping[Kind, str], shape: Shape) -> str:
        for half, missing in (("down", "lower"), ("up", "upper")):
            if half not in keys:
                return f"its {missing} half is missing"
        down, up = self.entries[keys["down"]].shape, self.entries[keys["up"]].shape
        if len(shape) < 2 or min(len(down), len(up)) < 2:
            return f"its halves {up} and {down} are no matrices for a weight {shape}"
        if min(down[0], *up) < 1 or math.prod(up[1:]) != down[0]:
            return f"its halves {up} and {down} do not fit together"
        outputs, inputs = up[0], math.prod(down[1:])
        if (outputs, inputs) != (shape[0], math.prod(shape[1:])):
            return f"its shape is {(outputs, inputs)} instead of {(shape[0], math.prod(shape[1:]))}"
        return ""

    def build(self, module: str, keys: Mapping[Kind, str]) -> list[Delta]:
        """The deltas, checked before by ``misfit``."""
        deltas: list[Delta] = []
        if "down" in keys:
            down, up = self._tensor(keys["down"]).flatten(1), self._tensor(keys["up"]).flatten(1)
            deltas.append(LowRank(down, up, self._factor(module, keys.get("alpha"), len(down))))
        differences: tuple[Kind, ...] = ("weight", "bias", "modulation")
        deltas += [Difference(self._tensor(keys[kind])) for kind in differences if kind in keys]
        return deltas

    def _factor(self, module: str, key: str | None, rank: int) -> float:
        if key is None:
            return self.alphas.factor(module, rank)
        alpha = self._tensor(key)
        if alpha.numel() != 1:
            raise BadCheckpoint(
                f"{self.path}: the alpha {key} has shape {tuple(alpha.shape)}.",
                value=tuple(alpha.shape),
                limit="one number",
            )
        return float(alpha) / rank

    def _tensor(self, key: str) -> Tensor:
        tensor = self.read.to(key, CPU)
        if not tensor.is_floating_point():
            tensor = tensor.double()  # an alpha
        elif tensor.dtype.itemsize == 1:
            tensor = tensor.bfloat16()  # no arithmetic on 8-bit floats; every value fits
        if not bool(torch.isfinite(tensor).all()):
            raise BadCheckpoint(
                f"{self.path}: {key} holds values that are not finite.", value=key, limit="finite numbers"
            )
        return tensor


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _refuse_other_methods(checkpoint: Checkpoint) -> None:
    for key in checkpoint.entries:
        for ending, method in OTHER_METHODS.items():
            if key.endswith((ending, ending + ".weight")):
                raise BadCheckpoint(
                    f"{checkpoint.path} is no plain LoRA but a {method}, which cannot be used yet.",
                    value=key,
                    limit="LoRA",
                    action="Choose a plain LoRA.",
                )


def _nothing_fits(checkpoint: Checkpoint, unknown: list[str], skipped: Mapping[str, str]) -> BadCheckpoint:
    if skipped:
        examples = "; ".join(f"{module}: {why}" for module, why in list(skipped.items())[:SHOWN])
        message = f"{checkpoint.path} is a LoRA for a model of another size ({examples})."
    else:
        examples = ", ".join(key[:100] for key in unknown[:SHOWN])
        message = f"Nothing in {checkpoint.path} belongs to this model; it holds, for example, {examples}."
    return BadCheckpoint(message, value=0, limit="at least one delta", action=WRONG_MODEL)


def _notes(deltas: Mapping[str, object], shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    """What is worth knowing about the coverage."""
    notes = []
    asked = any(".cross_attn.k." in name for name in deltas)
    picture = any(".k_img." in name or name.startswith("img_emb.") for name in deltas)
    if asked and not picture and any(".k_img." in name for name in shapes):
        notes.append("It changes nothing in the attention to the picture, as LoRAs for text-to-video do.")
    if "patch_embedding.weight" in deltas and "patch_embedding_fuse.weight" in shapes:
        notes.append("Its change of the patch embedding reaches the reference picture only.")
    return tuple(notes)
