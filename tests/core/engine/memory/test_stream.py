"""Blocks that are fed from host memory compute what resident ones do, in whatever order."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from core.engine.linear.quantised import GgufLinear, Int8BlockLinear, ScaledFp8Linear
from core.engine.memory.packed import HostRun, PackedModule
from core.engine.memory.stream import BlockStream, streamed_indices

CPU = torch.device("cpu")
WIDTH = 128


class Mixed(nn.Module):
    """Float parameters, a buffer and quantised layers, of other sizes in each block."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(WIDTH, WIDTH, dtype=torch.bfloat16 if seed % 2 else torch.float32)
        self.fp8 = ScaledFp8Linear(WIDTH, WIDTH, True, torch.float32)
        self.fp8.fill(torch.randn(WIDTH, WIDTH).to(torch.float8_e4m3fn), torch.tensor([0.02]))
        self.gguf = GgufLinear(WIDTH, WIDTH, False, torch.float32, "Q8_0" if seed % 3 else "Q4_0")
        self.int8 = Int8BlockLinear(WIDTH, WIDTH, True, torch.float32)
        self.int8.fill(torch.randint(-9, 9, (WIDTH, WIDTH), dtype=torch.int8), torch.full((1, 1), 0.01))
        self.register_buffer("shift", torch.randn(1))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        if self.fails:
            raise RuntimeError("broken")
        assert isinstance(self.shift, Tensor)
        x = self.linear(x.to(self.linear.weight.dtype)).float() + self.shift
        out: Tensor = self.int8(self.gguf(self.fp8(x))) + x
        return out


@dataclass
class LateLane:
    """A GPU's freedom at its worst: copies happen at the last moment, and a slot is rubbish from the moment
    that it is given away. Giving away a slot that is still in use is an error."""

    pending: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    in_use: set[int] = field(default_factory=set)
    copies: int = 0
    finished: bool = False

    def begin(self) -> None:
        self.finished = False

    def copy(self, slot: int, target: Tensor, source: Tensor) -> None:
        assert slot not in self.in_use
        target.fill_(255)
        self.pending[slot] = (target, source)
        self.copies += 1

    def wait(self, slot: int) -> None:
        if slot in self.pending:
            target, source = self.pending.pop(slot)
            target.copy_(source)
        self.in_use.add(slot)

    def used(self, slot: int) -> None:
        self.in_use.remove(slot)

    def finish(self) -> None:
        assert not self.in_use
        self.finished = True


def blocks_of(count: int) -> nn.ModuleList:
    return nn.ModuleList([Mixed(seed) for seed in range(count)]).requires_grad_(False)


def through(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x


@pytest.mark.parametrize(("count", "resident"), [(1, 0), (2, 0), (3, 0), (5, 0), (5, 2), (6, 5), (4, 4)])
def test_streamed_blocks_equal_resident_ones(count: int, resident: int) -> None:
    blocks = blocks_of(count)
    inputs = [torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    expected = [through(blocks, x) for x in inputs]
    lane = LateLane()
    stream = BlockStream(CPU, lane)
    for index in streamed_indices(count, resident):
        stream.add(blocks[index])
    stream.start()
    assert all(torch.equal(through(blocks, x), y) for x, y in zip(inputs, expected, strict=True))
    streamed = count - resident
    # One copy for each use, less what the two slots still hold.
    assert lane.copies == (len(inputs) * streamed + 1 if streamed > 2 else streamed)
    stream.stop()
    assert lane.finished
    assert all(
        tensor.is_meta
        for index in streamed_indices(count, resident)
        for tensor in blocks[index].state_dict().values()
    )


def test_blocks_may_come_in_any_order() -> None:
    blocks = blocks_of(4)
    x = torch.randn(2, WIDTH)
    order = [3, 0, 2, 2, 1, 3, 0]
    expected = [blocks[index](x) for index in order]
    stream = BlockStream(CPU, LateLane())
    for block in blocks:
        stream.add(block)
    stream.start()
    assert all(torch.equal(blocks[index](x), y) for index, y in zip(order, expected, strict=True))


def test_after_a_block_that_failed_the_next_forward_is_right() -> None:
    blocks = blocks_of(4)
    x = torch.randn(2, WIDTH)
    expected = through(blocks, x)
    stream = BlockStream(CPU, LateLane())
    for block in blocks:
        stream.add(block)
    stream.start()
    broken = blocks[2]
    assert isinstance(broken, Mixed)
    broken.fails = True
    with pytest.raises(RuntimeError, match="broken"):
        through(blocks, x)
    broken.fails = False
    assert torch.equal(through(blocks, x), expected)
    stream.stop()


def test_the_real_lane_of_the_cpu_gives_the_same() -> None:
    blocks = blocks_of(3)
    x = torch.randn(2, WIDTH)
    expected = through(blocks, x)
    stream = BlockStream(CPU)
    for block in blocks:
        stream.add(block)
    stream.start()
    assert torch.equal(through(blocks, x), expected)


def test_streamed_blocks_are_spread_evenly() -> None:
    assert streamed_indices(40, 40) == ()
    assert streamed_indices(40, 99) == ()
    assert streamed_indices(4, 0) == (0, 1, 2, 3)
    assert streamed_indices(40, 30) == tuple(range(0, 40, 4))
    for resident in range(40):
        indices = streamed_indices(40, resident)
        assert len(set(indices)) == 40 - resident
        gaps = [b - a for a, b in pairwise(indices)]
        assert max(gaps, default=0) - min(gaps, default=0) <= 1


def test_a_packed_module_holds_its_tensors_once_and_keeps_their_values() -> None:
    block = Mixed(1).requires_grad_(False)
    before = copy.deepcopy(block.state_dict())
    size = sum(tensor.numel() * tensor.element_size() for tensor in before.values())
    packed = PackedModule(block, pin=False)
    after = block.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name].float(), before[name].float()) for name in before)
    assert {tensor.untyped_storage().data_ptr() for tensor in after.values()} == {
        packed.host.untyped_storage().data_ptr()
    }
    assert size <= packed.size_bytes < size + 256 * len(before)


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 10_000])
def test_host_memory_begins_at_a_page(size_bytes: int) -> None:
    memory = HostRun(size_bytes, pin=False).memory
    assert len(memory) >= size_bytes
    assert size_bytes == 0 or memory.data_ptr() % 4096 == 0
