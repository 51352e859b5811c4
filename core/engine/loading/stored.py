"""How checkpoints store weights: which tensors of a file make up one weight, and its float values.

Scales are found by their key beside the weight's, never by a list of modules:

- ``fp8``: ``X.weight`` float8 with ``X.scale_weight`` or ``X.weight_scale``, one value or one a row; also a
  wider float with such a scale. Without a scale the values are meant as they are.
- ``int8_rows``: ``X.weight`` int8 with ``X.weight_scale`` (ours), or quanto's ``X.weight._data`` and
  ``X.weight._scale``.
- ``int8_block``: TurboDiffusion's ``X.int8_weight`` and ``X.scale``, a scale for 128 x 128 values.
- ``gguf``: blocks of a GGUF type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.engine.linear.gguf_blocks import dequantise_gguf
from core.engine.linear.int8_block import dequantise_blocks, scale_shape
from core.engine.loading.gguf import QUANTISED
from core.engine.loading.tensors import Checkpoint, Entry, TensorReader
from core.errors import BadCheckpoint

Kind = Literal["plain", "fp8", "int8_rows", "int8_block", "gguf"]
FP8 = ("F8_E4M3", "F8_E5M2")
FLOATS = ("F64", "F32", "F16", "BF16")
# Markers and scales of activations, which the products here do not use.
MARKER = "scaled_fp8"
IGNORED = (MARKER,)
IGNORED_ENDINGS = (
    ".scale_input",
    ".input_scale",
    ".output_scale",
    ".comfy_quant",
    ".scaled_fp8",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One weight in a file: names of its entries there, and the shape of its values."""

    kind: Kind
    shape: tuple[int, ...]
    data: Entry
    name: str
    scale_name: str | None = None
    scales: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes in the stored form, scales as float32."""
        return self.data.size_bytes + 4 * self.scales


def keep_name(name: str) -> str:
    """The name as the file has it."""
    return name


def stored_weights(checkpoint: Checkpoint, rename: Callable[[str], str] = keep_name) -> dict[str, Stored]:
    """Every weight by the name that it has in the module, scales and markers counted with their weight.

    Raises:
        BadCheckpoint: a scale is missing or does not fit, or two tensors have the same name.
    """
    entries = checkpoint.entries
    found: dict[str, Stored] = {}
    scales: set[str] = set()
    for name, entry in entries.items():
        if name in IGNORED or name.endswith(IGNORED_ENDINGS):
            continue
        target, stored = _recognise(checkpoint, name, entry)
        if stored.scale_name is not None:
            scales.add(stored.scale_name)
        if target in found:
            raise _bad(checkpoint, target, "is stored twice")
        found[target] = stored
    return {rename(name): stored for name, stored in found.items() if name not in scales}


def check_scales(checkpoint: Checkpoint, stored: Mapping[str, Stored]) -> None:
    """Raise ``BadCheckpoint`` for a float8 weight without its scale in a file whose weights have scales.

    Such a weight would count hundreds of times too much. In files without any scale they count as they are.
    """
    narrow = [weight for weight in stored.values() if weight.data.dtype in FP8]
    bare = [weight.name for weight in narrow if weight.scale_name is None]
    if bare and (len(bare) < len(narrow) or any(name.endswith(MARKER) for name in checkpoint.entries)):
        raise _bad(checkpoint, bare[0], "has no scale, as the other float8 weights of the file do")


def read_float(reader: TensorReader, stored: Stored, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The weight's values on a device; scales are applied in float32 before the one rounding to ``dtype``."""
    if stored.kind == "plain" or (stored.kind == "fp8" and stored.scale_name is None):
        return reader.to(stored.name, device, dtype).reshape(stored.shape)
    data, scale = read_parts(reader, stored, device)
    if stored.kind == "gguf":
        return dequantise_gguf(data, stored.data.dtype, dtype).view(stored.shape)
    if scale is None:
        raise BadCheckpoint(f"{stored.name} has no scales.", value=stored.name)
    if stored.kind == "int8_block":
        return dequantise_blocks(data, scale, dtype)
    return dequantise_rows(data, scale).to(dtype)


def dequantise_rows(data: Tensor, scale: Tensor) -> Tensor:
    """8-bit data [rows, ...] with a scale for each row, or one for all -> float32 of the same shape."""
    return data.to(torch.float32).mul_(scale.view(-1, *[1] * (data.ndim - 1)))


def read_parts(reader: TensorReader, stored: Stored, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Data as stored and float32 scales (one, one a row, or one a block), for ``QuantisedLinear.fill``."""
    data = reader.to(stored.name, device)
    if stored.scale_name is None:
        return data, None
    scale = reader.to(stored.scale_name, device, torch.float32)
    return data, scale if stored.kind == "int8_block" else scale.reshape(-1)


def _recognise(checkpoint: Checkpoint, name: str, entry: Entry) -> tuple[str, Stored]:
    """Name of the weight that this tensor is, and what belongs to it."""
    entries, owner = checkpoint.entries, name.rpartition(".")[0]
    if name.endswith(".int8_weight"):
        return f"{owner}.weight", _scaled(checkpoint, "int8_block", name, f"{owner}.scale")
    if name.endswith("._data"):
        return owner, _scaled(checkpoint, _narrow(checkpoint, name, entry), name, f"{owner}._scale")
    if entry.dtype in QUANTISED:
        return name, Stored("gguf", entry.shape, entry, name)
    keys = (f"{name}_scale", f"{owner}.scale_weight", f"{name.removesuffix('weight')}scale_weight")
    scale = next((key for key in keys if key in entries and key != name), None)
    weight = name.endswith("weight") and not name.endswith("scale_weight")
    if weight and scale is not None and entry.dtype in (*FP8, *FLOATS):
        return name, _scaled(checkpoint, "fp8", name, scale)
    if weight and scale is not None and entry.dtype == "I8" and len(entry.shape) > 1:
        return name, _scaled(checkpoint, "int8_rows", name, scale)
    return name, Stored("fp8" if entry.dtype in FP8 else "plain", entry.shape, entry, name)


def _narrow(checkpoint: Checkpoint, name: str, entry: Entry) -> Kind:
    if entry.dtype in FP8:
        return "fp8"
    if entry.dtype != "I8":
        raise _bad(checkpoint, name, f"is stored as {entry.dtype}, which cannot be read")
    return "int8_rows"


def _scaled(checkpoint: Checkpoint, kind: Kind, name: str, scale_name: str) -> Stored:
    """A weight with its scales, whose shape must fit."""
    entry, scale = checkpoint.entries[name], checkpoint.entries.get(scale_name)
    if scale is None or scale.dtype not in FLOATS:
        raise _bad(checkpoint, name, f"has no scales under {scale_name}")
    if kind == "int8_block":
        fits = entry.dtype == "I8" and len(entry.shape) == 2 and scale.shape == scale_shape(*entry.shape)
    else:
        fits = _count(scale) in (1, *entry.shape[:1]) and max(scale.shape, default=1) == _count(scale)
    if not fits:
        rows = entry.shape[0] if entry.shape else 1
        raise _bad(checkpoint, name, f"has {rows} rows and scales of shape {scale.shape}", scale.shape)
    return Stored(kind, entry.shape, entry, name, scale_name, _count(scale))


def _count(entry: Entry) -> int:
    return entry.size_bytes // entry.torch_dtype.itemsize


def _bad(checkpoint: Checkpoint, name: str, what: str, value: object = None) -> BadCheckpoint:
    return BadCheckpoint(
        f"{checkpoint.path}: {name} {what}.",
        value=name if value is None else value,
        action="Download or convert the file again.",
    )
