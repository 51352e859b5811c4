"""``pirouette hardware``: what this machine has, and in one line what that means for Pirouette."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from core.cli.console import print_json
from core.codec import to_data
from core.hardware import Drive, Gpu, GpuProcess, Machine, inspect_machine
from core.settings import places

_GIB: Final = 2**30
_UNKNOWN: Final = "unknown"
_INDENT: Final = 12
# Compute capability below which current builds of torch have no kernels.
_OLDEST: Final = (7, 5)
# Video memory for the 14B checkpoint as published, and for a quantised one, all blocks on the GPU.
_WHOLE_BYTES: Final = 44_000_000_000
_QUANTISED_BYTES: Final = 23_000_000_000


def hardware(options: argparse.Namespace) -> int:
    """``pirouette hardware``."""
    machine = inspect_machine(asdict(places()))
    if options.json:
        print_json(machine_data(machine))
    else:
        print("\n".join(describe(machine)))
    return 0


def machine_data(machine: Machine) -> dict[str, Any]:
    """The object that ``--json`` prints: the fields of ``Machine``, null where something is unknown."""
    data: dict[str, Any] = to_data(machine)
    for gpu in data["gpus"]:
        gpu["memory_bytes"] = gpu["memory_bytes"] or None
    return data


def describe(machine: Machine) -> Iterator[str]:
    """The lines for people."""
    yield _line("System", machine.system or _UNKNOWN)
    cores = f", {machine.cpu_cores} cores" if machine.cpu_cores else ""
    threads = f"{machine.cpu_count} usable thread{'s' if machine.cpu_count > 1 else ''}"
    yield _line("Processor", f"{machine.cpu_name or _UNKNOWN}{cores}, {threads}")
    yield _line("Memory", f"{size(machine.ram_bytes)}, {size(machine.ram_available_bytes)} available")
    yield _line("Page file", "none" if machine.page_file_bytes == 0 else size(machine.page_file_bytes))
    for gpu in machine.gpus:
        yield from _gpu_lines(gpu)
    if not machine.gpus:
        yield _line("GPU", "none found")
    for drive in machine.drives:
        yield _line("Drive", _drive(drive))
    yield ""
    yield meaning(machine)


def meaning(machine: Machine) -> str:
    """One sentence; ``pirouette plan`` has the figures."""
    usable = [gpu for gpu in machine.gpus if gpu.capability is not None and gpu.capability >= _OLDEST]
    mini = "the embedded model renders on the processor"
    if usable:
        return f"{_verdict(max(gpu.memory_bytes for gpu in usable))} `pirouette plan` has the details."
    if not machine.gpus:
        return f"No GPU: {mini}; the 14B models need an NVIDIA GPU."
    if any(gpu.vendor == "nvidia" and gpu.driver is None for gpu in machine.gpus):
        return f"NVIDIA's driver does not answer: install it to use the GPU; until then {mini}."
    if any(gpu.capability is not None for gpu in machine.gpus):
        oldest = ".".join(map(str, _OLDEST))
        return f"The GPU is too old for this version (compute capability below {oldest}): {mini}."
    return f"This version has no fast path for this GPU: {mini}; the 14B models need an NVIDIA GPU."


def _verdict(vram_bytes: int) -> str:
    """By bytes alone, never by the card's name."""
    if vram_bytes >= _WHOLE_BYTES:
        return "The 14B models should fit on the GPU as published."
    if vram_bytes >= _QUANTISED_BYTES:
        return "The 14B models should fit on the GPU in a quantised form."
    if vram_bytes:
        return "The 14B models can run with a part of them in the computer's memory, where that suffices."
    return "The GPU does not tell its memory, so nobody can say which model fits."


def size(size_bytes: int | None) -> str:
    """Bytes for people."""
    return _UNKNOWN if size_bytes is None else f"{size_bytes / _GIB:,.1f} GiB"


def _line(title: str, text: str) -> str:
    return f"{title + ':' if title else '':<{_INDENT}}{text}"


def _gpu_lines(gpu: Gpu) -> Iterator[str]:
    yield _line("GPU", gpu.name + (f" ({gpu.architecture})" if gpu.architecture else ""))
    yield _line("", _memory(gpu))
    facts = [*_compute(gpu), *_link(gpu), f"driver {gpu.driver or _UNKNOWN}"]
    yield _line("", ", ".join(facts))
    for process in gpu.processes:
        yield _line("", _process(process))
    yield _line("", f"--device cuda:{gpu.uuid}" if gpu.capability else gpu.uuid)


def _memory(gpu: Gpu) -> str:
    if gpu.unified_memory:
        return f"{size(gpu.memory_bytes or None)} shared with the processor"
    return f"{size(gpu.memory_bytes or None)}, {size(gpu.memory_free_bytes)} free"


def _compute(gpu: Gpu) -> Iterator[str]:
    if gpu.vendor == "nvidia":
        capability = ".".join(map(str, gpu.capability)) if gpu.capability else _UNKNOWN
        yield f"compute capability {capability}"
    if gpu.cores and gpu.clock_hz:
        yield f"{gpu.cores:,} cores at {gpu.clock_hz / 1e9:.2f} GHz"
    if gpu.memory_bandwidth:
        yield f"{gpu.memory_bandwidth / 1e9:,.0f} GB/s"


def _link(gpu: Gpu) -> Iterator[str]:
    if gpu.pcie_generation or gpu.pcie_width:
        yield f"PCIe {gpu.pcie_generation or _UNKNOWN} x{gpu.pcie_width or '?'}"


def _process(process: GpuProcess) -> str:
    return f"in use by {process.name or 'a process'} ({process.pid}): {size(process.memory_bytes)}"


def _drive(drive: Drive) -> str:
    uses = f" ({', '.join(drive.uses)})" if drive.uses else ""
    return f"{drive.path}  {size(drive.free_bytes)} free of {size(drive.total_bytes)}{uses}"
