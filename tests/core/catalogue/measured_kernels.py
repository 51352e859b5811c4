"""What an engine would have measured of the planner's made-up GPU, ``machines.machine``'s."""

from __future__ import annotations

from core.hardware.kernels_file import (
    BLOCK,
    DENSE,
    FOLDER,
    LINEAR,
    KernelsFile,
    Measured,
    kernels_path,
    write_kernels,
)
from core.settings import places

MILLISECONDS = {
    (DENSE, "sdpa"): 10.0,
    (DENSE, "cudnn"): 8.0,
    (DENSE, "flash3"): 6.0,
    (DENSE, "pirouette8"): 5.0,
    (LINEAR, "float"): 4.0,
    (LINEAR, "fp8"): 2.2,
    (LINEAR, "fp8_fast"): 2.0,
    (LINEAR, "int8"): 3.0,
    (BLOCK, "fused"): 1.0,
    (BLOCK, "plain"): 3.0,
}
ERRORS = {"pirouette8": 0.03, "fp8": 0.03, "fp8_fast": 0.03, "int8": 0.01}


def measure(driver: str = "", **changes: float | str) -> None:
    """Keep figures of the GPU ``GPU-1``, in this test's cache folder.

    Args:
        driver: that they belong to.
        changes: by candidate, other milliseconds, or why it cannot be used.
    """
    measured = []
    for (group, name), usual in MILLISECONDS.items():
        told = changes.get(name, usual)
        if isinstance(told, str):
            measured.append(Measured(group, name, problem=told))
        else:
            measured.append(Measured(group, name, told / 1e3, ERRORS.get(name, 0.003)))
    path = kernels_path(places().cache / FOLDER, "GPU-1")
    write_kernels(path, KernelsFile("a card", {"driver": driver}, tuple(measured)))
