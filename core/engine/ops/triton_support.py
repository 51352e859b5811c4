"""Whether Triton kernels can run here: on a GPU, or on the processor by the interpreter (for tests)."""

from __future__ import annotations

import os
from functools import cache

import torch

LOWEST_CAPABILITY = (7, 5)


def usable(device: torch.device) -> bool:
    """Whether kernels run on tensors of this device: on a GPU that Triton knows, or by its interpreter."""
    if not installed():
        return False
    if device.type == "cuda":
        return not interpreted() and torch.cuda.get_device_capability(device) >= LOWEST_CAPABILITY
    return device.type == "cpu" and interpreted()


def interpreted() -> bool:
    """Whether ``TRITON_INTERPRET`` asks for the interpreter."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


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
