"""Limbs of pixels, and distances of their colours, on people that are known."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.evaluation.metrics import Truth, measure
from core.evaluation.regions import REGIONS, colour_distance, limb_regions
from core.training.clips import ClipRecipe, make_clips


@pytest.fixture(scope="module")
def drawn() -> Truth:
    return Truth.of(make_clips(3, 1, ClipRecipe(96, 96, 5, misaligned=0.0), None))


def distance(ours: Tensor, truth: Truth) -> float:
    frames = ours.transpose(1, 2).float() / 255
    true = truth.video.transpose(1, 2).float() / 255
    return float(colour_distance(frames, true, truth.joints, truth.mask, truth.background))


def test_regions_cover_the_person_and_little_else(drawn: Truth) -> None:
    limb = limb_regions(drawn.joints[0], 96, 96)
    assert limb.shape == (5, 96, 96)
    assert sorted(limb.unique().tolist()) == list(range(-1, REGIONS))
    person = drawn.mask[0]
    assert ((limb >= 0) & person).sum() / person.sum() > 0.85
    assert (limb[:, :4] == -1).all()


def test_each_joint_s_surroundings_are_its_limb_s() -> None:
    joints = torch.zeros(1, 18, 2)
    joints[0, :, 0] = 50
    joints[0, 1], joints[0, 8], joints[0, 11] = torch.tensor([[50, 30], [44, 60], [56, 60]]).float()
    joints[0, 2], joints[0, 3], joints[0, 4] = torch.tensor([[40, 30], [25, 30], [10, 30]]).float()
    joints[0, 16:18, 1] = 18
    limb = limb_regions(joints, 100, 100)[0]
    assert limb[30, 17] == 2  # right forearm
    assert limb[30, 32] == 1  # right upper arm
    assert limb[50, 50] == 0
    assert limb[18, 50] == REGIONS - 1
    assert limb[95, 95] == -1


def test_the_truth_has_no_distance_and_another_shirt_has(drawn: Truth) -> None:
    assert distance(drawn.video, drawn) == 0
    greyed = drawn.video.float().mean(1, keepdim=True).expand_as(drawn.video).round().byte()
    dyed = torch.where(drawn.mask[:, None], greyed, drawn.video)
    assert distance(dyed, drawn) > 3


def test_blur_of_a_pattern_costs_and_a_small_move_costs_less() -> None:
    truth = Truth.of(make_clips(3, 1, ClipRecipe(96, 96, 4, misaligned=0.0), None))
    stripes = ((torch.arange(96) // 2 % 2) * 200 + 20).byte().view(1, 1, 1, 96, 1).expand_as(truth.video)
    striped = torch.where(truth.mask[:, None], stripes, truth.video)
    truth = Truth(striped, truth.mask, truth.joints, truth.shown, truth.background)
    soft = F.avg_pool2d(striped[0].float(), 5, stride=1, padding=2).round().byte()[None]
    blurred = torch.where(truth.mask[:, None], soft, striped)
    moved = striped.roll(2, -1)
    assert distance(blurred, truth) > 2 * distance(moved, truth)


def test_a_person_that_is_gone_is_far_off(drawn: Truth) -> None:
    empty = drawn.background[:, :, None].expand_as(drawn.video)
    assert distance(empty, drawn) > 5


def test_flicker_tells_where_it_is(drawn: Truth) -> None:
    signs = torch.tensor([1.0, -1, 1, -1, 1]).view(1, 1, 5, 1, 1)
    body = torch.zeros(1, 5, 96, 96, dtype=torch.bool)
    body[:, 1:] = drawn.body
    for inside, name in ((True, "flicker_body"), (False, "flicker_scene")):
        other = "flicker_scene" if inside else "flicker_body"
        region = body.any(1, keepdim=True) if inside else ~body.any(1, keepdim=True)
        shaken = (drawn.video.float() + 10 * signs * region[:, None]).round().clamp(0, 255).byte()
        found = measure(shaken, drawn)
        assert found[name].item() > 5
        assert found[name].item() > 2 * found[other].item()
    still = measure(drawn.video, drawn)
    assert still["flicker_body"].item() == still["flicker_scene"].item() == still["colour"].item() == 0
