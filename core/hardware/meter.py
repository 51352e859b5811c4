"""Memory in use, read every few seconds: NVML stays open, so that a reading costs next to nothing."""

from __future__ import annotations

import importlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.hardware import host
from core.hardware.limits import read_limits

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """Memory now, in bytes; None of the GPU where there is none or it does not tell."""

    ram_used_bytes: int
    ram_total_bytes: int
    vram_used_bytes: int | None = None
    vram_total_bytes: int | None = None


class Meter:
    """Reads memory; to be used from one thread.

    Args:
        root: where ``proc`` and ``sys`` are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._nvml: Any = None
        self._tried = False
        self._handles: dict[str, Any] = {}

    def read(self, uuid: str | None) -> Reading:
        """Of the host, and of the NVIDIA GPU with this UUID."""
        total, available = host.memory(read_limits(self._root))
        used, size = self._gpu(uuid) if uuid else (None, None)
        return Reading(total - available, total, used, size)

    def close(self) -> None:
        """Let NVML go; the next reading would start it again."""
        if self._nvml is not None:
            with suppress(Exception):  # the driver may be gone meanwhile
                self._nvml.nvmlShutdown()
        self._nvml, self._tried = None, False
        self._handles.clear()

    def _gpu(self, uuid: str) -> tuple[int | None, int | None]:
        nvml = self._started()
        if nvml is None:
            return None, None
        try:
            if uuid not in self._handles:
                self._handles[uuid] = nvml.nvmlDeviceGetHandleByUUID(uuid)
            memory = nvml.nvmlDeviceGetMemoryInfo(self._handles[uuid])
        except Exception as error:  # the binding has errors of its own: fallen off the bus, driver updated
            _LOGGER.debug("NVML does not tell the memory of %s: %s", uuid, error)
            self._handles.pop(uuid, None)
            return None, None
        return int(memory.used), int(memory.total)

    def _started(self) -> Any:
        if not self._tried:
            self._tried = True
            try:
                nvml = importlib.import_module("pynvml")
                nvml.nvmlInit()
            except Exception as error:  # no binding, no library, no driver, a wrong version
                _LOGGER.debug("NVML does not start: %s", error)
                return None
            self._nvml = nvml
        return self._nvml
