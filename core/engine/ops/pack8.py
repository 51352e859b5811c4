"""Queries, keys and values in 8 bits for attention.

Scores are int8 products: queries have one scale for 128 tokens of a head, keys one for 64, after their mean
over all tokens is taken off, which a softmax does not see (SageAttention, arXiv 2411.10958). Values are fp8
with one scale a channel, after their mean over all tokens, which is added to the result: running sums of
Hopper's fp8 products keep 14 bits, and a mean would take most of them.

Shape letters: B batch, L queries, M keys, N heads, d head width; P a multiple of 128.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops import triton_support
from core.engine.ops.rows import FP8, FP8_MAX, INT8_MAX, SMALLEST_SCALE

ValueKind = Literal["fp8", "half"]
QUERY_BLOCK = 128
KEY_BLOCK = 64
WIDTHS = (64, 128)
"""Head widths that kernels take; others go through the plain form."""
FP8_CAPABILITY = (8, 9)
_PADDING = 128


class Packed(NamedTuple):
    """What the 8-bit attention reads.

    Attributes:
        q: int8 [B N, P, d], zeros after the last token.
        q_scale: float32 [B N, P / 128]: q is ``q * q_scale``.
        k: int8 [B N, P, d], of k less its mean over tokens.
        k_scale: float32 [B N, P / 64].
        v: fp8 [B N, d, P], of v less its mean, tokens in each group of 16 in the order of ``value_order``; or
            v as it was given.
        v_scale: float32 [B N, d], or None for v as it was given.
        v_mean: float32 [B N, d], what to add to the result: the mean of v less that of ``v * v_scale``, whose
            roundings need not cancel; or None for v as it was given.
        q_pooled: float32 [B N, ceil(L / 128), d], means of q over the tokens of a block.
        k_pooled: float32 [B N, ceil(M / 64), d], means of k less its mean over tokens.
        k_mean: float32 [B N, d].
        tokens: L.
        keys: M.
        batch: B.
    """

    q: Tensor
    q_scale: Tensor
    k: Tensor
    k_scale: Tensor
    v: Tensor
    v_scale: Tensor | None
    v_mean: Tensor | None
    q_pooled: Tensor
    k_pooled: Tensor
    k_mean: Tensor
    tokens: int
    keys: int
    batch: int

    @property
    def heads(self) -> int:
        """N."""
        return self.q.shape[0] // self.batch


def pack8(q: Tensor, k: Tensor, v: Tensor, values: ValueKind = "fp8") -> Packed:
    """q [B, L, N, d], k and v [B, M, N, d] of any float dtype -> 8 bits, in four launches.

    ``half`` leaves v as it is; so does ``fp8`` where the device has no such products.
    """
    values = values_on(q.device, values)
    if q.shape[-1] not in WIDTHS or not triton_support.usable(q.device):
        return plain_pack8(q, k, v, values)
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    k_mean, of_values = _column_statistics(k, v, values)
    q8, q_scale, q_pooled = _packed_rows(q, None, QUERY_BLOCK)
    k8, k_scale, k_pooled = _packed_rows(k, k_mean, KEY_BLOCK)
    v8, v_scale, v_mean = (v, None, None) if of_values is None else _packed_values(v, *of_values)
    shape = (q.shape[1], k.shape[1], q.shape[0])
    return Packed(q8, q_scale, k8, k_scale, v8, v_scale, v_mean, q_pooled, k_pooled, k_mean, *shape)


def plain_pack8(q: Tensor, k: Tensor, v: Tensor, values: ValueKind = "fp8") -> Packed:
    """``pack8`` in plain torch, any head width: what the kernels must equal."""
    values = values_on(q.device, values)
    k_mean = _heads_first(k).mean(1)
    q8, q_scale, q_pooled = _plain_rows(_heads_first(q), QUERY_BLOCK)
    k8, k_scale, k_pooled = _plain_rows(_heads_first(k) - k_mean[:, None], KEY_BLOCK)
    v8, v_scale, v_mean = (v, None, None) if values == "half" else _plain_values(_heads_first(v))
    shape = (q.shape[1], k.shape[1], q.shape[0])
    return Packed(q8, q_scale, k8, k_scale, v8, v_scale, v_mean, q_pooled, k_pooled, k_mean, *shape)


def values_on(device: torch.device, wanted: ValueKind) -> ValueKind:
    """What values can be weighed in: fp8 products exist from capability 8.9 on (and by interpreter)."""
    old = device.type == "cuda" and torch.cuda.get_device_capability(device) < FP8_CAPABILITY
    return "half" if old else wanted


def value_order(padded: int, device: torch.device) -> Tensor:
    """Which token stands in each place of packed values: int64 [P]."""
    places = torch.arange(padded, device=device)
    return places // 16 * 16 + places // 2 % 2 * 8 + places // 4 % 4 * 2 + places % 2


def padded_tokens(tokens: int) -> int:
    """P: the smallest multiple of 128 that holds all tokens."""
    return -(-tokens // _PADDING) * _PADDING


def _heads_first(x: Tensor) -> Tensor:
    """[B, L, N, d] -> float32 [B N, L, d]."""
    return x.float().transpose(1, 2).flatten(0, 1)


def _plain_rows(x: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
    """x [B N, L, d] -> int8 [B N, P, d], scales of blocks, means of blocks."""
    tokens = x.shape[1]
    blocks = -(-tokens // block)
    x = torch.unflatten(F.pad(x, (0, 0, 0, padded_tokens(tokens) - tokens)), 1, (-1, block))
    scale = (x.abs().amax((2, 3)) * (1 / INT8_MAX)).clamp_min(SMALLEST_SCALE)
    scaled = x * (1 / scale)[:, :, None, None]
    rounded = (scaled + torch.where(scaled < 0, -0.5, 0.5)).to(torch.int8)
    counts = (tokens - torch.arange(blocks, device=x.device) * block).clamp_max(block)
    return rounded.flatten(1, 2), scale, x[:, :blocks].sum(2) / counts[:, None]


def _plain_values(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """v [B N, M, d] -> fp8 [B N, d, P], scales and what to add to the result [B N, d]."""
    keys = v.shape[1]
    padded = padded_tokens(keys)
    mean = v.mean(1)
    scale = _value_scale(v.abs().amax(1), mean)
    rounded = ((v - mean[:, None]) * (1 / scale)[:, None]).to(FP8)
    mean = mean - rounded.float().sum(1) / keys * scale
    filled = F.pad(rounded.float(), (0, 0, 0, padded - keys))[:, value_order(padded, v.device)]
    return filled.to(FP8).transpose(1, 2).contiguous(), scale, mean


def _value_scale(top: Tensor, mean: Tensor) -> Tensor:
    """No value less the mean is larger than both magnitudes; an unused half of fp8's range costs nothing."""
    return ((top + mean.abs()) * (1 / FP8_MAX)).clamp_min(SMALLEST_SCALE)


def _column_statistics(
    k: Tensor, v: Tensor, values: ValueKind
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """The mean of k over tokens; for fp8 the mean and the largest magnitude of v; float32 [B N, d] each."""
    from core.engine.ops.jit import pack8 as jit

    batch, keys, heads, width = k.shape
    rows, columns = 16, 256
    tiles = min(32, triton_support.power_of_two(-(-keys // rows)))
    chunks = -(-keys // (rows * tiles))
    eight = values == "fp8"
    sums = torch.empty((batch, chunks, heads * width), dtype=torch.float32, device=k.device)
    v_sums, tops = (torch.empty_like(sums) if eight else sums for _ in range(2))
    grid = (chunks, -(-heads * width // columns), batch)
    jit.column_sums[grid](
        k, v, sums, v_sums, tops, keys, heads * width, rows, columns, tiles, eight, num_warps=4
    )
    shape = (batch * heads, width)
    k_mean = (sums.sum(1) / keys).view(shape)
    return k_mean, ((v_sums.sum(1) / keys).view(shape), tops.amax(1).view(shape)) if eight else None


def _packed_rows(x: Tensor, mean: Tensor | None, block: int) -> tuple[Tensor, Tensor, Tensor]:
    from core.engine.ops.jit import pack8 as jit

    batch, tokens, heads, width = x.shape
    padded, blocks = padded_tokens(tokens), -(-tokens // block)
    packed = torch.empty((batch * heads, padded, width), dtype=torch.int8, device=x.device)
    scales = torch.empty((batch * heads, padded // block), dtype=torch.float32, device=x.device)
    pooled = torch.empty((batch * heads, blocks, width), dtype=torch.float32, device=x.device)
    sizes = (tokens, padded, heads, blocks, width, block, mean is not None)
    grid = (padded // block, batch * heads)
    given = x if mean is None else mean
    jit.pack_rows[grid](x, given, packed, scales, pooled, *sizes, num_warps=4 if block == QUERY_BLOCK else 2)
    return packed, scales, pooled


def _packed_values(v: Tensor, mean: Tensor, top: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As ``_plain_values``."""
    from core.engine.ops.jit import pack8 as jit

    batch, keys, heads, width = v.shape
    padded = padded_tokens(keys)
    scale = _value_scale(top, mean)
    packed = torch.empty((batch * heads, width, padded), dtype=FP8, device=v.device)
    grid = (padded // _PADDING, batch * heads)
    sums = torch.empty((batch * heads, grid[0], width), dtype=torch.float32, device=v.device)
    jit.pack_values[grid](v, mean, scale, packed, sums, keys, padded, heads, width, _PADDING, num_warps=8)
    return packed, scale, mean - sums.sum(1) / keys * scale
