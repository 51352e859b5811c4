"""The engine's device, peak memory, and what an exception of torch means."""

from __future__ import annotations

import errno
import sys

import psutil
import torch

from core.errors import BadSetting, DiskError, EngineError, OutOfMemory, PirouetteError
from core.hardware import parse_device
from core.settings import engine_log
from core.types import Memory

_ALLOCATION_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad allocation")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def pick_device(text: str) -> torch.device:
    """The torch device for ``auto``, ``cpu`` or ``cuda:UUID`` (the runner has made only that GPU visible).

    Raises:
        BadSetting: a GPU was asked for and torch sees none.
    """
    device = parse_device(text)
    available = torch.cuda.is_available()
    if device.kind == "cuda" and not available:
        raise BadSetting(
            f"The GPU {device.uuid} cannot be used by this installation.",
            value=device.uuid,
            limit=f"torch {torch.__version__}",
            action="Use cpu, or install a torch with CUDA and the driver for it.",
        )
    return torch.device("cpu" if device.kind == "cpu" or not available else "cuda")


def peak_memory() -> Memory:
    """Peak memory of this process so far in bytes; video memory only where a GPU was used."""
    return Memory(_peak_ram(), torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None)


def _peak_ram() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # kilobytes everywhere but on macOS


def explain(error: BaseException) -> PirouetteError:
    """The error that a user may see for any exception of the engine."""
    if isinstance(error, PirouetteError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return OutOfMemory(
            "The GPU's memory did not suffice.",
            value=peak_memory().vram_bytes,
            action="Choose a smaller size.",
        )
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _is_allocation(error)):
        return OutOfMemory(
            "The memory did not suffice.",
            value=peak_memory().ram_bytes,
            action="Close other programs, or choose a smaller size or fewer frames.",
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return DiskError("The drive is full.", value=error.filename, action="Free some space and try again.")
    return EngineError(
        f"Something unexpected went wrong in the engine: {type(error).__name__}.",
        value=str(error)[:300],
        action=f"Try again; if it happens again, report it with {engine_log()}.",
    )


def _is_allocation(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(words in text for words in _ALLOCATION_WORDS)
