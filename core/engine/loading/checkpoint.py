"""Loading a transformer: is the file complete, then tensor by tensor into a model without memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from core.engine.linear.narrowing import NarrowKind
from core.engine.loading.filling import Merging, ModuleWeights, Shape, fits
from core.engine.loading.header import Checkpoint, open_checkpoint
from core.engine.loading.stored import check_scales, stored_weights
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.uninitialised import on_meta
from core.errors import BadCheckpoint

__all__ = [
    "Checkpoint",
    "TransformerFile",
    "check_complete",
    "config_for",
    "expected_shapes",
    "load_transformer",
    "open_checkpoint",
]

# What SteadyDancer adds to Wan2.1 I2V. A plain Wan file would load and leave these parts random.
STEADYDANCER_PARTS = (
    "patch_embedding_fuse",
    "patch_embedding_ref_c",
    "condition_embedding_spatial",
    "condition_embedding_temporal",
    "condition_embedding_align",
)
PROJECTION = ".proj_l."
"""In the names of sparse-linear attention's projections, which all blocks have or none."""
SHOWN = 3


def build_on_meta(config: TransformerConfig) -> SteadyDancerTransformer:
    """The network with shapes but without memory."""
    with on_meta():
        return SteadyDancerTransformer(config)


def expected_shapes(config: TransformerConfig) -> dict[str, Shape]:
    """Name and shape of every tensor that a checkpoint must hold, no more and no less."""
    return {name: tuple(tensor.shape) for name, tensor in build_on_meta(config).state_dict().items()}


def config_for(names: Iterable[str], config: TransformerConfig) -> TransformerConfig:
    """``config`` with sparse-linear attention's projections if any of these tensors is one."""
    return replace(config, sparse=True) if any(PROJECTION in name for name in names) else config


def check_complete(shapes: Mapping[str, Shape], config: TransformerConfig) -> None:
    """Raise ``BadCheckpoint`` unless ``shapes`` are exactly those of ``config``'s transformer.

    Shapes may differ where ``fits`` says that reshaping is enough. All blocks may have a projection for
    sparse-linear attention besides.
    """
    expected = expected_shapes(config_for(shapes, config))
    missing = [name for name in expected if name not in shapes]
    unexpected = [name for name in shapes if name not in expected]
    if missing:
        raise _incomplete(missing, len(expected))
    if unexpected:
        raise BadCheckpoint(
            f"The file holds {len(unexpected)} tensors unknown to the transformer: {_some(unexpected)}.",
            value=len(unexpected),
            limit=0,
            action="Choose a SteadyDancer checkpoint in its original layout.",
        )
    wrong = [name for name in expected if not fits(tuple(shapes[name]), expected[name])]
    if wrong:
        name = wrong[0]
        raise BadCheckpoint(
            f"{len(wrong)} tensors have another shape than the model's, first {name}: {tuple(shapes[name])} "
            f"instead of {expected[name]}.",
            value=tuple(shapes[name]),
            limit=expected[name],
            action="Choose a checkpoint of this model's size.",
        )


class TransformerFile:
    """A transformer's weights in a file of any layout: checked here, read later, as a whole or in parts.

    Args:
        path: safetensors or GGUF file, index of shards, or folder.
        config: the model's sizes.
        dtype: of what does not stay quantised, and of the dequantised products under autocast.
        keep_quantised: keep the linear layers as the file stores them where it stores them quantised.
        matmul: ``dequantise``, or what the blocks' layers compute in where the file stores them so: ``fp8``
            (float8_e4m3fn, scales by row or one), ``int8`` (TurboDiffusion's blocks, or scales by row).
        quantise: make the other linear layers of the blocks 8-bit ones while they are read: ``fp8`` or
            ``int8``, a scale for each output; they compute in it.

    Raises:
        BadCheckpoint: the file is damaged, incomplete, of another model or in an unknown layout.
    """

    def __init__(
        self,
        path: Path,
        config: TransformerConfig,
        dtype: torch.dtype = torch.float32,
        keep_quantised: bool = True,
        matmul: str = "dequantise",
        quantise: NarrowKind | None = None,
    ) -> None:
        self.path, self.dtype = path, dtype
        checkpoint = open_checkpoint(path)
        stored = stored_weights(checkpoint)
        check_complete({name: weight.shape for name, weight in stored.items()}, config)
        self.config = config = config_for(stored, config)
        check_scales(checkpoint, stored)
        keeps = stays_quantised if keep_quantised else (lambda _name, _layer: False)
        empty = build_on_meta(config)
        self._weights = ModuleWeights(checkpoint, stored, empty, dtype, keeps, matmul, quantise)
        self._loras: Merging | None = None

    @property
    def sparse(self) -> bool:
        """Whether the weights were trained for sparse-linear attention and have its projections."""
        return self.config.sparse

    @property
    def quantised(self) -> frozenset[str]:
        """Names of the weights that stay quantised, or become so."""
        return self._weights.kept | self._weights.made

    def build(self) -> SteadyDancerTransformer:
        """The network without memory, in evaluation mode, with quantised layers where weights stay so."""
        model = build_on_meta(self.config)
        self._weights.quantise(model)
        return model.eval().requires_grad_(False)

    def merge(self, loras: Merging | None) -> None:
        """From now on ``fill`` adds these LoRAs to weights that it quantises, before it does.

        Elsewhere they are ``LoraSet.patch``'s, which knows what was merged here.
        """
        self._loras = loras

    def fill(self, module: nn.Module, device: torch.device | str, prefix: str = "") -> None:
        """Read weights into what ``build`` gave.

        Args:
            module: the whole network, whatever the prefix.
            device: where the weights go; on the CPU those in their stored dtype stay mapped to the file.
            prefix: only tensors whose names begin so, such as ``blocks.3.``.
        """
        self._weights.fill(module, device, prefix, self._loras)

    def size_bytes(self, prefix: str = "") -> int:
        """Bytes that the weights below ``prefix`` take in memory."""
        return self._weights.size_bytes(prefix)


def load_transformer(
    path: Path,
    config: TransformerConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    keep_quantised: bool = True,
    matmul: str = "dequantise",
    quantise: NarrowKind | None = None,
) -> SteadyDancerTransformer:
    """A transformer for inference with the weights of a checkpoint, all on one device.

    One tensor at a time is read, converted and moved, so the weights never stand in memory twice. On the CPU
    in the file's own dtype they stay mapped to the file. Arguments and errors are ``TransformerFile``'s.
    """
    file = TransformerFile(path, config, dtype, keep_quantised, matmul, quantise)
    model = file.build()
    file.fill(model, device)
    return model


def stays_quantised(name: str, layer: nn.Module) -> bool:
    """The linear layers that are called as such.

    The head computes in float32 whatever autocast says, the condition modules are too small to matter, and
    sparse attention's projections are multiplied into sums.
    """
    apart = name.startswith(("condition_embedding_", "head.")) or name.endswith(PROJECTION.rstrip("."))
    return type(layer) is nn.Linear and not apart


def _incomplete(missing: list[str], total: int) -> BadCheckpoint:
    parts = list(dict.fromkeys(name.split(".")[0] for name in missing))
    lacking = [part for part in STEADYDANCER_PARTS if part in parts]
    if lacking and set(parts) <= set(STEADYDANCER_PARTS):
        kind = "a plain Wan image-to-video file" if len(lacking) == len(STEADYDANCER_PARTS) else "incomplete"
        message = (
            f"The file is {kind}: SteadyDancer's {', '.join(lacking)} are missing ({len(missing)} tensors)."
        )
    else:
        message = f"The file lacks {len(missing)} of the transformer's {total} tensors: {_some(missing)}."
    return BadCheckpoint(
        message, value=total - len(missing), limit=total, action="Choose a complete SteadyDancer checkpoint."
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
