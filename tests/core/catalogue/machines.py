"""Machines that are not there, and the request that they are planned for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.hardware import Gpu, Machine
from core.types import MediaInput, Output, RenderRequest

GIB = 2**30
PLAIN = "steadydancer-14b"
NATIVE_FRAMES = 81


def machine(
    vram_gib: float, ram_gib: float, capability: tuple[int, int] | None = (8, 9), **gpu: Any
) -> Machine:
    """Eight processors, one NVIDIA GPU unless ``vram_gib`` is 0; the system keeps a tenth of the RAM."""
    ram = int(ram_gib * GIB)
    card = Gpu("GPU-1", "a card", capability, int(vram_gib * GIB), **gpu)
    return Machine(8, ram, ram * 9 // 10, (card,) if vram_gib else ())


def request(**changes: Any) -> RenderRequest:
    """A plain request for the 14B model."""
    plain = RenderRequest(MediaInput("a.png"), MediaInput("b.mp4"), Output("c.mp4"), model=PLAIN)
    return replace(plain, **changes)
