"""A double for the GPU library: NVML's binding with answers by question.

An answer is a value, a function of the handle and further arguments, or an exception to raise. A question
without one is unknown, as to a driver or a binding that is too old. Handles are numbers.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

GIB = 2**30


class NVMLError(Exception):
    """Stands in for NVML's own error."""


def fake_nvml(driver: bool = True, **answers: Any) -> types.ModuleType:
    """The module; the answers' names lack ``nvml``: ``DeviceGetCount=2``."""
    module = types.ModuleType("pynvml")
    start = None if driver else NVMLError("Driver Not Loaded")
    usual = {"Init": start, "Shutdown": None, "DeviceGetCount": 1, "DeviceGetHandleByIndex": lambda at: at}
    for name, answer in (usual | answers).items():
        setattr(module, f"nvml{name}", _question(answer))
    vars(module).update(NVMLError=NVMLError, NVML_CLOCK_SM=1, NVML_CLOCK_MEM=2)
    return module


def _question(answer: Any) -> Callable[..., Any]:
    def ask(*arguments: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer(*arguments) if callable(answer) else answer

    return ask


def memory(total: int, free: int) -> types.SimpleNamespace:
    """Sizes in bytes, as NVML packs them."""
    return types.SimpleNamespace(total=total, free=free, used=total - free)


def process(pid: int, used: int | None) -> types.SimpleNamespace:
    """A process and the bytes it holds."""
    return types.SimpleNamespace(pid=pid, usedGpuMemory=used)


def good_answers(uuid: str) -> dict[str, Any]:
    """A whole card with 24 GiB that answers everything."""
    return {
        "SystemGetDriverVersion": "580.1",
        "DeviceGetUUID": uuid.encode(),
        "DeviceGetName": "Some GPU",
        "DeviceGetCudaComputeCapability": (8, 9),
        "DeviceGetMemoryInfo": memory(24 * GIB, 20 * GIB),
        "DeviceGetNumGpuCores": 16384,
        "DeviceGetMaxClockInfo": lambda _, kind: {1: 2520, 2: 10501}[kind],
        "DeviceGetMemoryBusWidth": 384,
        "DeviceGetMaxPcieLinkGeneration": 4,
        "DeviceGetCurrPcieLinkWidth": 16,
        "DeviceGetMigMode": NVMLError("Not Supported"),
        "DeviceGetComputeRunningProcesses": [],
        "DeviceGetGraphicsRunningProcesses": [],
    }
