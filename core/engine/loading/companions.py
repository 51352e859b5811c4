"""Reads the files beside the transformer (VAE, text and image encoder) and fills modules strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from core.engine.loading.header import open_checkpoint
from core.engine.loading.stored import Stored, read_float, stored_weights
from core.engine.loading.tensors import TensorReader
from core.errors import BadCheckpoint

SHOWN = 4
CPU = torch.device("cpu")


def read_tensors(path: Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """All tensors of a weight file, or of all shards that an ``*.index.json`` names, on the CPU.

    Floating tensors are cast to ``dtype`` one by one, so that only one copy of the file is in memory; those
    stored quantised become float. None keeps the stored dtype, float32 for quantised ones. Tensors that need
    no cast stay mapped to the file.

    Raises:
        BadCheckpoint: a file is missing or damaged.
    """
    checkpoint = open_checkpoint(path)
    with checkpoint.reader() as reader:
        return {name: _read(reader, stored, dtype) for name, stored in stored_weights(checkpoint).items()}


def fill(module: nn.Module, state: dict[str, Tensor], source: str, ignored: Iterable[str] = ()) -> None:
    """Put ``state`` into a module built on ``meta``: every tensor required, nothing left over, shapes equal.

    Args:
        source: what to call the file in messages.
        ignored: prefixes of keys that may be there and are not used.

    Raises:
        BadCheckpoint: missing, unknown or misshapen tensors, named in the message.
    """
    skip = tuple(ignored)
    state = {key: value for key, value in state.items() if not (skip and key.startswith(skip))}
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    check_shapes({key: tuple(value.shape) for key, value in state.items()}, wanted, source)
    module.load_state_dict(state, strict=True, assign=True)


def check_shapes(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], source: str
) -> None:
    """Raise ``BadCheckpoint`` naming what is missing, unknown or of another shape."""
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    differing = sorted(key for key in wanted.keys() & found.keys() if found[key] != wanted[key])
    shapes = [f"{key} {found[key]} instead of {wanted[key]}" for key in differing]
    problems = [
        *([f"{len(missing)} tensors missing ({_some(missing)})"] if missing else []),
        *([f"{len(unknown)} unknown tensors ({_some(unknown)})"] if unknown else []),
        *([f"other shapes ({_some(shapes)})"] if shapes else []),
    ]
    if problems:
        message = f"{source} does not fit this model: {'; '.join(problems)}."
        raise BadCheckpoint(message, value=source, action="Use the file that belongs to Wan 2.1.")


def _read(reader: TensorReader, stored: Stored, dtype: torch.dtype | None) -> Tensor:
    if stored.kind == "plain" and not (dtype and stored.data.torch_dtype.is_floating_point):
        return reader.to(stored.name, CPU)
    return read_float(reader, stored, CPU, dtype or torch.float32)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
