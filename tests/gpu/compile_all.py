"""Compile every kernel for several GPUs without having one: ``python -m tests.gpu.compile_all [90 120 ...]``.

The wrappers themselves are called, at a render's shapes, with tensors that have no memory; what they would
launch is compiled by Triton for another card. A kernel that does not compile, or whose tiles do not fit into
the card's shared memory or grid, is named; registers, spilled bytes and shared memory are in the table. Exit
code 1 where a kernel failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

SHARED_KIB = {80: 163, 86: 99, 87: 163, 89: 99, 90: 227, 100: 227, 103: 227, 120: 99}
"""Of one program, by compute capability (CUDA programming guide, technical specifications)."""
CARDS = (80, 86, 89, 90, 100, 120)
BF16 = torch.bfloat16
Cases = Iterator[tuple[str, Callable[[], object]]]
LARGEST_GRID = (2**31 - 1, 65535, 65535)
RESOURCES = re.compile(r"REG:(\d+) STACK:(\d+) .*LOCAL:(\d+)")


@dataclass(frozen=True)
class Compiled:
    """What one launch would be.

    Attributes:
        case: the call of a wrapper that it belongs to.
        problem: why it would not run; empty where it would.
    """

    case: str
    kernel: str
    warps: int
    registers: int
    spilled_bytes: int
    shared_bytes: int
    problem: str = ""


@dataclass(frozen=True)
class Shape:
    """Of a model's blocks."""

    tokens: int
    dim: int
    inner: int
    heads: int
    batch: int = 1

    @property
    def head(self) -> int:
        return self.dim // self.heads


LARGE, MINI = Shape(52_992, 5120, 13_824, 40), Shape(777, 320, 1152, 5, batch=2)


def cases(shape: Shape, fp8: bool) -> Cases:
    """Calls of the wrappers as a forward makes them."""
    yield from row_cases(shape, fp8)
    yield from attention_cases(shape)
    yield from product_cases(shape)


def row_cases(shape: Shape, fp8: bool) -> Cases:
    """Norms, activations, heads, pixels."""
    from core.engine.models.rope import RopeTable
    from core.engine.ops import activated, heads, normed, pixel_norm
    from core.engine.ops.rows import Norm, RowKind

    rows = shape.batch * shape.tokens
    stream, half = made(rows, shape.dim, dtype=torch.float32), made(rows, shape.dim)
    gate = made(shape.dim, dtype=torch.float32)
    norm, inner = Norm(gate, gate, 1e-6), made(rows, shape.inner)
    kinds: tuple[RowKind, ...] = ("float", "fp8", "int8") if fp8 else ("float", "int8")
    for kind in kinds:
        yield f"norm {kind}", partial(normed.norm_rows, stream, norm, kind, BF16)
        for chosen in (gate, None):
            yield f"add norm {kind}", partial(normed.add_norm_rows, stream, half, chosen, norm, kind, BF16)
        yield f"gelu {kind}", partial(activated.gelu_rows, inner, kind, BF16)
        yield f"quantise {kind}", partial(normed.quantise_rows, half, kind, BF16)
    yield "add gated", partial(normed.add_gated, stream, half, gate)
    angles = made(shape.tokens, 1, shape.head // 2, dtype=torch.float32)
    x = half.view(shape.batch, shape.tokens, shape.dim)
    for rope in (RopeTable(angles, angles), None):
        yield "heads", partial(heads.norm_heads, x, made(shape.dim), 1e-6, shape.heads, rope)
    for channels in (96, 192, 384):
        pixels = torch.empty(
            (1, channels, 4, 60, 104), dtype=BF16, device="cuda", memory_format=torch.channels_last_3d
        )
        yield f"pixels {channels}", partial(pixel_norm.pixel_norm, pixels, made(channels), silu=True)


def attention_cases(shape: Shape) -> Cases:
    """Dense and sparse, 8 and 16 bits, cross."""
    from core.engine.ops import attention8, cross, sla

    q, k, v = (made(shape.batch, shape.tokens, shape.heads, shape.head) for _ in range(3))
    proj: Any = SimpleNamespace(weight=made(shape.head, shape.head), bias=made(shape.head))
    for values in ("fp8", "half"):
        yield f"attend8 {values}", partial(attention8.attend8, q, k, v, values=values)
    for bits in (8, 16):
        for layer, references in ((proj, shape.tokens // 10), (None, 0)):
            work = partial(sla.attend_sla, eight_bit=bits == 8, references=references)
            yield f"sla {bits} bits", partial(work, q, k, v, layer, 0.1)
    text, image = (
        cross.KeysValues(*(made(shape.batch, keys, shape.heads, shape.head) for _ in range(2)))
        for keys in (512, 257)
    )
    yield "cross", partial(cross.cross_attend, q.flatten(2), made(shape.dim), 1e-6, text, image)


def product_cases(shape: Shape) -> Cases:
    """int8 by rows and by blocks."""
    from core.engine.ops import int8_gemm
    from core.engine.ops.rows import Rows

    rows = shape.batch * shape.tokens
    for inputs, outputs in ((shape.dim, shape.inner), (shape.inner, shape.dim)):
        x, w = made(rows, inputs, dtype=torch.int8), made(outputs, inputs, dtype=torch.int8)
        scales = [made(size, dtype=torch.float32) for size in (rows, outputs)]
        for bias in (made(outputs), None):
            given = (Rows(x, scales[0]), w, scales[1], bias, BF16)
            yield f"int8 rows {inputs}", partial(int8_gemm.multiply_rows, *given)
        if inputs % int8_gemm.BLOCK == 0:
            yield f"quantise blocks {inputs}", partial(int8_gemm.quantise_blocks, made(rows, inputs))
            sides = [made(-(-size // 128), inputs // 128, dtype=torch.float32) for size in (rows, outputs)]
            whole = (x, sides[0], w, sides[1], made(outputs), BF16)
            yield f"int8 blocks {inputs}", partial(int8_gemm.multiply_blocks, *whole)


def pooled(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """``block_map.pooled`` but for the mean of all keys."""
    from core.engine.ops import block_map

    return block_map.block_means(q, block_map.QUERY_BLOCK), block_map.block_means(k, block_map.KEY_BLOCK)


def made(*shape: int, dtype: torch.dtype = BF16) -> Tensor:
    """A tensor of a card that is not there."""
    return torch.empty(shape, dtype=dtype, device="cuda")


def compile_for(card: int, shapes: tuple[Shape, ...] = (LARGE,), only: str = "") -> list[Compiled]:
    """All kernels for one compute capability (90 for 9.0)."""
    found: list[Compiled] = []
    seen: set[int] = set()
    with pretended(card), FakeTensorMode() as mode:
        mode.allow_non_fake_inputs = True
        for shape in shapes:
            for name, call in cases(shape, fp8=card >= 89):
                case = f"{name}, width {shape.dim}"
                if only in case:
                    with recorded(card, case, found, seen):
                        attempted(call, case, found)
    return found


def attempted(call: Callable[[], object], case: str, found: list[Compiled]) -> None:
    """An error is told as a row."""
    try:
        call()
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        found.append(Compiled(case, "?", 0, 0, 0, 0, f"{type(error).__name__}: {lines[0][:160]}"))


@contextmanager
def pretended(card: int) -> Iterator[None]:
    """A driver that knows one GPU of this capability, and torch that does."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    from core.engine.ops import triton_support

    pair = (card // 10, card % 10)
    before = driver._active
    driver.set_active(
        SimpleNamespace(
            get_current_device=lambda: card,  # kernels are kept by device: each card has its own
            get_current_stream=lambda _device: 0,
            get_current_target=lambda: GPUTarget("cuda", card, 32),
        )
    )
    try:
        with ExitStack() as patches:
            for target, name, value in (
                (torch.cuda, "get_device_capability", lambda _device=None: pair),
                (
                    torch,
                    "bmm",
                    lambda a, b: made(*a.shape[:2], b.shape[2], dtype=a.dtype),
                ),
                (triton_support, "usable", lambda _device: pair >= triton_support.LOWEST_CAPABILITY),
            ):
                patches.enter_context(mock.patch.object(target, name, value))
            # As with bmm, a torch that was not built for CUDA asks for it here.
            patches.enter_context(mock.patch("core.engine.ops.block_map.pooled", pooled))
            for module in ("block_map", "cross", "sla", "pixel_norm"):
                patches.enter_context(mock.patch(f"core.engine.ops.{module}.usable", triton_support.usable))
            yield
    finally:
        driver._active = before


@contextmanager
def recorded(card: int, case: str, found: list[Compiled], seen: set[int]) -> Iterator[None]:
    """Launches are compiled, noted and left out."""
    from triton.runtime.jit import JITFunction, MockTensor

    compile_only = JITFunction.run

    def bare(value: Any) -> Any:
        return MockTensor(value.dtype, list(value.shape)) if isinstance(value, FakeTensor) else value

    def run(self: Any, *args: Any, grid: tuple[int, ...], warmup: bool, **kwargs: Any) -> Any:
        del warmup
        named = {name: bare(value) for name, value in kwargs.items()}
        kernel = compile_only(self, *map(bare, args), grid=grid, warmup=True, **named)
        large = [side for side, most in zip(grid, LARGEST_GRID, strict=False) if not 0 < side <= most]
        if id(kernel) not in seen or large:
            seen.add(id(kernel))
            kernel = kernel.result() if hasattr(kernel, "result") else kernel
            found.append(measured(kernel, card, case, f"grid {grid}" if large else ""))
        return kernel

    with mock.patch.object(JITFunction, "run", run):
        yield


def measured(kernel: Any, card: int, case: str, problem: str) -> Compiled:
    """Registers and memory of a compiled kernel."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(kernel.asm["cubin"])
        told = subprocess.run(
            [str(tool), "--dump-resource-usage", str(path)], capture_output=True, text=True, check=False
        )
    numbers = RESOURCES.search(told.stdout)
    registers, stack, local = map(int, numbers.groups()) if numbers else (0, 0, 0)
    shared, limit = kernel.metadata.shared, SHARED_KIB[card] * 1024
    if shared > limit:
        problem = f"{shared} bytes of shared memory, {limit} at most"
    warps = kernel.metadata.num_warps
    return Compiled(case, kernel.metadata.name, warps, registers, stack + local, shared, problem)


def main(words: list[str] | None = None) -> int:
    """A row a kernel; those that would not run come again at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", type=int, default=list(CARDS), help="90 for capability 9.0")
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--mini", action="store_true", help="the embedded model's shapes as well")
    given = parser.parse_args(words)
    failed = 0
    for card in given.cards:
        began = time.perf_counter()
        found = compile_for(card, (LARGE, MINI) if given.mini else (LARGE,), given.only)
        for row in found:
            note = f"   {row.problem}" if row.problem else ""
            print(
                f"sm_{card} {row.case:34} {row.kernel:18} {row.warps} warps {row.registers:4} registers "
                f"{row.spilled_bytes:5} spilled {row.shared_bytes / 1024:6.1f} KiB{note}"
            )
        bad = [row for row in found if row.problem]
        failed += len(bad)
        print(
            f"sm_{card}: {len(found)} kernels, {len(bad)} would not run, {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.pop("TRITON_INTERPRET", None)
    sys.exit(main())
