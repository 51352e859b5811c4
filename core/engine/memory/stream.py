"""Blocks that live in host memory and come to the device one ahead of their use.

Two device slots of one block each take turns: while a block computes from one of them, the next streamed
block is copied into the other on a stream of its own. Blocks that stay on the device are spread evenly among
the streamed ones, so that copies hide behind their computing, too.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.engine.memory.packed import PackedModule

SLOTS = 2


def streamed_indices(blocks: int, resident: int) -> tuple[int, ...]:
    """Which of so many blocks are streamed when ``resident`` of them stay: evenly spread."""
    streamed = max(0, blocks - max(0, resident))
    return tuple(index * blocks // streamed for index in range(streamed))


class BlockStream:
    """Feeds blocks from host memory through two device slots, by hooks around their forwards.

    The blocks must run in their order; then each is there in time. Any other order is served correctly, too,
    but waits for its copies. The results are those of resident blocks, bit for bit.

    Args:
        device: where the blocks compute; on the CPU the copies are plain ones (for tests).
        lane: how bytes get there; by default as the device can.
    """

    def __init__(self, device: torch.device, lane: Lane | None = None) -> None:
        self._device = device
        self._blocks: list[nn.Module] = []
        self._packed: list[PackedModule] = []
        self._slots: list[Tensor] = []
        self._held: list[int | None] = [None] * SLOTS
        self._lane = lane or (CudaLane(device) if device.type == "cuda" else HostLane())
        self._hooks: list[Any] = []

    def add(self, block: nn.Module) -> None:
        """Move a block's tensors, wherever they stand, to host memory; it will be fed from there."""
        self._packed.append(PackedModule(block, pin=self._device.type == "cuda"))
        self._blocks.append(block)

    def start(self) -> None:
        """Take the device slots and begin with the first block; call it after the last ``add``."""
        size = max((packed.size_bytes for packed in self._packed), default=0)
        count = min(SLOTS, len(self._packed))
        self._slots = [torch.empty(size, dtype=torch.uint8, device=self._device) for _ in range(count)]
        self._held = [None] * count
        self._lane.begin()
        for index, block in enumerate(self._blocks):
            before, after = partial(self._before, index), partial(self._after, index)
            self._hooks.append(block.register_forward_pre_hook(before))
            self._hooks.append(block.register_forward_hook(after, always_call=True))
        if self._blocks:
            self._copy(0, slot=0)

    def stop(self) -> None:
        """Let go of slots and host memory; the blocks' tensors are left on ``meta``."""
        for hook in self._hooks:
            hook.remove()
        self._lane.finish()
        for block in self._blocks:
            block.to("meta")
        self._hooks, self._blocks, self._packed, self._slots = [], [], [], []

    @property
    def host_bytes(self) -> int:
        """Host memory that holds the blocks."""
        return sum(packed.size_bytes for packed in self._packed)

    def _before(self, index: int, _block: nn.Module, _inputs: object) -> None:
        """The block uses its slot; the next one's copy begins in the other."""
        if index not in self._held:
            self._copy(index, slot=0)
        slot = self._held.index(index)
        self._lane.wait(slot)
        self._packed[index].use(self._slots[slot])
        following = (index + 1) % len(self._blocks)
        if following not in self._held:
            self._copy(following, slot=(slot + 1) % SLOTS)

    def _after(self, index: int, _block: nn.Module, _inputs: object, _outputs: object) -> None:
        """The slot is free once the work queued so far is done."""
        packed = self._packed[index]
        self._lane.used(self._held.index(index))
        packed.use(packed.host)

    def _copy(self, index: int, slot: int) -> None:
        packed = self._packed[index]
        self._held[slot] = index
        self._lane.copy(slot, self._slots[slot][: packed.size_bytes], packed.host[: packed.size_bytes])


class Lane(Protocol):
    """How bytes get into the slots, and in which order with the computing."""

    def begin(self) -> None:
        """The slots were just taken."""
        ...

    def copy(self, slot: int, target: Tensor, source: Tensor) -> None:
        """Copy once the slot's last use is over."""
        ...

    def wait(self, slot: int) -> None:
        """Computing queued from now on comes after the slot's copy."""
        ...

    def used(self, slot: int) -> None:
        """Computing queued so far is the slot's last use."""
        ...

    def finish(self) -> None:
        """Wait for everything."""
        ...


class HostLane:
    """Plain copies, done when they return."""

    def begin(self) -> None:
        """Nothing to order."""

    def copy(self, slot: int, target: Tensor, source: Tensor) -> None:  # noqa: ARG002
        """At once."""
        target.copy_(source)

    def wait(self, slot: int) -> None:
        """Nothing to wait for."""

    def used(self, slot: int) -> None:
        """Nothing to remember."""

    def finish(self) -> None:
        """Nothing to wait for."""


class CudaLane:
    """Copies on a stream of their own, ordered with the computing by events."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._copied, self._used = _events(), _events()

    def begin(self) -> None:
        """The slots' memory may still be in use by work queued before."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def copy(self, slot: int, target: Tensor, source: Tensor) -> None:
        """See ``Lane``; an event that was never recorded does not hold anything up."""
        self._stream.wait_event(self._used[slot])
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)
        self._copied[slot].record(self._stream)

    def wait(self, slot: int) -> None:
        """See ``Lane``."""
        torch.cuda.current_stream(self._device).wait_event(self._copied[slot])

    def used(self, slot: int) -> None:
        """See ``Lane``."""
        self._used[slot].record(torch.cuda.current_stream(self._device))

    def finish(self) -> None:
        """See ``Lane``."""
        torch.cuda.synchronize(self._device)


def _events() -> list[torch.cuda.Event]:
    """One for each slot."""
    return [torch.cuda.Event() for _ in range(SLOTS)]  # type: ignore[no-untyped-call]
