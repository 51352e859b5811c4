"""Attention with int8 scores and fp8 or 16-bit values: over all keys, or over kept blocks of them.

The arithmetic is SageAttention's (arXiv 2411.10958), the block-sparse form with a linear branch is that of
SLA (arXiv 2509.24006). Shape letters: B batch, L queries, M keys, N heads, d head width, n listed blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.engine.ops import triton_support
from core.engine.ops.pack8 import KEY_BLOCK, QUERY_BLOCK, WIDTHS, Packed, ValueKind, pack8, value_order

Linear = tuple[Tensor, Tensor, Tensor]
"""State, total and bias of ``sla.LinearBranch``."""
_FP8_BITS = math.log2(448)
_EPSILON = 1e-5
_HOPPER = (9, 0)
_SCRATCH_BYTES = 512 << 20
"""Accumulators set aside take no more: heads run in turns then."""


@dataclass(frozen=True)
class Tiles:
    """How the kernel is cut for a GPU; results depend on the last two only.

    Attributes:
        warps: of a program, 4 or 8.
        stages: key blocks on their way at once.
        tma: whether tiles come by the tensor memory accelerator (Hopper) or by asynchronous copies.
        registers: limit for a thread: 128 lets two programs of 8 warps share a multiprocessor; None: free.
        flush: fp8 values only: key blocks after which the accumulator is set aside in float32, because fp8
            products of Hopper keep 14 bits of a running sum.
        exact_features: the linear branch reads the 16-bit queries instead of their 8 bits.
    """

    warps: int = 8
    stages: int = 3
    tma: bool = True
    registers: int | None = 128
    flush: int = 128
    exact_features: bool = True


TILES = Tiles()


def attend8(q: Tensor, k: Tensor, v: Tensor, *, values: ValueKind = "fp8", tiles: Tiles = TILES) -> Tensor:
    """softmax(q k^T / sqrt(d)) v; q [B, L, N, d], k, v [B, M, N, d] in 16 bits -> [B, L, N, d] in v's dtype.

    Args:
        q, k, v: the operands.
        values: what v is weighed in: fp8 (capability from 8.9) or its own dtype.
        tiles: how the kernel is cut.
    """
    return attend_packed(pack8(q, k, v, values), q, v.dtype, dense_from=0, tiles=tiles)


def attend_blocks8(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kept: Tensor,
    *,
    linear: Linear | None = None,
    values: ValueKind = "fp8",
    dense_from: int | None = None,
    tiles: Tiles = TILES,
) -> Tensor:
    """``attend8`` where a block of 128 queries sees only its listed blocks of 64 keys, plus a linear branch.

    A row without any block gives the linear branch alone, or zeros.

    Args:
        q, k, v: as for ``attend8``.
        kept: int32 [B N, ceil(L / 128), n], key blocks in ascending order, then -1 where there are fewer.
        linear: adds ``(a @ state) / (1e-5 + a . total) + bias`` with a = softmax of the row's query over d.
        values: as for ``attend8``.
        dense_from: query blocks from this one on attend to all keys (and have the linear branch, too).
        tiles: how the kernel is cut.
    """
    packed = pack8(q, k, v, values)
    return attend_packed(packed, q, v.dtype, kept, linear=linear, dense_from=dense_from, tiles=tiles)


def attend_packed(
    packed: Packed,
    q: Tensor,
    dtype: torch.dtype,
    kept: Tensor | None = None,
    *,
    linear: Linear | None = None,
    dense_from: int | None = None,
    tiles: Tiles = TILES,
) -> Tensor:
    """``attend_blocks8`` on packed operands; ``q`` as it was packed; ``dtype`` is the result's."""
    blocks = -(-packed.tokens // QUERY_BLOCK)
    listed = 0 if kept is None else min(blocks, blocks if dense_from is None else dense_from)
    half = packed.v_scale is None and packed.v.dtype not in (torch.float16, torch.bfloat16)
    if packed.q.shape[-1] not in WIDTHS or half or not triton_support.usable(q.device):
        return plain_attend_packed(packed, q, dtype, kept, linear=linear, dense_from=dense_from)
    out = torch.empty_like(q, dtype=dtype, memory_format=torch.contiguous_format)
    launch = _Launch(
        packed, q.contiguous(), _prepared(linear, packed.keys, dtype), out, _for_device(tiles, q.device)
    )
    if kept is not None and listed:
        launch.run(0, listed, kept.contiguous())
    if listed < blocks:
        launch.run(listed, blocks - listed, None)
    return out


def plain_attend_packed(
    packed: Packed,
    q: Tensor,
    dtype: torch.dtype,
    kept: Tensor | None = None,
    *,
    linear: Linear | None = None,
    dense_from: int | None = None,
) -> Tensor:
    """``attend_packed`` in plain torch, float32: block after block with the same roundings as the kernel."""
    with torch.autocast(q.device.type, enabled=False):  # 16 bits would overflow
        return _plain_attended(packed, q, dtype, kept, linear, dense_from)


def _plain_attended(
    packed: Packed,
    q: Tensor,
    dtype: torch.dtype,
    kept: Tensor | None,
    linear: Linear | None,
    dense_from: int | None,
) -> Tensor:
    blocks = -(-packed.tokens // QUERY_BLOCK)
    listed = 0 if kept is None else min(blocks, blocks if dense_from is None else dense_from)
    key_blocks = -(-packed.keys // KEY_BLOCK)
    heads = packed.q.shape[0]
    parts = []
    if kept is not None and listed:
        parts.append(_plain_blocks(packed, slice(0, listed), kept[:, :listed].long()))
    if listed < blocks:
        every = torch.arange(key_blocks, device=q.device).expand(heads, blocks - listed, -1)
        parts.append(_plain_blocks(packed, slice(listed, blocks), every))
    out = torch.cat(parts, 1)[:, : packed.tokens]
    if linear is not None:
        state, total, bias = linear
        feature = q.float().transpose(1, 2).flatten(0, 1).softmax(-1)
        divisor = _EPSILON + torch.einsum("hld,hd->hl", feature, total)
        out = out + feature @ state / divisor[..., None] + bias
    heads_last = torch.unflatten(out, 0, (packed.batch, -1)).transpose(1, 2)
    return heads_last.to(dtype).contiguous()


def _plain_blocks(packed: Packed, queries: slice, kept: Tensor) -> Tensor:
    """Query blocks attend to their lists [B N, blocks, n] -> float32 [B N, blocks * 128, d]."""
    width = packed.q.shape[-1]
    q = torch.unflatten(packed.q, 1, (-1, QUERY_BLOCK))[:, queries].float()
    k = torch.unflatten(packed.k, 1, (-1, KEY_BLOCK)).float()
    v, to_values = _plain_value_blocks(packed, k.shape[1])
    scale = (
        packed.q_scale[:, queries, None] * packed.k_scale[:, None] * (math.log2(math.e) / math.sqrt(width))
    )
    heads = torch.arange(kept.shape[0], device=kept.device)[:, None]
    top = q.new_full(q.shape[:3], -torch.inf)
    total, out = torch.zeros_like(top), torch.zeros_like(q)
    for step in range(kept.shape[2]):
        block = kept[:, :, step].clamp_min(0)
        keys = block[..., None] * KEY_BLOCK + torch.arange(KEY_BLOCK, device=kept.device)
        hidden = (keys >= packed.keys) | (kept[:, :, step] < 0)[..., None]
        scores = (q @ k[heads, block].transpose(-1, -2)).masked_fill(hidden[:, :, None], -torch.inf)
        factor = scale.gather(2, block[..., None])[..., None]
        raised = torch.maximum(top, scores.amax(-1) * factor[..., 0])
        settled = raised.clamp_min(torch.finfo(torch.float32).min)
        p = torch.exp2(scores * factor - (settled - to_values.bits)[..., None])
        drop = torch.exp2(top - settled)
        total = total * drop + p.sum(-1)
        out = out * drop[..., None] + p.to(to_values.dtype).float() @ v[heads, block]
        top = raised
    out = torch.where(total[..., None] > 0, out / total[..., None], 0.0)
    if packed.v_scale is not None and packed.v_mean is not None:
        out = out * packed.v_scale[:, None, None] + (total[..., None] > 0) * packed.v_mean[:, None, None]
    return out.flatten(1, 2)


@dataclass(frozen=True)
class _Weights:
    """How probabilities are stored for their product with values."""

    dtype: torch.dtype
    bits: float


def _plain_value_blocks(packed: Packed, blocks: int) -> tuple[Tensor, _Weights]:
    """Values by key blocks, float32 [B N, blocks, 64, d] in the order of tokens."""
    if packed.v_scale is None:
        v = packed.v.float().transpose(1, 2).flatten(0, 1)
        v = torch.nn.functional.pad(v, (0, 0, 0, blocks * KEY_BLOCK - packed.keys))
        return torch.unflatten(v, 1, (blocks, KEY_BLOCK)), _Weights(packed.v.dtype, 0.0)
    v = packed.v.float().transpose(1, 2)
    v = v[:, value_order(v.shape[1], v.device).argsort()]
    return torch.unflatten(v, 1, (blocks, KEY_BLOCK)), _Weights(packed.v.dtype, _FP8_BITS)


def _prepared(linear: Linear | None, keys: int, dtype: torch.dtype) -> Linear | None:
    """The linear branch as the kernel reads it: 16 bits, divided by M lest sums over tokens leave float16."""
    if linear is None:
        return None
    state, total, bias = linear
    kind = dtype if dtype in (torch.float16, torch.bfloat16) else torch.float16
    return (
        (state * (1 / keys)).to(kind).contiguous(),
        (total * (1 / keys)).contiguous(),
        bias.float().contiguous(),
    )


def _for_device(tiles: Tiles, device: torch.device) -> Tiles:
    """As Hopper does it on Hopper alone, and by the interpreter.

    Other cards have operands in registers, and would spill hundreds of bytes with the limit.
    """
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else _HOPPER
    if capability == _HOPPER:
        return tiles
    return replace(tiles, registers=None, tma=tiles.tma and capability > _HOPPER)


@dataclass(frozen=True)
class _Launch:
    """Everything that launches over different query blocks share."""

    packed: Packed
    q: Tensor
    linear: Linear | None
    out: Tensor
    tiles: Tiles

    def run(self, first: int, blocks: int, kept: Tensor | None) -> None:
        """Fill ``blocks`` query blocks from ``first`` on; ``kept`` lists all query blocks; None: dense."""
        heads = self.packed.q.shape[0]
        most = -(-self.packed.keys // KEY_BLOCK) if kept is None else kept.shape[-1]
        if self.packed.v_scale is None or most <= self.tiles.flush:
            self._run_heads(first, blocks, kept, slice(0, heads), None)
            return
        values = blocks * QUERY_BLOCK * self.packed.q.shape[-1]
        launches = -(-heads * values * 4 // _SCRATCH_BYTES)
        at_once = -(-heads // launches)
        scratch = torch.empty(at_once * values, dtype=torch.float32, device=self.q.device)
        for start in range(0, heads, at_once):
            self._run_heads(first, blocks, kept, slice(start, min(heads, start + at_once)), scratch)

    def _run_heads(
        self, first: int, blocks: int, kept: Tensor | None, heads: slice, scratch: Tensor | None
    ) -> None:
        from core.engine.ops.jit import attention8 as jit

        packed, tiles, unused = self.packed, self.tiles, self.packed.q_scale
        state, total, bias = self.linear or (unused, unused, unused)
        listed = 0 if kept is None else kept.shape[-1]
        operands = (
            *self._sources(),
            packed.q_scale,
            packed.k_scale,
            unused if packed.v_scale is None else packed.v_scale,
            unused if packed.v_mean is None else packed.v_mean,
            unused if kept is None else kept,
            self.q,
            state,
            total,
            bias,
            unused if scratch is None else scratch,
            self.out,
        )
        sizes = (packed.tokens, packed.keys, packed.q.shape[1], packed.k.shape[1], packed.heads)
        jit.attend8[(blocks, heads.stop - heads.start)](
            *operands,
            *sizes,
            first,
            heads.start,
            listed,
            _EPSILON / packed.keys,
            D=packed.q.shape[-1],
            BLOCK_M=QUERY_BLOCK,
            BLOCK_N=KEY_BLOCK,
            LISTED=triton_support.power_of_two(listed) if listed else 0,
            EVEN=packed.keys % KEY_BLOCK == 0,
            FP8=packed.v_scale is not None,
            FLUSH=0 if scratch is None else tiles.flush,
            LINEAR=self.linear is not None,
            EXACT_Q=tiles.exact_features,
            TMA=tiles.tma,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
            **({} if tiles.registers is None else {"maxnreg": tiles.registers}),
        )

    def _sources(self) -> tuple[Any, Any, Any]:
        """q8, k8 and v8 as the kernel loads them: descriptors of 2-D views, or the tensors."""
        packed = self.packed
        if not self.tiles.tma:
            return packed.q, packed.k, packed.v.contiguous()
        from triton.tools.tensor_descriptor import TensorDescriptor

        width = packed.q.shape[-1]
        v, block = packed.v.contiguous().flatten(0, 1), [width, KEY_BLOCK]
        if packed.v_scale is None:
            v, block = v.flatten(1), [KEY_BLOCK, width]
        describe = TensorDescriptor.from_tensor
        q, k = packed.q.flatten(0, 1), packed.k.flatten(0, 1)
        return describe(q, [QUERY_BLOCK, width]), describe(k, [KEY_BLOCK, width]), describe(v, block)
