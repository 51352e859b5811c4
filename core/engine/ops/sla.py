"""Sparse-linear attention (SLA): softmax attention to the best blocks of keys, a linear branch over all keys.

Source: SLA (arXiv 2509.24006) in TurboDiffusion's form: out = sparse(q, k, v) + proj(linear(q, k, v)), where
linear = a (b^T v) / (1e-5 + a . sum of b), a and b the softmax of q and k over their width. The projection is
linear and shared by all heads, so it is multiplied into b^T v once. Without a projection (weights that were
not trained for it) the sparse part stands alone.
Shape letters: B batch, L queries, M keys, N heads, d head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.engine.ops.block_map import KEY_BLOCK, QUERY_BLOCK, keep_blocks, keep_pooled
from core.engine.ops.sla_plain import (
    EPSILON,
    LinearBranch,
    plain_attend_blocks,
    plain_linear_branch,
    projected,
)
from core.engine.ops.triton_support import interpreted, power_of_two, usable
from core.errors import BadInput

__all__ = [
    "LinearBranch",
    "SlaTiles",
    "attend_blocks",
    "attend_sla",
    "keep_blocks",
    "linear_branch",
]

LOG2_E = 1.4426950408889634
HALVES = (torch.float16, torch.bfloat16)
WIDTHS = (64, 128)
LOWEST_CAPABILITY = (8, 0)
SUM_TOKENS = 2048
"""Tokens whose sums one program makes: 1,040 programs at 52,992 tokens and 40 heads."""


@dataclass(frozen=True)
class SlaTiles:
    """How the sparse kernel is cut for a GPU.

    Attributes:
        warps: of a program.
        stages: blocks of keys and values on their way at once.
        registers: most of a thread; None leaves it to the compiler.
        tma: whole blocks come by tensor descriptors.
    """

    warps: int = 8
    stages: int = 3
    registers: int | None = None
    tma: bool = True


HOPPER_TILES = SlaTiles()
SMALL_TILES = SlaTiles(stages=2, tma=False)
"""96 KiB: fits the consumer cards that have the instructions."""


def attend_sla(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    proj: nn.Linear | None,
    topk: float,
    *,
    eight_bit: bool,
    references: int = 0,
) -> Tensor:
    """The whole operator.

    Args:
        q: [B, L, N, d] after norm and rotation.
        k: [B, M, N, d].
        v: [B, M, N, d].
        proj: d -> d; None for weights without one.
        topk: share of the key blocks that each query block attends to, above 0 to 1.
        eight_bit: scores in int8 and values in fp8 (SageSLA), or all in 16 bits (SLA).
        references: so many tokens at the end are seen by all queries, and see all keys.

    Returns:
        [B, L, N, d] in v's dtype.

    Raises:
        BadSetting: ``topk`` is out of range.
    """
    linear = linear_branch(k, v, proj)
    pinned = ((k.shape[1] - references) // KEY_BLOCK, -(-k.shape[1] // KEY_BLOCK)) if references else None
    dense_from = (q.shape[1] - references) // QUERY_BLOCK if references else None
    if not eight_bit:
        return attend_blocks(q, k, v, keep_blocks(q, k, topk, pinned), linear=linear, dense_from=dense_from)
    from core.engine.ops.attention8 import attend_packed
    from core.engine.ops.pack8 import pack8

    packed = pack8(q, k, v)
    kept = keep_pooled(packed.q_pooled, packed.k_pooled, topk, pinned)
    return attend_packed(packed, q, v.dtype, kept, linear=linear, dense_from=dense_from)


def linear_branch(k: Tensor, v: Tensor, proj: nn.Linear | None) -> LinearBranch | None:
    """What the linear branch needs of k and v [B, M, N, d]; None without a projection."""
    if proj is None:
        return None
    if not _kernels_take(k, v):
        return plain_linear_branch(k, v, proj)
    from core.engine.ops.jit import sla as jit

    k, v = k.contiguous(), v.contiguous()
    batch, keys, heads, width = k.shape
    chunks = -(-keys // SUM_TOKENS)
    state = torch.empty((batch * heads, chunks, width, width), dtype=torch.float32, device=k.device)
    total = torch.empty((batch * heads, chunks, width), dtype=torch.float32, device=k.device)
    jit.linear_state[(batch * heads, chunks)](
        k,
        v,
        state,
        total,
        keys,
        SUM_TOKENS,
        HEADS=heads,
        WIDTH=width,
        BLOCK=128 if _has_tma(k.device) else 64,
        num_warps=8,
        num_stages=2,
    )
    return projected(state.sum(1), total.sum(1), proj)


def attend_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kept: Tensor,
    *,
    linear: LinearBranch | None = None,
    dense_from: int | None = None,
    tiles: SlaTiles | None = None,
) -> Tensor:
    """Each block of 128 queries attends to its listed blocks of 64 keys, all in q's dtype, sums in float32.

    Args:
        q: [B, L, N, d].
        k: [B, M, N, d].
        v: [B, M, N, d].
        kept: int32 [B*N, ceil(L/128), n], ascending numbers of key blocks, then -1 (see ``keep_blocks``).
        linear: is added; None for none.
        dense_from: query blocks from this one on attend to all keys.
        tiles: of the kernel.

    Returns:
        [B, L, N, d] in v's dtype. A row without any block gives the linear branch alone, or zeros.

    Raises:
        BadInput: a list for another number of blocks.
    """
    batch, tokens, heads, width = q.shape
    blocks = -(-tokens // QUERY_BLOCK)
    if tuple(kept.shape[:2]) != (batch * heads, blocks):
        raise BadInput(
            "The list of blocks has another shape.", value=tuple(kept.shape), limit=(batch * heads, blocks)
        )
    if not _kernels_take(q, k, v):
        return plain_attend_blocks(q, k, v, kept, linear=linear, dense_from=dense_from)
    tiles = tiles or (HOPPER_TILES if _has_tma(q.device) else SMALL_TILES)
    out = torch.empty((batch, tokens, heads, width), dtype=v.dtype, device=q.device)
    launch = _Launch(q.contiguous(), k.contiguous(), v.contiguous(), kept.contiguous(), linear, out, tiles)
    listed = blocks if dense_from is None else min(dense_from, blocks)
    if listed:
        launch.run(0, listed, listed=True)
    if listed < blocks:
        launch.run(listed, blocks - listed, listed=False)
    return out


@dataclass(frozen=True)
class _Launch:
    """What the launches over listed and over dense query blocks share."""

    q: Tensor
    k: Tensor
    v: Tensor
    kept: Tensor
    linear: LinearBranch | None
    out: Tensor
    tiles: SlaTiles

    def run(self, first: int, blocks: int, *, listed: bool) -> None:
        from core.engine.ops.jit import sla as jit

        batch, tokens, heads, width = self.q.shape
        keys, tiles = self.k.shape[1], self.tiles
        state, total, bias = self._linear_operands()
        jit.attend_blocks[(blocks, batch * heads)](
            self.q,
            self.k,
            self.v,
            self._descriptor(self.k),
            self._descriptor(self.v),
            self.kept,
            state,
            total,
            bias,
            self.out,
            tokens,
            keys,
            width**-0.5 * LOG2_E,
            first,
            self.kept.shape[1],
            self.kept.shape[2],
            EPSILON / keys,
            HEADS=heads,
            WIDTH=width,
            BLOCK_M=QUERY_BLOCK,
            BLOCK_N=KEY_BLOCK,
            LISTED=power_of_two(self.kept.shape[2]) if listed else 0,
            LINEAR=self.linear is not None,
            TMA=tiles.tma,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
            **({} if tiles.registers is None or interpreted() else {"maxnreg": tiles.registers}),
        )

    def _linear_operands(self) -> tuple[Tensor, Tensor, Tensor]:
        """The state in 16 bits, it and the total divided by M: sums over tokens would leave float16."""
        if self.linear is None:
            return self.out, self.out, self.out  # not read
        keys = self.k.shape[1]
        state = (self.linear.state / keys).to(self.v.dtype).contiguous()
        return state, (self.linear.total / keys).contiguous(), self.linear.bias.contiguous()

    def _descriptor(self, tensor: Tensor) -> Any:
        """Of keys or values as a matrix [B*M, N*d]."""
        if not self.tiles.tma:
            return None
        from triton.tools.tensor_descriptor import TensorDescriptor

        return TensorDescriptor.from_tensor(tensor.flatten(0, 1).flatten(1), [KEY_BLOCK, tensor.shape[3]])


def _has_tma(device: torch.device) -> bool:
    """Whether tensor descriptors work and memory is ample: data centre cards since Hopper, interpreter."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device)[0] in (9, 10)


def _kernels_take(*tensors: Tensor) -> bool:
    first = tensors[0]
    if not usable(first.device) or (torch.is_grad_enabled() and any(x.requires_grad for x in tensors)):
        return False
    if first.device.type == "cuda" and torch.cuda.get_device_capability(first.device) < LOWEST_CAPABILITY:
        return False
    same = all(x.dtype == first.dtype for x in tensors)
    return same and first.shape[3] in WIDTHS and (first.dtype in HALVES or interpreted())
