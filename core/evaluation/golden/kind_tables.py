"""Golden kind ``tables``: latent size, pose canvas and the condition-guidance window."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from core.engine.sampling.guidance import in_window
from core.evaluation.golden.base import GoldenFile, Row, exact
from core.geometry import latent_size, pose_canvas


def check(golden: GoldenFile) -> Iterator[Row]:
    """sizes[:, :3] -> sizes[:, 3:]; window[:, :4] -> window[:, 4]."""
    sizes = golden.tensors["sizes"]
    ours = [(*latent_size(w, h, area), *pose_canvas(w, h)) for w, h, area in sizes[:, :3].tolist()]
    yield exact("sizes.latent", torch.tensor(ours)[:, :2], sizes[:, 3:5])
    yield exact("sizes.pose_canvas", torch.tensor(ours)[:, 2:], sizes[:, 5:])
    window = golden.tensors["window"]
    on = [in_window(int(step), int(steps), start, end) for steps, start, end, step in window[:, :4].tolist()]
    yield exact("window", torch.tensor(on), window[:, 4])
