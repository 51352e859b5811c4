"""Goldens of kind ``pose_align``: scales, alignment and the negative made of it.

With several people upstream's second hand is the second person's left one (golden README). We move person 0's
own right hand on purpose, so of such cases only the left hands are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.evaluation.golden.base import GoldenFile, Row, compare
from core.pose.align import Fit, apply, fit
from core.pose.augment import negative
from core.pose.skeleton import Floats, PoseFrame, threshold

_ATOL = 1e-6


def check(golden: GoldenFile) -> Iterator[Row]:
    """Scales, then body, subset, hands and negatives of the frames from the align frame on."""
    atol = float(golden.tolerance.get("atol", _ATOL))
    for number, case in enumerate(golden.cases()):
        yield from _case(golden, case, golden.config["cases"][number], atol)


def _case(golden: GoldenFile, case: str, config: Mapping[str, Any], atol: float) -> Iterator[Row]:
    keypoints, scores = _numbers(golden, f"{case}.in.keypoints"), _numbers(golden, f"{case}.in.scores")
    first = int(config["align_frame"])
    poses = [threshold(points, sure) for points, sure in zip(keypoints[first:], scores[first:], strict=True)]
    measured = _fit(golden, case, config, poses[0])
    fitted = [apply(pose, measured, exact=True) for pose in poses]
    draws = _numbers(golden, f"{case}.in.aug_uniforms")
    stretched = [negative(pose, row) for pose, row in zip(fitted, draws, strict=True)]
    alone = keypoints.shape[1] == 1
    ours = {
        "scales": np.array(list(measured.scales.values().values())),
        "body": np.stack([pose.body for pose in fitted]),
        "subset": np.stack([pose.subset[None] for pose in fitted]).astype(np.float64),
        "hands": np.stack([pose.hands for pose in fitted]),
        "aug_body": np.stack([pose.body for pose in stretched]),
        "aug_hands": np.stack([pose.hands for pose in stretched]),
    }
    for name, values in ours.items():
        theirs = golden.tensors[f"{case}.out.{name}"]
        if name.endswith("hands") and not alone:
            values, theirs = values[:, :1], theirs[:, :1]
        yield _compare(f"{case}.out.{name}", torch.from_numpy(values), theirs, atol)


def _fit(golden: GoldenFile, case: str, config: Mapping[str, Any], frame: PoseFrame) -> Fit:
    reference = threshold(
        _numbers(golden, f"{case}.in.ref_keypoints"), _numbers(golden, f"{case}.in.ref_scores")
    )
    height, width = config["canvas_hw"]
    clip_width, clip_height = config["video_wh"]
    return fit(reference, width / height, frame, clip_width / clip_height, exact=True)


def _numbers(golden: GoldenFile, key: str) -> Floats:
    values: Floats = golden.tensors[key].double().numpy()
    return values


def _compare(name: str, ours: Tensor, theirs: Tensor, atol: float) -> Row:
    """As ``compare``, but the same infinity or NaN on both sides is equal: upstream keeps infinite scales."""
    if ours.shape == theirs.shape:
        same = (ours.isnan() & theirs.isnan()) | (ours.isinf() & (ours == theirs))
        ours, theirs = ours.masked_fill(same, 0.0), theirs.double().masked_fill(same, 0.0)
    return compare(name, ours, theirs, atol)
