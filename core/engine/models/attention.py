"""Attention over tokens: the one kernel call, rotary self-attention, text and image cross-attention.

Shape letters: B batch, L tokens, D width, N heads, d = D / N.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.models.norms import RMSNorm
from core.engine.models.rope import RopeTable, apply_rope
from core.engine.ops.cross import KeysValues

# Norm and rotation are float32: in pieces, their intermediates take little beside the 16-bit result.
TOKENS_AT_ONCE = 8192


class Attend(Protocol):
    """Attention of one kind: all tokens to all, without a mask."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        """q [B, L, N, d], k and v [B, M, N, d] -> [B, L, N, d].

        Args:
            references: tokens at the end that belong to the reference frames; sparse kinds may treat them
                otherwise, dense ones ignore it.
        """
        ...


def attend(q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:  # noqa: ARG001
    """softmax(q k^T / sqrt(d)) v; see ``Attend``."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if q.device.type == "cpu":
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()  # a seventh less time than on strided heads
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products with x: autocast's where it is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def compute_cast(x: Tensor) -> Tensor:
    """x in the dtype that autocast gives to matrix products: one cast here instead of one in each product."""
    return x.to(compute_dtype(x))


def prepared(x: Tensor, norm: RMSNorm, num_heads: int, dtype: torch.dtype, rope: RopeTable | None) -> Tensor:
    """Queries or keys for ``attend``: x [B, L, D] -> normed, in heads, turned -> [B, L, N, d] ``dtype``."""
    if x.shape[1] > TOKENS_AT_ONCE:
        spans = [slice(start, start + TOKENS_AT_ONCE) for start in range(0, x.shape[1], TOKENS_AT_ONCE)]
        out = x.new_empty((*x.shape[:2], num_heads, x.shape[2] // num_heads), dtype=dtype)
        for span in spans:
            part = None if rope is None else RopeTable(rope.cos[span], rope.sin[span])
            out[:, span] = prepared(x[:, span], norm, num_heads, dtype, part)
        return out
    heads = torch.unflatten(norm(x), -1, (num_heads, -1))
    return (heads if rope is None else apply_rope(heads, rope)).to(dtype)


class Context(NamedTuple):
    """What cross-attention looks at.

    Attributes:
        image: CLIP pictures, summed, [B, 257, D].
        text: [B, 512, D].
        kept: keys and values of (text, image) by layer, which do not depend on the step: a dictionary here is
            filled at the first forward and read at the others. None computes them each time.
    """

    image: Tensor
    text: Tensor
    kept: dict[nn.Module, tuple[KeysValues, KeysValues]] | None = None


class SelfAttention(nn.Module):
    """All tokens attend to all; ``attend`` may be replaced by another kernel of the same shape."""

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attend: Attend = attend
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)

    def heads(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, N, d]."""
        return torch.unflatten(x, -1, (self.num_heads, -1))

    def forward(self, x: Tensor, rope: RopeTable) -> Tensor:
        """x [B, L, D] -> [B, L, D]."""
        x = compute_cast(x)
        v = self.heads(self.v(x))
        q = prepared(self.q(x), self.norm_q, self.num_heads, v.dtype, rope)
        k = prepared(self.k(x), self.norm_k, self.num_heads, v.dtype, rope)
        out: Tensor = self.o(self.attend(q, k, v, rope.references).flatten(2))
        return out


class CrossAttention(nn.Module):
    """One query, two softmaxes (text, image), their results added before the output projection."""

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.k_img = nn.Linear(dim, dim)
        self.v_img = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)
        self.norm_k_img = RMSNorm(dim, eps)

    def heads(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, N, d]."""
        return torch.unflatten(x, -1, (self.num_heads, -1))

    def keys_values(self, context: Context) -> tuple[KeysValues, KeysValues]:
        """Of text and image, from the context's store if it has one."""
        if context.kept is None:
            return self._keys_values(context)
        if self not in context.kept:
            context.kept[self] = self._keys_values(context)
        return context.kept[self]

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """x [B, L, D] -> [B, L, D]."""
        text, image = self.keys_values(context)
        q = prepared(self.q(x), self.norm_q, self.num_heads, text.v.dtype, None)
        out: Tensor = self.o((attend(q, *text) + attend(q, *image)).flatten(2))
        return out

    def _keys_values(self, context: Context) -> tuple[KeysValues, KeysValues]:
        v, v_img = self.heads(self.v(context.text)), self.heads(self.v_img(context.image))
        k = prepared(self.k(context.text), self.norm_k, self.num_heads, v.dtype, None)
        k_img = prepared(self.k_img(context.image), self.norm_k_img, self.num_heads, v.dtype, None)
        return KeysValues(k, v), KeysValues(k_img, v_img)
