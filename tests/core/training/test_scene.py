"""Scenes and cameras: everybody is in the picture, floors lie below, shadows fall on floors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from drawn_figures import drawn, standing

from core.training.backdrops import sample_scene
from core.training.looks import sample_looks
from core.training.randomness import Draws
from core.training.renderer import paint_people
from core.training.scene import figure_values, floor_line, sample_camera

CPU = torch.device("cpu")


def test_scenes_are_repeatable_and_different() -> None:
    floor = torch.full((24,), 80.0)
    first, light = sample_scene(Draws(1), 24, 96, 128, floor, CPU)
    again, _ = sample_scene(Draws(1), 24, 96, 128, floor, CPU)
    assert torch.equal(first, again)
    assert first.shape == (24, 3, 96, 128)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.allclose(light[:, :3].norm(dim=-1), torch.ones(24), atol=1e-5)
    assert (light[:, 3:] > 0.2).all()
    flat = first.flatten(1)
    apart = (flat[:, None] - flat[None]).abs().mean(-1) + torch.eye(24)
    assert apart.min() > 0.02
    structured = (first[..., 1:] - first[..., :-1]).abs().mean((1, 2, 3))
    assert structured.median() > 0.004


def test_the_bright_side_of_a_room_is_where_the_light_comes_from() -> None:
    pictures, light = sample_scene(Draws(2), 48, 64, 64, torch.full((48,), 52.0), CPU)
    left, right = pictures[:, :, :20, :8].mean((1, 2, 3)), pictures[:, :, :20, -8:].mean((1, 2, 3))
    strong = light[:, 0].abs() > 0.3
    agree = ((right - left) * light[:, 0] > 0)[strong].float().mean()
    assert agree > 0.6


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (80, 48)])
def test_all_of_everybody_is_in_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    draws = Draws(7)
    looks = sample_looks(draws, 6)
    joints = standing(looks)
    camera = sample_camera(draws, joints, looks, height, width, True)
    figures = figure_values(looks, joints, camera, 2 * height, 2 * width).each(lambda v: v.flatten(0, 1))
    light = torch.tensor([0.0, 0.6, 0.8, *[0.5] * 6]).expand(6, 9)
    _, mask = paint_people(torch.zeros(6, 3, 2 * height, 2 * width), figures, light)
    assert not mask[:, 0].any()
    assert not mask[:, -1].any()
    assert not mask[:, :, 0].any()
    assert not mask[:, :, -1].any()
    line = floor_line(joints, camera, 2 * height, 2 * width)
    assert ((line > height) & (line < 2 * height)).all()


def test_shadows_darken_the_floor_but_are_not_the_person() -> None:
    background, figures, light = drawn(sample_looks(Draws(9), 2), 64, 64)
    picture, mask = paint_people(background, figures, light)
    near = F.max_pool2d(mask.float(), 5, stride=1, padding=2) > 0
    darker = (picture.amax(1) < 0.49) & ~near
    assert darker.any()
    rows = darker.any(2).nonzero()[:, 1]
    feet = mask.any(2).nonzero()[:, 1].max()
    assert rows.float().mean() > 0.75 * feet
    assert (picture[:, :, :, 0] == 0.5).all()
