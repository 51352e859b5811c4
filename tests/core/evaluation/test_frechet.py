"""Frechet distances whose true values are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.evaluation.frechet import Moments, distance, frechet


def samples(clips: int, seed: int, shift: float = 0.0, dims: int = 8) -> Tensor:
    """Clips of six pictures: half of the variance is the clip's own."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(clips, 1, dims, generator=generator)
    return (own + torch.randn(clips, 6, dims, generator=generator)) * 0.5**0.5 + shift


def plain(a: Tensor, b: Tensor) -> float:
    one = torch.ones(len(a)).double()
    return distance(Moments.of(a).gaussian(one), Moments.of(b).gaussian(one))


def test_gaussians_in_closed_form() -> None:
    a = torch.zeros(3).double(), torch.diag(torch.tensor([1.0, 4.0, 9.0])).double()
    b = torch.tensor([1.0, 2.0, 0.0]).double(), torch.diag(torch.tensor([4.0, 4.0, 1.0])).double()
    assert distance(a, b) == pytest.approx(5 + 1 + 0 + 4)
    assert distance(a, a) == pytest.approx(0, abs=1e-9)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())[0]
    turned = [(turn @ mean, turn @ covariance @ turn.mT) for mean, covariance in (a, b)]
    assert distance(*turned) == pytest.approx(10)


def test_moments_are_those_of_all_samples() -> None:
    x = samples(5, 1)
    mean, covariance = Moments.of(x).gaussian(torch.ones(5).double())
    flat = x.flatten(0, 1).double()
    assert torch.allclose(mean, flat.mean(0))
    assert torch.allclose(covariance, torch.cov(flat.mT, correction=0))
    twice = Moments.of(x).gaussian(torch.tensor([2.0, 0, 1, 1, 1]).double())[0]
    assert torch.allclose(twice, torch.cat([x[:1], x[:1], x[2:]]).flatten(0, 1).double().mean(0))


def test_equal_sets_have_no_distance() -> None:
    x = samples(16, 1)
    found = frechet(x, x)
    assert found.mean == pytest.approx(0, abs=1e-6)
    assert found.high < 1e-3


def test_the_bias_of_few_clips_is_mostly_taken_off() -> None:
    """Independent sets, the worst case: true distance 8 * 0.3^2."""
    pairs = [(samples(48, 2 * n), samples(48, 2 * n + 1, 0.3)) for n in range(8)]
    before = sum(plain(a, b) for a, b in pairs) / len(pairs)
    after = sum(frechet(a, b, 60).mean for a, b in pairs) / len(pairs)
    true = 8 * 0.3**2
    assert before - true > 0.4
    assert abs(after - true) < 0.35 * (before - true)


def test_a_larger_shift_is_further_and_outside_the_interval() -> None:
    x = samples(48, 1)
    near, far = (frechet(x + shift + 0.05 * samples(48, 9), x) for shift in (0.1, 0.5))
    assert near.low <= near.mean <= near.high < far.low
    assert frechet(x + 0.1, x) == frechet(x + 0.1, x)
