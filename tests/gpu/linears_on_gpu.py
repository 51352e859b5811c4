"""8-bit linear layers on a GPU: ``python -m tests.gpu.linears_on_gpu [quick]``.

Errors of every class against float32 with odd numbers of rows, then times at the 14B model's shapes, the
integer kernels with several tilings. Needs an NVIDIA GPU; what fails is named and the rest goes on; the table
comes last.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.linear.fp8_rows import accumulation_errors, has_fp8_products, measured_fast_accumulation
from core.engine.linear.int8_block import BLOCK, plain_int8_linear, quantise_blocks
from core.engine.linear.lora_adapter import LoraAdapter
from core.engine.linear.narrowing import NARROW_KINDS, NarrowKind, narrow_layer, narrow_rows
from core.engine.linear.products import product, rows_kind
from core.engine.linear.quantised import Int8BlockLinear, Int8RowLinear, QuantisedLinear, ScaledFp8Linear
from core.engine.loading.lora import LowRank
from core.engine.ops import int8_gemm
from core.engine.ops.int8_gemm import HOPPER_BLOCKS, HOPPER_ROWS, OTHER_BLOCKS, OTHER_ROWS, Tiles
from core.engine.ops.normed import quantise_rows
from core.engine.ops.rows import Rows, plain_rows

CUDA = torch.device("cuda")
HALF = torch.bfloat16
TOKENS = (52992, 35880)
SHAPES = ((5120, 5120), (5120, 13824), (13824, 5120))
RANK = 64
ROW_TILES = {
    "256x128 s4": HOPPER_ROWS,
    "256x128 s4 g16": replace(HOPPER_ROWS, group=16),
    "128x256 s4": replace(HOPPER_ROWS, height=128, width=256),
    "128x256 s4 g16": replace(HOPPER_ROWS, height=128, width=256, group=16),
    "128x128 8w s3": replace(HOPPER_ROWS, height=128, stages=3),
    "128x128 8w s3 persistent": replace(HOPPER_ROWS, height=128, stages=3, persistent=True),
    "256x128 s4 no TMA": replace(HOPPER_ROWS, descriptors=False),
}
BLOCK_TILES = {
    "64x128 4w s3": HOPPER_BLOCKS,
    "128x64 4w s3": replace(HOPPER_BLOCKS, height=128, width=64),
    "128x128 8w s3": replace(HOPPER_BLOCKS, height=128, warps=8),
    "128x128 8w s4": replace(HOPPER_BLOCKS, height=128, warps=8, stages=4),
}
LIMIT_S = 240.0
"""No new row begins after this long."""
BEGAN_S = time.perf_counter()
table: list[str] = []


def say(line: str) -> None:
    """Now, and again at the end."""
    print(line, flush=True)
    table.append(line)


def guarded(title: str, work: Callable[[], str | None]) -> None:
    """A row of the table, or why there is none."""
    if time.perf_counter() - BEGAN_S > LIMIT_S:
        table.append(f"{title:46} left out, no time")
        return
    try:
        found = work()
        if found is not None:
            say(f"{title:46} {found}")
    except Exception as error:  # the next item may work
        say(f"{title:46} FAILED {type(error).__name__}: {str(error)[:200]}")


def milliseconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median of a call on the GPU, after two to warm up."""
    times: list[float] = []
    for attempt in range(repeats + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if attempt >= 2:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def rate(m: int, k: int, n: int, ms: float) -> str:
    """Milliseconds and operations."""
    return f"{ms:7.2f} ms {2e-9 * m * k * n / ms:6.0f} T/s"


def values(m: int, k: int, outliers: bool) -> Tensor:
    """N(0, 1), a hundredth of the channels 30 times larger on demand."""
    x = torch.randn(m, k, device=CUDA)
    if outliers:
        x[:, ::100] *= 30
    return x


def layers(weight: Tensor, bias: Tensor) -> dict[str, nn.Module]:
    """The same weight in every class that computes in 8 bits, and in 16 bits."""
    float_layer = nn.Linear(weight.shape[1], weight.shape[0], device=CUDA, dtype=HALF).requires_grad_(False)
    float_layer.weight.copy_(weight)
    float_layer.bias.copy_(bias)
    found: dict[str, nn.Module] = {"bf16": float_layer}
    for kind in NARROW_KINDS:
        with torch.device("meta"):
            narrow = narrow_layer(float_layer, kind, HALF)
        narrow.fill(*narrow_rows(weight, kind))
        found[kind] = with_bias(narrow, bias)
    if weight.shape[1] % BLOCK:
        return found
    with torch.device("meta"):
        block = Int8BlockLinear(weight.shape[1], weight.shape[0], True, HALF, "int8")
    block.fill(*quantise_blocks(weight))
    found["int8 block"] = with_bias(block, bias)
    return found


def with_bias(layer: QuantisedLinear, bias: Tensor) -> QuantisedLinear:
    """It stands on ``meta`` so far."""
    layer.bias = nn.Parameter(bias.to(HALF), requires_grad=False)
    return layer


def relative(found: Tensor, wanted: Tensor) -> float:
    """Norm of the difference."""
    return float((found.float() - wanted).norm() / wanted.norm())


def errors(m: int, k: int, n: int, outliers: bool) -> None:
    """Each class against float32, from bfloat16 activations."""
    x = values(m, k, outliers)
    weight, bias = (0.02 * torch.randn(size, device=CUDA) for size in ((n, k), (n,)))
    wanted = F.linear(x, weight, bias)
    name = f"{m} x {k} -> {n}{' outliers' if outliers else ''}"
    for title, layer in layers(weight, bias).items():

        def found(layer: nn.Module = layer) -> str:
            rows = quantise_rows(x.to(HALF), rows_kind(layer), HALF)
            same = relative(layer(x.to(HALF)), product(rows, layer, HALF).float())
            return f"error {relative(product(rows, layer, HALF), wanted):.5f}, layer against rows {same:.1e}"

        guarded(f"{name} {title}", found)
        if isinstance(layer, ScaledFp8Linear):
            layer.fast_accumulation = False
            guarded(f"{name} fp8, long accumulators", found)
        if isinstance(layer, Int8RowLinear):
            layer.engine = "torch"
            guarded(f"{name} int8, torch's product", found)


def kernels_agree() -> None:
    """Every tiling at odd sizes against plain torch, which is exact for integers."""
    m, k, n = 1001, 1152, 336
    x, w = (plain_rows(values(rows, k, False), "int8", torch.float32) for rows in (m, n))
    assert w.scale is not None
    assert x.scale is not None
    sums = (x.values.double() @ w.values.double().T) * x.scale[:, None] * w.scale
    blocks, (w8, w_scale) = values(m, k, True).to(HALF), quantise_blocks(values(n, k, False))
    plain = plain_int8_linear(blocks, w8, w_scale, None)

    def by_row(tiles: Tiles) -> str:
        assert w.scale is not None
        found = int8_gemm.multiply_rows(x, w.values, w.scale, None, torch.float32, tiles)
        return f"error {relative(found, sums):.1e}"

    def by_block(tiles: Tiles) -> str:
        values8, scales = int8_gemm.quantise_blocks(blocks)
        found = int8_gemm.multiply_blocks(values8, scales, w8, w_scale, None, HALF, tiles)
        differ = float((found != plain).double().mean())
        return f"error {relative(found, plain.float()):.1e}, {differ:.2%} differ"

    for title, tiles in {**ROW_TILES, "Ampere": OTHER_ROWS}.items():
        guarded(f"int8 rows {title}, odd sizes", partial(by_row, tiles))
    for title, tiles in {**BLOCK_TILES, "Ampere": OTHER_BLOCKS}.items():
        guarded(f"int8 blocks {title}, odd sizes", partial(by_block, tiles))
    guarded(
        "blocks quantised, values that differ",
        lambda: str(int((int8_gemm.quantise_blocks(blocks)[0] != quantise_blocks(blocks)[0]).sum())),
    )


def times(m: int, k: int, n: int, tilings: bool) -> None:
    """Products of ready rows, what quantising takes, and a LoRA."""
    weight, bias = torch.randn(n, k, device=CUDA, dtype=HALF) * 0.02, torch.randn(n, device=CUDA)
    x = torch.randn(m, k, device=CUDA, dtype=HALF)
    name = f"{m} x {k} -> {n}"
    for title, layer in layers(weight.float(), bias).items():
        rows = quantise_rows(x, rows_kind(layer), HALF)

        def whole(layer: nn.Module = layer, rows: Rows = rows) -> str:
            return rate(m, k, n, milliseconds(lambda: product(rows, layer, HALF)))

        guarded(f"{name} {title}", whole)
        if isinstance(layer, ScaledFp8Linear):
            layer.fast_accumulation = False
            guarded(f"{name} fp8, long accumulators", whole)
            layer.fast_accumulation = True
            with_lora(layer, k, n)
            guarded(f"{name} fp8 + LoRA of rank {RANK}", whole)
        if isinstance(layer, Int8RowLinear):
            if tilings:
                row_tilings(name, rows, layer, (m, k, n))
            layer.engine = "torch"
            guarded(f"{name} int8, torch's product", whole)
        if isinstance(layer, Int8BlockLinear) and tilings:
            block_tilings(name, x, layer, (m, k, n))
    for kind in NARROW_KINDS:

        def quantised(kind: NarrowKind = kind) -> str:
            ms = milliseconds(lambda: quantise_rows(x, kind, HALF))
            return f"{ms:7.2f} ms {3e-9 * x.numel() / ms:6.2f} TB/s"

        guarded(f"{m} x {k} to {kind}", quantised)


def with_lora(layer: ScaledFp8Linear, k: int, n: int) -> None:
    """Beside the layer from now on."""
    pair = LowRank(torch.randn(RANK, k, dtype=HALF), torch.randn(n, RANK, dtype=HALF), 0.01)
    LoraAdapter([(pair, 1.0)], [], None, CUDA, rows_kind(layer)).attach(layer)


def row_tilings(name: str, rows: Rows, layer: Int8RowLinear, shape: tuple[int, int, int]) -> None:
    """The kernel alone."""
    scale = layer.scale
    assert scale is not None
    for title, tiles in ROW_TILES.items():

        def found(tiles: Tiles = tiles) -> str:
            def once() -> Tensor:
                return int8_gemm.multiply_rows(rows, layer.data, scale, layer.bias, HALF, tiles)

            return rate(*shape, milliseconds(once))

        guarded(f"{name} int8 {title}", found)


def block_tilings(name: str, x: Tensor, layer: Int8BlockLinear, shape: tuple[int, int, int]) -> None:
    """The kernel alone, and the one before it."""
    values8, scales = int8_gemm.quantise_blocks(x)
    scale = layer.scale
    assert scale is not None
    for title, tiles in BLOCK_TILES.items():

        def found(tiles: Tiles = tiles) -> str:
            def once() -> Tensor:
                return int8_gemm.multiply_blocks(values8, scales, layer.data, scale, layer.bias, HALF, tiles)

            return rate(*shape, milliseconds(once))

        guarded(f"{name} int8 block {title}", found)

    def quantised() -> str:
        ms = milliseconds(lambda: int8_gemm.quantise_blocks(x))
        return f"{ms:7.2f} ms {3e-9 * x.numel() / ms:6.2f} TB/s"

    guarded(f"{name} blocks quantised", quantised)


@torch.no_grad()
def main() -> None:
    """Print the rows, then all of them again."""
    began_s = time.perf_counter()
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, float8: {has_fp8_products(CUDA)}")
    guarded(
        "accumulation: fast, long, quantising",
        lambda: "{:.1e} {:.1e} {:.1e}".format(*accumulation_errors(CUDA)),
    )
    guarded("fast accumulation is chosen", lambda: str(measured_fast_accumulation(CUDA)))
    kernels_agree()
    for shape in ((1, 320, 1152), (1001, 5120, 5120), (777, 13824, 5120)):
        for outliers in (False, True):
            guarded(f"errors at {shape}", partial(errors, *shape, outliers))
    quick = sys.argv[1:] == ["quick"]
    for m in TOKENS[:1] if quick else TOKENS:
        for k, n in SHAPES[:1] if quick else SHAPES:
            guarded(f"times at {(m, k, n)}", partial(times, m, k, n, m == TOKENS[0]))
            torch.cuda.empty_cache()
    print(f"\n{time.perf_counter() - began_s:.0f} s", *table, sep="\n")


if __name__ == "__main__":
    main()
