"""The surface: one colour a place of the body, whatever the person does or wears."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core.training.clips import ClipRecipe, Clips, make_clips, plan_clips
from core.training.looks import sample_looks
from core.training.narrowing import narrowed
from core.training.randomness import Draws
from core.training.surface import places

RECIPE = ClipRecipe(96, 96, 5, misaligned=1.0, version=2)


@pytest.fixture(scope="module")
def clips() -> Clips:
    return make_clips(5, 3, RECIPE, None, surfaces=True)


def test_it_is_black_where_nobody_is_and_nowhere_else(clips: Clips) -> None:
    assert clips.surface is not None
    assert clips.surface.shape == clips.video.shape
    inside = F.max_pool2d(clips.mask.float(), 3, 1, 1) > 0
    assert clips.surface.amax(1).masked_select(~inside).max() < 0.1 * 255
    core = -F.max_pool2d(-clips.mask.float(), 3, 1, 1) > 0
    assert clips.surface.amax(1).masked_select(core).min() > 0.3 * 255


def test_other_pictures_stay_as_they_are(clips: Clips) -> None:
    plain = make_clips(5, 3, RECIPE, None)
    assert plain.surface is None
    assert torch.equal(plain.video, clips.video)
    assert torch.equal(plain.pose, clips.pose)


def colours_at(clips: Clips, joint: int) -> torch.Tensor:
    """The median over all pictures: limbs hide each other in some."""
    assert clips.surface is not None
    found = []
    for clip in range(3):
        for frame in range(5):
            x, y = clips.joints[clip, frame, joint].round().long().clamp(1, 94).tolist()
            found.append(clips.surface[clip, :, frame, y - 1 : y + 2, x - 1 : x + 2].float().mean(dim=(1, 2)))
    return torch.stack(found).median(0).values / 255


def test_colours_say_which_place_it_is(clips: Clips) -> None:
    right, left, neck = (colours_at(clips, joint) for joint in (10, 13, 1))
    assert right[0] > left[0] + 0.02
    assert neck[1] > right[1] + 0.4


def test_a_place_has_its_colour_whatever_the_pose_and_size() -> None:
    colours = places(sample_looks(Draws(3), 6))
    assert colours.shape[::2] == (6, 6)
    assert colours.min() >= 0.15
    assert colours.max() <= 0.95
    # The body's solids come first; there people differ by their proportions alone.
    assert (colours[:, :10].amax(0) - colours[:, :10].amin(0)).mean() < 0.1
    one, two = (plan_clips(seed, 2, RECIPE, None).places for seed in (1, 2))
    assert one.shape == two.shape == (2, colours.shape[1], 6)


def test_it_is_cut_as_the_pictures_are() -> None:
    wide = make_clips(4, 2, ClipRecipe(64, 96, 5, version=2), None, surfaces=True, negatives=True)
    narrow = narrowed(wide, 48)
    assert wide.surface is not None
    assert narrow.surface is not None
    for clip in range(2):
        left = int((wide.joints[clip] - narrow.joints[clip]).flatten()[0])
        assert torch.equal(narrow.surface[clip], wide.surface[clip][..., left : left + 48])
