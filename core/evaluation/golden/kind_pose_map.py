"""Goldens of kind ``pose_map``: COCO-WholeBody 133 to OpenPose 134."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from core.evaluation.golden.base import GoldenFile, Row, compare
from core.pose.skeleton import coco_to_openpose


def check(golden: GoldenFile) -> Iterator[Row]:
    """Keypoints and scores of every case at the file's tolerance."""
    atol = float(golden.tolerance.get("atol", 1e-9))
    for case in golden.cases():
        points = golden.tensors[f"{case}.in.coco_keypoints"].numpy()
        scores = golden.tensors[f"{case}.in.coco_scores"].numpy()
        ours = coco_to_openpose(points, scores)
        for name, value in zip(("keypoints", "scores"), ours, strict=True):
            key = f"{case}.out.{name}"
            yield compare(key, torch.from_numpy(value), golden.tensors[key], atol)
