"""``.pth`` files as checkpoints: read by torch's restricted unpickler, their tensors mapped, no code run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.engine.loading.header import PICKLES, Checkpoint, strip_prefix
from core.engine.loading.tensors import DTYPES, Entry, TensorReader
from core.errors import BadCheckpoint

# Under these names training code stores the weights among other things.
NESTED: Final = ("state_dict", "model", "module", "generator_ema", "ema")
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


class PickleReader(TensorReader):
    """Gives the tensors of an opened ``.pth`` file."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__({})
        self._tensors = tensors

    def __call__(self, name: str) -> Tensor:
        """A copy of the tensor."""
        return self._tensors[name].clone(memory_format=torch.contiguous_format)

    def to(self, name: str, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor on a device; mapped where nothing has to be converted."""
        return self._tensors[name].to(device, dtype).contiguous()


def is_pickle(path: Path) -> bool:
    """Whether the file's name says so."""
    return path.suffix.lower() in PICKLES


def open_pickle(path: Path) -> tuple[Checkpoint, PickleReader]:
    """What a ``.pth`` file holds, under names without prefixes.

    Raises:
        BadCheckpoint: it cannot be read safely, or holds no dictionary of tensors.
    """
    tensors = {strip_prefix(name): tensor for name, tensor in _state_dict(path).items()}
    for name, tensor in tensors.items():
        stored_bytes = tensor.untyped_storage().nbytes()
        if tensor.dtype not in _NAMES or tensor.numel() * tensor.element_size() > stored_bytes:
            raise _bad(path, f"holds a tensor that cannot be read: {name}")
    entries = {
        name: Entry(path, name, _NAMES[tensor.dtype], tuple(tensor.shape), 0, tensor.nbytes)
        for name, tensor in tensors.items()
    }
    return Checkpoint(path, entries), PickleReader(tensors)


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about odd protocols; what matters is raised
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged stream of instructions can stumble in any way
        reason = str(error).strip().partition("\n")[0][:200]
        raise _bad(path, f"is no weight file that can be read safely ({reason})") from error
    for name in NESTED:
        inner = loaded.get(name) if isinstance(loaded, dict) else None
        if isinstance(inner, dict) and any(isinstance(value, Tensor) for value in inner.values()):
            loaded = inner
            break
    tensors = loaded if isinstance(loaded, dict) else {}
    found = {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not found:
        raise _bad(path, "holds no tensors by name")
    return found


def _bad(path: Path, what: str) -> BadCheckpoint:
    return BadCheckpoint(
        f"{path} {what}.", value=path, action="Choose a state dict saved with torch 1.6 or later."
    )
