"""The engine's device, peak memory, and what an exception of torch means."""

from __future__ import annotations

import ctypes
import errno
import gc
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

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
_CLEAR_REFS, _RESET_PEAK = Path("/proc/self/clear_refs"), "5"
_STATUS = Path("/proc/self/status")
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


def give_back_ram() -> None:
    """Return freed host memory to the system; glibc keeps it in its arenas and can be asked for it."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def computes(device: torch.device) -> bool:
    """Whether a GPU still does what this process asks of it."""
    if device.type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError:
            return False
    return True


def peak_memory() -> Memory:
    """Peak memory of this process in bytes; each since its last reset, video memory only with a GPU."""
    return Memory(_peak_ram(), torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None)


@dataclass
class PeakMeter:
    """Peaks of phases and of all of them; one at a time, since torch and the system count for the process.

    Peaks of RAM are those since the meter was made, with the model that stood there already. Windows and
    macOS forget no peak: there it is that of all renders of this engine, an upper bound for a later one.
    """

    overall: Memory = field(default_factory=lambda: Memory(0))

    def __post_init__(self) -> None:
        forget_peak_ram()

    def begin(self) -> None:
        """Forget the video memory's peak so far."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def end(self, phase: Phase) -> Memory:
        """Peaks: of video memory since ``begin``, of RAM since the meter was made."""
        seen = peak_memory()
        vram = [m.vram_bytes for m in (self.overall, seen) if m.vram_bytes is not None]
        self.overall = Memory(max(self.overall.ram_bytes, seen.ram_bytes), max(vram, default=None))
        return replace(seen, phase=phase)


def forget_peak_ram() -> bool:
    """Let the peak of RAM begin anew at what is in use; False where the system cannot."""
    if sys.platform != "linux":
        return False
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False  # a kernel without it, or a container that hides it
    return True


def _peak_ram() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux" and (peak := _high_water_mark()) is not None:
        return peak
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # kilobytes everywhere but on macOS


def _high_water_mark() -> int | None:
    """The kernel's own; ``ru_maxrss`` also counts what the process was before it became Python."""
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


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
