"""Recipe 2: another driver, fitted skeletons, and three ways to begin."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core.training.clip_types import ClipRecipe, Clips
from core.training.clips import make_clips
from core.training.clips_v2 import ClipPlan, paint_clips, plan_clips
from core.training.drawing import ClipSource

CPU = torch.device("cpu")
RECIPE = ClipRecipe(96, 80, 17, misaligned=0.0, version=2, bridged=0.0, own=0.0)


def plan(batch: int = 24, **changes: float) -> ClipPlan:
    return plan_clips(5, batch, ClipRecipe(**(vars(RECIPE) | changes)), None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clips() -> Clips:
    return make_clips(3, 1, ClipRecipe(64, 48, 5, misaligned=1.0, version=2), None, negatives=True)


def test_shapes(clips: Clips) -> None:
    assert clips.video.shape == clips.pose.shape == (1, 3, 5, 64, 48)
    assert clips.negative is not None
    assert clips.negative.shape == clips.pose.shape
    assert clips.mask.shape == (1, 5, 64, 48)
    assert clips.joints.shape == (1, 5, 18, 2)
    assert clips.background.shape == (1, 3, 64, 48)
    assert clips.video.dtype == clips.pose.dtype == torch.uint8
    assert clips.misaligned.all()
    assert all(clips.captions)


def test_same_seed_same_clip(clips: Clips) -> None:
    again = make_clips(3, 1, ClipRecipe(64, 48, 5, misaligned=1.0, version=2), None)
    for name in ("video", "pose", "mask", "joints", "shown", "background"):
        assert torch.equal(getattr(clips, name), getattr(again, name))


def test_joints_lie_on_the_person(clips: Clips) -> None:
    around = F.max_pool2d(clips.mask.float(), 5, stride=1, padding=2) > 0
    x, y = clips.joints[0, :, 1:14].long().unbind(-1)
    frame = torch.arange(5)[:, None]
    assert around[0, frame, y.clamp(0, 63), x.clamp(0, 47)].float().mean() > 0.95


def test_necks_are_where_the_skeleton_has_them_but_for_its_jitter() -> None:
    made = plan(bridged=0.5)
    away = (made.points[:, 1:, 1] / 2 - made.joints[:, 1:, 1] / 2).norm(dim=-1)
    height = (made.joints[..., 1].amax(2) - made.joints[..., 1].amin(2)).mean() / 2
    assert away.max() < 0.05 * height
    assert 0 < away.mean() < 0.02 * height


def test_another_driver_s_limbs_fit_nearly_and_one_s_own_fit() -> None:
    other, own = plan(own=0.0), plan(own=1.0)
    height = 0.8 * 2 * RECIPE.height
    misfit = [(p.points - p.joints).norm(dim=-1)[:, 1:].mean() / height for p in (other, own)]
    assert misfit[1] < 0.02
    assert 1.2 * misfit[1] < misfit[0] < 0.06


def test_a_bridge_leads_from_the_reference_s_pose_to_the_motion_s() -> None:
    bridged, jumps = plan(bridged=1.0), plan(misaligned=1.0)
    assert not bridged.misaligned.any()
    assert jumps.misaligned.all()

    def first_gap(made: ClipPlan) -> torch.Tensor:
        return (made.points[:, 0] - made.joints[:, 0]).norm(dim=-1)[:, 1:14].mean(1)

    # A short bridge of a near pose is none; then both begin alike.
    assert first_gap(bridged).mean() < 0.3 * first_gap(jumps).mean()
    assert first_gap(bridged).amax() < 0.1 * 2 * RECIPE.height
    step = (bridged.joints[:, 1] - bridged.joints[:, 0]).norm(dim=-1).mean()
    assert step < 0.5 * (jumps.joints[:, 1] - jumps.joints[:, 0]).norm(dim=-1).mean()


def test_evaluation_draws_other_motion_than_training() -> None:
    training, evaluation = plan(2, augment=True), plan(2, augment=False)
    assert not torch.allclose(training.points, evaluation.points)


def test_a_source_hands_out_the_same_clips_with_helpers_and_without() -> None:
    recipes = (ClipRecipe(32, 32, 5, version=2), ClipRecipe(32, 48, 5, version=2))
    alone = ClipSource(recipes, 40, 1, None, CPU)
    first, second = alone.next(), alone.next()
    assert first.video.shape[-2:] == (32, 32)
    assert second.video.shape[-2:] == (32, 48)
    with ClipSource(recipes, 40, 1, None, CPU, start=1, workers=1) as helped:
        again = helped.next()
        assert helped.drawn == 2
    assert torch.equal(again.video, second.video)
    assert torch.equal(again.pose, second.pose)


def test_painting_needs_no_more_than_the_plan(clips: Clips) -> None:
    made = plan_clips(3, 1, ClipRecipe(64, 48, 5, misaligned=1.0, version=2), None)
    assert torch.equal(paint_clips(made, CPU, negatives=False).video, clips.video)
