"""Reads the files beside the transformer (VAE, text and image encoder) and fills modules strictly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from core.engine.loading.header import weight_files
from core.errors import BadCheckpoint

SHOWN = 4


def read_tensors(path: Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """All tensors of a safetensors file, or of all shards that an ``*.index.json`` names.

    Floating tensors are cast to ``dtype`` one by one, so that only one copy of the file is in memory.

    Raises:
        BadCheckpoint: a file is missing, damaged, or stored in an 8-bit format.
    """
    tensors: dict[str, Tensor] = {}
    for shard in weight_files(path):
        try:
            with safe_open(str(shard), framework="pt") as handle:
                for key in handle.keys():  # noqa: SIM118  (not a dict)
                    tensors[key] = _cast(handle.get_tensor(key), dtype)
        except (OSError, SafetensorError) as error:
            message = f"{shard.name} cannot be read: {error}."
            raise BadCheckpoint(message, value=shard, action="Download the file again.") from error
    narrow = [
        key for key, tensor in tensors.items() if tensor.is_floating_point() and tensor.element_size() == 1
    ]
    if narrow or "scaled_fp8" in tensors:
        raise BadCheckpoint(
            f"{path.name} is stored in 8 bits, which is not supported yet for this part of the model.",
            value=path,
            action="Use the 16-bit file.",
        )
    return tensors


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
    found = {key: tuple(value.shape) for key, value in state.items()}
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
    module.load_state_dict(state, strict=True, assign=True)


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """8-bit floats are left as they are, to be refused."""
    if dtype is None or not tensor.is_floating_point() or tensor.element_size() == 1:
        return tensor
    return tensor.to(dtype)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
