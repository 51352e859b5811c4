"""Clips: repeatable, consistent with themselves, and what the metrics assume about them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from core.training.clips import ClipRecipe, Clips, make_clips, negative_points
from core.training.randomness import Draws

RECIPE = ClipRecipe(height=64, width=80, frames=5, misaligned=0.0)


def clips(seed: int = 1, misaligned: float = 0.0, negatives: bool = False) -> Clips:
    recipe = ClipRecipe(RECIPE.height, RECIPE.width, RECIPE.frames, misaligned)
    return make_clips(seed, 2, recipe, None, negatives=negatives)


def test_shapes() -> None:
    made = clips(negatives=True)
    assert made.video.shape == made.pose.shape == (2, 3, 5, 64, 80)
    assert made.negative is not None
    assert made.negative.shape == made.pose.shape
    assert made.mask.shape == (2, 5, 64, 80)
    assert made.joints.shape == (2, 5, 18, 2)
    assert made.background.shape == (2, 3, 64, 80)
    assert made.video.dtype == made.pose.dtype == made.background.dtype == torch.uint8
    assert all(made.captions)


def test_same_seed_same_clip() -> None:
    first, again, other = clips(1), clips(1), clips(2)
    for name in ("video", "pose", "mask", "joints", "shown", "background"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.captions == again.captions
    assert not torch.equal(first.video, other.video)
    assert not torch.equal(first.pose, other.pose)


def test_negatives_change_nothing_else() -> None:
    plain, with_negatives = clips(), clips(negatives=True)
    assert torch.equal(plain.video, with_negatives.video)
    assert torch.equal(plain.pose, with_negatives.pose)
    assert not torch.equal(with_negatives.negative, plain.pose)  # type: ignore[arg-type]


def test_a_misaligned_reference_is_another_pose_before_the_same_scene() -> None:
    aligned, misaligned = clips(), clips(misaligned=1.0)
    assert misaligned.misaligned.all()
    assert torch.equal(aligned.pose, misaligned.pose)
    assert torch.equal(aligned.video[:, :, 1:], misaligned.video[:, :, 1:])
    assert torch.equal(aligned.background, misaligned.background)
    assert not torch.equal(aligned.mask[:, 0], misaligned.mask[:, 0])
    empty = ~(aligned.mask[:, 0] | misaligned.mask[:, 0])
    grown = F.max_pool2d((~empty).float(), 5, stride=1, padding=2)[:, None].expand(-1, 3, -1, -1) > 0
    assert torch.equal(aligned.video[:, :, 0][~grown], misaligned.video[:, :, 0][~grown])


def test_outside_the_mask_lies_the_background() -> None:
    made = clips()
    around = F.max_pool2d(made.mask.float(), 5, stride=1, padding=2) > 0
    difference = (made.video.int() - made.background[:, :, None].int()).abs().amax(dim=1)
    assert difference[~around].max() <= 1
    assert difference[made.mask].float().mean() > 10


def test_joints_lie_on_the_person() -> None:
    made = clips()
    around = F.max_pool2d(made.mask.float(), 5, stride=1, padding=2) > 0
    inside = []
    for joint in range(1, 14):
        x, y = made.joints[:, :, joint].long().unbind(-1)
        assert ((x >= 0) & (x < 80) & (y >= 0) & (y < 64)).all()
        inside.append(
            around.gather(2, y[..., None, None].expand(-1, -1, 1, 80))[:, :, 0].gather(2, x[..., None])
        )
    assert torch.cat(inside).float().mean() > 0.97


def test_skeletons_are_drawn_at_the_joints() -> None:
    made = clips()
    lit = F.max_pool2d(made.pose.amax(dim=1).float(), 3, stride=1, padding=1)
    for joint in range(1, 14):
        x, y = made.joints[:, :, joint].long().unbind(-1)
        batch, frame = torch.meshgrid(torch.arange(2), torch.arange(5), indexing="ij")
        assert (lit[batch, frame, y, x] > 50).all()


def test_negative_stretches_about_the_neck_afresh_for_each_frame() -> None:
    points = torch.rand(3, 200, 18, 2, generator=torch.Generator().manual_seed(6)) * 100
    stretched = negative_points(Draws(7), points)
    neck = points[:, :, 1:2]
    assert torch.allclose(stretched[:, :, 1:2], neck)
    away = points - neck
    far = away.abs() > 5
    ratio = torch.where(far, (stretched - neck) / away, torch.nan)
    factor = ratio.nanmedian(dim=2).values
    assert torch.nan_to_num(ratio - factor[:, :, None]).abs().max() < 1e-3
    scale, aspect = factor[..., 1], factor[..., 0] / factor[..., 1]
    for value, low, high in ((scale, 0.7, 1.3), (aspect, 0.6, 1.4)):
        assert low - 1e-3 <= value.min() < low + 0.05
        assert high - 0.05 < value.max() <= high + 1e-3
    assert (scale[:, 1:] != scale[:, :-1]).float().mean() > 0.99
