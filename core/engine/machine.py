"""The engine's device, peak memory, and what an exception of torch means."""

from __future__ import annotations

import errno
import gc
import sys
from dataclasses import dataclass, field, replace

import psutil
import torch

from core.errors import BadSetting, DiskError, EngineError, OutOfMemory, PirouetteError
from core.hardware import parse_device
from core.settings import engine_log
from core.types import Memory, Phase

_ALLOCATION_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad allocation")
_GPU_WORDS = ("cuda", "cublas", "cudnn", "hip")
_GPU_ALLOCATION_WORDS = ("out of memory", "alloc_failed", "allocation failed")
GIB = 2**30
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


def give_back(device: torch.device) -> None:
    """Return to a GPU's driver what torch keeps of freed memory, so that the next part finds large pieces."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def peak_memory() -> Memory:
    """Peak memory of this process in bytes, video memory since the last reset and only with a GPU."""
    return Memory(_peak_ram(), torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None)


@dataclass
class PeakMeter:
    """Peaks of phases and of all of them; one at a time, since torch counts for the whole process."""

    overall: Memory = field(default_factory=lambda: Memory(0))

    def begin(self) -> None:
        """Forget the video memory's peak so far."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def end(self, phase: Phase) -> Memory:
        """Peaks since ``begin``; those of RAM since the process began, which no system forgets."""
        seen = peak_memory()
        vram = [m.vram_bytes for m in (self.overall, seen) if m.vram_bytes is not None]
        self.overall = Memory(max(self.overall.ram_bytes, seen.ram_bytes), max(vram, default=None))
        return replace(seen, phase=phase)


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
    if isinstance(error, torch.OutOfMemoryError) or _is_gpu_allocation(error):
        return _out_of_vram()
    if isinstance(error, MemoryError) or _is_allocation(error):
        return _out_of_ram()
    if isinstance(error, OSError) and error.errno in _FULL:
        return DiskError("The drive is full.", value=error.filename, action="Free some space and try again.")
    return EngineError(
        f"Something unexpected went wrong in the engine: {type(error).__name__}.",
        value=str(error)[:300],
        action=f"Try again; if it happens again, report it with {engine_log()}.",
    )


def _out_of_vram() -> OutOfMemory:
    """The kind stands in the limit: ``VRAM``."""
    total = torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else 0
    return OutOfMemory(
        "The GPU's memory did not suffice.",
        value=peak_memory().vram_bytes,
        limit=f"{total / GIB:.1f} GiB of VRAM",
        action="Close other programs that use the GPU, or choose a smaller size or fewer frames.",
    )


def _out_of_ram() -> OutOfMemory:
    """The kind stands in the limit: ``RAM``."""
    return OutOfMemory(
        "The computer's memory did not suffice.",
        value=_peak_ram(),
        limit=f"{psutil.virtual_memory().total / GIB:.1f} GiB of RAM",
        action="Close other programs, or choose a smaller size or fewer frames.",
    )


def _is_gpu_allocation(error: BaseException) -> bool:
    """What the driver and CUDA's libraries say for themselves."""
    text = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(word in text for word in _GPU_WORDS) and any(word in text for word in _GPU_ALLOCATION_WORDS)


def _is_allocation(error: BaseException) -> bool:
    text = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(words in text for words in _ALLOCATION_WORDS)
