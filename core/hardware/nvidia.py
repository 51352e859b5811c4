"""NVIDIA's GPUs through NVML, each question on its own: one without an answer leaves the rest known."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import psutil

from core.hardware.facts import Gpu, GpuProcess

_LOGGER = logging.getLogger(__name__)
_TRANSFERS_PER_CLOCK: Final = 2  # the memory clock that NVML tells is that of a double data rate
_FIRST_PID_NAMESPACE: Final = "pid:[4026531836]"  # the kernel's constant PROC_PID_INIT_INO


def list_nvidia(root: Path = Path("/")) -> tuple[Gpu, ...] | None:
    """The GPUs in NVML's order, MIG instances in place of a card that is split; None where NVML is missing.

    Args:
        root: where ``proc`` is.
    """
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except Exception as error:  # the binding has errors of its own for no library, no driver, a wrong version
        _LOGGER.debug("NVML does not start: %s", error)
        return None
    try:
        return tuple(_Questions(nvml, root).gpus())
    finally:
        with suppress(Exception):  # all answers are in
            nvml.nvmlShutdown()


class _Questions:
    """NVML between its start and its end.

    Args:
        nvml: the binding.
        root: where ``proc`` is.
    """

    def __init__(self, nvml: Any, root: Path) -> None:
        self._nvml = nvml
        self._driver = _text(self._ask("nvmlSystemGetDriverVersion"))
        self._named = sees_all_processes(root)

    def gpus(self) -> Iterator[Gpu]:
        """Every GPU that CUDA could be given."""
        for index in range(self._ask("nvmlDeviceGetCount") or 0):
            handle = self._ask("nvmlDeviceGetHandleByIndex", index)
            if handle is None:
                continue  # fallen off the bus, or not ours to use
            if (self._ask("nvmlDeviceGetMigMode", handle) or (0, 0))[0]:
                yield from self._instances(handle)  # CUDA refuses the card as a whole
            else:
                yield self._gpu(handle)

    def _ask(self, question: str, *arguments: Any) -> Any:
        """The answer, or None: unsupported by the card, unknown to an old driver or binding, forbidden."""
        try:
            return getattr(self._nvml, question)(*arguments)
        except Exception as error:  # see ``list_nvidia``
            _LOGGER.debug("NVML does not answer %s: %s", question, error)
            return None

    def _gpu(self, handle: Any) -> Gpu:
        clock_mhz = self._ask("nvmlDeviceGetMaxClockInfo", handle, self._constant("NVML_CLOCK_SM", 1))
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        return Gpu(
            uuid=_text(self._ask("nvmlDeviceGetUUID", handle)) or "",
            name=_text(self._ask("nvmlDeviceGetName", handle)) or "unknown NVIDIA GPU",
            capability=self._capability(handle),
            memory_bytes=int(memory.total) if memory else 0,
            memory_free_bytes=int(memory.free) if memory else None,
            cores=_count(self._ask("nvmlDeviceGetNumGpuCores", handle)),
            clock_hz=clock_mhz * 1_000_000 if clock_mhz else None,
            memory_bandwidth=self._bandwidth(handle),
            pcie_generation=_count(self._ask("nvmlDeviceGetMaxPcieLinkGeneration", handle)),
            pcie_width=_count(self._ask("nvmlDeviceGetCurrPcieLinkWidth", handle)),
            driver=self._driver,
            processes=self._processes(handle),
        )

    def _instances(self, card: Any) -> Iterator[Gpu]:
        """MIG instances. Cores and bandwidth known are the whole card's, so they are left out."""
        for index in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", card) or 0):
            handle = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", card, index)
            if handle is None:
                continue
            memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
            yield Gpu(
                uuid=_text(self._ask("nvmlDeviceGetUUID", handle)) or "",
                name=_text(self._ask("nvmlDeviceGetName", handle)) or "unknown MIG instance",
                capability=self._capability(card),
                memory_bytes=int(memory.total) if memory else 0,
                memory_free_bytes=int(memory.free) if memory else None,
                pcie_generation=_count(self._ask("nvmlDeviceGetMaxPcieLinkGeneration", card)),
                pcie_width=_count(self._ask("nvmlDeviceGetCurrPcieLinkWidth", card)),
                driver=self._driver,
                processes=self._processes(handle),
            )

    def _capability(self, handle: Any) -> tuple[int, int] | None:
        answer = self._ask("nvmlDeviceGetCudaComputeCapability", handle)
        return (int(answer[0]), int(answer[1])) if answer else None

    def _bandwidth(self, handle: Any) -> int | None:
        """Bytes per second: bus width times clock times two."""
        bits = self._ask("nvmlDeviceGetMemoryBusWidth", handle)
        clock_mhz = self._ask("nvmlDeviceGetMaxClockInfo", handle, self._constant("NVML_CLOCK_MEM", 2))
        if not bits or not clock_mhz:
            return None
        return int(bits) // 8 * int(clock_mhz) * 1_000_000 * _TRANSFERS_PER_CLOCK

    def _constant(self, name: str, otherwise: int) -> int:
        return int(getattr(self._nvml, name, otherwise))

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        """Who else uses it, the largest first; one that computes and draws is told twice and kept once."""
        found: dict[int, int | None] = {}
        for kind in ("Compute", "Graphics"):
            for process in self._running(kind, handle):
                pid, used = int(process.pid), process.usedGpuMemory
                found[pid] = max(found.get(pid) or 0, int(used)) if used is not None else found.get(pid)
        found.pop(os.getpid(), None)
        largest_first = sorted(found.items(), key=lambda item: (-(item[1] or 0), item[0]))
        return tuple(
            GpuProcess(pid, _process_name(pid) if self._named else None, used) for pid, used in largest_first
        )

    def _running(self, kind: str, handle: Any) -> list[Any]:
        """Drivers before 510 know the second form of the question only."""
        question = f"nvmlDeviceGet{kind}RunningProcesses"
        answer = self._ask(question, handle)
        if answer is None:
            answer = self._ask(f"{question}_v2", handle)
        return cast(list[Any], answer or [])


def sees_all_processes(root: Path) -> bool:
    """NVML tells the host's process ids: in a container these would name the wrong processes."""
    try:
        return (root / "proc/self/ns/pid").readlink().name == _FIRST_PID_NAMESPACE
    except OSError:
        return not (root / "proc/self").exists()  # no Linux


def _process_name(pid: int) -> str | None:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return None  # ended meanwhile, or another user's


def _text(value: str | bytes | None) -> str | None:
    """Older bindings answer in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _count(value: Any) -> int | None:
    """Zero is no sensible count: some drivers say it for "unknown"."""
    return int(value) if value else None
