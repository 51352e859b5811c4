"""Whether Triton kernels can run here: on a GPU, or on the processor by the interpreter (for tests)."""

from __future__ import annotations

import os
from functools import cache

import torch

LOWEST_CAPABILITY = (8, 0)
"""Triton 3.6 does not compile 8-bit products for older cards."""
INTERPRET = "PIROUETTE_INTERPRET"
"""Set to 1 beside Triton's own TRITON_INTERPRET, it has tensors on the processor go through the kernels."""
SWITCHED_OFF = "PIROUETTE_NO_TRITON"
"""Set to 1, there are no kernels: by a user, or by ``fast.compiler`` where nothing can compile launchers."""


def usable(device: torch.device) -> bool:
    """Whether kernels run on tensors of this device: on the current NVIDIA GPU, or interpreted."""
    if os.environ.get(SWITCHED_OFF) == "1" or not installed():
        return False
    if device.type == "cuda":
        if interpreted() or torch.version.hip is not None:
            return False  # tiles and launch options are NVIDIA's
        here = device.index is None or device.index == torch.cuda.current_device()  # where Triton launches
        return here and torch.cuda.get_device_capability(device) >= LOWEST_CAPABILITY
    return device.type == "cpu" and interpreted()


def interpreted() -> bool:
    """Whether kernels run by the interpreter."""
    return os.environ.get(INTERPRET) == "1" and os.environ.get("TRITON_INTERPRET") == "1"


@cache
def installed() -> bool:
    """Whether Triton can be imported; a broken one counts as missing."""
    try:
        import triton  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def power_of_two(size: int) -> int:
    """The smallest power of two that is at least ``size``."""
    return 1 << max(0, size - 1).bit_length()
