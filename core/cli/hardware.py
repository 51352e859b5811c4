"""``pirouette hardware``: what this machine has, and in one line what that means for Pirouette."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from core.catalogue.catalogue import Catalogue
from core.catalogue.measurements import Measurements
from core.catalogue.planning.reasons import seconds
from core.catalogue.recommend import recommend
from core.catalogue.store import open_store
from core.catalogue.store.selection import ANY_14B
from core.cli.console import print_json
from core.codec import to_data
from core.errors import PirouetteError
from core.hardware import Drive, Gpu, GpuProcess, Machine, inspect_machine
from core.hardware.kernels_file import FOLDER, KernelsFile, describe_kernels, kernels_path, read_kernels
from core.settings import places

_GIB: Final = 2**30
_UNKNOWN: Final = "unknown"
_INDENT: Final = 12


def hardware(options: argparse.Namespace) -> int:
    """``pirouette hardware``."""
    if options.kernels:
        return try_kernels(options.json)
    root, catalogue, problem = _store()
    machine = inspect_machine(asdict(places()) | {"models": root})
    kernels = kept_kernels(machine)
    if options.json:
        print_json(machine_data(machine, kernels))
        return 0
    print(
        "\n".join([*describe(machine, kernels), "", problem or meaning(machine, catalogue, Measurements())])
    )
    return 0


def try_kernels(as_json: bool) -> int:
    """What our kernels need, tried now; 1 where something does not work."""
    from core.engine.fast.selfcheck import check_kernels  # torch

    steps = []
    for step in check_kernels(places().cache):
        steps.append(step)
        if not as_json:
            print(_line("" if steps[1:] else "Kernels", f"{step.name}: {step.told}"), flush=True)
    works = all(step.works for step in steps)
    if as_json:
        print_json({"works": works, "steps": to_data(steps)})
    elif not works:
        print(_line("", "Renders compute without them, in plain PyTorch."))
    return 0 if works else 1


def kept_kernels(machine: Machine) -> dict[str, KernelsFile]:
    """What the engine has measured of the GPUs' kernels, by UUID; nothing before the first render on one."""
    folder = places().cache / FOLDER
    found = {gpu.uuid: read_kernels(kernels_path(folder, gpu.uuid)) for gpu in machine.gpus if gpu.capability}
    return {uuid: kernels for uuid, kernels in found.items() if kernels is not None}


def machine_data(machine: Machine, kernels: Mapping[str, KernelsFile] | None = None) -> dict[str, Any]:
    """The object that ``--json`` prints: the fields of ``Machine``, null where something is unknown.

    A GPU whose kernels were measured has ``kernels``: the figures, and the choices that follow.
    """
    data: dict[str, Any] = to_data(machine)
    for gpu in data["gpus"]:
        gpu["memory_bytes"] = gpu["memory_bytes"] or None
        if known := (kernels or {}).get(gpu["uuid"]):
            gpu["kernels"] = to_data(known) | {"choices": to_data(known.choices())}
    return data


def describe(machine: Machine, kernels: Mapping[str, KernelsFile] | None = None) -> Iterator[str]:
    """The lines for people; ``kernels`` by the GPU's UUID."""
    yield _line("System", machine.system or _UNKNOWN)
    cores = f", {machine.cpu_cores} cores" if machine.cpu_cores else ""
    threads = f"{machine.cpu_count} usable thread{'s' if machine.cpu_count > 1 else ''}"
    yield _line("Processor", f"{machine.cpu_name or _UNKNOWN}{cores}, {threads}")
    yield _line("Memory", f"{size(machine.ram_bytes)}, {size(machine.ram_available_bytes)} available")
    yield _line("Page file", "none" if machine.page_file_bytes == 0 else size(machine.page_file_bytes))
    for gpu in machine.gpus:
        yield from _gpu_lines(gpu)
        if kernels and gpu.uuid in kernels:
            yield from (_line("", line) for line in describe_kernels(kernels[gpu.uuid]))
    if not machine.gpus:
        yield _line("GPU", "none found")
    for drive in machine.drives:
        yield _line("Drive", _drive(drive))


def meaning(
    machine: Machine, catalogue: Catalogue | None = None, measurements: Measurements | None = None
) -> str:
    """What the planner makes of the machine, in one line; ``pirouette plan`` has the figures."""
    mini = "The embedded model, mini, renders on any machine."
    found = recommend(machine, catalogue, measurements=measurements)
    best = found.plan
    if found.refusal is not None:
        return f"{found.refusal} {mini}"
    if not best.fits:
        return f"The 14B models do not fit as things are. {' '.join([*found.obstacles, found.advice])} {mini}"
    where = {"streamed": "partly on the GPU", "phased": "on the GPU, one part at a time"}
    time = f", about {seconds(best.time_s)} for {best.frames} frames" if best.time_s else ""
    return (
        f"{best.model} runs {where.get(best.residency, 'on the GPU')}{time}: "
        f"`pirouette models get {ANY_14B}` downloads it, `pirouette plan` has the details."
    )


def _store() -> tuple[Path, Catalogue | None, str]:
    """Where the models are, and the catalogue; a settings file that cannot be read hides no hardware."""
    try:
        store = open_store()
    except PirouetteError as error:
        return places().models, None, error.sentence()
    return store.root, store.catalogue, ""


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
