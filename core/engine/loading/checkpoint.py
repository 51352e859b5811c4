"""Loading a transformer: is the file complete, then tensor by tensor into a model without memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from core.engine.loading.header import Checkpoint, open_checkpoint
from core.engine.loading.int8_rows import read_weight, weight_shapes
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadCheckpoint

__all__ = ["Checkpoint", "check_complete", "expected_shapes", "load_transformer", "open_checkpoint"]

# What SteadyDancer adds to Wan2.1 I2V. A plain Wan file would load and leave these parts random.
STEADYDANCER_PARTS = (
    "patch_embedding_fuse",
    "patch_embedding_ref_c",
    "condition_embedding_spatial",
    "condition_embedding_temporal",
    "condition_embedding_align",
)
SHOWN = 3
Shape = tuple[int, ...]


def build_on_meta(config: TransformerConfig) -> SteadyDancerTransformer:
    """The network with shapes but without memory."""
    with torch.device("meta"):
        return SteadyDancerTransformer(config)


def expected_shapes(config: TransformerConfig) -> dict[str, Shape]:
    """Name and shape of every tensor that a checkpoint must hold, no more and no less."""
    return {name: tuple(tensor.shape) for name, tensor in build_on_meta(config).state_dict().items()}


def check_complete(shapes: Mapping[str, Shape], config: TransformerConfig) -> None:
    """Raise ``BadCheckpoint`` unless ``shapes`` are exactly those of ``config``'s transformer."""
    expected = expected_shapes(config)
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
    wrong = [name for name in expected if tuple(shapes[name]) != expected[name]]
    if wrong:
        name = wrong[0]
        raise BadCheckpoint(
            f"{len(wrong)} tensors have another shape than the model's, first {name}: {tuple(shapes[name])} "
            f"instead of {expected[name]}.",
            value=tuple(shapes[name]),
            limit=expected[name],
            action="Choose a checkpoint of this model's size.",
        )


def load_transformer(
    path: Path,
    config: TransformerConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> SteadyDancerTransformer:
    """A transformer for inference with the weights of a checkpoint.

    One tensor at a time is read, converted and moved, so the weights never stand in memory twice. On the CPU
    in the file's own dtype they stay mapped to the file.

    Args:
        path: safetensors file, index of shards, or folder; int8 rows are dequantised.
        config: the model's sizes.
        device: where the weights go.
        dtype: their dtype; 16-bit weights run under ``torch.autocast``.

    Raises:
        BadCheckpoint: the file is damaged, incomplete or of another model.
    """
    checkpoint = open_checkpoint(path)
    check_complete(weight_shapes(checkpoint), config)
    model = build_on_meta(config)
    names = [name for name, _ in model.named_parameters()]
    with checkpoint.reader() as read:
        fill(model, names, lambda name: read_weight(checkpoint, read, name).to(device=device, dtype=dtype))
    return model.eval()


def fill(model: nn.Module, names: Iterable[str], weight: Callable[[str], Tensor]) -> None:
    """Replace each named parameter by ``weight(name)``, without gradient."""
    for name in names:
        owner, _, attribute = name.rpartition(".")
        model.get_submodule(owner).register_parameter(
            attribute, nn.Parameter(weight(name), requires_grad=False)
        )


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
