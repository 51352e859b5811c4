"""Whether a GPU or a process is at work now."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from core.hardware.nvidia import sees_all_processes

_LOGGER = logging.getLogger(__name__)
# A desktop that only shows windows stays below this; a render is far above it.
_BUSY_PERCENT: Final = 10
# How far back the driver is asked for samples of processes, which it takes several times a second.
_WINDOW_S: Final = 2.0


def gpu_busy(uuid: str | None, pid: int | None = None, root: Path = Path("/")) -> bool | None:
    """Whether a GPU computes; None where nobody can tell (no NVML, a MIG instance).

    Args:
        uuid: the GPU as NVML names it or the beginning of that, None for any of this machine.
        pid: only what this process does, where the driver tells processes apart; else the whole GPU's use.
        root: where ``proc`` is.
    """
    with _nvml() as nvml:
        if nvml is None:
            return None
        asked = pid if pid is not None and sees_all_processes(root) else None
        answers = [_busy(nvml, handle, asked) for handle in _handles(nvml, uuid)]
    known = [answer for answer in answers if answer is not None]
    return any(known) if known else None


def cpu_seconds(pid: int) -> float | None:
    """Processor time that a process and those below it have taken, in seconds; None once it is gone.

    It grows with the work of children that have ended, too, where the system counts them; else it may shrink.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    return sum(map(_own_seconds, family))


def read_bytes(pid: int) -> int | None:
    """What drives have read for a process, pages of mapped files and of swap too; None where not known.

    macOS does not tell, Windows leaves out pages.
    """
    try:
        counters = getattr(psutil.Process(pid), "io_counters", None)
        return None if counters is None else int(counters().read_bytes)
    except (psutil.Error, OSError, NotImplementedError):
        return None


def _own_seconds(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))  # user and system, its own and of ended children
    except psutil.Error:
        return 0.0  # ended meanwhile


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVML's binding, started; None where there is none."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception as error:  # no binding, or its own errors for no library and no driver
        _LOGGER.debug("NVML does not start: %s", error)
        yield None
        return
    try:
        yield nvml
    finally:
        with suppress(Exception):  # all answers are in
            nvml.nvmlShutdown()


def _handles(nvml: Any, uuid: str | None) -> Iterator[Any]:
    for index in range(_ask(nvml, "nvmlDeviceGetCount") or 0):
        handle = _ask(nvml, "nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            continue  # fallen off the bus, or not ours to use
        name = _ask(nvml, "nvmlDeviceGetUUID", handle)
        text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        if uuid is None or text.startswith(uuid):
            yield handle


def _busy(nvml: Any, handle: Any, pid: int | None) -> bool | None:
    if pid is not None and (of_process := _process_busy(nvml, handle, pid)) is not None:
        return of_process
    rates = _ask(nvml, "nvmlDeviceGetUtilizationRates", handle)
    return None if rates is None else int(rates.gpu) >= _BUSY_PERCENT


def _process_busy(nvml: Any, handle: Any, pid: int) -> bool | None:
    """Whether this process used the GPU lately; None where the driver does not say (most of Windows)."""
    since_us = int((time.time() - _WINDOW_S) * 1_000_000)
    try:
        samples = nvml.nvmlDeviceGetProcessUtilization(handle, since_us)
    except Exception as error:  # the binding has errors of its own
        if type(error).__name__ == "NVMLError_NotFound":
            return False  # nobody did anything in that time
        _LOGGER.debug("NVML does not tell the processes' use: %s", error)
        return None
    return any(int(sample.pid) == pid and int(sample.smUtil) > 0 for sample in samples)


def _ask(nvml: Any, question: str, *arguments: Any) -> Any:
    try:
        return getattr(nvml, question)(*arguments)
    except Exception as error:  # unsupported, forbidden, an old binding
        _LOGGER.debug("NVML does not answer %s: %s", question, error)
        return None
