"""Rotary positions over (frame, row, column), in real arithmetic.

Neighbouring channels (2j, 2j+1) of a head form a pair that is turned by an angle. The pairs are shared out
among the axes: columns and rows get a third each (rounded down), time the rest. Angle of pair i of n at
position p: p * 10000^(-i/n), computed in float64; the turn itself is float32.
Source: RoFormer (arXiv 2104.09864), with Wan2.1's split of the pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BASE = 10000.0


class RopeTable(NamedTuple):
    """Cosine and sine per token and pair, each [L, 1, head_dim / 2] float32.

    ``references`` is how many tokens at the end belong to the reference frames.
    """

    cos: Tensor
    sin: Tensor
    references: int = 0


def pairs_per_axis(head_dim: int) -> tuple[int, int, int]:
    """Number of pairs for (time, rows, columns); 22, 21, 21 at head width 128."""
    third = head_dim // 2 // 3
    return head_dim // 2 - 2 * third, third, third


def axis_angles(length: int, pairs: int, device: torch.device) -> Tensor:
    """Angles [length, pairs] float64 for positions 0 .. length-1."""
    positions = torch.arange(length, dtype=torch.float64, device=device)
    # max: a head of fewer than three pairs has none for rows and columns
    steps = torch.arange(pairs, dtype=torch.float64, device=device) / max(pairs, 1)
    return positions[:, None] * torch.pow(BASE, -steps)


def rope_table(
    grid: tuple[int, int, int], head_dim: int, device: torch.device, reference_frames: int = 0
) -> RopeTable:
    """Table of a token grid (frames, rows, columns), tokens in frame-major, then row, then column order.

    The float64 angles, a few thousand, are computed on the processor: GPUs are slow at them.
    """
    shapes = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
    cos, sin = [], []
    for length, pairs, shape in zip(grid, pairs_per_axis(head_dim), shapes, strict=True):
        angles = axis_angles(length, pairs, torch.device("cpu"))
        cos.append(angles.cos().float().to(device).view(*shape, pairs).expand(*grid, pairs))
        sin.append(angles.sin().float().to(device).view(*shape, pairs).expand(*grid, pairs))
    tokens = grid[0] * grid[1] * grid[2]
    return RopeTable(
        torch.cat(cos, -1).reshape(tokens, 1, -1),
        torch.cat(sin, -1).reshape(tokens, 1, -1),
        reference_frames * grid[1] * grid[2],
    )


def apply_rope(x: Tensor, table: RopeTable) -> Tensor:
    """Turn x [B, L, N, head_dim]; computed and returned in float32."""
    even, odd = torch.unflatten(x.float(), -1, (-1, 2)).unbind(-1)
    turned = torch.stack([even * table.cos - odd * table.sin, even * table.sin + odd * table.cos], dim=-1)
    return turned.flatten(-2)
