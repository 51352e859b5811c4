"""Attention over all keys by each kernel there is. ``within`` makes an ``Attend`` of any of them.

Shape letters: B batch, L tokens, N heads, d head width. All take q [B, L, N, d] and k, v [B, M, N, d] and
give [B, L, N, d]; the last stride is 1, the others are free, so nothing is copied into another layout.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.engine.models.attention import Attend, attend

Dense = Callable[[Tensor, Tensor, Tensor], Tensor]
BF16 = frozenset({torch.bfloat16})
HALVES = frozenset({torch.bfloat16, torch.float16})
TENSOR_CORE_WIDTHS = frozenset({64, 128})


def within(inner: Dense, dtypes: Collection[torch.dtype], widths: Collection[int] = ()) -> Attend:
    """``inner`` for what it takes; SDPA for other dtypes and head widths, and where gradients are wanted.

    Args:
        inner: a kernel for inference.
        dtypes: that it takes.
        widths: of heads that it takes; all where empty.
    """

    def limited(q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:  # noqa: ARG001
        taken = q.dtype in dtypes and (not widths or q.shape[-1] in widths)
        learning = torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad)
        return inner(q, k, v) if taken and not learning else attend(q, k, v)

    return limited


def preferring(first: SDPBackend) -> Dense:
    """SDPA with one of its kernels before the others, which take what that one does not.

    torch keeps the order per process, so it is set around each call: some 50 microseconds of the processor's
    time, while the GPU is busy with tens of milliseconds of what was launched before.
    """
    others = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
    order = [first, *(other for other in others if other != first)]

    def ordered(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(order, set_priority=True):
            return attend(q, k, v)

    return ordered


def flash3(interface: ModuleType) -> Dense:
    """FlashAttention-3. Builds differ in whether they return the log-sum-exp, too."""
    function: Callable[..., Any] = interface.flash_attn_func

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = function(q, k, v)
        result: Tensor = out[0] if isinstance(out, tuple) else out
        return result

    return run


def sage2(sageattention: ModuleType) -> Dense:
    """SageAttention from version 2: compiled kernels, 8-bit scores and, from capability 8.9, 8-bit values."""
    function: Callable[..., Any] = sageattention.sageattn

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = function(q, k, v, tensor_layout="NHD", is_causal=False)
        return out

    return run


def sage1(sageattention: ModuleType) -> Dense:
    """SageAttention 1 (Triton): 8-bit scores, values in float16.

    It takes the mean off the keys in place, so we do that before, on a copy (sageattention 1.0.6, core.py).
    """
    function: Callable[..., Any] = sageattention.sageattn

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        centred = k - k.mean(dim=1, keepdim=True)
        out: Tensor = function(q, centred, v, tensor_layout="NHD", is_causal=False, smooth_k=False)
        return out

    return run


def pirouette8(fp8_values: bool) -> Dense:
    """Our own 8-bit kernel; values in fp8 where the GPU multiplies it (capability 8.9), else in 16 bits."""
    from core.engine.ops.attention8 import attend8

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = attend8(q, k, v, values="fp8" if fp8_values else "half")
        return out

    return run


def reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same in float32, for figures: q [B, L, N, d] -> float32 [B, L, N, d]; takes B N L M floats."""
    heads = [x.transpose(1, 2).float() for x in (q, k, v)]
    scores = heads[0] @ heads[1].mT * q.shape[-1] ** -0.5
    return (F.softmax(scores, dim=-1) @ heads[2]).transpose(1, 2)
