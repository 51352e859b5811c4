"""Rotations as matrices: about one axis, from quaternions, to and from rotation vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def rotation_x(angle: Tensor) -> Tensor:
    """[...] radians -> [..., 3, 3]."""
    return _rotation(angle, 0)


def rotation_y(angle: Tensor) -> Tensor:
    """[...] radians -> [..., 3, 3]."""
    return _rotation(angle, 1)


def rotation_z(angle: Tensor) -> Tensor:
    """[...] radians -> [..., 3, 3]."""
    return _rotation(angle, 2)


def _rotation(angle: Tensor, axis: int) -> Tensor:
    c, s = angle.cos(), angle.sin()
    matrix = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = c
    matrix[..., j, j] = c
    matrix[..., i, j] = -s
    matrix[..., j, i] = s
    return matrix


def orthonormal(matrix: Tensor) -> Tensor:
    """Nearest-by-Gram-Schmidt rotation of blended matrices [..., 3, 3] (columns)."""
    x = torch.nn.functional.normalize(matrix[..., 0], dim=-1)
    y = matrix[..., 1] - (x * matrix[..., 1]).sum(-1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def quaternion_matrix(q: Tensor) -> Tensor:
    """Quaternions (w, x, y, z) [..., 4] -> [..., 3, 3]."""
    w, x, y, z = torch.nn.functional.normalize(q, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*q.shape[:-1], 3, 3)


def rotation_vector(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Rotation by |v| radians about v = (x, y, z), each [...] -> [..., 3, 3] (Rodrigues)."""
    squared = x * x + y * y + z * z
    angle = squared.clamp_min(1e-12).sqrt()
    s, c = angle.sin() / angle, (1 - angle.cos()) / angle.square()
    one = 1 - c * squared
    rows = [
        one + c * x * x, c * x * y - s * z, c * x * z + s * y,
        c * x * y + s * z, one + c * y * y, c * y * z - s * x,
        c * x * z - s * y, c * y * z + s * x, one + c * z * z,
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*x.shape, 3, 3)


def to_rotation_vector(matrix: Tensor) -> Tensor:
    """[..., 3, 3] -> [..., 3] radians, at most pi long; not for half turns."""
    lower = torch.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        dim=-1,
    )
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    sine = lower.norm(dim=-1) / 2
    angle = torch.atan2(sine, (trace - 1) / 2)
    vector: Tensor = lower * (angle / (2 * sine.clamp_min(1e-6)))[..., None]
    return vector
