"""8-bit attention on a GPU, checked against float32 and timed: ``python -m tests.gpu.attention8_on_gpu``.

Errors are relative Frobenius norms in bfloat16; times are medians in ms at 40 heads of 128. A case that fails
is reported and skipped; the table comes last. Exit code 1 where an error is too large or a case failed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from core.engine.ops import attention8 as ops
from core.engine.ops.attention8 import TILES, Linear, Tiles, attend_packed
from core.engine.ops.pack8 import Packed, pack8, plain_pack8

HEADS, WIDTH, TOP_K = 40, 128, 0.1
SPARSE_CUTS = (
    TILES,
    replace(TILES, stages=2),
    replace(TILES, tma=False),
    replace(TILES, warps=4, registers=None),
    replace(TILES, exact_features=False),
)
DENSE_CUTS = (
    TILES,
    replace(TILES, flush=32),
    replace(TILES, flush=64),
    replace(TILES, flush=1 << 20),
    replace(TILES, warps=4, registers=None),
    replace(TILES, tma=False),
)
LIMIT_S = 240.0
"""No new row begins after this long."""
BEGAN_S = time.perf_counter()
rows: list[str] = []
failures: list[str] = []


def guarded(name: str, run: Callable[[], str]) -> None:
    """A row of the table, or the first line of what went wrong."""
    start = time.perf_counter()
    if start - BEGAN_S > LIMIT_S:
        rows.append(f"{name}: left out, no time")
        return
    try:
        found = run()
    except Exception as error:
        found = (
            f"FAILED {type(error).__name__}: {str(error).strip().splitlines()[0][:150] if str(error) else ''}"
        )
        failures.append(name)
    rows.append(f"{name:<58} {found}   [{time.perf_counter() - start:.1f} s]")
    print(rows[-1], flush=True)


def milliseconds(run: Callable[[], object]) -> float:
    return float(triton.testing.do_bench(run, warmup=20, rep=100, return_mode="median"))


def operands(
    tokens: int, heads: int = HEADS, width: int = WIDTH, batch: int = 1, seed: int = 0
) -> list[Tensor]:
    """q, k with a large common offset, v with a mean: bfloat16 [batch, tokens, heads, width]."""
    generator = torch.Generator("cuda").manual_seed(seed)
    shape = (batch, tokens, heads, width)
    q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16, generator=generator) for _ in range(3))
    offset = torch.randn(width, device="cuda", dtype=torch.bfloat16, generator=generator)
    return [q, k + 4 * offset, v + 0.25 * offset]


def random_lists(tokens: int, listed: int, heads: int = HEADS) -> Tensor:
    blocks, key_blocks = -(-tokens // 128), -(-tokens // 64)
    chosen = torch.rand(heads, blocks, key_blocks, device="cuda").topk(min(listed, key_blocks), dim=2).indices
    return chosen.sort(2).values.int()


def branch(tokens: int, heads: int = HEADS, width: int = WIDTH) -> Linear:
    state = torch.randn(heads, width, width, device="cuda") * tokens / width
    return (
        state,
        (1 + torch.rand(heads, width, device="cuda")) * tokens / width,
        torch.randn(width, device="cuda"),
    )


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


def limited(found: float, limit: float) -> str:
    if not found < limit:
        raise ValueError(f"error {found:.4f}, limit {limit}")
    return f"error {found:.4f}"


def exact(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    q, k, v = (x.float().transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2)


def seen_keys(kept: Tensor, tokens: int) -> Tensor:
    seen = torch.zeros(*kept.shape[:2], -(-tokens // 64), dtype=torch.bool, device="cuda")
    seen.scatter_(2, kept.long(), True)
    return seen.repeat_interleave(128, 1)[:, :tokens].repeat_interleave(64, 2)[..., :tokens]


def small(tokens: int, width: int, batch: int, values: str, tiles: Tiles) -> str:
    """Dense, listed, with the linear branch, and with dense rows at the end, at an odd number of tokens."""
    q, k, v = operands(tokens, 2, width, batch)
    packed = pack8(q, k, v, values)  # type: ignore[arg-type]
    plain = plain_pack8(q, k, v, values)  # type: ignore[arg-type]
    apart = (packed.q.int() - plain.q.int()).abs().max() + (packed.k.int() - plain.k.int()).abs().max()
    if apart > 2:
        raise ValueError(f"packed values are {int(apart)} apart")
    dense = error(attend_packed(packed, q, q.dtype, tiles=tiles), exact(q, k, v))
    kept = random_lists(tokens, max(1, tokens // 128), 2 * batch)
    seen = torch.unflatten(seen_keys(kept, tokens), 0, (batch, 2))
    sparse = error(attend_packed(packed, q, q.dtype, kept, tiles=tiles), exact(q, k, v, seen))
    linear = branch(tokens, 2 * batch, width)
    last = -(-tokens // 128) - 1
    found = attend_packed(packed, q, q.dtype, kept, linear=linear, dense_from=last, tiles=tiles)
    expected = ops.plain_attend_packed(packed, q, torch.float32, kept, linear=linear, dense_from=last)
    whole = error(found, expected)
    return f"dense {limited(dense, 0.05)}, listed {limited(sparse, 0.05)}, whole {limited(whole, 0.02)}"


def large_error(packed: Packed, given: list[Tensor], kept: Tensor | None, tiles: Tiles) -> str:
    """At full size: some query blocks of some heads against float32, without what all values share."""
    q, k, v = given
    found = attend_packed(packed, q, q.dtype, kept, tiles=tiles)
    parts, expected = [], []
    for head in (0, 17, 39):
        for block in (0, q.shape[1] // 256, -(-q.shape[1] // 128) - 1):
            span = slice(block * 128, block * 128 + 128)
            columns = slice(head, head + 1)
            keys, values = k[:, :, columns], v[:, :, columns]
            if kept is not None:
                at = (kept[head, block].long()[:, None] * 64 + torch.arange(64, device="cuda")).flatten()
                at = at[at < q.shape[1]]
                keys, values = keys[:, at], values[:, at]
            shared = v[:, :, columns].float().mean(1, keepdim=True)
            parts.append(found[:, span, columns].float() - shared)
            expected.append(exact(q[:, span, columns], keys, values) - shared)
    return limited(error(torch.cat(parts, 1), torch.cat(expected, 1)), 0.08)


def full_size(tokens: int, sparse_cuts: tuple[Tiles, ...], dense_cuts: tuple[Tiles, ...]) -> None:
    q, k, v = given = operands(tokens)
    kept, linear = random_lists(tokens, int(TOP_K * -(-tokens // 64))), branch(tokens)
    guarded(f"{tokens} pack", lambda: f"{milliseconds(lambda: pack8(q, k, v)):8.3f} ms")
    packed, half = pack8(q, k, v), pack8(q, k, v, "half")

    def sparse(operands: Packed, tiles: Tiles, branch: Linear | None) -> str:
        taken = milliseconds(lambda: attend_packed(operands, q, q.dtype, kept, linear=branch, tiles=tiles))
        rate = 4 * 128 * 64 * WIDTH * kept.numel() / taken / 1e9
        checked = "" if branch else ", " + large_error(operands, given, kept, tiles)
        return f"{taken:8.3f} ms {rate:7.0f} TFLOP/s{checked}"

    def dense(operands: Packed, tiles: Tiles) -> str:
        taken = milliseconds(lambda: attend_packed(operands, q, q.dtype, tiles=tiles))
        rate = 4 * tokens * tokens * HEADS * WIDTH / taken / 1e9
        return f"{taken:8.3f} ms {rate:7.0f} TFLOP/s, {large_error(operands, given, None, tiles)}"

    for cut in sparse_cuts:
        guarded(f"{tokens} sparse + linear {told(cut)}", partial(sparse, packed, cut, linear))
    guarded(f"{tokens} sparse alone", partial(sparse, packed, TILES, None))
    guarded(f"{tokens} sparse + linear, half", partial(sparse, half, TILES, linear))
    for cut in dense_cuts:
        guarded(f"{tokens} dense {told(cut)}", partial(dense, packed, cut))
    guarded(f"{tokens} dense half", partial(dense, half, TILES))


def told(cut: Tiles) -> str:
    """What differs from the usual cut."""
    names = ("warps", "stages", "tma", "registers", "flush", "exact_features")
    return " ".join(
        f"{name}={getattr(cut, name)}" for name in names if getattr(cut, name) != getattr(TILES, name)
    )


def main() -> int:
    torch.backends.cuda.matmul.allow_tf32 = False
    for tokens, width, batch, values in ((300, 128, 1, "fp8"), (1000, 64, 2, "fp8"), (777, 128, 2, "half")):
        for cut in (replace(TILES, flush=3), replace(TILES, tma=False)):
            name = f"{tokens} tokens, width {width}, batch {batch}, {values} {told(cut)}"
            guarded(name, partial(small, tokens, width, batch, values, cut))
    full_size(52_992, SPARSE_CUTS, DENSE_CUTS)
    full_size(35_880, SPARSE_CUTS[:1], DENSE_CUTS[:1])
    full_size(32_760, SPARSE_CUTS[:1], DENSE_CUTS[:1])
    print("\n" + "\n".join(rows))
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}")
    print(f"{len(failures)} failed" + "".join(f"; {name}" for name in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
