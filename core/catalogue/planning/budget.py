"""Where a render runs and what it may use there: the machine seen by the planner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import LOWEST_CAPABILITY
from core.catalogue.planning.kernels import UNKNOWN, Kernels, kernels_of
from core.hardware import Gpu, Machine, parse_device

GPU_CALLED = {
    "amd": "an AMD GPU, which needs a torch built for ROCm and has not been tried with this version",
    "apple": "an Apple GPU, for which this version has no path",
    "intel": "an Intel GPU, for which this version has no path",
    "unknown": "a GPU of an unknown make",
}


@dataclass(frozen=True)
class Budget:
    """What a plan may use.

    Attributes:
        kind: ``gpu``, ``cpu``, or ``unknown`` where no machine was given and nothing is limited.
        device: for ``Plan.device``.
        vram_bytes, ram_bytes: limits, None for no limit known; free memory where that is known.
        refusal: why plans for this GPU do not count as fitting, None where they do.
        kernels: what is known of the GPU's kernels.
    """

    kind: Literal["gpu", "cpu", "unknown"]
    device: str
    vram_bytes: int | None = None
    ram_bytes: int | None = None
    gpu: Gpu | None = None
    cpu_count: int | None = None
    refusal: str | None = None
    kernels: Kernels = UNKNOWN


def budget_for(device: str, machine: Machine | None) -> Budget:
    """The budget for a request's ``device`` on a machine: the GPU it names, else the one with most memory.

    Raises:
        BadSetting: ``device`` is none of ``auto``, ``cpu`` and ``cuda:UUID``.
    """
    wanted = parse_device(device)
    if machine is None:
        return Budget("cpu" if wanted.kind == "cpu" else "unknown", device)
    gpu = None if wanted.kind == "cpu" else pick_gpu(machine, wanted.uuid)
    if gpu is None:
        refusal = None if wanted.kind == "cpu" else _why_no_gpu(machine)
        return cpu_budget(machine, refusal)
    return Budget(
        kind="gpu",
        device=f"cuda:{gpu.uuid}",
        vram_bytes=usable_vram(gpu),
        ram_bytes=machine.ram_available_bytes,
        gpu=gpu,
        cpu_count=machine.cpu_count,
        refusal=_why_not(gpu),
        kernels=kernels_of(gpu),
    )


def cpu_budget(machine: Machine, refusal: str | None = None) -> Budget:
    """The processors alone; ``refusal`` says why no GPU is used."""
    return Budget(
        "cpu",
        "cpu",
        ram_bytes=machine.ram_available_bytes,
        cpu_count=machine.cpu_count,
        refusal=refusal,
    )


def pick_gpu(machine: Machine, uuid: str | None) -> Gpu | None:
    """The NVIDIA GPU that a UUID (or its beginning) names, else the supported one with most usable memory."""
    cards = [gpu for gpu in machine.gpus if gpu.vendor == "nvidia" and gpu.memory_bytes > 0]
    if uuid is not None:
        cards = [gpu for gpu in cards if gpu.uuid.startswith(uuid)]
    return max(cards, key=lambda gpu: (_why_not(gpu) is None, usable_vram(gpu)), default=None)


def usable_vram(gpu: Gpu) -> int:
    """Free memory where it is known, else all of it."""
    free = gpu.memory_free_bytes
    return gpu.memory_bytes if free is None else min(free, gpu.memory_bytes)


def effective_rate(gpu: Gpu) -> tuple[float, str]:
    """16-bit operations per second of a whole forward, and where the figure comes from.

    Never falls with a higher capability or more memory where cores and clock are unknown.
    """
    if gpu.cores and gpu.clock_hz and gpu.capability:
        known = [factor for least, factor in c.OPERATIONS_PER_CORE_AND_CLOCK if gpu.capability >= least]
        factor = known[-1] if known else 1.0
        peak = gpu.cores * gpu.clock_hz * factor
        return peak * c.EFFICIENCY, "computed from its cores and clock"
    capability, gib = gpu.capability or (0, 0), gpu.memory_bytes / c.GIB
    usual = [rate for least, size, rate in c.GUESSED_RATES if capability >= least and gib >= size]
    lowest = min(rate for _, _, rate in c.GUESSED_RATES)
    return max(usual, default=lowest), "guessed from its capability and memory"


def pcie_rate(gpu: Gpu) -> float:
    """Bytes per second from host memory."""
    if gpu.host_bandwidth:
        return float(gpu.host_bandwidth)
    if gpu.pcie_generation and gpu.pcie_width:
        fastest = max(c.PCIE_BYTES_PER_S_AND_LANE)
        lane = c.PCIE_BYTES_PER_S_AND_LANE.get(min(gpu.pcie_generation, fastest), c.PCIE_BYTES_PER_S / 16)
        return lane * gpu.pcie_width
    return c.PCIE_BYTES_PER_S


def _why_not(gpu: Gpu) -> str | None:
    if gpu.capability is None:
        return "The GPU's compute capability is unknown, so nothing can be promised for it."
    if gpu.capability < LOWEST_CAPABILITY:
        major, minor = gpu.capability
        least = ".".join(map(str, LOWEST_CAPABILITY))
        return f"The GPU's compute capability {major}.{minor} is below {least}, the lowest that is supported."
    return None


def _why_no_gpu(machine: Machine) -> str:
    others = [GPU_CALLED[gpu.vendor] for gpu in machine.gpus if gpu.vendor in GPU_CALLED]
    if others:
        return f"This machine has {others[0]}."
    if machine.gpus:
        return "This machine has an NVIDIA GPU whose driver does not answer: install or repair the driver."
    return "This machine has no NVIDIA GPU."
