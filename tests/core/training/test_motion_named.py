"""The demo's motions: one stance to begin and end in, and each what its name says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.errors import BadInput
from core.training.body import standard_proportions
from core.training.motion import NAMED, generated, named_motion, sample_motion, stance_moves
from core.training.randomness import Draws

SIZE = standard_proportions(1)
# Sums and single values of the first recipe's motion, as they were when its suite was measured.
FIRST = [6948.391, 234.0, 182.882, 2767.912, 78.909, -0.521]


def points(name: str, frames: int = 49) -> dict[str, Tensor]:
    return {key: value[0] for key, value in named_motion(name, frames).joints(SIZE).points.items()}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("frames", [33, 49, 81])
def test_each_begins_and_ends_in_the_stance(name: str, frames: int) -> None:
    stance = stance_moves().joints(SIZE).points
    found = points(name, frames)
    assert len(found["pelvis"]) == frames
    for key, place in stance.items():
        assert (found[key][0] - place[0, 0]).norm() < 0.005
        assert (found[key][-1] - place[0, 0]).norm() < 0.005


@pytest.mark.parametrize("name", NAMED)
def test_each_stays_in_its_place_and_moves(name: str) -> None:
    found = points(name)
    assert found["pelvis"][:, [0, 2]].norm(dim=-1).max() < 0.4
    assert (found["right_wrist"] - found["right_wrist"][0]).norm(dim=-1).max() > 0.3
    assert torch.stack(list(found.values())).amax((0, 1))[1] < 2.3
    step = (found["right_wrist"][1:] - found["right_wrist"][:-1]).norm(dim=-1)
    assert step.max() < 0.45


def test_each_is_what_its_name_says() -> None:
    wave, jack, spin = points("Wave hello"), points("Jumping jacks"), points("Spin")
    assert (wave["right_wrist"][16:32, 1] > wave["neck"][16:32, 1]).all()
    assert (wave["left_wrist"][..., 1] < wave["chest"][..., 1]).all()
    apart = (jack["right_ankle"] - jack["left_ankle"]).norm(dim=-1)
    raised = jack["right_wrist"][:, 1] - jack["neck"][:, 1]
    assert apart.max() > 0.5
    assert torch.corrcoef(torch.stack([apart, raised]))[0, 1] > 0.7
    assert torch.minimum(jack["right_toe"][:, 1], jack["left_toe"][:, 1]).max() > 0.05
    across = spin["right_shoulder"] - spin["left_shoulder"]
    turn = torch.atan2(across[:, 0], across[:, 2])
    turned = torch.remainder(turn.diff() + torch.pi, 2 * torch.pi) - torch.pi
    assert turned.sum().abs() == pytest.approx(2 * torch.pi, abs=0.01)


@pytest.mark.parametrize(("name", "frames"), [("Polka", 33), ("Spin", 5)])
def test_others_are_refused(name: str, frames: int) -> None:
    with pytest.raises(BadInput, match="no motion"):
        named_motion(name, frames)


def test_the_first_recipe_is_as_it_was() -> None:
    """Suite 1 draws the same clips as long as this holds."""
    rotations, root = sample_motion(Draws(3), None, 6, 33)
    dance, at = generated(Draws(4), 5, 17)
    found = [rotations.double().sum(), rotations[:, 16].double().square().sum(), root.double().sum()]
    found += [dance.double().sum(), at.double().sum(), rotations[3, 20, 6, 0, 1].double()]
    assert [float(value) for value in found] == pytest.approx(FIRST, abs=2e-2)
