"""All ways of drawing give the same picture, and shapes hide each other as they should."""

from __future__ import annotations

import pytest
import torch
from drawn_figures import drawn
from torch import Tensor

from core.training.coats import Shapes, coat
from core.training.gallery import named_character
from core.training.looks import sample_looks
from core.training.primitives import PRINTS, S
from core.training.randomness import Draws
from core.training.renderer import Figures, paint_people
from core.training.scene import FACING, Camera
from tests.fakes import interpreter

RED, BLUE = torch.tensor([[0.9, 0.1, 0.1]]), torch.tensor([[0.1, 0.1, 0.9]])
LIGHT = torch.tensor([[0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]])


def crowd(side: int = 72) -> tuple[Tensor, Figures, Tensor]:
    return drawn(sample_looks(Draws(8), 3), side, side + 8, yaw=0.6)


def test_cropped_drawing_equals_whole_drawing() -> None:
    background, figures, light = crowd()
    cropped, mask = paint_people(background, figures, light, how="cropped")
    whole, whole_mask = paint_people(background, figures, light, how="whole")
    assert (cropped - whole).abs().max() < 1e-5
    assert torch.equal(mask, whole_mask)
    assert 0.05 < mask.float().mean() < 0.5
    assert background.unique().numel() == 1


def test_there_are_few_shapes_and_no_bad_numbers() -> None:
    _, figures, _ = crowd()
    assert figures.shadows.shape[1] + figures.solids.shape[1] + figures.decals.shape[1] <= 70
    figures.each(lambda values: values.isfinite().all() or pytest.fail("not finite"))


def test_the_kernel_equals_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    if not torch.cuda.is_available():
        interpreter.mend(monkeypatch)
    background, figures, light = drawn(named_character("Dayo"), 24, 32, yaw=0.6)
    some = Figures(
        figures.shadows[:1],
        # Torso, arms, a hand, skirts, head and hair.
        figures.solids[:1, [1, 2, 3, 5, 7, 29, 33, 36, 37]],
        figures.decals[:1, 1:8],
        figures.prints[:1].repeat(1, len(PRINTS), 1),
    )
    some.prints[..., 19], some.prints[..., 20] = 1.0, torch.arange(len(PRINTS))
    some.prints[..., 21] = 91.0
    some.prints[..., 0] += torch.arange(len(PRINTS)) * 3.0
    corner = background[:1, :, 8:44, :60]  # not a multiple of a tile
    plain, mask = paint_people(corner, some, light[:1], how="whole")
    tiled, tiled_mask = paint_people(*_on_gpu(corner, some, light[:1]), how="tiles")
    assert (tiled.cpu() - plain).abs().max() < (1e-5 if not tiled.is_cuda else 2e-2)
    assert (tiled.cpu() - plain).abs().mean() < 1e-4
    assert (tiled_mask.cpu() != mask).float().mean() < 1e-3
    assert (plain - 0.5).abs().max() > 0.2


def _on_gpu(background: Tensor, figures: Figures, light: Tensor) -> tuple[Tensor, Figures, Tensor]:
    if not torch.cuda.is_available():
        return background, figures, light
    return background.cuda(), figures.each(Tensor.cuda), light.cuda()


def scene(*balls: tuple[float, float, Tensor], printed: bool = False) -> Figures:
    """Balls of 0.3 m (x, z towards the viewer, colour), 32 drawing pixels a metre, seen from the front."""
    shapes = Shapes(1, 1)
    axes = FACING.T.expand(1, 1, 3, 3)
    for x, near, colour in balls:
        centre = torch.tensor([near, 0.0, -x]).expand(1, 1, 3)
        shapes.ball(centre, axes, torch.full((1, 3), 0.3), coat(colour))
    facing = torch.eye(3).expand(1, 1, 3, 3)[..., [2, 1, 0]]
    zero = torch.zeros(1)
    at = torch.tensor([0.3, 0.0, 0.0]).expand(1, 1, 3)
    size = torch.tensor([[0.15, 0.15, 0.2]])
    shapes.decal(at, facing, size, BLUE, torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([printed]))
    shapes.print(at, facing, size, BLUE, zero, zero, torch.tensor([False]))
    camera = Camera(FACING[None], torch.tensor([32.0]), torch.zeros(1, 2))
    parts = [values.flatten(0, 1) for values in shapes.seen(camera, 64, 64)]
    return Figures(torch.zeros(1, 0, 9), *parts)


def middle(figures: Figures) -> Tensor:
    picture, _ = paint_people(torch.full((1, 3, 64, 64), 0.5), figures, LIGHT)
    return picture[0, :, 16, 16]


def test_the_nearer_shape_hides_the_farther_whatever_the_order() -> None:
    for balls in (((0.0, 1.0, RED), (0.0, 0.0, BLUE)), ((0.0, 0.0, BLUE), (0.0, 1.0, RED))):
        red, _, blue = middle(scene(*balls))
        assert red > 0.6
        assert blue < 0.2


def test_decals_lie_on_the_surface_they_are_meant_for() -> None:
    on_it = middle(scene((0.0, 0.0, RED), printed=True))
    assert on_it[2] > on_it[0]
    something_before = middle(scene((0.0, 0.0, RED), (0.0, 1.0, RED), printed=True))
    assert something_before[0] > something_before[2]
    nobody = middle(scene((5.0, 0.0, RED), printed=True))
    assert torch.allclose(nobody, torch.full((3,), 0.5))


def test_a_limb_towards_the_viewer_is_round() -> None:
    """Seen along its line a limb is its nearer end; nothing is nearer than that end's ball."""
    shapes = Shapes(1, 1)
    start, end = torch.zeros(1, 1, 3), torch.tensor([[[0.5, 0.01, 0.0]]])
    side = torch.tensor([[[0.0, 0.0, 1.0]]])
    shapes.limb(start, end, torch.tensor([0.3]), torch.tensor([0.2]), coat(RED), side)
    camera = Camera(FACING[None], torch.tensor([32.0]), torch.zeros(1, 2))
    values = _solids(shapes, camera)
    figures = Figures(torch.zeros(1, 0, 9), values, torch.zeros(1, 0, 26), torch.zeros(1, 0, 26))
    picture, mask = paint_people(torch.zeros(1, 3, 64, 64), figures, LIGHT)
    wide, high = mask[0].any(0).sum(), mask[0].any(1).sum()
    assert abs(int(wide) - int(high)) <= 1
    assert wide == pytest.approx(2 * 0.3 * 16, abs=1.5)
    assert picture.isfinite().all()
    assert values[0, 0, S["inverse"]] > 0


def _solids(shapes: Shapes, camera: Camera) -> Tensor:
    facing, zero = torch.eye(3).expand(1, 1, 3, 3), torch.zeros(1)
    none = torch.tensor([False])
    shapes.decal(torch.zeros(1, 1, 3), facing, torch.ones(1, 3), RED, torch.zeros(1, 3), none)
    shapes.print(torch.zeros(1, 1, 3), facing, torch.ones(1, 3), RED, zero, zero, none)
    return shapes.seen(camera, 64, 64)[0].flatten(0, 1)
