"""Weights stored as int8 with a float32 scale per row (output channel): ``X.weight``, ``X.weight_scale``.

Symmetric: scale = largest magnitude of the row / 127, weight = int8 * scale. Convolutions count each output
channel as a row. This is a storage format; the weights are float again before they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from core.engine.loading.header import open_checkpoint
from core.engine.loading.stored import Stored, read_float, stored_weights
from core.errors import BadCheckpoint, DiskError
from core.media.disk import written_beside

SCALE = "_scale"
INT8_MAX = 127
SMALL = 4096
FLOAT16_MAX = 65504.0
CPU = torch.device("cpu")


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight [rows, ...] -> int8 of the same shape and float32 scales [rows]. A row of zeros has scale 1."""
    rows = weight.detach().float().flatten(1)
    largest = rows.abs().amax(dim=1)
    scale = torch.where(largest > 0, largest / INT8_MAX, torch.ones_like(largest))
    values = (rows / scale[:, None]).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
    return values.view(weight.shape), scale


def keep_none(_name: str) -> bool:
    """Every large weight becomes int8."""
    return False


def save_int8_rows(
    state_dict: Mapping[str, Tensor],
    path: Path,
    metadata: Mapping[str, str] | None = None,
    keep: Callable[[str], bool] = keep_none,
) -> None:
    """Write a state dict beside ``path`` and rename it there.

    Large weights become int8 rows, those whose name ``keep`` accepts float16 (float32 beyond its range).
    Vectors, tensors of fewer than 4096 values and those whose name does not end in ``weight`` stay float32;
    integers stay as they are.

    Raises:
        BadCheckpoint: a tensor holds values that are not finite.
        DiskError: the folder cannot be written or the drive is full.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        tensors |= _stored(name, tensor.detach().cpu(), keep(name))
    try:
        with written_beside(path) as beside:
            save_file(tensors, str(beside), dict(metadata or {}))
    except SafetensorError as error:  # how safetensors tells of a full disk
        raise DiskError(
            f"{path} cannot be written: {error}.",
            value=path,
            action="Free some space or choose another folder.",
        ) from error


def load_state(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, floats and int8 rows as float32; raises ``BadCheckpoint`` when it is damaged."""
    checkpoint = open_checkpoint(path)
    with checkpoint.reader() as read:
        return {
            name: read(stored.name) if _is_integer(stored) else read_float(read, stored, CPU, torch.float32)
            for name, stored in stored_weights(checkpoint).items()
        }


def _is_integer(stored: Stored) -> bool:
    return stored.kind == "plain" and not stored.data.torch_dtype.is_floating_point


def _stored(name: str, tensor: Tensor, keep: bool) -> dict[str, Tensor]:
    if not tensor.is_floating_point():
        return {name: tensor.contiguous().clone()}
    if not bool(torch.isfinite(tensor).all()):
        raise BadCheckpoint(f"The tensor {name} holds values that are not finite.", value=name)
    if tensor.ndim < 2 or tensor.numel() < SMALL or not name.endswith("weight"):
        return {name: tensor.float().contiguous().clone()}
    if keep:
        fits = float(tensor.abs().max()) <= FLOAT16_MAX
        return {name: tensor.to(torch.float16 if fits else torch.float32).contiguous().clone()}
    values, scale = quantise_rows(tensor)
    return {name: values.contiguous(), name + SCALE: scale}
