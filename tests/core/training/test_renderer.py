"""The two ways of drawing give the same picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.training.body import forward_kinematics, openpose_points
from core.training.characters_v1 import build, sample_looks
from core.training.clips import draw_like_product
from core.training.motion import generated
from core.training.randomness import Draws
from core.training.renderer_v1 import FAR, SUPERSAMPLE, _capsule_group, _grid, paint_people
from core.training.skeleton_shapes import paint_skeletons, paint_tiles, paint_whole, shapes_of
from tests.fakes import interpreter

PEOPLE, FRAMES, SIDE = 2, 2, 64


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """Backgrounds [N, 3, H, W], capsules [N, P, 20] in drawing pixels, lights [N, 3]."""
    draws = Draws(11)
    looks = sample_looks(draws, PEOPLE)
    rotations, root = generated(draws, PEOPLE, FRAMES)
    starts, ends, constants = build(looks, forward_kinematics(rotations, root, looks.size))
    scale = torch.tensor([50.0, -50.0, 50.0])
    offset = torch.tensor([SIDE / 1.0, 1.7 * SIDE, 0.0])
    fixed = constants[:, None].expand(-1, FRAMES, -1, -1).clone()
    fixed[..., :2] *= 50
    values = torch.cat([starts * scale + offset, ends * scale + offset, fixed], dim=-1).flatten(0, 1)
    count = PEOPLE * FRAMES
    light = torch.nn.functional.normalize(draws.uniform(0.2, 1.0, count, 3), dim=-1)
    return draws.uniform(0, 1, count, 3, SIDE * SUPERSAMPLE, SIDE * SUPERSAMPLE), values, light


def test_cropped_drawing_equals_whole_drawing() -> None:
    background, values, light = scene()
    cropped, mask = paint_people(background, values, light, cropped=True)
    y, x = _grid(SIDE * SUPERSAMPLE, SIDE * SUPERSAMPLE, background.device)
    far = torch.full_like(background[:, 0], FAR)
    colour, depth = _capsule_group(background, far, values, light, y, x)
    assert torch.allclose(cropped, torch.nn.functional.avg_pool2d(colour, SUPERSAMPLE), atol=1e-5)
    whole_mask = torch.nn.functional.avg_pool2d((depth > FAR / 2).float(), SUPERSAMPLE) > 0.5
    assert torch.equal(mask, whole_mask)
    assert 0.02 < mask.float().mean() < 0.6


def test_the_nearer_capsule_hides_the_farther_whatever_the_order() -> None:
    def capsule(depth: float, red: float) -> Tensor:
        ends = [20.0, 32.0, depth, 44.0, 32.0, depth]
        return torch.tensor([*ends, 6.0, 6.0, *([red, 0.0, 1 - red] * 3), 2.0, 0.0, 0.0])

    background = torch.full((1, 3, 64, 64), 0.5)
    light = torch.tensor([[0.0, 0.0, 1.0]])
    near, far = capsule(30.0, 1.0), capsule(0.0, 0.0)
    for order in ((near, far), (far, near)):
        picture, mask = paint_people(background, torch.stack(order)[None], light, cropped=True)
        red, _, blue = picture[0, :, 16, 16]
        assert red > 0.9
        assert blue < 0.1
        assert mask[0, 16, 16]
        assert not mask[0, 2, 2]


def people(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Joints [N, 18, 2] drawing pixels and which are shown."""
    draws = Draws(12)
    looks = sample_looks(draws, PEOPLE)
    rotations, root = generated(draws, PEOPLE, FRAMES)
    world = openpose_points(forward_kinematics(rotations, root, looks.size), looks.size).flatten(0, 1)
    points = torch.stack([world[..., 2] * 90 + width, 1.75 * height - world[..., 1] * 90], dim=-1)
    return points, draws.chance(0.85, PEOPLE * FRAMES, 18)


def test_skeletons_equal_the_product_s_drawing() -> None:
    """The GPU draws training skeletons all at once; users' skeletons are drawn by core.pose.draw."""
    height = width = 96
    points, shown = people(height, width)
    painted = paint_skeletons(points, shown, height, width)
    for ours, at, visible in zip(painted, points, shown, strict=True):
        product = torch.from_numpy(draw_like_product(at, visible, height, width)).permute(2, 0, 1).float()
        assert product.amax() > 150
        error = (ours * 255).round() - product
        assert error.abs().mean() < 0.3
        assert error.square().mean() < 3e-5 * 255**2


def test_the_skeletons_kernel_equals_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        interpreter.mend(monkeypatch)
    height, width = 42, 36  # not a multiple of a tile
    points, shown = people(96, 96)
    limbs, joints = (part.to(device) for part in shapes_of(points[:1] * 0.4, shown[:1]))
    plain, tiled = (paint(limbs, joints, height, width) for paint in (paint_whole, paint_tiles))
    assert plain.amax() > 150
    assert ((plain - tiled).abs() > 0).float().mean() < (0 if device == "cpu" else 2e-3) + 1e-9
