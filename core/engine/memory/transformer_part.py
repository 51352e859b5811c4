"""The transformer as a part that comes from its file when it is needed, whole or block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from core.engine.interfaces import Hooks
from core.engine.machine import give_back
from core.engine.memory.stream import BlockStream, streamed_indices
from core.types import Progress

Patch = Callable[[nn.Module, str], object]
BLOCKS = "blocks"


def unpatched(_module: nn.Module, _prefix: str) -> None:
    """No LoRA."""


class WeightSource(Protocol):
    """A transformer's file; ``core.engine.loading.checkpoint.TransformerFile`` is one."""

    def build(self) -> nn.Module:
        """The network without memory, on ``meta``."""
        ...

    def fill(self, module: nn.Module, device: torch.device, prefix: str = "") -> None:
        """Read the tensors of the whole network ``module`` whose names begin with ``prefix``."""
        ...


class TransformerPart:
    """``Part`` around a transformer that is built at once and filled by ``bring``.

    Args:
        source: its file.
        device: where it computes.
        patch: applies LoRAs to what lies below a prefix, called when that was filled.
        blocks_resident: blocks that stay on the device while the others are streamed; None for all.
        hooks: ``check`` is called and progress told before each block is read.
    """

    def __init__(
        self,
        source: WeightSource,
        device: torch.device,
        patch: Patch = unpatched,
        blocks_resident: int | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.module = source.build().eval()
        self.module.keeps_context = blocks_resident is None  # type: ignore[assignment]
        self._source, self._device, self._patch = source, device, patch
        self._hooks = hooks or Hooks()
        self._resident = blocks_resident
        self._stream: BlockStream | None = None
        self._there = False

    @property
    def host_bytes(self) -> int:
        """Host memory that holds streamed blocks at the moment."""
        return self._stream.host_bytes if self._stream else 0

    def bring(self) -> None:
        """Read the weights, unless they are there.

        Each block is read and patched on the device; a streamed one then moves to host memory before the next
        is read, so neither memory holds anything twice.

        Raises:
            BadCheckpoint: the file cannot be read.
            Cancelled: from ``check``; what was read is let go of.
        """
        if self._there:
            return
        self._there = True
        try:
            self._read()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the memory back."""
        if not self._there:
            return
        if self._stream:
            self._stream.stop()
        self._stream, self._there = None, False
        self.module.to("meta")

    def _read(self) -> None:
        blocks = len(self._blocks)
        streamed = streamed_indices(blocks, blocks if self._resident is None else self._resident)
        self._stream = BlockStream(self._device) if streamed else None
        prefixes = [f"{name}." for name, _ in self.module.named_children() if name != BLOCKS]
        prefixes += [f"{BLOCKS}.{index}." for index in range(blocks)]
        for step, prefix in enumerate(prefixes):
            self._hooks.check()
            self._hooks.on_progress(Progress("load", step, len(prefixes)))
            self._source.fill(self.module, self._device, prefix)
            self._patch(self.module, prefix)
            index = step - (len(prefixes) - blocks)
            if self._stream and index in streamed:
                self._stream.add(self._blocks[index])
        if self._stream:
            give_back(self._device)
            self._stream.start()

    @property
    def _blocks(self) -> nn.ModuleList:
        found = self.module.get_submodule(BLOCKS)
        assert isinstance(found, nn.ModuleList)
        return found
