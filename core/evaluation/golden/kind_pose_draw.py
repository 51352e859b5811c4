"""Goldens of kind ``pose_draw``: the threshold and the drawing.

With two people upstream draws two left hands of two bodies. We draw both hands of one body on purpose, so
such cases are compared before the drawing only (golden README).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from core.evaluation.golden.base import GoldenFile, Row, compare, exact
from core.pose.draw import Image, draw
from core.pose.skeleton import PoseFrame, threshold_people

_ATOL = 1e-9
_MEAN_LIMIT = 1.5


def check(golden: GoldenFile) -> Iterator[Row]:
    """The pose dictionary of every case; the picture of cases with one person."""
    for case in golden.cases():
        people = threshold_people(
            golden.tensors[f"{case}.in.keypoints"].double().numpy(),
            golden.tensors[f"{case}.in.scores"].double().numpy(),
        )
        for name in ("body", "subset", "hands", "faces"):
            key = f"{case}.mid.{name}"
            if key in golden.tensors:
                yield compare(key, torch.from_numpy(getattr(people, name)), golden.tensors[key], _ATOL)
        if len(people.subset) != 1:
            continue
        for key, faces in ((f"{case}.out.image_rgb", False), (f"{case}.out.image_rgb_with_face", True)):
            if key in golden.tensors:
                theirs = golden.tensors[key]
                yield _picture(key, _drawn(people.person(0), theirs, faces), theirs)


def _drawn(pose: PoseFrame, like: Tensor, faces: bool) -> Image:
    height, width = like.shape[:2]
    return draw(pose, int(height), int(width), faces=faces)


def _picture(key: str, ours: Image, theirs: Tensor) -> Row:
    """Exact; where another OpenCV rasterises ellipses differently, a small mean difference is allowed."""
    row = exact(key, torch.from_numpy(ours), theirs)
    if row.passed:
        return row
    mean = float(np.abs(ours.astype(np.float64) - theirs.double().numpy()).mean())
    return Row(key, row.max_abs_error, f"mean {mean:.3f} < {_MEAN_LIMIT}", mean < _MEAN_LIMIT)
