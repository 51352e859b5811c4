"""The tensors of a module in one run of memory, so that one copy moves them all."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

ALIGNMENT = 256
PAGE = 4096


@dataclass(frozen=True)
class Place:
    """Where one tensor of a module stands within the run."""

    owner: nn.Module
    name: str
    trained: bool
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    size_bytes: int

    def view(self, run: Tensor) -> Tensor:
        """The tensor inside ``run``, uint8."""
        return run[self.start : self.start + self.size_bytes].view(self.dtype).view(self.shape)

    def put(self, tensor: Tensor) -> None:
        """Let the module use ``tensor`` from now on."""
        if self.trained:
            self.owner._parameters[self.name] = nn.Parameter(tensor, requires_grad=False)
        else:
            self.owner._buffers[self.name] = tensor


class PackedModule:
    """A module whose parameters and buffers lie in one run of host memory, and can be used from copies of it.

    Args:
        module: its tensors are copied into the run and from then on are views of it.
        pin: page-lock the run, which lets a GPU copy it at full speed beside its computing.
    """

    def __init__(self, module: nn.Module, *, pin: bool) -> None:
        self._places, self.size_bytes = _plan(module)
        self._run = HostRun(self.size_bytes, pin=pin)
        self.host = self._run.memory
        with torch.no_grad():
            for place in self._places:
                place.view(self.host).copy_(getattr(place.owner, place.name))
        self.use(self.host)

    def use(self, run: Tensor) -> None:
        """Make the module's tensors views of ``run``, uint8 of at least ``size_bytes``."""
        for place in self._places:
            place.put(place.view(run))


def _plan(module: nn.Module) -> tuple[list[Place], int]:
    places, end = [], 0
    for owner, name, tensor, trained in _tensors(module):
        size = tensor.numel() * tensor.element_size()
        places.append(Place(owner, name, trained, tensor.dtype, tuple(tensor.shape), end, size))
        end += math.ceil(size / ALIGNMENT) * ALIGNMENT
    return places, end


def _tensors(module: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor, bool]]:
    for owner in module.modules():
        for name, parameter in owner._parameters.items():
            if parameter is not None:
                yield owner, name, parameter.detach(), True
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                yield owner, name, buffer, False


class HostRun:
    """uint8 host memory; page-locked where asked for and possible, else ordinary, which only copies slower.

    Torch's own pinned allocator rounds up to a power of two, a quarter too much for a 14B block, so the pages
    are locked here. They are unlocked when this object goes; the memory itself lives as long as its views.

    Args:
        size_bytes: how much.
        pin: lock the pages, for a GPU.
    """

    def __init__(self, size_bytes: int, *, pin: bool) -> None:
        raw = torch.empty(size_bytes + 2 * PAGE, dtype=torch.uint8)
        first = -raw.data_ptr() % PAGE
        self.memory = raw[first : first + math.ceil(size_bytes / PAGE) * PAGE]
        if pin and size_bytes:
            self._lock(raw)

    def _lock(self, raw: Tensor) -> None:
        runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        pointer = self.memory.data_ptr()
        if int(runtime.cudaHostRegister(pointer, len(self.memory), 0)) == 0:
            weakref.finalize(self, _unlock, runtime, pointer, raw)
        else:
            with contextlib.suppress(RuntimeError):  # CUDA would tell of it at the next kernel
                torch.zeros(1, device="cuda")


def _unlock(runtime: Any, pointer: int, _raw: Tensor) -> None:
    """Before the memory is freed, which ``_raw`` puts off until now."""
    runtime.cudaHostUnregister(pointer)
