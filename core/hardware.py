"""What this machine has: processors, memory, NVIDIA GPUs. Facts only, without torch.

GPUs are asked through NVML where its Python binding is installed (the ``cuda`` extra); without it the list is
empty and the engine still finds a GPU by itself when the device is ``auto``.
"""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from typing import Any, Literal

import psutil

from core.errors import BadSetting

_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]+")
_DEVICE_FORMS = "auto, cpu or cuda:UUID"


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU. ``capability`` is the compute capability, such as (9, 0)."""

    uuid: str
    name: str
    capability: tuple[int, int]
    memory_bytes: int


@dataclass(frozen=True)
class Machine:
    """Processors this process may use, memory in bytes, GPUs in NVML's order."""

    cpu_count: int
    ram_bytes: int
    ram_available_bytes: int
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True)
class Device:
    """Where to render. ``uuid`` names a GPU, only with kind ``cuda``."""

    kind: Literal["auto", "cpu", "cuda"]
    uuid: str | None = None


def usable_cpus() -> int:
    """Logical processors that this process may run on (affinity respected where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_gpus() -> tuple[Gpu, ...]:
    """NVIDIA GPUs through NVML; empty where NVML or its binding is missing."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()  # no driver: a machine without a GPU
    try:
        return tuple(_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        capability=(int(major), int(minor)),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
    )


def _text(value: str | bytes) -> str:
    """Older bindings answer in bytes."""
    return value.decode() if isinstance(value, bytes) else value


def inspect_machine() -> Machine:
    """The facts of this machine, now."""
    memory = psutil.virtual_memory()
    return Machine(usable_cpus(), int(memory.total), int(memory.available), list_gpus())


def parse_device(text: str) -> Device:
    """``auto``, ``cpu`` or ``cuda:UUID``.

    Raises:
        BadSetting: any other text; also ``cuda:0``, because an index can mean another GPU tomorrow.
    """
    if text == "auto":
        return Device("auto")
    if text == "cpu":
        return Device("cpu")
    kind, _, uuid = text.partition(":")
    if kind == "cuda" and _UUID.fullmatch(uuid):
        return Device("cuda", uuid)
    raise BadSetting(
        f"The device '{text}' is not known.",
        value=text,
        limit=_DEVICE_FORMS,
        action=f"Use {_DEVICE_FORMS}; `pirouette hardware` lists the UUIDs.",
    )


def require_gpu(device: Device, gpus: tuple[Gpu, ...]) -> None:
    """Refuse a UUID that is on none of the GPUs NVML listed; without a list the engine decides.

    Raises:
        BadSetting: the GPU is not in this machine.
    """
    known = [gpu.uuid for gpu in gpus]
    if device.kind == "cuda" and known and not any(uuid.startswith(str(device.uuid)) for uuid in known):
        raise BadSetting(
            f"There is no GPU {device.uuid} in this machine.",
            value=device.uuid,
            limit=", ".join(known),
            action="Choose one that `pirouette hardware` lists, or auto.",
        )
