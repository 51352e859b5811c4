"""Skeletons of whole batches at once, as ``core.pose.draw`` draws one: on a GPU by a kernel, else by torch.

The product's limbs are polygons: an ellipse at a whole angle, its outline rounded to pixels and filled with
its edge. Here a pixel belongs to a limb by the ellipse's own formula, a little larger; 48 dB between both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.pose.draw import COLOURS, DIM, HALF_WIDTH, JOINT_RADIUS
from core.pose.skeleton import LIMBS

# What rounding an outline and filling its edge adds to an ellipse, found by trying.
_LONGER, _WIDER = 1.0, 0.6
_FAR = 1e9
_ROWS, _COLUMNS = 16, 32


def shapes_of(points: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """points [N, 18, 2] pixels, shown [N, 18] -> what is drawn.

    Returns:
        Limbs [N, 17, 6]: centre x and y, cosine and sine, one over half the length, and what is added to a
        pixel's distance: much where the limb is hidden. Joints [N, 18, 3]: x, y and the same.
    """
    first, second = torch.tensor(LIMBS, device=points.device).unbind(1)
    a, b = points[:, first], points[:, second]
    centre, (dx, dy) = ((a + b) / 2).trunc(), (a - b).unbind(-1)
    half = (torch.hypot(dx, dy) / 2).trunc() + _LONGER
    angle = torch.deg2rad(torch.rad2deg(torch.atan2(dy, dx)).trunc())
    limbs = [
        *centre.unbind(-1),
        angle.cos(),
        angle.sin(),
        1 / half,
        _away(shown[:, first] & shown[:, second]),
    ]
    return torch.stack(limbs, dim=-1), torch.cat([points.floor(), _away(shown)[..., None]], dim=-1)


def _away(shown: Tensor) -> Tensor:
    return torch.where(shown, 0.0, _FAR)


def paint_skeletons(points: Tensor, shown: Tensor, height: int, width: int) -> Tensor:
    """points [N, 18, 2] drawing pixels (twice the picture's), shown [N, 18] -> [N, 3, height, width] 0..1."""
    limbs, joints = shapes_of(points.float(), shown)
    return (paint_tiles if points.is_cuda else paint_whole)(limbs, joints, height, width) / 255


def paint_whole(limbs: Tensor, joints: Tensor, height: int, width: int) -> Tensor:
    """``shapes_of``'s limbs and joints -> [N, 3, height, width], 0..255."""
    y = torch.arange(2 * height, device=limbs.device, dtype=torch.float32)[:, None]
    x = torch.arange(2 * width, device=limbs.device, dtype=torch.float32)[None]
    canvas = torch.zeros(len(limbs), 3, 2 * height, 2 * width, device=limbs.device)
    colours = _colours(limbs)
    for limb, colour in zip(limbs.unbind(1), colours, strict=False):
        left, top, cos, sin, along, away = (value[:, None, None] for value in limb.unbind(1))
        u = ((x - left) * cos + (y - top) * sin) * along
        v = ((y - top) * cos - (x - left) * sin) / (HALF_WIDTH + _WIDER)
        canvas = _painted(canvas, u * u + v * v + away <= 1, colour)
    canvas = (canvas * DIM).floor()
    for joint, colour in zip(joints.unbind(1), colours, strict=True):
        left, top, away = (value[:, None, None] for value in joint.unbind(1))
        distance = (x - left).square() + (y - top).square()
        canvas = _painted(canvas, distance + away <= JOINT_RADIUS**2, colour)
    return F.avg_pool2d(canvas, 2)


def paint_tiles(limbs: Tensor, joints: Tensor, height: int, width: int) -> Tensor:
    """As ``paint_whole``, in one launch; needs Triton."""
    from core.training.skeleton_kernel import skeleton_kernel

    picture = torch.empty(len(limbs), 3, height, width, device=limbs.device)
    tiles = -(-2 * width // _COLUMNS), -(-2 * height // _ROWS), len(limbs)
    skeleton_kernel[tiles](
        limbs.contiguous(), joints.contiguous(), _colours(limbs), picture, height, width,
        float(HALF_WIDTH + _WIDER),
        LIMBS=len(LIMBS), JOINTS=len(COLOURS), RADIUS=JOINT_RADIUS, DIM=DIM, ROWS=_ROWS, COLUMNS=_COLUMNS,
        num_warps=4,
    )  # fmt: skip
    return picture


def _colours(like: Tensor) -> Tensor:
    return torch.tensor(COLOURS, dtype=torch.float32, device=like.device)


def _painted(canvas: Tensor, inside: Tensor, colour: Tensor) -> Tensor:
    return torch.where(inside[:, None], colour[:, None, None], canvas)
