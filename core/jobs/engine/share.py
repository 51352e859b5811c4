"""What our own idle engine holds is there for the next render: it uses it, or lets go of it first."""

from __future__ import annotations

from dataclasses import replace

import psutil

from core.catalogue.planning.coefficients import CUDA_CONTEXT_BYTES
from core.hardware import Gpu, Machine


def with_share(machine: Machine, pid: int, gpu: str | None, vram_bytes: int) -> Machine:
    """The machine with the memory that an idle engine would give back counted as free.

    Args:
        pid: the engine's process.
        gpu: UUID of the GPU that it was started for, None where it took the first by itself.
        vram_bytes: what it holds there, without what CUDA itself takes, which a plan counts too.
    """
    ram_bytes = min(machine.ram_bytes, machine.ram_available_bytes + _own_bytes(pid))
    nvidia = [one for one in machine.gpus if one.vendor == "nvidia"]
    mine = [one for one in nvidia if gpu is None or one.uuid.startswith(gpu)]
    if vram_bytes == 0 or len(mine) != 1:
        return replace(machine, ram_available_bytes=ram_bytes)
    gpus = tuple(_freed(one, vram_bytes) if one is mine[0] else one for one in machine.gpus)
    return replace(machine, ram_available_bytes=ram_bytes, gpus=gpus)


def _freed(gpu: Gpu, vram_bytes: int) -> Gpu:
    if gpu.memory_free_bytes is None:
        return gpu
    free = gpu.memory_free_bytes + vram_bytes + CUDA_CONTEXT_BYTES
    return replace(gpu, memory_free_bytes=min(gpu.memory_bytes, free))


def _own_bytes(pid: int) -> int:
    """Memory that ends with the process: not what it shares with the page cache, which counts as free."""
    try:
        used = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0  # ended meanwhile
    return max(0, int(used.rss) - int(getattr(used, "shared", 0)))
