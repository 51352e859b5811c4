"""The same seed gives the same bits on one machine."""

from __future__ import annotations

import hashlib
import os

import torch

from core.hardware import usable_cpus


def make_deterministic() -> None:
    """Deterministic kernels where torch has them (a warning on standard error where not), one thread a core.

    An ``OMP_NUM_THREADS`` set by the user wins. Uninitialised memory is left alone: we read none of it.
    """
    # use_deterministic_algorithms would import torch's compiler, too, for seconds; renders do without it.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(usable_cpus())


def derived_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for a second source of randomness, independent of the noise drawn from ``seed``."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
