"""The driver's joints: found with errors, and fitted exactly as the product fits them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.pose.align import apply, choose_frame, fit
from core.pose.bridge import LONGEST, SHORTEST
from core.training.driver import Aligned, Finding, Found, aligned, bridge_weights, found
from core.training.randomness import Draws

HEIGHT, WIDTH, FRAMES = 64, 48, 9
# A standing person in OpenPose order, fractions of a square.
STANDING = torch.tensor(
    [
        (0.50, 0.14), (0.50, 0.24), (0.42, 0.24), (0.38, 0.38), (0.37, 0.50), (0.58, 0.24), (0.62, 0.38),
        (0.63, 0.50), (0.45, 0.52), (0.44, 0.70), (0.44, 0.88), (0.55, 0.52), (0.56, 0.70), (0.56, 0.88),
        (0.48, 0.12), (0.52, 0.12), (0.45, 0.13), (0.55, 0.13),
    ]
)  # fmt: skip


def moving(batch: int, seed: int, scale: float) -> Found:
    """A person who moves about, of which some joints are lost in some frames."""
    generator = torch.Generator().manual_seed(seed)
    shift = 0.03 * torch.randn(batch, FRAMES, 18, 2, generator=generator).cumsum(1)
    points = (STANDING + shift) * scale * HEIGHT
    seen = torch.rand(batch, FRAMES, 18, generator=generator) > 0.1
    seen[:, 0] = True
    return Found(points, seen)


def test_every_frame_is_moved_as_the_product_moves_it() -> None:
    driver, reference = moving(3, 1, 0.8), moving(3, 2, 0.9)
    reference = Found(reference.points[:, :1], reference.seen[:, :1])
    made = aligned(driver, reference, HEIGHT, WIDTH)
    ratio = WIDTH / HEIGHT
    for clip in range(3):
        target = reference.frame(clip, 0, HEIGHT, WIDTH)
        poses = [driver.frame(clip, number, HEIGHT, WIDTH) for number in range(FRAMES)]
        chosen = choose_frame(poses[::2], ratio, target, ratio)
        assert chosen is not None
        assert made.neck_frame[clip] == 2 * chosen
        fitted = fit(target, ratio, poses[2 * chosen], ratio)
        for number, pose in enumerate(poses):
            wanted = apply(pose, fitted).body * [WIDTH, HEIGHT]
            shown = driver.seen[clip, number].numpy()
            ours = made.points[clip, number].numpy()
            assert np.allclose(ours[shown], wanted[shown], atol=1e-4)


def test_the_neck_of_the_measured_frame_lies_on_the_reference_s() -> None:
    driver, reference = moving(2, 3, 0.7), moving(2, 4, 0.9)
    driver.seen[:] = True
    reference = Found(reference.points[:, :1], reference.seen[:, :1])
    made = aligned(driver, reference, HEIGHT, WIDTH)
    for clip in range(2):
        neck = made.points[clip, made.neck_frame[clip], 1]
        assert torch.allclose(neck, reference.points[clip, 0, 1], atol=1e-3)


def test_found_joints_are_near_and_some_limbs_get_lost() -> None:
    points = (STANDING * 200).expand(200, 33, 18, 2)
    seen = torch.ones(200, 33, 18, dtype=torch.bool)
    made = found(Draws(1), points, seen, Finding())
    error = (made.points - points).norm(dim=-1)
    assert 0.5 < error.mean() < 3
    assert error.max() < 12
    lost = ~made.seen
    assert 0.001 < lost.float().mean() < 0.02
    assert not lost[:, :, (0, 1, 2, 5, 8, 11, 14, 15, 16, 17)].any()
    assert 0.1 < lost.any(dim=2).any(dim=1).float().mean() < 0.35
    runs = lost.float().sum(1)
    assert runs.max() <= 7
    exact = found(Draws(1), points, seen, Finding(0, 0, 0))
    assert torch.equal(exact.points, points)
    assert exact.seen.all()


@pytest.mark.parametrize(
    ("gap", "least", "most"), [(0.0, 0, 0), (0.04, SHORTEST, LONGEST - 1), (0.5, LONGEST, LONGEST)]
)
def test_the_bridge_is_as_long_as_the_product_s(gap: float, least: int, most: int) -> None:
    frames = 33
    standing = (STANDING * HEIGHT).expand(1, frames, 18, 2)
    seen = torch.ones(1, frames, 18, dtype=torch.bool)
    motion = Aligned(standing + gap * HEIGHT * torch.tensor([1.0, 0.0]), seen, torch.zeros(1).long())
    weights = bridge_weights(motion, Found(standing[:, :1], seen[:, :1]), HEIGHT, HEIGHT)
    below = int((weights < 1).sum())
    assert least <= below <= most
    assert bool((weights.diff() >= 0).all())
    assert weights[0, 0] == (1 if not below else 0)
