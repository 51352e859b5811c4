"""Sparse-linear and cross-attention in 16 bits on a GPU: ``python -m tests.gpu.sla_on_gpu``.

Errors are relative Frobenius norms in bfloat16 against float32; times are medians in ms, 40 heads of 128. A
case that fails is reported and skipped; the table comes last. Exit code 1 where one failed or its error is
too large.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import triton
from torch import Tensor, nn

from core.engine.ops import block_map, cross, sla
from core.engine.ops.cross import CrossTiles, KeysValues, cross_attend, plain_cross_attend
from core.engine.ops.sla import SlaTiles, attend_blocks, attend_sla, keep_blocks, linear_branch
from core.engine.ops.sla_plain import plain_attend_blocks, plain_linear_branch

HEADS, WIDTH, TOP_K = 40, 128, 0.1
TEXT, IMAGE = 512, 257
SIZES = (52992, 35880, 32760)
LARGEST_ERROR = 0.01
EPS = 1e-6
DEVICE = "cuda"
CROSS_CUTS = (
    CrossTiles(),
    CrossTiles(keys=128, stages=2, registers=None),
    CrossTiles(keys=128, stages=2, registers=None, tma=False),
    CrossTiles(keys=64, stages=3, registers=None),
    CrossTiles(keys=64, stages=3, registers=128),
    CrossTiles(queries=64, keys=64, warps=4, stages=2, registers=168),
    CrossTiles(queries=64, keys=128, warps=4, stages=2, registers=None),
    CrossTiles(keys=32, stages=4),
)
SLA_CUTS = (
    SlaTiles(),
    SlaTiles(stages=2),
    SlaTiles(stages=4),
    SlaTiles(registers=128),
    SlaTiles(stages=2, tma=False),
)
SUM_CUTS = ((64, 8, 3), (64, 8, 2), (32, 8, 3), (32, 8, 4), (128, 8, 2))
"""Tokens at a time, warps, stages."""
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
        torch.cuda.synchronize()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        found = f"FAILED {type(error).__name__}: {lines[0][:120]}"
        failures.append(name)
    rows.append(f"{name:<60} {found}   [{time.perf_counter() - start:.1f} s]")
    print(rows[-1], flush=True)


def timed(run: Callable[[], object]) -> str:
    """Median of a launch, ms."""
    run()
    return f"{triton.testing.do_bench(run, warmup=5, rep=40, return_mode='median'):.3f} ms"


def error(got: Tensor, wanted: Tensor) -> float:
    """Relative Frobenius norm of the difference; not a number counts as 1."""
    found = float((got.double() - wanted.double()).norm() / wanted.double().norm())
    return found if found == found else 1.0


def judged(found: float, largest: float = LARGEST_ERROR) -> str:
    """The error; raises where it is too large."""
    if found > largest:
        raise AssertionError(f"error {found:.2e}, at most {largest:.0e}")
    return f"error {found:.2e}"


def drawn(tokens: int, heads: int = HEADS, width: int = WIDTH, batch: int = 1) -> list[Tensor]:
    """q, k (off centre), v in bfloat16."""
    generator = torch.Generator(DEVICE).manual_seed(tokens)
    shape = (batch, tokens, heads, width)
    q, k, v = (torch.randn(shape, generator=generator, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    return [q, k + 0.5, v]


def projection(width: int = WIDTH) -> nn.Linear:
    """Random, not zero."""
    torch.manual_seed(1)
    return nn.Linear(width, width).to(DEVICE, torch.bfloat16).requires_grad_(False)


def contexts(batch: int = 1, heads: int = HEADS, width: int = WIDTH) -> tuple[KeysValues, KeysValues]:
    """Text and image."""
    both = [drawn(count, heads, width, batch) for count in (TEXT, IMAGE)]
    return KeysValues(*both[0][1:]), KeysValues(*both[1][1:])


def cross_error(tokens: int, batch: int, heads: int, width: int, tiles: CrossTiles | None) -> str:
    """All rows of a small case, some of a large one."""
    q = 5 * drawn(tokens, heads, width, batch)[0].flatten(2)
    weight = 1 + 0.3 * torch.randn(heads * width, device=DEVICE)
    text, image = contexts(batch, heads, width)
    got = cross_attend(q, weight, EPS, text, image, tiles)
    some = torch.cat([torch.arange(min(200, tokens)), torch.arange(max(0, tokens - 200), tokens)])
    up = [KeysValues(part.k.float(), part.v.float()) for part in (text, image)]
    wanted = plain_cross_attend(q[:, some].float(), weight, EPS, up[0], up[1])
    return judged(error(got[:, some], wanted))


def cross_time(tokens: int, tiles: CrossTiles | None) -> str:
    """With the norm."""
    q, weight = drawn(tokens)[0].flatten(2), torch.ones(HEADS * WIDTH, device=DEVICE)
    text, image = contexts()
    return timed(lambda: cross_attend(q, weight, EPS, text, image, tiles))


def sparse_error(
    tokens: int, batch: int, heads: int, width: int, references: int, tiles: SlaTiles | None
) -> str:
    """The 16-bit kernel and the linear branch; two heads of a large case."""
    q, k, v = drawn(tokens, heads, width, batch)
    proj = projection(width)
    dense_from = (tokens - references) // 128 if references else None
    kept = keep_blocks(q, k, TOP_K)
    linear = linear_branch(k, v, proj)
    got = attend_blocks(q, k, v, kept, linear=linear, dense_from=dense_from, tiles=tiles)
    some = slice(0, heads if tokens < 9000 else 2)
    q, k, v = (x[:, :, some].float() for x in (q, k, v))
    few = torch.unflatten(kept, 0, (batch, heads))[:, some].flatten(0, 1)
    exact = plain_linear_branch(k, v, proj)
    wanted = plain_attend_blocks(q, k, v, few, linear=exact, dense_from=dense_from)
    return judged(error(got[:, :, some], wanted))


def map_error(tokens: int, batch: int, heads: int, width: int) -> str:
    """Lists of the kernels equal those of torch but where scores are equal to rounding."""
    q, k, _ = drawn(tokens, heads, width, batch)
    q_pooled, k_pooled = block_map.pooled(q, k)
    scores = torch.bmm(q_pooled, k_pooled.transpose(1, 2))
    count = block_map.kept_count(TOP_K, scores.shape[2])
    pinned = (scores.shape[2] - 1, scores.shape[2])
    for first, stop in ((0, 0), pinned):
        many = min(scores.shape[2], count + stop - first)
        ours = block_map.highest(scores, count, (first, stop))
        if not torch.equal(ours, block_map.plain_highest(scores, many, (first, stop))):
            raise AssertionError("other blocks than torch")
    means = block_map.plain_block_means(q, 128)
    return judged(error(q_pooled, means), 1e-5)


def sum_time(tokens: int, cut: tuple[int, int, int]) -> str:
    """The kernel of the linear branch alone."""
    from core.engine.ops.jit import sla as jit

    _, k, v = drawn(tokens)
    chunks = -(-tokens // sla.SUM_TOKENS)
    state = torch.empty((HEADS, chunks, WIDTH, WIDTH), device=DEVICE)
    total = torch.empty((HEADS, chunks, WIDTH), device=DEVICE)
    return timed(
        lambda: jit.linear_state[(HEADS, chunks)](
            k, v, state, total, tokens, sla.SUM_TOKENS,
            HEADS=HEADS, WIDTH=WIDTH, BLOCK=cut[0], num_warps=cut[1], num_stages=cut[2],
        )
    )  # fmt: skip


def kernel_time(tokens: int, tiles: SlaTiles | None) -> str:
    """The 16-bit sparse kernel with a list and a branch that are there."""
    q, k, v = drawn(tokens)
    kept, linear = keep_blocks(q, k, TOP_K), linear_branch(k, v, projection())
    return timed(lambda: attend_blocks(q, k, v, kept, linear=linear, tiles=tiles))


def parts(tokens: int) -> None:
    """What makes up the operator, and the operator."""
    q, k, v = drawn(tokens)
    proj = projection()
    means = block_map.pooled(q, k)
    scores = torch.bmm(means[0], means[1].transpose(1, 2))
    count = block_map.kept_count(TOP_K, scores.shape[2])
    works: dict[str, Callable[[], object]] = {
        "means of blocks": lambda: block_map.pooled(q, k),
        "scores of blocks": lambda: torch.bmm(means[0], means[1].transpose(1, 2)),
        "highest scores": lambda: block_map.highest(scores, count),
        "keep_blocks": lambda: keep_blocks(q, k, TOP_K),
        "linear_branch": lambda: linear_branch(k, v, proj),
        "attend_sla, 16 bits": lambda: attend_sla(q, k, v, proj, TOP_K, eight_bit=False),
        "attend_sla, 8 bits": lambda: attend_sla(q, k, v, proj, TOP_K, eight_bit=True),
        "attend_sla, 8 bits, no projection": lambda: attend_sla(q, k, v, None, TOP_K, eight_bit=True),
    }
    for name, work in works.items():
        guarded(f"{tokens} {name}", partial(timed, work))


def main() -> int:
    """Checks at odd sizes, then at the real one, then times."""
    for shape in ((333, 1, 2, 128), (1000, 2, 3, 64), (70, 1, 2, 128)):
        guarded(f"cross {shape}", partial(cross_error, *shape, None))
        guarded(f"block map {shape}", partial(map_error, *shape))
        guarded(f"sparse {shape}", partial(sparse_error, *shape, 0, None))
        guarded(f"sparse, references {shape}", partial(sparse_error, *shape, 60, None))
    real = (SIZES[0], 1, HEADS, WIDTH)
    guarded(f"block map {real}", partial(map_error, *real))
    guarded(f"sparse {real}", partial(sparse_error, *real, 0, None))
    for cross_cut in CROSS_CUTS:
        guarded(f"cross error {cross_cut}"[:60], partial(cross_error, *real, cross_cut))
        guarded(f"{SIZES[0]} cross {str(cross_cut)[10:]}", partial(cross_time, SIZES[0], cross_cut))
    for cut in SUM_CUTS:
        guarded(f"{SIZES[0]} sums {cut}", partial(sum_time, SIZES[0], cut))
    for sla_cut in SLA_CUTS:
        guarded(f"{SIZES[0]} kernel {str(sla_cut)[8:]}", partial(kernel_time, SIZES[0], sla_cut))
    guarded("sparse, small tiles", partial(sparse_error, 333, 1, 2, 128, 0, sla.SMALL_TILES))
    guarded("cross, small tiles", partial(cross_error, 333, 1, 2, 128, replace(cross.SMALL_TILES)))
    for tokens in SIZES:
        guarded(f"{tokens} cross_attend", partial(cross_time, tokens, None))
        parts(tokens)
    print("\n" + "\n".join(rows))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
