"""Cross-attention with the query's norm: one query, two lists of keys (text, image), two softmaxes, one sum.

Shape letters: B batch, L tokens, M keys, D width, N heads, d = D / N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops.triton_support import interpreted, power_of_two, usable
from core.errors import BadInput

LOG2_E = 1.4426950408889634
HALVES = (torch.float16, torch.bfloat16)
HEAD_WIDTHS = (64, 128)
SMALLEST_DOT = 16
ROW_BLOCK = 1024


class KeysValues(NamedTuple):
    """Keys (after their norm) and values of one context, each [B, M, N, d] in the queries' dtype."""

    k: Tensor
    v: Tensor


@dataclass(frozen=True)
class CrossTiles:
    """How the kernel cuts its work.

    Attributes:
        queries: at a time, by one program.
        keys: at a time; fewer make up the tail of each list.
        warps: of a program.
        stages: blocks of keys and values on their way at once.
        registers: most of a thread; None leaves it to the compiler.
        tma: whole blocks come by tensor descriptors.
    """

    queries: int = 128
    keys: int = 32
    warps: int = 8
    stages: int = 3
    registers: int | None = 128
    tma: bool = True


# 128 registers and 80 KiB let two programs share a multiprocessor: one multiplies while the other takes
# exponents or waits for the first keys of a list. Fewer queries would read the keys too often for L2.
HOPPER_TILES = CrossTiles()
SMALL_TILES = CrossTiles(stages=2, registers=None, tma=False)
"""64 KiB: for cards with less shared memory than Hopper."""
HOPPER = (9, 0)
LOWEST_CAPABILITY = (8, 0)


def cross_attend(
    q: Tensor,
    weight: Tensor,
    eps: float,
    text: KeysValues,
    image: KeysValues,
    tiles: CrossTiles | None = None,
) -> Tensor:
    """softmax(n(q) k^T / sqrt(d)) v of text and of image, added; n is the RMS norm over the whole width.

    Args:
        q: [B, L, D] 16-bit, the projection before its norm.
        weight: [D], of the norm.
        eps: of the norm.
        text: keys and values of the text.
        image: keys and values of the pictures.
        tiles: of the kernel; by default those of the device.

    Returns:
        [B, L, D] in q's dtype. The kernel multiplies the weight into the keys instead of the queries, so it
        rounds elsewhere than the plain form, not more.

    Raises:
        BadInput: shapes that do not belong together.
    """
    _check(q, weight, text, image)
    heads = text.k.shape[2]
    if not _kernel_takes(q, text, image):
        return plain_cross_attend(q, weight, eps, text, image)
    return _launch(q.contiguous(), weight, eps, text, image, heads, tiles or _tiles_of(q.device))


def plain_cross_attend(q: Tensor, weight: Tensor, eps: float, text: KeysValues, image: KeysValues) -> Tensor:
    """The modules' own arithmetic: norm in float32, one rounding, two products of torch, their sum."""
    normed = F.rms_norm(q.float(), list(weight.shape), weight.float(), eps).to(q.dtype)
    heads = torch.unflatten(normed, -1, (text.k.shape[2], -1)).transpose(1, 2)
    both = [
        F.scaled_dot_product_attention(heads, part.k.transpose(1, 2), part.v.transpose(1, 2))
        for part in (text, image)
    ]
    return (both[0] + both[1]).transpose(1, 2).flatten(2)


def _check(q: Tensor, weight: Tensor, text: KeysValues, image: KeysValues) -> None:
    batch, _, width = q.shape
    heads = text.k.shape[2]
    for part in (text, image):
        limit = (batch, part.k.shape[1], heads, width // heads)
        if tuple(part.k.shape) != limit or tuple(part.v.shape) != limit:
            raise BadInput(
                "Keys and values do not belong to these queries.",
                value=(tuple(part.k.shape), tuple(part.v.shape)),
                limit=limit,
            )
    if tuple(weight.shape) != (width,):
        raise BadInput("The norm has another width than the queries.", value=weight.shape, limit=width)


def _kernel_takes(q: Tensor, text: KeysValues, image: KeysValues) -> bool:
    tensors = (q, *text, *image)
    if not usable(q.device) or (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
        return False
    if q.device.type == "cuda" and torch.cuda.get_device_capability(q.device) < LOWEST_CAPABILITY:
        return False
    same = all(t.dtype == q.dtype and t.stride(-1) == 1 for t in tensors)
    return same and text.k.shape[-1] in HEAD_WIDTHS and (q.dtype in HALVES or interpreted())


def _tiles_of(device: torch.device) -> CrossTiles:
    if device.type == "cuda" and torch.cuda.get_device_capability(device) != HOPPER:
        return SMALL_TILES
    return HOPPER_TILES


def _tail(keys: int, block: int) -> int:
    """Width of the block that takes what is left of the keys: 257 keys are not worth a fifth block of 64."""
    return max(SMALLEST_DOT, power_of_two(keys % block)) if keys % block else 0


def _launch(
    q: Tensor,
    weight: Tensor,
    eps: float,
    text: KeysValues,
    image: KeysValues,
    heads: int,
    tiles: CrossTiles,
) -> Tensor:
    from core.engine.ops.jit import cross as jit

    batch, tokens, width = q.shape
    rms = torch.empty(batch * tokens, dtype=torch.float32, device=q.device)
    jit.inverse_rms[(batch * tokens,)](q, rms, width, eps, WIDTH=width, BLOCK=ROW_BLOCK, num_warps=4)
    by_head = weight.float().view(heads, width // heads)
    keys = [
        tensor.contiguous() for part in (text, image) for tensor in ((part.k * by_head).to(q.dtype), part.v)
    ]
    out = torch.empty_like(q)
    blocks = (tokens + tiles.queries - 1) // tiles.queries
    jit.cross_attend[(blocks * batch * heads,)](
        q,
        rms,
        *keys,
        *(_descriptor(tensor, tiles) for tensor in keys),
        out,
        tokens,
        (width // heads) ** -0.5 * LOG2_E,
        TEXT=text.k.shape[1],
        IMAGE=image.k.shape[1],
        HEADS=heads,
        WIDTH=width // heads,
        BLOCK_M=tiles.queries,
        BLOCK_N=tiles.keys,
        TEXT_TAIL=_tail(text.k.shape[1], tiles.keys),
        IMAGE_TAIL=_tail(image.k.shape[1], tiles.keys),
        TMA=tiles.tma,
        num_warps=tiles.warps,
        num_stages=tiles.stages,
        **({} if tiles.registers is None or interpreted() else {"maxnreg": tiles.registers}),
    )
    return out


def _descriptor(tensor: Tensor, tiles: CrossTiles) -> Any:
    """Of keys or values as a matrix [B * M, N * d]."""
    if not tiles.tma:
        return None
    from triton.tools.tensor_descriptor import TensorDescriptor

    matrix = tensor.view(-1, tensor.shape[2] * tensor.shape[3])
    return TensorDescriptor.from_tensor(matrix, [tiles.keys, tensor.shape[3]])
